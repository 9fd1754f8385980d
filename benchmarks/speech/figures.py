"""The figure of the errors on spoken words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.figures import BLUE, GRID, VERMILLION, keep_quiet, new_figure

_LOOKS = (("validation", BLUE, "o", 0.14), ("testing", VERMILLION, "s", -0.14))


def plot_errors(comparison: pd.DataFrame) -> Any:
    """Draw validation and test errors, a panel for each network, the paper's beside ours."""
    groups = list(comparison.groupby(["network", "max_epochs"], sort=False))
    figure = new_figure(4.6 * max(len(groups), 1.4), 4.2)
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for ax, ((network, max_epochs), rows) in zip(axes, groups, strict=True):
        _draw_rows(ax, rows)
        ax.set_title(f"{network}, {max_epochs} epochs", fontsize=10.5)
    n_seeds = comparison["n_seeds"].max()
    spread = f"mean ± standard error of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    names = "; ".join(dict.fromkeys(comparison["data_name"]))
    figure.suptitle(f"Errors on spoken words, {spread}\n{names}", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_rows(ax: Any, rows: pd.DataFrame) -> None:
    """Draw a network's errors, a line for each way to train."""
    heights = np.arange(len(rows))[::-1]
    for part, colour, marker, shift in _LOOKS:
        name = "test" if part == "testing" else part
        ax.errorbar(
            100 * rows[f"{part}_error"],
            heights + shift,
            xerr=100 * rows[f"{part}_error_se"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5.5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{name} error, ours",
        )
        ax.plot(
            100 * rows[f"paper_{part}"],
            heights + shift,
            marker,
            markerfacecolor="none",
            markeredgecolor=colour,
            markersize=5.5,
            label=f"{name} error, the paper's (65,000 clips)",
        )
    ax.set_yticks(heights, [method.replace(", ", "\n") for method in rows["method"]])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(left=0)
    ax.set_xlabel("error (%)")
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    keep_quiet(ax)
