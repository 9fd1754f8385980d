"""What the labels of a classifier are: learned from y, weighed, encoded for the criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import TensorDataset

from sklearn_mixup._net.checks import check_labels_repeat, check_y, default_dtype
from sklearn_mixup._net.classes import list_labels, name_label
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.targets import OF_LABELS
from sklearn_mixup.minibatches import peel

# Whole numbers alone, or words alone, need none of scikit-learn's checks before they are compared:
# these take as long as a small net predicts.
_ALIKE = ({"i"}, {"U"})


@dataclass(frozen=True)
class Labels:
    """What the labels of a classifier are.

    Parameters
    ----------
    kind : {"multiclass", "multilabel-indicator", "probabilities"}
        What `y` is.
    classes : ndarray of shape (n_classes,) or None
        The label of each class, or the number of each column; None where nobody has said, as of a
        Dataset whose labels cannot be seen.
    """

    unseen: ClassVar[str] = "multiclass"
    kind: str
    classes: np.ndarray | None

    @classmethod
    def of(cls, net: Any) -> Labels:
        """Tell what a net knows."""
        return cls(getattr(net, "target_type_", cls.unseen), getattr(net, "classes_", None))

    @staticmethod
    def check(y: Any) -> tuple[np.ndarray, str]:
        """Check targets, and tell what they are."""
        return check_y(y)

    @classmethod
    def learn(cls, net: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        """Learn the classes, and the width that the output of the module must have."""
        cls._learn(net, y, classes)
        if net.classes is not None:
            cls.of(net)._check_order()
        if net.target_type_ == "multiclass" and classes is None and net.classes is None:
            check_labels_repeat(y, net.classes_)

    @classmethod
    def _learn(cls, net: Any, y: Any, classes: Any) -> None:
        """Learn the classes, in the order in which the net is told them if it is."""
        if net.classes is not None and len(net.classes) == 0:
            raise ValueError(
                "`classes` must name the labels of y; got none. Use classes=None to learn them."
            )
        net.classes_inferred_ = cls.find_classes(y, net.target_type_, classes)
        net.n_outputs_ = len(net.classes_)
        cls.of(net).check_several()
        if net.target_type_ != "multiclass" and net.n_outputs_ != y.shape[1]:
            raise ValueError(
                f"`classes` must name each column of y; got {net.n_outputs_} names for "
                f"{y.shape[1]} columns."
            )

    @classmethod
    def meet(cls, net: Any, y: Any, sample_weight: Any) -> None:
        """Meet the targets of a training that goes on: the classes stay those that are known."""

    @classmethod
    def learn_dataset(cls, net: Any, dataset: Any, y: Any, first: Any, classes: Any) -> None:
        """Learn from a torch Dataset; `y` is None where its labels cannot be seen."""
        classes = net.classes if classes is None else classes
        if y is None and classes is None:
            return  # Nobody says what the classes are: they stay numbers.
        if classes is None:
            classes = name_classes(dataset, y, net.target_type_)
        if y is not None and type(peel(dataset)[0]) in (Dataset, TensorDataset):
            cls.learn(net, y, None, classes)
        else:  # It yields the places of classes, which may be named in any order.
            cls._learn(net, y, classes)

    @property
    def key(self) -> str:
        """What two nets have in common that encode targets alike."""
        return f"{self.kind} {None if self.classes is None else self.classes.tolist()}"

    @property
    def meaning(self) -> Any:
        """What the outputs of two nets have in common that mean the same."""
        return None if self.classes is None else self.classes.tolist()

    @property
    def known(self) -> np.ndarray:
        """The classes, of which there are some."""
        if self.classes is None:
            raise ValueError(
                "Labels are told apart by the classes of a net; got a y for one that was fitted to "
                "a Dataset whose classes nobody has named. Fit it anew with `classes`, all labels."
            )
        return self.classes

    @property
    def is_multilabel(self) -> bool:
        """Whether a row may have several labels, or none."""
        return self.kind == "multilabel-indicator"

    @staticmethod
    def find_classes(y: Any, kind: str, named: Any) -> np.ndarray:
        """Find the classes that targets have; those of labels may be named."""
        if kind == "multiclass":
            return np.unique(y if named is None else np.asarray(named))
        return np.arange(y.shape[1])

    def check_several(self) -> None:
        """Refuse labels of a single class, from which nothing can be learned."""
        if (n_classes := len(self.known)) < 2:
            raise ValueError(
                f"y must have at least two classes; got {n_classes} class, "
                f"{list_labels(self.known)}, among the rows that have weight."
            )

    def _check_order(self) -> None:
        """Refuse labels whose columns of probabilities scikit-learn would take for each other's."""
        ordered = np.unique(self.known)
        if self.kind == "multiclass" and not np.array_equal(self.known, ordered):
            raise ValueError(
                "`classes` must name each label once, in sorted order, as scikit-learn's scorers "
                f"take the columns of probabilities; got {self.known.tolist()}. Use "
                f"classes={ordered.tolist()}."
            )

    def check_same(self, named: Any) -> None:
        """Refuse other classes than those that are known, as scikit-learn does."""
        known = np.unique([] if self.classes is None else self.classes)
        if named is not None and not np.array_equal(known, np.unique(np.asarray(named))):
            raise ValueError(
                f"`classes={named!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}. A net cannot learn other classes later: fit it anew, with all of them."
            )

    def weigh(
        self, class_weight: Any, y: Any, sample_weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Compute the weight of each class."""
        if class_weight is None:
            return None
        if y is None or self.is_multilabel:
            raise ValueError(
                f"`class_weight` is for one known label a row; got {class_weight!r} with "
                "multilabel y or a Dataset without `targets`. Use criterion__weight or "
                "criterion__pos_weight."
            )
        if isinstance(class_weight, dict):
            return self._read_weights(class_weight)
        codes = self.encode(y)
        shares = codes if codes.ndim == 2 else np.eye(len(self.known))[codes]
        mass = shares.sum(0) if sample_weight is None else sample_weight @ shares
        # As scikit-learn has it, n_samples / (n_classes * bincount(y)).
        return mass.sum() / (np.count_nonzero(mass) * np.where(mass > 0, mass, np.inf))

    def _read_weights(self, class_weight: dict[Any, Any]) -> np.ndarray:
        """Read the weight of each class from a dict; it is 1 where none is given."""
        classes = list_labels(self.known)
        class_weight = {name_label(label): weight for label, weight in class_weight.items()}
        unknown = set(class_weight) - set(classes)
        if unknown and set(classes) - set(class_weight):
            raise ValueError(
                f"`class_weight` must name the classes of y, {classes}; got {class_weight!r}."
            )
        weights = np.array([class_weight.get(c, 1.0) for c in classes])
        if weights.dtype.kind not in "if" or not (
            np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
        ):
            raise ValueError(
                f"`class_weight` must hold finite numbers >= 0, not all 0; got {class_weight!r}."
            )
        return weights

    def encode(self, y: Any) -> np.ndarray:
        """Turn labels into their places among the classes, other targets into floats."""
        y = y.cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
        if self.kind != "multiclass":
            return np.asarray(y, dtype=default_dtype())
        classes, y = self.known, np.asarray(y)
        if (y.dtype.kind in "OU") != (
            classes.dtype.kind in "OU"
        ):  # words and numbers have no order
            raise ValueError(
                f"y must hold only the classes {list_labels(classes)}; got {list_labels(y[:5])}."
            )
        sorter = np.argsort(classes)
        codes = sorter[np.searchsorted(classes, y, sorter=sorter).clip(max=len(classes) - 1)]
        if (unknown := classes[codes] != y).any():
            raise ValueError(
                f"y must hold only the classes {list_labels(classes)}; got "
                f"{list_labels(np.unique(y[unknown]))} too."
            )
        return y if y.dtype == codes.dtype and (y == codes).all() else codes

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Turn probabilities into labels: the likeliest, or all that are likelier than not.

        They are numbers where no classes are known.
        """
        if self.is_multilabel:
            return (probabilities > 0.5).astype(int)
        codes = probabilities.argmax(axis=1)
        return codes if self.classes is None else self.classes[codes]

    def score(self, y: Any, predicted: np.ndarray, sample_weight: Any = None) -> float:
        """Compute the accuracy of labels; rows of probabilities stand for their likeliest class."""
        parts = [part for part in (y, predicted) if type(part) is np.ndarray and part.ndim == 1]
        kinds = {"i" if part.dtype.kind in "biu" else part.dtype.kind for part in parts}
        are_plain = len(parts) == 2 and kinds in _ALIKE and len(y) == len(predicted)
        if sample_weight is None and are_plain:
            return float((y == predicted).mean())
        return float(accuracy_score(self._likeliest(y), predicted, sample_weight=sample_weight))

    def _likeliest(self, y: Any) -> np.ndarray:
        """Check targets; take the likeliest class of rows of probabilities, leave labels alone."""
        if self.is_multilabel or self.classes is None:
            return y
        y, kind = check_y(y)
        if kind != "probabilities":
            return y
        if y.shape[1] != len(self.classes):
            raise ValueError(
                f"y must have a probability for each of the {len(self.classes)} classes; got shape "
                f"{y.shape}."
            )
        return self.classes[y.argmax(axis=1)]


def name_classes(dataset: Any, labels: Any, kind: str) -> Any:
    """Name the classes of a torch Dataset whose labels are not encoded; None of any other.

    What a DataLoader collates has to be class indices.
    """
    base, _ = peel(dataset)
    if type(base) in (Dataset, TensorDataset) or kind != "multiclass":
        return None
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            f"`targets` of a {type(base).__name__} must be class indices 0, 1, ...; "
            f"got {np.unique(labels)[:5].tolist()}. Pass X and y for other labels."
        )
    return np.arange(labels.max() + 1)


