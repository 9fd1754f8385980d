"""How the runs on pictures are compared and told."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._nets.training import N_LAST_EPOCHS
from benchmarks._picture_runs import Cost
from benchmarks._runs import mean_and_standard_error, terminal_table

_GROUP = ["data", "network", "max_epochs"]
_MEASURES = (
    "test_error",
    "test_error_median",
    "test_top5_error",
    "test_top5_error_median",
)

# Figure 3a: test errors as shares, by data, network and alpha (0 is ERM).
FIGURE_3_ERRORS: Mapping[tuple[str, str, float], float] = {
    ("cifar10", "preact_resnet18", 0.0): 0.056,
    ("cifar10", "preact_resnet18", 1.0): 0.042,
    ("cifar10", "wide_resnet", 0.0): 0.038,
    ("cifar10", "wide_resnet", 1.0): 0.027,
    ("cifar10", "densenet_bc", 0.0): 0.037,
    ("cifar10", "densenet_bc", 1.0): 0.027,
    ("cifar100", "preact_resnet18", 0.0): 0.256,
    ("cifar100", "preact_resnet18", 1.0): 0.211,
    ("cifar100", "wide_resnet", 0.0): 0.194,
    ("cifar100", "wide_resnet", 1.0): 0.175,
    ("cifar100", "densenet_bc", 0.0): 0.190,
    ("cifar100", "densenet_bc", 1.0): 0.168,
}

# Table 1: top-1 and top-5 errors as shares, by network, epochs and alpha (0 is ERM); None where
# the table has a dash. ERM at 100 epochs is what [1] quotes from the paper of ResNeXt.
TABLE_1_ERRORS: Mapping[tuple[str, int, float], tuple[float, float | None]] = {
    ("resnet50", 90, 0.0): (0.235, None),
    ("resnet50", 90, 0.2): (0.233, 0.066),
    ("resnet101", 90, 0.0): (0.221, None),
    ("resnet101", 90, 0.2): (0.215, 0.056),
    ("resnext101_32x4d", 100, 0.0): (0.212, None),
    ("resnext101_32x4d", 90, 0.0): (0.212, 0.056),
    ("resnext101_32x4d", 90, 0.4): (0.207, 0.053),
    ("resnext101_64x4d", 100, 0.0): (0.204, 0.053),
    ("resnext101_64x4d", 90, 0.4): (0.198, 0.049),
    ("resnet50", 200, 0.0): (0.236, 0.070),
    ("resnet50", 200, 0.2): (0.221, 0.061),
    ("resnet101", 200, 0.0): (0.220, 0.061),
    ("resnet101", 200, 0.2): (0.208, 0.054),
    ("resnext101_32x4d", 200, 0.0): (0.213, 0.059),
    ("resnext101_32x4d", 200, 0.4): (0.201, 0.050),
}


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed, for each data, network, budget and alpha.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``data``, ``data_name``, ``network``, ``family``, ``alpha``,
        ``max_epochs``, ``seed``, and errors as shares.

    Returns
    -------
    DataFrame
        A row for each alpha > 0 of a group. For each of the errors ``NAME``: ``erm_NAME`` and
        ``mixup_NAME``, means over the seeds, ``difference_NAME``, mixup - ERM, and each of them
        with ``_se``, its standard error.

    Raises
    ------
    ValueError
        If some seed has one of the two and not the other.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        for alpha in sorted(alpha for alpha in members["alpha"].unique() if alpha > 0):
            first = members.iloc[0]
            row = dict(zip(_GROUP, group, strict=True))
            row |= {"alpha": alpha, "data_name": first["data_name"], "family": first["family"]}
            for measure in _MEASURES:
                by_seed = members.pivot(index="seed", columns="alpha", values=measure)
                if 0.0 not in by_seed or by_seed[[0.0, alpha]].isna().any(axis=None):
                    raise ValueError(
                        f"Each seed must have a run with alpha=0 and one with alpha={alpha}; "
                        f"{group} has not: {by_seed.to_dict()}."
                    )
                erm, mixup = by_seed[0.0], by_seed[alpha]
                row["n_seeds"] = len(by_seed)
                for name, values in (("erm", erm), ("mixup", mixup), ("difference", mixup - erm)):
                    mean, error = mean_and_standard_error(values)
                    row |= {f"{name}_{measure}": mean, f"{name}_{measure}_se": error}
            rows.append(row)
    return pd.DataFrame(rows)


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, for how many networks mixup erred less than ERM in the last epoch."""
    sentences = []
    for (name, alpha), rows in comparison.groupby(["data_name", "alpha"], sort=False):
        lower, higher = (
            [row.network for row in rows.itertuples() if sign * row.difference_test_error > 1e-9]
            for sign in (-1, 1)
        )
        clear = [
            row.network
            for row in rows.itertuples()
            if abs(row.difference_test_error) > 2 * row.difference_test_error_se
        ]
        epochs = ", ".join(map(str, sorted(rows["max_epochs"].unique())))
        sentences.append(
            f"{name}, {epochs} epochs: mixup (alpha = {alpha:g}) had a lower mean test error than "
            f"ERM for {len(lower)} of {len(rows)} networks ({_listed(lower)}), a higher one for "
            f"{len(higher)} ({_listed(higher)}). More than two standard errors of the paired "
            f"difference apart: {_listed(clear)}."
        )
    return sentences


