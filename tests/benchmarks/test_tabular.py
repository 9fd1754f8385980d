"""Table 4: same splits for all methods, honest sentences, and what it says without the files."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from benchmarks.__main__ import main, make_parser
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks._data.uci import FETCHERS, available
from benchmarks._lab import stacks
from benchmarks._lab.stacks import run_nets
from benchmarks._nets.tables import TABLE_4
from benchmarks.tabular import recipes
from benchmarks.tabular import runs as tabular_runs
from benchmarks.tabular.report import (
    alpha_table,
    compare,
    compare_tuned,
    conclude,
    main_table,
)
from benchmarks.tabular.runs import Scale, list_tasks, score
from sklearn_mixup import MixupClassifier

DATA_HOME = os.environ.get("SKLEARN_MIXUP_DATA") or str(
    Path(__file__).resolve().parents[2].parent / "shared" / "data"
)


def load(name: str) -> Table:
    if name not in {*available(DATA_HOME), "breast_cancer", "digits", "wine"}:
        pytest.skip(f"no files of {name}: set SKLEARN_MIXUP_DATA to where the data is")
    return load_table(name, DATA_HOME)


# -- the command line ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory) -> Path:
    """Run at the smoke scale, tuned methods too; give its folder."""
    out = tmp_path_factory.mktemp("smoke")
    main(["tabular", "--scale", "smoke", "--tuned", "--out", str(out)])
    return out


def test_its_page_has_ours_beside_the_papers(smoke):
    page = (smoke / "tabular.md").read_text(encoding="utf-8")
    assert "| Iris" in page
    assert "21.3" in page  # the paper's
    assert "Nadeau and Bengio" in page


def test_each_run_tells_what_it_was_done_with(smoke):
    runs = pd.read_csv(smoke / "tabular.csv")
    fixed, tuned = (runs[runs["recipe"] == recipe] for recipe in ("paper", "tuned"))
    assert len(fixed) == 2 * 2 * 2  # splits, features, alphas
    assert set(tuned["method"]) == {"mixup", "ERM", "MLPClassifier", "HistGradientBoosting"}
    assert (runs["fit_time_s"] > 0).all()
    assert runs["test_error"].between(0, 1).all()
    assert (runs["n_train"] == 120).all()
    assert (runs["n_test"] == 30).all()
    told = ["device", "sklearn_mixup", "torch", "sklearn", "skorch", "fingerprint"]
    assert runs[told].notna().all(axis=None)


def pretend(runs) -> list[dict]:
    return [{"test_error": 0.5} for _ in runs]


def test_a_fresh_run_does_all_again(smoke, tmp_path, monkeypatch):
    (tmp_path / "tabular.csv").write_bytes((smoke / "tabular.csv").read_bytes())
    done = []
    monkeypatch.setattr(
        tabular_runs,
        "run_nets",
        lambda *args, **kwargs: done.extend(args[-1]) or pretend(args[-1]),
    )
    command = ["tabular", "--scale", "smoke", "--out", str(tmp_path)]
    main(command)
    assert done == []
    main([*command, "--fresh"])
    assert len(done) == 8


def test_missing_tables_are_named_with_the_way_to_get_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SKLEARN_MIXUP_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(tabular_runs, "run_nets", lambda *args, **kwargs: pretend(args[-1]))
    main(["tabular", "--scale", "small", "--seeds", "2", "--out", str(tmp_path / "out")])
    told = " ".join(capsys.readouterr().out.split())
    missing, tables = told.split("-----", maxsplit=1)  # above the first table
    for name in ("Abalone", "Arcene", "Arrhythmia", "HTRU2", "Website Phishing"):
        assert name in missing
    assert "Phishing Websites" in missing
    assert "--download" in missing
    assert "SKLEARN_MIXUP_DATA" in missing
    for name in ("Iris", "Breast Cancer", "Digits", "Wine"):
        assert name in tables
        assert name not in missing
    assert "left out: Abalone" in (tmp_path / "out" / "tabular.md").read_text(encoding="utf-8")


def test_nothing_to_run_is_an_error(tmp_path):
    options = ["--tables", "arcene", "--data-home", str(tmp_path / "nothing")]
    with pytest.raises(SystemExit, match="None of the tables"):
        main(["tabular", *options, "--out", str(tmp_path)])


@pytest.mark.parametrize("option", [["--jobs", "0"], ["--seeds", "-1"], ["--tables", "titanic"]])
def test_bad_options_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["tabular", *option])
    assert option[0] in capsys.readouterr().err


# -- pairing ------------------------------------------------------------------------------------


class Spy(ClassifierMixin, BaseEstimator):
    """Stands in for MixupClassifier and notes what it is given."""

    seen: list[list] = []  # noqa: RUF012, one list for all

    def __init__(self, **params):  # no clone is made of it
        self.params = params

    def fit(self, X, y):
        seeds = self.params.pop("alpha"), self.params.pop("random_state")
        self.given = [*seeds, X.tobytes(), y.tobytes(), self.params]
        Spy.seen.append(self.given)
        self.is_fitted_ = True
        return self

    def predict(self, X):
        self.given.append(X.tobytes())
        return np.zeros(len(X))


def fit_one_by_one(estimators, Xs, ys, **options):
    return [estimator.fit(X, y) for estimator, X, y in zip(estimators, Xs, ys, strict=True)]


RUNS = [{"alpha": alpha, "split": split} for split in (0, 1) for alpha in (0.0, 0.2, 1.0)]


def train_nets(features, max_epochs):
    options = {"max_epochs": max_epochs, "device": "cpu", "data_home": None, **TABLE_4.params()}
    return run_nets(score, "wine", features, RUNS, **options)


def test_methods_get_the_same_split_seed_and_settings(monkeypatch):
    monkeypatch.setattr(stacks, "MixupClassifier", Spy)
    monkeypatch.setattr(stacks, "fit_fused", fit_one_by_one)
    monkeypatch.setattr(Spy, "seen", [])
    train_nets("standardised", 10)
    (first, *others), (second, *_) = Spy.seen[:3], Spy.seen[3:]
    assert [seen[0] for seen in Spy.seen] == [0.0, 0.2, 1.0] * 2
    assert len(first) == 6
    for other in others:
        assert other[1:] == first[1:]
    assert second[1] != first[1]
    assert second[2] != first[2]


def test_nets_trained_together_err_as_they_would_alone():
    table = load_table("wine")
    together = train_nets("raw", 2)
    alone = []
    for run in RUNS:
        train, test = split_rows(table, run["split"])
        params = {"alpha": run["alpha"], "random_state": run["split"], "device": "cpu"}
        net = MixupClassifier(max_epochs=2, **params, **TABLE_4.params())
        net = make_pipeline(make_preprocessor(table, "raw"), net)
        net.fit(table.X.iloc[train], table.y[train])
        alone.append(1 - net.score(table.X.iloc[test], table.y[test]))
    assert [row["test_error"] for row in together] == pytest.approx(alone)
    assert len(set(alone)) > 3  # or it would say little


def test_settings_are_those_of_the_paper():
    classifier = MixupClassifier(max_epochs=1, **TABLE_4.params())
    params = classifier.get_params(deep=False)
    assert params["batch_size"] == 16
    assert params["lr"] == 1e-3
    assert params["module__hidden_sizes"] == (128, 128)
    assert recipes.TABLE_4_EPOCHS[0] == 10
    table = load_table("iris")
    classifier.fit(table.X, table.y)
    assert "event_lr" not in classifier.history[-1]  # what the decay would leave
    (group,) = classifier.optimizer_.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 0)


def test_plan_has_every_run_once_and_trains_splits_and_alphas_together():
    scale = Scale(2, (10, 100), (0.0, 0.2), ("iris", "wine"), 0, {})
    tasks = list_tasks(scale, device="cpu", versions={}, data_home=None)
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys) == len(keys.drop_duplicates()) == 2 * 2 * 2 * 2 * 2
    keys["group"] = [task.group for task in tasks]
    by_group = keys.groupby("group", sort=False)
    assert (by_group[["table", "features", "max_epochs"]].nunique() == 1).all(axis=None)
    assert (by_group.size() == 2 * 2).all()
    assert keys["table"].iloc[0] == "wine"  # 178 rows, and 150 of Iris
    assert keys.groupby("method")["alpha"].unique().map(list).to_dict() == {
        "ERM": [0.0],
        "mixup": [0.2],
    }


def test_the_two_copies_of_iris_are_different_runs():
    if load("iris").source != "UCI":
        pytest.skip("no file of iris: set SKLEARN_MIXUP_DATA to where the data is")
    scale = Scale(1, (10,), (0.0,), ("iris",), 0, {})
    (one, _), (other, _) = (
        list_tasks(scale, device="cpu", versions={}, data_home=home)
        for home in (DATA_HOME, "/nowhere")
    )
    assert one.key == other.key
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "arrhythmia", "website_phishing"])
def test_splits_are_stratified_four_to_one(name):
    table = load(name)
    train, test = split_rows(table, 3)
    assert sorted([*train, *test]) == list(range(len(table.y)))
    assert len(test) == -(-len(table.y) // 5)
    for label, count in zip(*np.unique(table.y, return_counts=True), strict=True):
        assert abs((table.y[test] == label).sum() - count / 5) < 1


def test_a_table_with_a_class_of_one_row_is_split_at_random():
    table = Table("t", pd.DataFrame({"a": np.arange(50.0)}), np.array([0] * 49 + [1]), (), "")
    train, test = split_rows(table, 0)
    assert (len(train), len(test)) == (40, 10)


# -- features -----------------------------------------------------------------------------------


def mixed_table() -> Table:
    X = pd.DataFrame(
        {
            "number": [1.0, 2.0, 3.0, 6.0],
            "incomplete": [10.0, np.nan, 30.0, 50.0],
            "code": [0.0, 1.0, 2.0, 1.0],
            "incomplete_code": [0.0, 1.0, 1.0, np.nan],
            "word": pd.Categorical(["F", "I", "M", "M"]),
        }
    )
    return Table("t", X, np.arange(4), ("code", "incomplete_code", "word"), "")


def test_raw_features_are_as_they_were_but_for_what_is_no_number():
    table = mixed_table()
    columns = make_preprocessor(table, "raw").fit_transform(table.X)
    by_content = {tuple(column) for column in np.asarray(columns).T.tolist()}
    words = {(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 1)}
    codes = {(0, 1, 2, 1), (0, 1, 1, 1)}  # the median of 0, 1, 1 is 1
    assert by_content == {(1, 2, 3, 6), (10, 30, 30, 50), *codes, *words}


def test_standardised_features_have_no_scale_and_nominal_ones_are_one_hot():
    table = mixed_table()
    columns = np.asarray(make_preprocessor(table, "standardised").fit_transform(table.X))
    is_one_hot = np.isin(columns, (0, 1)).all(axis=0)
    assert is_one_hot.sum() == 3 + 2 + 3
    numbers = columns[:, ~is_one_hot]
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(numbers.std(axis=0), 1)


@pytest.mark.parametrize("features", ["raw", "standardised"])
@pytest.mark.parametrize("name", ["abalone", "arrhythmia", "website_phishing", "wine"])
def test_real_tables_turn_into_finite_numbers(name, features):
    table = load(name)
    train, test = split_rows(table, 0)
    preprocessor = make_preprocessor(table, features).fit(table.X.iloc[train])
    columns = np.asarray(preprocessor.transform(table.X.iloc[test]), dtype=float)
    assert np.isfinite(columns).all()
    widths = {
        "abalone": (10, 10),
        "arrhythmia": (279, None),
        "website_phishing": (9, 25),  # two codes in two of the nine columns, else three
        "wine": (13, 13),
    }
    width = widths[name][features == "standardised"]
    assert width is None or columns.shape[1] == width


# -- what is said -------------------------------------------------------------------------------


def make_runs(differences: dict[str, float], n_splits: int = 8, noise: float = 0.01):
    """Make up runs: mixup errs that much more than ERM, with some noise between the splits."""
    rng = np.random.default_rng(0)
    rows = []
    for name, difference in differences.items():
        for split in range(n_splits):
            error = 0.3 + 0.05 * rng.random()
            by_alpha = {0.0: error, 0.2: error + difference + noise * rng.normal()}
            rows += [
                {"table": name, "features": "raw", "max_epochs": 10, "alpha": alpha}
                | {"split": split, "test_error": test_error}
                for alpha, test_error in by_alpha.items()
            ]
    return pd.DataFrame(rows)


def test_a_result_that_goes_against_the_paper_is_said():
    runs = make_runs({"arcene": 0.1, "iris": 0.2, "abalone": -0.1, "htru2": 0.001})
    (sentence,) = conclude(compare(runs, alpha=0.2), alpha=0.2)
    assert "lower mean test error than ERM on 1 of 4 tables, significantly on 1" in sentence
    assert "a higher one on 3, significantly on 2" in sentence
    assert sentence.endswith("goes against the paper's: Arcene, Iris.")


def test_a_result_that_agrees_with_the_paper_is_said():
    runs = make_runs({"arcene": -0.1, "iris": -0.2, "wine": 0.0}, noise=0)
    (sentence,) = conclude(compare(runs, alpha=0.2), alpha=0.2)
    assert "on 2 of 3 tables, significantly on 2, and a higher one on 0" in sentence
    assert "1 equal." in sentence
    assert sentence.endswith("against the paper's: none.")


def test_differences_that_cancel_are_no_difference():
    comparison = compare(make_runs({"iris": -0.1}, noise=0), alpha=0.2)
    comparison["difference"] = -1e-18  # what a sum of floats that cancel may leave
    comparison["p_corrected"] = 1.0
    (sentence,) = conclude(comparison, alpha=0.2)
    assert "lower mean test error than ERM on 0 of 1" in sentence
    assert "a higher one on 0" in sentence
    assert sentence.endswith("1 equal. Tables where the sign goes against the paper's: none.")


def test_comparison_is_paired_whatever_the_order_of_the_runs():
    runs = make_runs({"iris": 0.02, "wine": -0.03})
    shuffled = runs.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(compare(shuffled, alpha=0.2), compare(runs, alpha=0.2))
    wide = runs[runs["table"] == "wine"].pivot(index="split", columns="alpha", values="test_error")
    row = compare(runs, alpha=0.2).set_index("table").loc["wine"]
    assert row["difference"] == pytest.approx((wide[0.2] - wide[0.0]).mean())
    assert row["difference_se"] == pytest.approx((wide[0.2] - wide[0.0]).sem())
    assert row["erm_se"] == pytest.approx(wide[0.0].sem())


def test_a_split_without_its_partner_is_an_error():
    runs = make_runs({"iris": 0.02})
    with pytest.raises(ValueError, match=r"each alpha, 0, 0\.2 among them"):
        compare(runs.iloc[1:], alpha=0.2)


def test_table_has_ours_in_percent_beside_the_papers():
    runs = make_runs({"iris": 0.1, "phishing_websites": 0.1}, noise=0)
    iris, phishing = main_table(compare(runs, alpha=0.2)).to_dict("records")
    mean = 100 * runs.loc[(runs["table"] == "iris") & (runs["alpha"] == 0), "test_error"].mean()
    assert iris["ERM"].startswith(f"{mean:.1f} ± ")
    assert iris["difference"] == "+10.00 ± 0.00"
    assert (iris["paper ERM"], iris["paper mixup"]) == ("21.3", "17.3")
    assert (phishing["table"], phishing["paper ERM"]) == ("Phishing Websites", "")


def test_numbers_of_the_paper_are_shares():
    errors = recipes.TABLE_4_ERRORS
    assert (errors["abalone"].erm, errors["arrhythmia"].mixup) == (0.740, 0.463)
    assert all(0 < error.mixup <= error.erm < 1 for error in errors.values())


def test_alpha_table_has_a_column_for_each_alpha():
    runs = make_runs({"iris": 0.1}, noise=0)
    more = runs[runs["alpha"] == 0.2].assign(alpha=1.0, test_error=lambda f: f["test_error"] + 0.1)
    (row,) = alpha_table(pd.concat([runs, more]), [0.2, 1.0]).to_dict("records")
    assert row["alpha 0.2"] == "+10.00 ± 0.00"
    assert row["alpha 1"] == "+20.00 ± 0.00"


def test_tuned_comparison_counts_how_often_erm_was_chosen():
    methods = {"mixup": 0.1, "ERM": 0.2, "MLPClassifier": 0.3, "HistGradientBoosting": 0.4}
    chosen = ['{"alpha": 0.0}', '{"alpha": 0.2}', '{"alpha": 0.0}']
    runs = pd.DataFrame(
        {"table": "iris", "method": method, "split": split, "test_error": error}
        | {"chosen": chosen[split] if method == "mixup" else ""}
        for method, error in methods.items()
        for split in range(3)
    )
    (row,) = compare_tuned(runs).to_dict("records")
    assert (row["n_erm_chosen"], row["n_splits"]) == (2, 3)
    assert row["difference"] == pytest.approx(-0.1)
    assert row["HistGradientBoosting"] == pytest.approx(0.4)


def test_download_fetches_what_is_missing(tmp_path, monkeypatch):
    fetched = []

    def fetch(data_home, download_if_missing=True):
        fetched.append((data_home, download_if_missing))
        return Bunch()

    monkeypatch.setitem(FETCHERS, "arcene", fetch)
    options = ["--tables", "arcene", "--download", "--data-home", str(tmp_path)]
    with pytest.raises(SystemExit):  # The stand-in leaves no files.
        main(["tabular", *options, "--out", str(tmp_path)])
    assert fetched == [(str(tmp_path), True)]
