"""Nets of one shape in step with each other: each draws for itself, all are trained as one stack.

The flow of a minibatch: a `Lane` is a net whose training has begun. The `StackRows` of a `Group`
draw for all its lanes, and gather and mix the rows of a few steps of all of them at once. The loop
is that of a net alone, ``take_steps``; a step is ``take``: ``backward`` of the stack, ``step`` of
its optimizers.
"""

from __future__ import annotations

import itertools
import math
import operator
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sklearn_mixup._engine.capture import FEWEST, RECORDERS, ChunkedSteps
from sklearn_mixup._engine.compiled import StackKernels, StackSteps, count_at_once, is_compilable
from sklearn_mixup._engine.lane import Lane
from sklearn_mixup._engine.stack import (
    DropoutMasks,
    StackedMLP,
    StackedModules,
    is_plain_mlp,
)
from sklearn_mixup._engine.stack_optimizer import StackOptimizer
from sklearn_mixup._engine.stack_rows import Chunk, StackMinibatches, StackRows, repeat_first
from sklearn_mixup._engine.validation import StackValidation
from sklearn_mixup._net.device import one_blas_thread, threads_for
from sklearn_mixup._net.epoch import take_steps
from sklearn_mixup._net.last_good import Copies, are_losses_good, diverged
from sklearn_mixup._net.losses import written_loss
from sklearn_mixup._net.vicinity import mixes_inside
from sklearn_mixup.minibatches import map_tensors
from sklearn_mixup.modules import MLP

# Why nets are not trained together that compute in lower precision: some layers do, some do not.
ROUNDS_OTHERWISE = "torch.func.vmap does not round to lower precision as a module alone does"


class _Run(NamedTuple):
    """Some steps of nets up to `stop`, whose rows are loaded."""

    stop: int
    n_steps: int
    # Steps of so many nets that there are in the whole training.
    n_in_all: int


