"""VicinalSampler: rows between two rows of a table, whatever the table is kept in."""

import datetime
import decimal
import pickle
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_mixup import VicinalSampler
from sklearn_mixup._net.columns import mix_rows, read_columns, read_words
from sklearn_mixup._sampler.partners import find_nearest

# A claim about many draws errs once in 16,000 seeds: four standard errors.
Z = 4
PAIRS = ["random", "same_class", "nearest"]
each_pairs = pytest.mark.parametrize("pairs", PAIRS)


def draw(X, y=None, n=40, label=None, **params):
    sampler = VicinalSampler(**{"random_state": 0, **params}).fit(X, y)
    return sampler.sample(n, y=label, return_y=y is not None)


# -- mathematics ----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.2, 1, 5])
def test_a_row_lies_on_the_line_between_two_rows_and_all_its_numbers_share_a_weight(alpha):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(60, 3))
    X = pd.DataFrame(numbers, columns=list("abc")).assign(word=[f"row {i}" for i in range(60)])
    # Two rows a class: the pair is known.
    found, y = draw(X, np.arange(60) // 2, n=500, alpha=alpha)
    source = found["word"].str.removeprefix("row ").astype(int).to_numpy()
    assert_array_equal(source // 2, y)
    own, other = numbers[source], numbers[source ^ 1]
    weight = (found[list("abc")].to_numpy() - other) / (own - other)
    assert ((weight > -1e-9) & (weight < 1 + 1e-9)).all()
    assert_allclose(weight, np.tile(weight[:, :1], 3), atol=1e-6)
    # The weight of the row with the word has the law Beta(alpha + 1, alpha): of lam, given that the
    # row was chosen with probability lam.
    moved = weight[:, 0][np.abs(weight[:, 0] - 1) > 1e-12]
    assert stats.kstest(moved, stats.beta(alpha + 1, alpha).cdf).pvalue > 1e-3


@each_pairs
def test_alpha_zero_draws_rows_of_the_table_bit_for_bit(pairs, iris):
    X, y = iris
    X = np.where(np.isclose(X, X[0, 0]), -0.0, X)
    found, labels = draw(X, y, n=300, alpha=0, pairs=pairs)
    rows = {(row.tobytes(), label) for row, label in zip(X, y, strict=True)}
    assert {(row.tobytes(), label) for row, label in zip(found, labels, strict=True)} <= rows
    assert len(np.unique(found, axis=0)) > 100


@pytest.mark.parametrize("alpha", [0.2, 1, np.inf])
def test_random_pairs_keep_the_mean_and_shrink_the_variance_as_the_law_says(alpha):
    X = np.random.default_rng(0).standard_t(5, size=(300, 2)) + 100
    n = 100_000
    found = draw(X, n=n, alpha=alpha, pairs="random")
    expected = X.var(axis=0) * (0.5 if alpha == np.inf else (alpha + 1) / (2 * alpha + 1))
    error = found - X.mean(axis=0)
    assert (np.abs(error.mean(axis=0)) < Z * np.sqrt(expected / n)).all()
    se = np.sqrt((error**4).mean(axis=0) - expected**2) / np.sqrt(n)
    assert (np.abs((error**2).mean(axis=0) - expected) < Z * se).all()
    correlation = np.corrcoef(X.T)[0, 1]
    assert abs(np.corrcoef(found.T)[0, 1] - correlation) < Z / np.sqrt(n)


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("alpha", [0.2, np.inf])
def test_shares_of_words_gaps_and_codes_are_kept(pairs, alpha):
    n = 50_000
    X = pd.DataFrame(
        {
            "word": ["rare"] * 2 + ["common"] * 98,
            "gap": [np.nan] * 10 + [1.5] * 90,
            "code": [0] * 70 + [1] * 30,
            "bool": [True] * 45 + [False] * 55,
        }
    )
    found, y = draw(X, np.arange(100) % 2, n=n, pairs=pairs, alpha=alpha)
    shares = [found["word"] == "rare", found["gap"].isna(), found["code"] == 1, found["bool"], y]
    for share, expected in zip(shares, [0.02, 0.1, 0.3, 0.45, 0.5], strict=True):
        assert abs(np.mean(share) - expected) < Z * np.sqrt(expected * (1 - expected) / n)


def test_words_stand_together_as_they_do_in_the_data():
    X = pd.DataFrame({"city": list("abcd") * 5, "country": list("xxyy") * 5})
    found = draw(X, n=200, alpha=1)
    assert set(zip(*found.to_numpy().T, strict=True)) == {*zip("abcd", "xxyy", strict=True)}


def test_rows_of_a_class_from_random_pairs_are_those_of_that_label_among_all():
    alpha, n = 0.5, 50_000
    X, y = np.array([[0.0], [1.5], [10.25]]), np.array(["a", "b", "b"])
    means = {"a": 0.0, "b": X[1:].mean()}
    own = (alpha + 1) / (2 * alpha + 1)  # mean of Beta(alpha + 1, alpha)
    everything, labels = draw(X, y, n=n, alpha=alpha, pairs="random")
    for label, mean in means.items():
        of_class, only = draw(X, y, n=n, label=label, alpha=alpha, pairs="random")
        assert {*only} == {label}
        for found in (of_class, everything[labels == label]):
            error = found.mean() - (own * mean + (1 - own) * X.mean())
            assert abs(error) < Z * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("pairs", ["same_class", "nearest"])
def test_classes_are_never_mixed(pairs):
    y = np.array(["low", "high", "mid"] * 10)
    X = (
        np.arange(30.0).reshape(-1, 1) / 7
        + np.select([y == "low", y == "high"], [0, 1000], 100)[:, None]
    )
    found, labels = draw(X, y, n=500, alpha=1, pairs=pairs, n_neighbors=30)
    for name in np.unique(y):
        of_class, inside = found[labels == name], X[y == name]
        assert ((of_class >= inside.min()) & (of_class <= inside.max())).all()
        assert len(np.unique(of_class)) > 50
        assert Counter(draw(X, y, n=20, label=name, pairs=pairs)[1].tolist()) == {name: 20}


def test_random_pairs_do_mix_classes():
    found, _ = draw(
        np.array([[0.0], [0.5], [9.5], [10.0]]), [0, 0, 1, 1], alpha=np.inf, pairs="random"
    )
    assert ((found > 1) & (found < 9)).any()


@pytest.mark.parametrize("with_y", [True, False])
def test_nearest_pairs_are_among_the_nearest_by_brute_force(with_y):
    rng = np.random.default_rng(0)
    n, k = 40, 3
    X = pd.DataFrame(
        {"a": rng.normal(size=n) * 1e6, "b": rng.normal(size=n), "w": rng.choice(list("xyz"), n)}
    )
    X.loc[:4, "b"] = np.nan
    X["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D")
    y = rng.integers(0, 2, n) if with_y else None
    days = (X["day"] - X["day"].min()).dt.days
    scaled = pd.DataFrame({"a": X["a"], "b": X["b"], "day": days})
    scaled = ((scaled - scaled.mean()) / scaled.std(ddof=0)).fillna(0).to_numpy()
    squares = ((scaled[:, None] - scaled) ** 2).sum(-1) + (
        X["w"].to_numpy()[:, None] != X["w"].to_numpy()
    )
    np.fill_diagonal(squares, np.inf)
    if with_y:
        squares[y[:, None] != y] = np.inf
    near = np.argsort(squares, axis=1)[:, :k]
    middles = {(i, j): (X["a"][i] + X["a"][j]) / 2 for i in range(n) for j in near[i]}
    found = draw(X, y, n=2000, alpha=np.inf, pairs="nearest", n_neighbors=k)
    values = np.unique((found[0] if with_y else found)["a"].to_numpy())
    pairs = np.unique(np.array([*middles.values()]))
    # Every sample is the middle of such a pair, and every such pair is drawn.
    assert np.abs(values[:, None] - pairs).min(axis=1).max() < 1e-6
    assert np.abs(values[:, None] - pairs).min(axis=0).max() < 1e-6


@pytest.mark.parametrize("alpha", [0.2, 1])
def test_a_row_that_is_near_to_none_is_drawn_as_often_as_the_others(alpha):
    # The nearest of 11.5 is 1.5, and it is nobody's. It has weight w with a density that is
    # proportional to w times that of Beta(alpha, alpha).
    found = draw(
        np.array([[0.0], [0.5], [1.5], [11.5]]),
        n=20_000,
        alpha=alpha,
        pairs="nearest",
        n_neighbors=1,
    )
    beyond = found[found > 1.5]
    weights = stats.beta(alpha + 1, alpha)
    expected = 0.25 * weights.sf(1e-9)
    assert abs(len(beyond) / len(found) - expected) < Z * np.sqrt(0.25 * 0.75 / len(found))
    inside = np.linspace(0.05, 0.95, 10)
    drawn = np.mean((beyond[:, None] - 1.5) / 10 < inside, axis=0)
    assert np.abs(drawn - weights.cdf(inside)).max() < Z / 2 / np.sqrt(len(beyond))


def test_a_row_is_never_its_own_neighbour_though_others_are_equal_to_it():
    X = np.array([[0.0]] * 12 + [[1.5]])
    found = draw(X, n=1000, alpha=np.inf, pairs="nearest", n_neighbors=3)
    # Half a step from the row that stands alone, which is drawn but never paired with itself.
    assert {*found.ravel()} == {0.0, 0.75}


def test_targets_that_are_numbers_are_mixed_as_the_rows_are(iris):
    X = np.random.default_rng(0).normal(size=(50, 1))
    for y in (
        2 * X[:, 0] + 1,
        pd.Series(2 * X[:, 0] + 1, name="t"),
        pl.Series("t", 2 * X[:, 0] + 1),
    ):
        sampler = VicinalSampler(1, random_state=0).fit(X, y)
        found, target = sampler.sample(30, return_y=True)
        assert type(target) is type(y)
        assert getattr(target, "name", None) == getattr(y, "name", None)
        assert_allclose(2 * found[:, 0] + 1, np.asarray(target))
        assert not np.isin(found, X).all()


def test_neighbours_are_others_even_where_all_rows_are_equal():
    rows = np.arange(20)
    found = find_nearest(np.zeros((20, 2)), rows, rows, 4)
    assert found.shape == (20, 4)
    assert not (found == rows[:, None]).any()
    assert (np.sort(found)[:, 1:] > np.sort(found)[:, :-1]).all()


def test_all_gaps_are_one_word():
    X = np.array([[float("nan"), "a"], [None, "b"], [float("nan"), "a"], ["c", None]], dtype=object)
    codes = [codes.tolist() for codes in read_words(X, [])]
    assert codes == [[0, 0, 0, 1], [0, 1, 0, 2]]


# -- numbers of all kinds -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint64, np.uint8, np.float64, np.float32])
@pytest.mark.parametrize("alpha", [0.2, 1, np.inf])
def test_the_largest_numbers_are_mixed_within_their_bounds(dtype, alpha):
    info = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
    X = np.array([[info.min], [info.max], [info.max]], dtype=dtype)
    found = draw(X, n=200, alpha=alpha, pairs="random")
    assert found.dtype == dtype
    assert np.isfinite(found.astype(float)).all()
    middle = float(info.min) / 2 + float(info.max) / 2
    others = found[(found != info.min) & (found != info.max)].astype(float)
    assert (np.abs(others - middle) <= float(info.max) / 2 - float(info.min) / 2).all()
    if alpha == np.inf:
        assert_allclose(others, middle, atol=1, rtol=1e-9)
        assert 50 < len(others) < 130  # 4 in 9


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_a_weight_of_all_or_nothing_gives_one_of_the_largest_numbers(dtype):
    ends = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    X = np.array([ends, ends[::-1]], dtype=dtype).T
    rows, partner = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    found = mix_rows(X, read_columns(X), rows, partner, np.array([0.0, 1.0, 0.0, 1.0]))
    assert_array_equal(found, X[[1, 0, 0, 1]])


def test_large_whole_numbers_keep_their_last_digits():
    X = np.array([[2**62 + 1], [2**62 + 3]])
    found = draw(X, alpha=np.inf, pairs="random")
    assert {*found.ravel().tolist()} == {2**62 + 1, 2**62 + 2, 2**62 + 3}


def test_whole_numbers_stay_whole_in_floats_too_and_others_do_not():
    X = np.array([[1.0, 1.5], [9.0, np.nan], [np.nan, 7.0], [4.0, 4.0]])
    found = draw(X, n=300, alpha=1)
    whole, other = (column[~np.isnan(column)] for column in found.T)
    assert (whole == np.rint(whole)).all()
    assert {*whole} == {*np.arange(1.0, 10.0)}
    assert (other != np.rint(other)).any()


def test_a_middle_that_is_no_whole_number_goes_to_either_row():
    share = draw(np.array([[0], [1]]), n=10_000, alpha=np.inf).mean()
    assert abs(share - 0.5) < Z * np.sqrt(0.25 / 10_000)


def test_a_number_whose_partner_is_a_gap_stays_as_it_is():
    X = np.array([[1.25], [np.nan]])
    found = draw(X, n=400, alpha=np.inf).ravel()
    assert {*found[~np.isnan(found)]} == {1.25}
    assert abs(np.isnan(found).mean() - 0.5) < Z * np.sqrt(0.25 / 400)


# -- tables of all kinds --------------------------------------------------------------------------

N = 60
DAYS = pd.date_range("2020-01-01", periods=N, freq="37h")
BERLIN = DAYS.tz_localize("Europe/Berlin")


def objects(values):
    return pd.Series([*values], dtype=object)


MIXED = {
    "float64": np.linspace(0, 1, N),
    "float32": np.linspace(0, 1, N, dtype=np.float32),
    "int8": np.arange(N, dtype=np.int8) * 2,
    "uint64": np.arange(N, dtype=np.uint64) * 7 + 2**63,
    "gaps": [1.5, None, 4.0] * 20,
    "Int64": pd.array([1, None, 9] * 20, dtype="Int64"),
    "Float32": pd.array([1.5, None, 3] * 20, dtype="Float32"),
    "dates": DAYS,
    "dates in seconds": DAYS.as_unit("s"),
    "dates of a place": BERLIN,
    "date": objects(day.date() for day in DAYS),
    "datetime": objects(day.to_pydatetime() for day in DAYS),
    "spans": pd.to_timedelta(np.arange(N) * 7, unit="h"),
    "objects": objects([1, 2.5, None] * 20),
    "whole objects": objects([1, 9, None] * 20),
    "int64 of pyarrow": pd.array([1, None, 9] * 20, dtype="int64[pyarrow]"),
    "float of pyarrow": pd.array([1.5, None, 3] * 20, dtype="float[pyarrow]"),
    "timestamp of pyarrow": pd.Series(DAYS).astype("timestamp[us][pyarrow]"),
    "timestamp of a place": pd.Series(BERLIN).astype("timestamp[us, tz=Europe/Berlin][pyarrow]"),
    "date of pyarrow": objects(day.date() for day in DAYS).astype("date32[pyarrow]"),
}
WHOLE = {
    "booleans": [True, False, False] * 20,
    "boolean": pd.array([True, None, False] * 20, dtype="boolean"),
    "booleans and gaps": [True, None, False] * 20,
    "categories": pd.Categorical(["a", "b", None] * 20, categories=["z", "b", "a"], ordered=True),
    "codes": pd.Categorical([1, 2, 3] * 20),
    "words": ["a", None, "c"] * 20,
    "words of pyarrow": pd.array(["a", None, "b"] * 20, dtype="string[pyarrow]"),
    "words and numbers": ["a", 1, None] * 20,
    "times": [datetime.time(i % 24, 3) for i in range(N)],
    "aware": objects(day.to_pydatetime() for day in BERLIN),
    "months": pd.period_range("2020-01", periods=N, freq="M"),
    "decimals": [decimal.Decimal(i) / 3 for i in range(N)],
    "identifiers": objects(2**70 + i for i in range(N)),
    "lists": [[i % 3, 2] for i in range(N)],
    "intervals": pd.interval_range(0, N),
    "empty": [None] * N,
    "no numbers": [np.nan] * N,
}


def told(column):
    return [repr(value) for value in column]


@pytest.mark.parametrize("pairs", ["same_class", "nearest"])
@pytest.mark.parametrize("name", [*MIXED, *WHOLE])
def test_a_column_of_pandas_comes_back_as_it_was(name, pairs, assert_unchanged):
    X = pd.DataFrame({"x": {**MIXED, **WHOLE}[name]}, index=np.arange(N) // 2)
    y = pd.Series(["a", "b", "b"] * 20, index=X.index, name="label")
    with assert_unchanged(X, y):
        found, labels = draw(X, y, alpha=1, pairs=pairs)
        X_even, y_even = VicinalSampler(1, pairs=pairs, random_state=0).fit_resample(X, y)
    assert_frame_equal(X_even[:N], X.reset_index(drop=True))
    assert_series_equal(y_even[:N], y.reset_index(drop=True))
    assert y_even.value_counts().tolist() == [40, 40]
    for made in (found, X_even):
        assert_frame_equal(made.head(0), X.head(0).reset_index(drop=True))
        assert {*map(type, made["x"])} <= {*map(type, X["x"])}
    assert labels.name == "label"
    new = {*told(found["x"])} - {*told(X["x"])}
    if name in WHOLE:
        assert not new
    elif name not in ("gaps", "Float32", "float of pyarrow", "objects") or pairs == "same_class":
        known = X["x"].dropna()
        assert found["x"].dropna().between(known.min(), known.max()).all()


@pytest.mark.parametrize("name", MIXED)
def test_numbers_and_dates_are_mixed(name):
    X = pd.DataFrame({"x": MIXED[name]})
    # Of random pairs: the nearest of these rows are equal to them.
    assert {*told(draw(X, n=200, alpha=1, pairs="random")["x"])} - {*told(X["x"])}


def polars_columns():
    words = pl.Series(["a", None, "b"] * 20)
    times = pl.Series([day.to_pydatetime() for day in DAYS])
    return {
        "whole": pl.Series([1, None, 9] * 20),
        "small": pl.Series([1, None, 9] * 20, dtype=pl.UInt8),
        "float": pl.Series([1.5, None, float("nan")] * 19 + [2.5, 3.0, 4.0]),
        "float32": pl.Series([1.5, None, 4.0] * 20, dtype=pl.Float32),
        "date": times.dt.date(),
        "datetime": times,
        "aware": times.dt.replace_time_zone("Europe/Berlin"),
        "milliseconds": times.cast(pl.Datetime("ms")),
        "time": pl.Series([datetime.time(i % 24, 3) for i in range(N)]),
        "duration": pl.Series([datetime.timedelta(hours=7 * i) for i in range(N)]),
        "decimal": pl.Series([decimal.Decimal(7 * i) for i in range(N)], dtype=pl.Decimal(38, 0)),
        "boolean": pl.Series([True, None, False] * 20),
        "words": words,
        "categorical": words.cast(pl.Categorical),
        "enum": words.cast(pl.Enum(["z", "b", "a"])),
        "lists": pl.Series([[1, 2], [3]] * 30),
        "null": pl.Series([None] * N),
    }


@pytest.mark.parametrize("pairs", ["same_class", "nearest"])
def test_a_table_of_polars_comes_back_as_it_was(pairs):
    X, y = pl.DataFrame(polars_columns()), pl.Series("label", ["a", "b", "b"] * 20)
    before = X.clone()
    found, labels = draw(X, y, alpha=1, pairs=pairs)
    X_even, y_even = VicinalSampler(1, pairs=pairs, random_state=0).fit_resample(X, y)
    assert found.schema == X.schema == X_even.schema
    assert X.equals(before)
    assert X_even[:N].equals(X)
    assert y_even[:N].equals(y)
    assert labels.name == y_even.name == "label"
    assert Counter(y_even.to_list()) == {"a": 40, "b": 40}
    for name in ["boolean", "words", "categorical", "enum", "lists", "null"]:
        assert {*told(found[name])} <= {*told(X[name])}
    for name in ["date", "datetime", "aware", "milliseconds", "time", "duration", "decimal"]:
        assert {*told(found[name])} - {*told(X[name])}
        assert found[name].min() >= X[name].min()
        assert found[name].max() <= X[name].max()


@pytest.mark.skipif(not hasattr(pl, "Int128"), reason="polars has no such numbers yet")
def test_whole_numbers_of_polars_beyond_64_bits_are_identifiers():
    X = pl.DataFrame({"x": pl.Series([2**70, 2**70 + 9], dtype=pl.Int128)})
    assert {*draw(X, alpha=1)["x"]} == {*X["x"]}


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (np.array([["a", "b"], ["c", "d"]]), "<U1"),
        (np.array([[True, False], [False, True]]), "bool"),
        (np.array([[1.5, "a"], [2.5, None]], dtype=object), "O"),
        (np.array([["2020-01-01"], ["2020-03-01"]], dtype="M8[D]"), "M8[D]"),
        ([["a", 1.5], ["b", 2]], "O"),
        ([[1, 2], [3, 5]], "int64"),
    ],
)
def test_arrays_come_back_as_arrays_of_their_dtype(X, dtype):
    found = draw(X, alpha=1)
    assert type(found) is np.ndarray
    assert found.dtype == np.dtype(dtype)
    assert found.shape == (40, np.shape(X)[1])


def test_numbers_beside_words_are_mixed_and_stay_pythons_own():
    found = draw(np.array([[1.5, 1, "a"], [2.25, 9, None]], dtype=object), n=100, alpha=1)
    assert {*map(type, found[:, 0])} == {float}
    assert {*map(type, found[:, 1])} == {int}
    assert len({*found[:, 0]}) > 10
    assert {*found[:, 2]} == {"a", None}


def test_rows_that_are_not_moved_are_made_of_the_same_objects():
    X = np.array([[1, "a"], [2.5, "b"], [np.float32(1.25), "b"]], dtype=object)
    kinds = {*map(type, X[:, 0])}
    assert {*map(type, draw(X, alpha=0)[:, 0])} == kinds
    X_even, _ = VicinalSampler(pairs="random").fit_resample(X, [0, 1, 1])
    assert [*map(type, X_even[:3, 0])] == [*map(type, X[:, 0])]


@pytest.mark.parametrize("seconds", [86_400, 3_600, 60, 1])
def test_dates_stay_as_round_as_they_all_are(seconds):
    start = pd.Timestamp("2020-01-01")
    X = pd.DataFrame({"x": start + pd.to_timedelta(np.array([0, 7, 100]) * seconds, unit="s")})
    found = (draw(X, n=500, alpha=1)["x"] - start).dt.total_seconds().to_numpy()
    assert (found % seconds == 0).all()
    assert len(np.unique(found)) > 50


def test_a_frame_of_a_subclass_comes_back_as_one():
    class Survey(pd.DataFrame):
        @property
        def _constructor(self):
            return Survey

    found = draw(Survey({"a": [1.5, 2.5, 4.0], "b": ["u", "v", "u"]}))
    assert type(found) is Survey


def test_names_that_are_no_strings_come_back():
    assert draw(pd.DataFrame(TABLE, columns=[3, 1])).columns.tolist() == [3, 1]


# -- an estimator of scikit-learn, a sampler of imbalanced-learn -----------------------------------


@each_pairs
def test_the_same_state_draws_the_same_rows(pairs, iris):
    X, y = iris
    sampler = VicinalSampler(pairs=pairs, random_state=3).fit(X, y)
    assert_array_equal(sampler.sample(9), sampler.sample(9))
    assert_array_equal(sampler.sample(9), clone(sampler).fit(X, y).sample(9))
    assert_array_equal(sampler.sample(9, 4), sampler.sample(9, random_state=4))
    assert (sampler.sample(9, 4) != sampler.sample(9)).any()
    assert_array_equal(pickle.loads(pickle.dumps(sampler)).sample(9), sampler.sample(9))
    state = np.random.RandomState(0)
    assert (sampler.sample(9, state) != sampler.sample(9, state)).any()
    fresh = VicinalSampler(pairs=pairs).fit(X, y)
    assert (fresh.sample(9) != fresh.sample(9)).any()


def test_the_global_generators_are_left_as_they_were(iris):
    def found():
        return pickle.dumps((np.random.get_state(), torch.get_rng_state().numpy()))  # noqa: NPY002

    X, y = iris
    before = found()
    VicinalSampler(alpha=1).fit(X, y).sample(9)
    VicinalSampler(alpha=1).fit_resample(X[:120], y[:120])
    assert found() == before


@pytest.mark.parametrize("make", [pd.DataFrame, lambda X: X])
def test_the_table_is_a_copy(make):
    X = make(np.array([[1.5, "a"], [2.5, "b"], [3.5, "c"], [4.5, "d"]], dtype=object))
    y = np.array(["a", "a", "b", "b"])
    sampler = VicinalSampler(random_state=0).fit(X, y)
    rows, labels = sampler.sample(9, return_y=True)
    (X if isinstance(X, np.ndarray) else X.loc)[:] = "z"
    y[:] = "z"
    found, again = sampler.sample(9, return_y=True)
    assert_array_equal(found, rows)
    assert_array_equal(again, labels)


def test_another_fit_forgets_the_classes(iris):
    sampler = VicinalSampler(random_state=0).fit(*iris)
    assert_array_equal(sampler.classes_, [0, 1, 2])
    assert not hasattr(sampler.fit(iris[0]), "classes_")


COUNTS = {"a": 12, "b": 5, "c": 2}
STRATEGIES = [
    ("auto", {"b": 7, "c": 10}),
    ("not majority", {"b": 7, "c": 10}),
    ("minority", {"c": 10}),
    ("not minority", {"b": 7}),
    ("all", {"b": 7, "c": 10}),
    ({"c": 4, "a": 12}, {"c": 2}),
    (lambda y: {"b": len(y)}, {"b": 14}),
]


@each_pairs
@pytest.mark.parametrize(("strategy", "added"), STRATEGIES)
def test_fit_resample_adds_what_the_strategy_says_after_the_rows_that_there_are(
    strategy, added, pairs
):
    y = np.repeat([*COUNTS], [*COUNTS.values()])
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    sampler = VicinalSampler(1, pairs=pairs, sampling_strategy=strategy, random_state=0)
    X_even, y_even = sampler.fit_resample(X, y)
    assert sampler.sampling_strategy_ == added
    assert X_even[: len(X)].tobytes() == X.tobytes()
    assert_array_equal(y_even[: len(y)], y)
    assert Counter(y_even.tolist()) == Counter(COUNTS) + Counter(added)
    assert len(added) == 1 or not np.isin(X_even[len(X) :], X).all()


def test_a_ratio_is_that_of_the_smaller_class_to_the_larger():
    X, y = np.arange(24.0).reshape(12, 2), [0] * 10 + [1] * 2
    _, y_even = VicinalSampler(sampling_strategy=0.5).fit_resample(X, y)
    assert Counter(y_even.tolist()) == {0: 10, 1: 5}
    with pytest.raises(ValueError, match="wants 1 rows of class 1, which has 2: rows are added"):
        VicinalSampler(sampling_strategy=0.1).fit_resample(X, y)


@pytest.mark.parametrize("strategy", [strategy for strategy, _ in STRATEGIES])
def test_imbalanced_learn_counts_the_same(strategy):
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    y = np.repeat([*COUNTS], [*COUNTS.values()])
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    theirs = over_sampling.RandomOverSampler(sampling_strategy=strategy).fit_resample(X, y)[1]
    ours = VicinalSampler(sampling_strategy=strategy).fit_resample(X, y)[1]
    assert_array_equal(np.sort(ours), np.sort(theirs))


def test_it_works_in_a_pipeline_of_imbalanced_learn(breast_cancer):
    pipeline = pytest.importorskip("imblearn.pipeline")
    from sklearn.dummy import DummyClassifier

    X, y = breast_cancer
    model = pipeline.make_pipeline(VicinalSampler(random_state=0), DummyClassifier()).fit(X, y)
    assert_allclose(model[-1].class_prior_, 0.5)
    assert len(model.predict(X)) == len(X)


def test_classes_of_words_in_categories_come_back_as_categories():
    y = pd.Series(pd.Categorical(["b", "a", "b", "a", "b"], categories=["z", "b", "a"]))
    _, y_even = VicinalSampler().fit_resample(np.arange(5.0).reshape(-1, 1), y)
    assert y_even.dtype == y.dtype
    assert y_even.tolist()[5:] == ["a"]


# -- bad input ------------------------------------------------------------------------------------

TABLE, LABELS = np.arange(12.0).reshape(6, 2) / 7, np.array([0, 0, 1, 1, 2, 2])
NUMBERS = np.linspace(0, 1, 6)


@pytest.mark.parametrize("n_samples", [0, -1, 2.0, "3", True, None])
def test_a_number_of_samples_that_is_none_is_refused(n_samples):
    with pytest.raises(ValueError, match=r"`n_samples` must be a whole number >= 1; got"):
        VicinalSampler().fit(TABLE).sample(n_samples)


@pytest.mark.parametrize(
    ("y", "label", "message"),
    [
        (LABELS, 3, r"`y` must be a class of the data; got 3. They are 0, 1, 2\."),
        (LABELS, np.array([0, 1]), r"must be a class of the data; got array\(\[0, 1\]\)"),
        (LABELS, pd.Series([0, 1]), r"must be a class of the data; got 0 +0\n1 +1"),
        (np.arange(14) // 2, "a", r"got 'a'. They are 0, 1, 2, 3, 4 and 2 more\."),
        (None, 0, "got 0, and the sampler was fitted without y"),
        (NUMBERS, 0.5, "got 0.5, and the sampler was fitted to a y of numbers"),
    ],
)
def test_a_class_that_is_not_there_is_named(y, label, message):
    X = np.arange(14.0).reshape(-1, 1) if y is not None and len(y) == 14 else TABLE
    with pytest.raises(ValueError, match=message):
        VicinalSampler().fit(X, y).sample(y=label)


def test_targets_are_returned_only_where_there_are_some():
    with pytest.raises(ValueError, match="fitted without y"):
        VicinalSampler().fit(TABLE).sample(return_y=True)


@pytest.mark.parametrize("pairs", ["same_class", "nearest"])
def test_a_class_of_one_row_is_named_wherever_it_would_be_drawn_from(pairs):
    y = ["a", "a", "b", "a", "a", "c"]
    sampler = VicinalSampler(pairs=pairs).fit(TABLE, y)
    message = (
        r"two rows or more .* 2 of 3 have a single row: 'b', 'c'\. Drop or merge them, or use pairs"
    )
    with pytest.raises(ValueError, match=message):
        sampler.sample()
    with pytest.raises(ValueError, match=r"single row: 'b'\."):
        sampler.sample(y="b")
    with pytest.raises(ValueError, match=r"single row: 'b'\."):
        sampler.fit_resample(TABLE, y)
    assert sampler.sample(4, y="a").shape == (4, 2)
    assert VicinalSampler(pairs="random").fit(TABLE, y).sample(4, y="b").shape == (4, 2)


def test_a_class_smaller_than_the_neighbours_asked_for_has_all_of_them():
    X, y = np.array([[0.0], [0.5], [2.0], [9.0], [9.5]]), [0, 0, 0, 1, 1]
    found, _ = draw(X, y, n=300, alpha=np.inf, pairs="nearest", n_neighbors=99)
    assert {*found.ravel()} == {0.25, 1.0, 1.25, 9.25}


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (TABLE[:0], None, ValueError, "0 sample"),
        (pd.DataFrame({"a": []}), None, ValueError, "0 row"),
        (TABLE[:1], None, ValueError, "two rows at least"),
        (TABLE[0], None, ValueError, "1D array"),
        (sparse.csr_array(TABLE), None, TypeError, "Sparse data was passed for X"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), None, TypeError, "column 'a' of X"),
        (TABLE * 1j, None, ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": [1.5, np.inf]}), None, ValueError, "infinity in column 'a'"),
        (pa.table({"a": [1.5, 2.5]}), None, TypeError, r"Use X.to_pandas\(\)"),
        (pl.LazyFrame({"a": [1.5, 2.5]}), None, TypeError, r"got a LazyFrame. Use X.collect\(\)"),
        (TABLE, LABELS[:5], ValueError, r"inconsistent numbers of samples: \[6, 5\]"),
        (TABLE, ["a", "b", None, "a", "b", "b"], ValueError, "NaN or None"),
        (TABLE, ["a", "b", np.nan, "a", "b", "b"], ValueError, "NaN or None; got nan in row 2"),
        (TABLE, ["a", "b", 1, "a", "b", "b"], TypeError, "all words or all numbers"),
        (TABLE, np.ma.array(LABELS, mask=[1, 0, 0, 0, 0, 0]), ValueError, "y has masked entries"),
        (TABLE, [0.5, np.nan, 1, 1, 1, 1], ValueError, "NaN"),
        (TABLE, np.ones((6, 2)), ValueError, "1d array"),
    ],
)
def test_bad_tables_and_targets_are_refused(X, y, error, message):
    with pytest.raises(error, match=message):
        VicinalSampler().fit(X, y)


