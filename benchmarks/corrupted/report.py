"""What came out with corrupted labels, compared and told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES, missing_tables_note
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.statistics import mean_of, paired_difference
from benchmarks._lab.tell import name_data, number, percent, points
from benchmarks.corrupted import figures
from benchmarks.corrupted.recipes import TABLE_2

# What is measured, and the heading of its column.
MEASURES = {
    "best_test_error": "best",
    "test_error": "last",
    "real_error": "real",
    "corrupted_error": "corrupted",
}
_GROUP = ["data", "fraction"]
_CELL = ["method", "alpha", "dropout"]
_PICTURES = "cifar10"  # those of the paper


def tell_pictures(runs: pd.DataFrame, *, augment: bool) -> Outcome:
    """Tell what came out on pictures, beside the paper's."""
    comparison = compare(runs)
    note = (
        f"{'Crops and flips while training' if augment else 'No crops and flips'}. The paper's "
        "columns are those of its Table 2: whole CIFAR-10, PreAct ResNet-18 of width 64, 200 "
        "epochs, crops and flips, and the best model of each of its grids of alpha and p."
    )
    title = f"Table 2: corrupted labels, {name_data(runs)}"
    figure = Figure("corrupted.png", title, partial(figures.plot_curves, runs, pick(comparison)))
    return _tell(runs, comparison, figure, note)


