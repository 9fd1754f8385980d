"""The figure of misses and gradients between the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks._lab.figures import BLUE, FAINT, VERMILLION, keep_quiet, new_figure

_COLOURS = {"ERM": BLUE, "mixup": VERMILLION}


def plot(curves: Mapping[tuple[str, str], pd.DataFrame], runs: pd.DataFrame) -> Any:
    """Draw misses, gradients of the loss and gradients of the logits, side by side."""
    from sklearn_mixup.inspection import BetweenSamplesDisplay

    figure = new_figure(11.5, 4.5)
    figure.get_layout_engine().set(wspace=0.04, hspace=0.04)
    axes = figure.subplots(1, 3)
    panels = (
        ("train_misses", "Misses: the prediction is neither label", None),
        ("loss_gradient", "Gradient of the loss", "Euclidean norm"),
        ("logit_gradient", "Gradients of all logits", "Euclidean norm"),
    )
    for ax, (measure, title, label) in zip(axes, panels, strict=True):
        shown = [measure, "test_misses"] if measure == "train_misses" else [measure]
        for name in shown:
            for method, colour in _COLOURS.items():
                curve = curves[name, method]
                told = curve["standard_error"]
                BetweenSamplesDisplay(
                    lam=curve["lam"].to_numpy(),
                    values=curve["mean"].to_numpy(),
                    standard_error=None if told.isna().any() else told.to_numpy(),
                    kind="miss_rate" if "misses" in name else "gradient_norm",
                ).plot(
                    ax,
                    color=colour,
                    label=f"{method}, test pictures" if name == "test_misses" else method,
                    linestyle="--" if name == "test_misses" else "-",
                    linewidth=1.2 if name == "test_misses" else 2.0,
                )
        ax.get_legend().remove()  # one for all panels stands below
        ax.set_title(title, fontsize=10.5)
        ax.set_xlabel(r"$\lambda$, the weight of the first picture")
        if label is not None:
            ax.set_ylabel(label)
        ax.set_xlim(0, 1)
        ax.grid(color=FAINT, linewidth=0.6)
        keep_quiet(ax)
    first = runs.iloc[0]
    alpha = runs["alpha"].max()
    n_seeds = runs["seed"].nunique()
    bands = f"; bands: one standard error over {n_seeds} seeds" if n_seeds > 1 else ""
    figure.suptitle(
        f"Between pictures of {first.data_name}\n{first.network}, {first.max_epochs} epochs, "
        rf"mixup with $\alpha$ = {alpha:g}{bands}",
        fontsize=11.5,
    )
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [label if "test" in label else f"{label}, training pictures" for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
