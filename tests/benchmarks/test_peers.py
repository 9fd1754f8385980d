"""Peers: statistics against closed forms and the literature, the runs, and honest sentences."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from benchmarks.__main__ import main
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import TITLES, Table, load_table, make_preprocessor
from benchmarks._lab.runs import environment
from benchmarks._lab.scores import measure
from benchmarks.peers import methods, report
from benchmarks.peers.conclusions import conclude
from benchmarks.peers.figures import plot, plot_ranks
from benchmarks.peers.methods import FULL, METHODS, TINY, as_categories
from benchmarks.peers.results import collect
from benchmarks.peers.runs import Scale, list_tasks, run_method
from benchmarks.peers.statistics import (
    Ranks,
    averages,
    by_table_and_split,
    compare,
    critical_difference,
    detectable,
    power,
    rank,
)
from sklearn_mixup import MixupClassifier

needs_pytabkit = pytest.mark.skipif(
    not methods.is_installed("realmlp"), reason="pytabkit is not installed"
)
FAST = ["mixup", "erm", "tuned", "erm_budget", "mlp", "hist_gb", "forest"]


def make_runs(
    errors: dict[str, float], *, tables=("iris", "wine", "digits"), spread=0.0, n_splits=4
) -> pd.DataFrame:
    """Make up runs; a method's error is the same on all tables, but for a spread between them."""
    rng = np.random.default_rng(0)
    rows = []
    for table in tables:
        for method, error in errors.items():
            at_table = error + spread * rng.normal()
            for split in range(n_splits):
                value = at_table + 0.001 * rng.normal()
                rows.append(
                    {"table": table, "method": method, "split": split, "n_unseen": 0}
                    | {"test_error": value, "log_loss": 3 * value, "brier": value, "ece": value}
                    | {"fit_time_s": 2.0, "predict_time_s": 0.01}
                )
    return pd.DataFrame(rows)


# -- statistics ---------------------------------------------------------------------------------


def test_a_difference_is_paired_and_has_tables_and_splits_as_units():
    runs = make_runs({"mixup": 0.2, "erm": 0.25}, spread=0.02).sample(frac=1, random_state=0)
    values = by_table_and_split(runs, "test_error")
    difference = compare(values, "mixup", "erm")
    wide = runs.pivot(index=["table", "split"], columns="method", values="test_error")
    gap = wide["mixup"] - wide["erm"]
    tables, splits = gap.groupby("table").mean(), gap.groupby("split").mean()
    assert difference.mean == pytest.approx(gap.mean())
    assert difference.over_tables == pytest.approx(tables.sem())
    assert difference.over_splits == pytest.approx(splits.sem())
    assert difference.over_tables > 3 * difference.over_splits
    assert difference.p_value == pytest.approx(stats.ttest_1samp(tables, 0).pvalue)
    assert difference.p_wilcoxon == pytest.approx(stats.wilcoxon(tables).pvalue)
    assert difference.by_table.index.tolist() == [t for t in TITLES if t in set(runs["table"])]


def test_methods_that_are_alike_are_not_told_apart():
    runs = make_runs({"mixup": 0.2})
    values = by_table_and_split(pd.concat([runs, runs.assign(method="erm")]), "ece")
    difference = compare(values, "mixup", "erm")
    assert (difference.mean, difference.over_tables) == (0, 0)
    assert (difference.p_value, difference.p_wilcoxon) == (1, 1)


def test_one_table_has_no_standard_error_over_tables():
    values = by_table_and_split(make_runs({"mixup": 0.2, "erm": 0.3}, tables=["iris"]), "ece")
    difference = compare(values, "mixup", "erm")
    assert np.isnan([difference.over_tables, difference.p_value, difference.p_wilcoxon]).all()
    assert difference.over_splits > 0


def test_the_average_has_the_standard_error_of_means_over_tables():
    runs = make_runs({"mixup": 0.2, "erm": 0.3}, spread=0.05)
    found = averages(by_table_and_split(runs, "test_error")).loc["mixup"]
    by_split = runs[runs["method"] == "mixup"].groupby("split")["test_error"].mean()
    assert found.tolist() == pytest.approx([by_split.mean(), by_split.sem()])


