"""Tables to learn from, UCI's and scikit-learn's, and how they become numbers."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks._data.uci import FETCHERS, available

TITLES = {
    "abalone": "Abalone",
    "arcene": "Arcene",
    "arrhythmia": "Arrhythmia",
    "htru2": "HTRU2",
    "iris": "Iris",
    "website_phishing": "Website Phishing",
    "phishing_websites": "Phishing Websites",
    "breast_cancer": "Breast Cancer",
    "digits": "Digits",
    "wine": "Wine",
}

# Tables that come with scikit-learn: not in the paper, but there on every machine.
SHIPPED = {"breast_cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}


@dataclass(frozen=True)
class Table:
    """A table to learn from; `source` tells the two copies of Iris apart."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    nominal: tuple[str, ...]
    source: str


@functools.cache
def load_table(name: str, data_home: str | None = None) -> Table:
    """Load a table that is on this machine, once in each process.

    Parameters
    ----------
    name : str
        A key of `uci.FETCHERS`, or ``"breast_cancer"``, ``"digits"``, ``"wine"``.
    data_home : str, default=None
        Where to look, as in `uci.fetch_abalone`.

    Returns
    -------
    Table

    Raises
    ------
    OSError
        If its files are missing.
    """
    if name in SHIPPED:
        bunch = SHIPPED[name](as_frame=True)
        return Table(name, bunch.data, bunch.target.to_numpy(), (), "scikit-learn")
    bunch = FETCHERS[name](data_home, download_if_missing=False)
    shipped = "comes with scikit-learn" in bunch.DESCR
    source = "scikit-learn" if shipped else "UCI"
    return Table(name, bunch.data, bunch.target, tuple(bunch.categorical_columns), source)


def load_by_cost(names: Sequence[str], data_home: str | None) -> list[Table]:
    """Load tables, the one with the most rows first: what takes longest starts first."""
    tables = [load_table(name, data_home) for name in names]
    return sorted(tables, key=lambda table: -len(table.y))


def find_tables(
    wanted: Sequence[str], data_home: str | None, *, download: bool
) -> tuple[list[str], list[str]]:
    """Part the tables into those that are on this machine and those that are not.

    The latter are told with the way to get them.

    Raises
    ------
    SystemExit
        If there are no others.
    """
    if download:
        for name in wanted:
            if name in FETCHERS:
                FETCHERS[name](data_home)
    here = {*available(data_home), *SHIPPED}
    missing = [name for name in wanted if name not in here]
    if len(missing) == len(wanted):
        raise SystemExit(
            f"None of the tables asked for is here. {missing_tables_note(missing)}\n"
            "(--tables breast_cancer does without)"
        )
    if missing:
        print(textwrap.fill(missing_tables_note(missing), 100) + "\n", flush=True)
    return [name for name in wanted if name in here], missing


def missing_tables_note(missing: Sequence[str]) -> str:
    """Say which tables are left out and how to get them."""
    names = ", ".join(TITLES[name] for name in missing)
    return (
        f"Not on this machine, and left out: {names}. To have them too, start again "
        "with --download, which gets them from UCI, or let the environment variable "
        "SKLEARN_MIXUP_DATA name the folder that has them as uci/abalone/abalone.data and so on."
    )


def make_preprocessor(table: Table, features: str) -> ColumnTransformer:
    """Turn a table into numbers: as raw as can be, or standardised with nominal columns one-hot.

    Parameters
    ----------
    table : Table
    features : {"raw", "standardised"}

    Returns
    -------
    ColumnTransformer
    """
    words = set(table.X.select_dtypes(exclude="number").columns)
    one_hot = words if features == "raw" else words | set(table.nominal)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    impute_code = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    impute_number = SimpleImputer(strategy="median", keep_empty_features=True)
    incomplete = set(table.X.columns[table.X.isna().any()])
    steps = {
        "codes": encoder,
        "incomplete_codes": make_pipeline(impute_code, encoder),
        "numbers": "passthrough" if features == "raw" else StandardScaler(),
        "incomplete_numbers": (
            impute_number if features == "raw" else make_pipeline(impute_number, StandardScaler())
        ),
    }
    columns: dict[str, list[str]] = {name: [] for name in steps}
    for column in table.X.columns:
        kind = "codes" if column in one_hot else "numbers"
        columns[f"incomplete_{kind}" if column in incomplete else kind].append(column)
    return ColumnTransformer(
        [(name, steps[name], columns[name]) for name in steps if columns[name]]
    )