@pytest.mark.parametrize(
    ("X", "y"), [(TABLE[:3], LABELS), (pd.DataFrame({"a": [1.5, np.inf]}), None)]
)
def test_a_sampler_stays_what_it_was_where_a_table_is_refused(X, y):
    sampler = VicinalSampler(random_state=0).fit(TABLE, LABELS)
    before = sampler.sample(9)
    with pytest.raises(ValueError, match=r"inconsistent|infinity"):
        sampler.fit(X, y)
    assert_array_equal(sampler.sample(9), before)
    fresh = VicinalSampler()
    with pytest.raises(ValueError, match=r"inconsistent|infinity"):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.sample()


@pytest.mark.parametrize("y", [None, NUMBERS])
def test_pairs_of_a_class_need_classes(y):
    with pytest.raises(ValueError, match='`pairs="same_class"` needs a y of labels; got'):
        VicinalSampler(pairs="same_class").fit(TABLE, y)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({9: 20}, r"names class 9, which y does not hold. Its classes are 0, 1, 2\."),
        ({1: 1}, "wants 1 rows of class 1, which has 2: rows are added here, never dropped"),
        ({1: 2.5}, "whole number of rows; got 2.5 for class 1"),
        ("most", "must be one of 'auto', .* got 'most'"),
        (0.5, "may be a ratio for two classes; got 0.5 for 3"),
        (1.5, r"a ratio in \(0, 1\], .* got 1.5"),
        (lambda y: None, "a callable that returns one; got None"),
    ],
)
def test_strategies_that_cannot_be_followed_are_refused(strategy, message):
    with pytest.raises(ValueError, match=message):
        VicinalSampler(sampling_strategy=strategy).fit_resample(TABLE, LABELS)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (NUMBERS, "got a y of numbers"),
        ([1] * 6, "two classes or more to even out; got one class, 1"),
    ],
)
def test_fit_resample_needs_classes(y, message):
    with pytest.raises(ValueError, match=message):
        VicinalSampler().fit_resample(TABLE, y)


