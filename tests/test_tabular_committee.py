"""A committee: which rows its nets leave out, what they keep, which are chosen."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import mean_squared_error

from sklearn_mixup import TabularMixupClassifier, fit_fused
from sklearn_mixup._tabular import committee as committee_module
from sklearn_mixup._tabular.committee import make_committees, out_of_fold, train
from sklearn_mixup._tabular.rows import Rows, deal_folds
from sklearn_mixup._tabular.select import (
    N_PRIOR,
    SMALLEST,
    find_temperature,
    heat,
    log_loss,
    weigh,
    weigh_numbers,
)


@pytest.fixture
def rng():
    return np.random.RandomState(0)


# -- folds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rounds", [1, 3])
def test_each_row_is_left_out_once_in_each_round(n_rounds, rng):
    codes = rng.randint(3, size=100)
    left_out = deal_folds(codes, 8 * n_rounds, rng)
    for k in range(n_rounds):
        assert_array_equal(np.sort(np.concatenate(left_out[8 * k : 8 * k + 8])), np.arange(100))
    assert len({tuple(rows) for rows in left_out}) == 8 * n_rounds


def test_folds_are_even_in_size_and_classes(rng):
    codes = np.repeat([0, 1, 2], [61, 24, 18])
    left_out = deal_folds(codes, 8, rng)
    assert {len(rows) for rows in left_out} == {12, 13}
    counts = np.array([np.bincount(codes[rows], minlength=3) for rows in left_out])
    assert (np.ptp(counts, axis=0) <= 1).all()


@pytest.mark.parametrize("n_rows", [2, 7, 8, 9, 100, 803])
def test_each_fold_of_numbers_has_small_and_large_ones(n_rows, rng):
    y = rng.permutation(n_rows)[:, None] * np.array([1.0, 3.0])
    rows = Rows(np.zeros((n_rows, 1), np.float32), y, None, None)
    n_folds = min(n_rows, 8)
    for _ in range(2):
        left_out = deal_folds(rows.strata, n_folds, rng)
        assert_array_equal(np.sort(np.concatenate(left_out)), np.arange(n_rows))
        assert max(map(len, left_out)) - min(map(len, left_out)) <= 1
        # One of each eight that follow each other, but for what is left over at the end.
        found = np.array([np.sort(y[own, 0])[: n_rows // 8 - 1] // 8 for own in left_out])
        assert_array_equal(found, np.tile(np.arange(max(n_rows // 8 - 1, 0)), (n_folds, 1)))


def test_numbers_that_are_alike_are_dealt_all_the_same(rng):
    rows = Rows(np.zeros((21, 1), np.float32), np.zeros((21, 1)), None, None)
    left_out = deal_folds(rows.strata, 8, rng)
    assert_array_equal(np.sort(np.concatenate(left_out)), np.arange(21))


def test_few_nets_leave_out_as_few_rows_as_many():
    left_out = deal_folds(np.arange(80) % 2, 3, np.random.RandomState(0))
    assert [len(rows) for rows in left_out] == [10, 10, 10]


def test_the_only_row_of_a_class_is_left_out_by_no_net(rng):
    codes = np.array([0] * 20 + [1] * 20 + [2])
    left_out = deal_folds(codes, 16, rng)
    assert 40 not in np.concatenate(left_out)


def test_fewer_rows_than_folds_are_left_out_one_by_one(rng):
    left_out = deal_folds(np.array([0, 0, 1, 1, 2]), 10, rng)
    assert len(left_out) == 10
    assert {len(rows) for rows in left_out} == {1}
    assert [len(rows) for rows in deal_folds(np.array([0, 1]), 2, rng)] == [0, 0]


# -- training -------------------------------------------------------------------------------------

COMMON = {"module__hidden_sizes": (16,), "max_epochs": 6, "lr": 0.1}


def make(rows, settings, n_estimators, rng, **common):
    """Make committees of what fits rows."""
    fits = TabularMixupClassifier()
    common |= fits._settle(rows)
    return make_committees(fits._net_type, settings, n_estimators, rng, **common)


@pytest.fixture
def noisy(rng):
    """80 rows whose labels have little to do with them, so that nets overfit at once."""
    codes = rng.randint(2, size=80)
    X = rng.normal(size=(80, 5)).astype(np.float32)
    X[:, 0] += codes
    return Rows(X, codes, rng.uniform(0.5, 2, 80), np.array([1.0, 3.0]))


def validation_loss(net, rows):
    return log_loss(net.predict_proba(rows.X), rows.y, rows.full_weight)


def average_three(losses):
    """Average each loss and the two before it, as far as there are some."""
    return [np.mean(losses[max(i - 2, 0) : i + 1]) for i in range(len(losses))]


def test_each_net_keeps_the_epoch_that_is_best_on_what_it_left_out(noisy, rng):
    left_out = deal_folds(noisy.y, 4, rng)
    committees = make(noisy, [{}], 4, rng, **COMMON)
    ((nets,), _) = train(committees, [noisy], left_out)
    best_epochs = set()
    for net, rows in zip(nets, left_out, strict=True):
        kept, held_out = noisy.take(np.setdiff1d(np.arange(80), rows)), noisy.take(rows)
        losses = []
        fit_fused(
            [clone(net)],
            [kept.X],
            [kept.y],
            sample_weights=[kept.weight],
            on_epoch_end=lambda own, held_out=held_out, losses=losses: losses.append(
                validation_loss(own, held_out)
            ),
        )
        best = int(np.argmin(average_three(losses)))
        best_epochs.add(best)
        assert validation_loss(net, held_out) == pytest.approx(losses[best], rel=1e-4)
    assert best_epochs - {5}  # Not all are the last.


@pytest.mark.parametrize(("n_left_out", "n_averaged"), [(99, 3), (100, 1)])
def test_many_rows_left_out_judge_each_epoch_alone(n_left_out, n_averaged, rng):
    X, codes = rng.normal(size=(200, 3)).astype(np.float32), rng.randint(2, size=200)
    left_out = [np.arange(n_left_out)]
    common = {**COMMON, "max_epochs": 20, "alpha": 0, "lr": 0.2}
    rows = Rows(X, codes, None, np.ones(2))
    committees = make(rows, [{}], 1, rng, **common)
    ((net,),), _ = train(committees, [rows], left_out)
    losses = net.history[:, "valid_loss"]
    alone, averaged = int(np.argmin(losses)), int(np.argmin(average_three(losses)))
    assert alone != averaged
    best = averaged if n_averaged == 3 else alone
    assert validation_loss(net, rows.take(left_out[0])) == pytest.approx(losses[best], rel=1e-4)


def test_a_training_ends_when_it_has_long_been_no_better(noisy, rng):
    left_out = deal_folds(noisy.y, 2, rng)
    common = {**COMMON, "max_epochs": 1000}
    ((nets,), _) = train(make(noisy, [{}], 2, rng, **common), [noisy], left_out)
    best = max(int(np.argmin(average_three(net.history[:, "valid_loss"]))) for net in nets)
    assert max(len(net.history) for net in nets) == best + 25 < 100


def test_out_of_fold_probabilities_come_from_nets_that_left_the_row_out(noisy, rng):
    left_out = deal_folds(noisy.y, 11, rng)
    committees, left_out = train(
        make(noisy, [{}, {"alpha": 0}], 11, rng, **COMMON),
        [noisy, noisy],
        left_out,
    )
    known, found = out_of_fold(committees, [noisy, noisy], left_out)
    assert_array_equal(known, np.arange(80))
    for committee, own in zip(committees, found, strict=True):
        said = [
            [net.predict_proba(noisy.X[[i]])[0] for net, rows in pairs if i in rows]
            for i in range(80)
            for pairs in [list(zip(committee, left_out, strict=True))]
        ]
        assert_allclose(own, [np.mean(each, axis=0) for each in said], rtol=1e-5)
        assert {len(each) for each in said} == {1, 2}


def test_without_rows_to_leave_out_nets_train_to_the_end(rng):
    rows = Rows(np.eye(2, dtype=np.float32), np.array([0, 1]), None, np.ones(2))
    left_out = deal_folds(rows.y, 2, rng)
    committees, left_out = train(make(rows, [{}], 2, rng, **COMMON), [rows], left_out)
    assert [len(net.history) for net in committees[0]] == [6, 6]
    known, found = out_of_fold(committees, [rows], left_out)
    assert known.size == 0
    assert found.shape == (1, 0, 2)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_time_that_is_short_ends_a_training_with_what_it_has_learned(
    n_jobs, noisy, rng, monkeypatch
):
    monkeypatch.setattr(committee_module, "_PATIENCE", None)
    left_out = deal_folds(noisy.y, 4, rng)
    settings, common = [{}, {}, {}], {**COMMON, "max_epochs": 10**5}
    start = time.perf_counter()
    (nets, *others), left_out = train(
        make(noisy, settings, 4, rng, **common),
        [noisy] * 3,
        left_out,
        deadline=start + 0.3,
        n_jobs=n_jobs,
    )
    assert time.perf_counter() - start < 10  # of hours
    assert not others
    assert len(nets) == len(left_out) > 0
    assert all(0 < len(net.history) < 10**5 for net in nets)
    for net, rows in zip(nets, left_out, strict=True):
        losses = net.history[:, "valid_loss"]
        kept = losses[int(np.argmin(average_three(losses)))]
        assert validation_loss(net, noisy.take(rows)) == pytest.approx(kept, rel=1e-4)


def test_with_time_enough_all_committees_are_trained_to_the_end(noisy, rng):
    left_out = deal_folds(noisy.y, 2, rng)
    found = []
    for limit in (None, 1e6):
        seeds = np.random.RandomState(1)
        committees = make(noisy, [{}, {"alpha": 0}], 2, seeds, **COMMON)
        deadline = limit and time.perf_counter() + limit
        committees, _ = train(committees, [noisy, noisy], left_out, deadline=deadline)
        found.append(out_of_fold(committees, [noisy, noisy], left_out)[1])
    assert_allclose(found[0], found[1], atol=1e-5)


def test_committees_may_see_the_same_rows_encoded_differently(noisy, rng):
    left_out = deal_folds(noisy.y, 2, rng)
    wide = noisy.encoded_as(np.hstack([noisy.X, noisy.X**2]))
    committees = make(noisy, [{}, {}], 2, rng, **COMMON)
    committees, _ = train(committees, [noisy, wide], left_out)
    assert [nets[0].n_features_in_ for nets in committees] == [5, 10]
    assert out_of_fold(committees, [noisy, wide], left_out)[1].shape == (2, 20, 2)


# -- choosing -------------------------------------------------------------------------------------


@pytest.fixture
def told(rng):
    """Codes of 200 rows, their weights, and probabilities that know half of them each."""
    codes, weight = rng.randint(3, size=200), rng.uniform(0, 2, 200)
    sure = softmax(3 * np.eye(3)[codes], axis=1)
    noise = rng.dirichlet(np.ones(3), 200)
    half = np.arange(200) < 100
    return (
        codes,
        weight,
        [np.where(half[:, None], sure, noise), np.where(half[:, None], noise, sure)],
    )


def test_log_loss_is_that_of_scikit_learn(told):
    codes, weight, (first, _) = told
    expected = sklearn_log_loss(codes, first, sample_weight=weight)
    assert log_loss(first, codes, weight) == pytest.approx(expected)


@pytest.mark.parametrize("n_rows", [5, 200])
def test_shares_are_the_likeliest_under_the_prior(n_rows, rng):
    codes, weight = rng.randint(3, size=n_rows), rng.uniform(0.1, 2, n_rows)
    said = rng.dirichlet(np.ones(3), (4, n_rows)) * 0.5 + 0.5 * np.eye(3)[codes]
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    counts = weight * weight.sum() / (weight**2).sum()
    own = said[:, np.arange(n_rows), codes]

    def tell_loss(shares):
        return -counts @ np.log(shares @ own) - N_PRIOR * prior @ np.log(shares)

    bounds, total = [(1e-9, 1)] * 4, {"type": "eq", "fun": lambda shares: shares.sum() - 1}
    expected = minimize(tell_loss, prior, bounds=bounds, constraints=total, tol=1e-12).x
    assert_allclose(weigh(said, codes, weight, prior), expected, atol=1e-3)


def test_a_mean_is_found_that_is_better_than_each(told):
    codes, weight, halves = told
    shares = weigh([*halves, np.full((200, 3), 1 / 3)], codes, weight, np.full(3, 1 / 3))
    assert shares.sum() == pytest.approx(1)
    assert (shares[:2] > 0.3).all()
    mean = np.tensordot(shares[:2], halves, 1)
    assert log_loss(mean, codes, weight) < min(log_loss(p, codes, weight) for p in halves)


def test_few_rows_leave_shares_as_they_were_held_and_many_decide(told):
    codes, weight, (first, second) = told
    prior = np.array([0.3, 0.7])
    few = weigh([first[:, :][:2], second[:2]], codes[:2], weight[:2], prior)
    assert_allclose(few, prior, atol=0.15)
    worse = np.full((200, 3), 1 / 3)
    many = weigh(np.tile([first[:100], worse[:100]], (1, 100, 1)), np.tile(codes[:100], 100),
                 np.ones(10_000), np.array([0.01, 0.99]))  # fmt: skip
    assert_array_equal(many, [1, 0])  # A share of next to nothing is none.


def test_the_weights_decide_what_is_trusted(told):
    codes, _, halves = told
    for k in range(2):
        weight = (np.arange(200) < 100) == (k == 0)
        assert weigh(halves, codes, weight.astype(float), np.full(2, 0.5)).argmax() == k


def test_what_all_rows_weigh_does_not_matter(told):
    codes, weight, halves = told
    found = [weigh(halves, codes, times * weight, np.full(2, 0.5)) for times in (1, 100)]
    assert_allclose(*found)


def test_candidates_that_are_the_same_keep_their_shares(told):
    codes, weight, (first, _) = told
    assert_allclose(weigh([first, first.copy()], codes, weight, [0.3, 0.7]), [0.3, 0.7])


@pytest.fixture
def guessed(rng):
    """Numbers of 300 rows in two columns, their weights, and what four candidates say of them."""
    y, weight = rng.normal(size=(300, 2)), rng.uniform(0, 2, 300)
    noise = rng.normal(size=(4, 300, 2)) * np.array([0.3, 0.5, 0.6, 3.0])[:, None, None]
    return y, weight, y + noise


def mean_error(shares, said, y, weight):
    """The weighted mean squared error of a mean, by scikit-learn."""
    return mean_squared_error(y, np.tensordot(shares, said, 1), sample_weight=weight)


@pytest.mark.parametrize("n_prior", [0.0, 10.0, 300.0])
@pytest.mark.parametrize("n_rows", [5, 300])
def test_shares_of_numbers_are_the_likeliest_under_the_prior(n_rows, n_prior, guessed):
    y, weight, said = (
        part[..., :n_rows, :] if part.ndim > 1 else part[:n_rows] for part in guessed
    )
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    n_told = weight.sum() ** 2 / (weight**2).sum()

    def minimise(tell_loss):
        bounds, total = [(0, 1)] * 4, {"type": "eq", "fun": lambda shares: shares.sum() - 1}
        return minimize(tell_loss, prior, bounds=bounds, constraints=total, tol=1e-12).x

    def tell_error(shares):
        return mean_error(shares, said, y, weight)

    least = tell_error(minimise(tell_error))
    variance = (n_told * least + n_prior * tell_error(prior)) / (n_told + n_prior)
    expected = minimise(
        lambda shares: (
            n_told / variance * tell_error(shares) + n_prior * ((shares - prior) ** 2 / prior).sum()
        )
    )
    expected = np.where(expected < SMALLEST, 0, expected)
    found = weigh_numbers(said, y, weight, prior, n_prior)
    assert_allclose(found, expected / expected.sum(), atol=2e-4)


def test_a_mean_of_numbers_is_found_that_is_better_than_each(guessed):
    y, weight, said = guessed
    shares = weigh_numbers(said, y, weight, np.full(4, 0.25))
    assert shares.sum() == pytest.approx(1)
    assert shares[3] == 0  # Next to nothing is none.
    best = min(mean_error(own, said, y, weight) for own in np.eye(4))
    assert mean_error(shares, said, y, weight) < 0.8 * best


def test_few_rows_leave_shares_of_numbers_as_they_were_held_and_many_decide(guessed):
    y, weight, said = guessed
    prior = np.array([0.1, 0.2, 0.2, 0.5])
    few = weigh_numbers(said[:3, :2], y[:2], weight[:2], prior[:3] * 2)
    assert_allclose(few, prior[:3] * 2, atol=0.15)
    many = weigh_numbers(said, y, weight, prior, 1e-6)
    by_variance = 1 / np.array([0.3, 0.5, 0.6, 3.0]) ** 2
    assert_allclose(many, by_variance / by_variance.sum(), atol=0.1)
    even = weigh_numbers(said, y, weight, prior, 1e9)
    assert_allclose(even, prior, atol=1e-5)


def test_weights_decide_what_is_trusted_with_numbers(guessed):
    y, weight, _ = guessed
    half = np.arange(300)[:, None] < 150
    said = np.stack([np.where(half, y, 0), np.where(half, 0, y)])
    for k in range(2):
        own = weight * (half[:, 0] == (k == 0))
        assert weigh_numbers(said, y, own, np.full(2, 0.5)).argmax() == k
    found = [weigh_numbers(said, y, times * weight, np.full(2, 0.5)) for times in (1, 100)]
    assert_allclose(*found)


def test_numbers_without_a_fault_are_trusted_and_the_same_ones_alike(guessed):
    y, weight, said = guessed
    shares = weigh_numbers(np.stack([y, said[0], y]), y, weight, np.array([0.5, 0.25, 0.25]))
    assert shares[1] == 0
    assert shares[0] > shares[2] > 0
    everywhere = weigh_numbers(np.stack([y, y]), y, weight, np.array([0.3, 0.7]))
    assert_allclose(everywhere, [0.3, 0.7])
    constant = weigh_numbers(
        np.zeros((2, 300, 1)), np.zeros((300, 1)), weight, np.array([0.3, 0.7])
    )
    assert_allclose(constant, [0.3, 0.7])


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_the_temperature_that_made_probabilities_is_found(temperature, rng):
    logits = 2 * rng.normal(size=(20_000, 3))
    codes = (softmax(logits, axis=1).cumsum(axis=1) > rng.uniform(size=(20_000, 1))).argmax(axis=1)
    found = find_temperature(softmax(logits * temperature, axis=1), codes, np.ones(20_000))
    assert found == pytest.approx(temperature, rel=0.05)


def test_a_temperature_of_few_rows_is_close_to_one(rng):
    few = 20
    proba = np.full((few, 2), [0.7, 0.3])
    codes = np.arange(few) % 20 == 0  # right in 95 %: the likeliest temperature is below 0.5
    found = find_temperature(proba, codes.astype(int), np.ones(few))
    assert 0.6 < found < 0.9
    many = np.tile(proba, (1000, 1)), np.tile(codes.astype(int), 1000)
    assert find_temperature(*many, np.ones(1000 * few)) < 0.51
    # Rows of no weight tell nothing, and what all weigh does not matter.
    weight = np.repeat([3.0, 0.0], [few, 999 * few])
    assert find_temperature(*many, weight) == pytest.approx(found, abs=1e-4)


def test_heat_keeps_the_order_and_sums_to_one():
    proba = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    heated = heat(proba, 2.0)
    assert_allclose(heated.sum(axis=1), 1)
    assert_array_equal(heated.argmax(axis=1), [0, 2])
    assert heated[0, 0] < 0.7
    assert_allclose(heat(proba, 1.0), proba, atol=1e-11)
