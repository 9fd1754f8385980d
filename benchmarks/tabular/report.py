"""What came out of Table 4, compared and told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair, set_beside
from benchmarks._lab.outcome import Block, Conclusions, Figure, Heading, Note, Outcome, Table
from benchmarks._lab.statistics import mean_of, paired_difference
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_value, percent, points
from benchmarks._nets.tables import TABLE_4
from benchmarks.tabular import figures, recipes
from benchmarks.tabular.runs import TUNED_METHODS, Scale

_GROUP = ["max_epochs", "features", "table"]


def tell(
    runs: pd.DataFrame,
    tuned_runs: pd.DataFrame | None = None,
    *,
    scale: Scale,
    missing: Sequence[str],
) -> Outcome:
    """Tell what came out, and of the tuned methods if they were run."""
    alphas = [alpha for alpha in scale.alphas if alpha > 0]
    main = recipes.TABLE_4_ALPHA if recipes.TABLE_4_ALPHA in alphas else alphas[0]
    comparison = compare(runs, alpha=main)
    blocks: list[Block] = [
        Note(notes_on_fixed(comparison, scale.n_splits)),
        Figure("tabular.png", "Test errors", partial(figures.plot, comparison, alpha=main)),
        Table(main_table(comparison)),
        Conclusions(conclude(comparison, alpha=main), listed=True),
    ]
    if len(alphas) > 1:
        caption = "Mixup - ERM in percentage points at each alpha, ± standard error:"
        blocks += [Note(caption), Table(alpha_table(runs, alphas))]
    if tuned_runs is not None:
        notes = notes_on_tuned(scale.n_tuned_splits, scale.grid)
        blocks += [Heading("Tuned"), Note(notes), Table(tuned_table(compare_tuned(tuned_runs)))]
    blocks += last_notes(runs, missing)
    return Outcome("Table 4 of the mixup paper: UCI tables", blocks)


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame, *, alpha: float) -> pd.DataFrame:
    """Set mixup beside ERM, pair by pair of splits, for each table, features and epochs.

    Parameters
    ----------
    runs : DataFrame
        Finished runs with the paper's settings.
    alpha : float > 0
        The mixup runs to compare.

    Returns
    -------
    DataFrame
        A row for each group, shares in [0, 1]: what `set_beside` tells, and the paper's errors.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        by_split = pair(members, "test_error", by="split", wanted=(0.0, alpha), where=group)
        told = set_beside(by_split[0.0], by_split[alpha], test_share=TEST_SHARE)
        names = dict(zip(_GROUP, group, strict=True))
        rows.append({**names, "n_splits": len(by_split), **told})
    paper = pd.DataFrame([*recipes.TABLE_4_ERRORS.values()], index=[*recipes.TABLE_4_ERRORS])
    return _in_order(pd.DataFrame(rows).join(paper.add_prefix("paper_"), on="table"))


def compare_tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """Set tuned mixup beside each other method, pair by pair of splits."""
    rows = []
    layout: dict[str, Any] = {"by": "split", "columns": "method", "wanted": TUNED_METHODS}
    for name, members in runs.groupby("table", sort=False):
        by_split = pair(members, "test_error", where=name, **layout)
        row = {"table": name, "n_splits": len(by_split)}
        for method in TUNED_METHODS:
            row |= mean_of(method, by_split[method])
        difference = paired_difference(by_split["mixup"], by_split["ERM"], test_share=TEST_SHARE)
        row |= difference.columns()
        chosen = members.loc[members["method"] == "mixup", "chosen"].map(json.loads)
        rows.append({**row, "n_erm_chosen": sum(params["alpha"] == 0 for params in chosen)})
    return _in_order(pd.DataFrame(rows))


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by epochs, features, and tables as the paper has them."""
    return frame.sort_values(
        [name for name in _GROUP if name in frame],
        key=lambda column: column.map([*TITLES].index) if column.name == "table" else column,
        ignore_index=True,
    )


def conclude(comparison: pd.DataFrame, *, alpha: float) -> list[str]:
    """Say, from the numbers, on how many tables mixup was lower or higher than ERM."""
    sentences = []
    for (max_epochs, features), rows in comparison.groupby(["max_epochs", "features"], sort=False):
        # Differences that cancel leave 1e-18, which has a sign but means nothing.
        difference = rows["difference"].round(9)
        clear = rows["p_corrected"] < SIGNIFICANCE
        n_lower, n_higher = (difference < 0).sum(), (difference > 0).sum()
        sentence = (
            f"{features.capitalize()} features, {max_epochs} epochs: mixup (alpha = {alpha:g}) had "
            f"a lower mean test error than ERM on {n_lower} of {len(rows)} tables, "
            f"significantly on {(clear & (difference < 0)).sum()}, and a higher one on {n_higher}, "
            f"significantly on {(clear & (difference > 0)).sum()}"
        )
        n_equal = len(rows) - n_lower - n_higher
        sentence += f"; {n_equal} equal." if n_equal else "."
        in_paper = rows.dropna(subset="paper_erm")
        paper_sign = np.sign(in_paper["paper_mixup"] - in_paper["paper_erm"])
        against = in_paper[np.sign(difference[in_paper.index]) * paper_sign < 0]
        if len(in_paper):
            names = listed(TITLES[name] for name in against["table"])
            sentence += f" Tables where the sign goes against the paper's: {names}."
        sentences.append(sentence)
    return sentences


# -- report ---------------------------------------------------------------------------------------


def main_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write ours beside the paper's, in percent."""
    rows = [
        {
            "table": TITLES[row.table],
            "features": row.features,
            "epochs": str(row.max_epochs),
            "ERM": percent(row.erm, row.erm_se),
            "mixup": percent(row.mixup, row.mixup_se),
            "difference": points(row.difference, row.difference_se),
            "p": p_value(row.p_corrected),
            "p uncorr.": p_value(row.p_value),
            "paper ERM": percent(row.paper_erm),
            "paper mixup": percent(row.paper_mixup),
        }
        for row in comparison.itertuples()
    ]
    return pd.DataFrame(rows)


