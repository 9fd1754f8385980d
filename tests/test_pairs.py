"""Which rows are paired: how likely each pair is. Statistical tests state their error rate."""

import math
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KernelDensity

from sklearn_mixup import pairs as module
from sklearn_mixup.pairs import PAIRS, different_class, near_target, nearest, same_class

N_MINIBATCHES = [0, 1, 3]
BATCH_SIZES = [1, 2, 7, 32]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def uniforms(n_minibatches, batch_size, seed=1):
    return torch.rand(n_minibatches, batch_size, generator=rng(seed), dtype=torch.float64)


def rows_of(shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def classes_of(n_minibatches, batch_size, n_classes=3, seed=2):
    return torch.randint(n_classes, (n_minibatches, batch_size), generator=rng(seed))


def draw(n_minibatches, batch_size):
    """Draw what pairs are made of: rows, classes that are numbers as well, and chance."""
    y = classes_of(n_minibatches, batch_size)
    return rows_of((n_minibatches, batch_size, 4)), y, uniforms(n_minibatches, batch_size)


def count_pairs(pairs, X, y, n_draws=20_000):
    """Count how often each row of one minibatch has each partner."""
    X = None if X is None else X.expand(n_draws, *X.shape)
    y = None if y is None else y.expand(n_draws, *y.shape)
    n_rows = (X if y is None else y).shape[1]
    partner = pairs(X, y, uniforms(n_draws, n_rows)).numpy()
    return np.stack([np.bincount(partner[:, i], minlength=n_rows) for i in range(n_rows)])


def assert_rate(counts, probabilities):
    """Test how often each row had each partner: a test a row by chi-squared, at level 1e-5."""
    for row, p in zip(counts, np.asarray(probabilities), strict=True):
        possible = p > 0
        assert row[~possible].sum() == 0
        if possible.sum() > 1:
            expected = row.sum() * p[possible] / p.sum()
            assert stats.chisquare(row[possible], expected).pvalue > 1e-5


# -- what all have in common ----------------------------------------------------------------


@pytest.mark.parametrize("pairs", PAIRS.values())
@pytest.mark.parametrize("n_minibatches", N_MINIBATCHES)
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_partners_are_places_in_the_minibatch(pairs, n_minibatches, batch_size):
    partner = pairs(*draw(n_minibatches, batch_size))
    assert (partner.dtype, partner.shape) == (torch.int64, (n_minibatches, batch_size))
    assert ((partner >= 0) & (partner < batch_size)).all()


@pytest.mark.parametrize("pairs", PAIRS.values())
def test_minibatches_at_once_are_those_one_by_one(pairs, monkeypatch):
    X, y, uniform = draw(7, 12)
    at_once = pairs(X, y, uniform)
    for i in range(7):
        alone = pairs(X[i : i + 1], y[i : i + 1], uniform[i : i + 1])
        assert torch.equal(alone[0], at_once[i])
    # Nor do the blocks tell in which they are computed, of which the last one is shorter.
    monkeypatch.setattr(module, "_AT_ONCE", 3 * 12**2)
    assert torch.equal(pairs(X, y, uniform), at_once)


@pytest.mark.parametrize("pairs", PAIRS.values())
@pytest.mark.parametrize("edge", [0.0, 1 - 2.0**-24, 1 - 2.0**-53, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_numbers_at_the_edges_give_partners_that_are_possible(pairs, edge, dtype, batch_size):
    # In float32 the third is 1 as well: numbers that were rounded.
    X, y, _ = draw(2, batch_size)
    partner = pairs(X, y, torch.full((2, batch_size), edge, dtype=dtype))
    assert ((partner >= 0) & (partner < batch_size)).all()
    if pairs is different_class:
        assert ((y.gather(1, partner) != y).all(1) == (y != y[:, :1]).any(1)).all()


@pytest.mark.parametrize("pairs", PAIRS.values())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_and_numbers_of_narrow_dtypes_pair_as_wide_ones(pairs, dtype):
    X, y, uniform = draw(3, 8)
    X, y, uniform = X.to(dtype), y.to(dtype), uniform.float()
    partner = pairs(X, y, uniform)
    assert torch.equal(partner, pairs(X.double(), y.double(), uniform))


@pytest.mark.parametrize("pairs", PAIRS.values())
def test_inputs_are_left_as_they_were(pairs, assert_unchanged):
    X, y, uniform = draw(2, 6)
    with assert_unchanged(X, y, uniform):
        pairs(X, y, uniform).zero_()
    with assert_unchanged(y, uniform):
        pairs({"a": X}, y.double(), uniform)


@pytest.mark.parametrize("pairs", PAIRS.values())
def test_no_values_are_needed_on_the_host(pairs):
    # A tensor on the meta device has no values: whatever read one would raise.
    X, y, uniform = (part.to("meta") for part in draw(3, 8))
    assert pairs(X, y, uniform).shape == (3, 8)
    assert pairs({"a": X, "b": X}, y.double(), uniform.float()).device.type == "meta"


@pytest.mark.cuda
@pytest.mark.parametrize("pairs", PAIRS.values())
def test_the_same_numbers_give_the_same_partners_on_a_cuda_device(pairs):
    X, y, uniform = draw(50, 32)
    on_device = pairs(X.cuda(), y.cuda(), uniform.cuda())
    assert on_device.device.type == "cuda"
    assert torch.equal(on_device.cpu(), pairs(X, y, uniform))


# -- by class -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("n_classes", [1, 2, 5, 100])
def test_same_class_permutes_the_rows_of_each_class(batch_size, n_classes):
    y = classes_of(6, batch_size, n_classes)
    partner = same_class(None, y, uniforms(6, batch_size))
    assert torch.equal(y.gather(1, partner), y)
    everyone = torch.arange(batch_size).expand(6, -1)
    assert torch.equal(partner.sort(1).values, everyone)


def test_all_permutations_of_a_class_are_equally_likely():
    # Chi-squared over the 3! * 2! pairs of permutations, level 1e-4.
    n_draws = 24_000
    y = torch.tensor([1, 0, 1, 1, 0]).expand(n_draws, -1)
    partner = same_class(None, y, uniforms(n_draws, 5))
    counts = Counter(map(tuple, partner.tolist()))
    assert len(counts) == 12
    assert stats.chisquare([*counts.values()]).pvalue > 1e-4


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("n_classes", [2, 5, 100])
def test_different_class_pairs_no_row_with_its_class(batch_size, n_classes):
    y = classes_of(20, batch_size, n_classes)
    partner = different_class(None, y, uniforms(20, batch_size))
    has_others = (y != y[:, :1]).any(1)
    assert ((y.gather(1, partner) != y).all(1) == has_others).all()
    oneself = torch.arange(batch_size).expand(20, -1)
    assert torch.equal(partner[~has_others], oneself[~has_others])


@pytest.mark.parametrize("y", [[0, 0, 1, 2, 2, 2], [3, 1, 4, 1, 5, 9], [1, 0, 0, 0, 0, 0]])
def test_all_rows_of_other_classes_are_equally_likely(y):
    # 18 tests in all at level 1e-5.
    y = torch.tensor(y)
    counts = count_pairs(different_class, None, y)
    assert_rate(counts, (y[:, None] != y).double())


@pytest.mark.parametrize("pairs", [same_class, different_class])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.float32, torch.float64])
def test_classes_are_told_by_equal_numbers_of_any_kind(pairs, dtype):
    y, uniform = classes_of(4, 9, 2), uniforms(4, 9)
    expected = pairs(None, y, uniform)
    assert torch.equal(pairs(None, y.to(dtype), uniform), expected)
    if dtype == torch.float64:  # as of a hash: where the numbers lie tells nothing but order
        assert torch.equal(pairs(None, (y - 0.7) * 1e300, uniform), expected)


# -- nearest --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [1, 2, 5, 100])
@pytest.mark.parametrize("batch_size", [2, 7, 32])
def test_nearest_takes_each_of_the_nearest_rows_and_no_other(n_neighbors, batch_size):
    X = rows_of((1, batch_size, 3))
    n_nearest = min(n_neighbors, batch_size - 1)
    # A grid of numbers chooses each of the neighbours, as often as any.
    grid = (torch.arange(n_nearest, dtype=torch.float64) + 0.5) / n_nearest
    partner = [
        nearest(X, None, torch.full((1, batch_size), float(number)), n_neighbors=n_neighbors)[0]
        for number in grid
    ]
    for i, found in enumerate(torch.stack(partner, 1).tolist()):
        distances = [(X[0, i] - X[0, j]).norm().item() for j in range(batch_size)]
        distances[i] = math.inf
        assert sorted(found) == sorted(np.argsort(distances)[:n_nearest])


def test_the_nearest_rows_are_equally_likely():
    # 6 tests at level 1e-5.
    X = rows_of((6, 2))
    counts = count_pairs(partial(nearest, n_neighbors=3), X, None)
    distances = torch.cdist(X, X) + 1e9 * torch.eye(6, dtype=torch.float64)
    assert_rate(counts, (distances.argsort().argsort() < 3).double())


def test_the_distance_is_over_all_numbers_of_all_tensors():
    X = {
        "columns": rows_of((3, 8)),
        "pictures": rows_of((3, 8, 2, 2, 2), seed=5),
        "deep": rows_of((3, 8, 3), 6),
    }
    joined = torch.cat([X["columns"].unsqueeze(2), X["pictures"].flatten(2), X["deep"]], 2)
    uniform = uniforms(3, 8)
    assert torch.equal(nearest(X, None, uniform), nearest(joined, None, uniform))
    alone = nearest(X["columns"], None, uniform)
    assert not torch.equal(alone, nearest(joined, None, uniform))


def test_a_row_has_the_same_neighbour_wherever_it_stands():
    X, _, uniform = draw(1, 12)
    order = torch.randperm(12, generator=rng(4))
    expected = order.argsort()[nearest(X, None, uniform)[0][order]]
    assert torch.equal(nearest(X[:, order], None, uniform[:, order])[0], expected)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e30])
