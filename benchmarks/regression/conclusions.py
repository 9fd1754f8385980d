"""What the numbers of regression say of what was asked."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks._lab.methods.conclusions import (
    clearly_above,
    share_of_time,
    tell_ranks,
    tell_spread,
    tell_trees,
    told_apart,
)
from benchmarks._lab.methods.results import Results
from benchmarks._lab.methods.statistics import detectable, power
from benchmarks._lab.tell import listed
from benchmarks.regression.methods import METHODS
from benchmarks.regression.results import (
    CONTEST,
    FLOOR,
    MEASURES,
    RIVAL,
    SHARE,
    TIME,
    WORTH_FINDING,
)


def conclude(results: Results) -> list[str]:
    """Say, from the numbers, which of what was asked holds, where trees win, what mixup adds."""
    ours = [method for method in results.methods if METHODS[method].is_ours]
    told = [_tell_rank(results, ours), _tell_time(results, ours), _tell_floor(results, ours)]
    if CONTEST.ours in ours:
        title = f"Trees have a lower RMSE than {CONTEST.title(CONTEST.ours)}"
        told.append(tell_trees(results, title, lambda mean: MEASURES["rmse_sd"].text(mean)))
    told += [_tell_difference(results, pair) for pair in (SHARE, ("cmixup", "erm"))]
    return [*filter(None, told), *(sentence for _, sentence in tell_ranks(results))]


def _which(methods: list[str], holds: Callable[[str], bool], write: Callable[[str], str]) -> str:
    """Say of which methods what was asked holds, each with its number, and of which not."""
    by_verdict = {
        verdict: listed(
            (f"{CONTEST.title(it)} ({write(it)})" for it in methods if holds(it) == verdict), "; "
        )
        for verdict in (True, False)
    }
    return f"This holds for: {by_verdict[True]}. It does not for: {by_verdict[False]}."


def _tell_rank(results: Results, ours: list[str]) -> str | None:
    """Say whose mean rank is below that of the rival."""
    ranks = results.ranks["rmse_sd"].mean
    if RIVAL not in ranks or not ours:
        return None
    which = _which(ours, lambda it: bool(ranks[it] < ranks[RIVAL]), lambda it: f"{ranks[it]:.1f}")
    return (
        f"Asked was a mean rank of the RMSE below that of {CONTEST.title(RIVAL)}, "
        f"{ranks[RIVAL]:.1f} over {len(results.tables)} tables. {which}"
    )


def _tell_time(results: Results, ours: list[str]) -> str | None:
    """Say whose fit takes as small a share of the rival's time as is asked."""
    found = {it: share_of_time(results, (it, RIVAL)) for it in ours}
    shares = {it: share for it, share in found.items() if share}
    if not shares:
        return None
    which = _which(
        list(shares),
        lambda it: shares[it][0] <= TIME,
        lambda it: f"{shares[it][0]:.2f}; {shares[it][1]}",
    )
    return (
        f"Asked was at most {TIME:g} of the fit time of {CONTEST.title(RIVAL)}, geometric mean "
        f"over the tables. {which}"
    )


def _tell_floor(results: Results, ours: list[str]) -> str | None:
    """Say on which tables ours are clearly above the floor."""
    if FLOOR not in results.methods or not ours or results.runs["split"].nunique() < 2:
        return None
    above = {it: clearly_above(results, "rmse_sd", it, [FLOOR]) for it in ours}
    which = _which(
        ours,
        lambda it: not above[it],
        lambda it: ", ".join(f"{it}: {told}" for it, told in above[it].items()) or "nowhere",
    )
    return (
        f"Asked was an RMSE that is nowhere above that of {CONTEST.title(FLOOR)} by more than two "
        f"standard errors over the splits. {which}"
    )


def _tell_difference(results: Results, pair: tuple[str, str]) -> str | None:
    """Say how far two methods are apart in RMSE, how sure that is, and what would be found."""
    difference = results.difference(pair)
    if difference is None:
        return None
    method, other = map(CONTEST.title, pair)
    spread = tell_spread(difference.errors, factor=1, digits=4)
    sentence = (
        f"The RMSE of {method} less that of {other}: {difference.mean:+.4f} standard deviations on "
        f"the mean of {difference.n_tables} tables{spread}"
    )
    if not difference.over_tables > 0:  # no spread, or NaN
        return f"{sentence}."
    error, n = difference.over_tables, difference.n_tables
    return (
        f"{sentence}, {told_apart(difference)}. With this spread a true difference of "
        f"{detectable(error, n):.3f} would be found in 80 % of cases, one of {WORTH_FINDING:g} in "
        f"{100 * power(WORTH_FINDING, error, n):.0f} %."
    )
