"""Ensembles as graphs: what their members say, averaged, stacked or calibrated.

skl2onnx has most of scikit-learn's. Some of these it does not convert, or not rightly: those are
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.model_selection import TunedThresholdClassifierCV
from torch import Tensor, nn

from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._onnx.graph import Curve, Parts
from sklearn_mixup._onnx.nets import check_convertible, convert_nets, put_out_classes


def convert_bag(scope: Any, operator: Any, container: Any) -> None:
    """Add the mean of what the members of an ensemble of nets say, which may be Pipelines."""
    bag = operator.raw_operator
    nets = [final_step(member) for member in bag.estimators_]
    if all(net is member for net, member in zip(nets, bag.estimators_, strict=True)):
        convert_nets(scope, operator, container)
        return
    check_convertible(bag, *nets)
    parts = Parts(scope, operator, container)
    features = [
        own if draws.takes_columns else None
        for own, (_, draws) in zip(bag.estimators_features_, bag._draws, strict=True)
    ]
    columns = [bag._columns_of(net) for net in nets]
    _put_out_mean(parts, bag.estimators_, features, columns)


def convert_search(scope: Any, operator: Any, container: Any) -> None:
    """Add the best estimator of a search."""
    parts = Parts(scope, operator, container)
    _put_out_mean(parts, [operator.raw_operator.best_estimator_])


def _convert_bagging(scope: Any, operator: Any, container: Any) -> None:
    """Add scikit-learn's bagging: a member may not know all classes."""
    bag = operator.raw_operator
    everything = list(range(bag.n_features_in_))
    features = [None if list(own) == everything else own for own in bag.estimators_features_]
    # They learned the places of the classes.
    columns = [getattr(member, "classes_", None) for member in bag.estimators_]
    _put_out_mean(Parts(scope, operator, container), bag.estimators_, features, columns)


def _convert_voting(scope: Any, operator: Any, container: Any) -> None:
    """Add a vote: of classes one for each member, or the mean of what all say."""
    model, parts = operator.raw_operator, Parts(scope, operator, container)
    weights = model._weights_not_none
    if getattr(model, "voting", "soft") == "soft":
        _put_out_mean(parts, model.estimators_, weights=weights)
        return
    votes = []
    for member in model.estimators_:
        code = parts.node(
            "Reshape", parts.say(member, parts.inputs, "predict"), parts.constant([-1, 1])
        )
        votes.append(parts.node("Equal", code, parts.constant(np.arange(len(model.classes_)))))
    put_out_classes(parts, _add_up(parts, votes, weights))


def _put_out_mean(
    parts: Parts,
    members: Sequence[Any],
    features: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    weights: Sequence[float] | None = None,
) -> None:
    """Put out the mean of what members say of rows."""
    model = parts.operator.raw_operator
    n_classes = len(model.classes_) if is_classifier(model) else 0
    said = []
    for i, member in enumerate(members):
        inputs = parts.take(None if features is None else features[i])
        if not n_classes:
            said.append(_as_columns(parts, parts.say(member, inputs, "predict")))
            continue
        if not hasattr(member, "predict_proba"):
            raise NotImplementedError(f"{type(member).__name__} has no predict_proba.")
        own = parts.say(member, inputs)
        if columns is not None and len(columns[i]) < n_classes:
            own = parts.node(
                "MatMul", own, parts.constant(np.eye(n_classes, dtype="f")[columns[i]])
            )
        said.append(own)
    mean = _add_up(parts, said, weights)
    put_out_classes(parts, mean) if n_classes else parts.put_out(0, mean)


def _add_up(parts: Parts, said: Sequence[str], weights: Sequence[float] | None) -> str:
    """Add tensors up by weights, which are made to sum to 1."""
    from onnx import TensorProto

    shares = np.ones(len(said)) if weights is None else np.asarray(weights, float)
    shares = (shares / shares.sum()).astype(np.float32)
    terms = [
        parts.node("Mul", parts.node("Cast", own, to=TensorProto.FLOAT), parts.constant(share))
        for own, share in zip(said, shares, strict=True)
    ]
    return parts.node("Sum", *terms)


