"""Vicinities: what is mixed with what, the plan, comparisons with known answers, sentences."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from benchmarks._data.pictures import find_in_memory
from benchmarks._lab.changes.compare import UNITS, compare, compare_by_table
from benchmarks._lab.methods.statistics import detectable
from benchmarks._lab.pictures import train
from benchmarks._lab.runs import environment
from benchmarks.vicinities import EXPERIMENT, figures, report
from benchmarks.vicinities.recipes import CHANGES, ON_PICTURES, ON_TABLES
from benchmarks.vicinities.runs import PictureScale, TableScale, list_pictures, list_tables
from sklearn_mixup import MixupClassifier

# -- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ON_TABLES | ON_PICTURES)
def test_rows_are_drawn_as_their_way_mixes_them(name):
    vicinity = (ON_TABLES | ON_PICTURES)[name]
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(3, (40,), generator=rng)
    X = torch.rand(40, 1, 6, 6, generator=rng) + 10 * y.view(-1, 1, 1, 1)
    lam = torch.full((40,), 0.7)
    X_mixed, partner, weight = figures.mix_by(vicinity, X, y, lam, seed=0)
    same = y == y[partner]
    if name == "erm":
        assert torch.equal(X_mixed, X)
        assert (weight == 1).all()
    elif name == "cutmix":
        own = (X_mixed == X).double().mean((1, 2, 3))
        others = partner != torch.arange(40)
        torch.testing.assert_close(own[others], weight.double()[others])
    else:
        torch.testing.assert_close(X_mixed, 0.7 * X + 0.3 * X[partner])
        assert (weight == (1.0 if name == "input" else lam)).all()
    # All rows of a class are nearer to each other than to others.
    stays = {"same_class": 1, "nearest": 1, "different_class": 0}
    assert same.double().mean() == stays.get(name, pytest.approx(1 / 3, abs=0.2))


def test_a_target_is_told_by_the_classes_that_it_has():
    tell = figures._tell_target
    assert tell("cat", "dog", 0.75) == "0.75 cat\n+ 0.25 dog"
    assert tell("cat", "cat", 0.75) == "cat"
    assert (tell("cat", "dog", 1.0), tell("cat", "dog", 0.0)) == ("cat", "dog")


# -- the plan -------------------------------------------------------------------------------------


def test_the_plan_has_each_run_once_and_few_splits_at_once():
    scale = TableScale(6, {"wine": 2}, ("iris", "wine"), 1)
    tasks = list_tables(scale, device="cpu", versions=environment("cpu"), data_home=None)
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys.drop_duplicates()) == len(keys) == (6 + 2) * len(ON_TABLES)
    groups = keys.groupby([task.group for task in tasks])
    assert (groups["variant"].nunique() == len(ON_TABLES)).all()
    assert groups["split"].nunique().max() == 5
    settings = {repr(task.settings["params"]) for task in tasks}
    assert len(settings) == len(ON_TABLES)


def test_pictures_differ_in_what_is_said_and_go_seed_by_seed():
    pictures = find_in_memory("digits")
    scale = PictureScale(2, "digits", 4, 2)
    tasks = list_pictures(scale, pictures, device="cpu", versions=environment("cpu"))
    assert [task.key["seed"] for task in tasks] == [0] * len(ON_PICTURES) + [1] * len(ON_PICTURES)
    first = tasks[: len(ON_PICTURES)]
    assert len({task.fingerprint for task in first}) == len(first)
    methods = {task.key["method"]: task for task in first}
    assert [*methods] == [vicinity.title for vicinity in ON_PICTURES.values()]
    assert {name: task.key["alpha"] for name, task in methods.items() if name != "ERM"} == (
        dict.fromkeys(methods.keys() - {"ERM"}, 1.0)
    )
    assert methods["ERM"].key["alpha"] == 0
    # Runs of mixup and ERM are those of the benchmark cifar.
    assert not {"params"} & (methods["ERM"].settings.keys() | methods["mixup"].settings.keys())


def test_a_net_on_pictures_is_given_what_its_way_needs(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "benchmarks._lab.pictures.fit_resumable", lambda net, *args, **more: given.append(net) or {}
    )
    scale = PictureScale(1, "digits", 4, 2)
    versions = environment("cpu")
    for task in list_pictures(scale, find_in_memory("digits"), device="cpu", versions=versions):
        work = task.work.keywords
        train(work["training"], work["alpha"], 0, device="cpu", checkpoints=tmp_path)
    default = MixupClassifier()
    for net, vicinity in zip(given, ON_PICTURES.values(), strict=True):
        told = {"alpha": 1.0} | vicinity.params
        for name in ("alpha", "vicinity", "pairs", "mix_at", "erm_weight"):
            assert getattr(net, name) == told.get(name, getattr(default, name))


def test_the_scale_of_a_gpu_is_ten_minutes_at_35_000_pictures_a_second():
    scale = EXPERIMENT.scales["gpu"]["pictures"]
    passes = sum(2 if "erm_weight" in it.params else 1 for it in ON_PICTURES.values())
    assert scale.n_seeds * passes * scale.max_epochs * 50_000 / 35_000 < 600


# -- tables ---------------------------------------------------------------------------------------


def make_runs(effects: dict[str, float], *, spread: float = 1e-4) -> pd.DataFrame:
    """Make up runs on four tables: a way is by its effect above mixup, but for noise."""
    rng = np.random.default_rng(0)
    rows = []
    for table in ("iris", "wine", "digits", "abalone"):
        for split in range(5):
            for name in ON_TABLES:
                noise = spread * rng.normal() if name != "reference" else 0
                value = 0.3 + effects.get(name, 0) + noise
                rows.append({"table": table, "variant": name, "split": split})
                rows[-1] |= dict.fromkeys(UNITS, value)
    return pd.DataFrame(rows)


def compare_made_up(runs: pd.DataFrame) -> pd.DataFrame:
    return compare(compare_by_table(report.set_beside_both(runs), CHANGES, list(UNITS)))


def test_each_is_set_beside_mixup_and_beside_erm():
    comparison = compare_made_up(make_runs({"erm": 0.02, "input": 0.03}))
    found = comparison[comparison["measure"] == "brier"].set_index("variant")["difference"]
    assert found["input"] == pytest.approx(0.03, abs=1e-4)
    assert found["input less erm"] == pytest.approx(0.01, abs=1e-4)
    assert found["reference less erm"] == pytest.approx(-0.02, abs=1e-4)
    assert len(found) == 2 * (len(ON_TABLES) - 1)


def test_sentences_name_what_holm_leaves_and_what_would_be_found():
    effects = {"same_class": -0.02, "erm": 0.02}
    runs = make_runs(effects)
    comparison = compare_made_up(runs)
    sentences = report.conclude(comparison, CHANGES)
    assert len(sentences) == 2 * len(UNITS)
    n_ways = len(ON_TABLES) - 1
    beside_mixup, beside_erm = sentences[0], sentences[len(UNITS)]
    assert beside_mixup.startswith(f"Test error less that of {ON_TABLES['reference'].change}")
    lower, higher = beside_mixup.partition("; higher: ")[::2]
    assert f"correction for {n_ways}: partner of the same class (-2.00 ± 0.00, p = 0.001)" in lower
    assert higher.startswith("ERM, nothing mixed (+2.00 ± ")
    assert beside_erm.count("(-2.0") == n_ways - 1  # all but those of the same class: they are at 4
    assert "partner of the same class (-4.0" in beside_erm
    rows = comparison[comparison["measure"] == "test_error"]
    beside = rows["variant"].map(lambda name: CHANGES[name].beside)
    errors = rows.loc[beside == "reference", "error"]
    least, most = (100 * detectable(error, 4) for error in (errors.min(), errors.max()))
    assert f"difference of {least:.2f} to {most:.2f} points" in beside_mixup


def test_tables_are_named_where_their_splits_tell_them_apart():
    runs = make_runs({}, spread=0.01)
    is_wine = (runs["variant"] == "input") & (runs["table"] == "wine")
    runs.loc[is_wine, "log_loss"] = 0.2 + 1e-3 * runs.loc[is_wine, "split"]
    is_iris = (runs["variant"] == "input") & (runs["table"] == "iris")
    runs.loc[is_iris, "log_loss"] = 0.4 + 1e-3 * runs.loc[is_iris, "split"]
    by_table = compare_by_table(report.set_beside_both(runs), CHANGES, list(UNITS))
    rows = report.where_table(by_table)
    row = (
        rows[rows["beside"] == "mixup"].set_index("what is changed").loc[ON_TABLES["input"].change]
    )
    assert row["log-loss clearly lower"] == "Wine"
    assert row["log-loss clearly higher"] == "Iris"
    assert row["log-loss lower on"] in {"1 of 4", "2 of 4", "3 of 4"}
    assert (row["test error clearly lower"], row["test error clearly higher"]) == ("none", "none")
    assert len(rows) == 2 * (len(ON_TABLES) - 1)


def test_one_of_many_that_is_low_by_chance_is_not_told():
    """Alone it would be, at p = 0.02; among seven it is not."""
    rows = [
        {"measure": "test_error", "variant": name, "n_tables": 20, "difference": -0.01}
        | {"error": 0.01, "p_value": 0.02 if name == "input" else 0.5}
        for name in CHANGES
        if CHANGES[name].beside == "reference" and name != "reference"
    ]
    (sentence,) = report.conclude(pd.DataFrame(rows), CHANGES)
    assert "correction for 7: none; higher: none" in sentence


# -- pictures -------------------------------------------------------------------------------------


def make_pictures(errors: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"method": method, "seed": seed, "test_error": error, "test_error_median": error}
        | {"n_train": 1000, "max_epochs": 2, "fit_time_s": 10.0, "test_time_s": 1.0}
        | {"data_name": "CIFAR-10", "network": "PreAct ResNet-18", "alpha": float(method != "ERM")}
        | {"test_curve": f"[0.9, {error}]"}
        for method, values in errors.items()
        for seed, error in enumerate(values)
    )


THREE = {"mixup": [0.30, 0.32, 0.31], "ERM": [0.40, 0.41, 0.43], "CutMix": [0.28, 0.31, 0.31]}


def test_pictures_are_paired_by_seed():
    rows = report.compare_pictures(make_pictures(THREE).sample(frac=1, random_state=0))
    row = rows.set_index(["method", "other"]).loc[("CutMix", "mixup")]
    differences = np.subtract(THREE["CutMix"], THREE["mixup"])
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["difference_se"] == pytest.approx(stats.sem(differences))
    alone = [stats.ttest_rel(THREE[name], THREE["mixup"]).pvalue for name in ("ERM", "CutMix")]
    assert alone[0] < alone[1]
    assert row["p_holm"] == pytest.approx(alone[1])  # the larger of two
    erm = rows.set_index(["method", "other"]).loc[("ERM", "mixup")]
    assert erm["p_holm"] == pytest.approx(2 * alone[0])
    assert row["found"] == pytest.approx(detectable(stats.sem(differences), 3))
    beside_mixup, beside_erm = report.conclude_pictures(rows)
    assert "lower with CutMix (-1.00 ± 0.58); higher with ERM (+10.33 ± 0.88)" in beside_mixup
    assert "over 3 seeds: ERM." in beside_mixup
    assert "lower with mixup (-10.33 ± 0.88), CutMix" in beside_erm


def test_one_seed_tells_nothing_of_chance():
    runs = make_pictures({name: values[:1] for name, values in THREE.items()})
    for sentence in report.conclude_pictures(report.compare_pictures(runs)):
        assert sentence.endswith("One seed: whether chance does that is not known.")
        assert "±" not in sentence
    table = report.picture_table(runs, report.compare_pictures(runs))
    assert (table[["p, mixup", "found, mixup", "p, ERM", "found, ERM"]] == "").all(axis=None)
    assert table.set_index("way to mix").loc["a box pasted (CutMix)", "less mixup"] == "-2.00"


# -- the command ----------------------------------------------------------------------------------


def test_all_ways_run_and_no_two_are_the_same(smoke_of):
    """Linear layers commute with mixing: manifold mixup at the first one would be mixup."""
    runs = pd.read_csv(smoke_of("vicinities") / "vicinities.csv")
    assert len(runs) == 2 * 2 * len(ON_TABLES)
    wide = runs.pivot(index=["table", "split"], columns="variant", values="log_loss")
    for name in wide:
        differences = wide.drop(columns=name).sub(wide[name], axis=0).abs().max()
        assert (differences > 1e-3).all(), f"{name}: {differences}"
    pictures = pd.read_csv(smoke_of("vicinities") / "vicinities_pictures.csv")
    assert [*pictures["method"]] == [vicinity.title for vicinity in ON_PICTURES.values()]
    assert pictures["loss_curve"].nunique() == len(ON_PICTURES)
