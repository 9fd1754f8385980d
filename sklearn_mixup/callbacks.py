"""Callbacks that a net trained with mixup has by default."""

from __future__ import annotations

import math
from typing import Any

from skorch.callbacks import Callback, LRScheduler

__all__ = ["LRDecay"]


class LRDecay(Callback):
    """Lower the learning rate to zero along a cosine over a whole ``fit``, at each minibatch.

    It stands aside in ``partial_fit``, which has no end to decay to, and where the net has an
    ``LRScheduler`` of its own. After training the learning rate is what it was before.
    """

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Note the learning rates to start from."""
        self.step_ = 0
        self.groups_: list[tuple[dict, float]] = []
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
        factor = (1 + math.cos(math.pi * self.step_ / n_steps)) / 2
        for group, lr in self.groups_:
            group["lr"] = lr * factor
        self.step_ += 1

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the learning rate of the epoch's last minibatch."""
        if self.groups_ and net.n_steps_ is not None:
            net.history.record("event_lr", float(self.groups_[0][0]["lr"]))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the learning rates."""
        for group, lr in self.groups_:
            group["lr"] = lr
