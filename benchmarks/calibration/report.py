"""What came out of calibration, compared and told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Conclusions, Figure, Note, Outcome, headed
from benchmarks._lab.scores import MEASURES, N_BINS
from benchmarks._lab.statistics import mean_of, paired_difference
from benchmarks._lab.tables import last_notes
from benchmarks._lab.tell import SIGNIFICANCE, Measure, listed
from benchmarks._nets.tables import DEFAULTS
from benchmarks.calibration import figures

_CLEARLY_OVER = 0.03  # mean confidence less accuracy, from which on ERM is called overconfident
_MAIN_ALPHA: float = DEFAULTS["alpha"]


def tell(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out."""
    comparison = compare(runs)
    main = find_main(sorted(comparison["alpha"].unique()))
    draw = partial(figures.plot, runs, comparison, main=main)
    blocks = [
        Note(notes(runs)),
        Figure("calibration.png", "Calibration of ERM and mixup", draw),
        Conclusions(conclude(comparison), listed=True),
        *headed(tables(comparison)),
        *last_notes(runs, missing),
    ]
    return Outcome("Calibration of ERM and mixup on tables", blocks)


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each alpha beside ERM, split by split, for each table and measure.

    A row for each table, measure and alpha, ERM (0) too: ``mean`` and ``mean_se`` over the splits,
    and what `PairedDifference.columns` tells of the difference from ERM.
    """
    rows = []
    groups = dict(list(runs.groupby("table")))
    for measure in MEASURES:
        for table in filter(groups.__contains__, TITLES):
            values = pair(groups[table], measure, by="split", where=table)
            for alpha in values.columns:
                found = paired_difference(values[alpha], values[0.0], test_share=TEST_SHARE)
                rows.append(
                    {"table": table, "measure": measure, "alpha": alpha}
                    | mean_of("mean", values[alpha])
                    | found.columns()
                    # Differences that cancel leave 1e-18, which has a sign but means nothing.
                    | {"difference": round(found.mean, 12)}
                )
    return pd.DataFrame(rows)


def find_main(alphas: Sequence[float]) -> float:
    """Choose the alpha that sentences are about."""
    mixed = [alpha for alpha in alphas if alpha > 0]
    return _MAIN_ALPHA if _MAIN_ALPHA in mixed else mixed[0]


def _names(rows: pd.DataFrame) -> str:
    """Name the tables of some rows."""
    return listed(TITLES[name] for name in rows["table"])


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup calibrated better than ERM and where worse."""
    alphas = sorted(comparison["alpha"].unique())
    main = find_main(alphas)
    by = {key: rows for key, rows in comparison.groupby(["measure", "alpha"], sort=False)}
    n_tables = comparison["table"].nunique()

    ece = by["ece", main]
    clear = ece["p_corrected"] < SIGNIFICANCE
    lower, higher = ece["difference"] < 0, ece["difference"] > 0
    sentences = [
        f"At alpha = {main:g} the ECE of mixup is below ERM's on {lower.sum()} of {n_tables} "
        f"tables (significantly: {_names(ece[lower & clear])}) and above it on {higher.sum()} "
        f"(significantly: {_names(ece[higher & clear])}). That mixup calibrates better, as "
        "Thulasidasan et al. found on pictures and texts, "
        + ("does not hold on every table here." if higher.any() else "holds on every table here.")
    ]
    erm = by["overconfidence", 0.0].set_index("table")["mean"]
    is_over = ece["table"].map(erm) > _CLEARLY_OVER
    for rows, where in (
        (ece[is_over], f"is overconfident by more than {100 * _CLEARLY_OVER:g} points"),
        (ece[~is_over], "is not"),
    ):
        if len(rows):
            sentences.append(
                f"Where ERM {where} ({_names(rows)}), mixup with alpha = {main:g} has the lower "
                f"ECE on {(rows['difference'] < 0).sum()} of {len(rows)} tables."
            )
    n_under = {alpha: (by["overconfidence", alpha]["mean"] < 0).sum() for alpha in alphas}
    told = ", ".join(f"{n} at {alpha:g}" for alpha, n in n_under.items() if alpha)
    sentences.append(
        f"On the mean of the splits ERM is underconfident on {n_under[0.0]} of {n_tables} "
        f"tables, mixup on {told} (alpha)."
    )
    counts = []
    for name in ("log_loss", "brier", "test_error"):
        less = by[name, main]["difference"]
        counts.append(f"{MEASURES[name].name} {(less < 0).sum()} and {(less > 0).sum()}")
    sentences.append(
        f"Tables on which mixup with alpha = {main:g} is below and above ERM: {'; '.join(counts)}."
    )
    return sentences


