"""What a net puts out for rows in their order, minibatch by minibatch, never mixed or shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from skorch import NeuralNet
from skorch.utils import to_device
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from sklearn_mixup._net.iterators import with_targets
from sklearn_mixup._net.precision import computing, find_half
from sklearn_mixup._net.prediction import fill_up, find_cuts
from sklearn_mixup.minibatches import Minibatches, Rows, map_tensors


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
