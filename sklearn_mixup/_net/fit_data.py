"""What a classifier is given to fit: checked, and what its module has to know learned of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from skorch.dataset import unpack_data
from skorch.utils import is_dataset
from torch.utils.data import DataLoader, IterableDataset

from sklearn_mixup._net.checks import check_inputs, check_sample_weight, check_y, is_dict
from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.labels import Labels, name_classes, read_labels
from sklearn_mixup._net.tables import take
from sklearn_mixup.minibatches import Minibatches, peel

# The attributes in which a net keeps what it learns of its data.
LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "classes_inferred_",
    "target_type_",
    "n_outputs_",
    "_n_features_",
)


def check_fit(
    net: Any, X: Any, y: Any, sample_weight: Any, *, learns: bool, classes: Any = None
) -> tuple[Any, Any, np.ndarray | None, Any]:
    """Check the data of a fit; learn what the module needs to know, or compare it with that.

    Parameters
    ----------
    net : MixupClassifier
    X, y, sample_weight
        As ``fit`` takes them.
    learns : bool
        Whether the net starts to train, and forgets what it has learned of other data.
    classes : array-like of shape (n_classes,), default=None
        All labels, if `y` may not hold them all.

    Returns
    -------
    X, y, sample_weight
        Without the rows that have no weight.
    labels : ndarray or None
        The targets of all rows to train on, where they can be seen.
    """
    if learns:
        for name in LEARNED:
            vars(net).pop(name, None)
    loads_targets = net.iterator_train not in (Minibatches, DataLoader)
    if y is None and not is_dataset(X) and loads_targets:
        X = net.get_dataset(check_inputs(net, X, reset=learns))
    if is_dataset(X):
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` goes with arrays and tensors; got a torch Dataset. Pass X and "
                "y, or draw rows by weight: iterator_train__sampler=WeightedRandomSampler(...)."
            )
        labels, kind = read_labels(X, y, loads_targets=loads_targets)
        if learns:
            net.target_type_ = kind
            _learn_dataset(net, X, labels, classes)
        rows = peel(X)[1]
        return X, y, None, labels if labels is None or rows is None else labels[rows]
    if y is None:
        raise ValueError(
            f"{type(net).__name__} requires y to be passed, but the target y is None. Only a torch "
            "Dataset, which holds its own targets, is fitted without, or what an `iterator_train` "
            "of your own makes targets for."
        )
    X = check_inputs(net, X, reset=learns)
    y, kind = check_y(y)
    inputs = list(X.values()) if is_dict(X) else [X]
    check_consistent_length(*inputs, y)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(y))
        # A row without weight might as well not be there, but for a split that counts rows.
        if (sample_weight == 0).any() and not net.train_split:
            kept = np.flatnonzero(sample_weight)
            X, y, sample_weight = take(X, kept), y[kept], sample_weight[kept]
    if learns:
        net.target_type_ = kind
        _learn_classes(net, y, classes)
        net._n_features_ = int(np.prod(inputs[0].shape[1:])) if len(inputs) == 1 else None
    elif kind != net.target_type_:
        raise ValueError(
            f"y must be {net.target_type_}, as it was when training began; got {kind}."
        )
    elif kind != "multiclass" and y.shape[1] != net.n_outputs_:
        raise ValueError(f"y must have {net.n_outputs_} columns; got {y.shape[1]}.")
    net._encode(y)
    return X, y, sample_weight, y


def _learn_dataset(net: Any, dataset: Any, labels: Any, classes: Any) -> None:
    """Learn from a torch Dataset what can be learned without going through it."""
    with isolated_rng(0, net.device):  # the data set may draw
        first = None if isinstance(dataset, IterableDataset) else dataset[0]
    if isinstance(first, tuple | list):
        first, _ = unpack_data(first)
    shape = getattr(first, "shape", None)
    net._n_features_ = int(np.prod(shape)) if shape else None
    classes = net.classes if classes is None else classes
    if labels is None and classes is None:
        return  # Nobody says what the classes are: they stay numbers.
    if classes is None:
        classes = name_classes(dataset, labels, net.target_type_)
    _learn_classes(net, labels, classes)


def _learn_classes(net: Any, y: Any, classes: Any) -> None:
    """Learn the classes, and the width that the output of the module must have."""
    if net.classes is not None and len(net.classes) == 0:
        raise ValueError(
            "`classes` must name the labels of y; got none. Use classes=None to learn them."
        )
    net.classes_inferred_ = Labels.find_classes(y, net.target_type_, classes)
    net.n_outputs_ = len(net.classes_)
    net._labels.check_several()
