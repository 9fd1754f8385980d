"""The steps of a net that nobody watches: loss, gradient and update.

They work on the module's own parameters and the optimizer's own state, as these are when the steps
are made: anew after each epoch in whose end a callback may have changed anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import itemgetter, methodcaller
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sklearn_mixup._engine.capture import ChunkedSteps
from sklearn_mixup._engine.stack import describe, host_random_states, mlp_backward, view_layers
from sklearn_mixup._engine.update import RatesOnDevice, Update
from sklearn_mixup._net.listening import list_decays, only_looks
from sklearn_mixup._net.losses import written_loss
from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup._net.targets import PREPARED, mix_targets
from sklearn_mixup.minibatches import Minibatches, cut_rows, list_tensors, map_tensors

# So many rows, of numbers of 4 bytes or more, end with a cache line.
_ALIGNED_ROWS = 16


class Steps:
    """The steps of a net whose module may be any: its gradient by autograd."""

    def __init__(self, net: Any, iterator: Minibatches) -> None:
        self.net = net
        self.iterator = iterator
        self.decays = list_decays(net)
        self.updates = [Update(getattr(net, name + "_")) for name in net._optimizers]
        # Of epochs to come, the minibatches of those that have been made; and those that have not.
        self.ahead: Iterator[Iterable[Any]] = iter(())
        self.n_ahead, self.n_unmade = 0, net._training_.n_planned

    @property
    def sizes(self) -> list[int]:
        """The rows of each minibatch of an epoch."""
        return self.iterator.sizes

    def runs(self, iterator: Minibatches) -> Iterator[tuple[Any, Any, int]]:
        """Yield the runs of minibatches of an epoch, as `take` takes them, with their size."""
        for X, y, n_rows in iterator.runs():
            yield *self.prepare(X, y, n_rows), n_rows
            del X, y

    def prepare(self, X: Any, y: Any, n_rows: int, n_epochs: int = 1) -> tuple[Any, Any]:
        """Bring rows of minibatches of `n_rows` into the form that `take` takes."""
        return X, y

    def minibatches(self) -> Iterator[Any]:
        """Yield the minibatches of an epoch, in the form that `take` takes."""
        if self.n_ahead == 0:
            self.n_ahead = self._make_ahead()
        if self.n_ahead > 0:
            self.n_ahead -= 1
            yield from next(self.ahead)
            return
        for X, y, n_rows in self.runs(self.iterator):
            yield from self.cut((X, y), n_rows)
            del X, y  # or the next run would be made beside this one

    def cut(self, rows: tuple[Any, Any], n_rows: int) -> Iterable[Any]:
        """Cut a run of minibatches of `n_rows`, the last of which may be shorter."""
        return cut_rows(methodcaller("split", n_rows), rows)

    def cut_epochs(self, rows: tuple[Any, Any], n_epochs: int) -> Iterator[Iterable[Any]]:
        """Cut epochs, of one run of minibatches each."""
        sizes = self.iterator.sizes
        pieces = cut_rows(partial(_cut_epochs, sizes=sizes, n_epochs=n_epochs), rows)
        return (pieces[k : k + len(sizes)] for k in range(0, len(pieces), len(sizes)))

    def _make_ahead(self) -> int:
        """Make the minibatches of some small epochs, if nobody acts between them; count those."""
        net, iterator = self.net, self.iterator
        n_epochs = 1
        if self.n_unmade > 1 and is_left_alone(net):
            n_epochs = net._count_alike(iterator.count_ahead(self.n_unmade))
        self.n_unmade -= n_epochs
        if n_epochs == 1:
            return 0
        self.ahead = iter(())  # or those before would lie beside these
        X, y = iterator.epochs(n_epochs)
        rows = self.prepare(X, y, iterator.n_copies * iterator.batch_size, n_epochs)
        self.ahead = self.cut_epochs(rows, n_epochs)
        return n_epochs

    def close(self) -> None:
        """Let go of what is of no more use after the training."""

    def take(self, batch: tuple[Any, Any]) -> list[Tensor]:
        """Take a step on a minibatch, by its learning rate; list its loss."""
        for decay in self.decays:
            decay.on_batch_begin(self.net, training=True)
        return [self.step(batch)]

    def step(self, batch: tuple[Any, Any]) -> Tensor:
        """Take a step on a minibatch; return its loss."""
        X, y = batch
        net = self.net
        net._zero_grad_optimizer()
        loss = net.get_loss(net.infer(X), y, X=X, training=True)
        if (scaler := net._training_.scaler) is None:
            loss.backward()
            for update in self.updates:
                update()
        else:
            scaler.scale(loss).backward()
            for update in self.updates:
                update.scaled(scaler)
            scaler.update()
        # Without its graph, which would keep what belongs to the stream of this step alive.
        return loss.detach()


def _cut_epochs(rows: Tensor, *, sizes: list[int], n_epochs: int) -> list[Tensor]:
    """Cut epochs into minibatches, each epoch beginning where memory of its own would.

    Products and sums are rounded otherwise where rows lie otherwise to a cache line.
    """
    n_rows = sum(sizes)
    n_room = -(-n_rows // _ALIGNED_ROWS) * _ALIGNED_ROWS
    room = rows.new_empty(n_epochs, n_room, *rows.shape[1:])
    room[:, :n_rows] = rows.unflatten(0, (n_epochs, n_rows))
    pieces = room.flatten(0, 1).split([*sizes, n_room - n_rows] * n_epochs)
    return [piece for k, piece in enumerate(pieces, 1) if k % (len(sizes) + 1)]


class WrittenSteps(Steps):
    """The steps of an MLP by a loss whose gradient is written out."""

    def __init__(self, net: Any, iterator: Minibatches) -> None:
        module = net.module_
        layers = [*module.hidden, module.output]
        for parameter in module.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        super().__init__(net, iterator)
        self.loss: Any = written_loss(net)
        self.p_dropout = module.dropout.p
        self.widths = [layer.out_features for layer in module.hidden]
        params = [layer.weight for layer in layers], [layer.bias for layer in layers]
        # Detached: a step on them leaves no graph.
        own = ([param.detach() for param in part] for part in params)
        self.layers = view_layers(*own, *([param.grad for param in part] for part in params))

    def prepare(self, X: Any, y: Any, n_rows: int, n_epochs: int = 1) -> tuple[Any, Any]:
        """Turn targets into what the gradient of the loss takes."""
        if not isinstance(y, PREPARED):
            y = mix_targets(self.net, y, None, None, n_rows, n_epochs)
        return X.flatten(1), self.cut_targets(y.rows)

    def cut_targets(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Cut targets into the parts that the gradient takes."""
        return self.loss.cut(rows)

    def step(self, batch: tuple[Tensor, Any]) -> Tensor:
        """Take a step on a minibatch; return its loss."""
        X, targets = batch
        masks = []
        if self.p_dropout > 0:
            # Drawn as the layers themselves draw, from the generator that they draw from.
            masks = [F.dropout(X.new_ones(len(X), width), self.p_dropout) for width in self.widths]
        loss = mlp_backward(X, self.loss, targets, masks, self.layers)
        for update in self.updates:
            update()
        return loss