def alpha_table(runs: pd.DataFrame, alphas: Sequence[float]) -> pd.DataFrame:
    """Write the difference from ERM at every alpha, in percentage points."""
    columns: dict[str, list[str]] = {}
    for alpha in alphas:
        rows = [*compare(runs, alpha=alpha).itertuples()]
        columns |= {
            "table": [TITLES[row.table] for row in rows],
            "features": [row.features for row in rows],
            "epochs": [str(row.max_epochs) for row in rows],
            f"alpha {alpha:g}": [points(row.difference, row.difference_se) for row in rows],
        }
    return pd.DataFrame(columns)


def tuned_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the tuned methods and their peers, in percent."""
    names = {"mixup": "mixup, tuned", "ERM": "ERM, tuned"}
    return pd.DataFrame(
        {"table": TITLES[row["table"]]}
        | {
            names.get(method, method): percent(row[method], row[f"{method}_se"])
            for method in TUNED_METHODS
        }
        | {"mixup - ERM": points(row["difference"]), "p": p_value(row["p_corrected"])}
        | {"alpha 0 chosen": f"{row['n_erm_chosen']} of {row['n_splits']}"}
        for row in comparison.to_dict("records")
    )


def notes_on_fixed(comparison: pd.DataFrame, n_splits: int) -> str:
    """Say how the numbers came about."""
    sizes = " x ".join(map(str, TABLE_4.hidden_sizes))
    has_abalone = "abalone" in set(comparison["table"])
    stratified = " (not Abalone: a class of it has one row)" if has_abalone else ""
    return (
        f"Settings: minibatch {TABLE_4.batch_size}, {TABLE_4.optimizer.__name__} at "
        f"{TABLE_4.lr:g} without decay, {sizes} ReLU units. {n_splits} random splits, "
        f"{1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on, stratified by class"
        f"{stratified}; ERM and mixup have the same "
        "splits, initial weights and shuffles. The nets of a table, features and epochs are "
        "trained together, five splits at a time, by fit_fused: fit_time_s in the CSV file is a "
        "net's share of the time that took. Errors are in %, differences (mixup - ERM) in "
        "percentage points, each ± its standard error over the splits. p is that of the corrected "
        "resampled t-test (Nadeau and Bengio, 2003), which allows for the rows that random splits "
        'share; "p uncorr." is that of the ordinary paired t-test. Neither is adjusted for the '
        "number of tables. The paper does not tell its split, scaling or alpha; its Arcene and "
        "Arrhythmia errors are worse than guessing the most frequent class (44 % and 46 %)."
    )


def notes_on_tuned(n_splits: int, grid: Mapping[str, Sequence[float]]) -> str:
    """Say how the tuned numbers came about."""
    searched = ", ".join(f"{name} {{{', '.join(map(str, v))}}}" for name, v in grid.items())
    return (
        f"Tuned: {n_splits} splits, standardised features. FusedGridSearchCV with 3 folds inside "
        f"each training split over {searched}, around MixupClassifier's default recipe; ERM is the "
        "same search with alpha = 0 alone. MLPClassifier has two hidden layers of 128 and is "
        "otherwise, like HistGradientBoostingClassifier, at its defaults."
    )
