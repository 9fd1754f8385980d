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
    """What the command line asks of an experiment.

    Parameters
    ----------
    args : argparse.Namespace
        All options, those that every experiment has and its own.
    scale : object
        That of `Experiment.scales` which ``--scale`` names.
    device : str
        To train on; never ``"auto"``.
    versions : mapping of str to str
        The `runs.environment` of that device. Most experiments have it in the settings of a task.
    stack : ExitStack
        Is closed when all is told: for folders that are needed until then.
    """

    args: argparse.Namespace
    scale: Any
    device: str
    versions: Mapping[str, str]
    stack: ExitStack

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
    """A page, and the runs that it is told from.

    Parameters
    ----------
    stem : str
        Of STEM.md and STEM.json; ``NAME``, or ``NAME_part`` for further pages.
    key : sequence of str
        The columns that tell one run from another, see `runs.RunTable`.
    tasks : mapping of str to sequence of Task
        The runs, in the order in which they are done. Most pages have one list, named ``""``; each
        list has a progress bar of its own, and is a DataFrame of its own for `tell`.
    tell : callable
        ``tell(*runs) -> Outcome``, with a DataFrame for each list of `tasks`.
    table : str, default=None
        Stem of the CSV file; None: `stem`. Several pages may share a table.
    checkpoints : bool, default=False
        Whether the work of a task takes ``checkpoints``, a folder to go on from in its middle.
    one_by_one : bool, default=False
        Whether ``--jobs`` is of no use, as where times are taken.
    prepare : callable, default=None
        ``prepare(pending)`` is called with the tasks that are not done, before they are; what it
        makes is below ``NAME_checkpoints``.
    dry_run : callable, default=None
        Prints what the runs take, for ``--dry-run``.
    """

    stem: str
    key: Sequence[str]
    tasks: Mapping[str, Sequence[Task]]
    tell: Callable[..., Outcome]
    table: str | None = None
    checkpoints: bool = False
    one_by_one: bool = False
    prepare: Callable[[Sequence[Task]], None] | None = None
    dry_run: Callable[[], None] | None = None


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper, or a question beside it.

    Parameters
    ----------
    name : str
        Of the command, the folder, and the files of results.
    paper : str or None
        The figure or table there; None for what is not in the paper.
    title : str
        What the report calls it.
    question : str
        What it asks.
    small_takes : str
        About how long ``--scale small --jobs 2`` takes on two free CPU cores.
    doc : str
        The help; its first line stands in the list of commands.
    scales : mapping of str to object
        How much is run, by the name of ``--scale``; a key None is for a run without that option,
        which otherwise is ``"small"``.
    options : callable
        ``options(parser)`` adds the options that only this experiment has.
    plan : callable
        ``plan(request) -> sequence of Part``. Raises SystemExit with a message where data are
        missing. Trains nothing.
    device : callable, default=find_device
        ``device(asked) -> device``.
    """

    name: str
    paper: str | None
    title: str
    question: str
    small_takes: str
    doc: str
    scales: Mapping[Any, Any]
    options: Callable[[argparse.ArgumentParser], None]
    plan: Callable[[Request], Sequence[Part]]
    device: Callable[[str], str] = field(default=find_device)

    def scale(self, name: str | None) -> Any:
        """Find the scale of a name."""
        return self.scales["small" if name is None and None not in self.scales else name]

    def command(self, out: Path) -> str:
        """Tell the command that runs it at a small scale."""
        words = ["python", "-m", "benchmarks", self.name, "--scale", "small"]
        return shlex.join(words if out == Path("results") else [*words, "--out", str(out)])
