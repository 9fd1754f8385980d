"""The figures of vicinities: what each makes of rows, and the curves on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks._data.pictures import PictureSet
from benchmarks._data.plane import EDGE, make_disc_and_ring
from benchmarks._lab.curves import draw_spread, prepare_axes, read_curves
from benchmarks._lab.figures import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    add_legend,
    new_figure,
    shade_plane,
)
from benchmarks._lab.runs import one_thread
from benchmarks._lab.tell import name_data
from benchmarks.vicinities.recipes import ERM, ON_PICTURES, ON_TABLES, Vicinity
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.pairs import PAIRS
from sklearn_mixup.vicinal import sample_lam, sample_partner
from sklearn_mixup.vicinities import VICINITIES

_N_POINTS, _N_DRAWN = 120, 240  # in each class; of the mixed rows
_N_PICTURES, _BATCH_SIZE = 6, 64
_SEED = 40  # by it the pictures that are drawn have partners of other classes


def mix_by(
    vicinity: Vicinity, X: Tensor, y: Tensor, lam: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix a minibatch as a net with the parameters of a vicinity does, but for its layers.

    Gives the mixed rows, the partner of each row, and the weight of its own target.
    """
    params = vicinity.params
    rng = torch.Generator().manual_seed(seed)
    uniform, place = torch.rand(1, len(X), generator=rng), torch.rand(2, len(X), generator=rng)
    partner = sample_partner(len(X), rng=rng)
    if "pairs" in params:
        partner = PAIRS[params["pairs"]](X[None], y[None], uniform)[0]
    if params.get("alpha") == 0:
        lam = torch.ones_like(lam)
    mix = VICINITIES[params.get("vicinity", "mixup")]
    X_mixed, weight = mix(X, partner, lam=lam, place=place)
    return X_mixed, partner, weight


# -- the plane ------------------------------------------------------------------------------------


def plot_plane(*, max_epochs: int, device: str) -> Any:
    """Draw rows of two classes as each way mixes them, over p of a network trained so."""
    from matplotlib.colors import LinearSegmentedColormap

    X, y = make_disc_and_ring(_N_POINTS, random_state=0)
    fixed: dict[str, Any] = {"max_epochs": max_epochs, "random_state": 0, "device": device}
    nets = [MixupClassifier(**{"alpha": 1.0, **fixed, **it.params}) for it in ON_TABLES.values()]
    with one_thread():
        fit_fused(nets, [X] * len(nets), [y] * len(nets), n_jobs=1)
    rng = torch.Generator().manual_seed(1)
    chosen = torch.randperm(len(X), generator=rng)[:_N_DRAWN]
    lam = sample_lam(1.0, (len(chosen),), rng=rng).float()
    rows, labels = torch.from_numpy(X)[chosen], torch.from_numpy(y)[chosen]
    colours = LinearSegmentedColormap.from_list("classes", [GREEN, "#f5f0b8", ORANGE])
    n_columns = 4
    n_lines = -(-len(nets) // n_columns)
    figure = new_figure(2.9 * n_columns, 3.1 * n_lines, dpi=150)
    axes = figure.subplots(n_lines, n_columns)
    for ax, net, vicinity in zip(axes.flat, nets, ON_TABLES.values(), strict=True):
        surface = shade_plane(ax, net, EDGE)
        X_mixed, partner, weight = mix_by(vicinity, rows, labels, lam, seed=2)
        target = weight * labels + (1 - weight) * labels[partner]
        if "mix_at" in vicinity.params:
            X_mixed, target = rows, labels
        elif "erm_weight" in vicinity.params:
            X_mixed, target = torch.cat([rows, X_mixed]), torch.cat([labels, target])
        style = {"cmap": colours, "vmin": 0, "vmax": 1, "edgecolor": BLACK, "linewidth": 0.25}
        ax.scatter(*X_mixed.T, c=target, s=11, **style)
        ax.set_title(vicinity.title, fontsize=12)
    bar = figure.colorbar(surface, ax=axes, shrink=0.6, aspect=28, ticks=[0, 0.5, 1], pad=0.01)
    bar.set_label(r"$p\,(y = 1\,|\,x)$", fontsize=12)
    return figure


# -- pictures -------------------------------------------------------------------------------------


def plot_pictures(pictures: PictureSet) -> Any:
    """Draw some pictures as each way mixes them, with their targets."""
    loaded = pictures.load("cpu")
    X, y = (torch.as_tensor(part[:_BATCH_SIZE]) for part in loaded.train)
    # Pictures as they are, and what mixes them before the network is given any.
    inside = {"mix_at", "erm_weight"}
    drawn = [it for it in ON_PICTURES.values() if it.name != ERM and not inside & it.params.keys()]
    drawn.insert(0, ON_PICTURES[ERM])
    # Not drawn but chosen, so that it is seen what they do.
    lam = torch.tensor([0.75, 0.65, 0.55, 0.4, 0.3, 0.2]).repeat(-(-len(X) // 6))[: len(X)]
    figure = new_figure(1.55 * _N_PICTURES + 1.1, 2.05 * len(drawn), dpi=150)
    axes = figure.subplots(len(drawn), _N_PICTURES)
    mean, std = (torch.as_tensor(np.asarray(it)).view(-1, 1, 1) for it in (loaded.mean, loaded.std))
    for line, vicinity in zip(axes, drawn, strict=True):
        X_mixed, partner, weight = mix_by(vicinity, X, y, lam, _SEED)
        title = "as they are" if vicinity.name == ERM else vicinity.title
        line[0].set_ylabel(title, fontsize=11)
        for i, ax in enumerate(line):
            ax.imshow((X_mixed[i] * std + mean).clip(0, 1).permute(1, 2, 0).numpy())
            ax.set(xticks=[], yticks=[])
            own, other = (loaded.names[int(label)] for label in (y[i], y[partner[i]]))
            ax.set_xlabel(_tell_target(own, other, float(weight[i])), fontsize=8.5)
    return figure


def _tell_target(own: str, other: str, weight: float) -> str:
    """Write a target: one class, or two with their shares."""
    if own == other or weight in (0.0, 1.0):
        return own if weight > 0 or own == other else other
    return f"{weight:.2f} {own}\n+ {1 - weight:.2f} {other}"


def plot_curves(runs: pd.DataFrame, methods: Sequence[str]) -> Any:
    """Draw the test error of each way to mix over the epochs, mean and range over the seeds."""
    figure = new_figure(7.6, 4.8)
    ax = figure.subplots()
    prepare_axes(ax)
    colours = dict(
        zip(methods, (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, BLACK, SKY), strict=False)
    )
    for method, members in runs.groupby("method", sort=False):
        curves = read_curves(members["test_curve"], factor=100)
        marker = "o" if curves.shape[1] <= 20 else ""
        style = {"color": colours[method], "linewidth": 1.5, "marker": marker, "markersize": 3.5}
        draw_spread(ax, curves, label=method, **style)
    ax.set_xlim(0.5, runs["max_epochs"].max() + 0.5)
    ax.set_ylabel("test error (%)")
    n_seeds = runs["seed"].nunique()
    of_seeds = f"mean and range of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    figure.suptitle(f"Test error after each epoch, {of_seeds}\n{name_data(runs)}", fontsize=11)
    add_legend(figure, ncols=4)
    return figure
