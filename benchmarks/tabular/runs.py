"""The runs of Table 4: nets with the paper's settings, and tuned ones beside their peers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_by_cost, load_table, make_preprocessor
from benchmarks._lab.runs import Task
from benchmarks._lab.stacks import SPLITS_AT_ONCE, run_nets, search_nets, tell_chosen
from benchmarks._nets.tables import TABLE_4
from sklearn_mixup import MixupClassifier

KEY = ("table", "recipe", "features", "method", "alpha", "max_epochs", "split")
FEATURES = ("raw", "standardised")
_PEERS = {
    "MLPClassifier": partial(MLPClassifier, hidden_layer_sizes=TABLE_4.hidden_sizes),
    "HistGradientBoosting": HistGradientBoostingClassifier,
}
TUNED_METHODS = ("mixup", "ERM", *_PEERS)


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    epochs: tuple[int, ...]
    alphas: tuple[float, ...]
    tables: tuple[str, ...]
    n_tuned_splits: int
    grid: Mapping[str, tuple[float, ...]]


def score(estimator: Any, X: pd.DataFrame, y: np.ndarray, split: int) -> dict[str, Any]:
    """Measure the error of a fitted estimator."""
    return {"test_error": float((estimator.predict(X) != y).mean())}


def run_tuned(
    name: str,
    method: str,
    split: int,
    *,
    grid: Mapping[str, Sequence[float]],
    device: str,
    data_home: str | None,
) -> dict[str, Any]:
    """Train one of the tuned methods, or of their peers, on one split."""
    table = load_table(name, data_home)
    train, test = split_rows(table, split)
    if method in _PEERS:
        peer = _PEERS[method](random_state=split)
        estimator = make_pipeline(make_preprocessor(table, "standardised"), peer)
    else:
        net = MixupClassifier(random_state=split, device=device)
        alphas = {"alpha": (0.0,)} if method == "ERM" else {}
        estimator = search_nets(table, split, net, {**grid, **alphas})
    start = time.perf_counter()
    with warnings.catch_warnings():
        if method == "MLPClassifier":
            # It stops after 200 epochs; that is its default, and what is compared.
            warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(table.X.iloc[train], table.y[train])
    fit_time_s = round(time.perf_counter() - start, 4)
    scores = score(estimator, table.X.iloc[test], table.y[test], split)
    sizes = {"n_train": len(train), "n_test": len(test)}
    return {**scores, "fit_time_s": fit_time_s, **sizes, "chosen": tell_chosen(estimator)}


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs with the paper's settings, those that are trained together in a row."""
    where: dict[str, Any] = {"device": device, "data_home": data_home}
    settings = {**TABLE_4.describe(), **versions, "test_share": TEST_SHARE}
    return [
        Task(
            {"table": table.name, "recipe": "paper", "features": features}
            | {"method": "mixup" if alpha else "ERM", "alpha": alpha}
            | {"max_epochs": max_epochs, "split": split},
            {**settings, "source": table.source},
            partial(
                run_nets,
                *(score, table.name, features),
                **{"max_epochs": max_epochs, **TABLE_4.params(), **where},
            ),
            group=f"{table.name} {features} {max_epochs} {split // SPLITS_AT_ONCE}",
        )
        for max_epochs in sorted(scale.epochs, reverse=True)
        for table in load_by_cost(scale.tables, data_home)
        for features in FEATURES
        for split in range(scale.n_splits)
        for alpha in scale.alphas
    ]


def list_tuned_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs of the tuned methods and their peers, split by split."""
    where: dict[str, Any] = {"device": device, "data_home": data_home}
    searched = {name: list(values) for name, values in scale.grid.items()}
    search = {"grid": searched, "search": "fused"}
    return [
        Task(
            {"table": table.name, "recipe": "tuned", "features": "standardised", "method": method}
            | {"alpha": None, "max_epochs": None, "split": split},  # chosen inside
            {**({"grid": None} if method in _PEERS else search), **versions}
            | {"source": table.source, "test_share": TEST_SHARE},
            partial(run_tuned, table.name, method, split, grid=scale.grid, **where),
        )
        for split in range(scale.n_tuned_splits)
        for table in load_by_cost(scale.tables, data_home)
        for method in TUNED_METHODS
    ]
