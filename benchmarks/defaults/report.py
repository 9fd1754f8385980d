"""What came out of defaults, compared and told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Conclusions, Figure, Note, Outcome, Table, headed
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import SIGNIFICANCE, listed, number, percent
from benchmarks.defaults import figures
from benchmarks.defaults.runs import DEFAULT, EARLIER, SETTINGS

_NATS = MEASURES["log_loss"]
_OVERLAP = TEST_SHARE / (1 - TEST_SHARE)  # n_test / n_train, see `paired_difference`
_FEW_ROWS = 500  # to train on, below which a table is called small


def tell(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out."""
    by_table, comparison = compare_by_table(runs), compare(runs)
    blocks = [
        Note(notes(runs)),
        Figure("defaults.png", "Log-loss of two defaults", partial(figures.plot, by_table)),
        Conclusions(conclude(runs, by_table), listed=True),
        Table(main_table(by_table, comparison)),
        *headed([("Log-loss of each table, nats", table_of_tables(by_table))]),
        *last_notes(runs, missing),
    ]
    return Outcome("The defaults of MixupClassifier beside others", blocks)


# -- comparison -----------------------------------------------------------------------------------


def compare_by_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each setting beside the base rates and the defaults, split by split, on each table.

    A row for each table and setting: the means ``log_loss``, ``base`` (of the base rates) and
    ``test_error``; ``above_base``, log_loss - base, its standard error ``above_error``, which
    allows for the rows that random splits share, and ``p_above``, see `paired_difference`.
    """
    rows = []
    for (table, setting), members in runs.groupby(["table", "setting"], sort=False):
        found = paired_difference(
            members["log_loss"], members["base_log_loss"], test_share=TEST_SHARE
        )
        rows.append(
            {"table": table, "setting": setting, "log_loss": members["log_loss"].mean()}
            | {"base": members["base_log_loss"].mean(), "test_error": members["test_error"].mean()}
            | {"above_base": found.mean, "p_above": found.p_corrected}
            | {"above_error": np.sqrt(1 + len(members) * _OVERLAP) * found.standard_error}
        )
    order = [*TITLES, *SETTINGS].index
    by = ["table", "setting"]
    return pd.DataFrame(rows).sort_values(by, key=lambda column: column.map(order))


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each setting beside the defaults: means over the tables, each of which counts alike.

    A row for each setting but the defaults and each measure, ``log_loss`` and ``test_error``: mean
    ``difference`` from the defaults; its standard ``error`` over the tables; and
    ``n_lower``, the tables on which it is lower.
    """
    rows = []
    for measure in ("log_loss", "test_error"):
        wide = pair(runs, measure, by=["table", "split"], columns="setting", wanted=[DEFAULT])
        means = wide.groupby("table").mean()
        for setting in means.columns.drop(DEFAULT):
            differences = means[setting] - means[DEFAULT]
            mean, error = mean_and_standard_error(differences)
            rows.append(
                {"setting": setting, "measure": measure}
                | {"difference": mean, "error": error, "n_lower": int((differences < 0).sum())}
            )
    return pd.DataFrame(rows)