# -- tables ---------------------------------------------------------------------------------------


def tables(comparison: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Write the comparison as tables of texts, each with its heading."""
    main = find_main(sorted(comparison["alpha"].unique()))
    lower_or_higher = "Tables on which mixup is lower / higher than ERM, significantly in brackets"
    differences = comparison[comparison["alpha"] == main]
    return [
        (lower_or_higher, _counts(comparison[comparison["alpha"] > 0])),
        (f"Mixup with alpha = {main:g}, less ERM", _differences(differences)),
        *(
            (measure.heading, _by_alpha(comparison[comparison["measure"] == name], measure))
            for name, measure in MEASURES.items()
        ),
    ]


def _by_alpha(rows: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Write a measure: a row for each table, a column for each alpha."""
    texts = rows.assign(
        text=[measure.text(row.mean, row.mean_se) for row in rows.itertuples(name="Row")],
        alpha=[f"alpha {alpha:g}" if alpha else "ERM" for alpha in rows["alpha"]],
        table=rows["table"].map(TITLES),
    )
    wide = texts.pivot(index="table", columns="alpha", values="text")
    return wide.loc[texts["table"].unique(), texts["alpha"].unique()].reset_index()


def _differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Write the differences from ERM; a star stands for a p value below 0.05."""
    columns = {"table": rows["table"].map(TITLES).unique()}
    for name, members in rows.groupby("measure", sort=False):
        measure = MEASURES[name]
        if name != "ece_if_calibrated":
            columns[measure.title] = [
                measure.text(row.difference, row.difference_se, sign="+")
                + "*" * (row.p_corrected < SIGNIFICANCE)
                for row in members.itertuples()
            ]
    return pd.DataFrame(columns)


def _counts(comparison: pd.DataFrame) -> pd.DataFrame:
    """Count the tables on which mixup is lower and higher, for each alpha and loss."""
    counts: dict[float, dict[str, str]] = {}
    for (alpha, name), rows in comparison.groupby(["alpha", "measure"], sort=False):
        if MEASURES[name].is_loss:
            clear = rows["p_corrected"] < SIGNIFICANCE
            counts.setdefault(alpha, {"alpha": f"{alpha:g}"})[MEASURES[name].name] = " / ".join(
                f"{is_it.sum()} ({(is_it & clear).sum()})"
                for is_it in (rows["difference"] < 0, rows["difference"] > 0)
            )
    return pd.DataFrame([counts[alpha] for alpha in sorted(counts)])


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    n_splits = runs["split"].nunique()
    unseen = runs.groupby("table")["n_unseen"].max()
    told = "".join(
        f" In {TITLES[name]} up to {n} test rows of a split have a label that no training row has: "
        "they count as errors and in the Brier score, and are left out of the log-loss."
        for name, n in unseen[unseen > 0].items()
    )
    return (
        f"MixupClassifier with its defaults, {runs['max_epochs'].iloc[0]} epochs, standardised "
        f"features; {n_splits} random splits, {1 - TEST_SHARE:.0%} to train on and "
        f"{TEST_SHARE:.0%} to test on. Networks of a split differ in alpha alone. ECE: expected "
        f"calibration error of the predicted class, {N_BINS} bins of equal width. Few test rows "
        'make it larger, so "ECE if calibrated" is what it would come out as if each prediction '
        "were right with just the probability it states. Log-loss is in nats, the Brier score sums "
        "over the classes (0 to 2). Numbers are means over the splits ± standard errors; "
        "differences are mixup - ERM, paired by split, and significant (*) where p < "
        f"{SIGNIFICANCE:g} in the corrected resampled t-test (Nadeau and Bengio, 2003), not "
        f"adjusted for the number of tests.{told}"
    )
