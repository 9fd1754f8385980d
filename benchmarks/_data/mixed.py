"""Eleven more tables, half of mixed kinds, as scikit-learn Bunches: one ``fetch_*`` for each.

A loader reads the file as published, from ``tables/<data set>/`` below the data home, or downloads
it, as those of `benchmarks._data.uci` do. All of its text is compared, through a checksum, with
what it should say, but for line ends and blanks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.utils import Bunch

from benchmarks._data import mixed_files
from benchmarks._data.fetching import checksum, damaged
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._data.mixed_files import Facts


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
    return _fetch(mixed_files.ADULT, data_home, download_if_missing)


def fetch_german_credit(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load German Credit: is a loan a good risk (1) or a bad one (2).

    As :func:`fetch_adult`, but ``data`` is of shape (1000, 20), 13 of them words such as A11.
    """
    return _fetch(mixed_files.GERMAN_CREDIT, data_home, download_if_missing)


def fetch_credit_approval(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Credit Approval: is a credit card given (+) or not (-).

    As :func:`fetch_adult`, but ``data`` is of shape (690, 15), 9 of them letters, 67 values NaN.
    """
    return _fetch(mixed_files.CREDIT_APPROVAL, data_home, download_if_missing)


def fetch_horse_colic(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Horse Colic: does a horse live (1), die (2) or is it put to sleep (3).

    As :func:`fetch_adult`, but ``data`` is of shape (299, 21), 14 of them nominal codes, and three
    in ten values are NaN.
    """
    return _fetch(mixed_files.HORSE_COLIC, data_home, download_if_missing)


def fetch_cmc(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Contraceptive Method Choice: none (1), long-term (2) or short-term (3).

    As :func:`fetch_adult`, but ``data`` is of shape (1473, 9), 4 of them nominal codes.
    """
    return _fetch(mixed_files.CMC, data_home, download_if_missing)


def fetch_dermatology(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Dermatology: which of six diseases of the skin, from grades of signs.

    As :func:`fetch_adult`, but ``data`` is of shape (366, 34), numbers, with 8 ages NaN.
    """
    return _fetch(mixed_files.DERMATOLOGY, data_home, download_if_missing)


def fetch_segment(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Image Segmentation (Statlog): what a square of 3 x 3 pixels outdoors shows.

    As :func:`fetch_adult`, but ``data`` is of shape (2310, 19), numbers, of which one is constant.
    """
    return _fetch(mixed_files.SEGMENT, data_home, download_if_missing)


def fetch_magic(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load MAGIC Gamma Telescope: is a shower of light from a gamma ray (g) or a hadron (h).

    As :func:`fetch_adult`, but ``data`` is of shape (19020, 10), numbers.
    """
    return _fetch(mixed_files.MAGIC, data_home, download_if_missing)


def fetch_glass(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Glass Identification: from which of six things a splinter is.

    As :func:`fetch_adult`, but ``data`` is of shape (214, 9), numbers.
    """
    return _fetch(mixed_files.GLASS, data_home, download_if_missing)


def fetch_phoneme(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load Phoneme: is a vowel nasal (0) or oral (1), from five harmonics.

    As :func:`fetch_adult`, but ``data`` is of shape (5404, 5), numbers. The file is a copy: ELENA's
    own place is gone.
    """
    return _fetch(mixed_files.PHONEME, data_home, download_if_missing)


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
    return _bunch("diabetes", bunch.data, target, ["at most 140", "above 140"], ["sex"], [about])


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
TITLES = {facts.name: facts.title for facts in mixed_files.ALL} | {"diabetes": "Diabetes > 140"}


def available(data_home: DataHome = None) -> list[str]:
    """Name the data sets, keys of `FETCHERS`, whose files are here; they are not opened.

    >>> "diabetes" in available()  # always
    True
    """
    home = find_data_home(data_home)
    here = [facts.name for facts in mixed_files.ALL if facts.archive().is_here(home)]
    return [*here, "diabetes"]


def _fetch(facts: Facts, data_home: DataHome, download_if_missing: bool) -> Bunch:
    """Find or download the file, check its text, and part columns and rows."""
    home, archive = find_data_home(data_home), facts.archive()
    archive.fetch(home, download_if_missing)
    path = home / archive.folder / facts.file
    lines = path.read_bytes().decode(errors="replace").splitlines()
    text = "\n".join(line.rstrip() for line in lines).rstrip()
    if (found := checksum(text.encode())) != facts.sha256:
        why = f"expected the checksum {facts.sha256} of its text, found {found}"
        raise ValueError(damaged(path, why, archive.url))
    options: dict[str, Any] = {"keep_default_na": False, "na_values": "?", "skipinitialspace": True}
    options |= {"header": None, "names": facts.columns.split()}
    table = pd.read_csv(StringIO(text), sep=facts.separator, **options)
    table = table[table[facts.target].notna()].reset_index(drop=True)
    target = table.pop(facts.target).to_numpy()
    data = table.drop(columns=facts.left_out.split())
    words = data.columns.difference(data.select_dtypes("number").columns)
    kinds = {name: "category" if name in words else np.float64 for name in data}
    classes = facts.class_names
    is_words = isinstance(next(iter(classes)), str)
    about = [
        f"{facts.title}: {facts.citation}; {facts.publisher}.",
        f"Source: {archive.url}; this copy: read from {path.parent}.",
    ]
    return _bunch(
        facts.name,
        data.astype(kinds),
        target.astype(str if is_words else np.int64),
        [classes[label] for label in sorted(classes)],
        facts.nominal.split(),
        about,
        facts.note,
    )


def _bunch(
    name: str,
    data: pd.DataFrame,
    target: np.ndarray,
    target_names: list[str],
    categorical_columns: list[str],
    about: list[str],
    note: str = "",
) -> Bunch:
    """Put a table together, and describe it."""
    counts = zip(target_names, np.unique(target, return_counts=True)[1], strict=True)
    description = (
        *about,
        f"{len(data)} rows, {data.shape[1]} features, {len(categorical_columns)} of them nominal.",
        f"Rows in each class: {', '.join(f'{title} ({count})' for title, count in counts)}.",
        note,
    )
    return Bunch(
        data=data,
        target=target,
        feature_names=list(data.columns),
        target_names=target_names,
        categorical_columns=categorical_columns,
        DESCR="\n".join(description).strip(),
        name=name,
    )
