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
    GRID,
    SOFT,
    alpha_colours,
    alpha_name,
    keep_quiet,
    new_figure,
    set_ticks,
    stripe_rows,
)
from benchmarks._lab.scores import read_bins

_FEWEST = 30  # predictions in a bin that is drawn


def plot(runs: pd.DataFrame, comparison: pd.DataFrame, *, main: float) -> Any:
    """Draw reliability curves of each table; below them ECE, overconfidence and log-loss by alpha.

    Parameters
    ----------
    runs : DataFrame
        Finished runs.
    comparison : DataFrame
        From `compare`.
    main : float
        The alpha whose reliability is drawn, beside that of ERM and of the largest.
    """
    alphas = sorted(comparison["alpha"].unique())
    colours = alpha_colours(alphas)
    names = list(dict.fromkeys(comparison["table"]))
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
    _plot_measures(lower.subplots(1, 3, sharey=True), comparison, colours)
    n_splits = runs["split"].nunique()
    figure.suptitle(
        f"Are the probabilities right? ERM and mixup on {len(names)} tables, {n_splits} random "
        "splits each",
        fontsize=12.5,
    )
    handles, labels = lower.axes[0].get_legend_handles_labels()
    lower.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _plot_reliability(
    ax: Any, runs: pd.DataFrame, colours: Mapping[float, Any], main: float
) -> None:
    """Draw accuracy over confidence for ERM, the main alpha and the largest."""
    from sklearn.calibration import CalibrationDisplay

    for alpha in sorted({0.0, main, max(colours)}):
        bins = read_bins(runs.loc[runs["alpha"] == alpha, "bins"])
        bins = bins[bins["n"] >= _FEWEST]
        mean = (bins["confidence"] / bins["n"]).to_numpy()
        display = CalibrationDisplay(
            prob_true=(bins["correct"] / bins["n"]).to_numpy(),
            prob_pred=mean,
            y_prob=np.repeat(mean, bins["n"].astype(int)),
        )
        display.plot(
            ax=ax, name=alpha_name(alpha), color=colours[alpha], markersize=3.5, linewidth=1.4
        )
    ax.get_legend().remove()  # one for all panels stands below
    ax.set(xlabel="", ylabel="", xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    ax.grid(color=FAINT, linewidth=0.6)
    for x, y, word, side in (
        (0.05, 0.93, "underconfident", "left"),
        (0.98, 0.05, "overconfident", "right"),
    ):
        ax.text(x, y, word, fontsize=7.5, color=SOFT, ha=side)
    keep_quiet(ax)


def _plot_measures(axes: Any, comparison: pd.DataFrame, colours: Mapping[float, Any]) -> None:
    """Draw ECE, overconfidence and log-loss: a row for each table, in it one for each alpha."""
    names = list(dict.fromkeys(comparison["table"]))
    rows = comparison.pivot(index=["table", "alpha"], columns="measure", values=["mean", "error"])
    mean, error = rows["mean"], rows["error"].fillna(0)
    offsets = np.linspace(-0.32, 0.32, len(colours))
    for ax in axes:
        stripe_rows(ax, len(names))
    log_loss = mean["log_loss"].unstack("alpha")
    for (alpha, colour), offset in zip(colours.items(), offsets, strict=True):
        place = np.arange(len(names)) + offset
        at = [(name, alpha) for name in names]
        style = {"fmt": "D" if alpha else "o", "color": colour, "markersize": 4, "elinewidth": 1.1}
        for ax, measure in zip(axes, ("ece", "overconfidence"), strict=False):
            values, errors = 100 * mean.loc[at, measure], 100 * error.loc[at, measure]
            ax.errorbar(values, place, xerr=errors, label=alpha_name(alpha), **style)
        axes[0].plot(100 * mean.loc[at, "ece_if_calibrated"], place, "|", color=SOFT, markersize=6)
        ratio = log_loss.loc[names, alpha] / log_loss.loc[names, 0.0]
        axes[2].plot(ratio, place, style["fmt"], color=colour, markersize=4)
    # An empty line for the legend alone.
    axes[0].plot([], [], "|", color=SOFT, markersize=7, label="ECE if calibrated")
    axes[0].set_xscale("log")
    axes[0].set_title("Expected calibration error (%, log scale)", fontsize=10)
    axes[1].set_title("Mean confidence $-$ accuracy (% points)", fontsize=10)
    axes[1].axvline(0, color=BLACK, linewidth=0.8)
    axes[1].set_xlabel(r"$\leftarrow$ underconfident      overconfident $\rightarrow$")
    axes[2].set_xscale("log")
    axes[2].set_title("Log-loss, divided by ERM's (log scale)", fontsize=10)
    axes[2].axvline(1, color=BLACK, linewidth=0.8)
    axes[2].set_xlabel(r"$\leftarrow$ mixup better      mixup worse $\rightarrow$")
    axes[0].set_xlabel(r"$\leftarrow$ better")
    for ax, ticks in ((axes[0], (0.5, 1, 2, 5, 10, 20, 50)), (axes[2], (0.2, 0.5, 1, 2, 5, 10))):
        low, high = ax.get_xlim()
        set_ticks(ax.xaxis, [tick for tick in ticks if low <= tick <= high])
    axes[0].set_yticks(range(len(names)), [TITLES[name] for name in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    for ax in axes:
        ax.grid(axis="x", color=GRID, linewidth=0.6)
        ax.tick_params(axis="y", length=0)
        keep_quiet(ax)
