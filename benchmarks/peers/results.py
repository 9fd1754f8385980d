"""The runs of peers, with the methods set beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks._lab import scores
from benchmarks._lab.tell import Measure
from benchmarks.peers import statistics
from benchmarks.peers.statistics import Difference, Ranks, by_table_and_split

ROC_AUC = "roc_auc"  # of the tables with two classes alone
MEASURES = {
    name: replace(scores.MEASURES[name], digits=digits)
    for name, digits in (("test_error", 2), ("log_loss", 3), ("brier", 3), ("ece", 2))
} | {ROC_AUC: Measure("ROC AUC", 1, 3, is_loss=False)}
OURS = "tabular"  # what is asked to be ahead of the others
# Mixup and ERM with the same budget.
SHARE = ("ensemble", "erm_ensemble")
WORTH_FINDING = 0.005  # a difference in test error of half a point
_TIMES = ("fit_cpu_s", "predict_time_s")


@dataclass(frozen=True)
class Results:
    """The measured values, by table, split and method, and what they are at the mean.

    `values` has the columns of `MEASURES`, and the logarithms of the times; `averages` the means of
    the measures, each with its standard error over the splits. Neither has `ROC_AUC` where no table
    has two classes.
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
    def tables(self) -> list[str]:
        """The tables, in the order of `TITLES`."""
        return list(self.values["test_error"].index.unique("table"))

    def seconds(self, measure: str = "fit_cpu_s") -> pd.Series:
        """Get the geometric mean of a time over tables and splits, for each method."""
        return np.exp(self.values[measure].groupby("table").mean().mean())

    def difference(self, pair: tuple[str, str], measure: str = "test_error") -> Difference | None:
        """Compare two methods; None if one of them did not run."""
        if not {*pair} <= {*self.methods}:
            return None
        return statistics.compare(self.values[measure], *pair)


def collect(runs: pd.DataFrame) -> Results:
    """Set the methods of finished runs beside each other."""
    binary = runs[runs[ROC_AUC].notna()]
    values = {
        name: by_table_and_split(binary if name == ROC_AUC else runs, name)
        for name in MEASURES
        if name != ROC_AUC or len(binary)
    }
    averages = {name: statistics.averages(values[name]) for name in values}
    # The base rates take no time that a clock could tell.
    values |= {name: np.log(by_table_and_split(runs, name).clip(lower=1e-4)) for name in _TIMES}
    ranks = {name: statistics.rank(values[name]) for name in ("test_error", "log_loss")}
    return Results(runs, values, averages, ranks)
