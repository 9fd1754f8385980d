"""Options of the command line that several experiments have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks._data.home import ENVIRONMENT_VARIABLE

REFUSED = 3  # exit status of a command that said why it cannot run


def add_data_options(
    parser: argparse.ArgumentParser, files: str, *, download: str | None = "missing data"
) -> None:
    """Add ``--data-home``, for a folder that has to hold `files`, and ``--download``.

    `download` names what the latter gets; None leaves it out.
    """
    parser.add_argument(
        "--data-home",
        default=os.environ.get(ENVIRONMENT_VARIABLE),
        metavar="DIR",
        help=f"folder with {files}; default: {ENVIRONMENT_VARIABLE}, else scikit-learn's data home",
    )
    if download is not None:
        told = f"get {download} before the runs"
        parser.add_argument("--download", action="store_true", help=told)


def add_alphas(
    parser: argparse.ArgumentParser, default: Sequence[float] | None = None, *, told: str = ""
) -> None:
    """Add ``--alphas``, for mixup beside ERM; `told` ends its help."""
    told = f"concentrations of Beta(A, A) to mix with, beside 0 (ERM){told}"
    parser.add_argument("--alphas", type=float, nargs="+", metavar="A", default=default, help=told)


def add_number(parser: argparse.ArgumentParser, name: str, told: str, **more: Any) -> None:
    """Add an option for a whole number, such as ``--epochs``; `told` is its help."""
    parser.add_argument(name, metavar="N", help=told, **{"type": int, **more})


def _positive(text: str) -> float:
    """Read an alpha that mixes."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be > 0; got {text}. ERM is run beside it anyway")
    return number


def add_alpha(
    parser: argparse.ArgumentParser, default: float | None = None, *, told: str = ""
) -> None:
    """Add ``--alpha``, for one mixup beside ERM; `told` ends its help."""
    told = f"concentration of Beta(A, A) {told}"
    parser.add_argument("--alpha", type=_positive, metavar="A", default=default, help=told)


def at_least_one(text: str) -> int:
    """Read a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {text}")
    return number


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--rows`` and ``--width``, for less than a scale has."""
    told = "train on the first N pictures, and test on as many at most; by scale"
    add_number(parser, "--rows", told, type=at_least_one)
    told = "of PreAct ResNet-18: channels of its first layer, 64 in the paper; by scale"
    add_number(parser, "--width", told, type=at_least_one)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``."""
    told = "tell the runs, parameters, bytes and steps, and train nothing"
    parser.add_argument("--dry-run", action="store_true", help=told)


def add_tables(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add ``--tables``."""
    told = ", ".join(names)
    parser.add_argument("--tables", nargs="+", choices=list(names), metavar="NAME", help=told)


def with_erm(alphas: Iterable[float]) -> list[float]:
    """Put 0 (ERM) before the alphas to mix with, once.

    Raises
    ------
    SystemExit
        If there is none to mix with.

    Examples
    --------
    >>> with_erm([1.0, 0.0, 0.2])
    [0.0, 0.2, 1.0]
    """
    sorted_alphas = sorted({0.0, *alphas})
    if len(sorted_alphas) == 1:
        raise SystemExit("--alphas must have a number > 0, to set beside 0 (ERM); got 0 alone.")
    return sorted_alphas


def own_options(options: Callable[[argparse.ArgumentParser], None]) -> set[str]:
    """Name the options that a function adds to a parser, as its arguments have them."""
    parser = argparse.ArgumentParser()
    options(parser)
    return set(vars(parser.parse_args([])))


@contextmanager
def missing_data_end_it(hint: str = "") -> Iterator[None]:
    """Let an OSError, of files that are not there, end the command with its message and `hint`."""
    try:
        yield
    except OSError as error:
        raise SystemExit(f"{error}\n{hint}".rstrip()) from error
