"""What came out of vicinities, compared and told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.pictures import PictureSet
from benchmarks._data.tables import TITLES
from benchmarks._lab.changes.compare import (
    CLEAR,
    UNITS,
    USUAL,
    Changes,
    compare_by_table,
    title_of,
)
from benchmarks._lab.changes.report import tell_changes
from benchmarks._lab.compare import pair
from benchmarks._lab.methods.statistics import detectable
from benchmarks._lab.outcome import Block, Conclusions, Figure, Note, Outcome, Table, headed
from benchmarks._lab.scores import MEASURES
from benchmarks._lab.statistics import holm, mean_and_standard_error, paired_difference
from benchmarks._lab.tell import (
    SIGNIFICANCE,
    listed,
    made_on,
    name_data,
    p_value,
    percent,
    points,
    took,
)
from benchmarks._nets.tables import DEFAULTS
from benchmarks._nets.training import N_LAST_EPOCHS
from benchmarks.vicinities import figures
from benchmarks.vicinities.recipes import CHANGES, ERM, MIXUP, ON_PICTURES, beside_erm
from benchmarks.vicinities.runs import TableScale

# -- tables ---------------------------------------------------------------------------------------


def tell_tables(
    scale: TableScale, runs: pd.DataFrame, *, missing: Sequence[str], device: str
) -> Outcome:
    """Tell what came out on tables."""
    plane = partial(figures.plot_plane, max_epochs=scale.plane_epochs, device=device)
    title = "Ways to mix: tables"
    both = set_beside_both(runs)
    where = where_table(compare_by_table(both, CHANGES, list(UNITS)))
    return tell_changes(
        *(title, "vicinities.png", both, CHANGES),
        recipe=(
            f"One network, MixupClassifier with its defaults (alpha {DEFAULTS['alpha']:g}, "
            f"{DEFAULTS['max_epochs']} epochs) but for what is told, on standardised features, "
            "nominal ones one-hot. Networks of a split have the same first weights and shuffles."
        ),
        more=[],
        measures=list(UNITS),
        say=conclude,
        shown=[
            Figure("vicinities_plane.png", "Each way to mix on two classes in the plane", plane),
            Note(
                "Two classes in the plane, a disc in a ring: rows as each way mixes them, coloured "
                "by their target, over p of a network that was trained so, alpha 1, "
                f"{scale.plane_epochs} epochs. Manifold mixup mixes them inside the network too."
            ),
            *headed([(f"Tables that differ by more than {CLEAR} standard errors", where)]),
        ],
        others=(
            "Of Holm: p values of the t-test over the tables are adjusted for the changes that are "
            "set beside the same method in the same measure; what would be found is told for each "
            "test by itself. A table differs clearly if its mean difference is more than "
            f"{CLEAR} standard errors over its splits from 0; of many tables some do by chance. "
            "Some test rows of Abalone and Arrhythmia may have a label that no training row has: "
            "they count as errors and are left out of the log-loss."
        ),
        missing=missing,
    )


def set_beside_both(runs: pd.DataFrame) -> pd.DataFrame:
    """Repeat the runs of what is set beside ERM too, by the names that `CHANGES` has for it."""
    again = {name: beside_erm(change).name for name, change in CHANGES.items() if name != ERM}
    repeated = runs.assign(variant=runs["variant"].map(again)).dropna(subset="variant")
    return pd.concat([runs, repeated])


def where_table(by_table: pd.DataFrame) -> pd.DataFrame:
    """Write on how many tables each vicinity is lower, and on which it clearly is, or higher."""
    lines = []
    for name, change in CHANGES.items():
        rows = by_table[by_table["variant"] == name]
        if rows.empty:
            continue
        line = {"what is changed": change.change, "beside": CHANGES[change.beside].change}
        for measure in USUAL:
            of_it = rows[rows["measure"] == measure]
            word, ratio = title_of(measure).lower(), of_it["difference"] / of_it["error"]
            line[f"{word} lower on"] = f"{(of_it['difference'] < 0).sum()} of {len(of_it)}"
            for verdict, is_so in (("lower", ratio < -CLEAR), ("higher", ratio > CLEAR)):
                tables = of_it.loc[is_so & (of_it["error"] > 0), "table"]
                line[f"{word} clearly {verdict}"] = listed(map(TITLES.__getitem__, tables))
        lines.append(line)
    return pd.DataFrame(lines)


def conclude(comparison: pd.DataFrame, changes: Changes) -> list[str]:
    """Say, from the numbers, which vicinity is lower than mixup or ERM, and what would be seen."""
    beside = comparison["variant"].map(lambda name: changes[name].beside)
    sentences = []
    for other, measure in ((other, measure) for other in (MIXUP, ERM) for measure in UNITS):
        rows = comparison[(beside == other) & (comparison["measure"] == measure)]
        known = rows[rows["error"] > 0]
        if known.empty or known["n_tables"].max() < 2:
            continue
        kind = MEASURES[measure]
        digits = kind.digits + 1
        adjusted = holm(rows["p_value"])
        told: dict[bool, list[str]] = {True: [], False: []}
        for row, p in zip(rows.itertuples(name="Row"), adjusted, strict=True):
            if p < SIGNIFICANCE:
                size = f"{kind.factor * row.difference:+.{digits}f} ± "
                size += f"{kind.factor * row.error:.{digits}f}, p = {max(p, 0.001):.3f}"
                told[row.difference < 0].append(f"{changes[row.variant].change} ({size})")
        unit = f" {UNITS[measure]}" if UNITS[measure] else ""
        seen = [
            kind.factor * detectable(row.error, row.n_tables)
            for row in known.itertuples(name="Row")
        ]
        sentences.append(
            f"{title_of(measure)} less that of {changes[other].change}, over "
            f"{known['n_tables'].max()} tables: significantly lower, with Holm's correction for "
            f"{len(rows)}: {listed(told[True], '; ')}; higher: {listed(told[False], '; ')}. A "
            f"true difference of {min(seen):.{digits}f} to {max(seen):.{digits}f}{unit}, by "
            "vicinity, would be found in 80 % of cases."
        )
    return sentences


# -- pictures -------------------------------------------------------------------------------------

_TITLES = {name: vicinity.title for name, vicinity in ON_PICTURES.items()}


def tell_pictures(runs: pd.DataFrame, *, pictures: PictureSet) -> Outcome:
    """Tell what came out on pictures."""
    comparison = compare_pictures(runs)
    title = f"Ways to mix: {name_data(runs)}"
    shown = Figure(
        "vicinities_shown.png",
        "Pictures as each way mixes them",
        partial(figures.plot_pictures, pictures),
    )
    curves = partial(figures.plot_curves, runs, list(_TITLES.values()))
    blocks: list[Block] = [
        Conclusions(conclude_pictures(comparison)),
        Figure("vicinities_pictures.png", title, curves),
        Table(picture_table(runs, comparison)),
        shown,
        Note(picture_notes(runs)),
        Note(made_on(runs)),
    ]
    return Outcome(title, blocks)


def compare_pictures(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each vicinity beside mixup and beside ERM, seed by seed.

    A row for each pair: ``method``, ``other``, ``n_seeds``, what `PairedDifference.columns` tells
    of the last test error, ``p_holm``, and ``found``, the difference that would be found in 80 %
    of cases. The last two are NaN without a spread over seeds.
    """
    bases = (_TITLES[MIXUP], _TITLES[ERM])
    wide = pair(runs, "test_error", by="seed", columns="method", wanted=bases)
    rows = []
    for other in bases:
        members: list[dict[str, Any]] = [
            {"method": method, "other": other, "n_seeds": len(wide)}
            | paired_difference(wide[method], wide[other]).columns()
            for method in _TITLES.values()
            if method != other and method in wide
        ]
        for row, p in zip(members, holm([it["p_value"] for it in members]), strict=True):
            error = row["difference_se"]
            found = detectable(error, len(wide)) if error > 0 else np.nan
            rows.append(row | {"p_holm": p, "found": found})
    return pd.DataFrame(rows)


