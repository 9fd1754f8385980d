"""Minibatches to predict, made so that the output of a row depends on the row alone.

The last bits of a matrix product depend on more than the numbers in a row. Another number of rows
gets another kernel, a kernel treats the rows at the edge of a tile otherwise, and some look at the
address that a row begins at. Which numbers of rows are safe differs between processors. So they are
tried out, once for all modules of a shape: random rows must come out the same in several places.
"""

from __future__ import annotations

import copy
import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from numbers import Number
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from sklearn_mixup._net.device import autocast_dtype, count_flops, isolated_rng, threads_for
from sklearn_mixup.minibatches import Rows, bytes_per_row, map_tensors
from sklearn_mixup.modules import MLP

# Rows of a minibatch: whole tiles of all kernels that were looked at. A shorter one is filled up to
# the first of these, or to the second where the first is not safe.
_SIZES = (16, 96, 384, 1056, 2016, 4032)
# What a layer of a minibatch may take, to stay in a core's cache; and what a minibatch of pictures
# may for each thread.
_LAYER_BYTES = 2**20
_PICTURE_BYTES = 2**19
_DEVICE_BYTES = 64 * 2**20
# So many numbers in a row keep the vector unit of a core busy.
MANY_CLASSES = 16
_FEW = 4  # rows that show whether they have to do with each other
_ROUGHLY = 0.05  # more than what any precision rounds
_TRIAL_FLOPS = 5e8  # more than so many for all rows to try with, and there are fewer

_DOUBLED = {F.linear, torch.addmm, torch.baddbmm, torch.bmm, torch.matmul, torch.mm}
_DOUBLED |= {Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__, Tensor.__rmatmul__}