def test_rows_that_are_all_alike_are_paired_with_others(value):
    uniform = uniforms(50, 9)
    partner = nearest(torch.full((50, 9, 3), value), None, uniform)
    assert (partner != torch.arange(9)).all()


def test_distances_too_large_for_their_dtype_pair_no_row_with_itself():
    X = rows_of((50, 9, 3)).float() * 1e38
    partner = nearest(X, None, uniforms(50, 9), n_neighbors=8)
    assert (partner != torch.arange(9)).all()


def test_near_rows_far_from_the_origin_are_told_apart():
    X = 1000 + 0.01 * torch.arange(60, dtype=torch.float32).view(1, 60, 1).expand(-1, -1, 8)
    partner = nearest(X, None, uniforms(1, 60), n_neighbors=2)
    assert ((partner - torch.arange(60)).abs() <= 2).all()
    assert ((partner - torch.arange(60)).abs()[:, 1:-1] == 1).all()


@pytest.mark.parametrize("pairs", [nearest, near_target])
def test_blocks_bound_the_memory(pairs, monkeypatch):
    sizes = []
    distances = module._distances

    def watched(parts):
        matrix = distances(parts)
        sizes.append(matrix.numel())
        return matrix

    monkeypatch.setattr(module, "_distances", watched)
    pairs(*draw(200, 128))
    assert sum(sizes) == 200 * 128**2
    assert max(sizes) <= 2**20


