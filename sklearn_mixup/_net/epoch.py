"""An epoch: who watches its steps, the loop that takes them, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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
from sklearn_mixup._net.history import last_epoch, write_epoch
from sklearn_mixup._net.last_good import check_epoch, list_layers
from sklearn_mixup._net.listening import list_decays, listens, replaces
from sklearn_mixup._net.loading import no_minibatch
from sklearn_mixup._net.settings import is_foreign

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
    return all(
        layer.training == training and type(layer).train is nn.Module.train
        for layer in list_layers(net)
    )


@contextmanager
def _fixed_mode(net: Any, training: bool) -> Iterator[None]:
    """Set the mode of the module once for all steps of an epoch in which nobody else acts."""
    net._set_training(training)
    vars(net)["_fixed_mode_"] = training  # skorch looks long at what is set.
    try:
        yield
    finally:
        vars(net)["_fixed_mode_"] = None


def run_epochs(
    net: Any, datasets: Sequence[Any], iterators: Sequence[Any], fit_params: Mapping[str, Any]
) -> None:
    """Go through the epochs of a training as skorch's ``fit_loop`` does, until its watch ends it.

    `datasets` and `iterators` are those to train on and to validate on, which may be None.
    """
    n_epochs, watch = net._training_.n_planned, net._training_.watch
    told = dict(zip(("dataset_train", "dataset_valid"), datasets, strict=True))
    minibatches, held_out = iterators
    for _ in range(n_epochs):
        if watch is not None and watch.has_ended:
            return
        net.notify("on_epoch_begin", **told)
        net.run_single_epoch(
            minibatches, training=True, prefix="train", step_fn=net.train_step, **fit_params
        )
        # A watch looks in one go, unless somebody asks for the steps.
        if watch is None or is_foreign(net.run_single_epoch) or why_watched(net, training=False):
            net.run_single_epoch(
                held_out, training=False, prefix="valid", step_fn=net.validation_step, **fit_params
            )
        if watch is not None:
            watch.look(net)
        net.notify("on_epoch_end", **told)


def run_epoch(
    net: Any, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
) -> None:
    """Compute an epoch, and see that it came to something if it is one of training."""
    session = net._training_ if training else None
    losses: list[list[float]] = []
    steps = None if session is None else net._find_steps(iterator, step_fn, fit_params)
    watched = steps is None and why_watched(net, training=training) is not None
    interrupt = None
    try:
        n_flops = math.inf if net._training_ is None else net._training_.n_flops
        with explain_batch_norm(net.batch_size), threads_for(n_flops, net._place):
            if watched:
                _take_steps_watched(net, losses, iterator, training, prefix, step_fn, **fit_params)
            else:
                steps = steps or GivenSteps(net, iterator, training, step_fn, fit_params)
                _take_steps_unwatched(net, losses, steps, training, prefix)
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


class GivenSteps:
    """Steps that a net takes by its own methods, on what an iterator yields.

    Parameters
    ----------
    net : NetEstimator
    iterator : iterable
        Yields minibatches.
    training : bool
        Whether the steps are of training.
    step_fn : callable
        ``step_fn(batch, **fit_params)`` takes a step, and returns what it lost by name.
    fit_params : dict
        What ``fit`` was given besides.
    """

    def __init__(
        self, net: Any, iterator: Any, training: bool, step_fn: Any, fit_params: Mapping[str, Any]
    ) -> None:
        self.net = net
        self.iterator = iterator
        self.training = training
        self.step_fn = step_fn
        self.fit_params = fit_params
        self.names = net._losses_of("train" if training else "valid").keys()
        self.decays = list_decays(net)
        self.sizes: list[int] = []

    def minibatches(self) -> Iterator[Any]:
        """Yield the minibatches of an epoch."""
        rows = last_epoch(self.net)["batches"]
        for batch in self.iterator:
            rows.append({})  # A step of one's own may write to it.
            self.sizes.append(len(X) if isinstance(X := batch[0], Tensor) else get_len(X))
            yield batch

    def take(self, batch: Any) -> list[Tensor]:
        """Take a step on a minibatch; return what it lost."""
        for decay in self.decays:
            decay.on_batch_begin(self.net, batch=batch, training=self.training)
        step = self.step_fn(batch, **self.fit_params)
        return [step[key].detach() for key in self.names]


def take_steps(steps: Any, losses: list[Any]) -> None:
    """Take the steps of an epoch that nobody watches: of one net or of a stack, of any kind.

    Parameters
    ----------
    steps : GivenSteps, Steps or Group
        ``steps.minibatches()`` draws, gathers and mixes chunk after chunk, and yields minibatches;
        ``steps.take(minibatch)`` takes a step and lists what it lost, which stays on the device.
    losses : list
        What was lost is appended to it: it is there, too, when the epoch is interrupted.
    """
    for minibatch in steps.minibatches():
        losses += steps.take(minibatch)


def _take_steps_unwatched(
    net: Any, losses: list[list[float]], steps: Any, training: bool, prefix: str
) -> None:
    """Take the steps of an epoch; their losses stay on the device until its end."""
    names = [*net._losses_of(prefix).values()]
    found: list[Tensor] = []
    start = len(last_epoch(net)["batches"])
    try:
        with _fixed_mode(net, training):
            take_steps(steps, found)
    finally:  # also of an epoch that is interrupted
        losses += torch.stack(found).view(-1, len(names)).tolist() if found else []
        write_epoch(net, losses, steps.sizes, names=names, prefix=prefix, start=start)
