"""Parts of an ONNX graph: modules that torch exports, other estimators, nodes between them."""

from __future__ import annotations

import inspect
import io
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

# The last that torch 2.4 writes, and the first of torch's newer exporter.
OPSET = {"": 18, "ai.onnx.ml": 3}
# An argument that is left out has no name, which skl2onnx cannot put in order.
_LEFT_OUT = "left_out"


class Parts:
    """What a converter of skl2onnx adds to a graph, under names that are unique in it.

    Parameters
    ----------
    scope, operator, container
        What skl2onnx hands to a converter.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container
        self.inputs: list[Any] = list(operator.inputs)

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; get its name."""
        output = self.scope.get_unique_variable_name("part")
        self._add(kind, [*inputs], [output], domain, attributes)
        return output

    def put_out(self, place: int, name: str) -> None:
        """Let a tensor be an output of the operator."""
        self._add("Identity", [name], [self.operator.outputs[place].full_name], "", {})

    def _add(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str, attributes: Any
    ) -> None:
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, inputs, outputs, op_domain=domain, name=name, **attributes)

    def constant(self, values: Any) -> str:
        """Add an array; words are an array of objects."""
        from onnx import TensorProto, helper

        values = np.asarray(values)
        is_words = values.dtype.kind in "OU"
        kind = TensorProto.STRING if is_words else helper.np_dtype_to_tensor_dtype(values.dtype)
        flat: Any = [str(word).encode() for word in values.ravel()] if is_words else values.ravel()
        name = self.scope.get_unique_variable_name("constant")
        self.container.initializers.append(helper.make_tensor(name, kind, values.shape, flat))
        return name

    def join(self, tensors: Sequence[Any] | None = None, kind: str = "FLOAT") -> str:
        """Put variables beside each other, as floats of a kind; None are all inputs."""
        from onnx import TensorProto

        names = [
            self.node("Cast", tensor.full_name, to=getattr(TensorProto, kind))
            for tensor in (self.inputs if tensors is None else tensors)
        ]
        return names[0] if len(names) == 1 else self.node("Concat", *names, axis=1)

    def variable(self, name: str, width: int) -> Any:
        """Make a variable of a tensor of numbers, for another estimator to take."""
        from skl2onnx.common.data_types import FloatTensorType

        made = self.scope.declare_local_variable("rows", FloatTensorType([None, width]))
        self._add("Identity", [name], [made.full_name], "", {})
        return made

    def take(self, columns: np.ndarray | None) -> list[Any]:
        """Take some columns of the inputs; None are all."""
        if columns is None:
            return self.inputs
        if len(self.inputs) > 1:  # a column each
            return [self.inputs[place] for place in columns]
        (rows,) = self.inputs
        made = self.scope.declare_local_variable("columns", type(rows.type)([None, len(columns)]))
        at = self.constant(np.asarray(columns, np.int64))
        self._add("Gather", [rows.full_name, at], [made.full_name], "", {"axis": 1})
        return [made]

    def say(self, estimator: Any, inputs: Sequence[Any], method: str = "predict_proba") -> str:
        """Let skl2onnx add what another estimator says of rows; get the name of that.

        Of ``decision_function`` of two classes that of the second is the last column.
        """
        from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

        last = find_last(estimator)
        if method == "decision_function":
            if not self.container.has_options(last, "raw_scores"):
                raise NotImplementedError(f"The decision_function of {last!r} is not known.")
            for told in (self.scope, self.container):
                told.add_options(id(last), {"raw_scores": True, "zipmap": False})
        operator = self.scope.declare_local_operator(_alias_of(estimator), estimator)
        for variable in inputs:
            operator.inputs.append(variable)
        types: list[Any] = [FloatTensorType([None, None])]
        if is_classifier(estimator):
            is_words = np.asarray(getattr(estimator, "classes_", 0)).dtype.kind in "OU"
            types.insert(0, (StringTensorType if is_words else Int64TensorType)([None]))
        for kind in types:
            operator.outputs.append(self.scope.declare_local_variable("said", kind))
        place = 0 if method == "predict" else -1
        return operator.outputs[place].full_name

    def embed(self, module: nn.Module, *inputs: str, like: Sequence[Tensor]) -> list[str]:
        """Add what torch exports of a module; get the names of its outputs.

        Parameters
        ----------
        module : nn.Module
            It takes and returns tensors with a row for each row of the graph.
        *inputs : str
            The names of what it takes.
        like : sequence of Tensor
            Tensors as these inputs are, with two rows each.
        """
        model = export(module, like)
        graph = model.graph
        _hold_constants(graph)
        # Names are unique among all graphs.
        names = {
            "": _LEFT_OUT,
            **{own.name: name for own, name in zip(graph.input, inputs, strict=True)},
        }
        parts = [tensor.name for tensor in graph.initializer]
        parts += [name for node in graph.node for name in node.output]
        for name in parts:
            if name not in names:
                names[name] = self.scope.get_unique_variable_name(name)
        for tensor in graph.initializer:
            tensor.name = names[tensor.name]
            self.container.initializers.append(tensor)
        for node in graph.node:
            node.name = self.scope.get_unique_operator_name(node.op_type)
            node.input[:] = [names[name] for name in node.input]
            node.output[:] = [names[name] for name in node.output]
            self.container.nodes.append(node)
        self.container.initializers.append(_stand_in())
        for known in model.opset_import:
            self.container.node_domain_version_pair_sets.add((known.domain, known.version))
        return [names[own.name] for own in graph.output]


