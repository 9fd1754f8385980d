"""How the runs with corrupted labels are compared, told and drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._alpha_styles import keep_quiet
from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.tell import percent, points
from benchmarks._runs import mean_and_standard_error, paired_difference
from benchmarks.corrupted_recipes import METHODS, TABLE_2

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
# Blue, green, vermillion and purple of Okabe and Ito, told apart with any colour vision.
_STYLES = {
    "ERM": ("#0072B2", "o"),
    "dropout": ("#009E73", "s"),
    "mixup": ("#D55E00", "D"),
    "mixup + dropout": ("#CC79A7", "^"),
}
PICTURES_NOTE = (
    "The paper's columns are those of its Table 2: whole CIFAR-10, PreAct ResNet-18 of width 64, "
    "200 epochs, crops and flips, and the best model of each of its grids of alpha and p."
)
TABLES_NOTE = (
    "Features are standardised, nominal ones one-hot; tested on 20 % of the rows. Standard errors "
    "are the plain ones over the splits; the 95 % intervals allow for the rows that splits share "
    "(Nadeau and Bengio, 2003). The paper has no such experiment with tables."
)
REPEATS_NOTE = (
    "Half of the rows of Phishing Websites repeat an earlier row, so some rows to test on equal a "
    "row to train on, with its label right or wrong."
)


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame, *, on_tables: bool) -> pd.DataFrame:
    """Tell each setting of each method, and set it beside ERM, paired by seed.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``data``, ``data_name``, ``fraction``, ``method``, ``alpha``, ``dropout``,
        ``seed``, ``n_classes``, and the `MEASURES` as shares.
    on_tables : bool
        Whether seeds are random splits of one table, so that the 95 % interval has to allow for the
        rows that they share.

    Returns
    -------
    DataFrame
        A row for each setting: each measure's mean, and with ``_se`` its standard error;
        ``difference``, its last test error - ERM's, with ``_se``, ``half_width`` of the 95 %
        interval, and ``n_seeds``. Errors and intervals of a single seed are NaN.

    Raises
    ------
    ValueError
        If a setting and ERM were not run with the same seeds.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        erm = members[members["method"] == "ERM"].set_index("seed")["test_error"]
        for cell, cell_runs in members.groupby(_CELL, sort=False):
            by_seed = cell_runs.set_index("seed")
            if set(by_seed.index) != set(erm.index):
                raise ValueError(
                    f"Each seed must have a run of ERM and one of {cell[0]}; at {group} there are "
                    f"{sorted(erm.index)} and {sorted(by_seed.index)}."
                )
            row: dict[str, Any] = dict(zip([*_GROUP, *_CELL], [*group, *cell], strict=True))
            row["data_name"] = cell_runs["data_name"].iloc[0]
            row["n_classes"], row["n_seeds"] = cell_runs["n_classes"].iloc[0], len(by_seed)
            for measure in MEASURES:
                row[measure], row[f"{measure}_se"] = mean_and_standard_error(by_seed[measure])
            # Seeds that share no rows by design are as splits that test on none of them.
            share = TEST_SHARE if on_tables else 0.0
            found = paired_difference(by_seed["test_error"], erm[by_seed.index], test_share=share)
            row["difference"], row["difference_se"] = found.mean, found.standard_error
            row["half_width"] = found.half_width
            rows.append(row)
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
        sentence
        for (data, fraction), rows in comparison.groupby(_GROUP, sort=False)
        for sentence in [_conclude_one(TITLES.get(data, rows["data_name"].iloc[0]), fraction, rows)]
    ]


def _conclude_one(name: str, fraction: float, rows: pd.DataFrame) -> str:
    """Say it for one data and fraction."""
    erm = rows[rows["method"] == "ERM"].iloc[0]
    verdicts: dict[str, list[str]] = {"below": [], "above": [], "not told apart from": []}
    for row in rows[rows["method"] != "ERM"].itertuples():
        told = name_setting(row.method, row.alpha, row.dropout)
        told += f" {points(row.difference, row.difference_se)}"
        if not np.isnan(row.half_width):
            told += f", 95 % interval ± {100 * row.half_width:.1f}"
        # One seed has no standard error: which side it falls on is all there is to tell.
        margin = 0.0 if np.isnan(row.difference_se) else 2 * row.difference_se
        if row.difference < -margin:
            verdicts["below"].append(told)
        elif row.difference > margin:
            verdicts["above"].append(told)
        else:
            verdicts["not told apart from"].append(told)
    by = "one seed, no standard error" if erm.n_seeds == 1 else "by more than two standard errors"
    words = {
        "below": f"below it ({by})",
        "above": f"above it ({by})",
        "not told apart from": "not told apart from it (within two standard errors)",
    }
    parts = [f"{words[side]}: {'; '.join(told)}" for side, told in verdicts.items() if told]
    best, last, corrupted, ignoring = (
        f"{percent(share)} %"
        for share in (
            erm.best_test_error,
            erm.test_error,
            erm.corrupted_error,
            1 - 1 / erm.n_classes,
        )
    )
    return (
        f"{name}, {100 * fraction:g} % of the labels replaced: ERM's test error is {best} at best "
        f"and {last} at last, and it errs on {corrupted} of the replaced labels (a net that "
        f"ignores them errs on {ignoring}). Last test error against ERM's, in points, "
        f"{'; '.join(parts)}."
    )


