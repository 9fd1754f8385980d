"""The figures of the networks on CIFAR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.curves import draw_curves, finish, prepare_axes
from benchmarks._lab.figures import BLACK, method_colours, new_figure, set_ticks
from benchmarks._lab.statistics import mean_and_standard_error


def plot_curves(runs: pd.DataFrame) -> Any:
    """Draw Figure 3b, the test error over the epochs: a panel for each network, a row for data."""
    lines = list(dict.fromkeys(runs["data"]))
    networks = list(dict.fromkeys(runs["network"]))
    figure = new_figure(max(3.6 * len(networks), 6.4), 3.1 * len(lines) + 0.9)
    axes = figure.subplots(len(lines), len(networks), squeeze=False, sharey="row")
    colours = method_colours(list(runs["alpha"].unique()))
    for row, line in zip(axes, lines, strict=True):
        for ax, network in zip(row, networks, strict=True):
            members = runs[(runs["data"] == line) & (runs["network"] == network)]
            draw_curves(ax, members, "test_curve", colours, factor=100)
            ax.set_title(network if len(lines) == 1 else f"{line}, {network}", fontsize=10.5)
        row[0].set_ylabel("test error (%)")
    return finish(figure, runs, "Test error after each epoch", "mean and range")


def plot_budget(runs: pd.DataFrame, comparison: pd.DataFrame) -> Any:
    """Draw the error of the last epoch over the number of epochs, and mixup - ERM beside it."""
    figure = new_figure(9.6, 4.0)
    left, right = figure.subplots(1, 2)
    colours = method_colours(list(runs["alpha"].unique()))
    budgets = sorted(runs["max_epochs"].unique())
    first = runs[runs["data"] == runs["data"].iloc[0]]
    compared = comparison[comparison["data"] == runs["data"].iloc[0]]
    for alpha, (colour, label) in colours.items():
        members = first[first["alpha"] == alpha]
        errors = [members.loc[members["max_epochs"] == n, "test_error"] for n in budgets]
        means, spreads = zip(*map(mean_and_standard_error, errors), strict=True)
        _draw_means(left, budgets, means, spreads, colour, label)
        if alpha > 0:
            rows = compared[compared["alpha"] == alpha].sort_values("max_epochs")
            difference = rows["test_error_difference"], rows["test_error_difference_se"]
            _draw_means(right, rows["max_epochs"], *difference, colour, label)
    right.axhline(0, color=BLACK, linewidth=0.8)
    left.set_ylabel("test error of the last epoch (%)")
    right.set_ylabel("mixup $-$ ERM (% points)\nbelow 0, mixup errs less")
    for ax in (left, right):
        prepare_axes(ax)
        ax.set_xscale("log")
        set_ticks(ax.xaxis, budgets)
        ax.set_xlabel("epochs of the whole training (log scale)")
    title = f"{first['network'].iloc[0]} by budget"
    return finish(figure, first, title, "mean ± standard error")


def _draw_means(ax: Any, budgets: Any, means: Any, errors: Any, colour: str, label: str) -> None:
    """Draw shares in percent with error bars, joined by a line."""
    ax.errorbar(
        budgets,
        100 * np.asarray(means),
        yerr=100 * np.nan_to_num(errors),
        fmt="o-",
        color=colour,
        markersize=5,
        capsize=2.5,
        elinewidth=1.2,
        linewidth=1.4,
        label=label,
    )
