"""What stands in the tables and figures of synthetic."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks._lab.methods import results
from benchmarks._lab.methods.results import Contest, Pair, Results
from benchmarks._lab.methods.statistics import Difference
from benchmarks._lab.statistics import holm
from benchmarks._lab.tell import Measure
from benchmarks.synthetic.methods import GANS, METHODS

REAL = "real"  # what is kept of its gain is measured
YARDSTICK = "smote"
SAMPLER = "vicinal"
CHANCE = 0.5  # the AUC of the base rates, on any table
MEASURES = {
    "gain": Measure("gain kept, %", 100, 1, is_loss=False),
    "detection": Measure("detection, AUC", 1, 3),
    "distance": Measure("distance to the closest, ratio", 1, 2, is_loss=False),
    "copies": Measure("copies, %", 100, 1),
    "categories": Measure("worst category, ratio", 1, 2, is_loss=False),
}
COMPARED = ("gain", "detection")
_OURS = [name for name, method in METHODS.items() if method.is_ours]
PAIRS: tuple[Pair, ...] = (
    *((name, YARDSTICK) for name in (*_OURS, "copula")),
    (SAMPLER, "same_class"),
    *((gan, SAMPLER) for gan in GANS),
    *itertools.combinations(GANS, 2),
)
CONTEST = Contest(
    METHODS,
    MEASURES,
    main={"gain": "gain kept, points", "detection": "detection"},
    ours=SAMPLER,
    pairs=PAIRS,
    share=(SAMPLER, YARDSTICK),
    worth=0.02,
)


@dataclass(frozen=True)
class Compared:
    """Two methods by one measure, and a p value that allows for the number of such pairs."""

    pair: Pair
    difference: Difference
    p_adjusted: float


def collect(runs: pd.DataFrame) -> Results:
    """Set the methods beside each other, by what they keep of the gain of the real rows."""
    return results.collect(CONTEST, add_gain(runs))


def add_gain(runs: pd.DataFrame) -> pd.DataFrame:
    """Add ``gain``: how far the AUC is above chance, over that of the real rows of the split.

    Examples
    --------
    >>> runs = pd.DataFrame({"table": "a", "split": 0, "method": ["real", "b"], "auc": [0.9, 0.8]})
    >>> add_gain(runs)["gain"].round(2).tolist()
    [1.0, 0.75]
    """
    where = pd.MultiIndex.from_frame(runs[["table", "split"]])
    of_real = runs[runs["method"] == REAL].set_index(["table", "split"])["auc"]
    real = of_real.reindex(where).to_numpy()
    return runs.assign(gain=(runs["auc"] - CHANCE) / (real - CHANCE))


def compare(found: Results, measure: str) -> list[Compared]:
    """Compare the pairs that ran, with Holm's correction for their number."""
    differences = {pair: found.difference(pair, measure) for pair in PAIRS}
    known = {pair: it for pair, it in differences.items() if it is not None}
    p_values = [it.p_value for it in known.values()]
    adjusted = p_values if np.isnan(p_values).any() else holm(p_values)
    return [
        Compared(pair, it, float(p)) for (pair, it), p in zip(known.items(), adjusted, strict=True)
    ]
