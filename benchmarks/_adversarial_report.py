"""How errors on adversarial examples are compared, told and drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._adversarial_nets import ATTACKS, BOXES, clean_column, column
from benchmarks._lab.curves import prepare_axes
from benchmarks._lab.figures import method_colours
from benchmarks._lab.tell import percent, points
from benchmarks._runs import mean_and_standard_error, paired_difference

_GROUP = ["data", "network", "max_epochs"]
_NAMES = {"fgsm": "FGSM", "ifgsm": "I-FGSM", "": "none"}
_P_CLEAR = 0.05


def _is_split(data: str, network: str) -> bool:
    """Whether the seeds of a group are random splits of one table, which share rows."""
    return data == "digits" and network.startswith("MLP")


def unit_of(network: str) -> tuple[float, int]:
    """Tell the level that is looked at first, and the largest pixel value it is of."""
    return (1.0, 16) if network.startswith("MLP") else (4.0, 255)


# Table 3: errors as shares of ResNet-101 on ImageNet with eps 4 of 255, by box, attack, n of top-n,
# and whether it is mixup.
TABLE_3_ERRORS: Mapping[tuple[str, str, int, bool], float] = {
    ("white", "fgsm", 1, False): 0.907,
    ("white", "ifgsm", 1, False): 0.999,
    ("white", "fgsm", 1, True): 0.752,
    ("white", "ifgsm", 1, True): 0.996,
    ("white", "fgsm", 5, False): 0.631,
    ("white", "ifgsm", 5, False): 0.934,
    ("white", "fgsm", 5, True): 0.491,
    ("white", "ifgsm", 5, True): 0.958,
    ("black", "fgsm", 1, False): 0.570,
    ("black", "ifgsm", 1, False): 0.573,
    ("black", "fgsm", 1, True): 0.460,
    ("black", "ifgsm", 1, True): 0.409,
    ("black", "fgsm", 5, False): 0.248,
    ("black", "ifgsm", 5, False): 0.181,
    ("black", "fgsm", 5, True): 0.174,
    ("black", "ifgsm", 5, True): 0.118,
}


# -- comparison -----------------------------------------------------------------------------------


def _levels(runs: pd.DataFrame) -> list[float]:
    """Collect the levels that all runs of a group were attacked at, ascending."""
    head = column("white", "fgsm", 0.0).rpartition("@")[0]
    found = [n for n in runs.columns if n.startswith(f"{head}@") and runs[n].notna().all()]
    return sorted(float(name.rpartition("@")[2]) for name in found)


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed, for each error that was measured.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``data``, ``data_name``, ``network``, ``alpha``, ``max_epochs``, ``seed``,
        ``n_train``, ``n_test``, and errors as shares, by `column` and `clean_column`.

    Returns
    -------
    DataFrame
        A row for each alpha > 0 of a group, box, attack (empty for none), ``n_best`` and level:
        ``erm``, ``mixup`` and ``difference`` (mixup - ERM), means over the seeds, each with
        ``_se``, its standard error; ``n_lower``, the seeds in which mixup is lower, of
        ``n_seeds``; ``p_value`` of the paired t-test, corrected where seeds are random splits.

    Raises
    ------
    ValueError
        If some seed has one of the two and not the other.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        cells: list[tuple[str, str, int, float]] = [("", "", n, 0.0) for n in (1, 5)]
        cells += [
            (box, attack, n_best, level)
            for box in BOXES
            for attack in ATTACKS
            for n_best in (1, 5)
            for level in _levels(members)
        ]
        for alpha in sorted(alpha for alpha in members["alpha"].unique() if alpha > 0):
            for box, attack, n_best, level in cells:
                name = column(box, attack, level, n_best) if box else clean_column(n_best)
                if name not in members or members[name].isna().all():
                    continue  # top-5 where it was not measured
                by_seed = members.pivot(index="seed", columns="alpha", values=name)
                if 0.0 not in by_seed or by_seed[[0.0, alpha]].isna().any(axis=None):
                    raise ValueError(
                        f"Each seed must have a run with alpha=0 and one with alpha={alpha}; "
                        f"{group} has not: {by_seed.to_dict()}."
                    )
                row = dict(zip(_GROUP, group, strict=True))
                row |= {"data_name": members["data_name"].iloc[0], "alpha": alpha, "box": box}
                row |= {"attack": attack, "n_best": n_best, "level": level}
                rows.append(row | _pair(by_seed[0.0], by_seed[alpha], members))
    return pd.DataFrame(rows)


def _pair(erm: pd.Series, mixup: pd.Series, members: pd.DataFrame) -> dict[str, Any]:
    """Compare the errors of the seeds."""
    first = members.iloc[0]
    share = first["n_test"] / (first["n_test"] + first["n_train"])
    told = paired_difference(mixup, erm, test_share=share)
    is_split = _is_split(first["data"], first["network"])
    row: dict[str, Any] = {"n_seeds": len(erm), "n_lower": int((mixup < erm).sum())}
    row["p_value"] = told.p_corrected if is_split else told.p_value
    for name, values in (("erm", erm), ("mixup", mixup), ("difference", mixup - erm)):
        row[name], row[f"{name}_se"] = mean_and_standard_error(values)
    return row


def _at_first_level(comparison: pd.DataFrame) -> pd.DataFrame:
    """Keep the errors without an attack, and those at the level that is looked at first."""
    first = comparison["network"].map(lambda network: unit_of(network)[0])
    return comparison[(comparison["level"] == first) | (comparison["box"] == "")]


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup errs less than ERM and where more."""
    sentences = []
    for (_, network, epochs, alpha), rows in _at_first_level(comparison).groupby(
        [*_GROUP, "alpha"], sort=False
    ):
        level, of = unit_of(network)
        rows = rows[rows["n_best"] == 1]
        clean, attacked = rows[rows["box"] == ""].iloc[0], rows[rows["box"] != ""]
        is_clear = attacked["p_value"] < _P_CLEAR
        told = {
            "ahead of ERM in": attacked[is_clear & (attacked["difference"] < 0)],
            "behind ERM in": attacked[is_clear & (attacked["difference"] > 0)],
            f"not told apart from it (p >= {_P_CLEAR:g}) in": attacked[~is_clear],
        }
        parts = [f"{words} {_listed(found)}" for words, found in told.items() if len(found)]
        sentences.append(
            f"{clean.data_name}, {network}, {epochs} epochs, top-1 errors at eps = {level:g} of "
            f"{of}: mixup (alpha = {alpha:g}) is {'; '.join(parts)}. Without an attack it errs in "
            f"{percent(clean.mixup, clean.mixup_se)} %, ERM in "
            f"{percent(clean.erm, clean.erm_se)} %. In the paper mixup is ahead in all four."
        )
    return sentences


