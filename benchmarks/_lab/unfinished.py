"""What there is to see of runs that are not finished: a page that is written while they go on."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.checkpoints import checkpoints_of
from benchmarks._lab.curves import draw_spread, prepare_axes
from benchmarks._lab.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    add_legend,
    new_figure,
)
from benchmarks._lab.outcome import Figure, Outcome, usual_page, write
from benchmarks._lab.runs import RunTable, Task
from benchmarks._lab.tell import listed, name_data, percent
from benchmarks._nets.training import N_LAST_EPOCHS, SO_FAR

EVERY_S = 30.0  # from one page to the next, which takes half a second
ENDING = "_unfinished"  # of the name of the page


def read_so_far(task: Task, folder: Path) -> dict[str, Any] | None:
    """Read what a run told after its last epoch, see `NoteSoFar`; None if it has not come so far.

    `folder` is that of the checkpoints of all runs.
    """
    try:
        text = (checkpoints_of(task, folder) / SO_FAR).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return json.loads(text)


def list_so_far(tasks: Sequence[Task], table: RunTable, folder: Path) -> pd.DataFrame:
    """List the runs that have at least an epoch, finished ones too, in the order of the tasks.

    The columns are the key and ``label``, what tells a run from the others in words; ``data_name``,
    ``curve``, the test error after each epoch, as a list, and ``minutes``.
    """
    rows = []
    for task in tasks:
        told = table.find(task) or read_so_far(task, folder)
        if not told or not told.get("test_curve"):
            continue
        seconds = sum(float(told.get(name) or 0) for name in ("fit_time_s", "test_time_s"))
        rows.append(
            {
                **task.key,
                "label": label(task, tasks),
                "data_name": task.settings.get("data_name", ""),
                "curve": json.loads(told["test_curve"]),
                "minutes": seconds / 60,
            }
        )
    return pd.DataFrame(rows)


def label(task: Task, tasks: Sequence[Task]) -> str:
    """Tell a run from the others by what they do not have in common.

    Examples
    --------
    >>> methods = ("ERM", 0.0), ("mixup", 1.0)
    >>> tasks = [Task({"method": m, "alpha": alpha, "seed": 3}, {}, dict) for m, alpha in methods]
    >>> [label(task, tasks) for task in tasks]
    ['ERM', 'mixup, alpha 1']
    """
    words = []
    for name, value in task.key.items():
        if len({other.key[name] for other in tasks}) == 1 or (name == "alpha" and not value):
            continue
        told = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(told if name in ("data", "network", "method") else f"{name} {told}")
    return ", ".join(words) or str(task.key.get("method", "the run"))


def tell_so_far(title: str, rows: pd.DataFrame, n_tasks: int, made: Mapping[str, str]) -> Outcome:
    """Tell what `list_so_far` gave, of so many tasks; `made` is the `environment`."""
    n_epochs = rows["curve"].map(len)
    are_done = n_epochs == rows["max_epochs"]
    going = [
        f"{row.label}: {len(row.curve)} of {row.max_epochs} epochs"
        for row in rows[~are_done].itertuples()
    ]
    names = name_data(rows)
    sentence = (
        f"{are_done.sum()} of {n_tasks} runs are finished. Cut off, or going on still: "
        f"{listed(going, '; ')}. Without an epoch yet: {n_tasks - len(rows)}. The same "
        "command goes on with them."
    )
    note = (
        f"Data: {names}. Test errors in %, measured after each epoch; nothing was chosen by them. "
        "One from before the last drop of the learning rate is none of a whole training."
    )
    table = pd.DataFrame(
        {
            "run": rows["label"],
            "epochs": [f"{n} of {of}" for n, of in zip(n_epochs, rows["max_epochs"], strict=True)],
            "best": [percent(min(curve)) for curve in rows["curve"]],
            "last": [percent(curve[-1]) for curve in rows["curve"]],
            f"median of last {N_LAST_EPOCHS}": [
                percent(np.median(curve[-N_LAST_EPOCHS:])) for curve in rows["curve"]
            ],
            "minutes": rows["minutes"].map("{:.1f}".format),
        }
    )
    head = f"{title}, not finished: {names}"
    figure = Figure(f"{title}{ENDING}.png", head, partial(plot_so_far, rows, head))
    return usual_page(head, made, [sentence], figure, [table], note)


def plot_so_far(rows: pd.DataFrame, title: str) -> Any:
    """Draw the test error over the epochs, a line for each run."""
    figure = new_figure(7.2, 4.6)
    ax = figure.subplots()
    prepare_axes(ax)
    colours = itertools.cycle((BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY))
    for row, colour in zip(rows.itertuples(), colours, strict=False):
        few = len(row.curve) <= 20
        style = {"color": colour, "linewidth": 1.4, "marker": "o" if few else "", "markersize": 3.5}
        draw_spread(ax, 100 * np.array([row.curve]), label=row.label, **style)
    ax.set_xlim(0.5, rows["max_epochs"].max() + 0.5)
    ax.set_ylabel("test error (%)")
    figure.suptitle(title, fontsize=11)
    add_legend(figure, ncols=min(len(rows), 3))
    return figure


@dataclass(frozen=True)
class SoFar:
    """The runs of a page while they go on: ``with so_far`` their page is kept up.

    A thread of this process writes it every now and then, so that it is there whatever ends the
    process, and once more if an error or Ctrl-C ends the runs. What goes wrong in it is printed:
    the runs go on.
    """

    stem: str  # of the page that they are for
    tasks: Sequence[Task]
    table: RunTable  # of those that are finished
    folder: Path  # of the checkpoints of all
    out: Path
    made: Mapping[str, str]  # the `environment`
    ended: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def going_on(self) -> list[str]:
        """Say which runs had begun before."""
        told = [(task, read_so_far(task, self.folder)) for task in self.table.pending(self.tasks)]
        return [
            f"{self.stem}, {label(task, self.tasks)}: goes on from its last checkpoint; "
            f"{len(json.loads(so_far['test_curve']))} epochs were done before."
            for task, so_far in told
            if so_far is not None
        ]

    def write(self) -> None:
        """Write the page, if a run has begun and not all are finished."""
        rows = list_so_far(self.tasks, self.table, self.folder)
        if rows.empty or not self.table.pending(self.tasks):
            return
        outcome = tell_so_far(self.stem, rows, len(self.tasks), self.made)
        # Each file is whole or not there, when the process is killed meanwhile.
        scratch = self.folder / "page"
        scratch.mkdir(parents=True, exist_ok=True)
        frames = [rows.assign(**self.made)]
        write(outcome, scratch, self.stem + ENDING, frames, self.made)
        for path in scratch.iterdir():
            os.replace(path, self.out / path.name)
        shutil.rmtree(scratch)

    def forget(self) -> None:
        """Remove the page: all runs are finished."""
        for path in self.out.glob(f"{self.stem}{ENDING}.*"):
            path.unlink()
        shutil.rmtree(self.folder / "page", ignore_errors=True)

    def __enter__(self) -> None:
        self.threads.append(threading.Thread(target=self._keep_up, daemon=True))
        self.threads[-1].start()

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self.ended.set()
        self.threads.pop().join()
        if kind is not None:
            self._try()

    def _keep_up(self) -> None:
        while not self.ended.wait(EVERY_S):
            self._try()

    def _try(self) -> None:
        try:
            self.write()
        except Exception as error:
            print(f"The page of the runs so far cannot be written: {error!r}", file=sys.stderr)
