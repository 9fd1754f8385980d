"""skorch's step and epoch, less what costs time: losses stay on the device until the end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

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


class LeanEpoch(NeuralNet):
    """A net whose epoch reads nothing from the device, unless a callback asks for it."""

    callbacks_: list[tuple[str, Any]]
    # A Training while fit or partial_fit runs.
    _training_: Any = None
    _fixed_mode_: bool | None = None
    _place: Any
    # What a subclass counts in its steps.
    _counts: ClassVar[tuple[str, ...]] = ()
    _iteration = "in epoch"  # what `n_iter_` counts, as a message says it

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        if set_to_none is False or getattr(self, "accelerator", None) is not None:
            super()._zero_grad_optimizer(set_to_none)  # which may accumulate gradients
            return
        for name in self._optimizers:
            optimizer = getattr(self, name + "_")
            if replaces(optimizer, "zero_grad", torch.optim.Optimizer):
                optimizer.zero_grad()
                continue
            for group in optimizer.param_groups:  # What zero_grad does, at a third of its cost.
                for parameter in group["params"]:
                    parameter.grad = None

    def _why_closure(self) -> str | None:
        """Say why a step has to go through skorch's closure: called twice, watched or replaced."""
        for name, callback in self.callbacks_:
            if replaces(callback, "on_grad_computed", Callback):
                return f"the callback {name!r} asks for the gradients of each step"
        for method in _CLOSURE_METHODS:
            if replaces(self, method, NeuralNet):
                return f"{type(self).__name__} has a method {method!r} of its own"
        for name in self._optimizers:
            optimizer = getattr(self, name + "_")
            # All optimizers of torch but one evaluate a closure once, before the step.
            is_torch = type(optimizer).__module__.split(".")[:2] == ["torch", "optim"]
            if not is_torch or isinstance(optimizer, torch.optim.LBFGS):
                return f"{type(optimizer).__name__} may evaluate the loss more than once a step"
        return None

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take a step: skorch's, less the closure where nothing needs it."""
        if self._training_ is None or self._training_.needs_closure:
            return super().train_step(batch, **fit_params)
        self._zero_grad_optimizer()
        step = self.train_step_single(batch, **fit_params)
        for name in self._optimizers:
            getattr(self, name + "_").step()
        return step

    @contextmanager
    def _fixed_mode(self, training: bool) -> Iterator[None]:
        """Set the mode of the module once for all steps of an epoch in which nobody else acts."""
        self._set_training(training)
        self._fixed_mode_ = training
        try:
            yield
        finally:
            self._fixed_mode_ = None

    def _set_training(self, training: bool = True) -> None:
        if training == self._fixed_mode_:
            return  # The walk through all layers would cost a tenth of a step.
        self._fixed_mode_ = None  # Somebody else acts after all.
        parts = [getattr(self, name + "_") for name in self._modules + self._criteria]
        layers = [part.modules() for part in parts if isinstance(part, nn.Module)]
        # To look is quicker than to set, but what a module does of its own has to be done.
        if any(
            layer.training != training or type(layer).train is not nn.Module.train
            for layer in itertools.chain(*layers)
        ):
            super()._set_training(training)

    def _why_watched(self, *, training: bool) -> str | None:
        """Say who asks for each minibatch of an epoch, with its loss; None if nobody does."""
        for name, callback in self.callbacks_:
            if listens(callback, training=training):
                return f"the callback {name!r} asks for each minibatch"
        for hook in ("on_batch_begin", "on_batch_end"):
            if replaces(self, hook, NeuralNet):
                return f"{type(self).__name__} has a method {hook!r} of its own"
        if is_foreign(self.notify):  # a subclass's own may do more
            return f"{type(self).__name__} has a method 'notify' of its own"
        if not isinstance(self.history, History):  # one shared by several processes
            return f"the history is a {type(self.history).__name__}"
        return None

    def _find_steps(self, iterator: Any, step_fn: Any, fit_params: Any) -> tuple[Any, Any]:
        """Find what an epoch of training goes through, and what takes a step on each of that."""
        return iterator, step_fn

    def _losses_of(self, prefix: str) -> dict[str, str]:
        """Tell which losses of a step the history holds, and by what names."""
        return {"loss": prefix + "_loss"}

    def _n_iter_at_step(self, step: int) -> int:
        """Count the iterations up to a step of this epoch, counted from its end: -1 is the last."""
        return len(self.history)

    def _state_kept(self) -> str:
        """Say what a net is that went back to its last good epoch."""
        n_epochs = len(self.history)
        return f"The net is as it was {f'after epoch {n_epochs}' if n_epochs else 'before'}"

    def _advice_on_divergence(self) -> str:
        """Say what else may help besides a lower learning rate."""
        return "skorch's GradientNormClipping"

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Compute an epoch, and see that it came to something if it is one of training."""
        if iterator is None:
            return
        session = self._training_ if training else None
        if session is not None and session.last_good is None:
            session.last_good = LastGood()
            if not session.fresh or len(self.history) > 1:
                session.last_good.keep(self, len(self.history) - 1)
        losses: list[list[float]] = []
        watched = self._why_watched(training=training) is not None
        take_steps = self._take_steps_watched if watched else self._take_steps
        batches, interrupt = iterator, None
        if session is not None:
            batches, step_fn = self._find_steps(iterator, step_fn, fit_params)
        try:
            n_flops = math.inf if self._training_ is None else self._training_.n_flops
            with explain_batch_norm(self.batch_size), threads_for(n_flops, self._place):
                take_steps(losses, batches, training, prefix, step_fn, **fit_params)
        except KeyboardInterrupt as error:
            interrupt = error
        if training and not losses and interrupt is None:
            raise no_minibatch(iterator)
        try:
            if session is not None and losses:
                check_epoch(self, losses)
        finally:
            if interrupt is not None:  # What was learned until now is kept, if it is any good.
                raise interrupt

    def _take_steps_watched(
        self,
        losses: list[list[float]],
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Any,
        **fit_params: Any,
    ) -> None:
        """Take the steps of an epoch as skorch does, telling of each."""
        names = self._losses_of(prefix)
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append([step[key].item() for key in names])
            for name, loss in zip(names.values(), losses[-1], strict=True):
                self.history.record_batch(name, loss)
            self.history.record_batch(prefix + "_batch_size", get_len(unpack_data(batch)[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(prefix + "_batch_count", len(losses))

    def _take_steps(
        self,
        losses: list[list[float]],
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Any,
        **fit_params: Any,
    ) -> None:
        """Take the steps of an epoch; their losses stay on the device until its end."""
        names = self._losses_of(prefix)
        decays = [cb for _, cb in self.callbacks_ if isinstance(cb, LRDecay)]
        rows = self.history[-1, "batches"]
        start, found, sizes = len(rows), [], []
        try:
            with self._fixed_mode(training):
                for batch in iterator:
                    rows.append({})  # A step of one's own may write to it.
                    for decay in decays:
                        decay.on_batch_begin(self, batch=batch, training=training)
                    step = step_fn(batch, **fit_params)
                    sizes.append(len(X) if isinstance(X := batch[0], Tensor) else get_len(X))
                    found += [step[key].detach() for key in names]
        finally:  # also of an epoch that is interrupted
            losses += torch.stack(found).view(-1, len(names)).tolist() if found else []
            told = [*names.values()]
            write_epoch(self, losses, sizes, names=told, prefix=prefix, start=start)
