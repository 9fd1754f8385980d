"""The figure of the first steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.curves import draw_curves
from benchmarks._lab.figures import GREY, add_legend, method_colours, new_figure, set_ticks

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000)


def plot_losses(runs: pd.DataFrame) -> Any:
    """Draw the loss over the minibatches, a panel for each network."""
    networks = list(dict.fromkeys(runs["network"]))
    figure = new_figure(2.9 * len(networks), 3.3)
    axes = figure.subplots(1, len(networks), squeeze=False, sharey=True)[0]
    colours = method_colours(list(runs["alpha"].unique()))
    for ax, network in zip(axes, networks, strict=True):
        members = runs[runs["network"] == network]
        draw_curves(ax, members, "loss_curve", colours)
        ax.axhline(np.log(members["n_classes"].iloc[0]), color=GREY, linewidth=1, linestyle=":")
        ax.set_title(network, fontsize=10)
        ax.set_xlabel("minibatch")
        ax.set_yscale("log")
    low, high = axes[0].get_ylim()
    set_ticks(axes[0].yaxis, [tick for tick in _TICKS if low <= tick <= high])
    axes[0].set_ylabel("loss (log scale)\ndotted: equal probabilities")
    n_seeds = runs["seed"].nunique()
    spread = f"mean and range of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    figure.suptitle(f"Loss of the first minibatches at full width, {spread}", fontsize=11)
    add_legend(figure)
    return figure
