"""The figures of time and memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GRID,
    SKY,
    VERMILLION,
    keep_quiet,
    new_figure,
    set_ticks,
)
from benchmarks.speed.rounds import Ratio


def plot(ratios: Mapping[str, Ratio], memory: Mapping[str, Any], *, n_rounds: int) -> Any:
    """Draw the ratios with their targets, and the memory."""
    figure = new_figure(9.5, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    found = list(ratios.values())
    medians = [ratio.median for ratio in found]
    spread = [[r.median - r.low for r in found], [r.high - r.median for r in found]]
    left.barh(range(len(found)), medians, height=0.55, color=SKY, xerr=spread, capsize=3)
    targets = {i: ratio.target for i, ratio in enumerate(found) if ratio.target is not None}
    end = max(*(ratio.high for ratio in found), *targets.values()) * 1.25
    for i, median in enumerate(medians):
        left.text(end * 0.99, i, f"{median:.2f}", ha="right", va="center")
    mark = {"color": VERMILLION, "markersize": 24, "markeredgewidth": 2.5}
    left.plot(list(targets.values()), list(targets), "|", label="target: not above", **mark)
    left.set_yticks(range(len(found)), [f"against {name}" for name in ratios])
    left.invert_yaxis()
    left.set_xlim(0, end)
    left.axvline(1, color=BLACK, linewidth=0.8)
    left.set_xlabel("time of a fit with mixup / time of the other\n(median, quartiles)")
    left.set_title(f"Time, rounds side by side: {n_rounds}", fontsize=10.5)
    sizes = [memory["data_mib"], memory["peak_mib"]]
    right.barh([0, 1], sizes, height=0.55, color=["#999999", SKY])
    limit = memory["data_mib"] + memory["chunk_mib"]
    right.plot([limit], [1], "|", **mark)
    for i, size in enumerate(sizes):
        right.text(size * 0.97, i, f"{size:.0f}", ha="right", va="center")
    right.set_yticks([0, 1], ["the data", "peak of fit\nbeyond it"])
    right.set_ylim(1.6, -0.6)
    right.set_xlim(0, 1.08 * max(limit, *sizes))
    right.set_xlabel("MiB")
    right.set_title(f"Memory, chunk of {memory['chunk_mib']:.0f} MiB", fontsize=10.5)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", frameon=False, markerscale=0.5)
    return figure


def _span(values: list[float], form: str, *, reverse: bool = False) -> str:
    """Write the least and the most."""
    ends = [form.format(end) for end in sorted([min(values), max(values)], reverse=reverse)]
    return " to ".join(dict.fromkeys(ends))


def plot_counts(seconds: Mapping[str, pd.DataFrame]) -> Any:
    """Draw the time of a net, and of all nets, by how many are trained: `count_seconds`."""
    figure = new_figure(9.5, 4.0)
    left, right = figure.subplots(1, 2)
    gains = []
    for (name, frame), colour in zip(seconds.items(), (BLUE, VERMILLION), strict=False):
        n = frame.index.to_numpy()
        timed = frame["alone"].dropna()
        each_alone = timed.iloc[-1] / timed.index[-1]
        gains.append(each_alone * n[-1] / frame["fused"].iloc[-1])
        beyond = n[n >= timed.index[-1]]
        for ax, by in ((left, 1000 / n), (right, np.ones(len(n)))):
            style = {"color": colour, "markersize": 4.5, "linewidth": 1.6}
            ax.plot(n, frame["fused"] * by, "o-", label=f"{TITLES[name]}, at once", **style)
            few = len(timed)
            style["markerfacecolor"] = "white"
            ax.plot(n[:few], timed * by[:few], "s--", label=f"{TITLES[name]}, one by one", **style)
            ax.plot(
                *(beyond, each_alone * beyond * by[-len(beyond) :], ":"),
                color=colour,
                linewidth=1.3,
                label=f"{TITLES[name]}, one by one, extrapolated",
            )
    most = max(frame.index[-1] for frame in seconds.values())
    shares = _span(gains, "1/{:.0f}", reverse=True)
    left.set_title(f"Among {most}, a net takes {shares} of its time alone", fontsize=10.5)
    alone = _span([most / gain for gain in gains], "{:.0f}")
    right.set_title(f"{most} nets at once take as long as {alone} one by one", fontsize=10.5)
    left.set_ylabel("time per net (ms)")
    right.set_ylabel("time of all nets (s)")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ticks = next(iter(seconds.values())).index
        set_ticks(ax.xaxis, ticks)
        ax.set_xlabel("number of nets")
        ax.grid(color=GRID, linewidth=0.6)
        keep_quiet(ax)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(seconds), frameon=False)
    return figure
