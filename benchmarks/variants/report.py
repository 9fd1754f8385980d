"""What came out of variants, told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
from scipy import stats

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.outcome import Conclusions, Figure, Note, Outcome, Table, headed
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import listed
from benchmarks.variants import figures
from benchmarks.variants.compare import (
    CLEAR,
    HELPS,
    HURTS,
    NOISE,
    UNITS,
    compare,
    compare_by_table,
    title_of,
)
from benchmarks.variants.recipes import VARIANTS


def tell(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out."""
    by_table = compare_by_table(runs)
    comparison = compare(by_table)
    draw = partial(figures.plot, by_table, comparison)
    tables = {
        "Test error of each table, % points": table_of_tables(by_table, "test_error"),
        "Log-loss of each table, nats": table_of_tables(by_table, "log_loss"),
    }
    blocks = [
        Note(notes(runs)),
        Figure("variants.png", "Differences of the variants", draw),
        Conclusions(conclude(runs, comparison), listed=True),
        Table(main_table(comparison)),
        *headed(tables.items()),
        *last_notes(runs, missing),
    ]
    return Outcome("Variants of the recipe", blocks)


def conclude(runs: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, what helps, what hurts, and what chance would have done."""
    is_new = comparison["variant"].map(lambda name: VARIANTS[name].kind != "Yardstick")
    new, known = comparison[is_new], comparison[~is_new]
    n_new, n_tables = new["variant"].nunique(), int(comparison["n_tables"].max())
    sentences = []
    for measure, rows in new.groupby("measure", sort=False):
        n_noise = (rows["verdict"] == NOISE).sum()
        sentences.append(
            f"{title_of(measure)}: of {n_new} changes {_listed(rows, HELPS)} and "
            f"{_listed(rows, HURTS)}; {n_noise} {'is' if n_noise == 1 else 'are'} within noise."
        )
    if n_tables > 1:
        share = 2 * stats.t(df=n_tables - 1).sf(CLEAR)
        clear = new[new["p_value"] < 0.05 / n_new]
        named = (f"{_change(row)} ({title_of(row.measure).lower()})" for row in clear.itertuples())
        sentences.append(
            f"If no change did anything, about {n_new * share:.1f} of {n_new} would still cross "
            f"{CLEAR} standard errors in either measure by chance (t distribution, {n_tables} "
            f"tables), half of them downwards. Below 0.05 / {n_new} (Bonferroni) "
            f"{'are' if len(clear) != 1 else 'is'}: {listed(named)}."
        )
    told = [
        f"{_change(row)} {_text(row.measure, row.difference)} ± {_number(row.measure, row.error)} "
        f"({title_of(row.measure).lower()}, {row.verdict})"
        for row in known.itertuples()
    ]
    return [*sentences, f"The yardsticks: {'; '.join(told)}.", _compare_times(runs)]


def _listed(rows: pd.DataFrame, verdict: str) -> str:
    """Count and name the variants of a verdict."""
    chosen = rows[rows["verdict"] == verdict]
    verb = verdict if len(chosen) == 1 else verdict.removesuffix("s")
    names = "; ".join(map(_change, chosen.itertuples()))
    return f"{len(chosen)} {verb}" + (f" ({names})" if names else "")


def _change(row: Any) -> str:
    """Name a variant in words."""
    return VARIANTS[row.variant].change


def _compare_times(runs: pd.DataFrame) -> str:
    """Say how long ensembles took, beside the one of 8 nets."""
    times = runs.groupby(["table", "variant"])["fit_time_s"].mean().unstack("variant")
    names = [name for name, variant in VARIANTS.items() if variant.kind == "Ensemble"]
    ratios = {name: stats.gmean(times[name] / times[VARIANTS[name].beside]) for name in names}
    told = ", ".join(f"{VARIANTS[name].change} {ratio:.2f}" for name, ratio in ratios.items())
    return f"Fit time as a multiple of that of 8 nets, geometric mean over the tables: {told}."


# -- tables ---------------------------------------------------------------------------------------


def _number(measure: Any, value: float, *, sign: str = "") -> str:
    """Write a size: points of test error, nats of log-loss, a digit more than for means."""
    kind = MEASURES[measure]
    return f"{kind.factor * value:{sign}.{kind.digits + 1}f}"


def _text(measure: Any, value: float) -> str:
    """Write a difference with its sign; what rounds to 0 has none."""
    text = _number(measure, value, sign="+")
    return text if float(text) else text[1:]


def main_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write all variants: differences, both standard errors, their ratio and the verdict."""
    lines: dict[str, dict[str, str]] = {}
    for row in comparison.itertuples():
        variant = VARIANTS[row.variant]
        line = lines.setdefault(row.variant, {"": variant.kind, "what is changed": variant.change})
        line["beside"] = VARIANTS[variant.beside].change
        told = title_of(row.measure).lower()
        errors = (_number(row.measure, error) for error in (row.error_tables, row.error_splits))
        line[f"{told}, {UNITS[row.measure]}"] = (
            f"{_text(row.measure, row.difference)} ± {' / '.join(errors)}"
        )
        line[f"{told}, SE"] = f"{row.ratio:+.1f}"
        line[f"{told} "] = row.verdict
    return pd.DataFrame(list(lines.values()))


def table_of_tables(by_table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Write the mean difference of each variant on each table."""
    rows = by_table[by_table["measure"] == measure]
    texts = rows.assign(
        text=[_text(measure, value) for value in rows["difference"]],
        table=rows["table"].map(TITLES),
        change=rows["variant"].map(lambda name: VARIANTS[name].change),
    )
    wide = texts.pivot(index="change", columns="table", values="text")
    wide = wide.loc[texts["change"].unique(), texts["table"].unique()]
    return wide.rename_axis(index="what is changed", columns=None).reset_index()


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    counts = runs.groupby("table")["split"].nunique()
    common = int(counts.max())
    few = "".join(f", {n} of {TITLES[name]}" for name, n in counts[counts < common].items())
    return (
        f"The recipe: MixupClassifier with its defaults, {runs['max_epochs'].iloc[0]} epochs, "
        f"standardised features. {common} random splits of each table{few}, {1 - TEST_SHARE:.0%} "
        f"to train on and {TEST_SHARE:.0%} to test on. Each variant changes one thing, and is "
        "compared split by split with the recipe, or ensembles with the one of 8 nets, each at "
        "the same seeds. Differences are means over the tables; below 0 is better. ± standard "
        "error over tables / over splits: the first takes the tables for a sample of all tables, "
        "the second asks about these tables alone and allows for the rows that random splits share "
        "(Nadeau and Bengio, 2003). SE: the difference divided by the larger of the two. A change "
        f"{HELPS} if it is below -{CLEAR}, {HURTS} if it is above {CLEAR}, else it is "
        f"{NOISE}. Tables whose columns are all nominal have no quantiles: there the two variants "
        "that mix quantiles are the recipe itself, but for rounding."
    )