def _hold_constants(graph: Any) -> None:
    """Hold constants as such: skl2onnx does not know when a node without an input is ready."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        if node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            graph.node.remove(node)


def _stand_in() -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(_LEFT_OUT, TensorProto.FLOAT, [], [0.0])


def leave_out(model: Any) -> None:
    """Leave out the arguments of nodes that are to be, of a graph whose nodes are in order."""
    kept = [own for own in model.graph.initializer if own.name != _LEFT_OUT]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        node.input[:] = ["" if name == _LEFT_OUT else name for name in node.input]


def name_inputs(model: Any, names: Sequence[str]) -> None:
    """Name the inputs of a graph as they are to be called; skl2onnx makes names of C of these."""
    from onnx import helper

    for own, name in zip(model.graph.input, names, strict=True):
        if own.name != name:
            model.graph.node.insert(0, helper.make_node("Identity", [name], [own.name]))
            own.name = name


def check_names(columns: Iterable[str], others: Sequence[str]) -> None:
    """Check that each column can have a name of its own in a graph, beside other names there."""
    counts = Counter([*columns, *others])
    if twice := [name for name, n_times in counts.items() if n_times > 1]:
        raise ValueError(
            f"Columns of a graph must have names of their own, beside {', '.join(others)}; got "
            f"{', '.join(twice)} for two things. Rename columns before the fit."
        )


def find_last(estimator: Any) -> Any:
    """Find what predicts at the end of Pipelines and searches."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def _alias_of(estimator: Any) -> str:
    from skl2onnx._supported_operators import _get_sklearn_operator_name

    return _get_sklearn_operator_name(type(estimator))


# -- torch's exporters ----------------------------------------------------------------------------


def export(module: nn.Module, like: Sequence[Tensor]) -> Any:
    """Export a module by the exporter that traces it, or else by the one that reads its code."""
    devices = {parameter.device for parameter in module.parameters()}
    X = tuple(tensor.to(next(iter(devices), tensor.device)) for tensor in like)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return _export_traced(module, X)
            except Exception as traced:
                try:
                    return _export_read(module, X)
                except Exception as read:
                    raise _not_exported(module, traced, read) from read
    finally:
        for part, mode in modes:
            part.training = mode


def _not_exported(module: Any, *errors: Exception) -> ValueError:
    """Say that no exporter knows what a module does."""
    names = dict.fromkeys(type(part).__name__ for part in getattr(module, "parts", [module]))
    told = [f"{type(error).__name__}: {' '.join(str(error).split())[:200]}" for error in errors]
    return ValueError(
        f"The module must be one that torch exports to ONNX; of {', '.join(names)} its exporters "
        f"say: {'; '.join(told)}. Let its forward use operations that they know; the second "
        "exporter needs torch 2.5 and onnxscript."
    )


def _export_traced(module: nn.Module, X: tuple[Tensor, ...]) -> Any:
    """Trace a module; a step that may hang on the rows that it is traced with is an error."""
    import onnx

    file: Any = io.BytesIO()
    is_told = "dynamo" in inspect.signature(torch.onnx.export).parameters
    which: dict[str, Any] = {"dynamo": False} if is_told else {}
    warnings.simplefilter("error", torch.jit.TracerWarning)
    said = module(*X)
    inputs = [f"X{i}" for i in range(len(X))]
    outputs = [f"said{i}" for i in range(1 if isinstance(said, Tensor) else len(said))]
    torch.onnx.export(
        module,
        X,
        file,
        input_names=inputs,
        output_names=outputs,
        dynamic_axes={name: {0: "n_rows"} for name in (*inputs, *outputs)},
        opset_version=OPSET[""],
        **which,
    )
    return onnx.load_from_string(file.getvalue())


def _export_read(module: nn.Module, X: tuple[Tensor, ...]) -> Any:
    """Export a module by the exporter that torch has from 2.5 on, with onnxscript."""
    n_rows = torch.export.Dim("n_rows")
    program: Any = torch.onnx.export(
        module,
        X,
        dynamic_shapes=tuple({0: n_rows} for _ in X),
        opset_version=OPSET[""],
        dynamo=True,
        verbose=False,
    )
    return program.model_proto


class Curve:
    """What ``numpy.interp`` does, by steps that a graph has: halving, as often as is needed.

    Parameters
    ----------
    ends, values : ndarray of shape (n_ends,)
        What is known, in ascending order, and the values there.
    dtype : torch.dtype
    """

    def __init__(self, ends: Any, values: Any, dtype: torch.dtype) -> None:
        self.n_steps = len(ends) - 1
        self.ends, self.values = (
            torch.as_tensor(np.array(own)).to(dtype) for own in (ends, values)
        )
        self.zero, self.one = torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype)
        self.last = torch.tensor(self.n_steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Read the curve at each of some places."""
        ends, values = self.ends, self.values
        x = torch.minimum(torch.maximum(x.to(ends.dtype), ends[0]), ends[-1])
        at = (x < ends[0]).long()  # zeros, as many as there are rows
        for power in reversed(range(self.n_steps.bit_length())):
            probe = torch.minimum(at + 2**power, self.last)
            at = torch.where(ends[probe] <= x, probe, at)
        after = torch.minimum(at + 1, self.last)
        span = ends[after] - ends[at]
        share = (x - ends[at]) / torch.where(span > 0, span, self.one)
        return values[at] + torch.where(span > 0, share, self.zero) * (values[after] - values[at])
