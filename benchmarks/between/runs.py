"""The runs of Figure 2: networks for small pictures, measured between these."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks._data.pictures import PictureSet
from benchmarks._lab.pictures import USUAL_PACE, Pace, Training, list_tasks, train
from benchmarks._lab.runs import Task
from benchmarks._nets.recipes import CIFAR_RECIPES
from benchmarks.between.report import column
from sklearn_mixup.inspection import gradient_norm_between, miss_rate_between

FAMILY = "preact_resnet18"
_MEASURED = ("n_lam", "n_pairs", "n_gradients", "n_jacobians")


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run; `max_epochs` None is the paper's.

    `n_pairs` is for misses, `n_gradients` for the gradients of the loss, `n_jacobians` for those of
    the logits, which take as many backward passes as there are classes.
    """

    n_seeds: int
    data: str
    width: int
    max_epochs: int | None
    n_lam: int
    n_pairs: int
    n_gradients: int
    n_jacobians: int
    n_rows: int | None = None  # to train on; None is all
    pace: Pace = USUAL_PACE


def run_one(
    scale: Scale, training: Training, alpha: float, seed: int, **options: Any
) -> dict[str, Any]:
    """Train one network and measure it between the pictures; `seed` draws the pairs too."""
    classifier, loaded, results = train(training, alpha, seed, **options)
    start = time.perf_counter()
    (X, y), (X_test, y_test) = loaded.train, loaded.test
    train_rows, test_rows = (X.to(X_test.device), y.numpy()), (X_test, y_test.numpy())
    measured = measure(classifier, train_rows, test_rows, scale=scale, seed=seed)
    kept = ("data_name", "test_error", "test_curve", "train_loss", "fit_time_s")
    return {
        **{name: results[name] for name in kept},
        **measured,
        "measure_time_s": round(time.perf_counter() - start, 2),
        **{name: results[name] for name in ("n_train", "n_test")},
        **training.pace.settings,
    }


def measure(
    classifier: Any, train: tuple[Any, Any], test: tuple[Any, Any], *, scale: Scale, seed: int
) -> dict[str, float]:
    """Measure misses and norms; a number for each measure and lam, named by `column`."""
    lam = np.linspace(0, 1, scale.n_lam)
    common: dict[str, Any] = {"lam": lam, "random_state": seed}
    norms = partial(gradient_norm_between, classifier, *train, **common)
    curves = {
        "train_misses": miss_rate_between(classifier, *train, n_pairs=scale.n_pairs, **common),
        "test_misses": miss_rate_between(classifier, *test, n_pairs=scale.n_pairs, **common),
        "loss_gradient": norms(n_pairs=scale.n_gradients),
        "logit_gradient": norms(n_pairs=scale.n_jacobians, of="output", batch_size=64),
    }
    measured = {"train_error": 1 - classifier.score(*train)}
    for name, curve in curves.items():
        values = curve["miss_rate" if "miss_rate" in curve else "gradient_norm"]
        for weight, value in zip(lam, values, strict=True):
            measured[column(name, weight)] = float(value)
    return measured


def plan_runs(scale: Scale, pictures: PictureSet, *, alpha: float, **options: Any) -> list[Task]:
    """List the runs: ERM, and mixup with `alpha`; options are those of `list_tasks`."""
    training = Training(
        pictures,
        FAMILY,
        CIFAR_RECIPES[FAMILY].shortened(scale.max_epochs),
        {"width": scale.width},
        {name: getattr(scale, name) for name in _MEASURED},
        scale.pace,
    )
    run = partial(run_one, scale)
    return list_tasks([training], alphas=(0.0, alpha), n_seeds=scale.n_seeds, run=run, **options)
