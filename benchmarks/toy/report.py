"""What came out of the toy problem, told."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pandas as pd

from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Block, Conclusions, Figure, Note, Outcome, Table
from benchmarks._lab.runs import Task, one_thread
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference
from benchmarks._lab.tell import Measure, made_with, p_equals
from benchmarks.toy import figures
from benchmarks.toy.runs import N_LINES, Scale, fit_networks

MEASURES = {
    "steepest": Measure("steepest slope (linear: 1)", 1, 2),
    "between": Measure("share with p in 0.1 to 0.9 (linear: 0.80)", 1, 3),
    "distance": Measure("distance from linear (0)", 1, 3),
    "train_error": Measure("training error, %", 100, 1),
}
# Of each measure of a line: what it is, and what a network that is linear has.
_LINEAR = {
    "steepest": ("the steepest slope of p on a line between the classes", 1.0),
    "between": ("the share of such a line on which p is between 0.1 and 0.9", 0.8),
    "distance": ("the distance of p from linear", 0.0),
}


def tell(scale: Scale, tasks: Sequence[Task], runs: pd.DataFrame, *, device: str) -> Outcome:
    """Tell what came out; the networks that are drawn, those of the first seed, train again."""

    @functools.cache
    def panels() -> list[figures.Panel]:
        drawn = [task.key for task in tasks if task.key["seed"] == 0]
        with one_thread():
            networks = fit_networks(scale, drawn, device=device)
        steepest = runs[runs["seed"] == 0].set_index("alpha")["steepest"]
        alphas = [run["alpha"] for run in drawn]
        return [
            figures.Panel(alpha, steepest[alpha], *network)
            for alpha, network in zip(alphas, networks, strict=True)
        ]

    two = Figure("toy.png", "p(y = 1 | x) of ERM and mixup", lambda: figures.plot_two(panels()))
    all_of_them = Figure(
        "toy_alphas.png", "p(y = 1 | x) over alpha", lambda: figures.plot_alphas(panels(), runs)
    )
    blocks: list[Block] = [
        two,
        Conclusions(conclude(runs)),
        Table(table(runs)),
        Note(notes(runs, scale.n_points)),
        all_of_them,
        Note(made_with(runs)),
    ]
    return Outcome("Figure 1b of the mixup paper: two classes in the plane", blocks)


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write the measures as texts, a row for each alpha."""
    rows = []
    for alpha, members in runs.groupby("alpha"):
        row = {"alpha": f"{alpha:g}", "method": "mixup" if alpha else "ERM"}
        for name, measure in MEASURES.items():
            row[measure.title] = measure.text(*mean_and_standard_error(members[name]))
        rows.append(row)
    return pd.DataFrame(rows)


def conclude(runs: pd.DataFrame) -> list[str]:
    """Say, from the numbers, whether mixup is smoother than ERM, and what its smoothness costs."""
    parts, agree = [], []
    for name, (words, linear) in _LINEAR.items():
        wide = pair(runs, name, by="seed", wanted=(0.0, 1.0))
        erm, mixup = wide[0.0], wide[1.0]
        n_nearer = ((mixup - linear).abs() < (erm - linear).abs()).sum()
        difference = paired_difference(mixup, erm)
        told = f", {p_equals(difference.p_value)} in a paired t-test"
        parts.append(
            f"{words} is {mixup.mean():.2f} with mixup (alpha = 1) and {erm.mean():.2f} with ERM "
            f"(linear: {linear:g}; mixup is nearer in {n_nearer} of {len(wide)} seeds"
            f"{told if difference.standard_error > 0 else ''})"
        )
        agree.append(abs(mixup.mean() - linear) < abs(erm.mean() - linear))
    verdict = (
        "As the paper's figure shows, p changes more evenly from class to class with mixup than "
        "with ERM"
        if all(agree)
        else "Against the paper's figure, p does not change more evenly from class to class with "
        "mixup by each measure"
    )
    errors = runs.groupby("alpha")["train_error"].mean()
    wrong = [f"{alpha:g} ({100 * error:.1f} %)" for alpha, error in errors.items() if error]
    cost = "At each alpha all training points are classified rightly."
    if wrong:
        cost = f"Some of its training points a network gets wrong at alpha = {', '.join(wrong)}."
    return [f"{verdict}: {'; '.join(parts)}.", cost]


def notes(runs: pd.DataFrame, n_points: int) -> str:
    """Say what was done and how it was measured."""
    n_seeds = runs["seed"].nunique()
    return (
        f"{n_points} points in each class, {runs['max_epochs'].iloc[0]} epochs, otherwise the "
        f"defaults of MixupClassifier; {N_LINES:,} straight lines from green to orange points for "
        "each network, with a position from 0 to 1 on each: the slope is that of p over it, and "
        f"linear means p = position. Means ± standard errors over {n_seeds} seeds, each with its "
        "own points; the networks of a seed differ in alpha alone. The paper gives neither numbers "
        "nor the settings of its figure. No network is linear on all lines: mixtures of two green "
        "points from opposite sides are green, and fall on the orange disc."
    )
