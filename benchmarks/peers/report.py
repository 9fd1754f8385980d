"""What came out of peers, told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.outcome import Block, Conclusions, Figure, Heading, Note, Outcome, headed
from benchmarks._lab.scores import N_BINS
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import p_value
from benchmarks.peers import figures
from benchmarks.peers.anchors import WIDE
from benchmarks.peers.conclusions import conclude
from benchmarks.peers.methods import FULL, METHODS, Budget, absent_packages, title_of
from benchmarks.peers.results import (
    MEASURES,
    OURS,
    ROC_AUC,
    SHARE,
    WORTH_FINDING,
    Results,
    collect,
)
from benchmarks.peers.statistics import compare, detectable, power

_PAIRS = (
    *((OURS, name) for name, method in METHODS.items() if method.is_anchor),
    *((OURS, name) for name in ("prior", "ensemble_skrub", "mixup_skrub")),
    *(("ensemble_skrub", name) for name in ("ensemble", "catboost", "tabm", "realmlp")),
    *(("mixup_skrub", name) for name in ("mixup", "mlp", "realmlp")),
)


def tell(
    runs: pd.DataFrame, *, budget: Budget, absent: Sequence[str], missing: Sequence[str]
) -> Outcome:
    """Tell what came out."""
    results = collect(runs)
    draw, draw_ranks = partial(figures.plot, results), partial(figures.plot_ranks, results.ranks)
    blocks: list[Block] = [
        Figure("peers.png", "Error and log-loss against the time of the fit", draw),
        Conclusions(conclude(results), listed=True),
        *headed(tables(results)),
    ]
    if len(results.methods) > 1:
        blocks += [Heading("Ranks"), Figure("peers_ranks.png", "Mean ranks", draw_ranks)]
    blocks += [*headed(tables_by_table(results)), Heading("How it was measured")]
    blocks.append(Note(notes(results, budget)))
    if absent:
        blocks.append(Note(absent_note(absent)))
    blocks += last_notes(runs, missing, others=_peers_of(runs))
    return Outcome("Against the best that one can install", blocks)


# -- tables ---------------------------------------------------------------------------------------


def tables(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Write the comparison as tables of texts, each with its heading."""
    written = [
        (f"Means over {len(results.tables)} tables", _means(results)),
        ("Differences, paired by table and split", _pairs(results)),
        ("The share that is mixup's own", _share(results)),
    ]
    return [(title, table) for title, table in written if len(table)]


