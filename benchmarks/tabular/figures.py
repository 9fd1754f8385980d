"""The figure of Table 4: errors of ERM and mixup, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    VERMILLION,
    keep_quiet,
    new_figure,
    prepare_rows,
    set_ticks,
)
from benchmarks.tabular.recipes import TABLE_4_ERRORS
from benchmarks.tabular.runs import FEATURES

_OURS = {"markersize": 5, "capsize": 2.5, "elinewidth": 1.2}


def plot(comparison: pd.DataFrame, *, alpha: float) -> Any:
    """Draw the errors of ERM and mixup at `alpha`, ours and the paper's, and their differences."""
    epochs = comparison["max_epochs"].unique()
    tables = list(dict.fromkeys(comparison["table"]))
    tables.sort(key=lambda name: name not in TABLE_4_ERRORS)
    height = 2.0 + len(epochs) * (0.35 + 0.46 * len(tables))
    figure = new_figure(11.5, height)
    figure.get_layout_engine().set(wspace=0.03)
    axes = figure.subplots(len(epochs), 3, squeeze=False, sharey=True, sharex="col")
    for row, max_epochs in zip(axes, epochs, strict=True):
        rows = comparison[comparison["max_epochs"] == max_epochs]
        for ax, features in zip(row[:2], FEATURES, strict=True):
            _plot_errors(ax, rows[rows["features"] == features], tables)
            ax.set_title(f"{features} features, {max_epochs} epochs", fontsize=10.5)
        _plot_differences(row[2], rows, tables)
        row[2].set_title(f"mixup $-$ ERM, {max_epochs} epochs", fontsize=10.5)
    for ax in axes[-1, :2]:
        ax.set_xlabel("test error (%, log scale from 1 on)")
    axes[-1, 2].set_xlabel(
        "difference (% points, log scale from 1 on)\n"
        r"$\leftarrow$ mixup errs less      mixup errs more $\rightarrow$"
    )
    n_splits = comparison["n_splits"].max()
    figure.suptitle(
        rf"Test error of ERM and mixup ($\alpha$ = {alpha:g}), {n_splits} random splits per table",
        fontsize=12.5,
    )
    for ax, side in ((axes[0, 0], "left"), (axes[0, 2], "right")):
        handles, labels = ax.get_legend_handles_labels()
        # Matplotlib lists the paper's markers first; ours go before them.
        pairs = sorted(zip(handles, labels, strict=True), key=lambda pair: "paper" in pair[1])
        loc = f"outside lower {side}"
        figure.legend(*zip(*pairs, strict=True), loc=loc, ncols=2, frameon=False, columnspacing=1.2)
    return figure


def _plot_errors(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw errors in percent: ERM above, mixup below the middle of a table's row."""
    _prepare(ax, tables)
    place = rows["table"].map(tables.index)
    for name, label, offset, colour, marker in (
        ("erm", "ERM", -0.18, BLUE, "o"),
        ("mixup", "mixup", 0.18, VERMILLION, "D"),
    ):
        ours, theirs = f"{label}, ours (mean ± standard error)", f"{label}, Table 4 of the paper"
        spread = 100 * rows[f"{name}_se"].fillna(0)
        style = {"fmt": marker, "color": colour, "label": ours, **_OURS}
        ax.errorbar(100 * rows[name], place + offset, xerr=spread, **style)
        style = {"markeredgecolor": colour, "markerfacecolor": "none", "label": theirs}
        style |= {"markersize": 8.5, "markeredgewidth": 1.3}
        ax.plot(100 * rows[f"paper_{name}"], place + offset, marker, **style)
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(-0.15, 130)
    set_ticks(ax.xaxis, (0, 1, 2, 5, 10, 20, 50, 100))


def _plot_differences(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw the differences in percentage points, with 95 % intervals."""
    _prepare(ax, tables)
    ax.axvline(0, color=BLACK, linewidth=0.8)
    rows = rows.assign(place=rows["table"].map(tables.index), spread=rows["half_width"].fillna(0))
    for features, offset, colour, marker in (
        ("raw", -0.22, GREEN, "^"),
        ("standardised", 0.22, BLACK, "s"),
    ):
        chosen = rows[rows["features"] == features]
        style = {"fmt": marker, "color": colour, "label": f"{features} (95 % interval)", **_OURS}
        difference, spread = 100 * chosen["difference"], 100 * chosen["spread"]
        ax.errorbar(difference, chosen["place"] + offset, xerr=spread, **style)
    once = rows.drop_duplicates("table")
    difference = 100 * (once["paper_mixup"] - once["paper_erm"])
    style = {"color": VERMILLION, "markersize": 6.5, "markeredgewidth": 1.8}
    ax.plot(difference, once["place"], "x", label="Table 4 of the paper", **style)
    ax.set_xscale("symlog", linthresh=1, linscale=0.7)
    end = max(15.0, 110 * (rows["difference"].abs() + rows["spread"]).max())
    ax.set_xlim(-end, end)
    ticks = [tick for tick in (1, 3, 10, 30, 100) if tick <= end]
    ticks = [*(-tick for tick in reversed(ticks)), 0, *ticks]
    set_ticks(ax.xaxis, ticks, [f"${tick:+d}$" if tick else "0" for tick in ticks])


def _prepare(ax: Any, tables: Sequence[str]) -> None:
    """Prepare a row for each table, and draw a line below the tables of the paper."""
    prepare_rows(ax, [TITLES[name] for name in tables])
    keep_quiet(ax, ["left"])
    n_in_paper = sum(name in TABLE_4_ERRORS for name in tables)
    if 0 < n_in_paper < len(tables):
        ax.axhline(n_in_paper - 0.5, color="#888888", linewidth=0.9, linestyle=(0, (4, 3)))
        if ax.get_subplotspec().is_first_col():
            where = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "top"}
            told = "not in the paper's table"
            ax.text(0.985, n_in_paper - 0.44, told, fontsize=8, color=GREY, **where)
