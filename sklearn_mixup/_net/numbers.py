"""What the numbers of a regressor are: learned from y, standardised for the criterion, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import TensorDataset

from sklearn_mixup._net.tables import check_unmasked
from sklearn_mixup.minibatches import peel

# A row whose weight is a whole number counts as so many rows, if an epoch does not get longer.
_MAX_REPEATS = 10


@dataclass(frozen=True)
class Numbers:
    """What the numbers of a regressor are.

    Parameters
    ----------
    kind : {"continuous", "continuous-multioutput"}
        Whether `y` is one number a row, or a row of them.
    mean, scale : ndarray of shape (n_outputs,) or None
        What each column is standardised by; the scale of a constant one is 0. None where nothing
        has been learned.
    """

    unseen: ClassVar[str] = "continuous"
    kind: str
    mean: np.ndarray | None
    scale: np.ndarray | None

    @classmethod
    def of(cls, net: Any) -> Numbers:
        """Tell what a net knows."""
        known = (getattr(net, name, None) for name in ("target_mean_", "target_scale_"))
        return cls(getattr(net, "target_type_", cls.unseen), *known)

    @staticmethod
    def check(y: Any) -> tuple[np.ndarray, str]:
        """Check targets: finite numbers, one or several a row."""
        if isinstance(y, Tensor):
            y = y.detach().double().cpu().numpy()
        check_unmasked(y, "y")
        _check_kind(y)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=0)
        return y, "continuous" if y.ndim == 1 else "continuous-multioutput"

    @classmethod
    def learn(cls, net: Any, y: np.ndarray, sample_weight: Any, classes: Any = None) -> None:
        """Learn what each column is standardised by."""
        columns = _as_columns(y)
        net.n_outputs_ = n_outputs = columns.shape[1]
        net.target_mean_, net.target_scale_ = np.zeros(n_outputs), np.zeros(n_outputs)
        cls._learn_constant_columns(net, columns, sample_weight)

    @classmethod
    def standardising(cls, y: np.ndarray, kind: str, sample_weight: Any) -> Numbers:
        """Learn what each column is standardised by, of no net."""
        found = [_standardise(column, sample_weight) for column in _as_columns(y).T]
        return cls(kind, *np.array(found).T)

    @classmethod
    def meet(cls, net: Any, y: np.ndarray, sample_weight: Any) -> None:
        """Meet the targets of a training that goes on: what was constant so far may not be now."""
        if "target_mean_" in vars(net):
            net.target_mean_, net.target_scale_ = net.target_mean_.copy(), net.target_scale_.copy()
            cls._learn_constant_columns(net, _as_columns(y), sample_weight)

    @staticmethod
    def _learn_constant_columns(net: Any, columns: np.ndarray, sample_weight: Any) -> None:
        """Learn the columns that have no scale yet."""
        for j in np.flatnonzero(net.target_scale_ == 0):
            found = _standardise(columns[:, j], sample_weight) if net.scale_y else (0.0, 1.0)
            net.target_mean_[j], net.target_scale_[j] = found

    @classmethod
    def learn_dataset(cls, net: Any, dataset: Any, y: Any, first: Any, classes: Any) -> None:
        """Learn from a torch Dataset; `first` is the target of its first row, if that is known."""
        base, rows = peel(dataset)
        if y is not None and type(base) in (Dataset, TensorDataset):
            cls.learn(net, y if rows is None else y[rows], None)
            return
        # What a loader yields goes to the criterion as it is.
        shape = np.shape(first) if y is None else y.shape[1:]
        if first is None and y is None:
            return
        net.target_type_ = "continuous-multioutput" if shape else "continuous"
        net.n_outputs_ = int(np.prod(shape))
        net.target_mean_, net.target_scale_ = np.zeros(net.n_outputs_), np.ones(net.n_outputs_)

    @property
    def key(self) -> str:
        """What two nets have in common that encode targets alike."""
        return repr((self.kind, *(x if x is None else x.tolist() for x in (self.mean, self.scale))))

    @property
    def meaning(self) -> Any:
        """What the outputs of two nets have in common that mean the same, but for their scales."""
        return self.kind

    def encode(self, y: Any) -> np.ndarray:
        """Turn targets into standardised columns, in double precision: an offset may be large."""
        columns = _as_columns(y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y))
        if self.mean is None or self.scale is None:
            return columns
        if columns.shape[1] != len(self.mean):
            raise ValueError(
                f"y must have {len(self.mean)} columns, as it had before; got {columns.shape[1]}."
            )
        with np.errstate(over="ignore"):
            encoded = (columns - self.mean) / np.where(self.scale > 0, self.scale, 1)
        if not (np.abs(encoded) < np.finfo(np.float32).max).all():
            raise ValueError(
                f"y must hold numbers that float32 can hold; got {np.abs(columns).max():.3g} and a "
                f"scale of {self.scale.tolist()}. Rescale y, as by its logarithm."
            )
        return encoded

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (..., n_outputs) into numbers as `y` had them, without their last axis."""
        numbers = outputs.astype(np.float64)
        if self.mean is not None and self.scale is not None:
            numbers = numbers * self.scale + self.mean
        # Where nobody has seen a target, a single column is taken for one number a row.
        is_flat = self.kind == "continuous" and numbers.shape[-1] == 1
        return numbers[..., 0] if is_flat else numbers

    def score(self, y: Any, predicted: np.ndarray, sample_weight: Any = None) -> float:
        """Compute the coefficient of determination, the mean of those of the columns."""
        y, _ = self.check(y)
        return float(r2_score(y, predicted, sample_weight=sample_weight))


def _as_columns(y: np.ndarray) -> np.ndarray:
    """Give targets a second axis."""
    y = np.asarray(y, dtype=np.float64)
    return y[:, None] if y.ndim == 1 else y


def _check_kind(y: Any) -> None:
    """Refuse targets that are no numbers, some of which NumPy would make numbers of."""
    y = np.asarray(y)
    words = [value for value in y.flat if isinstance(value, str)] if y.dtype.hasobject else []
    if y.dtype.kind in "USmM" or words:
        first = words[0] if words else y.flat[0]
        raise ValueError(
            f"y must hold numbers; got {str(first)!r}. For labels there are MixupClassifier and "
            "TabularMixupClassifier; turn other words and dates into numbers."
        )


def _standardise(column: np.ndarray, sample_weight: Any) -> tuple[float, float]:
    """Compute the mean and the standard deviation of a column, by weights.

    The sums are exact, so that neither the order of rows matters, nor whether a row has weight 2 or
    stands there twice.
    """
    weight = np.ones(len(column)) if sample_weight is None else np.asarray(sample_weight)
    column, weight = column[weight > 0], weight[weight > 0]
    if len(column) and (column == column[0]).all():
        return float(column[0]), 0.0
    if (weight == np.rint(weight)).all() and weight.sum() <= _MAX_REPEATS * len(weight):
        column, weight = np.repeat(column, weight.astype(np.intp)), np.ones(int(weight.sum()))
    weight = weight / weight.max()
    total = math.fsum(weight)
    try:
        with np.errstate(over="raise"):
            mean = math.fsum(weight * column) / total
            apart = column - mean
    except (FloatingPointError, OverflowError) as error:
        raise ValueError(
            f"y must hold numbers whose sum is finite; got {np.abs(column).max():.3g}. Rescale y."
        ) from error
    most = float(np.abs(apart).max())
    # In units of the largest, or their squares could be too large or too small.
    return mean, most * math.sqrt(math.fsum(weight * (apart / most) ** 2) / total)
