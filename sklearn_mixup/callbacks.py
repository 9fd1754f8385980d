"""The learning-rate decay, and what other callbacks ask of a net that mixes."""

from __future__ import annotations

import copy
import math
from typing import Any

from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler

__all__ = ["LRDecay"]


def decay_factor(step: int, n_steps: int) -> float:
    """Compute what the learning rate is multiplied with at a step of a fit."""
    return (1 + math.cos(math.pi * step / n_steps)) / 2


class LRDecay(Callback):
    """Lower the learning rate to zero along a cosine over a whole ``fit``, at each minibatch.

    It stands aside in ``partial_fit``, which has no end to decay to, and where the net has an
    ``LRScheduler`` of its own. After training the learning rate is what it was before.

    Examples
    --------
    Every net has one, by the name of ``lr_decay``. Without it the learning rate is constant:

    >>> from sklearn_mixup import MixupClassifier
    >>> clf = MixupClassifier(callbacks__lr_decay=None)
    """

    groups_: list[tuple[dict, float]] = []  # noqa: RUF012, replaced, never changed

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Note the learning rates to start from."""
        self.step_ = 0
        self.groups_ = []
        if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
            return
        for name in net._optimizers:
            groups = getattr(net, name + "_").param_groups
            self.groups_ += [(group, group["lr"]) for group in groups]

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Set the learning rate of this minibatch."""
        n_steps = net.n_steps_
        if not training or n_steps is None:
            return
        factor = decay_factor(self.step_, n_steps)
        for group, lr in self.groups_:
            group["lr"] = lr * factor
        self.step_ += 1

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the learning rate of the epoch's last minibatch.

        Between epochs it is the one to start from: who saves the optimizer there saves that.
        """
        if self.groups_ and net.n_steps_ is not None:
            net.history.record("event_lr", float(self.groups_[0][0]["lr"]))
        self._reset()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the learning rates."""
        self.restore()

    def _reset(self) -> None:
        for group, lr in self.groups_:
            group["lr"] = lr

    def restore(self) -> None:
        """Restore the learning rates, and forget the optimizer."""
        self._reset()
        self.groups_ = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "groups_": []}


def listens(callback: Callback, *, training: bool) -> bool:
    """Whether a callback asks for each minibatch of an epoch, with its loss."""
    if isinstance(callback, LRDecay):
        return False
    if type(callback) in (BatchScoring, EpochScoring):
        return callback.on_train == training
    if type(callback) is LRScheduler:
        return training and callback.step_every == "batch"
    hooks = ("on_batch_begin", "on_batch_end")
    return any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in hooks)


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
