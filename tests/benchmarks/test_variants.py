"""Variants: the way back from quantiles, schedules, ensembles, statistics, the page."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from skorch.callbacks import Callback

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks._lab.changes.compare import compare, compare_by_table
from benchmarks._lab.changes.report import conclude, main_table
from benchmarks._lab.runs import environment
from benchmarks._lab.scores import measure
from benchmarks.variants.nets import QuantileMLP
from benchmarks.variants.recipes import VARIANTS, erm_at_end, falling, set_next_alpha
from benchmarks.variants.report import compare_times
from benchmarks.variants.runs import (
    Scale,
    fit_teams,
    list_tasks,
    make_nets,
    prepare,
    run_together,
)
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP
from tests.rounding import ROUNDING, assert_near

# -- quantiles ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed_table() -> Table:
    """A table with numbers, some missing, some repeated, and a nominal column between them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "skewed": rng.exponential(size=120),
            "code": rng.integers(3, size=120),
            "holes": np.where(rng.random(120) < 0.2, np.nan, rng.normal(size=120)),
            "repeated": rng.integers(5, size=120),
        }
    )
    return Table("made_up", X, rng.integers(2, size=120), ("code",), "here")


@pytest.mark.parametrize("n_quantiles", [7, 300])
def test_values_of_quantiles_are_those_of_the_inverse_transform(n_quantiles):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.exponential(size=300), rng.integers(4, size=300), np.ones(300)])
    transformer = QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal").fit(X)
    quantiles = torch.as_tensor(transformer.quantiles_)
    module = QuantileMLP(3, 2, range(3), quantiles).double()
    module.quantiles = quantiles  # not rounded to float32
    drawn = rng.normal(scale=3, size=(1_000, 3))
    drawn = drawn[(abs(abs(drawn) - 5.13) > 0.07).all(axis=1)]  # where the end begins differs
    Z = np.vstack([transformer.transform(X), drawn, [[9, -9, 9]]])
    values = module.values(torch.as_tensor(Z)).numpy()
    np.testing.assert_allclose(values, transformer.inverse_transform(Z), rtol=0, atol=1e-9)


def test_quantiles_are_of_the_numeric_columns_and_lead_back_to_standardised_values(mixed_table):
    plain, quantiles = (prepare(mixed_table, 0, kind) for kind in ("standardised", "quantiles"))
    columns = quantiles.back["columns"]
    codes = [column for column in range(plain.X.shape[1]) if column not in columns]
    assert len(columns) == len(codes) == 3
    np.testing.assert_array_equal(quantiles.X[:, codes], plain.X[:, codes])
    np.testing.assert_array_equal(quantiles.X_test[:, codes], plain.X_test[:, codes])
    module = QuantileMLP(6, 2, **quantiles.back)
    values = module.values(torch.as_tensor(quantiles.X[:, columns], dtype=torch.float32))
    np.testing.assert_allclose(values, plain.X[:, columns], atol=1e-3)
    # The extremes are at the ends of the normal scale, half of the rows below 0.
    assert np.abs(quantiles.X[:, columns]).max() == pytest.approx(5.2, abs=0.01)
    assert np.median(quantiles.X[:, columns[0]]) == pytest.approx(0, abs=0.05)


def test_a_net_that_sees_values_is_the_mlp_on_them(mixed_table):
    plain, quantiles = (prepare(mixed_table, 0, kind) for kind in ("standardised", "quantiles"))
    torch.manual_seed(0)
    module = QuantileMLP(6, 2, **quantiles.back)
    torch.manual_seed(0)
    mlp = MLP(6, 2)
    seen = module(torch.as_tensor(quantiles.X, dtype=torch.float32))
    expected = mlp(torch.as_tensor(plain.X, dtype=torch.float32))
    torch.testing.assert_close(seen, expected, atol=1e-3, rtol=0)


def test_a_table_without_numbers_has_no_quantiles(mixed_table):
    table = Table("nominal", mixed_table.X[["code"]], mixed_table.y, ("code",), "here")
    plain, quantiles = (prepare(table, 0, kind) for kind in ("standardised", "quantiles"))
    np.testing.assert_array_equal(plain.X, quantiles.X)
    ((net, _),) = make_nets(
        VARIANTS["quantiles_mixed"], quantiles, max_epochs=1, seed=0, device="cpu"
    )
    assert net.module is MLP


