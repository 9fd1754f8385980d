"""Fitted estimators as ONNX graphs: nets by torch, what stands before them by skl2onnx."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearn_mixup._bagging import FusedBaggingClassifier, FusedBaggingRegressor
from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._net.checks import first_output, is_dict
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.prediction import in_double
from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup._net.tables import columns_of, is_frame
from sklearn_mixup._regressor import MixupRegressor

__all__ = ["to_onnx"]

_NETS = (MixupClassifier, MixupRegressor)
_BAGS = (FusedBaggingClassifier, FusedBaggingRegressor)
# Methods that a graph is an image of: one of somebody's own is not seen in it.
_METHODS = ("predict", "predict_proba", "infer", "forward_iter", "evaluation_step")
# The last that torch 2.4 writes and skl2onnx 1.17 reads, and the first of torch's newer exporter.
_OPSET = {"": 18, "ai.onnx.ml": 3}


def to_onnx(model: Any, X_sample: Any) -> Any:
    """Turn a fitted estimator, or a Pipeline that ends in one, into an ONNX model.

    Needs the extra ``onnx``: ``pip install "sklearn_mixup[onnx]"``.

    Parameters
    ----------
    model : estimator
        A fitted `MixupClassifier`, `MixupRegressor`, `FusedBaggingClassifier` or
        `FusedBaggingRegressor`, or a Pipeline of transformers that skl2onnx converts, such as
        StandardScaler, OneHotEncoder, SimpleImputer and ColumnTransformer, and one of these.
    X_sample : array-like of shape (n_samples, n_features) or (n_samples, ...), or DataFrame
        Rows as `model` takes them; one is enough. They tell the shape of a row, and of a DataFrame
        for a Pipeline which columns hold words.

    Returns
    -------
    onnx.ModelProto
        Its input is ``"X"``, float32, with any number of rows; of a DataFrame for a Pipeline a
        column of shape (n_samples, 1) by its name, float32 or words. Its outputs are those of
        skl2onnx: ``"label"`` and ``"probabilities"`` of a classifier, ``"variable"`` of a
        regressor, shape (n_samples, n_outputs). They differ from those of `model` by rounding.

    Raises
    ------
    ImportError
        If the extra is not installed.
    NotFittedError
        If `model` is not fitted.
    TypeError
        If `model`, or the last step of it, is none of these estimators.
    ValueError
        If a part cannot be converted: a transformer that skl2onnx does not know, a module that
        torch cannot export, a method of a subclass; or if X is a dict of inputs.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import MixupClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MixupClassifier(random_state=0)).fit(X, y)
    >>> graph = to_onnx(clf, X[:1])  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())  # doctest: +SKIP
    >>> labels, proba = session.run(None, {"X": X.astype("float32")})  # doctest: +SKIP
    """
    skl2onnx = _import_skl2onnx()
    last = final_step(model)
    if not isinstance(last, (*_NETS, *_BAGS)):
        raise TypeError(
            "`model` must be, or end in, one of "
            f"{', '.join(kind.__name__ for kind in (*_NETS, *_BAGS))}; got "
            f"{type(last).__name__}. skl2onnx.to_onnx converts scikit-learn's own."
        )
    last.check_is_fitted() if isinstance(last, _NETS) else check_is_fitted(last)
    _register(skl2onnx, type(last))
    options = {id(last): {"zipmap": False}} if is_classifier(last) else None
    types = _list_inputs(model, X_sample)
    try:
        return skl2onnx.convert_sklearn(
            model, initial_types=types, options=options, target_opset=_OPSET
        )
    except (RuntimeError, NotImplementedError) as error:  # of several kinds, all of these
        told = " ".join(str(error).split())
        raise ValueError(
            f"Every step of `model` must be one that skl2onnx converts; it says: {told} Put "
            "another in its place, or transform the rows before the graph."
        ) from error


def _import_skl2onnx() -> Any:
    """Import what the extra brings."""
    try:
        import onnx  # noqa: F401
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "to_onnx needs onnx and skl2onnx, which are not installed. Install them, as by "
            'pip install "sklearn_mixup[onnx]".'
        ) from error
    return skl2onnx


def _list_inputs(model: Any, X: Any) -> list[tuple[str, Any]]:
    """List the inputs of the graph, by name, with the types that skl2onnx has for them."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    if is_dict(X):
        raise ValueError(
            "A graph is made for rows in one array or table; got X_sample as a dict of inputs. "
            "Export the module itself, by torch.onnx.export(net.module_, ...)."
        )
    if is_frame(X) and isinstance(model, Pipeline):
        return [
            (
                str(name),
                (FloatTensorType if _holds_numbers(column) else StringTensorType)([None, 1]),
            )
            for name, column in columns_of(X)
        ]
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    return [("X", FloatTensorType([None, *shape[1:]]))]


