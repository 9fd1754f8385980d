"""What the networks share: checks of their parameters, initial weights."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from torch import nn


def check_counts(**counts: Any) -> None:
    """Raise ValueError for what is not a whole number >= 1."""
    for name, number in counts.items():
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"`{name}` must be a whole number >= 1; got {number!r}.")


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


def initialize(module: nn.Module) -> None:
    """Draw the weights of convolutions from N(0, 2 / fan-out), He's; other biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
