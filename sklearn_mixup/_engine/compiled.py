"""Steps of MLPs on a CPU by compiled code, which takes many of them at a time.

The kernel reads and writes the tensors of a net or a stack, and of its optimizer, where they lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from operator import methodcaller
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sklearn_mixup._engine.stack import DropoutMasks
from sklearn_mixup._engine.stack_optimizer import StackOptimizer
from sklearn_mixup._engine.step import WrittenSteps
from sklearn_mixup._engine.update import Update, decays_apart
from sklearn_mixup._net.device import MANY_FLOPS, one_blas_thread
from sklearn_mixup._net.losses import WrittenLoss
from sklearn_mixup.minibatches import Minibatches, cut_rows

_DTYPES = torch.float32, torch.float64
# In one call: Ctrl-C is heard when it ends, and masks that are handed in need memory.
_MOST_FLOPS = 1e10
_MOST_DROPPED = 2**20
_NO_KEYS = np.zeros(0, np.int64)


def is_compilable(net: Any, updates: Sequence[Update]) -> bool:
    """Whether compiled code takes the steps of MLPs whose parameters these optimizers move.

    What is large enough to keep several threads busy is quicker by torch.
    """
    params = [param for update in updates for param in update.params]
    return (
        getattr(net, "engine", "torch") == "numba"
        and net._training_.n_flops < MANY_FLOPS
        and all(update.is_plain for update in updates)
        and all(p.device.type == "cpu" and p.dtype in _DTYPES for p in params)
    )


def count_at_once(n_flops: float, n_dropped: int = 0) -> int:
    """Tell how many steps to take in one call; `n_dropped` numbers of each are handed in masks."""
    most = min(_MOST_FLOPS / max(n_flops, 1), _MOST_DROPPED / max(n_dropped, 1))
    return max(int(most), 1)


class Kernel:
    """The compiled steps of MLPs of one shape that one Adam moves.

    Parameters
    ----------
    weights : list of Tensor of shape (n_modules, n_out, n_in)
        Of each layer.
    biases : list of Tensor of shape (n_modules, n_out)
    update : Update
        Of Adam or AdamW.
    params : list of Parameter
        What it moves: the weights of all layers, then the biases.
    loss : WrittenLoss
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        update: Update,
        params: Sequence[Tensor],
        loss: WrittenLoss,
    ) -> None:
        from sklearn_mixup._engine.kernel import train

        self.train: Any = train
        update.begin()
        optimizer = update.optimizer
        self.turned = tuple(not weight.is_contiguous() for weight in weights)
        states = [optimizer.state[param] for param in params]
        self.counts = [state["step"] for state in states]
        self.n_taken = int(self.counts[0])
        n_layers = len(weights)
        self.tensors: list[tuple[np.ndarray, ...]] = []
        for start, own in ((0, weights), (n_layers, biases)):
            held = states[start : start + n_layers]
            averages, squares = (
                [_held(state, key, like) for state, like in zip(held, own, strict=True)]
                for key in ("exp_avg", "exp_avg_sq")
            )
            for parts in (own, averages, squares):
                if own is weights:
                    pairs = zip(parts, self.turned, strict=True)
                    parts = [part.mT if turned else part for part, turned in pairs]
                self.tensors.append(tuple(part.detach().numpy() for part in parts))
        (group,) = optimizer.param_groups
        self.betas = tuple(float(beta) for beta in group["betas"])
        self.eps = float(group["eps"])
        self.decays_apart = decays_apart(optimizer)
        self.loss = loss

    def take(
        self,
        start: int,
        stop: int,
        X: Tensor,
        targets: Tensor,
        rates: Tensor,
        decays: Tensor,
        *,
        masks: Tensor | None = None,
        dropout: DropoutMasks | None = None,
        modules: slice = slice(1),
        first: int = 0,
    ) -> Tensor:
        """Take steps of the modules `start` to `stop`; return the losses, (n_steps, n_modules).

        Parameters
        ----------
        X, targets : Tensor of shape (n_modules, n_steps, batch_size, ...)
            Inputs, and rows of targets as the loss takes them.
        rates : Tensor of shape (n_modules, n_steps)
            Learning rates.
        decays : Tensor of shape (n_modules,)
            Weight decays.
        masks : Tensor of shape (n_modules, n_steps, n_dropped), default=None
            What the outputs of the hidden layers are multiplied with.
        dropout : DropoutMasks, default=None
            What draws masks instead, as `modules` of it, from the step `first` of the epoch on.
        """
        n_modules, n_steps = X.shape[:2]
        keys, most, scale = _NO_KEYS, np.zeros((1, 1), np.int16), X.new_zeros(1, 1).numpy()
        if dropout is not None:
            keys, most, scale = (
                part[modules].numpy() for part in (dropout.epoch_keys, dropout.most, dropout.scale)
            )
        if masks is None:
            masks = X.new_empty(n_modules, n_steps, 0)
        losses = X.new_empty(n_steps, n_modules)
        tensors = [tuple(part[start:stop] for part in parts) for parts in self.tensors]
        self.train(
            *(x.contiguous().numpy() for x in (X.flatten(3), targets, masks)),
            *(self.loss.code, self.loss.parameter),
            *(keys, first, most, scale),
            *tensors,
            self.turned,
            *(x.double().contiguous().numpy() for x in (rates, decays)),
            *(self.decays_apart, self.betas, self.eps),
            self.n_taken,
            losses.numpy(),
        )
        return losses

    def count(self, n_steps: int) -> None:
        """Let the optimizer know how many steps all modules have taken."""
        for count in self.counts:
            count += n_steps
        self.n_taken += n_steps


