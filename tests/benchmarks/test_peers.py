"""Peers: the runs, and honest sentences."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.__main__ import main
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import (
    Table,
    as_categories,
    load_table,
    make_preprocessor,
)
from benchmarks._lab.methods import method as methods
from benchmarks._lab.methods import report as lab_report
from benchmarks._lab.methods import results
from benchmarks._lab.methods.anchors import WIDE
from benchmarks._lab.methods.figures import plot, plot_ranks
from benchmarks._lab.methods.method import FULL, TINY
from benchmarks._lab.methods.runs import Scale, list_tasks
from benchmarks._lab.runs import environment
from benchmarks._lab.scores import measure
from benchmarks.peers import report
from benchmarks.peers.conclusions import conclude
from benchmarks.peers.methods import METHODS
from benchmarks.peers.results import CONTEST, OURS
from benchmarks.peers.runs import run_method
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
from tests.benchmarks import made_up_runs

needs_peers = pytest.mark.skipif(
    any(method.absent_packages() for method in METHODS.values()),
    reason="not all packages of the extra peers are installed",
)
FAST = ["mixup", "erm_ensemble", "mlp", "hist_gb", "forest", "prior"]
OTHERS = ["catboost", "lightgbm", "realmlp", "tabm"]


def make_runs(errors, tables=("iris", "wine", "breast_cancer"), **options) -> pd.DataFrame:
    """Make up runs; a method's error is the same on all tables, but for a spread between them."""

    def measure(table, value):
        told = dict.fromkeys(("test_error", "brier", "ece"), value) | {"log_loss": 3 * value}
        return told | {
            "n_unseen": 0,
            "roc_auc": 1 - value if table == "breast_cancer" else np.nan,
        }

    return made_up_runs.make_runs(errors, measure, tables=tables, **options)


collect = partial(results.collect, CONTEST)


# -- methods ------------------------------------------------------------------------------------


def test_nominal_columns_and_words_become_categories_and_numbers_stay():
    X = pd.DataFrame({"code": [1, np.nan], "word": ["a", None], "number": [0.5, np.nan]})
    found = as_categories(Table("made up", X, np.array([0, 1]), ("code",), ""))
    assert found.dtypes.astype(str).tolist() == ["category", "category", "float64"]
    assert found.isna().sum().tolist() == [1, 1, 1]
    assert [found[name].cat.categories.tolist() for name in ("code", "word")] == [["1.0"], ["a"]]
    assert X.dtypes.astype(str).tolist()[0] == "float64"  # the caller's table is as it was


def behind_skrub(classifier):
    return pytest.importorskip("skrub").tabular_pipeline(classifier)


def behind_preprocessor(classifier):
    return make_pipeline(make_preprocessor(load_table("wine"), "standardised"), classifier)


TINY_NET = MixupClassifier(max_epochs=TINY.max_epochs, random_state=1, device="cpu")
ESTIMATORS = {
    "mixup": (behind_preprocessor, TINY_NET),
    "mixup_skrub": (behind_skrub, TINY_NET),
    "erm_ensemble": (
        behind_preprocessor,
        FusedBaggingClassifier(clone(TINY_NET).set_params(alpha=0), 2, random_state=1),
    ),
    "hist_gb": (behind_skrub, HistGradientBoostingClassifier(random_state=1)),
    "logistic": (behind_skrub, LogisticRegression(random_state=1)),
    "prior": (make_pipeline, DummyClassifier(strategy="prior")),
}


@pytest.mark.parametrize("method", ESTIMATORS)
def test_a_run_is_the_method_on_the_rows_of_the_split(method):
    make, classifier = ESTIMATORS[method]
    estimator = make(clone(classifier))
    found = run_method("wine", method, 1, budget=TINY, device="cpu", data_home=None)
    table = load_table("wine")
    train, test = split_rows(table, 1)
    if isinstance(estimator[-1], FusedBaggingClassifier):
        estimator[-1].estimator.set_params(random_state=None)
    estimator.fit(table.X.iloc[train], table.y[train])
    probabilities = estimator.predict_proba(table.X.iloc[test])
    expected = measure(probabilities, table.y[test], estimator.classes_, seed=1)
    for name in ("test_error", "log_loss", "brier", "ece"):
        assert found[name] == pytest.approx(expected[name], abs=1e-6)
    assert (found["n_train"], found["n_test"], found["roc_auc"]) == (142, 36, None)


