"""What is said of methods beside each other, in every experiment alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import ALL_TITLES
from benchmarks._lab.methods.results import Results
from benchmarks._lab.methods.statistics import Difference
from benchmarks._lab.statistics import paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_equals


def verdict(holds: bool) -> str:
    """Say whether what was asked holds."""
    return "This holds." if holds else "This does not hold."


def tell_spread(errors: dict[str, float], *, factor: float, digits: int) -> str:
    """Write standard errors with their units, in brackets; nothing if there are none."""
    told = [f"± {factor * error:.{digits}f} over {units}" for units, error in errors.items()]
    return f" ({', '.join(told)})" if told else ""


def told_apart(difference: Difference) -> str:
    """Say whether two methods are told apart, and by which tests."""
    told = "told apart" if difference.p_value < SIGNIFICANCE else "not told apart"
    return (
        f"{told} (t-test over tables {p_equals(difference.p_value)}, Wilcoxon's test "
        f"{p_equals(difference.p_wilcoxon)})"
    )


def share_of_time(results: Results, pair: tuple[str, str]) -> tuple[float, str] | None:
    """Compare the times of two fits: their ratio, and its range; None if one did not run."""
    difference = results.difference(pair, "fit_cpu_s")
    if difference is None:
        return None
    by_table = np.exp(difference.by_table)
    return float(np.exp(difference.mean)), (
        f"{by_table.min():.2f} on {ALL_TITLES[by_table.idxmin()]} to "
        f"{by_table.max():.2f} on {ALL_TITLES[by_table.idxmax()]}"
    )


def clearly_above(results: Results, measure: str, method: str, others: list[str]) -> dict[str, str]:
    """Find where a method is above others by more than two standard errors over the splits.

    By table: above which, and by how much.
    """
    kind = results.contest.measures[measure]
    found: dict[str, str] = {}
    for name, values in results.values[measure].groupby("table", sort=False):
        table = ALL_TITLES[str(name)]
        for other in others:
            it = paired_difference(values[method], values[other])
            if it.mean > 2 * it.standard_error:
                number = kind.text(it.mean, it.standard_error, sign="+")
                told = f"{results.contest.title(other)} {number}"
                found[table] = f"{found[table]}, {told}" if table in found else told
    return found


def tell_trees(results: Results, title: str, write: Callable[[float], str]) -> str | None:
    """Say on which tables trees are lower in the first measure than ours; None without trees.

    `title` says what is said of trees: "Trees err less than NAME"; `write` writes a difference.
    """
    contest = results.contest
    trees = [method for method in results.methods if contest.methods[method].family == "trees"]
    if not trees:
        return None
    told = []
    for table, values in results.values[contest.first].groupby("table", sort=False):
        best = values[trees].mean().idxmin()
        found = paired_difference(values[best], values[contest.ours], test_share=TEST_SHARE)
        if round(found.mean, 12) < 0:
            star = "*" if found.p_corrected < SIGNIFICANCE else ""
            told.append(f"{ALL_TITLES[table]} ({contest.title(best)} {write(found.mean)}{star})")
    on = f"on {len(told) or 'none'} of {len(results.tables)} tables"
    if not told:
        return f"{title} {on}."
    return (
        f"{title} {on}: {', '.join(told)}; * where p < {SIGNIFICANCE:g} over the splits, corrected "
        "for the rows they share."
    )


def tell_ranks(results: Results) -> Iterator[tuple[str, str]]:
    """Say which methods have the best mean ranks in each main measure, and what the tests say."""
    contest = results.contest
    for name, ranks in results.ranks.items():
        if len(ranks.mean) < 3 or ranks.n_tables < 2:
            continue
        reach = ranks.critical_difference
        behind = ranks.mean.index[ranks.mean > ranks.mean.iloc[0] + reach]
        told = "; ".join(f"{contest.title(it)} {value:.1f}" for it, value in ranks.mean.items())
        best = contest.title(ranks.mean.index[0])
        names = listed(map(contest.title, behind), "; ")
        sentence = (
            f"Mean rank of {contest.measures[name].name}: {told}. Friedman test "
            f"{p_equals(ranks.p_value)}; by the Nemenyi test, which tells ranks {reach:.1f} apart, "
            f"{best} is ahead of: {names}."
        )
        yield name, sentence
