"""The GAN benchmark's digits and tables: measures with known answers, fair controls, resuming."""

import json
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

from benchmarks import _gan_digits, _gan_runs, _gan_tables
from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks._gan_digits import (
    decode_pictures,
    describe_probabilities,
    encode_pictures,
    energy_distance,
    load_pictures,
    nearest_distance,
    split_pictures,
    tile,
)
from benchmarks._gan_tables import (
    JITTER,
    N_LEAST,
    augment,
    compare,
    jitter_rows,
    nominal_blocks,
    repeat_rows,
    sample_rows,
    snap,
    split_rows,
)
from benchmarks._runs import RunTable
from sklearn_mixup.exceptions import DivergedError
from tests.small_gans import make_rows, quick

PARTS = {"digits": _gan_digits, "tables": _gan_tables}
KEY = ("part", "data", "setting", "method", "alpha", "seed")


def one_hot(digits, *, confidence=1.0) -> np.ndarray:
    """Probabilities of a classifier that is as sure of each of these digits."""
    rest = (1 - confidence) / 9
    return rest + (confidence - rest) * np.eye(10)[list(digits)]


# -- digits: measures ---------------------------------------------------------------------------


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


# -- tables: new rows ---------------------------------------------------------------------------


@pytest.fixture
def mixed_table() -> Table:
    """A made-up table: a number, a code, a number that lacks values, a code that does too."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=40),
            "code": rng.integers(3, size=40),
            "holes": np.where(np.arange(40) % 7, rng.normal(size=40), np.nan),
            "code_with_holes": np.where(np.arange(40) % 5, rng.integers(2, size=40), np.nan),
        }
    )
    return Table("mixed", X, np.arange(40) % 2, ("code", "code_with_holes"), "made up")


def test_nominal_blocks_are_where_a_row_has_a_single_one(mixed_table):
    preprocessor = make_preprocessor(mixed_table, "standardised").fit(mixed_table.X)
    X = preprocessor.transform(mixed_table.X)
    blocks = nominal_blocks(preprocessor)
    assert sorted(block.stop - block.start for block in blocks) == [2, 3]
    inside = np.concatenate([np.arange(block.start, block.stop) for block in blocks])
    assert set(np.unique(X[:, inside])) == {0, 1}
    for block in blocks:
        np.testing.assert_array_equal(X[:, block].sum(axis=1), 1)
    assert len(inside) == X.shape[1] - 2  # the two numbers are in no block
    np.testing.assert_array_equal(snap(X, blocks), X)


def test_snap_leaves_numbers_and_its_input_alone():
    rows = np.array([[0.2, 0.9, 7.5], [0.6, -3.0, 0.1]])
    before = rows.copy()
    np.testing.assert_array_equal(snap(rows, [slice(0, 2)]), [[0, 1, 7.5], [1, 0, 0.1]])
    np.testing.assert_array_equal(rows, before)


def test_no_nominal_columns_are_no_blocks():
    table = load_table("iris")
    assert nominal_blocks(make_preprocessor(table, "standardised").fit(table.X)) == []


@pytest.mark.parametrize("maker", [repeat_rows, lambda r, n: jitter_rows(r, n, seed=0)])
def test_classes_are_doubled_but_not_the_rarest(maker):
    y = np.array([2] * (N_LEAST - 1) + [0] * N_LEAST + [1] * 12)
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    X_new, y_new = augment(X, y, maker)
    assert X_new.shape == (N_LEAST + 12, 3)
    np.testing.assert_array_equal(np.bincount(y_new, minlength=3), [N_LEAST, 12, 0])


def test_new_rows_are_made_of_rows_of_their_class():
    y = np.array([0, 1] * 10)
    X_new, y_new = augment(y[:, None].astype(float), y, repeat_rows)
    np.testing.assert_array_equal(X_new[:, 0], y_new)


def test_without_a_class_that_is_large_enough_nothing_is_made():
    X_new, y_new = augment(np.ones((4, 2)), np.array(["a", "a", "b", "b"]), repeat_rows)
    assert X_new.shape == (0, 2)
    assert y_new.shape == (0,)


def test_jitter_has_its_scale_and_its_seed():
    rows = np.zeros((400, 50))
    moved = jitter_rows(rows, 0, seed=1)
    # 20,000 numbers: the standard error of their deviation is 0.5 % of it, of their mean 0.002.
    assert moved.std() == pytest.approx(JITTER, rel=0.025)
    assert moved.mean() == pytest.approx(0, abs=0.011)
    np.testing.assert_array_equal(moved, jitter_rows(rows, 0, seed=1))
    assert not np.array_equal(moved, jitter_rows(rows, 1, seed=1))  # another class
    assert not np.array_equal(moved, jitter_rows(rows, 0, seed=2))
    assert not rows.any()


def test_a_class_of_equal_rows_is_repeated():
    rows = np.full((6, 3), 2.5)
    made = sample_rows(rows, 0, alpha=0.2, seed=0, max_iter=1, device="cpu")
    np.testing.assert_array_equal(made, rows)


def test_a_few_rows_are_to_train_on_and_the_rest_to_test_on():
    table = load_table("iris")
    train, test = split_rows(table, 0, 60)
    _, counts = np.unique(table.y[train], return_counts=True)
    assert counts.tolist() == [20, 20, 20]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(150))


# -- plans --------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("scale", ["smoke", "small", "paper"])
def test_a_plan_names_every_run_once(part, scale):
    tasks = PARTS[part].plan(3, device="cpu", scale=scale, data_home=None)
    keys = [tuple(task.key.items()) for task in tasks]
    assert len(set(keys)) == len(keys)
    for task in tasks:
        assert tuple(task.key) == KEY
        assert task.key["part"] == part
        assert (task.key["alpha"] > 0) == (task.key["method"] == "mixup")
        json.dumps(task.settings)
        assert pickle.loads(pickle.dumps(task)).fingerprint == task.fingerprint


@pytest.mark.parametrize("part", PARTS)
def test_fewer_seeds_are_the_first_of_more(part):
    few, many = (
        PARTS[part].plan(seeds, device="cpu", scale="smoke", data_home=None) for seeds in (1, 2)
    )
    assert 0 < len(few) < len(many)
    identities = [[(task.key, task.fingerprint) for task in tasks] for tasks in (few, many)]
    assert identities[0] == identities[1][: len(few)]


def test_only_runs_of_gans_depend_on_how_long_they_train():
    smoke, small = (
        {tuple(task.key.values()): task for task in _gan_digits.plan(1, device="cpu", scale=scale)}
        for scale in ("smoke", "small")
    )
    for key in smoke:
        same = smoke[key].fingerprint == small[key].fingerprint
        assert same == (key[KEY.index("method")] == "real")


def test_missing_tables_are_left_out_and_named(tmp_path, capsys):
    assert _gan_tables.plan(2, device="cpu", scale="small", data_home=str(tmp_path)) == []
    told = capsys.readouterr().out
    assert "Website Phishing, Arrhythmia" in told
    assert "SKLEARN_MIXUP_DATA" in told


# -- comparison ---------------------------------------------------------------------------------


def made_up_runs() -> pd.DataFrame:
    """Three splits of a table, 100 rows to train on and 300 to test on."""
    errors = {
        ("real", 0.0): [0.20, 0.30, 0.10],
        ("repeat", 0.0): [0.20, 0.30, 0.10],
        ("jitter", 0.0): [0.22, 0.31, 0.12],
        ("ERM", 0.0): [0.25, 0.35, 0.15],
        ("mixup", 0.2): [0.21, 0.32, 0.13],
    }
    return pd.DataFrame(
        {
            **dict(
                zip(KEY, ("tables", "arrhythmia", "classwise", method, alpha, seed), strict=True)
            ),
            **{
                f"{name}_{of}": error
                for name in ("logistic", "forest")
                for of in ("error", "alone")
            },
            "n_train": 100,
            "n_test": 300,
        }
        for (method, alpha), values in errors.items()
        for seed, error in enumerate(values)
    )


def row_of(comparison: pd.DataFrame, method: str) -> pd.Series:
    return comparison[
        (comparison["method"] == method) & (comparison["classifier"] == "forest")
    ].iloc[0]


def test_methods_are_compared_split_by_split():
    row = row_of(compare(made_up_runs()), "mixup")
    # Differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / sqrt(3).
    assert row["difference"] == pytest.approx(0.02)
    assert row["difference_error"] == pytest.approx(0.01 / math.sqrt(3))
    assert row["half_width"] == pytest.approx(stats.t(2).ppf(0.975) * 0.01 / math.sqrt(3))
    # The correction multiplies the standard error by sqrt(1 + n_splits * n_test / n_train).
    assert row["half_width_corrected"] == pytest.approx(math.sqrt(10) * row["half_width"])


def test_a_difference_can_be_from_any_method():
    row = row_of(compare(made_up_runs(), reference=("ERM", 0.0)), "mixup")
    assert row["difference"] == pytest.approx(-0.03)


def test_the_order_of_the_runs_does_not_matter():
    runs = made_up_runs()
    pd.testing.assert_frame_equal(compare(runs), compare(runs.iloc[::-1]))


def test_a_split_that_lacks_a_method_is_an_error():
    with pytest.raises(ValueError, match="Each split must have a run of each method"):
        compare(made_up_runs().iloc[:-1])


def test_gans_are_told_beside_the_controls_too():
    _, (title, merits), _ = _gan_tables.report(made_up_runs())
    assert "merit" in title
    told = merits[merits["classifier"] == "random forest"].set_index("difference")["points"]
    assert told["mixup GAN, alpha 0.2 - ordinary GAN"].startswith("-3.00")
    assert told["mixup GAN, alpha 0.2 - rows repeated"].startswith("+2.00")
    assert told["ordinary GAN - rows with noise"].startswith("+3.33")
    assert len(told) == 5


# -- from end to end ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run both parts at the smoke scale into one table; give it, its tasks and its runs."""
    table = RunTable(tmp_path_factory.mktemp("gan") / "gan.csv", KEY)
    tasks = _gan_digits.plan(1, device="cpu", scale="smoke")
    tasks += _gan_tables.plan(2, device="cpu", scale="smoke")
    return table, tasks, table.complete(tasks)


