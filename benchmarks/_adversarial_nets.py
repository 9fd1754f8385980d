"""Attacks on trained networks: where they are read from, what pictures they get, their errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks._data.pictures import Loaded
from benchmarks._nets.pictures import count_errors
from sklearn_mixup._checkpoint import load_checkpoint
from sklearn_mixup.robustness import fgsm, iterative_fgsm

N_STEPS = 10
ATTACKS: Mapping[str, Callable[..., Any]] = {
    "fgsm": fgsm,
    "ifgsm": partial(iterative_fgsm, n_steps=N_STEPS),
}
BOXES = ("white", "black")
N_ROWS_AT_ONCE = 256

# Adversarial levels, such as 4 of 255: the `eps` and `clip` of the attacks at each.
Bounds = Mapping[float, tuple[Any, Any]]
Minibatches = Iterable[tuple[Tensor, Tensor]]


def column(box: str, attack: str, level: float, n_best: int = 1) -> str:
    """Name the column of an error under attack; `clean_column` is that of none.

    Examples
    --------
    >>> column("white", "ifgsm", 4.0)
    'white_ifgsm_top1@4'
    """
    return f"{box}_{attack}_top{n_best}@{level:g}"


def clean_column(n_best: int = 1) -> str:
    """Name the column of the error without an attack."""
    return f"clean_top{n_best}"


def measure_attacks(
    victims: Mapping[Hashable, nn.Module],
    source: nn.Module,
    minibatches: Minibatches,
    *,
    bounds: Bounds,
    n_bests: Sequence[int] = (1,),
) -> dict[Hashable, dict[str, float]]:
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
        For each victim the errors as shares, by `column` and `clean_column`.
    """
    totals: dict[Hashable, Counter[str]] = {name: Counter() for name in victims}
    n_rows = 0

    def count(name: Hashable, X: Tensor, y: Tensor, to_column: Callable[[int], str]) -> None:
        with torch.no_grad():
            logits = victims[name](X)
        for n_best in n_bests:
            n_wrong = round(len(y) * count_errors(logits, y, n_best=n_best))
            totals[name][to_column(n_best)] += n_wrong

    for X, y in minibatches:
        n_rows += len(y)
        for name in victims:
            count(name, X, y, clean_column)
        for level, (eps, clip) in bounds.items():
            for attack, make in ATTACKS.items():
                places = {box: partial(_column_of, box, attack, level) for box in BOXES}
                from_source = make(source, X, y, eps=eps, clip=clip)
                for name, victim in victims.items():
                    count(name, make(victim, X, y, eps=eps, clip=clip), y, places["white"])
                    count(name, from_source, y, places["black"])
    return {
        name: {key: total / n_rows for key, total in errors.items()}
        for name, errors in totals.items()
    }


def _column_of(box: str, attack: str, level: float, n_best: int) -> str:
    return column(box, attack, level, n_best)


# -- networks and pictures ------------------------------------------------------------------------


def read_network(checkpoints: Path, make: Callable[[], nn.Module], device: str) -> nn.Module:
    """Read a network from the checkpoint of its finished training; it is in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    """
    found = load_checkpoint(checkpoints)
    if found is None:
        raise FileNotFoundError(
            f"{str(checkpoints)!r} must hold the checkpoint of a finished training; got none. "
            "Start the benchmark again with --fresh."
        )
    network = make()
    network.load_state_dict(found[0]["modules"]["module"])
    return network.to(device).eval()


def split_rows(X: Tensor, y: Tensor) -> Minibatches:
    """Give pictures that are in memory minibatch by minibatch."""
    return zip(X.split(N_ROWS_AT_ONCE), y.split(N_ROWS_AT_ONCE), strict=True)


def read_minibatches(loaded: Loaded, n_rows: int | None, device: str) -> Minibatches:
    """Give the first pictures to test on: those in memory, or those of a folder as they are needed.

    `n_rows` None gives all, as it has to for a folder.
    """
    X, y = loaded.test
    if isinstance(X, Tensor):
        yield from split_rows(X[:n_rows], y[:n_rows].to(device))
    else:
        n_workers = loaded.params["iterator_valid__num_workers"]
        for rows, codes in DataLoader(X, batch_size=N_ROWS_AT_ONCE, num_workers=n_workers):
            yield rows.to(device), codes.to(device)
