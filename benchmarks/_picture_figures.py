"""The figures of the runs on pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._runs import mean_and_standard_error

# Blue, vermillion, green and purple of Okabe and Ito, told apart with any colour vision.
_BLUE, _VERMILLION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"


def method_colours(alphas: Sequence[float]) -> dict[float, tuple[str, str]]:
    """Give each alpha a colour and a name; ERM is blue."""
    mixed = [alpha for alpha in sorted(alphas) if alpha > 0]
    colours = {0.0: (_BLUE, "ERM")} if 0.0 in alphas else {}
    for alpha, colour in zip(mixed, (_VERMILLION, _GREEN, _PURPLE) * len(mixed), strict=False):
        colours[alpha] = colour, rf"mixup, $\alpha$ = {alpha:g}"
    return colours


def prepare_axes(ax: Any) -> None:
    """Keep the frame quiet."""
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _draw_curves(
    ax: Any,
    runs: pd.DataFrame,
    column: str,
    colours: Mapping[float, tuple[str, str]],
    *,
    factor: float = 1.0,
) -> None:
    """Draw the mean and the range, over the seeds, of curves over the epochs, for each alpha."""
    from matplotlib.ticker import MaxNLocator

    prepare_axes(ax)
    for alpha, (colour, label) in colours.items():
        texts = runs.loc[runs["alpha"] == alpha, column]
        if texts.empty:
            continue
        curves = factor * np.array([json.loads(text) for text in texts], dtype=float)
        epochs = np.arange(1, curves.shape[1] + 1)
        marker = "o" if len(epochs) <= 20 else ""
        ax.plot(
            epochs,
            curves.mean(0),
            marker=marker,
            color=colour,
            label=label,
            linewidth=1.5,
            markersize=3.5,
        )
        ax.set_xlim(0.5, len(epochs) + 0.5)
        if len(curves) > 1:
            ends = curves.min(0), curves.max(0)
            ax.fill_between(epochs, *ends, color=colour, alpha=0.18, linewidth=0)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _finish(figure: Any, runs: pd.DataFrame, title: str, spread: str, path: Any) -> None:
    """Say whose the numbers are, add the legend, and write the PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    n_seeds = runs["seed"].nunique()
    of_seeds = f"{spread} of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    data_names = "; ".join(dict.fromkeys(runs["data_name"]))
    figure.suptitle(f"{title}, {of_seeds}\n{data_names}", fontsize=11)
    handles: dict[str, Any] = {}
    for ax in figure.axes:
        found = zip(*ax.get_legend_handles_labels(), strict=True)
        handles = {label: handle for handle, label in found} | handles
    labels = [label for _, label in method_colours(list(runs["alpha"].unique())).values()]
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
    )
    FigureCanvasAgg(figure).print_png(path)


def plot_curves(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw Figure 3b, the test error over the epochs: a panel for each network, a row for data.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, with ``test_curve``: JSON lists of a share for each epoch.
    path : path-like
        The PNG to write.
    """
    from matplotlib.figure import Figure

    lines = list(dict.fromkeys(runs["data"]))
    networks = list(dict.fromkeys(runs["network"]))
    figure = Figure(
        figsize=(max(3.6 * len(networks), 6.4), 3.1 * len(lines) + 0.9),
        dpi=160,
        layout="constrained",
    )
    axes = figure.subplots(len(lines), len(networks), squeeze=False, sharey="row")
    colours = method_colours(list(runs["alpha"].unique()))
    for row, line in zip(axes, lines, strict=True):
        for ax, network in zip(row, networks, strict=True):
            members = runs[(runs["data"] == line) & (runs["network"] == network)]
            _draw_curves(ax, members, "test_curve", colours, factor=100)
            ax.set_title(network if len(lines) == 1 else f"{line}, {network}", fontsize=10.5)
        row[0].set_ylabel("test error (%)")
    _finish(figure, runs, "Test error after each epoch", "mean and range", path)


def plot_losses(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the training loss and the top-1 error over the epochs, a row for each network.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, with ``loss_curve`` and ``test_curve``: JSON lists of a number for each
        epoch.
    path : path-like
        The PNG to write.
    """
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(zip(runs["network"], runs["max_epochs"], strict=True)))
    figure = Figure(figsize=(8.8, 3.0 * len(groups) + 0.9), dpi=160, layout="constrained")
    axes = figure.subplots(len(groups), 2, squeeze=False)
    colours = method_colours(list(runs["alpha"].unique()))
    for (left, right), (network, max_epochs) in zip(axes, groups, strict=True):
        members = runs[(runs["network"] == network) & (runs["max_epochs"] == max_epochs)]
        _draw_curves(left, members, "loss_curve", colours)
        _draw_curves(right, members, "test_curve", colours, factor=100)
        left.set_ylabel("training loss (nats)\nof mixup: on mixed pictures")
        right.set_ylabel("test error, top-1 (%)")
        for ax in (left, right):
            ax.set_title(f"{network}, {max_epochs} epochs", fontsize=10.5)
    _finish(figure, runs, "ImageNet networks", "mean and range", path)


def plot_budget(runs: pd.DataFrame, comparison: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the error of the last epoch over the number of epochs, and mixup - ERM beside it.

    Parameters
    ----------
    runs : DataFrame
        Finished runs of one network.
    comparison : DataFrame
        From `compare`.
    path : path-like
        The PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.0), dpi=160, layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = method_colours(list(runs["alpha"].unique()))
    budgets = sorted(runs["max_epochs"].unique())
    first = runs[runs["data"] == runs["data"].iloc[0]]
    compared = comparison[comparison["data"] == runs["data"].iloc[0]]
    for alpha, (colour, label) in colours.items():
        members = first[first["alpha"] == alpha]
        ours = [
            mean_and_standard_error(100 * members.loc[members["max_epochs"] == n, "test_error"])
            for n in budgets
        ]
        _draw_means(left, budgets, ours, colour, label)
        if alpha > 0:
            rows = compared[compared["alpha"] == alpha].sort_values("max_epochs")
            differences = [
                (100 * row.difference_test_error, 100 * row.difference_test_error_se)
                for row in rows.itertuples()
            ]
            _draw_means(right, list(rows["max_epochs"]), differences, colour, label)
    right.axhline(0, color="#222222", linewidth=0.8)
    left.set_ylabel("test error of the last epoch (%)")
    right.set_ylabel("mixup $-$ ERM (% points)\nbelow 0, mixup errs less")
    for ax in (left, right):
        prepare_axes(ax)
        ax.set_xscale("log")
        ax.set_xticks(budgets, [str(budget) for budget in budgets])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("epochs of the whole training (log scale)")
    title = f"{first['network'].iloc[0]} by budget"
    _finish(figure, first, title, "mean ± standard error", path)


def _draw_means(
    ax: Any,
    budgets: Sequence[int],
    values: Sequence[tuple[float, float]],
    colour: str,
    label: str,
) -> None:
    """Draw means with error bars, joined by a line."""
    means, errors = np.array(values, dtype=float).T
    ax.errorbar(
        budgets,
        means,
        yerr=np.nan_to_num(errors),
        fmt="o-",
        color=colour,
        markersize=5,
        capsize=2.5,
        elinewidth=1.2,
        linewidth=1.4,
        label=label,
    )
