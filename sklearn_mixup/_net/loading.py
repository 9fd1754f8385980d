"""Minibatches that come from a loader, row by row from the host, to train with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import suppress
from typing import Any

from skorch.dataset import unpack_data
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from sklearn_mixup.minibatches import Rows, augmented


class JoinedBatches(BatchSampler):
    """Minibatches of a DataLoader; a single row that is left over joins the one before it."""

    def _joins(self) -> bool:
        n_rows = len(self.sampler)  # type: ignore[arg-type]
        is_single = 1 < self.batch_size < n_rows and n_rows % self.batch_size == 1
        return is_single and not self.drop_last

    def __len__(self) -> int:
        """Return the number of minibatches in an epoch."""
        return super().__len__() - self._joins()

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the numbers of the rows of each minibatch."""
        n_left, joined = len(self), []
        for minibatch in super().__iter__():
            n_left -= 1
            if n_left > 0 or not self._joins():
                yield minibatch
            else:
                joined += minibatch
        if joined:
            yield joined


def make_loader(loader_type: Any, dataset: Any, options: dict[str, Any], *, joins: bool) -> Any:
    """Make a loader to train with: shuffled, unless it is told how to go through the rows.

    With `joins` a last minibatch of a single row joins the one before it.
    """
    loader = loader_type(dataset, **options)
    if not isinstance(loader, DataLoader):
        return loader
    asked = {"shuffle", "sampler", "batch_sampler"} & options.keys()
    is_plain = type(loader.batch_sampler) is BatchSampler
    # One that chooses whole minibatches in a way of its own leaves a sampler that is not used.
    in_order = type(loader.sampler) is SequentialSampler
    if in_order and not asked and (is_plain or loader.batch_sampler is None):
        options = {**options, "shuffle": True}
        loader = loader_type(dataset, **options)
    if joins and is_plain and isinstance(loader.sampler, Sized):  # no stream
        sampler: Any = loader.sampler
        batches = JoinedBatches(sampler, loader.batch_size, loader.drop_last)
        told = {"batch_size", "shuffle", "sampler", "drop_last"}
        rest = {name: value for name, value in options.items() if name not in told}
        loader = loader_type(dataset, batch_sampler=batches, **rest)
    return loader


class MappedLoader:
    """Minibatches from a loader, put on the device, augmented and transformed there one by one.

    For data that does not fit on the device: the loader fetches and collates on the host.
    """

    def __init__(
        self,
        loader: Any,
        place: Callable[[Any], Rows],
        place_targets: Callable[[Any], Rows],
        transform: Callable[[Rows, Rows], tuple[Rows, Rows]],
        augment: Callable[[Rows], Rows] | None = None,
    ) -> None:
        self.loader = loader
        self.place = place
        self.place_targets = place_targets
        self.transform = transform
        self.augment = augment

    def __len__(self) -> int:
        """Return the number of minibatches in an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        """Yield the minibatches of one epoch."""
        for batch in self.loader:
            X, y = unpack_data(batch)
            yield self.transform(augmented(self.place(X), self.augment), self.place_targets(y))


def no_minibatch(iterator: Any) -> ValueError:
    """Say that an iterator yielded nothing to train on, with the numbers that made it so."""
    loader = iterator.loader if isinstance(iterator, MappedLoader) else iterator
    batch_size = getattr(loader, "batch_size", None)
    n_rows = getattr(loader, "n_visits", None)
    with suppress(AttributeError, TypeError):  # A stream has no length.
        n_rows = len(loader.dataset)
    got = "none" if n_rows is None else f"none of {n_rows} row(s)"
    if batch_size is not None:
        got += f" with batch_size={batch_size}"
    if n_rows and batch_size is not None and getattr(loader, "drop_last", False):
        got += (
            f" and drop_last=True. Use a `batch_size` of at most {n_rows}, or "
            "iterator_train__drop_last=False"
        )
    return ValueError(
        f"There must be at least one minibatch to train on in each epoch; {type(loader).__name__} "
        f"yielded {got}."
    )
