"""Tables of words, dates, gaps and numbers of any size become numbers that a net takes."""

import datetime
import decimal
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from sklearn_mixup._net.tables import check_table
from sklearn_mixup._tabular.encode import TableEncoder

N = 60
DAYS = pd.date_range("2020-01-01", periods=N, freq="37h")
COLUMNS = {
    "words": ["a", "b", "c"] * 20,
    "words and gaps": ["a", None, "c"] * 20,
    "many words": [f"word {i} {i * 7 % 13}" for i in range(N)],
    "numbers in words": [str(1.5 * i) for i in range(N)],
    "numbers and words": ["n/a" if i % 5 == 0 else i for i in range(N)],
    "dates": DAYS,
    "dates of a place": DAYS.tz_localize("Europe/Berlin"),
    "dates in words": [str(day.date()) for day in DAYS],
    "dates of two formats": [
        f"{day:%Y-%m-%d}" if i % 2 else f"{day:%d.%m.%Y}" for i, day in enumerate(DAYS)
    ],
    "days": [day.date() for day in DAYS],
    "times": [datetime.time(i % 24, 3) for i in range(N)],
    "spans": pd.to_timedelta(np.arange(N), unit="h"),
    "months": pd.period_range("2020-01", periods=N, freq="M"),
    "decimals": [decimal.Decimal(i) / 3 for i in range(N)],
    "booleans": [True, False, False] * 20,
    "booleans and gaps": [True, None, False] * 20,
    "whole numbers and gaps": pd.array([1, None, 3] * 20, dtype="Int64"),
    "categories": pd.Categorical([1, 2, 3] * 20),
    "lists": [[i % 3, 2] for i in range(N)],
    "dicts": [{"a": i % 3} for i in range(N)],
}
each_column = pytest.mark.parametrize("name", COLUMNS)


def encode(X, then=None):
    """Fit an encoder to one table, and encode another."""
    X = check_table(X)
    encoder = TableEncoder(0)
    found = encoder.fit_transform(X)
    assert found.dtype == np.float32
    return encoder, found if then is None else encoder.transform(check_table(then))


@each_column
def test_a_column_of_any_kind_becomes_numbers_that_tell_its_values_apart(name):
    table = pd.DataFrame({"x": COLUMNS[name]}, index=np.arange(N) // 2)
    encoder, found = encode(table)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 5
    n_values = table["x"].map(str).nunique()
    assert len(np.unique(found, axis=0)) == n_values
    assert_array_equal(encoder.transform(table), found)
    assert_array_equal(encode(table)[1], found)


@each_column
@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_a_column_may_be_empty_when_it_comes_to_predictions(name, gap):
    table = pd.DataFrame({"x": COLUMNS[name]})
    _, found = encode(table, pd.DataFrame({"x": [gap] * 3}))
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 1


def test_tables_of_all_packages_are_encoded_alike():
    columns = {
        "numbers": [1.0, None, 3.0] * 20,
        "words": ["x", "y", None] * 20,
        "dates": [day.to_pydatetime() for day in DAYS],
        "days": [day.date() for day in DAYS],
        "booleans": [True, False, None] * 20,
        "whole": [*range(N)],
        "spans": [datetime.timedelta(hours=i) for i in range(N)],
        "times": [datetime.time(i % 24) for i in range(N)],
    }
    tables = [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)]
    tables.append(tables[1].with_columns(pl.col("words").cast(pl.Categorical)))
    first, *others = [encode(table)[1] for table in tables]
    for found in others:
        assert_array_equal(found, first)


@pytest.mark.parametrize("kind", [np.array, list], ids=["array", "list"])
def test_rows_without_names_are_encoded_as_a_table_is(kind):
    rows = [[1.0, "red", None], [2.0, "blue", "x"], [3.5, "red", "y"]] * 4
    X = np.array(rows, dtype=object) if kind is np.array else rows
    assert_array_equal(encode(X)[1], encode(pd.DataFrame(rows))[1])


def test_numbers_are_encoded_alike_in_arrays_and_tables():
    X = np.random.default_rng(0).normal(size=(30, 4))
    X[::7, 2] = np.nan
    assert_array_equal(encode(X)[1], encode(pd.DataFrame(X))[1])
    assert_array_equal(encode(X, pd.DataFrame(X))[1], encode(X)[1])


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_the_unit_of_a_number_makes_no_difference(factor):
    X = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(encode(X * factor)[1], encode(X)[1], rtol=1e-5, atol=1e-6)