def check_codes(net: Any, y: Any, *, mixed: bool, n_classes: int | None = None) -> Any:
    """Raise an error for codes of classes that are not there, before a device meets one.

    They are what a Dataset of one's own yields, which nobody has seen before. On a GPU one of them
    would end all that the process does there. What lies there already is not waited for.

    Parameters
    ----------
    net : MixupClassifier
    y : object
        Targets of a minibatch.
    mixed : bool
        Whether they are mixed: what a criterion ignores else is no class that could be.
    n_classes : int, default=None
        How many there are, where the net does not know.

    Returns
    -------
    object
        The targets; codes as torch's losses take them, whatever their integers are.
    """
    if isinstance(y, list | tuple | np.ndarray) and len(y) and isinstance(y[0], str | bytes):
        raise TypeError(
            "A Dataset of your own must yield the number of each row's class, a whole number; got "
            f"{y[0]!r}. Encode words, as by sklearn.preprocessing.LabelEncoder, and name them by "
            "`classes`."
        )
    if not isinstance(y, Tensor):
        return y
    criterion = unwrap(getattr(net, "criterion_", None))  # A subclass may name its own otherwise.
    if type(criterion) in OF_LABELS:
        is_single = y.ndim == 1 and y.is_floating_point()
        if is_single or (y.ndim == 2 and y.shape[1] == 1):
            raise ValueError(
                "A Dataset of your own must yield the number of each row's class, a whole number "
                f"alone; got {y.dtype} of shape {tuple(y.shape)} for a minibatch."
            )
        y = y.long() if y.ndim == 1 else y
    n_classes = getattr(net, "n_outputs_", n_classes)
    if n_classes is None or not y.is_cpu or y.ndim != 1 or y.is_floating_point():
        return y
    known = (y >= 0) & (y < n_classes)
    if not mixed:
        known |= y == getattr(criterion, "ignore_index", -1)
    if not known.all():
        raise ValueError(
            "A Dataset of your own must yield the number of each row's class, from 0 to "
            f"{n_classes - 1}; got {y[~known].unique().tolist()}. Name all classes by `classes`."
        )
    return y
