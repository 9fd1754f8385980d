"""The UCI tables of the mixup paper as scikit-learn Bunches: one ``fetch_*`` for each data set.

A loader reads the files as UCI publishes them, from ``uci/<data set>/`` below the data home, which
is the argument `data_home`, else the environment variable ``SKLEARN_MIXUP_DATA``, else
:func:`sklearn.datasets.get_data_home`. A missing file is downloaded from UCI. Every value is
compared, through a checksum, with what the file should say, so a damaged file is an error and
never a result. The bytes are not: copies in circulation differ in line ends and trailing blanks.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.utils import Bunch

from benchmarks._data_home import ENVIRONMENT_VARIABLE, DataHome, find_data_home
from benchmarks._picture_sets import fetch_cifar10, fetch_cifar100  # noqa: F401
from benchmarks._speech_sets import fetch_speech_commands  # noqa: F401

_UCI = "https://archive.ics.uci.edu/static/public"


@dataclass(frozen=True)
class _File:
    """One file as UCI publishes it, and what it should say."""

    name: str
    n_rows: int
    columns: tuple[str, ...]
    sha256: str  # of the values: float64, little-endian, row by row, words as their codes
    class_counts: Mapping[int, int] = field(default_factory=dict)  # of the last column
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> codes' words
    delimiter: str | None = ","  # None: blanks


@dataclass(frozen=True)
class _DataSet:
    """One data set; its files are put together like the blocks of a matrix, the target last."""

    name: str
    title: str
    archive: str
    citation: str
    files: tuple[tuple[_File, ...], ...]
    class_names: Mapping[int, str]
    categorical_columns: tuple[str, ...] = ()
    note: str = ""

    @property
    def url(self) -> str:
        """Where UCI has the archive."""
        return f"{_UCI}/{self.archive}"

    def folder(self, data_home: DataHome) -> Path:
        """Where the files are, or go."""
        return find_data_home(data_home) / "uci" / self.name

    def missing(self, data_home: DataHome) -> list[Path]:
        """Paths of the files that are not there."""
        paths = [self.folder(data_home) / file.name for row in self.files for file in row]
        return [path for path in paths if not path.exists()]


def _names(text: str) -> tuple[str, ...]:
    """Split a line of names."""
    return tuple(text.split())


_ABALONE = _DataSet(
    name="abalone",
    title="Abalone",
    archive="1/abalone.zip",
    citation="Nash, Sellers, Talbot, Cawthorn, Ford (1994), https://doi.org/10.24432/C55C7W",
    files=(
        (
            _File(
                name="abalone.data",
                n_rows=4177,
                columns=_names(
                    "sex length diameter height whole_weight shucked_weight viscera_weight "
                    "shell_weight rings"
                ),
                sha256="9a244ea5d8a2283612a63ac1bd269b2d175f181130e4c4a3d06c4f0e37afa041",
                class_counts={
                    **{1: 1, 2: 1, 3: 15, 4: 57, 5: 115, 6: 259, 7: 391, 8: 568, 9: 689, 10: 634},
                    **{11: 487, 12: 267, 13: 203, 14: 126, 15: 103, 16: 67, 17: 58, 18: 42, 19: 32},
                    **{20: 26, 21: 14, 22: 6, 23: 9, 24: 2, 25: 1, 26: 1, 27: 2, 29: 1},
                },
                words={"sex": ("F", "I", "M")},
            ),
        ),
    ),
    class_names={rings: str(rings) for rings in (*range(1, 28), 29)},
    categorical_columns=("sex",),
    note="The class is the number of rings; 28 does not occur. Two rows have height 0.",
)

_ARCENE_COLUMNS = tuple(f"x{i}" for i in range(10_000))

_ARCENE = _DataSet(
    name="arcene",
    title="Arcene",
    archive="167/arcene.zip",
    citation="Guyon, Gunn, Ben-Hur, Dror (2004), https://doi.org/10.24432/C58P55",
    files=tuple(
        (
            _File(f"arcene_{part}.data", 100, _ARCENE_COLUMNS, values_sha256, delimiter=None),
            _File(f"arcene_{part}.labels", 100, ("label",), labels_sha256, {-1: 56, 1: 44}),
        )
        for part, values_sha256, labels_sha256 in (
            (
                "train",
                "4fac809d28bd91101cd5cfcc95a2a6ef84ece3bb04960c9b138f9422a923f375",
                "3f95d1817d390d99be342d71b9ab1269154d22e57b3a2dd0e25a3d68846a6df5",
            ),
            (
                "valid",
                "4a184c72d5b99ab9dac72a5b2c56372de5ebb48215f32cbcc316c77a81878e2c",
                "9c8023a086d4583321d00e4ca6e92328fdbe5c03d1f0d24a2e57bb473db306a3",
            ),
        )
    ),
    class_names={-1: "normal", 1: "cancer"},
    note="UCI's training part (rows 0-99), then its validation part; the test part has no labels.",
)

_LEADS = _names("DI DII DIII AVR AVL AVF V1 V2 V3 V4 V5 V6")
_LEAD_SHAPES = tuple(f"{kind}_{wave}" for wave in "RPT" for kind in ("ragged", "diphasic"))
_LEAD_WIDTHS = _names("Q_width R_width S_width R'_width S'_width n_deflections")
_LEAD_AMPLITUDES = _names("JJ Q R S R' S' P T QRSA QRSTA")

_ARRHYTHMIA = _DataSet(
    name="arrhythmia",
    title="Arrhythmia",
    archive="5/arrhythmia.zip",
    citation="Guvenir, Acar, Muderrisoglu, Quinlan (1997), https://doi.org/10.24432/C5BS32",
    files=(
        (
            _File(
                name="arrhythmia.data",
                n_rows=452,
                columns=(
                    *_names(
                        "age sex height weight QRS_duration PR_interval QT_interval T_interval "
                        "P_interval QRS_angle T_angle P_angle QRST_angle J_angle heart_rate"
                    ),
                    *(f"{lead}_{x}" for lead in _LEADS for x in (*_LEAD_WIDTHS, *_LEAD_SHAPES)),
                    *(f"{lead}_{x}_amplitude" for lead in _LEADS for x in _LEAD_AMPLITUDES),
                    "class",
                ),
                sha256="41bada3c478b97414230442e9cf35d4f00bdbe72a8b5948eba6892a1e80ad835",
                class_counts={
                    **{1: 245, 2: 44, 3: 15, 4: 15, 5: 13, 6: 25, 7: 3, 8: 2, 9: 9, 10: 50},
                    **{14: 4, 15: 5, 16: 22},
                },
            ),
        ),
    ),
    class_names={
        1: "Normal",
        2: "Ischemic changes (coronary artery disease)",
        3: "Old anterior myocardial infarction",
        4: "Old inferior myocardial infarction",
        5: "Sinus tachycardia",
        6: "Sinus bradycardia",
        7: "Ventricular premature contraction",
        8: "Supraventricular premature contraction",
        9: "Left bundle branch block",
        10: "Right bundle branch block",
        14: "Left ventricular hypertrophy",
        15: "Atrial fibrillation or flutter",
        16: "Others",
    },
    categorical_columns=("sex", *(f"{lead}_{shape}" for lead in _LEADS for shape in _LEAD_SHAPES)),
    note="408 values are missing (NaN), 376 of them in J_angle. Classes 11-13 do not occur.",
)

_HTRU2 = _DataSet(
    name="htru2",
    title="HTRU2",
    archive="372/htru2.zip",
    citation="Lyon, Stappers, Cooper, Brooke, Knowles (2016), https://doi.org/10.24432/C5DK6R",
    files=(
        (
            _File(
                name="HTRU_2.csv",
                n_rows=17898,
                # As in UCI's ARFF file. Its Readme has kurtosis before skewness, which cannot be:
                # excess kurtosis >= skewness**2 - 2 holds for any distribution, and in all rows
                # this way round, but the other way round in only 7 % of the DM-SNR curves.
                columns=_names(
                    "profile_mean profile_std profile_skewness profile_kurtosis "
                    "dm_snr_mean dm_snr_std dm_snr_skewness dm_snr_kurtosis class"
                ),
                sha256="bff7e0d962f5762938f833075d6bbfd3ce229cdcfb30091b4ecaa7dca4a81a74",
                class_counts={0: 16259, 1: 1639},
            ),
        ),
    ),
    class_names={0: "noise", 1: "pulsar"},
)

_IRIS = _DataSet(
    name="iris",
    title="Iris",
    archive="53/iris.zip",
    citation="Fisher (1936), https://doi.org/10.24432/C56C76",
    files=(
        (
            _File(
                name="iris.data",
                n_rows=150,
                columns=_names("sepal_length sepal_width petal_length petal_width class"),
                sha256="c72f9a491f9a4961f47fafb750ab987c35af8bb337e3d21628812f55b9397933",
                class_counts={0: 50, 1: 50, 2: 50},
                words={"class": ("Iris-setosa", "Iris-versicolor", "Iris-virginica")},
            ),
        ),
    ),
    class_names={0: "Iris-setosa", 1: "Iris-versicolor", 2: "Iris-virginica"},
)

_WEBSITE_PHISHING_FEATURES = _names(
    "SFH popUpWidnow SSLfinal_State Request_URL URL_of_Anchor web_traffic URL_Length "
    "age_of_domain having_IP_Address"
)

_WEBSITE_PHISHING = _DataSet(
    name="website_phishing",
    title="Website Phishing",
    archive="379/website+phishing.zip",
    citation="Abdelhamid, Ayesh, Thabtah (2014), https://doi.org/10.24432/C5B301",
    files=(
        (
            _File(
                name="PhishingData.arff",
                n_rows=1353,
                columns=(*_WEBSITE_PHISHING_FEATURES, "Result"),
                sha256="8adc4e95b182583cb505b0322596a209f8efcc919afff49c71734093e19838b4",
                class_counts={-1: 702, 0: 103, 1: 548},
            ),
        ),
    ),
    class_names={-1: "phishing", 0: "suspicious", 1: "legitimate"},
    categorical_columns=_WEBSITE_PHISHING_FEATURES,
    note="629 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)

_PHISHING_WEBSITES_FEATURES = _names(
    "having_IP_Address URL_Length Shortining_Service having_At_Symbol double_slash_redirecting "
    "Prefix_Suffix having_Sub_Domain SSLfinal_State Domain_registeration_length Favicon port "
    "HTTPS_token Request_URL URL_of_Anchor Links_in_tags SFH Submitting_to_email Abnormal_URL "
    "Redirect on_mouseover RightClick popUpWidnow Iframe age_of_domain DNSRecord web_traffic "
    "Page_Rank Google_Index Links_pointing_to_page Statistical_report"
)

_PHISHING_WEBSITES = _DataSet(
    name="phishing_websites",
    title="Phishing Websites",
    archive="327/phishing+websites.zip",
    citation="Mohammad, McCluskey, Thabtah (2012), https://doi.org/10.24432/C51W2X",
    files=(
        (
            _File(
                name="Training Dataset.arff",
                n_rows=11055,
                columns=(*_PHISHING_WEBSITES_FEATURES, "Result"),
                sha256="063f4f87bd0f3724375b22c1f576c497e4e79ce4d55b90e09e7e1ca9c323618e",
                class_counts={-1: 4898, 1: 6157},
            ),
        ),
    ),
    class_names={-1: "phishing", 1: "legitimate"},
    categorical_columns=_PHISHING_WEBSITES_FEATURES,
    note="5206 rows repeat an earlier one, so a random split puts equal rows on both sides.",
)


def fetch_abalone(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Abalone: how many rings a shell has, from its sex and measures.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds, or gets, ``uci/abalone/abalone.data``. None: the environment variable
        ``SKLEARN_MIXUP_DATA``, and if that is not set :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Download a missing file from UCI with pooch. If False, a missing file is an error.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (4177, 8), float64, in the file's units (mm and g divided
          by 200) but for the categorical ``sex`` (F, I for infant, M);
        - ``target``: int64 array of shape (4177,), the rings: 1 to 27 and 29;
        - ``feature_names``, ``categorical_columns``: lists of column names, all and the nominal;
        - ``target_names``: list of the classes' names, in the order of ``np.unique(target)``;
        - ``name``, ``DESCR``: the key in `FETCHERS`, and a description with the source.

    Raises
    ------
    ValueError
        If the file is damaged: not the rows, columns, classes or values it should hold.
    OSError
        If the file is missing and cannot, or may not, be downloaded.
    ImportError
        If the file has to be downloaded and pooch is not installed.
    """
    return _fetch(_ABALONE, data_home, download_if_missing)


