"""The one driver: it plans an experiment, does the runs that are missing, tells and writes."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks._lab.checkpoints import forget_checkpoints, with_checkpoints
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.outcome import print_outcome, write
from benchmarks._lab.runs import RunTable, Task, environment
from benchmarks._lab.tell import written
from benchmarks._lab.unfinished import SoFar


def drive(experiment: Experiment, args: argparse.Namespace) -> None:
    """Run an experiment as the options say: what is finished stays, what is missing is done."""
    with ExitStack() as stack:
        device = experiment.device(args.device)
        scale = experiment.scale(args.scale)
        request = Request(args, scale, device, environment(device), stack)
        parts = experiment.plan(request)
        if getattr(args, "dry_run", False):
            for part in parts:
                if part.dry_run is not None:
                    part.dry_run()
            return
        if args.fresh:
            _forget(parts, args.out, experiment.name)
        for part in parts:
            _run_part(part, request, experiment.name)


def _forget(parts: Sequence[Part], out: Path, name: str) -> None:
    """Forget the finished runs, and what is left of those that were killed."""
    for part in parts:
        (out / f"{part.table or part.stem}.csv").unlink(missing_ok=True)
    if any(part.checkpoints or part.prepare for part in parts):
        shutil.rmtree(out / f"{name}_checkpoints", ignore_errors=True)


def _run_part(part: Part, request: Request, name: str) -> None:
    """Do the runs of a part that are missing, and write its page and figures."""
    out: Path = request.args.out
    path = out / f"{part.table or part.stem}.csv"
    table = RunTable(path, part.key)
    if part.prepare is not None:
        part.prepare(table.pending([task for tasks in part.tasks.values() for task in tasks]))
    n_jobs = 1 if part.one_by_one else request.args.jobs
    frames = []
    for words, tasks in part.tasks.items():
        title = f"{part.stem}, {words}" if words else part.stem
        complete = partial(table.complete, n_jobs=n_jobs, title=title, extra=request.versions)
        if part.checkpoints:
            folder = out / f"{name}_checkpoints"
            so_far = SoFar(part.stem, tasks, table, folder, out, request.versions)
            frames.append(_go_on(so_far, complete))
        else:
            frames.append(complete(tasks))
    outcome = part.tell(*frames)
    files = write(outcome, out, part.stem, frames, request.versions)
    print_outcome(outcome)
    print(f"\n{written(path, *files)}")


def _go_on(so_far: SoFar, complete: Callable[[Sequence[Task]], pd.DataFrame]) -> pd.DataFrame:
    """Do runs that go on from their checkpoints; while they do, what they told is kept up."""
    tasks, folder = so_far.tasks, so_far.folder
    pending = {id(task) for task in so_far.table.pending(tasks)}
    forget_checkpoints(folder, [task for task in tasks if id(task) not in pending])
    for line in so_far.going_on():
        print(line)
    with so_far:
        frame = complete([with_checkpoints(task, folder) for task in tasks])
    so_far.forget()
    forget_checkpoints(folder, tasks)
    return frame
