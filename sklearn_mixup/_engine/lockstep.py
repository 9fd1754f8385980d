"""Nets of one shape in step with each other: each draws for itself, all are trained as one stack.

The flow of a minibatch: a `Lane` is a net whose training has begun. A `Group` draws for all its
lanes, and gathers and mixes the rows of a few steps of all of them at once: ``minibatches``. The
loop is that of a net alone, ``take_steps``; a step is ``take``: ``backward`` of the stack, ``step``
of its optimizers.
"""

from __future__ import annotations

import itertools
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sklearn_mixup._engine.capture import FEWEST, RECORDERS, ChunkedSteps
from sklearn_mixup._engine.compiled import StackKernels, StackSteps, count_at_once, is_compilable
from sklearn_mixup._engine.draws import Draws, mix_rows
from sklearn_mixup._engine.lane import Lane
from sklearn_mixup._engine.stack import (
    DropoutMasks,
    StackedMLP,
    StackedModules,
    is_plain_mlp,
)
from sklearn_mixup._engine.stack_optimizer import StackOptimizer
from sklearn_mixup._engine.validation import StackValidation
from sklearn_mixup._net.device import one_blas_thread, threads_for
from sklearn_mixup._net.epoch import take_steps
from sklearn_mixup._net.last_good import Copies, are_losses_good, diverged
from sklearn_mixup._net.losses import written_loss
from sklearn_mixup._net.session import Data
from sklearn_mixup._net.targets import PREPARED, mix_targets
from sklearn_mixup.minibatches import bytes_per_row, cut_rows, list_tensors, map_tensors
from sklearn_mixup.modules import MLP

# Random numbers that are drawn for the dropout of a stack in one go, and numbers that are gathered
# for it; those of a step are the least. On a CPU they should stay in the cache.
_NUMBERS_AHEAD = {"cpu": 2**18, "cuda": 2**27}
_NUMBERS_GATHERED = {"cpu": 2**18, "cuda": 2**24}


# Why nets are not trained together that compute in lower precision: some layers do, some do not.
ROUNDS_OTHERWISE = "torch.func.vmap does not round to lower precision as a module alone does"

# Of nets `start` to `stop` the rows of a minibatch of each, and random bits.
_Part = tuple[int, int, Any, "Tensor | None"]


