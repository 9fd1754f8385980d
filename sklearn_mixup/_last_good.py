"""The state of a net when all was well last, to go back to when its training diverges."""

from __future__ import annotations

import copy
from typing import Any


class DivergedError(ValueError):
    """Training failed, but what it had learned before is kept: the net is fitted."""


class LastGood:
    """A copy of the states of a net's modules and optimizers, on the device, and of its count."""

    def __init__(self, net: Any) -> None:
        names = [*net._modules, *net._optimizers]
        self.states = {name: copy.deepcopy(getattr(net, name + "_").state_dict()) for name in names}
        self.n_iter = net.n_iter_
        self.n_epochs = len(net.history)

    def restore(self, net: Any) -> None:
        """Make the net what it was."""
        for name, state in self.states.items():
            part = getattr(net, name + "_")
            groups = getattr(part, "param_groups", None)
            part.load_state_dict(state)
            if groups is not None:  # LRDecay holds these, and restores their learning rates.
                for group, restored in zip(groups, part.param_groups, strict=True):
                    group.update(restored)
                part.param_groups = groups
        net.n_iter_ = self.n_iter
        del net.history[self.n_epochs :]
