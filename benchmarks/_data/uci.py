"""The UCI tables of the mixup paper as scikit-learn Bunches: one ``fetch_*`` for each data set.

A loader reads the files as UCI publishes them, from ``uci/<data set>/`` below the data home, which
is the argument `data_home`, else the environment variable ``SKLEARN_MIXUP_DATA``, else
:func:`sklearn.datasets.get_data_home`. A missing file is downloaded from UCI. Every value is
compared, through a checksum, with what the file should say, so a damaged file is an error and
never a result. The bytes are not: copies in circulation differ in line ends and trailing blanks.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.utils import Bunch

from benchmarks._data.fetching import checksum, damaged
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._data.uci_files import (
    ABALONE,
    ARCENE,
    ARRHYTHMIA,
    DATA_SETS,
    HTRU2,
    IRIS,
    PHISHING_WEBSITES,
    WEBSITE_PHISHING,
    DataSet,
    File,
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
    return _fetch(ABALONE, data_home, download_if_missing)


def fetch_arcene(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arcene: cancer or not, from a mass spectrum; far more columns than rows.

    As :func:`fetch_abalone`, but ``data`` is of shape (200, 10000), whole numbers from 0 to 999:
    the 100 rows of UCI's training part, then the 100 of its validation part; ``target`` is -1 for
    normal, 1 for cancer.
    """
    return _fetch(ARCENE, data_home, download_if_missing)


def fetch_arrhythmia(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arrhythmia: the kind of arrhythmia, from an electrocardiogram.

    As :func:`fetch_abalone`, but ``data`` is of shape (452, 279), with 408 NaN where the file has
    ``?``, for the pipeline to impute; widths in ms, amplitudes in 0.1 mV, angles in degrees;
    ``target`` is 1 (normal) to 16, without 11, 12 and 13; ``categorical_columns`` are the 73
    nominal columns, coded 0 and 1.
    """
    return _fetch(ARRHYTHMIA, data_home, download_if_missing)


def fetch_htru2(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load HTRU2: is a candidate signal a pulsar, from moments of its profile.

    As :func:`fetch_abalone`, but ``data`` is of shape (17898, 8): mean, standard deviation,
    skewness and excess kurtosis of the pulse profile, then of the DM-SNR curve; ``target`` is 1
    for a pulsar, else 0.
    """
    return _fetch(HTRU2, data_home, download_if_missing)


def fetch_iris(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Iris: the species of a flower; UCI's copy if it is there, else scikit-learn's.

    The two differ in three values: row 34 (from 0) has petal width 0.1 at UCI and 0.2 in
    scikit-learn, row 37 sepal width 3.1 and 3.6, petal length 1.5 and 1.4. ``DESCR`` says which
    copy it is.

    As :func:`fetch_abalone`, but ``data`` is of shape (150, 4), in cm; ``target`` is an array of
    str, as in UCI's file. `download_if_missing` is taken so that all loaders are called alike;
    nothing is ever downloaded.

    Examples
    --------
    >>> iris = fetch_iris()
    >>> iris.data.shape
    (150, 4)
    >>> iris.target_names
    ['Iris-setosa', 'Iris-versicolor', 'Iris-virginica']
    """
    if not IRIS.archive().missing(find_data_home(data_home)):
        return _fetch(IRIS, data_home, download_if_missing=False)
    copy = "the one that comes with scikit-learn; UCI's differs from it in three values"
    return _bunch(IRIS, np.column_stack(load_iris(return_X_y=True)), copy=copy)


def fetch_website_phishing(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Website Phishing: is a page phishing, suspicious or legitimate; the small table.

    As :func:`fetch_abalone`, but ``data`` is of shape (1353, 9), every column nominal, coded -1, 0,
    1; ``target`` is -1 phishing, 0 suspicious, 1 legitimate.
    """
    return _fetch(WEBSITE_PHISHING, data_home, download_if_missing)


def fetch_phishing_websites(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Phishing Websites: is a page phishing or legitimate; the large table.

    As :func:`fetch_abalone`, but ``data`` is of shape (11055, 30), every column nominal, coded -1,
    0, 1; ``target`` is -1 phishing, 1 legitimate.
    """
    return _fetch(PHISHING_WEBSITES, data_home, download_if_missing)


FETCHERS: dict[str, Callable[..., Bunch]] = {
    "abalone": fetch_abalone,
    "arcene": fetch_arcene,
    "arrhythmia": fetch_arrhythmia,
    "htru2": fetch_htru2,
    "iris": fetch_iris,
    "website_phishing": fetch_website_phishing,
    "phishing_websites": fetch_phishing_websites,
}


def available(data_home: DataHome = None) -> list[str]:
    """Name the data sets, keys of `FETCHERS`, whose files are here; they are not opened.

    >>> "iris" in available()  # always
    True
    """
    home = find_data_home(data_home)
    return [it.name for it in DATA_SETS if it is IRIS or it.archive().is_here(home)]


def _fetch(data_set: DataSet, data_home: DataHome, download_if_missing: bool) -> Bunch:
    """Find or download the files, read and check them, and put them together."""
    home, archive = find_data_home(data_home), data_set.archive()
    archive.fetch(home, download_if_missing)
    folder = home / archive.folder
    blocks = [[_read(folder / file.name, file, data_set) for file in row] for row in data_set.files]
    values = np.block(blocks)
    return _bunch(data_set, values, copy=f"UCI's, read from {folder}")


def _read(path: Path, file: File, data_set: DataSet) -> np.ndarray:
    """Read the values of one file, (n_rows, n_columns) float64, or say how it is damaged."""
    content = path.read_bytes()
    try:
        values = _parse(content.decode(), file)
        _check(values, file, data_set.class_names)
    except ValueError as error:
        raise ValueError(damaged(path, str(error), data_set.archive().url)) from error
    return values


def _parse(content: str, file: File) -> np.ndarray:
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


def _check(values: np.ndarray, file: File, class_names: Mapping[int, str]) -> None:
    """Raise ValueError unless the values are the published ones."""
    shape = (file.n_rows, len(file.columns))
    if values.shape != shape:
        raise ValueError(
            f"expected {shape[0]} rows of {shape[1]} columns, "
            f"found {values.shape[0]} rows of {values.shape[1]}"
        )
    if file.class_counts:
        expected, found = Counter(file.class_counts), Counter(values[:, -1].tolist())
        for label in sorted({*expected, *found}):
            if expected[label] != found[label]:
                raise ValueError(
                    f"expected {expected[label]} rows of class {label:g} "
                    f"({class_names.get(label, 'unknown')}), found {found[label]}"
                )
    sha256 = checksum(values.astype("<f8").tobytes())
    if sha256 != file.sha256:
        raise ValueError(
            f"some values are not the published ones: expected the checksum {file.sha256}, "
            f"found {sha256}"
        )


def _bunch(data_set: DataSet, values: np.ndarray, *, copy: str) -> Bunch:
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
        f"Source: {data_set.archive().url}; this copy: {copy}.",
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