# -- alpha over the fit -------------------------------------------------------------------------


def test_schedules_fall_to_zero_or_stop():
    np.testing.assert_allclose(falling(5, start=0.4), [0.4, 0.3, 0.2, 0.1, 0.0])
    assert erm_at_end(8, share=1 / 4).tolist() == [MixupClassifier().alpha] * 6 + [0.0] * 2
    lengths = {
        name: int((VARIANTS[name].alphas(64) == 0).sum())
        for name in ("erm_last_8th", "erm_last_4th", "erm_last_half")
    }
    assert list(lengths.values()) == [8, 16, 32]
    rows = prepare(load_table("iris"), 0, "standardised")
    ((net, _),) = make_nets(VARIANTS["erm_first_4th"], rows, max_epochs=64, seed=0, device="cpu")
    assert net.erm_epochs == 16


class FollowSchedule(Callback):
    """Set the alpha of the next epoch, in a net that is trained by its own fit."""

    def __init__(self, alphas):
        self.alphas = alphas

    def on_epoch_end(self, net, **kwargs):
        set_next_alpha(net, self.alphas)


@pytest.mark.parametrize("name", ["falling_1", "falling_2.5", "erm_last_half"])
def test_nets_trained_together_heed_the_schedule_of_alpha(name, float64):
    rows = prepare(load_table("wine"), 0, "standardised")
    both = [VARIANTS[name], VARIANTS["reference"]]
    teams = [make_nets(one, rows, max_epochs=6, seed=3, device="cpu") for one in both]
    fit_teams(both, [rows, rows], teams, max_epochs=6)
    fused, reference = (team[0][0].predict_proba(rows.X_test) for team in teams)
    alphas = VARIANTS[name].alphas(6)
    follow = FollowSchedule(alphas)
    alone = MixupClassifier(
        alpha=float(alphas[0]), max_epochs=6, random_state=3, device="cpu", callbacks=[follow]
    ).fit(rows.X, rows.y)
    assert_near(fused, alone.predict_proba(rows.X_test))
    assert np.abs(fused - reference).max() > 1e-3


# -- runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_nets", "max_epochs"), [("reference", 1, 8), ("nets_8", 8, 8), ("nets_32", 32, 2)]
)
def test_a_run_is_the_mean_of_nets_that_are_fitted_alone(name, n_nets, max_epochs, float64):
    ((measured),) = run_together(
        "wine", 8, [{"variant": name, "split": 1}], device="cpu", data_home=None
    )
    table = load_table("wine")
    train, test = split_rows(table, 1)
    probabilities = []
    for i in range(n_nets):
        net = MixupClassifier(max_epochs=max_epochs, random_state=1 + 100 * i, device="cpu")
        net = make_pipeline(make_preprocessor(table, "standardised"), net)
        net.fit(table.X.iloc[train], table.y[train])
        probabilities.append(net.predict_proba(table.X.iloc[test]))
    alone = measure(np.mean(probabilities, axis=0), table.y[test], net.classes_, seed=1)
    for key in ("test_error", "log_loss", "brier"):
        assert measured[key] == pytest.approx(alone[key], abs=20 * ROUNDING)  # logits below 20


def test_nets_of_a_bootstrap_count_rows_of_their_own_and_know_all_classes(mixed_table):
    y = mixed_table.y.copy()
    y[split_rows(mixed_table, 0)[0][0]] = 7  # a class of one row, which some nets do not draw
    table = Table("made_up", mixed_table.X, y, ("code",), "here")
    rows = prepare(table, 0, "standardised")
    assert 7 in rows.y
    team = make_nets(VARIANTS["bootstrap_8"], rows, max_epochs=1, seed=0, device="cpu")
    counts = np.array([count for _, count in team])
    assert (counts.sum(axis=1) == len(rows.y)).all()
    assert len(np.unique(counts, axis=0)) == 8
    assert (counts[:, rows.y == 7] == 0).any()
    fit_teams([VARIANTS["bootstrap_8"]], [rows], [team], max_epochs=1)
    assert all(net.classes_.tolist() == [0, 1, 7] for net, _ in team)
    net = MixupClassifier(max_epochs=1, random_state=0, device="cpu", classes=[0, 1, 7])
    net.fit(np.repeat(rows.X, counts[0], axis=0), np.repeat(rows.y, counts[0]))
    np.testing.assert_allclose(
        net.predict_proba(rows.X), team[0][0].predict_proba(rows.X), atol=1e-4
    )


