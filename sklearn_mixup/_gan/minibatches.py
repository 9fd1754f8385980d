"""The minibatches of a GAN: rows for whole iterations at once, each with the lam of its mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from torch import Tensor

from sklearn_mixup._engine.draws import draw_lam_of_rows
from sklearn_mixup._gan.classes import has_classes
from sklearn_mixup._net.loading import no_minibatch
from sklearn_mixup._net.session import count_rows
from sklearn_mixup.minibatches import Minibatches, Rows, augmented, bytes_per_row


def cut_table(
    gan: Any, resident: tuple[Rows, Rows], rows: np.ndarray | None, kwargs: dict[str, Any]
) -> Minibatches:
    """Gather the minibatches of many iterations at once, of rows that live on the device.

    `rows` are those to train on, None all of them; `kwargs` are told to the iterator.
    """
    X, codes = resident
    X = _make_floating(gan, X)
    codes = codes if has_classes(gan) else _no_codes(X)
    n_rows = len(X) if rows is None else len(rows)
    batch_size = count_rows(kwargs.pop("batch_size"), range(n_rows))
    n_round = batch_size * int(gan.n_discriminator_steps)
    training = gan._training_
    n_rounds = gan.iter_per_epoch
    if training.n_iter is not None:
        n_rounds = min(n_rounds, training.n_iter)
    return Minibatches(
        X,
        codes,
        batch_size=n_round,
        n_visits=n_round * n_rounds,
        order=None if rows is None else torch.as_tensor(rows, device=gan.device),
        rng=training.shuffle_stream,
        transform=partial(_with_lam, gan, batch_size=batch_size),
        # A row, its sample, their mixture and the last; and lam, drawn in float64.
        row_bytes=4 * bytes_per_row(X) + 64,
        **{"shuffle": True, **kwargs},
    )


def join_minibatches(gan: Any, loader: Any, augment: Any) -> Rounds:
    """Join minibatches of a loader to those of an iteration."""

    def read(minibatch: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        X, codes = unpack_data(minibatch)
        X = _make_floating(gan, gan._to_device(X))
        codes = gan._to_device(codes) if has_classes(gan) else _no_codes(X)
        return _with_lam(gan, augmented(X, augment), codes, batch_size=len(X))

    n_minibatches, n_rounds = int(gan.n_discriminator_steps), gan.iter_per_epoch
    return Rounds(loader, read, n_minibatches=n_minibatches, n_rounds=n_rounds)


def _make_floating(gan: Any, X: Tensor) -> Tensor:
    """Let whole numbers of a data set be mixed."""
    return X if X.is_floating_point() else X.to(gan._module_dtype())


def _no_codes(X: Tensor) -> Tensor:
    """Stand in for the classes of rows that have none."""
    return torch.zeros(1, dtype=torch.long, device=X.device).expand(len(X))


def _with_lam(
    gan: Any, X: Tensor, codes: Tensor, *, batch_size: int
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Draw the weight of every row of data, to stand beside its class."""
    if gan.alpha == 0:
        return X, (X.new_ones(len(X)), codes)
    (lam,) = draw_lam_of_rows([gan], len(X), batch_size)
    return X, (lam.to(X.dtype), codes)


class Rounds:
    """Rounds of several minibatches of a loader, joined; the loader starts over when it ends.

    ``read(minibatch) -> (X, (lam, codes))`` puts a minibatch on the device. A round is ``X, (lam,
    codes, sizes)``: the last minibatch of the loader may be short, so the sizes of those joined are
    told.
    """

    def __init__(
        self,
        loader: Any,
        read: Callable[[Any], tuple[Tensor, tuple[Tensor, Tensor]]],
        *,
        n_minibatches: int,
        n_rounds: int,
    ) -> None:
        self.loader = loader
        self.read = read
        self.n_minibatches = n_minibatches
        self.n_rounds = n_rounds
        self._minibatches: Iterator[Any] = iter(())

    def __len__(self) -> int:
        """Return the number of rounds in an epoch."""
        return self.n_rounds

    def _next(self) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read the next minibatch, of this pass over the loader or another."""
        for minibatch in self._minibatches:
            return self.read(minibatch)
        self._minibatches = iter(self.loader)
        for minibatch in self._minibatches:
            return self.read(minibatch)
        raise no_minibatch(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor, list[int]]]]:
        """Yield the rounds of one epoch."""
        for _ in range(self.n_rounds):
            Xs, others = zip(*(self._next() for _ in range(self.n_minibatches)), strict=True)
            lams, codes = zip(*others, strict=True)
            yield torch.cat(Xs), (torch.cat(lams), torch.cat(codes), [len(X) for X in Xs])
