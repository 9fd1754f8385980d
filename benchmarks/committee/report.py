"""What came out of committee, told."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._lab.changes.compare import RECIPE
from benchmarks._lab.changes.report import tell_changes
from benchmarks._lab.outcome import Outcome
from benchmarks.committee.recipes import VARIANTS, describe


def tell(runs: pd.DataFrame, *, missing: Sequence[str]) -> Outcome:
    """Tell what came out."""
    epochs = share_of_epochs(runs)
    return tell_changes(
        *("Variants of the committee", "committee.png", runs, VARIANTS),
        recipe="The recipe: TabularMixupClassifier with its defaults.",
        more=[tell_shares(runs)],
        others=(
            "Variants have the networks of the recipe where they have its settings, but for half "
            "of the networks, which are trained apart. Epochs: those that all networks of a "
            "variant train, chosen or not, divided by the recipe's, geometric mean over the tables."
        ),
        missing=missing,
        columns=pd.DataFrame({"epochs": epochs.map("{:.2f}".format)}),
    )


def share_of_epochs(runs: pd.DataFrame) -> pd.Series:
    """Divide the epochs that each variant trains by the recipe's: geometric mean over tables."""
    wide = runs.groupby(["table", "variant"])["n_epochs"].mean().unstack("variant")
    return wide.div(wide[RECIPE], axis=0).agg(stats.gmean)


def tell_shares(runs: pd.DataFrame) -> str:
    """Say which settings are chosen, and how far the temperature is from 1."""
    recipe = runs[runs["variant"] == RECIPE]
    shares = pd.DataFrame([json.loads(text) for text in recipe["shares"]]).fillna(0.0)
    shares = shares.groupby(recipe["table"].to_numpy()).mean().mean()
    told = "; ".join(f"{describe(str(name))}: {share:.2f}" for name, share in shares.items())
    low, high = np.quantile(recipe["temperature"], [0, 1])
    return (
        f"The recipe gives its settings these shares, means over the tables: {told}. Its "
        f"temperatures are {low:.2f} to {high:.2f}."
    )
