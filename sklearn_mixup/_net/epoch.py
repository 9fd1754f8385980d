"""skorch's step and epoch, less what costs time: losses stay on the device until the end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len, unpack_data
from skorch.history import History
from torch import Tensor, nn

from sklearn_mixup._net.checks import explain_batch_norm
from sklearn_mixup._net.device import threads_for
from sklearn_mixup._net.history import write_epoch
from sklearn_mixup._net.last_good import LastGood, check_epoch
from sklearn_mixup._net.loading import no_minibatch
from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup.callbacks import LRDecay, listens, replaces

# Methods of a net that act within the closure of a step.
_CLOSURE_METHODS = ("on_grad_computed", "_step_optimizer", "get_train_step_accumulator")


def zero_grad(optimizer: Any) -> None:
    """Forget the gradients of an optimizer's parameters."""
    if replaces(optimizer, "zero_grad", torch.optim.Optimizer):
        optimizer.zero_grad()
        return
    for group in optimizer.param_groups:  # What zero_grad does, at a third of its cost.
        for parameter in group["params"]:
            parameter.grad = None


def why_closure(net: Any) -> str | None:
    """Say why a step has to go through skorch's closure: called twice, watched or replaced."""
    for name, callback in net.callbacks_:
        if replaces(callback, "on_grad_computed", Callback):
            return f"the callback {name!r} asks for the gradients of each step"
    for method in _CLOSURE_METHODS:
        if replaces(net, method, NeuralNet):
            return f"{type(net).__name__} has a method {method!r} of its own"
    for name in net._optimizers:
        optimizer = getattr(net, name + "_")
        # All optimizers of torch but one evaluate a closure once, before the step.
        is_torch = type(optimizer).__module__.split(".")[:2] == ["torch", "optim"]
        if not is_torch or isinstance(optimizer, torch.optim.LBFGS):
            return f"{type(optimizer).__name__} may evaluate the loss more than once a step"
    return None


def why_watched(net: Any, *, training: bool) -> str | None:
    """Say who asks for each minibatch of an epoch, with its loss; None if nobody does."""
    for name, callback in net.callbacks_:
        if listens(callback, training=training):
            return f"the callback {name!r} asks for each minibatch"
    for hook in ("on_batch_begin", "on_batch_end"):
        if replaces(net, hook, NeuralNet):
            return f"{type(net).__name__} has a method {hook!r} of its own"
    if is_foreign(net.notify):  # a subclass's own may do more
        return f"{type(net).__name__} has a method 'notify' of its own"
    if not isinstance(net.history, History):  # one shared by several processes
        return f"the history is a {type(net.history).__name__}"
    return None


def is_in_mode(net: Any, training: bool) -> bool:
    """Whether all layers of a net are in training mode, or out of it: quicker to see than to set.

    What a module does of its own, when its mode is set, has to be done.
    """
    parts = [getattr(net, name + "_") for name in net._modules + net._criteria]
    layers = [part.modules() for part in parts if isinstance(part, nn.Module)]
    return all(
        layer.training == training and type(layer).train is nn.Module.train
        for layer in itertools.chain(*layers)
    )


@contextmanager
def _fixed_mode(net: Any, training: bool) -> Iterator[None]:
    """Set the mode of the module once for all steps of an epoch in which nobody else acts."""
    net._set_training(training)
    net._fixed_mode_ = training
    try:
        yield
    finally:
        net._fixed_mode_ = None


def run_epoch(
    net: Any, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
) -> None:
    """Compute an epoch, and see that it came to something if it is one of training."""
    if iterator is None:
        return
    session = net._training_ if training else None
    if session is not None and session.last_good is None:
        session.last_good = LastGood()
        if not session.fresh or len(net.history) > 1:
            session.last_good.keep(net, len(net.history) - 1)
    losses: list[list[float]] = []
    watched = why_watched(net, training=training) is not None
    take_steps = _take_steps_watched if watched else _take_steps
    batches, interrupt = iterator, None
    if session is not None:
        batches, step_fn = net._find_steps(iterator, step_fn, fit_params)
    try:
        n_flops = math.inf if net._training_ is None else net._training_.n_flops
        with explain_batch_norm(net.batch_size), threads_for(n_flops, net._place):
            take_steps(net, losses, batches, training, prefix, step_fn, **fit_params)
    except KeyboardInterrupt as error:
        interrupt = error
    if training and not losses and interrupt is None:
        raise no_minibatch(iterator)
    try:
        if session is not None and losses:
            check_epoch(net, losses)
    finally:
        if interrupt is not None:  # What was learned until now is kept, if it is any good.
            raise interrupt


def _take_steps_watched(
    net: Any,
    losses: list[list[float]],
    iterator: Any,
    training: bool,
    prefix: str,
    step_fn: Any,
    **fit_params: Any,
) -> None:
    """Take the steps of an epoch as skorch does, telling of each."""
    names = net._losses_of(prefix)
    for batch in iterator:
        net.notify("on_batch_begin", batch=batch, training=training)
        step = step_fn(batch, **fit_params)
        losses.append([step[key].item() for key in names])
        for name, loss in zip(names.values(), losses[-1], strict=True):
            net.history.record_batch(name, loss)
        net.history.record_batch(prefix + "_batch_size", get_len(unpack_data(batch)[0]))
        net.notify("on_batch_end", batch=batch, training=training, **step)
    net.history.record(prefix + "_batch_count", len(losses))


def _take_steps(
    net: Any,
    losses: list[list[float]],
    iterator: Any,
    training: bool,
    prefix: str,
    step_fn: Any,
    **fit_params: Any,
) -> None:
    """Take the steps of an epoch; their losses stay on the device until its end."""
    names = net._losses_of(prefix)
    decays = [cb for _, cb in net.callbacks_ if isinstance(cb, LRDecay)]
    rows = net.history[-1, "batches"]
    start, found, sizes = len(rows), [], []
    try:
        with _fixed_mode(net, training):
            for batch in iterator:
                rows.append({})  # A step of one's own may write to it.
                for decay in decays:
                    decay.on_batch_begin(net, batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                sizes.append(len(X) if isinstance(X := batch[0], Tensor) else get_len(X))
                found += [step[key].detach() for key in names]
    finally:  # also of an epoch that is interrupted
        losses += torch.stack(found).view(-1, len(names)).tolist() if found else []
        told = [*names.values()]
        write_epoch(net, losses, sizes, names=told, prefix=prefix, start=start)
