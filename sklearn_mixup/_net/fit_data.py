"""What a net is given to fit: checked, and what its module has to know learned of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from skorch.dataset import Dataset, unpack_data
from skorch.utils import is_dataset
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sklearn_mixup._net.checks import check_inputs, check_sample_weight, is_dict
from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.tables import take
from sklearn_mixup._net.vicinity import check_rows
from sklearn_mixup.minibatches import Minibatches, peel

# The attributes in which a net keeps what it learns of its data.
LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "classes_inferred_",
    "target_type_",
    "n_outputs_",
    "target_mean_",
    "target_scale_",
    "_n_features_",
)


def check_fit(
    net: Any, X: Any, y: Any, sample_weight: Any, *, learns: bool, classes: Any = None
) -> tuple[Any, Any, np.ndarray | None, Any]:
    """Check the data of a fit; learn what the module needs to know, or compare it with that.

    Parameters
    ----------
    net : VicinalNet
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
    targets : ndarray or None
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
        targets, kind = _read_targets(net, X, y, loads_targets=loads_targets)
        if learns:
            net.target_type_ = kind
            _learn_dataset(net, X, targets, classes)
        if classes is not None:
            net._targets.check_same(classes)
        rows = peel(X)[1]
        return X, y, None, targets if targets is None or rows is None else targets[rows]
    if y is None:
        raise ValueError(
            f"{type(net).__name__} requires y to be passed, but the target y is None. Only a torch "
            "Dataset, which holds its own targets, is fitted without, or what an `iterator_train` "
            "of your own makes targets for."
        )
    X = check_inputs(net, X, reset=learns)
    y, kind = net._target_kind.check(y)
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
        net._target_kind.learn(net, y, sample_weight, classes)
        net._n_features_ = int(np.prod(inputs[0].shape[1:])) if len(inputs) == 1 else None
    elif kind != net.target_type_:
        raise ValueError(
            f"y must be {net.target_type_}, as it was when training began; got {kind}."
        )
    elif y.ndim > 1 and y.shape[1] != net.n_outputs_:
        raise ValueError(f"y must have {net.n_outputs_} columns; got {y.shape[1]}.")
    else:
        net._target_kind.meet(net, y, sample_weight)
    net._encode(y)
    check_rows(net, X)
    if classes is not None:
        net._targets.check_same(classes)
    return X, y, sample_weight, y


def _read_targets(net: Any, dataset: Any, y: Any, *, loads_targets: bool) -> tuple[Any, str]:
    """Read the targets of a torch Dataset, None where they cannot be seen, and what they are.

    `loads_targets` tells whether a loader of the user's own may yield targets it does not hold.
    """
    base, _ = peel(dataset)
    targets = next((getattr(base, key) for key in ("targets", "y") if hasattr(base, key)), y)
    if isinstance(base, TensorDataset):
        targets = base.tensors[-1]
    if targets is not None:
        return net._target_kind.check(targets)
    if type(base) is Dataset and not loads_targets:
        raise ValueError(
            "A Dataset to fit on must hold targets; got one whose y is None. Pass Dataset(X, y)."
        )
    return None, net._target_kind.unseen


def _learn_dataset(net: Any, dataset: Any, targets: Any, classes: Any) -> None:
    """Learn from a torch Dataset what can be learned without going through it."""
    with isolated_rng(0, net.device):  # the data set may draw
        first, target = None if isinstance(dataset, IterableDataset) else dataset[0], None
    if isinstance(first, tuple | list):
        first, target = unpack_data(first)
    shape = getattr(first, "shape", None)
    net._n_features_ = int(np.prod(shape)) if shape else None
    net._target_kind.learn_dataset(net, dataset, targets, target, classes)
