"""What probabilities of rows that a net did not train on tell: which settings to trust, how far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

# A probability of 0 in float32 is no certainty.
_TINY = 1e-12
# A choice among settings goes on for so many draws at most.
_N_DRAWS = 25
# Temperatures outside of these are the noise of few rows.
_COLDEST, _HOTTEST = 0.5, 2.0
# How far the logarithm of a temperature is from 0, typically. Few rows, by which epochs and
# settings were chosen already, ask for probabilities that are too sure.
_SPREAD = 0.3


def log_loss(probabilities: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    """Compute the weighted mean of -log p of the class that each row has."""
    own = np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0]
    return float(-weight @ np.log(np.clip(own, _TINY, None)) / weight.sum())


def choose(
    probabilities: Sequence[np.ndarray], codes: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Choose settings with replacement, each time what helps most, until that is best [1]_.

    Parameters
    ----------
    probabilities : list of ndarray of shape (n_rows, n_classes)
        What the nets of each setting say of rows that they did not train on.
    codes : ndarray of shape (n_rows,), int
        The place of each row's class.
    weight : ndarray of shape (n_rows,)
        Weights of the rows, >= 0.

    Returns
    -------
    ndarray of shape (n_settings,)
        The share of each setting in the mean that has the lowest log-loss; they sum to 1.

    References
    ----------
    .. [1] Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models",
       ICML 2004.
    """
    total: np.ndarray | float = 0.0
    drawn: list[int] = []
    losses: list[float] = []
    for n_drawn in range(1, _N_DRAWS + 1):
        found = [log_loss((total + each) / n_drawn, codes, weight) for each in probabilities]
        drawn.append(int(np.argmin(found)))
        losses.append(found[drawn[-1]])
        total = total + probabilities[drawn[-1]]
    best = drawn[: int(np.argmin(losses)) + 1]
    return np.bincount(best, minlength=len(probabilities)) / len(best)


def heat(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature: above 1 they are less sure."""
    return np.exp(log_softmax(np.log(np.clip(probabilities, _TINY, None)) / temperature, axis=1))


def find_temperature(probabilities: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    """Find the temperature that rows and what is known before them make likeliest."""
    # So many rows of the same weight tell as much.
    n_rows = weight.sum() ** 2 / (weight**2).sum()

    def tell_loss(log_t: float) -> float:
        prior = 0.5 * (log_t / _SPREAD) ** 2
        return log_loss(heat(probabilities, np.exp(log_t)), codes, weight) + prior / n_rows

    bounds = np.log(_COLDEST), np.log(_HOTTEST)
    return float(np.exp(minimize_scalar(tell_loss, bounds=bounds, method="bounded").x))
