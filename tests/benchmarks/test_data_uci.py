"""The loaders against the facts of the published files, and against damaged copies of them."""

import functools
import hashlib
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import get_data_home, load_iris
from sklearn.utils import Bunch

from benchmarks._data import published, uci
from benchmarks._data.uci import FETCHERS, available, fetch_iris
from tests.real_data import DATA_HOME, find_or_skip

# The file that the damage tests damage, and an edit that leaves rows, columns and classes as they
# were: one digit, or for the nominal tables one code, of one row.
FILES = {
    "abalone": ("abalone.data", b"M,0.35,0.265,", b"M,0.35,0.266,"),
    "arcene": ("arcene_valid.data", b" 156 138 2 635 ", b" 156 138 3 635 "),
    "arrhythmia": ("arrhythmia.data", b"75,0,190,80,91,", b"75,1,190,80,91,"),
    "htru2": ("HTRU_2.csv", b"102.5078125,58.88243001", b"102.5078125,58.88243002"),
    "iris": ("iris.data", b"4.9,3.1,1.5,0.1", b"4.9,3.1,1.5,0.2"),
    "website_phishing": ("PhishingData.arff", b"1,-1,1,-1,-1,1,1,1,0,", b"1,-1,1,-1,-1,1,1,1,1,"),
    "phishing_websites": ("Training Dataset.arff", b"-1,1,1,1,-1,-1,-1,", b"-1,0,1,1,-1,-1,-1,"),
}
NAMES = list(FETCHERS)


def path_of(name: str, home: Path) -> Path:
    return home / "uci" / name / FILES[name][0]


@functools.cache
def load(name: str) -> Bunch:
    """Load one real data set, once for all tests; they only read it."""
    find_or_skip(f"uci/{name}/{FILES[name][0]}")
    return FETCHERS[name](DATA_HOME, download_if_missing=False)


@pytest.fixture
def home_with(tmp_path):
    """Copy the files of a data set to a data home of its own."""

    def copy(name: str) -> Path:
        load(name)
        # copyfile leaves the permissions behind: the originals may be read-only.
        there, here = DATA_HOME / "uci" / name, tmp_path / "uci" / name
        shutil.copytree(there, here, copy_function=shutil.copyfile)
        return tmp_path

    return copy


