"""The loaders of more tables against the facts of the published files, and damaged copies.

Those of `numeric` are here for what has to do with files.
"""

import functools
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.utils import Bunch

from benchmarks._data import mixed, mixed_files, numeric, numeric_files, published
from benchmarks._data.mixed import available
from benchmarks._data.tables import load_table
from tests.real_data import DATA_HOME, find_or_skip

FACTS = {facts.name: facts for facts in mixed_files.DATA_SETS} | numeric_files.DATA_SETS
FETCHERS = mixed.FETCHERS | numeric.FETCHERS


def file_of(name: str) -> str:
    archive = FACTS[name].archive()
    (file,) = archive.files
    return f"{archive.folder}/{file}"


def find(name: str):
    return find_or_skip(file_of(name))


@functools.cache
def load(name: str) -> Bunch:
    """Load one real data set, once for all tests; they only read it."""
    if name in FACTS:
        find(name)
    return FETCHERS[name](DATA_HOME, download_if_missing=False)


@pytest.fixture
def home_with(tmp_path):
    """Copy the file of a data set to a data home of its own."""

    def copy(name: str):
        file = tmp_path / file_of(name)
        file.parent.mkdir(parents=True)
        shutil.copyfile(find(name), file)
        return tmp_path, file

    return copy


def assert_same(ours: Bunch, theirs: Bunch) -> None:
    pd.testing.assert_frame_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.target, theirs.target)


