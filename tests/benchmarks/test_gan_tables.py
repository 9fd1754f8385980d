"""The GANs' tables: fair controls, and comparisons with known answers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks.gan.figures import plot_tables
from benchmarks.gan.runs import make_key
from benchmarks.gan.scale import SCALES
from benchmarks.gan.tables import (
    CLASSIFIERS,
    JITTER,
    N_LEAST,
    augment,
    jitter_rows,
    list_tasks,
    nominal_blocks,
    repeat_rows,
    sample_rows,
    snap,
    split_rows,
)
from benchmarks.gan.tables_report import compare, error_table, merit_table

# -- new rows ---------------------------------------------------------------------------


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


# -- runs -----------------------------------------------------------------------------------------


def test_missing_tables_are_left_out_and_named(request_of, tmp_path, capsys):
    assert list_tasks(request_of(SCALES["small"], data_home=str(tmp_path))) == []
    told = capsys.readouterr().out
    assert "Website Phishing, Arrhythmia" in told
    assert "SKLEARN_MIXUP_DATA" in told


@pytest.fixture
def runs(smoke_of) -> pd.DataFrame:
    return pd.read_csv(smoke_of("gan") / "gan_tables.csv")


def test_rows_repeated_in_the_place_of_the_real_ones_are_the_real_ones(runs):
    by_method = runs.set_index("method")
    errors = by_method["logistic_alone"]
    assert errors["repeat"] == errors["real"] == by_method.loc["real", "logistic_error"]


def test_all_that_is_added_is_as_much(runs):
    assert runs.set_index("method")["n_new"].to_dict() == {
        "real": 0,
        **dict.fromkeys(["repeat", "jitter", "ERM", "mixup"], 60),
    }


def test_one_split_is_told_without_spread(runs):
    beside = error_table(compare(runs))
    assert len(beside) == 2 * 5  # classifiers, methods
    assert set(beside["table"]) == {"Iris"}
    assert not beside.apply(lambda column: column.str.contains("nan|±")).any(axis=None)


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
            **make_key("tables", "arrhythmia", "", method=method, alpha=alpha, seed=seed),
            **{f"{name}_{of}": error for name in CLASSIFIERS for of in ("error", "alone")},
            "n_train": 100,
            "n_test": 300,
        }
        for (method, alpha), values in errors.items()
        for seed, error in enumerate(values)
    )


def mixup_row(comparison: pd.DataFrame) -> pd.Series:
    return comparison.set_index(["classifier", "trained_on"]).loc["forest", "mixup GAN, alpha 0.2"]


def test_methods_are_compared_split_by_split():
    row = mixup_row(compare(made_up_runs()))
    # Differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / sqrt(3).
    assert row["difference"] == pytest.approx(0.02)
    assert row["difference_se"] == pytest.approx(0.01 / math.sqrt(3))
    assert row["half_width"] == pytest.approx(stats.t(2).ppf(0.975) * 0.01 / math.sqrt(3))
    # The correction multiplies the standard error by sqrt(1 + n_splits * n_test / n_train).
    assert row["half_width_corrected"] == pytest.approx(math.sqrt(10) * row["half_width"])


def test_a_difference_can_be_from_any_method():
    row = mixup_row(compare(made_up_runs(), reference="ordinary GAN"))
    assert row["difference"] == pytest.approx(-0.03)


def test_the_order_of_the_runs_does_not_matter():
    runs = made_up_runs()
    pd.testing.assert_frame_equal(compare(runs), compare(runs.iloc[::-1]))


def test_a_split_that_lacks_a_method_is_an_error():
    with pytest.raises(ValueError, match="Each seed must have a run for each trained_on"):
        compare(made_up_runs().iloc[:-1])


def test_gans_are_told_beside_the_controls_too():
    merits = merit_table(made_up_runs())
    told = merits[merits["classifier"] == "random forest"].set_index("difference")["points"]
    assert told["mixup GAN, alpha 0.2 - ordinary GAN"].startswith("-3.00")
    assert told["mixup GAN, alpha 0.2 - rows repeated"].startswith("+2.00")
    assert told["ordinary GAN - rows with noise"].startswith("+3.33")
    assert len(told) == 5


def test_several_splits_are_drawn_with_both_intervals():
    figure = plot_tables(compare(made_up_runs()))
    assert "3 random splits\n95 % intervals" in figure.get_suptitle()
    # For each classifier and method two intervals and a point; and zero.
    assert len(figure.axes[0].lines) == 2 * 4 * 3 + 1