def _as_columns(parts: Parts, numbers: str) -> str:
    """Make columns of numbers, one for each row or several."""
    return parts.node("Flatten", numbers, axis=1)


def _convert_stacking(scope: Any, operator: Any, container: Any) -> None:
    """Add a model of what others say."""
    from onnx import TensorProto

    model, parts = operator.raw_operator, Parts(scope, operator, container)
    n_classes = len(model.classes_) if is_classifier(model) else 0
    told = []
    for member, method in zip(model.estimators_, model.stack_method_, strict=True):
        said = parts.say(member, parts.inputs, method)
        if method == "predict":
            said = _as_columns(parts, parts.node("Cast", said, to=TensorProto.FLOAT))
        elif n_classes == 2:  # One column tells what both do.
            said = parts.node("Gather", said, parts.constant([-1]), axis=1)
        told.append(said)
    if model.passthrough:
        told.append(parts.join())
    width = model.final_estimator_.n_features_in_
    rows = parts.variable(parts.node("Concat", *told, axis=1), width)
    if n_classes:
        put_out_classes(parts, parts.say(model.final_estimator_, [rows]))
    else:
        parts.put_out(0, _as_columns(parts, parts.say(model.final_estimator_, [rows], "predict")))


def _convert_calibrated(scope: Any, operator: Any, container: Any) -> None:
    """Add calibrated probabilities: the mean of those of all folds."""
    model, parts = operator.raw_operator, Parts(scope, operator, container)
    said = []
    for fold in model.calibrated_classifiers_:
        has_scores = hasattr(fold.estimator, "decision_function")
        method = "decision_function" if has_scores else "predict_proba"
        scores = parts.say(fold.estimator, parts.inputs, method)
        width = len(fold.estimator.classes_)
        said += parts.embed(_Calibrated(fold, has_scores), scores, like=[torch.zeros(2, width)])
    put_out_classes(parts, _add_up(parts, said, None))