def tell_tables(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out on tables."""
    comparison = compare(runs, test_share=TEST_SHARE)
    notes = [
        "Features are standardised, nominal ones one-hot; tested on 20 % of the rows. Standard "
        "errors are the plain ones over the splits; the 95 % intervals allow for the rows that "
        "splits share (Nadeau and Bengio, 2003). The paper has no such experiment with tables."
    ]
    if "phishing_websites" in set(runs["data"]):
        notes.append(
            "Half of the rows of Phishing Websites repeat an earlier row, so some rows to test on "
            "equal a row to train on, with its label right or wrong."
        )
    if missing:
        notes.append(missing_tables_note(missing))
    title = "Table 2: corrupted labels, tables"
    draw = partial(figures.plot_last, runs, pick(comparison))
    figure = Figure("corrupted_tables.png", title, draw)
    return _tell(runs, comparison, figure, *notes)


def _tell(runs: pd.DataFrame, comparison: pd.DataFrame, figure: Figure, *notes: str) -> Outcome:
    """Put together the page of a part."""
    picked = pick(comparison)
    shown = [picked, comparison] if len(picked) < len(comparison) else [picked]
    notes = (describe(runs, comparison), *notes)
    tables = map(table_2, shown)
    return usual_page(figure.alt, runs, conclude(comparison), figure, tables, *notes)


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame, *, test_share: float = 0.0) -> pd.DataFrame:
    """Tell each setting of each method, and set it beside ERM, paired by seed.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``data``, ``data_name``, ``fraction``, ``method``, ``alpha``, ``dropout``,
        ``seed``, ``n_classes``, and the `MEASURES` as shares.
    test_share : float in [0, 1), default=0
        Where seeds are random splits of one table, as `paired_difference` has it.

    Returns
    -------
    DataFrame
        A row for each setting: ``n_seeds``; each measure, with `mean_of`; and of its last test
        error less ERM's the columns of the `PairedDifference`.

    Raises
    ------
    ValueError
        If a setting and ERM were not run with the same seeds.
    """
    settings = [name_setting(*cell) for cell in runs[_CELL].itertuples(index=False)]
    rows = []
    for group, members in runs.assign(setting=settings).groupby(_GROUP, sort=False):
        last = pair(
            members, "test_error", by="seed", columns="setting", wanted=("ERM",), where=group
        )
        for setting, cell_runs in members.groupby("setting", sort=False):
            first = cell_runs.iloc[0]
            row = first[[*_GROUP, *_CELL, "data_name", "n_classes"]].to_dict()
            for measure in MEASURES:
                row |= mean_of(measure, cell_runs[measure])
            found = paired_difference(last[setting], last["ERM"], test_share=test_share)
            rows.append(row | {"n_seeds": len(cell_runs)} | found.columns())
    return pd.DataFrame(rows)


def pick(comparison: pd.DataFrame) -> pd.DataFrame:
    """Keep the setting with the lowest last test error, of each method, data and fraction."""
    best = comparison.groupby([*_GROUP, "method"], sort=False)["test_error"].idxmin()
    return comparison.loc[best]


def name_setting(method: str, alpha: float, dropout: float) -> str:
    """Name a method with its alpha and p.

    Examples
    --------
    >>> name_setting("mixup + dropout", 8.0, 0.3)
    'mixup + dropout (alpha 8, p 0.3)'
    """
    told = [f"alpha {alpha:g}"] * (alpha > 0) + [f"p {dropout:g}"] * (dropout > 0)
    return f"{method} ({', '.join(told)})" if told else method


# -- sentences ------------------------------------------------------------------------------------


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, who is ahead of ERM in the last test error, and who memorised."""
    return [
        _conclude_one(TITLES.get(data, rows["data_name"].iloc[0]), fraction, rows)
        for (data, fraction), rows in comparison.groupby(_GROUP, sort=False)
    ]


def _conclude_one(name: str, fraction: float, rows: pd.DataFrame) -> str:
    """Say it for one data and fraction."""
    erm = rows[rows["method"] == "ERM"].iloc[0]
    by = "one seed, no standard error" if erm.n_seeds == 1 else "by more than two standard errors"
    below, above = f"below it ({by})", f"above it ({by})"
    same = "not told apart from it (within two standard errors)"
    verdicts: dict[str, list[str]] = {below: [], above: [], same: []}
    for row in rows[rows["method"] != "ERM"].itertuples():
        told = name_setting(row.method, row.alpha, row.dropout)
        told += f" {points(row.difference, row.difference_se)}"
        if not np.isnan(row.half_width):
            told += f", 95 % interval ± {100 * row.half_width:.1f}"
        # One seed has no standard error: which side it falls on is all there is to tell.
        margin = 0.0 if np.isnan(row.difference_se) else 2 * row.difference_se
        is_same = abs(row.difference) <= margin
        verdicts[same if is_same else below if row.difference < 0 else above].append(told)
    parts = [f"{side}: {'; '.join(told)}" for side, told in verdicts.items() if told]
    last, best = percent(erm.test_error), percent(erm.best_test_error)
    return (
        f"{name}, {100 * fraction:g} % of the labels replaced: ERM's test error is {best} % at "
        f"best and {last} % at last, and it errs on {percent(erm.corrupted_error)} % of the "
        f"replaced labels (a net that ignores them errs on {percent(1 - 1 / erm.n_classes)} %). "
        f"Last test error against ERM's, in points, {'; '.join(parts)}."
    )


def describe(runs: pd.DataFrame, comparison: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    first = runs.iloc[0]
    counts = comparison.groupby("fraction", sort=False)["n_seeds"].last()
    told = ", ".join(f"{count} at {100 * fraction:g} %" for fraction, count in counts.items())
    text = (
        f"{name_data(runs)}. {first.network}, {first.max_epochs} epochs, {first.n_train:,} "
        f"rows to train on; seeds or splits: {told}. Errors in %, means ± standard errors over "
        "them. Best is the lowest test error after any epoch, found on the test set. Real and "
        "corrupted are the last training errors on the rows whose labels were kept and on those "
        "whose labels were replaced, against the labels trained with. Methods of a seed share "
        "corrupted labels, initial weights and shuffles."
    )
    if len(pick(comparison)) < len(comparison):
        text += (
            " Where a method has several settings, the first table shows that with the lowest last "
            "test error: it is picked on the test set, for each method that has settings, and ERM "
            "has none. The second table and the sentences have them all."
        )
    return text


# -- tables ---------------------------------------------------------------------------------------


def table_2(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the comparison as texts, beside the paper's numbers where it has them."""
    on_paper = (comparison["data"] == _PICTURES).any()
    rows = []
    for row in comparison.sort_values("fraction", kind="stable").itertuples():
        told = {"data": TITLES[row.data]} if row.data in TITLES and not on_paper else {}
        told |= {
            "replaced": f"{100 * row.fraction:g} %",
            "method": row.method,
            "alpha": f"{row.alpha:g}" if row.alpha else "",
            "p": f"{row.dropout:g}" if row.dropout else "",
        }
        for measure, heading in MEASURES.items():
            told[heading] = percent(getattr(row, measure), getattr(row, f"{measure}_se"))
        erm = row.method == "ERM"
        told["last - ERM"] = "" if erm else points(row.difference, row.difference_se)
        if on_paper:
            paper = TABLE_2.get((row.fraction, row.method))
            for name, digits in zip(MEASURES.values(), (1, 1, 2, 2), strict=True):
                share = getattr(paper, name, None)
                told[f"paper {name}"] = number(share, factor=100, digits=digits)
        rows.append(told)
    return pd.DataFrame(rows)
