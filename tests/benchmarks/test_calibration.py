"""Calibration: measures against closed forms and scikit-learn, pairing, and honest sentences."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.pipeline import make_pipeline

from benchmarks.__main__ import main
from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_table, make_preprocessor
from benchmarks._lab.scores import (
    MEASURES,
    bin_confidence,
    error_if_calibrated,
    expected_calibration_error,
    measure,
    read_bins,
)
from benchmarks._lab.stacks import run_nets
from benchmarks._lab.statistics import paired_difference
from benchmarks.calibration.report import compare, conclude, tables
from benchmarks.calibration.runs import FEATURES, Scale, list_tasks, score
from sklearn_mixup import MixupClassifier
from tests.rounding import ROUNDING


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Confidences, the ends and edges of bins among them, and whether each was correct."""
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.random(500), np.arange(16) / 15, [0.0, 1.0]])
    return confidence, rng.random(len(confidence)) < confidence**2


# -- the expected calibration error -------------------------------------------------------------


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_ece_is_what_a_loop_over_the_bins_gives(predictions, n_bins):
    confidence, correct = predictions
    expected = 0.0
    for m in range(n_bins):
        low, high = np.linspace(0, 1, n_bins + 1)[m : m + 2]
        chosen = (confidence <= high) & ((confidence > low) | (m == 0))
        if chosen.any():
            gap = abs(correct[chosen].mean() - confidence[chosen].mean())
            expected += chosen.mean() * gap
    ece = expected_calibration_error(confidence, correct, n_bins=n_bins)
    assert ece == pytest.approx(expected, abs=1e-12)


def test_bins_are_those_of_scikit_learn(predictions):
    bins = bin_confidence(*predictions)
    bins = bins[bins["n"] > 0]
    accuracy, mean = calibration_curve(predictions[1], predictions[0], n_bins=15)
    np.testing.assert_allclose(bins["correct"] / bins["n"], accuracy)
    np.testing.assert_allclose(bins["confidence"] / bins["n"], mean)


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.9, 1.0])
def test_ece_of_a_constant_confidence_is_its_distance_from_the_accuracy(accuracy):
    correct = np.arange(100) < 100 * accuracy
    ece = expected_calibration_error(np.full(100, 0.7), correct)
    assert ece == pytest.approx(abs(accuracy - 0.7))


def test_ece_with_one_bin_is_the_distance_of_mean_confidence_from_accuracy(predictions):
    confidence, correct = predictions
    expected = abs(confidence.mean() - correct.mean())
    assert expected_calibration_error(confidence, correct, n_bins=1) == pytest.approx(expected)


@pytest.mark.parametrize("n", [30, 300])
def test_calibrated_predictions_err_by_the_mean_deviation_of_a_binomial(n):
    count = np.arange(n + 1)
    expected = (stats.binom(n, 0.8).pmf(count) * np.abs(count / n - 0.8)).sum()
    drawn = error_if_calibrated(np.full(n, 0.8), rng=np.random.default_rng(0), n_draws=2_000)
    assert drawn == pytest.approx(expected, rel=0.07)  # 4 standard errors: 4 * 0.76 / sqrt(2000)


def test_calibrated_predictions_without_doubt_have_no_error():
    assert error_if_calibrated(np.ones(20), rng=np.random.default_rng(0)) == 0


# -- all measures of a classifier ---------------------------------------------------------------


def test_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.random(200)
    y = np.where(rng.random(200) < p, "yes", "no")
    measured = measure(np.column_stack([1 - p, p]), y, np.array(["no", "yes"]), seed=0)
    # For two classes scikit-learn counts only one of the two squares by default.
    assert measured["brier"] == pytest.approx(2 * brier_score_loss(y, p, pos_label="yes"))
    assert measured["log_loss"] == pytest.approx(log_loss(y, p))
    assert measured["test_error"] == pytest.approx(((p > 0.5) != (y == "yes")).mean())


def test_overconfidence_is_positive_for_a_classifier_that_says_too_much():
    y = np.array([0, 0, 0, 1])
    sure = measure(np.tile([0.95, 0.05], (4, 1)), y, [0, 1], seed=0)
    shy = measure(np.tile([0.55, 0.45], (4, 1)), y, [0, 1], seed=0)
    assert sure["overconfidence"] == pytest.approx(0.2)
    assert sure["ece"] == pytest.approx(0.2)
    assert shy["overconfidence"] == pytest.approx(-0.2)


def test_a_label_that_was_not_trained_on_is_an_error_of_probability_zero():
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7]])
    measured = measure(probabilities, [3, 9], [3, 5], seed=0)
    assert measured["n_unseen"] == 1
    assert measured["test_error"] == 0.5
    assert measured["log_loss"] == pytest.approx(-np.log(0.8))
    assert measured["brier"] == pytest.approx((2 * 0.2**2 + 0.3**2 + 0.7**2 + 1) / 2)


def test_probabilities_of_float32_are_taken_without_a_warning():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.01] * 5, size=100).astype(np.float32)
    measured = measure(probabilities, np.arange(100) % 5, np.arange(5), seed=0)
    assert np.isfinite(measured["log_loss"])


def test_bins_of_several_runs_add_up(predictions):
    confidence, correct = predictions
    texts = [
        bin_confidence(confidence[part], correct[part]).to_json(orient="values")
        for part in (slice(200), slice(200, None))
    ]
    expected = bin_confidence(confidence, correct).astype(float)
    pd.testing.assert_frame_equal(read_bins(texts), expected, check_dtype=False)


# -- runs ---------------------------------------------------------------------------------------


