"""The page of methods beside each other: its tables, and how it is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from benchmarks._data.tables import ALL_TITLES
from benchmarks._lab.methods import figures
from benchmarks._lab.methods.method import Method, absent_note
from benchmarks._lab.methods.results import Pair, Results
from benchmarks._lab.methods.statistics import detectable, power
from benchmarks._lab.outcome import Block, Conclusions, Figure, Heading, Note, Outcome, headed
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import Measure, capital, p_value

Titled = tuple[str, pd.DataFrame]  # a heading, and a table of texts


def page(
    title: str,
    stem: str,
    results: Results,
    *,
    conclusions: Sequence[str],
    by_table: Iterable[Titled],
    notes: str,
    absent: Sequence[Method],
    missing: Sequence[str],
) -> Outcome:
    """Put a page together; the files of its figures are named after `stem`."""
    first, second = (results.contest.measures[name].name for name in results.contest.main)
    against = f"{first} and {second} against the time of the fit"
    blocks: list[Block] = [
        Figure(f"{stem}.png", capital(against), partial(figures.plot, results)),
        Conclusions(conclusions, listed=True),
        *headed(tables(results)),
    ]
    if len(results.methods) > 1:
        draw = partial(figures.plot_ranks, results)
        blocks += [Heading("Ranks"), Figure(f"{stem}_ranks.png", "Mean ranks", draw)]
    blocks += [*headed(by_table), Heading("How it was measured"), Note(notes)]
    if absent:
        blocks.append(Note(absent_note(absent)))
    blocks += last_notes(results.runs, missing, others=packages_of(results.runs))
    return Outcome(title, blocks)


def packages_of(runs: pd.DataFrame) -> str:
    """Name the packages of others that the runs were computed with."""
    told = runs["packages"].dropna().astype(str)
    found = dict.fromkeys(text for texts in told for text in texts.split(", ") if text)
    return "".join(f"{text}; " for text in found)


# -- tables ---------------------------------------------------------------------------------------


def tables(results: Results) -> list[Titled]:
    """Write the comparison as tables of texts, each with its heading."""
    written = [
        (f"Means over {len(results.tables)} tables", _means(results)),
        ("Differences, paired by table and split", _pairs(results)),
        ("The share that is mixup's own", _share(results)),
    ]
    return [(title, table) for title, table in written if len(table)]


def _means(results: Results) -> pd.DataFrame:
    """Write the mean of each measure over the tables, the times and the mean ranks."""
    contest, rows = results.contest, []
    for method in results.methods:
        row = {"method": contest.title(method)}
        for name, averages in results.averages.items():
            measure = contest.measures[name]
            row[measure.title] = measure.text(*averages.loc[method])
        row["fit, s"] = f"{results.seconds()[method]:.2f}"
        row["predict, ms"] = f"{1000 * results.seconds('predict_time_s')[method]:.1f}"
        for name, ranks in results.ranks.items():
            measure = contest.measures[name]
            row[f"rank, {measure.name.removeprefix('test ')}"] = f"{ranks.mean[method]:.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def _pairs(results: Results) -> pd.DataFrame:
    """Write the differences of pairs of methods, and the ratio of their times."""
    times = {pair: results.difference(pair, "fit_cpu_s") for pair in results.contest.pairs}
    return pd.DataFrame(
        _difference(results, pair) | {"fit time": f"{np.exp(time.mean):.2f} x"}
        for pair, time in times.items()
        if time
    )


def _share(results: Results) -> pd.DataFrame:
    """Write the difference of mixup and ERM, and the power of its test."""
    contest, difference = results.contest, results.difference(results.contest.share)
    if difference is None:
        return pd.DataFrame()
    error, n = difference.over_tables, difference.n_tables
    measure, told = contest.measures[contest.first], ["", ""]
    if error > 0:
        found = power(contest.worth, error, n)
        told = [measure.text(detectable(error, n)), f"{found:.0%}"]
    titles = ("found in 80 %", f"power at {measure.factor * contest.worth:g}")
    row = _difference(results, contest.share) | dict(zip(titles, told, strict=True))
    return pd.DataFrame([row])


def _difference(results: Results, pair: Pair) -> dict[str, str]:
    """Write how two methods differ in the two main measures."""
    first, second = results.contest.main
    found = {name: results.difference(pair, name) for name in (first, second)}
    difference, other = found[first], found[second]
    assert difference is not None
    assert other is not None
    text = results.contest.measures[first].text
    n_lower, n_higher = (difference.by_table < 0).sum(), (difference.by_table > 0).sum()
    return {
        "compared": " - ".join(map(results.contest.title, pair)),
        results.contest.main[first]: text(difference.mean, difference.over_tables, sign="+"),
        "± splits": text(difference.over_splits),
        "p": p_value(difference.p_value),
        "p, ranks": p_value(difference.p_wilcoxon),
        "lower / higher": f"{n_lower} / {n_higher}",
        results.contest.main[second]: results.contest.measures[second].text(
            other.mean, other.over_tables, sign="+"
        ),
    }


def by_table(values: pd.DataFrame, results: Results, measure: Measure) -> pd.DataFrame:
    """Write the means of a measure: a row for each table, a column for each method.

    The best stands in bold. `values` are those of `by_table_and_split`; a measure with digits
    below 0 has three digits of the largest mean.
    """
    tables = values.groupby("table", sort=False)
    means, errors = tables.mean(), tables.sem()
    rounded = means.round(12)
    best = rounded.min(axis=1) if measure.is_loss else rounded.max(axis=1)
    is_best = rounded.eq(best, axis=0)
    rows = []
    for table in means.index:
        row, kind = {"table": ALL_TITLES[table]}, measure
        if measure.digits < 0:
            digits = 2 - int(np.floor(np.log10(means.loc[table].max())))
            kind = replace(measure, digits=max(digits, 0))
        for method in means:
            text = kind.text(means.loc[table, method], errors.loc[table, method])
            title = results.contest.title(method)
            row[title] = f"**{text}**" if is_best.loc[table, method] else text
        rows.append(row)
    return pd.DataFrame(rows)


def note_on_differences(counted: str) -> str:
    """Say how differences are told; tables are counted by the sign of what is `counted`."""
    return (
        "In the table of means, ± is the standard error over the splits. Differences have two: the "
        "one beside the number is over tables, each a mean of its splits, and is the one to go by "
        "if another table is meant; the other is over splits, each a mean of the tables, for these "
        "tables alone, and rather too small, as splits share rows. Lower / higher counts the "
        f"tables by the sign of the {counted}. p: paired t-test over tables; p, ranks: Wilcoxon's "
        "signed-rank test."
    )
