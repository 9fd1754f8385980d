"""Methods beside each other: their statistics against closed forms and the literature."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks._data.tables import TITLES
from benchmarks._lab.methods.statistics import (
    Ranks,
    averages,
    by_table_and_split,
    compare,
    critical_difference,
    detectable,
    power,
    rank,
)
from benchmarks._lab.statistics import holm
from tests.benchmarks import made_up_runs

make_runs = partial(
    made_up_runs.make_runs,
    measure=lambda table, value: {"test_error": value, "ece": value},
    tables=("iris", "wine", "breast_cancer"),
)


def test_holm_is_the_closed_test_of_bonferroni():
    """A hypothesis falls if each set of hypotheses that it is in falls by Bonferroni."""
    rng = np.random.default_rng(0)
    p = np.round(rng.random(5) ** 3, 2)
    subsets = [[i for i in range(5) if number >> i & 1] for number in range(1, 2**5)]
    closed = [
        max(min(len(those) * p[those].min(), 1) for those in subsets if i in those)
        for i in range(5)
    ]
    np.testing.assert_allclose(holm(p), closed)


def test_a_difference_is_paired_and_has_tables_and_splits_as_units():
    runs = make_runs({"mixup": 0.2, "erm_ensemble": 0.25}, spread=0.02).sample(
        frac=1, random_state=0
    )
    values = by_table_and_split(runs, "test_error")
    difference = compare(values, "mixup", "erm_ensemble")
    wide = runs.pivot(index=["table", "split"], columns="method", values="test_error")
    gap = wide["mixup"] - wide["erm_ensemble"]
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
    values = by_table_and_split(pd.concat([runs, runs.assign(method="erm_ensemble")]), "ece")
    difference = compare(values, "mixup", "erm_ensemble")
    assert (difference.mean, difference.over_tables) == (0, 0)
    assert (difference.p_value, difference.p_wilcoxon) == (1, 1)


def test_one_table_has_no_standard_error_over_tables():
    values = by_table_and_split(
        make_runs({"mixup": 0.2, "erm_ensemble": 0.3}, tables=["iris"]), "ece"
    )
    difference = compare(values, "mixup", "erm_ensemble")
    assert np.isnan([difference.over_tables, difference.p_value, difference.p_wilcoxon]).all()
    assert difference.over_splits > 0


def test_the_average_has_the_standard_error_of_means_over_tables():
    runs = make_runs({"mixup": 0.2, "erm_ensemble": 0.3}, spread=0.05)
    found = averages(by_table_and_split(runs, "test_error")).loc["mixup"]
    by_split = runs[runs["method"] == "mixup"].groupby("split")["test_error"].mean()
    assert found.tolist() == pytest.approx([by_split.mean(), by_split.sem()])


def test_a_run_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match=r"table and split .* each method; .*'iris', 0"):
        by_table_and_split(make_runs({"mixup": 0.2, "erm_ensemble": 0.3}).iloc[1:], "ece")


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
    values = pd.DataFrame(rows, index=index, columns=["mlp", "forest", "erm_ensemble"])
    ranks = rank(values)
    # Ranks (1.5, 1.5, 3), (1, 2, 3) and (3, 1, 2).
    assert ranks.mean.to_dict() == pytest.approx(
        {"forest": 1.5, "mlp": 5.5 / 3, "erm_ensemble": 8 / 3}
    )
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
