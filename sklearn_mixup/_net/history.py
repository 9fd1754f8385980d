"""The history of an epoch: what skorch writes step by step, written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skorch.history import History


def last_epoch(net: Any) -> dict[str, Any]:
    """Find the row of the last epoch: skorch copies the list of all rows to find one."""
    history = net.history
    return list.__getitem__(history, -1) if type(history) is History else history[-1]


def write_epoch(
    net: Any,
    losses: Sequence[Sequence[float]],
    sizes: Iterable[int],
    *,
    names: Sequence[str] = ("train_loss",),
    prefix: str = "train",
    start: int = 0,
) -> None:
    """Write what each step of an epoch lost, and the rows of each, as skorch does.

    What an epoch came to, such as its mean loss, is for the callbacks to write at its end.

    Parameters
    ----------
    net : NetEstimator
        Its history has a row for the epoch.
    losses : list of lists of float
        Of each step the losses that `names` name.
    sizes : iterable of int
        The rows of each step.
    names : list of str
        What the losses are called.
    prefix : {"train", "valid"}
        Whether the steps were taken on rows to train or to validate on.
    start : int
        The place of the first step among those of the epoch; some may have written there already.
    """
    epoch = last_epoch(net)
    steps = epoch["batches"]
    steps += [{} for _ in range(start + len(losses) - len(steps))]
    for step, lost, size in zip(steps[start:], losses, sizes, strict=False):
        step.update(zip(names, lost, strict=True))
        step[prefix + "_batch_size"] = size
    epoch[prefix + "_batch_count"] = len(losses)
