"""Figures of curves over the epochs of networks on pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.figures import GRID, add_legend, keep_quiet, method_colours
from benchmarks._lab.tell import name_data


def prepare_axes(ax: Any) -> None:
    """Draw a grid behind, and keep the frame quiet."""
    ax.grid(color=GRID, linewidth=0.6)
    keep_quiet(ax)


def draw_curves(
    ax: Any,
    runs: pd.DataFrame,
    column: str,
    colours: Mapping[float, tuple[str, str]],
    *,
    factor: float = 1.0,
) -> None:
    """Draw mean and range, over the seeds of a network, of curves over the epochs, for each alpha.

    `column` holds JSON lists, a number for each epoch; `colours` are those of `method_colours`.
    """
    prepare_axes(ax)
    for alpha, (colour, label) in colours.items():
        texts = runs.loc[runs["alpha"] == alpha, column]
        if texts.empty:
            continue
        curves = read_curves(texts, factor=factor)
        n_epochs = curves.shape[1]
        style = {"color": colour, "linewidth": 1.5, "marker": "o" if n_epochs <= 20 else ""}
        draw_spread(ax, curves, label=label, markersize=3.5, **style)
        ax.set_xlim(0.5, n_epochs + 0.5)


def read_curves(texts: Iterable[str], *, factor: float = 1.0) -> np.ndarray:
    """Read JSON lists of a number for each epoch, as rows; 100 draws shares in percent."""
    return factor * np.array([json.loads(text) for text in texts], dtype=float)


def draw_spread(ax: Any, curves: np.ndarray, **style: Any) -> None:
    """Draw the mean over the rows, and their range where there are several, over the epochs."""
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, curves.shape[1] + 1)
    ax.plot(epochs, curves.mean(0), **style)
    if len(curves) > 1:
        ends = curves.min(0), curves.max(0)
        ax.fill_between(epochs, *ends, color=style["color"], alpha=0.18, linewidth=0)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def finish(figure: Any, runs: pd.DataFrame, title: str, spread: str) -> Any:
    """Say whose the numbers are, add the legend, and give the figure."""
    n_seeds = runs["seed"].nunique()
    of_seeds = f"{spread} of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    figure.suptitle(f"{title}, {of_seeds}\n{name_data(runs)}", fontsize=11)
    handles: dict[str, Any] = {}
    for ax in figure.axes:
        found = zip(*ax.get_legend_handles_labels(), strict=True)
        handles = {label: handle for handle, label in found} | handles
    labels = [label for _, label in method_colours(list(runs["alpha"].unique())).values()]
    add_legend(figure, handles=[handles[label] for label in labels], labels=labels)
    return figure
