"""The figure of changes of a recipe: how far each is from what it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._lab.changes.compare import (
    HELPS,
    HURTS,
    IN_HEADINGS,
    NOISE,
    RECIPE,
    Changes,
    title_of,
    with_unit,
)
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    FAINT,
    VERMILLION,
    add_legend,
    new_figure,
    prepare_rows,
)
from benchmarks._lab.scores import MEASURES

_STYLES = {HELPS: (BLUE, "<"), NOISE: ("#4d4d4d", "o"), HURTS: (VERMILLION, ">")}
_PALE = "#8f8f8f"


def _place(names: Iterable[str], changes: Changes) -> tuple[dict[str, int], dict[str, int]]:
    """Find the rows of the headings, and of the changes below them."""
    headings: dict[str, int] = {}
    place: dict[str, int] = {}
    for name in names:
        kind, beside = changes[name].kind, changes[name].beside
        told = f" (beside {changes[beside].change})" if beside != RECIPE else ""
        headings.setdefault(f"{kind}{told}", len(headings) + len(place))
        place[name] = len(headings) + len(place)
    return headings, place


def plot(by_table: pd.DataFrame, comparison: pd.DataFrame, changes: Changes) -> Any:
    """Draw the differences of all changes with 95 % intervals, and behind them those of tables."""
    headings, place = _place(comparison["variant"].unique(), changes)
    rows = {row: heading for heading, row in headings.items()}
    rows |= {row: changes[name].change for name, row in place.items()}
    titles = [rows[row] for row in range(len(rows))]
    measures = comparison["measure"].unique()
    figure = new_figure(4 + 3.5 * len(measures), 1.9 + 0.27 * len(titles))
    axes = figure.subplots(1, len(measures), sharey=True)
    for ax, measure in zip(axes, measures, strict=True):
        prepare_rows(ax, titles, grid=FAINT, striped=False)
        ax.set_ylim(len(titles) - 0.4, -0.6)
        frames = (frame[frame["measure"] == measure] for frame in (by_table, comparison))
        _plot_measure(ax, MEASURES[measure].factor, place, *frames)
        for row in filter(None, headings.values()):
            ax.axhline(row - 0.5, color=FAINT, linewidth=0.8)
        ax.set_title(with_unit(title_of(measure), measure, of=IN_HEADINGS), fontsize=10.5)
        ax.set_xlabel(r"$\leftarrow$ better      worse $\rightarrow$")
    for row in headings.values():
        axes[0].get_yticklabels()[row].set_fontweight("bold")
    told = f"Differences on {by_table['table'].nunique()} tables"
    figure.suptitle(f"What would one change of the recipe do? {told}", fontsize=12.5)
    add_legend(figure, ncols=3)
    return figure


def _plot_measure(
    ax: Any, factor: float, place: Mapping[str, int], dots: pd.DataFrame, rows: pd.DataFrame
) -> None:
    """Draw the differences in one measure, a row for each variant."""
    quantile = stats.t(df=np.maximum(rows["n_tables"] - 1, 1)).ppf(0.975)
    half_width = factor * quantile * rows["error"].fillna(0)
    mean = factor * rows["difference"]
    low, high = min((mean - half_width).min(), 0), max((mean + half_width).max(), 0)
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room
    ax.set_xlim(low, high)

    x, y = factor * dots["difference"], dots["variant"].map(place) - 0.27  # above the interval
    style = {"linestyle": "", "color": _PALE, "zorder": 1, "markersize": 4}
    inside = x.between(low, high)
    ax.plot(x[inside], y[inside], ".", label="a table", **style)
    for beyond, edge, marker in ((x < low, low, "<"), (x > high, high, ">")):
        edges = np.full(beyond.sum(), 0.985 * edge + 0.015 * (low + high) / 2)
        label = "a table beyond the edge" if marker == ">" else None
        ax.plot(edges, y[beyond], marker, label=label, **style)
    style = {"markersize": 6, "elinewidth": 1.5}
    for verdict, (colour, marker) in _STYLES.items():
        chosen = rows["verdict"] == verdict
        at = rows["variant"][chosen].map(place)
        style |= {"fmt": marker, "color": colour, "label": f"mean and 95 % interval: {verdict}"}
        ax.errorbar(mean[chosen], at, xerr=half_width[chosen], **style)
    ax.axvline(0, color=BLACK, linewidth=0.8)
