"""How the runs on spoken words are compared, told and drawn."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.tell import percent, points
from benchmarks._runs import PairedDifference, mean_and_standard_error, paired_difference
from benchmarks.speech_recipes import FIGURE_4_ERRORS

_GROUP = ["data_name", "network", "family", "max_epochs"]
_SIGNIFICANCE = 0.05


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each way to mix beside ERM, paired by seed.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: errors as shares.

    Returns
    -------
    DataFrame
        A row for each network, mix and alpha: ``validation_error`` and ``testing_error``, means
        over the seeds, each with ``_se``, its standard error; ``paper_validation`` and
        ``paper_testing``, NaN where the paper has none; and of the test error less that of ERM
        ``difference``, ``difference_se`` and ``p_value``, NaN for ERM itself.

    Raises
    ------
    ValueError
        If some seed has no run of ERM.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        erm = members[members["alpha"] == 0]
        for (mix, alpha), ours in members.groupby(["mix", "alpha"], sort=False):
            row = {**dict(zip(_GROUP, group, strict=True)), "mix": mix, "alpha": alpha}
            row["n_seeds"] = len(ours)
            for part in ("validation", "testing"):
                mean, error = mean_and_standard_error(ours[f"{part}_error"])
                row |= {f"{part}_error": mean, f"{part}_error_se": error}
            known = (np.nan, np.nan)
            if mix != "waveforms":
                known = FIGURE_4_ERRORS.get((row["family"], alpha), known)
            row |= {"paper_validation": known[0], "paper_testing": known[1]}
            rows.append(row | (_differences(ours, erm) if alpha > 0 else {}))
    columns = ["difference", "difference_se", "p_value"]
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=[*dict.fromkeys([*frame.columns, *columns])])


def compare_mixes(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixing on waveforms beside mixing on spectrograms, paired by seed.

    Returns
    -------
    DataFrame
        A row for each network and alpha that was mixed both ways; empty if there is none.
    """
    rows = []
    for group, members in runs.groupby([*_GROUP, "alpha"], sort=False):
        ways = {mix: ours for mix, ours in members.groupby("mix")}
        if {"waveforms", "spectrograms"} <= ways.keys():
            row = dict(zip([*_GROUP, "alpha"], group, strict=True))
            for mix in ("spectrograms", "waveforms"):
                mean, error = mean_and_standard_error(ways[mix]["testing_error"])
                row |= {mix: mean, f"{mix}_se": error}
            rows.append(row | _differences(ways["waveforms"], ways["spectrograms"]))
    return pd.DataFrame(rows)


def _differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, float]:
    """Compute ours - theirs of the test error, and how sure it is."""
    a, b = (runs.set_index("seed")["testing_error"].sort_index() for runs in (ours, theirs))
    if not a.index.equals(b.index):
        raise ValueError(
            "Each seed must have a run of both methods that are compared; got the seeds "
            f"{a.index.tolist()} and {b.index.tolist()}."
        )
    n_test, n_train = ours["n_testing"].mean(), ours["n_training"].mean()
    found: PairedDifference = paired_difference(a, b, test_share=n_test / (n_test + n_train))
    # Random splits share clips; on the published parts the seeds are independent.
    is_random = (ours["split"] == "random").all()
    return {
        "difference": found.mean,
        "difference_se": found.standard_error,
        "p_value": found.p_corrected if is_random else found.p_value,
    }


# -- words ----------------------------------------------------------------------------------------


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup erred less or more than ERM, and what the paper has."""
    sentences = []
    mixed = comparison[comparison["alpha"] > 0]
    for (network, family, mix, max_epochs), rows in mixed.groupby(
        ["network", "family", "mix", "max_epochs"], sort=False
    ):
        told = "; ".join(
            f"alpha = {row.alpha:g}: mixup {_direction(row.difference)} ({_sure(row)})"
            for row in rows.itertuples()
        )
        sentence = f"{network}, mixed on {mix}, {max_epochs} epochs. Test error, {told}."
        paper = rows.dropna(subset="paper_testing")
        if len(paper):
            erm = FIGURE_4_ERRORS[family, 0.0][1]
            is_against = np.sign(paper["difference"].round(9)) * (paper["paper_testing"] - erm) < 0
            against = ", ".join(f"{alpha:g}" for alpha in paper.loc[is_against, "alpha"]) or "none"
            known = "; ".join(
                f"alpha = {row.alpha:g}: mixup {_direction(row.paper_testing - erm)}"
                for row in paper.itertuples()
            )
            sentence += (
                f" The paper has {known}. Alphas at which the sign of ours goes against it: "
                f"{against}."
            )
        sentences.append(sentence)
    return sentences


def conclude_mixes(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, whether mixing on waveforms was better than on spectrograms."""
    if comparison.empty:
        return []
    told = "; ".join(
        f"{row.network}, alpha = {row.alpha:g}: {_direction(row.difference)} ({_sure(row)})"
        for row in comparison.itertuples()
    )
    clear = comparison["p_value"] < _SIGNIFICANCE
    return [
        f"Mixing on waveforms, against mixing on spectrograms: {told}. Of {len(comparison)} "
        f"differences in test error {int(clear.sum())} are significant (p < {_SIGNIFICANCE:g})."
    ]


