"""Minibatches of data that already lives on the device: gathered in chunks, handed out as slices.

A ``DataLoader`` fetches and collates row by row, on the host. A table, and many a set of pictures,
fits on the device whole; there one gather serves many minibatches and a minibatch is a view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np
import torch
from skorch.dataset import get_len
from torch import Tensor
from torch.utils.data import Subset

from sklearn_mixup._streams import Stream, draw_words, sort_words

__all__ = ["Minibatches"]

# What a minibatch is made of: a tensor, or tensors in a dict or tuple that share their first axis.
Rows = Any


def map_tensors(function: Callable[..., Tensor], rows: Rows, *others: Rows) -> Rows:
    """Apply a function to the tensor, or to each tensor of the dict or tuple.

    It is handed those in the same place of others, made like the first, as well.
    """
    if isinstance(rows, Mapping):
        return {
            name: map_tensors(function, part, *(other[name] for other in others))
            for name, part in rows.items()
        }
    if isinstance(rows, (tuple, list)):
        return like(
            rows, [map_tensors(function, *parts) for parts in zip(rows, *others, strict=True)]
        )
    return function(rows, *others)


def like(rows: tuple | list, parts: Sequence[Rows]) -> Rows:
    """Put parts into a tuple, named tuple or list like `rows`."""
    return type(rows)(*parts) if hasattr(rows, "_fields") else type(rows)(parts)


def list_tensors(rows: Rows) -> list[Tensor]:
    """List the tensor, or the tensors of the dict or tuple."""
    if isinstance(rows, Mapping):
        rows = tuple(rows.values())
    if isinstance(rows, (tuple, list)):
        return [tensor for part in rows for tensor in list_tensors(part)]
    return [rows]


def bytes_per_row(rows: Rows) -> int:
    """Count the bytes of a row of the tensor, or of all tensors of the dict or tuple."""
    return sum(part[:1].numel() * part.element_size() for part in list_tensors(rows))


# Rows of epochs that are made in one go: more are not made sooner.
_AHEAD_ROWS = 2**14
# A sum over the bits of a row takes a copy of them in int64: not of more rows at once than this.
_HASHED_BYTES = 16 * 2**20


def hash_rows(rows: Tensor) -> Tensor:
    """Hash each row: the sum of its bits, times fixed random odd numbers, modulo 2**64."""
    rows = rows.flatten(1) if rows.ndim > 1 else rows.unsqueeze(1)
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[rows.element_size()]
    rng = torch.Generator().manual_seed(0)
    odd = torch.randint(2**62, (rows.shape[1],), generator=rng).mul_(2).add_(1).to(rows.device)
    block = max(_HASHED_BYTES // (16 * rows.shape[1]), 1)
    sums = [(part.contiguous().view(whole) * odd).sum(1) for part in rows.split(block)]
    return torch.cat(sums)


def content_order(X: Tensor, y: Tensor) -> Tensor:
    """Order rows by a hash of what they hold, whatever the order in which they are stored.

    A shuffle that starts from it gives a table and the same table sorted otherwise the same
    minibatches, and a row that counts twice those of a row that stands there twice. Targets that
    are numbers tell rows of equal inputs apart by their size: in another unit they are rounded
    otherwise, which a hash would make another order of.
    """
    key = hash_rows(X)
    if not y.is_floating_point():
        return (key * 1_000_003 + hash_rows(y)).argsort(stable=True)
    order = key.argsort(stable=True)
    key = key[order]
    places = torch.cat([key.new_ones(1), key.diff(), key.new_ones(1)]).eq(0)
    tied = places[1:] | places[:-1]
    rows = order[tied]
    columns = y[rows].flatten(1) if y.ndim > 1 else y[rows].unsqueeze(1)
    by_size = np.lexsort([*columns.T.cpu().double().numpy(), key[tied].cpu().numpy()])
    order[tied] = rows[torch.as_tensor(by_size, device=rows.device)]
    return order


def cut_rows(cut: Callable[[Tensor], Sequence[Tensor]], rows: Rows) -> Sequence[Rows]:
    """Cut the tensor, or all tensors of the dict or tuple alike, into pieces."""
    if isinstance(rows, Mapping):
        parts = zip(*(cut_rows(cut, part) for part in rows.values()), strict=True)
        return [dict(zip(rows, part, strict=True)) for part in parts]
    if isinstance(rows, (tuple, list)):
        parts = zip(*(cut_rows(cut, part) for part in rows), strict=True)
        return [like(rows, part) for part in parts]
    return cut(rows)


class Minibatches:
    """Iterate over minibatches ``(X, y)`` of tensors that live on one device.

    Parameters
    ----------
    X : Tensor of shape (n_rows, ...) or dict of such tensors
        Inputs. Never written to.
    y : Tensor of shape (n_rows, ...) or tuple of such tensors
        Targets, and whatever else `transform` needs of a row.
    batch_size : int, default=32
        Rows in a minibatch; the last one may be shorter.
    order : LongTensor of shape (n_visits,), default=None
        The rows of an epoch, in the order in which they are visited unless shuffled. A row may
        occur more than once. None visits each row once, as stored.
    n_visits : int, default=None
        Rows of an epoch. None is as many as `order` has; with another number an epoch ends in the
        middle of a pass over them, and the next one goes on from there.
    shuffle : bool, default=False
        Whether to visit the rows in a new random order in each pass.
    drop_last : bool, default=False
        Whether to leave out a last minibatch that is shorter than the others.
    join_single : bool, default=False
        Whether a last minibatch of a single row joins the one before it, if there is one: batch
        normalisation has no variance of one row.
    rng : torch.Generator or Stream, default=None
        Source of the shuffle, on the device of the data. None uses torch's global generator.
    augment : callable, default=None
        ``augment(X) -> X``, applied to the gathered rows of many minibatches at once, before
        `transform`: :func:`~sklearn_mixup.augmentation.crop_and_flip`, for one. It may write to
        the rows that it is given: they are copies.
    transform : callable, default=None
        ``transform(X, y) -> (X, y)``, applied to the rows of many minibatches at once, before they
        are sliced; `epochs` passes `n_epochs` as well. It may make several rows of each, next to
        each other.
    rank, n_processes : int, default=0, 1
        Which share of the visits of an epoch is this process's, of how many that train together,
        each with the same `rng`. Shares are equal: the first visits are repeated to make them so.
    chunk_bytes : int, default=64 MiB
        Bound on the memory of the gathered and transformed rows. One minibatch is the least.
    row_bytes : int, default=None
        Memory that one gathered and transformed row takes. None counts four copies of it: the
        row, its partner, their mixture, and the mixture that was handed out last.

    Examples
    --------
    >>> import torch
    >>> X, y = torch.arange(10.0).reshape(5, 2), torch.arange(5)
    >>> [y.tolist() for X, y in Minibatches(X, y, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        X: Rows,
        y: Rows,
        *,
        batch_size: int = 32,
        order: Tensor | None = None,
        n_visits: int | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        join_single: bool = False,
        rng: torch.Generator | Stream | None = None,
        augment: Callable[[Rows], Rows] | None = None,
        transform: Callable[..., tuple[Rows, Rows]] | None = None,
        rank: int = 0,
        n_processes: int = 1,
        chunk_bytes: int = 64 * 2**20,
        row_bytes: int | None = None,
    ) -> None:
        first = next(iter(X.values())) if isinstance(X, Mapping) else X
        if len(lengths := {len(rows) for rows in list_tensors((X, y))}) > 1:
            raise ValueError(
                f"X and y must have the same number of rows; got {sorted(lengths)}. Take those "
                "that belong together."
            )
        self.X = X
        self.y = y
        self.batch_size = batch_size
        self.order = order
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rng = rng
        self.augment = augment
        self.transform = transform
        self.n_rows = len(first) if order is None else len(order)
        self.rank = rank
        self.n_processes = n_processes
        self._n_drawn = self.n_rows if n_visits is None else n_visits
        self.n_visits = -(-self._n_drawn // n_processes)
        is_single = 1 < batch_size < self.n_visits and self.n_visits % batch_size == 1
        self.joins = join_single and not drop_last and is_single
        self._ahead: Tensor | None = None
        # The rows that `transform` makes of one.
        self.n_copies = 1
        self.device = first.device
        if row_bytes is None:
            row_bytes = 4 * bytes_per_row((X, y))
        chunk_rows = chunk_bytes // max(row_bytes, 1)
        # Whole minibatches only, so that a minibatch is never cut in two.
        self.chunk_rows = max(chunk_rows // batch_size, 1) * batch_size

    def __len__(self) -> int:
        """Return the number of minibatches in an epoch."""
        if self.drop_last:
            return self.n_visits // self.batch_size
        return -(-self.n_visits // self.batch_size) - self.joins

    def draw_visits(self) -> Tensor | None:
        """Draw the rows of the next epoch in the order of their visit; None is as stored."""
        visits = self._draw_all()
        if self.n_processes == 1:
            return visits
        if visits is None:
            visits = torch.arange(self._n_drawn, device=self.device)
        places = torch.arange(self.n_visits, device=self.device) * self.n_processes + self.rank
        return visits.index_select(0, places % self._n_drawn)

    def _draw_all(self) -> Tensor | None:
        """Draw the visits of the next epoch, of all processes."""
        if self._n_drawn == self.n_rows:
            return draw_passes([self])[0] if self.shuffle else self.order
        ahead = torch.empty(0, dtype=torch.int64, device=self.device)
        ahead = ahead if self._ahead is None else self._ahead
        if (n_missing := self._n_drawn - len(ahead)) > 0:
            passes = draw_passes([self] * -(-n_missing // self.n_rows))
            ahead = torch.cat([ahead, passes.flatten()])
        self._ahead = ahead[self._n_drawn :]
        return ahead[: self._n_drawn]

    def chunks(self) -> list[tuple[int, int]]:
        """Cut an epoch into runs of visits whose rows are gathered together.

        A last minibatch that has been joined by a single row is a run of its own.
        """
        return self.runs_of(self.chunk_rows)

    def runs_of(self, n_rows: int) -> list[tuple[int, int]]:
        """Cut an epoch into runs of about so many visits, all of whole minibatches."""
        n_rows = max(n_rows // self.batch_size, 1) * self.batch_size
        n_visits = len(self) * self.batch_size if self.drop_last else self.n_visits
        n_even = n_visits - self.joins * (self.batch_size + 1)
        chunks = [(start, min(start + n_rows, n_even)) for start in range(0, n_even, n_rows)]
        return [*chunks, (n_even, n_visits)] if self.joins else chunks

    def rows_of(self, n_rows: int) -> int:
        """Tell how many rows the minibatches of a run of `n_rows` have."""
        return count_joined(n_rows, self.batch_size, self.joins)

    @property
    def sizes(self) -> list[int]:
        """The rows of each minibatch of an epoch."""
        cuts = [(start, stop, self.rows_of(stop - start)) for start, stop in self.chunks()]
        sizes = [min(n, stop - at) for start, stop, n in cuts for at in range(start, stop, n)]
        return [self.n_copies * size for size in sizes]

    def gather(self, visits: Tensor | None, start: int, stop: int) -> tuple[Rows, Rows]:
        """Copy the rows of some consecutive visits: a module may write to them, not to the data."""
        X, y = map_tensors(partial(_gather, visits, start, stop), (self.X, self.y))
        return X, y

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        """Yield the minibatches of one epoch."""
        for X, y, n_rows in self.runs():
            yield from cut_rows(methodcaller("split", n_rows), (X, y))
            del X, y  # or the next run would be made beside this one

    def runs(self) -> Iterator[tuple[Rows, Rows, int]]:
        """Yield the runs of minibatches of one epoch, and how many rows one of each run has."""
        visits = self.draw_visits()
        for start, stop in self.chunks():
            X, y = self._make(visits, start, stop)
            yield X, y, self.n_copies * self.rows_of(stop - start)
            del X, y

    def count_ahead(self, n_epochs: int) -> int:
        """Count the epochs, of the next `n_epochs`, that `epochs` may make in one go."""
        is_whole = self._n_drawn == self.n_rows and self.n_processes == 1
        if not (is_whole and len(self.chunks()) == 1 and self.augment is None):
            return 1
        return max(min(n_epochs, min(self.chunk_rows, _AHEAD_ROWS) // self.n_visits), 1)

    def epochs(self, n_epochs: int) -> tuple[Rows, Rows]:
        """Gather and transform the rows of the next epochs: as one by one, in fewer operations."""
        ((start, stop),) = self.chunks()
        visits = draw_passes([self] * n_epochs)[:, start:stop].flatten()
        X, y = self.gather(visits, 0, len(visits))
        return self._transform(X, y, len(visits), n_epochs=n_epochs)

    def _transform(self, X: Rows, y: Rows, n_rows: int, **how: Any) -> tuple[Rows, Rows]:
        """Transform rows, and note how many are made of one."""
        if self.transform is None:
            return X, y
        X, y = self.transform(X, y, **how)
        self.n_copies = int(len(list_tensors(X)[0]) // n_rows)  # of NumPy's numbers too
        return X, y

    def _make(self, visits: Tensor | None, start: int, stop: int) -> tuple[Rows, Rows]:
        """Gather, augment and transform the rows of some consecutive visits."""
        X, y = self.gather(visits, start, stop)
        return self._transform(augmented(X, self.augment), y, stop - start)


def draw_passes(each: Sequence[Minibatches]) -> Tensor:
    """Draw the visits of a pass over the rows of each, which have as many: shape (n, n_rows).

    Minibatches that are there several times go on to their next pass.
    """
    first, n_rows = each[0], each[0].n_rows
    if not first.shuffle:
        places = torch.arange(n_rows, device=first.device).expand(len(each), -1)
    elif isinstance(first.rng, Stream):
        streams = [rows.rng for rows in each if isinstance(rows.rng, Stream)]
        places = sort_words(draw_words(streams, n_rows))
    else:
        words = torch.empty(len(each), n_rows, dtype=torch.int64, device=first.device)
        places = sort_words(words.random_(-(2**63), None, generator=first.rng))
    if first.order is not None and all(rows is first for rows in each):
        return first.order.index_select(0, places.flatten()).view_as(places)
    orders = [rows.order for rows in each if rows.order is not None]
    return torch.stack(orders).gather(1, places) if orders else places


def count_joined(n_rows: int, batch_size: int, joins: bool) -> int:
    """Tell how many rows the minibatches of a run of rows have, the last of which may be joined."""
    return n_rows if joins and n_rows == batch_size + 1 else batch_size


def _gather(visits: Tensor | None, start: int, stop: int, tensor: Tensor) -> Tensor:
    """Copy the rows of some consecutive visits, or those stored there."""
    if visits is None:
        return tensor[start:stop].clone()
    return tensor.index_select(0, visits[start:stop])


def augmented(X: Rows, augment: Callable[[Rows], Rows] | None) -> Rows:
    """Augment rows, if there is something to augment them with."""
    if augment is None:
        return X
    n_rows = get_len(X)
    X = augment(X)
    if get_len(X) != n_rows:
        raise ValueError(
            f"`augment` must return a row for each row that it is given; got {get_len(X)} for "
            f"{n_rows}."
        )
    return X


def peel(dataset: Any) -> tuple[Any, np.ndarray | None]:
    """Find the data set below any subsets, and the rows of it that they choose."""
    rows = None
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices)
        rows = indices if rows is None else indices[rows]
        dataset = dataset.dataset
    return dataset, rows
