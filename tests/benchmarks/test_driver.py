"""The one driver, on an experiment that is made up: what it does, and what stays."""

import argparse
import json
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from benchmarks._lab import unfinished
from benchmarks._lab.driver import drive
from benchmarks._lab.experiment import Experiment, Part
from benchmarks._lab.outcome import Conclusions, Figure, Outcome, load
from benchmarks._lab.runs import RunTable, Task, environment
from benchmarks._nets.training import SO_FAR

DONE: list = []  # the runs that were done, and what else happened


def work(seed: int, checkpoints: Path | None = None) -> dict:
    if checkpoints is not None:
        checkpoints.mkdir(parents=True)
        (checkpoints / "epoch").touch()
    DONE.append(seed)
    return {"error": seed / 10}


def make_tasks(seeds) -> list[Task]:
    return [Task({"seed": seed}, {"lr": 0.1}, partial(work, seed)) for seed in seeds]


def tell(*frames: pd.DataFrame) -> Outcome:
    told = " and ".join(str(frame["seed"].tolist()) for frame in frames)
    return Outcome("Made up", [Conclusions([told])])


def make(*parts: Part, plan=None) -> Experiment:
    return Experiment(
        name="made_up",
        paper=None,
        title="Made up",
        question="Does it run?",
        small_takes="no time",
        doc="Made up. Not in [1].",
        scales={"small": None},
        options=lambda parser: None,
        plan=plan or (lambda request: parts),
    )


@pytest.fixture
def run(tmp_path):
    """Drive an experiment in a folder; give what was done."""

    def start(experiment: Experiment, **options) -> list:
        DONE.clear()
        common = {"scale": None, "seeds": None, "jobs": 1, "device": "cpu", "fresh": False}
        drive(experiment, argparse.Namespace(**{**common, "out": tmp_path, **options}))
        return list(DONE)

    return start


def test_what_is_finished_stays_and_fresh_does_it_again(run, tmp_path):
    few = make(Part("made_up", ("seed",), {"": make_tasks(range(2))}, tell))
    more = make(Part("made_up", ("seed",), {"": make_tasks(range(3))}, tell))
    assert run(few) == [0, 1]
    assert run(more) == [2]
    assert load(tmp_path / "made_up.json").outcome.conclusions == ["[0, 1, 2]"]
    assert run(more, fresh=True) == [0, 1, 2]


def test_nothing_is_forgotten_where_the_plan_is_refused(run, tmp_path):
    def refuse(request):
        raise SystemExit("no data")

    run(make(Part("made_up", ("seed",), {"": make_tasks([0])}, tell)))
    before = (tmp_path / "made_up.csv").read_bytes()
    with pytest.raises(SystemExit, match="no data"):
        run(make(plan=refuse), fresh=True)
    assert (tmp_path / "made_up.csv").read_bytes() == before


def test_lists_of_tasks_are_told_apart_and_kept_in_one_table(run, tmp_path):
    lists = {"": make_tasks([0]), "tuned": make_tasks([1, 2])}
    assert run(make(Part("made_up", ("seed",), lists, tell))) == [0, 1, 2]
    saved = load(tmp_path / "made_up.json")
    assert saved.outcome.conclusions == ["[0] and [1, 2]"]
    assert saved.n_runs == 3
    assert len(pd.read_csv(tmp_path / "made_up.csv")) == 3


