"""Which minibatches a net gets of a data set: arrays live on the device, the rest has a loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from scipy.sparse import issparse
from skorch import NeuralNet
from skorch.dataset import Dataset, get_len
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from sklearn_mixup._net.checks import check_range
from sklearn_mixup._net.loading import make_loader
from sklearn_mixup._net.memory import collate
from sklearn_mixup._net.session import MINIBATCHES_OPTIONS, count_rows
from sklearn_mixup.minibatches import Minibatches, Rows, map_tensors, peel


def make_iterator(net: Any, dataset: Any, *, training: bool) -> Any:
    """Make the iterator of a data set; within ``fit`` the one to train on mixes.

    Parameters
    ----------
    net : NetEstimator
        Its `iterator_train` or `iterator_valid`, and what is set of that, tell what to make.
    dataset : Dataset
    training : bool
        Whether it is to train on; of a training that runs it is made ready for that.
    """
    name = "iterator_train" if training else "iterator_valid"
    iterator_type, trains = getattr(net, name), training and net._training_ is not None
    if iterator_type is not Minibatches and not trains:
        return NeuralNet.get_iterator(net, with_targets(dataset, net._encode), training=training)
    kwargs = {"batch_size": net.batch_size, **net.get_params_for(name)}
    if iterator_type is not Minibatches:
        if kwargs["batch_size"] == -1:
            kwargs["batch_size"] = len(dataset)
        return _load(net, iterator_type, dataset, kwargs, None)
    if not trains and kwargs.pop("augment", None) is not None and not training:
        raise ValueError(
            "Rows to validate on or to predict are taken as they are; got "
            "`iterator_valid__augment`. Use iterator_train__augment."
        )
    base, rows = peel(dataset)
    # A sampler, workers and the like are asked of a DataLoader.
    resident = put_whole(net, base) if kwargs.keys() <= MINIBATCHES_OPTIONS else None
    if resident is not None and trains:
        return net._minibatches_of_rows(base, rows, resident, kwargs)
    kwargs["batch_size"] = count_rows(kwargs["batch_size"], dataset)
    if resident is not None:
        order = None if rows is None else torch.as_tensor(rows, device=net._place)
        return Minibatches(*resident, order=order, **kwargs)
    kwargs.pop("chunk_bytes", None)
    augment = kwargs.pop("augment", None)
    kwargs.setdefault("collate_fn", collate)
    if not trains:
        return DataLoader(with_targets(dataset, net._encode), **kwargs)
    return _load(net, DataLoader, dataset, kwargs, augment)


def _load(net: Any, loader_type: Any, dataset: Any, kwargs: dict[str, Any], augment: Any) -> Any:
    """Let a loader fetch the rows to train on; each process has its share of what it yields."""
    dataset = with_targets(dataset, net._encode)
    loader = make_loader(loader_type, dataset, kwargs, joins=normalises_batches(net))
    accelerator = getattr(net, "accelerator", None)
    loader = loader if accelerator is None else accelerator.prepare(loader)
    return net._minibatches_of_loader(loader, augment)


def put_whole(net: Any, dataset: Any) -> tuple[Rows, Rows] | None:
    """Put a data set that is made of arrays on the device whole; None for any other."""
    if type(dataset) is Dataset and not issparse(dataset.X):
        X, y = dataset.X, dataset.y
    elif type(dataset) is TensorDataset and len(dataset.tensors) == 2:
        X, y = dataset.tensors
    else:
        return None
    training = net._training_
    stays = training is not None and training.data.holds(dataset)
    cache = training.data.resident if stays else {}
    if id(dataset) not in cache:
        X = net._to_device(X)
        map_tensors(check_range, X)
        if y is None:
            y = torch.zeros(1, device=net._place).expand(get_len(X))
        else:
            y = net._to_device(net._encode(y))
        cache[id(dataset)] = X, y
    return cache[id(dataset)]


def with_targets(dataset: Any, change: Callable[[Any], Any]) -> Any:
    """Change the targets of a data set that is made of arrays, or of a subset of one."""
    base, rows = peel(dataset)
    if type(base) is Dataset and base.y is not None:
        if (y := change(base.y)) is base.y:
            return dataset
        base = Dataset(base.X, y)
    elif type(base) is TensorDataset and len(base.tensors) <= 2:
        base = Dataset(base.tensors[0], change(base.tensors[-1]))
    else:
        return dataset
    return base if rows is None else Subset(base, rows.tolist())


def normalises_batches(net: Any) -> bool:
    """Whether a module normalises each minibatch that it is trained on by its rows."""
    net._set_training(True)
    return any(
        isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training
        for name in net._modules
        for layer in getattr(net, name + "_").modules()
    )
