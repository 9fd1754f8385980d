"""skorch's step and epoch, less what costs time: losses stay on the device until the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len, unpack_data
from skorch.history import History
from torch import Tensor

from sklearn_mixup._device import threads_for
from sklearn_mixup._settings import is_foreign
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

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        if set_to_none is False or getattr(self, "accelerator", None) is not None:
            super()._zero_grad_optimizer(set_to_none)  # which may accumulate gradients
            return
        for name in self._optimizers:  # What zero_grad does, at a third of its cost.
            for group in getattr(self, name + "_").param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    def _needs_closure(self) -> bool:
        """Whether a step has to go through skorch's closure: called twice, watched or replaced."""
        optimizers = [getattr(self, name + "_") for name in self._optimizers]
        return (
            any(replaces(cb, "on_grad_computed", Callback) for _, cb in self.callbacks_)
            or any(replaces(self, method, NeuralNet) for method in _CLOSURE_METHODS)
            # All optimizers of torch but one evaluate a closure once, before the step.
            or any(type(o).__module__.split(".")[:2] != ["torch", "optim"] for o in optimizers)
            or any(isinstance(o, torch.optim.LBFGS) for o in optimizers)
        )

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
        super()._set_training(training)

    def _is_watched(self, *, training: bool) -> bool:
        """Whether anybody asks for each minibatch of an epoch, with its loss."""
        return (
            any(listens(callback, training=training) for _, callback in self.callbacks_)
            or any(replaces(self, hook, NeuralNet) for hook in ("on_batch_begin", "on_batch_end"))
            or is_foreign(self.notify)  # a subclass's own may do more
            or not isinstance(self.history, History)  # one shared by several processes
        )

    def _losses_of(self, prefix: str) -> dict[str, str]:
        """Tell which losses of a step the history holds, and by what names."""
        return {"loss": prefix + "_loss"}

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Compute an epoch; the losses stay on the device until its end, unless a callback asks."""
        if iterator is None:
            return
        names = self._losses_of(prefix)
        run = self._run_watched if self._is_watched(training=training) else self._run_lean
        session = self._training_
        with threads_for(math.inf if session is None else session.n_flops, self._place):
            run(iterator, training, prefix, names, partial(step_fn, **fit_params))

    def _run_watched(
        self, iterator: Any, training: bool, prefix: str, names: dict[str, str], step_fn: Any
    ) -> None:
        """Compute an epoch, and tell each of its minibatches and losses."""
        n_minibatches = 0
        for n_minibatches, batch in enumerate(iterator, start=1):  # noqa: B007
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            for key, name in names.items():
                self.history.record_batch(name, step[key].item())
            self.history.record_batch(prefix + "_batch_size", get_len(unpack_data(batch)[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(prefix + "_batch_count", n_minibatches)

    def _run_lean(
        self, iterator: Any, training: bool, prefix: str, names: dict[str, str], step_fn: Any
    ) -> None:
        """Compute an epoch; its losses stay on the device until the end."""
        decays = [cb for _, cb in self.callbacks_ if isinstance(cb, LRDecay)]
        rows = self.history[-1, "batches"]
        n_rows, losses, sizes = len(rows), [], []
        with self._fixed_mode(training):
            for batch in iterator:
                rows.append({})  # A step of one's own may write to it.
                for decay in decays:
                    decay.on_batch_begin(self, batch=batch, training=training)
                step = step_fn(batch)
                losses += [step[key].detach() for key in names]
                sizes.append(len(X) if isinstance(X := batch[0], Tensor) else get_len(X))
        values = torch.stack(losses).view(-1, len(names)).tolist() if losses else []
        for row, value, size in zip(rows[n_rows:], values, sizes, strict=True):
            row.update(zip(names.values(), value, strict=True))
            row[prefix + "_batch_size"] = size
        self.history.record(prefix + "_batch_count", len(sizes))