def test_plan_has_every_run_once_and_fewer_splits_where_told():
    scale = Scale(n_splits=6, few_splits={"wine": 2}, max_epochs=1, tables=("iris", "wine"))
    tasks = list_tasks(scale, device="cpu", versions=environment("cpu"), data_home=None)
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys.drop_duplicates()) == len(keys) == (6 + 2) * len(VARIANTS)
    groups = keys.groupby([task.group for task in tasks])
    assert (groups["table"].nunique() == 1).all()
    # Single nets are trained together, ensembles and nets of a class of their own by themselves.
    together = {frozenset(group["variant"]) for _, group in groups}
    single = next(group for group in together if len(group) > 1)
    assert {"reference", "quantiles", "falling_1", "dropout", "erm"} <= single
    assert {name for group in together - {single} for name in group} == VARIANTS.keys() - single


def test_settings_of_a_run_tell_all_that_differs():
    found = [repr(variant.describe(64)) for variant in VARIANTS.values()]
    assert len(set(found)) == len(found)


# -- statistics ---------------------------------------------------------------------------------


def make_runs(effects, *, spread=0.0, noise=1e-4):
    """Make up runs: measures of a variant are its effect above the reference's, but for noise.

    By `spread` tables disagree: effects are larger on every other one, and smaller on the rest.
    """
    rng = np.random.default_rng(0)
    rows = []
    for sign, table in zip((1, -1, 1, -1), ("iris", "wine", "digits", "abalone"), strict=True):
        shift = {name: sign * spread * rng.uniform(0.5, 1.5) for name in VARIANTS}
        for split in range(10):
            base = 0.3 + 0.1 * rng.random()
            for name in VARIANTS:
                value = base
                if name != "reference":
                    value += effects.get(name, 0) + shift[name] + noise * rng.normal()
                rows.append(
                    {"table": table, "variant": name, "split": split, "max_epochs": 64}
                    | {"test_error": value, "log_loss": value, "fit_time_s": 2.0}
                )
    return pd.DataFrame(rows)


def test_means_and_standard_errors_are_those_of_scipy():
    runs = make_runs({"erm": 0.02}, spread=0.01, noise=0.001)
    by_table = compare_by_table(runs.sample(frac=1, random_state=0), VARIANTS)
    comparison = compare(by_table).set_index(["measure", "variant"])
    for name, beside in (("erm", "reference"), ("nets_32", "nets_8")):
        wide = runs.pivot(index=["table", "split"], columns="variant", values="test_error")
        differences = (wide[name] - wide[beside]).unstack("table")
        row = comparison.loc["test_error", name]
        test = stats.ttest_1samp(differences.mean(), 0)
        assert row["difference"] == pytest.approx(differences.mean().mean())
        assert row["error_tables"] == pytest.approx(stats.sem(differences.mean()))
        # Nadeau and Bengio: n_test / n_train is 1/4.
        variances = differences.var(ddof=1) * (1 / 10 + 1 / 4)
        assert row["error_splits"] == pytest.approx(np.sqrt(variances.sum()) / 4)
        assert row["error_tables"] > row["error_splits"]
        assert row["ratio"] == pytest.approx(test.statistic)
        assert row["p_value"] == pytest.approx(test.pvalue)


def test_a_change_helps_only_beyond_both_standard_errors():
    effects, verdicts = {"dropout": -0.02, "erm": 0.02}, {}
    for kind, options in {
        "clear": {},
        "tables disagree": {"spread": 0.05},
        "splits disagree": {"noise": 0.15},
    }.items():
        comparison = compare(compare_by_table(make_runs(effects, **options), VARIANTS))
        rows = comparison[comparison["measure"] == "test_error"].set_index("variant")
        verdicts[kind] = rows.loc[["dropout", "erm"], "verdict"].tolist()
    assert verdicts["clear"] == ["helps", "hurts"]
    assert verdicts["tables disagree"] == verdicts["splits disagree"] == ["within noise"] * 2


