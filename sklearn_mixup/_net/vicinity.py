"""What a net mixes with what, and where: the functions behind its parameters, and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from skorch.dataset import get_len
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup.minibatches import hash_rows, list_tensors
from sklearn_mixup.pairs import PAIRS
from sklearn_mixup.vicinities import VICINITIES

RANDOM_PAIRS = "random"
MIX_INPUTS = "input"
# By what rows are paired: what nets of one kind only have.
_OF_LABELS = "same_class", "different_class"
_OF_NUMBERS = ("target",)


def mixes_inside(net: Any) -> bool:
    """Whether a net mixes what layers of its module put out."""
    return not isinstance(getattr(net, "mix_at", MIX_INPUTS), str)


def needs_place(net: Any) -> bool:
    """Whether the vicinity of a net asks for a random place."""
    return net.vicinity not in ("mixup", "input")


def find_vicinity(net: Any) -> Callable[..., Any]:
    """Find what mixes the rows of a net."""
    return net.vicinity if callable(net.vicinity) else VICINITIES[net.vicinity]


def find_pairs(net: Any) -> Callable[[Any, Tensor, Tensor], Tensor] | None:
    """Find what pairs the rows of a net; None of one that pairs them at random."""
    if callable(net.pairs):
        return net.pairs
    if net.pairs == RANDOM_PAIRS:
        return None
    known: dict[str, Any] = {}
    if net.pairs == "nearest":
        known["n_neighbors"] = int(net.n_neighbors)
    elif net.pairs == "target":
        known["bandwidth"] = float(net.bandwidth)
    return partial(PAIRS[net.pairs], **known)


def pair_key(net: Any) -> Any:
    """Tell what two nets have in common that pair rows alike."""
    if callable(net.pairs):
        return id(net.pairs)
    return net.pairs, net.n_neighbors, getattr(net, "bandwidth", None)


def read_targets(net: Any, y: Tensor) -> Tensor:
    """Turn targets into what rows are paired by: a code for each class, or numbers."""
    if net._predicts_numbers or y.ndim == 1:
        return y
    # Rows of labels are of one class if they have the same labels.
    return y.argmax(1) if net.target_type_ == "probabilities" else hash_rows(y)


# -- rules ----------------------------------------------------------------------------------------


def check_vicinity(net: Any) -> None:
    """Raise an error for parameters of the vicinity that do not go together."""
    pairs, vicinity, mix_at = net.pairs, net.vicinity, net.mix_at
    wrong = _OF_LABELS if net._predicts_numbers else _OF_NUMBERS
    if isinstance(pairs, str) and pairs in wrong:
        reason = (
            "goes with labels, and this net predicts numbers. Use 'target', which pairs near "
            "targets"
            if net._predicts_numbers
            else "goes with targets that are numbers, as MixupRegressor has them. Use 'same_class'"
        )
        raise ValueError(f"`pairs`={pairs!r} {reason}.")
    if isinstance(mix_at, str):
        if mix_at != MIX_INPUTS:
            raise ValueError(
                "`mix_at` must be 'input' or a list of names of layers of the module; got "
                f"{mix_at!r}. Put a single name in a list: mix_at=[{mix_at!r}]."
            )
        return
    if vicinity != "mixup":
        raise ValueError(
            "`mix_at` with layers mixes what these put out, by vicinity='mixup'; got "
            f"vicinity={vicinity!r}. Use mix_at='input'."
        )
    if net.compile:
        raise ValueError(
            "`mix_at` with layers needs hooks, which a module compiled by torch.compile does not "
            f"call; got compile=True and mix_at={mix_at!r}. Use compile=False."
        )


def check_rows(net: Any, X: Any) -> None:
    """Raise an error for rows, checked, which the vicinity of a net cannot take."""
    if net.alpha == 0 or is_dataset(X):
        return
    parts = X if isinstance(X, Mapping) else {"X": X}
    if isinstance(net.vicinity, str) and net.vicinity == "cutmix":
        sizes = {tuple(part.shape[-2:]) for part in parts.values()}
        if any(part.ndim < 4 for part in parts.values()) or len(sizes) > 1:
            got = ", ".join(f"{name} of shape {tuple(part.shape)}" for name, part in parts.items())
            raise ValueError(
                "vicinity='cutmix' cuts boxes out of pictures, all of one height and width, shape "
                f"(n_samples, n_channels, height, width); got {got}. Use vicinity='mixup' for "
                "other rows."
            )
    if isinstance(net.pairs, str) and net.pairs == "nearest":
        n_rows = get_len(X)
        in_minibatch = n_rows if net.batch_size == -1 else min(net.batch_size, n_rows)
        if net.n_neighbors >= in_minibatch:
            raise ValueError(
                "`n_neighbors` must be smaller than the number of rows in a minibatch, in which "
                f"the nearest are looked for, {in_minibatch}; got {net.n_neighbors}. Use fewer, or "
                "a larger `batch_size`."
            )


@contextmanager
def only_reading(name: str, function: Any, *given: Any) -> Iterator[None]:
    """Raise an error if a function of one's own writes into tensors that others read after it."""
    tensors = [tensor for part in given if part is not None for tensor in list_tensors(part)]
    before = [tensor._version for tensor in tensors]
    yield
    if [tensor._version for tensor in tensors] != before:
        raise ValueError(
            f"`{name}` must not write into what it is given; {name_of(function)} does, as by mul_ "
            "or by X[...] = ... . Return new tensors, or begin with X = X.clone()."
        )


