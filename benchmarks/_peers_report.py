"""How the runs of peers are compared and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.scores import MEASURES as CALIBRATION_MEASURES
from benchmarks._lab.scores import N_BINS
from benchmarks._lab.tell import made_with as made_with_runs
from benchmarks._lab.tell import p_value
from benchmarks._peers_methods import FULL, PYTABKIT, Budget, title_of
from benchmarks._peers_statistics import (
    Difference,
    Ranks,
    averages,
    by_table_and_split,
    compare,
    detectable,
    power,
    rank,
)

MEASURES = {
    name: replace(CALIBRATION_MEASURES[name], digits=digits)
    for name, digits in (("test_error", 2), ("log_loss", 3), ("brier", 3), ("ece", 2))
}
ENSEMBLE = "ensemble"
_PAIRS = (
    (ENSEMBLE, "realmlp"),
    (ENSEMBLE, "hist_gb"),
    (ENSEMBLE, "forest"),
    (ENSEMBLE, "mlp"),
    (ENSEMBLE, "mixup"),
    ("mixup", "realmlp"),
    ("mixup", "hist_gb"),
    ("tuned", "realmlp"),
    ("tuned", "mixup"),
)
# Mixup and ERM: with the same budget, each with its own best, and as ensembles.
SHARES = (
    ("mixup", "erm"),
    ("mixup_budget", "erm_budget"),
    ("mixup", "erm_budget"),
    (ENSEMBLE, "erm_ensemble"),
)
WORTH_FINDING = 0.005  # a difference in test error of half a point


@dataclass(frozen=True)
class Results:
    """The measured values, by table, split and method, and what they are at the mean.

    `values` has the columns of `MEASURES`, and the logarithms of the times; `averages` the means of
    the measures, each with its standard error over the splits.
    """

    runs: pd.DataFrame
    values: dict[str, pd.DataFrame]
    averages: dict[str, pd.DataFrame]
    ranks: dict[str, Ranks]

    @property
    def methods(self) -> list[str]:
        """The methods that ran."""
        return list(self.values["test_error"].columns)

    @property
    def n_splits(self) -> int:
        """Number of splits of each table."""
        return int(self.runs["split"].nunique())

    @property
    def tables(self) -> list[str]:
        """The tables, in the order of `TITLES`."""
        return list(self.values["test_error"].index.unique("table"))

    def seconds(self, measure: str = "fit_time_s") -> pd.Series:
        """Get the geometric mean of a time over tables and splits, for each method."""
        return np.exp(self.values[measure].groupby("table").mean().mean())

    def difference(self, pair: tuple[str, str], measure: str = "test_error") -> Difference | None:
        """Compare two methods; None if one of them did not run."""
        return compare(self.values[measure], *pair) if {*pair} <= {*self.methods} else None


def collect(runs: pd.DataFrame) -> Results:
    """Set the methods beside each other.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``table``, ``method``, ``split``, the columns of `MEASURES`, ``fit_time_s``
        and ``predict_time_s``.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        If some table and split lacks a method that others have.
    """
    values = {name: by_table_and_split(runs, name) for name in MEASURES}
    values |= {
        name: np.log(by_table_and_split(runs, name)) for name in ("fit_time_s", "predict_time_s")
    }
    return Results(
        runs,
        values,
        {name: averages(values[name]) for name in MEASURES},
        {name: rank(values[name]) for name in ("test_error", "log_loss")},
    )


# -- tables ---------------------------------------------------------------------------------------


def tables(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Write the comparison as tables of texts, each with its heading."""
    n_tables = len(results.tables)
    written = [
        (f"Means over {n_tables} tables", _means(results)),
        ("Differences, paired by table and split", _pairs(results)),
        ("The share that is mixup's own", _shares(results)),
    ]
    return [(heading, table) for heading, table in written if len(table)]