def test_one_split_is_judged_by_the_tables_alone_and_one_table_by_nothing():
    runs = make_runs({"dropout": -0.02}, spread=0.001)
    one_split = compare(compare_by_table(runs[runs["split"] == 0], VARIANTS))
    row = one_split.set_index(["measure", "variant"]).loc["test_error", "dropout"]
    assert np.isnan(row["error_splits"])
    assert (row["error"], row["verdict"]) == (row["error_tables"], "helps")
    line = main_table(one_split, VARIANTS).set_index("what is changed").loc["dropout 0.2"]
    assert re.fullmatch(r"-\d\.\d\d ± \d\.\d\d", line["test error, points"])
    one_table = compare(compare_by_table(runs[runs["table"] == "iris"], VARIANTS))
    assert (one_table["verdict"] == "within noise").all()


def test_ensembles_are_compared_with_the_one_of_8_nets():
    runs = make_runs({"nets_8": -0.05, "nets_32": -0.05, "bootstrap_8": -0.02})
    comparison = compare(compare_by_table(runs, VARIANTS)).set_index(["measure", "variant"])[
        "difference"
    ]
    assert comparison["test_error", "nets_8"] == pytest.approx(-0.05, abs=1e-3)
    assert comparison["test_error", "nets_32"] == pytest.approx(0, abs=1e-3)
    assert comparison["test_error", "bootstrap_8"] == pytest.approx(0.03, abs=1e-3)


def test_variants_that_do_not_differ_are_within_noise():
    comparison = compare(compare_by_table(make_runs({}, noise=0), VARIANTS))
    assert (comparison["verdict"] == "within noise").all()
    assert (comparison["p_value"] == 1).all()


def test_a_split_without_its_reference_is_an_error():
    with pytest.raises(ValueError, match="Each split must have a run for each variant; iris"):
        compare_by_table(make_runs({}).iloc[1:], VARIANTS)


def test_sentences_say_what_helps_hurts_and_what_chance_would_do():
    effects = {"same_class": 0.02, "falling_2.5": -0.02, "erm": 0.03}
    runs = make_runs(effects, noise=1e-4)
    # What has no effect: exactly none, for among many some would cross two standard errors.
    runs.loc[~runs["variant"].isin(effects), ["test_error", "log_loss"]] = 0.3
    for name, effect in effects.items():
        is_it = runs["variant"] == name
        runs.loc[is_it, "test_error"] = 0.3 + effect + 1e-5 * runs.loc[is_it, "split"]
        runs.loc[is_it, "log_loss"] = 0.3
    comparison = compare(compare_by_table(runs, VARIANTS))
    error, loss, chance, known = conclude(comparison, VARIANTS)
    assert error == (
        "Test error: of 14 changes 1 helps (alpha falls from 2.5 to 0) and 1 hurts (partner of "
        "the same class); 12 are within noise."
    )
    assert loss == "Log-loss: of 14 changes 0 help and 0 hurt; 14 are within noise."
    share = 2 * stats.t(df=3).sf(2)
    assert f"about {14 * share:.1f} of 14 would" in chance
    named = "partner of the same class (test error), alpha falls from 2.5 to 0 (test error)."
    assert chance.endswith(f"at 0.05 with Holm's correction for 14 are: {named}")
    assert "no mixing at all (ERM) +3.00 ± 0.00 (test error, hurts)" in known
    assert "16 nets, half the epochs 1.00" in compare_times(runs)
    table = main_table(comparison, VARIANTS)
    assert len(table) == len(VARIANTS) - 1
    assert (table["test error "] == "helps").sum() == 1


# -- the command --------------------------------------------------------------------------------


def test_all_variants_run_and_all_do_something(smoke_of):
    page = (smoke_of("variants") / "variants.md").read_text(encoding="utf-8")
    assert all(variant.change in page for variant in VARIANTS.values())
    runs = pd.read_csv(smoke_of("variants") / "variants.csv")
    assert len(runs) == 2 * 2 * len(VARIANTS)
    assert runs[["test_error", "log_loss", "brier", "fit_time_s"]].notna().all(axis=None)
    wide = runs.pivot(index=["table", "split"], columns="variant", values="log_loss")
    # No mixing in the last eighth of 4 epochs is no change.
    same = wide.columns[(wide.sub(wide["reference"], axis=0).abs() < 1e-6).all()]
    assert set(same) == {"reference", "erm_last_8th"}
