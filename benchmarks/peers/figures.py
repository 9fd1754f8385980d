"""The figures of peers: error and log-loss against the time of the fit, and mean ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    SOFT,
    VERMILLION,
    keep_quiet,
    new_figure,
)
from benchmarks.peers.methods import METHODS, title_of
from benchmarks.peers.results import ENSEMBLE, MEASURES, Results, heading, word
from benchmarks.peers.statistics import Ranks, compare

# Warm for ours, cold for the others.
_FAMILIES = {
    "mixup": ("with mixup", VERMILLION, "D"),
    "ERM": ("the same nets without (ERM)", ORANGE, "o"),
    "net": ("other nets", BLUE, "s"),
    "trees": ("trees", GREEN, "^"),
}
# Where names may stand: points from theirs, and degrees.
_DISTANCES = (9, 16, 26, 40, 56)
_ANGLES = (0, 180, 90, 270, 35, 145, 325, 215)
_BAR_STYLE = {"linewidth": 5, "solid_capstyle": "round", "color": "#9a9a9a"}


def _colour(method: str) -> str:
    """Choose the colour of a method."""
    return _FAMILIES[METHODS[method].family][1]


# -- error and log-loss against time --------------------------------------------------------------


def plot(results: Results) -> Any:
    """Draw test error, and beside it log-loss, against the time of the fit.

    Bars are standard errors of the difference from the ensemble, tables as units.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(10, 5.2)
    figure.get_layout_engine().set(wspace=0.05)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    seconds = results.seconds()
    points = {}
    for ax, name in zip(axes, ("test_error", "log_loss"), strict=True):
        measure = MEASURES[name]
        means = measure.factor * results.averages[name]["mean"]
        errors = measure.factor * _errors(results, name)
        points[ax] = pd.DataFrame({"x": seconds, "y": means, "error": errors})
        _plot_points(ax, points[ax])
        ax.set_title(f"{heading(name)} (mean of {len(results.tables)} tables)", fontsize=11)
    told = "Fit time in seconds, one thread (geometric mean, log scale)."
    if len(results.methods) > 1 and len(results.tables) > 1:
        told += f" Bars: standard error of the difference from {title_of(_reference(results))}."
    figure.supxlabel(told, fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=10
    )
    canvas.draw()  # lays the panels out: only now is it known what overlaps
    figure.set_layout_engine("none")
    for ax, frame in points.items():
        _label(ax, frame, canvas.get_renderer())
    return figure


def _reference(results: Results) -> str:
    """Choose the method that the others are compared with."""
    return ENSEMBLE if ENSEMBLE in results.methods else results.methods[0]


def _errors(results: Results, name: str) -> pd.Series:
    """Tell the standard error of each difference from the reference; 0 where there is none."""
    values, reference = results.values[name], _reference(results)
    others = [method for method in results.methods if method != reference]
    errors = {method: compare(values, method, reference).over_tables for method in others}
    return pd.Series(errors, dtype=float).reindex(results.methods).fillna(0)


def _plot_points(ax: Any, points: pd.DataFrame) -> None:
    """Draw a point for each method, with its bar, family by family."""
    for family, (label, colour, marker) in _FAMILIES.items():
        members = points[[METHODS[method].family == family for method in points.index]]
        if len(members):
            ax.errorbar(
                members["x"],
                members["y"],
                yerr=members["error"],
                fmt=marker,
                color=colour,
                markersize=8,
                markeredgecolor="white",
                elinewidth=1.1,
                label=label,
                zorder=3,
            )
    ax.set_xscale("log")
    ax.margins(x=0.12, y=0.1)
    _set_limits(ax, points)
    ax.grid(color=FAINT, linewidth=0.6)
    ax.tick_params(labelsize=9)
    keep_quiet(ax)