def _listed(rows: pd.DataFrame) -> str:
    """List attacks, with the difference of the errors in points."""
    return ", ".join(
        f"{_NAMES[row.attack]} {row.box} box ({points(row.difference, row.difference_se)} points)"
        for row in rows.itertuples()
    )


# -- tables ---------------------------------------------------------------------------------------


def _heads(row: Any) -> dict[str, str]:
    return {"network": f"{row.data}, {row.network}", "alpha": f"{row.alpha:g}"}


def _cells(row: Any) -> dict[str, str]:
    return {
        "ERM": percent(row.erm, row.erm_se),
        "mixup": percent(row.mixup, row.mixup_se),
        "difference": points(row.difference, row.difference_se),
        "mixup lower": f"{row.n_lower} of {row.n_seeds}",
    }


def table_3(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write errors in percent at the level that is looked at first, and those of the paper."""
    rows = []
    for row in _at_first_level(comparison).itertuples():
        level, of = unit_of(row.network)
        paper = {
            f"paper {name}": percent(
                None
                if _is_split(row.data, row.network)
                else TABLE_3_ERRORS.get((row.box, row.attack, row.n_best, name == "mixup"))
            )
            for name in ("ERM", "mixup")
        }
        attack = {"box": row.box, "attack": _NAMES[row.attack], "error": f"top-{row.n_best}"}
        eps = {"eps": f"{level:g}/{of}" if row.box else "0"}
        rows.append({**_heads(row), **attack, **eps, **_cells(row), **paper})
    return pd.DataFrame(rows)


def curves_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent at each level."""
    rows = comparison[(comparison["n_best"] == 1) & (comparison["box"] != "")]
    return pd.DataFrame(
        [
            {
                **_heads(row),
                "box": row.box,
                "attack": _NAMES[row.attack],
                "eps": f"{row.level:g}/{unit_of(row.network)[1]}",
                **_cells(row),
            }
            for row in rows.itertuples()
        ]
    )


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    told = []
    for (data, network, epochs), members in runs.groupby(_GROUP, sort=False):
        first = members.iloc[0]
        n_seeds = members["seed"].nunique()
        seeds = "random splits" if _is_split(data, network) else "seeds"
        told.append(
            f"{data} is {first.data_name}, {first.n_train:,} pictures to train on and "
            f"{first.n_test:,} attacked, {network}, {epochs} epochs, {n_seeds} {seeds}"
        )
    return (
        f"{'; '.join(told)}. Errors in %, mean ± standard error; differences (mixup - ERM) in "
        "percentage points, paired by seed: both have the same initial weights, shuffles and "
        "black-box examples. Of random splits p-values are corrected for the rows that they share. "
        "White box: made with the attacked network; black box: with an ERM network of another "
        "seed, trained on the same pictures. I-FGSM takes ten steps of a tenth of eps. The test "
        "pictures are all attacked, also those that are misclassified anyway, so errors start at "
        "the error without an attack, eps = 0. The paper's numbers are of ResNet-101 on ImageNet. "
        "These attacks know nothing of a defence: a lower error here is less than a proof of "
        "robustness."
    )


# -- figure ---------------------------------------------------------------------------------------


def plot(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw top-1 errors over eps: white box and black box side by side, a row for each network.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, as for `compare`.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    groups = list(runs.groupby(_GROUP, sort=False))
    figure = Figure(figsize=(9.2, 3.3 * len(groups) + 1.0), dpi=160, layout="constrained")
    axes = figure.subplots(len(groups), 2, squeeze=False, sharey="row")
    colours = method_colours(list(runs["alpha"].unique()))
    for row, (group, members) in zip(axes, groups, strict=True):
        for ax, box in zip(row, BOXES, strict=True):
            prepare_axes(ax)
            for alpha, (colour, _) in colours.items():
                for attack in ATTACKS:
                    _draw(ax, members[members["alpha"] == alpha], box, attack, colour)
            _label(ax, group, members, f"{box} box")
        row[0].set_ylabel("top-1 error (%)")
    handles = [Line2D([], [], color=colour, label=label) for colour, label in colours.values()]
    handles += [
        Line2D([], [], color="#444444", linestyle=style, marker=marker, label=_NAMES[attack])
        for attack, (style, marker) in _STYLES.items()
    ]
    bands = "; bands: one standard error over the seeds" if runs["seed"].nunique() > 1 else ""
    figure.suptitle(f"Error on adversarial examples{bands}", fontsize=11.5)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    FigureCanvasAgg(figure).print_png(path)


_STYLES = {"fgsm": ("-", "o"), "ifgsm": ("--", "s")}


def _draw(ax: Any, runs: pd.DataFrame, box: str, attack: str, colour: str) -> None:
    """Draw the error of one method under one attack, from no attack on."""
    if runs.empty:
        return
    levels = _levels(runs)
    names = [clean_column(), *(column(box, attack, level) for level in levels)]
    means, errors = 100 * np.array([mean_and_standard_error(runs[name]) for name in names]).T
    style, marker = _STYLES[attack]
    x = [0.0, *levels]
    ax.plot(x, means, color=colour, linestyle=style, marker=marker, markersize=4, linewidth=1.5)
    if len(runs) > 1:
        ax.fill_between(x, means - errors, means + errors, color=colour, alpha=0.18, linewidth=0)


def _label(ax: Any, group: Sequence[Any], members: pd.DataFrame, box: str) -> None:
    """Name a panel and its axis."""
    data, network, epochs = group
    levels = [0.0, *_levels(members)]
    shown = [level for level in levels if not 0 < level < levels[-1] / 10]
    ax.set_xticks(shown, [f"{level:g}" for level in shown])
    ax.set_xlabel(f"eps (of {unit_of(network)[1]} pixel values)")
    ax.set_title(f"{box}: {data}, {network}, {epochs} epochs", fontsize=10)
    ax.set_ylim(0, 100)
