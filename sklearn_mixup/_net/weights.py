"""The weights of rows and classes in a training: visits where they count rows, else weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sklearn_mixup._net.session import Training

# An epoch never gets longer than this times the table by weights that count as repeats.
_MAX_REPEATS = 10


@dataclass
class WeightedTraining(Training):
    """A training with weights of rows and classes."""

    sample_weight: np.ndarray | None = None
    class_weight: np.ndarray | None = None
    # Of the minibatch that a loader yielded last, on the host, if nobody knows the classes.
    codes: Any = None
    # Whether its module was seen to return what the criterion takes, where that is no logits.
    knows_range: bool = False

    @property
    def weighted(self) -> bool:
        """Whether rows or classes have weights."""
        return self.sample_weight is not None or self.class_weight is not None


def weigh(
    training: WeightedTraining, rows: np.ndarray, y: Tensor
) -> tuple[np.ndarray, np.ndarray | None]:
    """Find the rows to visit, and the weight of every row of the data set, if any.

    A row whose weight is a whole number is visited that many times, just as if it stood in the
    table that often. Any other weight is a weight of the loss.
    """
    sample_weight, class_weight = training.sample_weight, training.class_weight
    weight = None
    if sample_weight is not None:
        chosen = sample_weight[rows]
        # The bound keeps weights in the thousands from making an epoch that much longer.
        if (chosen == np.rint(chosen)).all() and (chosen / len(rows)).sum() <= _MAX_REPEATS:
            rows = np.repeat(rows, chosen.astype(np.intp))
        else:
            weight = sample_weight
    if class_weight is not None:
        codes = y.cpu().numpy()
        by_class = class_weight[codes] if codes.ndim == 1 else codes @ class_weight
        weight = by_class if weight is None else weight * by_class
    if weight is None:
        return rows, None
    rows = rows[weight[rows] > 0]
    if len(rows) == 0:
        raise ValueError(
            "At least one row must have a weight > 0; got rows whose `sample_weight` times "
            "`class_weight` are all 0."
        )
    # Their scale does not matter to the objective, but it would to float32.
    weight = weight / weight[rows].max()
    return rows, weight / weight[rows].mean()
