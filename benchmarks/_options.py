"""Command-line options that several benchmarks have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from benchmarks._data.home import ENVIRONMENT_VARIABLE


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
        parser.add_argument(
            "--download", action="store_true", help=f"get {download} before the runs"
        )


def add_alphas(
    parser: argparse.ArgumentParser, default: Sequence[float] | None = None, *, told: str = ""
) -> None:
    """Add ``--alphas``, for mixup beside ERM; `told` ends its help."""
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        metavar="A",
        default=default,
        help=f"concentrations of Beta(A, A) to mix with, beside 0 (ERM){told}",
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tell the runs, parameters, bytes and steps, and train nothing",
    )