def test_a_run_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match=r"table and split .* each method; .*'iris', 0"):
        collect(make_runs({"mixup": 0.2, "erm": 0.3}).iloc[1:])


@pytest.mark.parametrize(("true", "n"), [(0.0, 5), (1.0, 10), (3.0, 10), (2.0, 4)])
def test_power_is_the_share_of_drawn_samples_that_the_t_test_finds(true, n):
    rng = np.random.default_rng(0)
    # Differences of unit standard error: a standard deviation of sqrt(n).
    drawn = rng.normal(true, np.sqrt(n), size=(20_000, n))
    share = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    assert power(true, 1.0, n) == pytest.approx(share, abs=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("n", [2, 3, 10, 30])
def test_what_is_detectable_is_found_in_80_percent(n):
    assert power(detectable(0.7, n), 0.7, n) == pytest.approx(0.8)


def test_power_of_a_far_difference_is_one():
    assert power(50.0, 1.0, 10) == pytest.approx(1.0)  # stats.nct would be NaN


def test_critical_difference_is_that_of_demsars_tables():
    # Table 5a of Demsar 2006: q at 5 % for 2, 3, 5 and 10 methods.
    for n_methods, q in {2: 1.960, 3: 2.343, 5: 2.728, 10: 3.164}.items():
        expected = q * np.sqrt(n_methods * (n_methods + 1) / (6 * 20))
        assert critical_difference(n_methods, 20) == pytest.approx(expected, rel=1e-3)


def test_ranks_share_ties_and_the_friedman_test_is_scipys():
    index = pd.MultiIndex.from_product([["iris", "wine", "digits"], [0]], names=["table", "split"])
    rows = [[0.1, 0.1 + 1e-15, 0.3], [0.1, 0.2, 0.3], [0.3, 0.1, 0.2]]
    values = pd.DataFrame(rows, index=index, columns=["mlp", "forest", "erm"])
    ranks = rank(values)
    # Ranks (1.5, 1.5, 3), (1, 2, 3) and (3, 1, 2).
    assert ranks.mean.to_dict() == pytest.approx({"forest": 1.5, "mlp": 5.5 / 3, "erm": 8 / 3})
    expected = stats.friedmanchisquare(*values.round(12).to_numpy().T).pvalue
    assert ranks.p_value == pytest.approx(expected)


def test_methods_that_tie_everywhere_have_no_ranks_to_test():
    alike = pd.concat([make_runs({"mlp": 0.2}).assign(method=name) for name in "abc"])
    ranks = rank(by_table_and_split(alike, "test_error"))
    assert ranks.p_value == 1
    assert ranks.groups() == [("a", "c")]


def test_groups_join_what_is_within_reach_and_leave_out_groups_inside_others():
    mean = pd.Series({"a": 1.0, "b": 1.8, "c": 3.0, "d": 3.9, "e": 7.0})
    assert Ranks(mean, 0.0, 2.0, 10).groups() == [("a", "c"), ("c", "d")]
    assert Ranks(mean, 0.0, 0.5, 10).groups() == []
    assert Ranks(mean, 0.0, 9.0, 10).groups() == [("a", "e")]


# -- methods ------------------------------------------------------------------------------------


def test_nominal_columns_and_words_become_categories_and_numbers_stay():
    X = pd.DataFrame({"code": [1, 2], "word": ["a", "b"], "number": [0.5, 1.5]})
    found = as_categories(Table("made up", X, np.array([0, 1]), ("code",), ""))
    assert found.dtypes.astype(str).tolist() == ["category", "category", "float64"]
    assert X.dtypes.astype(str).tolist()[0] == "int64"  # the caller's table is as it was


ESTIMATORS = {
    "mixup": MixupClassifier(max_epochs=TINY.max_epochs, random_state=1, device="cpu"),
    "erm": MixupClassifier(alpha=0, max_epochs=TINY.max_epochs, random_state=1, device="cpu"),
    "hist_gb": HistGradientBoostingClassifier(random_state=1),
    "forest": RandomForestClassifier(random_state=1),
}


@pytest.mark.parametrize("method", ESTIMATORS)
def test_a_run_is_the_method_on_the_rows_of_the_split(method):
    found = run_method("wine", method, 1, budget=TINY, device="cpu", data_home=None)
    table = load_table("wine")
    train, test = split_rows(table, 1)
    # Trees see no difference between raw numbers and standardised ones, but for rounding.
    features = "standardised" if METHODS[method].is_ours else "raw"
    estimator = make_pipeline(make_preprocessor(table, features), ESTIMATORS[method])
    estimator.fit(table.X.iloc[train], table.y[train])
    probabilities = estimator.predict_proba(table.X.iloc[test])
    expected = measure(probabilities, table.y[test], estimator.classes_, seed=1)
    for name in ("test_error", "log_loss", "brier", "ece"):
        assert found[name] == pytest.approx(expected[name], abs=1e-6)
    assert (found["n_train"], found["n_test"]) == (142, 36)


def test_a_search_tells_what_it_chose_among_what_it_may():
    found = run_method("iris", "erm_budget", 0, budget=TINY, device="cpu", data_home=None)
    chosen = json.loads(found["chosen"])
    assert chosen["alpha"] == 0
    assert chosen["max_epochs"] in TINY.own_epochs


def test_full_budget_leaves_the_defaults_alone():
    table = load_table("iris")
    net = METHODS["mixup"].make(table, 3, FULL, "cpu")[-1]
    default = MixupClassifier(random_state=3, device="cpu")
    assert net.get_params(deep=False) == default.get_params(deep=False)
    erm = METHODS["erm"].make(table, 3, FULL, "cpu")[-1]
    assert erm.alpha == 0
    assert erm.max_epochs == default.max_epochs


def test_a_method_that_fails_is_named(monkeypatch):
    def fail(*_):
        raise ValueError("no such luck")

    monkeypatch.setitem(METHODS, "mlp", replace(METHODS["mlp"], make=fail))
    with pytest.raises(RuntimeError, match=r"'mlp' failed on the table 'iris', split 0.*no such"):
        run_method("iris", "mlp", 0, budget=TINY, device="cpu", data_home=None)


# -- plan ---------------------------------------------------------------------------------------


def make_plan(names=FAST, budget=FULL, versions=environment("cpu")):  # noqa: B008
    scale = Scale(2, ("iris", "digits"), budget)
    return list_tasks(scale, names, device="cpu", versions=versions, data_home=None)


def test_plan_has_every_run_once_and_whole_splits_first():
    keys = pd.DataFrame([task.key for task in make_plan()])
    assert len(keys.drop_duplicates()) == len(keys) == 2 * 2 * len(FAST)
    assert keys["split"].is_monotonic_increasing
    assert keys["table"].iloc[0] == "digits"  # the one that takes longer


def test_what_a_run_is_found_by_does_not_depend_on_the_other_methods_or_their_packages(
    monkeypatch,
):
    all_of_them = {json.dumps(task.key): task.fingerprint for task in make_plan()}
    monkeypatch.setattr(methods, "find_spec", lambda name: None)  # pytabkit is gone
    alone = {json.dumps(task.key): task.fingerprint for task in make_plan(["hist_gb"])}
    assert alone.items() <= all_of_them.items()
    for task in make_plan(versions=environment("cpu") | {"sklearn_mixup": "99.0"}):
        is_same = all_of_them[json.dumps(task.key)] == task.fingerprint
        assert is_same == (not METHODS[task.key["method"]].is_ours)


def test_another_budget_is_another_run():
    for full, tiny in zip(make_plan(), make_plan(budget=TINY), strict=True):
        is_same = full.fingerprint == tiny.fingerprint
        assert is_same == (not METHODS[full.key["method"]].is_ours)


# -- command ------------------------------------------------------------------------------------

SMOKE = ["peers", "--scale", "smoke", "--device", "cpu"]


def test_each_installed_method_runs_on_each_table_and_split(smoke_of):
    page = (smoke_of("peers") / "peers.md").read_text(encoding="utf-8")
    for heading in ("Means over 2 tables", "The share that is mixup's own", "Test error, %"):
        assert f"## {heading}" in page
    assert page.index("(peers.png)") < page.index("(peers_ranks.png)")
    runs = pd.read_csv(smoke_of("peers") / "peers.csv")
    there = [method for method in METHODS if methods.is_installed(method)]
    assert len(runs) == 2 * 2 * len(there)
    assert set(runs["method"]) == set(there)
    ran = runs["pytabkit"].notna()
    assert ran.tolist() == (runs["method"] == "realmlp").tolist()
    assert (runs["fit_time_s"] > 0).all()


@needs_pytabkit
def test_nothing_unasked_appears_and_the_working_folder_stays_empty(tmp_path):
    # A process of its own: Lightning has other loggers where pytest has set up its own.
    code = (
        "from benchmarks.peers.runs import run_method;"
        "from benchmarks.peers.methods import TINY;"
        "run_method('iris', 'realmlp', 0, budget=TINY, device='cpu', data_home=None)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@needs_pytabkit
def test_realmlp_takes_a_table_with_missing_numbers_and_words(monkeypatch):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=60),
            "empty": np.where(rng.random(60) < 0.9, np.nan, 1.0),
            "word": rng.choice(["a", "b"], 60),
        }
    )
    table = Table("made up", X, (X["number"] > 0).to_numpy().astype(int), (), "")
    monkeypatch.setattr("benchmarks.peers.runs.load_table", lambda *_: table)
    found = run_method("made up", "realmlp", 0, budget=TINY, device="cpu", data_home=None)
    assert 0 < found["log_loss"] < 2


