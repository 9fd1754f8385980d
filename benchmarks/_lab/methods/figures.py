"""The figures of methods: two measures against the time of the fit, and mean ranks."""

from __future__ import annotations

import itertools
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    SKY,
    SOFT,
    VERMILLION,
    add_legend,
    keep_quiet,
    new_figure,
)
from benchmarks._lab.methods.method import Method
from benchmarks._lab.methods.results import Contest, Results
from benchmarks._lab.methods.statistics import Ranks, compare

# Warm for ours, cold for the others.
FAMILIES = {
    "mixup": ("with mixup", VERMILLION, "D"),
    "ERM": ("the same nets without (ERM)", ORANGE, "o"),
    "net": ("other nets", BLUE, "s"),
    "trees": ("trees", GREEN, "^"),
    "linear": ("linear", SKY, "v"),
    "base": ("base rates", SOFT, "x"),
    "maker": ("makers of rows", BLUE, "s"),
}
# Where names may stand: points from theirs, and degrees.
_DISTANCES = (9, 16, 26, 40, 56)
_ANGLES = (0, 180, 90, 270, 35, 145, 325, 215)
_SIDES = {"left": 0.0, "center": 0.5, "right": 1.0}


def _colour(method: Method) -> str:
    """Choose the colour of a method."""
    return FAMILIES[method.family][1]


# -- measures against time ------------------------------------------------------------------------


def plot(results: Results) -> Any:
    """Draw the two main measures beside each other, against the time of the fit.

    Bars are standard errors of the difference from ours, tables as units.
    """
    contest = results.contest
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(10, 5.2)
    figure.get_layout_engine().set(wspace=0.05)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    points = {}
    for ax, name in zip(axes, contest.main, strict=True):
        y, error = results.averages[name]["mean"], _errors(results, name)
        frame = contest.measures[name].factor * pd.DataFrame({"y": y, "error": error})
        # The base rates are far off: they would leave no room for the others.
        shown = [it for it in results.methods if contest.methods[it].family != "base"]
        points[ax] = frame.assign(x=results.seconds()).loc[shown or results.methods]
        _plot_points(ax, points[ax], contest)
        told = f"{contest.measures[name].heading} (mean of {len(results.tables)} tables)"
        ax.set_title(told, fontsize=11)
    told = "Fit time in seconds of one processor (geometric mean, log scale)."
    if len(results.methods) > 1 and len(results.tables) > 1:
        told += (
            f" Bars: standard error of the difference from {contest.title(_reference(results))}."
        )
    figure.supxlabel(told, fontsize=10)
    add_legend(figure, loc="outside upper center", fontsize=10)
    canvas.draw()  # lays the panels out: only now is it known what overlaps
    figure.set_layout_engine("none")
    for ax, frame in points.items():
        _label(ax, frame, contest, canvas.get_renderer())
    return figure


def _reference(results: Results) -> str:
    """Choose the method that the others are compared with."""
    ours = results.contest.ours
    return ours if ours in results.methods else results.methods[0]


def _errors(results: Results, name: str) -> pd.Series:
    """Tell the standard error of each difference from the reference; 0 where there is none."""
    values, reference = results.values[name], _reference(results)
    others = [method for method in results.methods if method != reference]
    errors = {method: compare(values, method, reference).over_tables for method in others}
    return pd.Series(errors, dtype=float).reindex(results.methods).fillna(0)


def _plot_points(ax: Any, points: pd.DataFrame, contest: Contest) -> None:
    """Draw a point for each method, with its bar, family by family."""
    style = {"markersize": 8, "markeredgecolor": "white", "elinewidth": 1.1, "zorder": 3}
    for family, (label, colour, marker) in FAMILIES.items():
        members = points[[contest.methods[it].family == family for it in points.index]]
        if len(members):
            style |= {"fmt": marker, "color": colour, "label": label}
            ax.errorbar(members["x"], members["y"], yerr=members["error"], **style)
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


def _label(ax: Any, points: pd.DataFrame, contest: Contest, renderer: Any) -> None:
    """Write the name of each method beside its point, where it hides least."""
    from matplotlib.transforms import Bbox

    transform, pixel = ax.transData.transform, renderer.points_to_pixels(1)
    places = transform(points[["x", "y"]])
    taken = [Bbox([place, place]).padded(6 * pixel) for place in places]
    middle = points["y"].clip(lower=points["error"] + 1e-12)  # a log scale has no ends below 0
    ends = (
        transform(pd.concat([points["x"], middle + sign * points["error"]], axis=1))
        for sign in (-1, 1)
    )
    bars = [Bbox(pair).padded(pixel) for pair in zip(*ends, strict=True)]
    frame = ax.get_window_extent(renderer).padded(4 * pixel)
    # Those with the nearest neighbours first: the others find room anywhere.
    gaps = np.linalg.norm(places[:, None] - places, axis=2)
    for number in np.argsort(np.sort(gaps, axis=1)[:, min(1, len(places) - 1)], kind="stable"):
        point, slug = points.iloc[number], points.index[number]
        write = partial(_write, ax, point, contest.methods[slug], is_ours=slug == contest.ours)
        text = write()
        size = text.get_window_extent(renderer).size + 4 * pixel
        text.remove()
        found = []
        for distance, angle in itertools.product(_DISTANCES, np.deg2rad(_ANGLES)):
            offset = distance * np.cos(angle), distance * np.sin(angle)
            # The box hangs on the middle of the side that faces the point.
            corner = places[number] + pixel * np.array(offset)
            corner = corner - size * [_SIDES[_side(offset)], 0.5]
            box = Bbox([corner, corner + size])
            hidden = sum(_overlap(box, other) for other in taken)
            crossed = sum(_overlap(box, bar) for bar in bars)
            outside = size.prod() - _overlap(box, frame)
            cost = 4 * hidden + crossed + 8 * outside + 6 * pixel * distance
            found.append((cost, offset, box))
        _, offset, box = min(found, key=itemgetter(0))
        taken.append(box)
        write(offset)


