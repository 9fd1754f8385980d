"""Figure 2: the same pairs for ERM and mixup, honest sentences, and the settings of the paper."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.__main__ import main
from benchmarks._data.pictures import PictureSet
from benchmarks.between import EXPERIMENT
from benchmarks.between.report import (
    MEASURES,
    column,
    compare,
    conclude,
    curves_of,
    curves_table,
)
from benchmarks.between.runs import measure, plan_runs
from sklearn_mixup import MixupClassifier
from sklearn_mixup.inspection import gradient_norm_between, miss_rate_between

SMOKE = EXPERIMENT.scales["smoke"]


def make_runs(**shifts) -> pd.DataFrame:
    """Runs of three seeds, in no order; mixup differs from ERM by the shifts of the measures."""
    rows = []
    for seed, method in (
        (1, "mixup"),
        (0, "ERM"),
        (2, "ERM"),
        (0, "mixup"),
        (1, "ERM"),
        (2, "mixup"),
    ):
        row = {"seed": seed, "method": method, "test_error": 0.3, "train_error": 0.1}
        for name in MEASURES:
            shift = shifts.get(name, 0.0) * (method == "mixup")
            for lam in (1.0, 0.0, 0.5):
                row[column(name, lam)] = 1.0 + seed + lam + shift
        rows.append(row)
    return pd.DataFrame(rows)


# -- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", ["0", "-1", "nan"])
def test_mixup_has_to_mix(alpha, capsys):
    with pytest.raises(SystemExit):
        main(["between", "--alpha", alpha])
    assert "must be > 0" in capsys.readouterr().err


# -- runs ---------------------------------------------------------------------------------------


def plan(scale="smoke", **changes):
    pictures = PictureSet("cifar10", "CIFAR-10", (3, 32, 32), 50_000, 10_000, 10, load=None)
    scale = replace(EXPERIMENT.scales[scale], **changes)
    return plan_runs(scale, pictures, alpha=1.0, device="cpu", versions={})


def test_settings_are_those_of_the_paper():
    tasks = plan("paper")
    assert [(task.key["seed"], task.key["alpha"]) for task in tasks] == [
        (seed, alpha) for seed in range(3) for alpha in (0.0, 1.0)
    ]
    for task in tasks:
        assert task.key["network"] == "PreAct ResNet-18"
        recipe = task.settings["recipe"]
        told = ("max_epochs", "batch_size", "lr", "drops", "momentum", "weight_decay")
        assert [recipe[name] for name in told] == [200, 128, 0.1, [100, 150], 0.9, 1e-4]
        assert recipe["alpha"] == task.key["alpha"]
    assert len({task.fingerprint for task in tasks}) == 2  # a seed is part of the key


def test_a_gpu_has_the_papers_network_and_fewer_epochs():
    tasks = plan("gpu")
    assert len(tasks) == 2 * 3
    for task in tasks:
        assert (task.key["network"], task.key["max_epochs"]) == ("PreAct ResNet-18", 60)
        assert task.settings["recipe"]["drops"] == [30, 45]
        assert task.settings["precision"] == "auto"
    assert all("precision" not in task.settings for task in plan("paper"))


@pytest.mark.parametrize("change", ["n_lam", "n_pairs", "n_gradients", "n_jacobians", "max_epochs"])
def test_other_settings_are_other_runs(change):
    (first, *_), (second, *_) = plan(), plan(**{change: getattr(SMOKE, change) + 1})
    assert first.fingerprint != second.fingerprint


def test_measures_are_those_of_the_package_for_pairs_of_the_seed(digits):
    X, y = torch.tensor(digits[0]), digits[1]
    net = MixupClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), max_epochs=3, random_state=0, device="cpu"
    ).fit(X, y)
    train, test = (X[:400], y[:400]), (X[400:], y[400:])
    measured = measure(net, train, test, scale=SMOKE, seed=3)
    lam = [0.0, 0.25, 0.5, 0.75, 1.0]
    common = {"lam": lam, "random_state": 3}
    for name, expected in (
        ("train_misses", miss_rate_between(net, *train, n_pairs=100, **common).miss_rate),
        ("test_misses", miss_rate_between(net, *test, n_pairs=100, **common).miss_rate),
        ("loss_gradient", gradient_norm_between(net, *train, n_pairs=40, **common).gradient_norm),
        (
            "logit_gradient",
            gradient_norm_between(net, *train, of="output", n_pairs=10, **common).gradient_norm,
        ),
    ):
        np.testing.assert_allclose([measured[column(name, weight)] for weight in lam], expected)
    assert measured["train_error"] == pytest.approx((net.predict(train[0]) != train[1]).mean())
    assert measure(net, train, test, scale=SMOKE, seed=3) == measured


# -- the report -----------------------------------------------------------------------------------


def test_comparison_is_paired_by_seed_whatever_the_order():
    runs = make_runs(train_misses=-0.25, loss_gradient=0.5)
    rows = compare(runs).set_index("measure")
    assert rows.loc["train_misses", "erm"] == pytest.approx(2.5)  # 1 + mean seed + mean lam
    assert rows.loc["train_misses", "difference"] == pytest.approx(-0.25)
    # Seeds differ by whole numbers, and the difference not at all: it is that of pairs.
    assert rows.loc["train_misses", "difference_se"] == pytest.approx(0, abs=1e-12)
    assert rows.loc["train_misses", "erm_se"] == pytest.approx(1 / np.sqrt(3))
    assert list(rows["n_lower"]) == [3, 0, 0, 0, 0, 0]


def test_a_seed_without_its_partner_is_an_error():
    with pytest.raises(ValueError, match="a run for each method, ERM, mixup"):
        compare(make_runs().iloc[:-1])


def test_curves_are_means_over_seeds_and_ignore_other_scales():
    runs = make_runs(train_misses=-0.25)
    runs[column("train_misses", 0.3)] = np.nan  # another scale had it, in the same file
    curve = curves_of(runs)["train_misses", "mixup"]
    assert curve["lam"].tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(curve["mean"], [1.75, 2.25, 2.75])
    np.testing.assert_allclose(curve["mean_se"], 1 / np.sqrt(3))
    assert curves_table(curves_of(runs))["lam"].tolist() == ["0.00", "0.50", "1.00"]


def test_a_result_that_agrees_with_the_paper_is_said():
    told = conclude(compare(make_runs(train_misses=-0.25, loss_gradient=-0.5)))
    assert "fewer misses between training pictures (2.25 against ERM's 2.5" in told
    assert "smaller gradients of the loss" in told
    assert "as many misses between test pictures" in told
    assert "lower in 3 of 3 seeds" in told


def test_a_result_that_goes_against_the_paper_is_said():
    told = conclude(compare(make_runs(train_misses=0.25, loss_gradient=0.5)))
    assert "more misses between training pictures" in told
    assert "larger gradients of the loss" in told


def test_a_difference_within_its_error_is_said_to_be_so():
    runs = make_runs(train_misses=-0.1)
    noisy = [name for name in runs.columns if name.startswith("train_misses")]
    runs.loc[(runs["method"] == "mixup") & (runs["seed"] == 0), noisy] += 0.25
    told = conclude(compare(runs))
    assert "within two standard errors; lower in 2 of 3 seeds" in told
