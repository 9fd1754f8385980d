"""Tables out of tables: the runs, what is compared, and honest sentences."""

from contextlib import ExitStack
from functools import partial

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import make_parser
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import Table, as_categories, load_table
from benchmarks._lab.experiment import Request
from benchmarks._lab.methods.method import FULL, TINY
from benchmarks._lab.methods.runs import list_tasks
from benchmarks._lab.runs import environment
from benchmarks.synthetic import EXPERIMENT, report
from benchmarks.synthetic.conclusions import conclude
from benchmarks.synthetic.figures import plot
from benchmarks.synthetic.methods import GANS, METHODS
from benchmarks.synthetic.results import CONTEST, SAMPLER, YARDSTICK, add_gain, collect, compare
from benchmarks.synthetic.runs import run_method
from sklearn_mixup import VicinalSampler
from tests.benchmarks import made_up_runs

needs_packages = pytest.mark.skipif(
    any(method.absent_packages() for method in METHODS.values()),
    reason="not all packages of the extra peers are installed",
)
QUICK = [name for name in METHODS if name not in GANS]
TITLES = {name: method.title for name, method in METHODS.items()}
TABLES = ("german_credit", "cmc", "phoneme", "segment")
run_tiny = partial(run_method, budget=TINY, device="cpu", data_home=None)


def make_runs(kept, tables=TABLES, **options):
    """Make up runs; a method keeps the same of the gain of the real rows on all tables."""

    def measure(table, value):
        told = {"auc": 0.5 + 0.4 * value, "detection": 1 - value / 2, "distance": value}
        words = {"categories": value if table in ("german_credit", "cmc") else np.nan}
        return told | words | {"copies": 0.0, "packages": ""}

    runs = made_up_runs.make_runs({"real": 1.0, **kept}, measure, tables=tables, **options)
    return runs.assign(auc=runs["auc"].mask(runs["method"] == "real", 0.9))


# -- runs -----------------------------------------------------------------------------------------


@needs_packages
@pytest.mark.parametrize("method", METHODS)
def test_each_method_makes_rows_of_missing_numbers_codes_and_words(method, monkeypatch):
    rng = np.random.default_rng(0)
    X = made_up_runs.make_features(rng)
    y = np.where(X["number"] > 0, "yes", "no")
    table = Table("made up", X, y, ("code", "word"), "")
    monkeypatch.setattr("benchmarks.synthetic.runs.load_table", lambda *_: table)
    found = run_tiny("made up", method, 0)
    for name in ("auc", "detection", "copies", "categories", "test_error"):
        assert 0 <= found[name] <= 1
    assert found["distance"] >= 0
    assert found["n_train"] == 64


@needs_packages
def test_real_rows_are_their_own_copies_and_keep_all():
    found = run_tiny("diabetes", "real", 1)
    assert (found["copies"], found["distance"], found["categories"]) == (1, 0, 1)
    again = run_tiny("diabetes", "bootstrap", 1)
    assert (again["copies"], again["distance"]) == (1, 0)
    assert again["auc"] != found["auc"]


@needs_packages
def test_a_run_tests_on_the_rows_of_the_split_and_makes_as_many_as_it_learns_from(monkeypatch):
    asked = {}

    class Spy:
        def fit(self, X, y):
            asked.update(X=X, y=y)
            return self

        def sample(self, n_samples, *, return_y):
            asked["n"] = n_samples
            return asked["X"], asked["y"]

    spied = METHODS["real"].__class__("spy", "base", lambda *_: Spy(), "categories", ("lightgbm",))
    monkeypatch.setitem(METHODS, "spy", spied)
    found = run_tiny("diabetes", "spy", 3)
    table = load_table("diabetes")
    train, test = split_rows(table, 3)
    expected = as_categories(table).iloc[train].reset_index(drop=True)
    pd.testing.assert_frame_equal(asked["X"], expected)
    assert (asked["n"], found["n_test"]) == (len(train), len(test))


@needs_packages
def test_a_method_that_fails_is_named(monkeypatch):
    monkeypatch.setitem(METHODS, "real", METHODS["real"].__class__(
        "broken", "base", lambda *_: object(), "categories", ("lightgbm",)
    ))  # fmt: skip
    with pytest.raises(RuntimeError, match="'real' failed on the table 'diabetes', split 0"):
        run_tiny("diabetes", "real", 0)


@needs_packages
def test_what_a_run_is_found_by_tells_of_the_sampler_and_of_who_measures():
    scale = EXPERIMENT.scales["smoke"]
    where = {"device": "cpu", "versions": environment("cpu"), "data_home": None}
    ours, far, smote = (
        list_tasks(run_method, METHODS, scale, [it], **where)[0].settings
        for it in (SAMPLER, "alpha_1", YARDSTICK)
    )
    assert (ours["pairs"], ours["alpha"]) == (far["pairs"], VicinalSampler().alpha)
    assert far["alpha"] == 1
    assert "lightgbm" in ours
    assert {"lightgbm", "imbalanced-learn"} < smote.keys()


# -- command --------------------------------------------------------------------------------------


@needs_packages
def test_gans_with_the_runs_of_all_others_are_told_beside_them():
    words = ["synthetic", "--scale", "smoke", "--tables", "diabetes", "--seeds", "1"]
    args = make_parser().parse_args(words)
    scale, versions = EXPERIMENT.scale("smoke"), environment("cpu")
    (part,) = EXPERIMENT.plan(Request(args, scale, "cpu", versions, ExitStack()))
    assert [*part.tasks] == [""]
    assert [task.key["method"] for task in part.tasks[""]] == [*METHODS]