def test_two_classes_have_a_roc_auc():
    # Seen from the fit: the class that sorts last is the positive one.
    found = run_method("breast_cancer", "mixup", 0, budget=TINY, device="cpu", data_home=None)
    assert 0.9 < found["roc_auc"] <= 1
    found = run_method("breast_cancer", "prior", 0, budget=TINY, device="cpu", data_home=None)
    assert found["roc_auc"] == 0.5


def test_the_time_of_the_processor_does_not_count_waiting(monkeypatch):
    class Waits(DummyClassifier):
        def fit(self, X, y):
            time.sleep(0.2)
            return super().fit(X, y)

    waits = replace(METHODS["prior"], make=lambda *_: Waits(strategy="prior"))
    monkeypatch.setitem(METHODS, "prior", waits)
    found = run_method("wine", "prior", 0, budget=TINY, device="cpu", data_home=None)
    assert found["fit_cpu_s"] < 0.1 < 0.2 < found["fit_time_s"]


def test_full_budget_leaves_the_defaults_alone():
    table = load_table("iris")
    net = METHODS["mixup"].make(table, 3, FULL, "cpu")[-1]
    default = MixupClassifier(random_state=3, device="cpu")
    assert net.get_params(deep=False) == default.get_params(deep=False)
    ensemble = METHODS["erm_ensemble"].make(table, 3, FULL, "cpu")[-1]
    assert ensemble.n_estimators == 8
    assert ensemble.estimator.alpha == 0
    assert ensemble.estimator.max_epochs == default.max_epochs


@needs_peers
def test_full_budget_of_the_others_is_their_default():
    table = load_table("iris")
    catboost, lightgbm, realmlp, tabm = (METHODS[it].make(table, 3, FULL, "cpu") for it in OTHERS)
    assert "iterations" not in catboost.get_params()
    assert lightgbm.get_params()["n_estimators"] == 100
    assert (realmlp.n_epochs, tabm.n_epochs, tabm.num_emb_type) == (None, None, "pwl")
    assert [net.random_state for net in (realmlp, tabm)] == [3, 3]
    wide = replace(table, X=pd.DataFrame(np.zeros((150, WIDE + 1))))
    assert METHODS["tabm"].make(wide, 3, FULL, "cpu").num_emb_type is None


def test_a_method_that_fails_is_named(monkeypatch):
    def fail(*_):
        raise ValueError("no such luck")

    monkeypatch.setitem(METHODS, "mlp", replace(METHODS["mlp"], make=fail))
    with pytest.raises(RuntimeError, match=r"'mlp' failed on the table 'iris', split 0.*no such"):
        run_method("iris", "mlp", 0, budget=TINY, device="cpu", data_home=None)


# -- plan ---------------------------------------------------------------------------------------


def make_plan(names=FAST, budget=FULL, versions=environment("cpu")):  # noqa: B008
    scale = Scale(2, ("iris", "digits"), budget)
    where = {"device": "cpu", "versions": versions, "data_home": None}
    return list_tasks(run_method, METHODS, scale, names, **where)


def test_plan_has_every_run_once_and_whole_splits_first():
    keys = pd.DataFrame([task.key for task in make_plan()])
    assert len(keys.drop_duplicates()) == len(keys) == 2 * 2 * len(FAST)
    assert keys["split"].is_monotonic_increasing
    assert keys["table"].iloc[0] == "digits"  # the one that takes longer


def test_what_a_run_is_found_by_does_not_depend_on_the_other_methods_or_their_packages(
    monkeypatch,
):
    all_of_them = {json.dumps(task.key): task.fingerprint for task in make_plan()}
    monkeypatch.setattr(methods, "find_spec", lambda name: None)  # the others' packages are gone
    alone = {json.dumps(task.key): task.fingerprint for task in make_plan(["mixup", "prior"])}
    assert alone.items() <= all_of_them.items()
    for task in make_plan(versions=environment("cpu") | {"sklearn_mixup": "99.0"}):
        is_same = all_of_them[json.dumps(task.key)] == task.fingerprint
        assert is_same == (not METHODS[task.key["method"]].is_ours)


