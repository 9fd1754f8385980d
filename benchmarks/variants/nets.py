"""The nets that some variants need: with partners of another kind, or quantiles as inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP

_NEAR_BOUND = 2e-7


# -- the partner ----------------------------------------------------------------------------------


def same_class_partner(y: Tensor, partner: Tensor, *, batch_size: int) -> Tensor:
    """Turn a permutation within each minibatch into one within each class of each minibatch.

    `y`, the class indices, and `partner` are of the rows of consecutive minibatches, shape
    (n_rows,), as is what comes out: uniform over such permutations if `partner` is. A row alone in
    its class stays alone.
    """
    minibatch = torch.arange(len(y), device=y.device) // batch_size
    group = minibatch * (y.max() + 1) + y
    rows = group.argsort(stable=True)
    shuffled = partner[group[partner].argsort(stable=True)]
    return torch.empty_like(partner).index_copy_(0, rows, shuffled)


def near_partner(
    X: Tensor, *, n_nearest: int, batch_size: int, rng: torch.Generator | None = None
) -> Tensor:
    """Draw for each row one of the `n_nearest` other rows of its minibatch, by Euclidean distance.

    `X`, shape (n_rows, n_features), are rows of consecutive minibatches; the last of them may be
    shorter. Gives a LongTensor of shape (n_rows,); a row alone in its minibatch stays alone. With
    one nearest row nothing is drawn from `rng`.
    """
    n_full = len(X) // batch_size * batch_size
    full, rest = X[:n_full].unflatten(0, (-1, batch_size)), X[n_full:].unsqueeze(0)
    parts = [_near(minibatches, n_nearest, rng) for minibatches in (full, rest)]
    starts = torch.arange(0, n_full, batch_size, device=X.device).unsqueeze(1)
    return torch.cat([(parts[0] + starts).flatten(), parts[1].flatten() + n_full])


def _near(minibatches: Tensor, n_nearest: int, rng: torch.Generator | None) -> Tensor:
    """Draw partners by their place in a minibatch, shape (n_minibatches, batch_size)."""
    n_rows = minibatches.shape[1]
    if n_rows < 2 or len(minibatches) == 0:
        return torch.zeros(minibatches.shape[:2], dtype=torch.int64, device=minibatches.device)
    # By a product of matrices distances would be quicker, but not exact where rows are close.
    distance = torch.cdist(minibatches, minibatches, compute_mode="donot_use_mm_for_euclid_dist")
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    nearest = distance.topk(min(n_nearest, n_rows - 1), largest=False).indices
    if nearest.shape[2] == 1:
        return nearest.squeeze(2)
    size = (*nearest.shape[:2], 1)
    drawn = torch.randint(nearest.shape[2], size, generator=rng, device=nearest.device)
    return nearest.gather(2, drawn).squeeze(2)


class _ChosenPartner(MixupClassifier):
    """MixupClassifier that looks at the rows of a minibatch before it pairs them."""

    def _vicinal_rows(self, X: Any, y: Any, **minibatches: Any) -> Any:
        self._seen = X, y
        try:
            return super()._vicinal_rows(X, y, **minibatches)
        finally:
            del self._seen

    def _draw_mixing(
        self, n_rows: int, batch_size: int, n_epochs: int = 1
    ) -> tuple[Tensor, Tensor]:
        lam, partner = super()._draw_mixing(n_rows, batch_size, n_epochs)
        return lam, self._choose(*self._seen, partner, batch_size)

    def _choose(self, X: Tensor, y: Tensor, partner: Tensor, batch_size: int) -> Tensor:
        raise NotImplementedError


class SameClassMixup(_ChosenPartner):
    """Each row is mixed with one of its own class, so targets stay one-hot."""

    def _choose(self, X: Tensor, y: Tensor, partner: Tensor, batch_size: int) -> Tensor:
        return same_class_partner(y, partner, batch_size=batch_size)


class NearMixup(_ChosenPartner):
    """Each row is mixed with one of the 5 nearest to it in its minibatch."""

    n_nearest = 5

    def _choose(self, X: Tensor, y: Tensor, partner: Tensor, batch_size: int) -> Tensor:
        rng = self._training_.vicinal_rng
        return near_partner(X, n_nearest=self.n_nearest, batch_size=batch_size, rng=rng)


class NearestMixup(NearMixup):
    """Each row is mixed with the one nearest to it in its minibatch."""

    n_nearest = 1


# -- the space ------------------------------------------------------------------------------------


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
