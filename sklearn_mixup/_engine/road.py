"""Which road an epoch of a net takes: its own methods, or the fastest steps that do the same."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sklearn_mixup._engine.capture import RECORDERS
from sklearn_mixup._engine.compiled import CompiledSteps, is_compilable
from sklearn_mixup._engine.stack import has_hooks, is_plain_mlp
from sklearn_mixup._engine.step import ReplayedSteps, Steps, WrittenSteps, is_left_alone
from sklearn_mixup._engine.update import takes_rate_from_device
from sklearn_mixup._net.device import autocast_dtype
from sklearn_mixup._net.epoch import why_closure, why_watched
from sklearn_mixup._net.losses import unwrap, written_loss
from sklearn_mixup._net.settings import is_foreign, taken_by
from sklearn_mixup.minibatches import Minibatches

# What takes part in a step: a subclass may have its own.
_STEP_METHODS = (
    *("run_single_epoch", "train_step", "train_step_single", "infer", "get_loss"),
    *("_zero_grad_optimizer", "on_grad_computed"),
)


def make_steps(net: Any, iterator: Minibatches) -> Steps:
    """Make the fastest steps that a net can take on these minibatches."""
    kind: type[Steps] = WrittenSteps if _can_be_written(net, iterator.X) else Steps
    steps = kind(net, iterator)
    if kind is WrittenSteps and is_compilable(net, steps.updates):
        steps = CompiledSteps(net, iterator)
    net.engine_ = "numba" if isinstance(steps, CompiledSteps) else "torch"
    return ReplayedSteps(net, steps) if _can_be_replayed(net, steps) else steps


def _can_be_replayed(net: Any, steps: Steps) -> bool:
    """Whether nothing is known that would keep a device from replaying the steps of a net."""
    parts = [getattr(net, name + "_") for name in net._modules + net._criteria]
    return (
        net._training_.device.type in RECORDERS
        and not any(isinstance(part, nn.Module) and has_hooks(part) for part in parts)
        and all(takes_rate_from_device(update.optimizer) for update in steps.updates)
    )


def _can_be_written(net: Any, X: Any) -> bool:
    """Whether the gradient of a net is the one that is written out."""
    module, criterion, kind = net.module_, net.criterion_, net._training_.device.type
    return (
        is_plain_mlp(module)
        and written_loss(net) is not None
        and not has_hooks(criterion)
        and net._optimizers == ["optimizer"]
        and isinstance(X, Tensor)
        # What does not fit is left to the module, which says so.
        and X.dtype == net._module_dtype()
        and X.shape[1:].numel() == [*module.hidden, module.output][0].in_features
        and module.output.out_features == getattr(net, "n_outputs_", None)
        and net._training_.half is None
        and autocast_dtype(kind) is None
    )


# -- which road an epoch takes ---------------------------------------------------------------


def find_steps(net: Any, iterator: Any, step_fn: Any, fit_params: Any) -> Steps | None:
    """Find what takes the steps of an epoch of training; None if the net's own methods have to."""
    training = net._training_
    if training.steps is None or not is_left_alone(net):
        net.slow_because_ = _why_slow(net, iterator, step_fn, fit_params)
        if net.slow_because_ is not None:
            return None
        if training.steps is not None:
            training.steps.close()
        training.steps = make_steps(net, iterator)
    training.steps.iterator = iterator
    return training.steps


def _why_slow(net: Any, iterator: Any, step_fn: Any, fit_params: Any) -> str | None:
    """Say what keeps the steps of an epoch to skorch's own; None if nothing does."""
    training = net._training_
    if (reason := why_watched(net, training=True) or why_closure(net)) is not None:
        return reason
    for method in _STEP_METHODS:
        if is_foreign(getattr(net, method)):
            return f"{type(net).__name__} has a method {method!r} of its own"
    if step_fn != net.train_step:
        return f"run_single_epoch is given {step_fn} to take a step"
    if taken := taken_by(unwrap(net.module_).forward, fit_params):
        return f"the module takes {', '.join(taken)} of fit"
    if getattr(net, "accelerator", None) is not None:
        return "accelerate takes the steps"
    if net.compile:
        return "compile=True compiles the step of a module"
    if training.scaler is not None:
        for optimizer in (getattr(net, name + "_") for name in net._optimizers):
            if not all(group.get("fused") for group in optimizer.param_groups):
                kind = type(optimizer).__name__
                return f"float16 asks the device after each step whether {kind} may take it"
    if type(iterator) is not Minibatches:
        return f"minibatches come from a loader of rows, {type(iterator).__name__}"
    return None
