"""A resumable table of runs: one CSV row for each finished run."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

# Whose versions a result may depend on, as they are imported and as they are installed.
PACKAGES = {
    "sklearn_mixup": "sklearn-mixup",
    "torch": "torch",
    "sklearn": "scikit-learn",
    "skorch": "skorch",
}


Keys = Sequence[Mapping[str, Any]]  # of runs that are done together


# -- a run ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A run that may have been done before: which one it is, with what settings, and the work.

    Tasks of one group that are pending are done together, by one call: ``work(keys) -> list of
    dict``, where `work` is that of the first of them, and `keys` are those of all.
    """

    key: Mapping[str, Any]  # tells it from the others of the benchmark, as table, alpha and split
    settings: Mapping[str, Any]  # as JSON has it: all else that its result depends on
    work: Callable[..., Any]  # work() -> dict, the results; pickled if there are several jobs
    group: str | None = None

    @property
    def fingerprint(self) -> str:
        """Short hash of the settings."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def environment(device: str) -> dict[str, str]:
    """Tell what a run ran on: the device and the versions of the packages that matter."""
    on_cuda = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if on_cuda else platform.machine()
    versions = {package: _version(project) for package, project in PACKAGES.items()}
    return {"device": f"{device} ({name})", **versions}


def _version(project: str) -> str:
    """Version of an installed project; the checkout may be used without installing it."""
    try:
        return version(project)
    except ModuleNotFoundError:
        return "not installed"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: two that fight over two busy cores were ten times slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(n_threads)


def _group(tasks: Sequence[Task]) -> list[list[Task]]:
    """Put tasks of one group together, where the first of them was."""
    groups: dict[int | str, list[Task]] = {}
    for number, task in enumerate(tasks):
        groups.setdefault(number if task.group is None else task.group, []).append(task)
    return list(groups.values())


def _do(tasks: Sequence[Task]) -> list[tuple[Task, Mapping[str, Any]]]:
    """Do the work of a task, or of a group, here or in a process of its own."""
    work = tasks[0].work
    with one_thread():
        is_group = tasks[0].group is not None
        results = work([task.key for task in tasks]) if is_group else [work()]
    return list(zip(tasks, results, strict=True))


# -- the table ------------------------------------------------------------------------------------


class RunTable:
    """The CSV file of a benchmark; a killed benchmark goes on where it was.

    A row is written by one call and forced to the disk, so a kill loses at most the row that was
    being written: its line has no end, and is dropped when the file is opened next. Rows with
    other settings stay in the file; the column ``fingerprint`` tells them apart. The columns `key`
    tell one run from another. A file that is no such table is a ValueError.
    """

    def __init__(self, path: str | os.PathLike[str], key: Sequence[str]) -> None:
        self.path = Path(path)
        self.key = tuple(key)
        self.columns: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        """Read the rows that are whole; cut off a line that a kill left unfinished."""
        content = self.path.read_bytes()
        n_whole = content.rfind(b"\n") + 1
        if n_whole < len(content):
            os.truncate(self.path, n_whole)
        lines = list(csv.reader(io.StringIO(content[:n_whole].decode(), newline="")))
        if not lines:
            return
        self.columns, *rows = lines
        if missing := {*self.key, "fingerprint"} - set(self.columns):
            raise ValueError(
                f"{str(self.path)!r} must be a table of runs with the columns {sorted(missing)}; "
                f"got {self.columns}. Move it away, or choose another --out."
            )
        for number, row in enumerate(rows, start=2):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{str(self.path)!r} must have {len(self.columns)} fields a line; line "
                    f"{number} has {len(row)}. Delete that line to do its run again."
                )
            self.rows.append(dict(zip(self.columns, row, strict=True)))

    def _identity(self, values: Mapping[str, Any], fingerprint: str) -> tuple[str, ...]:
        """Collect what a run is found by."""
        return (*(_text(values[name]) for name in self.key), fingerprint)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a finished run to the file at once."""
        texts = {name: _text(value) for name, value in row.items()}
        if new := [name for name in texts if name not in self.columns]:
            self.columns += new
            self._rewrite()
        with self.path.open("ab", buffering=0) as file:
            file.write(_line([texts.get(name, "") for name in self.columns]))
            os.fsync(file.fileno())
        self.rows.append(texts)

    def _rewrite(self) -> None:
        """Write the file anew, with the columns there are now; at no time is it half written."""
        lines = [self.columns, *([row.get(name, "") for name in self.columns] for row in self.rows)]
        scratch = self.path.with_suffix(".tmp")
        scratch.write_bytes(b"".join(map(_line, lines)))
        os.replace(scratch, self.path)

    def pending(self, tasks: Sequence[Task]) -> list[Task]:
        """Tasks that have no finished run with the same key and settings."""
        done = {self._identity(row, row["fingerprint"]) for row in self.rows}
        return [task for task in tasks if self._identity(task.key, task.fingerprint) not in done]

    def find(self, task: Task) -> dict[str, str] | None:
        """Find the row of a finished run, its fields as they stand there; None if there is none."""
        wanted = self._identity(task.key, task.fingerprint)
        found = (row for row in self.rows if self._identity(row, row["fingerprint"]) == wanted)
        return next(found, None)

    def complete(
        self,
        tasks: Sequence[Task],
        *,
        n_jobs: int = 1,
        title: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Do what is pending, each run or group in one thread, and return the runs of all tasks.

        With one job it is this process that works. `title` stands beside the progress bar, on
        stderr; `extra`, such as the `environment`, goes into each row beside key and results.
        """
        pending = self.pending(tasks)
        if n_jobs == 1:
            finished = map(_do, _group(pending))
        else:
            parallel = Parallel(n_jobs=n_jobs, backend="loky", return_as="generator_unordered")
            finished = parallel(delayed(_do)(tasks) for tasks in _group(pending))
        n_done = len(tasks) - len(pending)
        with tqdm(total=len(tasks), initial=n_done, desc=title, unit="run") as bar:
            for task, results in itertools.chain.from_iterable(finished):
                row = {**task.key, **results, **(extra or {}), "fingerprint": task.fingerprint}
                self.append(row)
                bar.update()
        rows = {self._identity(row, row["fingerprint"]): row for row in self.rows}
        done = [rows[self._identity(task.key, task.fingerprint)] for task in tasks]
        columns = {name: _column([row.get(name, "") for row in done]) for name in self.columns}
        return pd.DataFrame(columns)


def _column(texts: Sequence[str]) -> list[int] | list[float] | list[str]:
    """Read the fields of a column: all whole numbers, else numbers (none: NaN), else words."""
    for read in (int, lambda text: float(text or "nan")):
        with suppress(ValueError):
            return [read(text) for text in texts]
    return list(texts)


def _text(value: Any) -> str:
    """Write a value as a field of the CSV file; floats keep all their digits."""
    if value is None:
        return ""
    text = repr(float(value)) if isinstance(value, float) else str(value)
    if "\n" in text or "\r" in text:
        raise ValueError(f"A field of a table of runs must be one line; got {text!r}.")
    return text


def _line(fields: Sequence[str]) -> bytes:
    """Write the fields as one line of CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(fields)
    return buffer.getvalue().encode()
