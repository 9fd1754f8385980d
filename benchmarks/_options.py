"""Command-line options that several benchmarks have."""

from __future__ import annotations

import argparse


def add_data_options(parser: argparse.ArgumentParser, files: str) -> None:
    """Add ``--data-home`` and ``--download``; `files` tells what the folder has to hold."""
    parser.add_argument(
        "--data-home",
        default=None,
        metavar="DIR",
        help=f"folder with {files}; default: SKLEARN_MIXUP_DATA, else scikit-learn's data home",
    )
    parser.add_argument("--download", action="store_true", help="get missing data before the runs")
