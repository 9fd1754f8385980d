"""What came out of synthetic, told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._lab.methods.method import FULL, Budget, Method, absent_note
from benchmarks._lab.methods.report import Titled, by_table, packages_of
from benchmarks._lab.methods.results import Results
from benchmarks._lab.outcome import Block, Conclusions, Figure, Note, Outcome, headed
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import p_value
from benchmarks.synthetic import figures
from benchmarks.synthetic.conclusions import conclude, scope
from benchmarks.synthetic.measures import LEAST_SHARE
from benchmarks.synthetic.results import COMPARED, CONTEST, MEASURES, REAL, collect, compare


def tell(
    runs: pd.DataFrame,
    with_gans: pd.DataFrame | None = None,
    *,
    budget: Budget,
    absent: Sequence[Method],
    missing: Sequence[str],
) -> Outcome:
    """Tell what came out; `with_gans` are runs of all methods, on fewer tables and splits."""
    parts = [collect(frame) for frame in (runs, with_gans) if frame is not None]
    title = "Tables out of tables"
    blocks: list[Block] = [
        Figure(
            "synthetic.png", "What tables that were made are worth", partial(figures.plot, parts)
        ),
        Conclusions([sentence for found in parts for sentence in conclude(found)], listed=True),
        *(block for found in parts for block in headed(tables(found))),
        Note(notes(budget)),
    ]
    if absent:
        blocks.append(Note(absent_note(absent)))
    every = runs if with_gans is None else pd.concat([runs, with_gans]).drop_duplicates()
    blocks += last_notes(every, missing, others=packages_of(every))
    return Outcome(title, blocks)


def tables(found: Results) -> list[Titled]:
    """Write means, differences, and the two main measures of each table."""
    where = scope(found)
    written = [
        (f"Means over {where}", means_table(found)),
        (f"Differences over {where}", differences_table(found)),
        *(
            (
                f"By table: {MEASURES[name].title}; {where}",
                by_table(found.values[name].drop(columns=REAL), found, MEASURES[name]),
            )
            for name in COMPARED
            if len(found.methods) > 1
        ),
    ]
    return [(title, table) for title, table in written if len(table)]


def means_table(found: Results) -> pd.DataFrame:
    """Write the mean of each measure over the tables, and the seconds to learn and to draw."""
    rows = []
    seconds = found.runs.assign(s=found.runs["fit_cpu_s"] + found.runs["predict_time_s"])
    for method in found.methods:
        row = {"rows": CONTEST.title(method)}
        for name, averages in found.averages.items():
            row[MEASURES[name].title] = MEASURES[name].text(*averages.loc[method])
        median = seconds.loc[seconds["method"] == method, "s"].median()
        rows.append(row | {"seconds": f"{median:.2f}"})
    return pd.DataFrame(rows)


def differences_table(found: Results) -> pd.DataFrame:
    """Write how pairs of methods differ, with Holm's correction for the number of pairs."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name in COMPARED:
        text = MEASURES[name].text
        for it in compare(found, name):
            of_it = it.difference
            n_lower, n_higher = ((sign * of_it.by_table > 0).sum() for sign in (-1, 1))
            row = rows.setdefault(it.pair, {"compared": " - ".join(map(CONTEST.title, it.pair))})
            row[CONTEST.main[name]] = text(of_it.mean, of_it.over_tables, sign="+")
            row["± splits" + " " * (name != "gain")] = text(of_it.over_splits)
            row["p, Holm" + " " * (name != "gain")] = p_value(it.p_adjusted)
            if name == "gain":
                row["lower / higher"] = f"{n_lower} / {n_higher}"
    return pd.DataFrame(rows.values())


def notes(budget: Budget) -> str:
    """Say what was done and how it was measured."""
    trees = "LightGBM at its defaults"
    if budget != FULL:
        trees = f"LightGBM of {budget.rounds} trees, to see that it runs"
    return (
        f"Of each split {1 - TEST_SHARE:.0%} of the rows are to learn from; as many are made, and "
        f"{TEST_SHARE:.0%} are to test on. Gain kept: {trees} is trained on the rows that were "
        "made, and its AUC on the real test rows is told as a share of what real training rows "
        "gain over the base rates, (AUC - 0.5) / (AUC of real - 0.5); of several classes it is the "
        "mean of each against the others, by their shares. The AUC of the base rates is 0.5 on any "
        "table and that of real rows far above it, so the share is that of a difference which is "
        "never small; error and log-loss, where that is not so, are in the CSV file. Detection: "
        "AUC of LightGBM, five-fold cross-validated, that tells test rows from as many that were "
        "made, labels included; 0.5 is best. Rows that are drawn twice give themselves away, so "
        "that of real rows, drawn is above it. Distance: median distance from a row that was made "
        "to the closest training row, over that of test rows; numbers standardised, nominal "
        "columns one-hot; far below 1 is copying. Copies: rows equal to a training row. Worst "
        "category: of all categories with a share of "
        f"{LEAST_SHARE:.0%} or more, the smaller of made and real share over the larger, at its "
        "worst; 0.5 is a factor of two, and 0 a category that is gone. Seconds: median over the "
        "runs to learn and to draw. In the table of means ± is the standard error over the splits; "
        "differences have that over tables, each a mean of its splits, beside the number, and the "
        "one over splits for these tables alone. p: paired t-test over tables, with Holm's "
        "correction for the pairs of a measure. SMOTE is that of imbalanced-learn, asked for as "
        "many rows of each class as are to be made, on numbers in units of their spread, its "
        "whole numbers rounded; it and the copula see a gap as a word of its own. The copula is "
        "one for each class, with the values of the rows and the correlations of their normal "
        "scores."
    )
