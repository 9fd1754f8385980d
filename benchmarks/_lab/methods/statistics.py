"""Comparing methods over tables: paired differences, the power of their test, and ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from benchmarks._data.tables import ALL_TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks._lab.tell import SIGNIFICANCE

_POWER = 0.8


def by_table_and_split(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Set the methods beside each other: a row for each table and split, a column for each method.

    Tables and methods stand in the order of `ALL_TITLES` and of the runs.
    """
    wide = pair(runs, measure, by=["table", "split"], columns="method", wanted=())
    found = wide.index.unique("table")
    tables = [name for name in ALL_TITLES if name in found]
    return wide.loc[tables, list(dict.fromkeys(runs["method"]))]


def averages(values: pd.DataFrame) -> pd.DataFrame:
    """Average over tables and splits: ``mean`` and ``error``, a row for each method.

    The standard error is that of a mean over the tables, from the spread over the splits.
    """
    by_split = values.groupby("split").mean()
    rows = {method: mean_and_standard_error(by_split[method]) for method in by_split}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "error"])


@dataclass(frozen=True)
class Difference:
    """How much one method is above another, over tables: the mean, and how sure it is."""

    by_table: pd.Series  # the difference on each table, a mean over its splits
    mean: float
    median: float
    # Standard error with the tables as units: how the mean would vary with other tables.
    over_tables: float
    # With the splits as units, each a mean over the tables: how it would vary with other splits of
    # the same tables. Splits of a table share rows, so it is rather low.
    over_splits: float
    p_value: float  # of the paired t-test over the tables
    p_wilcoxon: float  # of Wilcoxon's signed-rank test over the tables

    @property
    def n_tables(self) -> int:
        """Number of tables."""
        return len(self.by_table)

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors that are known, by their units."""
        errors = {"tables": self.over_tables, "splits": self.over_splits}
        return {units: error for units, error in errors.items() if not np.isnan(error)}


def compare(values: pd.DataFrame, method: str, other: str) -> Difference:
    """Compare two columns of `by_table_and_split`, paired by table and split: ``method - other``.

    NaN stands for the standard error and the p values of a single table or split.
    """
    difference = values[method] - values[other]
    # Differences that cancel leave 1e-18, which has a sign but means nothing.
    by_table = difference.groupby("table", sort=False).mean().round(12)
    by_split = difference.groupby("split").mean()
    tables, splits = (paired_difference(it, np.zeros(len(it))) for it in (by_table, by_split))
    return Difference(
        by_table=by_table,
        mean=round(tables.mean, 12),
        median=float(by_table.median()),
        over_tables=tables.standard_error,
        over_splits=splits.standard_error,
        p_value=tables.p_value,
        p_wilcoxon=_wilcoxon(by_table),
    )


def _wilcoxon(differences: pd.Series) -> float:
    """P value of the signed-rank test; it leaves out differences of zero."""
    if len(differences) < 2:
        return np.nan
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def power(true: float, standard_error: float, n: int) -> float:
    """Probability that a two-sided paired t-test at 5 % finds a true difference.

    The statistic is ``t = mean / standard_error`` of `n` differences. If they are normal with mean
    `true`, ``t`` has a noncentral t distribution with ``n - 1`` degrees of freedom and
    noncentrality ``true / standard_error``, with the real standard error, ``sigma / sqrt(n)``; here
    the measured one stands in for it. So ``t**2`` has a noncentral F distribution with 1 and
    ``n - 1`` degrees of freedom and noncentrality ``(true / standard_error)**2``, and the test
    finds the difference where ``t**2`` is beyond the squared 97.5 % quantile of Student's t.

    Examples
    --------
    >>> round(power(0.0, 1.0, 10), 3), round(power(3.0, 1.0, 10), 3)
    (0.05, 0.761)
    """
    limit = stats.t.ppf(1 - SIGNIFICANCE / 2, n - 1)
    # scipy 1.17 is wrong at a noncentrality of exactly 0, and stats.nct is NaN at large ones.
    noncentrality = max((true / standard_error) ** 2, 1e-12)
    return float(stats.ncf.sf(limit**2, 1, n - 1, noncentrality))


def detectable(standard_error: float, n: int) -> float:
    """Find the true difference that `power` finds with a probability of 80 %.

    Power depends on the difference in standard errors alone, so this is a multiple of
    `standard_error`: 3.15 of them for ten tables.

    Examples
    --------
    >>> round(detectable(0.5, 10), 2)
    1.57
    """
    # Two differences need 16.3 standard errors, more differences fewer.
    in_errors = optimize.brentq(lambda true: power(true, 1.0, n) - _POWER, 0.0, 20.0)
    return float(in_errors * standard_error)


@dataclass(frozen=True)
class Ranks:
    """Ranks of the methods, 1 for the lowest loss, after Demsar [1]_.

    References
    ----------
    .. [1] Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
    """

    mean: pd.Series  # of each method over the tables, ascending; ties share the mean of their ranks
    p_value: float  # of the Friedman test: that all methods are alike; NaN for fewer than three
    critical_difference: float  # mean ranks nearer than that are not told apart
    n_tables: int

    def groups(self) -> list[tuple[str, str]]:
        """Find the longest runs of methods that are not told apart: the first and last of each."""
        names, ranks = list(self.mean.index), self.mean.to_numpy()
        # For each method the last that is within reach of it; a run inside another is left out.
        last = np.searchsorted(ranks, ranks + self.critical_difference, side="right") - 1
        return [
            (names[first], names[end])
            for first, end in enumerate(last)
            if end > first and (first == 0 or end > last[first - 1])
        ]


def rank(values: pd.DataFrame) -> Ranks:
    """Rank the methods on each table by the mean of its splits, and test whether they differ."""
    means = values.groupby("table", sort=False).mean().round(12)
    n_tables, n_methods = means.shape
    ranks = means.rank(axis=1)
    if n_methods < 3:
        p_value = np.nan
    elif (ranks.nunique(axis=1) == 1).all():  # all tied everywhere: scipy would divide by zero
        p_value = 1.0
    else:
        p_value = float(stats.friedmanchisquare(*means.to_numpy().T).pvalue)
    mean = ranks.mean().sort_values(kind="stable")
    return Ranks(mean, p_value, critical_difference(n_methods, n_tables), n_tables)


def critical_difference(n_methods: int, n_tables: int) -> float:
    """Tell how far apart mean ranks must be at 5 % in the Nemenyi test.

    ``q * sqrt(k * (k + 1) / (6 * N))`` for ``k`` methods and ``N`` tables, where ``q`` is the
    95 % quantile of the studentized range of ``k`` normal variables, over the root of 2.

    Examples
    --------
    >>> round(critical_difference(4, 14), 2)  # the example of Demsar 2006, Section 3.2.4
    1.25
    """
    q = stats.studentized_range.ppf(1 - SIGNIFICANCE, n_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_tables)))
