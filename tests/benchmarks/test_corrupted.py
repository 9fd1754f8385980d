"""Table 2: errors on kept and on replaced labels, the same labels for all, honest sentences."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks._data.pictures import find_in_memory
from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_table
from benchmarks._lab.pictures import ON_A_FAST_GPU, USUAL_PACE
from benchmarks._lab.runs import environment
from benchmarks.corrupted import EXPERIMENT, report, runs
from benchmarks.corrupted.recipes import METHODS, PAPER_GRID, TABLE_2, Grid, Method
from sklearn_mixup.robustness import corrupt_labels

PICTURES, TABLES = EXPERIMENT.scales["smoke"].values()
SMOKE = ["corrupted", "--scale", "smoke", "--device", "cpu", "--out"]


def plan(scale, title="digits"):
    """List the runs on pictures, of the digits under whatever title and number."""
    pictures = replace(find_in_memory("digits"), title=title, n_train=10_000, n_test=2_000)
    pictures = pictures.first(scale.n_rows)
    return runs.list_pictures(scale, pictures, versions=environment("cpu"), device="cpu")


def make_runs(last, *, data="cifar10", fraction=0.5, **columns) -> pd.DataFrame:
    """Make rows of finished runs: ``last[method, alpha, dropout]`` has an error for each seed."""
    rows = [
        {
            "data": data,
            "data_name": f"some {data}",
            "network": "a network",
            "fraction": fraction,
            "method": method,
            "alpha": alpha,
            "dropout": dropout,
            "max_epochs": 2,
            "seed": seed,
            "best_test_error": error / 2,
            "test_error": error,
            "real_error": 0.01,
            "corrupted_error": 0.02,
            "test_curve": str([error / 2, error]),
            "n_classes": 10,
            "n_train": 100,
            **columns,
        }
        for (method, alpha, dropout), errors in last.items()
        for seed, error in enumerate(errors)
    ]
    return pd.DataFrame(rows)


# -- the four errors ------------------------------------------------------------------------------


class Fixed:
    """A net that knows what to predict for each row: row i of X holds i."""

    def __init__(self, predicted):
        self.predicted = torch.as_tensor(predicted)

    def forward(self, X):
        return torch.nn.functional.one_hot(self.predicted[X], 10).float()


def test_a_net_that_knows_the_truth_errs_on_replaced_labels_only():
    truth = torch.arange(5000) % 10
    y, replaced = corrupt_labels(truth, 0.4, random_state=0)
    errors = runs.training_errors(Fixed(truth), torch.arange(5000), y, replaced)
    assert errors["n_replaced"] == 2000
    assert errors["real_error"] == 0
    # A label drawn from all ten classes is the true one in a tenth of the rows.
    assert errors["corrupted_error"] == pytest.approx(0.9, abs=4 * (0.09 / 2000) ** 0.5)


def test_a_net_that_has_memorised_errs_on_none():
    truth = torch.arange(500) % 10
    y, replaced = corrupt_labels(truth, 0.4, random_state=0)
    errors = runs.training_errors(Fixed(y), torch.arange(500), y, replaced)
    assert (errors["real_error"], errors["corrupted_error"]) == (0, 0)


def test_each_error_is_a_share_of_its_own_rows():
    y = torch.zeros(10, dtype=torch.long)
    replaced = np.arange(10) < 4
    predicted = [1, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    errors = runs.training_errors(Fixed(predicted), torch.arange(10), y, replaced)
    assert errors["corrupted_error"] == pytest.approx(1 / 4)
    assert errors["real_error"] == pytest.approx(3 / 6)


# -- runs -----------------------------------------------------------------------------------------


class WatchedError(Exception):
    """What a fit was given is known: there is no need to train."""


def given_to_fit(monkeypatch, tmp_path, method, *, fraction=0.5, seed=3, scale=PICTURES):
    """Find what a run on pictures trains and tests with."""
    found = SimpleNamespace()

    def spy(classifier, X, y, checkpoints, **options):
        found.classifier, found.X, found.y = classifier, X, y
        raise WatchedError

    monkeypatch.setattr(runs, "fit_resumable", spy)
    work = plan(scale)[0].work
    options = {**work.keywords, "checkpoints": tmp_path}
    key = dict(zip(runs.KEY, ("digits", "", fraction, *method, 2, seed), strict=True))
    with pytest.raises(WatchedError):
        work.func(*work.args[:2], key, **options)
    return found


def test_all_methods_of_a_seed_train_with_the_same_labels_and_test_with_true_ones(
    monkeypatch, tmp_path
):
    pictures = find_in_memory("digits").load("cpu")
    y, (X_test, y_test) = pictures.train[1], pictures.test
    expected, replaced = corrupt_labels(y, 0.5, random_state=3)
    for method in PICTURES.grid.methods():
        found = given_to_fit(monkeypatch, tmp_path, method)
        assert torch.equal(found.y, expected)
        assert torch.equal(found.y[~replaced], y[~replaced])
        assert found.classifier.alpha == method.alpha
        assert found.classifier.module__dropout == method.dropout
        assert "iterator_train__augment" not in found.classifier.get_params(deep=False)
        (watcher,) = (step for name, step in found.classifier.callbacks if name == "test_errors")
        assert torch.equal(watcher.y, y_test)
        assert torch.equal(watcher.X, X_test)
    other = given_to_fit(monkeypatch, tmp_path, Method("ERM", 0.0, 0.0), seed=4)
    assert not torch.equal(other.y, expected)


def test_nets_of_a_table_have_true_test_labels_and_those_of_their_split(monkeypatch):
    found = []

    def spy(classifiers, Xs, ys, *, n_jobs, on_epoch_end):
        found.extend(ys)
        watchers = on_epoch_end.__closure__[0].cell_contents
        found.append({split: watcher.y for split, watcher in watchers.items()})
        raise WatchedError

    monkeypatch.setattr(runs, "fit_fused", spy)
    nets = [
        dict(zip(runs.KEY, ("breast_cancer", "", 0.5, *method, 1, split), strict=True))
        for split in (0, 1)
        for method in TABLES.grid.methods()
    ]
    with pytest.raises(WatchedError):
        runs.run_tables(nets, n_rows=100, device="cpu", data_home=None)
    *ys, tests = found
    table = load_table("breast_cancer")
    for run, y in zip(nets, ys, strict=True):
        train, test = split_rows(table, run["seed"])
        expected, _ = corrupt_labels(table.y[train[:100]], 0.5, random_state=run["seed"])
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(tests[run["seed"]], table.y[test])


def test_the_paper_is_planned_as_it_stands():
    tasks = plan(EXPERIMENT.scales["paper"]["pictures"], "CIFAR-10")
    assert len(tasks) == 3 * (1 + 4 + 4 + 12)
    for task in tasks:
        recipe = task.settings["recipe"]
        told = ("max_epochs", "batch_size", "lr", "drops", "alpha")
        assert [recipe[name] for name in told] == [200, 128, 0.1, [100, 150], task.key["alpha"]]
        assert task.settings["augment"]
        assert task.settings["design"]  # as those of the other experiments with this network
        assert task.key["network"] == "PreAct ResNet-18"
    found = {name: {task.key[name] for task in tasks} for name in ("fraction", "alpha", "dropout")}
    assert found == {
        "fraction": {0.2, 0.5, 0.8},
        "alpha": {0, 1, 2, 4, 8, 32},
        "dropout": {0, 0.3, 0.5, 0.7, 0.8, 0.9},
    }


def test_a_gpu_has_the_papers_best_of_each_method_at_half_of_the_labels():
    scale = EXPERIMENT.scales["gpu"]["pictures"]
    tasks = plan(scale, "CIFAR-10")
    cells = {(task.key["method"], task.key["alpha"], task.key["dropout"]) for task in tasks}
    best = {
        (name, row.alpha, row.dropout) for (share, name), row in TABLE_2.items() if share == 0.5
    }
    assert cells == best
    assert len(tasks) == 4
    for task in tasks:
        assert (task.key["fraction"], task.key["max_epochs"]) == (0.5, 60)
        assert task.key["network"] == "PreAct ResNet-18"
        assert task.settings["recipe"]["drops"] == [30, 45]
        assert (task.settings["augment"], task.settings["data_name"]) == (True, "CIFAR-10")
        assert task.settings["precision"] == "auto"


def test_runs_compute_in_the_precision_of_their_scale(monkeypatch, tmp_path):
    for pace, precision in ((USUAL_PACE, "float32"), (ON_A_FAST_GPU, "auto")):
        scale = replace(PICTURES, pace=pace)
        found = given_to_fit(monkeypatch, tmp_path, Method("ERM", 0.0, 0.0), scale=scale)
        assert found.classifier.precision == precision


def test_published_rows_are_of_the_grids_but_for_one():
    cells = {tuple(method) for method in PAPER_GRID.methods()}
    outside = {
        place for place, row in TABLE_2.items() if (place[1], row.alpha, row.dropout) not in cells
    }
    assert outside == {(0.2, "mixup + dropout")}
    assert {place[1] for place in TABLE_2} == set(METHODS)
    # [1], Section 3.4: mixup reaches a lower training error on real labels than dropout.
    for fraction in (0.2, 0.5, 0.8):
        assert TABLE_2[fraction, "mixup"].real < TABLE_2[fraction, "dropout"].real


def test_small_repeats_the_half_three_times_and_compares_whole_seeds_first():
    scale, tables = EXPERIMENT.scales["small"].values()
    tasks = plan(scale, "a subset")
    places = [(task.key["seed"], task.key["fraction"]) for task in tasks]
    firsts = list(dict.fromkeys(places))
    assert firsts == [(0, 0.2), (0, 0.5), (0, 0.8), (1, 0.5), (2, 0.5)]
    assert all(places.count(place) == 4 for place in firsts)
    assert (scale.n_rows, scale.width, scale.max_epochs, scale.augment) == (4000, 16, 25, False)
    assert tasks[0].settings["data_name"] == "a subset; the first 4,000 to train on"
    assert tables.n_splits == 20


# -- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["corrupted", "corrupted_tables"])
def test_errors_are_those_of_the_curve_and_the_replaced_are_as_many_as_asked_for(stem, smoke_of):
    table = pd.read_csv(smoke_of("corrupted") / f"{stem}.csv")
    for name in report.MEASURES:
        assert table[name].between(0, 1).all()
    curves = [json.loads(text) for text in table["test_curve"]]
    np.testing.assert_allclose(table["test_error"], [curve[-1] for curve in curves], atol=1e-6)
    np.testing.assert_allclose(table["best_test_error"], [min(c) for c in curves], atol=1e-6)
    wanted = (table["fraction"] * table["n_train"]).round()
    np.testing.assert_array_equal(table["n_replaced"], wanted)
    assert set(table["method"]) == set(METHODS)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(
    smoke_of, tmp_path, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    options = [*SMOKE, str(tmp_path), "--parts", "pictures", "--fractions", "0.2"]
    with monkeypatch.context() as patch:
        patch.setattr(runs, "training_errors", killed)
        with pytest.raises(KeyboardInterrupt):
            main(options)
    checkpoints = tmp_path / "corrupted_checkpoints"
    (before,) = checkpoints.iterdir()
    one_table = ["--parts", "tables", "--fractions", "0.2", "--seeds", "1", "--fresh"]
    main([*SMOKE, str(tmp_path), *one_table])  # another part leaves it alone
    assert list(checkpoints.iterdir()) == [before]
    main(options)
    assert not checkpoints.exists()
    folders = tmp_path, smoke_of("corrupted")
    ours, whole = (pd.read_csv(folder / "corrupted.csv") for folder in folders)
    whole = whole[whole["fraction"] == 0.2].reset_index(drop=True)
    same = [*runs.KEY, *report.MEASURES, "test_curve", "n_replaced"]
    pd.testing.assert_frame_equal(ours[same], whole[same])


def test_options_take_the_place_of_the_grids(tmp_path):
    main(
        [
            *SMOKE,
            str(tmp_path),
            *("--parts", "tables", "--tables", "breast_cancer", "--epochs", "1", "--seeds", "1"),
            *("--fractions", "0.3", "--alphas", "0", "2", "4", "--dropouts", "0.25"),
        ]
    )
    table = pd.read_csv(tmp_path / "corrupted_tables.csv")
    cells = list(zip(table["method"], table["alpha"], table["dropout"], strict=True))
    assert cells == [tuple(m) for m in Grid((2, 4), (0.25,), (2, 4), (0.25,)).methods()]
    assert set(table["fraction"]) == {0.3}
    page = (tmp_path / "corrupted_tables.md").read_text(encoding="utf-8")
    assert "picked on the test set" in page


@pytest.mark.parametrize("fraction", ["0", "1", "-0.2", "nan"])
def test_some_labels_are_kept_and_some_replaced(fraction, capsys):
    with pytest.raises(SystemExit):
        main(["corrupted", "--fractions", fraction])
    assert "must be > 0 and < 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("part", "message"), [("pictures", "(?s)cifar.*--download gets it"), ("tables", "HTRU2")]
)
def test_missing_data_are_named_with_the_way_to_get_them(part, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main(["corrupted", "--parts", part, "--data-home", str(tmp_path), "--out", str(tmp_path)])


# -- the report -----------------------------------------------------------------------------------

FOUR = {
    ("ERM", 0.0, 0.0): [0.40, 0.44, 0.48],
    ("dropout", 0.0, 0.5): [0.41, 0.44, 0.47],
    ("mixup", 1.0, 0.0): [0.30, 0.35, 0.37],
    ("mixup + dropout", 1.0, 0.3): [0.50, 0.53, 0.59],
}


def test_difference_is_paired_by_seed_whatever_the_order():
    rows = make_runs(FOUR)
    for shuffled in (rows, rows.sample(frac=1, random_state=0)):
        found = report.compare(shuffled).set_index("method").loc["mixup"]
        assert found.difference == pytest.approx(-0.1)
        assert found.difference_se == pytest.approx(np.std([10, 9, 11], ddof=1) / 100 / 3**0.5)
        assert found.half_width == pytest.approx(4.3027 * found.difference_se, rel=1e-4)
    wider = report.compare(rows, test_share=TEST_SHARE).set_index("method").loc["mixup"]
    assert wider.half_width == pytest.approx(found.half_width * (1 + 3 / 4) ** 0.5)


def test_a_seed_without_its_pair_is_an_error():
    with pytest.raises(ValueError, match="Each seed must have a run for each setting, ERM"):
        report.compare(make_runs(FOUR).iloc[1:])


def test_sentence_puts_each_method_on_its_side():
    (sentence,) = report.conclude(report.compare(make_runs(FOUR)))
    below, above, same = re.search(r"points, (below.*); (above.*); (not told.*)", sentence).groups()
    assert "mixup (alpha 1) -10.00 ± 0.58" in below
    assert "mixup + dropout (alpha 1, p 0.3) +10.00" in above
    assert "dropout (p 0.5) +0.00" in same
    assert "22.0 % at best and 44.0 % at last" in sentence
    assert (
        "errs on 2.0 % of the replaced labels (a net that ignores them errs on 90.0 %)" in sentence
    )
    swapped = {
        cell: [0.88 - error for error in errors] if cell[0] != "ERM" else errors
        for cell, errors in FOUR.items()
    }
    (sentence,) = report.conclude(report.compare(make_runs(swapped)))
    assert "mixup (alpha 1)" in re.search("above it(.*?)(; not|$)", sentence)[1]


def test_one_seed_is_told_without_a_standard_error():
    one = {cell: errors[:1] for cell, errors in FOUR.items()}
    comparison = report.compare(make_runs(one))
    (sentence,) = report.conclude(comparison)
    assert "below it (one seed, no standard error): mixup (alpha 1) -10.00;" in sentence
    table = report.table_2(comparison)
    assert "±" not in table.to_string()


def test_best_of_a_grid_is_told_beside_all_of_it():
    rows = make_runs({**FOUR, ("mixup", 8.0, 0.0): [0.31, 0.30, 0.35]})
    comparison = report.compare(rows)
    picked = report.pick(comparison)
    assert picked.set_index("method").loc["mixup", "alpha"] == 8
    assert len(comparison) == 5
    assert "picked on the test set" in report.describe(rows, comparison)
    (sentence,) = report.conclude(comparison)
    assert "mixup (alpha 1)" in sentence
    assert "mixup (alpha 8)" in sentence
    four = make_runs(FOUR)
    assert "picked" not in report.describe(four, report.compare(four))


def test_table_has_the_papers_numbers_for_its_own_data_and_fractions_only():
    row = report.table_2(report.compare(make_runs(FOUR))).set_index("method")
    assert list(row.loc["ERM"].filter(like="paper")) == ["18.8", "44.6", "0.26", "0.64"]
    assert list(row.loc["mixup"].filter(like="paper")) == ["11.3", "12.7", "5.84", "85.71"]
    assert row.loc["mixup", "last - ERM"] == "-10.00 ± 0.58"
    assert row.loc["ERM", "last"] == "44.0 ± 2.3"
    other = report.table_2(report.compare(make_runs(FOUR, fraction=0.3)))
    assert set(other["paper last"]) == {""}
    tables = report.table_2(report.compare(make_runs(FOUR, data="htru2"), test_share=TEST_SHARE))
    assert not any("paper" in name for name in tables)
    assert set(tables["data"]) == {"HTRU2"}
