"""The net that some variants need: its inputs are quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup.modules import MLP

_NEAR_BOUND = 2e-7


class QuantileMLP(MLP):
    """MLP that is given normal quantiles in some columns and turns them back into values first.

    `quantiles`, shape (n_quantiles, n_columns), are the ``quantiles_`` of the `QuantileTransformer`
    that made these columns: evenly spaced quantiles of each. Between them values are interpolated,
    beyond them they end.
    """

    columns: Tensor
    quantiles: Tensor

    def __init__(
        self, n_features: int, n_classes: int, columns: Sequence[int], quantiles: Any
    ) -> None:
        super().__init__(n_features, n_classes)
        self.register_buffer("columns", torch.as_tensor(columns))
        dtype = self.output.weight.dtype
        self.register_buffer("quantiles", torch.as_tensor(quantiles, dtype=dtype))

    def values(self, X: Tensor) -> Tensor:
        """Turn normal quantiles, shape (batch_size, n_columns), into values."""
        last = len(self.quantiles) - 1
        share = torch.special.ndtr(X)
        # QuantileTransformer stops 1e-7 short of infinity at the smallest and largest value.
        share = torch.where(share < _NEAR_BOUND, 0, torch.where(share > 1 - _NEAR_BOUND, 1, share))
        place = share * last
        below = place.detach().floor().clamp(max=last - 1)
        lower = self.quantiles.gather(0, below.long())
        upper = self.quantiles.gather(0, below.long() + 1)
        return lower.lerp(upper, place - below)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        values = self.values(X.index_select(1, self.columns))
        return super().forward(X.index_copy(1, self.columns, values))