def _set_limits(ax: Any, points: pd.DataFrame) -> None:
    """Use a log scale where one method is far off, and write few numbers at the axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    scales: list[tuple[Any, tuple[float, ...]]] = [(ax.xaxis, (1, 2, 5))]
    if points["y"].max() > 3 * points["y"].min() > 0:
        ax.set_yscale("log")
        ax.set_ylim(0.85 * points["y"].min(), 1.35 * points["y"].max())
        scales.append((ax.yaxis, (1, 1.5, 2, 3, 4, 5, 7)))
    for axis, shown in scales:
        axis.set_major_locator(LogLocator(subs=shown))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _label(ax: Any, points: pd.DataFrame, renderer: Any) -> None:
    """Write the name of each method beside its point, where it hides least."""
    from matplotlib.transforms import Bbox

    places = ax.transData.transform(points[["x", "y"]].to_numpy())
    pixel = renderer.points_to_pixels(1)
    taken = [Bbox.from_extents(*(place - 6 * pixel), *(place + 6 * pixel)) for place in places]
    bars = []
    spans = points["y"].clip(lower=points["error"] + 1e-12)  # a log scale has no ends below 0
    for x, low, high in zip(
        points["x"], spans - points["error"], spans + points["error"], strict=True
    ):
        ends = ax.transData.transform([(x, low), (x, high)])
        bars.append(Bbox(ends).padded(pixel))
    frame = ax.get_window_extent(renderer)
    # Those with the nearest neighbours first: the others find room anywhere.
    gaps = np.linalg.norm(places[:, None] - places, axis=2)
    for number in np.argsort(np.sort(gaps, axis=1)[:, min(1, len(places) - 1)], kind="stable"):
        method = points.index[number]
        text = _write(ax, points.loc[method], method)
        size = text.get_window_extent(renderer).size + 4 * pixel
        best, lowest = (0.0, 0.0), np.inf
        for distance in _DISTANCES:
            for angle in np.deg2rad(_ANGLES):
                offset = distance * np.cos(angle), distance * np.sin(angle)
                # The box hangs on the middle of the side that faces the point.
                corner = places[number] + pixel * np.array(offset)
                corner = corner - size * [
                    {"left": 0, "center": 0.5, "right": 1}[_side(offset)],
                    0.5,
                ]
                box = Bbox([corner, corner + size])
                hidden = sum(_overlap(box, other) for other in taken)
                outside = size.prod() - _overlap(box, frame.padded(4 * pixel))
                crossed = sum(_overlap(box, bar) for bar in bars)
                cost = 4 * hidden + crossed + 8 * outside + 6 * pixel * distance
                if cost < lowest:
                    best, lowest, best_box = offset, cost, box
        taken.append(best_box)
        text.remove()
        _write(ax, points.loc[method], method, best)


def _side(offset: tuple[float, float]) -> str:
    """Tell with which side a name at an offset faces its point."""
    if abs(offset[0]) < 1:
        return "center"
    return "left" if offset[0] > 0 else "right"


def _write(ax: Any, point: pd.Series, method: str, offset: tuple[float, float] = (0.0, 0.0)) -> Any:
    """Write a name at an offset in points, with a line to its point if it is far."""
    line = {"arrowstyle": "-", "color": _colour(method), "linewidth": 0.7, "shrinkB": 4}
    return ax.annotate(
        title_of(method),
        (point["x"], point["y"]),
        offset,
        textcoords="offset points",
        ha=_side(offset),
        va="center",
        fontsize=10 if method == ENSEMBLE else 9,
        fontweight="bold" if method == ENSEMBLE else "normal",
        color=BLACK,
        arrowprops=line if np.hypot(*offset) > _DISTANCES[0] + 1 else None,
        zorder=4,
    )


def _overlap(box: Any, other: Any) -> float:
    """Area that two boxes share."""
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(0.0, width) * max(0.0, height)


# -- ranks ----------------------------------------------------------------------------------------


def plot_ranks(ranks: Mapping[str, Ranks]) -> Any:
    """Draw the mean ranks of error and log-loss; bars join what is not told apart (Demsar 2006)."""
    n_methods = max(len(each.mean) for each in ranks.values())
    height = 1.9 + 0.14 * n_methods
    figure = new_figure(9, height * len(ranks))
    for ax, (name, each) in zip(figure.subplots(len(ranks), 1), ranks.items(), strict=True):
        _plot_ranks(ax, each)
        ax.set_title(f"Mean rank of {word(name)} over {each.n_tables} tables", fontsize=11)
    return figure


def _plot_ranks(ax: Any, ranks: Ranks) -> None:
    """Draw the axis of ranks, the names on both sides of it, and a bar for each group."""
    n_methods, groups = len(ranks.mean), ranks.groups()
    reach = ranks.critical_difference
    end = max(n_methods, 1 + reach)
    ax.set_axis_off()
    ax.plot([1, end], [0, 0], color=BLACK, linewidth=1)
    for tick in range(1, n_methods + 1):
        ax.plot([tick, tick], [0, 0.25], color=BLACK, linewidth=1)
        ax.text(tick, 0.35, str(tick), ha="center", va="bottom", fontsize=9)
    ax.plot([1, 1 + reach], [1.7, 1.7], "|-", color=SOFT, markersize=7, linewidth=1.4)
    told = f"critical difference {reach:.2f} (Nemenyi, 5 %)"
    ax.text(1 + reach / 2, 1.85, told, ha="center", va="bottom", fontsize=9, color=SOFT)
    for number, (first, last) in enumerate(groups):
        ends = ranks.mean[[first, last]] + np.array([-0.05, 0.05])
        ax.plot(ends, [-0.45 * (number + 1)] * 2, **_BAR_STYLE, zorder=1)
    below = 0.45 * len(groups) + 0.3
    n_left = -(-n_methods // 2)
    for number, (method, value) in enumerate(ranks.mean.items()):
        is_left = number < n_left
        level = -below - 0.8 * (number + 1 if is_left else n_methods - number)
        edge = 0.8 if is_left else end + 0.2
        ax.plot([value, value, edge], [0, level, level], color=_colour(method), linewidth=1.3)
        told = f"{title_of(method)}  {value:.1f}" if is_left else f"{value:.1f}  {title_of(method)}"
        ax.text(
            edge + (-0.08 if is_left else 0.08),
            level,
            told,
            ha="right" if is_left else "left",
            va="center",
            fontsize=9.5,
            fontweight="bold" if method == ENSEMBLE else "normal",
            color=BLACK,
        )
    room = 0.32 * (end - 1)  # for the names
    ax.set_xlim(1 - room, end + room)
    ax.set_ylim(-below - 0.8 * n_left - 0.5, 2.8)
