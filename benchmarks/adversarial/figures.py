"""The figure of the errors under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.curves import prepare_axes
from benchmarks._lab.figures import add_legend, method_colours, new_figure
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks.adversarial.attacks import BOXES, NAMES, column, levels_of, unit_of

_STYLES: Mapping[str, tuple[Any, str]] = {"fgsm": ("-", "o"), "ifgsm": ("--", "s")}


def plot(runs: pd.DataFrame) -> Any:
    """Draw top-1 errors over eps: white box and black box side by side, a row for each network."""
    from matplotlib.lines import Line2D

    groups = list(runs.groupby(["data", "network", "max_epochs"], sort=False))
    figure = new_figure(9.2, 3.3 * len(groups) + 1.0)
    axes = figure.subplots(len(groups), 2, squeeze=False, sharey="row")
    colours = method_colours(list(runs["alpha"].unique()))
    for row, (group, members) in zip(axes, groups, strict=True):
        for ax, box in zip(row, BOXES, strict=True):
            prepare_axes(ax)
            for alpha, (colour, _) in colours.items():
                for attack in _STYLES:
                    _draw(ax, members[members["alpha"] == alpha], box, attack, colour)
            _label(ax, group, members, f"{box} box")
        row[0].set_ylabel("top-1 error (%)")
    handles = [Line2D([], [], color=colour, label=label) for colour, label in colours.values()]
    handles += [
        Line2D([], [], color="#444444", linestyle=style, marker=marker, label=NAMES[attack])
        for attack, (style, marker) in _STYLES.items()
    ]
    bands = "; bands: one standard error over the seeds" if runs["seed"].nunique() > 1 else ""
    figure.suptitle(f"Error on adversarial examples{bands}", fontsize=11.5)
    add_legend(figure, handles=handles)
    return figure


def _draw(ax: Any, runs: pd.DataFrame, box: str, attack: str, colour: str) -> None:
    """Draw the error of one method under one attack, from no attack on."""
    if runs.empty:
        return
    levels = levels_of(runs)
    names = [column(), *(column(box, attack, level) for level in levels)]
    means, errors = 100 * np.array([mean_and_standard_error(runs[name]) for name in names]).T
    style, marker = _STYLES[attack]
    x = [0.0, *levels]
    ax.plot(x, means, color=colour, linestyle=style, marker=marker, markersize=4, linewidth=1.5)
    if len(runs) > 1:
        ax.fill_between(x, means - errors, means + errors, color=colour, alpha=0.18, linewidth=0)


def _label(ax: Any, group: Sequence[Any], members: pd.DataFrame, box: str) -> None:
    """Name a panel and its axis."""
    data, network, epochs = group
    levels = [0.0, *levels_of(members)]
    shown = [level for level in levels if not 0 < level < levels[-1] / 10]
    ax.set_xticks(shown, [f"{level:g}" for level in shown])
    ax.set_xlabel(f"eps (of {unit_of(network)[1]} pixel values)")
    ax.set_title(f"{box}: {data}, {network}, {epochs} epochs", fontsize=10)
    ax.set_ylim(0, 100)
