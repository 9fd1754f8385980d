"""What came out of changes of a recipe, told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.changes import figures
from benchmarks._lab.changes.compare import (
    CLEAR,
    HELPS,
    HURTS,
    IN_HEADINGS,
    NOISE,
    USUAL,
    YARDSTICK,
    Changes,
    compare,
    compare_by_table,
    title_of,
    with_unit,
)
from benchmarks._lab.methods.statistics import detectable
from benchmarks._lab.outcome import Block, Conclusions, Figure, Note, Outcome, Table, headed
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.statistics import holm
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import SIGNIFICANCE, listed


def tell_changes(
    title: str,
    figure: str,
    runs: pd.DataFrame,
    changes: Changes,
    *,
    recipe: str,
    more: Sequence[str],
    others: str = "",
    missing: Sequence[str],
    columns: pd.DataFrame | None = None,
    measures: Sequence[str] = USUAL,
    say: Callable[[pd.DataFrame, Changes], list[str]] | None = None,
    shown: Sequence[Block] = (),
) -> Outcome:
    """Put the page of an experiment on changes together.

    Parameters
    ----------
    title : str
    figure : str
        Its file.
    runs : DataFrame
        Finished runs, one for each table, split and change; the latter in the column ``variant``.
    changes : mapping of str to Change
    recipe : str
        The sentence that says what the recipe is.
    more : sequence of str
        Conclusions that stand last.
    others : str
        Sentences that stand last in the note on how it was done.
    missing : sequence of str
        Tables that are not here.
    columns : DataFrame, default=None
        More columns of the main table, by the names of changes.
    measures : sequence of str, default=("test_error", "log_loss")
        What is compared, keys of `UNITS`.
    say : callable, default=`conclude`
        Makes the conclusions of what `compare` gives.
    shown : sequence of Block
        What stands before the tables.
    """
    by_table = compare_by_table(runs, changes, measures)
    comparison = compare(by_table)
    tables = {
        with_unit(f"{title_of(measure)} of each table", measure, of=IN_HEADINGS): table_of_tables(
            by_table, changes, measure
        )
        for measure in measures
    }
    main = main_table(comparison, changes)
    if columns is not None:
        told = columns.loc[comparison["variant"].unique()].reset_index(drop=True)
        main = pd.concat([main, told], axis=1)
    blocks = [
        Note(" ".join(filter(None, (recipe, notes(runs), others)))),
        Figure(
            figure,
            f"Differences of the variants: {title}",
            partial(figures.plot, by_table, comparison, changes),
        ),
        Conclusions([*(say or conclude)(comparison, changes), *more], listed=True),
        *shown,
        Table(main),
        *headed(tables.items()),
        *last_notes(runs, missing),
    ]
    return Outcome(title, blocks)


def conclude(comparison: pd.DataFrame, changes: Changes) -> list[str]:
    """Say, from the numbers, what helps, what hurts, and what chance would have done."""
    is_new = comparison["variant"].map(lambda name: changes[name].kind != YARDSTICK)
    new, known = comparison[is_new], comparison[~is_new]
    n_new, n_tables = new["variant"].nunique(), int(comparison["n_tables"].max())
    sentences = []
    for measure, rows in new.groupby("measure", sort=False):
        n_noise = (rows["verdict"] == NOISE).sum()
        sentences.append(
            f"{title_of(measure)}: of {n_new} changes {_listed(rows, changes, HELPS)} and "
            f"{_listed(rows, changes, HURTS)}; {n_noise} {'is' if n_noise == 1 else 'are'} within "
            "noise."
        )
    if n_tables > 1:
        share = 2 * stats.t(df=n_tables - 1).sf(CLEAR)
        clear = new[new.groupby("measure")["p_value"].transform(holm) < SIGNIFICANCE]
        named = (
            f"{changes[row.variant].change} ({title_of(row.measure).lower()})"
            for row in clear.itertuples(name="Row")
        )
        sentences.append(
            f"If no change did anything, about {n_new * share:.1f} of {n_new} would still cross "
            f"{CLEAR} standard errors in either measure by chance (t distribution, {n_tables} "
            f"tables), half of them downwards. Significant at {SIGNIFICANCE:g} with Holm's "
            f"correction for {n_new} {'are' if len(clear) != 1 else 'is'}: {listed(named)}."
        )
    told = [
        f"{changes[row.variant].change} {_text(row.measure, row.difference)} ± "
        f"{_number(row.measure, row.error)} ({title_of(row.measure).lower()}, {row.verdict})"
        for row in known.itertuples(name="Row")
    ]
    return [*sentences, *([f"The yardsticks: {'; '.join(told)}."] if told else [])]


def _listed(rows: pd.DataFrame, changes: Changes, verdict: str) -> str:
    """Count and name the changes of a verdict."""
    chosen = rows[rows["verdict"] == verdict]
    verb = verdict if len(chosen) == 1 else verdict.removesuffix("s")
    names = "; ".join(changes[name].change for name in chosen["variant"])
    return f"{len(chosen)} {verb}" + (f" ({names})" if names else "")


def _number(measure: Any, value: float, *, sign: str = "") -> str:
    """Write a size: points of test error, nats of log-loss, a digit more than for means."""
    kind = MEASURES[measure]
    return f"{kind.factor * value:{sign}.{kind.digits + 1}f}"


def _text(measure: Any, value: float) -> str:
    """Write a difference with its sign; what rounds to 0 has none."""
    text = _number(measure, value, sign="+")
    return text if float(text) else text[1:]


def main_table(comparison: pd.DataFrame, changes: Changes) -> pd.DataFrame:
    """Write all changes: differences, both standard errors, their ratio and the verdict."""
    lines: dict[str, dict[str, str]] = {}
    for row in comparison.itertuples(name="Row"):
        own = changes[row.variant]
        line = lines.setdefault(row.variant, {"": own.kind, "what is changed": own.change})
        line["beside"] = changes[own.beside].change
        told = title_of(row.measure).lower()
        errors = (row.error_tables, row.error_splits)
        known = [_number(row.measure, error) for error in errors if not np.isnan(error)]
        line[with_unit(told, row.measure)] = (
            f"{_text(row.measure, row.difference)}{' ± ' if known else ''}{' / '.join(known)}"
        )
        line[f"{told}, SE"] = f"{row.ratio:+.1f}"
        line[f"{told} "] = row.verdict
        line[f"{told}, found"] = _found(row)
    return pd.DataFrame(list(lines.values()))


def _found(row: Any) -> str:
    """Write the difference that would be found in 80 % of cases, with this standard error."""
    if row.n_tables < 2 or row.error == 0:
        return ""
    return _number(row.measure, detectable(row.error, row.n_tables))


def table_of_tables(by_table: pd.DataFrame, changes: Changes, measure: str) -> pd.DataFrame:
    """Write the mean difference of each change on each table."""
    rows = by_table[by_table["measure"] == measure]
    texts = rows.assign(
        text=[_text(measure, value) for value in rows["difference"]],
        table=rows["table"].map(TITLES),
    )
    wide = texts.pivot(index="variant", columns="table", values="text")
    wide = wide.loc[texts["variant"].unique(), texts["table"].unique()]
    heads = {
        "what is changed": [changes[name].change for name in wide.index],
        "beside": [changes[changes[name].beside].change for name in wide.index],
    }
    return pd.DataFrame(heads | {str(table): wide[table].to_numpy() for table in wide})


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    counts = runs.groupby("table")["split"].nunique()
    common = int(counts.max())
    few = "".join(f", {n} of {TITLES[name]}" for name, n in counts[counts < common].items())
    return (
        f"{common} random split{'s' if common > 1 else ''} of each table{few}, "
        f"{1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on. Each variant changes "
        "one thing, and is compared with the recipe, or with what stands in the column beside, "
        "split by split, each at the same seeds. Differences are means over the tables; below 0 is "
        "better. ± standard error over tables / over splits, if there are several: the first takes "
        "the tables for a sample of all tables, the second asks about these tables alone and "
        "allows for the rows that random splits share (Nadeau and Bengio, 2003). SE: the "
        f"difference divided by the larger of the two. A change {HELPS} if it is below -{CLEAR}, "
        f"{HURTS} if it is above {CLEAR}, else it is {NOISE}. Found: the true difference that the "
        "t-test over the tables, at 5 %, would find in 80 % of cases with that standard error."
    )
