"""One net of a stack: initialized, with its minibatches, ready for its first step; and its history.

What its own ``fit`` would do before the first step and after each epoch is done here for one of
many nets, which share the checks of their data and the tensors of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EpochTimer
from torch import Tensor
from torch.utils.data import Subset

from sklearn_mixup._engine.stack import describe, fingerprint
from sklearn_mixup._net.checks import unlearn_on_error
from sklearn_mixup._net.device import kept_rng
from sklearn_mixup._net.fit_data import LEARNED, check_fit
from sklearn_mixup._net.history import write_epoch
from sklearn_mixup._net.iterators import put_whole
from sklearn_mixup._net.loading import no_minibatch
from sklearn_mixup._net.losses import CrossEntropy, written_loss
from sklearn_mixup._net.parameters import check_params
from sklearn_mixup._net.session import Data, begin, end, make_ready, open_epochs
from sklearn_mixup._net.validation import (
    HeldOut,
    Validation,
    Watch,
    check_validation,
    hold_out,
    sets_rows_aside,
    split_rows,
)
from sklearn_mixup._net.vicinity import check_rows
from sklearn_mixup._streams import Stream
from sklearn_mixup.callbacks import LRDecay, decay_factor
from sklearn_mixup.exceptions import DivergedError
from sklearn_mixup.modules import MLP


class Shared:
    """What nets that are handed the same data share: the checks of it, and its tensors."""

    def __init__(self) -> None:
        self.checked: dict[Any, Any] = {}
        self.data: dict[Any, Data] = {}
        self.validated: dict[Any, Any] = {}
        self.chosen: dict[Any, Any] = {}

    def check(self, net: Any, X: Any, y: Any, sample_weight: Any) -> Any:
        """Check the data of a fit as the net does, and let it learn what it learns of them.

        Returns the inputs, the targets, the weights of the rows and the weights of the classes.
        """
        asked = getattr(net, "classes", None), getattr(net, "scale_y", None)
        key = id(X), id(y), id(sample_weight), net.alpha != 0, repr(asked)
        with unlearn_on_error(net):
            if key not in self.checked:
                found = check_fit(net, X, y, sample_weight, learns=True)
                learned = {name: vars(net)[name] for name in LEARNED if name in vars(net)}
                self.checked[key] = found, learned, (X, y, sample_weight)  # The ids stay theirs.
            (X, y, sample_weight, targets), learned, _ = self.checked[key]
            for name in LEARNED:
                vars(net).pop(name, None)
            vars(net).update(learned)
            check_rows(net, X)
            return X, y, sample_weight, net._weigh_classes(targets, sample_weight)

    def load(self, net: Any, X: Any, y: Any) -> Data:
        """Get the data set, with the tensors of it on the device and the order of its rows."""
        key = id(X), id(y), net._module_dtype(), net._targets.key
        if key not in self.data:
            self.data[key] = Data([net.get_dataset(X, y)])
        return self.data[key]

    def hold_out(self, net: Any, validation: Validation) -> HeldOut:
        """Check the rows that a net is to look at, and put them on the device."""
        parts = validation[:3]
        key = *map(id, parts), net.alpha != 0, net._module_dtype(), net._targets.key
        if key not in self.validated:
            X, y, sample_weight = check_validation(net, validation)
            resident = put_whole(net, net.get_dataset(X, y))
            self.validated[key] = resident, sample_weight, parts  # The ids stay theirs.
        resident, sample_weight, _ = self.validated[key]
        return hold_out(net, resident, sample_weight, chosen=self.chosen)


class Lane:
    """One net of many: begun, then initialized, with its minibatches, ready for its first step."""

    def __init__(
        self,
        net: Any,
        X: Any,
        y: Any,
        fit_params: Mapping[str, Any],
        seeds: Sequence[int] | None,
        shared: Shared,
        validation: Validation | None = None,
    ) -> None:
        self.net = net
        state = net.random_state
        self.rng_state = state.get_state() if isinstance(state, np.random.RandomState) else None
        check_params(net)
        sample_weight = fit_params.get("sample_weight")
        X, y, sample_weight, class_weight = shared.check(net, X, y, sample_weight)
        begin(
            net,
            restart=True,
            n_epochs=net.max_epochs,
            seeds=seeds,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
        self.data = X, y, shared, validation

    def initialize(self, seed_all: Callable[[int], None]) -> None:
        """Make the parts of the net; `seed_all` seeds the generators that they draw from."""
        net, (X, y, shared, validation) = self.net, self.data
        del self.data
        training = net._training_
        try:
            seed_all(training.seed)
            make_ready(net)
            noise_seed = int(torch.randint(2**62, ()))
            net.notify("on_train_begin", X=X, y=y)
            training.data = shared.load(net, X, y)
            (self.dataset,) = (trained,) = training.data.bases
            self.held_out: HeldOut | None = None
            if validation is not None:
                self.held_out = shared.hold_out(net, validation)
                self.watch = Watch(validation.n_iter_no_change, validation.n_averaged)
            elif sets_rows_aside(net, X):
                rows, others = split_rows(net, y, len(y))
                resident = put_whole(net, self.dataset)
                assert resident is not None
                weight = training.sample_weight
                self.held_out = hold_out(net, resident, weight, others, shared.chosen)
                self.watch = Watch(net.n_iter_no_change)
                trained = Subset(self.dataset, rows.tolist())
            (self.minibatches,) = open_epochs(net, [trained], net.max_epochs)
            if net.max_epochs and not len(self.minibatches):
                raise no_minibatch(self.minibatches)
        except BaseException:
            self.close(fitted=False)
            raise
        self.noise_key = Stream(noise_seed).key
        self.n_visits = max((stop for _, stop in self.minibatches.chunks()), default=0)
        self.batch_size = self.minibatches.batch_size
        # Steps on minibatches of that many rows.
        self.n_full = self.n_visits // self.batch_size - self.minibatches.joins
        has_weight = isinstance(self.minibatches.y, tuple)
        y = self.minibatches.y
        self.y: Tensor = y[0] if has_weight else y
        self.weight: Tensor | None = y[1] if has_weight else None
        (group, *_) = net.optimizer_.param_groups
        self.lr, self.weight_decay = group["lr"], group.get("weight_decay", 0)
        callbacks = [callback for _, callback in net.callbacks_]
        self.decays = [callback for callback in callbacks if isinstance(callback, LRDecay)]
        self.timers = [callback for callback in callbacks if isinstance(callback, EpochTimer)]
        self.failed: DivergedError | None = None

    def begin_epoch(self) -> None:
        """Begin an epoch; its row of the history is open from here on."""
        self.net.notify("on_epoch_begin", dataset_train=self.dataset, dataset_valid=None)

    def factor(self, step: int) -> float:
        """Tell what the learning rate is multiplied with at a step of the fit."""
        return decay_factor(step, self.net.n_steps_) if self.decays else 1.0

    def record(self, losses: list[float], seconds: float) -> None:
        """Write an epoch into the history; `seconds` are what the net has had of its time."""
        write_epoch(self.net, [[loss] for loss in losses], self.minibatches.sizes)
        for timer in self.timers:
            timer.epoch_start_time_ = time.time() - seconds
        for decay in self.decays:
            decay.go_on_to(len(self.net.history) * len(losses) - 1, self.net)
        self.net.notify("on_epoch_end", dataset_train=self.dataset, dataset_valid=None)

    @property
    def has_ended(self) -> bool:
        """Whether the net has gone on long enough without a better epoch."""
        return self.held_out is not None and self.watch.has_ended

    @property
    def is_closed(self) -> bool:
        """Whether the training has ended."""
        return self.net._training_ is None

    def close(self, *, fitted: bool) -> None:
        """End the training; what was not finished is not fitted."""
        end(self.net)
        self.net.initialized_ = fitted

    def rewind(self) -> None:
        """Make the net what it was before, but unfitted."""
        self.close(fitted=False)
        if self.rng_state is not None:
            self.net.random_state.set_state(self.rng_state)

    def key(self) -> str:
        """Write down what nets of a stack have in common, now that they know their data."""
        net = self.net
        criterion = net.criterion_
        written = written_loss(net)
        parts: list[Any] = [_describe_module(net), net.n_outputs_]
        parts += [] if isinstance(written, CrossEntropy) else [fingerprint(criterion)]
        X = self.minibatches.X
        inputs = X if isinstance(X, Mapping) else {"X": X}
        parts += [(name, part.shape[1:], part.dtype) for name, part in inputs.items()]
        if net.erm_weight > 0 or callable(net.vicinity):
            # In the epochs that mix there are twice as many rows, or nobody knows what is done.
            parts += [net.alpha > 0, net.erm_epochs]
        parts += [net.erm_weight > 0, net.mix_at]
        parts += [net.target_type_, self.y.dtype, bool(self.decays), self.held_out is None]
        if written is None:
            # The two terms of a mixed loss are not, for every criterion, the plain loss at lam = 1.
            parts += [self.weight is None, net.alpha > 0]
            parts += [net.lam_per, net.erm_epochs] if net.alpha > 0 else []
            parts.append(callable(net.vicinity))
        return str(parts)


def initialize(lanes: Mapping[int, Lane]) -> dict[int, Exception]:
    """Initialize lanes one after the other; return what those raised that could not be."""
    failed = {}
    # To keep what the global generators are, and restore it, takes longer than to seed them.
    with kept_rng(next((lane.net._place for lane in lanes.values()), "cpu")) as seed_all:
        for i, lane in lanes.items():
            try:
                lane.initialize(seed_all)
            except Exception as error:  # noqa: PERF203
                failed[i] = error
    return failed


def _describe_module(net: Any) -> Any:
    """Write down what the module of a net is; of an MLP that the net itself made, its widths."""
    module = net.module_
    if net.module is not MLP or type(module) is not MLP:
        return describe(module)
    layers = [*module.hidden, module.output]
    return MLP, [layer.in_features for layer in layers], net._module_dtype()
