"""What came out of the toys, told beside what others published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial

import numpy as np
import pandas as pd

from benchmarks._lab.outcome import Figure, Outcome
from benchmarks._lab.tell import number, percent
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks.gan import figures
from benchmarks.gan.pages import make_page, mean
from benchmarks.gan.toys import (
    MODES,
    N_COMPARED,
    N_SAMPLES,
    STANDARD_DEVIATION,
    TITLES,
    Coverage,
    draw,
    measure_coverage,
    name_method,
)
from sklearn_mixup._gan.energy import energy_distance

# Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks",
# NeurIPS 2018: other networks and training, high quality is within 3 standard deviations too.
_PUBLISHED = {
    "ring": {
        "GAN (PacGAN paper)": Coverage(6.3, 0.982, 0.45),
        "PacGAN4 (PacGAN paper)": Coverage(7.8, 0.959, 0.07),
    },
    "grid": {
        "GAN (PacGAN paper)": Coverage(17.3, 0.948, 0.70),
        "PacGAN4 (PacGAN paper)": Coverage(24.8, 0.936, 0.04),
    },
}
_N_DRAWS_OF_DATA = 10  # of fresh rows in the place of samples


def tell(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell what came out on each set, beside the paper's figure."""
    return make_page(
        "Figure 5: GANs with and without mixup",
        {title: table(runs, name) for name, title in TITLES.items() if (runs.data == name).any()},
        notes(),
        _list_figures(runs),
        versions,
        conclude(runs),
    )


def _list_figures(runs: pd.DataFrame) -> list[Figure]:
    """List Figure 5 with each setting ("steady" is gan.png where both are run), and measures."""
    drawn: list[Figure] = []
    for setting in [*GAN_RECIPES][::-1]:
        if samples := figures.find_samples(runs, setting):
            file = f"gan_{setting}.png" if drawn else "gan.png"
            drawn.append(Figure(file, "toys", partial(figures.plot_toys, samples)))
    if not (modal := runs[runs.data.isin(MODES)]).empty:
        drawn.append(Figure("gan_measures.png", "toys", partial(figures.plot_measures, modal)))
    return drawn


def table(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Set the methods beside each other, and beside what others published, on one set.

    Means with standard errors over the seeds.
    """
    rows = []
    for (setting, alpha), group in runs[runs.data == name].groupby(["setting", "alpha"]):
        row = {"GAN": name_method(alpha), "setting": setting, "seeds": f"{len(group)}"}
        if name in MODES:
            row |= {
                **_write_coverage(group, name),
                "late spread, %": mean(group.late_high_quality_sd, 1, factor=100),
                "late least modes": number(group.late_modes_least.min(), digits=0),
            }
        row["energy distance"] = mean(group.energy_distance, 4)
        if (
            "energy_distance_of_all" in group
            and (judged := group.energy_distance_of_all.notna()).any()
        ):
            of_all = group.energy_distance_of_all.fillna(group.energy_distance)
            row["without rejection"] = mean(of_all, 4)
            row["judged in"] = f"{judged.sum()} of {len(group)}"
        row["fit, s"] = number(group.fit_time_s.median(), digits=0)
        rows.append(row)
    rows.append(_measure_data(name))
    for method, published in _PUBLISHED.get(name, {}).items():
        rows.append(
            {
                "GAN": method,
                f"modes of {len(MODES[name])}": number(published.modes, digits=1),
                "high quality, %": percent(published.high_quality),
                "reverse KL": number(published.reverse_kl, digits=2),
            }
        )
    return pd.DataFrame(rows).fillna("")


@cache
def _measure_data(name: str) -> dict[str, str]:
    """Measure fresh rows of the data as if they were samples: what a perfect GAN would reach."""
    seeds = range(_N_DRAWS_OF_DATA)
    samples = [draw(name, N_COMPARED, 2_000_000 + seed) for seed in seeds]
    others = [draw(name, N_COMPARED, 1_000_000 + seed) for seed in seeds]
    distances = np.array([*map(energy_distance, samples, others)])
    row = {
        "GAN": "the data themselves",
        "seeds": str(len(seeds)),
        "energy distance": mean(distances, 4),
    }
    if name in MODES:
        found = [measure_coverage(some[:N_SAMPLES], MODES[name]) for some in samples]
        row |= _write_coverage(pd.DataFrame(map(asdict, found)), name)
    return row


def _write_coverage(runs: pd.DataFrame, name: str) -> dict[str, str]:
    """Write how the modes of a set are covered, in each of some runs."""
    n_modes = len(MODES[name])
    return {
        f"modes of {n_modes}": mean(runs.modes, 1),
        "all modes in": f"{(runs.modes == n_modes).sum()} of {len(runs)}",
        "high quality, %": mean(runs.high_quality, 1, factor=100),
        "least, %": percent(runs.high_quality.min()),
        "reverse KL": mean(runs.reverse_kl, 3),
    }


def conclude(runs: pd.DataFrame) -> list[str]:
    """Say in how many runs all modes were found with at least 90 % of high quality."""
    told: list[str] = []
    modal = runs[runs.data.isin(MODES)]
    for (setting, alpha), group in modal.groupby(["setting", "alpha"]):
        parts = []
        for name, some in group.groupby("data", sort=False):
            good = (some.modes == len(MODES[name])) & (some.high_quality >= 0.9)
            parts.append(f"{name} {good.sum()} of {len(some)}")
        told.append(f"{name_method(alpha)} ({setting}): {', '.join(parts)}")
    if (diverged := runs.diverged_at.notna().sum()) > 0:
        told.append(f"{diverged} runs diverged, and count as they were at their last good epoch")
    if not told:
        return []
    return [f"Runs with all modes and at least 90 % of high quality: {'; '.join(told)}."]


def notes() -> str:
    """Say how the toys are measured."""
    return (
        f"Samples within 3 standard deviations ({STANDARD_DEVIATION} each) of a mode are of high "
        "quality, and that mode is captured; the reverse KL compares the shares of the modes among "
        f"them with even ones; {N_SAMPLES} samples. The late spread is the standard deviation of "
        "the share of high quality over the last half of training; beside it are the fewest "
        "modes that any run had there. 'The data themselves' are fresh rows, measured as samples "
        f"are. The energy distance is between {N_COMPARED} fresh rows and as many samples. ± is a "
        "standard error over the seeds. The setting 'paper' has the networks, the minibatches and "
        "the constant learning rate of the paper's Figure 5, 'steady' is ours "
        "(benchmarks/_nets/gans.py). Published figures are for "
        "other networks and another training."
    )