def test_finished_runs_are_found_again(smoke):
    table, tasks, _ = smoke
    assert RunTable(table.path, KEY).pending(tasks) == []


def test_digits_are_told_and_drawn(smoke, tmp_path):
    _, _, runs = smoke
    (_, samples), (_, judge) = _gan_digits.report(runs)
    assert samples["pictures"].tolist() == [
        "held-out digits",
        "ordinary GAN",
        "mixup GAN, alpha 0.2",
    ]
    assert float(judge["%"][0]) > 95  # the classifier is worth asking
    assert float(samples["recognised, %"][0]) > 75
    assert float(samples["energy distance"][0]) < float(samples["energy distance"][1])
    _gan_digits.plot(runs, tmp_path / "digits.png")
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_tables_are_told_and_drawn(smoke, tmp_path):
    _, _, runs = smoke
    (_, beside), _, _ = _gan_tables.report(runs)
    assert len(beside) == 2 * 5  # classifiers, methods
    assert set(beside["table"]) == {"Iris"}
    _gan_tables.plot(runs, tmp_path / "tables.png")
    assert (tmp_path / "tables.png").read_bytes().startswith(b"\x89PNG")


def test_rows_repeated_in_the_place_of_the_real_ones_are_the_real_ones(smoke):
    _, _, runs = smoke
    errors = runs.pivot_table(index="seed", columns="method", values="logistic_alone")
    np.testing.assert_array_equal(errors["repeat"], errors["real"])
    real = runs[runs["method"] == "real"].query("part == 'tables'")
    np.testing.assert_array_equal(real["logistic_alone"], real["logistic_error"])


def test_all_that_is_added_is_as_much(smoke):
    _, _, runs = smoke
    tables = runs[runs["part"] == "tables"].set_index("method")
    assert (tables.drop("real")["n_new"] == 60).all()
    assert (tables.loc["real", "n_new"] == 0).all()


def test_one_seed_is_told_and_drawn_without_spread(smoke, tmp_path):
    _, _, runs = smoke
    once = runs[runs["seed"] == 0]
    for part, module in PARTS.items():
        for _, table in module.report(once):
            assert not table.isin(["nan"]).any(axis=None)
            assert not table.apply(lambda column: column.str.contains("nan")).any(axis=None)
        module.plot(once, tmp_path / f"{part}.png")
        assert module.notes().endswith(".")


def test_a_gan_that_diverges_is_a_result_of_its_iteration():
    gan = quick(lr=1e30)
    with pytest.raises(DivergedError) as caught:
        clone(gan).fit(make_rows())
    assert _gan_runs.fit(gan, make_rows()) == caught.value.n_iter
    with pytest.raises(ValueError, match="alpha"):
        _gan_runs.fit(quick(alpha=-1), make_rows())
