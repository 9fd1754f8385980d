"""Eleven more tables, half of mixed kinds, as scikit-learn Bunches: one ``fetch_*`` for each.

A loader reads the file as published, from ``tables/<data set>/`` below the data home, as
`benchmarks._data.published` tells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.utils import Bunch

from benchmarks._data import mixed_files
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._data.published import make_bunch


def fetch_adult(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Adult: does a person earn more than 50,000 dollars a year, from a census.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds, or gets, ``tables/adult/adult.data``. None: the environment variable
        ``SKLEARN_MIXUP_DATA``, and if that is not set :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Download a missing file from its publisher with pooch. If False, a missing file is an error.

    Returns
    -------
    Bunch
        - ``data``: DataFrame of shape (32561, 14): float64, and categories where the file has
          words; NaN where it has ``?``;
        - ``target``: array of shape (32561,), int64, or str where the file has words, as here;
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
    return mixed_files.ADULT.fetch(data_home, download_if_missing)


def fetch_german_credit(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load German Credit: is a loan a good risk (1) or a bad one (2).

    As :func:`fetch_adult`, but ``data`` is of shape (1000, 20), 13 of them words such as A11.
    """
    return mixed_files.GERMAN_CREDIT.fetch(data_home, download_if_missing)


def fetch_credit_approval(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Credit Approval: is a credit card given (+) or not (-).

    As :func:`fetch_adult`, but ``data`` is of shape (690, 15), 9 of them letters, 67 values NaN.
    """
    return mixed_files.CREDIT_APPROVAL.fetch(data_home, download_if_missing)


def fetch_horse_colic(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Horse Colic: does a horse live (1), die (2) or is it put to sleep (3).

    As :func:`fetch_adult`, but ``data`` is of shape (299, 21), 14 of them nominal codes, and three
    in ten values are NaN.
    """
    return mixed_files.HORSE_COLIC.fetch(data_home, download_if_missing)


def fetch_cmc(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Contraceptive Method Choice: none (1), long-term (2) or short-term (3).

    As :func:`fetch_adult`, but ``data`` is of shape (1473, 9), 4 of them nominal codes.
    """
    return mixed_files.CMC.fetch(data_home, download_if_missing)


def fetch_dermatology(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Dermatology: which of six diseases of the skin, from grades of signs.

    As :func:`fetch_adult`, but ``data`` is of shape (366, 34), numbers, with 8 ages NaN.
    """
    return mixed_files.DERMATOLOGY.fetch(data_home, download_if_missing)


def fetch_segment(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Image Segmentation (Statlog): what a square of 3 x 3 pixels outdoors shows.

    As :func:`fetch_adult`, but ``data`` is of shape (2310, 19), numbers, of which one is constant.
    """
    return mixed_files.SEGMENT.fetch(data_home, download_if_missing)


def fetch_magic(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load MAGIC Gamma Telescope: is a shower of light from a gamma ray (g) or a hadron (h).

    As :func:`fetch_adult`, but ``data`` is of shape (19020, 10), numbers.
    """
    return mixed_files.MAGIC.fetch(data_home, download_if_missing)


def fetch_glass(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Glass Identification: from which of six things a splinter is.

    As :func:`fetch_adult`, but ``data`` is of shape (214, 9), numbers.
    """
    return mixed_files.GLASS.fetch(data_home, download_if_missing)


def fetch_phoneme(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Phoneme: is a vowel nasal (0) or oral (1), from five harmonics.

    As :func:`fetch_adult`, but ``data`` is of shape (5404, 5), numbers. The file is a copy: ELENA's
    own place is gone.
    """
    return mixed_files.PHONEME.fetch(data_home, download_if_missing)


def fetch_diabetes(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Diabetes above 140: is the disease beyond that after a year; classes that overlap.

    As :func:`fetch_adult`, but it comes with scikit-learn: both arguments are taken so that all
    loaders are called alike. ``data`` is of shape (442, 10), in the units of the publication, with
    the nominal ``sex``; ``target`` is 1 above 140, half of the rows, else 0.

    Examples
    --------
    >>> np.bincount(fetch_diabetes().target).tolist()
    [221, 221]
    """
    bunch = load_diabetes(as_frame=True, scaled=False)
    target = (bunch.target.to_numpy() > 140).astype(np.int64)
    about = "Diabetes: Efron, Hastie, Johnstone, Tibshirani (2004); comes with scikit-learn."
    return make_bunch("diabetes", bunch.data, target, ["at most 140", "above 140"], ["sex"], about)


FETCHERS: dict[str, Callable[..., Bunch]] = {
    "adult": fetch_adult,
    "german_credit": fetch_german_credit,
    "credit_approval": fetch_credit_approval,
    "horse_colic": fetch_horse_colic,
    "cmc": fetch_cmc,
    "dermatology": fetch_dermatology,
    "segment": fetch_segment,
    "magic": fetch_magic,
    "glass": fetch_glass,
    "phoneme": fetch_phoneme,
    "diabetes": fetch_diabetes,
}
TITLES = {facts.name: facts.title for facts in mixed_files.DATA_SETS} | {
    "diabetes": "Diabetes > 140"
}


def available(data_home: DataHome = None) -> list[str]:
    """Name the data sets, keys of `FETCHERS`, whose files are here; they are not opened.

    >>> "diabetes" in available()  # always
    True
    """
    home = find_data_home(data_home)
    here = [facts.name for facts in mixed_files.DATA_SETS if facts.archive().is_here(home)]
    return [*here, "diabetes"]