def _holds_numbers(column: np.ndarray) -> bool:
    try:
        column.astype(np.float32)
    except (TypeError, ValueError):
        return False
    return True


# -- converters -----------------------------------------------------------------------------------


def _register(skl2onnx: Any, kind: type) -> None:
    """Tell skl2onnx how estimators of a kind are converted."""
    options = (
        {"zipmap": [True, False, "columns"]}
        if issubclass(kind, (MixupClassifier, FusedBaggingClassifier))
        else None
    )
    skl2onnx.update_registered_converter(
        kind, f"SklearnMixup{kind.__name__}", _tell_shapes, _convert, options=options
    )


def _tell_shapes(operator: Any) -> None:
    """Tell the types of the outputs."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    if not is_classifier(model):
        operator.outputs[0].type = FloatTensorType([n_rows, model.n_outputs_])
        return
    classes, is_multilabel = _labels_of(model)
    kind = StringTensorType if classes.dtype.kind in "OU" else Int64TensorType
    operator.outputs[0].type = kind([n_rows, len(classes)] if is_multilabel else [n_rows])
    operator.outputs[1].type = FloatTensorType([n_rows, len(classes)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of an estimator to that of all."""
    model = operator.raw_operator
    _check_convertible(model)
    shape = [2, *operator.inputs[0].type.shape[1:]]
    said = _Said(model)
    graph = _export(said, torch.zeros(shape))
    if is_classifier(model):
        _add_labels(graph, *_labels_of(model))
    # Names are unique among all graphs; "" stands for an argument that is left out.
    names = {"": "", graph.graph.input[0].name: operator.inputs[0].full_name}
    for own, given in zip(graph.graph.output, operator.outputs, strict=True):
        names[own.name] = given.full_name
    parts = [tensor.name for tensor in graph.graph.initializer]
    parts += [name for node in graph.graph.node for name in node.output]
    for name in parts:
        if name not in names:
            names[name] = scope.get_unique_variable_name(name)
    for tensor in graph.graph.initializer:
        tensor.name = names[tensor.name]
        container.initializers.append(tensor)
    for node in graph.graph.node:
        node.name = scope.get_unique_operator_name(node.op_type)
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        container.nodes.append(node)
    for known in graph.opset_import:
        container.node_domain_version_pair_sets.add((known.domain, known.version))


def _labels_of(model: Any) -> tuple[np.ndarray, bool]:
    """Get the labels of a classifier, and whether a row may have several."""
    labels = model._labels if isinstance(model, _BAGS) else model._targets
    if labels.classes is None:
        raise ValueError(
            "A graph has the labels in it, and this net has not seen any; got a net that was "
            "fitted on a torch Dataset. Pass them as the parameter `classes`."
        )
    classes = np.asarray(labels.classes)
    is_words = classes.dtype.kind in "OU"
    return classes.astype(object if is_words else np.int64), labels.is_multilabel


def _check_convertible(model: Any) -> None:
    """Refuse what the graph would not show."""
    nets = [*model.estimators_] if isinstance(model, _BAGS) else [model]
    for part in (model, *nets):
        if isinstance(part, Pipeline):
            raise ValueError(
                "An ensemble is converted whose members are nets; got members that are Pipelines. "
                "Put the transformers before the ensemble, as in make_pipeline(StandardScaler(), "
                f"{type(model).__name__}())."
            )
        for name in _METHODS:
            method = getattr(part, name, None)
            if method is not None and is_foreign(method):
                raise ValueError(
                    f"A graph is made of the module, and would not do what {type(part).__name__}"
                    f".{name} does, a method of its own. Put that into the module's forward."
                )


