"""What came out of the networks on CIFAR, compared and told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from benchmarks._lab.compare import pair, set_beside
from benchmarks._lab.outcome import Conclusions, Figure, Note, Outcome, Table
from benchmarks._lab.tell import listed, made_on, percent, points
from benchmarks._nets.training import N_LAST_EPOCHS
from benchmarks.cifar import figures
from benchmarks.cifar.recipes import FIGURE_3_ERRORS

_GROUP = ["data", "network", "max_epochs"]
_MEASURES = (
    "test_error",
    "test_error_median",
    "test_top5_error",
    "test_top5_error_median",
)


def tell_errors(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell what came out for each network, beside the paper's."""
    comparison = compare(runs)
    title = "Figure 3: test errors of ERM and mixup on CIFAR"
    return Outcome(
        title,
        [
            Conclusions(conclude(comparison)),
            Figure("cifar.png", title, partial(figures.plot_curves, runs)),
            Table(errors_table(comparison)),
            Table(top5_table(comparison)),
            Note(notes(runs)),
            Note(made_on(versions)),
        ],
    )


def tell_budget(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell what came out for each number of epochs."""
    comparison = compare(runs)
    title = "From which number of epochs on mixup wins"
    return Outcome(
        title,
        [
            Conclusions(conclude_budget(comparison)),
            Figure("cifar_budget.png", title, partial(figures.plot_budget, runs, comparison)),
            Table(budget_table(comparison)),
            Note(notes(runs)),
            Note(made_on(versions)),
        ],
    )


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed, for each data, network, budget and alpha.

    A row for each alpha > 0 of a group has, for each of the errors ``NAME``, what `set_beside`
    tells, as ``NAME_erm`` and so on.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        for alpha in sorted(alpha for alpha in members["alpha"].unique() if alpha > 0):
            first = members.iloc[0]
            row = dict(zip(_GROUP, group, strict=True))
            row |= {"alpha": alpha, "data_name": first["data_name"], "family": first["family"]}
            for measure in _MEASURES:
                by_seed = pair(members, measure, by="seed", wanted=(0.0, alpha), where=group)
                told = set_beside(by_seed[0.0], by_seed[alpha])
                row |= {f"{measure}_{name}": value for name, value in told.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, for how many networks mixup erred less than ERM in the last epoch."""
    sentences = []
    for (name, alpha), rows in comparison.groupby(["data_name", "alpha"], sort=False):
        lower, higher = (
            [row.network for row in rows.itertuples() if sign * row.test_error_difference > 1e-9]
            for sign in (-1, 1)
        )
        clear = [
            row.network
            for row in rows.itertuples()
            if abs(row.test_error_difference) > 2 * row.test_error_difference_se
        ]
        less, more, apart = (listed(networks, "; ") for networks in (lower, higher, clear))
        epochs = ", ".join(map(str, sorted(rows["max_epochs"].unique())))
        sentences.append(
            f"{name}, {epochs} epochs: mixup (alpha = {alpha:g}) had a lower mean test error than "
            f"ERM for {len(lower)} of {len(rows)} networks ({less}), a higher one for "
            f"{len(higher)} ({more}). More than two standard errors of the paired "
            f"difference apart: {apart}."
        )
    return sentences


def conclude_budget(comparison: pd.DataFrame) -> list[str]:
    """Say from which number of epochs on mixup erred less than ERM, and how surely."""
    sentences = []
    for (name, network, alpha), rows in comparison.groupby(
        ["data_name", "network", "alpha"], sort=False
    ):
        rows = rows.sort_values("max_epochs")
        wins = rows["test_error_difference"] < 0
        clear = wins & (rows["test_error_difference"].abs() > 2 * rows["test_error_difference_se"])
        start, clear_start = (_from_which(rows["max_epochs"], won) for won in (wins, clear))
        told = ", ".join(f"{epochs}" for epochs in rows["max_epochs"])
        sentence = f"{name}, {network}, trained for {told} epochs: "
        if start is None:
            sentence += f"mixup (alpha = {alpha:g}) did not win at the largest budget."
        else:
            sentence += (
                f"mixup (alpha = {alpha:g}) had the lower mean test error from {start} epochs on, "
                + (
                    f"by more than two standard errors from {clear_start} epochs on."
                    if clear_start is not None
                    else "but not by more than two standard errors at the largest budget."
                )
            )
        sentences.append(sentence)
    return sentences


def _from_which(epochs: pd.Series, won: pd.Series) -> int | None:
    """Find the budget from which on all are won."""
    start = None
    for budget, is_won in zip(epochs, won, strict=True):
        start = (budget if start is None else start) if is_won else None
    return start


# -- tables ---------------------------------------------------------------------------------------


def _cells(row: Any, measure: str) -> dict[str, str]:
    """Write ERM, mixup and their difference of a row of a comparison."""
    erm, mixup, difference = (
        (getattr(row, f"{measure}_{name}"), getattr(row, f"{measure}_{name}_se"))
        for name in ("erm", "mixup", "difference")
    )
    return {"ERM": percent(*erm), "mixup": percent(*mixup), "difference": points(*difference)}


def _heads(row: Any) -> dict[str, str]:
    """Write what a row of a comparison is about; the data have their full name in the notes."""
    heads = {"data": row.data, "network": row.network, "epochs": str(row.max_epochs)}
    return {**heads, "alpha": f"{row.alpha:g}"}


def errors_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent, of the last epoch and the median of the last ten, and [1]'s.

    The paper's stand beside ours whatever the size of ours: they are of its own networks.
    """
    rows = []
    for row in comparison.itertuples():
        median = {
            f"{method}, med.": cell
            for method, cell in _cells(row, "test_error_median").items()
            if method != "difference"
        }
        paper = {
            f"paper {method}": percent(FIGURE_3_ERRORS.get((row.data, row.family, alpha)))
            for method, alpha in (("ERM", 0.0), ("mixup", row.alpha))
        }
        rows.append({**_heads(row), **_cells(row, "test_error"), **median, **paper})
    return pd.DataFrame(rows)


def top5_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-5 errors of the last epoch in percent."""
    rows = []
    for row in comparison.itertuples():
        cells = {f"{k}, top-5": v for k, v in _cells(row, "test_top5_error").items()}
        rows.append({**_heads(row), **cells})
    return pd.DataFrame(rows)


def budget_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent by number of epochs."""
    rows = [{**_heads(row), **_cells(row, "test_error")} for row in comparison.itertuples()]
    return pd.DataFrame(rows)


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds = runs["seed"].nunique()
    seconds = runs["fit_time_s"].sum() + runs["test_time_s"].sum()
    pairs = dict.fromkeys(zip(runs["data"], runs["data_name"], strict=True))
    names = "; ".join(f"{name} is {title}" for name, title in pairs)
    return (
        f"Data: {names}. Test errors in %, mean ± standard error over {n_seeds} "
        f"seed{'s' if n_seeds > 1 else ''}; differences (mixup - ERM) in percentage points, paired "
        "by seed: both have the same initial weights and shuffles. Errors are those of the last "
        f'epoch; "med." is the median over the last {N_LAST_EPOCHS} epochs, which the readme of '
        "the authors' code tells. Nothing was chosen by a test error. The paper's are of its own "
        f"networks, 200 epochs and all of CIFAR. The {len(runs)} runs took {seconds / 60:.1f} "
        "minutes of computing, summed."
    )
