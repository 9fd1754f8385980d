"""How the runs on spoken words are compared and told."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.spoken import PARTS
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.statistics import mean_of, paired_difference
from benchmarks._lab.tell import SIGNIFICANCE, listed, p_equals, p_value, percent, points, took
from benchmarks.speech import figures
from benchmarks.speech.recipes import FIGURE_4_ERRORS
from benchmarks.speech.runs import MIXES

_GROUP = ["data_name", "network", "family", "max_epochs"]


def tell(runs: pd.DataFrame) -> Outcome:
    """Tell what came out, beside the paper's, and which of the ways to mix is better."""
    title = "Figure 4: errors of ERM and mixup on spoken words"
    comparison, mixes = compare(runs), compare_mixes(runs)
    conclusions = [*conclude(comparison), *conclude_mixes(mixes)]
    figure = Figure("speech.png", title, partial(figures.plot_errors, comparison))
    tables = [errors_table(comparison), *([] if mixes.empty else [mixes_table(mixes)])]
    return usual_page(title, runs, conclusions, figure, tables, notes(runs))


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each way to mix beside ERM, paired by seed.

    A row for each network, mix and alpha has ``validation_error`` and ``testing_error``, shares and
    means over the seeds, each with ``_se``, its standard error; ``paper_validation`` and
    ``paper_testing``, NaN where the paper has none; and of the test error less that of ERM
    ``difference``, ``difference_se`` and ``p_value``, NaN for ERM itself.
    """
    ways = zip(runs["mix"], runs["alpha"], strict=True)
    runs = runs.assign(
        method=[f"mixup {alpha:g}, {mix}" if alpha else "ERM" for mix, alpha in ways]
    )
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        by_seed = pair(
            members, "testing_error", by="seed", columns="method", wanted=("ERM",), where=group
        )
        for (method, mix, alpha), ours in members.groupby(["method", "mix", "alpha"], sort=False):
            about = dict(zip(_GROUP, group, strict=True))
            known = (np.nan, np.nan)
            if mix != "waveforms":
                known = FIGURE_4_ERRORS.get((about["family"], alpha), known)
            rows.append(
                {
                    **about,
                    **{"method": method, "mix": mix, "alpha": alpha, "n_seeds": len(ours)},
                    **mean_of("validation_error", ours["validation_error"]),
                    **mean_of("testing_error", ours["testing_error"]),
                    **{"paper_validation": known[0], "paper_testing": known[1]},
                    **_differences(by_seed[method], by_seed["ERM"], ours),
                }
            )
    frame = pd.DataFrame(rows)
    frame.loc[frame["alpha"] == 0, ["difference", "difference_se", "p_value"]] = np.nan
    return frame


def compare_mixes(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixing on waveforms beside mixing on spectrograms, paired by seed.

    A row for each network and alpha that was mixed both ways; empty if there is none.
    """
    rows = []
    for group, members in runs.groupby([*_GROUP, "alpha"], sort=False):
        if {*MIXES} <= {*members["mix"]}:
            by_seed = pair(
                members, "testing_error", by="seed", columns="mix", wanted=MIXES, where=group
            )
            row = dict(zip([*_GROUP, "alpha"], group, strict=True))
            for mix in MIXES:
                row |= mean_of(mix, by_seed[mix])
            rows.append(row | _differences(by_seed["waveforms"], by_seed["spectrograms"], members))
    return pd.DataFrame(rows)


def _differences(ours: pd.Series, theirs: pd.Series, runs: pd.DataFrame) -> dict[str, float]:
    """Compute ours - theirs, by seed, and how sure it is; the runs tell how clips were split."""
    n_test, n_train = runs["n_testing"].mean(), runs["n_training"].mean()
    # Random splits share clips; on the published parts the seeds are independent.
    test_share = n_test / (n_test + n_train) if (runs["split"] == "random").all() else 0.0
    found = paired_difference(ours, theirs, test_share=test_share).columns()
    return {**found, "p_value": found["p_corrected"]}


