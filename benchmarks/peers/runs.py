"""The runs of peers: a method on a split of a table, its probabilities measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks._data.tables import load_table
from benchmarks._lab.methods.method import Budget
from benchmarks._lab.methods.runs import fit_and_score
from benchmarks._lab.scores import measure
from benchmarks.peers.methods import METHODS


def run_method(
    name: str, method: str, split: int, *, budget: Budget, device: str, data_home: str | None
) -> dict[str, Any]:
    """Fit a method on the training rows of a split, and measure it on its test rows."""
    table = load_table(name, data_home)
    options: dict[str, Any] = {"predict": "predict_proba", "budget": budget, "device": device}
    return fit_and_score(table, METHODS, method, split, score, **options)


def score(estimator: Any, probabilities: np.ndarray, y: np.ndarray, split: int) -> dict[str, Any]:
    """Measure probabilities; ``roc_auc`` is there where two classes are."""
    classes = estimator.classes_
    measured = measure(probabilities, y, classes, seed=split)
    del measured["bins"]  # reliability curves are in the benchmark calibration
    is_binary = len(classes) == 2
    roc_auc = roc_auc_score(y == classes[1], probabilities[:, 1]) if is_binary else None
    return {**measured, "roc_auc": roc_auc}
