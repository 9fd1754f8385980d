"""Defaults: base rates, what is trained together, comparison with the defaults, sentences."""

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import load_table, make_preprocessor
from benchmarks.defaults.report import (
    compare,
    compare_by_table,
    conclude,
    main_table,
)
from benchmarks.defaults.runs import (
    DEFAULT,
    EARLIER,
    SETTINGS,
    Scale,
    list_tasks,
    score_base_rates,
)
from sklearn_mixup import MixupClassifier
from tests.rounding import ROUNDING

# -- runs ---------------------------------------------------------------------------------------


def test_base_rates_are_a_classifier_that_knows_the_shares_alone():
    y, y_test = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 2])  # a class that it does not know
    dummy = DummyClassifier(strategy="prior").fit(y[:, None], y)
    expected = log_loss(y_test[:3], dummy.predict_proba(y_test[:3, None]), labels=[0, 1])
    assert score_base_rates(y, y_test) == pytest.approx(expected)


def test_the_defaults_are_those_of_the_classifier_and_stand_beside_the_earlier_ones():
    told = inspect.signature(MixupClassifier).parameters
    assert SETTINGS[DEFAULT] == {name: told[name].default for name in ("alpha", "max_epochs")}
    assert SETTINGS[EARLIER] == {"alpha": 0.2, "max_epochs": 64}


def test_plan_has_every_run_once_and_trains_alphas_and_splits_together():
    tasks = list_tasks(
        Scale(6, {"wine": 2}, ("iris", "wine")), device="cpu", versions={}, data_home=None
    )
    keys = pd.DataFrame([task.key for task in tasks])
    assert len(keys.drop_duplicates()) == len(keys) == (6 + 2) * len(SETTINGS)
    groups = keys.groupby([task.group for task in tasks])
    assert (groups["table"].nunique() == 1).all()
    for _, members in groups:
        params = [{**SETTINGS[name], "alpha": None} for name in members["setting"].unique()]
        assert all(one == params[0] for one in params)
    assert groups["alpha"].nunique().tolist().count(3) == 3 * 3  # of 16, 32 and 64 epochs
    assert groups["split"].nunique().max() == 5


@pytest.mark.parametrize("kind", ["weight decay", "early stopping"])
def test_networks_trained_together_are_scored_as_alone(kind, float64):
    tasks = list_tasks(Scale(1, {}, ("wine",)), device="cpu", versions={}, data_home=None)
    chosen = [task for task in tasks if kind in task.key["setting"]]
    assert len(chosen) == 2
    results = chosen[0].work([task.key for task in chosen])
    table = load_table("wine")
    for task, measured in zip(chosen, results, strict=True):
        split = task.key["split"]
        train, test = split_rows(table, split)
        params = SETTINGS[task.key["setting"]]
        net = MixupClassifier(**params, random_state=split, device="cpu")
        net = make_pipeline(make_preprocessor(table, "standardised"), net)
        net.fit(table.X.iloc[train], table.y[train])
        told = net.predict_proba(table.X.iloc[test])
        expected = log_loss(table.y[test], told)
        assert measured["log_loss"] == pytest.approx(expected, abs=20 * ROUNDING)  # logits < 20
        base = score_base_rates(table.y[train], table.y[test])
        assert measured["base_log_loss"] == pytest.approx(base)


# -- what is said -------------------------------------------------------------------------------

OTHER = "alpha 1, 16 epochs"


def make_runs(above: dict[str, dict[str, float]], *, n_train=None, noise=1e-5) -> pd.DataFrame:
    """Make up runs: the log-loss of settings on tables is so much above that of the base rates.

    The error is as much above 0.5.
    """
    rng = np.random.default_rng(0)
    rows = []
    for table, settings in above.items():
        for split in range(5):
            base = 1.0 + 0.1 * rng.random()
            for setting, by in settings.items():
                noisy = by + noise * rng.normal()
                rows.append(
                    {"table": table, "split": split, "setting": setting}
                    | {"log_loss": base + noisy, "base_log_loss": base}
                    | {"test_error": 0.5 + noisy, "n_train": (n_train or {}).get(table, 1000)}
                )
    return pd.DataFrame(rows)


def say(runs: pd.DataFrame) -> str:
    return "\n".join(conclude(runs, compare_by_table(runs)))


ABOVE = {
    "iris": {DEFAULT: -0.3, EARLIER: -0.4, OTHER: -0.2},
    "wine": {DEFAULT: -0.3, EARLIER: 0.2, OTHER: -0.2},
    "digits": {DEFAULT: -0.3, EARLIER: -0.2, OTHER: 0.0005},  # above it, but by less than noise
}


def test_where_the_base_rates_are_better_is_said_for_both_defaults():
    told = say(make_runs(ABOVE))
    assert f"defaults, {DEFAULT}: log-loss above that of the base rates, in nats, on 0 of 3" in told
    assert (
        f"{EARLIER}: log-loss above that of the base rates, in nats, on 1 (Wine +0.200 ± 0.000; "
        in told
    )
    assert "significantly: Wine) of 3 tables" in told
    assert f"Above it on no table: {DEFAULT}." in told
    assert "lower in log-loss by, in nats: Iris 0.1" in told
    assert "Wine 0" not in told


def test_a_loss_above_the_base_rates_by_less_than_noise_is_not_called_significant():
    runs = make_runs({"wine": {DEFAULT: 0.0005, EARLIER: 0.0}}, noise=0.001)
    differences = (runs["log_loss"] - runs["base_log_loss"])[runs["setting"] == DEFAULT]
    row = compare_by_table(runs).set_index("setting").loc[DEFAULT]
    assert row["above_base"] == pytest.approx(differences.mean())
    assert row["above_base"] > 0
    # Nadeau and Bengio: n_test / n_train is 1/4.
    error = np.sqrt(differences.var() * (1 / 5 + 1 / 4))
    t = differences.mean() / error
    assert row["above_error"] == pytest.approx(error)
    assert row["p_above"] == pytest.approx(2 * stats.t(df=4).sf(abs(t)))
    assert "in nats, on 1 (Wine +0.00" in say(runs)
    assert "significantly: none) of 1 tables" in say(runs)


def test_differences_from_the_defaults_count_tables_alike():
    runs = make_runs(ABOVE).sample(frac=1, random_state=0)
    found = compare(runs).set_index(["setting", "measure"])
    wide = runs.pivot_table(index="table", columns="setting", values="log_loss")
    differences = wide[EARLIER] - wide[DEFAULT]
    row = found.loc[(EARLIER, "log_loss")]
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["error"] == pytest.approx(stats.sem(differences))
    assert row["n_lower"] == 1
    table = main_table(compare_by_table(runs), compare(runs)).set_index("setting")
    assert table.loc[EARLIER, "less the defaults, nats"].startswith("+0.167 ± ")
    assert table.loc[EARLIER, "less the defaults, points"].startswith("+16.67 ± ")
    assert table.loc[DEFAULT, "less the defaults, nats"] == ""
    assert table.loc[OTHER, "base rates are better on"] == "Digits"


def test_small_tables_are_told_apart():
    told = say(make_runs(ABOVE, n_train={"iris": 120, "wine": 142}))
    assert "all 3 tables: +0.167 ± " in told
    assert "the 2 tables with fewer than 500 rows to train on: +0.200 ± " in told
    assert "fewer than 500 rows" not in say(make_runs(ABOVE))


def test_a_split_without_its_default_is_an_error():
    runs = make_runs(ABOVE)
    with pytest.raises(ValueError, match="Each table and split must have a run for each setting"):
        compare(runs[1:])
