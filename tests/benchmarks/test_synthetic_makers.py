"""What the makers of the benchmark synthetic make, and the measures of it: their mathematics."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.synthetic.makers import (
    Complete,
    Copula,
    RealRows,
    Smote,
    learn_copula,
    sample_copula,
)
from benchmarks.synthetic.measures import (
    area_under_curve,
    detect,
    find_worst_share,
    learn_and_test,
    measure_copies,
)
from tests.benchmarks.made_up_runs import make_features

make_trees = partial(HistGradientBoostingClassifier, max_iter=15, max_depth=2, random_state=0)


def frame(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"x{j}" for j in range(np.shape(rows)[1])])


# -- Gaussian copula ------------------------------------------------------------------------------

R = np.array([[1.0, 0.8, -0.5], [0.8, 1.0, 0.0], [-0.5, 0.0, 1.0]])


@pytest.fixture(scope="module")
def normal() -> np.ndarray:
    return np.random.default_rng(0).multivariate_normal(np.zeros(3), R, 4000)


def test_copula_reproduces_correlations_and_marginals_of_any_shape(normal):
    skewed = np.column_stack([np.exp(normal[:, 0]), normal[:, 1] ** 3, normal[:, 2]])
    values, correlations = learn_copula(skewed)
    np.testing.assert_allclose(correlations, R, atol=0.05)
    made = sample_copula(values, correlations, n_samples=4000, rng=np.random.default_rng(1))
    spearman = stats.spearmanr(made).statistic
    np.testing.assert_allclose(spearman, 6 / np.pi * np.arcsin(R / 2), atol=0.05)
    for ours, theirs in zip(made.T, skewed.T, strict=True):
        assert np.isin(ours, theirs).all()
        assert stats.ks_2samp(ours, theirs).pvalue > 0.01


def test_copula_cuts_words_at_thresholds_of_a_latent_number(normal):
    number, latent = normal[:, 0], normal[:, 1]
    words = pd.Categorical.from_codes(np.digitize(latent, [0.4, 1.5]), ["low", "middle", "high"])
    X = pd.DataFrame({"number": number, "word": words})
    made, _ = Copula(0).fit(X, np.zeros(4000, dtype=int)).sample(4000)
    real, ours = (it["word"].value_counts(normalize=True) for it in (X, made))
    np.testing.assert_allclose(ours[real.index], real, atol=0.03)
    # The more frequent word stands first, as it does where it was cut.
    means = made.groupby("word", observed=True)["number"].mean()
    assert means["low"] < -0.1 < 0.3 < means["middle"] < means["high"]


def test_copula_learns_each_class_by_itself():
    rng = np.random.default_rng(0)
    first = rng.normal(size=2000)
    y = np.repeat(["up", "down"], 1000)
    X = frame(np.column_stack([first, first * np.where(y == "up", 1, -1)]))
    made, labels = Copula(0).fit(X, y).sample(1000)
    assert 400 < (labels == "up").sum() < 600
    for label, sign in (("up", 1), ("down", -1)):
        assert sign * np.corrcoef(made[labels == label].T)[0, 1] > 0.99


def test_copula_takes_constant_columns_and_a_class_of_one_row():
    X = frame([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [9.0, 7.0]])
    made, labels = Copula(0).fit(X, np.array([0, 0, 0, 1])).sample(50)
    assert {*made["x1"][labels == 0]} == {5.0}
    assert {*map(tuple, made[labels == 1].to_numpy())} == {(9.0, 7.0)}


# -- SMOTE ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_classes() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    return frame(rng.normal(size=(60, 2)) + 5 * np.repeat([0, 1], 30)[:, None]), np.repeat(
        [3, 4], 30
    )


def test_smote_makes_rows_between_neighbours_of_a_class_and_no_real_ones(two_classes):
    pytest.importorskip("imblearn")
    X, y = two_classes
    made, labels = Smote(0).fit(X, y).sample(60)
    assert made.shape == X.shape
    assert 20 < (labels == 3).sum() < 40
    for label in (3, 4):
        own, new = X[y == label].to_numpy(), made[labels == label].to_numpy()
        among, apart = cdist(new, own), cdist(own, own)
        # On the line between two rows the ways to both add up to theirs.
        detour = among[:, :, None] + among[:, None, :] - apart
        np.fill_diagonal(apart, np.inf)
        is_near = apart <= np.sort(apart, axis=1)[:, [4]]
        detour[:, ~is_near] = np.inf
        assert detour.min(axis=(1, 2)).max() < 1e-9
    assert not (cdist(made, X) == 0).any()


def test_smote_finds_neighbours_whatever_the_units(two_classes):
    pytest.importorskip("imblearn")
    X, y = two_classes
    unit = np.array([1.0, 2.0**30])
    made = Smote(0).fit(X, y).sample(60)[0]
    assert_array_equal(Smote(0).fit(X * unit, y).sample(60)[0], made * unit)


def test_smote_keeps_whole_numbers_words_and_gaps():
    pytest.importorskip("imblearn")
    X = make_features(np.random.default_rng(0)).assign(whole=np.arange(80.0) % 7)
    made, _ = Smote(0).fit(X, np.repeat([0, 1], 40)).sample(200)
    assert (made.dtypes == X.dtypes).all()
    assert (made["whole"] % 1 == 0).all()
    assert (made["number"] % 1 != 0).all()
    assert {*made["word"].dropna()} == {"a", "b"}
    assert 0 < made["word"].isna().sum() < 200
    assert made["empty"].isna().mean() > 0.5


def test_smote_makes_rows_of_words_alone():
    pytest.importorskip("imblearn")
    words = np.random.default_rng(0).choice(["a", "b", "c"], (40, 3))
    X = frame(words).astype("category")
    made, _ = Smote(0).fit(X, np.repeat([0, 1], 20)).sample(30)
    assert (made.dtypes == X.dtypes).all()
    assert made.notna().all(axis=None)


# -- the rows themselves, and gaps ----------------------------------------------------------------


def test_real_rows_are_the_rows():
    X, y = make_features(np.random.default_rng(0)), np.arange(80)
    made, labels = RealRows().fit(X, y).sample(80)
    pd.testing.assert_frame_equal(made, X)
    assert_array_equal(labels, y)


def test_gaps_are_words_and_come_back():
    X = make_features(np.random.default_rng(0))
    gaps = Complete(X)
    filled = gaps.fill(X)
    assert filled.notna().all(axis=None)
    assert (filled["word"] == "missing").sum() == X["word"].isna().sum()
    assert {*filled} - {*X} == {"empty: missing", "code: missing"}
    pd.testing.assert_frame_equal(gaps.reopen(filled), X)


# -- measures -------------------------------------------------------------------------------------


def draw(n_rows, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = frame(rng.normal(size=(n_rows, 2)))
    return X + shift * np.array([1, 0]), np.repeat([0, 1], n_rows // 2)


def test_rows_of_the_same_distribution_are_not_detected():
    # The standard error is about sqrt(1 / (6 * 1500)), a hundredth.
    assert abs(detect(draw(1500), draw(1500, seed=1), make_trees, seed=0) - 0.5) < 0.03


def test_rows_that_are_shifted_are_detected_as_far_as_can_be():
    # Of two normal distributions one unit apart no rule has a larger AUC than Phi(1 / sqrt(2)).
    found = detect(draw(1500), draw(1500, 1.0, seed=1), make_trees, seed=0)
    assert abs(found - stats.norm.cdf(np.sqrt(0.5))) < 0.03


def test_labels_that_are_wrong_are_detected():
    X, y = draw(400, seed=2)
    X["x0"] += 9 * y
    assert detect((X, y), (X, y[::-1].copy()), make_trees, seed=0) > 0.8
    # A class that there is not is none of the words of the label.
    assert detect((X, y), (X, np.zeros_like(y)), make_trees, seed=0) > 0.7


def test_more_rows_than_real_ones_are_not_detected_for_that():
    assert abs(detect(draw(600), draw(3000, seed=1), make_trees, seed=0) - 0.5) < 0.06


def test_copies_are_found_and_new_rows_are_as_far_as_test_rows():
    rng = np.random.default_rng(0)
    train, test, new = rng.normal(size=(3, 2000, 3))
    found = measure_copies(train[::2], train, test)
    assert found == {"distance": 0, "copies": 1, "copies_by_chance": 0}
    found = measure_copies(new, train, test)
    assert abs(found["distance"] - 1) < 0.1
    assert found["copies"] == 0
    half = np.concatenate([new[:500], train[:500]])
    assert measure_copies(half, train, half[400:])["copies"] == 0.5
    assert measure_copies(half, train, half[400:])["copies_by_chance"] == 500 / 600
    near = train + 1e-3 * new
    assert 0 < measure_copies(near, train, test)["distance"] < 0.02
    assert np.isnan(measure_copies(new, train, train)["distance"])


def test_the_category_that_is_furthest_off_is_found():
    words = ["a"] * 120 + ["b"] * 60 + [None] * 19 + ["rare"]

    def kept(a, b, gap, rare, categories=("a", "b", "rare", "never")):
        made = ["a"] * a + ["b"] * b + [None] * gap + ["rare"] * rare
        dtype = pd.CategoricalDtype(categories)
        real, now = (pd.DataFrame({"x": pd.Series(it, dtype=dtype)}) for it in (words, made))
        return find_worst_share(now.assign(n=1.0), real.assign(n=2.0))

    assert kept(120, 60, 19, 1) == 1
    assert kept(120, 60, 20, 0) == pytest.approx(19 / 20)  # 0.5 % do not count
    assert kept(150, 30, 19, 1) == pytest.approx(0.5)
    assert kept(60, 120, 19, 1) == pytest.approx(0.5)
    assert kept(120, 79, 0, 1) == 0  # no gaps any more
    assert kept(60, 30, 10, 0) == pytest.approx(0.95)  # half as many rows
    numbers = draw(10)[0]
    assert np.isnan(find_worst_share(numbers, numbers))


def test_a_class_that_was_not_made_has_probability_0():
    X, y = draw(300)
    X = X + 9 * (np.arange(300) % 3)[:, None]
    y = np.arange(300) % 3
    found = learn_and_test((X[y > 0], y[y > 0]), (X, y), make_trees)
    assert_array_equal(found[:, 0], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == y)[y > 0].all()
    assert_array_equal(learn_and_test((X[y == 1], y[y == 1]), (X, y), make_trees)[:, 1], 1)


def test_auc_of_several_classes_is_the_mean_of_each_against_the_others():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    p = rng.dirichlet([1, 1, 1], 200)
    shares = np.bincount(y) / 200
    areas = [roc_auc_score(y == label, p[:, label]) for label in range(3)]
    assert area_under_curve(y, p) == pytest.approx(shares @ areas)
    assert area_under_curve(y > 0, p[:, :2]) == pytest.approx(roc_auc_score(y > 0, p[:, 1]))