class _Minibatches(NamedTuple):
    """A minibatch of each net of a stack, those of one length together."""

    parts: Iterable[_Part]
    # The place of this step in the epoch, for each optimizer; None for those that take none.
    places: Sequence[int | None]


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
        self.batch_size = lanes[0].batch_size
        # An epoch is one minibatch, of as many rows as each net has: the last one.
        takes_all = net.get_params_for("iterator_train").get("batch_size", net.batch_size) == -1
        # The rows of the last minibatch of each net, if it is not like the others.
        n_full = [0 if takes_all else lane.n_full for lane in lanes]
        self.n_last = [
            lane.n_visits - n * lane.batch_size for lane, n in zip(lanes, n_full, strict=True)
        ]
        self.n_active = [sum(n > k for n in n_full) for k in range(n_full[0])]
        self._collect_tables()
        modules = [lane.net.module_ for lane in lanes]
        first = self._gather_rows(torch.zeros(1, dtype=torch.int64, device=self.device))[0]
        n_numbers = bytes_per_row(first) // 4 + net.n_outputs_
        X = map_tensors(
            lambda rows: rows.expand(lanes[0].batch_size, *rows.shape[1:]).unsqueeze(0), first
        )
        self.stack: StackedMLP | StackedModules
        written = written_loss(net)
        if written is not None and all(map(is_plain_mlp, modules)) and isinstance(X, Tensor):
            mlps = [module for module in modules if isinstance(module, MLP)]
            self.stack = StackedMLP(mlps, written)
        else:
            loss = partial(net.get_loss, X=None, training=True)
            self.stack = StackedModules(modules, loss, X)
        validates = lanes[0].held_out is not None
        self.validation = StackValidation(lanes, self.stack) if validates else None
        self.copies = Copies()
        self.n_epochs_done = 0
        self.draws = Draws(lanes)
        self.masks, n_dropped = None, 0
        if (self.stack.p_dropout > 0).any():
            keys = torch.tensor([lane.noise_key for lane in lanes], device=self.device)
            self.masks = DropoutMasks(keys, self.stack.p_dropout, net._module_dtype())
            n_dropped = sum(math.prod(shape) for shape in self.stack.mask_shapes(X))
        n_rows = lanes[0].batch_size
        kind = self.device.type if self.device.type in _NUMBERS_AHEAD else "cpu"
        n_at_once = _NUMBERS_GATHERED[kind] // (n_numbers * n_rows * len(lanes))
        # More than an epoch has would be of no use.
        self.n_gathered = _power_of_two(min(n_at_once, 2 * len(self.n_active)))
        self.n_ahead = self.n_gathered
        if n_dropped:
            self.n_ahead = _power_of_two(_NUMBERS_AHEAD[kind] // (n_dropped * len(lanes)))
        if self.device.type in RECORDERS:  # What repeated steps need is there before the first.
            self.n_gathered = min(self.n_gathered, self.n_ahead)
        counts = [lane.n_visits for lane in lanes]
        starts = [i for i, count in enumerate(counts) if counts.index(count) == i]
        self.cohorts = list(itertools.pairwise([*starts, len(lanes)]))
        # Nets with as many full and shorter minibatches take their steps together.
        kinds = [(n, last > 0) for n, last in zip(n_full, self.n_last, strict=True)]
        starts = [i for i, kind in enumerate(kinds) if kinds.index(kind) == i]
        self.optimizers = [
            self._make_optimizer(*ends) for ends in itertools.pairwise([*starts, len(lanes)])
        ]
        updates = [optimizer.take_step for optimizer in self.optimizers]
        # Whether compiled code takes the steps.
        self.compiles = isinstance(self.stack, StackedMLP) and is_compilable(net, updates)
        self.kernels: StackKernels | None = None
        if self.compiles:
            n_at_once = count_at_once(sum(lane.net._training_.n_flops for lane in lanes))
            self.n_gathered = min(self.n_gathered, n_at_once)
        for lane in lanes:
            lane.net.engine_ = "numba" if self.compiles else "torch"
        self.chunked: ChunkedSteps | None = None
        n_steps = net.max_epochs * len(self.n_active)
        takes_tensors = all(optimizer.takes_tensors for optimizer in self.optimizers)
        if self.device.type in RECORDERS and n_steps >= FEWEST and takes_tensors:
            losses = self.y.new_zeros(self.n_gathered, len(lanes), dtype=net._module_dtype())
            self.chunked = ChunkedSteps(self._take_chosen, self._tensors, losses)
            # Torch's kernels take no learning rate in half precision.
            dtype = torch.promote_types(losses.dtype, torch.float32)
            self.factors = self._tabulate_factors().to(self.device, dtype)

    def _collect_tables(self) -> None:
        """Put the data of all nets into one table, and note where those of each begin."""
        tables = {id(lane.y): lane for lane in self.lanes}
        ends = np.cumsum([len(lane.y) for lane in tables.values()]).tolist()
        starts = dict(zip(tables, [0, *ends], strict=False))
        firsts = list(tables.values())
        if len(firsts) == 1:
            self.X, self.y = firsts[0].minibatches.X, firsts[0].y
        else:
            Xs = [lane.minibatches.X for lane in firsts]
            if isinstance(Xs[0], Mapping):
                self.X = {name: torch.cat([X[name] for X in Xs]) for name in Xs[0]}
            else:
                self.X = torch.cat(Xs)
            self.y = torch.cat([lane.y for lane in firsts])
        offsets = [starts[id(lane.y)] for lane in self.lanes]
        self.offsets = torch.tensor(offsets, device=self.device).unsqueeze(1)
        self.weight = None
        if any(lane.weight is not None for lane in self.lanes):
            weights = [
                lane.y.new_ones(len(lane.y), dtype=self.net._module_dtype())
                if lane.weight is None
                else lane.weight
                for lane in self.lanes
            ]
            self.weight = pad_sequence(weights, batch_first=True)
        for lane in self.lanes:  # The data lie on the device once.
            lane.minibatches.X = lane.minibatches.y = None
            lane.net._training_.data = Data()

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

    def _draw(self) -> None:
        """Begin the next epoch of all nets, and draw its rows and what they are mixed with."""
        alive = self._alive()  # The others go through their last epoch again.
        for i in alive:
            self.lanes[i].begin_epoch()
        self.draws.draw(alive)

    def _gather_rows(self, places: Tensor) -> tuple[Any, Tensor]:
        """Copy rows of the table."""
        X = map_tensors(lambda part: part.index_select(0, places), self.X)
        return X, self.y.index_select(0, places)

    def _gather(self, start: int, stop: int, first: int, n_steps: int, batch_size: int) -> Any:
        """Gather and mix the rows of some steps of nets `start` to `stop`.

        Returns inputs and targets, of shape (n_modules, n_steps, batch_size, ...).
        """
        n_modules, n_rows = stop - start, n_steps * batch_size
        here = slice(start, stop), slice(first, first + n_rows)
        visits = self.draws.visits[here]
        X, y = self._gather_rows((visits + self.offsets[start:stop]).flatten())
        weight = None
        if self.weight is not None:
            weight = self.weight[start:stop].gather(1, visits).flatten()
        mixing = None
        if self.draws.lam is not None:
            partner = torch.arange(len(y), device=self.device)
            partner += self.draws.distance[here].flatten()
            mixing = self.draws.lam[here].flatten(), partner
        X, y = mix_rows(self.net, X, y, weight, mixing, batch_size)
        if isinstance(self.stack, StackedMLP) and not isinstance(y, PREPARED):
            y = mix_targets(self.net, y, None, None, batch_size)
        shape = (n_modules, n_steps, batch_size)
        return map_tensors(lambda part: part.unflatten(0, shape), (X, y))

    def _backward(self, start: int, stop: int, rows: Any, bits: Tensor | None) -> Tensor:
        """Compute losses and gradients of nets `start` to `stop` on a minibatch of each."""
        X, targets = rows
        masks: Sequence[Tensor] = []
        if self.masks is not None and bits is not None:
            masks = self.masks.make(start, bits[: stop - start], self.stack.mask_shapes(X))
        return self.stack.backward(start, stop, X, targets, masks)

    def _count_dropped(self, X: Any) -> int:
        """Count the numbers that dropout takes in a step of a module."""
        X = map_tensors(lambda part: part[:, 0], X)
        return sum(math.prod(shape) for shape in self.stack.mask_shapes(X))

    def _draw_bits(
        self, start: int, stop: int, first: int, n_steps: int, X: Any
    ) -> Iterator[Tensor | None]:
        """Yield the random bits of dropout for each of some steps, shape (n_modules, n_numbers)."""
        if self.masks is None:
            yield from itertools.repeat(None, n_steps)
            return
        n_numbers = self._count_dropped(X)
        for k in range(first, first + n_steps, self.n_ahead):
            n_drawn = min(self.n_ahead, first + n_steps - k)
            yield from self.masks.draw(start, stop, k, n_drawn, n_numbers).unbind(1)

    def minibatches(self) -> Iterator[_Minibatches | _Run | StackSteps]:
        """Draw, gather and mix chunk after chunk; yield a minibatch of each net at once."""
        self._draw()
        yield from self._full_minibatches(self.n_epochs_done)
        if self.masks is not None:  # Another length of minibatches, so other streams.
            self.masks.begin(2 * self.n_epochs_done + 1)
        if self.compiles:
            yield from self._last_steps()
        else:
            yield self._last_minibatches()

    def take(self, minibatches: _Minibatches | _Run | StackSteps) -> list[tuple[int, Tensor]]:
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

    def _full_minibatches(self, epoch: int) -> Iterator[_Minibatches | _Run | StackSteps]:
        """Yield the full minibatches, or runs of them whose steps are replayed."""
        if self.masks is not None:
            self.masks.begin(2 * epoch)
        for first in range(0, len(self.n_active), self.n_gathered):
            active = self.n_active[first : first + self.n_gathered]
            start = first * self.batch_size
            rows = self._gather(0, active[0], start, len(active), self.batch_size)
            if self.compiles:
                yield from self._full_steps(first, active, rows)
                self.progress(sum(active))
                continue
            n_eager = len(active)
            if self.chunked is not None:
                # Optimizers make their states in the first step.
                n_eager = 0 if all(optimizer.is_known for optimizer in self.optimizers) else 1
            yield from self._cut(first, active[:n_eager], rows)
            if n_eager < len(active):
                rest = map_tensors(operator.itemgetter((slice(None), slice(n_eager, None))), rows)
                yield from self._load(epoch, first + n_eager, active[n_eager:], rest)
            self.progress(sum(active))

    def _cut(self, first: int, active: Sequence[int], rows: Any) -> Iterator[_Minibatches]:
        """Yield the minibatches from place `first` on, of `active` nets each."""
        if not active:
            return
        each = cut_rows(operator.methodcaller("unbind", 1), rows)
        n_drawn = len(list_tensors(rows)[0])
        each_bits = self._draw_bits(0, n_drawn, first, len(active), rows[0])
        for k, stop, chosen, drawn in zip(itertools.count(first), active, each, each_bits):
            if stop < n_drawn:
                chosen = map_tensors(operator.itemgetter(slice(stop)), chosen)
            places = [k if optimizer.start < stop else None for optimizer in self.optimizers]
            yield _Minibatches([(0, stop, chosen, drawn)], places)

    def _load(self, epoch: int, first: int, active: Sequence[int], rows: Any) -> Iterator[_Run]:
        """Load what the steps from place `first` on need; yield how many are of how many nets."""
        assert self.chunked is not None
        bits: Any = ()
        if self.masks is not None:
            n_drawn, n_numbers = len(list_tensors(rows)[0]), self._count_dropped(rows[0])
            bits = self.masks.draw(0, n_drawn, first, len(active), n_numbers)
        self.chunked.load((rows, bits, self.factors[:, epoch, first : first + len(active)]))
        for stop, run in itertools.groupby(active):
            n_in_all = self.n_active.count(stop) * self.net.max_epochs
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

    def _last_minibatches(self) -> _Minibatches:
        """Make the last minibatches of the nets that have a shorter one."""
        starts = [optimizer.start for optimizer in self.optimizers]
        places = [
            len(self.lanes[i].minibatches) - 1 if self.n_last[i] > 0 else None for i in starts
        ]
        return _Minibatches(self._last_parts(), places)

    def _last_parts(self) -> Iterator[_Part]:
        """Gather the last minibatches, those of one length at a time."""
        for start, stop in self.cohorts:
            n_visits = self.lanes[start].n_visits
            n_rows = self.n_last[start]
            if n_rows > 0:
                rows = self._gather(start, stop, n_visits - n_rows, 1, n_rows)
                (bits,) = self._draw_bits(start, stop, 0, 1, rows[0])
                yield start, stop, map_tensors(lambda part: part[:, 0], rows), bits
                self.progress(stop - start)

    # -- compiled ---------------------------------------------------------------------------

    def _full_steps(self, first: int, active: Sequence[int], rows: Any) -> Iterator[StackSteps]:
        """Yield the steps from place `first` on, of `active` nets each."""
        k = 0
        for stop, run in itertools.groupby(active):
            n_steps = len(list(run))
            here = slice(stop), slice(k, k + n_steps)
            chosen = map_tensors(operator.itemgetter(here), rows)
            places = range(first + k, first + k + n_steps)
            each = [places if optimizer.start < stop else () for optimizer in self.optimizers]
            yield StackSteps(0, stop, chosen, first + k, each)
            k += n_steps

    def _last_steps(self) -> Iterator[StackSteps]:
        """Gather the last minibatches, those of one length at a time."""
        for start, stop in self.cohorts:
            if (n_rows := self.n_last[start]) > 0:
                rows = self._gather(start, stop, self.lanes[start].n_visits - n_rows, 1, n_rows)
                place = len(self.lanes[start].minibatches) - 1
                here = [optimizer.start <= start < optimizer.stop for optimizer in self.optimizers]
                yield StackSteps(
                    start, stop, rows, 0, [(place,) if takes else () for takes in here]
                )
                self.progress(stop - start)


def _power_of_two(n: int) -> int:
    """Round down to a power of two, 1 at least."""
    return 1 << max(n.bit_length() - 1, 0)
