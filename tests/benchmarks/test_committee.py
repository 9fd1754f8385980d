"""Committee: variants choose from networks that are trained once, as the classifier would."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import log_loss

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import as_categories, load_table
from benchmarks.committee.library import Library
from benchmarks.committee.recipes import LIBRARY, OTHERS, VARIANTS
from benchmarks.committee.report import share_of_epochs, tell_shares
from benchmarks.committee.runs import Scale, fit_library, list_tasks
from sklearn_mixup import TabularMixupClassifier
from sklearn_mixup._tabular.base import SETTINGS

PARAMS = {"n_estimators": 3, "max_epochs": 3, "device": "cpu"}
RECIPE = VARIANTS["reference"].settings


@pytest.fixture(scope="module")
def rows():
    """Rows of wine to train and to test on."""
    table = load_table("wine")
    train, test = split_rows(table, 0)
    X = as_categories(table)
    return X.iloc[train], table.y[train], X.iloc[test], table.y[test]


@pytest.fixture(scope="module")
def library() -> Library:
    """The networks of two settings beside the recipe's, trained on wine."""
    names = [*RECIPE, "alpha_1", "bins_48"]
    fitted, seconds = fit_library(load_table("wine"), 0, names, PARAMS)
    assert min(seconds.values()) > 0
    return fitted


def test_the_recipe_is_the_classifier_with_its_defaults(rows):
    X, y, X_test, _ = rows
    assert [LIBRARY[name] for name in RECIPE] == [*SETTINGS]
    fitted, _ = fit_library(load_table("wine"), 0, [*RECIPE], PARAMS)
    ours = fitted.choose_among(RECIPE)
    public = TabularMixupClassifier(random_state=0, **PARAMS).fit(X, y)
    assert ours.setting_weights_.tolist() == public.setting_weights_.tolist()
    assert ours.validation_loss_ == public.validation_loss_
    np.testing.assert_array_equal(ours.predict_proba(X_test), public.predict_proba(X_test))


@pytest.mark.parametrize("variant", ["networks", "no_networks", "no_bins", "bins_48"])
def test_a_variant_has_its_settings_and_classifiers_alone(library, rows, variant):
    names, others = VARIANTS[variant].settings, VARIANTS[variant].others
    chosen = library.choose_among(names, others)
    n_nets = len(names)
    assert chosen.settings_[:n_nets] == [LIBRARY[name] for name in names]
    assert [type(own).__name__ for own in chosen.settings_[n_nets:]] == [*others]
    # It says of a row what all say that have a share.
    alone = [library.choose_among([name], (), tempers=False) for name in names]
    alone += [library.choose_among((), [name], tempers=False) for name in others]
    mean = sum(
        share * one.predict_proba(rows[2])
        for share, one in zip(chosen.setting_weights_, alone, strict=True)
    )
    tempered = mean ** (1 / chosen.temperature_)
    tempered /= tempered.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chosen.predict_proba(rows[2]), tempered, atol=1e-6)


def test_a_prior_of_many_rows_makes_shares_even(library):
    even = library.choose_among(RECIPE, n_prior=VARIANTS["even"].n_prior)
    np.testing.assert_allclose(even.setting_weights_, [1 / 4] * 2 + [1 / 8] * 4, atol=1e-6)
    own = library.choose_among(RECIPE, n_prior=VARIANTS["no_prior"].n_prior)
    assert own.validation_loss_ < even.validation_loss_


def test_without_a_temperature_the_probabilities_are_those_of_the_mean(library):
    assert library.choose_among(RECIPE).temperature_ != 1
    assert library.choose_among(RECIPE, tempers=False).temperature_ == 1


def test_epochs_count_whether_chosen_or_not(library):
    assert library.count_epochs(["mixup"]) == 3 * 3  # 3 networks, 3 epochs
    assert library.count_epochs(RECIPE) == 2 * 3 * 3


