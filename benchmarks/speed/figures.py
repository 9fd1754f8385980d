"""The figures of time and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GRID,
    SKY,
    VERMILLION,
    add_legend,
    keep_quiet,
    new_figure,
    set_ticks,
)
from benchmarks.speed.rounds import Ratio

_TARGET = {"marker": "|", "color": VERMILLION, "markersize": 24, "markeredgewidth": 2.5}


def plot(ratios: Mapping[str, Ratio], memory: Mapping[str, Any], *, n_rounds: int) -> Any:
    """Draw the ratios with their targets, and the memory."""
    figure = new_figure(9.5, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    found = pd.DataFrame(map(asdict, ratios.values())).astype(float)
    spread = [found["median"] - found["low"], found["high"] - found["median"]]
    end = 1.25 * found[["high", "target"]].max(axis=None)
    names = [f"against {name}" for name in ratios]
    style = {"color": SKY, "xerr": spread, "capsize": 3}
    _draw_bars(left, names, found["median"], "{:.2f}", [0.99 * end] * len(found), **style)
    left.plot(found["target"], found.index, linestyle="", label="target: not above", **_TARGET)
    left.set_xlim(0, end)
    left.axvline(1, color=BLACK, linewidth=0.8)
    left.set_xlabel("time of a fit with mixup / time of the other\n(median, quartiles)")
    left.set_title(f"Time, rounds side by side: {n_rounds}", fontsize=10.5)
    sizes = [memory["data_mib"], memory["peak_mib"]]
    limit = memory["data_mib"] + memory["chunk_mib"]
    names = ["the data", "peak of fit\nbeyond it"]
    inside = [0.97 * size for size in sizes]
    _draw_bars(right, names, sizes, "{:.0f}", inside, color=["#999999", SKY])
    right.plot([limit], [1], **_TARGET)
    right.set_ylim(1.6, -0.6)
    right.set_xlim(0, 1.08 * max(limit, *sizes))
    right.set_xlabel("MiB")
    right.set_title(f"Memory, chunk of {memory['chunk_mib']:.0f} MiB", fontsize=10.5)
    figure.legend(loc="outside lower left", frameon=False, markerscale=0.5)
    return figure


def _draw_bars(
    ax: Any, names: Sequence[str], values: Any, form: str, places: Sequence[float], **style: Any
) -> None:
    """Draw bars from the top down, their numbers up to some places."""
    ax.barh(names, values, height=0.55, **style)
    for name, value, place in zip(names, values, places, strict=True):
        ax.text(place, name, form.format(value), ha="right", va="center")
    ax.invert_yaxis()
    keep_quiet(ax)


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
        alone = frame["alone"].dropna()
        each_alone = alone.iloc[-1] / alone.index[-1]
        beyond = frame.index[frame.index >= alone.index[-1]].to_series() * each_alone
        gains.append(beyond.iloc[-1] / frame["fused"].iloc[-1])
        style = {"color": colour, "markersize": 4.5, "linewidth": 1.6}
        for times, line, label, own in (
            (frame["fused"], "o-", "at once", {}),
            (alone, "s--", "one by one", {"markerfacecolor": "white"}),
            (beyond, ":", "one by one, extrapolated", {"linewidth": 1.3}),
        ):
            for ax, by in ((left, 1000 / times.index), (right, 1)):
                ax.plot(times * by, line, label=f"{TITLES[name]}, {label}", **style | own)
    most = max(frame.index[-1] for frame in seconds.values())
    shares = _span(gains, "1/{:.0f}", reverse=True)
    left.set_title(f"Among {most}, a net takes {shares} of its time alone", fontsize=10.5)
    alone_too = _span([most / gain for gain in gains], "{:.0f}")
    right.set_title(f"{most} nets at once take as long as {alone_too} one by one", fontsize=10.5)
    left.set_ylabel("time per net (ms)")
    right.set_ylabel("time of all nets (s)")
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlabel="number of nets")
        set_ticks(ax.xaxis, next(iter(seconds.values())).index)
        ax.grid(color=GRID, linewidth=0.6)
        keep_quiet(ax)
    add_legend(figure, ncols=len(seconds))
    return figure