class Group:
    """Nets of one shape that are trained together."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        # Nets that still have minibatches are always the first of the stack.
        lanes = sorted(
            lanes, key=lambda lane: (-lane.n_full, -lane.n_visits, lane.lr, lane.weight_decay)
        )
        self.lanes = lanes
        net = self.net = lanes[0].net
        if lanes[-1].n_visits == 0:
            raise ValueError("a net has no minibatch to train on")
        if net._training_.half is not None:
            raise ValueError(ROUNDS_OTHERWISE)
        if any(True for _ in net.criterion_.parameters()):
            raise ValueError("a criterion with parameters")
        self.device = lanes[0].y.device
        modules = [lane.net.module_ for lane in lanes]
        X = repeat_first(lanes[0].minibatches.X, lanes[0].batch_size)
        self.stack: StackedMLP | StackedModules
        written = written_loss(net)
        if written is not None and all(map(is_plain_mlp, modules)) and isinstance(X, Tensor):
            mlps = [module for module in modules if isinstance(module, MLP)]
            self.stack = StackedMLP(mlps, written)
        else:
            loss = partial(net.get_loss, X=None, training=True)
            mix_at = net.mix_at if mixes_inside(net) else ()
            self.stack = StackedModules(modules, loss, X, mix_at)
        validates = lanes[0].held_out is not None
        self.validation = StackValidation(lanes, self.stack) if validates else None
        self.copies = Copies()
        self.n_epochs_done = 0
        self.masks: DropoutMasks | None = None
        if (self.stack.p_dropout > 0).any():
            keys = torch.tensor([lane.noise_key for lane in lanes], device=self.device)
            self.masks = DropoutMasks(keys, self.stack.p_dropout, net._module_dtype())
        self.rows = StackRows(lanes, self.stack, self.masks)
        self.optimizers = [self._make_optimizer(*ends) for ends in self.rows.ends]
        updates = [optimizer.take_step for optimizer in self.optimizers]
        # Whether compiled code takes the steps.
        self.compiles = isinstance(self.stack, StackedMLP) and is_compilable(net, updates)
        self.kernels: StackKernels | None = None
        if self.compiles:
            n_at_once = count_at_once(sum(lane.net._training_.n_flops for lane in lanes))
            self.rows.n_gathered = min(self.rows.n_gathered, n_at_once)
        for lane in lanes:
            lane.net.engine_ = "numba" if self.compiles else "torch"
        self.chunked: ChunkedSteps | None = None
        n_steps = net.max_epochs * len(self.rows.n_active)
        takes_tensors = all(optimizer.takes_tensors for optimizer in self.optimizers)
        if self.device.type in RECORDERS and n_steps >= FEWEST and takes_tensors:
            shape, dtype = (self.rows.n_gathered, len(lanes)), net._module_dtype()
            losses = torch.zeros(shape, dtype=dtype, device=self.device)
            self.chunked = ChunkedSteps(self._take_chosen, self._tensors, losses)
            # Torch's kernels take no learning rate in half precision.
            dtype = torch.promote_types(losses.dtype, torch.float32)
            self.factors = self._tabulate_factors().to(self.device, dtype)

    def _make_optimizer(self, start: int, stop: int) -> StackOptimizer:
        lanes = self.lanes[start:stop]

        def make(named_parameters: Any) -> torch.optim.Optimizer:
            net = lanes[0].net
            args, kwargs = net.get_params_for_optimizer("optimizer", named_parameters)
            return net.optimizer(*args, **kwargs)

        lr, weight_decay = [lane.lr for lane in lanes], [lane.weight_decay for lane in lanes]
        return StackOptimizer(self.stack, start, stop, make, lr, weight_decay)

    # -- an epoch ---------------------------------------------------------------------------

    def fit(
        self, progress: Callable[[int], None], on_epoch_end: Callable[[Any], None] | None = None
    ) -> None:
        """Train the nets for all their epochs, and end their trainings."""
        n_flops = sum(lane.net._training_.n_flops for lane in self.lanes)
        self.progress = progress
        try:
            one = one_blas_thread if self.compiles else nullcontext()
            with threads_for(n_flops, self.device), one:
                self._train(on_epoch_end)
        except KeyboardInterrupt:
            if self.n_epochs_done:  # What has begun another epoch goes back to the last whole one.
                for i in self._alive():
                    del self.lanes[i].net.history[self.n_epochs_done :]
                self._close(self.copies.tensors)
            raise
        finally:
            if self.chunked is not None:
                self.chunked.close()
        self._close(self._tensors())

    def _close(self, tensors: Sequence[Tensor]) -> None:
        """End the trainings; nets that did not diverge have learned what is in `tensors`."""
        unfailed = [i for i, lane in enumerate(self.lanes) if lane.failed is None]
        self._hand_out(unfailed, tensors)
        if self.validation is not None:
            self.validation.hand_out(unfailed, self._hand_out)
        for lane in self.lanes:
            lane.close(fitted=lane.failed is None or lane.failed.is_fitted)

    def _train(self, on_epoch_end: Callable[[Any], None] | None) -> None:
        """Train the nets for all their epochs."""
        for epoch in range(self.net.max_epochs):
            if not self._alive():
                return
            start = time.perf_counter()
            found: list[tuple[int, Tensor]] = []
            take_steps(self, found)
            losses = self._read_losses(found)
            valid_losses = [] if self.validation is None else [row.pop() for row in losses]
            for i in self._alive():
                if not self._is_good(i, losses[i]):
                    self._give_up(i)
            if not (alive := self._alive()):
                return
            self.copies.take(self._tensors())
            self.n_epochs_done = epoch + 1
            seconds = (time.perf_counter() - start) / len(self.lanes)
            if self.validation is not None:
                self.validation.note(alive, valid_losses, self)
            for i in alive:
                self.lanes[i].record(losses[i][:-1], seconds)
            if on_epoch_end is not None:
                self.stack.write_back(alive, self.stack.tensors())
                for i in alive:
                    on_epoch_end(self.lanes[i].net)

    def _alive(self) -> list[int]:
        """Find the nets that go on: that neither diverged nor ended by their validation."""
        return [i for i, lane in enumerate(self.lanes) if not (lane.failed or lane.has_ended)]

    def _read_losses(self, losses: Sequence[tuple[int, Tensor]]) -> list[list[float]]:
        """Read what each net lost in each step of an epoch, and the sum of its weights.

        After these, what it lost on the rows held out, if it has some.
        """
        rows: list[list[float]] = [[] for _ in self.lanes]
        found = [*losses, (0, self.stack.sum_weights()[None])]
        if self.validation is not None:
            found.append((0, self.validation.measure()[None]))
        values = torch.cat([block.flatten() for _, block in found]).tolist()
        start = 0
        for first, block in found:
            n_steps, n_modules = block.shape
            stop = start + n_steps * n_modules
            for i in range(n_modules):
                rows[first + i] += values[start + i : stop : n_modules]
            start = stop
        return rows

    def _is_good(self, i: int, numbers: Sequence[float]) -> bool:
        """Whether the losses of an epoch, and the weights after it, are finite."""
        *losses, total = numbers
        # Finite weights may have a sum that is not.
        return are_losses_good([losses]) and (math.isfinite(total) or self.stack.is_finite(i))

    def _give_up(self, i: int) -> None:
        """Let a net go back to its last good epoch; its place in the stack is of no more use."""
        lane = self.lanes[i]
        n_iter = lane.net._n_iter_at_step(-1)
        del lane.net.history[-1]
        is_fitted = len(lane.net.history) > 0
        lane.failed = diverged(lane.net, n_iter, is_fitted=is_fitted)
        if is_fitted:
            self._hand_out([i], self.copies.tensors)

    def _tensors(self) -> list[Tensor]:
        """List all that the nets and their optimizers have learned."""
        return [*self.stack.tensors(), *(t for o in self.optimizers for t in o.tensors())]

    def _hand_out(self, places: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Give nets what they have learned, out of what `_tensors` lists."""
        n_own = len(self.stack.tensors())
        self.stack.write_back(places, tensors[:n_own])
        tensors = tensors[n_own:]
        for optimizer in self.optimizers:
            n_held = len(optimizer.tensors())
            here = [i for i in places if optimizer.start <= i < optimizer.stop]
            for i, held in zip(here, optimizer.states_of(here, tensors[:n_held]), strict=True):
                named = self.stack.named[i]
                state = {named[name]: part for name, part in held.items() if part}
                self.lanes[i].net.optimizer_.state.update(state)
            tensors = tensors[n_held:]

    # -- a step -----------------------------------------------------------------------------

    def minibatches(self) -> Iterator[StackMinibatches | StackSteps | _Run]:
        """Draw, gather and mix chunk after chunk; yield a minibatch of each net, or a run."""
        epoch = self.n_epochs_done
        self._draw()
        for chunk in self.rows.chunks(epoch):
            if self.compiles:
                yield from self.rows.cut_runs(chunk)
            elif self.chunked is None:
                yield from self.rows.cut(chunk)
            else:
                # Optimizers make their states in the first step.
                n_eager = 0 if all(optimizer.is_known for optimizer in self.optimizers) else 1
                yield from self.rows.cut(chunk.part(0, n_eager))
                yield from self._load(chunk.part(n_eager, len(chunk.active)))
            self.progress(sum(chunk.active))
        if self.compiles:
            yield from self.rows.last_runs(epoch)
        else:
            yield self.rows.last(epoch)
        self.progress(sum(n > 0 for n in self.rows.n_last))

    def _draw(self) -> None:
        """Begin the next epoch of all nets, and draw its rows and what they are mixed with."""
        alive = self._alive()  # The others go through their last epoch again.
        for i in alive:
            self.lanes[i].begin_epoch()
        self.rows.draws.draw(alive)

    def take(self, minibatches: StackMinibatches | StackSteps | _Run) -> list[tuple[int, Tensor]]:
        """Take a step of each net; list the losses, shape (n_steps, n_modules), and whose."""
        if isinstance(minibatches, StackSteps):
            if self.kernels is None:
                self.kernels = StackKernels(self.stack, self.optimizers, self.lanes, self.masks)
            return self.kernels.take(minibatches, self.n_epochs_done)
        if isinstance(minibatches, _Run):
            assert self.chunked is not None
            return [(0, self.chunked.take(*minibatches[:2], n_in_all=minibatches.n_in_all))]
        losses = [
            (start, self._backward(start, stop, rows, bits)[None])
            for start, stop, rows, bits in minibatches.parts
        ]
        self._update(minibatches.places)
        return losses

    def _update(self, places: Sequence[int | None]) -> None:
        """Let each optimizer take the step at its place in the epoch, if it has one."""
        for optimizer, place in zip(self.optimizers, places, strict=True):
            if place is not None:
                lane = self.lanes[optimizer.start]
                step = self.n_epochs_done * len(lane.minibatches) + place
                optimizer.step(lane.factor(step))

    def _backward(self, start: int, stop: int, rows: Any, bits: Tensor | None) -> Tensor:
        """Compute losses and gradients of nets `start` to `stop` on a minibatch of each."""
        X, targets = rows
        masks: Sequence[Tensor] = []
        if self.masks is not None and bits is not None:
            masks = self.masks.make(start, bits[: stop - start], self.stack.mask_shapes(X))
        return self.stack.backward(start, stop, X, targets, masks)

    def _load(self, chunk: Chunk) -> Iterator[_Run]:
        """Load what the steps of a chunk need; yield how many are of how many nets."""
        assert self.chunked is not None
        first, active, rows = chunk
        if not active:
            return
        factors = self.factors[:, self.n_epochs_done, first : first + len(active)]
        self.chunked.load((rows, self.rows.draw_bits(chunk), factors))
        for stop, run in itertools.groupby(active):
            n_in_all = self.rows.n_active.count(stop) * self.net.max_epochs
            yield _Run(stop, len(list(run)), n_in_all)

    def _take_chosen(self, stop: int, chosen: Any) -> Tensor:
        """Take a step of nets up to `stop`, with nothing that the host would have to know."""
        rows, bits, factors = chosen
        rows = map_tensors(operator.itemgetter(slice(stop)), rows)
        losses = self._backward(0, stop, rows, bits if isinstance(bits, Tensor) else None)
        for optimizer, factor in zip(self.optimizers, factors, strict=True):
            if optimizer.start < stop:
                optimizer.step(factor)
        return losses

    def _tabulate_factors(self) -> Tensor:
        """Tell what the learning rate of each optimizer is multiplied with at each step.

        The table has shape (n_optimizers, n_epochs, n_steps of an epoch).
        """
        n_epochs = self.net.max_epochs
        lanes = [self.lanes[optimizer.start] for optimizer in self.optimizers]
        tables = []
        for lane in lanes:
            n_steps = len(lane.minibatches)
            factors = torch.tensor([lane.factor(k) for k in range(n_epochs * n_steps)])
            tables.append(factors.view(n_epochs, n_steps).T)
        return pad_sequence(tables).permute(1, 2, 0)