class StackSteps(NamedTuple):
    """Steps of nets `start` to `stop` from place `first` of the epoch on, for compiled code."""

    start: int
    stop: int
    # Shape (n_modules, n_steps, batch_size, ...).
    rows: Any
    first: int
    # For each of the optimizers, the place in the epoch of each step.
    places: Sequence[Sequence[int]]


class StackKernels:
    """The kernels of a stack of MLPs, one for each of its optimizers.

    Parameters
    ----------
    stack : StackedMLP
    optimizers : list of StackOptimizer
    lanes : list of Lane
        The nets.
    masks : DropoutMasks or None
    """

    def __init__(
        self,
        stack: Any,
        optimizers: Sequence[StackOptimizer],
        lanes: Sequence[Any],
        masks: DropoutMasks | None,
    ) -> None:
        self.optimizers = optimizers
        self.lanes = lanes
        self.masks = masks
        self.kernels = [self._make(stack, optimizer) for optimizer in optimizers]

    @staticmethod
    def _make(stack: Any, optimizer: StackOptimizer) -> Kernel:
        """Make the kernel of the nets that an optimizer moves."""
        here = slice(optimizer.start, optimizer.stop)
        weights, biases = (
            [stack.params[f"{layer}.{kind}"][here] for layer in stack.layers]
            for kind in ("weight", "bias")
        )
        params = [
            optimizer.params[f"{layer}.{kind}"]
            for kind in ("weight", "bias")
            for layer in stack.layers
        ]
        return Kernel(weights, biases, optimizer.take_step, params, stack.loss)

    def take(self, steps: StackSteps, n_epochs_done: int) -> list[tuple[int, Tensor]]:
        """Take steps; list the losses, shape (n_steps, n_modules), and whose they are."""
        X, targets = steps.rows
        losses = []
        for optimizer, kernel, places in zip(
            self.optimizers, self.kernels, steps.places, strict=True
        ):
            if not places:
                continue
            start, stop = max(steps.start, optimizer.start), min(steps.stop, optimizer.stop)
            here = slice(start - steps.start, stop - steps.start)
            lanes = self.lanes[start:stop]
            n_before = n_epochs_done * len(lanes[0].minibatches)
            factors = [lanes[0].factor(n_before + place) for place in places]
            lr, decays = (
                torch.tensor(values, dtype=torch.float64)
                for values in ([lane.lr for lane in lanes], [lane.weight_decay for lane in lanes])
            )
            found = kernel.take(
                *(start - optimizer.start, stop - optimizer.start, X[here], targets.rows[here]),
                *(lr[:, None] * torch.tensor(factors, dtype=torch.float64), decays),
                dropout=self.masks,
                modules=slice(start, stop),
                first=steps.first,
            )
            if stop == optimizer.stop:  # The others' last minibatches are of the same step.
                kernel.count(len(places))
            losses.append((start, found))
        return losses


