"""Figure 1b: lines between the classes, measures with known answers, and sentences from numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks._data.plane import DISC, RING, make_disc_and_ring
from benchmarks.toy import report, runs
from benchmarks.toy.report import conclude, table
from benchmarks.toy.runs import (
    measure_lines,
    probabilities_between,
)

# -- measures -----------------------------------------------------------------------------------


def test_a_linear_line_has_slope_one_and_lies_between_for_four_fifths():
    line = np.linspace(0, 1, 10_001)[:, None].repeat(3, axis=1)
    measured = measure_lines(line)
    assert measured == pytest.approx({"steepest": 1, "between": 0.8, "distance": 0}, abs=1e-3)


@pytest.mark.parametrize("place", [0.25, 0.5])
def test_a_step_is_as_steep_as_can_be_seen_and_never_between(place):
    position = np.linspace(0, 1, 1001)
    measured = measure_lines((position > place).astype(float)[:, None])
    # Below the step p falls short by the position, above it by the rest: place^2/2 + (1-place)^2/2.
    distance = (place**2 + (1 - place) ** 2) / 2
    assert measured == pytest.approx(
        {"steepest": 1000, "between": 0, "distance": distance}, abs=1e-3
    )


def test_a_sigmoid_is_as_steep_as_its_derivative_says():
    position = np.linspace(0, 1, 10_001)
    p = 1 / (1 + np.exp(-20 * (position - 0.5)))
    measured = measure_lines(p[:, None])
    assert measured["steepest"] == pytest.approx(20 / 4, rel=1e-4)
    assert measured["between"] == pytest.approx(2 * np.log(9) / 20, abs=1e-3)


def test_each_line_counts_alike():
    rng = np.random.default_rng(0)
    p = rng.random((11, 4))
    each = pd.DataFrame([measure_lines(p[:, [i]]) for i in range(4)])
    assert measure_lines(p) == pytest.approx(each.mean().to_dict())


class Linear:
    """Stands in for a classifier: p is the first coordinate."""

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def test_lines_go_straight_from_class_zero_to_class_one():
    X = np.array([[0.0, 5.0], [0.0, -5.0], [1.0, 7.0]])
    p = probabilities_between(Linear(), X, np.array([0, 0, 1]), n_lines=6, n_steps=4, seed=0)
    np.testing.assert_allclose(p, np.linspace(0, 1, 5)[:, None].repeat(6, axis=1))


def test_lines_of_a_seed_are_the_same_for_every_classifier():
    X, y = make_disc_and_ring(20, random_state=0)
    first, second, other = (
        probabilities_between(Linear(), X, y, n_lines=5, n_steps=3, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


# -- data ---------------------------------------------------------------------------------------


def test_points_fill_the_disc_and_the_ring_evenly():
    X, y = make_disc_and_ring(20_000, random_state=0)
    radius = np.hypot(*X.T.astype(float))
    for label, inner, outer in ((0, *RING), (1, 0, DISC)):
        of_class = radius[y == label]
        assert inner <= of_class.min() < of_class.max() <= outer + 1e-6
        # Half of the area lies within the root of the mean square of the radii.
        middle = np.sqrt((inner**2 + outer**2) / 2)
        assert (of_class < middle).mean() == pytest.approx(0.5, abs=0.02)
        share = np.histogram(np.arctan2(*X[y == label].T), bins=8)[0] / 20_000
        assert share == pytest.approx(1 / 8, abs=0.015)


# -- the command line ---------------------------------------------------------------------------


@pytest.fixture
def smoke(smoke_of) -> Path:
    return smoke_of("toy")


def test_mixup_is_smoother_than_erm_in_each_seed(smoke):
    runs = pd.read_csv(smoke / "toy.csv")
    assert len(runs) == 2 * 2
    wide = runs.pivot(index="seed", columns="alpha")
    assert (wide["steepest"][1.0] < wide["steepest"][0.0] / 1.5).all()
    assert (wide["between"][1.0] > wide["between"][0.0]).all()
    assert (wide["distance"][1.0] < wide["distance"][0.0]).all()
    assert (wide["train_error"][0.0] == 0).all()
    for profile in map(json.loads, runs["profile"]):
        assert len(profile) == 21
        assert profile[0] < 0.2 < 0.6 < profile[-1]


def test_a_second_run_trains_what_it_draws_and_draws_the_same(smoke, tmp_path, monkeypatch):
    (tmp_path / "toy.csv").write_bytes((smoke / "toy.csv").read_bytes())
    trained = []

    def fit_networks(scale, runs, **options):
        trained.extend(runs)
        return fit(scale, runs, **options)

    fit = runs.fit_networks
    for module in (runs, report):
        monkeypatch.setattr(module, "fit_networks", fit_networks)
    main(["toy", "--scale", "smoke", "--device", "cpu", "--out", str(tmp_path)])
    assert [run["seed"] for run in trained] == [0, 0]  # once, for both figures
    assert (tmp_path / "toy.png").read_bytes() == (smoke / "toy.png").read_bytes()


# -- what is said -------------------------------------------------------------------------------


def make_runs(erm: dict[str, float], mixup: dict[str, float]) -> pd.DataFrame:
    """Make up runs of three seeds around the measures of two methods."""
    return pd.DataFrame(
        [
            {"seed": seed, "alpha": alpha, "train_error": 0.0}
            | {name: value + 0.001 * seed * (1 + alpha) for name, value in values.items()}
            for seed in range(3)
            for alpha, values in ((0.0, erm), (1.0, mixup))
        ]
    )


STEP = {"steepest": 12.0, "between": 0.1, "distance": 0.25}
SMOOTH = {"steepest": 2.0, "between": 0.7, "distance": 0.1}


def test_a_result_that_agrees_with_the_paper_is_said():
    sentence, cost = conclude(make_runs(STEP, SMOOTH))
    assert sentence.startswith("As the paper's figure shows")
    assert "is 2.00 with mixup (alpha = 1) and 12.00 with ERM" in sentence
    assert "nearer in 3 of 3 seeds, p < 0.001" in sentence
    assert cost == "At each alpha all training points are classified rightly."


@pytest.mark.parametrize("name", STEP)
def test_a_result_that_goes_against_the_paper_is_said(name):
    runs = make_runs(STEP | {name: SMOOTH[name]}, SMOOTH | {name: STEP[name]})
    sentence, _ = conclude(runs)
    assert sentence.startswith("Against the paper's figure")
    assert "nearer in 0 of 3 seeds" in sentence


def test_points_that_mixing_gets_wrong_are_told():
    runs = make_runs(STEP, SMOOTH)
    runs.loc[runs["alpha"] == 1, "train_error"] = 0.02
    _, cost = conclude(runs)
    assert "wrong at alpha = 1 (2.0 %)" in cost


def test_table_has_a_row_for_each_alpha_with_its_spread():
    written = table(make_runs(STEP, SMOOTH))
    assert written["alpha"].tolist() == ["0", "1"]
    assert written["method"].tolist() == ["ERM", "mixup"]
    assert written.iloc[0, 2] == "12.00 ± 0.00"
