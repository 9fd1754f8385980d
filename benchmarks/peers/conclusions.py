"""What the numbers of peers say of what was asked."""

from __future__ import annotations

import numpy as np

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.statistics import paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_equals
from benchmarks.peers.methods import METHODS, title_of
from benchmarks.peers.results import ENSEMBLE, SHARES, WORTH_FINDING, Results, word
from benchmarks.peers.statistics import Difference, compare, detectable, power

_TREES = ("hist_gb", "forest")
# What the ensemble is asked to be: so many standard errors below another's error, and so fast.
_ASKED = (("realmlp", 1), ("hist_gb", 2))
_IN_WORDS = {1: "one standard error", 2: "two standard errors"}
_ASKED_TIME = 0.5


def conclude(results: Results) -> list[str]:
    """Say, from the numbers, which of what was asked holds, where trees win, what mixup adds."""
    sentences = []
    if ENSEMBLE in results.methods:
        sentences += [
            _tell_ask(results, other, factor)
            for other, factor in _ASKED
            if other in results.methods
        ]
        sentences += [*_tell_log_loss(results), *_tell_time(results), *_tell_trees(results)]
    for pair in SHARES:
        if difference := results.difference(pair):
            sentences.append(_tell_share(pair, difference))
    return [*sentences, *_tell_ranks(results)]


def _errs(pair: tuple[str, str], difference: Difference) -> str:
    """Tell a difference in test error in words."""
    method, other = map(title_of, pair)
    told = f"on the mean of {difference.n_tables} tables{_spread(difference)}"
    if difference.mean == 0:
        return f"{method} errs as often as {other} {told}"
    less = "less" if difference.mean < 0 else "more"
    return f"{method} errs {abs(100 * difference.mean):.2f} points {less} than {other} {told}"


def _spread(difference: Difference) -> str:
    """Tell both standard errors of a difference in test error."""
    told = [
        f"± {100 * error:.2f} over {units}"
        for error, units in (
            (difference.over_tables, "tables"),
            (difference.over_splits, "splits"),
        )
        if not np.isnan(error)
    ]
    return f" ({', '.join(told)})" if told else ""


def _tell_ask(results: Results, other: str, factor: int) -> str:
    """Say whether the ensemble's error is as far below another's as is asked, by both errors."""
    difference = compare(results.values["test_error"], ENSEMBLE, other)
    n_lower = int((difference.by_table < 0).sum())
    n_higher = int((difference.by_table > 0).sum())
    errors = {"tables": difference.over_tables, "splits": difference.over_splits}
    holds = {
        units: difference.mean < -factor * error
        for units, error in errors.items()
        if not np.isnan(error)
    }
    if not holds:
        verdict = "One table and one split cannot tell."
    elif len(set(holds.values())) == 1:
        verdict = f"This {'holds' if all(holds.values()) else 'does not hold'}"
        verdict += ", by either." if len(holds) == 2 else f", over {next(iter(holds))}."
    else:
        yes, no = sorted(holds, key=lambda units: not holds[units])
        verdict = f"This holds over {yes}, and does not over {no}."
    return (
        f"{_errs((ENSEMBLE, other), difference)}, {n_lower} lower and {n_higher} higher, median "
        f"{100 * difference.median:+.2f}. Asked was less by more than "
        f"{_IN_WORDS[factor]}. {verdict}"
    )


def _tell_log_loss(results: Results) -> list[str]:
    """Say whether the ensemble's log-loss is the lowest of all, and how it stands to the peers."""
    means = results.averages["log_loss"]["mean"].sort_values(kind="stable")
    place = list(means.index).index(ENSEMBLE)
    if len(means) == 1:
        return []
    if place == 0:
        nearest, told = means.index[1], "This holds; next is"
    else:
        nearest, told = means.index[0], f"This does not hold: it is number {place + 1}, after"
    sentences = [
        f"The log-loss of {title_of(ENSEMBLE)} is {means[ENSEMBLE]:.3f} on the mean of the tables. "
        f"Asked was the lowest of all {len(means)} methods. {told} "
        f"{_tell_nearest(results, nearest)}."
    ]
    peers = [method for method in means.index if not METHODS[method].is_ours]
    if peers and peers[0] != nearest:
        sentences[0] += f" Nearest of the others' methods is {_tell_nearest(results, peers[0])}."
    return sentences


