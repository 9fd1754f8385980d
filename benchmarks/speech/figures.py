"""The figure of the errors on spoken words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.figures import BLUE, GRID, VERMILLION, add_legend, keep_quiet, new_figure

_LOOKS = (
    ("validation", "validation error", BLUE, "o", 0.14),
    ("testing", "test error", VERMILLION, "s", -0.14),
)


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
    add_legend(figure, ncols=2)
    return figure


def _draw_rows(ax: Any, rows: pd.DataFrame) -> None:
    """Draw a network's errors, a line for each way to train."""
    heights = np.arange(len(rows))[::-1]
    for part, name, colour, marker, shift in _LOOKS:
        style = {"marker": marker, "markersize": 5.5, "color": colour, "linestyle": "none"}
        ax.errorbar(
            100 * rows[f"{part}_error"],
            heights + shift,
            xerr=100 * rows[f"{part}_error_se"].fillna(0),
            label=f"{name}, ours",
            capsize=2.5,
            elinewidth=1.2,
            **style,
        )
        paper, label = 100 * rows[f"paper_{part}"], f"{name}, the paper's (65,000 clips)"
        ax.plot(paper, heights + shift, label=label, markerfacecolor="none", **style)
    ax.set_yticks(heights, [method.replace(", ", "\n") for method in rows["method"]])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(left=0)
    ax.set_xlabel("error (%)")
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    keep_quiet(ax)