def test_networks_trained_together_are_measured_as_alone(float64):
    runs = [{"alpha": alpha, "split": split} for split in (0, 1) for alpha in (0.0, 1.0)]
    options = {"max_epochs": 3, "device": "cpu", "data_home": None}
    together = run_nets(score, "wine", FEATURES, runs, **options)
    table = load_table("wine")
    for run, measured in zip(runs, together, strict=True):
        train, test = split_rows(table, run["split"])
        params = {"alpha": run["alpha"], "random_state": run["split"], "device": "cpu"}
        net = MixupClassifier(max_epochs=3, **params)
        net = make_pipeline(make_preprocessor(table, "standardised"), net)
        probabilities = net.fit(table.X.iloc[train], table.y[train]).predict_proba(
            table.X.iloc[test]
        )
        alone = measure(probabilities, table.y[test], net.classes_, seed=run["split"])
        for name in ("log_loss", "brier", "overconfidence", "test_error"):
            assert measured[name] == pytest.approx(alone[name], abs=20 * ROUNDING)  # logits < 20


def test_plan_has_every_run_once_and_trains_splits_and_alphas_together():
    scale = Scale(6, 1, (0.0, 0.2), ("iris", "wine"))
    tasks = list_tasks(scale, device="cpu", versions={}, data_home=None)
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys.drop_duplicates()) == len(keys) == 2 * 6 * 2
    sizes = keys.groupby([task.group for task in tasks])["table"].agg(["size", "nunique"])
    assert sizes["size"].tolist() == [10, 2, 10, 2]
    assert (sizes["nunique"] == 1).all()


def test_the_bins_of_a_run_are_those_of_its_numbers(smoke_of):
    runs = pd.read_csv(smoke_of("calibration") / "calibration.csv")
    assert len(runs) == 2 * 2 * 2
    for row in runs.itertuples():
        bins = read_bins([row.bins])
        assert bins["n"].sum() == row.n_test
        ece = (bins["correct"] - bins["confidence"]).abs().sum() / row.n_test
        assert ece == pytest.approx(row.ece, abs=1e-6)
        over = (bins["confidence"] - bins["correct"]).sum() / row.n_test
        assert over == pytest.approx(row.overconfidence, abs=1e-6)


def test_nothing_to_compare_with_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="a number > 0"):
        main(["calibration", "--scale", "smoke", "--alphas", "0", "--out", str(tmp_path)])


# -- what is said -------------------------------------------------------------------------------


def make_runs(differences: dict[str, float], *, erm_over: dict[str, float] | None = None):
    """Make up runs: mixup's measures are so much above ERM's, with some noise."""
    rng = np.random.default_rng(0)
    rows = []
    for name, difference in differences.items():
        over = (erm_over or {}).get(name, 0.1)
        for split in range(8):
            base = 0.3 + 0.01 * rng.random()
            for alpha in (0.0, 0.2):
                value = base + (alpha > 0) * (difference + 0.001 * rng.normal())
                rows.append(
                    {"table": name, "alpha": alpha, "split": split, "max_epochs": 64}
                    | dict.fromkeys(MEASURES, value)
                    | {"overconfidence": over if alpha == 0 else -0.01, "n_unseen": 0}
                )
    return pd.DataFrame(rows)


def test_a_table_where_mixup_calibrates_worse_is_said():
    runs = make_runs({"iris": 0.1, "wine": -0.1, "abalone": 0.0}, erm_over={"iris": 0.0})
    first, over, not_over, under, losses = conclude(compare(runs))
    assert "(significantly: Wine)" in first
    assert "(significantly: Iris)" in first
    assert "does not hold on every table here" in first
    assert "more than 3 points (Abalone, Wine)" in over
    assert "is not (Iris), mixup with alpha = 0.2 has the lower ECE on 0 of 1 tables" in not_over
    assert "mixup on 3 at 0.2" in under
    assert losses.count(" and ") >= 3


def test_a_result_that_agrees_with_the_literature_is_said():
    first, over, *rest = conclude(compare(make_runs({"iris": -0.1, "wine": -0.1})))
    assert "below ERM's on 2 of 2 tables (significantly: Iris, Wine)" in first
    assert "holds on every table here" in first
    assert "lower ECE on 2 of 2 tables" in over
    assert len(rest) == 2  # nothing of tables that are not there


def test_comparison_is_paired_by_split_and_corrected():
    runs = make_runs({"iris": 0.02}).sample(frac=1, random_state=0)
    rows = compare(runs).set_index(["measure", "alpha"])
    wide = runs.pivot(index="split", columns="alpha", values="log_loss")
    expected = paired_difference(wide[0.2], wide[0.0], test_share=TEST_SHARE)
    row = rows.loc["log_loss", 0.2]
    assert row["difference"] == pytest.approx(expected.mean)
    assert row["p_corrected"] == pytest.approx(expected.p_corrected)
    assert row["mean_se"] == pytest.approx(wide[0.2].sem())


def test_a_split_without_its_partner_is_an_error():
    runs = make_runs({"iris": 0.02})
    with pytest.raises(ValueError, match="a run for each alpha, 0 among them; iris has not"):
        compare(runs.iloc[1:])


def test_pages_count_tables_and_star_what_is_significant():
    written = dict(tables(compare(make_runs({"iris": 0.1, "wine": -0.1}))))
    counts, differences, *_ = written.values()
    assert counts["ECE"].tolist() == ["1 (1) / 1 (1)"]
    assert differences["table"].tolist() == ["Iris", "Wine"]
    assert [text[0] for text in differences["ECE, %"]] == ["+", "-"]
    assert differences["ECE, %"].str.endswith("*").all()
    assert json.dumps(written["ECE, %"].columns.tolist()) == '["table", "ERM", "alpha 0.2"]'