@pytest.fixture
def no_network(monkeypatch):
    """Make every download fail as it does without a network."""
    pooch = pytest.importorskip("pooch")

    def refuse(url, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.fixture
def served(serve, monkeypatch, tmp_path):
    """Serve a folder of archives in place of UCI; give that folder."""
    archives = tmp_path / "archives"
    archives.mkdir()
    monkeypatch.setattr(published, "UCI", serve(archives))
    return archives


def assert_same(ours: Bunch, theirs: Bunch) -> None:
    assert ours.data.equals(theirs.data)  # 10,000 columns at once, dtypes too
    assert ours.data.columns.equals(theirs.data.columns)
    np.testing.assert_array_equal(ours.target, theirs.target)


# ------------------------------------------------------------------------------ the real files


@pytest.mark.parametrize(
    ("name", "shape", "n_nominal", "counts"),
    [
        (
            "abalone",
            (4177, 8),
            1,
            # Rings 1 to 27, and 29.
            [
                *(1, 1, 15, 57, 115, 259, 391, 568, 689, 634, 487, 267, 203, 126, 103, 67, 58, 42),
                *(32, 26, 14, 6, 9, 2, 1, 1, 2, 1),
            ],
        ),
        ("arcene", (200, 10_000), 0, [112, 88]),
        ("arrhythmia", (452, 279), 73, [245, 44, 15, 15, 13, 25, 3, 2, 9, 50, 4, 5, 22]),
        ("htru2", (17_898, 8), 0, [16_259, 1639]),
        ("iris", (150, 4), 0, [50, 50, 50]),
        ("website_phishing", (1353, 9), 9, [702, 103, 548]),
        ("phishing_websites", (11_055, 30), 30, [4898, 6157]),
    ],
)
def test_bunch_has_the_published_counts(name, shape, n_nominal, counts):
    bunch = load(name)
    assert set(bunch) == {
        *("data", "target", "feature_names", "target_names", "categorical_columns"),
        *("DESCR", "name"),
    }
    assert bunch.name == name
    assert bunch.data.shape == shape
    assert bunch.target.shape == shape[:1]
    assert list(bunch.data.columns) == bunch.feature_names
    assert len(set(bunch.feature_names)) == shape[1]
    assert len(bunch.categorical_columns) == n_nominal
    assert set(bunch.categorical_columns) <= set(bunch.feature_names)
    classes, found = np.unique(bunch.target, return_counts=True)
    assert found.tolist() == counts
    assert len(bunch.target_names) == len(classes)
    assert bunch.target.dtype.kind == ("U" if name == "iris" else "i")
    numeric = bunch.data.drop(columns="sex") if name == "abalone" else bunch.data
    assert set(numeric.dtypes) == {np.dtype("float64")}
    assert bunch.data.index.equals(pd.RangeIndex(shape[0]))


@pytest.mark.parametrize("name", NAMES)
def test_descr_names_the_set_its_source_and_its_counts(name):
    bunch = load(name)
    assert re.sub(r"\W", "_", bunch.DESCR.partition(":")[0]).lower() == name
    assert "https://archive.ics.uci.edu/static/public/" in bunch.DESCR
    assert f"{len(bunch.data)} rows, {bunch.data.shape[1]} features" in bunch.DESCR
    first_count = np.unique(bunch.target, return_counts=True)[1][0]
    assert f": {bunch.target_names[0]} ({first_count})" in bunch.DESCR


def test_abalone_first_and_last_row_and_its_oddities():
    bunch = load("abalone")
    first = ["M", 0.455, 0.365, 0.095, 0.514, 0.2245, 0.101, 0.15]
    assert bunch.data.iloc[0].tolist() == first
    assert bunch.target[[0, -1]].tolist() == [15, 12]
    assert bunch.data["sex"].value_counts().to_dict() == {"M": 1528, "I": 1342, "F": 1307}
    assert bunch.data["sex"].cat.categories.tolist() == ["F", "I", "M"]
    assert bunch.categorical_columns == ["sex"]
    assert (bunch.data["height"] == 0).sum() == 2
    assert bunch.target_names == [str(rings) for rings in np.unique(bunch.target)]


def test_arcene_parts_have_the_check_sums_of_arcene_param():
    bunch = load("arcene")
    train, valid = bunch.data.iloc[:100], bunch.data.iloc[100:]
    assert train.to_numpy().sum() == 70_726_744
    assert valid.to_numpy().sum() == 71_410_108
    assert (train.nunique() == 1).sum() == 80
    assert (valid.nunique() == 1).sum() == 123
    assert [(part == -1).sum() for part in (bunch.target[:100], bunch.target[100:])] == [56, 56]
    # The labels belong to their part: those of the training part begin 1, -1, 1, 1.
    assert bunch.target[[0, 1, 2, 3, 100, 101, 102, 103]].tolist() == [1, -1, 1, 1, -1, -1, -1, 1]
    assert bunch.data.iloc[100, :6].tolist() == [0, 0, 156, 138, 2, 635]
    assert bunch.target_names == ["normal", "cancer"]


def test_arrhythmia_missing_values_stay_missing():
    data = load("arrhythmia").data
    missing = data.isna().sum()
    assert missing[missing > 0].to_dict() == {
        "T_angle": 8,
        "P_angle": 22,
        "QRST_angle": 1,
        "J_angle": 376,
        "heart_rate": 1,
    }
    assert [data.columns.get_loc(name) for name in missing.index[missing > 0]] == [*range(10, 15)]
    assert data.isna().any(axis=1).sum() == 384
    assert (data.nunique() == 1).sum() == 17


def test_arrhythmia_nominal_columns_are_those_of_the_documentation():
    bunch = load("arrhythmia")
    expected = [2, *(column + 12 * lead for lead in range(12) for column in range(22, 28))]
    found = [bunch.data.columns.get_loc(name) + 1 for name in bunch.categorical_columns]
    assert found == expected
    assert set(np.unique(bunch.data[bunch.categorical_columns])) == {0, 1}
    # The documentation's own examples of the layout, columns from 1.
    assert bunch.feature_names[159] == "DI_JJ_amplitude"
    assert bunch.feature_names[147] == "V6_Q_width"
    assert bunch.feature_names[21:27] == [
        *("DI_ragged_R", "DI_diphasic_R", "DI_ragged_P", "DI_diphasic_P"),
        *("DI_ragged_T", "DI_diphasic_T"),
    ]
    assert bunch.target_names[0] == "Normal"
    assert dict(zip(np.unique(bunch.target), bunch.target_names, strict=True))[16] == "Others"


def test_htru2_tells_skewness_from_kurtosis():
    bunch = load("htru2")
    assert bunch.data.iloc[0, :4].tolist() == [140.5625, 55.68378214, -0.234571412, -0.699648398]
    # Whatever the distribution, excess kurtosis >= skewness**2 - 2 (Pearson).
    for signal in ("profile", "dm_snr"):
        skewness, kurtosis = bunch.data[f"{signal}_skewness"], bunch.data[f"{signal}_kurtosis"]
        assert (kurtosis >= skewness**2 - 2).all()
        assert not (skewness >= kurtosis**2 - 2).all()
    assert bunch.target_names == ["noise", "pulsar"]


@pytest.mark.parametrize(
    ("name", "n_repeated", "n_three_valued", "classes"),
    [
        ("website_phishing", 629, 7, ["phishing", "suspicious", "legitimate"]),
        ("phishing_websites", 5206, 8, ["phishing", "legitimate"]),
    ],
)
def test_phishing_tables(name, n_repeated, n_three_valued, classes):
    bunch = load(name)
    assert bunch.data.assign(target=bunch.target).duplicated().sum() == n_repeated
    assert set(np.unique(bunch.data)) == {-1, 0, 1}
    assert (bunch.data.nunique() == 3).sum() == n_three_valued
    assert bunch.categorical_columns == bunch.feature_names
    assert bunch.target_names == classes


# --------------------------------------------------------------------------------------- iris


def test_iris_without_a_file_is_the_one_of_scikit_learn(tmp_path, no_network):
    ours, theirs = fetch_iris(tmp_path), load_iris()
    np.testing.assert_array_equal(ours.data, theirs.data)
    assert ours.target.tolist() == [f"Iris-{theirs.target_names[c]}" for c in theirs.target]
    assert "comes with scikit-learn" in ours.DESCR


def test_iris_of_uci_differs_from_scikit_learn_in_three_values(tmp_path):
    ours, theirs = load("iris"), load_iris()
    rows, columns = np.nonzero(ours.data.to_numpy() != theirs.data)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(34, 3), (37, 1), (37, 2)]
    assert ours.data.to_numpy()[rows, columns].tolist() == [0.1, 3.1, 1.5]
    assert ours.target.tolist() == fetch_iris(tmp_path).target.tolist()
    assert "comes with scikit-learn" not in ours.DESCR


