"""What the parts of the GAN benchmark share: a fit that may diverge, and the energy distance."""

from __future__ import annotations

import re

import numpy as np
from scipy.spatial.distance import cdist

from sklearn_mixup import MixupGAN


def fit(gan: MixupGAN, X: np.ndarray) -> int | None:
    """Fit a GAN; that it diverges is a result, not an error.

    Returns
    -------
    int or None
        The iteration at which a loss was no longer finite. The GAN is then that of its last good
        epoch, or not fitted if there was none.
    """
    try:
        gan.fit(X)
    except ValueError as error:
        if (found := re.search(r"diverged.* at iteration (\d+)", str(error))) is None:
            raise
        return int(found[1])
    return None


def energy_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """Compute the energy distance of two sets of rows, as `MixupGAN.score` does but for the sign.

    Examples
    --------
    >>> energy_distance(np.array([[0.0]]), np.array([[8.0]]))
    4.0
    """
    X, Y = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (X, Y))
    squared = 2 * cdist(X, Y).mean() - cdist(X, X).mean() - cdist(Y, Y).mean()
    return float(np.sqrt(max(squared, 0.0)))
