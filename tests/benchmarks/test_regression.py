"""Regression beside the peers: the measures, the runs, and honest sentences."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import Table, as_categories, load_table, make_preprocessor
from benchmarks._lab.methods import report as lab_report
from benchmarks._lab.methods import results
from benchmarks._lab.methods.figures import plot, plot_ranks
from benchmarks._lab.methods.method import FULL, TINY
from benchmarks._lab.methods.runs import Scale, list_tasks
from benchmarks._lab.runs import environment
from benchmarks.regression import report
from benchmarks.regression.conclusions import conclude
from benchmarks.regression.methods import METHODS
from benchmarks.regression.results import CONTEST, RIVAL
from benchmarks.regression.runs import run_method, score
from sklearn_mixup import FusedBaggingRegressor, MixupRegressor
from tests.benchmarks import made_up_runs

needs_peers = pytest.mark.skipif(
    any(method.absent_packages() for method in METHODS.values()),
    reason="not all packages of the extra peers are installed",
)
OTHERS = ["catboost", "lightgbm", "realmlp", "tabm"]
OURS = CONTEST.ours
TITLE = METHODS[OURS].title


def make_runs(errors, tables=("iris_petal", "abalone_rings", "california_4000"), **options):
    """Make up runs; the RMSE of a method, in sd of y, is the same on all tables."""

    def measure(table, value):
        of_y = {"iris_petal": 0.76, "abalone_rings": 3.2, "california_4000": 114_000.0}[table]
        told = {"rmse": of_y * value, "rmse_sd": value, "mae_sd": 0.7 * value, "r2": 1 - value**2}
        return told | {"packages": ""}

    return made_up_runs.make_runs(errors, measure, tables=tables, **options)


collect = partial(results.collect, CONTEST)


# -- measures and methods -------------------------------------------------------------------------


def test_measures_are_scikit_learns_and_do_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    y = rng.normal(5, 2, size=200)
    predictions = y + rng.normal(0, 0.5, size=200)
    found = score(None, predictions, y, 0)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(y, predictions))
    assert found["mae"] == pytest.approx(mean_absolute_error(y, predictions))
    assert found["r2"] == pytest.approx(r2_score(y, predictions))
    in_grams = score(None, 1000 * predictions, 1000 * y, 0)
    assert in_grams["rmse"] == pytest.approx(1000 * found["rmse"])
    for name in ("rmse_sd", "mae_sd", "r2"):
        assert in_grams[name] == pytest.approx(found[name])
    assert score(None, np.full(200, y.mean()), y, 0)["rmse_sd"] == pytest.approx(1)


def test_predictions_of_one_column_are_no_table_of_differences():
    y = np.array([1.0, 2.0, 4.0])
    assert score(None, y[:, None], y, 0)["rmse"] == 0


def behind_preprocessor(net):
    return make_pipeline(make_preprocessor(load_table("iris_petal"), "standardised"), net)


def behind_skrub(regressor):
    return pytest.importorskip("skrub").tabular_pipeline(regressor)


def standardised_behind_skrub(regressor):
    return TransformedTargetRegressor(behind_skrub(regressor), transformer=StandardScaler())


TINY_NET = MixupRegressor(max_epochs=TINY.max_epochs, random_state=1, device="cpu")
ESTIMATORS = {
    "mixup": (behind_preprocessor, TINY_NET),
    "cmixup": (behind_preprocessor, clone(TINY_NET).set_params(pairs="target")),
    "erm": (behind_preprocessor, clone(TINY_NET).set_params(alpha=0)),
    "ensemble": (
        behind_preprocessor,
        FusedBaggingRegressor(
            MixupRegressor(max_epochs=TINY.max_epochs, device="cpu"), 2, random_state=1
        ),
    ),
    "ridge": (behind_skrub, Ridge(random_state=1)),
    "mlp": (standardised_behind_skrub, MLPRegressor(random_state=1)),
}


@pytest.mark.parametrize("method", ESTIMATORS)
def test_a_run_is_the_method_on_the_rows_of_the_split(method):
    make, regressor = ESTIMATORS[method]
    estimator = make(clone(regressor))
    found = run_method("iris_petal", method, 1, budget=TINY, device="cpu", data_home=None)
    table = load_table("iris_petal")
    X = as_categories(table) if METHODS[method].features == "categories" else table.X
    train, test = split_rows(table, 1)
    predictions = estimator.fit(X.iloc[train], table.y[train]).predict(X.iloc[test])
    assert found["rmse"] == pytest.approx(
        root_mean_squared_error(table.y[test], predictions), rel=1e-5
    )
    assert (found["n_train"], found["n_test"]) == (120, 30)


def test_full_budget_leaves_the_defaults_alone():
    table = load_table("diabetes_progression")
    net = METHODS["mixup"].make(table, 3, FULL, "cpu")[-1]
    default = MixupRegressor(random_state=3, device="cpu")
    assert net.get_params(deep=False) == default.get_params(deep=False)
    erm = METHODS["erm"].make(table, 3, FULL, "cpu")[-1]
    assert erm.get_params(deep=False) == default.set_params(alpha=0.0).get_params(deep=False)
    assert METHODS["ensemble"].make(table, 3, FULL, "cpu")[-1].n_estimators == 8


@needs_peers
def test_full_budget_of_the_others_is_their_default_for_numbers():
    table = load_table("iris_petal")
    made = [METHODS[it].make(table, 3, FULL, "cpu") for it in OTHERS]
    names = "LGBMRegressor", "RealMLP_TD_Regressor", "TabM_D_Regressor"
    assert type(made[0][-1]).__name__ == "CatBoostRegressor"  # behind what names missing codes
    assert tuple(type(it).__name__ for it in made[1:]) == names
    assert "iterations" not in made[0][-1].get_params()
    assert made[1].get_params()["n_estimators"] == 100
    assert [net.n_epochs for net in made[2:]] == [None, None]


@needs_peers
@pytest.mark.parametrize("method", METHODS)
def test_each_method_takes_a_table_with_missing_numbers_codes_and_words(method, monkeypatch):
    rng = np.random.default_rng(0)
    X = made_up_runs.make_features(rng)
    y = 3.0 * X["number"].to_numpy() + rng.normal(size=80)
    table = Table("made up", X, y, ("code", "word"), "")
    monkeypatch.setattr("benchmarks.regression.runs.load_table", lambda *_: table)
    found = run_method("made up", method, 0, budget=TINY, device="cpu", data_home=None)
    assert 0 < found["rmse_sd"] < 2


def test_what_a_run_is_found_by_tells_of_the_regressor():
    scale = Scale(1, ("iris_petal",), FULL)
    where = {"device": "cpu", "versions": environment("cpu"), "data_home": None}
    mixup, erm = (
        list_tasks(run_method, METHODS, scale, [it], **where)[0].settings for it in ("mixup", "erm")
    )
    assert mixup["alpha"] == MixupRegressor().alpha
    assert mixup["max_epochs"] == MixupRegressor().max_epochs
    assert erm["alpha"] == 0


# -- command --------------------------------------------------------------------------------------


def test_each_installed_method_runs_on_each_table_and_split(smoke_of):
    page = (smoke_of("regression") / "regression.md").read_text(encoding="utf-8")
    for heading in ("Means over 2 tables", "The share that is mixup's own", "RMSE, in units of y"):
        assert f"## {heading}" in page
    assert "![RMSE and MAE against the time of the fit](regression.png)" in page
    assert page.index("(regression.png)") < page.index("(regression_ranks.png)")
    runs = pd.read_csv(smoke_of("regression") / "regression.csv")
    there = [name for name, method in METHODS.items() if not method.absent_packages()]
    assert len(runs) == 2 * 2 * len(there)
    assert set(runs["method"]) == set(there)
    assert (runs[["rmse", "mae", "fit_time_s", "fit_cpu_s", "predict_time_s"]] > 0).all(axis=None)
    np.testing.assert_allclose(runs["r2"], 1 - runs["rmse_sd"] ** 2)
    np.testing.assert_allclose(runs["rmse"], runs["rmse_sd"] * runs["y_sd"])


# -- what is said ---------------------------------------------------------------------------------


def told(errors, **options) -> list[str]:
    """Conclude from made-up runs."""
    return conclude(collect(make_runs(errors, **options)))


def test_what_was_asked_and_holds_is_said():
    runs = make_runs({OURS: 0.5, RIVAL: 0.55, "ridge": 0.6, "catboost": 0.65})
    runs.loc[runs["method"] == OURS, "fit_cpu_s"] = 0.5  # a quarter of 2
    rank, time, floor, trees, rmse_ranks, mae_ranks = conclude(collect(runs))
    assert rank == (
        "Asked was a mean rank of the RMSE below that of RealMLP-TD, 2.0 over 3 tables. This holds "
        f"for: {TITLE} (1.0). It does not for: none."
    )
    assert f"This holds for: {TITLE} (0.25; 0.25 on " in time
    assert floor.endswith(f"This holds for: {TITLE} (nowhere). It does not for: none.")
    assert trees == f"Trees have a lower RMSE than {TITLE} on none of 3 tables."
    assert rmse_ranks.startswith(f"Mean rank of RMSE: {TITLE} 1.0; RealMLP-TD 2.0; Ridge 3.0;")
    assert mae_ranks.startswith("Mean rank of MAE: ")


def test_what_was_asked_and_does_not_hold_is_said():
    errors = {OURS: 0.60, RIVAL: 0.55, "ridge": 0.5, "catboost": 0.4}
    rank, time, floor, trees, *_ = told(errors)
    assert rank.endswith(f"This holds for: none. It does not for: {TITLE} (4.0).")
    assert f"This holds for: none. It does not for: {TITLE} (1.00; 1.00 on" in time
    assert "Iris, petal width: Ridge +0.1" in floor
    assert "California, 4000 rows: Ridge +0.1" in floor
    assert floor.count("Ridge +0.1") == 3
    assert trees.startswith(f"Trees have a lower RMSE than {TITLE} on 3 of 3 tables: California")
    assert trees.count("(CatBoost -0.2") == 3


def test_each_of_ours_is_told_apart():
    rank, *_ = told({"mixup": 0.4, "erm": 0.6, OURS: 0.5, RIVAL: 0.55})
    assert f"This holds for: mixup (1.0); {TITLE} (2.0). It does not for: ERM (4.0)." in rank


def test_one_table_that_is_clearly_worse_than_ridge_is_named():
    runs = make_runs({OURS: 0.50, "ridge": 0.6})
    is_ours = (runs["method"] == OURS) & (runs["table"] == "abalone_rings")
    runs.loc[is_ours, "rmse_sd"] += 1
    (floor,) = [text for text in conclude(collect(runs)) if "two standard errors" in text]
    assert "It does not for: " in floor
    assert floor.count("Ridge +") == 1
    assert "Abalone, rings: Ridge +0." in floor


@pytest.mark.parametrize(("above", "is_named"), [([1, 0, 1, 0], False), ([1, 1, 1, 0], True)])
def test_two_standard_errors_over_the_splits_are_clearly_worse(above, is_named):
    # 1.7 and 3 standard errors above.
    runs = make_runs({OURS: 0.5, "ridge": 0.5})
    runs["rmse_sd"] = 0.5
    for split, more in enumerate(above):
        runs.loc[(runs["method"] == OURS) & (runs["split"] == split), "rmse_sd"] += more
    (floor,) = [text for text in conclude(collect(runs)) if "two standard errors" in text]
    assert ("Ridge +" in floor) == is_named


def test_the_share_of_mixup_is_told_with_its_power():
    (sentence,) = told({"mixup": 0.50, "erm": 0.52})
    assert sentence.startswith("The RMSE of mixup less that of ERM: -0.0")
    assert ", told apart (t-test over tables p" in sentence
    (sentence,) = told({"mixup": 0.5, "erm": 0.5}, spread=0.05)
    assert ", not told apart" in sentence
    assert "would be found in 80 % of cases, one of 0.01 in " in sentence


def test_tables_are_in_units_of_y_too_and_bold_the_lowest():
    found = collect(make_runs({OURS: 0.5, "mixup": 0.6, RIVAL: 0.7, "ridge": 0.8}))
    written = dict(report.tables_by_table(found))
    units = written["RMSE, in units of y"].set_index("table")[TITLE]
    patterns = (r"\*\*57\d\d\d ± \d+\*\*", r"\*\*1.6\d ± ", r"\*\*0.38\d ± ")  # three digits
    assert all(re.match(*it) for it in zip(patterns, units, strict=True))
    assert units.str.startswith("**").all()
    above = written["RMSE less that of RealMLP-TD, sd of y, ± over the splits"]
    assert above[TITLE].str.startswith("-0.").all()
    assert set(above) == {"table", TITLE, "mixup"}
    pairs = dict(lab_report.tables(found))["Differences, paired by table and split"]["compared"]
    assert {f"{TITLE} - RealMLP-TD", f"{TITLE} - Ridge", "mixup - Ridge"} <= {*pairs}


@pytest.mark.parametrize("names", [["ridge"], [OURS, "catboost"], list(METHODS)])
def test_figures_name_each_method_once(names):
    found = collect(make_runs(dict.fromkeys(names, 0.5), spread=0.01))
    titles = sorted(METHODS[name].title for name in names)
    for ax in plot(found).axes:
        assert sorted(text.get_text() for text in ax.texts) == titles
    if len(names) > 1:
        for ax in plot_ranks(found).axes:
            drawn = " ".join(text.get_text() for text in ax.texts)
            assert all(title in drawn for title in titles)


def test_one_method_on_one_table_has_a_page():
    runs = make_runs({"ridge": 0.5}, tables=["iris_petal"], n_splits=1).assign(**environment("cpu"))
    outcome = report.tell(runs, budget=FULL, absent=[METHODS["tabm"]], missing=["abalone_rings"])
    assert any("Not installed, and left out: TabM-D." in note for note in outcome.notes)
    assert any("left out: Abalone, rings." in note for note in outcome.notes)
