"""What came out of variants, told."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats

from benchmarks._lab.changes.report import tell_changes
from benchmarks._lab.outcome import Outcome
from benchmarks.variants.recipes import VARIANTS


def tell(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out."""
    return tell_changes(
        *("Variants of the recipe", "variants.png", runs, VARIANTS),
        recipe=(
            f"The recipe: MixupClassifier with its defaults, {runs['max_epochs'].iloc[0]} epochs, "
            "standardised features."
        ),
        more=[compare_times(runs)],
        others=(
            "Tables whose columns are all nominal have no quantiles: there the two variants that "
            "mix quantiles are the recipe itself, but for rounding."
        ),
        missing=missing,
    )


def compare_times(runs: pd.DataFrame) -> str:
    """Say how long ensembles took, beside the one of 8 nets."""
    times = runs.groupby(["table", "variant"])["fit_time_s"].mean().unstack("variant")
    names = [name for name, variant in VARIANTS.items() if variant.kind == "Ensemble"]
    ratios = {name: stats.gmean(times[name] / times[VARIANTS[name].beside]) for name in names}
    told = ", ".join(f"{VARIANTS[name].change} {ratio:.2f}" for name, ratio in ratios.items())
    return f"Fit time as a multiple of that of 8 nets, geometric mean over the tables: {told}."
