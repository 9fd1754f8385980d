"""The figure of misses and gradients between the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from benchmarks._lab.figures import BLUE, FAINT, VERMILLION, add_legend, keep_quiet, new_figure

_COLOURS = {"ERM": BLUE, "mixup": VERMILLION}


def plot(curves: Mapping[tuple[str, str], pd.DataFrame], runs: pd.DataFrame) -> Any:
    """Draw misses, gradients of the loss and gradients of the logits, side by side."""
    from sklearn_mixup.inspection import BetweenSamplesDisplay

    figure = new_figure(11.5, 4.5)
    figure.get_layout_engine().set(wspace=0.04, hspace=0.04)
    axes = figure.subplots(1, 3)
    panels = (
        (["train_misses", "test_misses"], "Misses: the prediction is neither label"),
        (["loss_gradient"], "Gradient of the loss"),
        (["logit_gradient"], "Gradients of all logits"),
    )
    for ax, (measures, title) in zip(axes, panels, strict=True):
        for measure, method in product(measures, _COLOURS):
            curve, on_test = curves[measure, method], measure == "test_misses"
            error = curve["mean_se"]
            BetweenSamplesDisplay(
                lam=curve["lam"].to_numpy(),
                values=curve["mean"].to_numpy(),
                standard_error=None if error.isna().any() else error.to_numpy(),
                kind="miss_rate" if "misses" in measure else "gradient_norm",
            ).plot(
                ax,
                color=_COLOURS[method],
                label=f"{method}, {'test' if on_test else 'training'} pictures",
                linestyle="--" if on_test else "-",
                linewidth=1.2 if on_test else 2.0,
            )
        ax.get_legend().remove()  # one for all panels stands below
        ax.set_title(title, fontsize=10.5)
        ax.set_xlabel(r"$\lambda$, the weight of the first picture")
        ax.set_xlim(0, 1)
        ax.grid(color=FAINT, linewidth=0.6)
        keep_quiet(ax)
    for ax in axes[1:]:
        ax.set_ylabel("Euclidean norm")
    first, alpha, n_seeds = runs.iloc[0], runs["alpha"].max(), runs["seed"].nunique()
    bands = f"; bands: one standard error over {n_seeds} seeds" if n_seeds > 1 else ""
    figure.suptitle(
        f"Between pictures of {first.data_name}\n{first.network}, {first.max_epochs} epochs, "
        rf"mixup with $\alpha$ = {alpha:g}{bands}",
        fontsize=11.5,
    )
    add_legend(figure)
    return figure
