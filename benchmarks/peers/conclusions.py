"""What the numbers of peers say of what was asked."""

from __future__ import annotations

import numpy as np

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.statistics import paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_equals
from benchmarks.peers.methods import METHODS, title_of
from benchmarks.peers.results import ENSEMBLE, MEASURES, SHARES, WORTH_FINDING, Results
from benchmarks.peers.statistics import Difference, compare, detectable, power

_TREES = ("hist_gb", "forest")
# What the ensemble is asked to be: so many standard errors below another's error, and so fast.
_ASKED = {"realmlp": (1, "one standard error"), "hist_gb": (2, "two standard errors")}
_ASKED_TIME = 0.5


def conclude(results: Results) -> list[str]:
    """Say, from the numbers, which of what was asked holds, where trees win, what mixup adds."""
    sentences = []
    if ENSEMBLE in results.methods:
        for other, asked in _ASKED.items():
            if difference := results.difference((ENSEMBLE, other)):
                sentences.append(_tell_ask(other, difference, *asked))
        sentences += [*_tell_log_loss(results), *_tell_time(results), *_tell_trees(results)]
    for pair in SHARES:
        if difference := results.difference(pair):
            sentences.append(_tell_share(pair, difference))
    return [*sentences, *_tell_ranks(results)]


def _errs(pair: tuple[str, str], difference: Difference) -> str:
    """Tell a difference in test error, and both its standard errors, in words."""
    method, other = map(title_of, pair)
    errors = [f"± {100 * error:.2f} over {units}" for units, error in difference.errors.items()]
    spread = f" ({', '.join(errors)})" if errors else ""
    told = f"{other} on the mean of {difference.n_tables} tables{spread}"
    if difference.mean == 0:
        return f"{method} errs as often as {told}"
    less = "less" if difference.mean < 0 else "more"
    return f"{method} errs {abs(100 * difference.mean):.2f} points {less} than {told}"


def _tell_ask(other: str, difference: Difference, factor: int, in_words: str) -> str:
    """Say whether the ensemble's error is as far below another's as is asked, by both errors."""
    errors = difference.errors
    yes = [units for units, error in errors.items() if difference.mean < -factor * error]
    no = [units for units in errors if units not in yes]
    if yes and no:
        verdict = f"This holds over {yes[0]}, and does not over {no[0]}."
    elif errors:
        by = "by either" if len(errors) == 2 else f"over {next(iter(errors))}"
        verdict = f"This {'holds' if yes else 'does not hold'}, {by}."
    else:
        verdict = "One table and one split cannot tell."
    n_lower, n_higher = (difference.by_table < 0).sum(), (difference.by_table > 0).sum()
    return (
        f"{_errs((ENSEMBLE, other), difference)}, {n_lower} lower and {n_higher} higher, median "
        f"{100 * difference.median:+.2f}. Asked was less by more than {in_words}. {verdict}"
    )


def _tell_log_loss(results: Results) -> list[str]:
    """Say whether the ensemble's log-loss is the lowest of all, and how it stands to the peers."""
    means = results.averages["log_loss"]["mean"].sort_values(kind="stable")
    if len(means) == 1:
        return []

    def tell(other: str) -> str:
        difference = compare(results.values["log_loss"], other, ENSEMBLE)
        error = "" if np.isnan(difference.over_tables) else f" ± {difference.over_tables:.3f}"
        told = f"({difference.mean:+.3f}{error} over tables)"
        return f"{title_of(other)} with {means[other]:.3f} {told}"

    place = means.index.get_loc(ENSEMBLE)
    nearest = means.index[0 if place else 1]
    told = (
        f"This does not hold: it is number {place + 1}, after" if place else "This holds; next is"
    )
    sentence = (
        f"The log-loss of {title_of(ENSEMBLE)} is {means[ENSEMBLE]:.3f} on the mean of the tables. "
        f"Asked was the lowest of all {len(means)} methods. {told} {tell(nearest)}."
    )
    peers = [method for method in means.index if not METHODS[method].is_ours]
    if peers and peers[0] != nearest:
        sentence += f" Nearest of the others' methods is {tell(peers[0])}."
    return [sentence]


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
    ensemble, told = title_of(ENSEMBLE), []
    for table, values in results.values["test_error"].groupby("table", sort=False):
        best = values[trees].mean().idxmin()
        found = paired_difference(values[best], values[ENSEMBLE], test_share=TEST_SHARE)
        if round(found.mean, 12) < 0:
            star = "*" if found.p_corrected < SIGNIFICANCE else ""
            points = f"{100 * found.mean:+.1f} points{star}"
            told.append(f"{TITLES[table]} ({title_of(best)} {points})")
    if not told:
        return [f"On none of {len(results.tables)} tables do trees err less than {ensemble}."]
    return [
        f"Trees err less than {ensemble} on {len(told)} of {len(results.tables)} tables: "
        f"{', '.join(told)}; * where p < {SIGNIFICANCE:g} over the splits, corrected for the rows "
        "they share."
    ]


def _tell_share(pair: tuple[str, str], difference: Difference) -> str:
    """Say how much mixup adds, how sure that is, and what the test would have found."""
    sentence = _errs(pair, difference)
    if not difference.over_tables > 0:  # no spread, or NaN
        return f"{sentence}."
    told = "told apart" if difference.p_value < SIGNIFICANCE else "not told apart"
    error, n_tables = difference.over_tables, difference.n_tables
    return (
        f"{sentence}: {told} (t-test over tables {p_equals(difference.p_value)}, Wilcoxon's test "
        f"{p_equals(difference.p_wilcoxon)}). With this spread a true difference of "
        f"{100 * detectable(error, n_tables):.2f} points would be found in 80 % of cases, one of "
        f"{100 * WORTH_FINDING:g} in {100 * power(WORTH_FINDING, error, n_tables):.0f} %."
    )


def _tell_ranks(results: Results) -> list[str]:
    """Say which methods have the best mean ranks, and what the tests make of them."""
    sentences = []
    for name, ranks in results.ranks.items():
        if len(ranks.mean) < 3 or ranks.n_tables < 2:
            continue
        reach = ranks.critical_difference
        behind = ranks.mean.index[ranks.mean > ranks.mean.iloc[0] + reach]
        told = "; ".join(f"{title_of(method)} {value:.1f}" for method, value in ranks.mean.items())
        sentences.append(
            f"Mean rank of {MEASURES[name].name}: {told}. Friedman test "
            f"{p_equals(ranks.p_value)}; by the Nemenyi test, which tells ranks {reach:.1f} apart, "
            f"{title_of(ranks.mean.index[0])} is ahead of: {listed(map(title_of, behind), '; ')}."
        )
    return sentences
