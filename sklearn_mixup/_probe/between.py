"""Points between random pairs of rows, whatever the rows are kept in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from sklearn_mixup._net.tables import take
from sklearn_mixup._probe.rows import Rows
from sklearn_mixup.vicinal import mix_with

# -- checks ---------------------------------------------------------------------------------------


def check_lam(lam: Any) -> np.ndarray:
    """Check the weights of the first row of a pair; None is 21 even steps from 0 to 1."""
    if lam is None:
        return np.linspace(0.0, 1.0, 21)
    if isinstance(lam, Tensor):
        lam = lam.detach().cpu()
    weights = np.asarray(lam, dtype=float)
    if weights.ndim != 1 or len(weights) == 0:
        raise ValueError(
            f"`lam` must be a list of weights, shape (n_lam,); got {lam!r}. Write lam=[0.5] for a "
            "single one."
        )
    if not ((weights >= 0) & (weights <= 1)).all():  # not so for NaN either
        raise ValueError(f"`lam` must hold weights in [0, 1]; got {weights.tolist()}.")
    return weights


# -- pairs and points -----------------------------------------------------------------------------


def draw_pairs(n_rows: int, n_pairs: int, random_state: Any) -> np.ndarray:
    """Draw independent ordered pairs of two different rows, all equally likely."""
    if n_rows < 2:
        raise ValueError(f"X must have at least two rows to look between; got {n_rows}.")
    # None is a seed that nobody knows, not the global generator: that is left alone.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    first = rng.randint(n_rows, size=n_pairs)
    second = (first + rng.randint(1, n_rows, size=n_pairs)) % n_rows
    return np.stack([first, second], axis=1)


def points_between(
    rows: Rows, pairs: np.ndarray, lam: np.ndarray, batch_size: int
) -> Iterator[tuple[int, slice, Any]]:
    """Yield the place of a lam, some pairs, and their points ``lam * first + (1 - lam) * second``.

    Yields
    ------
    place : int
        Which entry of `lam`.
    some : slice
        Which of `pairs`.
    points : ndarray, Tensor or dict of them, of shape (n_some, ...)
        As `rows` are; memory of their own, never that of `rows`.
    """
    for start in range(0, len(pairs), batch_size):
        some = slice(start, start + batch_size)
        first, second = (take(rows, places) for places in pairs[some].T)
        for place, weight in enumerate(lam.tolist()):
            yield place, some, _mix(first, second, weight)


def _mix(first: Any, second: Any, lam: float) -> Any:
    """Mix rows of any kind."""
    if isinstance(first, Mapping):
        return {name: _mix(part, second[name], lam) for name, part in first.items()}
    if isinstance(first, Tensor):
        return mix_with(first, second, lam=lam)
    return mix_with(torch.from_numpy(first), torch.from_numpy(second), lam=lam).numpy()


def summarise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard error over the pairs, of values of shape (n_lam, n_pairs)."""
    n_pairs = values.shape[1]
    if n_pairs == 1:
        return values.mean(axis=1), np.full(len(values), np.nan)
    return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n_pairs)
