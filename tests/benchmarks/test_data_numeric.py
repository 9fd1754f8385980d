"""Tables whose target is a number, against the facts that are published of them."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.utils import Bunch

from benchmarks._data import numeric_files, uci
from benchmarks._data.numeric import FETCHERS, TITLES, available
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import (
    NUMERIC_TITLES,
    Table,
    find_tables,
    load_table,
)
from benchmarks._data.tables import TITLES as TITLES_OF_LABELS
from tests.real_data import DATA_HOME, find_or_skip

# Rows and columns, nominal columns, columns of words; of the target the mean, the standard
# deviation (divided by n - 1), the least and the largest: those of scikit-learn's page on
# California Housing (there in 100,000 dollars), of UCI's abalone.names, of the file
# of Efron et al. 2004, and for wine what the counts of its grades come to.
PUBLISHED = {
    "california_housing": ((20_640, 8), 0, 0, 206_855.8, 115_395.6, 14_999, 500_001),
    "wine_quality_white": ((4898, 11), 0, 0, 5.88, 0.89, 3, 9),
    "abalone_rings": ((4177, 8), 1, 1, 9.934, 3.224, 1, 29),
    "diabetes_progression": ((442, 10), 1, 0, 152.13, 77.09, 25, 346),
    "iris_petal": ((150, 4), 1, 0, 1.199, 0.762, 0.1, 2.5),
}


@functools.cache
def load(name: str) -> Bunch:
    """Load one real data set, once for all tests; they only read it."""
    if facts := numeric_files.DATA_SETS.get(name):
        archive = facts.archive()
        find_or_skip(f"{archive.folder}/{archive.files[0]}")
    return FETCHERS[name](DATA_HOME, download_if_missing=False)


@pytest.mark.parametrize("name", FETCHERS)
def test_the_numbers_are_the_published_ones(name):
    shape, n_nominal, n_words, mean, deviation, least, largest = PUBLISHED[name]
    bunch = load(name)
    assert (bunch.name, bunch.data.shape) == (name, shape)
    assert list(bunch.data.columns) == bunch.feature_names
    assert len(bunch.categorical_columns) == n_nominal
    assert set(bunch.categorical_columns) <= set(bunch.feature_names)
    words = bunch.data.select_dtypes("category")
    assert words.shape[1] == n_words
    assert set(bunch.data.drop(columns=list(words)).dtypes) == {np.dtype("float64")}
    assert not bunch.data.isna().any(axis=None)
    y = pd.Series(bunch.target)
    assert (bunch.target.dtype, len(y)) == (np.float64, shape[0])
    assert y.mean() == pytest.approx(mean, abs=10.0 ** -len(str(float(mean)).partition(".")[2]))
    assert y.std() == pytest.approx(
        deviation, abs=10.0 ** -len(str(float(deviation)).partition(".")[2])
    )
    assert (y.min(), y.max()) == (least, largest)


@pytest.mark.parametrize("name", FETCHERS)
def test_the_description_tells_of_the_number(name):
    bunch = load(name)
    (number,) = bunch.target_names
    least, largest = f"{bunch.target.min():g}", f"{bunch.target.max():g}"
    told = f"{number}: mean {bunch.target.mean():.6g}, standard deviation"
    assert told in bunch.DESCR
    assert f", {least} to {largest}." in bunch.DESCR
    assert ("https://" in bunch.DESCR) != ("comes with scikit-learn" in bunch.DESCR)


def test_white_wine_has_the_published_count_of_each_grade():
    # The counts that are told wherever this table is described.
    bunch = load("wine_quality_white")
    grades, counts = np.unique(bunch.target, return_counts=True)
    assert grades.tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert counts.tolist() == [20, 163, 1457, 2198, 880, 175, 5]
    n_again = int(bunch.data.assign(target=bunch.target).duplicated().sum())
    assert f"{n_again} rows repeat" in bunch.DESCR


def test_rings_are_the_labels_of_abalone_as_numbers():
    rings = load("abalone_rings")
    labels = uci.fetch_abalone(DATA_HOME, download_if_missing=False)
    pd.testing.assert_frame_equal(rings.data, labels.data)
    assert labels.target.dtype.kind == "i"
    np.testing.assert_array_equal(rings.target, labels.target)


def test_diabetes_is_scikit_learns_in_the_units_of_the_publication():
    bunch, theirs = load("diabetes_progression"), load_diabetes(scaled=False)
    np.testing.assert_array_equal(bunch.data, theirs.data)
    np.testing.assert_array_equal(bunch.target, theirs.target)
    assert set(bunch.data["sex"]) == {1, 2}


# -- as tables ------------------------------------------------------------------------------------


def test_of_california_the_same_4000_rows_are_taken():
    bunch = load("california_housing")
    load_table.cache_clear()
    table = load_table("california_4000", str(DATA_HOME))
    load_table.cache_clear()
    again = load_table("california_4000", str(DATA_HOME))
    assert (table.X.shape, table.source) == ((4000, 8), "published, 4000 rows")
    pd.testing.assert_frame_equal(table.X, again.X)
    np.testing.assert_array_equal(table.y, again.y)
    rows, taken = (
        set(X.assign(target=y).itertuples(index=False, name=None))
        for X, y in ((bunch.data, bunch.target), (table.X, table.y))
    )
    assert taken <= rows
    assert load_table("california_housing", str(DATA_HOME)).X.shape == (20_640, 8)


def test_splits_of_numbers_are_random_and_not_by_their_values():
    y = np.repeat([0.0, 1.0], [90, 10])
    made_up = (Table("made up", pd.DataFrame({"x": y}), it, (), "") for it in (y, y.astype(int)))
    numbers, labels = (
        [int(table.y[split_rows(table, split)[1]].sum()) for split in range(20)]
        for table in made_up
    )
    assert set(labels) == {2}
    assert len(set(numbers)) > 1


def test_names_and_titles_are_told_apart_from_those_of_labels():
    assert not {*NUMERIC_TITLES} & {*TITLES_OF_LABELS}
    assert not {*NUMERIC_TITLES.values()} & {*TITLES_OF_LABELS.values()}
    assert [*TITLES] == [*FETCHERS]


def test_without_files_a_part_is_missing_as_the_whole_is(tmp_path, capsys):
    assert available(tmp_path) == ["diabetes_progression", "iris_petal"]
    here, missing = find_tables([*NUMERIC_TITLES], str(tmp_path), download=False)
    assert here == ["diabetes_progression", "iris_petal"]
    assert {"california_4000", "california_housing", "abalone_rings"} <= {*missing}
    assert "California, 4000 rows" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"California, 4000 rows.*\n.*diabetes_progression does"):
        find_tables(["california_4000"], str(tmp_path), download=False)


def test_with_the_file_the_part_is_there_too():
    load("california_housing")
    names = ["california_4000", "california_housing"]
    assert find_tables(names, str(DATA_HOME), download=False) == (names, [])