class _InDouble(TorchFunctionMode):
    """Compute matrix products in double precision, where rounding hides the order of summation."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _DOUBLED:
            return func(*args, **kwargs)
        parts = (*args, *kwargs.values())
        dtype = next(part.dtype for part in parts if isinstance(part, Tensor))
        if not dtype.is_floating_point or dtype == torch.float64:
            return func(*args, **kwargs)
        args = [part.double() if isinstance(part, Tensor) else part for part in args]
        kwargs = {k: v.double() if isinstance(v, Tensor) else v for k, v in kwargs.items()}
        return func(*args, **kwargs).to(dtype)


def fill_up(rows: Tensor, *, n_rows: int) -> Tensor:
    """Repeat the last row until there are `n_rows`."""
    if len(rows) == n_rows:
        return rows
    if len(rows) == 1:
        return rows.expand(n_rows, *rows.shape[1:]).contiguous()
    return torch.cat([rows, rows[-1:].expand(n_rows - len(rows), *rows.shape[1:])])


def in_double(function: Callable[[Tensor], Tensor], outputs: Tensor) -> Tensor:
    """Compute a function of outputs on a CPU in double precision, where no place shows."""
    return function(outputs.double()).to(outputs.dtype) if outputs.is_cpu else function(outputs)


def softmax(outputs: Tensor) -> Tensor:
    """Compute the softmax of rows, of few classes on a CPU along the first axis.

    torch takes a quarter of the time there; in double precision, or the place of a row would show.
    """
    is_few = outputs.is_cpu and outputs.ndim == 2 and outputs.shape[1] < MANY_CLASSES
    if not is_few or outputs.dtype != torch.float32:
        return torch.softmax(outputs, dim=-1)
    return outputs.T.contiguous().double().softmax(0).float().T.contiguous()


@dataclass(frozen=True)
class Cuts:
    """How rows to predict are cut.

    Parameters
    ----------
    sizes : tuple of int
        Rows of a minibatch, ascending.
    fills : bool
        Whether a minibatch has one of these sizes, filled up where it is shorter.
    n_flops : int
        Operations for a row, at most.
    mode : class, default=None
        What is in force while the module is applied.
    """

    sizes: tuple[int, ...]
    fills: bool
    n_flops: int
    mode: type[TorchFunctionMode] | None = None

    def cut(self, n_rows: int) -> Iterator[tuple[int, int, int]]:
        """Yield where each minibatch starts and stops, and how many rows it is filled up to."""
        start = 0
        while (rest := n_rows - start) > 0:
            # One that is filled up by half costs less than two.
            size = next((size for size in self.sizes if rest <= size < 2 * rest), None)
            if size is None:
                size = max((size for size in self.sizes if size <= rest), default=self.sizes[0])
            n_taken = min(size, rest)
            yield start, start + n_taken, size if self.fills else n_taken
            start += n_taken

    def applying(self, n_rows: int, device: Any) -> AbstractContextManager[None]:
        """Put the mode in force, and as many threads to use as are of use for so many rows."""
        threads = threads_for(n_rows * self.n_flops, device)
        return threads if self.mode is None else _both(threads, self.mode())


@contextmanager
def _both(one: AbstractContextManager, other: AbstractContextManager) -> Iterator[None]:
    with one, other:
        yield


@dataclass
class _Verdict:
    """What was found out of all modules of a shape, on rows of a shape."""

    smallest: int | None = None
    mode: type[TorchFunctionMode] | None = None
    is_safe: dict[int, bool] = field(default_factory=dict)
    # Of a module that puts out the same for all rows nothing can be learned of its shape.
    is_blind: bool = False


_by_shape: dict[Any, _Verdict] = {}
_by_module: WeakKeyDictionary[nn.Module, dict[Any, Cuts]] = WeakKeyDictionary()


def find_cuts(module: nn.Module, rows: Rows, *, batch_size: int, limit: int | None) -> Cuts:
    """Find how to cut rows for a module, so that the output of a row depends on it alone.

    Parameters
    ----------
    module : nn.Module
        What they are for.
    rows : Tensor of shape (n_rows, ...) or dict of them
        All of them, on the device.
    batch_size : int
        Rows of a minibatch where nothing better is known.
    limit : int or None
        Rows of a minibatch at most.
    """
    parts = _parts(rows)
    key = (
        *[(part.shape[1:], part.dtype, part.device) for part in parts],
        *(torch.get_num_threads(), batch_size, limit),
        bisect_left(_SIZES, 2 * len(parts[0])),  # how many sizes are needed
        min(len(parts[0]), _FEW),
        autocast_dtype(parts[0].device.type),
    )
    known = _by_module.setdefault(module, {})
    if key not in known:
        # One thread at a time: what is found out of a shape is written down bit by bit.
        with isolated_rng(0, parts[0].device):
            known[key] = _find_cuts(module, rows, min(batch_size, _SIZES[-1]), limit or _SIZES[-1])
    return known[key]


def _find_cuts(module: nn.Module, rows: Rows, batch_size: int, limit: int) -> Cuts:
    parts, n_flops = _parts(rows), count_flops(module, rows)
    first = parts[0]
    if hasattr(module, "_orig_mod"):  # A compiled module meets one shape.
        return Cuts((min(batch_size, limit),), True, n_flops)
    row_bytes = max(bytes_per_row(rows), 1)
    as_trained = Cuts((min(batch_size, limit),), True, n_flops)
    if any(part.ndim > 2 for part in parts) and not _flattens(module):
        n_bytes = _PICTURE_BYTES * torch.get_num_threads() if first.is_cpu else _DEVICE_BYTES
        size = min(max(n_bytes // row_bytes, 8), limit)
        if not _keeps_rows_apart(module, rows):
            return as_trained
        return Cuts((size,), False, n_flops)
    widest = max((param.shape[0] for param in module.parameters() if param.ndim), default=1)
    layer_bytes = widest * first.element_size() * getattr(module, "n_modules", 1)
    bound = min(_LAYER_BYTES // max(row_bytes, layer_bytes), limit)
    sizes = tuple(size for size in _SIZES if size <= bound) or (min(_SIZES[0], limit),)
    is_float = all(part.is_floating_point() for part in parts)
    if not first.is_cpu or first.dtype == torch.float64 or not is_float:
        if not _keeps_rows_apart(module, rows):
            return as_trained
        return Cuts(sizes if first.is_cpu else sizes[-1:], True, n_flops)
    verdict = _try_out(module, rows, sizes)
    if verdict.smallest is None:  # Its rows have to do with each other, for one.
        return as_trained
    safe = tuple(size for size in sizes if verdict.is_safe.get(size))
    return Cuts(safe, True, n_flops, verdict.mode)


def _keeps_rows_apart(module: nn.Module, rows: Rows) -> bool:
    """Whether a row comes out about the same among other rows as among copies of itself."""
    few = _choose_few(rows)
    is_one = len(_parts(rows)[0]) == 1
    if not is_one and all(torch.equal(part, part[:1].expand_as(part)) for part in _parts(few)):
        return False  # They tell nothing.
    try:
        with torch.no_grad():
            return _Trial(module, few).is_independent(_FEW, None)
    except Exception:  # It does not take random rows, or cannot be copied.
        return True


def _choose_few(rows: Rows) -> Rows:
    """Make a few rows to try a module with, random ones where these can do no harm.

    A random code may be one that an embedding does not have, after which no kernel runs on a GPU
    any more, whatever it is for. On an accelerator all rows are real, elsewhere those of integers.
    """
    chosen = torch.arange(_FEW) * len(_parts(rows)[0]) // _FEW

    def choose(part: Tensor) -> Tensor:
        if _is_safe_to_try(part):
            return torch.randn(_FEW, *part.shape[1:]).to(part)
        return part[chosen.to(part.device)]

    return map_tensors(choose, rows)


def _is_safe_to_try(part: Tensor) -> bool:
    """Whether random rows are harmless: they are floats, and a CPU raises where they do not fit."""
    return part.is_cpu and part.is_floating_point()


def _flattens(module: nn.Module) -> bool:
    """Whether a row of any rank is cheap: it becomes one vector at once."""
    return isinstance(module, MLP) or getattr(module, "is_mlp", False)


def _try_out(module: nn.Module, rows: Rows, sizes: tuple[int, ...]) -> _Verdict:
    """Find which of the sizes, up to what the rows need, put out the same in all places."""
    shape = (
        *((part.shape[1:], part.dtype) for part in _parts(rows)),
        *map(_describe, module.modules()),
        *(parameter.shape for parameter in module.parameters()),
        *(torch.get_num_threads(), sizes, autocast_dtype(_parts(rows)[0].device.type)),
    )
    if shape not in _by_shape or _by_shape[shape].is_blind:
        _by_shape[shape] = _Verdict()
    verdict = _by_shape[shape]
    needed = [size for size in sizes if size < 2 * len(_parts(rows)[0])]
    if not verdict.is_safe or not verdict.is_safe.keys() >= {*needed}:
        _judge(verdict, module, rows, sizes, needed)
    return verdict


def _describe(part: nn.Module) -> Any:
    """Give what parts of a module have in common that do the same with other numbers."""
    own = {name: value for name, value in vars(part).items() if isinstance(value, Number | str)}
    return type(part), str({**own, "training": None})


def _parts(rows: Rows) -> list[Tensor]:
    return list(rows.values()) if isinstance(rows, Mapping) else [rows]


def _judge(
    verdict: _Verdict, module: nn.Module, rows: Rows, sizes: Sequence[int], needed: Sequence[int]
) -> None:
    """Find out what of a verdict is not known yet."""
    try:
        with torch.no_grad():
            trial = _Trial(module, _make_rows(module, rows))
            if not verdict.is_safe:
                _find_smallest(verdict, trial, sizes)
            if verdict.smallest is None:
                verdict.is_safe.update(dict.fromkeys(needed, False))
                return
            known = trial.output(verdict.smallest, verdict.mode)
            for size in {verdict.smallest, *needed} - verdict.is_safe.keys():
                verdict.is_safe[size] = trial.agrees(size, verdict.mode, known)
    except Exception:
        # It does not take random rows, or cannot be copied. Most have nothing to hide.
        verdict.smallest = verdict.smallest or sizes[0]
        for size in {verdict.smallest, *needed}:
            verdict.is_safe.setdefault(size, True)


def _find_smallest(verdict: _Verdict, trial: _Trial, sizes: Sequence[int]) -> None:
    """Find minibatches that can go with those of many rows, or else of one size alone."""
    larger = sizes[:3][-1]
    for is_alone in (False, True):
        for mode, size in itertools.product((None, _InDouble), sizes[:2]):
            known = trial.output(size, mode)
            verdict.is_blind = torch.equal(known, known[:1].expand_as(known))
            if not trial.agrees(size, mode, known):
                continue
            if trial.is_independent(size, mode) if is_alone else trial.agrees(larger, mode, known):
                verdict.smallest, verdict.mode = size, mode
                verdict.is_safe = {other: False for other in sizes if other < size}
                return


def _make_rows(module: nn.Module, rows: Rows) -> Rows:
    """Make random rows, as many as can be tried in a moment."""
    many = _SIZES[2] if count_flops(module, rows) * _SIZES[2] < _TRIAL_FLOPS else _SIZES[1]
    return map_tensors(lambda part: torch.randn(many, *part.shape[1:]).to(part), rows)


class _Trial:
    """Rows, all of them in several places of minibatches of several sizes."""

    def __init__(self, module: nn.Module, rows: Rows) -> None:
        self.module = copy.deepcopy(module).eval()  # Nobody is to notice.
        for part in self.module.modules():
            part._forward_hooks.clear()
            part._forward_pre_hooks.clear()
        self.n_flops = count_flops(module, rows)
        self.rows = rows
        self.places = torch.arange(len(_parts(rows)[0]), device=_parts(rows)[0].device)

    def output(self, size: int, mode: Any, *, shift: int = 0) -> Tensor:
        """Apply the module to all rows, each so many places further on."""
        n_rows = len(self.places)
        places = self.places.roll(shift).repeat(-(-size // n_rows))
        cut = places[: max(n_rows // size, 1) * size].split(size)
        return torch.cat([self._apply(part, mode) for part in cut])[:n_rows].roll(-shift, 0)

    def _apply(self, places: Tensor, mode: Any) -> Tensor:
        X = map_tensors(lambda part: part.index_select(0, places), self.rows)
        context = nullcontext() if mode is None else mode()
        with context, threads_for(len(places) * self.n_flops, places.device):
            output = self.module(**X) if isinstance(X, Mapping) else self.module(X)
        return (output[0] if isinstance(output, tuple) else output).nan_to_num()

    def agrees(self, size: int, mode: Any, known: Tensor) -> bool:
        """Whether the rows come out as `known` in other places of a minibatch, to the bit."""
        # By an odd number, by half of all tiles, and what is neither.
        return all(torch.equal(self.output(size, mode, shift=s), known) for s in (0, 1, 6, 8))

    def is_independent(self, size: int, mode: Any) -> bool:
        """Whether a row comes out about the same among copies of itself as among others."""
        among = self._apply(self.places[:size], mode)[0]
        alone = self._apply(torch.zeros_like(self.places[:size]), mode)[0]
        return bool((among - alone).abs().max() <= _ROUGHLY * among.abs().max())
