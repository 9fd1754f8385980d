"""Scores of probabilities of classes: how well they are calibrated, and their losses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from benchmarks._lab.tell import Measure

N_BINS = 15  # as Guo et al.

# Of what `measure` gives.
MEASURES = {
    "ece": Measure("ECE, %", 100, 1),
    "overconfidence": Measure("mean confidence - accuracy, % points", 100, 1, is_loss=False),
    "log_loss": Measure("log-loss, nats", 1, 3),
    "brier": Measure("Brier score", 1, 3),
    "test_error": Measure("test error, %", 100, 1),
    "ece_if_calibrated": Measure("ECE if calibrated, %", 100, 1, is_loss=False),
}


def _find_bins(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    """Find the bin of each prediction, see `bin_confidence`."""
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence)


def bin_confidence(confidence: Any, correct: Any, *, n_bins: int = N_BINS) -> pd.DataFrame:
    """Put predictions into bins of equal width by their confidence.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,), in [0, 1]
        Probability of the predicted class.
    correct : array-like of shape (n_samples,), bool
        Whether the prediction is the label.
    n_bins : int, default=15
        Bin ``m`` holds ``(m / n_bins, (m + 1) / n_bins]``, and the first one 0 too, as in
        :func:`sklearn.calibration.calibration_curve`.

    Returns
    -------
    DataFrame of `n_bins` rows
        ``n``, the predictions in a bin, and their sums ``confidence`` and ``correct``.

    Examples
    --------
    >>> bin_confidence([0.2, 0.6, 0.9], [False, True, True], n_bins=2).to_dict("list")
    {'n': [1, 2], 'confidence': [0.2, 1.5], 'correct': [0.0, 2.0]}
    """
    confidence = np.asarray(confidence, dtype=float)
    correct = np.asarray(correct, dtype=bool)
    bins = _find_bins(confidence, n_bins)
    sums = {"n": None, "confidence": confidence, "correct": correct}
    return pd.DataFrame({name: np.bincount(bins, of, n_bins) for name, of in sums.items()})


def expected_calibration_error(confidence: Any, correct: Any, *, n_bins: int = N_BINS) -> float:
    """Distance of confidence from accuracy, averaged over bins of confidence [1]_.

    ``sum(n_m / n * abs(accuracy_m - mean_confidence_m))`` over the bins ``m`` of `bin_confidence`:
    the expected calibration error of the top class, 0 at best, at most 1.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0
    >>> expected_calibration_error([1.0, 1.0, 1.0, 1.0], [True, True, True, False])
    0.25
    """
    bins = bin_confidence(confidence, correct, n_bins=n_bins)
    return float((bins["correct"] - bins["confidence"]).abs().sum() / bins["n"].sum())


def error_if_calibrated(
    confidence: Any, *, rng: np.random.Generator, n_bins: int = N_BINS, n_draws: int = 100
) -> float:
    """Draw the expected calibration error that calibrated predictions are measured to have.

    It is above 0, the more so the fewer the rows, since a share of few rows strays from its
    probability: here whether a prediction is correct is drawn with its own confidence, and the
    error is averaged over the draws.
    """
    confidence = np.asarray(confidence, dtype=float)
    bins = _find_bins(confidence, n_bins)
    correct = [
        np.bincount(bins, rng.random(len(confidence)) < confidence, n_bins) for _ in range(n_draws)
    ]
    distances = np.abs(np.array(correct) - np.bincount(bins, confidence, n_bins)).sum(axis=1)
    return float(distances.mean() / len(confidence))


def measure(probabilities: Any, y: Any, classes: Any, *, seed: int) -> dict[str, Any]:
    """Measure the probabilities that a classifier gives to the rows of a test set.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
    y : array-like of shape (n_samples,)
        Labels. One that is not in `classes` has probability 0.
    classes : array-like of shape (n_classes,)
        The class of each column, in ascending order.
    seed : int
        Of `error_if_calibrated`.

    Returns
    -------
    dict
        ``test_error``, a share; ``ece``; ``ece_if_calibrated``; ``overconfidence``, the mean
        confidence less the accuracy, in [-1, 1]; ``log_loss`` in nats, of the rows whose label is
        among `classes`, as it is infinite for others, and their number ``n_unseen``; ``brier``, the
        squared distance of the probabilities from the one-hot label, in [0, 2]; and ``bins``, the
        columns of `bin_confidence` as JSON.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # sums in float64
    y, classes = np.asarray(y), np.asarray(classes)
    confidence = probabilities.max(axis=1)
    correct = classes[probabilities.argmax(axis=1)] == y
    is_known = np.isin(y, classes)
    # scikit-learn's brier_score_loss takes more than two classes only since 1.7.
    distance = ((probabilities - (y[:, None] == classes)) ** 2).sum(axis=1) + ~is_known
    return {
        "test_error": float(1 - correct.mean()),
        "ece": expected_calibration_error(confidence, correct),
        "ece_if_calibrated": error_if_calibrated(confidence, rng=np.random.default_rng(seed)),
        "overconfidence": float(confidence.mean() - correct.mean()),
        "log_loss": float(log_loss(y[is_known], probabilities[is_known], labels=classes)),
        "brier": float(distance.mean()),
        "n_unseen": int((~is_known).sum()),
        "bins": bin_confidence(confidence, correct).round(6).to_json(orient="values"),
    }


def read_bins(texts: Any) -> pd.DataFrame:
    """Add up the bins of several runs, as ``measure`` wrote them."""
    sums = np.sum([json.loads(text) for text in texts], axis=0)
    return pd.DataFrame(sums, columns=["n", "confidence", "correct"])
