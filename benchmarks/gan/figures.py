"""The figures of all parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.tables import TITLES as TABLE_TITLES
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    GRID,
    ORANGE,
    PURPLE,
    VERMILLION,
    add_legend,
    keep_quiet,
    new_figure,
)
from benchmarks.gan.digits import decode_pictures
from benchmarks.gan.runs import name_gan
from benchmarks.gan.tables import CLASSIFIERS, CONTROLS
from benchmarks.gan.toys import MODES, N_DRAWN, TITLES, draw, name_method, unpack

_N_COLUMNS = 10  # of the digits of a GAN
_REAL, _REPEATED, _JITTERED = CONTROLS.values()
_LOOKS = {
    _REPEATED: ("#999999", "s"),
    _JITTERED: (BLACK, "^"),
    name_gan(0.0): (BLUE, "o"),
    name_gan(0.2): (VERMILLION, "D"),
    name_gan(0.5): (PURPLE, "v"),
}

# -- toys -----------------------------------------------------------------------------------------

Samples = Sequence[tuple[str, float, Mapping[str, str]]]


def find_samples(runs: pd.DataFrame, setting: str) -> Samples:
    """Find the samples that the first seed of a setting left, by iteration: set, alpha, samples."""
    if "snapshots" not in runs:
        return []
    drawn = runs[(runs.setting == setting) & (runs.seed == 0)]
    drawn = drawn[drawn.snapshots.astype(str).str.startswith("{")]
    return [
        (name, alpha, json.loads(row.snapshots))
        for name in TITLES
        for alpha, row in drawn[drawn.data == name].set_index("alpha").sort_index().iterrows()
    ]


def plot_toys(samples: Samples) -> Any:
    """Draw Figure 5: rows are methods, columns iterations, data blue, samples orange."""
    columns = sorted({int(n) for *_, snapshots in samples for n in snapshots})
    figure = new_figure(1.9 * len(columns) + 0.9, 1.95 * len(samples) + 0.7)
    panels = figure.subplots(len(samples), len(columns), squeeze=False)
    for i, (name, alpha, snapshots) in enumerate(samples):
        data = draw(name, N_DRAWN, 0)
        for panel, n_iter in zip(panels[i], columns, strict=True):
            samples_of = unpack(snapshots[str(n_iter)])
            panel.scatter(*data.T, s=7, color=BLUE, linewidths=0)
            panel.scatter(*samples_of.T, s=5, color=ORANGE, linewidths=0, alpha=0.75)
            panel.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set_color("#bbbbbb")
            if i == 0:
                panel.set_title(f"iteration {n_iter:,}", fontsize=10)
        title = name_gan(alpha) if alpha else "ERM GAN"
        panels[i, 0].set_ylabel(f"{TITLES[name]}\n{title}", fontsize=10)
    for color, label in ((BLUE, "data"), (ORANGE, "samples of the generator")):
        panels[0, 0].plot([], [], "o", color=color, markersize=5, label=label)
    add_legend(figure)
    return figure


def plot_measures(runs: pd.DataFrame) -> Any:
    """Draw modes and high quality of every run, by set and method: the spread over the seeds."""
    names = [name for name in MODES if (runs.data == name).any()]
    methods = sorted({*zip(runs.setting, runs.alpha, strict=True)})
    figure = new_figure(8.6, 1.1 + 0.34 * len(methods))
    panels = figure.subplots(1, 2 * len(names), sharey=True, squeeze=False)[0]
    for name, (left, right) in zip(names, panels.reshape(-1, 2), strict=True):
        n_modes = len(MODES[name])
        for panel, column, label, end, wanted in (
            (left, "modes", f"modes of {n_modes}", n_modes, n_modes),
            (right, "high_quality", "high quality, share", 1.0, 0.9),
        ):
            for place, (setting, alpha) in enumerate(methods):
                is_one = (runs.data == name) & (runs.setting == setting) & (runs.alpha == alpha)
                values = runs.loc[is_one, column]
                places = place + np.linspace(-0.22, 0.22, len(values))
                color = ORANGE if alpha else BLUE
                panel.plot(values, places, "o", color=color, markersize=3.5)
            panel.axvline(wanted, color=BLACK, linewidth=0.8)
            panel.set(xlim=(0, end * 1.06), xlabel=label)
            panel.set_title(TITLES[name], fontsize=10)
            keep_quiet(panel)
    labels = [f"{name_method(alpha)}, {setting}" for setting, alpha in methods]
    panels[0].set_yticks(range(len(methods)), labels)
    panels[0].invert_yaxis()
    return figure


def plot_budgets(runs: pd.DataFrame) -> Any:
    """Draw the modes of every run by its iterations, a panel for each pair of betas."""
    pairs = sorted(runs.betas.unique())
    budgets = sorted(runs.n_iter.unique())
    n_modes = len(MODES["grid"])
    figure = new_figure(3.0 * len(pairs), 2.9)
    panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for panel, betas in zip(panels, pairs, strict=True):
        some = runs[runs.betas == betas]
        for (alpha, group), color, shift in zip(
            some.groupby("alpha"), (BLUE, ORANGE), (-0.08, 0.08), strict=False
        ):
            places = np.array([budgets.index(n) for n in group.n_iter]) + shift
            panel.plot(places, group.modes, "o", color=color, markersize=4, alpha=0.8)
            means = group.groupby("n_iter").modes.mean()
            where = np.array([budgets.index(n) for n in means.index]) + shift
            panel.plot(where, means, color=color, linewidth=1.2, label=name_method(alpha))
        panel.axhline(n_modes, color=BLACK, linewidth=0.8)
        panel.set_title(f"betas {betas}", fontsize=10)
        panel.set(ylim=(0, n_modes + 1.5), xlabel="iterations")
        panel.set_xticks(range(len(budgets)), [f"{n:,}" for n in budgets])
        keep_quiet(panel)
    panels[0].set_ylabel(f"modes of {n_modes}")
    add_legend(figure)
    return figure


# -- digits ---------------------------------------------------------------------------------------


def plot_digits(groups: Mapping[str, pd.DataFrame]) -> Any:
    """Draw 100 held-out digits and 100 samples of each GAN of seed 0, side by side."""
    figure = new_figure(3.1 * len(groups), 4.0)
    figure.get_layout_engine().set(wspace=0.04)
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for ax, (title, rows) in zip(axes, groups.items(), strict=True):
        pictures = decode_pictures(rows.loc[rows["seed"] == 0, "samples"].iloc[0])
        ax.imshow(tile(pictures), cmap="gray_r", vmin=-1, vmax=1)
        ax.set_title(title.replace("alpha", r"$\alpha$ ="), fontsize=11, color=BLACK)
        means = rows[["recognised", "energy"]].mean()
        label = f"{100 * means.recognised:.0f} % recognised\nenergy distance {means.energy:.2f}"
        ax.set_xlabel(label, fontsize=9.5, color=GREY)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color(GRID)
    n_seeds = max(rows["seed"].nunique() for rows in groups.values())
    title = f"Digits of scikit-learn, not chosen (seed 0); numbers: means of {n_seeds} seeds"
    figure.suptitle(title, fontsize=12)
    return figure


def tile(pictures: np.ndarray) -> np.ndarray:
    """Lay pictures, (n_pictures, 8, 8), out in rows of ten, white between them."""
    n_rows = -(-len(pictures) // _N_COLUMNS)
    tiles = np.full((n_rows * _N_COLUMNS, 10, 10), -1.0)
    tiles[: len(pictures), 1:9, 1:9] = pictures
    return tiles.reshape(n_rows, _N_COLUMNS, 10, 10).swapaxes(1, 2).reshape(10 * n_rows, -1)


# -- tables ---------------------------------------------------------------------------------------


def plot_tables(comparison: pd.DataFrame) -> Any:
    """Draw the difference of each method from the real rows alone, with both intervals."""
    names = list(dict.fromkeys(comparison["data"]))
    n_methods = comparison["trained_on"].nunique() - 1
    figure = new_figure(5.6 * max(len(names), 1.4), 1.9 + 0.56 * n_methods)
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for ax, name in zip(axes, names, strict=True):
        _plot_table(ax, comparison[comparison["data"] == name])
    n_splits = comparison["n_splits"].max()
    title = f"Each class's rows doubled: {n_splits} random splits"
    if n_splits > 1:
        title += "\n95 % intervals of the paired t-test (thick) and of the corrected one (thin)"
    figure.suptitle(title, fontsize=11)
    return figure


def _plot_table(ax: Any, rows: pd.DataFrame) -> None:
    """Draw the differences of one table: logistic regression above, forest below."""
    place, labels = 0.0, []
    for classifier, members in rows.groupby("classifier", sort=False):
        is_real = members["trained_on"] == _REAL
        error = 100 * members.loc[is_real, "error"].item()
        title = f"{CLASSIFIERS[classifier]}, {error:.1f} % on real rows alone"
        style = {"transform": ax.get_yaxis_transform(), "fontsize": 9, "color": GREY}
        ax.text(0.01, place - 0.55, title, va="bottom", **style)
        for row in members[~is_real].itertuples():
            colour, marker = _LOOKS.get(row.trained_on, (GREEN, "P"))
            centre = 100 * row.difference
            for half_width, linewidth, alpha in (
                (row.half_width_corrected, 1.0, 0.45),
                (row.half_width, 3.2, 1.0),
            ):
                if not np.isnan(half_width):
                    ends = (centre - 100 * half_width, centre + 100 * half_width)
                    ax.plot(ends, (place, place), color=colour, linewidth=linewidth, alpha=alpha)
            ax.plot(centre, place, marker, color=colour, markersize=7, markeredgecolor="white")
            labels.append((place, row.trained_on))
            place += 1
        place += 1.1
    ax.axvline(0, color=BLACK, linewidth=0.9, zorder=0)
    ax.set_yticks(*zip(*labels, strict=True))
    ax.set_ylim(place - 1.5, -1.3)
    once = rows.iloc[0]
    sizes = f"{once['n_train']} rows to train on, {once['n_test']} to test on"
    ax.set_title(f"{TABLE_TITLES[once['data']]}: {sizes}", fontsize=10.5)
    ax.set_xlabel(
        "difference in test error from real rows alone (% points)\n"
        r"$\leftarrow$ new rows help      new rows harm $\rightarrow$"
    )
    end = 1.05 * ax.get_xlim()[1], 1.05 * -ax.get_xlim()[0]
    ax.set_xlim(-max(end), max(end))
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    keep_quiet(ax, ("top", "right", "left"))
