"""MixupClassifier: a skorch net and a scikit-learn classifier, trained with mixup."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset, unpack_data
from skorch.utils import is_dataset
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from sklearn_mixup._device import check_device
from sklearn_mixup._net import VicinalNet
from sklearn_mixup.callbacks import LRDecay
from sklearn_mixup.minibatches import Minibatches
from sklearn_mixup.modules import MLP

__all__ = ["MixupClassifier"]


class MixupClassifier(VicinalNet, NeuralNetClassifier):
    """DOC"""

    _parameter_constraints: dict[str, list[Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "lam_per": [StrOptions({"minibatch", "sample"})],
        "erm_epochs": [Interval(Integral, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "lr": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
    }

    # Left to skorch's set_fit_request and set_partial_fit_request, which take any name.
    __metadata_request__fit = {"sample_weight": UNUSED}
    __metadata_request__partial_fit = {"classes": UNUSED, "sample_weight": UNUSED}

    def __init__(
        self,
        module: Any = MLP,
        *,
        alpha: float = 0.2,
        dropout: float | None = None,
        lam_per: str = "minibatch",
        erm_epochs: int = 0,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.Adam,
        lr: float = 3e-3,
        max_epochs: int = 64,
        batch_size: int = 32,
        iterator_train: Any = Minibatches,
        iterator_valid: Any = Minibatches,
        dataset: Any = Dataset,
        train_split: Any = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        params = {key: value for key, value in locals().items() if key in _PARAMETERS}
        self._store_params(params, kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        *callbacks, print_log = super()._default_callbacks
        return [*callbacks, ("lr_decay", LRDecay()), print_log]

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return BaseEstimator.__repr__(self, N_CHAR_MAX)

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the net and its parts; callbacks are checked in ``fit``."""
        if "callbacks" in params and not self.initialized_:
            vars(self)["callbacks"] = params.pop("callbacks")
        return super().set_params(**params)

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """FIT"""
        return self._fit(super().fit, X, y, sample_weight, n_epochs=self.max_epochs, **fit_params)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> Any:
        """PFIT"""
        if self._training_ is not None:  # skorch's fit goes on through partial_fit
            return super().partial_fit(X, y, classes=classes, **fit_params)
        return self._fit(super().partial_fit, X, y, sample_weight, classes=classes, **fit_params)

    def _fit(
        self,
        train: Callable[..., Any],
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        n_epochs: int | None = None,
        classes: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Check what was passed, then let skorch train; `n_epochs` is None in ``partial_fit``."""
        params = self.get_params(deep=False)
        validate_parameter_constraints(self._parameter_constraints, params, type(self).__name__)
        check_device(self.device)
        ends = n_epochs is not None
        restart = not self.initialized_ or (ends and not self.warm_start)
        X, y, sample_weight = self._check_fit(X, y, sample_weight, restart, classes)
        class_weight = self._weigh_classes(y, sample_weight)
        with self._train(
            restart=restart,
            n_epochs=n_epochs,
            sample_weight=sample_weight,
            class_weight=class_weight,
        ):
            return train(X, y, **fit_params)

    def _check_fit(
        self, X: Any, y: Any, sample_weight: Any, restart: bool, classes: Any
    ) -> tuple[Any, Any, np.ndarray | None]:
        """Check the data of a fit and learn what the module needs to know of it."""
        if restart:
            for name in ("n_features_in_", "feature_names_in_", "classes_inferred_"):
                vars(self).pop(name, None)
        if is_dataset(X):
            self._learn_dataset(X, y, sample_weight, restart, classes)
            return X, y, None
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Only a "
                "torch Dataset, which holds its own targets, is fitted without."
            )
        X = self._check_X(X, reset=restart)
        y, target_type = _check_y(y)
        check_consistent_length(*(X.values() if isinstance(X, Mapping) else [X]), y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, len(y))
            if (sample_weight == 0).any():  # A row without weight might as well not be there.
                kept = np.flatnonzero(sample_weight)
                X, y, sample_weight = _take(X, kept), y[kept], sample_weight[kept]
        if restart:
            self.target_type_ = target_type
            self._learn_classes(y, classes)
        elif target_type != self.target_type_:
            raise ValueError(
                f"y must be {self.target_type_}, as it was when training began; got {target_type}."
            )
        elif target_type != "multiclass" and y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns; got {y.shape[1]}.")
        if restart:
            row = next(iter(X.values())) if isinstance(X, Mapping) else X
            self._n_features_ = None if isinstance(X, Mapping) else int(np.prod(row.shape[1:]))
        self._encode(y)
        return X, y, sample_weight

    def _learn_classes(self, y: np.ndarray, classes: Any) -> None:
        """Find the classes and the width that the output of the module must have."""
        if self.target_type_ == "multiclass":
            self.classes_inferred_ = np.unique(y if classes is None else np.asarray(classes))
        else:
            self.classes_inferred_ = np.arange(y.shape[1])
        self.n_outputs_ = len(self.classes_)
        if self.n_outputs_ < 2:
            raise ValueError(
                f"y must have at least two classes; got {self.n_outputs_} class, "
                f"{self.classes_.tolist()}, among the rows that have weight."
            )

    def _learn_dataset(
        self, dataset: Any, y: Any, sample_weight: Any, restart: bool, classes: Any
    ) -> None:
        """Learn from a torch Dataset what can be learned without going through it."""
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` goes with arrays and tensors; got a torch Dataset. Pass X and y, "
                "or draw the rows by weight with iterator_train__sampler=WeightedRandomSampler(...)."
            )
        if not restart:
            return
        first_X, _ = unpack_data(dataset[0]) if hasattr(dataset, "__getitem__") else (None, None)
        self._n_features_ = int(np.prod(np.shape(first_X))) if first_X is not None else None
        if isinstance(dataset, TensorDataset):
            labels = dataset.tensors[-1]
        else:
            labels = next(
                (getattr(dataset, name) for name in ("targets", "y") if hasattr(dataset, name)), y
            )
        self.target_type_ = "multiclass"
        if classes is None and labels is not None:
            labels, self.target_type_ = _check_y(labels)
            n_classes = int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]
            classes = np.arange(n_classes)
        if classes is not None:
            self.classes_inferred_ = np.asarray(classes)
        if classes is None and self.classes is None:
            raise ValueError(
                f"The classes of a {type(dataset).__name__} without `targets` cannot be known "
                "before going through it. Pass classes=[...] to the estimator."
            )
        self.n_outputs_ = len(self.classes_)

    def _weigh_classes(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Compute the weight of each class."""
        if self.class_weight is None:
            return None
        if self.target_type_ == "multilabel-indicator":
            raise ValueError(
                f"`class_weight` is for one label a row; got {self.class_weight!r} with multilabel y. "
                "Use criterion__pos_weight."
            )
        if isinstance(self.class_weight, dict):
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
                raise ValueError(
                    "`class_weight` must hold finite numbers >= 0, not all 0; got "
                    f"{self.class_weight!r}."
                )
            return weights
        codes = self._encode(y)
        shares = codes if codes.ndim == 2 else np.eye(self.n_outputs_)[codes]
        mass = shares.sum(0) if sample_weight is None else sample_weight @ shares
        # As scikit-learn has it, n_samples / (n_classes * bincount(y)).
        return mass.sum() / (np.count_nonzero(mass) * np.where(mass > 0, mass, np.inf))

    def _encode(self, y: Any) -> np.ndarray:
        """Turn labels into their places among `classes_`, other targets into floats."""
        if isinstance(y, Tensor):
            return y
        if self.target_type_ != "multiclass":
            return np.asarray(y, dtype=_default_dtype())
        classes = self.classes_
        sorter = np.argsort(classes)
        codes = sorter[np.searchsorted(classes, y, sorter=sorter).clip(max=len(classes) - 1)]
        if (unknown := classes[codes] != y).any():
            raise ValueError(
                f"y must hold only the classes {classes.tolist()}; got "
                f"{np.unique(y[unknown]).tolist()} too."
            )
        return codes

    def check_data(self, X: Any, y: Any = None) -> None:
        """Do nothing: all has been checked by now."""

    def initialize_module(self) -> Any:
        """Make the module; it is told `n_features` and `n_classes` if it names them."""
        kwargs = self.get_params_for("module")
        if not isinstance(self.module, nn.Module):
            known = {"n_features": "_n_features_", "n_classes": "n_outputs_"}
            named = inspect.signature(self.module).parameters
            for name in known.keys() & named.keys() - kwargs.keys():
                value = getattr(self, known[name], None)
                if value is not None:
                    kwargs[name] = value
                elif named[name].default is inspect.Parameter.empty:
                    raise ValueError(
                        f"`{name}` of the module is learned in fit, from X and y that are arrays; "
                        f"it is not known yet. Pass module__{name}=..."
                    )
        self.module_ = self.initialized_instance(self.module, kwargs)
        return self

    def initialize_criterion(self) -> Any:
        """Make the criterion; multilabel targets turn the default into binary cross-entropy."""
        super().initialize_criterion()
        multilabel = getattr(self, "target_type_", None) == "multilabel-indicator"
        if multilabel and self.criterion is nn.CrossEntropyLoss:
            self.criterion_ = nn.BCEWithLogitsLoss(**self.get_params_for("criterion"))
        return self

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the loss of a minibatch, vicinal or plain."""
        logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        n_outputs = getattr(self, "n_outputs_", None)
        if n_outputs is not None and (logits.ndim < 2 or logits.shape[1] != n_outputs):
            raise ValueError(
                f"The module must return one logit for each of the {n_outputs} classes, shape "
                f"(batch_size, {n_outputs}); {type(self.module_).__name__} returned shape "
                f"{tuple(logits.shape)}. A module that names a parameter `n_classes` is told it."
            )
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Notify the callbacks, of minibatches with the labels as the user knows them."""
        if method_name == "on_batch_end" and getattr(self, "target_type_", "") == "multiclass":
            X, y = unpack_data(kwargs["batch"])
            is_codes = isinstance(y, Tensor) and y.ndim == 1 and not y.is_floating_point()
            if is_codes and not np.array_equal(self.classes_, np.arange(self.n_outputs_)):
                kwargs["batch"] = X, self.classes_[y.cpu().numpy()]
        super().notify(method_name, **kwargs)

    # -- prediction -------------------------------------------------------------------------

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Check inputs: arrays as scikit-learn does, tensors where they are, dicts of either."""
        mixes = self.alpha != 0
        if isinstance(X, Mapping) and not issparse(X):  # a dok_array is a dict
            if not X:
                raise ValueError("X must hold at least one input; got an empty dict.")
            return {name: _check_part(part, f"X[{name!r}]", mixes) for name, part in X.items()}
        if isinstance(X, Tensor):
            X = _check_part(X, "X", mixes)
            if reset and X.ndim > 1:
                self.n_features_in_ = X.shape[1]
            elif X.ndim > 1 and X.shape[1] != getattr(self, "n_features_in_", X.shape[1]):
                raise ValueError(
                    f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} features as input."
                )
            return X
        dtype = _default_dtype()
        n_dim = getattr(X, "ndim", 2)
        if n_dim > 2:
            _check_floating(np.asarray(X).dtype, "X", mixes)
            dtype = dtype if np.asarray(X).dtype.kind == "f" else None
        return validate_data(self, X, reset=reset, dtype=dtype, allow_nd=True)

    def _outputs(self, X: Any) -> Tensor:
        """Compute the first output of the module, on its device."""
        self.check_is_fitted()
        if not is_dataset(X):
            X = self._check_X(X, reset=False)
        outputs = self.forward(X, device=self.device)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        if self.predict_nonlinearity == "auto" and isinstance(
            self.criterion_, nn.BCEWithLogitsLoss
        ):
            return torch.sigmoid
        return super()._get_predict_nonlinearity()

    def predict_proba(self, X: Any) -> np.ndarray:
        """PP"""
        outputs = self._outputs(X)
        return self._get_predict_nonlinearity()(outputs).cpu().numpy()

    def predict(self, X: Any) -> np.ndarray:
        """P"""
        proba = self.predict_proba(X)
        if getattr(self, "target_type_", None) == "multilabel-indicator":
            return (proba > 0.5).astype(int)
        return self.classes_[proba.argmax(axis=1)]

    def decision_function(self, X: Any) -> np.ndarray:
        """DF"""
        logits = self._outputs(X).cpu().numpy()
        if logits.shape[1] == 2 and self.target_type_ != "multilabel-indicator":
            return logits[:, 1] - logits[:, 0]
        return logits


_PARAMETERS = inspect.signature(MixupClassifier.__init__).parameters.keys() - {"self", "kwargs"}


def _default_dtype() -> np.dtype:
    """Give NumPy's name of the dtype that torch makes modules of."""
    return torch.empty(0).numpy().dtype


def _take(X: Any, rows: np.ndarray) -> Any:
    """Take rows of an array, a tensor or a dict of them."""
    if isinstance(X, Mapping):
        return {name: _take(part, rows) for name, part in X.items()}
    return X[torch.as_tensor(rows, device=X.device)] if isinstance(X, Tensor) else X[rows]


def _check_floating(dtype: Any, name: str, mixes: bool) -> None:
    """Raise TypeError for inputs that cannot be mixed."""
    floating = dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f"
    if mixes and not floating:
        raise TypeError(
            f"Only floating inputs can be mixed, but {name} is {dtype}. Convert it to float, or use "
            "alpha=0."
        )


def _check_part(part: Any, name: str, mixes: bool) -> Any:
    """Check one input that is a tensor or an array of any rank."""
    if not isinstance(part, Tensor):
        part = np.asarray(part)
    _check_floating(part.dtype, name, mixes)
    if part.ndim == 0 or len(part) == 0:
        raise ValueError(f"{name} must have at least one row; got shape {tuple(part.shape)}.")
    finite = torch.isfinite(part) if isinstance(part, Tensor) else np.isfinite(part)
    if not finite.all():
        raise ValueError(f"{name} contains NaN or infinity. Impute or drop these rows.")
    return part


def _check_y(y: Any) -> tuple[np.ndarray, str]:
    """Check targets: labels, an indicator of labels, or rows of class probabilities."""
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim == 2 and y.dtype.kind == "f" and (y >= 0).all():
        if np.allclose(y.sum(axis=1), 1, atol=1e-4):
            return y, "probabilities"
    check_classification_targets(y)
    if y.ndim == 1:
        return y, "multiclass"
    if y.ndim == 2 and np.isin(y, (0, 1)).all():
        return y, "multilabel-indicator"
    raise ValueError(
        "y must hold a label a row, zeros and ones (multilabel), or rows of probabilities that sum "
        f"to 1; got an array of shape {y.shape} and dtype {y.dtype}."
    )


def _check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Check weights: one for each row, finite, >= 0, not all 0."""
    if isinstance(sample_weight, Tensor):
        sample_weight = sample_weight.detach().cpu().numpy()
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight, dtype=float)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (n_rows,):
        raise ValueError(
            f"`sample_weight` must have one entry for each of the {n_rows} rows; got shape "
            f"{weight.shape}."
        )
    if (weight < 0).any():
        raise ValueError(
            f"`sample_weight` must be >= 0; got {weight.min()}. Use 0 to leave a row out."
        )
    if not weight.any():
        raise ValueError("`sample_weight` must not be all zero; got no row with a weight > 0.")
    return weight
