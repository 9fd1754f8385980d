"""Manifold mixup [1]_: rows that are mixed at a layer of the module, by hooks that come and go.

References
----------
.. [1] Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
   ICML 2019.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sklearn_mixup._net.losses import unwrap
from sklearn_mixup.minibatches import Rows, like
from sklearn_mixup.vicinal import mix_with

# The place of the rows themselves, unless a layer has that name.
INPUT = "input"
# Layers of torch that put sequences first unless they are told otherwise.
_ATTENDING = (
    *(nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
)
# So many names of layers are told to who names one that is not there.
_N_TOLD = 8


class Inside(NamedTuple):
    """A minibatch that is mixed inside the module; its tensors are cut as any rows are."""

    # Inputs as they are, each of shape (n_rows, ...).
    rows: Rows
    # Row i is mixed with row partner[i] of the same minibatch; shape (n_rows,).
    partner: Tensor
    # Shape (n_rows, n_places): lam at the place that is drawn, 1 at the others. Which it is stays
    # on the device, and a step is the same operations wherever it mixes.
    lam: Tensor


# -- what is named ------------------------------------------------------------------------------


def check_places(module: nn.Module, places: str | Sequence[str]) -> tuple[str, ...]:
    """Check names of places to mix at: layers of a module by name, or "input" for the rows.

    Parameters
    ----------
    module : Module
        Initialized; what torch.compile or DistributedDataParallel wraps is looked into.
    places : str or sequence of str
        One name or several, as ``module.get_submodule`` takes them. A layer that is called "input"
        goes before the rows.

    Returns
    -------
    tuple of str

    Raises
    ------
    TypeError
        If `places` is neither a name nor a sequence of names.
    ValueError
        If it is empty, names a layer twice, or names what is not there, is never called by itself,
        is compiled, or puts out something else first than the minibatch, as a layer of torch.
    """
    names = [places] if isinstance(places, str) else places
    if not isinstance(names, Sequence):  # A set has no order to draw from.
        raise TypeError(
            f'`mix_at` must be "input", the name of a layer, or a list of these; got {places!r}. '
            "The layers of a module are named by `module.named_modules()`."
        )
    if not names:
        raise ValueError(
            f'`mix_at` must name at least one place; got {places!r}. Use "input" to mix the rows '
            "themselves."
        )
    seen: dict[int, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"`mix_at` must hold names of layers; got {_show(name)}. Give its name in "
                "`module.named_modules()`."
            )
        layer = _find_layer(module, name)
        if id(layer) in seen:
            raise ValueError(
                f"`mix_at` must name each place once; got {seen[id(layer)]!r} and {name!r}, which "
                "are one. Leave one out."
            )
        seen[id(layer)] = name
        if layer is not None:
            _check_layer(module, name, layer)
    return tuple(names)


def _find_layer(module: nn.Module, name: str) -> nn.Module | None:
    """Find the layer of a name; None is the place of the rows themselves."""
    bare = _unwrap(module)
    try:
        if name:
            return bare.get_submodule(name)
    except AttributeError:
        if name == INPUT:
            return None
    known = [known for known, _ in bare.named_modules() if known]
    known = known if INPUT in known else [INPUT, *known]
    near = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    told = ", ".join(map(repr, known[:_N_TOLD]))
    more = f" and {len(known) - _N_TOLD} more" if len(known) > _N_TOLD else ""
    raise ValueError(
        f'`mix_at` must name layers of the module, or "input"; got {name!r}, which '
        f"{type(bare).__name__} does not have.{hint} Use one of {told}{more}."
    )


def _check_layer(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Raise ValueError for a layer that nobody calls, or whose hooks nobody would."""
    kind = type(layer).__name__
    if type(layer).forward is nn.Module.forward:
        parts = ", ".join(repr(f"{name}.{part}") for part, _ in layer.named_children())
        raise ValueError(
            f"`mix_at` must name layers that are called; got {name!r}, a {kind}, which only holds "
            f"others. Name one of these: {parts or 'it is empty'}."
        )
    other = None
    if isinstance(layer, nn.RNNBase):
        other = "whose last state has its layers there. Name a layer after it"
    elif isinstance(layer, _ATTENDING) and any(
        isinstance(part, nn.MultiheadAttention) and not part.batch_first for part in layer.modules()
    ):
        other = "which has the sequence there. Make it with batch_first=True"
    if other is not None:  # Where it is as long as a minibatch it would be mixed.
        raise ValueError(
            "`mix_at` must name layers whose outputs have the minibatch as their first axis; got "
            f"{name!r}, a {kind}, {other}."
        )
    bare, path = _unwrap(module), name.split(".")
    above = [bare.get_submodule(".".join(path[:k])) for k in range(1, len(path) + 1)]
    if any(part._compiled_call_impl or unwrap(part) is not part for part in (module, *above)):
        raise ValueError(
            f"`mix_at` must name layers that torch.compile has not taken in; got {name!r}, and "
            'compiled code may pass over what is to be done there. Use "input", or do not compile '
            "the module."
        )


