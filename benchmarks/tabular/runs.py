"""The runs of Table 4: nets with the paper's settings, and tuned ones beside their peers."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks._data.splits import TEST_SHARE, make_folds, split_rows
from benchmarks._data.tables import Table, load_by_cost, load_table, make_preprocessor
from benchmarks._lab.runs import Task
from benchmarks._lab.stacks import SPLITS_AT_ONCE, fit_together
from benchmarks._nets.tables import TABLE_4
from sklearn_mixup import FusedGridSearchCV, MixupClassifier

KEY = ("recipe", "table", "features", "method", "alpha", "max_epochs", "split")
FEATURES = ("raw", "standardised")
TUNED_METHODS = ("mixup", "ERM", "MLPClassifier", "HistGradientBoosting")


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    epochs: tuple[int, ...]
    alphas: tuple[float, ...]
    tables: tuple[str, ...]
    n_tuned_splits: int
    grid: Mapping[str, tuple[float, ...]]


def _evaluate(estimator: Any, table: Table, split: int, fit_time_s: float) -> dict[str, Any]:
    """Measure the error of a fitted estimator on the test rows of a split."""
    train, test = split_rows(table, split)
    errors = estimator.predict(table.X.iloc[test]) != table.y[test]
    return {
        "test_error": float(errors.mean()),
        "fit_time_s": round(fit_time_s, 4),
        "n_train": len(train),
        "n_test": len(test),
    }


def _fit_and_evaluate(estimator: Any, table: Table, split: int) -> dict[str, Any]:
    """Fit on the training rows of a split; measure the error on its test rows."""
    train, _ = split_rows(table, split)
    start = time.perf_counter()
    estimator.fit(table.X.iloc[train], table.y[train])
    return _evaluate(estimator, table, split, time.perf_counter() - start)


def run_fixed(
    name: str,
    features: str,
    max_epochs: int,
    runs: Sequence[Mapping[str, Any]],
    *,
    device: str,
    data_home: str | None,
) -> list[dict[str, Any]]:
    """Train a net for ``alpha`` and ``split`` of each run, all together, with the paper's settings.

    The split is the seed, whatever alpha. ``fit_time_s`` is a net's share of the time of all.
    """
    table = load_table(name, data_home)
    classifiers = [
        MixupClassifier(
            alpha=run["alpha"],
            max_epochs=max_epochs,
            random_state=run["split"],
            device=device,
            **TABLE_4.params(),
        )
        for run in runs
    ]
    splits = [run["split"] for run in runs]
    estimators, fit_time_s = fit_together(table, features, splits, classifiers)
    return [
        _evaluate(estimator, table, split, fit_time_s)
        for split, estimator in zip(splits, estimators, strict=True)
    ]


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
    if method in ("MLPClassifier", "HistGradientBoosting"):
        classifier: ClassifierMixin = HistGradientBoostingClassifier(random_state=split)
        if method == "MLPClassifier":
            sizes = TABLE_4.hidden_sizes
            classifier = MLPClassifier(hidden_layer_sizes=sizes, random_state=split)
        estimator = make_pipeline(make_preprocessor(table, "standardised"), classifier)
        with warnings.catch_warnings():
            # MLPClassifier stops after 200 epochs; that is its default, and what is compared.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return _fit_and_evaluate(estimator, table, split)
    if method == "ERM":
        grid = {**grid, "alpha": (0.0,)}
    classifier = MixupClassifier(random_state=split, device=device)
    search = FusedGridSearchCV(
        make_pipeline(make_preprocessor(table, "standardised"), classifier),
        {f"mixupclassifier__{name}": list(values) for name, values in grid.items()},
        cv=make_folds(table, split),
        error_score="raise",
    )
    results = _fit_and_evaluate(search, table, split)
    chosen = {name.removeprefix("mixupclassifier__"): v for name, v in search.best_params_.items()}
    return {**results, "chosen": json.dumps(chosen, sort_keys=True)}


def _settings(table: Table, versions: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Tell all that the result of a run depends on, beside its key."""
    return {**more, **versions, "source": table.source, "test_share": TEST_SHARE}


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs with the paper's settings, those that are trained together in a row."""
    return [
        Task(
            {
                "table": table.name,
                "recipe": "paper",
                "features": features,
                "method": "mixup" if alpha else "ERM",
                "alpha": alpha,
                "max_epochs": max_epochs,
                "split": split,
            },
            _settings(table, versions, **TABLE_4.describe()),
            partial(
                run_fixed, table.name, features, max_epochs, device=device, data_home=data_home
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
    searched = {name: list(values) for name, values in scale.grid.items()}
    search = {"grid": searched, "search": "fused"}
    return [
        Task(
            {
                "table": table.name,
                "recipe": "tuned",
                "features": "standardised",
                "method": method,
                "alpha": None,  # chosen inside
                "max_epochs": None,
                "split": split,
            },
            _settings(
                table, versions, **(search if method in ("mixup", "ERM") else {"grid": None})
            ),
            partial(
                run_tuned,
                table.name,
                method,
                split,
                grid=scale.grid,
                device=device,
                data_home=data_home,
            ),
        )
        for split in range(scale.n_tuned_splits)
        for table in load_by_cost(scale.tables, data_home)
        for method in TUNED_METHODS
    ]
