"""How many rows are to be added to each class, as imbalanced-learn's samplers are told."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn_mixup._net.classes import name_label

STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")


def count_missing(strategy: Any, counts: dict[Any, int], y: Any) -> dict[Any, int]:
    """Tell how many rows each class lacks; one that lacks none is left out."""
    if len(counts) < 2:
        (only,) = counts
        raise ValueError(
            f"y must hold two classes or more to even out; got one class, {only!r}. Use sample() "
            "for rows of it."
        )
    if callable(strategy):
        strategy = strategy(y)
    if isinstance(strategy, str):
        wanted = _wanted_by_word(strategy, counts)
    elif isinstance(strategy, Mapping):
        wanted = _wanted_by_class(strategy, counts)
    elif isinstance(strategy, Real) and not isinstance(strategy, bool):
        wanted = _wanted_by_ratio(float(strategy), counts)
    else:
        raise _not_understood(strategy)
    return {name: n - counts[name] for name, n in wanted.items() if n > counts[name]}


def _not_understood(strategy: Any) -> ValueError:
    return ValueError(
        f"`sampling_strategy` must be one of {', '.join(map(repr, STRATEGIES))}, a ratio in (0, "
        f"1], a dict of rows by class, or a callable that returns one; got {strategy!r}."
    )


def _wanted_by_word(strategy: str, counts: dict[Any, int]) -> dict[Any, int]:
    """Make classes as large as the largest."""
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    names = {
        "auto": counts.keys() - {largest},
        "not majority": counts.keys() - {largest},
        "minority": {smallest},
        "not minority": counts.keys() - {smallest},
        "all": counts.keys(),
    }.get(strategy)
    if names is None:
        raise _not_understood(strategy)
    return {name: counts[largest] for name in counts if name in names}


def _wanted_by_class(strategy: Mapping[Any, Any], counts: dict[Any, int]) -> dict[Any, int]:
    """Make classes as large as they are said to become."""
    strategy = {name_label(name): n_wanted for name, n_wanted in strategy.items()}
    for name, n_wanted in strategy.items():
        if name not in counts:
            raise ValueError(
                f"`sampling_strategy` names class {name!r}, which y does not hold. Its classes are "
                f"{', '.join(map(repr, counts))}."
            )
        if not isinstance(n_wanted, Integral) or isinstance(n_wanted, bool):
            raise ValueError(
                f"`sampling_strategy` must give each class a whole number of rows; got "
                f"{n_wanted!r} for class {name!r}."
            )
        if n_wanted < counts[name]:
            raise ValueError(
                f"`sampling_strategy` wants {n_wanted} rows of class {name!r}, which has "
                f"{counts[name]}: rows are added here, never dropped. Give it {counts[name]} or "
                "more, or leave it out."
            )
    return {name: int(strategy[name]) for name in counts if name in strategy}


def _wanted_by_ratio(ratio: float, counts: dict[Any, int]) -> dict[Any, int]:
    """Make the smaller of two classes as large as a share of the other."""
    if not 0 < ratio <= 1:
        raise _not_understood(ratio)
    if len(counts) > 2:
        raise ValueError(
            f"`sampling_strategy` may be a ratio for two classes; got {ratio!r} for "
            f"{len(counts)}. Give it a dict of rows by class."
        )
    smallest = min(counts, key=counts.__getitem__)
    n_wanted = int(max(counts.values()) * ratio)
    return _wanted_by_class({smallest: n_wanted}, counts)
