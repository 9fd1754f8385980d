"""What a net puts out for rows in their order, minibatch by minibatch, never mixed or shuffled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import Dataset
from skorch.utils import to_device
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from sklearn_mixup._net.channels_last import arrange
from sklearn_mixup._net.checks import explain_shapes, first_output, rows_differ
from sklearn_mixup._net.iterators import with_targets
from sklearn_mixup._net.precision import computing, find_half, in_full
from sklearn_mixup._net.prediction import fill_up, find_cuts
from sklearn_mixup._net.session import count_rows
from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup.minibatches import Minibatches, Rows, map_tensors

# What rows to predict go through, in skorch's way.
_METHODS = (
    "forward_iter",
    "get_dataset",
    "get_iterator",
    "evaluation_step",
    "infer",
    "check_is_fitted",
    "_set_training",
    "_to_device",
)
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64), torch.float32, torch.float64}


def apply_in_order(net: Any, X: Any, *, training: bool, device: Any) -> Iterator[Rows]:
    """Yield the outputs of the module of a net that predicts, put on a device.

    Rows that live on the device are cut so that the output of one does not depend on the others.
    """
    # What a data set to predict has for targets does not matter, so it is not looked at.
    dataset = with_targets(net.get_dataset(X), lambda y: None)
    iterator = net.get_iterator(dataset, training=False)
    if isinstance(iterator, Minibatches):
        iterator.shuffle = iterator.drop_last = False
    elif isinstance(iterator, DataLoader):
        _check_order(iterator)
    if training or not isinstance(iterator, Minibatches):
        for batch in iterator:
            yield to_device(net.evaluation_step(batch, training=training), device=device)
    else:
        yield from _apply_cut(net, iterator, device)


def _apply_cut(net: Any, minibatches: Minibatches, device: Any) -> Iterator[Rows]:
    """Yield the outputs for rows that live on the device."""
    batch_size = minibatches.batch_size
    limit = batch_size if "iterator_valid__batch_size" in vars(net) else None
    module = getattr(net, net._predicting + "_")
    with computing(find_half(net), net._place):
        cuts = find_cuts(module, minibatches.X, batch_size=batch_size, limit=limit)
    # Each process has all rows here, so there are no others to gather.
    several = net._processes[1] > 1
    step = partial(NeuralNet.evaluation_step, net) if several else net.evaluation_step
    for start, stop, n_filled in cuts.cut(minibatches.n_visits):
        Xi, yi = minibatches.gather(minibatches.order, start, stop)
        if n_filled > stop - start:
            Xi = map_tensors(partial(fill_up, n_rows=n_filled), Xi)
        with cuts.applying(n_filled, net._place):
            output = step((Xi, yi), training=False)
        hand_out = partial(_hand_out, n_rows=stop - start, n_filled=n_filled, device=device)
        yield map_tensors(hand_out, output)


def _check_order(loader: DataLoader) -> None:
    """Refuse to predict rows in a random order, or not all of them."""
    if isinstance(loader.sampler, RandomSampler) or loader.drop_last:
        raise ValueError(
            "Rows to predict are taken in their order, and all of them; got an `iterator_valid` "
            f"with {type(loader.sampler).__name__} and drop_last={loader.drop_last}. Leave "
            "iterator_valid__shuffle and iterator_valid__drop_last out."
        )


def _hand_out(part: Any, *, n_rows: int, n_filled: int, device: Any) -> Any:
    """Take the rows that were not filled up, of a part that has a row for each."""
    if not isinstance(part, Tensor):
        return part
    has_rows = part.ndim > 0 and len(part) == n_filled
    return to_device(part[:n_rows] if has_rows else part, device=device)


# -- the short way --------------------------------------------------------------------------------


def find_ready(net: Any, X: Any) -> Tensor | None:
    """Put rows on the device that need no check, for a net that nobody has changed; else None.

    What is found wrong here, or may be, is for the checks to tell, and for skorch's way to meet.
    """
    known = vars(net)
    is_plain = (
        net.initialized_
        and "module_" in known
        and "feature_names_in_" not in known
        and net._training_ is None
        and net.dataset is Dataset
        and net.iterator_valid is Minibatches
        and known.get("accelerator") is None
        and known["device"] is not None
        and known.keys().isdisjoint(_METHODS)
        and "iterator_valid__" not in " ".join(known)
        and not any([is_foreign(getattr(net, name)) for name in _METHODS])
    )
    if not is_plain or type(X) not in (np.ndarray, Tensor) or X.dtype not in _FLOATS:
        return None
    shape = X.shape
    if len(shape) < 2 or 0 in shape or shape[1] != known.get("n_features_in_"):
        return None
    if type(X) is np.ndarray and X.flags.carray:
        X = torch.from_numpy(X)
    elif type(X) is Tensor and X.layout is not torch.strided:
        return None
    rows = net._to_device(X)
    # A sum is finite if all numbers are; if some are not, or very large, that is looked into.
    return rows if math.isfinite(rows.sum()) else None


def apply_ready(net: Any, rows: Tensor) -> list[Tensor]:
    """List what `apply_in_order` yields for rows that are ready, the first output of the module."""
    module, half, place = net.module_, find_half(net), net._place
    net._set_training(False)
    found = []
    with torch.no_grad(), computing(half, place):
        cuts = find_cuts(module, rows, batch_size=count_rows(net.batch_size, rows), limit=None)
        for start, stop, n_filled in cuts.cut(n_rows := len(rows)):
            X = rows[start:stop]
            # A copy in any case: a module may write to it, and it begins where kernels like it.
            X = X.clone() if n_filled == stop - start else fill_up(X, n_rows=n_filled)
            try:
                with cuts.applying(n_filled, place):
                    output = module(arrange(module, X, half))
            except Exception:
                with explain_shapes(module, X):
                    raise
            first = first_output(module, in_full(output))
            found.append(first[: stop - start] if len(first) == n_filled else first)
    if (n_found := sum(map(len, found))) != n_rows:
        raise rows_differ(module, n_found, n_rows)
    return found