def tables_by_table(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Write error and log-loss of each method on each table, the lowest in bold."""
    return [
        (MEASURES[name].heading, _by_table(results, name)) for name in ("test_error", "log_loss")
    ]


def _means(results: Results) -> pd.DataFrame:
    """Write the mean of each measure over the tables, the times and the mean ranks."""
    rows = []
    for method in results.methods:
        row = {"method": title_of(method)}
        for name, averages in results.averages.items():
            row[MEASURES[name].title] = MEASURES[name].text(*averages.loc[method])
        row["fit, s"] = f"{results.seconds()[method]:.2f}"
        row["predict, ms"] = f"{1000 * results.seconds('predict_time_s')[method]:.1f}"
        for name, ranks in results.ranks.items():
            row[f"rank, {MEASURES[name].name.removeprefix('test ')}"] = f"{ranks.mean[method]:.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def _pairs(results: Results) -> pd.DataFrame:
    """Write the differences of pairs of methods, and the ratio of their times."""
    times = {pair: results.difference(pair, "fit_cpu_s") for pair in _PAIRS}
    return pd.DataFrame(
        _difference(results, pair) | {"fit time": f"{np.exp(time.mean):.2f} x"}
        for pair, time in times.items()
        if time
    )


def _share(results: Results) -> pd.DataFrame:
    """Write the difference of mixup and ERM, and the power of its test."""
    difference = results.difference(SHARE)
    if difference is None:
        return pd.DataFrame()
    error, n = difference.over_tables, difference.n_tables
    told = ["", ""]
    if error > 0:
        found = power(WORTH_FINDING, error, n)
        told = [f"{100 * detectable(error, n):.2f}", f"{found:.0%}"]
    titles = ("found in 80 %", f"power at {100 * WORTH_FINDING:g}")
    return pd.DataFrame([_difference(results, SHARE) | dict(zip(titles, told, strict=True))])


def _difference(results: Results, pair: tuple[str, str]) -> dict[str, str]:
    """Write how two methods differ in error and log-loss."""
    error, log_loss = (compare(results.values[name], *pair) for name in ("test_error", "log_loss"))
    text = MEASURES["test_error"].text
    n_lower, n_higher = (error.by_table < 0).sum(), (error.by_table > 0).sum()
    return {
        "compared": " - ".join(map(title_of, pair)),
        "error, points": text(error.mean, error.over_tables, sign="+"),
        "± splits": text(error.over_splits),
        "p": p_value(error.p_value),
        "p, ranks": p_value(error.p_wilcoxon),
        "lower / higher": f"{n_lower} / {n_higher}",
        "log-loss, nats": MEASURES["log_loss"].text(log_loss.mean, log_loss.over_tables, sign="+"),
    }


def _by_table(results: Results, name: str) -> pd.DataFrame:
    """Write the means of a measure: a row for each table, a column for each method."""
    by_table = results.values[name].groupby("table", sort=False)
    means, errors = by_table.mean(), by_table.sem()
    is_lowest = means.round(12).eq(means.round(12).min(axis=1), axis=0)
    rows = []
    for table in means.index:
        row = {"table": TITLES[table]}
        for method in means:
            text = MEASURES[name].text(means.loc[table, method], errors.loc[table, method])
            row[title_of(method)] = f"**{text}**" if is_lowest.loc[table, method] else text
        rows.append(row)
    return pd.DataFrame(rows)


# -- notes ----------------------------------------------------------------------------------------


def notes(results: Results, budget: Budget) -> str:
    """Say what was done and how it was measured."""
    n_splits = results.runs["split"].nunique()
    unseen = results.runs.groupby("table")["n_unseen"].max()
    rows_left_out = ", ".join(TITLES[name] for name in unseen.index[unseen > 0])
    left_out = (
        f" Some test rows of {rows_left_out} have a label that no training row has: they count as "
        "errors and in the Brier score, and are left out of the log-loss."
    )
    binary = ""
    if ROC_AUC in results.values:
        n_binary = results.values[ROC_AUC].index.get_level_values("table").nunique()
        binary = f" ROC AUC is the mean of the {n_binary} tables with two classes."
    defaults = (
        f"at its defaults (TabM-D with piecewise-linear numbers, but beyond {WIDE} columns)"
        if budget == FULL
        else "with next to no budget, to see that it runs"
    )
    return (
        f"Every method {defaults}, with the same {n_splits} random splits of each "
        f"table, {1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on, one thread, and "
        "the split as random_state. All but some nets of this package are told which columns are "
        "nominal: CatBoost, LightGBM, RealMLP-TD and TabM-D by themselves (the last two take no "
        "missing numbers, and get medians), the methods of scikit-learn and those with skrub in "
        "their name behind skrub.tabular_pipeline; TabularMixup takes the table as it is. mixup, "
        "mixup x 8 and ERM x 8 get standardised numbers and nominal columns one-hot. The fit time "
        "is that of the processor for all of the fit, preprocessing too; times are geometric "
        "means. "
        f"In the table of means, ± is the standard error over the splits.{binary} Differences have "
        "two: the one beside the number is over tables, "
        "each a mean of its splits, and is the one to go by if another table is meant; the other "
        "is over splits, each a mean of the tables, for these tables alone, and rather too small, "
        "as splits share rows. Lower / higher counts the tables by the sign of the error. p: "
        "paired t-test over tables; p, ranks: Wilcoxon's signed-rank test. Found in 80 %: the "
        "true difference in points that the t-test at 5 % finds with that probability; power: how "
        f"probable it is that it finds one of {100 * WORTH_FINDING:g} points. Log-loss is in "
        "nats; a probability of 0 counts as 2e-16 (36 nats), as scikit-learn has it. The Brier "
        "score sums over the classes (0 to 2). ECE: expected calibration error of the predicted "
        f"class, {N_BINS} bins of equal width.{left_out if rows_left_out else ''}"
    )


def absent_note(absent: Sequence[str]) -> str:
    """Say which methods are left out and how to get them."""
    names = ", ".join(map(title_of, absent))
    packages = dict.fromkeys(name for method in absent for name in absent_packages(method))
    how = f"To have them too: pip install {' '.join(packages)}, then start again."
    return f"Not installed, and left out: {names}. {how}"


def _peers_of(runs: pd.DataFrame) -> str:
    """Name the packages of others that the runs were computed with."""
    found = dict.fromkeys(text for text in runs["packages"].dropna().astype(str) if text)
    return "".join(f"{text}; " for text in found)
