"""How the runs of Table 4 are compared, told and drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import recipes
from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._runs import mean_and_standard_error, paired_difference

FEATURES = ("raw", "standardised")
TUNED_METHODS = ("mixup", "ERM", "MLPClassifier", "HistGradientBoosting")
_GROUP = ["max_epochs", "features", "table"]
_SIGNIFICANCE = 0.05
# Blue, vermillion and green of Okabe and Ito, told apart with any colour vision, and a soft black.
_BLUE, _VERMILLION, _GREEN, _BLACK = "#0072B2", "#D55E00", "#009E73", "#222222"


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
        by_split = members.pivot(index="split", columns="alpha", values="test_error")
        if by_split[[0.0, alpha]].isna().any(axis=None):
            raise ValueError(
                f"Each split must have a run with alpha=0 and one with alpha={alpha}; {group} has "
                f"not: {by_split.to_dict()}."
            )
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
        by_split = members.pivot(index="split", columns="method", values="test_error")
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
        clear = rows["p_corrected"] < _SIGNIFICANCE
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
            names = ", ".join(TITLES[name] for name in against["table"]) or "none"
            sentence += f" Tables where the sign goes against the paper's: {names}."
        sentences.append(sentence)
    return sentences


# -- report ---------------------------------------------------------------------------------------


def _percent(mean: float, error: float = np.nan) -> str:
    """Write a share in percent, with its standard error if there is one."""
    if np.isnan(mean):
        return ""
    return f"{100 * mean:.1f}" + ("" if np.isnan(error) else f" ± {100 * error:.1f}")


def _points(mean: float, error: float = np.nan) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    if np.isnan(mean):
        return ""
    return f"{100 * mean:+.2f}" + ("" if np.isnan(error) else f" ± {100 * error:.2f}")


def p_text(value: float) -> str:
    """Write a p value."""
    if np.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def main_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write ours beside the paper's, in percent."""
    rows = [
        {
            "table": TITLES[row.table],
            "features": row.features,
            "epochs": str(row.max_epochs),
            "ERM": _percent(row.erm, row.erm_error),
            "mixup": _percent(row.mixup, row.mixup_error),
            "difference": _points(row.difference, row.difference_error),
            "p": p_text(row.p_corrected),
            "p uncorr.": p_text(row.p_value),
            "paper ERM": _percent(row.paper_erm),
            "paper mixup": _percent(row.paper_mixup),
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
            _points(row.difference, row.difference_error) for row in comparison.itertuples()
        ]
    return pd.DataFrame(columns)


def tuned_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the tuned methods and their peers, in percent."""
    names = {"mixup": "mixup, tuned", "ERM": "ERM, tuned"}
    rows = []
    for row in comparison.to_dict("records"):
        errors = {
            names.get(method, method): _percent(row[method], row[f"{method}_error"])
            for method in TUNED_METHODS
        }
        rows.append(
            {"table": TITLES[row["table"]], **errors}
            | {
                "mixup - ERM": _points(row["difference"]),
                "p": p_text(row["p_corrected"]),
                "alpha 0 chosen": f"{row['n_erm_chosen']} of {row['n_splits']}",
            }
        )
    return pd.DataFrame(rows)


def notes_on_fixed(comparison: pd.DataFrame, n_splits: int) -> str:
    """Say how the numbers came about."""
    recipe = recipes.TABLE_4
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


def versions_used(runs: pd.DataFrame) -> str:
    """Say what the runs were computed with."""
    names = ("sklearn_mixup", "torch", "sklearn", "skorch", "device")
    return "; ".join(f"{name} {', '.join(map(str, runs[name].unique()))}" for name in names) + "."


def plot(comparison: pd.DataFrame, path: str | os.PathLike[str], *, alpha: float) -> None:
    """Draw the errors of ERM and mixup, ours and the paper's, and their differences.

    Parameters
    ----------
    comparison : DataFrame
        From `compare`.
    path : path-like
        The PNG to write.
    alpha : float
        Alpha of the mixup runs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = comparison["max_epochs"].unique()
    tables = list(dict.fromkeys(comparison["table"]))
    tables.sort(key=lambda name: name not in recipes.TABLE_4_ERRORS)
    height = 2.0 + len(epochs) * (0.35 + 0.46 * len(tables))
    figure = Figure(figsize=(11.5, height), dpi=160, layout="constrained")
    figure.get_layout_engine().set(wspace=0.03)
    axes = figure.subplots(len(epochs), 3, squeeze=False, sharey=True, sharex="col")
    for row, max_epochs in zip(axes, epochs, strict=True):
        rows = comparison[comparison["max_epochs"] == max_epochs]
        for ax, features in zip(row[:2], FEATURES, strict=True):
            _plot_errors(ax, rows[rows["features"] == features], tables)
            ax.set_title(f"{features} features, {max_epochs} epochs", fontsize=10.5)
        _plot_differences(row[2], rows, tables)
        row[2].set_title(f"mixup $-$ ERM, {max_epochs} epochs", fontsize=10.5)
        row[0].set_yticks(range(len(tables)), [TITLES[name] for name in tables])
        row[0].set_ylim(len(tables) - 0.5, -0.5)
    for ax in axes[-1, :2]:
        ax.set_xlabel("test error (%, log scale from 1 on)")
    axes[-1, 2].set_xlabel(
        "difference (% points, log scale from 1 on)\n"
        r"$\leftarrow$ mixup errs less      mixup errs more $\rightarrow$"
    )
    n_splits = comparison["n_splits"].max()
    figure.suptitle(
        rf"Test error of ERM and mixup ($\alpha$ = {alpha:g}), {n_splits} random splits per table",
        fontsize=12.5,
    )
    for ax, side in ((axes[0, 0], "left"), (axes[0, 2], "right")):
        handles, labels = ax.get_legend_handles_labels()
        # Matplotlib lists the paper's markers first; ours go before them.
        order = sorted(range(len(labels)), key=lambda i, labels=labels: "paper" in labels[i])
        figure.legend(
            [handles[i] for i in order],
            [labels[i] for i in order],
            loc=f"outside lower {side}",
            ncols=2,
            frameon=False,
            columnspacing=1.2,
        )
    FigureCanvasAgg(figure).print_png(path)


def _plot_errors(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw errors in percent: ERM above, mixup below the middle of a table's row."""
    _prepare(ax, tables)
    place = rows["table"].map(tables.index)
    for name, label, offset, colour, marker in (
        ("erm", "ERM", -0.18, _BLUE, "o"),
        ("mixup", "mixup", 0.18, _VERMILLION, "D"),
    ):
        ax.errorbar(
            100 * rows[name],
            place + offset,
            xerr=100 * rows[f"{name}_error"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{label}, ours (mean ± standard error)",
        )
        ax.plot(
            100 * rows[f"paper_{name}"],
            place + offset,
            marker,
            markersize=8.5,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=1.3,
            label=f"{label}, Table 4 of the paper",
        )
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(-0.15, 130)
    ticks = (0, 1, 2, 5, 10, 20, 50, 100)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)


def _plot_differences(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw the differences in percentage points, with 95 % intervals."""
    _prepare(ax, tables)
    ax.axvline(0, color=_BLACK, linewidth=0.8)
    for features, offset, colour, marker in (
        ("raw", -0.22, _GREEN, "^"),
        ("standardised", 0.22, _BLACK, "s"),
    ):
        chosen = rows[rows["features"] == features]
        ax.errorbar(
            100 * chosen["difference"],
            chosen["table"].map(tables.index) + offset,
            xerr=100 * chosen["half_width"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{features} (95 % interval)",
        )
    once = rows.drop_duplicates("table")
    ax.plot(
        100 * (once["paper_mixup"] - once["paper_erm"]),
        once["table"].map(tables.index),
        "x",
        color=_VERMILLION,
        markersize=6.5,
        markeredgewidth=1.8,
        label="Table 4 of the paper",
    )
    ax.set_xscale("symlog", linthresh=1, linscale=0.7)
    ends = np.abs(100 * rows["difference"]) + 100 * rows["half_width"].fillna(0)
    end = max(15.0, 1.1 * ends.max())
    ax.set_xlim(-end, end)
    ticks = [tick for tick in (1, 3, 10, 30, 100) if tick <= end]
    ticks = [*(-tick for tick in reversed(ticks)), 0, *ticks]
    ax.set_xticks(ticks, [f"${tick:+d}$" if tick else "0" for tick in ticks])
    ax.set_xticks([], minor=True)


def _prepare(ax: Any, tables: Sequence[str]) -> None:
    """Shade every other table, keep the frame quiet, draw a line below the tables of the paper."""
    for row in range(0, len(tables), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    n_in_paper = sum(name in recipes.TABLE_4_ERRORS for name in tables)
    if 0 < n_in_paper < len(tables):
        ax.axhline(n_in_paper - 0.5, color="#888888", linewidth=0.9, linestyle=(0, (4, 3)))
        if ax.get_subplotspec().is_first_col():
            ax.text(
                0.985,
                n_in_paper - 0.44,
                "not in the paper's table",
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="top",
                fontsize=8,
                color="#666666",
            )
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
