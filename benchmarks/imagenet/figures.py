"""The figure of the networks on ImageNet."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks._lab.curves import draw_curves, finish
from benchmarks._lab.figures import method_colours, new_figure


def plot_losses(runs: pd.DataFrame) -> Any:
    """Draw the training loss and the top-1 error over the epochs, a row for each network."""
    groups = list(dict.fromkeys(zip(runs["network"], runs["max_epochs"], strict=True)))
    figure = new_figure(8.8, 3.0 * len(groups) + 0.9)
    axes = figure.subplots(len(groups), 2, squeeze=False)
    colours = method_colours(list(runs["alpha"].unique()))
    for (left, right), (network, max_epochs) in zip(axes, groups, strict=True):
        members = runs[(runs["network"] == network) & (runs["max_epochs"] == max_epochs)]
        draw_curves(left, members, "loss_curve", colours)
        draw_curves(right, members, "test_curve", colours, factor=100)
        left.set_ylabel("training loss (nats)\nof mixup: on mixed pictures")
        right.set_ylabel("test error, top-1 (%)")
        for ax in (left, right):
            ax.set_title(f"{network}, {max_epochs} epochs", fontsize=10.5)
    return finish(figure, runs, "ImageNet networks", "mean and range")