def _direction(difference: float) -> str:
    """Name the sign of a difference of errors."""
    if abs(difference) < 1e-9:  # Differences that cancel leave 1e-18.
        return "level"
    return "ahead" if difference < 0 else "behind"


def _sure(row: Any) -> str:
    """Write a difference and its p value."""
    p_value = "" if np.isnan(row.p_value) else f", p = {row.p_value:.2g}"
    return f"{points(row.difference, row.difference_se)} points{p_value}"


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds, first = runs["seed"].nunique(), runs.iloc[0]
    seeds = f"mean ± standard error over {n_seeds} seeds" if n_seeds > 1 else "one seed"
    split = (
        "The clips are split anew by speaker for each seed"
        if first["split"] == "random"
        else "The clips are split as published, by the hash of the speaker"
    )
    corrected = (
        " p is that of the corrected resampled t-test (Nadeau and Bengio, 2003), for splits that "
        "share clips."
        if first["split"] == "random"
        else " p is that of a paired t-test."
    )
    return (
        f"Data: {first['data_name']}. Errors in %, {seeds}; differences in percentage points, "
        f"paired by seed.{corrected} {split}: about {runs['n_training'].mean():,.0f} for training, "
        f"{runs['n_validation'].mean():,.0f} for validation, {runs['n_testing'].mean():,.0f} for "
        "testing. Errors are those of the last epoch; nothing was chosen by one. ERM is run once, "
        "for both ways to mix. The paper's numbers are of its own networks on all 65,000 clips of "
        f"30 words. The {len(runs)} runs took {runs['fit_time_s'].sum() / 60:.1f} minutes of "
        "computing, summed."
    )


# -- tables ---------------------------------------------------------------------------------------


def errors_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write validation and test errors in percent, and those of the paper's Figure 4."""
    return pd.DataFrame(
        [
            {
                "network": row.network,
                "method": _method(row),
                "validation": percent(row.validation_error, row.validation_error_se),
                "test": percent(row.testing_error, row.testing_error_se),
                "test - ERM's": _or_nothing(points, row.difference, row.difference_se),
                "p": _or_nothing("{:.2g}".format, row.p_value),
                "paper validation": percent(row.paper_validation),
                "paper test": percent(row.paper_testing),
            }
            for row in comparison.itertuples()
        ]
    )


def mixes_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the test errors in percent of mixing on waveforms beside those on spectrograms."""
    return pd.DataFrame(
        [
            {
                "network": row.network,
                "alpha": f"{row.alpha:g}",
                "spectrograms": percent(row.spectrograms, row.spectrograms_se),
                "waveforms": percent(row.waveforms, row.waveforms_se),
                "difference": points(row.difference, row.difference_se),
                "p": _or_nothing("{:.2g}".format, row.p_value),
            }
            for row in comparison.itertuples()
        ]
    )


def _method(row: Any) -> str:
    """Name a way to train."""
    return f"mixup {row.alpha:g}, {row.mix}" if row.alpha else "ERM"


def _or_nothing(write: Any, value: float, *others: float) -> str:
    """Write a number, or nothing for NaN."""
    return "" if np.isnan(value) else write(value, *others)


# -- figure ---------------------------------------------------------------------------------------


def plot_errors(comparison: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw validation and test errors, a panel for each network, the paper's beside ours.

    Parameters
    ----------
    comparison : DataFrame
        From `compare`.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = list(comparison.groupby(["network", "max_epochs"], sort=False))
    figure = Figure(figsize=(4.6 * max(len(groups), 1.4), 4.2), dpi=160, layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for ax, ((network, max_epochs), rows) in zip(axes, groups, strict=True):
        _draw_rows(ax, rows)
        ax.set_title(f"{network}, {max_epochs} epochs", fontsize=10.5)
    n_seeds = comparison["n_seeds"].max()
    spread = f"mean ± standard error of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    names = "; ".join(dict.fromkeys(comparison["data_name"]))
    figure.suptitle(f"Errors on spoken words, {spread}\n{names}", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def _draw_rows(ax: Any, rows: pd.DataFrame) -> None:
    """Draw a network's errors, a line for each way to train."""
    heights = np.arange(len(rows))[::-1]
    parts = (
        ("validation", "#0072B2", "o", 0.14),  # blue and vermillion of Okabe and Ito
        ("testing", "#D55E00", "s", -0.14),
    )
    for part, colour, marker, shift in parts:
        name = "test" if part == "testing" else part
        ax.errorbar(
            100 * rows[f"{part}_error"],
            heights + shift,
            xerr=100 * rows[f"{part}_error_se"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5.5,
            capsize=2.5,
            elinewidth=1.2,
            label=f"{name} error, ours",
        )
        ax.plot(
            100 * rows[f"paper_{part}"],
            heights + shift,
            marker,
            markerfacecolor="none",
            markeredgecolor=colour,
            markersize=5.5,
            label=f"{name} error, the paper's (65,000 clips)",
        )
    ax.set_yticks(heights, [_line(row) for row in rows.itertuples()])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(left=0)
    ax.set_xlabel("error (%)")
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _line(row: Any) -> str:
    """Name a way to train, on two lines."""
    return f"mixup {row.alpha:g}\n{row.mix}" if row.alpha else "ERM"
