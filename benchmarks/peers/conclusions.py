"""What the numbers of peers say of what was asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks._lab.methods.conclusions import (
    clearly_above,
    share_of_time,
    tell_ranks,
    tell_spread,
    tell_trees,
    told_apart,
    verdict,
)
from benchmarks._lab.methods.results import Results
from benchmarks._lab.methods.statistics import Difference, compare, detectable, power
from benchmarks._lab.tell import listed
from benchmarks.peers.methods import METHODS, title_of
from benchmarks.peers.results import OURS, SHARE, WORTH_FINDING

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
        title = f"Trees err less than {title_of(OURS)}"
        trees = tell_trees(results, title, lambda mean: f"{100 * mean:+.1f} points")
        sentences += [trees] if trees else []
    if difference := results.difference(SHARE):
        sentences.append(_tell_share(SHARE, difference))
    return [*sentences, *_tell_ranks(results)]


def _errs(pair: tuple[str, str], difference: Difference) -> str:
    """Tell a difference in test error, and both its standard errors, in words."""
    method, other = map(title_of, pair)
    spread = tell_spread(difference.errors, factor=100, digits=2)
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
    spread = tell_spread(log_loss.errors, factor=1, digits=3)
    yield (
        f"The log-loss of {title_of(OURS)} is {ours:.3f} on the mean of {log_loss.n_tables} tables "
        f"and that of {title_of(RIVAL)} {rival:.3f}: a difference of {log_loss.mean:+.3f}{spread}, "
        f"or {100 * share:+.1f} %; the median difference is {log_loss.median:+.3f}. Asked was at "
        f"least {100 * _LOG_LOSS_BELOW:g} % less. "
        f"{verdict(share <= -_LOG_LOSS_BELOW)}"
    )
    n_lower, n_higher = (error.by_table < 0).sum(), (error.by_table > 0).sum()
    yield (
        f"{_errs(pair, error)}, {n_lower} lower and {n_higher} higher, median "
        f"{100 * error.median:+.2f}. Asked was at least {100 * _ERROR_BELOW:g} points less. "
        f"{verdict(error.mean <= -_ERROR_BELOW)}"
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
    found = clearly_above(results, "log_loss", OURS, floors)
    told = [f"{table} ({floor})" for table, floor in found.items()]
    yield (
        f"On {len(told)} of {len(results.tables)} tables the log-loss of {title_of(OURS)} is "
        f"above that of {' or '.join(map(title_of, floors))} by more than two standard errors over "
        f"the splits{': ' if told else ''}{', '.join(told)}. Asked was none. {verdict(not told)}"
    )


def _tell_time(results: Results) -> Iterator[str]:
    """Say whether ours is as fast as is asked."""
    if found := share_of_time(results, (OURS, _SLOW)):
        ratio, limits = found
        yield (
            f"{title_of(OURS)} takes {ratio:.2f} of the fit time of {title_of(_SLOW)} (geometric "
            f"mean; {limits}). Asked was at most {_TIME:g}. {verdict(ratio <= _TIME)}"
        )


def _tell_share(pair: tuple[str, str], difference: Difference) -> str:
    """Say how much mixup adds, how sure that is, and what the test would have found."""
    sentence = _errs(pair, difference)
    if not difference.over_tables > 0:  # no spread, or NaN
        return f"{sentence}."
    error, n_tables = difference.over_tables, difference.n_tables
    return (
        f"{sentence}: {told_apart(difference)}. With this spread a true difference of "
        f"{100 * detectable(error, n_tables):.2f} points would be found in 80 % of cases, one of "
        f"{100 * WORTH_FINDING:g} in {100 * power(WORTH_FINDING, error, n_tables):.0f} %."
    )


def _tell_ranks(results: Results) -> Iterator[str]:
    """Say which methods have the best mean ranks; asked was the best in log-loss."""
    for name, sentence in tell_ranks(results):
        ranks = results.ranks[name].mean
        if name == "log_loss" and OURS in ranks:
            is_first = ranks.index[0] == OURS
            asked = f"Asked was that {title_of(OURS)} is first. {verdict(is_first)}"
            yield f"{sentence} {asked}"
        else:
            yield sentence
