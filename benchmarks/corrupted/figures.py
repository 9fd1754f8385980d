"""The figures of the runs with corrupted labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.curves import draw_spread, prepare_axes, read_curves
from benchmarks._lab.figures import (
    BLUE,
    GREEN,
    GRID,
    PURPLE,
    VERMILLION,
    add_legend,
    keep_quiet,
    new_figure,
)
from benchmarks.corrupted.recipes import METHODS

_LOOKS = ((BLUE, "o"), (GREEN, "s"), (VERMILLION, "D"), (PURPLE, "^"))
_STYLES = dict(zip(METHODS, _LOOKS, strict=True))


def plot_curves(runs: pd.DataFrame, picked: pd.DataFrame) -> Any:
    """Draw test errors of `picked` settings over the epochs, a panel for each fraction."""
    fractions = sorted(picked["fraction"].unique())
    figure, axes = _make_panels(len(fractions), sharey=True)
    for ax, fraction in zip(axes, fractions, strict=True):
        prepare_axes(ax)
        members = picked[picked["fraction"] == fraction]
        for method, (colour, _) in _STYLES.items():
            cell = members.loc[members["method"] == method, ["method", "alpha", "dropout"]]
            same = runs[runs["fraction"] == fraction].merge(cell)
            curves = read_curves(same["test_curve"], factor=100)
            draw_spread(ax, curves, color=colour, label=method, linewidth=1.6)
        ax.set_title(f"{100 * fraction:g} % replaced, {_count(members, 'seeds')}", fontsize=10.5)
    first = runs.iloc[0]
    title = f"Test error after each epoch, mean and range\n{first.data_name}\n{first.network}"
    return _finish(figure, title)


def plot_last(runs: pd.DataFrame, picked: pd.DataFrame) -> Any:
    """Draw best and last test error of `picked` settings by fraction, a panel for each table."""
    names = list(dict.fromkeys(picked["data"]))
    figure, axes = _make_panels(len(names))
    for ax, name in zip(axes, names, strict=True):
        keep_quiet(ax)
        ax.grid(axis="y", color=GRID, linewidth=0.6)
        members = picked[picked["data"] == name]
        fractions = sorted(members["fraction"].unique())
        shifts = np.linspace(-0.27, 0.27, len(_STYLES))
        for shift, (method, (colour, marker)) in zip(shifts, _STYLES.items(), strict=True):
            rows = members[members["method"] == method].set_index("fraction").loc[fractions]
            x = np.arange(len(fractions)) + shift
            best, last = 100 * rows["best_test_error"], 100 * rows["test_error"]
            ax.vlines(x, best, last, color=colour, linewidth=1.2)
            ax.plot(x, best, marker, color=colour, markerfacecolor="white", markersize=5.5)
            error = None if rows["test_error_se"].isna().any() else 100 * rows["test_error_se"]
            style = {"fmt": marker, "color": colour, "markersize": 6, "capsize": 3}
            ax.errorbar(x, last, yerr=error, label=method, **style)
        ax.set_xticks(range(len(fractions)), [f"{100 * f:g} %" for f in fractions])
        ax.set_xlabel("labels replaced")
        ax.set_ylim(bottom=0)
        ax.set_title(TITLES.get(name, name), fontsize=10.5)
    first = runs.iloc[0]
    title = (
        f"Test error after the last epoch (filled, ± standard error) and at best (hollow)\n"
        f"{first.network}, {first.max_epochs} epochs, {_count(picked, 'splits')}"
    )
    return _finish(figure, title)


def _make_panels(n_panels: int, **shared: Any) -> tuple[Any, Any]:
    """Make a figure of panels side by side."""
    figure = new_figure(3.4 * n_panels + 0.6, 4.3)
    axes = figure.subplots(1, n_panels, squeeze=False, **shared)[0]
    axes[0].set_ylabel("test error (%)")
    return figure, axes


def _finish(figure: Any, title: str) -> Any:
    """Write the title, and one legend for all panels."""
    figure.suptitle(title, fontsize=11)
    add_legend(figure)
    return figure


def _count(members: pd.DataFrame, repeats: str) -> str:
    """Tell the repeats of what is drawn."""
    n_seeds = members["n_seeds"].iloc[0]
    return f"{n_seeds} {repeats}" if n_seeds > 1 else "one seed"
