"""The figure of defaults: log-loss on each table, beside that of the base rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    VERMILLION,
    add_legend,
    new_figure,
    prepare_rows,
    set_ticks,
)
from benchmarks.defaults.runs import DEFAULT, EARLIER


def plot(by_table: pd.DataFrame) -> Any:
    """Draw the log-loss of the defaults and of the earlier ones, divided by the base rates'."""
    shares = by_table.assign(share=by_table["log_loss"] / by_table["base"])
    wide = shares.pivot(index="table", columns="setting", values="share")
    wide = wide.sort_values(EARLIER)
    figure = new_figure(8, 1.5 + 0.26 * len(wide))
    ax = figure.subplots()
    prepare_rows(ax, [TITLES[name] for name in wide.index])
    place = np.arange(len(wide))
    ends = wide[EARLIER], wide[DEFAULT]
    ax.hlines(place, *ends, color=BLACK, linewidth=0.7)
    styles = (("earlier", EARLIER, VERMILLION, "s"), ("defaults", DEFAULT, BLUE, "o"))
    for word, setting, colour, marker in styles:
        ax.plot(
            wide[setting], place, marker, color=colour, markersize=6, label=f"{word}: {setting}"
        )
    ax.axvline(1, color=BLACK, linewidth=0.8)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    set_ticks(ax.xaxis, [it for it in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if low <= it <= high])
    ax.set_xlabel(r"$\leftarrow$ better      as the base rates at 1 (log scale)")
    ax.set_title("Test log-loss of one network, divided by that of the base rates", fontsize=11)
    add_legend(figure, ncols=2)
    return figure
