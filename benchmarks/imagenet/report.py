"""What came out of the networks on ImageNet, told."""

from __future__ import annotations

from functools import partial

import pandas as pd

from benchmarks._lab.curves import read_curves
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks._lab.tell import percent, took
from benchmarks.imagenet import figures
from benchmarks.imagenet.recipes import TABLE_1_ERRORS


def tell(runs: pd.DataFrame) -> Outcome:
    """Tell what came out, beside the paper's."""
    figure = Figure("imagenet.png", "Losses and errors", partial(figures.plot_losses, runs))
    title = "Table 1 of the mixup paper: ImageNet"
    return usual_page(title, runs, [tell_losses(runs)], figure, [table(runs)], notes(runs))


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 and top-5 errors of the last epoch in percent, and those of the paper's Table 1.

    The paper's are of ImageNet, and stand beside pictures like it too.
    """
    rows = []
    groups = runs.groupby(["data_name", "network", "family", "max_epochs", "alpha"], sort=False)
    for (data_name, network, family, max_epochs, alpha), members in groups:
        top1, top5 = TABLE_1_ERRORS.get((family, max_epochs, alpha), (None, None))
        rows.append(
            {
                "data": data_name,
                "network": network,
                "epochs": str(max_epochs),
                "method": f"mixup, alpha {alpha:g}" if alpha else "ERM",
                "top-1": percent(*mean_and_standard_error(members["test_error"])),
                "top-5": percent(*mean_and_standard_error(members["test_top5_error"])),
                "paper top-1": percent(top1),
                "paper top-5": percent(top5),
            }
        )
    return pd.DataFrame(rows)


def tell_losses(runs: pd.DataFrame) -> str:
    """Say how far the training loss fell, from the first epoch to the last."""
    sentences = []
    groups = runs.groupby(["network", "max_epochs", "alpha"], sort=False)
    for (network, max_epochs, alpha), members in groups:
        first, last = read_curves(members["loss_curve"]).mean(0)[[0, -1]]
        method = f"mixup (alpha = {alpha:g})" if alpha else "ERM"
        sentences.append(f"{network}, {max_epochs} epochs, {method}: {first:.2f} to {last:.2f}")
    return f"Training loss in the first epoch and in the last: {'; '.join(sentences)}."


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds = runs["seed"].nunique()
    spread = f", mean ± standard error over {n_seeds} seeds" if n_seeds > 1 else ", one seed"
    names = "; ".join(dict.fromkeys(runs["data_name"]))
    return (
        f"Errors in % on the test pictures of {names}, after the last epoch{spread}. Nothing was "
        "chosen by a test error. The paper's are of all of ImageNet at 224 x 224 pixels; its ERM "
        "at 100 epochs is quoted from the paper of ResNeXt. The training loss of mixup is that on "
        f"mixed pictures. {took(runs)}"
    )
