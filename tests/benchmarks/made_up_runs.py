"""What methods that are set beside each other are tested on: made-up features and runs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd


def make_runs(
    errors: dict[str, float],
    measure: Callable[[str, float], dict[str, Any]],
    *,
    tables: Sequence[str],
    spread: float = 0.0,
    n_splits: int = 4,
) -> pd.DataFrame:
    """Make up runs; a method's error is the same on all tables, but for a spread between them.

    ``measure(table, error)`` gives the measures of a run.
    """
    rng = np.random.default_rng(0)
    rows = []
    for table in tables:
        for method, error in errors.items():
            at_table = error + spread * rng.normal()
            for split in range(n_splits):
                value = at_table + 0.001 * rng.normal()
                rows.append(
                    {"table": table, "method": method, "split": split}
                    | measure(table, value)
                    | {"fit_time_s": 9.0, "fit_cpu_s": 2.0, "predict_time_s": 0.01}
                )
    return pd.DataFrame(rows)


def make_features(rng: np.random.Generator) -> pd.DataFrame:
    """Make up 80 rows of numbers, missing ones, codes and words."""
    return pd.DataFrame(
        {
            "number": rng.normal(size=80),
            "empty": np.where(rng.random(80) < 0.9, np.nan, 1.0),
            "code": rng.choice([0.0, 1.0, 2.0, np.nan], 80),
            "word": pd.Categorical(rng.choice(["a", "b", None], 80)),
        }
    )