def test_methods_that_are_added_later_do_what_is_missing_alone(tmp_path, monkeypatch):
    first, out = [*SMOKE, "--out", str(tmp_path)], tmp_path / "peers.csv"
    main([*first, "--methods", "hist_gb", "forest"])
    before = out.read_bytes()
    again = replace(METHODS["hist_gb"], make=lambda *_: pytest.fail("ran again"))
    monkeypatch.setitem(METHODS, "hist_gb", again)
    main([*first, "--methods", "mlp", "hist_gb", "forest"])
    assert out.read_bytes().startswith(before)
    assert len(pd.read_csv(out)) == 2 * 2 * 3


def test_without_pytabkit_the_others_run_and_the_page_says_how_to_get_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    main([*SMOKE, "--methods", "realmlp", "forest", "--tables", "iris", "--out", str(tmp_path)])
    assert set(pd.read_csv(tmp_path / "peers.csv")["method"]) == {"forest"}
    told = "Not installed, and left out: RealMLP-TD"
    assert told in (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert told in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"left out: RealMLP-TD.*pip install pytabkit"):
        main([*SMOKE, "--methods", "realmlp", "--out", str(tmp_path)])


# -- what is said -------------------------------------------------------------------------------


def told(errors, **options) -> list[str]:
    """Conclude from made-up runs."""
    return conclude(collect(make_runs(errors, **options)))


