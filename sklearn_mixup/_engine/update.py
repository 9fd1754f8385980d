"""The step of an optimizer, by torch's kernel for a fused Adam where that is all it does."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer as torch_optimizer

from sklearn_mixup._net.precision import step_scaled

# What Adam holds of each parameter.
_AVERAGES = "exp_avg", "exp_avg_sq"
# Steps a list of parameters by their gradients.
_Kernel = Callable[[Sequence[Any]], None]


class Update:
    """The step of an optimizer of torch.

    Most of the step of a fused Adam is the way to its kernel. Here the way is gone once, and the
    kernel is called as long as the same parameters have gradients; an optimizer of another kind, or
    one that somebody watches, takes its own ``step``. What the optimizer holds is its own all the
    time. Its settings, but for the learning rate, are those of the moment that this is made.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        # Whether there is a kernel, and whether a step has been taken.
        self.is_plain, self.has_begun = _is_plain_fused_adam(optimizer), False
        self.params = optimizer.param_groups[0]["params"] if self.is_plain else []
        # The parameters that the kernel knows, and which of them it moves.
        self.known: list[nn.Parameter] = []
        self.moves: list[bool] = []
        self.kernel: _Kernel | None = None
        self._look_for_kernel()

    def begin(self) -> None:
        """Make what a plain optimizer holds before its first step, as that step would."""
        self.has_begun = True
        for param in self.params:
            if not self.optimizer.state.get(param):
                averages = {key: torch.zeros_like(param.detach()) for key in _AVERAGES}
                count = torch.zeros((), dtype=torch.float32, device=param.device)
                self.optimizer.state[param] = {"step": count, **averages}
        self._look_for_kernel()

    def _look_for_kernel(self) -> None:
        """Go the way to the kernel, if the optimizer holds what it needs by now."""
        if self.is_plain:
            moved = [param for param in self.params if param.grad is not None]
            if moved and all(self.optimizer.state.get(param) for param in moved):
                self.kernel = _make_kernel(self.optimizer, moved)
                self.known = [*self.params]
                self.moves = [param.grad is not None for param in self.params]

    def __call__(self) -> None:
        """Move the parameters by their gradients."""
        self.has_begun = True
        grads = [param.grad for param in self.params]
        if (
            self.kernel is not None
            and [grad is not None for grad in grads] == self.moves
            and all(map(operator.is_, self.params, self.known))
        ):
            self.kernel([grad for grad in grads if grad is not None])
        else:
            self.optimizer.step()
            self._look_for_kernel()

    def scaled(self, scaler: torch.amp.GradScaler) -> None:
        """Move the parameters by gradients of a loss that is scaled, if they are finite."""
        self.has_begun = True
        step_scaled(scaler, self.optimizer)

    def tensors(self) -> list[Tensor]:
        """List what the optimizer holds."""
        states = self.optimizer.state.values()
        return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def takes_rate_from_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step can read its learning rate from the device, as torch's fused kernels do."""
    return all(
        # A rate in float64 would be rounded more than what it moves.
        group.get("fused")
        and _rate_dtype(group) in {torch.float64, *(p.dtype for p in group["params"])}
        for group in optimizer.param_groups
    )


def _rate_dtype(group: Mapping[str, Any]) -> torch.dtype:
    """Tell in which precision an optimizer reads its learning rate from the device."""
    on_cuda = any(param.is_cuda for param in group["params"])
    return torch.float32 if group.get("fused") and on_cuda else torch.float64


class RatesOnDevice:
    """Learning rates that a recorded step reads from the device, not as the host has them.

    Parameters
    ----------
    optimizers : list of torch.optim.Optimizer
    device : torch.device
        Where their parameters live.
    """

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], device: torch.device) -> None:
        self.groups = []
        for group in itertools.chain(*(optimizer.param_groups for optimizer in optimizers)):
            rate = torch.zeros((), dtype=_rate_dtype(group), device=device)
            self.groups.append((group, rate))

    def read(self) -> None:
        """Take the learning rates from the host."""
        for group, rate in self.groups:
            rate.fill_(group["lr"])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the optimizers see the learning rates that lie on the device."""
        names = "lr", "capturable"
        before = [
            {name: group[name] for name in names if name in group} for group, _ in self.groups
        ]
        try:
            for group, rate in self.groups:
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = True
            yield
        finally:
            for (group, _), own in zip(self.groups, before, strict=True):
                group.update(own)


def decays_apart(optimizer: torch.optim.Optimizer) -> bool:
    """Whether weight decay shrinks the parameters, apart from the gradient."""
    (group, *_) = optimizer.param_groups
    return bool(group.get("decoupled_weight_decay", type(optimizer) is torch.optim.AdamW))


def _is_plain_fused_adam(optimizer: Any) -> bool:
    """Whether a step is that of a fused Adam of one group, and nobody asks to see it."""
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW):
        return False
    (group, *others) = optimizer.param_groups
    unusual = ("amsgrad", "maximize", "differentiable", "capturable")
    return (
        not others
        and bool(group["fused"])
        and not any(group[name] for name in unusual)
        and not isinstance(group["lr"], Tensor)
        # A schedule of torch's wraps the step of its optimizer.
        and "step" not in vars(optimizer)
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not torch_optimizer._global_optimizer_pre_hooks
        and not torch_optimizer._global_optimizer_post_hooks
    )


def _make_kernel(optimizer: torch.optim.Optimizer, moved: Sequence[nn.Parameter]) -> _Kernel:
    """Collect what the kernel of a fused Adam takes."""
    (group,) = optimizer.param_groups
    states = [optimizer.state[param] for param in moved]
    steps, averages, squares = (
        [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
    )
    # The counts of steps, one for each parameter, in one place: to add to them is one operation.
    counts = torch.stack(steps)
    steps = [counts[i] for i in range(len(counts))]
    for state, step in zip(states, steps, strict=True):
        state["step"] = step
    params = [param.detach() for param in moved]
    beta1, beta2 = group["betas"]
    kernel = functools.partial(
        torch._fused_adamw_ if decays_apart(optimizer) else torch._fused_adam_,
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )

    def take_step(grads: Sequence[Any]) -> None:
        counts.add_(1)
        kernel(params, grads, averages, squares, [], steps, lr=group["lr"])

    return take_step
