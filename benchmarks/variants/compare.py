"""How the variants stand to what they are compared with, over splits and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks.variants.recipes import VARIANTS

CLEAR = 2  # standard errors
TOLD = ("test_error", "log_loss")
HELPS, HURTS, NOISE = "helps", "hurts", "within noise"
UNITS = {"test_error": "points", "log_loss": "nats"}


def title_of(measure: str) -> str:
    """Name a measure."""
    title = MEASURES[measure].title.partition(",")[0]
    return f"{title[0].upper()}{title[1:]}"


def compare_by_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each variant of finished runs beside what it is compared with, split by split.

    A row for each measure, variant and table: mean ``difference`` and its standard ``error``, which
    allows for the rows that random splits share (see `paired_difference`).
    """
    rows = []
    for measure in TOLD:
        for table, members in runs.groupby("table", sort=False):
            values = pair(members, measure, by="split", columns="variant", wanted=(), where=table)
            for name in values.columns.drop("reference"):
                other = values[VARIANTS[name].beside]
                found = paired_difference(values[name], other, test_share=TEST_SHARE)
                n_splits, overlap = len(values), TEST_SHARE / (1 - TEST_SHARE)
                error = found.standard_error * np.sqrt(1 + n_splits * overlap)
                rows.append(
                    {"measure": measure, "variant": name, "table": table, "n_splits": n_splits}
                    | {"difference": round(found.mean, 12), "error": error}
                )
    order = {key: place for place, key in enumerate([*VARIANTS, *TITLES])}
    frame = pd.DataFrame(rows)
    by = ["variant", "table"]
    return frame.sort_values(by, key=lambda column: column.map(order), kind="stable")


def compare(by_table: pd.DataFrame) -> pd.DataFrame:
    """Average the differences that `compare_by_table` found, each table counting alike.

    A row for each measure and variant: mean ``difference``; its standard errors, over the tables as
    a sample of tables (``error_tables``) and over the splits of just these tables
    (``error_splits``); the larger of the two, ``error``; ``ratio``, difference / error; its
    two-sided ``p_value`` by the t distribution; and the ``verdict``.
    """
    rows = []
    for measure in TOLD:
        for name in VARIANTS:
            chosen = (by_table["measure"] == measure) & (by_table["variant"] == name)
            members = by_table[chosen]
            if members.empty:
                continue
            mean, error_tables = mean_and_standard_error(members["difference"])
            error_splits = float(np.sqrt((members["error"] ** 2).sum(skipna=False)) / len(members))
            error = float(np.maximum(error_tables, error_splits))  # NaN if either is
            ratio = mean / error if error > 0 else 0.0
            rows.append(
                {"measure": measure, "variant": name, "n_tables": len(members)}
                | {"difference": mean, "error_tables": error_tables, "error_splits": error_splits}
                | {"error": error, "ratio": ratio}
                | {"p_value": 2 * stats.t(df=max(len(members) - 1, 1)).sf(abs(ratio))}
                | {"verdict": _judge(ratio)}
            )
    return pd.DataFrame(rows)


def _judge(ratio: float) -> str:
    """Call an effect by its standard errors."""
    if ratio < -CLEAR:
        return HELPS
    return HURTS if ratio > CLEAR else NOISE