def fetch_arcene(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arcene: cancer or not, from a mass spectrum; far more columns than rows.

    Parameters, other fields and errors are those of :func:`fetch_abalone`.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (200, 10000), float64, whole numbers from 0 to 999: the
          100 rows of UCI's training part, then the 100 of its validation part;
        - ``target``: int64 array of shape (200,), -1 for normal, 1 for cancer.
    """
    return _fetch(_ARCENE, data_home, download_if_missing)


def fetch_arrhythmia(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arrhythmia: the kind of arrhythmia, from an electrocardiogram.

    Parameters, other fields and errors are those of :func:`fetch_abalone`.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (452, 279), float64, with 408 NaN where the file has
          ``?``, for the pipeline to impute; widths in ms, amplitudes in 0.1 mV, angles in degrees;
        - ``target``: int64 array of shape (452,), 1 (normal) to 16; 11, 12 and 13 are absent;
        - ``categorical_columns``: the 73 nominal columns, coded 0 and 1.
    """
    return _fetch(_ARRHYTHMIA, data_home, download_if_missing)


def fetch_htru2(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load HTRU2: is a candidate signal a pulsar, from moments of its profile.

    Parameters, other fields and errors are those of :func:`fetch_abalone`.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (17898, 8), float64: mean, standard deviation,
          skewness and excess kurtosis of the pulse profile, then of the DM-SNR curve;
        - ``target``: int64 array of shape (17898,), 1 for a pulsar, else 0.
    """
    return _fetch(_HTRU2, data_home, download_if_missing)


def fetch_iris(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Iris: the species of a flower; UCI's copy if it is there, else scikit-learn's.

    The two differ in three values: row 34 (from 0) has petal width 0.1 at UCI and 0.2 in
    scikit-learn, row 37 sepal width 3.1 and 3.6, petal length 1.5 and 1.4. ``DESCR`` says which
    copy it is. Other fields and errors are those of :func:`fetch_abalone`.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that may hold ``uci/iris/iris.data``, found as in :func:`fetch_abalone`.
    download_if_missing : bool, default=True
        Taken so that all loaders are called alike; nothing is ever downloaded.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (150, 4), float64, in cm;
        - ``target``: str array of shape (150,), as in UCI's file, such as ``"Iris-setosa"``.

    Examples
    --------
    >>> iris = fetch_iris()
    >>> iris.data.shape
    (150, 4)
    >>> iris.target_names
    ['Iris-setosa', 'Iris-versicolor', 'Iris-virginica']
    """
    if not _IRIS.missing(data_home):
        return _fetch(_IRIS, data_home, download_if_missing=False)
    copy = "the one that comes with scikit-learn; UCI's differs from it in three values"
    return _bunch(_IRIS, np.column_stack(load_iris(return_X_y=True)), copy=copy)


def fetch_website_phishing(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Website Phishing: is a page phishing, suspicious or legitimate; the small table.

    Parameters, other fields and errors are those of :func:`fetch_abalone`.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (1353, 9), float64, every column nominal, coded -1, 0, 1;
        - ``target``: int64 array of shape (1353,), -1 phishing, 0 suspicious, 1 legitimate.
    """
    return _fetch(_WEBSITE_PHISHING, data_home, download_if_missing)


def fetch_phishing_websites(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Phishing Websites: is a page phishing or legitimate; the large table.

    Parameters, other fields and errors are those of :func:`fetch_abalone`.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (11055, 30), float64, every column nominal, coded -1, 0, 1;
        - ``target``: int64 array of shape (11055,), -1 phishing, 1 legitimate.
    """
    return _fetch(_PHISHING_WEBSITES, data_home, download_if_missing)


FETCHERS: dict[str, Callable[..., Bunch]] = {
    "abalone": fetch_abalone,
    "arcene": fetch_arcene,
    "arrhythmia": fetch_arrhythmia,
    "htru2": fetch_htru2,
    "iris": fetch_iris,
    "website_phishing": fetch_website_phishing,
    "phishing_websites": fetch_phishing_websites,
}

_DATA_SETS = (
    _ABALONE,
    _ARCENE,
    _ARRHYTHMIA,
    _HTRU2,
    _IRIS,
    _WEBSITE_PHISHING,
    _PHISHING_WEBSITES,
)


def available(data_home: DataHome = None) -> list[str]:
    """Names of the data sets whose files are here, so that they load without a network.

    Parameters
    ----------
    data_home : path-like, default=None
        Where to look, as in :func:`fetch_abalone`.

    Returns
    -------
    list of str
        Keys of `FETCHERS`, in its order; ``"iris"`` always. The files are not opened.

    Examples
    --------
    >>> "iris" in available()
    True
    """
    return [
        data_set.name
        for data_set in _DATA_SETS
        if data_set is _IRIS or not data_set.missing(data_home)
    ]


def _fetch(data_set: _DataSet, data_home: DataHome, download_if_missing: bool) -> Bunch:
    """Find or download the files, read and check them, and put them together."""
    missing = data_set.missing(data_home)
    if missing and not download_if_missing:
        raise OSError(_how_to_get(data_set, missing, "download_if_missing is False"))
    if missing:
        _download(data_set, missing)
    folder = data_set.folder(data_home)
    blocks = [[_read(folder / file.name, file, data_set) for file in row] for row in data_set.files]
    values = np.block(blocks)
    return _bunch(data_set, values, copy=f"UCI's, read from {folder}")


def _how_to_get(data_set: _DataSet, missing: list[Path], reason: str) -> str:
    """Say which files are wanted, where they go and where they are from."""
    wanted = ", ".join(repr(str(path)) for path in missing)
    return (
        f"{data_set.title} needs {wanted}: not found, and {reason}. Unpack {data_set.url} there, "
        f"or let `data_home` or the environment variable {ENVIRONMENT_VARIABLE} name a folder "
        f"that has it as {'/'.join(missing[0].parts[-3:])!r}."
    )


def _download(data_set: _DataSet, missing: list[Path]) -> None:
    """Put each missing file in its place, whole or not at all."""
    try:
        import pooch
    except ImportError as error:
        reason = 'pooch is not installed (pip install "sklearn_mixup[benchmarks]")'
        raise ImportError(_how_to_get(data_set, missing, reason)) from error
    folder = missing[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            # UCI may pack its archives anew: the hash to check is that of the values, in `_read`.
            unpacked = pooch.retrieve(
                data_set.url,
                known_hash=None,
                path=scratch,
                processor=pooch.Unzip(),
                downloader=pooch.HTTPDownloader(stream=False),  # streams stay open after an error
            )
            # Some archives keep their files in a folder of their own, such as ARCENE/.
            members = {Path(member).name: member for member in unpacked}
            for path in missing:
                if path.name not in members:
                    raise FileNotFoundError(f"the archive holds only {sorted(members)}")
                os.replace(members[path.name], path)
    except (OSError, BadZipFile) as error:
        reason = f"the download failed ({error})"
        raise OSError(_how_to_get(data_set, missing, reason)) from error


def _read(path: Path, file: _File, data_set: _DataSet) -> np.ndarray:
    """Read the values of one file, (n_rows, n_columns) float64, or say how it is damaged."""
    content = path.read_bytes()
    try:
        values = _parse(content.decode(), file)
        _check(values, file, data_set.class_names)
    except ValueError as error:
        raise ValueError(
            f"{str(path)!r} is damaged: {error}. Delete it and fetch again; it is from "
            f"{data_set.url}."
        ) from error
    return values


def _parse(content: str, file: _File) -> np.ndarray:
    """Turn text into numbers, words into their codes and ``?`` into NaN."""
    lines = "\n".join(line.rstrip() for line in content.splitlines())
    if file.name.endswith(".arff"):
        # Not scipy.io.arff: it silently drops what a row has beyond the attributes.
        header, _, lines = lines.partition("\n@data\n")
        names = re.findall(r"^@attribute\s+(\S+)", header, flags=re.MULTILINE)
        if tuple(names) != file.columns:
            raise ValueError(f"expected the attributes {list(file.columns)}, found {names}")
    if not lines.strip():
        raise ValueError(f"expected {file.n_rows} rows, found none")
    return np.loadtxt(
        StringIO(lines.replace("?", "nan")),
        delimiter=file.delimiter,
        converters={file.columns.index(name): words.index for name, words in file.words.items()},
        comments=None,
        encoding=None,
        ndmin=2,
    )


def _check(values: np.ndarray, file: _File, class_names: Mapping[int, str]) -> None:
    """Raise ValueError unless the values are the published ones."""
    shape = (file.n_rows, len(file.columns))
    if values.shape != shape:
        raise ValueError(
            f"expected {shape[0]} rows of {shape[1]} columns, "
            f"found {values.shape[0]} rows of {values.shape[1]}"
        )
    if file.class_counts:
        classes, counts = np.unique(values[:, -1], return_counts=True)
        found = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        for label in sorted({*file.class_counts, *found}):
            if file.class_counts.get(label, 0) != found.get(label, 0):
                raise ValueError(
                    f"expected {file.class_counts.get(label, 0)} rows of class {label:g} "
                    f"({class_names.get(label, 'unknown')}), found {found.get(label, 0)}"
                )
    sha256 = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    if sha256 != file.sha256:
        raise ValueError(
            f"some values are not the published ones: expected the checksum {file.sha256}, "
            f"found {sha256}"
        )


def _bunch(data_set: _DataSet, values: np.ndarray, *, copy: str) -> Bunch:
    """Give the values their names and types."""
    columns = [name for file in data_set.files[0] for name in file.columns]
    data = pd.DataFrame(values, columns=columns)
    for file in data_set.files[0]:
        for name, words in file.words.items():
            codes = data[name].to_numpy(dtype=int)
            data[name] = pd.Categorical.from_codes(codes, categories=pd.Index(words))
    target = data[columns[-1]]
    data = data.drop(columns=columns[-1])  # pop would take 0.4 s with 10,000 columns
    target_names = list(data_set.class_names.values())
    counts = zip(target_names, target.value_counts().sort_index(), strict=True)
    description = (
        f"{data_set.title}: {data_set.citation}; UCI Machine Learning Repository, CC BY 4.0.",
        f"Source: {data_set.url}; this copy: {copy}.",
        f"{len(data)} rows, {data.shape[1]} features, "
        f"{len(data_set.categorical_columns)} of them nominal.",
        f"Rows in each class: {', '.join(f'{name} ({count})' for name, count in counts)}.",
        data_set.note,
    )
    return Bunch(
        data=data,
        target=target.to_numpy(dtype=str if target.dtype == "category" else np.int64),
        feature_names=list(data.columns),
        target_names=target_names,
        categorical_columns=list(data_set.categorical_columns),
        DESCR="\n".join(description).strip(),
        name=data_set.name,
    )
