"""What the networks share: checks of their parameters, initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

from torch import nn


def check_counts(least: int = 1, /, **counts: Any) -> None:
    """Raise ValueError for what is not a whole number >= `least`."""
    for name, number in counts.items():
        if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
            raise ValueError(f"`{name}` must be a whole number >= {least}; got {number!r}.")


def check_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Make a tuple of whole numbers >= 1 of a sequence of them, or of one of them."""
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    try:
        found = tuple(sizes)
    except TypeError:
        raise ValueError(
            f"`{name}` must be a whole number >= 1 or a sequence of them; got {sizes!r}."
        ) from None
    check_counts(**{f"{name}[{i}]": number for i, number in enumerate(found)})
    return tuple(map(int, found))


def check_dropout(dropout: float) -> None:
    """Raise ValueError for what is not a share of numbers to drop."""
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1); got {dropout!r}. Use 0 to drop nothing.")


def count_repeats(depth: Any) -> int:
    """Count the pairs of convolutions in each third of a network of 6 n + 4 layers."""
    number = int(depth) if isinstance(depth, Integral) else 0
    if number < 10 or (number - 4) % 6:
        raise ValueError(
            "`depth` must be 6 n + 4, n times two convolutions in each of three parts: 10, 16, 22, "
            f"28, 34, 40, ..., 100, 190, ...; got {depth!r}."
        )
    return (number - 4) // 6


class Renewed(nn.Module):
    """A network that was another one under the same name, without the layer `_new_layer`."""

    _new_layer: ClassVar[str]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle."""
        if self._new_layer not in state["_modules"]:
            raise self._tell_earlier()
        super().__setstate__(state)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take this module's part of a `state_dict`."""
        is_there = [f"{prefix}{name}.weight" in state_dict for name in ("output", self._new_layer)]
        # Without the output either it would be a part of the weights, taken on purpose.
        if is_there == [True, False]:
            raise self._tell_earlier()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _tell_earlier(self) -> ValueError:
        """Make the error of weights of the earlier network."""
        return ValueError(
            f"Weights of {type(self).__name__} must have those of `{self._new_layer}`, a "
            "normalisation; got weights without, of the network of that name as it was before "
            "version 0.1.0, which did not train at full width. Train the network again, or load "
            "them with the sklearn_mixup that saved them."
        )


def initialize(module: nn.Module) -> None:
    """Draw the weights of convolutions from N(0, 2 / fan-out), He's; other biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
