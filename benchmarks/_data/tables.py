"""Tables to learn from, and how they become numbers."""

from __future__ import annotations

import functools
import textwrap
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks._data import mixed, numeric, uci
from benchmarks._data.uci_files import DATA_SETS

# Tables that come with scikit-learn: not in the paper, but there on every machine.
SHIPPED = {"breast_cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}
TITLES = {data_set.name: data_set.title for data_set in DATA_SETS}
TITLES |= {"breast_cancer": "Breast Cancer", "digits": "Digits", "wine": "Wine"}
# The tables of the paper and the shipped ones, to which `mixed` adds more.
FIRST_TABLES = tuple(TITLES)
TITLES |= mixed.TITLES
# Tables whose target is a number, for the experiments on these alone.
NUMERIC_TITLES = {
    "california_housing": numeric.TITLES["california_housing"],
    "california_4000": "California, 4000 rows",
} | numeric.TITLES
ALL_TITLES = TITLES | NUMERIC_TITLES
# What is a part of a larger one: its name, and so many of its rows, the same ones always.
_PARTS = {
    "adult": ("adult", 4000),
    "magic": ("magic", 4000),
    "california_4000": ("california_housing", 4000),
}
_FETCHERS = ChainMap(uci.FETCHERS, mixed.FETCHERS, numeric.FETCHERS)


@dataclass(frozen=True)
class Table:
    """A table to learn from; `source` tells copies and parts apart.

    `y` is float64 where the target is a number, and labels else.
    """

    name: str
    X: pd.DataFrame
    y: np.ndarray
    nominal: tuple[str, ...]
    source: str

    @property
    def kind(self) -> str:
        """What learns from it, by the last word of its name: Classifier or Regressor."""
        return "Regressor" if self.y.dtype.kind == "f" else "Classifier"


@functools.cache
def load_table(name: str, data_home: str | None = None) -> Table:
    """Load a table that is on this machine, once in each process, or raise OSError.

    `name` is a key of `ALL_TITLES`; `data_home` is that of `uci.fetch_abalone`.
    """
    if name in SHIPPED:
        bunch = SHIPPED[name](as_frame=True)
        return Table(name, bunch.data, bunch.target.to_numpy(), (), "scikit-learn")
    whole, n_rows = _PARTS.get(name, (name, None))
    bunch = _FETCHERS[whole](data_home, download_if_missing=False)
    shipped = "comes with scikit-learn" in bunch.DESCR
    source = "scikit-learn" if shipped else "UCI" if name in uci.FETCHERS else "published"
    X, y = bunch.data, bunch.target
    if n_rows is not None:
        classes = None if y.dtype.kind == "f" else y
        X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=classes, random_state=0)
        X, source = X.reset_index(drop=True), f"{source}, {n_rows} rows"
    return Table(name, X, y, tuple(bunch.categorical_columns), source)


def load_by_cost(names: Sequence[str], data_home: str | None) -> list[Table]:
    """Load tables, the one with the most rows first: what takes longest starts first."""
    tables = [load_table(name, data_home) for name in names]
    return sorted(tables, key=lambda table: -len(table.y))


def find_tables(
    wanted: Sequence[str], data_home: str | None, *, download: bool
) -> tuple[list[str], list[str]]:
    """Part the tables into those that are on this machine and those that are not.

    The latter are told with the way to get them. If there are no others, the command ends.
    """
    files = {name: _PARTS.get(name, (name,))[0] for name in wanted}
    if download:
        for name in files.values():
            if fetch := _FETCHERS.get(name):
                fetch(data_home)
    here = {*SHIPPED}.union(*(it.available(data_home) for it in (uci, mixed, numeric)))
    missing = [name for name in wanted if files[name] not in here]
    if len(missing) == len(wanted):
        shipped = "breast_cancer" if wanted[0] in TITLES else "diabetes_progression"
        raise SystemExit(
            f"None of the tables asked for is here. {missing_tables_note(missing)}\n"
            f"(--tables {shipped} does without)"
        )
    if missing:
        print(textwrap.fill(missing_tables_note(missing), 100) + "\n", flush=True)
    return [name for name in wanted if name not in missing], missing


def missing_tables_note(missing: Sequence[str]) -> str:
    """Say which tables are left out and how to get them."""
    names = ", ".join(ALL_TITLES[name] for name in missing)
    return (
        f"Not on this machine, and left out: {names}. To have them too, start again "
        "with --download, which gets them from where they are published, or let the environment "
        "variable SKLEARN_MIXUP_DATA name the folder that has them as uci/abalone/abalone.data, "
        "tables/adult/adult.data and so on."
    )


def as_categories(table: Table) -> pd.DataFrame:
    """Get the features with nominal columns, and those of words, as categories, which are words."""
    X = table.X.copy()
    words = X.select_dtypes(exclude="number").columns
    for name in {*table.nominal, *words}:
        column = X[name].astype(object)
        X[name] = column.astype(str).where(column.notna(), None).astype("category")
    return X


def make_preprocessor(table: Table, features: str) -> ColumnTransformer:
    """Turn a table into numbers: "raw", or "standardised" with nominal columns one-hot."""
    columns, incomplete = table.X.columns, table.X.isna().any().to_numpy()
    is_code = columns.isin(table.X.select_dtypes(exclude="number").columns)
    numbers: Any = "passthrough"
    if features != "raw":
        is_code |= columns.isin(table.nominal)
        numbers = StandardScaler()
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    impute_code = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    impute_number = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = [
        ("codes", encoder, is_code & ~incomplete),
        ("incomplete_codes", make_pipeline(impute_code, encoder), is_code & incomplete),
        ("numbers", numbers, ~is_code & ~incomplete),
        ("incomplete_numbers", make_pipeline(impute_number, numbers), ~is_code & incomplete),
    ]
    return ColumnTransformer(
        [(name, step, columns[where].to_list()) for name, step, where in steps if where.any()]
    )
