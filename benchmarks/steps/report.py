"""What came out of the first steps, told."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.tell import listed, took
from benchmarks.steps import figures


def tell(runs: pd.DataFrame) -> Outcome:
    """Tell which networks train from the first step on."""
    title = "The first steps of the paper's networks at full width"
    figure = Figure("steps.png", "Loss of each minibatch", partial(figures.plot_losses, runs))
    return usual_page(title, runs, conclude(runs), figure, [table(runs)], notes(runs))


def conclude(runs: pd.DataFrame) -> list[str]:
    """Say for which networks the loss fell in each run, and which of them it left."""
    fell = {
        network: bool((members["last_loss"] < np.log(members["n_classes"])).all())
        for network, members in runs.groupby("network", sort=False)
    }
    falling, others = ([name for name in fell if fell[name] is is_so] for is_so in (True, False))
    n_finite = int(np.isfinite(runs["highest_loss"]).sum())
    return [
        f"The loss stayed finite in {n_finite} of {len(runs)} runs. In the last quarter of the "
        "steps its mean was below that of equal probabilities in every run of "
        f"{len(falling)} of {len(fell)} networks ({listed(falling, '; ')}), not in every run of "
        f"{len(others)} ({listed(others, '; ')})."
    ]


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write the loss of the first minibatch, the highest, and the mean of the last quarter."""
    rows = []
    for (network, alpha), members in runs.groupby(["network", "alpha"], sort=False):
        row = {"network": network, "method": f"mixup, alpha {alpha:g}" if alpha else "ERM"}
        for name, words in (("first", "first"), ("highest", "highest"), ("last", "last quarter")):
            losses = members[f"{name}_loss"]
            row[words] = f"{losses.min():.2f} to {losses.max():.2f}"
        row["equal probabilities"] = f"{np.log(members['n_classes'].iloc[0]):.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    names = "; ".join(dict.fromkeys(runs["data"]))
    sizes = ", ".join(map(str, sorted(runs["batch_size"].unique())))
    return (
        f"Data: {names}. {runs['n_steps'].iloc[0]} minibatches of {sizes}, each network with the "
        "optimizer and the learning rate of its experiment. Losses are the smallest and the "
        f"largest over {runs['seed'].nunique()} seeds; those of mixup are on mixed rows, "
        f"where they cannot fall as far. {took(runs)}"
    )
