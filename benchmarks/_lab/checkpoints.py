"""Where a run that is killed in its middle goes on: a folder for each run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks._lab.runs import Task


def checkpoints_of(task: Task, folder: Path) -> Path:
    """Name the folder below `folder` for the key and settings of a task."""
    words = [str(value) for value in task.key.values() if value is not None]
    name = "".join(c if c.isalnum() or c in "-.=" else "_" for c in "-".join(words))
    return folder / f"{name}-{task.fingerprint}"


def with_checkpoints(task: Task, folder: Path) -> Task:
    """Tell the work of a task where its checkpoints go, below `folder`."""
    return replace(task, work=partial(task.work, checkpoints=checkpoints_of(task, folder)))


def forget_checkpoints(folder: Path, tasks: Sequence[Task]) -> None:
    """Remove the checkpoints of finished tasks, and `folder` when it is empty."""
    for task in tasks:
        shutil.rmtree(checkpoints_of(task, folder), ignore_errors=True)
    with suppress(OSError):  # not empty, or not there
        folder.rmdir()