def _unwrap(module: nn.Module) -> nn.Module:
    """Find the module whose layers a user has names for."""
    module = unwrap(module)
    return module.module if isinstance(module, DistributedDataParallel) else module


def _show(value: Any) -> str:
    """Name what is no name."""
    return f"a {type(value).__name__}" if isinstance(value, nn.Module) else repr(value)


# -- what is mixed ------------------------------------------------------------------------------


@contextmanager
def mixing_inside(module: nn.Module, places: Sequence[str], inside: Inside) -> Iterator[Rows]:
    """Mix what comes out of layers, in the one forward pass of a module that is made meanwhile.

    Gradients flow into a row and into its partner. The hooks of the module are afterwards what they
    were.

    Parameters
    ----------
    module : Module
        Called once within the context, on what the context gives.
    places : sequence of str
        As :func:`check_places` returns them.
    inside : Inside
        A minibatch, with a column of lam for each place.

    Yields
    ------
    Tensor or dict of Tensor
        The rows to call the module with, mixed if "input" is a place.

    Raises
    ------
    TypeError
        If a layer puts out something else than floating tensors, or a tuple, list or dict of them
        and None.
    ValueError
        If a layer is called twice or never, or without gradients, or if the first axis of what it
        puts out is not the minibatch.

    Examples
    --------
    >>> module = nn.Sequential(nn.ReLU(), nn.Flatten())
    >>> rows, partner = torch.tensor([[-4.0], [4.0]]), torch.tensor([1, 0])
    >>> with mixing_inside(module, ["0"], Inside(rows, partner, torch.full((2, 1), 0.75))) as X:
    ...     module(X).tolist()
    [[1.0], [3.0]]
    """
    rows, partner, lam = inside
    mixers, handles = [], []
    try:
        for place, column in zip(places, lam.unbind(1), strict=True):
            layer = _find_layer(module, place)
            if layer is None:
                rows = _mix_parts(rows, partner, column, "X")
            else:
                mixers.append(_Mixer(place, partner, column))
                handles.append(layer.register_forward_hook(mixers[-1]))
        yield rows
    finally:
        for handle in handles:
            handle.remove()
    if missed := [mixer.place for mixer in mixers if not mixer.has_mixed]:
        raise ValueError(
            "`mix_at` must name layers that each forward pass calls; "
            f"{type(_unwrap(module)).__name__} did not call {missed[0]!r}. Name a layer that its "
            "forward always calls."
        )


class _Mixer:
    """Mixes what a layer puts out, once: a forward hook."""

    def __init__(self, place: str, partner: Tensor, lam: Tensor) -> None:
        self.place, self.partner, self.lam = place, partner, lam
        self.has_mixed = False
        self.has_gradients = torch.is_grad_enabled()

    def __call__(self, layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Mix an output."""
        name = f"{self.place!r} ({type(layer).__name__})"
        if self.has_mixed:
            raise ValueError(
                f"`mix_at` must name layers that a forward pass calls once; {name} is called a "
                "second time. Name a layer that is called once, such as one before or after it."
            )
        self.has_mixed = True
        if self.has_gradients and not torch.is_grad_enabled():
            # A checkpoint with use_reentrant=True would call it again, unmixed, for its gradients.
            raise ValueError(
                f"`mix_at` must name layers that are called with gradients; {name} is called "
                "without, as under torch.no_grad or torch.utils.checkpoint. Name a layer outside "
                "of it, or freeze layers by requires_grad_(False)."
            )
        return _mix_parts(output, self.partner, self.lam, f"What {name} puts out")


def _mix_parts(parts: Any, partner: Tensor, lam: Tensor, what: str) -> Any:
    """Mix a tensor, or each tensor of a tuple, list or dict."""
    if isinstance(parts, Tensor) and parts.is_floating_point():
        if parts.shape[:1] != partner.shape:
            raise ValueError(
                f"{what} must have the minibatch of {len(partner)} rows as its first axis to be "
                f"mixed; got shape {tuple(parts.shape)}. Name a layer whose output has, in "
                "`mix_at`; some layers take batch_first=True."
            )
        # Indexed, pictures stay in the order in which they lie, and rows that are the partner of
        # several have the same gradient each time, on a GPU too.
        return mix_with(parts, parts[partner], lam=lam)
    mix = partial(_mix_parts, partner=partner, lam=lam, what=what)
    if isinstance(parts, tuple | list):
        return like(parts, [None if part is None else mix(part) for part in parts])
    if isinstance(parts, dict):
        mixed = copy.copy(parts)
        for key, part in parts.items():
            mixed[key] = None if part is None else mix(part)
        return mixed
    got = parts.dtype if isinstance(parts, Tensor) else f"a {type(parts).__name__}"
    raise TypeError(
        f"{what} must be floating tensors, or a tuple, list or dict of them, to be mixed; got "
        f"{got}. Name another place in `mix_at`, such as a layer that embeds codes."
    )