def _held(state: dict[str, Any], key: str, like: Tensor) -> Tensor:
    """Get what an optimizer holds of a parameter, laid out in memory as the parameter is."""
    held = state[key].view(like.shape)
    if held.stride() != like.stride():  # it was loaded
        state[key] = torch.empty_like(like).copy_(held).view(state[key].shape)
        held = state[key].view(like.shape)
    return held


class CompiledSteps(WrittenSteps):
    """The steps of one MLP by compiled code.

    What it takes at a time is a run of minibatches of one size, with an axis of theirs in front.
    """

    def __init__(self, net: Any, iterator: Minibatches) -> None:
        super().__init__(net, iterator)
        layers = [*net.module_.hidden, net.module_.output]
        params = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        stacked = [param.detach().unsqueeze(0) for param in params]
        (update,) = self.updates
        (self.group,) = update.optimizer.param_groups
        n_layers = len(layers)
        self.kernel = Kernel(stacked[:n_layers], stacked[n_layers:], update, params, self.loss)
        self.held = ExitStack()
        self.held.enter_context(one_blas_thread)

    def close(self) -> None:
        """Let BLAS have its threads back."""
        self.held.close()

    def cut_targets(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Leave targets in one piece."""
        return (rows,)

    def cut(self, rows: Any, n_rows: int) -> Iterable[Any]:
        """Cut rows into runs of minibatches of one size: whole ones, and a shorter one."""
        X, targets = rows
        n_dropped = n_rows * sum(self.widths) if self.p_dropout > 0 else 0
        n_at_once = count_at_once(self.net._training_.n_flops, n_dropped)
        n_whole = len(X) // n_rows
        ends = [*range(0, n_whole, n_at_once), n_whole]
        for start, stop in itertools.pairwise(ends):
            here = slice(start * n_rows, stop * n_rows)
            yield tuple(x[here].unflatten(0, (-1, n_rows)) for x in (X, *targets))
        if n_whole * n_rows < len(X):
            yield tuple(x[None, n_whole * n_rows :] for x in (X, *targets))

    def cut_epochs(self, rows: Any, n_epochs: int) -> Iterator[Iterable[Any]]:
        """Cut epochs, of one run of minibatches each."""
        n_rows = len(rows[0]) // n_epochs
        epochs = cut_rows(methodcaller("split", n_rows), rows)
        n_rows_made = self.iterator.n_copies * self.iterator.batch_size
        return (self.cut(epoch, n_rows_made) for epoch in epochs)

    def take(self, batch: Any) -> list[Tensor]:
        """Take the steps of a run; list their losses."""
        X, targets = batch
        losses = self.kernel.take(
            *(0, 1, X[None], targets[None]),
            torch.tensor([[self._next_rate() for _ in X]], dtype=torch.float64),
            torch.tensor([self.group["weight_decay"]], dtype=torch.float64),
            masks=self._draw_masks(X),
        )
        self.kernel.count(len(X))
        return [*losses[:, 0].unbind()]

    def _next_rate(self) -> float:
        """Tell the learning rate of the next step."""
        for decay in self.decays:
            decay.on_batch_begin(self.net, training=True)
        return float(self.group["lr"])

    def _draw_masks(self, X: Tensor) -> Tensor | None:
        """Draw the masks of the steps of a run as the layers would, shape (1, n_steps, n)."""
        if self.p_dropout == 0:
            return None
        n_steps, n_rows = X.shape[:2]
        masks = X.new_ones(1, n_steps, n_rows * sum(self.widths))
        for step in masks[0]:
            for part in step.split([n_rows * width for width in self.widths]):
                F.dropout(part, self.p_dropout, inplace=True)
        return masks