def _side(offset: tuple[float, float]) -> str:
    """Tell with which side a name at an offset faces its point."""
    if abs(offset[0]) < 1:
        return "center"
    return "left" if offset[0] > 0 else "right"


def _write(
    ax: Any,
    point: pd.Series,
    method: Method,
    offset: tuple[float, float] = (0.0, 0.0),
    *,
    is_ours: bool,
) -> Any:
    """Write a name at an offset in points, with a line to its point if it is far."""
    line = {"arrowstyle": "-", "color": _colour(method), "linewidth": 0.7, "shrinkB": 4}
    font = {"size": 10, "weight": "bold"} if is_ours else {"size": 9}
    return ax.annotate(
        method.title,
        (point["x"], point["y"]),
        offset,
        textcoords="offset points",
        ha=_side(offset),
        va="center",
        color=BLACK,
        arrowprops=line if np.hypot(*offset) > _DISTANCES[0] + 1 else None,
        zorder=4,
        **font,
    )


def _overlap(box: Any, other: Any) -> float:
    """Area that two boxes share."""
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(0.0, width) * max(0.0, height)


# -- ranks ----------------------------------------------------------------------------------------


def plot_ranks(results: Results) -> Any:
    """Draw mean ranks by the main measures; bars join what is not told apart (Demsar 2006)."""
    ranks, contest = results.ranks, results.contest
    n_methods = max(len(each.mean) for each in ranks.values())
    height = 1.9 + 0.14 * n_methods
    figure = new_figure(9, height * len(ranks))
    for ax, (name, each) in zip(figure.subplots(len(ranks), 1), ranks.items(), strict=True):
        _plot_ranks(ax, each, contest)
        told = f"Mean rank of {contest.measures[name].name} over {each.n_tables} tables"
        ax.set_title(told, fontsize=11)
    return figure


def _plot_ranks(ax: Any, ranks: Ranks, contest: Contest) -> None:
    """Draw the axis of ranks, the names on both sides of it, and a bar for each group."""
    n_methods, groups = len(ranks.mean), ranks.groups()
    reach = ranks.critical_difference
    end = max(n_methods, 1 + reach)
    ax.set_axis_off()
    ax.plot([1, end], [0, 0], color=BLACK, linewidth=1)
    above = {"ha": "center", "va": "bottom", "fontsize": 9}
    for tick in range(1, n_methods + 1):
        ax.plot([tick, tick], [0, 0.25], color=BLACK, linewidth=1)
        ax.text(tick, 0.35, str(tick), **above)
    ax.plot([1, 1 + reach], [1.7, 1.7], "|-", color=SOFT, markersize=7, linewidth=1.4)
    told = f"critical difference {reach:.2f} (Nemenyi, 5 %)"
    ax.text(1 + reach / 2, 1.85, told, color=SOFT, **above)
    bar = {"linewidth": 5, "solid_capstyle": "round", "color": "#9a9a9a", "zorder": 1}
    for number, (first, last) in enumerate(groups, start=1):
        ends = ranks.mean[[first, last]] + np.array([-0.05, 0.05])
        ax.plot(ends, [-0.45 * number] * 2, **bar)
    below = 0.45 * len(groups) + 0.3
    n_left = -(-n_methods // 2)
    for number, (method, value) in enumerate(ranks.mean.items()):
        title, rank = contest.title(method), f"{value:.1f}"
        if number < n_left:
            place, edge, gap, side, told = number + 1, 0.8, -0.08, "right", f"{title}  {rank}"
        else:
            place, edge, gap, side = n_methods - number, end + 0.2, 0.08, "left"
            told = f"{rank}  {title}"
        level = -below - 0.8 * place
        ax.plot(
            [value, value, edge],
            [0, level, level],
            color=_colour(contest.methods[method]),
            linewidth=1.3,
        )
        weight = "bold" if method == contest.ours else "normal"
        style = {"va": "center", "fontsize": 9.5, "weight": weight, "color": BLACK}
        ax.text(edge + gap, level, told, ha=side, **style)
    room = 0.32 * (end - 1)  # for the names
    ax.set_xlim(1 - room, end + room)
    ax.set_ylim(-below - 0.8 * n_left - 0.5, 2.8)
