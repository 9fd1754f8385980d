"""Attacks on trained networks, in the white box and the black box, and their errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks._nets.pictures import count_errors
from sklearn_mixup.robustness import fgsm, iterative_fgsm

N_STEPS = 10
ATTACKS: Mapping[str, Callable[..., Any]] = {
    "fgsm": fgsm,
    "ifgsm": partial(iterative_fgsm, n_steps=N_STEPS),
}
BOXES = ("white", "black")
NAMES = {"fgsm": "FGSM", "ifgsm": "I-FGSM", "": "none"}
N_ROWS_AT_ONCE = 256

# Adversarial levels, such as 4 of 255: the `eps` and `clip` of the attacks at each.
Bounds = Mapping[float, tuple[Any, Any]]
Minibatches = Iterable[tuple[Tensor, Tensor]]
_Cell = tuple[str, str, float]  # box, attack and level


def column(box: str = "", attack: str = "", level: float = 0.0, n_best: int = 1) -> str:
    """Name the column of an error under attack, or without one.

    Examples
    --------
    >>> column("white", "ifgsm", 4.0), column()
    ('white_ifgsm_top1@4', 'clean_top1')
    """
    return f"{box}_{attack}_top{n_best}@{level:g}" if box else f"clean_top{n_best}"


def levels_of(runs: pd.DataFrame) -> list[float]:
    """Collect the levels that all runs of a group were attacked at, ascending."""
    head = column("white", "fgsm", 0.0).removesuffix("0")
    found = [name for name in runs if name.startswith(head) and runs[name].notna().all()]
    return sorted(float(name.removeprefix(head)) for name in found)


def on_splits(network: str) -> bool:
    """Whether the seeds of a network are random splits of the digits, which share rows."""
    return network.startswith("MLP")


def unit_of(network: str) -> tuple[float, int]:
    """Tell the level that is looked at first, and the largest pixel value it is of."""
    return (1.0, 16) if on_splits(network) else (4.0, 255)


def measure_attacks(
    victims: Mapping[Any, nn.Module],
    source: nn.Module,
    minibatches: Minibatches,
    *,
    bounds: Bounds,
    n_bests: Sequence[int] = (1,),
) -> dict[Any, dict[str, float]]:
    """Measure the errors of networks on pictures as they are, and under attack.

    Parameters
    ----------
    victims : mapping to modules
        In evaluation mode. In the white box each is attacked with its own gradient.
    source : module
        In the black box all get the pictures that were made with its gradient.
    minibatches : iterable of (X, y)
        Test pictures, on the device of the modules, and their labels as numbers of classes. Gone
        through once.
    bounds : mapping of float to (eps, clip)
        The levels, and what they are in the units of X.
    n_bests : sequence of int
        1 for the top-1 error, 5 for the top-5 error.

    Returns
    -------
    dict
        For each victim the errors as shares, by `column`.
    """
    totals: dict[Any, Counter[str]] = {name: Counter() for name in victims}
    n_rows = 0

    def count(name: Any, X: Tensor, y: Tensor, cell: _Cell = ("", "", 0.0)) -> None:
        with torch.no_grad():
            logits = victims[name](X)
        for n_best in n_bests:
            n_wrong = round(len(y) * count_errors(logits, y, n_best=n_best))
            totals[name][column(*cell, n_best=n_best)] += n_wrong

    for X, y in minibatches:
        n_rows += len(y)
        for name in victims:
            count(name, X, y)
        for level, (eps, clip) in bounds.items():
            for attack, make in ATTACKS.items():
                from_source = make(source, X, y, eps=eps, clip=clip)
                for name, victim in victims.items():
                    own = make(victim, X, y, eps=eps, clip=clip)
                    count(name, own, y, ("white", attack, level))
                    count(name, from_source, y, ("black", attack, level))
    return {
        name: {key: total / n_rows for key, total in errors.items()}
        for name, errors in totals.items()
    }


def in_minibatches(X: Tensor, y: Tensor) -> Minibatches:
    """Give pictures that are in memory minibatch by minibatch."""
    return zip(X.split(N_ROWS_AT_ONCE), y.split(N_ROWS_AT_ONCE), strict=True)
