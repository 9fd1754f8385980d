"""The runs of regression: a method on a split of a table, its numbers measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._data.tables import load_table
from benchmarks._lab.methods.method import Budget
from benchmarks._lab.methods.runs import fit_and_score
from benchmarks.regression.methods import METHODS


def run_method(
    name: str, method: str, split: int, *, budget: Budget, device: str, data_home: str | None
) -> dict[str, Any]:
    """Fit a method on the training rows of a split, and measure it on its test rows."""
    table = load_table(name, data_home)
    options: dict[str, Any] = {"predict": "predict", "budget": budget, "device": device}
    return fit_and_score(table, METHODS, method, split, score, **options)


def score(estimator: Any, predictions: np.ndarray, y: np.ndarray, split: int) -> dict[str, float]:
    """Measure predictions.

    ``rmse`` and ``mae`` are in units of `y`, ``rmse_sd`` and ``mae_sd`` in standard deviations of
    the test rows, ``y_sd``; so ``r2`` is ``1 - rmse_sd ** 2``, and the mean has a ``rmse_sd`` of 1
    or a little more.
    """
    errors = np.asarray(predictions, dtype=float).reshape(y.shape) - y
    rmse, mae, deviation = np.sqrt(np.mean(errors**2)), np.abs(errors).mean(), y.std()
    measured = {
        "rmse": rmse,
        "mae": mae,
        "rmse_sd": rmse / deviation,
        "mae_sd": mae / deviation,
        "r2": 1 - (rmse / deviation) ** 2,
        "y_sd": deviation,
    }
    return {name: float(value) for name, value in measured.items()}
