"""The runs of defaults: nets with several settings on tables, and the base rates beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import Table, load_by_cost, load_table
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import measure
from benchmarks._lab.stacks import SPLITS_AT_ONCE, run_nets
from benchmarks._nets.tables import DEFAULTS, describe_defaults

KEY = ("table", "setting", "alpha", "split")
FEATURES = "standardised"
_MEASURES = ("test_error", "log_loss", "n_unseen")
# Splits of the tables that take long, at a small scale.
FEW_SPLITS = {"htru2": 2, "phishing_websites": 2}


def describe(params: Mapping[str, Any]) -> str:
    """Name a setting in words.

    Examples
    --------
    >>> describe({"alpha": 0.5, "max_epochs": 64, "early_stopping": True})
    'alpha 0.5, 64 epochs, early stopping'
    """
    told = [f"alpha {params['alpha']:g}", f"{params['max_epochs']} epochs"]
    if "optimizer__weight_decay" in params:
        told.append(f"weight decay {params['optimizer__weight_decay']:g}")
    return ", ".join([*told, *(["early stopping"] if "early_stopping" in params else [])])


def _list_settings() -> dict[str, dict[str, Any]]:
    """List parameters of MixupClassifier by their name in words, those of today first."""
    grid = [
        {name: DEFAULTS[name] for name in ("alpha", "max_epochs")},
        *({"alpha": a, "max_epochs": n} for n in (16, 32, 64) for a in (0.2, 0.5, 1.0)),
        *({"alpha": a, "max_epochs": 16, "optimizer__weight_decay": 1e-3} for a in (0.2, 0.5)),
        *({"alpha": a, "max_epochs": 64, "early_stopping": True} for a in (0.2, 0.5)),
    ]
    return {describe(params): params for params in grid}


SETTINGS = _list_settings()
DEFAULT = next(iter(SETTINGS))
EARLIER = describe({"alpha": 0.2, "max_epochs": 64})  # the defaults until this was measured


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    few_splits: Mapping[str, int]
    tables: tuple[str, ...]


def score_base_rates(y: np.ndarray, y_test: np.ndarray) -> float:
    """Log-loss, in nats, of the shares of the classes in `y`, on rows whose class is in `y`."""
    classes, counts = np.unique(y, return_counts=True)
    rates = np.tile(counts / len(y), (len(y_test), 1))
    return float(measure(rates, y_test, classes, seed=0)["log_loss"])


def score(
    name: str, data_home: str | None, estimator: Any, X: pd.DataFrame, y: np.ndarray, split: int
) -> dict[str, Any]:
    """Score a fitted estimator on the test rows of a split of a table, and the base rates."""
    measured = measure(estimator.predict_proba(X), y, estimator.classes_, seed=split)
    table = load_table(name, data_home)
    train, _ = split_rows(table, split)
    chosen = {it: measured[it] for it in _MEASURES}
    return {**chosen, "base_log_loss": score_base_rates(table.y[train], y)}


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    recipe = describe_defaults("module", "optimizer", "lr", "batch_size")
    settings = {**versions, **recipe, "features": FEATURES, "test_share": TEST_SHARE}

    def make_task(table: Table, split: int, setting: str) -> Task:
        alpha, params = SETTINGS[setting]["alpha"], dict(SETTINGS[setting])
        del params["alpha"]  # is in the keys of the runs, which may differ in it
        scored = partial(score, table.name, data_home)
        where: dict[str, Any] = {"data_home": data_home, "device": device}
        return Task(
            dict(zip(KEY, (table.name, setting, alpha, split), strict=True)),
            {**settings, **params, "source": table.source},
            partial(run_nets, scored, table.name, FEATURES, **where, **params),
            group=f"{table.name} {params} {split // SPLITS_AT_ONCE}",
        )

    return [
        make_task(table, split, setting)
        for table in load_by_cost(scale.tables, data_home)
        for split in range(scale.few_splits.get(table.name, scale.n_splits))
        for setting in SETTINGS
    ]