def conclude_pictures(comparison: pd.DataFrame) -> list[str]:
    """Say which vicinities erred less or more than mixup and ERM, and how sure that is."""
    sentences = []
    for other, rows in comparison.groupby("other", sort=False):
        lower, higher = (rows[sign * rows["difference"] > 0] for sign in (-1, 1))
        less, more = (_named(members) for members in (lower, higher))
        sentence = (
            f"Test error less that of {other}: lower with {less}; higher with {more}, % points."
        )
        n_seeds, seen = int(rows["n_seeds"].iloc[0]), 100 * rows["found"].dropna()
        if n_seeds < 2:
            sentence += " One seed: whether chance does that is not known."
        elif len(seen):
            clear = rows[rows["p_holm"] < SIGNIFICANCE]
            sentence += (
                f" Significant with Holm's correction for {len(rows)}, over {n_seeds} seeds: "
                f"{listed(clear['method'])}. A true difference of {seen.min():.1f} to "
                f"{seen.max():.1f} points, by vicinity, would be found in 80 % of cases."
            )
        sentences.append(sentence)
    return sentences


def _named(rows: pd.DataFrame) -> str:
    """Name methods, and by how much they differ."""
    return listed(
        f"{row.method} ({points(row.difference, row.difference_se)})"
        for row in rows.itertuples(name="Row")
    )