def check_mixed(function: Any, X: Any, mixed: Any, lam: Any, like: Tensor) -> None:
    """Raise an error unless a vicinity of one's own has mixed rows, and weighed their targets."""
    if not (isinstance(lam, Tensor) and lam.shape == like.shape and lam.is_floating_point()):
        got = f"shape {tuple(lam.shape)}, {lam.dtype}" if isinstance(lam, Tensor) else repr(lam)
        raise ValueError(
            "`vicinity` must return mixed rows and the weight of each row's own target, floats of "
            f"shape {tuple(like.shape)}; {name_of(function)} returned {got} for the second."
        )
    found = list_tensors(mixed) if type(mixed) is type(X) else []
    given, made = (
        [(tuple(part.shape), part.dtype) for part in parts] for parts in (list_tensors(X), found)
    )
    if given != made:
        raise ValueError(
            f"`vicinity` must return rows as it was given them, of shape and dtype {given}; "
            f"{name_of(function)} returned {made or type(mixed).__name__}."
        )


def check_partner(function: Any, partner: Any, like: Tensor) -> Tensor:
    """Raise an error unless a way to pair rows has told a place in its minibatch for each row."""
    if getattr(function, "func", function) in PAIRS.values():  # ours, with its numbers or without
        return partner
    is_tensor = isinstance(partner, Tensor)
    if not is_tensor or partner.shape != like.shape or partner.dtype != torch.int64:
        got = f"shape {tuple(partner.shape)}, {partner.dtype}" if is_tensor else repr(partner)
        raise ValueError(
            "`pairs` must return the place of each row's partner in its minibatch, int64 of shape "
            f"{tuple(like.shape)}; {name_of(function)} returned {got}."
        )
    # A GPU is waited for, once for many minibatches: to gather from a place that is not there would
    # be the last that it does.
    wrong = (partner < 0) | (partner >= like.shape[1])
    if not partner.is_meta and wrong.any():
        raise ValueError(
            "`pairs` must return places of rows in their own minibatch, from 0 to "
            f"{like.shape[1] - 1}; {name_of(function)} returned {int(partner[wrong][0])}."
        )
    return partner


def name_of(function: Any) -> str:
    """Name a function."""
    return getattr(function, "__name__", type(function).__name__)
