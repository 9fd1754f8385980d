"""Rows that a net does not train on but looks at after each epoch, and its best epoch by them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.dataset import get_len, unpack_data
from skorch.utils import is_dataset
from torch import Tensor, nn
from torch.utils.data import IterableDataset, Subset

from sklearn_mixup._net.checks import check_inputs, check_sample_weight
from sklearn_mixup._net.device import threads_for
from sklearn_mixup._net.last_good import LastGood
from sklearn_mixup._net.targets import mix_targets
from sklearn_mixup.minibatches import Minibatches, Rows, map_tensors

# Numbers that a layer puts out for the rows that are looked at together, about.
_NUMBERS_AT_ONCE = 2**22
# A tenth of fewer rows is too few to tell which epoch is best, so "auto" sets none aside.
FEWEST_ROWS = 100


class Validation(NamedTuple):
    """Rows that a net is not to train on but to look at after each epoch.

    Parameters
    ----------
    X, y : array-like
        The rows, as the net takes them.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; one of weight 0 might as well not be there.
    n_iter_no_change : int, default=None
        After how many epochs in a row without a new best one the training ends. None never ends it.
    n_averaged : int, default=1
        An epoch is judged by the mean loss of so many, itself the last: of few rows one may be low
        by chance.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    n_iter_no_change: float | None = None
    n_averaged: int = 1


class HeldOut(NamedTuple):
    """Rows to look at, on the device; their weights, if they have some, have mean 1."""

    X: Rows
    y: Tensor
    weight: Tensor | None


class Watch:
    """Which epoch of a training was the best, by the loss on rows that it does not train on.

    Parameters
    ----------
    n_iter_no_change : int or None
        After how many epochs in a row without a new best one the training has ended; None is never.
    n_averaged : int, default=1
        An epoch is judged by the mean loss of so many, itself the last.
    """

    def __init__(self, n_iter_no_change: float | None, n_averaged: int = 1) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.last_losses: deque[float] = deque(maxlen=n_averaged)
        self.best_loss = math.inf
        self.n_misses = 0

    def note(self, history: Any, loss: float) -> bool:
        """Write the loss of an epoch into its history; tell whether it is the best so far."""
        self.last_losses.append(loss)
        judged = sum(self.last_losses) / len(self.last_losses)
        is_best = judged < self.best_loss  # which NaN never is
        history.record("valid_loss", np.float64(loss))
        history.record("valid_loss_best", is_best)
        self.best_loss = judged if is_best else self.best_loss
        self.n_misses = 0 if is_best else self.n_misses + 1
        return is_best

    @property
    def has_ended(self) -> bool:
        """Whether the last epochs have brought nothing, after one that could be judged."""
        if self.n_iter_no_change is None or math.isinf(self.best_loss):
            return False
        return self.n_misses >= self.n_iter_no_change


