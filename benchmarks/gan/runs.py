"""What the runs of all parts share: their key, what lets a GAN settle, a fit, and names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_mixup import MixupGAN
from sklearn_mixup.exceptions import DivergedError

KEY = ("part", "data", "setting", "method", "alpha", "seed")

# Of the GANs of digits and tables: one step of the discriminator, and an Adam that forgets its
# direction at once, are what kept the toys stable too.
SETTINGS: Mapping[str, Any] = {
    "n_discriminator_steps": 1,
    "batch_size": 64,
    "lr": 1e-3,
    "average": 0.0,
    "optimizer_generator__betas": (0.0, 0.99),
    "optimizer_discriminator__betas": (0.0, 0.99),
}


def make_key(
    part: str, data: str, setting: str, *, alpha: float, seed: int, method: str | None = None
) -> dict[str, Any]:
    """Tell a run from the others; `method` None is a GAN of that alpha."""
    method = method or ("mixup" if alpha else "ERM")
    return dict(zip(KEY, (part, data, setting, method, alpha, seed), strict=True))


def name_gan(alpha: float) -> str:
    """Name a GAN for readers."""
    return f"mixup GAN, alpha {alpha:g}" if alpha else "ordinary GAN"


def fit(gan: MixupGAN, X: np.ndarray) -> tuple[int | None, float]:
    """Fit a GAN; that it diverges is a result, not an error.

    Returns the iteration at which a loss was no longer finite, or None, and the seconds. A GAN
    that diverged is that of its last good epoch, or not fitted if there was none.
    """
    start, diverged_at = time.perf_counter(), None
    try:
        gan.fit(X)
    except DivergedError as error:
        diverged_at = error.n_iter
    return diverged_at, time.perf_counter() - start
