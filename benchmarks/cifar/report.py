"""What came out of the networks on CIFAR, compared and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from benchmarks._lab.compare import pair, set_beside
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks._lab.tell import listed, name_data, percent, points, took
from benchmarks._nets.training import N_LAST_EPOCHS
from benchmarks.cifar import figures
from benchmarks.cifar.recipes import FIGURE_3_ERRORS

_GROUP = ["data", "network", "max_epochs"]
_MEASURES = ("test_error", "test_error_median", "test_top5_error", "test_top5_error_median")


def tell_errors(runs: pd.DataFrame) -> Outcome:
    """Tell what came out for each network, beside the paper's."""
    comparison = compare(runs)
    title = f"Figure 3: test errors of ERM and mixup on {name_data(runs)}"
    figure = Figure("cifar.png", title, partial(figures.plot_curves, runs))
    tables = methods_table(runs), errors_table(comparison), top5_table(comparison)
    return usual_page(title, runs, conclude(comparison), figure, tables, notes(runs))


def tell_budget(runs: pd.DataFrame) -> Outcome:
    """Tell what came out for each number of epochs."""
    comparison = compare(runs)
    title = f"From which number of epochs on mixup wins on {name_data(runs)}"
    figure = Figure("cifar_budget.png", title, partial(figures.plot_budget, runs, comparison))
    tables = [budget_table(comparison)]
    return usual_page(title, runs, conclude_budget(comparison), figure, tables, notes(runs))


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed, for each data, network, budget and alpha.

    A row for each alpha > 0 of a group has, for each of the errors ``NAME``, what `set_beside`
    tells, as ``NAME_erm`` and so on.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        about = members.iloc[0][[*_GROUP, "data_name", "family"]].to_dict()
        for alpha in sorted(alpha for alpha in members["alpha"].unique() if alpha > 0):
            row = {**about, "alpha": alpha}
            for measure in _MEASURES:
                by_seed = pair(members, measure, by="seed", wanted=(0.0, alpha), where=group)
                told = set_beside(by_seed[0.0], by_seed[alpha])
                row |= {f"{measure}_{name}": value for name, value in told.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def _is_clear(rows: pd.DataFrame) -> pd.Series:
    """Whether differences are more than two standard errors away from 0."""
    return rows["test_error_difference"].abs() > 2 * rows["test_error_difference_se"]


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, for how many networks mixup erred less than ERM in the last epoch."""
    sentences = []
    for (name, alpha), rows in comparison.groupby(["data_name", "alpha"], sort=False):
        difference, networks = rows["test_error_difference"], rows["network"]
        lower, higher = networks[difference < -1e-9], networks[difference > 1e-9]
        less, more, apart = (
            listed(those, "; ") for those in (lower, higher, networks[_is_clear(rows)])
        )
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
        start, clear = (
            _from_which(rows["max_epochs"], won) for won in (wins, wins & _is_clear(rows))
        )
        told = "did not win at the largest budget."
        if start is not None:
            told = f"had the lower mean test error from {start} epochs on, " + (
                f"by more than two standard errors from {clear} epochs on."
                if clear is not None
                else "but not by more than two standard errors at the largest budget."
            )
        epochs = ", ".join(map(str, rows["max_epochs"]))
        sentences.append(
            f"{name}, {network}, trained for {epochs} epochs: mixup (alpha = {alpha:g}) {told}"
        )
    return sentences


def _from_which(epochs: pd.Series, won: pd.Series) -> int | None:
    """Find the budget from which on all are won."""
    lasting = won[::-1].cummin()[::-1]
    return min(epochs[lasting], default=None)


# -- tables ---------------------------------------------------------------------------------------


def _table(comparison: pd.DataFrame, cells: Callable[[Any], dict[str, str]]) -> pd.DataFrame:
    """Write the cells of each row behind what it is of; the notes name the data in full."""
    rows = []
    for row in comparison.itertuples():
        heads = {"data": row.data, "network": row.network, "epochs": str(row.max_epochs)}
        rows.append({**heads, "alpha": f"{row.alpha:g}", **cells(row)})
    return pd.DataFrame(rows)


def _cells(row: Any, measure: str, suffix: str = "") -> dict[str, str]:
    """Write ERM, mixup and their difference of a row of a comparison."""
    erm, mixup, difference = (
        (getattr(row, f"{measure}_{name}"), getattr(row, f"{measure}_{name}_se"))
        for name in ("erm", "mixup", "difference")
    )
    told = {"ERM": percent(*erm), "mixup": percent(*mixup), "difference": points(*difference)}
    return {f"{name}{suffix}": cell for name, cell in told.items()}


def methods_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write what each method came to, in percent, [1]'s beside it, and how fast it trained.

    Best is the lowest error after any epoch. Pictures a second are those that were trained on,
    without the tests after each epoch; minutes are those of a run, with them.
    """
    rows = []
    for (data, network, max_epochs, alpha), members in runs.groupby([*_GROUP, "alpha"], sort=False):
        first = members.iloc[0]
        errors = {
            "best": [min(json.loads(text)) for text in members["test_curve"]],
            "last": members["test_error"],
            "med.": members["test_error_median"],
        }
        speeds = members["n_train"] * max_epochs / members["fit_time_s"].clip(lower=0.01)
        minutes = (members["fit_time_s"] + members["test_time_s"]) / 60
        rows.append(
            {
                "data": first.data_name,
                "network": network,
                "epochs": str(max_epochs),
                "method": f"mixup, alpha {alpha:g}" if alpha else "ERM",
                **{name: percent(*mean_and_standard_error(it)) for name, it in errors.items()},
                "paper": percent(FIGURE_3_ERRORS.get((data, first.family, alpha))),
                "pictures a second": f"{speeds.mean():.0f}",
                "minutes": f"{minutes.mean():.1f}",
            }
        )
    return pd.DataFrame(rows)


def errors_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent, of the last epoch and the median of the last ten, and [1]'s.

    The paper's stand beside ours whatever the size of ours: they are of its own networks.
    """

    def cells(row: Any) -> dict[str, str]:
        median = _cells(row, "test_error_median", ", med.")
        del median["difference, med."]
        paper = {
            f"paper {method}": percent(FIGURE_3_ERRORS.get((row.data, row.family, alpha)))
            for method, alpha in (("ERM", 0.0), ("mixup", row.alpha))
        }
        return {**_cells(row, "test_error"), **median, **paper}

    return _table(comparison, cells)


def top5_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-5 errors of the last epoch in percent."""
    return _table(comparison, lambda row: _cells(row, "test_top5_error", ", top-5"))


def budget_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent by number of epochs."""
    return _table(comparison, lambda row: _cells(row, "test_error"))


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds = runs["seed"].nunique()
    pairs = dict.fromkeys(zip(runs["data"], runs["data_name"], strict=True))
    names = "; ".join(f"{name} is {title}" for name, title in pairs)
    return (
        f"Data: {names}. Test errors in %, mean ± standard error over {n_seeds} "
        f"seed{'s' if n_seeds > 1 else ''}; differences (mixup - ERM) in percentage points, paired "
        "by seed: both have the same initial weights and shuffles. Errors are those of the last "
        f'epoch; "best" is the lowest after any epoch, "med." the median over the last '
        f"{N_LAST_EPOCHS} epochs, which the readme of the authors' code tells. Nothing was chosen "
        "by a test error. Pictures a second are those trained on, without the tests; minutes are "
        "those of a run, with them. The paper's errors are of its own "
        f"networks, 200 epochs and all of CIFAR. {took(runs)}"
    )
