"""The runs of calibration: nets on tables, and scores of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import load_by_cost
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import N_BINS, measure
from benchmarks._lab.stacks import SPLITS_AT_ONCE, run_nets
from benchmarks._nets.tables import describe_defaults

KEY = ("table", "method", "alpha", "max_epochs", "split")
FEATURES = "standardised"


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    max_epochs: int
    alphas: tuple[float, ...]
    tables: tuple[str, ...]


def score(estimator: Any, X: pd.DataFrame, y: np.ndarray, split: int) -> dict[str, Any]:
    """Score the probabilities of a fitted estimator."""
    return measure(estimator.predict_proba(X), y, estimator.classes_, seed=split)


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    settings = {
        **versions,
        **describe_defaults("module", "optimizer", "lr", "batch_size"),
        "features": FEATURES,
        "test_share": TEST_SHARE,
        "n_bins": N_BINS,
    }
    params: dict[str, Any] = {"max_epochs": scale.max_epochs, "device": device}
    return [
        Task(
            dict(zip(KEY, (table.name, method, alpha, scale.max_epochs, split), strict=True)),
            {**settings, "source": table.source},
            partial(run_nets, score, table.name, FEATURES, data_home=data_home, **params),
            group=f"{table.name} {split // SPLITS_AT_ONCE}",
        )
        for table in load_by_cost(scale.tables, data_home)
        for split in range(scale.n_splits)
        for alpha in scale.alphas
        for method in ["mixup" if alpha else "ERM"]
    ]
