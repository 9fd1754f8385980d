"""How the runs of the toy problem are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._runs import mean_and_standard_error

# Of each measure: its column in the page, and what a network that is linear has.
MEASURES = {
    "steepest": ("steepest slope (linear: 1)", 1.0),
    "between": ("share with p in 0.1 to 0.9 (linear: 0.80)", 0.8),
    "distance": ("distance from linear (0)", 0.0),
    "train_error": ("training error, %", None),
}

_FORMATS = {"train_error": (100, 1), "between": (1, 3), "distance": (1, 3)}  # factor, digits


def mean_of(runs: pd.DataFrame, alpha: float, name: str) -> tuple[float, float]:
    """Mean and standard error of a measure over the seeds, at an alpha."""
    return mean_and_standard_error(runs.loc[runs["alpha"] == alpha, name])


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write the measures as texts, a row for each alpha."""
    rows = []
    for alpha in sorted(runs["alpha"].unique()):
        row: dict[str, Any] = {"alpha": f"{alpha:g}", "method": "mixup" if alpha else "ERM"}
        for name, (title, _) in MEASURES.items():
            mean, error = mean_of(runs, alpha, name)
            factor, digits = _FORMATS.get(name, (1, 2))
            spread = "" if np.isnan(error) else f" ± {factor * error:.{digits}f}"
            row[title] = f"{factor * mean:.{digits}f}{spread}"
        rows.append(row)
    return pd.DataFrame(rows)


def conclude(runs: pd.DataFrame) -> list[str]:
    """Say, from the numbers, whether mixup is smoother than ERM, and what its smoothness costs."""
    parts, agree = [], []
    for name, word in (
        ("steepest", "the steepest slope of p on a line between the classes"),
        ("between", "the share of such a line on which p is between 0.1 and 0.9"),
        ("distance", "the distance of p from linear"),
    ):
        wide = runs.pivot(index="seed", columns="alpha", values=name)
        erm, mixup = wide[0.0], wide[1.0]
        linear = MEASURES[name][1]
        is_nearer = (mixup - linear).abs() < (erm - linear).abs()
        told = ""
        if len(wide) > 1 and np.ptp(mixup - erm) > 0:
            p = stats.ttest_rel(mixup, erm).pvalue
            told = f", p {'< 0.001' if p < 0.001 else f'= {p:.3f}'} in a paired t-test"
        parts.append(
            f"{word} is {mixup.mean():.2f} with mixup (alpha = 1) and {erm.mean():.2f} with ERM "
            f"(linear: {linear:g}; mixup is nearer in {is_nearer.sum()} of {len(wide)} seeds{told})"
        )
        agree.append((mixup.mean() - linear) ** 2 < (erm.mean() - linear) ** 2)
    verdict = (
        "As the paper's figure shows, p changes more evenly from class to class with mixup than "
        "with ERM"
        if all(agree)
        else "Against the paper's figure, p does not change more evenly from class to class with "
        "mixup by each measure"
    )
    errors = {alpha: mean_of(runs, alpha, "train_error")[0] for alpha in runs["alpha"].unique()}
    wrong = [
        f"{alpha:g} ({100 * errors[alpha]:.1f} %)" for alpha in sorted(errors) if errors[alpha]
    ]
    cost = (
        f"Some of its training points a network gets wrong at alpha = {', '.join(wrong)}."
        if wrong
        else "At each alpha all training points are classified rightly."
    )
    return [f"{verdict}: {'; '.join(parts)}.", cost]


def notes(runs: pd.DataFrame, *, n_points: int, n_lines: int) -> str:
    """Say what was done and how it was measured."""
    n_seeds = runs["seed"].nunique()
    return (
        f"{n_points} points in each class, {runs['max_epochs'].iloc[0]} epochs, otherwise the "
        f"defaults of MixupClassifier; {n_lines:,} straight lines from green to orange points for "
        "each network, with a position from 0 to 1 on each: the slope is that of p over it, and "
        f"linear means p = position. Means ± standard errors over {n_seeds} seeds, each with its "
        "own points; the networks of a seed differ in alpha alone. The paper gives neither numbers "
        "nor the settings of its figure. No network is linear on all lines: mixtures of two green "
        "points from opposite sides are green, and fall on the orange disc."
    )
