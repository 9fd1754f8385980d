"""The figure of synthetic: what each way to make rows is worth, in four measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks._lab.figures import BLACK, FAINT, add_legend, new_figure, prepare_rows
from benchmarks._lab.methods.figures import FAMILIES
from benchmarks._lab.methods.results import Results
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks.synthetic.results import CONTEST, MEASURES

_PALE = "#9a9a9a"
# The measures that are drawn, each with its title and with what is best.
_PANELS = {
    "gain": ("Gain kept, %", 100.0),
    "detection": ("Detection, AUC\n(0.5: not told apart)", 0.5),
    "distance": ("Distance to the closest row\n(0: copies, 1: as new rows)", 1.0),
    "categories": ("Worst category, ratio\n(1: share kept)", 1.0),
}


def plot(parts: Sequence[Results]) -> Any:
    """Draw a row for each method: a dot for each table, and the mean with its 95 % interval.

    A method that ran on fewer tables comes from the last of the parts.
    """
    rows: dict[str, Results] = {}
    for found in parts:
        for method in found.methods:
            rows.setdefault(method, found)
    names = [name for name in _PANELS if any(name in found.values for found in parts)]
    n_most = max(len(found.tables) for found in rows.values())
    titles = []
    for method, found in rows.items():
        few = f" ({len(found.tables)} tables)" if len(found.tables) < n_most else ""
        titles.append(CONTEST.title(method) + few)
    figure = new_figure(3 + 2.6 * len(names), 1.6 + 0.38 * len(titles))
    axes = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for ax, name in zip(axes, names, strict=True):
        prepare_rows(ax, titles, grid=FAINT, striped=False)
        title, best = _PANELS[name]
        ax.axvline(best, color=BLACK, linewidth=0.8, zorder=1)
        for place, (method, found) in enumerate(rows.items()):
            if name in found.values:
                _plot_row(ax, place, found, method, name, is_told=place == len(rows) - 1)
        if name == "categories":  # no interval makes a share less than 0 or more than 1
            ax.set_xlim(-0.05, 1.05)
        ax.set_title(title, fontsize=10)
        ax.tick_params(labelsize=9)
    add_legend(figure, axes[0], fontsize=9)
    return figure


def _plot_row(
    ax: Any, place: int, found: Results, method: str, name: str, *, is_told: bool
) -> None:
    """Draw the tables of a method, and their mean below them."""
    by_table = MEASURES[name].factor * found.values[name].groupby("table")[method].mean()
    _, colour, marker = FAMILIES[CONTEST.methods[method].family]
    labels = ("a table", "mean and 95 % interval") if is_told else (None, None)
    heights = np.full(len(by_table), place - 0.22)
    ax.plot(by_table, heights, ".", color=_PALE, markersize=5, label=labels[0], zorder=2)
    mean, error = mean_and_standard_error(by_table)
    half = 0.0 if np.isnan(error) else stats.t(df=len(by_table) - 1).ppf(0.975) * error
    style = {"fmt": marker, "color": colour, "markersize": 6, "elinewidth": 1.5, "zorder": 3}
    ax.errorbar(mean, place + 0.1, xerr=half, label=labels[1], **style)
