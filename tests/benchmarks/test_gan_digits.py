"""The digits of the GANs: measures with known answers, and a judge that is worth asking."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.gan.digits import (
    decode_pictures,
    describe_probabilities,
    encode_pictures,
    energy_distance,
    list_tasks,
    load_pictures,
    nearest_distance,
    split_pictures,
)
from benchmarks.gan.digits_report import judge_table, split_runs, table
from benchmarks.gan.figures import plot_digits, tile
from benchmarks.gan.scale import Scale


def one_hot(digits, *, confidence=1.0) -> np.ndarray:
    """Probabilities of a classifier that is as sure of each of these digits."""
    rest = (1 - confidence) / 9
    return rest + (confidence - rest) * np.eye(10)[list(digits)]


# -- measures ---------------------------------------------------------------------------


def test_every_digit_equally_often_is_no_divergence():
    told = describe_probabilities(one_hot([*range(10)] * 5))
    assert told["n_digits"] == 10
    assert told["recognised"] == 1
    assert told["kl"] == pytest.approx(0, abs=1e-12)


def test_a_collapsed_generator_is_log_10_from_uniform():
    told = describe_probabilities(one_hot([3] * 50))
    assert told["n_digits"] == 1
    assert told["kl"] == pytest.approx(math.log(10))


def test_a_digit_is_drawn_from_two_samples_in_a_hundred_on():
    assert describe_probabilities(one_hot([7] * 98 + [1] * 2))["n_digits"] == 2
    assert describe_probabilities(one_hot([7] * 99 + [1]))["n_digits"] == 1


def test_only_confident_pictures_are_recognised():
    sure, unsure = one_hot([0, 1, 2], confidence=0.91), one_hot([3], confidence=0.89)
    assert describe_probabilities(np.concatenate([sure, unsure]))["recognised"] == 0.75


def test_energy_distance_is_that_of_scipy_in_one_dimension():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 1)), rng.normal(1.0, 2.0, size=(50, 1))
    expected = stats.energy_distance(X[:, 0], Y[:, 0])
    assert energy_distance(X, Y) == pytest.approx(expected)
    assert energy_distance(X, X) == pytest.approx(0, abs=1e-6)


def test_copies_are_at_no_distance_from_the_nearest():
    X, _ = load_pictures()
    assert nearest_distance(X[5:9], X[:20]) == pytest.approx(0, abs=1e-5)
    # A number moved by 0.5, another by 1.2: sqrt(0.25 + 1.44) = 1.3.
    moved = X[:1].copy()
    moved[0, 0, 0, :2] += [0.5, 1.2]
    assert nearest_distance(moved, X[:1]) == pytest.approx(1.3, rel=1e-5)


def test_pictures_survive_as_text():
    X, _ = load_pictures()
    text = encode_pictures(X[:100])
    assert text.isascii()
    assert len(text.splitlines()) == 1
    np.testing.assert_allclose(decode_pictures(text), X[:100, 0], atol=1 / 255)


def test_pictures_out_of_range_are_clipped():
    decoded = decode_pictures(encode_pictures(np.full((1, 1, 8, 8), 1.5)))
    np.testing.assert_array_equal(decoded, np.ones((1, 8, 8)))


def test_tiles_lie_row_by_row_with_white_between():
    pictures = np.arange(12.0)[:, None, None] * np.ones((12, 8, 8))
    canvas = tile(pictures)
    assert canvas.shape == (20, 100)
    assert canvas[15, 15] == 11  # the second of the second row
    assert canvas[0].max() == canvas[:, 10].max() == -1


def test_held_out_digits_are_stratified_and_not_learned_from():
    _, y = load_pictures()
    train, test = split_pictures(0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
    shares = np.bincount(y[test]) / np.bincount(y)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    assert not np.array_equal(test, split_pictures(1)[1])


# -- runs -----------------------------------------------------------------------------------------


def test_only_runs_of_gans_depend_on_how_long_they_train(request_of):
    short, long = (list_tasks(request_of(Scale(digits_iter=max_iter))) for max_iter in (50, 8_000))
    for a, b in zip(short, long, strict=True):
        assert a.key == b.key
        assert (a.fingerprint == b.fingerprint) == (a.key["method"] == "real")


@pytest.fixture
def runs(smoke_of) -> pd.DataFrame:
    return pd.read_csv(smoke_of("gan") / "gan_digits.csv")


def test_the_classifier_is_worth_asking_and_knows_digits_from_samples(runs):
    groups = split_runs(runs)
    assert float(judge_table(groups["held-out digits"])["%"][0]) > 95
    samples = table(groups)
    assert samples["pictures"].tolist() == [
        "held-out digits",
        "ordinary GAN",
        "mixup GAN, alpha 0.2",
    ]
    assert float(samples["recognised, %"][0]) > 75
    assert float(samples["energy distance"][0]) < float(samples["energy distance"][1])


def test_seeds_are_counted_and_the_first_is_drawn(runs):
    groups = split_runs(pd.concat([runs, runs.assign(seed=1, samples=None)]))
    told = table(groups)
    assert told["seeds"].tolist() == ["2"] * 3
    assert told["energy distance"].str.endswith("± 0.000").all()
    assert "means of 2 seeds" in plot_digits(groups).get_suptitle()
