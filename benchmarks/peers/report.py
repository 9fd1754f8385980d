"""What came out of peers, told."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.methods.anchors import WIDE
from benchmarks._lab.methods.method import FULL, Budget, Method
from benchmarks._lab.methods.report import (
    Titled,
    by_table,
    note_on_differences,
    page,
)
from benchmarks._lab.methods.results import Results, collect
from benchmarks._lab.outcome import Outcome
from benchmarks._lab.scores import N_BINS
from benchmarks.peers.conclusions import conclude
from benchmarks.peers.results import CONTEST, MEASURES, ROC_AUC, WORTH_FINDING


def tell(
    runs: pd.DataFrame, *, budget: Budget, absent: Sequence[Method], missing: Sequence[str]
) -> Outcome:
    """Tell what came out."""
    results = collect(CONTEST, runs)
    return page(
        "Against the best that one can install",
        "peers",
        results,
        conclusions=conclude(results),
        by_table=tables_by_table(results),
        notes=notes(results, budget),
        absent=absent,
        missing=missing,
    )


def tables_by_table(results: Results) -> list[Titled]:
    """Write error and log-loss of each method on each table, the lowest in bold."""
    return [
        (MEASURES[name].heading, by_table(results.values[name], results, MEASURES[name]))
        for name in CONTEST.main
    ]


def notes(results: Results, budget: Budget) -> str:
    """Say what was done and how it was measured."""
    n_splits = results.runs["split"].nunique()
    unseen = results.runs.groupby("table")["n_unseen"].max()
    rows_left_out = ", ".join(TITLES[name] for name in unseen.index[unseen > 0])
    left_out = (
        f" Some test rows of {rows_left_out} have a label that no training row has: they count as "
        "errors and in the Brier score, and are left out of the log-loss."
    )
    binary = ""
    if ROC_AUC in results.values:
        n_binary = results.values[ROC_AUC].index.get_level_values("table").nunique()
        binary = f" ROC AUC is the mean of the {n_binary} tables with two classes."
    defaults = (
        f"at its defaults (TabM-D with piecewise-linear numbers, but beyond {WIDE} columns)"
        if budget == FULL
        else "with next to no budget, to see that it runs"
    )
    return (
        f"Every method {defaults}, with the same {n_splits} random splits of each "
        f"table, {1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on, one thread, and "
        "the split as random_state. All but some nets of this package are told which columns are "
        "nominal: CatBoost, LightGBM, RealMLP-TD and TabM-D by themselves (the last two take no "
        "missing numbers, and get medians), the methods of scikit-learn and those with skrub in "
        "their name behind skrub.tabular_pipeline; TabularMixup takes the table as it is. mixup, "
        "mixup x 8 and ERM x 8 get standardised numbers and nominal columns one-hot. The fit time "
        "is that of the processor for all of the fit, preprocessing too; times are geometric "
        "means. "
        f"{note_on_differences('error')}{binary} Found in 80 %: the "
        "true difference in points that the t-test at 5 % finds with that probability; power: how "
        f"probable it is that it finds one of {100 * WORTH_FINDING:g} points. Log-loss is in "
        "nats; a probability of 0 counts as 2e-16 (36 nats), as scikit-learn has it. The Brier "
        "score sums over the classes (0 to 2). ECE: expected calibration error of the predicted "
        f"class, {N_BINS} bins of equal width.{left_out if rows_left_out else ''}"
    )
