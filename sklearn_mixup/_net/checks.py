"""Checks of inputs, targets and weights beyond those of scikit-learn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data
from skorch.dataset import Dataset
from torch import Tensor, nn

from sklearn_mixup._net.tables import check_dense, check_unmasked, explain_table, is_missing

# So many labels may be rare ones, even if they are floats.
_MANY_LABELS = 20
_OF_NUMBERS = "MixupRegressor and TabularMixupRegressor predict numbers."


def default_dtype() -> np.dtype:
    """Give NumPy's name of the dtype that torch makes modules of."""
    return torch.empty(0, device="cpu").numpy().dtype


def is_dict(X: Any) -> bool:
    """Whether X holds several inputs by name."""
    return isinstance(X, Mapping) and not issparse(X)  # a dok_array is a dict


@contextmanager
def unlearn_on_error(estimator: Any) -> Iterator[None]:
    """Let an estimator that was fitted before stay as it was where its new data are refused."""
    learned = vars(estimator).copy()
    try:
        yield
    except Exception:
        vars(estimator).clear()
        vars(estimator).update(learned)
        raise


def check_floating(dtype: Any, name: str, mixes: bool) -> None:
    """Raise TypeError for inputs that cannot be mixed."""
    if mixes and not is_floating(dtype):
        is_bytes = dtype in (torch.uint8, np.uint8)
        way = "Convert it to float" + (
            ", pictures as X.astype('float32') / 255" if is_bytes else ""
        )
        raise TypeError(
            f"Only floating inputs can be mixed, but {name} is {dtype}. {way}, or use alpha=0."
        )


def is_floating(dtype: Any) -> bool:
    """Whether a dtype of torch or NumPy is one of floating numbers."""
    return dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f"


def is_finite(rows: Any) -> bool:
    """Whether a tensor or array holds neither NaN nor infinity, found without a copy of it."""
    return not is_floating(rows.dtype) or all(
        math.isfinite(end) for end in (rows.min(), rows.max())
    )


def check_range(rows: Tensor) -> Tensor:
    """Raise ValueError for numbers that are finite, but not so in the dtype of the module."""
    if not is_finite(rows):
        raise ValueError(
            f"X contains NaN, infinity or a value too large for the module's {rows.dtype}. Impute "
            "or rescale."
        )
    return rows


def check_part(part: Any, name: str, mixes: bool = False) -> Any:
    """Check one input that is a tensor or an array of any rank."""
    check_dense(part, name)
    check_unmasked(part, name)
    part = part.detach() if isinstance(part, Tensor) else np.asarray(part)
    check_floating(part.dtype, name, mixes)
    if isinstance(part, np.ndarray) and part.dtype.kind not in "fiubc":
        raise ValueError(
            f"{name} must hold numbers; got {part.dtype}. Encode words, as by OneHotEncoder, or "
            "convert it to float."
        )
    _check_size(part, name)
    if not is_finite(part):
        raise ValueError(f"{name} contains NaN or infinity. Impute or drop these rows.")
    return part


def _check_size(part: Any, name: str) -> None:
    """Raise ValueError for rows without numbers."""
    if part.ndim == 0 or 0 in part.shape:
        raise ValueError(
            f"{name} must have at least one row and at least one column; got shape "
            f"{tuple(part.shape)}."
        )


def check_y(y: Any) -> tuple[np.ndarray, str]:
    """Check targets: labels, an indicator of labels, or rows of class probabilities."""
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    check_unmasked(y, "y")
    check_objects(y)
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim == 2:
        return y, _kind_of_rows(y)
    kind = type_of_target(y, input_name="y")
    if kind == "continuous":  # the first words are scikit-learn's
        raise ValueError(
            f"Unknown label type: continuous. y must hold a label a row; got numbers such as "
            f"{y[y != np.rint(y)][0]}. {_OF_NUMBERS}"
        )
    if kind == "unknown" and y.ndim == 1:
        raise ValueError(
            "Unknown label type: unknown. y must be an array of words or of numbers; got one of "
            f"objects such as {y[0]!r}. Use y.astype(str), or y.astype(int) of whole numbers."
        )
    check_classification_targets(y)
    return y, "multiclass"


