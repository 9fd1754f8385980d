"""The figures of the toy problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.plane import DISC, EDGE, RING
from benchmarks._lab.curves import read_curves
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    alpha_colours,
    alpha_name,
    keep_quiet,
    new_figure,
    shade_plane,
)

_POINTS = ((0, GREEN, "o"), (1, ORANGE, "D"))  # the colours of the paper's figure
_P = r"$p\,(y = 1\,|\,x)$"


@dataclass(frozen=True)
class Panel:
    """A trained network and its data, to be drawn, with its steepest slope between the classes."""

    alpha: float
    steepest: float
    classifier: Any
    X: np.ndarray
    y: np.ndarray


def _draw_regions(ax: Any, panel: Panel, *, size: float) -> Any:
    """Shade p(y = 1 | x), draw the points over it, and give what a colour bar needs."""
    surface = shade_plane(ax, panel.classifier, EDGE)
    for label, colour, marker in _POINTS:
        style = {"marker": marker, "color": colour, "edgecolor": "white", "linewidth": 0.4}
        ax.scatter(*panel.X[panel.y == label].T, s=size, **style)
    return surface


def plot_two(panels: Sequence[Panel]) -> Any:
    """Draw Figure 1b: ERM and mixup (alpha = 1), each over the profile of p through the middle."""
    # In inches: two square maps, a profile below each, and the colour bar beside them.
    width, height, side, low, gap = 8.0, 5.1, 3.12, 1.05, 0.2
    figure = new_figure(width, height, dpi=150, layout=None)

    def add_axes(left: float, bottom: float, wide: float, high: float) -> Any:
        return figure.add_axes((left / width, bottom / height, wide / width, high / height))

    left, bottom = 0.72, 0.4
    shown = [panel for panel in panels if panel.alpha in (0, 1)]
    x = np.linspace(-EDGE, EDGE, 600, dtype=np.float32)
    for number, panel in enumerate(shown):
        start = left + number * (side + gap)
        ax = add_axes(start, bottom + low + 0.12, side, side)
        surface = _draw_regions(ax, panel, size=18)
        ax.axhline(0, color=BLACK, linewidth=1.2, linestyle=(0, (5, 3)))
        name = rf"mixup, $\alpha$ = {panel.alpha:g}" if panel.alpha else "without mixup (ERM)"
        ax.set_title(name, fontsize=16)
        ax = add_axes(start, bottom, side, low)
        _draw_profile(ax, x, panel)
        if number:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel(_P, fontsize=12.5)
        ax.set_xlabel(f"steepest slope: {panel.steepest:.1f} (linear: 1)", fontsize=12.5)
    ax = add_axes(left + 2 * side + gap + 0.1, bottom + low + 0.12, 0.14, side)
    bar = figure.colorbar(surface, cax=ax, ticks=[0, 1])
    bar.set_label(_P, fontsize=14, labelpad=-4)
    bar.ax.tick_params(labelsize=12)
    return figure


def _draw_profile(ax: Any, x: np.ndarray, panel: Panel) -> None:
    """Draw p along the horizontal line through the middle, over the colours of the classes."""
    p = panel.classifier.predict_proba(np.column_stack([x, np.zeros_like(x)]))[:, 1]
    inner, outer = RING
    for start, end, colour in (
        (-outer, -inner, GREEN),
        (-DISC, DISC, ORANGE),
        (inner, outer, GREEN),
    ):
        ax.axvspan(start, end, color=colour, alpha=0.22, linewidth=0)
    ax.plot(x, p, color=BLUE, linewidth=2.6)
    ax.set(xlim=(-EDGE, EDGE), ylim=(0, 1.06), yticks=[0, 0.5, 1], xticks=[])
    ax.tick_params(labelsize=12)
    keep_quiet(ax)


def plot_alphas(panels: Sequence[Panel], runs: pd.DataFrame) -> Any:
    """Draw the regions at each alpha, and last the mean profiles of p from class to class.

    `panels` are networks of one seed; the profiles are means over all `runs`.
    """
    n_columns = min(4, len(panels) + 1)
    n_lines = -(-(len(panels) + 1) // n_columns)
    figure = new_figure(2.9 * n_columns, 3.25 * n_lines, dpi=150)
    axes = figure.subplots(n_lines, n_columns, squeeze=False)
    for ax in axes.flat[len(panels) + 1 :]:
        ax.set_axis_off()
    for ax, panel in zip(axes.flat, panels, strict=False):
        surface = _draw_regions(ax, panel, size=6)
        ax.set_title(alpha_name(panel.alpha), fontsize=12)
        ax.set_xlabel(f"steepest slope: {panel.steepest:.1f}", fontsize=10.5)
    last = axes.flat[len(panels)]
    for alpha, colour in alpha_colours(sorted(runs["alpha"].unique())).items():
        profile = read_curves(runs.loc[runs["alpha"] == alpha, "profile"]).mean(axis=0)
        position = np.linspace(0, 1, len(profile))
        last.plot(position, profile, color=colour, linewidth=1.8, label=f"{alpha:g}")
    last.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="linear")
    last.yaxis.tick_right()
    last.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", yticks=[0, 0.5, 1])
    last.set_xticks([0, 1], ["green", "orange"])
    for label, side in zip(last.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    last.set_title("mean of lines between points", fontsize=12)
    last.legend(title=r"$\alpha$", fontsize=8, frameon=False, loc="upper left", handlelength=1.4)
    keep_quiet(last, ("top", "left"))
    bar = figure.colorbar(surface, ax=axes, shrink=0.6, aspect=28, ticks=[0, 0.5, 1], pad=0.01)
    bar.set_label(_P, fontsize=12)
    return figure