def test_another_budget_is_another_run():
    for full, tiny in zip(make_plan(), make_plan(budget=TINY), strict=True):
        is_same = full.fingerprint == tiny.fingerprint
        assert is_same == (not METHODS[full.key["method"]].is_ours)
    for method in OTHERS:
        settings = [METHODS[method].tell(budget) for budget in (FULL, TINY)]
        assert settings[0] != settings[1]


# -- command ------------------------------------------------------------------------------------

SMOKE = ["peers", "--scale", "smoke", "--device", "cpu"]


def test_each_installed_method_runs_on_each_table_and_split(smoke_of):
    page = (smoke_of("peers") / "peers.md").read_text(encoding="utf-8")
    for heading in ("Means over 2 tables", "The share that is mixup's own", "Test error, %"):
        assert f"## {heading}" in page
    assert page.index("(peers.png)") < page.index("(peers_ranks.png)")
    runs = pd.read_csv(smoke_of("peers") / "peers.csv")
    there = [method for method in METHODS if not METHODS[method].absent_packages()]
    assert len(runs) == 2 * 2 * len(there)
    assert set(runs["method"]) == set(there)
    assert runs["roc_auc"].notna().tolist() == (runs["table"] == "breast_cancer").tolist()
    for name in {name for method in there for name in METHODS[method].packages}:
        used = runs["method"].map(lambda method, name=name: name in METHODS[method].packages)
        assert runs["packages"].str.contains(name).eq(True).tolist() == used.tolist()
    assert (runs[["fit_time_s", "fit_cpu_s"]] > 0).all(axis=None)


