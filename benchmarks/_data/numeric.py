"""Tables whose target is a number, as scikit-learn Bunches: one ``fetch_*`` for each.

A loader reads the file as published, below the data home, as `benchmarks._data.published` tells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_diabetes, load_iris
from sklearn.utils import Bunch

from benchmarks._data import numeric_files
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._data.published import make_bunch


def fetch_california_housing(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load California Housing: the median value of the houses of a block, from a census.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds, or gets, ``tables/california_housing/cal_housing.data``. None: the
        environment variable ``SKLEARN_MIXUP_DATA``, and if that is not set
        :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Download a missing file from its publisher with pooch. If False, a missing file is an error.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (20640, 8): float64, the columns of the file;
        - ``target``: float64 array of shape (20640,), in dollars;
        - ``feature_names``, ``categorical_columns``: lists of column names, all and the nominal;
        - ``target_names``: a list of one text, what the number is, with its unit;
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
    return _fetch("california_housing", data_home, download_if_missing)


def fetch_wine_quality_white(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Wine Quality, white: how good a wine tastes, from what a laboratory measures in it.

    As :func:`fetch_california_housing`, but ``data`` is of shape (4898, 11), and ``target`` are
    whole numbers, 3 to 9. The file is a copy: UCI's own has a header, and semicolons.
    """
    return _fetch("wine_quality_white", data_home, download_if_missing)


def fetch_abalone_rings(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Abalone as :func:`uci.fetch_abalone` does, with the rings as numbers.

    As :func:`fetch_california_housing`, but ``data`` is of shape (4177, 8), with the nominal
    ``sex``, and ``target`` are whole numbers, 1 to 29.
    """
    return _fetch("abalone_rings", data_home, download_if_missing)


def _fetch(name: str, data_home: DataHome, download_if_missing: bool) -> Bunch:
    """Fetch a table by its key in `FETCHERS`, which its file may not be named after."""
    bunch = numeric_files.DATA_SETS[name].fetch(data_home, download_if_missing)
    bunch.name = name
    return bunch


def fetch_diabetes_progression(
    data_home: DataHome = None, download_if_missing: bool = True
) -> Bunch:
    """Load Diabetes: how far the disease is after a year.

    As :func:`fetch_california_housing`, but it comes with scikit-learn: both arguments are taken so
    that all loaders are called alike. ``data`` is of shape (442, 10), in the units of the
    publication, with the nominal ``sex``; ``target`` is 25 to 346.

    Examples
    --------
    >>> fetch_diabetes_progression().target[:3].tolist()
    [151.0, 75.0, 141.0]
    """
    bunch = load_diabetes(as_frame=True, scaled=False)
    number = "A measure of how far the disease is after a year"
    about = "Diabetes: Efron, Hastie, Johnstone, Tibshirani (2004); comes with scikit-learn."
    target = bunch.target.to_numpy(dtype=np.float64)
    return make_bunch("diabetes_progression", bunch.data, target, [number], ["sex"], about)


def fetch_iris_petal(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Iris, to predict the width of a petal: a small table, to see that something runs.

    As :func:`fetch_diabetes_progression`, but ``data`` is of shape (150, 4), the three other
    measures and the nominal ``species``; ``target`` is in cm.

    Examples
    --------
    >>> fetch_iris_petal().feature_names[2:]
    ['petal length (cm)', 'species']
    """
    bunch = load_iris(as_frame=True)
    target = bunch.data["petal width (cm)"].to_numpy()
    data = bunch.data.drop(columns="petal width (cm)").assign(species=bunch.target.astype(float))
    about = "Iris: Fisher (1936); comes with scikit-learn."
    return make_bunch("iris_petal", data, target, ["Petal width, in cm"], ["species"], about)


FETCHERS: dict[str, Callable[..., Bunch]] = {
    "california_housing": fetch_california_housing,
    "wine_quality_white": fetch_wine_quality_white,
    "abalone_rings": fetch_abalone_rings,
    "diabetes_progression": fetch_diabetes_progression,
    "iris_petal": fetch_iris_petal,
}
SHIPPED = {"diabetes_progression": "Diabetes, progression", "iris_petal": "Iris, petal width"}
TITLES = {name: facts.title for name, facts in numeric_files.DATA_SETS.items()} | SHIPPED


def available(data_home: DataHome = None) -> list[str]:
    """Name the data sets, keys of `FETCHERS`, whose files are here; they are not opened.

    >>> "diabetes_progression" in available()  # always
    True
    """
    home, files = find_data_home(data_home), numeric_files.DATA_SETS.items()
    return [*(name for name, facts in files if facts.archive().is_here(home)), *SHIPPED]
