"""The figure of Table 4: errors of ERM and mixup, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    GRID,
    VERMILLION,
    keep_quiet,
    new_figure,
    set_ticks,
    stripe_rows,
)
from benchmarks.tabular.recipes import TABLE_4_ERRORS
from benchmarks.tabular.runs import FEATURES


def plot(comparison: pd.DataFrame, *, alpha: float) -> Any:
    """Draw the errors of ERM and mixup, ours and the paper's, and their differences.

    Parameters
    ----------
    comparison : DataFrame
        From `report.compare`.
    alpha : float
        Alpha of the mixup runs.
    """
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
        row[0].set_yticks(range(len(tables)), [TITLES[name] for name in tables])
        row[0].set_ylim(len(tables) - 0.5, -0.5)
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
        figure.legend(
            *zip(*pairs, strict=True),
            loc=f"outside lower {side}",
            ncols=2,
            frameon=False,
            columnspacing=1.2,
        )
    return figure


def _plot_errors(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw errors in percent: ERM above, mixup below the middle of a table's row."""
    _prepare(ax, tables)
    place = rows["table"].map(tables.index)
    for name, label, offset, colour, marker in (
        ("erm", "ERM", -0.18, BLUE, "o"),
        ("mixup", "mixup", 0.18, VERMILLION, "D"),
    ):
        ax.errorbar(
            100 * rows[name],
            place + offset,
            xerr=100 * rows[f"{name}_error"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{label}, ours (mean ± standard error)",
        )
        ax.plot(
            100 * rows[f"paper_{name}"],
            place + offset,
            marker,
            markersize=8.5,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=1.3,
            label=f"{label}, Table 4 of the paper",
        )
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(-0.15, 130)
    ticks = (0, 1, 2, 5, 10, 20, 50, 100)
    set_ticks(ax.xaxis, ticks)


def _plot_differences(ax: Any, rows: pd.DataFrame, tables: Sequence[str]) -> None:
    """Draw the differences in percentage points, with 95 % intervals."""
    _prepare(ax, tables)
    ax.axvline(0, color=BLACK, linewidth=0.8)
    for features, offset, colour, marker in (
        ("raw", -0.22, GREEN, "^"),
        ("standardised", 0.22, BLACK, "s"),
    ):
        chosen = rows[rows["features"] == features]
        ax.errorbar(
            100 * chosen["difference"],
            chosen["table"].map(tables.index) + offset,
            xerr=100 * chosen["half_width"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{features} (95 % interval)",
        )
    once = rows.drop_duplicates("table")
    ax.plot(
        100 * (once["paper_mixup"] - once["paper_erm"]),
        once["table"].map(tables.index),
        "x",
        color=VERMILLION,
        markersize=6.5,
        markeredgewidth=1.8,
        label="Table 4 of the paper",
    )
    ax.set_xscale("symlog", linthresh=1, linscale=0.7)
    ends = np.abs(100 * rows["difference"]) + 100 * rows["half_width"].fillna(0)
    end = max(15.0, 1.1 * ends.max())
    ax.set_xlim(-end, end)
    ticks = [tick for tick in (1, 3, 10, 30, 100) if tick <= end]
    ticks = [*(-tick for tick in reversed(ticks)), 0, *ticks]
    set_ticks(ax.xaxis, ticks, [f"${tick:+d}$" if tick else "0" for tick in ticks])


def _prepare(ax: Any, tables: Sequence[str]) -> None:
    """Shade every other table, keep the frame quiet, draw a line below the tables of the paper."""
    stripe_rows(ax, len(tables))
    n_in_paper = sum(name in TABLE_4_ERRORS for name in tables)
    if 0 < n_in_paper < len(tables):
        ax.axhline(n_in_paper - 0.5, color="#888888", linewidth=0.9, linestyle=(0, (4, 3)))
        if ax.get_subplotspec().is_first_col():
            ax.text(
                0.985,
                n_in_paper - 0.44,
                "not in the paper's table",
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="top",
                fontsize=8,
                color=GREY,
            )
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    keep_quiet(ax, ("top", "right", "left"))