class _Calibrated(nn.Module):
    """What scikit-learn's calibrators make of scores.

    **Shape**: input (batch_size, n_scores); output (batch_size, n_classes).
    """

    def __init__(self, fold: Any, has_scores: bool) -> None:
        super().__init__()
        self.method, self.has_scores, self.n_classes = fold.method, has_scores, len(fold.classes)
        self.places = np.searchsorted(fold.classes, fold.estimator.classes_).tolist()
        self.calibrators = fold.calibrators
        self.curves = [
            Curve(own.X_thresholds_, own.y_thresholds_, torch.float32)
            for own in (fold.calibrators if fold.method == "isotonic" else ())
        ]
        if self.method not in {"sigmoid", "isotonic", "temperature"}:
            raise NotImplementedError(f"Calibration by {self.method!r} is not known.")

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities."""
        if self.method == "temperature":
            return self._cool(scores)
        if self.n_classes == 2:
            own = self._calibrate(0, scores[:, -1])
            return torch.stack([1 - own, own], dim=1)
        columns = [torch.zeros_like(scores[:, 0])] * self.n_classes
        for i, place in enumerate(self.places):
            columns[place] = self._calibrate(i, scores[:, i])
        found = torch.stack(columns, dim=1)
        total = found.sum(dim=1, keepdim=True)
        even = torch.full_like(found, 1 / self.n_classes)
        return torch.where(total > 0, found / torch.where(total > 0, total, 1 + total), even)

    def _calibrate(self, i: int, scores: Tensor) -> Tensor:
        if self.method == "sigmoid":
            own = self.calibrators[i]
            return torch.sigmoid(-(own.a_ * scores + own.b_))
        return self.curves[i](scores)

    def _cool(self, scores: Tensor) -> Tensor:
        if not self.has_scores:
            scores = torch.log(scores + 1e-12)
        elif self.n_classes == 2:
            scores = torch.stack([-scores[:, -1], scores[:, -1]], dim=1)
        return torch.softmax(self.calibrators[0].beta_ * scores, dim=1)


def _refuse_threshold(scope: Any, operator: Any, container: Any) -> None:
    """Refuse a model that decides by a threshold, which skl2onnx forgets."""
    raise NotImplementedError(
        f"The threshold of {type(operator.raw_operator).__name__} is not known. Convert its "
        "`estimator_`, and compare the probabilities of that with its `best_threshold_`."
    )


def _convert_boosting(scope: Any, operator: Any, container: Any) -> None:
    """Add the trees of HistGradientBoosting; skl2onnx rounds some thresholds beyond a number."""
    model, parts = operator.raw_operator, Parts(scope, operator, container)
    if getattr(model, "is_categorical_", None) is not None:
        raise NotImplementedError(f"{type(model).__name__} with categories is not known.")
    n_targets = model.n_trees_per_iteration_
    raw = parts.node(
        "TreeEnsembleRegressor",
        parts.join(),
        domain="ai.onnx.ml",
        n_targets=n_targets,
        base_values=np.ravel(model._baseline_prediction).astype(np.float32).tolist(),
        **_list_nodes(model._predictors),
    )
    if not is_classifier(model):
        is_log = type(model._loss.link).__name__ == "LogLink"
        parts.put_out(0, parts.node("Exp", raw) if is_log else raw)
        return
    if n_targets == 1:
        raw = parts.node("Concat", parts.node("Neg", raw), raw, axis=1)
        said = parts.node("Sigmoid", raw)
    else:
        said = parts.node("Softmax", raw, axis=1)
    is_raw = container.get_options(model, {"raw_scores": False})["raw_scores"]
    put_out_classes(parts, said, raw if is_raw else None)


def _list_nodes(rounds: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """List the nodes of trees as ONNX has them."""
    told: dict[str, list[Any]] = {}
    trees = [(target, tree.nodes) for own in rounds for target, tree in enumerate(own)]
    for number, (target, nodes) in enumerate(trees):
        is_leaf = nodes["is_leaf"].astype(bool)
        leaves = np.flatnonzero(is_leaf)
        threshold = nodes["num_threshold"].astype(np.float32)
        # A number in float32 is below a threshold if it is below the next number under that.
        beyond = threshold > nodes["num_threshold"]
        threshold[beyond] = np.nextafter(threshold[beyond], np.float32(-np.inf))
        columns = {
            "nodes_treeids": np.full(len(nodes), number),
            "nodes_nodeids": np.arange(len(nodes)),
            "nodes_featureids": np.where(is_leaf, 0, nodes["feature_idx"]),
            "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ"),
            "nodes_values": np.where(is_leaf, 0, threshold).astype(np.float32),
            "nodes_truenodeids": np.where(is_leaf, 0, nodes["left"]),
            "nodes_falsenodeids": np.where(is_leaf, 0, nodes["right"]),
            "nodes_missing_value_tracks_true": np.where(is_leaf, 0, nodes["missing_go_to_left"]),
            "target_treeids": np.full(len(leaves), number),
            "target_nodeids": leaves,
            "target_ids": np.full(len(leaves), target),
            "target_weights": nodes["value"][leaves],
        }
        for name, values in columns.items():
            told.setdefault(name, []).extend(values.tolist())
    return told


#: scikit-learn's estimators that are converted here.
CONVERTERS = {
    BaggingClassifier: _convert_bagging,
    BaggingRegressor: _convert_bagging,
    CalibratedClassifierCV: _convert_calibrated,
    HistGradientBoostingClassifier: _convert_boosting,
    HistGradientBoostingRegressor: _convert_boosting,
    StackingClassifier: _convert_stacking,
    StackingRegressor: _convert_stacking,
    TunedThresholdClassifierCV: _refuse_threshold,
    VotingClassifier: _convert_voting,
    VotingRegressor: _convert_voting,
}