def _tell_nearest(results: Results, other: str) -> str:
    """Tell the log-loss of another method, and how far it is from that of the ensemble."""
    difference = compare(results.values["log_loss"], other, ENSEMBLE)
    mean = results.averages["log_loss"].loc[other, "mean"]
    error = "" if np.isnan(difference.over_tables) else f" ± {difference.over_tables:.3f}"
    return f"{title_of(other)} with {mean:.3f} ({difference.mean:+.3f}{error} over tables)"


def _tell_time(results: Results) -> list[str]:
    """Say whether the ensemble is as fast as is asked."""
    difference = results.difference((ENSEMBLE, "realmlp"), "fit_time_s")
    if difference is None:
        return []
    ratio, by_table = np.exp(difference.mean), np.exp(difference.by_table)
    holds = "holds" if ratio <= _ASKED_TIME else "does not hold"
    return [
        f"{title_of(ENSEMBLE)} takes {ratio:.2f} of the fit time of {title_of('realmlp')} "
        f"(geometric mean; {by_table.min():.2f} on {TITLES[by_table.idxmin()]} to "
        f"{by_table.max():.2f} on {TITLES[by_table.idxmax()]}). Asked was at most "
        f"{_ASKED_TIME:g}. This {holds}."
    ]


def _tell_trees(results: Results) -> list[str]:
    """Say on which tables trees err less than the ensemble."""
    trees = [method for method in _TREES if method in results.methods]
    if not trees:
        return []
    values = results.values["test_error"]
    means = values.groupby("table", sort=False).mean()
    told = []
    for table in results.tables:
        best = means.loc[table, trees].idxmin()
        difference = paired_difference(
            values.loc[table, best], values.loc[table, ENSEMBLE], test_share=TEST_SHARE
        )
        if round(difference.mean, 12) < 0:
            star = "*" if difference.p_corrected < SIGNIFICANCE else ""
            told.append(
                f"{TITLES[table]} ({title_of(best)} {100 * difference.mean:+.1f} points{star})"
            )
    if not told:
        return [f"On none of {len(means)} tables do trees err less than {title_of(ENSEMBLE)}."]
    return [
        f"Trees err less than {title_of(ENSEMBLE)} on {len(told)} of {len(means)} tables: "
        f"{', '.join(told)}; * where p < {SIGNIFICANCE:g} over the splits, corrected for the rows "
        "they share."
    ]


def _tell_share(pair: tuple[str, str], difference: Difference) -> str:
    """Say how much mixup adds, how sure that is, and what the test would have found."""
    sentence = _errs(pair, difference)
    if not difference.over_tables > 0:  # no spread, or NaN
        return f"{sentence}."
    told = "told apart" if difference.p_value < SIGNIFICANCE else "not told apart"
    return (
        f"{sentence}: {told} (t-test over tables {p_equals(difference.p_value)}, Wilcoxon's test "
        f"{p_equals(difference.p_wilcoxon)}). With this spread a true difference of "
        f"{100 * detectable(difference.over_tables, difference.n_tables):.2f} points would be "
        f"found in 80 % of cases, one of {100 * WORTH_FINDING:g} in "
        f"{100 * power(WORTH_FINDING, difference.over_tables, difference.n_tables):.0f} %."
    )


def _tell_ranks(results: Results) -> list[str]:
    """Say which methods have the best mean ranks, and what the tests make of them."""
    sentences = []
    for name, ranks in results.ranks.items():
        if len(ranks.mean) < 3 or ranks.n_tables < 2:
            continue
        first = ranks.mean.index[0]
        ahead = ranks.mean > ranks.mean.iloc[0] + ranks.critical_difference
        others = listed(map(title_of, ranks.mean.index[ahead]), "; ")
        sentences.append(
            f"Mean rank of {word(name)}: "
            + "; ".join(f"{title_of(method)} {value:.1f}" for method, value in ranks.mean.items())
            + f". Friedman test {p_equals(ranks.p_value)}; by the Nemenyi test, which tells "
            f"ranks {ranks.critical_difference:.1f} apart, {title_of(first)} is ahead of: {others}."
        )
    return sentences
