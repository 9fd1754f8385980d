"""A skorch net as a scikit-learn estimator: stored parameters, device, seeding, a lean epoch."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from numbers import Integral
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import process_routing
from skorch import NeuralNet
from skorch.exceptions import NotInitializedError, SkorchException
from skorch.history import History
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from sklearn_mixup._doc_link import linked
from sklearn_mixup._net.device import (
    count_flops,
    isolated_rng,
    resolve_device,
    uncached_autocast,
)
from sklearn_mixup._net.epoch import is_in_mode, run_epoch, run_epochs, zero_grad
from sklearn_mixup._net.forward import apply_in_order
from sklearn_mixup._net.iterators import make_iterator
from sklearn_mixup._net.memory import collate, share
from sklearn_mixup._net.parameters import set_trained
from sklearn_mixup._net.parts import wants_fused
from sklearn_mixup._net.precision import take_scaled_step
from sklearn_mixup._net.session import (
    Training,
    begin,
    draw_seeds,
    end,
    is_stop,
    make_ready,
    open_epochs,
    rng_of,
)
from sklearn_mixup._net.settings import (
    check_fit_params,
    check_names,
    explain_missing,
    is_foreign,
    taken_by,
)
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.exceptions import DivergedError
from sklearn_mixup.minibatches import Rows

# From 1.4 on skorch wants to know which method was called, to route metadata.
_ROUTES = "_routing_method" in inspect.signature(NeuralNet.fit_loop).parameters

_IS_PICKLED: ContextVar[bool] = ContextVar("is_pickled", default=False)
_NO_STATE = (
    "The state of a {} holds a pickle, so only pickle, copy and joblib may have it: it would run "
    "hidden in a file of any other tool, such as skops. Use sklearn_mixup.save and load."
)


def _make_for_pickle(cls: Any) -> Any:
    """Make a net that pickle is about to give its state."""
    net = cls.__new__(cls)
    vars(net)["_is_unpickled_"] = True
    return net


@linked
class NetEstimator(NeuralNet):
    """What a skorch net of any kind needs to be a scikit-learn estimator that lives on a device.

    A subclass lists its parameters in `_parameter_constraints`, stores them by `store`, and wraps
    what skorch calls in `_train`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    _training_type: ClassVar[type[Training]] = Training
    # A Training while fit or partial_fit runs.
    _training_: Any = None
    _predicting = "module"  # which of the modules is asked for predictions
    # What a subclass counts in its steps.
    _counts: ClassVar[tuple[str, ...]] = ()
    _iteration = "in epoch"  # what `n_iter_` counts, as a message says it
    # skorch sets these in __init__; a scikit-learn estimator has nothing learned before fit.
    history_: History | None = None
    initialized_ = False
    virtual_params_: Mapping[str, Any] = MappingProxyType({})
    _is_loaded_ = False
    precision: str = "float32"  # of those that have no such parameter
    # Parameters of the net itself that are handed to a part of it.
    _handed_on: ClassVar[dict[str, str]] = {}
    # Words that stand for what makes a part.
    _words: ClassVar[dict[str, dict[str, Any]]] = {}
    _fixed_mode_: bool | None = None
    _criteria: list[str]
    _params_to_validate: set[str]
    callbacks_: list[tuple[str, Any]]

    # -- parameters -------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        is_parameter = name in self.__dict__ and not name.endswith("_")
        if is_parameter or "_params_to_validate" not in self.__dict__:  # in a subclass's __init__
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _get_param_names(self) -> list[str]:
        return [key for key in self.__dict__ if not key.startswith("_") and not key.endswith("_")]

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Get the parameters of the net, its callbacks' with ``deep=True``."""
        params = super().get_params(deep=deep, **kwargs)
        params["device"] = self.__dict__["device"]
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the net and its parts, which are checked in ``fit``.

        Of a net that is initialized, parts are made anew whose parameters get another value, and
        all are moved to another `device`.

        Warns
        -----
        UserWarning
            If that is a network that was trained: its weights are gone.
        """
        check_names(self, [name for name in params if name.endswith("_")])
        if self.initialized_:
            set_trained(self, params)
            return self
        # Of a fit that failed skorch would set them in its optimizer, and forget them.
        self.__dict__.pop("virtual_params_", None)
        if "callbacks" in params:
            self.__dict__["callbacks"] = params.pop("callbacks")
        return super().set_params(**params)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if self.initialized_ and "module_" in self.__dict__:
            return super().__repr__()  # skorch's: the network
        return BaseEstimator.__repr__(self, N_CHAR_MAX)

    # skorch hides a pickle in the state of a net. What pickles anyway may have it; any other tool
    # that asks for the state, or sets it, would run code that none of its lists of types names.
    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        token = _IS_PICKLED.set(True)
        try:
            return _make_for_pickle, (type(self),), self.__getstate__()
        finally:
            _IS_PICKLED.reset(token)

    def __getstate__(self) -> dict[str, Any]:
        if not _IS_PICKLED.get():
            raise TypeError(_NO_STATE.format(type(self).__name__))
        state = super().__getstate__()
        state.pop("_training_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not self.__dict__.pop("_is_unpickled_", False):
            raise TypeError(_NO_STATE.format(type(self).__name__))
        # skorch maps the weights to state["device"], which has to be one that exists.
        asked = state["device"]
        super().__setstate__({**state, "device": resolve_device(asked)})
        if isinstance(asked, str) and asked == "auto":
            self.__dict__["device"] = asked

    # -- device -----------------------------------------------------------------------------

    @property
    def device(self) -> Any:
        """The device in use; ``get_params()["device"]`` is the one asked for, perhaps "auto"."""
        return resolve_device(self.__dict__["device"])

    @device.setter
    def device(self, value: Any) -> None:
        self.__dict__["device"] = value

    @property
    def _place(self) -> Any:
        """The device that rows are put on; under accelerate, which wants None, its own."""
        device, accelerator = self.device, getattr(self, "accelerator", None)
        return device if device is not None or accelerator is None else accelerator.device

    @property
    def _processes(self) -> tuple[int, int]:
        """The number of this process, and of how many that train together under accelerate."""
        accelerator = getattr(self, "accelerator", None)
        return (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)

    # -- seeding ----------------------------------------------------------------------------

    @contextmanager
    def _train(self, *, restart: bool, n_epochs: int | None, **needed: Any) -> Iterator[None]:
        """Hold what training needs while it lasts; a fit that fails leaves an unfitted net."""
        try:
            # It may be called where gradients are off.
            with torch.inference_mode(False), torch.enable_grad():
                training = begin(self, restart=restart, n_epochs=n_epochs, **needed)
                with isolated_rng(training.seed, self._place), uncached_autocast():
                    make_ready(self)
                    yield
                    if training.interrupt is not None:  # skorch ended the training without a word.
                        raise training.interrupt
        except DivergedError:
            raise
        except BaseException as error:
            session = self._training_
            kept = isinstance(error, KeyboardInterrupt) and session and session.has_begun(self)
            self.initialized_ = self.initialized_ and bool(kept or not restart)
            raise
        finally:
            end(self)

    def _let_skorch_train(self, X: Any, y: Any, method: str, fit_params: Mapping[str, Any]) -> Any:
        """Go through skorch's training; `method` of the net was called."""
        told = {"_routing_method": method} if _ROUTES else {}
        return super().partial_fit(X, y, **told, **fit_params)

    def fit_loop(
        self,
        X: Any,
        y: Any = None,
        epochs: int | None = None,
        *,
        _routing_method: str = "fit",
        **fit_params: Any,
    ) -> Any:
        """Train for some epochs; called on its own, it goes on as ``partial_fit`` does."""
        check_fit_params(self, self._receivers(), fit_params)
        if not (epochs is None or (isinstance(epochs, Integral) and epochs >= 0)):
            raise ValueError(f"`epochs` must be a whole number >= 0; got {epochs!r}.")
        self.check_training_readiness()
        split_params = fit_params
        if _ROUTES and get_config()["enable_metadata_routing"]:
            routed = process_routing(self, _routing_method, **fit_params)
            split_params = routed.get("splitter", {"split": {}})["split"]
        n_epochs = self.max_epochs if epochs is None else epochs
        on_its_own = self._training_ is None
        with self._train(restart=False, n_epochs=None) if on_its_own else nullcontext():
            try:
                datasets = self.get_split_datasets(X, y, **split_params)
                iterators = open_epochs(self, datasets, n_epochs)
                run_epochs(self, datasets, iterators, fit_params)
            except KeyboardInterrupt as error:  # It goes on when the training has ended.
                self._training_.interrupt = None if is_stop(error) else error
            if (watch := self._training_.watch) is not None:
                watch.give_back(self)
        return self

    def _initialize_module(self, *args: Any, **kwargs: Any) -> Any:
        self._is_loaded_ = False
        if self._training_ is not None:
            return super()._initialize_module(*args, **kwargs)
        seed, *_ = draw_seeds(rng_of(self, restart=False))
        with isolated_rng(seed, self._place):
            return super()._initialize_module(*args, **kwargs)

    # -- checks -----------------------------------------------------------------------------

    def _receivers(self) -> list[Any]:
        """List what takes arguments of ``fit`` that it does not take itself."""
        hooks = ("get_split_datasets", "run_single_epoch", "train_step", "train_step_single")
        methods = [getattr(self, hook) for hook in (*hooks, "validation_step", "infer")]
        split = [self.train_split] if self.train_split else []
        return [*split, *filter(is_foreign, methods)]

    def check_data(self, X: Any, y: Any = None) -> None:
        """Do nothing: all has been checked by now."""

    # -- parts ------------------------------------------------------------------------------

    def initialize_callbacks(self) -> Any:
        """Make the callbacks; what saves an epoch comes after all that still change it."""
        if self.callbacks or any(name.startswith("callbacks__") for name in vars(self)):
            super().initialize_callbacks()
        else:  # the default ones as they are
            self.callbacks_ = [(name, cb) for name, cb, _ in self._yield_callbacks()]
            for _, callback in self.callbacks_:
                callback.initialize()
        self.callbacks_.sort(key=lambda named: isinstance(named[1], Resume))
        if (accelerator := getattr(self, "accelerator", None)) is not None and not self.verbose:
            # Given the accelerator's print, skorch prints unasked.
            self.callbacks_ = [
                (name, callback)
                for name, callback in self.callbacks_
                if getattr(callback, "sink", None) != accelerator.print
            ]
        return self

    def initialized_instance(self, instance_or_cls: Any, kwargs: dict[str, Any]) -> Any:
        """Build a part from its class; copy one that is passed ready-made: it stays untouched."""
        part = super().initialized_instance(instance_or_cls, kwargs)
        return copy.deepcopy(part) if part is instance_or_cls else part

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> tuple[Any, dict]:
        """Collect an optimizer's arguments; it is fused where torch offers it, and it is of use."""
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        parameters = [parameter for group in args[0] for parameter in group["params"]]
        if wants_fused(getattr(self, prefix, None), parameters, kwargs):
            kwargs["fused"] = True
        return args, kwargs

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load parameters, as skorch does; a device of "auto" stays so."""
        asked = self.__dict__["device"]
        try:
            super().load_params(*args, **kwargs)
            self._is_loaded_ = True
        finally:
            if isinstance(asked, str) and asked == "auto":
                self.__dict__["device"] = asked

    def check_is_fitted(self, attributes: Any = None, *args: Any, **kwargs: Any) -> None:
        """Raise NotInitializedError before the first fit, and after one that failed."""
        if not self.initialized_ and not attributes:
            raise NotInitializedError(
                f"This {type(self).__name__} instance is not initialized yet. Call 'initialize' or "
                "'fit' with appropriate arguments before using this method."
            )
        super().check_is_fitted(attributes, *args, **kwargs)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Notify the callbacks; one that watches what is not there is told what is."""
        try:
            super().notify(method_name, **kwargs)
        except (LookupError, ValueError, SkorchException) as error:
            if (explained := explain_missing(self, error)) is None:
                raise
            raise explained from error

    def _prepare(self) -> None:
        """Bring the net up to date with its parameters, before it is trained."""

    # -- an epoch ---------------------------------------------------------------------------

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        if set_to_none is False or getattr(self, "accelerator", None) is not None:
            super()._zero_grad_optimizer(set_to_none)  # which may accumulate gradients
            return
        for name in self._optimizers:
            zero_grad(getattr(self, name + "_"))

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take a step: skorch's, less the closure where nothing needs it."""
        if self._training_ is not None and self._training_.scaler is not None:
            return take_scaled_step(self, batch, fit_params)
        if self._training_ is None or self._training_.needs_closure:
            return super().train_step(batch, **fit_params)
        self._zero_grad_optimizer()
        step = self.train_step_single(batch, **fit_params)
        for name in self._optimizers:
            getattr(self, name + "_").step()
        return step

    def _set_training(self, training: bool = True) -> None:
        if training == self._fixed_mode_:
            return  # The walk through all layers would cost a tenth of a step.
        if self._fixed_mode_ is not None:
            self._fixed_mode_ = None  # Somebody else acts after all.
        if not is_in_mode(self, training):
            super()._set_training(training)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Compute an epoch, and see that it came to something if it is one of training."""
        if iterator is not None:
            run_epoch(self, iterator, training, prefix, step_fn, **fit_params)

    def _find_steps(self, iterator: Any, step_fn: Any, fit_params: Any) -> Any:
        """Find what takes the steps of an epoch of training; None if the net does so itself."""
        return None

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

    # -- minibatches ------------------------------------------------------------------------

    @property
    def n_steps_(self) -> int | None:
        """Minibatches of the whole fit, or None where its end is not known."""
        training = self._training_
        if training is None or training.n_epochs is None or training.n_minibatches is None:
            return None
        return training.n_epochs * training.n_minibatches

    def _encode(self, y: Any) -> Any:
        """Turn the targets of a data set into what the criterion takes."""
        return y

    def _module_dtype(self) -> torch.dtype:
        modules = [getattr(self, name + "_") for name in self._modules]
        parameters = (p for module in modules for p in module.parameters())
        return next(
            (p.dtype for p in parameters if p.is_floating_point()), torch.get_default_dtype()
        )

    def _flops_of_step(self, X: Rows, batch_size: int) -> float:
        """Bound the operations of a training step: forward, and twice as much backward."""
        modules = [getattr(self, name + "_") for name in self._modules]
        if any(is_lazy(p) for module in modules for p in module.parameters()):
            return math.inf  # not known before the first minibatch
        return 3 * batch_size * sum(count_flops(module, X) for module in modules)

    def _to_device(self, rows: Any) -> Rows:
        """Put rows on the device, floating ones in the dtype of the module."""
        if isinstance(rows, Mapping):
            return {name: self._to_device(part) for name, part in rows.items()}
        if isinstance(rows, list | tuple):
            return [self._to_device(part) for part in rows]
        if not isinstance(rows, Tensor):
            rows = share(rows)
        dtype = self._module_dtype() if rows.is_floating_point() else rows.dtype
        return rows.detach().to(device=self._place, dtype=dtype)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Get the data sets to train and to validate on."""
        fit_params = taken_by(self.train_split, fit_params)
        training = self._training_
        if training is not None and training.watch is not None:
            return training.watch.part(self, self.get_dataset(X, y))
        return super().get_split_datasets(X, y, **fit_params)

    def _minibatches_of_rows(
        self,
        base: Any,
        rows: np.ndarray | None,
        resident: tuple[Rows, Rows],
        kwargs: dict[str, Any],
    ) -> Any:
        """Get the minibatches to train on, of rows that live on the device."""
        raise NotImplementedError

    def _minibatches_of_loader(self, loader: Any, augment: Any) -> Any:
        """Get the minibatches to train on, of what a loader yields."""
        raise NotImplementedError

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Collect the arguments of a part; a DataLoader collates read-only rows as well."""
        kwargs = super().get_params_for(prefix)
        is_loader = prefix.startswith("iterator") and getattr(self, prefix, None) is DataLoader
        if is_loader and kwargs.get("batch_size", self.batch_size) is not None:
            kwargs.setdefault("collate_fn", collate)
        return kwargs

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Get the minibatches of a data set; within ``fit`` those to train on are mixed."""
        return make_iterator(self, dataset, training=training)

    def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Iterator[Rows]:
        """Yield the outputs of the module for the rows in order, never mixed or shuffled.

        Arrays and tensors are cut into minibatches so that the output of a row does not depend, by
        a rounding error, on which other rows there are; by no more than that, if they are pictures.
        """
        return apply_in_order(self, X, training=training, device=device)