def tables_by_table(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Write error and log-loss of each method on each table, the lowest in bold."""
    return [(_heading(name), _by_table(results, name)) for name in ("test_error", "log_loss")]


def _heading(name: str) -> str:
    """Write the name of a measure, with its unit, as a heading."""
    title = MEASURES[name].title
    return f"{title[0].upper()}{title[1:]}"


def word(name: str) -> str:
    """Write the name of a measure without its unit."""
    return MEASURES[name].title.partition(",")[0]


def _means(results: Results) -> pd.DataFrame:
    """Write the mean of each measure over the tables, the times and the mean ranks."""
    rows = []
    for method in results.methods:
        row = {"method": title_of(method)}
        for name, measure in MEASURES.items():
            mean, error = results.averages[name].loc[method]
            row[measure.title] = measure.text(mean, error)
        row["fit, s"] = f"{results.seconds()[method]:.2f}"
        row["predict, ms"] = f"{1000 * results.seconds('predict_time_s')[method]:.1f}"
        for name, ranks in results.ranks.items():
            row[f"rank, {word(name).removeprefix('test ')}"] = f"{ranks.mean[method]:.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def _pairs(results: Results) -> pd.DataFrame:
    """Write the differences of pairs of methods, and the ratio of their times."""
    rows = []
    for pair in _PAIRS:
        if row := _difference(results, pair):
            ratio = np.exp(compare(results.values["fit_time_s"], *pair).mean)
            rows.append({**row, "fit time": f"{ratio:.2f} x"})
    return pd.DataFrame(rows)


def _shares(results: Results) -> pd.DataFrame:
    """Write the differences of mixup and ERM, and the power of their tests."""
    rows = []
    for pair in SHARES:
        difference = results.difference(pair)
        if difference is None:
            continue
        row = _difference(results, pair)
        is_spread = difference.over_tables > 0
        error, n = difference.over_tables, difference.n_tables
        row["found in 80 %"] = f"{100 * detectable(error, n):.2f}" if is_spread else ""
        found = f"{power(WORTH_FINDING, error, n):.0%}" if is_spread else ""
        rows.append({**row, f"power at {100 * WORTH_FINDING:g}": found})
    return pd.DataFrame(rows)


def _difference(results: Results, pair: tuple[str, str]) -> dict[str, str]:
    """Write how two methods differ in error and log-loss; nothing if one of them did not run."""
    if not {*pair} <= {*results.methods}:
        return {}
    error = compare(results.values["test_error"], *pair)
    log_loss = compare(results.values["log_loss"], *pair)
    text = MEASURES["test_error"].text
    n_lower, n_higher = (error.by_table < 0).sum(), (error.by_table > 0).sum()
    return {
        "compared": " - ".join(map(title_of, pair)),
        "error, points": text(error.mean, error.over_tables, sign="+"),
        "± splits": "" if np.isnan(error.over_splits) else text(error.over_splits),
        "p": p_value(error.p_value),
        "p, ranks": p_value(error.p_wilcoxon),
        "lower / higher": f"{n_lower} / {n_higher}",
        "log-loss, nats": MEASURES["log_loss"].text(log_loss.mean, log_loss.over_tables, sign="+"),
    }


def _by_table(results: Results, name: str) -> pd.DataFrame:
    """Write the means of a measure: a row for each table, a column for each method."""
    values, measure = results.values[name], MEASURES[name]
    means = values.groupby("table", sort=False).mean()
    errors = values.groupby("table", sort=False).sem()
    rows = []
    for table in means.index:
        lowest = means.loc[table].round(12).min()
        row = {"table": TITLES[table]}
        for method in means.columns:
            text = measure.text(means.loc[table, method], errors.loc[table, method])
            is_lowest = round(means.loc[table, method], 12) == lowest
            row[title_of(method)] = f"**{text}**" if is_lowest else text
        rows.append(row)
    return pd.DataFrame(rows)


# -- notes ----------------------------------------------------------------------------------------


def notes(results: Results, budget: Budget) -> str:
    """Say what was done and how it was measured."""
    unseen = results.runs.groupby("table")["n_unseen"].max()
    rows_left_out = ", ".join(TITLES[name] for name in unseen.index[unseen > 0])
    left_out = (
        f" Some test rows of {rows_left_out} have a label that no training row has: they count as "
        "errors and in the Brier score, and are left out of the log-loss."
        if rows_left_out
        else ""
    )
    defaults = (
        "at its defaults" if budget == FULL else "with next to no budget, to see that it runs"
    )
    return (
        f"Every method {defaults}, with the same {results.n_splits} random splits of each "
        f"table, {1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on, one thread, and "
        "the split as random_state. The nets of this package and MLPClassifier get standardised "
        "features, nominal columns one-hot; RandomForest raw numbers, words one-hot; "
        "HistGradientBoosting and RealMLP-TD nominal columns as categories, and RealMLP-TD, which "
        "takes no missing numbers, their medians. Own budget: the epochs are searched in folds of "
        f"the training rows, among {budget.own_epochs[0]} to {budget.own_epochs[-1]}. Fit "
        "time is wall time of all of it, preprocessing, search and refit too; times are geometric "
        "means. In the table of means, ± is the standard error over the splits. Differences have "
        "two: the one beside the number is over tables, "
        "each a mean of its splits, and is the one to go by if another table is meant; the other "
        "is over splits, each a mean of the tables, for these tables alone, and rather too small, "
        "as splits share rows. Lower / higher counts the tables by the sign of the error. p: "
        "paired t-test over tables; p, ranks: Wilcoxon's signed-rank test. Found in 80 %: the "
        "true difference in points that the t-test at 5 % finds with that probability; power: how "
        f"probable it is that it finds one of {100 * WORTH_FINDING:g} points. Log-loss is in "
        "nats; a probability of 0 counts as 2e-16 (36 nats), as scikit-learn has it. The Brier "
        "score sums over the classes (0 to 2). ECE: expected calibration error of the predicted "
        f"class, {N_BINS} bins of equal width.{left_out}"
    )


def absent_note(absent: Sequence[str]) -> str:
    """Say which methods are left out and how to get them."""
    names = ", ".join(map(title_of, absent))
    return (
        f"Not installed, and left out: {names}. To have it too: pip install {PYTABKIT}, then start "
        "again."
    )


def made_with(runs: pd.DataFrame) -> str:
    """Say what the runs were computed with."""
    found = [] if PYTABKIT not in runs else runs[PYTABKIT].dropna().astype(str).unique()
    peers = ", ".join(version for version in found if version and version != "nan")
    return made_with_runs(runs, others=f"{PYTABKIT} {peers}; " if peers else "")