def notes(runs: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Say how the numbers came about."""
    first = runs.iloc[0]
    seeds = comparison.groupby(_GROUP, sort=False)["n_seeds"].first()
    counts = {f"{100 * place[1]:g} %": int(count) for place, count in seeds.items()}
    told = ", ".join(f"{count} at {fraction}" for fraction, count in counts.items())
    names = "; ".join(dict.fromkeys(runs["data_name"]))
    text = (
        f"{names}. {first.network}, {first.max_epochs} epochs, {first.n_train:,} rows to train on; "
        f"seeds or splits: {told}. Errors in %, means ± standard errors over them. Best is the "
        "lowest test error after any epoch, found on the test set. Real and corrupted are the last "
        "training errors on the rows whose labels were kept and on those whose labels were "
        "replaced, against the labels trained with. Methods of a seed share corrupted labels, "
        "initial weights and shuffles."
    )
    if len(pick(comparison)) < len(comparison):
        text += (
            " Where a method has several settings, the first table shows that with the lowest last "
            "test error: it is picked on the test set, for each method that has settings, and ERM "
            "has none. The second table and the sentences have them all."
        )
    return [text]


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
            values = ["", "", "", ""]
            if paper is not None:
                values = [
                    f"{100 * paper.best:.1f}",
                    f"{100 * paper.last:.1f}",
                    f"{100 * paper.real:.2f}",
                    f"{100 * paper.corrupted:.2f}",
                ]
            told |= {f"paper {name}": v for name, v in zip(MEASURES.values(), values, strict=True)}
        rows.append(told)
    return pd.DataFrame(rows)


# -- figures --------------------------------------------------------------------------------------


def _figure(n_rows: int, n_columns: int, **shared: Any) -> tuple[Any, np.ndarray]:
    """Make a figure of panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(3.4 * n_columns + 0.6, 3.1 * n_rows + 1.2), dpi=160, layout="constrained"
    )
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **shared)


def _finish(figure: Any, title: str, path: str | os.PathLike[str]) -> None:
    """Write the title, one legend for all panels, and the PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.suptitle(title, fontsize=11)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def _spread(n_seeds: Sequence[int]) -> str:
    """Tell the repeats of a panel."""
    return f"{n_seeds[0]} seeds" if n_seeds[0] > 1 else "one seed"


def plot_curves(runs: pd.DataFrame, picked: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the test error over the epochs, a panel for each fraction: mean and range over seeds.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, with ``test_curve``: JSON lists of a share for each epoch.
    picked : DataFrame
        From `pick`: the settings that are drawn.
    path : path-like
        The PNG to write.
    """
    from matplotlib.ticker import MaxNLocator

    fractions = sorted(picked["fraction"].unique())
    figure, axes = _figure(1, len(fractions), sharey=True)
    for ax, fraction in zip(axes[0], fractions, strict=True):
        keep_quiet(ax)
        ax.grid(color="#dddddd", linewidth=0.6)
        members = picked[picked["fraction"] == fraction].set_index("method")
        for method in METHODS:
            place = members.loc[method]
            same = (
                runs[["fraction", *_CELL]] == [fraction, method, place.alpha, place.dropout]
            ).all(axis=1)
            curves = 100 * np.array([json.loads(text) for text in runs.loc[same, "test_curve"]])
            epochs = np.arange(1, curves.shape[1] + 1)
            colour, _ = _STYLES[method]
            ax.plot(epochs, curves.mean(0), color=colour, label=method, linewidth=1.6)
            if len(curves) > 1:
                ends = curves.min(0), curves.max(0)
                ax.fill_between(epochs, *ends, color=colour, alpha=0.18, linewidth=0)
        n_seeds = _spread(members["n_seeds"].to_list())
        ax.set_title(f"{100 * fraction:g} % replaced, {n_seeds}", fontsize=10.5)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("test error (%)")
    first = runs.iloc[0]
    title = f"Test error after each epoch, mean and range\n{first.data_name}\n{first.network}"
    _finish(figure, title, path)


def plot_last(runs: pd.DataFrame, picked: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw best and last test error by fraction, a panel for each table.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, which tell what was trained.
    picked : DataFrame
        From `pick`: the settings that are drawn.
    path : path-like
        The PNG to write.
    """
    names = list(dict.fromkeys(picked["data"]))
    figure, axes = _figure(1, len(names))
    for ax, name in zip(axes[0], names, strict=True):
        keep_quiet(ax)
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        members = picked[picked["data"] == name]
        fractions = sorted(members["fraction"].unique())
        for shift, method in zip(np.linspace(-0.27, 0.27, len(METHODS)), METHODS, strict=True):
            rows = members[members["method"] == method].set_index("fraction").loc[fractions]
            colour, marker = _STYLES[method]
            x = np.arange(len(fractions)) + shift
            best, last = 100 * rows["best_test_error"], 100 * rows["test_error"]
            ax.vlines(x, best, last, color=colour, linewidth=1.2)
            ax.plot(x, best, marker, color=colour, markerfacecolor="white", markersize=5.5)
            error = 100 * rows["test_error_se"]
            ax.errorbar(
                x,
                last,
                yerr=None if error.isna().any() else error,
                fmt=marker,
                color=colour,
                label=method,
                markersize=6,
                capsize=3,
            )
        ax.set_xticks(range(len(fractions)), [f"{100 * f:g} %" for f in fractions])
        ax.set_xlabel("labels replaced")
        ax.set_ylim(bottom=0)
        ax.set_title(TITLES.get(name, name), fontsize=10.5)
    axes[0, 0].set_ylabel("test error (%)")
    first = runs.iloc[0]
    title = (
        f"Test error after the last epoch (filled, ± standard error) and at best (hollow)\n"
        f"{first.network}, {first.max_epochs} epochs, {_spread(picked['n_seeds'].to_list())}"
    )
    _finish(figure, title.replace("seeds", "splits"), path)