# -- near targets ---------------------------------------------------------------------------


def probabilities_of(y, bandwidth):
    """Write out the probability of each pair, in Python's numbers."""
    y = y.reshape(len(y), -1).tolist()
    rows = []
    for own in y:
        squares = [sum((a - b) ** 2 for a, b in zip(own, other, strict=True)) for other in y]
        rates = [math.exp(-square / (2 * bandwidth**2)) for square in squares]
        rows.append([rate / sum(rates) for rate in rates])
    return np.array(rows)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
@pytest.mark.parametrize("bandwidth", [0.3, 1.0])
def test_near_targets_are_as_likely_as_the_kernel_says(shape, bandwidth):
    y, n_numbers = rows_of(shape, seed=8), 10_000
    # Of numbers on a grid each row has as many as it is likely, to one.
    grid = (torch.arange(n_numbers, dtype=torch.float64) + 0.5) / n_numbers
    each = y.expand(n_numbers, *shape), grid.unsqueeze(1).expand(-1, 6)
    partner = near_target(None, *each, bandwidth=bandwidth).numpy()
    shares = [np.bincount(partner[:, i], minlength=6) / n_numbers for i in range(6)]
    assert abs(shares - probabilities_of(y, bandwidth)).max() < 1.001 / n_numbers


@pytest.mark.parametrize("shape", [(16, 1), (16, 3)])
@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 5.0])
def test_near_targets_are_those_of_the_released_c_mixup_for_the_same_numbers(shape, bandwidth):
    # As `get_mixup_sample_rate` and `get_batch_kde_mixup_idx` there: rates by scikit-learn's
    # KernelDensity of one row, and numpy's choice by them.
    y = rows_of(shape)
    for seed in range(20):
        uniform = torch.from_numpy(np.random.RandomState(seed).random_sample(16))
        partner = near_target(None, y[None], uniform[None], bandwidth=bandwidth)
        theirs, expected = np.random.RandomState(seed), []
        for own in y:
            kernel = KernelDensity(kernel="gaussian", bandwidth=bandwidth).fit(own.view(1, -1))
            rates = np.exp(kernel.score_samples(y))
            expected.append(theirs.choice(16, p=rates / rates.sum()))
        assert partner[0].tolist() == expected


