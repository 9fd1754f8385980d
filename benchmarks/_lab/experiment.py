"""What an experiment is: values that `driver.drive` runs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks._lab.outcome import Outcome
from benchmarks._lab.runs import Task
from sklearn_mixup import MixupClassifier


def find_device(device: str) -> str:
    """Resolve ``"auto"`` as the package does."""
    return str(MixupClassifier(device=device).device)


@dataclass(frozen=True)
class Request:
    """What the command line asks of an experiment."""

    args: argparse.Namespace  # all options, those that every experiment has and its own
    scale: Any  # that of `Experiment.scales` which ``--scale`` names
    device: str  # to train on; never "auto"
    versions: Mapping[str, str]  # the `runs.environment`; most tasks have it in their settings
    stack: ExitStack  # is closed when all is told: for folders that are needed until then

    @property
    def where(self) -> dict[str, Any]:
        """The device and the versions, as what lists tasks takes them."""
        return {"device": self.device, "versions": self.versions}

    def narrow(self, **options: str) -> Any:
        """Give the scale with what was asked for in place of its own: a field, and its option."""
        asked = {field: getattr(self.args, option) for field, option in options.items()}
        given = {name: tuple(it) if isinstance(it, list) else it for name, it in asked.items()}
        return replace(self.scale, **{name: it for name, it in given.items() if it})


@dataclass(frozen=True)
class Part:
    """A page, and the runs that it is told from."""

    stem: str  # of STEM.md and STEM.json: NAME, or NAME_part for further pages
    key: Sequence[str]  # the columns that tell one run from another, see `runs.RunTable`
    # The runs, in the order in which they are done. Most pages have one list, named "". Each has a
    # progress bar of its own, and is a DataFrame of its own for `tell`.
    tasks: Mapping[str, Sequence[Task]]
    tell: Callable[..., Outcome]  # tell(*runs), with a DataFrame for each list of tasks
    table: str | None = None  # stem of the CSV file, if another; several pages may share it
    checkpoints: bool = False  # whether work takes `checkpoints`, a folder to go on from
    one_by_one: bool = False  # whether --jobs is of no use, as where times are taken
    # Called with the tasks that are not done, before they are: what it makes is below
    # NAME_checkpoints.
    prepare: Callable[[Sequence[Task]], None] | None = None
    dry_run: Callable[[], None] | None = None  # prints what the runs take, for --dry-run


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper, or a question beside it."""

    name: str  # of the command, the folder, and the files of results
    paper: str | None  # the figure or table there; None for what is not in the paper
    title: str  # what the report calls it
    question: str  # what it asks
    small_takes: str  # about how long --scale small --jobs 2 takes on two free CPU cores
    doc: str  # the help; its first line stands in the list of commands
    # How much is run, by the name of --scale; None is for a run without that option, which
    # otherwise is "small".
    scales: Mapping[Any, Any]
    options: Callable[[argparse.ArgumentParser], None]  # adds those that only this one has
    # Trains nothing. Raises SystemExit with a message where data are missing.
    plan: Callable[[Request], Sequence[Part]]
    device: Callable[[str], str] = field(default=find_device)  # device(asked)

    def scale(self, name: str | None) -> Any:
        """Find the scale of a name."""
        return self.scales["small" if name is None and None not in self.scales else name]

    def command(self, out: Path) -> str:
        """Tell the command that runs it at a small scale."""
        words = ["python", "-m", "benchmarks", self.name, "--scale", "small"]
        return shlex.join(words if out == Path("results") else [*words, "--out", str(out)])
