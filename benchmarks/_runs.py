"""What benchmarks that have no folder yet import; gone with the last of them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from benchmarks._lab.driver import write
from benchmarks._lab.outcome import (
    Block,
    Conclusions,
    Figure,
    Heading,
    Note,
    Outcome,
    Table,
    markdown_table,
    terminal_table,
)
from benchmarks._lab.runs import RunTable, Task, environment, one_thread
from benchmarks._lab.statistics import (
    PairedDifference,
    mean_and_standard_error,
    paired_difference,
)

__all__ = [
    "PairedDifference",
    "RunTable",
    "Task",
    "environment",
    "markdown_table",
    "mean_and_standard_error",
    "one_thread",
    "paired_difference",
    "terminal_table",
    "write_markdown",
]


def write_markdown(path: str | os.PathLike[str], title: str, *parts: str | pd.DataFrame) -> None:
    """Write paragraphs and tables, in their order, as one Markdown page, and for the report."""
    path = Path(path)
    runs = [pd.read_csv(csv)] if (csv := path.with_suffix(".csv")).exists() else []
    names = [name for name in environment("cpu") if runs and name in runs[0]]
    write(
        Outcome(title, [_make_block(part) for part in parts]), path.parent, path.stem, runs, names
    )


def _make_block(part: str | pd.DataFrame) -> Block:
    """Tell what a part of a page is."""
    if isinstance(part, pd.DataFrame):
        return Table(part)
    if part.startswith("## "):
        return Heading(part.removeprefix("## "))
    if part.startswith("!["):
        alt, _, file = part.removeprefix("![").removesuffix(")").partition("](")
        return Figure(file, alt)
    if part.startswith("- "):
        return Conclusions(part.removeprefix("- ").split("\n- "), listed=True)
    return Note(part)