class ReplayedSteps(Steps):
    """Steps that a GPU replays; short minibatches, and what cannot be recorded, are taken eagerly.

    Parameters
    ----------
    net : NetEstimator
    steps : Steps
        What takes them eagerly.
    """

    def __init__(self, net: Any, steps: Steps) -> None:
        self.net = net
        self.iterator = steps.iterator
        self.steps = steps
        self.decays, self.updates = steps.decays, steps.updates
        optimizers = [update.optimizer for update in steps.updates]
        self.rates = RatesOnDevice(optimizers, net._training_.device)
        self.chunked: ChunkedSteps | None = None
        self.n_steps = 0
        self.is_loaded = False

    def runs(self, iterator: Minibatches) -> Iterator[tuple[Any, Any, int]]:
        """Yield the runs of minibatches of an epoch, as `take` takes them, with their size."""
        return self.steps.runs(iterator)

    def minibatches(self) -> Iterator[tuple[Any, Any]]:
        """Yield the minibatches of an epoch; what `take` takes of them has been loaded by then."""
        # Full ones, of all epochs that this will take: the next are others', if a callback acts.
        n_epochs = self.net._training_.n_epochs if is_left_alone(self.net) else 1
        self.n_steps = self.iterator.n_visits // self.iterator.batch_size * (n_epochs or 1)
        for X, y, n_rows in self.runs(self.iterator):
            n_full = len(list_tensors(X)[0]) // n_rows
            for k, batch in enumerate(cut_rows(methodcaller("split", n_rows), (X, y))):
                if k >= n_full or (self.chunked is not None and self.chunked.why_eager):
                    self.is_loaded = False
                # In their first step optimizers make their states.
                elif not self.is_loaded and all(update.has_begun for update in self.updates):
                    self._load((X, y), k, n_full, n_rows)
                yield batch
            self.is_loaded = False
            del X, y, batch

    def close(self) -> None:
        """Let go of the recorded step, and of the gradients in its memory."""
        if self.chunked is not None:
            self.chunked.close()
            for update in self.updates:
                update.optimizer.zero_grad()

    def _load(self, rows: Any, start: int, stop: int, n_rows: int) -> None:
        """Load the rows of minibatches `start` to `stop` of a run."""
        shape = 1, stop - start, n_rows
        chunk = map_tensors(
            lambda x: x[start * n_rows : stop * n_rows].view(*shape, *x.shape[1:]), rows
        )
        if self.chunked is None or len(self.chunked.losses) < stop:
            if self.chunked is not None:
                self.chunked.close()
            losses = torch.zeros(stop, 1, device=self.net._training_.device)
            self.chunked = ChunkedSteps(self._step, self._list_state, losses, self._describe)
        self.chunked.load(chunk)
        self.is_loaded = True

    def step(self, batch: tuple[Any, Any]) -> Tensor:
        """Take the step on a minibatch that was yielded last; return its loss."""
        if not self.is_loaded or self.chunked is None:
            return self.steps.step(batch)
        self.rates.read()
        return self.chunked.take(1, 1, n_in_all=self.n_steps).squeeze()

    def _step(self, stop: int, chosen: Any) -> Tensor:
        batch = map_tensors(itemgetter(0), chosen)
        with self.rates.in_place():
            return self.steps.step(batch).view(1)

    def _list_state(self) -> list[Tensor]:
        """List the tensors that a step changes."""
        net = self.net
        parts = [getattr(net, name + "_") for name in net._modules + net._criteria]
        parts = [part for part in parts if isinstance(part, nn.Module)]
        tensors = [t for part in parts for t in (*part.parameters(), *part.buffers())]
        tensors += [t for update in self.updates for t in update.tensors()]
        if (scaler := net._training_.scaler) is not None:
            tensors += [scaler._scale, scaler._growth_tracker]
        return tensors

    def _describe(self) -> Any:
        return host_random_states(), describe(self.net.module_), self.net.module_.training


def is_left_alone(net: Any) -> bool:
    """Whether nobody can have changed a part of the net since its last epoch."""
    callbacks = (callback for _, callback in net.callbacks_)
    return not is_foreign(type(net)) and all(map(only_looks, callbacks))