def test_targets_are_labels_or_numbers_as_said():
    X = np.random.default_rng(0).normal(size=(300, 1))
    prices = np.arange(300) % 100
    for y in (prices, prices.astype(float), list(map(str, prices))):
        assert len(VicinalSampler().fit(X, y).classes_) == 100
    assert not hasattr(VicinalSampler().fit(X, prices + 0.5), "classes_")
    for y in (prices * 7, prices * 7.0, pd.Series(prices * 7, dtype="Int64")):
        sampler = VicinalSampler(1, target_type="numbers", random_state=0).fit(X, y)
        assert not hasattr(sampler, "classes_")
        _, found = sampler.sample(50, return_y=True)
        assert found.dtype == y.dtype
        found = np.asarray(found, dtype=float)
        assert (found == np.rint(found)).all()
        assert (found % 7 != 0).any()
    with pytest.raises(ValueError, match="got a y of numbers"):
        sampler.fit_resample(X, prices)
    with pytest.raises(ValueError, match="continuous"):
        VicinalSampler(target_type="labels").fit(X, prices + 0.5)
    with pytest.raises(ValueError, match="could not convert"):
        VicinalSampler(target_type="numbers").fit(X, list("abc") * 100)
    with pytest.raises(ValueError, match="NaN"):
        VicinalSampler(target_type="numbers").fit(X, [np.nan] * 300)
    for unmixed in (list(map(str, prices)), [*map(decimal.Decimal, range(300))], prices > 50):
        with pytest.raises(ValueError, match=r"it must hold numbers; got .*(0|False)"):
            VicinalSampler(target_type="numbers").fit(X, unmixed)