class _Said(nn.Module):
    """What an estimator says of rows, probabilities or numbers, as one module.

    **Shape**: input (batch_size, ...), float32; output (batch_size, n_columns), float32.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        nets = model.estimators_ if isinstance(model, _BAGS) else [model]
        self.parts = nn.ModuleList([unwrap(net.module_) for net in nets])
        self.dtypes = [net._module_dtype() for net in nets]
        self.nonlinearities = [_plain(net._get_predict_nonlinearity()) for net in nets]
        self.features: list[Any] = [None] * len(nets)
        self.columns: list[Any] = [None] * len(nets)
        self.scales: list[Any] = [None] * len(nets)
        if isinstance(model, _BAGS):
            takes = [draws.takes_columns for _, draws in model._draws]
            drawn = [torch.as_tensor(own) for own in model.estimators_features_]
            self.features = [
                own if is_taken else None for own, is_taken in zip(drawn, takes, strict=True)
            ]
            places = [model._columns_of(net) for net in nets]
            self.columns = [
                None if len(own) == model._n_columns else self._spread(own, model._n_columns)
                for own in places
            ]
        if not is_classifier(model):
            told = [net._targets for net in nets]
            self.scales = [
                None
                if one.mean is None
                else (torch.as_tensor(one.scale), torch.as_tensor(one.mean))
                for one in told
            ]

    @staticmethod
    def _spread(places: np.ndarray, n_columns: int) -> Tensor:
        """Make a matrix that puts columns in their places among all."""
        return torch.eye(n_columns)[torch.as_tensor(places)]

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
            total = said if total is None else total + said
        assert total is not None
        return total / len(self.parts)


def _plain(nonlinearity: Any) -> Callable[[Tensor], Any]:
    """Take a function as it is that is computed in double precision to hide places."""
    is_hidden = getattr(nonlinearity, "func", None) is in_double
    return nonlinearity.args[0] if is_hidden else nonlinearity


# -- torch's exporters ----------------------------------------------------------------------------


def _export(said: nn.Module, X: Tensor) -> Any:
    """Export a module by the exporter that traces it, or else by the one that reads its code."""
    devices = {parameter.device for parameter in said.parameters()}
    X = X.to(next(iter(devices), X.device))
    modes = [(part, part.training) for part in said.modules()]
    said.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return _export_traced(said, X)
            except Exception as traced:
                try:
                    return _export_read(said, X)
                except Exception as read:
                    raise _not_exported(said, traced, read) from read
    finally:
        for part, mode in modes:
            part.training = mode


def _not_exported(said: Any, *errors: Exception) -> ValueError:
    """Say that no exporter knows what a module does."""
    names = dict.fromkeys(type(part).__name__ for part in said.parts)
    told = [f"{type(error).__name__}: {' '.join(str(error).split())[:200]}" for error in errors]
    return ValueError(
        f"The module must be one that torch exports to ONNX; of {', '.join(names)} its exporters "
        f"say: {'; '.join(told)}. Let its forward use operations that they know; the second "
        "exporter needs torch 2.5 and onnxscript."
    )


def _export_traced(said: nn.Module, X: Tensor) -> Any:
    """Trace a module; a step that may hang on the rows that it is traced with is an error."""
    import onnx

    file: Any = io.BytesIO()
    is_told = "dynamo" in inspect.signature(torch.onnx.export).parameters
    which: dict[str, Any] = {"dynamo": False} if is_told else {}
    warnings.simplefilter("error", torch.jit.TracerWarning)
    torch.onnx.export(
        said,
        (X,),
        file,
        input_names=["X"],
        output_names=["said"],
        dynamic_axes={"X": {0: "n_rows"}, "said": {0: "n_rows"}},
        opset_version=_OPSET[""],
        **which,
    )
    return onnx.load_from_string(file.getvalue())


def _export_read(said: nn.Module, X: Tensor) -> Any:
    """Export a module by the exporter that torch has from 2.5 on, with onnxscript."""
    program: Any = torch.onnx.export(
        said,
        (X,),
        input_names=["X"],
        output_names=["said"],
        dynamic_shapes=({0: torch.export.Dim("n_rows")},),
        opset_version=_OPSET[""],
        dynamo=True,
        verbose=False,
    )
    return program.model_proto


def _add_labels(graph: Any, classes: np.ndarray, is_multilabel: bool) -> None:
    """Put the label before the probabilities that a graph puts out."""
    from onnx import TensorProto, helper

    body = graph.graph
    if is_multilabel:
        body.initializer.append(helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]))
        body.node.append(helper.make_node("Greater", ["said", "half"], ["is_likely"]))
        body.node.append(helper.make_node("Cast", ["is_likely"], ["label"], to=TensorProto.INT64))
        kind = TensorProto.INT64
    else:
        is_words = classes.dtype == object
        kind = TensorProto.STRING if is_words else TensorProto.INT64
        values: Any = [str(label).encode() for label in classes] if is_words else classes.tolist()
        body.initializer.append(helper.make_tensor("classes", kind, [len(classes)], values))
        body.node.append(helper.make_node("ArgMax", ["said"], ["code"], axis=1, keepdims=0))
        body.node.append(helper.make_node("Gather", ["classes", "code"], ["label"]))
    label = helper.make_tensor_value_info("label", kind, None)
    said = body.output[0]
    outputs = [label, type(said).FromString(said.SerializeToString())]
    del body.output[:]
    body.output.extend(outputs)
