"""What the callbacks of a net ask for: each minibatch, a change of its parts, or only a look."""

from __future__ import annotations

import copy
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    EpochScoring,
    EpochTimer,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
)

from sklearn_mixup.callbacks import LRDecay, QuietLog, StepLosses


def list_decays(net: Any) -> list[LRDecay]:
    """List the callbacks of a net that lower its learning rate step by step, as LRDecay does."""
    return [callback for _, callback in net.callbacks_ if isinstance(callback, LRDecay)]


def replaces(watcher: Any, method: str, base: type) -> bool:
    """Whether a method of an object, of any class, is another than that of `base`."""
    return getattr(getattr(watcher, method), "__func__", None) is not getattr(base, method)


def listens(callback: Any, *, training: bool) -> bool:
    """Whether a callback asks for each minibatch of an epoch, with its loss."""
    if isinstance(callback, LRDecay):
        return False
    if type(callback) is EpochScoring and not callback.use_caching:
        return False
    if type(callback) in (BatchScoring, EpochScoring):
        return callback.on_train == training
    if type(callback) is LRScheduler:
        return training and callback.step_every == "batch"
    return any(replaces(callback, hook, Callback) for hook in ("on_batch_begin", "on_batch_end"))


def only_looks(callback: Callback) -> bool:
    """Whether a callback is known to leave all parts of its net alone."""
    if type(callback) is EpochScoring:
        return isinstance(callback.scoring, str)
    return type(callback) in (
        *(EpochTimer, LRDecay, PassthroughScoring, StepLosses),
        *(PrintLog, QuietLog),
    )


def score_plain_rows(name: str, callback: Callback, *, use_caching: Any) -> Callback:
    """Let a score on training data predict its rows as they are, neither mixed nor weighted."""
    if not getattr(callback, "on_train", False):
        return callback
    cached = isinstance(callback, EpochScoring) and use_caching is True
    if cached or isinstance(callback, BatchScoring):
        raise ValueError(
            f"Callback {name!r} would score predictions on mixed or weighted minibatches against "
            "labels that are neither. Use EpochScoring(on_train=True), with "
            'use_caching="auto" or False: it predicts the training rows as they are.'
        )
    if isinstance(callback, EpochScoring):
        callback = copy.copy(callback)
        callback.use_caching = False
    return callback
