"""What the numbers of peers say of what was asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.statistics import paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_equals
from benchmarks.peers.methods import METHODS, title_of
from benchmarks.peers.results import MEASURES, OURS, SHARE, WORTH_FINDING, Results
from benchmarks.peers.statistics import Difference, compare, detectable, power

# What is asked of ours: log-loss and error so far below those of the rival, a log-loss below those
# of the other anchors by one standard error, on no table one above the floors, and so fast.
RIVAL = "catboost"
_LOG_LOSS_BELOW = 0.05  # a share
_ERROR_BELOW = 0.005
_FLOORS = ("logistic", "prior")
_SLOW, _TIME = "tabm", 0.25


def conclude(results: Results) -> list[str]:
    """Say, from the numbers, which of what was asked holds, where trees win, what mixup adds."""
    sentences: list[str] = []
    if OURS in results.methods:
        sentences += _tell_rival(results)
        sentences += _tell_others(results)
        sentences += _tell_floors(results)
        sentences += _tell_time(results)
        sentences += _tell_trees(results)
    if difference := results.difference(SHARE):
        sentences.append(_tell_share(SHARE, difference))
    return [*sentences, *_tell_ranks(results)]


def _verdict(holds: bool) -> str:
    """Say whether what was asked holds."""
    return "This holds." if holds else "This does not hold."


def _spread(errors: dict[str, float], *, factor: float, digits: int) -> str:
    """Write standard errors with their units, in brackets; nothing if there are none."""
    told = [f"± {factor * error:.{digits}f} over {units}" for units, error in errors.items()]
    return f" ({', '.join(told)})" if told else ""


def _errs(pair: tuple[str, str], difference: Difference) -> str:
    """Tell a difference in test error, and both its standard errors, in words."""
    method, other = map(title_of, pair)
    spread = _spread(difference.errors, factor=100, digits=2)
    told = f"{other} on the mean of {difference.n_tables} tables{spread}"
    if difference.mean == 0:
        return f"{method} errs as often as {told}"
    less = "less" if difference.mean < 0 else "more"
    return f"{method} errs {abs(100 * difference.mean):.2f} points {less} than {told}"


def _tell_rival(results: Results) -> Iterator[str]:
    """Say whether log-loss and error of ours are as far below the rival's as is asked."""
    pair = (OURS, RIVAL)
    log_loss, error = results.difference(pair, "log_loss"), results.difference(pair)
    if log_loss is None or error is None:
        return
    ours, rival = results.averages["log_loss"]["mean"][list(pair)]
    share = ours / rival - 1
    spread = _spread(log_loss.errors, factor=1, digits=3)
    yield (
        f"The log-loss of {title_of(OURS)} is {ours:.3f} on the mean of {log_loss.n_tables} tables "
        f"and that of {title_of(RIVAL)} {rival:.3f}: a difference of {log_loss.mean:+.3f}{spread}, "
        f"or {100 * share:+.1f} %; the median difference is {log_loss.median:+.3f}. Asked was at "
        f"least {100 * _LOG_LOSS_BELOW:g} % less. "
        f"{_verdict(share <= -_LOG_LOSS_BELOW)}"
    )
    n_lower, n_higher = (error.by_table < 0).sum(), (error.by_table > 0).sum()
    yield (
        f"{_errs(pair, error)}, {n_lower} lower and {n_higher} higher, median "
        f"{100 * error.median:+.2f}. Asked was at least {100 * _ERROR_BELOW:g} points less. "
        f"{_verdict(error.mean <= -_ERROR_BELOW)}"
    )


def _tell_others(results: Results) -> Iterator[str]:
    """Say below which anchors the log-loss of ours is by more than one standard error."""
    told: dict[bool, list[str]] = {True: [], False: []}
    for other in results.methods:
        if not METHODS[other].is_anchor or other == RIVAL:
            continue
        difference = compare(results.values["log_loss"], OURS, other)
        if np.isnan(difference.over_tables):
            return
        is_below = difference.mean < -difference.over_tables
        text = f"{title_of(other)} ({difference.mean:+.3f} ± {difference.over_tables:.3f})"
        told[bool(is_below)].append(text)
    if any(told.values()):
        yield (
            "Asked was a log-loss below that of every other anchor by more than one standard error "
            f"over tables. This holds for: {listed(told[True])}; and does not for: "
            f"{listed(told[False])}."
        )


