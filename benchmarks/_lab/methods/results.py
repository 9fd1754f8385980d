"""The runs of methods, set beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks._lab.methods import statistics
from benchmarks._lab.methods.method import Method
from benchmarks._lab.methods.statistics import Difference, Ranks, by_table_and_split
from benchmarks._lab.tell import Measure

Pair = tuple[str, str]
_TIMES = ("fit_cpu_s", "predict_time_s")


@dataclass(frozen=True)
class Contest:
    """What is set beside each other, and by what."""

    methods: Mapping[str, Method]
    # Columns of the runs; one that is NaN on some tables is a mean of the others.
    measures: Mapping[str, Measure]
    # Those that are drawn, ranked and compared, the first of all first; what heads a difference.
    main: Mapping[str, str]
    ours: str  # the method that the others are compared with in figures
    pairs: Sequence[Pair]  # which are compared in the table of differences
    share: Pair  # mixup and ERM with the same budget
    worth: float  # a difference between these in the first measure that is worth finding

    @property
    def first(self) -> str:
        """The measure that matters most."""
        return next(iter(self.main))

    def title(self, method: str) -> str:
        """Name a method."""
        return self.methods[method].title


@dataclass(frozen=True)
class Results:
    """The measured values, by table, split and method, and what they are at the mean.

    `values` has the columns of the measures that some table has, and the logarithms of the times;
    `averages` the means of the measures, each with its standard error over the splits.
    """

    contest: Contest
    runs: pd.DataFrame
    values: dict[str, pd.DataFrame]
    averages: dict[str, pd.DataFrame]
    ranks: dict[str, Ranks]

    @property
    def methods(self) -> list[str]:
        """The methods that ran."""
        return list(self.values[self.contest.first].columns)

    @property
    def tables(self) -> list[str]:
        """The tables, in the order of `ALL_TITLES`."""
        return list(self.values[self.contest.first].index.unique("table"))

    def seconds(self, measure: str = "fit_cpu_s") -> pd.Series:
        """Get the geometric mean of a time over tables and splits, for each method."""
        return np.exp(self.values[measure].groupby("table").mean().mean())

    def difference(self, pair: Pair, measure: str | None = None) -> Difference | None:
        """Compare two methods, by the first measure if none is named; None if one did not run."""
        if not {*pair} <= {*self.methods}:
            return None
        return statistics.compare(self.values[measure or self.contest.first], *pair)


def collect(contest: Contest, runs: pd.DataFrame) -> Results:
    """Set the methods of finished runs beside each other."""
    known = {name: runs[runs[name].notna()] for name in contest.measures}
    values = {name: by_table_and_split(it, name) for name, it in known.items() if len(it)}
    averages = {name: statistics.averages(values[name]) for name in values}
    # The base rates take no time that a clock could tell.
    values |= {name: np.log(by_table_and_split(runs, name).clip(lower=1e-4)) for name in _TIMES}
    ranks = {name: statistics.rank(values[name]) for name in contest.main}
    return Results(contest, runs, values, averages, ranks)