COUNTS = {  # rows and columns, nominal columns, columns of words, missing values, rows by class
    "adult": ((32_561, 14), 8, 8, 4262, [24_720, 7841]),
    "german_credit": ((1000, 20), 13, 13, 0, [700, 300]),
    "credit_approval": ((690, 15), 9, 9, 67, [307, 383]),
    "horse_colic": ((299, 21), 14, 0, 1602, [178, 77, 44]),
    "cmc": ((1473, 9), 4, 0, 0, [629, 333, 511]),
    "dermatology": ((366, 34), 0, 0, 8, [112, 61, 72, 49, 52, 20]),
    "segment": ((2310, 19), 0, 0, 0, [330] * 7),
    "magic": ((19_020, 10), 0, 0, 0, [12_332, 6688]),
    "glass": ((214, 9), 0, 0, 0, [70, 76, 17, 13, 9, 29]),
    "phoneme": ((5404, 5), 0, 0, 0, [3818, 1586]),
    "diabetes": ((442, 10), 1, 0, 0, [221, 221]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_bunch_has_the_published_counts(name):
    shape, n_nominal, n_words, n_missing, counts = COUNTS[name]
    bunch = load(name)
    assert bunch.name == name
    assert bunch.data.shape == shape
    assert list(bunch.data.columns) == bunch.feature_names
    assert bunch.data.index.equals(pd.RangeIndex(shape[0]))
    assert len(bunch.categorical_columns) == n_nominal
    assert set(bunch.categorical_columns) <= set(bunch.feature_names)
    words = bunch.data.select_dtypes("category")
    assert words.shape[1] == n_words
    assert set(words) <= set(bunch.categorical_columns)
    assert set(bunch.data.drop(columns=list(words)).dtypes) <= {np.dtype("float64")}
    assert bunch.data.isna().sum().sum() == n_missing
    found = np.unique(bunch.target, return_counts=True)[1]
    assert found.tolist() == counts
    assert len(bunch.target_names) == len(counts)
    assert f"{bunch.target_names[0]} ({counts[0]})" in bunch.DESCR
    assert f"{shape[0]} rows, {shape[1]} features" in bunch.DESCR
    assert ("https://" in bunch.DESCR) != ("comes with scikit-learn" in bunch.DESCR)


def test_adult_has_words_without_blanks_and_gaps_where_the_file_has_marks():
    bunch = load("adult")
    first = bunch.data.iloc[0]
    assert first[["age", "workclass", "education_num", "race"]].tolist() == [
        *(39, "State-gov", 13, "White")
    ]
    missing = bunch.data.isna().sum()
    assert missing[missing > 0].to_dict() == {
        "workclass": 1836,
        "occupation": 1843,
        "native_country": 583,
    }
    assert set(bunch.target) == {"<=50K", ">50K"}


def test_horse_colic_leaves_out_what_is_known_only_after_the_outcome():
    bunch = load("horse_colic")
    left_out = {"hospital_number", "surgical_lesion", "lesion_1", "pathology", "outcome"}
    assert not left_out & set(bunch.data)
    # The first horse: surgery 2, age 1, 38.5 degrees, pulse 66, cells 45.0, protein 8.4, died.
    numbers = ["surgery", "age", "rectal_temperature", "pulse", "packed_cell_volume"]
    assert bunch.data.iloc[0][numbers].tolist() == [2, 1, 38.5, 66, 45]
    assert bunch.target[:3].tolist() == [2, 3, 1]


def test_diabetes_above_140_is_half_of_the_rows_of_scikit_learn():
    bunch, theirs = load("diabetes"), load_diabetes(scaled=False)
    np.testing.assert_array_equal(bunch.data, theirs.data)
    np.testing.assert_array_equal(bunch.target, theirs.target > 140)
    assert set(bunch.data["sex"]) == {1, 2}
    assert bunch.categorical_columns == ["sex"]


@pytest.mark.parametrize("name", ["adult", "magic"])
def test_of_large_tables_the_same_4000_rows_are_taken_class_by_class(name):
    bunch = load(name)
    load_table.cache_clear()
    table = load_table(name, str(DATA_HOME))
    load_table.cache_clear()
    again = load_table(name, str(DATA_HOME))
    assert table.X.shape == (4000, bunch.data.shape[1])
    assert table.source == "published, 4000 rows"
    pd.testing.assert_frame_equal(table.X, again.X)
    shares = [np.unique(y, return_counts=True)[1] / len(y) for y in (table.y, bunch.target)]
    np.testing.assert_allclose(*shares, atol=1 / 4000)
    rows, taken = (
        set(map(str, X.assign(target=y).itertuples(index=False, name=None)))
        for X, y in ((bunch.data, bunch.target), (table.X, table.y))
    )
    assert taken <= rows


# -- where files are, and damaged ones ------------------------------------------------------------


@pytest.mark.parametrize("name", FACTS)
def test_damaged_file_is_an_error_that_names_it(home_with, name):
    home, file = home_with(name)
    content = file.read_bytes()
    digit = max(content.rfind(b"1"), content.rfind(b"2"), content.rfind(b"0"))
    for damaged in (b"", bytes(range(256)), content[: len(content) // 2], content + b"</html>"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged: .*Delete it and fetch") as raised:
            FETCHERS[name](home)
        assert str(file) in str(raised.value)
    file.write_bytes(content[:digit] + b"3" + content[digit + 1 :])
    with pytest.raises(ValueError, match="is damaged: expected the checksum"):
        FETCHERS[name](home)


@pytest.mark.parametrize("line_end", [b"\r\n", b" \n"], ids=["CRLF", "trailing blank"])
@pytest.mark.parametrize("name", ["german_credit", "credit_approval", "phoneme"])
def test_line_ends_do_not_matter(home_with, name, line_end):
    home, file = home_with(name)
    file.write_bytes(line_end.join(line.rstrip() for line in file.read_bytes().splitlines()))
    assert_same(FETCHERS[name](home), load(name))


@pytest.mark.parametrize("name", FACTS)
def test_missing_file_says_which_where_and_whence(tmp_path, name):
    with pytest.raises(FileNotFoundError) as raised:
        FETCHERS[name](tmp_path, download_if_missing=False)
    message = str(raised.value)
    assert str(tmp_path / file_of(name)) in message
    assert "download_if_missing is False" in message
    archive = FACTS[name].archive()
    assert f"{'Copy' if archive.is_plain else 'Unpack'} {archive.url} in" in message
    assert f"it as '{file_of(name)}'" in message


def test_every_loader_of_mixed_kinds_is_counted():
    assert [*COUNTS] == [*mixed.FETCHERS]


def test_available_lists_what_loads_without_a_network(home_with, tmp_path):
    assert available(tmp_path) == ["diabetes"]
    home, _ = home_with("glass")
    assert available(home) == ["glass", "diabetes"]
    assert_same(mixed.fetch_glass(home, download_if_missing=False), load("glass"))


def test_archive_of_uci_is_downloaded_and_unpacked(serve, monkeypatch, tmp_path):
    pytest.importorskip("pooch")
    served = tmp_path / "served" / "42"
    served.mkdir(parents=True)
    with zipfile.ZipFile(served / "glass+identification.zip", "w") as zipped:
        zipped.write(find("glass"), "glass.data")
    monkeypatch.setattr(published, "UCI", serve(tmp_path / "served"))
    assert_same(mixed.fetch_glass(tmp_path / "home"), load("glass"))


@pytest.mark.parametrize("is_damaged", [False, True])
def test_file_that_is_published_as_it_is_is_downloaded_and_checked(
    serve, monkeypatch, tmp_path, is_damaged
):
    pytest.importorskip("pooch")
    served, home = tmp_path / "served", tmp_path / "home"
    served.mkdir()
    content = find("phoneme").read_bytes()
    (served / "phoneme.csv").write_bytes(
        content.replace(b"1.24", b"1.25") if is_damaged else content
    )
    facts = mixed_files.PHONEME
    url = f"{serve(served)}/phoneme.csv"
    monkeypatch.setattr(mixed_files, "PHONEME", type(facts)(**(vars(facts) | {"url": url})))
    if is_damaged:
        with pytest.raises(OSError, match=r"the download failed .*hash"):
            mixed.fetch_phoneme(home)
        assert list((home / "tables" / "phoneme").iterdir()) == []
    else:
        assert_same(mixed.fetch_phoneme(home), load("phoneme"))
