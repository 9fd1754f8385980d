"""Objects of compiled code in a file: trees, splines, sparse matrices, random generators.

Compiled code takes what it is given: a child that is no node of its tree would be read from
somewhere else in memory. So what a file says of them is checked before they are made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.stats
from scipy.interpolate import BSpline
from sklearn._loss import _loss
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import NODE_DTYPE, Tree

from sklearn_mixup._saving.graph import Kind, Reader, Writer, as_stored, check_type, refuse
from sklearn_mixup._saving.values import is_exactly, read_table, write_table
from sklearn_mixup.exceptions import RefusedFileError

_FORESTS = (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
_BOOSTING = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_LEAF = -1
_N_STATE = 624  # words of a Mersenne twister
_LOSS = re.compile(r"Cy[A-Za-z]+\Z")


# -- nodes ----------------------------------------------------------------------------------------


def _describe(dtype: np.dtype) -> str:
    """Tell layouts of a node apart."""
    return hashlib.sha256(repr((dtype.itemsize, dtype.fields)).encode()).hexdigest()[:16]


def _write_nodes(writer: Writer, nodes: np.ndarray, path: str) -> list[Any]:
    plain = np.frombuffer(np.ascontiguousarray(nodes), np.uint8)
    return [_describe(nodes.dtype), writer.write_array(as_stored(plain), path)]


def _read_nodes(reader: Reader, written: Any, dtype: np.dtype) -> np.ndarray:
    layout, number = written
    if layout != _describe(dtype):
        raise RefusedFileError(
            "Its trees are those of another scikit-learn; install the one that it names."
        )
    stored = reader.read_array(number).as_array()
    if stored.dtype != np.uint8 or stored.ndim != 1 or not stored.size:
        raise RefusedFileError("A tree in it has no nodes.")
    return stored.view(dtype)


def _check_children(
    left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray, features: np.ndarray, n_features: int
) -> int:
    """Check that nodes are a tree whose children come after their parents; find its depth."""
    parents = np.flatnonzero(~is_leaf)
    children = np.concatenate([left[parents], right[parents]]).astype(np.int64)
    is_after = (children > np.concatenate([parents, parents])) & (children < len(left))
    is_feature = (features[parents] >= 0) & (features[parents] < n_features)
    if not (is_after.all() and is_feature.all()) or len(np.unique(children)) != len(children):
        raise RefusedFileError("The nodes of a tree in it are no tree.")
    depth, level = 0, np.array([0])
    while len(level := level[~is_leaf[level]]):
        level = np.concatenate([left[level], right[level]]).astype(np.int64)
        depth += 1
    return depth


def _write_tree(writer: Writer, value: Tree, path: str) -> list[Any]:
    _, (n_features, n_classes, n_outputs), state = value.__reduce__()
    sizes = [int(n_features), [int(n) for n in n_classes], int(n_outputs), int(state["max_depth"])]
    nodes = _write_nodes(writer, state["nodes"], path)
    return [sizes, nodes, writer.write(state["values"], path)]


def _read_tree(reader: Reader, written: Any) -> Tree:
    (n_features, n_classes, n_outputs, max_depth), nodes, values = written
    nodes = _read_nodes(reader, nodes, NODE_DTYPE)
    values = check_type(reader.read(values), np.ndarray)
    n_classes = np.array(check_type(n_classes, list), dtype=np.intp)
    if n_classes.shape != (check_type(n_outputs, int),) or n_outputs < 1 or n_classes.min() < 1:
        raise RefusedFileError("A tree in it has no outputs.")
    if values.shape != (len(nodes), n_outputs, n_classes.max()):
        raise RefusedFileError("A tree in it has more or fewer values than nodes.")
    left, right = nodes["left_child"], nodes["right_child"]
    depth = _check_children(
        left, right, left == _LEAF, nodes["feature"], check_type(n_features, int)
    )
    if depth > check_type(max_depth, int):
        raise RefusedFileError("A tree in it is deeper than it says.")
    made = Tree(n_features, n_classes, n_outputs)
    state = {"max_depth": max_depth, "node_count": len(nodes), "nodes": nodes, "values": values}
    made.__setstate__(state)
    return made


def _write_predictor(writer: Writer, value: TreePredictor, path: str) -> list[Any]:
    if value.nodes["is_categorical"].any():
        raise refuse(path, value, "splits by categories, which the file has no place for")
    sets = (value.binned_left_cat_bitsets, value.raw_left_cat_bitsets)
    nodes = _write_nodes(writer, value.nodes, path)
    return [nodes, *(writer.write(bits, path) for bits in sets)]


def _read_predictor(reader: Reader, written: Any) -> TreePredictor:
    nodes, *sets = written
    nodes = _read_nodes(reader, nodes, PREDICTOR_RECORD_DTYPE)
    binned, raw = (check_type(reader.read(bits), np.ndarray) for bits in sets)
    is_leaf = nodes["is_leaf"].astype(bool)
    _check_children(
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        is_leaf,
        nodes["feature_idx"],
        np.iinfo(np.int64).max,  # which it is of is checked with the model
    )
    if nodes["is_categorical"].any():
        raise RefusedFileError("A tree in it splits by categories.")
    return TreePredictor(nodes, binned, raw)


# -- other objects --------------------------------------------------------------------------------


def _is_loss(value: Any) -> bool:
    name = type(value).__name__  # Its module is another in scikit-learn 1.6.
    return bool(_LOSS.match(name)) and getattr(_loss, name, None) is type(value)


def _write_loss(writer: Writer, value: Any, path: str) -> list[Any]:
    func, args, *state = value.__reduce__()
    if func is not type(value):  # Cython's own way: class, checksum, and what it holds, or state
        args = args[2] or (state[0] if state else None) or ()
    return [type(value).__name__, [float(number) for number in args]]


def _read_loss(reader: Reader, written: Any) -> Any:
    name, numbers = written
    if not _LOSS.match(check_type(name, str)):
        raise RefusedFileError("A loss in it is none.")
    return getattr(_loss, name)(*(check_type(number, float) for number in numbers))


def _write_spline(writer: Writer, value: BSpline, path: str) -> list[Any]:
    if value.axis != 0:
        raise refuse(path, value, "has its coefficients along another axis than the first")
    parts = [writer.write(part, path) for part in (value.t, value.c)]
    return [*parts, int(value.k), writer.write(value.extrapolate, path)]


def _read_spline(reader: Reader, written: Any) -> BSpline:
    t, c, k, extrapolate = written
    t, c = (check_type(reader.read(part), np.ndarray) for part in (t, c))
    if extrapolate != "periodic":
        check_type(extrapolate, bool)
    return BSpline(t, c, check_type(k, int), extrapolate=extrapolate)


_SPARSE = ("csr", "csc")


def _write_sparse(writer: Writer, value: Any, path: str) -> list[Any]:
    if value.format not in _SPARSE:
        raise refuse(path, value, f"is a sparse matrix of format {value.format!r}, not csr or csc")
    parts = [writer.write(getattr(value, name), path) for name in ("data", "indices", "indptr")]
    return [value.format, isinstance(value, scipy.sparse.sparray), list(value.shape), *parts]


def _read_sparse(reader: Reader, written: Any) -> Any:
    kind, is_array, shape, *parts = written
    if kind not in _SPARSE:
        raise RefusedFileError("A sparse matrix in it is of no known format.")
    cls = getattr(scipy.sparse, f"{kind}_{'array' if is_array else 'matrix'}")
    data, indices, indptr = (check_type(reader.read(part), np.ndarray) for part in parts)
    n_rows, n_columns = (check_type(n, int) for n in shape)
    made = cls((data, indices, indptr), shape=(n_rows, n_columns))
    made.check_format(full_check=True)
    return made


def _write_random_state(writer: Writer, value: np.random.RandomState, path: str) -> Any:
    state: Any = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise refuse(path, value, "draws from another generator than a Mersenne twister")
    return write_table(writer, dict(state), path)


def _read_random_state(reader: Reader, written: Any) -> np.random.RandomState:
    state = read_table(reader, written)
    key, place = state["state"]["key"], check_type(state["state"]["pos"], int)
    is_key = isinstance(key, np.ndarray) and (key.shape, key.dtype) == ((_N_STATE,), np.uint32)
    if not is_key or not 0 <= place <= _N_STATE:
        raise RefusedFileError("The state of a random generator in it is none.")
    made = np.random.RandomState(0)
    made.set_state(state)
    return made


def _write_generator(writer: Writer, value: np.random.Generator, path: str) -> Any:
    state = value.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise refuse(path, value, "draws from another generator than PCG64")
    return write_table(writer, dict(state), path)


def _read_generator(reader: Reader, written: Any) -> np.random.Generator:
    bits = np.random.PCG64(0)
    bits.state = read_table(reader, written)  # type: ignore[assignment]
    return np.random.Generator(bits)


_DISTRIBUTIONS = (scipy.stats.rv_continuous, scipy.stats.rv_discrete)


def _write_distribution(writer: Writer, value: Any, path: str) -> list[Any]:
    args = [writer.write(arg, path) for arg in value.args]
    return [value.dist.name, args, write_table(writer, value.kwds, path)]


def _read_distribution(reader: Reader, written: Any) -> Any:
    name, args, keywords = written
    if name not in scipy.stats.__all__:
        raise RefusedFileError("A distribution in it is none of scipy's.")
    found = check_type(getattr(scipy.stats, name), _DISTRIBUTIONS)
    args = [check_type(reader.read(arg), (int, float)) for arg in args]
    keywords = {key: check_type(v, (int, float)) for key, v in read_table(reader, keywords).items()}
    return found(*args, **keywords)


# -- what belongs together ------------------------------------------------------------------------


def check_made(objects: Iterable[Any]) -> None:
    """Check that the objects of a model fit each other where compiled code takes it for granted."""
    for made in objects:
        is_sound = True
        if isinstance(made, BaseDecisionTree) and hasattr(made, "tree_"):
            is_sound = made.tree_.n_features == made.n_features_in_
        elif isinstance(made, _FORESTS):
            members = vars(made).get("estimators_", ())
            is_sound = all(
                isinstance(tree, BaseDecisionTree) and tree.n_features_in_ == made.n_features_in_
                for tree in members
            )
        elif isinstance(made, _BOOSTING):
            is_sound = _is_sound_boosting(made)
        elif isinstance(made, CountVectorizer):
            places = vars(made).get("vocabulary_", {}).values()
            is_sound = sorted(places) == list(range(len(places)))
        elif isinstance(made, OneHotEncoder):
            is_sound = _is_sound_encoder(made)
        if not is_sound:
            raise RefusedFileError(f"The parts of a {type(made).__name__} in it do not fit.")


def _is_sound_boosting(made: Any) -> bool:
    """Whether all splits are by features that there are."""
    state = vars(made)
    if "_predictors" not in state:
        return True
    is_sound = state.get("_preprocessor") is None and not state.get("_in_fit")
    for predictor in (predictor for row in state["_predictors"] for predictor in row):
        nodes = check_type(predictor, TreePredictor).nodes
        features = nodes["feature_idx"][nodes["is_leaf"] == 0]
        is_sound = is_sound and bool((features < made.n_features_in_).all())
    return is_sound


def _is_sound_encoder(made: OneHotEncoder) -> bool:
    """Whether each category has a column among those that there are."""
    state = vars(made)
    if "categories_" not in state:
        return True
    widths, found = state["_n_features_outs"], state["categories_"]
    mappings = state.get("_default_to_infrequent_mappings") or [None] * len(found)
    rare = state.get("_infrequent_indices") or [None] * len(found)
    dropped = state.get("_drop_idx_after_grouping")
    dropped = [None] * len(found) if dropped is None else dropped
    is_sound = len(found) == made.n_features_in_
    parts = zip(found, widths, mappings, rare, dropped, strict=True)
    for values, width, mapping, indices, drop in parts:
        codes = np.arange(len(values))
        is_sound &= state["_infrequent_enabled"] or mapping is None
        is_sound &= (mapping is None) == (indices is None)
        if mapping is not None:
            codes = np.asarray(mapping)[codes]
        if drop is not None:
            codes = codes[codes != drop]
            codes = codes - (codes > drop)
        is_sound &= bool(((codes >= 0) & (codes < width)).all())
    return is_sound


KINDS = (
    Kind("tree", is_exactly(Tree), _write_tree, _read_tree, shared=True),
    Kind("boosted", is_exactly(TreePredictor), _write_predictor, _read_predictor, shared=True),
    Kind("loss", _is_loss, _write_loss, _read_loss, shared=True),
    Kind("spline", is_exactly(BSpline), _write_spline, _read_spline, shared=True),
    Kind("sparse", scipy.sparse.issparse, _write_sparse, _read_sparse, shared=True),
    Kind(
        "random_state",
        is_exactly(np.random.RandomState),
        _write_random_state,
        _read_random_state,
        shared=True,
    ),
    Kind(
        "generator",
        is_exactly(np.random.Generator),
        _write_generator,
        _read_generator,
        shared=True,
    ),
    Kind(
        "distribution",
        lambda value: isinstance(getattr(value, "dist", None), _DISTRIBUTIONS),
        _write_distribution,
        _read_distribution,
        shared=True,
    ),
)