# ----------------------------------------------------------------- damaged, and merely different


def flip_one_value(content: bytes, name: str) -> bytes:
    _, before, after = FILES[name]
    assert before in content
    return content.replace(before, after, 1)


def cut_mid_line(content: bytes, name: str) -> bytes:
    whole = content.rstrip()
    last_line = max(whole.rfind(b"\n"), whole.rfind(b"\r")) + 1
    return whole[: (last_line + len(whole)) // 2]


def exchange_two_rows(content: bytes, name: str) -> bytes:
    *rest, a, b = content.split()
    assert a != b
    return b"\n".join([*rest, b, a])


DAMAGES = {
    "empty": lambda content, name: b"",
    "blank": lambda content, name: b" \n\n",
    "garbage": lambda content, name: bytes(range(256)) * 64,
    "half": lambda content, name: content[: len(content) // 2],
    "cut mid-line": cut_mid_line,
    "last row lost": lambda content, name: content.rstrip().rpartition(b"\n")[0] + b"\n",
    "last row twice": lambda content, name: content.rstrip() + b"\n" + content.split()[-1] + b"\n",
    "extra bytes": lambda content, name: content + b"\x00\x00",
    "extra text": lambda content, name: content + b"</html>",
    "header line": lambda content, name: re.sub(rb"(@data\s+|\A(?!@))", rb"\1a,b,c\n", content),
    "first column lost": lambda content, name: re.sub(rb"(?m)^[^@, \r\n]+[, ]", b"", content),
    "column added": lambda content, name: re.sub(
        rb"(?m)(?<=\d|[a-z ])(?=\r?$)", b" 1" if name == "arcene" else b",1", content
    ),
    "one value flipped": flip_one_value,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_an_error_that_names_it(home_with, no_network, name, damage):
    home = home_with(name)
    file = path_of(name, home)
    content = DAMAGES[damage](file.read_bytes(), name)
    assert content != file.read_bytes()
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged: .*Delete it and fetch again") as raised:
        FETCHERS[name](home)
    assert str(file) in str(raised.value)


def test_error_says_what_was_expected_and_what_was_found(home_with):
    home = home_with("abalone")
    file = path_of("abalone", home)
    content = flip_one_value(file.read_bytes(), "abalone")
    file.write_bytes(content)
    found = hashlib.sha256(content.rstrip()).hexdigest()
    with pytest.raises(ValueError, match=rf"expected the checksum \w{{64}} of its text.*{found}"):
        uci.fetch_abalone(home)


def test_exchanged_rows_are_noticed_though_every_count_is_right(home_with):
    home = home_with("arcene")
    labels = home / "uci" / "arcene" / "arcene_train.labels"
    content = labels.read_bytes()
    labels.write_bytes(content[:-2].rstrip() + b"\n1\n")
    uci.fetch_arcene(home)
    labels.write_bytes(exchange_two_rows(content.rstrip()[:-1].rstrip(), "arcene") + b"\n1\n")
    with pytest.raises(ValueError, match=r"arcene_train\.labels.*expected the checksum"):
        uci.fetch_arcene(home)


def test_renamed_attribute_is_noticed(home_with):
    home = home_with("website_phishing")
    file = path_of("website_phishing", home)
    file.write_bytes(file.read_bytes().replace(b"@attribute SFH", b"@attribute HFS"))
    with pytest.raises(ValueError, match=r"PhishingData\.arff.*expected the checksum"):
        uci.fetch_website_phishing(home)


@pytest.mark.parametrize(
    "line_end", [b"\n", b"\r\n", b"\r", b" \n"], ids=["LF", "CRLF", "CR", "trailing blank"]
)
@pytest.mark.parametrize("name", NAMES)
def test_line_ends_do_not_matter(home_with, name, line_end):
    home = home_with(name)
    file = path_of(name, home)
    file.write_bytes(line_end.join(line.rstrip() for line in file.read_bytes().splitlines()))
    assert_same(FETCHERS[name](home), load(name))


# ------------------------------------------------------------------------------- where files are


@pytest.mark.parametrize("name", [name for name in NAMES if name != "iris"])
@pytest.mark.parametrize("download_if_missing", [True, False])
def test_missing_file_says_which_where_and_whence(tmp_path, no_network, name, download_if_missing):
    with pytest.raises(OSError, match="SKLEARN_MIXUP_DATA") as raised:
        FETCHERS[name](tmp_path, download_if_missing)
    message = str(raised.value)
    assert str(path_of(name, tmp_path)) in message
    assert re.search(r"https://archive\.ics\.uci\.edu/static/public/\d+/[\w+]+\.zip", message)
    assert "SKLEARN_MIXUP_DATA" in message
    expected = "no route to host" if download_if_missing else "download_if_missing is False"
    assert expected in message


def test_nothing_is_downloaded_if_that_is_not_wanted(tmp_path, served):
    with pytest.raises(OSError, match="download_if_missing is False"):
        uci.fetch_abalone(tmp_path / "home", download_if_missing=False)
    assert not (tmp_path / "home").exists()


def test_missing_pooch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install pooch") as raised:
        uci.fetch_htru2(tmp_path)
    assert str(path_of("htru2", tmp_path)) in str(raised.value)


def test_environment_variable_is_used_and_the_argument_wins(home_with, monkeypatch, tmp_path):
    home = home_with("website_phishing")
    monkeypatch.setenv("SKLEARN_MIXUP_DATA", str(home))
    assert_same(uci.fetch_website_phishing(download_if_missing=False), load("website_phishing"))
    with pytest.raises(OSError, match="elsewhere"):
        uci.fetch_website_phishing(tmp_path / "elsewhere", download_if_missing=False)
    monkeypatch.setenv("SKLEARN_MIXUP_DATA", str(tmp_path / "elsewhere"))
    assert_same(uci.fetch_website_phishing(str(home), False), load("website_phishing"))


def test_without_argument_and_variable_it_is_the_home_of_scikit_learn(home_with, monkeypatch):
    home = home_with("website_phishing")
    monkeypatch.delenv("SKLEARN_MIXUP_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    assert get_data_home() == str(home)
    assert available() == ["iris", "website_phishing"]
    assert_same(uci.fetch_website_phishing(download_if_missing=False), load("website_phishing"))


def test_looking_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SKLEARN_MIXUP_DATA", raising=False)
    monkeypatch.delenv("SCIKIT_LEARN_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert available() == ["iris"]
    assert fetch_iris().name == "iris"
    with pytest.raises(OSError, match="SKLEARN_MIXUP_DATA") as raised:
        uci.fetch_abalone(download_if_missing=False)
    assert list(tmp_path.iterdir()) == []
    assert str(path_of("abalone", Path(get_data_home()))) in str(raised.value)


def test_available_lists_what_loads_without_a_network(home_with, tmp_path, no_network):
    assert available(tmp_path) == ["iris"]
    home_with("arcene")
    assert available(tmp_path) == ["arcene", "iris"]
    (tmp_path / "uci" / "arcene" / "arcene_valid.labels").unlink()
    assert available(tmp_path) == ["iris"]


def test_fetchers_are_the_public_loaders_in_order():
    assert [
        *("abalone", "arcene", "arrhythmia", "htru2", "iris"),
        *("website_phishing", "phishing_websites"),
    ] == NAMES
    for name, fetcher in FETCHERS.items():
        assert fetcher is getattr(uci, f"fetch_{name}")


# ------------------------------------------------------------------------------------- download


def zip_files(archive: Path, files: dict[str, bytes]) -> None:
    archive.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)


def test_downloads_what_is_missing_and_only_once(served, tmp_path):
    expected, home = load("arcene"), tmp_path / "home"
    contents = {file.name: file.read_bytes() for file in (DATA_HOME / "uci" / "arcene").glob("*_*")}
    # As UCI has it: some files in a folder, some beside it, and more than is wanted.
    files = {
        name if "valid.labels" in name else f"ARCENE/{name}": content
        for name, content in contents.items()
    }
    zip_files(served / "167" / "arcene.zip", {**files, "ARCENE/arcene_test.data": b"1 2 3"})
    assert_same(uci.fetch_arcene(home), expected)
    assert sorted(p.name for p in (home / "uci" / "arcene").iterdir()) == sorted(contents)

    (served / "167" / "arcene.zip").unlink()
    assert_same(uci.fetch_arcene(home), expected)


def test_download_keeps_the_files_that_are_there(served, home_with):
    home = home_with("arcene")
    contents = {file.name: file.read_bytes() for file in (home / "uci" / "arcene").iterdir()}
    zip_files(served / "167" / "arcene.zip", contents)
    mine, lost = (home / "uci" / "arcene" / f"arcene_{part}.labels" for part in ("train", "valid"))
    mine.write_bytes(b"mine")
    lost.unlink()
    with pytest.raises(ValueError, match=r"arcene_train\.labels' is damaged"):
        uci.fetch_arcene(home)
    assert mine.read_bytes() == b"mine"
    assert lost.read_bytes() == contents[lost.name]

    mine.unlink()
    assert_same(uci.fetch_arcene(home), load("arcene"))


def test_downloaded_file_is_checked(served, tmp_path):
    load("abalone")
    content = flip_one_value(path_of("abalone", DATA_HOME).read_bytes(), "abalone")
    zip_files(served / "1" / "abalone.zip", {"abalone.data": content})
    with pytest.raises(ValueError, match=r"abalone\.data' is damaged"):
        uci.fetch_abalone(tmp_path / "home")


@pytest.mark.parametrize("archive", ["absent", "no zip", "other files"])
def test_failed_download_leaves_no_file(served, tmp_path, archive):
    if archive == "no zip":
        (served / "1").mkdir()
        (served / "1" / "abalone.zip").write_bytes(b"<html>Sorry</html>")
    if archive == "other files":
        zip_files(served / "1" / "abalone.zip", {"Index": b""})
    reason = {"absent": "404", "no zip": "not a zip", "other files": r"holds only \['Index'\]"}
    with pytest.raises(OSError, match=f"download failed .*{reason[archive]}") as raised:
        uci.fetch_abalone(tmp_path / "home")
    assert str(path_of("abalone", tmp_path / "home")) in str(raised.value)
    assert list((tmp_path / "home" / "uci" / "abalone").iterdir()) == []
