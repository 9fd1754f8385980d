"""The runs of the toy problem: two classes in the plane, networks, and how linear they are."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks._data.plane import make_disc_and_ring
from benchmarks._lab.runs import Keys, Task
from sklearn_mixup import MixupClassifier, fit_fused

KEY = ("method", "alpha", "max_epochs", "seed")
N_LINES = 1_000
_SEEDS_AT_ONCE = 5
_N_STEPS = 200  # of a line; the steepest slope that can be seen
_N_PROFILE = 20  # steps of the mean profile that is kept


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run; `n_points` are in each class."""

    n_seeds: int
    n_points: int
    max_epochs: int
    alphas: tuple[float, ...]


# -- measure --------------------------------------------------------------------------------------


def probabilities_between(
    classifier: Any, X: np.ndarray, y: np.ndarray, *, n_lines: int, n_steps: int, seed: int
) -> np.ndarray:
    """Compute p(y = 1 | x) on lines from random points of class 0 to random points of class 1.

    At even positions: an array of shape (n_steps + 1, n_lines).
    """
    rng = np.random.default_rng(seed)
    start, end = (X[rng.choice(np.flatnonzero(y == label), n_lines)] for label in (0, 1))
    position = np.linspace(0, 1, n_steps + 1, dtype=X.dtype)[:, None, None]
    points = (1 - position) * start + position * end
    p = classifier.predict_proba(points.reshape(-1, X.shape[1]))[:, 1]
    return p.reshape(n_steps + 1, n_lines)


def measure_lines(p: np.ndarray) -> dict[str, float]:
    """Measure how far from linear p is on lines, as `probabilities_between` gives it.

    ``steepest``, ``between`` and ``distance`` are as the help has them, means over the lines.

    Examples
    --------
    >>> line = np.linspace(0, 1, 1001)[:, None]
    >>> {name: round(value, 2) for name, value in measure_lines(line).items()}
    {'steepest': 1.0, 'between': 0.8, 'distance': 0.0}
    """
    n_steps = len(p) - 1
    position = np.linspace(0, 1, n_steps + 1)[:, None]
    return {
        "steepest": float(np.abs(np.diff(p, axis=0)).max(axis=0).mean() * n_steps),
        "between": float(((p > 0.1) & (p < 0.9)).mean()),
        "distance": float(np.abs(p - position).mean()),
    }


# -- runs -----------------------------------------------------------------------------------------


def fit_networks(
    scale: Scale, runs: Keys, *, device: str
) -> list[tuple[MixupClassifier, np.ndarray, np.ndarray]]:
    """Train a network for ``alpha`` and ``seed`` of each run, all together; give their data too."""
    draw = functools.cache(partial(make_disc_and_ring, scale.n_points))
    Xs, ys = zip(*(draw(random_state=run["seed"]) for run in runs), strict=True)
    params: dict[str, Any] = {"max_epochs": scale.max_epochs, "device": device}
    classifiers = [
        MixupClassifier(alpha=run["alpha"], random_state=run["seed"], **params) for run in runs
    ]
    fit_fused(classifiers, Xs, ys, n_jobs=1)
    return list(zip(classifiers, Xs, ys, strict=True))


def run_together(scale: Scale, runs: Keys, *, device: str) -> list[dict[str, Any]]:
    """Train the networks of some runs, and measure each on its lines."""
    results = []
    networks = fit_networks(scale, runs, device=device)
    for run, network in zip(runs, networks, strict=True):
        p = probabilities_between(*network, n_lines=N_LINES, n_steps=_N_STEPS, seed=run["seed"])
        profile = p[:: _N_STEPS // _N_PROFILE].mean(axis=1).astype(float).round(5)
        classifier, *data = network
        train_error = float(1 - classifier.score(*data))
        told = {"train_error": train_error, "profile": json.dumps(profile.tolist())}
        results.append({**measure_lines(p), **told})
    return results


def list_tasks(scale: Scale, *, device: str, versions: Mapping[str, str]) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    settings = {**versions, "n_points": scale.n_points}
    settings |= {"n_lines": N_LINES, "n_steps": _N_STEPS, "n_profile": _N_PROFILE}
    return [
        Task(
            dict(zip(KEY, (method, alpha, scale.max_epochs, seed), strict=True)),
            settings,
            partial(run_together, scale, device=device),
            group=str(seed // _SEEDS_AT_ONCE),
        )
        for seed in range(scale.n_seeds)
        for alpha in scale.alphas
        for method in ["mixup" if alpha else "ERM"]
    ]