def test_small_differences_of_large_numbers_are_seen():
    X = 1e15 + np.arange(20.0)[:, None]
    assert len(np.unique(encode(X)[1])) == 20


@pytest.mark.parametrize("value", [1e300, np.inf, 1e9])
def test_an_extreme_number_is_bounded_and_leaves_the_others_apart(value):
    X = np.arange(20.0)[:, None]
    X[3] = value
    _, found = encode(X)
    assert found.argmax() == 3
    assert found[3] == pytest.approx(5, abs=1e-3)
    assert np.ptp(np.delete(found, 3)) > 1
    _, below = encode(X, -X)
    assert below.min() == pytest.approx(-5, abs=1e-3)


def test_a_gap_is_the_median_and_told_if_there_were_gaps_before():
    X = np.column_stack([np.arange(9.0), np.arange(9.0)[::-1] ** 2])
    X[4, 0] = np.nan
    _, found = encode(X, np.full((1, 2), np.nan))
    assert_array_equal(found, [[0, 0, 1]])


@pytest.mark.parametrize(("n_columns", "n_each"), [(3, 4), (101, 1)])
def test_whole_numbers_of_few_values_get_a_column_for_each_where_that_is_not_too_many(
    n_columns, n_each
):
    X = np.random.default_rng(0).integers(3, size=(60, n_columns))
    _, found = encode(X)
    assert found.shape == (60, n_columns * n_each)
    if n_each > 1:
        assert_array_equal(found[:, n_columns : n_columns + 3], np.eye(3)[X[:, 0]])


def test_columns_that_tell_nothing_are_left_out():
    number = np.random.default_rng(0).normal(size=N)
    table = pd.DataFrame(
        {"a": number, "b": 1.0, "c": "x", "d": None, "e": number, "f": 3 * number, "g": np.nan}
    )
    encoder, found = encode(table)
    assert found.shape == (N, 1)
    # What held nothing may hold anything later.
    table["d"], table["g"] = "x", "y"
    assert_array_equal(encoder.transform(table), found)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((5, 2)),
        np.array([["a"], ["a"]], dtype=object),
        pd.DataFrame({"a": [None, None], "b": [np.nan, np.nan]}),
        np.full((4, 1), np.inf),
    ],
    ids=["numbers", "words", "gaps", "infinity"],
)
def test_a_table_of_which_no_column_varies_is_refused(X):
    with pytest.raises(ValueError, match=r"must have a column that varies.*all of its \d columns"):
        encode(X)


# -- what comes later is not what was there -------------------------------------------------------


def test_unknown_words_are_none_of_the_words():
    table = pd.DataFrame({"x": ["a", "b"] * 5})
    assert_array_equal(encode(table, pd.DataFrame({"x": ["z", "a"]}))[1], [[0, 0], [1, 0]])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (np.arange(6.0), ["1", "two"] * 3, r"Column 'x' of X held numbers.*two"),
        (DAYS[:6], np.arange(6), r"Column 'x' of X held dates.*got .*0"),
        (COLUMNS["spans"][:6], ["a"] * 6, r"Column 'x' of X held numbers"),
    ],
    ids=["numbers", "dates", "spans"],
)
def test_another_kind_of_column_is_told_by_name(before, after, told):
    with pytest.raises(ValueError, match=told):
        encode(pd.DataFrame({"x": before}), pd.DataFrame({"x": after}))


def test_whole_numbers_may_come_where_there_were_words_of_them():
    table = pd.DataFrame({"x": pd.Categorical([1, 2, 3] * 4)})
    assert_array_equal(encode(table, pd.DataFrame({"x": [3, 1]}))[1], [[0, 0, 1], [1, 0, 0]])


def test_ten_thousand_different_words_are_encoded():
    table = pd.DataFrame({"x": [f"id {i * 7919 % 100_003}" for i in range(10_000)]})
    assert encode(table)[1].shape == (10_000, 30)


def test_without_skrub_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skrub", None)
    with pytest.raises(ImportError, match=r"extra `tables`.*pip install"):
        encode(np.eye(3))


def test_complex_numbers_are_refused():
    for X in (np.eye(3) * 1j, pd.DataFrame({"x": [1j, 2]})):
        with pytest.raises(ValueError, match="Complex data not supported"):
            encode(X)
