"""What the numbers of synthetic say of what was asked."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks._lab.methods.conclusions import tell_spread
from benchmarks._lab.methods.results import Results
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks._lab.tell import SIGNIFICANCE, p_equals
from benchmarks.synthetic.methods import GANS
from benchmarks.synthetic.results import CONTEST, SAMPLER, YARDSTICK, Compared, compare

LEAST = 0.70  # of the gain of the real rows, asked of the GAN


def met(holds: bool) -> str:
    """Say whether what was asked was reached."""
    return "PASS" if holds else "FAIL"


def conclude(found: Results) -> list[str]:
    """Say, from the numbers, which of what was asked was reached."""
    compared = {it.pair: it for it in compare(found, "gain")}
    sentences = [*_tell_sampler(found, compared)]
    if {*GANS} <= {*found.methods}:
        sentences += _tell_gan(found, compared)
    return sentences


def kept(found: Results, method: str) -> str:
    """Tell what a method keeps of the gain, with its standard error over the tables."""
    by_table = found.values["gain"].groupby("table")[method].mean()
    mean, error = mean_and_standard_error(by_table)
    return f"{100 * mean:.1f} %" + (f" (± {100 * error:.1f} over tables)" if error == error else "")


def _tell_sampler(found: Results, compared: dict[tuple[str, str], Compared]) -> Iterator[str]:
    """Say whether the sampler keeps as much as the yardstick."""
    it = compared.get((SAMPLER, YARDSTICK))
    if it is None:
        return
    ours, other = map(CONTEST.title, it.pair)
    yield (
        f"{met(it.difference.mean >= 0)}: {ours} was to keep as much of the gain as {other}. On "
        f"{scope(found)}, it keeps {kept(found, SAMPLER)}, {other} {kept(found, YARDSTICK)}; "
        f"{_difference(it)}."
    )


def _tell_gan(found: Results, compared: dict[tuple[str, str], Compared]) -> Iterator[str]:
    """Say whether the GAN keeps so much, and more than one without mixing."""
    gan, erm = GANS
    title = CONTEST.title(gan)
    mean = found.averages["gain"].loc[gan, "mean"]
    yield (
        f"{met(mean > LEAST)}: {title} was to keep more than {100 * LEAST:.0f} % of the gain. On "
        f"{scope(found)}, it keeps {kept(found, gan)}."
    )
    it = compared[gan, erm]
    yield (
        f"{met(it.difference.mean > 0)}: {title} was to keep more than {CONTEST.title(erm)}, which "
        f"keeps {kept(found, erm)}; {_difference(it)}."
    )


def scope(found: Results) -> str:
    """Count tables and splits."""
    n_tables, n_splits = len(found.tables), found.runs["split"].nunique()
    return f"{n_tables} table{'s' * (n_tables > 1)}, {n_splits} split{'s' * (n_splits > 1)} of each"


def _difference(it: Compared) -> str:
    """Tell a difference in the gain kept, and whether it is more than chance."""
    spread = tell_spread(it.difference.errors, factor=100, digits=1)
    told = f"the difference is {100 * it.difference.mean:+.1f} points{spread}"
    if it.p_adjusted != it.p_adjusted:  # of a single table
        return told
    apart = "told apart" if it.p_adjusted < SIGNIFICANCE else "not told apart"
    return f"{told}, {apart} (t-test over tables, Holm's correction, {p_equals(it.p_adjusted)})"