def test_parts_may_share_a_table_and_what_one_did_the_other_does_not(run, tmp_path):
    first = Part("made_up", ("seed",), {"": make_tasks([0, 1])}, tell)
    second = Part("made_up_more", ("seed",), {"": make_tasks([1, 2])}, tell, table="made_up")
    assert run(make(first, second)) == [0, 1, 2]
    names = {"made_up.csv", "made_up.md", "made_up.json", "made_up_more.md", "made_up_more.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_checkpoints_go_with_their_run_and_stay_with_one_that_is_killed(run, tmp_path):
    def be_killed(checkpoints):
        work(1, checkpoints)
        raise KeyboardInterrupt

    killed = [*make_tasks([0]), Task({"seed": 1}, {}, be_killed)]
    part = partial(Part, "made_up", ("seed",), tell=tell, checkpoints=True)
    with pytest.raises(KeyboardInterrupt):
        run(make(part(tasks={"": killed})))
    folder = tmp_path / "made_up_checkpoints"
    assert any(folder.glob("1-*/epoch"))
    assert run(make(part(tasks={"": make_tasks([2])}))) == [2]
    assert any(folder.glob("1-*/epoch"))  # of another run
    assert not any(folder.glob("2-*"))
    run(make(part(tasks={"": make_tasks([2])})), fresh=True)
    assert not folder.exists()


def note_and_die(checkpoints):
    """Take an epoch of four, and be killed."""
    checkpoints.mkdir(parents=True)
    told = {"test_curve": "[0.75, 0.5]", "fit_time_s": 90.0, "test_time_s": 30.0}
    (checkpoints / SO_FAR).write_text(json.dumps(told), encoding="utf-8")
    raise KeyboardInterrupt


def make_trainings(killed) -> Part:
    """Two runs of four epochs of pictures that have a name; the second is killed, or done."""
    done = {"test_curve": "[0.8, 0.6, 0.4, 0.5]", "fit_time_s": 60.0}
    tasks = [
        Task(
            {"method": method, "max_epochs": 4},
            {"data_name": "Some, recompressed"},
            note_and_die if killed and method == "mixup" else lambda checkpoints: done,
        )
        for method in ("ERM", "mixup")
    ]
    return Part(
        "made_up", ("method", "max_epochs"), {"": tasks}, lambda _: tell(), checkpoints=True
    )


def test_runs_that_are_cut_off_still_show_how_far_they_got(run, tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        run(make(make_trainings(killed=True)))
    saved = load(tmp_path / "made_up_unfinished.json")
    outcome = saved.outcome
    assert outcome.title == "made_up, not finished: Some, recompressed"
    assert outcome.conclusions == [
        "1 of 2 runs are finished. Cut off, or going on still: mixup: 2 of 4 epochs. Without an "
        "epoch yet: 0. The same command goes on with them."
    ]
    (table,) = outcome.tables
    assert table.to_numpy().tolist() == [
        ["ERM", "4 of 4", "40.0", "50.0", "55.0", "1.0"],
        ["mixup", "2 of 4", "50.0", "50.0", "62.5", "2.0"],
    ]
    assert (tmp_path / outcome.figures[0].file).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "made_up_unfinished.md").exists()
    assert not (tmp_path / "made_up.md").exists()
    assert saved.versions.keys() == environment("cpu").keys()
    capsys.readouterr()

    run(make(make_trainings(killed=False)))
    told = capsys.readouterr().out
    assert "made_up, mixup: goes on from its last checkpoint; 2 epochs were done before." in told
    assert {path.name for path in tmp_path.iterdir()} == {
        *("made_up.csv", "made_up.md", "made_up.json")
    }


def test_the_page_of_runs_that_go_on_is_there_before_anything_ends_them(run, tmp_path, monkeypatch):
    """A process that is killed has no time to write it."""
    monkeypatch.setattr(unfinished, "EVERY_S", 0.01)
    page = tmp_path / "made_up_unfinished.md"

    def wait_for_the_page(checkpoints):
        with suppress(KeyboardInterrupt):
            note_and_die(checkpoints)
        deadline = time.monotonic() + 60
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        DONE.append(page.read_text(encoding="utf-8"))
        return {}

    task = Task({"method": "ERM", "max_epochs": 4}, {}, wait_for_the_page)
    part = Part("made_up", ("method",), {"": [task]}, lambda _: tell(), checkpoints=True)
    (told,) = run(make(part))
    assert "ERM: 2 of 4 epochs" in told
    assert not page.exists()


def test_a_page_so_far_that_cannot_be_written_stops_no_run(run, monkeypatch, capsys):
    monkeypatch.setattr(unfinished, "tell_so_far", lambda *args: 1 / 0)
    with pytest.raises(KeyboardInterrupt):
        run(make(make_trainings(killed=True)))
    assert "cannot be written: ZeroDivisionError" in capsys.readouterr().err


def test_it_prepares_with_what_is_pending_before_the_first_run(run):
    def prepare(pending):
        DONE.append([task.key["seed"] for task in pending])

    part = partial(Part, "made_up", ("seed",), tell=tell, prepare=prepare)
    assert run(make(part(tasks={"": make_tasks([0]), "more": make_tasks([1])}))) == [[0, 1], 0, 1]
    assert run(make(part(tasks={"": make_tasks([0, 2])}))) == [[2], 2]


def test_a_dry_run_tells_and_leaves_nothing(run, tmp_path, capsys):
    told = Part("made_up", ("seed",), {"": make_tasks([0])}, tell, dry_run=lambda: print("1 run"))
    silent = Part("made_up_more", ("seed",), {"": make_tasks([0])}, tell)
    assert run(make(told, silent), dry_run=True) == []
    assert capsys.readouterr().out == "1 run\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("one_by_one", "n_jobs"), [(False, 3), (True, 1)])
def test_times_are_taken_one_by_one(run, monkeypatch, one_by_one, n_jobs):
    given = []
    complete = RunTable.complete

    def spy(self, tasks, **options):
        given.append(options["n_jobs"])
        return complete(self, tasks, **{**options, "n_jobs": 1})

    monkeypatch.setattr(RunTable, "complete", spy)
    tasks = {"": make_tasks([0])}
    run(make(Part("made_up", ("seed",), tasks, tell, one_by_one=one_by_one)), jobs=3)
    assert given == [n_jobs]


def test_it_says_which_files_it_wrote(run, tmp_path, capsys):
    figure = Figure("made_up.png", "Nothing", lambda: Drawing(figsize=(1, 1)))
    part = Part("made_up", ("seed",), {"": make_tasks([0])}, lambda _: Outcome("It", [figure]))
    run(make(part))
    paths = [tmp_path / f"made_up.{ending}" for ending in ("csv", "md", "png")]
    assert f"Written: {', '.join(map(str, paths))}\n" in capsys.readouterr().out
    assert all(path.exists() for path in paths)


def test_what_depends_on_a_folder_has_it_until_all_is_told(run):
    def plan(request):
        request.stack.callback(DONE.append, "closed")
        return [
            Part("made_up", ("seed",), {"": make_tasks([0])}, lambda runs: tell_late(runs)),
        ]

    def tell_late(runs):
        DONE.append("told")
        return tell(runs)

    assert run(make(plan=plan)) == [0, "told", "closed"]
