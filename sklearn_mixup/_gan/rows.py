"""The rows that a GAN learns from: checked, and encoded where they are those of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from skorch.dataset import Dataset, unpack_data
from skorch.utils import is_dataset
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from sklearn_mixup._gan.classes import Encoded, has_classes, learn_classes, read_codes
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._gan.scale import Scaling
from sklearn_mixup._net.checks import check_rows, default_dtype, is_dict
from sklearn_mixup._net.columns import read_table
from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.tables import is_frame
from sklearn_mixup.minibatches import peel


def learn_rows(gan: Any, X: Any, y: Any = None, *, anew: bool = False) -> tuple[Any, Any]:
    """Check the data of a fit; learn what the modules need to know, unless it is known.

    Returns the rows, encoded if they have columns, and the code of the class of each, or None.
    """
    learns = anew or "_row_shape_" not in vars(gan)
    if learns:
        for name in ("n_features_in_", "feature_names_in_", "_codec_"):
            vars(gan).pop(name, None)
    if is_dataset(X):
        row_shape = _learn_dataset(gan, X, y)
        codes = learn_classes(gan, X, y, anew=learns)
    else:
        checked = _check_rows(gan, X, learns=learns)
        codes = learn_classes(gan, checked, y, anew=learns)
        if learns:
            _learn_columns(gan, checked)
        X = _encode(gan, checked, np.random.RandomState(0))
        row_shape = tuple(X.shape[1:])
        if bool((X[:1] == X).all()):
            raise ValueError(
                f"X must hold rows that differ; got {len(X)} equal rows, which leave nothing to "
                "learn."
            )
    if learns:
        gan._row_shape_ = row_shape
    elif row_shape != gan._row_shape_:
        raise ValueError(
            f"Rows of X must have shape {gan._row_shape_}, as when training began; got {row_shape}."
        )
    return X, codes


def read_rows(gan: Any, X: Any) -> Any:
    """Check rows to judge, and encode them as those that were learned from."""
    if isinstance(X, Encoded):
        return np.asarray(X)
    return _encode(gan, _check_rows(gan, X, learns=False, n_least=1), None)


def encode_held_out(gan: Any, trained: Any, held_out: Any) -> Any:
    """Encode a data set to validate on, unless it is a part of the one to train on.

    Raises
    ------
    TypeError
        If it is no data set of skorch, of which a table and classes can be read.
    ValueError
        If there are classes to learn, and it has none.
    """
    if held_out is None or not (has_classes(gan) or "_codec_" in vars(gan)):
        return held_out
    base, chosen = peel(held_out)
    if base is peel(trained)[0] or isinstance(getattr(base, "X", None), Encoded):
        return held_out
    if not isinstance(base, Dataset):
        raise TypeError(
            "`train_split` must hand over rows as they were passed to fit; got a "
            f"{type(base).__name__}. Use predefined_split(skorch.dataset.Dataset(X, y))."
        )
    codes = None
    if has_classes(gan):
        if base.y is None:
            raise ValueError(
                "Rows that `train_split` hands over must have classes, as those of fit(X, y) have; "
                "got a Dataset without y. Use predefined_split(skorch.dataset.Dataset(X, y))."
            )
        codes = np.asarray(read_codes(gan, base.y, base.X)).view(Encoded)
    dataset = gan.get_dataset(read_rows(gan, base.X), codes)
    return dataset if chosen is None else Subset(dataset, chosen.tolist())


def _learn_dataset(gan: Any, X: Any, y: Any) -> tuple[int, ...]:
    """Check a torch Dataset; get the shape of a row."""
    if isinstance(X, IterableDataset) or len(X) < 2:
        raise ValueError(
            "A torch Dataset must hold at least two rows that are found by their number; "
            f"got {type(X).__name__}"
            + ("." if isinstance(X, IterableDataset) else f" of {len(X)} row(s).")
        )
    if y is not None:
        raise ValueError(
            f"`y` must be None where X is a torch Dataset; got a {type(y).__name__} beside a "
            f"{type(X).__name__}. Pass the rows as an array or tensor to learn them by class."
        )
    with isolated_rng(0, gan.device):  # the data set may draw
        return tuple(unpack_data(X[0])[0].shape)


def _check_rows(gan: Any, X: Any, *, learns: bool, n_least: int = 2) -> Any:
    """Check rows: as a table of columns of any kind, or as numbers, which they then are."""
    codec = getattr(gan, "_codec_", None)
    if isinstance(codec, TableCodec) or (learns and gan.encode and _is_table(X)):
        table = read_table(gan, X, reset=learns)
        if table.shape[0] < n_least:
            raise ValueError(
                f"Found a table with {table.shape[0]} sample(s) while a minimum of {n_least} is "
                "required."
            )
        return table
    if is_dict(X):
        raise TypeError(
            f"X must be one array or tensor; got a {type(X).__name__}. Concatenate its parts."
        )
    dtype: Any = [default_dtype(), np.float32, np.float64]
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.dtype.itemsize > 4:
        dtype = np.float64  # or digits would be lost of another order of bytes
    X = check_rows(gan, X, reset=learns, dtype=dtype, n_least=n_least)
    whole = isinstance(X, Tensor) and not X.is_floating_point()
    return X.to(torch.get_default_dtype()) if whole else X


def _is_table(X: Any) -> bool:
    """Whether X has columns of their own kinds: a frame, or an array of more than floats."""
    if is_frame(X):
        return True
    if is_dict(X) or issparse(X) or np.ndim(X) != 2:
        return False
    if isinstance(X, Tensor):
        is_floats = X.is_floating_point() or X.is_complex()
        return not is_floats or bool(X.isnan().any())
    values = np.asarray(X)
    return values.dtype.kind not in "fc" or bool(np.isnan(values).any())


def _learn_columns(gan: Any, X: Any) -> None:
    """Learn how rows that have columns are encoded, if they are to be."""
    if gan.encode and len(X.shape) == 2:
        gan._codec_ = TableCodec(X) if _is_table(X) else Scaling(X)


def _encode(gan: Any, X: Any, rng: np.random.RandomState | None) -> Any:
    """Encode rows that have columns; `rng` spreads equal numbers over the ranks they share."""
    codec = getattr(gan, "_codec_", None)
    if codec is None:
        return X
    rows = codec.encode(X, rng) if isinstance(codec, TableCodec) else codec.encode(X)
    return rows.view(Encoded)