def _above_base(by_table: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Pick the tables on which a setting is worse than the base rates."""
    return by_table[(by_table["setting"] == setting) & (by_table["above_base"] > 0)]


def _names(rows: pd.DataFrame) -> str:
    """Name the tables of some rows."""
    return listed(TITLES[name] for name in rows["table"])


# -- what is said ---------------------------------------------------------------------------------


def conclude(runs: pd.DataFrame, by_table: pd.DataFrame) -> list[str]:
    """Say where settings are worse than the base rates, and how the defaults stand to others."""
    n_tables = by_table["table"].nunique()
    sentences = [
        f"{title}, {setting}: log-loss above that of the base rates, in nats, on "
        f"{_tell_above(_above_base(by_table, setting))} of {n_tables} tables."
        for title, setting in (("The defaults", DEFAULT), ("The earlier ones", EARLIER))
    ]
    safe = [name for name in by_table["setting"].unique() if _above_base(by_table, name).empty]
    sentences.append(f"Above it on no table: {listed(safe, '; ')}.")
    for where, members in _by_size(runs):
        rows = compare(members).set_index(["setting", "measure"], drop=False)
        if EARLIER in rows.index:
            loss, error = rows.loc[(EARLIER, "log_loss")], rows.loc[(EARLIER, "test_error")]
            sentences.append(
                f"The earlier ones less the defaults, {where}: {_difference(loss)} nats, lower on "
                f"{loss['n_lower']:.0f}, and {_difference(error)} points of error, lower on "
                f"{error['n_lower']:.0f}."
            )
    if EARLIER != DEFAULT:
        losses = by_table.pivot(index="table", columns="setting", values="log_loss")
        lost = (losses[DEFAULT] - losses[EARLIER]).sort_values(ascending=False)
        worse = (f"{TITLES[str(name)]} {_NATS.text(by)}" for name, by in lost.items() if by > 0)
        sentences.append(f"The earlier ones are lower in log-loss by, in nats: {listed(worse)}.")
    return sentences


def _by_size(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Pick the runs of all tables, and of the small ones."""
    small = runs[runs["n_train"] < _FEW_ROWS]
    told = [(f"all {runs['table'].nunique()} tables", runs)]
    if 1 < small["table"].nunique() < runs["table"].nunique():
        n = small["table"].nunique()
        told.append((f"the {n} tables with fewer than {_FEW_ROWS} rows to train on", small))
    return told


def _tell_above(rows: pd.DataFrame) -> str:
    """Count and name the tables on which a setting is worse than the base rates."""
    if rows.empty:
        return "0"
    clear = rows[rows["p_above"] < SIGNIFICANCE]
    told = (
        f"{TITLES[row.table]} {_NATS.text(row.above_base, row.above_error, sign='+')}"
        for row in rows.itertuples(name="Row")
    )
    return f"{len(rows)} ({listed(told)}; significantly: {_names(clear)})"


def _difference(row: Any) -> str:
    """Write a difference from the defaults."""
    kind = MEASURES[row["measure"]]
    digits = kind.digits + (kind is not _NATS)  # points of error: a digit more than for means
    return number(row["difference"], row["error"], factor=kind.factor, digits=digits, sign="+")


def main_table(by_table: pd.DataFrame, comparison: pd.DataFrame) -> pd.DataFrame:
    """Write all settings: means, differences from the defaults, and where base rates are better."""
    differences = {
        (row["setting"], row["measure"]): _difference(row) for _, row in comparison.iterrows()
    }
    lines = []
    for setting, rows in by_table.groupby("setting", sort=False):
        lines.append(
            {
                "setting": setting,
                "log-loss, nats": _NATS.text(rows["log_loss"].mean()),
                "of the base rates'": f"{stats.gmean(rows['log_loss'] / rows['base']):.2f}",
                "less the defaults, nats": differences.get((setting, "log_loss"), ""),
                "test error, %": percent(rows["test_error"].mean()),
                "less the defaults, points": differences.get((setting, "test_error"), ""),
                "base rates are better on": _names(_above_base(by_table, str(setting))),
            }
        )
    return pd.DataFrame(lines)


def table_of_tables(by_table: pd.DataFrame) -> pd.DataFrame:
    """Write the mean log-loss of each setting on each table, and that of the base rates."""
    texts = by_table.assign(text=[_NATS.text(value) for value in by_table["log_loss"]])
    wide = texts.pivot(index="table", columns="setting", values="text")
    wide = wide.loc[by_table["table"].unique(), by_table["setting"].unique()]
    base = by_table.groupby("table")["base"].mean().map(_NATS.text)
    wide.insert(0, "base rates", base)
    return wide.rename(index=TITLES).rename_axis(index="table", columns=None).reset_index()


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    counts = runs.groupby("table")["split"].nunique()
    common = int(counts.max())
    few = "".join(f", {n} of {TITLES[name]}" for name, n in counts[counts < common].items())
    return (
        f"One network, MixupClassifier with its defaults but for what is told, behind "
        f"StandardScaler and a one-hot encoder; {common} random splits of each table{few}, "
        f"{1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on. Networks of a split "
        "have the same seed. The base rates are the shares of the classes among the training "
        "rows, given to every row. Means are over the splits, then over the tables; ± is the "
        f"standard error over the tables; significant: p < {SIGNIFICANCE:g} in the corrected "
        'resampled t-test (Nadeau and Bengio, 2003), not adjusted for the number of tests. "of '
        "the base rates'\": the log-loss divided by theirs, geometric mean over the tables. Test "
        "rows whose label no training row has count as errors and are left out of the log-loss."
    )