def conclude_budget(comparison: pd.DataFrame) -> list[str]:
    """Say from which number of epochs on mixup erred less than ERM, and how surely."""
    sentences = []
    for (name, network, alpha), rows in comparison.groupby(
        ["data_name", "network", "alpha"], sort=False
    ):
        rows = rows.sort_values("max_epochs")
        wins = rows["difference_test_error"] < 0
        clear = wins & (rows["difference_test_error"].abs() > 2 * rows["difference_test_error_se"])
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


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names) or "none"


# -- tables ---------------------------------------------------------------------------------------


def percent(mean: float | None, error: float = np.nan) -> str:
    """Write a share in percent, with its standard error if there is one."""
    if mean is None or np.isnan(mean):
        return ""
    return f"{100 * mean:.1f}" + ("" if np.isnan(error) else f" ± {100 * error:.1f}")


def points(mean: float, error: float = np.nan) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    written = f"{round(100 * mean, 2) + 0.0:+.2f}"  # never -0.00
    return written + ("" if np.isnan(error) else f" ± {100 * error:.2f}")


def _cells(row: Any, measure: str) -> dict[str, str]:
    """Write ERM, mixup and their difference of a row of a comparison."""
    named = row._asdict()
    erm, mixup, difference = (
        (named[f"{name}_{measure}"], named[f"{name}_{measure}_se"])
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


def table_1(runs: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 and top-5 errors of the last epoch in percent, and those of the paper's Table 1.

    Parameters
    ----------
    runs : DataFrame
        Finished runs on ImageNet, or on pictures like it; the paper's stand beside both.

    Returns
    -------
    DataFrame
        A row for each network, number of epochs and alpha.
    """
    rows = []
    groups = ["data_name", "network", "family", "max_epochs", "alpha"]
    for (data_name, network, family, max_epochs, alpha), members in runs.groupby(
        groups, sort=False
    ):
        top1, top5 = TABLE_1_ERRORS.get((family, max_epochs, alpha), (None, None))
        rows.append(
            {
                "data": data_name,
                "network": network,
                "epochs": str(max_epochs),
                "method": f"mixup, alpha {alpha:g}" if alpha else "ERM",
                "top-1": percent(*mean_and_standard_error(members["test_error"])),
                "top-5": percent(*mean_and_standard_error(members["test_top5_error"])),
                "paper top-1": percent(top1),
                "paper top-5": percent(top5),
            }
        )
    return pd.DataFrame(rows)


def tell_losses(runs: pd.DataFrame) -> str:
    """Say how far the training loss fell, from the first epoch to the last."""
    sentences = []
    for (network, max_epochs, alpha), members in runs.groupby(
        ["network", "max_epochs", "alpha"], sort=False
    ):
        curves = np.array([json.loads(text) for text in members["loss_curve"]], dtype=float)
        first, last = curves.mean(0)[[0, -1]]
        method = f"mixup (alpha = {alpha:g})" if alpha else "ERM"
        sentences.append(f"{network}, {max_epochs} epochs, {method}: {first:.2f} to {last:.2f}")
    return f"Training loss in the first epoch and in the last: {'; '.join(sentences)}."


def notes_on_imagenet(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds = runs["seed"].nunique()
    spread = f", mean ± standard error over {n_seeds} seeds" if n_seeds > 1 else ", one seed"
    seconds = runs["fit_time_s"].sum() + runs["test_time_s"].sum()
    names = "; ".join(dict.fromkeys(runs["data_name"]))
    return (
        f"Errors in % on the test pictures of {names}, after the last epoch{spread}. Nothing was "
        "chosen by a test error. The paper's are of all of ImageNet at 224 x 224 pixels; its ERM "
        "at 100 epochs is quoted from the paper of ResNeXt. The training loss of mixup is that on "
        f"mixed pictures. The {len(runs)} runs took {seconds / 60:.1f} minutes of computing, "
        "summed."
    )


# -- the plan -------------------------------------------------------------------------------------


def plan_row(place: tuple[Any, ...], cost: Cost, data_name: str) -> dict[str, Any]:
    """Put the numbers of a group of runs into a row; their count starts at 0."""
    _, network, max_epochs = place
    return {
        "data_name": data_name,
        "network": network,
        "max_epochs": max_epochs,
        "n_runs": 0,
        "n_parameters": cost.n_parameters,
        "n_steps": cost.n_steps,
        "state_bytes": cost.state_bytes,
        "activation_bytes": cost.activation_bytes,
        "data_bytes": cost.data_bytes,
        "n_bytes": cost.n_bytes,
    }


def plan_table(plan: pd.DataFrame) -> pd.DataFrame:
    """Write a plan for a terminal: counts in full, memory in MB (a million bytes)."""
    memory = {"weights": "state", "minibatch": "activation", "data": "data"}
    table = pd.DataFrame(
        {
            "data": plan["data_name"],
            "network": plan["network"],
            "epochs": plan["max_epochs"].map("{:,}".format),
            "runs": plan["n_runs"].map("{:,}".format),
            "parameters": plan["n_parameters"].map("{:,}".format),
            "steps a run": plan["n_steps"].map("{:,}".format),
        }
    )
    for title, name in memory.items():
        table[f"{title}, MB"] = (plan[f"{name}_bytes"] / 1e6).map("{:,.0f}".format)
    table["in all, MB"] = (plan["n_bytes"] / 1e6).map("{:,.0f}".format)
    return table


def tell_plan(title: str, plan: pd.DataFrame) -> None:
    """Print a plan, its sums, and what is counted."""
    n_runs = int(plan["n_runs"].sum())
    n_steps = int((plan["n_runs"] * plan["n_steps"]).sum())
    print("", title, "", terminal_table(plan_table(plan)), "", sep="\n")
    print(f"{n_runs:,} runs, {n_steps:,} steps (minibatches) in all. Nothing was trained.\n")
    counted = (
        "Memory of one run on one device, computed from shapes: weights are the parameters, "
        "their gradients, their momenta and the statistics of normalisation, in float32; "
        "minibatch is what the forward pass of one minibatch keeps for the backward pass, each "
        "tensor once; data are pictures and labels that stay on the device. Not counted: what "
        "kernels need while they compute, copies that gather and mix, and the libraries."
    )
    print(textwrap.fill(counted, 100))
