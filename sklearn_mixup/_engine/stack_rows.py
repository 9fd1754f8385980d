"""The rows of a stack: drawn for all its nets, gathered and mixed, and cut into minibatches.

A minibatch of each net that has one makes a step. Nets with many rows are first, so those that
still have a full minibatch are always the first of the stack; shorter minibatches come last.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sklearn_mixup._engine.capture import RECORDERS
from sklearn_mixup._engine.compiled import StackSteps
from sklearn_mixup._engine.draws import Draws, mix_rows
from sklearn_mixup._engine.lane import Lane
from sklearn_mixup._engine.stack import DropoutMasks, StackedMLP, StackedModules
from sklearn_mixup._net.session import Data
from sklearn_mixup._net.targets import PREPARED, mix_targets
from sklearn_mixup.minibatches import Rows, bytes_per_row, cut_rows, list_tensors, map_tensors

# Random numbers that are drawn for the dropout of a stack in one go, and numbers that are gathered
# for it; those of a step are the least. On a CPU they should stay in the cache.
_NUMBERS_AHEAD = {"cpu": 2**18, "cuda": 2**27}
_NUMBERS_GATHERED = {"cpu": 2**18, "cuda": 2**24}

# Of nets `start` to `stop` the rows of a minibatch of each, and random bits.
_Part = tuple[int, int, Any, "Tensor | None"]


class StackMinibatches(NamedTuple):
    """A minibatch of each net of a stack, those of one length together."""

    parts: Iterable[_Part]
    # The place of this step in the epoch, for each optimizer; None for those that take none.
    places: Sequence[int | None]


class Chunk(NamedTuple):
    """The rows of some steps in a row, on full minibatches."""

    # The place of the first step in the epoch.
    first: int
    # How many nets take each of the steps.
    active: Sequence[int]
    # Inputs and targets, of shape (n_modules, n_steps, batch_size, ...).
    rows: Any

    def part(self, start: int, stop: int) -> Chunk:
        """Take some of the steps."""
        here = operator.itemgetter((slice(None), slice(start, stop)))
        return Chunk(self.first + start, self.active[start:stop], map_tensors(here, self.rows))


def repeat_first(X: Rows, batch_size: int) -> Rows:
    """Make a minibatch out of the first row, for a stack of one net, without a copy."""
    return map_tensors(lambda rows: rows[:1].expand(batch_size, *rows.shape[1:]).unsqueeze(0), X)


class StackRows:
    """The rows that the nets of a stack are trained on, minibatch by minibatch.

    Parameters
    ----------
    lanes : list of Lane
        The nets, those with many rows first. Their own tables are let go of.
    stack : StackedMLP or StackedModules
        Their modules.
    masks : DropoutMasks or None
        What draws their dropout, if they drop anything.

    Attributes
    ----------
    X : Tensor or dict of Tensor
        One table of all nets.
    y : Tensor
        The targets of its rows.
    ends : list of (int, int)
        Nets that take their steps together: each needs an optimizer.
    n_active : list of int
        How many nets have each of the full minibatches of an epoch.
    n_gathered : int
        Steps whose rows are gathered at once.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        stack: StackedMLP | StackedModules,
        masks: DropoutMasks | None,
    ) -> None:
        self.lanes, self.stack, self.masks = lanes, stack, masks
        net = self.net = lanes[0].net
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
        # Those whose last minibatch is of one length.
        self.cohorts = _ends_of_runs([lane.n_visits for lane in lanes])
        # Nets with as many full and shorter minibatches take their steps together.
        self.ends = _ends_of_runs(
            [(n, last > 0) for n, last in zip(n_full, self.n_last, strict=True)]
        )
        self._collect_tables()
        self.draws = Draws(lanes)
        self._bound()

    def _bound(self) -> None:
        """Find for how many steps to gather rows, and to draw dropout, at once."""
        kind = self.device.type if self.device.type in _NUMBERS_AHEAD else "cpu"
        n_numbers = bytes_per_row(self.X) // 4 + self.net.n_outputs_
        n_at_once = _NUMBERS_GATHERED[kind] // (n_numbers * self.batch_size * len(self.lanes))
        # More than an epoch has would be of no use.
        self.n_gathered = _power_of_two(min(n_at_once, 2 * len(self.n_active)))
        self.n_ahead = self.n_gathered
        if self.masks is not None:
            n_dropped = self._count_dropped(repeat_first(self.X, self.batch_size))
            if n_dropped:
                self.n_ahead = _power_of_two(_NUMBERS_AHEAD[kind] // (n_dropped * len(self.lanes)))
        if self.device.type in RECORDERS:  # What repeated steps need is there before the first.
            self.n_gathered = min(self.n_gathered, self.n_ahead)

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
        nets = [lane.net for lane in self.lanes[start:stop]]
        mixing = self.draws.mixing(start, stop, first, n_rows)
        X, y = mix_rows(nets, X, y, weight, mixing, batch_size)
        if isinstance(self.stack, StackedMLP) and not isinstance(y, PREPARED):
            y = mix_targets(self.net, y, None, None, batch_size)
        shape = (n_modules, n_steps, -1)  # There are more of rows beside their mixtures.
        return map_tensors(lambda part: part.unflatten(0, shape), (X, y))

    # -- dropout ----------------------------------------------------------------------------

    def _count_dropped(self, X: Any) -> int:
        """Count the numbers that dropout takes in a step of a module, X stacked."""
        return sum(math.prod(shape) for shape in self.stack.mask_shapes(X))

    def _draw_bits(
        self, start: int, stop: int, first: int, n_steps: int, X: Any
    ) -> Iterator[Tensor | None]:
        """Yield the random bits of dropout for each of some steps, shape (n_modules, n_numbers)."""
        if self.masks is None:
            yield from itertools.repeat(None, n_steps)
            return
        n_numbers = self._count_dropped(_first_step(X))
        for k in range(first, first + n_steps, self.n_ahead):
            n_drawn = min(self.n_ahead, first + n_steps - k)
            yield from self.masks.draw(start, stop, k, n_drawn, n_numbers).unbind(1)

    def draw_bits(self, chunk: Chunk) -> Any:
        """Draw the bits of all steps of a chunk, (n_modules, n_steps, n_numbers); () for none."""
        if self.masks is None:
            return ()
        n_drawn, X = len(list_tensors(chunk.rows)[0]), _first_step(chunk.rows[0])
        n_numbers = self._count_dropped(X)
        return self.masks.draw(0, n_drawn, chunk.first, len(chunk.active), n_numbers)

    # -- the minibatches of an epoch --------------------------------------------------------

    def chunks(self, epoch: int) -> Iterator[Chunk]:
        """Gather and mix the full minibatches of an epoch that is drawn, chunk after chunk."""
        if self.masks is not None:
            self.masks.begin(2 * epoch)
        for first in range(0, len(self.n_active), self.n_gathered):
            active = self.n_active[first : first + self.n_gathered]
            start = first * self.batch_size
            rows = self._gather(0, active[0], start, len(active), self.batch_size)
            yield Chunk(first, active, rows)

    def cut(self, chunk: Chunk) -> Iterator[StackMinibatches]:
        """Cut a chunk into the minibatches of its steps."""
        first, active, rows = chunk
        if not active:
            return
        each = cut_rows(operator.methodcaller("unbind", 1), rows)
        n_drawn = len(list_tensors(rows)[0])
        each_bits = self._draw_bits(0, n_drawn, first, len(active), rows[0])
        for k, stop, chosen, drawn in zip(itertools.count(first), active, each, each_bits):
            if stop < n_drawn:
                chosen = map_tensors(operator.itemgetter(slice(stop)), chosen)
            places = [k if start < stop else None for start, _ in self.ends]
            yield StackMinibatches([(0, stop, chosen, drawn)], places)

    def cut_runs(self, chunk: Chunk) -> Iterator[StackSteps]:
        """Cut a chunk into runs of steps of as many nets."""
        k = 0
        for stop, run in itertools.groupby(chunk.active):
            n_steps = len(list(run))
            here = slice(stop), slice(k, k + n_steps)
            chosen = map_tensors(operator.itemgetter(here), chunk.rows)
            places = range(chunk.first + k, chunk.first + k + n_steps)
            each = [places if start < stop else () for start, _ in self.ends]
            yield StackSteps(0, stop, chosen, chunk.first + k, each)
            k += n_steps

    def last(self, epoch: int) -> StackMinibatches:
        """Make the last minibatches of the nets that have a shorter one."""
        places = [
            len(self.lanes[start].minibatches) - 1 if self.n_last[start] > 0 else None
            for start, _ in self.ends
        ]
        return StackMinibatches(self._last_parts(epoch), places)

    def _last_parts(self, epoch: int) -> Iterator[_Part]:
        """Yield the last minibatches, those of one length at a time."""
        for start, stop, rows in self._gather_last(epoch):
            (bits,) = self._draw_bits(start, stop, 0, 1, rows[0])
            yield start, stop, map_tensors(lambda part: part[:, 0], rows), bits

    def last_runs(self, epoch: int) -> Iterator[StackSteps]:
        """Yield the same as runs of one step."""
        for start, stop, rows in self._gather_last(epoch):
            place = len(self.lanes[start].minibatches) - 1
            each = [(place,) if begin <= start < end else () for begin, end in self.ends]
            yield StackSteps(start, stop, rows, 0, each)

    def _gather_last(self, epoch: int) -> Iterator[tuple[int, int, Any]]:
        """Gather the last minibatches, those of one length at a time."""
        if self.masks is not None:  # Another length of minibatches, so other streams.
            self.masks.begin(2 * epoch + 1)
        for start, stop in self.cohorts:
            if (n_rows := self.n_last[start]) > 0:
                first = self.lanes[start].n_visits - n_rows
                yield start, stop, self._gather(start, stop, first, 1, n_rows)


def _first_step(X: Any) -> Any:
    """Take the first step of a chunk."""
    return map_tensors(lambda part: part[:, 0], X)


def _ends_of_runs(values: Sequence[Any]) -> list[tuple[int, int]]:
    """Tell where each run of equal values starts and stops; equal ones stand together."""
    starts = [i for i, value in enumerate(values) if values.index(value) == i]
    return list(itertools.pairwise([*starts, len(values)]))


def _power_of_two(n: int) -> int:
    """Round down to a power of two, 1 at least."""
    return 1 << max(n.bit_length() - 1, 0)
