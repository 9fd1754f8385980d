"""What the labels of a classifier are: learned from y, weighed, encoded for the criterion."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.dataset import Dataset, unpack_data
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sklearn_mixup._device import isolated_rng
from sklearn_mixup._validation import check_y, default_dtype
from sklearn_mixup.minibatches import Minibatches, peel


def likeliest(y: Any, classes: np.ndarray) -> np.ndarray:
    """Check targets; take the likeliest class of rows of probabilities, leave labels alone."""
    y, target_type = check_y(y)
    if target_type != "probabilities":
        return y
    if y.shape[1] != len(classes):
        raise ValueError(
            f"y must have a probability for each of the {len(classes)} classes; got shape "
            f"{y.shape}."
        )
    return classes[y.argmax(axis=1)]


class Labelled:
    """A net that learns from `y` which classes there are.

    What it learns is in ``target_type_``, ``classes_`` and ``n_outputs_``. It has neither of the
    last two before the first ``fit``, and after one on a Dataset whose labels it cannot see.
    """

    target_type_: str
    classes_: np.ndarray
    classes: Any
    class_weight: Any
    device: Any
    iterator_train: Any

    def _learn_classes(self, y: Any, classes: Any) -> None:
        """Find the classes and the width that the output of the module must have."""
        if self.classes is not None and len(self.classes) == 0:
            raise ValueError(
                "`classes` must name the labels of y; got none. Use classes=None to learn them."
            )
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

    def _check_same_classes(self, classes: Any) -> None:
        """Refuse other classes than those that are known, as scikit-learn does."""
        if classes is None:
            return
        known = np.unique(getattr(self, "classes_", ()))
        if not np.array_equal(known, np.unique(np.asarray(classes))):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}. A net cannot learn other classes later: fit it anew, with all of them."
            )

    def _loads_targets(self) -> bool:
        """Whether targets may come from a loader of the user's own, not from the data."""
        return self.iterator_train not in (Minibatches, DataLoader)

    def _learn_dataset(self, dataset: Any, y: Any, restart: bool, classes: Any) -> Any:
        """Learn from a torch Dataset what can be learned without going through it: its labels."""
        base, rows = peel(dataset)
        labels = next((getattr(base, key) for key in ("targets", "y") if hasattr(base, key)), y)
        if isinstance(base, TensorDataset):
            labels = base.tensors[-1]
        target_type = "multiclass"
        if labels is not None:
            labels, target_type = check_y(labels)
        elif type(base) is Dataset and not self._loads_targets():
            raise ValueError(
                "A Dataset to fit on must hold targets; got one whose y is None. Pass "
                "Dataset(X, y)."
            )
        if restart:
            self.target_type_ = target_type
            with isolated_rng(0, self.device):  # the data set may draw
                streams = isinstance(dataset, IterableDataset)
                first = None if streams else dataset[0]
            if isinstance(first, tuple | list):
                first, _ = unpack_data(first)
            shape = getattr(first, "shape", None)
            self._n_features_ = int(np.prod(shape)) if shape else None
            classes = self.classes if classes is None else classes
            if labels is None and classes is None:
                return None  # Nobody says what the classes are: they stay numbers.
            # What a DataLoader collates is not encoded: it has to be class indices.
            encoded = type(base) in (Dataset, TensorDataset) or target_type != "multiclass"
            if classes is None and not encoded:
                if labels.dtype.kind not in "iu" or labels.min() < 0:
                    raise ValueError(
                        f"`targets` of a {type(base).__name__} must be class indices 0, 1, ...; "
                        f"got {np.unique(labels)[:5].tolist()}. Pass X and y for other labels."
                    )
                classes = np.arange(labels.max() + 1)
            self._learn_classes(labels, classes)
        return labels if labels is None or rows is None else labels[rows]

    def _weigh_classes(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Compute the weight of each class."""
        if self.class_weight is None:
            return None
        if y is None or self.target_type_ == "multilabel-indicator":
            raise ValueError(
                f"`class_weight` is for one known label a row; got {self.class_weight!r} with "
                "multilabel y or a Dataset without `targets`. Use criterion__weight or "
                "criterion__pos_weight."
            )
        if isinstance(self.class_weight, dict):
            classes = self.classes_.tolist()
            unknown = set(self.class_weight) - set(classes)
            if unknown and set(classes) - set(self.class_weight):
                raise ValueError(
                    f"`class_weight` must name the classes of y, {classes}; got "
                    f"{self.class_weight!r}."
                )
            weights = np.array([self.class_weight.get(c, 1.0) for c in classes])
            if weights.dtype.kind not in "if" or not (
                np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
            ):
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
        y = y.cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
        if self.target_type_ != "multiclass":
            return np.asarray(y, dtype=default_dtype())
        classes, y = self.classes_, np.asarray(y)
        if (y.dtype.kind in "OU") != (
            classes.dtype.kind in "OU"
        ):  # words and numbers have no order
            raise ValueError(
                f"y must hold only the classes {classes.tolist()}; got {y[:5].tolist()}."
            )
        sorter = np.argsort(classes)
        codes = sorter[np.searchsorted(classes, y, sorter=sorter).clip(max=len(classes) - 1)]
        if (unknown := classes[codes] != y).any():
            raise ValueError(
                f"y must hold only the classes {classes.tolist()}; got "
                f"{np.unique(y[unknown]).tolist()} too."
            )
        return y if y.dtype == codes.dtype and (y == codes).all() else codes

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        """Turn places among `classes_` into labels; they are labels where no classes are known."""
        classes = getattr(self, "classes_", None)
        return codes if classes is None else classes[codes]
