"""The figure of calibration: reliability, and measures by alpha."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    FAINT,
    SOFT,
    add_legend,
    alpha_colours,
    alpha_name,
    keep_quiet,
    new_figure,
    prepare_rows,
    set_ticks,
)
from benchmarks._lab.scores import read_bins

_FEWEST = 30  # predictions in a bin that is drawn


def plot(runs: pd.DataFrame, comparison: pd.DataFrame, *, main: float) -> Any:
    """Draw reliability curves of each table; below them ECE, overconfidence and log-loss by alpha.

    `comparison` is from `compare`, and `main` the alpha whose reliability is drawn, beside that of
    ERM and of the largest.
    """
    colours = alpha_colours(comparison["alpha"].unique())
    names = comparison["table"].unique()
    n_lines = -(-len(names) // 5)
    n_columns = -(-len(names) // n_lines)
    heights = [2.2 * n_lines + 0.5, 1.1 + 0.42 * len(names)]
    figure = new_figure(11.5, sum(heights) + 0.9)
    upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    panels = upper.subplots(n_lines, n_columns, squeeze=False, sharex=True, sharey=True)
    for ax, name in zip(panels.flat, names, strict=False):
        _plot_reliability(ax, runs[runs["table"] == name], colours, main)
        ax.set_title(TITLES[name], fontsize=10)
    for ax in panels.flat[len(names) :]:
        ax.set_axis_off()
    upper.supxlabel("confidence: the probability of the predicted class", fontsize=10)
    upper.supylabel("accuracy", fontsize=10)
    axes = lower.subplots(1, 3, sharey=True)
    _plot_measures(axes, comparison, colours)
    told = f"{len(names)} tables, {runs['split'].nunique()} random splits each"
    figure.suptitle(f"Are the probabilities right? ERM and mixup on {told}", fontsize=12.5)
    add_legend(lower, axes[0])
    return figure


def _plot_reliability(
    ax: Any, runs: pd.DataFrame, colours: Mapping[float, Any], main: float
) -> None:
    """Draw accuracy over confidence for ERM, the main alpha and the largest."""
    from sklearn.calibration import CalibrationDisplay

    for alpha in sorted({0.0, main, max(colours)}):
        bins = read_bins(runs.loc[runs["alpha"] == alpha, "bins"]).query("n >= @_FEWEST")
        mean, accuracy = ((bins[name] / bins["n"]).to_numpy() for name in ("confidence", "correct"))
        display = CalibrationDisplay(accuracy, mean, np.repeat(mean, bins["n"].astype(int)))
        display.plot(
            ax=ax, name=alpha_name(alpha), color=colours[alpha], markersize=3.5, linewidth=1.4
        )
    ax.get_legend().remove()  # one for all panels stands below
    ax.set(xlabel="", ylabel="", xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    ax.grid(color=FAINT, linewidth=0.6)
    style = {"fontsize": 7.5, "color": SOFT}
    ax.text(0.05, 0.93, "underconfident", ha="left", **style)
    ax.text(0.98, 0.05, "overconfident", ha="right", **style)
    keep_quiet(ax)


def _plot_measures(axes: Any, comparison: pd.DataFrame, colours: Mapping[float, Any]) -> None:
    """Draw ECE, overconfidence and log-loss: a row for each table, in it one for each alpha."""
    names = comparison["table"].unique()
    rows = comparison.pivot(index=["table", "alpha"], columns="measure", values=["mean", "mean_se"])
    mean, error = rows["mean"], rows["mean_se"].fillna(0)
    for ax in axes:
        prepare_rows(ax, [TITLES[name] for name in names])
    offsets = np.linspace(-0.32, 0.32, len(colours))
    for (alpha, colour), offset in zip(colours.items(), offsets, strict=True):
        place = np.arange(len(names)) + offset
        at = [(name, alpha) for name in names]
        style = {"fmt": "D" if alpha else "o", "color": colour, "markersize": 4, "elinewidth": 1.1}
        for ax, measure in zip(axes, ("ece", "overconfidence"), strict=False):
            values, errors = 100 * mean.loc[at, measure], 100 * error.loc[at, measure]
            ax.errorbar(values, place, xerr=errors, label=alpha_name(alpha), **style)
        axes[0].plot(100 * mean.loc[at, "ece_if_calibrated"], place, "|", color=SOFT, markersize=6)
        erm = mean.loc[[(name, 0.0) for name in names], "log_loss"].to_numpy()
        axes[2].plot(
            mean.loc[at, "log_loss"] / erm, place, style["fmt"], color=colour, markersize=4
        )
    # An empty line for the legend alone.
    axes[0].plot([], [], "|", color=SOFT, markersize=7, label="ECE if calibrated")
    left, right = r"$\leftarrow$", r"$\rightarrow$"
    axes[0].set_title("Expected calibration error (%, log scale)", fontsize=10)
    axes[0].set_xlabel(f"{left} better")
    axes[1].set_title("Mean confidence $-$ accuracy (% points)", fontsize=10)
    axes[1].set_xlabel(f"{left} underconfident      overconfident {right}")
    axes[1].axvline(0, color=BLACK, linewidth=0.8)
    axes[2].set_title("Log-loss, divided by ERM's (log scale)", fontsize=10)
    axes[2].set_xlabel(f"{left} mixup better      mixup worse {right}")
    axes[2].axvline(1, color=BLACK, linewidth=0.8)
    for ax, ticks in ((axes[0], (0.5, 1, 2, 5, 10, 20, 50)), (axes[2], (0.2, 0.5, 1, 2, 5, 10))):
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        set_ticks(ax.xaxis, [tick for tick in ticks if low <= tick <= high])