@needs_peers
def test_nothing_unasked_appears_and_the_working_folder_stays_empty(tmp_path):
    # A process of its own: Lightning has other loggers where pytest has set up its own.
    code = (
        "from benchmarks.peers.runs import run_method;"
        "from benchmarks._lab.methods.method import TINY;"
        f"[run_method('iris', method, 0, budget=TINY, device='cpu', data_home=None)"
        f" for method in {OTHERS}]"
    )
    root = Path(__file__).parents[2]
    own = "ignore::FutureWarning:onnxscript.converter"  # Old ones warn of themselves.
    done = subprocess.run(
        [sys.executable, "-W", own, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@needs_peers
@pytest.mark.parametrize("method", METHODS)
def test_each_method_takes_a_table_with_missing_numbers_codes_and_words(method, monkeypatch):
    rng = np.random.default_rng(0)
    X = made_up_runs.make_features(rng)
    table = Table("made up", X, (X["number"] > 0).to_numpy().astype(int), ("code", "word"), "")
    monkeypatch.setattr("benchmarks.peers.runs.load_table", lambda *_: table)
    found = run_method("made up", method, 0, budget=TINY, device="cpu", data_home=None)
    assert 0 < found["log_loss"] < 2


def test_methods_that_are_added_later_do_what_is_missing_alone(tmp_path, monkeypatch):
    first, out = [*SMOKE, "--out", str(tmp_path)], tmp_path / "peers.csv"
    main([*first, "--methods", "mixup", "prior"])
    before = out.read_bytes()
    again = replace(METHODS["mixup"], make=lambda *_: pytest.fail("ran again"))
    monkeypatch.setitem(METHODS, "mixup", again)
    main([*first, "--methods", "ensemble", "mixup", "prior"])
    assert out.read_bytes().startswith(before)
    assert len(pd.read_csv(out)) == 2 * 2 * 3


def test_without_its_packages_a_method_is_left_out_and_the_page_says_how_to_get_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    names = ["realmlp", "tabm", "catboost", "prior"]
    main([*SMOKE, "--methods", *names, "--tables", "iris", "--out", str(tmp_path)])
    assert set(pd.read_csv(tmp_path / "peers.csv")["method"]) == {"prior"}
    told = "Not installed, and left out: CatBoost, RealMLP-TD, TabM-D"
    assert told in (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert told in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"left out: RealMLP-TD.*pip install pytabkit, then"):
        main([*SMOKE, "--methods", "realmlp", "--out", str(tmp_path)])


# -- what is said -------------------------------------------------------------------------------


def told(errors, **options) -> list[str]:
    """Conclude from made-up runs."""
    return conclude(collect(make_runs(errors, **options)))


def test_what_was_asked_and_holds_is_said():
    errors = {OURS: 0.10, "catboost": 0.12, "tabm": 0.14, "logistic": 0.2}
    log_loss, error, others, floors, time_, trees, *_, ranks = told(errors)
    assert log_loss.startswith("The log-loss of TabularMixup is 0.30")
    assert "that of CatBoost 0.36" in log_loss
    assert log_loss.endswith("Asked was at least 5 % less. This holds.")
    assert re.match(r"TabularMixup errs (1.9|2.0)\d points less than CatBoost", error)
    assert "3 lower and 0 higher" in error
    assert error.endswith("Asked was at least 0.5 points less. This holds.")
    assert re.search(r"holds for: TabM-D \(-0.1[12]\d ± 0.00\d\), LogisticRegression", others)
    assert others.endswith("and does not for: none.")
    assert floors.startswith("On 0 of 3 tables the log-loss")
    assert floors.endswith("Asked was none. This holds.")
    assert "takes 1.00 of the fit time of TabM-D" in time_
    assert time_.endswith("This does not hold.")
    assert trees == "Trees err less than TabularMixup on none of 3 tables."
    assert ranks.endswith("Asked was that TabularMixup is first. This holds.")


def test_what_was_asked_and_does_not_hold_is_said():
    errors = {OURS: 0.20, "catboost": 0.18, "tabm": 0.14, "logistic": 0.19, "prior": 0.5}
    log_loss, error, others, floors, _, trees, *_, ranks = told(errors)
    assert re.search(
        r"or \+1[01].\d %; the median difference is \+0.0\d\d. Asked .*does not hold.$", log_loss
    )
    assert "points more than CatBoost" in error
    assert error.endswith("This does not hold.")
    assert "This holds for: none; and does not for: TabM-D (+0." in others
    assert floors.startswith("On 3 of 3 tables the log-loss of TabularMixup is above that of")
    assert ": Iris (LogisticRegression +0.03" in floors
    assert "(base rates" not in floors
    assert floors.endswith("Asked was none. This does not hold.")
    assert "on 3 of 3 tables: Iris (CatBoost -" in trees
    assert trees.count("*") == 4  # each of them clearly, and the footnote
    assert ranks.endswith("This does not hold.")


@pytest.mark.parametrize(("share", "holds"), [(0.949, True), (0.951, False)])
@pytest.mark.parametrize(("points", "errs_less"), [(0.51, True), (0.49, False)])
def test_five_percent_of_log_loss_and_half_a_point_are_asked(share, holds, points, errs_less):
    runs = make_runs({OURS: 0.10, "catboost": 0.10})
    rival = runs[runs["method"] == "catboost"]
    is_ours = runs["method"] == OURS
    runs.loc[is_ours, "log_loss"] = share * rival["log_loss"].to_numpy()
    runs.loc[is_ours, "test_error"] = rival["test_error"].to_numpy() - points / 100
    log_loss, error, *_ = conclude(collect(runs))
    assert log_loss.endswith("This holds.") == holds
    assert error.endswith("This holds.") == errs_less


def test_one_table_that_is_clearly_worse_than_the_base_rates_is_named():
    runs = make_runs({OURS: 0.10, "prior": 0.3})
    is_ours = (runs["method"] == OURS) & (runs["table"] == "wine")
    runs.loc[is_ours, "log_loss"] += 1
    (floors,) = [text for text in conclude(collect(runs)) if "two standard errors" in text]
    assert floors.startswith("On 1 of 3 tables")
    assert "splits: Wine (base rates +0.39" in floors


def test_all_that_is_clearly_better_on_a_table_is_named():
    runs = make_runs({OURS: 0.4, "logistic": 0.3, "prior": 0.35}, tables=["iris"])
    (floors,) = [text for text in conclude(collect(runs)) if "two standard errors" in text]
    assert re.search(r": Iris \(LogisticRegression \+0.\d+ ± 0.\d+, base rates \+0.\d+ ±", floors)


def told_of_log_loss(other: str, units: str, differences: list[float]) -> str:
    """Conclude from log-losses of ours that are above another's, by table or split."""
    runs = make_runs({OURS: 0.1, other: 0.1})
    runs["log_loss"] = 0.3
    for unit, difference in zip(runs[units].unique(), differences, strict=True):
        runs.loc[(runs["method"] == OURS) & (runs[units] == unit), "log_loss"] += difference
    return conclude(collect(runs))[0]


@pytest.mark.parametrize(
    ("differences", "n"),
    [([1, 0, 1, 0], 0), ([1, 1, 1, 0], 3)],  # 1.7 and 3 standard errors above
)
def test_two_standard_errors_over_the_splits_are_clearly_worse(differences, n):
    floors = told_of_log_loss("prior", "split", differences)
    assert floors.startswith(f"On {n} of 3 tables")


@pytest.mark.parametrize(
    ("differences", "holds"),
    [([-0.1, -0.1, 0.02], True), ([-0.1, -0.1, 0.08], False)],  # 1.5 and 0.7 standard errors below
)
def test_one_standard_error_over_tables_is_below(differences, holds):
    others = told_of_log_loss("tabm", "table", differences)
    assert ("holds for: TabM-D" in others) == holds
    assert ("does not for: TabM-D" in others) != holds


def test_a_quarter_of_the_time_is_enough():
    runs = make_runs({OURS: 0.1, "tabm": 0.1})
    is_slow = (runs["method"] == "tabm") & (runs["table"] == "iris")
    runs.loc[is_slow, "fit_cpu_s"] = 256.0  # 128, 1 and 1 times: 128 ** (1 / 3) = 5.04
    (time_,) = [text for text in conclude(collect(runs)) if "fit time" in text]
    assert "takes 0.20 of the fit time" in time_
    assert "(geometric mean; 0.01 on Iris to 1.00 on" in time_
    assert time_.endswith("This holds.")


def test_the_share_of_mixup_is_told_with_its_power():
    (sentence,) = told({"ensemble": 0.10, "erm_ensemble": 0.12})
    assert "points less than ERM" in sentence
    assert ": told apart (t-test over tables p" in sentence
    (sentence,) = told({"ensemble": 0.10, "erm_ensemble": 0.10}, spread=0.05)
    assert ": not told apart" in sentence
    assert re.search(r"would be found in 80 % of cases, one of 0.5 in \d+ %", sentence)


def test_methods_that_are_alike_err_as_often():
    runs = make_runs({"ensemble": 0.1})
    results = collect(pd.concat([runs, runs.assign(method="erm_ensemble")]))
    assert conclude(results) == [
        "mixup x 8 errs as often as ERM x 8 on the mean of 3 tables (± 0.00 over tables, ± 0.00 "
        "over splits)."
    ]


def test_tables_name_each_pair_and_bold_the_lowest():
    errors = {OURS: 0.1, "ensemble_skrub": 0.2, "realmlp": 0.2, "mixup": 0.2}
    results = collect(make_runs(errors))
    written = dict(lab_report.tables(results))
    pairs = written["Differences, paired by table and split"]
    assert pairs["compared"].tolist() == [
        "TabularMixup - RealMLP-TD",
        "TabularMixup - mixup x 8, skrub",
        "mixup x 8, skrub - RealMLP-TD",
    ]
    assert pairs["fit time"].tolist() == ["1.00 x"] * 3
    assert "The share that is mixup's own" not in written
    means = written["Means over 3 tables"].set_index("method")
    roc_auc = float(means.loc["mixup", "ROC AUC"].partition(" ")[0])
    assert roc_auc == pytest.approx(0.8, abs=0.002)
    errors, losses = (table for _, table in report.tables_by_table(results))
    for table in (errors, losses):
        bold = table.drop(columns="table").apply(lambda column: column.str.startswith("**"))
        assert bold.any().to_dict() == {
            "TabularMixup": True,
            "mixup x 8, skrub": False,
            "RealMLP-TD": False,
            "mixup": False,
        }


def test_tables_of_many_classes_have_no_roc_auc():
    results = collect(make_runs({"mixup": 0.2, "mlp": 0.1}, tables=("iris", "wine")))
    assert "ROC AUC" not in dict(lab_report.tables(results))["Means over 2 tables"]


@pytest.mark.parametrize("names", [["mlp"], [OURS, "forest"], list(METHODS)])
def test_figures_name_each_method_once(names):
    results = collect(make_runs(dict.fromkeys(names, 0.1), spread=0.01))
    titles = {METHODS[name].title for name in names}
    for ax in plot(results).axes:  # the base rates are far off
        assert sorted(text.get_text() for text in ax.texts) == sorted(titles - {"base rates"})
    if len(names) > 1:
        for ax in plot_ranks(results).axes:
            told = " ".join(text.get_text() for text in ax.texts)
            assert all(title in told for title in titles)
