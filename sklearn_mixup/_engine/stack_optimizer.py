"""One optimizer for many modules of a stack, each with its own learning rate and weight decay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mixup._engine.capture import RECORDERS
from sklearn_mixup._engine.update import Update, decays_apart, takes_rate_from_device

# Optimizers that treat each number of a parameter alone, so that many modules are as one.
ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.Adamax,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
)
# Those of them whose step is proportional to lr, and whose weight_decay is one of two kinds.
SCALED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)


class StackOptimizer:
    """One optimizer for the modules `start` to `stop` of a stack, each with its own lr and decay.

    The step of an optimizer of :data:`SCALED` is proportional to the learning rate: where these
    differ it is taken at 1, from zero, and scaled.

    Parameters
    ----------
    stack : StackedMLP or StackedModules
    start, stop : int
        The modules.
    make : callable
        ``make(named_parameters)`` makes the optimizer, as the first module alone would have it.
    lr, weight_decay : list of float
        Of each module.
    """

    def __init__(
        self,
        stack: Any,
        start: int,
        stop: int,
        make: Callable[[list[tuple[str, nn.Parameter]]], torch.optim.Optimizer],
        lr: Sequence[float],
        weight_decay: Sequence[float],
    ) -> None:
        self.start, self.stop = start, stop
        self.own = {name: stack.params[name][start:stop] for name in stack.trained}
        self.grads = {name: stack.grads[name][start:stop] for name in stack.trained}
        self.is_scaled = len({*zip(lr, weight_decay, strict=True)}) > 1
        self._make(make)
        (group, *others) = self.optimizer.param_groups
        first = next(iter(self.own.values()))
        is_recorded = first.device.type in RECORDERS
        can_scale = type(self.optimizer) in SCALED and not others
        reads_rate = self.take_step.is_plain and takes_rate_from_device(self.optimizer)
        if is_recorded and can_scale and not reads_rate:
            # A recorded step would go on with the learning rate that it was recorded with.
            self.is_scaled = True
            self._make(make)
        if self.is_scaled:
            (group,) = self.optimizer.param_groups
            # AdamW shrinks the parameters themselves, the others add to the gradient.
            self.decays_apart = decays_apart(self.optimizer)
            self.sign = -1 if group.get("maximize") else 1
            group["lr"], group["weight_decay"] = 1.0, 0.0
            if is_recorded and not group.get("fused") and "capturable" in group:
                group["capturable"] = True
            self.lr = first.new_tensor(lr)
            self.weight_decay = first.new_tensor(weight_decay) if any(weight_decay) else None
        self.base_lrs = [group["lr"] for group in self.optimizer.param_groups]

    def _make(
        self, make: Callable[[list[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
    ) -> None:
        """Make the optimizer; one whose steps are scaled has parameters of its own."""
        zeros = torch.zeros_like if self.is_scaled else (lambda stacked: stacked)
        self.params = {name: nn.Parameter(zeros(own)) for name, own in self.own.items()}
        for name, param in self.params.items():
            param.grad = self.grads[name]
        self.optimizer = make(list(self.params.items()))
        self.take_step = Update(self.optimizer)

    @property
    def takes_tensors(self) -> bool:
        """Whether a factor may be a tensor, which the host need not know."""
        return self.is_scaled or self.take_step.is_plain

    @property
    def is_known(self) -> bool:
        """Whether the optimizer has made its state, in its first step."""
        return self.take_step.has_begun

    def step(self, factor: float | Tensor) -> None:
        """Take a step with the gradients of the stack, and the learning rates times a factor."""
        if self.is_scaled:
            self._step_scaled(factor)
            return
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr * factor
        self.take_step()

    def _step_scaled(self, factor: float | Tensor) -> None:
        for name, own in self.own.items():
            if self.weight_decay is not None and not self.decays_apart:
                decay = _beside(self.weight_decay, own)
                self.grads[name].addcmul_(own, decay, value=self.sign)
            self.params[name].detach().zero_()
        self.take_step()
        lr = self.lr * factor
        for name, own in self.own.items():
            if self.weight_decay is not None and self.decays_apart:
                own.mul_(1 - _beside(lr * self.weight_decay, own))
            own.addcmul_(self.params[name].detach(), _beside(lr, own))

    def tensors(self) -> list[Tensor]:
        """List what the optimizer holds."""
        states = (self.optimizer.state.get(param, {}) for param in self.params.values())
        return [value for state in states for value in state.values() if isinstance(value, Tensor)]

    def states_of(
        self, places: Iterable[int], tensors: Iterable[Tensor]
    ) -> Iterator[dict[str, dict[str, Any]]]:
        """Tell what an optimizer of each of some modules alone would hold of each parameter.

        `tensors` are those that :meth:`tensors` lists, or what they were.
        """
        values = iter(tensors)
        parts = []
        for name, param in self.params.items():
            for key, value in self.optimizer.state.get(param, {}).items():
                is_tensor = isinstance(value, Tensor)
                kept = next(values) if is_tensor else value
                rows = kept.unbind() if is_tensor and _is_stacked(value, param) else None
                parts.append((name, key, kept, rows))
        for i in places:
            held: dict[str, dict[str, Any]] = {name: {} for name in self.params}
            for name, key, kept, rows in parts:
                own = kept if rows is None else rows[i - self.start]
                if isinstance(own, Tensor):
                    # In the layout that the parameter of a net alone has.
                    held[name][key] = own.clone(memory_format=torch.contiguous_format)
                else:
                    held[name][key] = copy.copy(own)
            yield held


def _is_stacked(value: Tensor, param: Tensor) -> bool:
    """Whether a state of an optimizer has an entry for each number of a parameter."""
    return value.shape == param.shape


def _beside(values: Tensor, own: Tensor) -> Tensor:
    """View a value for each module so that it broadcasts."""
    return values.view(-1, *[1] * (own.ndim - 1))
