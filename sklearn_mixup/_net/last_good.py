"""The last good state of a net, to go back to when its training diverges."""

from __future__ import annotations

import cmath
import copy
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sklearn_mixup.exceptions import DivergedError


class Copies:
    """Copies of tensors, on their devices; the same tensors are copied anew without allocation."""

    def __init__(self) -> None:
        self.originals: list[Tensor] = []
        self.tensors: list[Tensor] = []

    def __bool__(self) -> bool:
        """Whether anything was copied."""
        return bool(self.tensors)

    def take(self, originals: list[Tensor]) -> None:
        """Copy these tensors, in the place of those copied before."""
        known = self.originals
        with torch.no_grad():
            if len(known) == len(originals) and all(map(operator.is_, known, originals)):
                torch._foreach_copy_(self.tensors, originals)
            else:
                self.tensors = [tensor.detach().clone() for tensor in originals]
        self.originals = originals


class LastGood:
    """What the modules and optimizers of a net had learned in its last good epoch."""

    def __init__(self) -> None:
        self.copies = Copies()
        self.n_epochs = 0

    def keep(self, net: Any, n_epochs: int) -> None:
        """Copy what the net has learned in so many epochs, if there is anything yet."""
        tensors = _tensors_of(net)
        if any(map(is_lazy, tensors)):
            return
        optimizers = _optimizers_of(net)
        self.states: list[tuple[Any, Tensor, dict[str, Any]]] = []
        for optimizer in optimizers:
            for parameter, state in optimizer.state.items():
                held = {
                    key: value if isinstance(value, Tensor) else copy.deepcopy(value)
                    for key, value in state.items()
                }
                self.states.append((optimizer, parameter, held))
                tensors += [value for value in held.values() if isinstance(value, Tensor)]
        self.groups = [dict(group) for o in optimizers for group in o.param_groups]
        self.counts = {name: getattr(net, name) for name in net._counts if hasattr(net, name)}
        self.n_epochs = n_epochs
        self.copies.take(tensors)

    def restore(self, net: Any) -> None:
        """Make the net what it was, unfitted if it was nothing; its epochs since are forgotten."""
        del net.history[self.n_epochs :]
        if not self.copies:
            net.initialized_ = False
            return
        self.put_back(net)

    def put_back(self, net: Any) -> None:
        """Give the net what was kept."""
        tensors = _tensors_of(net)
        with torch.no_grad():
            torch._foreach_copy_(tensors, self.copies.tensors[: len(tensors)])
        held = iter(self.copies.tensors[len(tensors) :])
        optimizers = _optimizers_of(net)
        for optimizer in optimizers:
            optimizer.state.clear()
        for optimizer, parameter, state in self.states:
            optimizer.state[parameter] = {
                key: next(held) if isinstance(value, Tensor) else value
                for key, value in state.items()
            }
        groups = (group for optimizer in optimizers for group in optimizer.param_groups)
        for group, kept in zip(groups, self.groups, strict=True):
            group.update(kept)
        vars(net).update(self.counts)


def _optimizers_of(net: Any) -> list[torch.optim.Optimizer]:
    """List the optimizers of a net that are torch's; what others hold is theirs."""
    optimizers = [getattr(net, name + "_") for name in net._optimizers]
    return [each for each in optimizers if isinstance(each, torch.optim.Optimizer)]


def list_layers(net: Any) -> list[nn.Module]:
    """List the layers of all modules of a net: in a fraction of the time of ``modules()``."""
    parts = [getattr(net, name + "_") for name in (*net._modules, *net._criteria)]
    found = [*dict.fromkeys(part for part in parts if isinstance(part, nn.Module))]
    known = set(found)
    for layer in found:  # which grows on the way
        for child in layer._modules.values():
            if child is not None and child not in known:
                known.add(child)
                found.append(child)
    return found


def _tensors_of(net: Any) -> list[Tensor]:
    """List the parameters and buffers of all modules of a net."""
    found: list[Tensor | None] = []
    for layer in list_layers(net):
        found += layer._parameters.values()
        found += layer._buffers.values()
    return [tensor for tensor in found if tensor is not None]


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether tensors hold neither NaN nor infinity; the device is asked once if they do not."""
    with torch.no_grad():
        sums = [tensor.sum() for tensor in tensors]
        one_device = len({total.device for total in sums}) == 1
        if one_device and cmath.isfinite(torch.stack(sums).sum().item()):
            return True
        # Of several devices, or finite numbers whose sum is not.
        return all(bool(tensor.isfinite().all()) for tensor in tensors)


def are_losses_good(losses: Sequence[Sequence[float]]) -> bool:
    """Whether an epoch had a finite loss, and none that was infinite.

    A loss of NaN that leaves the weights finite comes from a minibatch without a target that
    counts, such as one of labels that are all ``ignore_index``.
    """
    numbers = [loss for step in losses for loss in step]
    return any(map(math.isfinite, numbers)) and not any(map(math.isinf, numbers))


def check_epoch(net: Any, losses: Sequence[Sequence[float]]) -> None:
    """Keep the state of a good epoch; go back to the last one after an epoch that diverged."""
    training = net._training_
    optimizers = _optimizers_of(net)
    weights = [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    ]
    is_good = are_losses_good(losses) and are_finite(weights)
    if (accelerator := getattr(net, "accelerator", None)) is not None:
        # Processes that train together go on or stop together.
        told = torch.tensor([is_good], device=accelerator.device)
        is_good = bool(accelerator.gather(told).all())
    if is_good:
        training.last_good.keep(net, len(net.history))
        return
    failed = (i for i, step in enumerate(losses) if not all(map(math.isfinite, step)))
    n_iter = net._n_iter_at_step(next(failed, len(losses) - 1) - len(losses))
    training.last_good.restore(net)
    raise diverged(net, n_iter, is_fitted=bool(training.last_good.copies))


def diverged(net: Any, n_iter: int, *, is_fitted: bool) -> DivergedError:
    """Say where training diverged, what the net is now, and what to try."""
    kept = net._state_kept() if is_fitted else "There was no good epoch to go back to"
    return DivergedError(
        f"Training diverged: a loss was NaN or infinite {net._iteration} {n_iter}. {kept}. Try a "
        f"lower learning rate (lr={net.lr!r}), standardised features, or "
        f"{net._advice_on_divergence()}.",
        n_iter=n_iter,
        is_fitted=is_fitted,
    )
