"""What mixup adds on the grid of 25, over Adam's betas and over the iterations that a GAN has.

One setting shows little: it may be one where the ordinary GAN happens to collapse, or not to. Here
both GANs have every pair of betas and every budget; the learning rate falls to zero over each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd

from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Figure, Outcome
from benchmarks._lab.runs import Task
from benchmarks._lab.tell import number
from benchmarks._nets.gans import GAN_STEADY
from benchmarks.gan import figures
from benchmarks.gan.pages import make_page, mean
from benchmarks.gan.runs import make_key
from benchmarks.gan.toys import MEASURED, MODES, TITLES, name_method, run_toy

DATA = "grid"
BETAS = ((0.0, 0.99), (0.5, 0.99), (0.9, 0.999))


def name_setting(betas: tuple[float, float], n_iter: int) -> str:
    """Name a pair of betas and a budget, in a key.

    Examples
    --------
    >>> name_setting((0.0, 0.99), 2000)
    '(0, 0.99), 2000'
    """
    return f"({betas[0]:g}, {betas[1]:g}), {n_iter}"


def list_tasks(request: Request) -> list[Task]:
    """List the runs, seed by seed."""
    scale = request.scale
    recipes = {
        name_setting(betas, n_iter): replace(
            GAN_STEADY, batch_size=256, betas=betas, max_iter=n_iter
        )
        for betas in BETAS
        for n_iter in scale.budgets
    }
    return [
        Task(
            make_key("budgets", DATA, setting, alpha=alpha, seed=seed),
            {**asdict(recipe), **MEASURED, **request.versions},
            partial(run_toy, DATA, recipe, alpha, seed, device=request.device, draws=False),
        )
        for seed in range(min(scale.n_seeds, scale.budget_seeds))
        for setting, recipe in recipes.items()
        for alpha in (0.0, 0.2)
    ]


def tell(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell where the ordinary GAN collapses, and where the mixup GAN does."""
    return make_page(
        "GANs with and without mixup, over betas and budgets",
        {f"{TITLES[DATA]}, by Adam's betas and iterations": table(runs)},
        "As the toys are measured. Three layers of 128 units, minibatches of 256, one step of the "
        "discriminator for one of the generator, a learning rate that falls to zero over the "
        "iterations, an average of the generator's weights of 0.999; they start as torch's own. "
        "The reverse KL is left out where a run has no sample of high quality.",
        [Figure("gan_budgets.png", "budgets", partial(figures.plot_budgets, split(runs)))],
        versions,
        conclude(runs),
    )


def split(runs: pd.DataFrame) -> pd.DataFrame:
    """Give the betas and the budget of each run a column of their own."""
    betas, budgets = zip(*(name.rsplit(", ", 1) for name in runs.setting), strict=True)
    return runs.assign(betas=betas, n_iter=[*map(int, budgets)])


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Set both GANs beside each other, for each pair of betas and each budget."""
    n_modes, rows = len(MODES[DATA]), []
    for (betas, n_iter, alpha), group in split(runs).groupby(["betas", "n_iter", "alpha"]):
        rows.append(
            {
                "betas": betas,
                "iterations": f"{n_iter:,}",
                "GAN": name_method(alpha),
                "seeds": str(len(group)),
                f"modes of {n_modes}": mean(group.modes, 1),
                "all modes in": f"{(group.modes == n_modes).sum()} of {len(group)}",
                "high quality, %": mean(group.high_quality, 1, factor=100),
                "reverse KL": mean(group.reverse_kl, 3),
                "fit, s": number(group.fit_time_s.median(), digits=0),
            }
        )
    return pd.DataFrame(rows)


def conclude(runs: pd.DataFrame) -> list[str]:
    """Say in how many pairs of runs, alike but for alpha, either GAN has more modes, or less KL.

    The reverse KL of samples none of which is of high quality counts as infinite.
    """
    pairs = (
        runs.fillna({"reverse_kl": np.inf})
        .pivot(index=["setting", "seed"], columns="alpha", values=["modes", "reverse_kl"])
        .dropna()
    )
    if pairs.empty or {*pairs["modes"].columns} != {0.0, 0.2}:
        return []
    modes, divergence = pairs["modes"], pairs["reverse_kl"]
    more, fewer = (modes[0.2] > modes[0.0]).sum(), (modes[0.2] < modes[0.0]).sum()
    lower = (divergence[0.2] < divergence[0.0]).sum()
    return [
        f"Of {len(pairs)} pairs of runs that differ in alpha alone, mixup has more modes in "
        f"{more}, the ordinary GAN in {fewer}, and {len(pairs) - more - fewer} have as many. The "
        f"reverse KL is lower with mixup in {lower}."
    ]
