"""How changes of a recipe stand to what they change, over splits and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks._lab.tell import capital

RECIPE = "reference"
YARDSTICK = "Yardstick"  # the kind of what is known to do something
CLEAR = 2  # standard errors
HELPS, HURTS, NOISE = "helps", "hurts", "within noise"
UNITS = {"test_error": "points", "log_loss": "nats", "brier": ""}
IN_HEADINGS = UNITS | {"test_error": "% points"}
USUAL = ("test_error", "log_loss")  # the measures that are told


@dataclass(frozen=True)
class Change:
    """One change of a recipe; that of the name `RECIPE` is the recipe itself."""

    name: str  # its key in the runs, the column "variant"
    kind: str  # what it changes; changes of a kind stand together
    change: str  # in words
    beside: str = RECIPE  # name of what it is compared with


Changes = Mapping[str, Change]  # by name, in the order in which they are told


def title_of(measure: str) -> str:
    """Name a measure."""
    return capital(MEASURES[measure].name)


def with_unit(words: str, measure: str, *, of: Mapping[str, str] = UNITS) -> str:
    """Put the unit of a measure behind some words, if it has one."""
    return f"{words}, {of[measure]}" if of[measure] else words


def compare_by_table(
    runs: pd.DataFrame, changes: Changes, measures: Sequence[str] = USUAL
) -> pd.DataFrame:
    """Set each variant of finished runs beside what it is compared with, split by split.

    A row for each measure, variant and table: mean ``difference`` and its standard ``error``, which
    allows for the rows that random splits share (see `paired_difference`).
    """
    rows = []
    for measure in measures:
        for table, members in runs.groupby("table", sort=False):
            values = pair(members, measure, by="split", columns="variant", wanted=(), where=table)
            more_error = np.sqrt(1 + len(values) * TEST_SHARE / (1 - TEST_SHARE))
            for name in values.columns.drop(RECIPE):
                found = paired_difference(values[name], values[changes[name].beside])
                rows.append(
                    {"measure": measure, "variant": name, "table": table}
                    | {"difference": round(found.mean, 12)}
                    | {"error": more_error * found.standard_error}
                )
    order = [*UNITS, *changes, *TITLES].index
    by = ["measure", "variant", "table"]
    return pd.DataFrame(rows).sort_values(by, key=lambda column: column.map(order))


def compare(by_table: pd.DataFrame) -> pd.DataFrame:
    """Average the differences that `compare_by_table` found, each table counting alike.

    A row for each measure and variant: mean ``difference``; its standard errors, over the tables as
    a sample of tables (``error_tables``) and over the splits of just these tables
    (``error_splits``, NaN for a single split); the larger of those known, ``error``; ``ratio``,
    difference / error; its two-sided ``p_value`` by the t distribution; and the ``verdict``.
    """
    rows = []
    for (measure, name), members in by_table.groupby(["measure", "variant"], sort=False):
        n_tables = len(members)
        mean, error_tables = mean_and_standard_error(members["difference"])
        error_splits = float(np.sqrt((members["error"] ** 2).sum(skipna=False)) / n_tables)
        # One split tells nothing of others; one table tells nothing of others, and ends in NaN.
        error = float(np.maximum(error_tables, np.nan_to_num(error_splits)))
        ratio = mean / error if error > 0 else 0.0
        rows.append(
            {"measure": measure, "variant": name, "n_tables": n_tables, "difference": mean}
            | {"error_tables": error_tables, "error_splits": error_splits, "error": error}
            | {"ratio": ratio, "p_value": 2 * stats.t(df=max(n_tables - 1, 1)).sf(abs(ratio))}
            | {"verdict": HELPS if ratio < -CLEAR else HURTS if ratio > CLEAR else NOISE}
        )
    return pd.DataFrame(rows)
