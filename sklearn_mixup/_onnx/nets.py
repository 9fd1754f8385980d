"""Nets and ensembles of nets as graphs: their modules in one, and what their outputs say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from sklearn_mixup._bagging import FusedBaggingClassifier, FusedBaggingRegressor
from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._net.checks import first_output
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.prediction import in_double, softmax
from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup._onnx.graph import Parts
from sklearn_mixup._regressor import MixupRegressor

NETS = (MixupClassifier, MixupRegressor)
BAGS = (FusedBaggingClassifier, FusedBaggingRegressor)
# Methods that a graph is an image of: one of somebody's own is not seen in it.
_METHODS = ("predict", "predict_proba", "infer", "forward_iter", "evaluation_step")


# -- labels ---------------------------------------------------------------------------------------


def labels_of(model: Any) -> tuple[np.ndarray, bool]:
    """Get the labels of a classifier, and whether a row may have several."""
    targets = model._targets if isinstance(model, NETS) else None
    targets = model._labels if isinstance(model, BAGS) else targets
    found = model.classes_ if targets is None else targets.classes
    if found is None:
        raise ValueError(
            "A graph has the labels in it, and this net has not seen any; got a net that was "
            "fitted on a torch Dataset. Pass them as the parameter `classes`."
        )
    classes = np.asarray(found)
    is_words = classes.dtype.kind in "OU"
    if not is_words and (
        classes.dtype.kind not in "biuf" or (classes.astype(np.int64) != classes).any()
    ):
        raise ValueError(
            "The labels of a graph are words or whole numbers below 2**63; got "
            f"{classes[:5].tolist()}. Make such labels before the fit, as by LabelEncoder."
        )
    is_multilabel = targets is not None and targets.is_multilabel
    return classes.astype(object if is_words else np.int64), is_multilabel


def tell_types(operator: Any) -> None:
    """Tell skl2onnx the types of the outputs of an estimator."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    if not is_classifier(model):
        operator.outputs[0].type = FloatTensorType([n_rows, getattr(model, "n_outputs_", None)])
        return
    classes, is_multilabel = labels_of(model)
    kind = StringTensorType if classes.dtype == object else Int64TensorType
    operator.outputs[0].type = kind([n_rows, len(classes)] if is_multilabel else [n_rows])
    operator.outputs[1].type = FloatTensorType([n_rows, len(classes)])


def put_out_classes(parts: Parts, said: str, scores: str | None = None) -> None:
    """Put out the labels that probabilities lead to, and these, or the scores behind them."""
    from onnx import TensorProto

    classes, is_multilabel = labels_of(parts.operator.raw_operator)
    if is_multilabel:
        likely = parts.node("Greater", said, parts.constant(np.float32(0.5)))
        label = parts.node("Cast", likely, to=TensorProto.INT64)
    else:
        code = parts.node("ArgMax", said, axis=1, keepdims=0)
        label = parts.node("Gather", parts.constant(classes), code)
    parts.put_out(0, label)
    parts.put_out(1, said if scores is None else scores)


# -- converters -----------------------------------------------------------------------------------


def convert_nets(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of a net, or of an ensemble of nets that take the rows as they are."""
    model = operator.raw_operator
    parts = Parts(scope, operator, container)
    nets = [*model.estimators_] if isinstance(model, BAGS) else [model]
    check_convertible(model, *nets)
    shape = parts.inputs[0].type.shape[1:]
    if len(parts.inputs) > 1 or not all(isinstance(size, int) for size in shape):
        shape = [model.n_features_in_]
    said = Said(nets)
    if isinstance(model, BAGS):
        said.spread(model)
    (mean,) = parts.embed(said, parts.join(), like=[torch.zeros(2, *shape)])
    if not is_classifier(model):
        parts.put_out(0, mean)
        return
    scores = None
    if container.get_options(model, {"raw_scores": False})["raw_scores"]:
        scores = mean
        if isinstance(model, BAGS):
            scores = parts.node("Log", mean)
        else:
            (scores,) = parts.embed(
                Said(nets, is_raw=True), parts.join(), like=[torch.zeros(2, *shape)]
            )
        if len(model.classes_) == 2:
            difference = parts.constant(np.array([[1, -1], [-1, 1]], np.float32))
            scores = parts.node("MatMul", scores, difference)
    put_out_classes(parts, mean, scores)


def check_convertible(*estimators: Any) -> None:
    """Refuse what the graph would not show."""
    for part in estimators:
        for name in _METHODS:
            method = getattr(part, name, None)
            if method is not None and not isinstance(part, Pipeline) and is_foreign(method):
                raise ValueError(
                    f"A graph is made of the module, and would not do what {type(part).__name__}"
                    f".{name} does, a method of its own. Put that into the module's forward."
                )


class Said(nn.Module):
    """What nets say of rows, probabilities or numbers: the mean of all, or by weights, their sum.

    **Shape**: input (batch_size, ...), float32; output (batch_size, n_columns), float32.
    """

    def __init__(
        self, nets: Sequence[Any], weights: Sequence[float] | None = None, *, is_raw: bool = False
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList([unwrap(net.module_) for net in nets])
        self.dtypes = [net._module_dtype() for net in nets]
        self.nonlinearities = [
            _same if is_raw else _plain(net._get_predict_nonlinearity()) for net in nets
        ]
        self.weights = [1 / len(nets)] * len(nets) if weights is None else [*weights]
        self.features: list[Any] = [None] * len(nets)
        self.columns: list[Any] = [None] * len(nets)
        self.scales: list[Any] = [None] * len(nets)
        for i, net in enumerate(nets):
            if not is_classifier(net) and net._targets.mean is not None:
                told = net._targets
                self.scales[i] = torch.as_tensor(told.scale), torch.as_tensor(told.mean)

    def spread(self, bag: Any) -> None:
        """Take the features and the classes of each net of an ensemble among those of all."""
        for i, (_, draws) in enumerate(bag._draws):
            if draws.takes_columns:
                self.features[i] = torch.as_tensor(bag.estimators_features_[i])
        for i, net in enumerate(bag.estimators_):
            own = bag._columns_of(net)
            if len(own) < bag._n_columns:
                self.columns[i] = torch.eye(bag._n_columns)[torch.as_tensor(own)]

    def forward(self, X: Tensor) -> Tensor:
        """Return what is said on average."""
        total = None
        for i, part in enumerate(self.parts):
            rows = X if self.features[i] is None else X[:, self.features[i]]
            output = first_output(part, part(rows.to(self.dtypes[i])))
            said = self.nonlinearities[i](output)
            if self.scales[i] is not None:
                scale, mean = self.scales[i]
                said = said.double() * scale + mean
            said = said.float()
            said = said if self.columns[i] is None else said @ self.columns[i]
            said = said * self.weights[i]
            total = said if total is None else total + said
        assert total is not None
        return total


def _same(output: Tensor) -> Tensor:
    return output


def _plain(nonlinearity: Any) -> Callable[[Tensor], Any]:
    """Take a function as it is that is computed in double precision to hide places."""
    if nonlinearity is softmax:
        return partial(torch.softmax, dim=-1)
    is_hidden = getattr(nonlinearity, "func", None) is in_double
    return nonlinearity.args[0] if is_hidden else nonlinearity