def check_labels_repeat(y: np.ndarray, classes: np.ndarray) -> None:
    """Raise ValueError for floats that are probably no labels: many, and few of them alike."""
    if y.dtype.kind == "f" and len(classes) > _MANY_LABELS and len(y) < 10 * len(classes):
        raise ValueError(
            f"y must hold labels; got {len(classes)} different numbers among {len(y)} rows of "
            f"{y.dtype}. {_OF_NUMBERS} If they are labels, say so: y.astype(int)."
        )


def check_objects(y: Any) -> None:
    """Refuse labels that are missing, which NumPy may make words of, or of several kinds."""
    if not isinstance(y, list | tuple):
        y = np.asarray(y)
        y = y.flat if y.dtype.hasobject else ()
    kinds = set()
    for row, label in enumerate(y):
        if is_missing(label):
            raise ValueError(
                f"Input y contains NaN or None; got {label!r} in row {row}. Each row needs a "
                "label: drop the rows without."
            )
        kinds.add(str if isinstance(label, str) else type(label))
    if str in kinds and len(kinds) > 1:
        raise TypeError(
            "y must hold labels that are all words or all numbers; got "
            f"{sorted(kind.__name__ for kind in kinds)}. Use [str(label) for label in y]."
        )


def _kind_of_rows(y: np.ndarray) -> str:
    """Tell what several columns of targets are."""
    is_floating, is_number = y.dtype.kind == "f", y.dtype.kind in "biuf"
    if is_floating and (y >= 0).all():
        sums = y.sum(axis=1, dtype=np.float64)
        # Half a step of each number is lost where they are rounded.
        if np.allclose(sums, 1, rtol=0, atol=max(1e-4, np.finfo(y.dtype).eps)):
            return "probabilities"
    if is_number and np.isin(y, (0, 1)).all():
        return "multilabel-indicator"
    if is_floating and (y != np.rint(y)).any():
        if (y < 0).any():
            raise ValueError(
                "y must hold a label a row, or rows of probabilities, >= 0, that sum to 1; got "
                f"{y.min()}. {_OF_NUMBERS}"
            )
        row = np.abs(sums - 1).argmax()
        raise ValueError(
            f"y must hold rows of probabilities that sum to 1; row {row} sums to {sums[row]:.6g}. "
            f"Divide each by its sum, y / y.sum(axis=1, keepdims=True). {_OF_NUMBERS}"
        )
    raise ValueError(
        "y must hold a label a row, zeros and ones (multilabel), or rows of probabilities that sum "
        f"to 1; got an array of shape {y.shape} and dtype {y.dtype}. For several columns of labels "
        "wrap the estimator, as by sklearn.multioutput.MultiOutputClassifier."
    )


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Check weights: one for each row, finite, >= 0, not all 0."""
    if isinstance(sample_weight, Tensor):
        sample_weight = sample_weight.detach().cpu().numpy()
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight, dtype=float)
    check_unmasked(sample_weight, "sample_weight")
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


def first_output(module: nn.Module, output: Any) -> Tensor:
    """Take what is the prediction in the output of a module, which may be a tuple of more."""
    first = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(first, Tensor):
        raise ValueError(
            "The module must return a tensor of logits, or a tuple whose first entry is one; "
            f"{type(module).__name__} returned {show_output(output)}. Let its forward pick it."
        )
    return first


def show_output(output: Any) -> str:
    """Name what a module returned that is no tensor."""
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with keys {', '.join(map(repr, output))}"
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of {[type(part).__name__ for part in output]}"
    return f"a {type(output).__name__}"


def check_outputs(values: np.ndarray) -> np.ndarray:
    """Raise ValueError for predictions that are no numbers."""
    if not math.isnan(values.max()):  # as of nearly all: a tenth of the time
        return values
    if (bad := np.isnan(values).reshape(len(values), -1).any(axis=1)).any():
        raise ValueError(
            f"The network puts out NaN for {bad.sum()} of {len(bad)} rows of X, row {bad.argmax()} "
            "first: they hold numbers too large for it, or its weights are not finite. Standardise "
            "the features, as by StandardScaler before it, or lower `lr`."
        )
    return values


@contextmanager
def explain_shapes(
    module: nn.Module, x: Any, advice: str = "Give X the shape and dtype that the module takes"
) -> Iterator[None]:
    """Say in the user's words that a module does not take what it is given."""
    try:
        yield
    except (AssertionError, IndexError, RuntimeError) as error:
        told = str(error)
        if "out of memory" in told or not re.search(
            "shape|size|[Dd]imension|channels|dtype|scalar type|[Hh]eight|[Ww]idth", told
        ):
            raise
        parts = x.values() if isinstance(x, Mapping) else [x]
        shapes = [f"{list(part.shape)} of {part.dtype}" for part in parts]
        raise ValueError(
            f"{type(module).__name__} could not be applied to a minibatch of shape "
            f"{', '.join(shapes)}: {error}. {advice}."
        ) from error


