"""What came out of Table 4, compared and told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES, missing_tables_note
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Block, Conclusions, Figure, Heading, Note, Outcome, Table
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, made_with, p_value, percent, points
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
        table = tuned_table(compare_tuned(tuned_runs))
        blocks += [Heading("Tuned"), Note(notes), Table(table)]
    if missing:
        blocks.append(Note(missing_tables_note(missing)))
    blocks.append(Note(made_with(runs)))
    return Outcome("Table 4 of the mixup paper: UCI tables", blocks)


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame, *, alpha: float) -> pd.DataFrame:
    """Set mixup beside ERM, pair by pair of splits, for each table, features and epochs.

    Parameters
    ----------
    runs : DataFrame
        Finished runs with the paper's settings: ``table``, ``features``, ``max_epochs``, ``alpha``,
        ``split``, ``test_error``.
    alpha : float > 0
        The mixup runs to compare.

    Returns
    -------
    DataFrame
        A row for each group: shares in [0, 1], ``difference`` is mixup - ERM.

    Raises
    ------
    ValueError
        If some split has one of the two and not the other.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        by_split = pair(members, "test_error", by="split", wanted=(0.0, alpha), where=group)
        rows.append(
            dict(zip(_GROUP, group, strict=True))
            | _compare_two(by_split[alpha], by_split[0.0], "mixup", "erm")
        )
    frame = pd.DataFrame(rows)
    paper = [recipes.TABLE_4_ERRORS.get(name) for name in frame["table"]]
    frame["paper_erm"] = [errors.erm if errors else np.nan for errors in paper]
    frame["paper_mixup"] = [errors.mixup if errors else np.nan for errors in paper]
    return _in_order(frame)


def compare_tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """Set tuned mixup beside each other method, pair by pair of splits."""
    rows = []
    for name, members in runs.groupby("table", sort=False):
        by_split = pair(
            members, "test_error", by="split", columns="method", wanted=TUNED_METHODS, where=name
        )
        row = {"table": name, "n_splits": len(by_split)}
        for method in TUNED_METHODS:
            mean, error = mean_and_standard_error(by_split[method])
            row |= {method: mean, f"{method}_error": error}
        difference = paired_difference(by_split["mixup"], by_split["ERM"], test_share=TEST_SHARE)
        row |= {"difference": difference.mean, "p_corrected": difference.p_corrected}
        chosen = [json.loads(text) for text in members.loc[members["method"] == "mixup", "chosen"]]
        row["n_erm_chosen"] = sum(params["alpha"] == 0 for params in chosen)
        rows.append(row)
    return _in_order(pd.DataFrame(rows))


def _compare_two(a: pd.Series, b: pd.Series, name: str, other: str) -> dict[str, Any]:
    """Compute the means of two methods and their difference."""
    difference = paired_difference(a, b, test_share=TEST_SHARE)
    mean, error = mean_and_standard_error(a)
    other_mean, other_error = mean_and_standard_error(b)
    return {
        "n_splits": len(a),
        other: other_mean,
        f"{other}_error": other_error,
        name: mean,
        f"{name}_error": error,
        "difference": difference.mean,
        "difference_error": difference.standard_error,
        "half_width": difference.half_width,
        "p_value": difference.p_value,
        "p_corrected": difference.p_corrected,
    }


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by epochs, features, and tables as the paper has them."""
    order = list(TITLES)
    by = [name for name in _GROUP if name in frame]
    return frame.sort_values(
        by, key=lambda column: column.map(order.index) if column.name == "table" else column
    ).reset_index(drop=True)


def conclude(comparison: pd.DataFrame, *, alpha: float) -> list[str]:
    """Say, from the numbers, on how many tables mixup was lower or higher than ERM."""
    sentences = []
    for (max_epochs, features), rows in comparison.groupby(["max_epochs", "features"], sort=False):
        # Differences that cancel leave 1e-18, which has a sign but means nothing.
        rows = rows.assign(difference=rows["difference"].round(9))
        difference = rows["difference"]
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
        against = in_paper[np.sign(in_paper["difference"]) * paper_sign < 0]
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
            "ERM": percent(row.erm, row.erm_error),
            "mixup": percent(row.mixup, row.mixup_error),
            "difference": points(row.difference, row.difference_error),
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
    comparisons = {alpha: compare(runs, alpha=alpha) for alpha in alphas if alpha > 0}
    first = next(iter(comparisons.values()))
    columns: dict[str, Any] = {
        "table": first["table"].map(TITLES),
        "features": first["features"],
        "epochs": first["max_epochs"].astype(str),
    }
    for alpha, comparison in comparisons.items():
        columns[f"alpha {alpha:g}"] = [
            points(row.difference, row.difference_error) for row in comparison.itertuples()
        ]
    return pd.DataFrame(columns)


def tuned_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the tuned methods and their peers, in percent."""
    names = {"mixup": "mixup, tuned", "ERM": "ERM, tuned"}
    rows = []
    for row in comparison.to_dict("records"):
        errors = {
            names.get(method, method): percent(row[method], row[f"{method}_error"])
            for method in TUNED_METHODS
        }
        rows.append(
            {"table": TITLES[row["table"]], **errors}
            | {
                "mixup - ERM": points(row["difference"]),
                "p": p_value(row["p_corrected"]),
                "alpha 0 chosen": f"{row['n_erm_chosen']} of {row['n_splits']}",
            }
        )
    return pd.DataFrame(rows)


def notes_on_fixed(comparison: pd.DataFrame, n_splits: int) -> str:
    """Say how the numbers came about."""
    recipe = TABLE_4
    sizes = " x ".join(map(str, recipe.hidden_sizes))
    unstratified = "Abalone" if "abalone" in set(comparison["table"]) else ""
    stratified = f", stratified by class (not {unstratified}: a class of it has one row)"
    return (
        f"Settings: minibatch {recipe.batch_size}, {recipe.optimizer.__name__} at "
        f"{recipe.lr:g} without decay, {sizes} ReLU units. {n_splits} random splits, "
        f"{1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on"
        f"{stratified if unstratified else ', stratified by class'}; ERM and mixup have the same "
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
