"""The UCI tables of the mixup paper as scikit-learn Bunches: one ``fetch_*`` for each data set.

A loader reads the files as UCI publishes them, from ``uci/<data set>/`` below the data home, as
`benchmarks._data.published` tells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.utils import Bunch

from benchmarks._data import uci_files
from benchmarks._data.home import DataHome, find_data_home


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
        If the file is damaged: not the text it should hold.
    OSError
        If the file is missing and cannot, or may not, be downloaded.
    ImportError
        If the file has to be downloaded and pooch is not installed.
    """
    return uci_files.ABALONE.fetch(data_home, download_if_missing)


def fetch_arcene(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arcene: cancer or not, from a mass spectrum; far more columns than rows.

    As :func:`fetch_abalone`, but ``data`` is of shape (200, 10000), whole numbers from 0 to 999:
    the 100 rows of UCI's training part, then the 100 of its validation part; ``target`` is -1 for
    normal, 1 for cancer.
    """
    return uci_files.ARCENE.fetch(data_home, download_if_missing)


def fetch_arrhythmia(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Arrhythmia: the kind of arrhythmia, from an electrocardiogram.

    As :func:`fetch_abalone`, but ``data`` is of shape (452, 279), with 408 NaN where the file has
    ``?``, for the pipeline to impute; widths in ms, amplitudes in 0.1 mV, angles in degrees;
    ``target`` is 1 (normal) to 16, without 11, 12 and 13; ``categorical_columns`` are the 73
    nominal columns, coded 0 and 1.
    """
    return uci_files.ARRHYTHMIA.fetch(data_home, download_if_missing)


def fetch_htru2(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load HTRU2: is a candidate signal a pulsar, from moments of its profile.

    As :func:`fetch_abalone`, but ``data`` is of shape (17898, 8): mean, standard deviation,
    skewness and excess kurtosis of the pulse profile, then of the DM-SNR curve; ``target`` is 1
    for a pulsar, else 0.
    """
    return uci_files.HTRU2.fetch(data_home, download_if_missing)


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
    facts = uci_files.IRIS
    if not facts.archive().missing(find_data_home(data_home)):
        return facts.fetch(data_home, download_if_missing=False)
    X, y = load_iris(return_X_y=True)
    data = pd.DataFrame(X, columns=facts.files[0][0].columns.split()[:-1])
    copy = "the one that comes with scikit-learn; UCI's differs from it in three values"
    return facts.describe(data, np.array([*facts.class_names])[y], copy)


def fetch_website_phishing(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Website Phishing: is a page phishing, suspicious or legitimate; the small table.

    As :func:`fetch_abalone`, but ``data`` is of shape (1353, 9), every column nominal, coded -1, 0,
    1; ``target`` is -1 phishing, 0 suspicious, 1 legitimate.
    """
    return uci_files.WEBSITE_PHISHING.fetch(data_home, download_if_missing)


def fetch_phishing_websites(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Phishing Websites: is a page phishing or legitimate; the large table.

    As :func:`fetch_abalone`, but ``data`` is of shape (11055, 30), every column nominal, coded -1,
    0, 1; ``target`` is -1 phishing, 1 legitimate.
    """
    return uci_files.PHISHING_WEBSITES.fetch(data_home, download_if_missing)


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
    return [
        facts.name
        for facts in uci_files.DATA_SETS
        if facts is uci_files.IRIS or facts.archive().is_here(home)
    ]