class LoneWatch(Watch):
    """A watch over a net that is trained alone, by skorch's loop.

    Parameters
    ----------
    validation : Validation or None
        The rows to look at; None parts them from those that the net is given.
    labels : ndarray or None
        The targets of these, as far as they are known.
    n_iter_no_change : int or None
        As of `Watch`.
    """

    def __init__(
        self, validation: Validation | None, labels: Any, n_iter_no_change: float | None
    ) -> None:
        super().__init__(n_iter_no_change, 1 if validation is None else validation.n_averaged)
        self.validation, self.labels = validation, labels
        self.sample_weight: np.ndarray | None = None
        self.dataset: Any = None
        self.held_out: HeldOut | None = None
        self.best = LastGood()

    def part(self, net: Any, dataset: Any) -> tuple[Any, Any]:
        """Tell the data set to train on, and the one to look at."""
        if self.validation is not None:
            X, y, self.sample_weight = check_validation(net, self.validation)
            self.dataset = net.get_dataset(X, y)
            return dataset, self.dataset
        if isinstance(dataset, IterableDataset):
            raise ValueError(
                "`early_stopping` sets rows aside, so it needs a Dataset whose rows have numbers; "
                f"got {type(dataset).__name__}, an IterableDataset. Pass the rows to validate on: "
                "train_split=skorch.helper.predefined_split(...)."
            )
        rows, others = split_rows(net, self.labels, get_len(dataset))
        self.sample_weight = net._training_.sample_weight
        self.dataset = Subset(dataset, others.tolist())
        return Subset(dataset, rows.tolist()), self.dataset

    def open(self, net: Any, iterator: Any) -> None:
        """Prepare the rows to look at; what goes on with its weights looks at them first."""
        self.iterator = iterator
        if isinstance(iterator, Minibatches):
            rows = None if iterator.order is None else iterator.order.cpu().numpy()
            resident = iterator.X, iterator.y
            self.held_out = hold_out(net, resident, self.sample_weight, rows)
        if not net._training_.fresh:
            self.best_loss = self._measure(net)
            self.last_losses.append(self.best_loss)
            self.best.keep(net, len(net.history))

    def look(self, net: Any) -> None:
        """Look at the net after an epoch."""
        if self.note(net.history, self._measure(net)):
            self.best.keep(net, len(net.history))

    def _measure(self, net: Any) -> float:
        """Compute the mean loss of the rows held out."""
        net._set_training(False)
        parts, n_rows = [], 0
        with torch.no_grad(), threads_for(net._training_.n_flops, net._place):
            for X, y, weight in self._runs(net):
                n_rows += len(y)
                parts.append(loss_of_rows(net, net.infer(X), y, weight) * len(y))
            return float(torch.stack(parts).sum()) / n_rows if parts else math.nan

    def _runs(self, net: Any) -> Iterator[tuple[Rows, Tensor, Tensor | None]]:
        """Yield the rows held out in runs that fit into memory."""
        if self.held_out is None:
            for batch in self.iterator:
                X, y = unpack_data(batch)
                yield X, y, None  # The loss looks at labels before they go to the device.
            return
        X, y, weight = self.held_out
        n_numbers = count_numbers(net.module_, X)
        for cut in cut_at_once(len(y), n_numbers, self.iterator.batch_size):
            yield map_tensors(itemgetter(cut), X), y[cut], None if weight is None else weight[cut]

    def give_back(self, net: Any) -> None:
        """Let a net have what it had learned in its best epoch."""
        if self.best.copies:
            self.best.put_back(net)

    def state_dict(self) -> dict[str, Any]:
        """Collect what a checkpoint needs."""
        kept = self.best.copies.tensors, self.best.n_epochs
        known = {"best_loss": self.best_loss, "n_misses": self.n_misses, "kept": kept}
        return {**known, "last_losses": [*self.last_losses]}

    def load_state_dict(self, net: Any, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, with a net that has its state."""
        self.best_loss, self.n_misses = state["best_loss"], state["n_misses"]
        self.last_losses.extend(state["last_losses"])
        tensors, n_epochs = state["kept"]
        if tensors:
            self.best.keep(net, n_epochs)
            for own, kept in zip(self.best.copies.tensors, tensors, strict=True):
                own.copy_(kept)


@contextmanager
def validated(net: Any, validation: Validation | None) -> Iterator[None]:
    """Let the fits of a net look at given rows meanwhile."""
    if validation is not None:
        vars(net)["_validation_"] = validation
    try:
        yield
    finally:
        vars(net).pop("_validation_", None)


def sets_rows_aside(net: Any, X: Any) -> bool:
    """Whether `early_stopping` parts rows into those to train on and those to look at."""
    if net.early_stopping != "auto":
        return bool(net.early_stopping)
    # Processes that train together might not agree on the epoch to stop at.
    leaves = net.train_split or is_dataset(X) or net._processes[1] > 1
    return not leaves and get_len(X) >= FEWEST_ROWS


def split_rows(net: Any, labels: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Part rows into those to train on and those to look at, as `validation_fraction` has it.

    Labels are stratified. A net that goes on keeps to its parts.
    """
    if net._training_.fresh or not hasattr(net, "_split_seed_"):
        net._split_seed_ = net._training_.seed
    stratify = labels if net.target_type_ == "multiclass" else None
    found = np.zeros(n_rows) if stratify is None else stratify
    classes, counts = np.unique(found, return_counts=True)
    n_classes = len(classes)
    if counts.min() < 2:
        least = "" if n_classes == 1 else f", two for each of the {n_classes} classes"
        few = n_rows < 2 * n_classes
        got = f"n_samples={n_rows}" if few else f"a single row of {classes[counts.argmin()]}"
        raise ValueError(
            "`early_stopping` sets rows aside to validate on, so X must have at least "
            f"{2 * n_classes} rows{least}; got {got}. Use early_stopping=False."
        )
    n_valid = max(math.ceil(net.validation_fraction * n_rows), n_classes)
    rows, others = train_test_split(
        np.arange(n_rows),
        test_size=min(n_valid, n_rows - n_classes),
        random_state=net._split_seed_,
        stratify=stratify,
    )
    return np.sort(rows), np.sort(others)


def check_validation(net: Any, validation: Validation) -> tuple[Any, Any, np.ndarray | None]:
    """Check rows to look at as the net checks those that it trains on; drop those of no weight."""
    X = check_inputs(net, validation.X, reset=False)
    y, kind = net._target_kind.check(validation.y)
    parts = list(X.values()) if isinstance(X, dict) else [X]
    if kind != net.target_type_ or any(len(part) != len(y) for part in parts):
        raise ValueError(
            f"Rows to validate on must have targets as those to train on, {net.target_type_}, one "
            f"for each row; got {len(y)} that are {kind} for {len(parts[0])} rows."
        )
    weight = validation.sample_weight
    if weight is not None:
        weight = check_sample_weight(weight, len(y))
    return X, y, weight


def hold_out(
    net: Any,
    resident: tuple[Rows, Tensor],
    sample_weight: np.ndarray | None,
    rows: np.ndarray | None = None,
    chosen: dict[Any, tuple[Rows, Tensor]] | None = None,
) -> HeldOut:
    """Choose rows to look at of tensors on the device; `rows` may be None, all.

    Weights are those of the rows times those of their classes, as in training. What was `chosen`
    for others is shared with them.
    """
    X, y = resident
    class_weight = net._training_.class_weight
    weight = sample_weight
    if class_weight is not None:
        codes = y.cpu().numpy()
        by_class = class_weight[codes] if codes.ndim == 1 else codes @ class_weight
        weight = by_class if weight is None else weight * by_class
    if weight is not None:
        weight = weight if rows is None else weight[rows]
        kept = np.flatnonzero(weight)
        if not len(kept):
            raise ValueError(
                "At least one row to validate on must have a weight > 0; got rows whose "
                "`sample_weight` times `class_weight` are all 0."
            )
        if len(kept) < len(weight):
            rows, weight = kept if rows is None else rows[kept], weight[kept]
        # Weights that are all the same are none.
        weight = None if (weight == weight[0]).all() else weight / weight.mean()
    if rows is not None:
        key = id(y), rows.tobytes()
        chosen = {} if chosen is None else chosen
        if key not in chosen:
            places = torch.as_tensor(rows, device=y.device)
            chosen[key] = map_tensors(lambda part: part.index_select(0, places), (X, y))
        X, y = chosen[key]
    return HeldOut(X, y, None if weight is None else net._to_device(weight))


def cut_at_once(n_rows: int, n_numbers: int, n_least: int) -> Iterator[slice]:
    """Cut rows into runs that are looked at together; a row has `n_numbers` in its widest layer."""
    n_at_once = max(_NUMBERS_AT_ONCE // max(n_numbers, 1), n_least, 1)
    return (slice(start, min(start + n_at_once, n_rows)) for start in range(0, n_rows, n_at_once))


def count_numbers(module: nn.Module, X: Rows) -> int:
    """Count the numbers of a row in the widest layer of a module, as far as its weights tell."""
    parts = X.values() if isinstance(X, dict) else [X]
    widest = max((param.shape[0] for param in module.parameters() if param.ndim), default=1)
    flat = max(part[:1].numel() for part in parts)
    # A layer of convolution has as many numbers as channels for each place.
    return max(flat, widest) if all(part.ndim == 2 for part in parts) else flat * widest


def loss_of_rows(net: Any, output: Any, y: Tensor, weight: Tensor | None) -> Tensor:
    """Compute the mean loss of rows as they are, each times its weight."""
    targets: Any = y
    if weight is not None:
        targets = mix_targets(net, y, weight, None, len(y))
    return net.get_loss(output, targets, X=None, training=False)
