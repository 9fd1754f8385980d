"""What is said of rows that were left out tells which candidates to trust, and how far."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar, nnls
from scipy.special import log_softmax

# A probability of 0 in float32 is no certainty.
TINY = 1e-12
# What is held of candidates beforehand is worth so many rows.
N_PRIOR = 10.0
# Shares below that are not worth their time.
SMALLEST = 0.02
# Numbers in float32 are no nearer to each other.
_LEAST_VARIANCE = 1e-12
# Shares are found when a step changes none by more, or after so many steps.
_SETTLED, _N_STEPS = 1e-6, 1000
# Temperatures outside of these are the noise of few rows.
_COLDEST, _HOTTEST = 0.5, 2.0
# How far the logarithm of a temperature is from 0, typically. Few rows, by which epochs and
# settings were chosen already, ask for probabilities that are too sure.
_SPREAD = 0.3


def log_loss(probabilities: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    """Compute the weighted mean of -log p of the class that each row has."""
    own = np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0]
    return float(-weight @ np.log(np.clip(own, TINY, None)) / weight.sum())


def weigh(
    probabilities: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    prior: np.ndarray,
    n_prior: float = N_PRIOR,
) -> np.ndarray:
    """Find how far to trust each candidate: the likeliest shares of a mean of probabilities.

    They maximise the log score of the mean on the rows [1]_, under a Dirichlet prior which is worth
    `n_prior` rows: so few rows leave the shares near `prior`, and many rows decide for themselves.
    Found by the EM algorithm for the proportions of a mixture, which raises it at each step [2]_.

    Parameters
    ----------
    probabilities : ndarray of shape (n_candidates, n_rows, n_classes)
        What each candidate says of rows that it did not train on.
    codes : ndarray of shape (n_rows,), int
        The place of each row's class.
    weight : ndarray of shape (n_rows,)
        Weights of the rows, >= 0.
    prior : ndarray of shape (n_candidates,)
        Their shares before any row is seen, > 0; they sum to 1.
    n_prior : float
        How many rows that is worth, >= 0.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Shares that sum to 1. Those below `SMALLEST` are 0.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson, Gelman, "Using Stacking to Average Bayesian Predictive
       Distributions", Bayesian Analysis 2018, Section 3.1.
    .. [2] Dempster, Laird, Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm",
       JRSS B 1977, Section 4.3.
    """
    prior = np.asarray(prior)
    own = np.clip(np.asarray(probabilities)[:, np.arange(len(codes)), codes], TINY, None)
    # So many rows of the same weight tell as much.
    counts = weight * weight.sum() / (weight**2).sum()
    shares = prior
    for _ in range(_N_STEPS):
        joint = shares[:, None] * own
        found = (joint / joint.sum(axis=0)) @ counts + n_prior * prior
        shares, before = found / found.sum(), shares
        if np.abs(shares - before).max() < _SETTLED:
            break
    return _drop_smallest(shares)


def heat(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature: above 1 they are less sure."""
    return np.exp(log_softmax(np.log(np.clip(probabilities, TINY, None)) / temperature, axis=1))


def find_temperature(probabilities: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    """Find the temperature that rows and what is known before them make likeliest."""
    # So many rows of the same weight tell as much.
    n_rows = weight.sum() ** 2 / (weight**2).sum()

    def tell_loss(log_t: float) -> float:
        prior = 0.5 * (log_t / _SPREAD) ** 2
        return log_loss(heat(probabilities, np.exp(log_t)), codes, weight) + prior / n_rows

    bounds = np.log(_COLDEST), np.log(_HOTTEST)
    return float(np.exp(minimize_scalar(tell_loss, bounds=bounds, method="bounded").x))


def squared_error(numbers: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Compute the weighted mean of (number - y)**2 of each column."""
    return weight @ (numbers - y) ** 2 / weight.sum()


def weigh_numbers(
    numbers: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    prior: np.ndarray,
    n_prior: float = N_PRIOR,
) -> np.ndarray:
    """Find how far to trust each candidate: the likeliest shares of a mean of numbers.

    The rows are taken to scatter about the mean, normally and with a variance v, as stacking has it
    [1]_; the shares are under a normal prior, which has the mean and the spread of the Dirichlet
    prior of :func:`weigh`. So they minimise, among shares >= 0 that sum to 1::

        n_rows / v * error(shares) + n_prior * sum((shares - prior)**2 / prior)

    where ``error`` is the squared error of their mean, the mean over rows and columns, and v is the
    least error of any shares for each row, and that of `prior` for `n_prior` more. Both are found
    exactly, by a non-negative least-squares fit.

    Parameters
    ----------
    numbers : ndarray of shape (n_candidates, n_rows, n_outputs)
        What each candidate says of rows that it did not train on.
    y : ndarray of shape (n_rows, n_outputs)
        The numbers of the rows, each column standardised.
    weight : ndarray of shape (n_rows,)
        Weights of the rows, >= 0.
    prior : ndarray of shape (n_candidates,)
        Their shares before any row is seen, > 0; they sum to 1.
    n_prior : float
        How many rows that is worth, >= 0.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Shares that sum to 1. Those below `SMALLEST` are 0.

    References
    ----------
    .. [1] Breiman, "Stacked Regressions", Machine Learning 1996, Section 2.
    """
    prior = np.asarray(prior)
    # So many rows of the same weight tell as much.
    n_rows = weight.sum() ** 2 / (weight**2).sum()
    apart = (np.asarray(numbers) - y) * np.sqrt(weight / weight.sum() / y.shape[1])[:, None]
    # error(shares) is |errors @ shares|**2, with a row for each candidate.
    errors = np.asarray(np.linalg.qr(apart.reshape(len(prior), -1).T, mode="r"))
    least, before = (((errors @ own) ** 2).sum() for own in (_minimise(errors), prior))
    variance = max((n_rows * least + n_prior * before) / (n_rows + n_prior), _LEAST_VARIANCE)
    from_prior = np.sqrt(n_prior / prior)[:, None] * (np.eye(len(prior)) - prior[:, None])
    return _drop_smallest(_minimise(np.vstack([np.sqrt(n_rows / variance) * errors, from_prior])))


def _minimise(A: np.ndarray) -> np.ndarray:
    """Find the shares >= 0 that sum to 1 and have the least ``|A @ shares|``."""
    # Of multiples c of shares, c**2 * |A @ shares|**2 + (c - 1)**2 is least for the same shares.
    A = np.vstack([A / max(np.abs(A).max(), np.finfo(float).tiny), np.ones(A.shape[1])])
    found, _ = nnls(A, np.eye(len(A))[-1])
    return found / found.sum()


def _drop_smallest(shares: np.ndarray) -> np.ndarray:
    """Leave out what is not worth its time."""
    shares = np.where(shares < min(SMALLEST, shares.max()), 0.0, shares)
    return shares / shares.sum()