def picture_table(runs: pd.DataFrame, comparison: pd.DataFrame) -> pd.DataFrame:
    """Write what each vicinity came to, in percent, and how far it is from mixup and from ERM."""
    beside = comparison.set_index(["method", "other"])
    lines = []
    for vicinity in ON_PICTURES.values():
        members = runs[runs["method"] == vicinity.title]
        if members.empty:
            continue
        speeds = members["n_train"] * members["max_epochs"] / members["fit_time_s"].clip(lower=0.01)
        line = {
            "way to mix": vicinity.change,
            "test error, %": percent(*mean_and_standard_error(members["test_error"])),
            "med.": percent(*mean_and_standard_error(members["test_error_median"])),
        }
        for other in (_TITLES[MIXUP], _TITLES[ERM]):
            line |= _cells(beside, vicinity.title, other)
        lines.append(line | {"pictures a second": f"{speeds.mean():.0f}"})
    return pd.DataFrame(lines)


def _cells(beside: pd.DataFrame, method: str, other: str) -> dict[str, str]:
    """Write a method beside another."""
    heads = f"less {other}", f"p, {other}", f"found, {other}"
    if method == other:
        return dict.fromkeys(heads, "")
    row: Any = beside.loc[(method, other)]
    told = (
        points(row["difference"], row["difference_se"]),
        p_value(row["p_holm"]),
        "" if np.isnan(row["found"]) else f"{100 * row['found']:.1f}",
    )
    return dict(zip(heads, told, strict=True))


def picture_notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    n_seeds = runs["seed"].nunique()
    alpha = runs["alpha"].max()
    return (
        f"Data: {name_data(runs)}. {runs['network'].iloc[0]}, {runs['max_epochs'].iloc[0]} epochs, "
        f"alpha {alpha:g} for all that mix, whatever their papers took. Test errors of the last "
        f"epoch, in %, mean ± standard error over {n_seeds} seed{'s' if n_seeds > 1 else ''}; "
        f'"med." is the median of the last {N_LAST_EPOCHS} epochs. Differences are in percentage '
        "points, paired by seed: all of a seed have the same first weights and shuffles. p: of the "
        "paired t-test, with Holm's correction for those beside the same method. Found: the true "
        "difference that the test would find by itself, at 5 %, in 80 % of cases. Nothing was "
        f"chosen by a test error. {took(runs)}"
    )
