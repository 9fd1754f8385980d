"""What is told of benchmarks that have no folder yet; gone with the last of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Told:
    """An experiment that a benchmark of this name runs.

    `paper` is its figure or table there, None for what is not in the paper, and `small_takes` about
    how long ``--scale small --jobs 2`` takes on two free CPU cores.
    """

    name: str
    paper: str | None
    title: str
    question: str
    small_takes: str

    def command(self, out: Path) -> str:
        """Tell the command that runs it at a small scale."""
        words = ["python", "-m", "benchmarks", self.name, "--scale", "small"]
        return shlex.join(words if out == Path("results") else [*words, "--out", str(out)])


_ALL: tuple[Told, ...] = ()
TOLD = {told.name: told for told in _ALL}