def test_bins_that_the_recipe_leaves_out_of_wide_tables_are_left_out_of_all_variants(monkeypatch):
    monkeypatch.setattr("sklearn_mixup._tabular.base._MOST_BINNED", 5)
    names = [*RECIPE, "bins_48"]
    fitted, _ = fit_library(load_table("wine"), 0, names, {**PARAMS, "n_estimators": 1})
    chosen = fitted.choose_among(names)
    assert chosen.settings_[0] == LIBRARY["mixup"]
    assert [type(own).__name__ for own in chosen.settings_[1:]] == [*OTHERS]
    assert fitted.count_epochs(names) == 3


# -- runs ---------------------------------------------------------------------------------------


def list_of(tables=("iris", "wine"), **params):
    scale = Scale(2, tables, {**PARAMS, "engine": "torch", **params})
    return list_tasks(scale, device="cpu", versions={}, data_home=None)


def test_plan_has_every_run_once_and_trains_a_split_together():
    tasks = list_of()
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys.drop_duplicates()) == len(keys) == 2 * 2 * len(VARIANTS)
    assert keys.groupby([task.group for task in tasks]).ngroups == 2 * 2
    prints = {task.fingerprint for task in tasks if task.key["table"] == "wine"}
    assert len(prints) == len(VARIANTS)


def test_a_run_measures_what_the_variant_says_of_the_test_rows(rows):
    tasks = [task for task in list_of() if task.group == "wine 0"]
    chosen = [task for task in tasks if task.key["variant"] in ("no_bins", "halves")]
    results = dict(
        zip(("no_bins", "halves"), chosen[0].work([it.key for it in chosen]), strict=True)
    )
    X, y, X_test, y_test = rows
    library, _ = fit_library(load_table("wine"), 0, [*RECIPE], PARAMS)
    told = library.choose_among(["mixup"]).predict_proba(X_test)
    assert results["no_bins"]["log_loss"] == pytest.approx(log_loss(y_test, told))
    assert json.loads(results["no_bins"]["shares"]).keys() == {"mixup", *OTHERS}
    halved = TabularMixupClassifier(random_state=0, **{**PARAMS, "n_estimators": 1}).fit(X, y)
    expected = log_loss(y_test, halved.predict_proba(X_test))
    assert results["halves"]["log_loss"] == pytest.approx(expected)
    assert (results["halves"]["n_epochs"], results["no_bins"]["n_epochs"]) == (2 * 3, 3 * 3)
    assert results["halves"]["fit_cpu_s"] > 0


# -- what is said -------------------------------------------------------------------------------


def test_epochs_and_shares_are_means_over_tables_however_many_splits_each_has():
    rows = []
    for table, n_splits, ratio, share in (("iris", 1, 0.5, 1.0), ("wine", 3, 0.125, 0.5)):
        for split in range(n_splits):
            shares = {"mixup": share, "erm": 1 - share}
            common = {"table": table, "split": split, "shares": json.dumps(shares)}
            rows += [
                common | {"variant": "reference", "n_epochs": 80, "temperature": 1.0 + split / 10},
                common | {"variant": "halves", "n_epochs": 80 * ratio, "temperature": 9.0},
            ]
    runs = pd.DataFrame(rows)
    assert share_of_epochs(runs)["halves"] == pytest.approx(stats.gmean([0.5, 0.125]))
    told = tell_shares(runs)
    assert "alpha=0.2: 0.75; alpha=0.0: 0.25." in told
    assert "1.00 to 1.20" in told


def test_all_variants_run_and_are_told(smoke_of):
    page = (smoke_of("committee") / "committee.md").read_text(encoding="utf-8")
    assert all(variant.change in page for variant in VARIANTS.values())
    runs = pd.read_csv(smoke_of("committee") / "committee.csv")
    assert len(runs) == 2 * 2 * len(VARIANTS)
    assert runs[["test_error", "log_loss", "ece", "n_epochs", "fit_cpu_s"]].notna().all(axis=None)
    assert (runs[runs["variant"] == "no_temperature"]["temperature"] == 1).all()


def test_without_skrub_it_says_what_to_install(monkeypatch, request_of):
    monkeypatch.setattr("benchmarks.committee.find_spec", lambda name: None)
    from benchmarks.registry import EXPERIMENTS

    with pytest.raises(SystemExit, match="skrub must be there"):
        EXPERIMENTS["committee"].plan(request_of(None))
