"""The resumable table of runs, killed and damaged, and the statistics against their formulas."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from benchmarks.__main__ import main
from benchmarks._lab.runs import RunTable, Task, environment, one_thread
from benchmarks._lab.statistics import mean_and_standard_error, paired_difference

ROOT = Path(__file__).resolve().parents[2]
KEY = ("alpha", "split")


def measure(alpha: float, split: int, log: Path | None = None) -> dict:
    """Compute something that has many digits; leave a line in the log."""
    if log is not None:
        with log.open("a") as file:
            file.write(f"{alpha} {split}\n")
    return {"test_error": float(np.random.default_rng(split).random() * (1 + alpha))}


def make_tasks(n_splits: int = 3, log: Path | None = None, **settings) -> list[Task]:
    return [
        Task({"alpha": alpha, "split": split}, settings, partial(measure, alpha, split, log))
        for split in range(n_splits)
        for alpha in (0.0, 0.2)
    ]


# -- resuming ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_runs_are_returned_in_the_order_of_the_tasks(tmp_path, n_jobs):
    tasks = make_tasks()
    frame = RunTable(tmp_path / "runs.csv", KEY).complete(tasks, n_jobs=n_jobs)
    assert frame[["alpha", "split"]].to_dict("records") == [task.key for task in tasks]
    assert frame["test_error"].tolist() == [task.work()["test_error"] for task in tasks]


def test_finished_runs_are_not_done_again(tmp_path):
    log = tmp_path / "log"
    first = RunTable(tmp_path / "runs.csv", KEY).complete(make_tasks(2, log))
    assert len(log.read_text().splitlines()) == 4
    second = RunTable(tmp_path / "runs.csv", KEY).complete(make_tasks(3, log))
    assert log.read_text().splitlines()[4:] == ["0.0 2", "0.2 2"]
    pd.testing.assert_frame_equal(second[:4], first)


def measure_all(log: Path, keys: list) -> list[dict]:
    with log.open("a") as file:
        file.write(f"{[(key['alpha'], key['split']) for key in keys]}\n")
    return [measure(**key) for key in keys]


def make_groups(n_splits: int, log: Path) -> list[Task]:
    return [
        Task(task.key, task.settings, partial(measure_all, log), f"alpha {task.key['alpha']}")
        for task in make_tasks(n_splits)
    ]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_group_is_done_by_one_call_with_those_that_are_pending(tmp_path, n_jobs):
    log, table = tmp_path / "log", tmp_path / "runs.csv"
    RunTable(table, KEY).complete(make_groups(1, log), n_jobs=n_jobs)
    assert sorted(log.read_text().splitlines()) == ["[(0.0, 0)]", "[(0.2, 0)]"]
    log.unlink()
    frame = RunTable(table, KEY).complete(make_groups(3, log), n_jobs=n_jobs)
    assert sorted(log.read_text().splitlines()) == [
        "[(0.0, 1), (0.0, 2)]",
        "[(0.2, 1), (0.2, 2)]",
    ]
    alone = RunTable(tmp_path / "alone.csv", KEY).complete(make_tasks(3))
    pd.testing.assert_frame_equal(frame, alone)


def test_a_group_that_leaves_out_a_result_is_an_error(tmp_path):
    tasks = [Task({"alpha": 0.0, "split": i}, {}, lambda keys: [{}], "all") for i in range(2)]
    with pytest.raises(ValueError, match="shorter"):
        RunTable(tmp_path / "runs.csv", KEY).complete(tasks)


def test_other_settings_are_run_anew_and_kept_apart(tmp_path):
    log, table = tmp_path / "log", tmp_path / "runs.csv"
    RunTable(table, KEY).complete(make_tasks(1, log, lr=0.1))
    frame = RunTable(table, KEY).complete(make_tasks(1, log, lr=0.2))
    assert len(log.read_text().splitlines()) == 4
    assert len(frame) == 2
    assert len(RunTable(table, KEY).rows) == 4
    assert RunTable(table, KEY).pending(make_tasks(1, lr=0.1)) == []


@pytest.mark.parametrize("n_bytes_lost", [1, 2, 9, 30])
def test_a_torn_last_line_is_dropped_and_its_run_done_again(tmp_path, n_bytes_lost):
    table, tasks = tmp_path / "runs.csv", make_tasks()
    whole = RunTable(table, KEY).complete(tasks)
    content = table.read_bytes()
    table.write_bytes(content[:-n_bytes_lost])
    assert RunTable(table, KEY).pending(tasks) == tasks[-1:]
    pd.testing.assert_frame_equal(RunTable(table, KEY).complete(tasks), whole)
    assert table.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"alpha,spl"])
def test_a_file_killed_within_its_header_starts_over(tmp_path, content):
    table = tmp_path / "runs.csv"
    table.write_bytes(content)
    assert len(RunTable(table, KEY).complete(make_tasks())) == 6
    assert table.read_bytes().startswith(b"alpha,split,test_error")


def test_a_failed_run_leaves_those_before_it(tmp_path):
    def fail():
        raise ZeroDivisionError

    tasks = make_tasks(1)
    broken = Task({"alpha": 1.0, "split": 0}, {}, fail)
    with pytest.raises(ZeroDivisionError):
        RunTable(tmp_path / "runs.csv", KEY).complete([*tasks, broken])
    assert RunTable(tmp_path / "runs.csv", KEY).pending([*tasks, broken]) == [broken]


def test_a_new_column_leaves_old_rows_empty_there(tmp_path):
    table = RunTable(tmp_path / "runs.csv", KEY)
    table.append({"alpha": 0.0, "split": 0, "fingerprint": "a", "error": 0.1})
    table.append({"alpha": 0.0, "split": 1, "fingerprint": "a", "chosen": '{"alpha": 1, "p": 2}'})
    lines = (tmp_path / "runs.csv").read_text().splitlines()
    assert lines[:2] == ["alpha,split,fingerprint,error,chosen", "0.0,0,a,0.1,"]
    assert RunTable(tmp_path / "runs.csv", KEY).rows[1]["chosen"] == '{"alpha": 1, "p": 2}'
    assert list(tmp_path.iterdir()) == [tmp_path / "runs.csv"]


def test_a_file_that_is_no_table_of_runs_is_an_error_and_stays(tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"runs\.csv.*columns \['alpha', 'fingerprint', 'split'\]"):
        RunTable(table, KEY)
    assert table.read_text() == "a,b\n1,2\n"


def test_a_damaged_line_is_an_error_that_names_it(tmp_path):
    table = tmp_path / "runs.csv"
    RunTable(table, KEY).complete(make_tasks())
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], lines[2][:5], *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match="line 3 has 2"):
        RunTable(table, KEY)


def test_a_value_of_two_lines_is_refused(tmp_path):
    table = RunTable(tmp_path / "runs.csv", KEY)
    with pytest.raises(ValueError, match="must be one line; got 'a\\\\nb'"):
        table.append({"alpha": 0.0, "split": 0, "fingerprint": "a\nb"})


def wait_for(condition, process) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_killed_benchmark_goes_on_where_it_was(tmp_path):
    options = ["tabular", "--scale", "smoke", "--seeds", "12", "--data-home", str(tmp_path)]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed_csv = killed / "tabular.csv"

    def n_lines() -> int:
        return killed_csv.read_bytes().count(b"\n") if killed_csv.exists() else 0

    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *options, "--out", str(killed)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        wait_for(lambda: n_lines() >= 5, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    before = killed_csv.read_bytes()
    n_before = n_lines() - 1
    assert 4 <= n_before < 48
    assert not (killed / "tabular.md").exists()

    main([*options, "--out", str(killed)])
    main([*options, "--out", str(whole)])
    assert killed_csv.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    resumed, uninterrupted = (pd.read_csv(out / "tabular.csv") for out in (killed, whole))
    assert len(resumed) == 48
    pd.testing.assert_frame_equal(
        resumed.drop(columns="fit_time_s"), uninterrupted.drop(columns="fit_time_s")
    )
    assert (killed / "tabular.md").read_text() == (whole / "tabular.md").read_text()


# -- what a run is done with --------------------------------------------------------------------


def test_fingerprint_depends_on_settings_and_not_on_their_order():
    one, same, other = (
        Task({}, settings, dict) for settings in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1})
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_every_run_has_one_thread(tmp_path):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        for n_jobs in (1, 2):
            tasks = [Task({"alpha": 0, "split": i}, {}, count_threads) for i in range(2)]
            frame = RunTable(tmp_path / f"{n_jobs}.csv", KEY).complete(tasks, n_jobs=n_jobs)
            assert frame["n_threads"].tolist() == [1, 1]
    finally:
        torch.set_num_threads(n_threads)


def count_threads() -> dict:
    return {"n_threads": torch.get_num_threads()}


def test_environment_tells_device_and_versions():
    found = environment("cpu")
    assert found["device"].startswith("cpu (")
    # The version of the wheel may leave out the build, as in 2.4.0 for 2.4.0+cu121.
    assert torch.__version__.startswith(found["torch"])
    assert {"sklearn_mixup", "sklearn", "skorch"} <= found.keys()


# -- statistics ---------------------------------------------------------------------------------


def test_standard_error_is_scipys():
    values = np.random.default_rng(0).random(7)
    mean, error = mean_and_standard_error(values)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(stats.sem(values))


def test_standard_error_of_one_value_is_unknown():
    mean, error = mean_and_standard_error([0.25])
    assert mean == 0.25
    assert np.isnan(error)


def test_corrected_t_test_is_the_formula_of_nadeau_and_bengio():
    rng = np.random.default_rng(0)
    a, b = rng.random(6), rng.random(6)
    found = paired_difference(a, b, test_share=0.25)
    x = a - b
    # J = 6 splits, n2 / n1 = 1 / 3; Student's t with J - 1 degrees of freedom.
    variance = sum((x - sum(x) / 6) ** 2) / 5
    t = (sum(x) / 6) / np.sqrt((1 / 6 + 1 / 3) * variance)
    assert found.p_corrected == pytest.approx(2 * stats.t.cdf(-abs(t), df=5))
    assert found.half_width == pytest.approx(abs(sum(x) / 6 / t) * stats.t.ppf(0.975, df=5))
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.p_corrected > found.p_value


def test_corrected_t_test_without_overlap_is_the_ordinary_one():
    a, b = np.random.default_rng(1).random((2, 9))
    found = paired_difference(a, b, test_share=1e-12)
    assert found.p_corrected == pytest.approx(found.p_value)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 8) * stats.sem(a - b))


def test_ordinary_t_test_is_too_sure_of_itself_on_random_splits():
    # Two methods that are equally good: each row is right or wrong by a coin for each of them.
    rng = np.random.default_rng(0)
    p_values, p_corrected = [], []
    for _ in range(300):
        differences = rng.normal(size=100)  # error of a - error of b, on each row
        splits = [rng.permutation(100)[:20] for _ in range(15)]
        a = np.array([differences[test].mean() for test in splits])
        found = paired_difference(a, np.zeros(15), test_share=0.2)
        p_values.append(found.p_value)
        p_corrected.append(found.p_corrected)
    assert np.mean(np.array(p_values) < 0.05) > 0.15
    assert np.mean(np.array(p_corrected) < 0.05) < 0.1


@pytest.mark.parametrize(("shift", "p_value"), [(0.0, 1.0), (0.1, 0.0)])
def test_differences_without_spread_need_no_division_by_zero(shift, p_value):
    b = np.array([0.1, 0.3, 0.7])
    found = paired_difference(b + shift, b, test_share=0.2)
    assert (found.p_value, found.p_corrected, found.half_width) == (p_value, p_value, 0)
    assert found.mean == pytest.approx(shift)


def test_one_split_has_a_difference_and_no_p_value():
    found = paired_difference([0.3], [0.2], test_share=0.2)
    assert found.mean == pytest.approx(0.1)
    assert np.isnan([found.p_value, found.p_corrected, found.half_width]).all()
