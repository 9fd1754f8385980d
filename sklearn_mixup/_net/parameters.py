"""The parameters of a net: stored as scikit-learn has it, set on a net that is trained, checked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints
from skorch import NeuralNet
from skorch.history import History
from torch import nn

from sklearn_mixup._net.device import check_device
from sklearn_mixup._net.settings import check_names, check_settings, is_set_to


class Parametrized(NeuralNet):
    """A skorch net whose parameters are those of a scikit-learn estimator.

    A subclass lists its own in `_parameter_constraints`, and stores them by `_store_params`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    # skorch sets these in __init__; a scikit-learn estimator has nothing learned before fit.
    history_: History | None = None
    initialized_ = False
    virtual_params_: Mapping[str, Any] = MappingProxyType({})
    _is_loaded_ = False
    # Parameters of the net itself that are handed to a part of it.
    _handed_on: ClassVar[dict[str, str]] = {}
    _criteria: list[str]
    _params_to_validate: set[str]

    def _store_params(self, params: dict[str, Any], kwargs: dict[str, Any]) -> None:
        """Do what skorch's ``__init__`` does, but only store."""
        if (history := kwargs.pop("history", None)) is not None:
            self.__dict__["history_"] = history
        # Past __setattr__, which takes any nn.Module for a part of an initialized net.
        self.__dict__.update(params, **kwargs)
        self._params_to_validate = set(kwargs)

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

        Of a net that is initialized, parts are made anew whose parameters get another value.

        Warns
        -----
        UserWarning
            If that is a network that was trained: its weights are gone.
        """
        check_names(self, [name for name in params if name.endswith("_")])
        if not self.initialized_:
            if "callbacks" in params:
                self.__dict__["callbacks"] = params.pop("callbacks")
            return super().set_params(**params)
        is_trained = self._is_loaded_ or len(self.history or ()) > 0
        remade = self._set_parts(params)
        if is_trained and remade:
            warnings.warn(
                "The trained weights are gone: the network was made anew, since "
                f"{', '.join(remade)} got another value. Call fit; or keep the net, and set it on "
                "a copy made by sklearn.base.clone.",
                stacklevel=2,
            )
        return self

    def _set_parts(self, params: dict[str, Any]) -> list[str]:
        """Set parameters of an initialized net; return those for which weights were made anew."""
        check_names(self, [name for name in params if name.startswith(tuple(self.prefixes_))])
        parts = {name: name.partition("__")[0] for name in params}
        is_idle = getattr(self, "_training_", None) is None
        made = {*self._modules, *self._criteria, "compile"}
        anew: dict[str, Any] = {}
        stored: dict[str, Any] = {}
        others: dict[str, Any] = {}
        gone: list[str] = []
        for name, value in params.items():
            if self._is_virtual_param(name):
                others[name] = value
                # skorch sets it in the optimizer. The next one has to have it too, but for what a
                # callback sets while training, as schedules do.
                if is_idle and "__" in name and "param_groups__" not in name:
                    stored[name] = value
            elif name in self._handed_on and not is_set_to(self, name, value):
                self.__dict__[name] = value
                gone.append(name)
                anew.setdefault(self._handed_on[name], vars(self)[self._handed_on[name]])
            elif parts[name] not in self.prefixes_:
                others[name] = value
            elif parts[name] in made and not is_set_to(self, name, value):
                anew[name] = value
            else:
                stored[name] = value
        optimizer_is_other = any(
            name in self._optimizers and not is_set_to(self, name, stored[name]) for name in stored
        )
        self.__dict__.update(stored)
        self._params_to_validate |= {name for name in stored if "__" in name}
        if "callbacks" in map(parts.get, stored):
            self._initialize_callbacks()
        gone += [name for name in anew if name in params and self._holds_weights(parts[name])]
        super().set_params(**others, **anew)
        if optimizer_is_other and not anew:  # else skorch has made it
            self._initialize_optimizer()
        return sorted(gone)

    def _holds_weights(self, part: str) -> bool:
        """Whether what is learned is lost when a part is made anew."""
        criterion = getattr(self, part + "_", None) if part in self._criteria else None
        learns = isinstance(criterion, nn.Module) and any(True for _ in criterion.parameters())
        return learns or part in self._modules or part == "compile"

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if self.initialized_ and "module_" in self.__dict__:
            return super().__repr__()  # skorch's: the network
        return BaseEstimator.__repr__(self, N_CHAR_MAX)

    def _check_params(self) -> None:
        """Raise ValueError for parameters that are not as the docstring says."""
        self.check_training_readiness()
        params = self.get_params(deep=False)
        validate_parameter_constraints(self._parameter_constraints, params, type(self).__name__)
        check_device(self.device)
        check_settings(self)