def test_what_was_asked_and_holds_is_said():
    realmlp, trees, log_loss, time, where, *_ = told(
        {"ensemble": 0.10, "realmlp": 0.12, "hist_gb": 0.15}
    )
    assert realmlp.startswith("mixup x 8 errs 2.0")
    assert "3 lower and 0 higher" in realmlp
    for sentence in (realmlp, trees):
        assert sentence.endswith("This holds, by either.")
    assert "lowest of all 3 methods. This holds; next is RealMLP-TD" in log_loss
    assert "takes 1.00 of the fit time of RealMLP-TD" in time
    assert time.endswith("This does not hold.")
    assert where.startswith("On none of 3 tables do trees err less")


def test_what_was_asked_and_does_not_hold_is_said():
    realmlp, trees, log_loss, _, where, *_ = told(
        {"ensemble": 0.20, "realmlp": 0.12, "hist_gb": 0.15}
    )
    assert "points more than RealMLP-TD" in realmlp
    for sentence in (realmlp, trees):
        assert sentence.endswith("This does not hold, by either.")
    assert "This does not hold: it is number 3, after RealMLP-TD" in log_loss
    assert "on 3 of 3 tables: Iris (HistGradientBoosting -" in where
    assert where.count("*") == 4  # each of them clearly, and the footnote