@needs_packages
def test_each_method_runs_on_each_table_and_split(smoke_of):
    page = (smoke_of("synthetic") / "synthetic.md").read_text(encoding="utf-8")
    for heading in (
        "Means over 2 tables, 2 splits of each",
        "Differences over 1 table, 1 split of each",
    ):
        assert f"## {heading}" in page
    runs = pd.read_csv(smoke_of("synthetic") / "synthetic.csv")
    assert len(runs) == 2 * 2 * len(QUICK) + len(GANS)
    assert set(runs["method"]) == {*METHODS}
    assert (runs[runs["method"] == "real"]["copies"] == 1).all()
    assert runs["categories"][runs["table"] == "wine"].isna().all()  # it has numbers alone
    assert runs["categories"][runs["table"] == "diabetes"].notna().all()


# -- what is said ---------------------------------------------------------------------------------


def test_the_gain_is_a_share_of_that_of_real_rows_on_the_same_split():
    runs = pd.DataFrame(
        {
            "table": ["a", "a", "a", "a"],
            "split": [0, 1, 0, 1],
            "method": ["smote", "smote", "real", "real"],
            "auc": [0.6, 0.4, 0.7, 0.9],
        }
    )
    assert add_gain(runs)["gain"].tolist() == pytest.approx([0.5, -0.25, 1, 1])


def told(kept, **options) -> list[str]:
    return conclude(collect(make_runs(kept, **options)))


def test_what_was_reached_is_said():
    (sentence,) = told({SAMPLER: 0.97, YARDSTICK: 0.95})
    assert sentence.startswith(
        f"PASS: {TITLES[SAMPLER]} was to keep as much of the gain as SMOTE. On 4 tables, 4 splits "
        "of each, it keeps 97."
    )
    assert (
        "the difference is +2.0 points (± 0.0 over tables, ± 0.0 over splits), told apart ("
        in sentence
    )


def test_what_was_not_reached_is_said():
    (sentence,) = told({SAMPLER: 0.95, YARDSTICK: 0.97}, spread=0.02)
    assert sentence.startswith("FAIL: ")
    assert ", not told apart (t-test over tables, Holm's correction, p = " in sentence


def test_no_sampler_or_no_yardstick_is_no_conclusion():
    assert told({SAMPLER: 0.9}) == []


@pytest.mark.parametrize(
    ("gan", "erm", "words"), [(0.8, 0.6, ("PASS", "PASS")), (0.6, 0.65, ("FAIL", "FAIL"))]
)
def test_a_gan_is_held_to_its_share_and_to_the_one_that_does_not_mix(gan, erm, words):
    floor, mixing = told({GANS[0]: gan, GANS[1]: erm})
    assert floor.startswith(f"{words[0]}: {TITLES[GANS[0]]} was to keep more than 70 % ")
    assert mixing.startswith(f"{words[1]}: {TITLES[GANS[0]]} was to keep more than ")


def test_p_values_allow_for_the_number_of_pairs():
    found = collect(make_runs({SAMPLER: 0.95, YARDSTICK: 0.9, "copula": 0.9}, spread=0.02))
    compared = {it.pair: it for it in compare(found, "gain")}
    assert set(compared) == {(SAMPLER, YARDSTICK), ("copula", YARDSTICK)}
    alone = sorted(it.difference.p_value for it in compared.values())
    adjusted = sorted(it.p_adjusted for it in compared.values())
    assert adjusted[0] == pytest.approx(min(2 * alone[0], 1))


def test_tables_bold_what_keeps_most_and_is_detected_least():
    found = collect(make_runs({SAMPLER: 0.9, YARDSTICK: 0.8, "copula": 0.7}))
    written = dict(report.tables(found))
    for name in ("gain kept, %", "detection, AUC"):
        table = written[f"By table: {name}; 4 tables, 4 splits of each"]
        assert table[TITLES[SAMPLER]].str.startswith("**").all()
        assert not table["SMOTE"].str.startswith("**").any()
        assert "real rows" not in table
    means = written["Means over 4 tables, 4 splits of each"].set_index("rows")
    assert means.loc["SMOTE", "gain kept, %"].startswith("80.")
    assert means.loc["real rows", "gain kept, %"] == "100.0 ± 0.0"
    assert means.loc["SMOTE", "seconds"] == "2.01"


def test_methods_of_fewer_tables_stand_beside_the_others_on_these_alone():
    kept = {SAMPLER: 0.9, YARDSTICK: 0.8}
    runs = make_runs(kept).assign(**environment("cpu"))
    few = make_runs({**kept, "copula": 0.7}, tables=TABLES[:2], n_splits=2)
    few = few.assign(**environment("cpu"))
    outcome = report.tell(runs, few, budget=FULL, absent=[METHODS["real"]], missing=["adult"])
    headings = [block.text for block in outcome.blocks if hasattr(block, "text")]
    assert {f"Means over {it} splits of each" for it in ("4 tables, 4", "2 tables, 2")} < {
        *headings
    }
    assert [it.partition(":")[0] for it in outcome.conclusions] == ["PASS", "PASS"]
    assert any("left out: Adult." in note for note in outcome.notes)
    figure = plot([collect(runs), collect(few)])
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["real rows", TITLES[SAMPLER], "SMOTE", "Gaussian copula (2 tables)"]


def test_one_method_on_one_table_has_a_page():
    runs = make_runs({}, tables=["phoneme"], n_splits=1).assign(**environment("cpu"))
    outcome = report.tell(runs, budget=FULL, absent=[], missing=[])
    assert outcome.conclusions == []
    assert plot([collect(runs)]).axes


def test_all_pairs_are_of_methods_that_there_are():
    assert {*sum(CONTEST.pairs, ())} <= {*METHODS}
