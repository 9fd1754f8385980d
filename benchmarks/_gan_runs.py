"""A fit of a GAN that may diverge, as the parts of the GAN benchmark make it."""

from __future__ import annotations

import numpy as np

from sklearn_mixup import MixupGAN
from sklearn_mixup.exceptions import DivergedError


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
    except DivergedError as error:
        return error.n_iter
    return None