def rows_differ(module: nn.Module, n_found: int, n_rows: int) -> ValueError:
    """Say that a module puts out another number of rows than it is given."""
    return ValueError(
        f"The module must put out one row for each row of X; {type(module).__name__} put out "
        f"{n_found} for {n_rows}. One that reshapes, as by view(-1, 400), does so for rows of "
        "another size than it takes, such as larger pictures: give X the size that it takes, or "
        "let its forward use flatten(1), which says so."
    )


@contextmanager
def explain_batch_norm(batch_size: Any) -> Iterator[None]:
    """Say in the user's words that batch normalisation was given a minibatch of a single row."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "Batch normalisation needs minibatches of at least two rows to train on; got one of a "
            f"single row, with batch_size={batch_size!r}. Train on more rows, with a larger "
            "`batch_size`, or use a module without batch normalisation."
        ) from error


def check_inputs(net: Any, X: Any, *, reset: bool) -> Any:
    """Check inputs: arrays as scikit-learn does, tensors where they are, dicts of either."""
    # Where layers alone are mixed, what they are given may be codes.
    mixes = net.alpha != 0 and "input" in net.mix_at
    if is_dict(X):
        if not X:
            raise ValueError("X must hold at least one input; got an empty dict.")
        return {name: check_part(part, f"X[{name!r}]", mixes) for name, part in X.items()}
    # Floating arrays stay as they are until they go to the device; the rest is cast here.
    dtype: Any = [default_dtype(), np.float32, np.float64]
    if isinstance(X, Tensor):
        check_floating(X.dtype, "X", mixes)
    elif getattr(X, "ndim", 2) > 2:
        check_floating(np.asarray(X).dtype, "X", mixes)
        dtype = None if np.asarray(X).dtype.kind in "iub" else dtype
    return check_rows(net, X, reset=reset, dtype=dtype)


def check_rows(net: Any, X: Any, *, reset: bool, dtype: Any, n_least: int = 1) -> Any:
    """Check inputs that are one array, as scikit-learn does, or one tensor, where it is."""
    if not isinstance(X, Tensor):
        options = {"reset": reset, "dtype": dtype, "ensure_min_samples": n_least}
        if issparse(X) and net.dataset is not Dataset:  # which says what its rows become
            return validate_data(net, X, accept_sparse="csr", **options)
        with explain_table(X):
            X = validate_data(net, X, allow_nd=True, **options)
        _check_size(X, "X")
        return X
    X = check_part(X, "X")
    if X.is_complex():
        raise ValueError(f"Complex data not supported; got a tensor of {X.dtype}.")
    if X.ndim < 2:
        raise ValueError(
            f"Expected a tensor of at least 2 dimensions, got a 1D array of {len(X)}. Use "
            "X.reshape(-1, 1) if it has a single feature."
        )
    if len(X) < n_least:
        raise ValueError(
            f"Found a tensor with {len(X)} sample(s) while a minimum of {n_least} is required."
        )
    if reset:
        net.n_features_in_ = X.shape[1]
    elif X.shape[1] != getattr(net, "n_features_in_", X.shape[1]):
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(net).__name__} is expecting "
            f"{net.n_features_in_} features as input."
        )
    return X