def test_the_default_bandwidth_is_half_a_unit_of_the_targets():
    y, uniform = rows_of((4, 20)), uniforms(4, 20)
    half = near_target(None, y, uniform, bandwidth=0.5)
    assert torch.equal(near_target(None, y, uniform), half)
    assert torch.equal(near_target(None, 10 * y, uniform, bandwidth=5.0), half)


def test_an_infinite_bandwidth_makes_all_rows_equally_likely():
    # 5 tests at level 1e-5.
    counts = count_pairs(partial(near_target, bandwidth=math.inf), None, rows_of((5,)))
    assert_rate(counts, np.full((5, 5), 0.2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bandwidth", [1e-3, 1e-200, 5e-324])
def test_a_tiny_bandwidth_leaves_rows_with_their_own_target(bandwidth, dtype):
    y = torch.tensor([[0.0, 1.0, 0.0, 2.0, 1.0, 0.0]], dtype=dtype).expand(200, -1)
    partner = near_target(None, y, uniforms(200, 6), bandwidth=bandwidth)
    assert torch.equal(y.gather(1, partner), y)
    assert set(partner[:, 0].tolist()) == {0, 2, 5}


def test_targets_that_are_no_numbers_have_a_partner_in_their_minibatch():
    y = torch.tensor([[0.0, math.nan, 1.0, math.inf]])
    partner = near_target(None, y.expand(50, -1), uniforms(50, 4))
    assert ((partner >= 0) & (partner < 4)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("y_dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("edge", [0.0, 1.0])
@pytest.mark.parametrize("rounded", [False, True])
def test_a_row_too_far_away_is_never_chosen(dtype, y_dtype, edge, rounded):
    # The last row has probability 0, and so has the first.
    y = torch.cat([torch.tensor([-1e4]), torch.linspace(-1, 1, 30), torch.tensor([1e4])])
    uniform = torch.full((1, 32), edge, dtype=dtype)
    if not rounded:
        uniform = uniform.nextafter(torch.tensor(0.5, dtype=dtype))
    partner = near_target(None, y.to(y_dtype)[None], uniform)[0, 1:-1]
    assert ((partner > 0) & (partner < 31)).all()
    assert (partner == (1 if edge == 0 else 30)).all()


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [0, -1, 2.0, True, "5", None])
def test_a_bad_number_of_neighbours_raises(n_neighbors):
    with pytest.raises(ValueError, match="`n_neighbors` must be a whole number > 0; got"):
        nearest(*draw(2, 4), n_neighbors=n_neighbors)


@pytest.mark.parametrize("bandwidth", [0, -1.0, math.nan, "0.5", None])
def test_a_bad_bandwidth_raises(bandwidth):
    with pytest.raises(ValueError, match="`bandwidth` must be a number > 0; got"):
        near_target(*draw(2, 4), bandwidth=bandwidth)


@pytest.mark.parametrize("pairs", PAIRS.values())
def test_rows_and_numbers_that_do_not_fit_raise(pairs):
    X, y, uniform = draw(2, 4)
    name = "X" if pairs is nearest else "y"
    match = rf"`{name}` must begin with the axes of `uniform`.*{name}\[None\]"
    with pytest.raises(ValueError, match=match):
        pairs(X, y, uniform[:, :3])
    with pytest.raises(ValueError, match=match):
        pairs(X[0], y[0], uniform[0])


@pytest.mark.parametrize("pairs", [same_class, different_class])
def test_rows_of_several_labels_need_a_number_for_each_set(pairs):
    y, uniform = torch.zeros(2, 4, 3), uniforms(2, 4)
    with pytest.raises(ValueError, match="one number for each row, its class"):
        pairs(None, y, uniform)