# -- words ----------------------------------------------------------------------------------------


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup erred less or more than ERM, and what the paper has."""
    sentences = []
    mixed = comparison[comparison["alpha"] > 0]
    groups = mixed.groupby(["network", "family", "mix", "max_epochs"], sort=False)
    for (network, family, mix, max_epochs), rows in groups:
        told = "; ".join(f"alpha = {row.alpha:g}: mixup {_told(row)}" for row in rows.itertuples())
        sentence = f"{network}, mixed on {mix}, {max_epochs} epochs. Test error, {told}."
        paper = rows.dropna(subset="paper_testing")
        if len(paper):
            erm = FIGURE_4_ERRORS[family, 0.0][1]
            is_against = np.sign(paper["difference"].round(9)) * (paper["paper_testing"] - erm) < 0
            against = listed(f"{alpha:g}" for alpha in paper.loc[is_against, "alpha"])
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
        f"{row.network}, alpha = {row.alpha:g}: {_told(row)}" for row in comparison.itertuples()
    )
    n_clear = (comparison["p_value"] < SIGNIFICANCE).sum()
    return [
        f"Mixing on waveforms, against mixing on spectrograms: {told}. Of {len(comparison)} "
        f"differences in test error {n_clear} are significant (p < {SIGNIFICANCE:g})."
    ]


def _direction(difference: float) -> str:
    """Name the sign of a difference of errors."""
    if abs(difference) < 1e-9:  # Differences that cancel leave 1e-18.
        return "level"
    return "ahead" if difference < 0 else "behind"


def _told(row: Any) -> str:
    """Write the sign of a difference, itself and its p value."""
    p = "" if np.isnan(row.p_value) else f", {p_equals(row.p_value)}"
    told = points(row.difference, row.difference_se)
    return f"{_direction(row.difference)} ({told} points{p})"


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds, first = runs["seed"].nunique(), runs.iloc[0]
    seeds = f"mean ± standard error over {n_seeds} seeds" if n_seeds > 1 else "one seed"
    test, split = "a paired t-test", "as published, by the hash of the speaker"
    if first["split"] == "random":
        test = (
            "the corrected resampled t-test (Nadeau and Bengio, 2003), for splits that share clips"
        )
        split = "anew by speaker for each seed"
    n_train, n_validation, n_test = (round(runs[f"n_{part}"].mean()) for part in PARTS)
    return (
        f"Data: {first['data_name']}. Errors in %, {seeds}; differences in percentage points, "
        f"paired by seed. p is that of {test}. The clips are split {split}: about {n_train:,} for "
        f"training, {n_validation:,} for validation, {n_test:,} for testing. "
        "Errors are those of the last epoch; nothing was chosen by one. ERM is run once, "
        "for both ways to mix. The paper's numbers are of its own networks on all 65,000 clips of "
        f"30 words. {took(runs)}"
    )


# -- tables ---------------------------------------------------------------------------------------


def errors_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write validation and test errors in percent, and those of the paper's Figure 4."""
    rows = [
        {
            "network": row.network,
            "method": row.method,
            "validation": percent(row.validation_error, row.validation_error_se),
            "test": percent(row.testing_error, row.testing_error_se),
            "test - ERM's": points(row.difference, row.difference_se),
            "p": p_value(row.p_value),
            "paper validation": percent(row.paper_validation),
            "paper test": percent(row.paper_testing),
        }
        for row in comparison.itertuples()
    ]
    return pd.DataFrame(rows)


def mixes_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the test errors in percent of mixing on waveforms beside those on spectrograms."""
    rows = [
        {
            "network": row.network,
            "alpha": f"{row.alpha:g}",
            "spectrograms": percent(row.spectrograms, row.spectrograms_se),
            "waveforms": percent(row.waveforms, row.waveforms_se),
            "difference": points(row.difference, row.difference_se),
            "p": p_value(row.p_value),
        }
        for row in comparison.itertuples()
    ]
    return pd.DataFrame(rows)