def _tell_floors(results: Results) -> Iterator[str]:
    """Say on which tables the log-loss of ours is clearly above one that anybody can have."""
    floors = [method for method in _FLOORS if method in results.methods]
    if not floors or results.runs["split"].nunique() < 2:
        return
    told, tables = [], set()
    for table, values in results.values["log_loss"].groupby("table", sort=False):
        for floor in floors:
            found = paired_difference(values[OURS], values[floor])
            if found.mean > 2 * found.standard_error:
                numbers = f"{found.mean:+.3f} ± {found.standard_error:.3f}"
                told.append(f"{TITLES[table]} ({title_of(floor)} {numbers})")
                tables.add(table)
    yield (
        f"On {len(tables)} of {len(results.tables)} tables the log-loss of {title_of(OURS)} is "
        f"above that of {' or '.join(map(title_of, floors))} by more than two standard errors over "
        f"the splits{': ' if told else ''}{', '.join(told)}. Asked was none. {_verdict(not told)}"
    )


def _tell_time(results: Results) -> Iterator[str]:
    """Say whether ours is as fast as is asked."""
    difference = results.difference((OURS, _SLOW), "fit_cpu_s")
    if difference is None:
        return
    ratio, by_table = np.exp(difference.mean), np.exp(difference.by_table)
    yield (
        f"{title_of(OURS)} takes {ratio:.2f} of the fit time of {title_of(_SLOW)} "
        f"(geometric mean; {by_table.min():.2f} on {TITLES[by_table.idxmin()]} to "
        f"{by_table.max():.2f} on {TITLES[by_table.idxmax()]}). Asked was at most "
        f"{_TIME:g}. {_verdict(ratio <= _TIME)}"
    )


def _tell_trees(results: Results) -> Iterator[str]:
    """Say on which tables trees err less than ours."""
    trees = [method for method in results.methods if METHODS[method].family == "trees"]
    if not trees:
        return
    ours, told = title_of(OURS), []
    for table, values in results.values["test_error"].groupby("table", sort=False):
        best = values[trees].mean().idxmin()
        found = paired_difference(values[best], values[OURS], test_share=TEST_SHARE)
        if round(found.mean, 12) < 0:
            star = "*" if found.p_corrected < SIGNIFICANCE else ""
            points = f"{100 * found.mean:+.1f} points{star}"
            told.append(f"{TITLES[table]} ({title_of(best)} {points})")
    if told:
        yield (
            f"Trees err less than {ours} on {len(told)} of {len(results.tables)} tables: "
            f"{', '.join(told)}; * where p < {SIGNIFICANCE:g} over the splits, corrected for the "
            "rows they share."
        )
    else:
        yield f"On none of {len(results.tables)} tables do trees err less than {ours}."


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


def _tell_ranks(results: Results) -> Iterator[str]:
    """Say which methods have the best mean ranks, what the tests make of them, and what was asked.

    Asked was the best mean rank in log-loss.
    """
    for name, ranks in results.ranks.items():
        if len(ranks.mean) < 3 or ranks.n_tables < 2:
            continue
        reach = ranks.critical_difference
        behind = ranks.mean.index[ranks.mean > ranks.mean.iloc[0] + reach]
        told = "; ".join(f"{title_of(method)} {value:.1f}" for method, value in ranks.mean.items())
        sentence = (
            f"Mean rank of {MEASURES[name].name}: {told}. Friedman test "
            f"{p_equals(ranks.p_value)}; by the Nemenyi test, which tells ranks {reach:.1f} apart, "
            f"{title_of(ranks.mean.index[0])} is ahead of: {listed(map(title_of, behind), '; ')}."
        )
        if name == "log_loss" and OURS in ranks.mean:
            place = ranks.mean.index.get_loc(OURS) + 1
            sentence += f" Asked was that {title_of(OURS)} is first. {_verdict(place == 1)}"
        yield sentence