def test_standard_errors_that_disagree_are_said():
    runs = make_runs({"ensemble": 0.10, "realmlp": 0.11})
    runs.loc[(runs["table"] == "iris") & (runs["method"] == "ensemble"), "test_error"] += 0.018
    sentence, *_ = conclude(collect(runs))
    assert sentence.endswith("This holds over splits, and does not over tables.")


def test_half_the_time_is_enough():
    runs = make_runs({"ensemble": 0.1, "realmlp": 0.1})
    is_slow = (runs["method"] == "realmlp") & (runs["table"] == "iris")
    runs.loc[is_slow, "fit_time_s"] = 32.0  # 16, 1 and 1 times: 16 ** (1 / 3) = 2.52
    (time,) = [text for text in conclude(collect(runs)) if "fit time" in text]
    assert "takes 0.40 of the fit time" in time
    assert "(geometric mean; 0.06 on Iris to 1.00 on" in time
    assert time.endswith("This holds.")


def test_the_share_of_mixup_is_told_with_its_power():
    (sentence,) = told({"mixup": 0.10, "erm": 0.12})
    assert "points less than ERM" in sentence
    assert ": told apart (t-test over tables p" in sentence
    (sentence,) = told({"mixup": 0.10, "erm": 0.10}, spread=0.05)
    assert ": not told apart" in sentence
    assert re.search(r"would be found in 80 % of cases, one of 0.5 in \d+ %", sentence)


def test_methods_that_are_alike_err_as_often():
    runs = make_runs({"mixup": 0.1})
    results = collect(pd.concat([runs, runs.assign(method="erm")]))
    assert conclude(results) == [
        "mixup errs as often as ERM on the mean of 3 tables (± 0.00 over tables, ± 0.00 over "
        "splits)."
    ]


def test_tables_name_each_pair_and_bold_the_lowest():
    results = collect(make_runs({"ensemble": 0.1, "realmlp": 0.2, "erm": 0.3, "mixup": 0.2}))
    written = dict(report.tables(results))
    pairs = written["Differences, paired by table and split"]
    assert pairs["compared"].tolist() == [
        "mixup x 8 - RealMLP-TD",
        "mixup x 8 - mixup",
        "mixup - RealMLP-TD",
    ]
    assert pairs["fit time"].tolist() == ["1.00 x"] * 3
    shares = written["The share that is mixup's own"]
    assert shares["compared"].tolist() == ["mixup - ERM"]
    errors, losses = (table for _, table in report.tables_by_table(results))
    for table in (errors, losses):
        bold = table.drop(columns="table").apply(lambda column: column.str.startswith("**"))
        assert bold.any().to_dict() == {
            "mixup x 8": True,
            "RealMLP-TD": False,
            "ERM": False,
            "mixup": False,
        }


@pytest.mark.parametrize("names", [["mlp"], ["ensemble", "forest"], list(METHODS)])
def test_figures_name_each_method_once(names):
    results = collect(make_runs(dict.fromkeys(names, 0.1), spread=0.01))
    titles = {METHODS[name].title for name in names}
    for ax in plot(results).axes:
        assert sorted(text.get_text() for text in ax.texts) == sorted(titles)
    if len(names) > 1:
        for ax in plot_ranks(results.ranks).axes:
            told = " ".join(text.get_text() for text in ax.texts)
            assert all(title in told for title in titles)
