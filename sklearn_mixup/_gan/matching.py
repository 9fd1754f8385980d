"""What samples of a table should have in common with it on average, whatever a discriminator sees.

Feature matching [1]_, with features that are known: the share of each word and gap, the mean and
the spread of each number, given the class.

References
----------
.. [1] Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, Section 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_mixup._gan.classes import tell_classes
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup.minibatches import peel

# Features that vary less than that count less: what is rarer is hardly in a minibatch.
_LEAST_SPREAD = 0.01


class Matching:
    """The squared distance of means, of samples and of a table, over features and classes.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, width)
        The table, encoded.
    y : Tensor of shape (n_rows, n_classes)
        Their classes, zeros and a one; a column of ones if there are none.
    n_numbers : int
        How many numbers stand first in a row.
    """

    def __init__(self, rows: Tensor, y: Tensor, n_numbers: int) -> None:
        self.n_numbers = n_numbers
        features = self._features(rows)
        n_of_class = y.sum(0).clamp_min(1)
        self.means = (y.T @ features) / n_of_class.unsqueeze(1)
        self.spread = features.std(0, correction=0).clamp_min(_LEAST_SPREAD)
        self.shares = n_of_class / len(y)

    def __call__(self, rows: Tensor, y: Tensor | None) -> Tensor:
        """Estimate the distance from samples and their classes; without bias, so it may be < 0.

        A square of a mean of few rows has the variance of that mean in it, which would be made
        smaller by samples that are all alike. The product of the means of two halves has not.
        """
        y = rows.new_ones(len(rows), 1) if y is None else y
        gaps = (self._features(rows) - y @ self.means) / self.spread
        halves = [(y[i::2].T @ gaps[i::2]) / max(len(gaps[i::2]), 1) for i in (0, 1)]
        return (halves[0] * halves[1] / self.shares.unsqueeze(1)).sum(0).mean()

    def _features(self, rows: Tensor) -> Tensor:
        """Put the squares of numbers beside rows."""
        return torch.cat([rows, rows[:, : self.n_numbers].square()], dim=1)


def make_matching(gan: Any, dataset: Dataset) -> Matching | None:
    """Learn what a data set to train on has on average; None if it is no table."""
    codec = getattr(gan, "_codec_", None)
    if not isinstance(codec, TableCodec) or not gan.matching:
        return None
    base, rows = peel(dataset)
    at = slice(None) if rows is None else rows
    X = gan._to_device(base.X[at])
    y = None if base.y is None else tell_classes(gan, np.asarray(base.y)[at], X.dtype, X.device)
    return Matching(X, X.new_ones(len(X), 1) if y is None else y, codec.n_numbers)
