"""The figure of variants: how far each is from what it is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._lab.figures import BLACK, BLUE, FAINT, VERMILLION, keep_quiet, new_figure
from benchmarks._lab.scores import MEASURES
from benchmarks.variants.compare import HELPS, HURTS, NOISE, TOLD, UNITS, title_of
from benchmarks.variants.recipes import VARIANTS

_STYLES = {HELPS: (BLUE, "<"), NOISE: ("#4d4d4d", "o"), HURTS: (VERMILLION, ">")}
_PALE = "#8f8f8f"


def _lines(comparison: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the lines of the figure: headings, and the variants below them."""
    names = list(dict.fromkeys(comparison["variant"]))
    kind = ""
    for name in names:
        variant = VARIANTS[name]
        if variant.kind != kind:
            kind = variant.kind
            beside = VARIANTS[variant.beside].change if variant.beside != "reference" else ""
            yield "heading", f"{kind} (beside {beside})" if beside else kind
        yield "variant", name


def plot(by_table: pd.DataFrame, comparison: pd.DataFrame) -> Any:
    """Draw the differences of all variants with 95 % intervals, and behind them those of tables."""
    lines = list(_lines(comparison))
    figure = new_figure(11, 1.9 + 0.27 * len(lines))
    axes = figure.subplots(1, len(TOLD), sharey=True)
    for ax, measure in zip(axes, TOLD, strict=True):
        _plot_measure(ax, measure, lines, by_table, comparison)
    labels = [text if kind == "heading" else VARIANTS[text].change for kind, text in lines]
    axes[0].set_yticks(range(len(lines)), labels)
    for label, (kind, _) in zip(axes[0].get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if kind == "heading" else "normal")
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    n_tables = by_table["table"].nunique()
    figure.suptitle(
        f"What would one change of the recipe do? Differences on {n_tables} tables", fontsize=12.5
    )
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _plot_measure(
    ax: Any,
    measure: str,
    lines: list[tuple[str, str]],
    by_table: pd.DataFrame,
    comparison: pd.DataFrame,
) -> None:
    """Draw the differences in one measure, a line for each variant."""
    factor = MEASURES[measure].factor
    place = {text: i for i, (kind, text) in enumerate(lines) if kind == "variant"}
    rows = comparison[comparison["measure"] == measure]
    quantile = stats.t(df=np.maximum(rows["n_tables"] - 1, 1)).ppf(0.975)
    half_width = factor * quantile * rows["error"].fillna(0)
    mean = factor * rows["difference"]
    low, high = min((mean - half_width).min(), 0), max((mean + half_width).max(), 0)
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room
    ax.set_xlim(low, high)

    dots = by_table[by_table["measure"] == measure]
    x, y = factor * dots["difference"], dots["variant"].map(place) - 0.27  # above the interval
    style = {"linestyle": "", "color": _PALE, "zorder": 1}
    inside = x.between(low, high)
    ax.plot(x[inside], y[inside], ".", markersize=4, label="a table", **style)
    for beyond, edge, marker in ((x < low, low, "<"), (x > high, high, ">")):
        edges = np.full(beyond.sum(), 0.985 * edge + 0.015 * (low + high) / 2)
        label = "a table beyond the edge" if marker == ">" else None
        ax.plot(edges, y[beyond], marker, markersize=4, label=label, **style)
    for verdict, (colour, marker) in _STYLES.items():
        chosen = rows["verdict"] == verdict
        ax.errorbar(
            mean[chosen],
            rows["variant"][chosen].map(place),
            xerr=half_width[chosen],
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=1.5,
            label=f"mean and 95 % interval: {verdict}",
        )
    ax.axvline(0, color=BLACK, linewidth=0.8)
    ax.set_title(
        f"{title_of(measure)}, {'% ' if factor == 100 else ''}{UNITS[measure]}", fontsize=10.5
    )
    ax.set_xlabel(r"$\leftarrow$ better      worse $\rightarrow$")
    for i, (kind, _) in enumerate(lines):
        if kind == "heading" and i:
            ax.axhline(i - 0.5, color=FAINT, linewidth=0.8)
    ax.grid(axis="x", color=FAINT, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    keep_quiet(ax)
