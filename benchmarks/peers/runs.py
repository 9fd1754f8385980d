"""The runs of peers: a method on a split of a table, measured and timed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sklearn.metrics import roc_auc_score

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import as_categories, load_by_cost, load_table
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import measure
from benchmarks.peers.methods import METHODS, Budget

KEY = ("table", "method", "split")


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    tables: tuple[str, ...]
    budget: Budget


def run_method(
    name: str, method: str, split: int, *, budget: Budget, device: str, data_home: str | None
) -> dict[str, Any]:
    """Fit a method on the training rows of a split, and measure it on its test rows.

    ``fit_time_s`` is all of the fit, with the preprocessor; ``fit_cpu_s`` is the time of the
    processor alone, which other work on the machine does not lengthen. ``roc_auc`` is there where
    two classes are.
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, split)
    X = as_categories(table) if METHODS[method].features == "categories" else table.X
    y_test = table.y[test]
    try:
        estimator = METHODS[method].make(table, split, budget, device)
        with warnings.catch_warnings():
            if METHODS[method].packages:  # they warn of themselves, of unseen words, of few steps
                warnings.simplefilter("ignore")
            start, start_cpu = time.perf_counter(), time.process_time()
            estimator.fit(X.iloc[train], table.y[train])
            fitted, fitted_cpu = time.perf_counter(), time.process_time()
            probabilities = estimator.predict_proba(X.iloc[test])
            predicted = time.perf_counter()
        classes = estimator.classes_
        measured = measure(probabilities, y_test, classes, seed=split)
        is_binary = len(classes) == 2
        roc_auc = roc_auc_score(y_test == classes[1], probabilities[:, 1]) if is_binary else None
    except Exception as error:
        raise RuntimeError(
            f"The method {method!r} failed on the table {name!r}, split {split}: {error!r}. To "
            "leave it out, name the others with --methods."
        ) from error
    del measured["bins"]  # reliability curves are in the benchmark calibration
    return {
        **measured,
        "roc_auc": roc_auc,
        "fit_time_s": round(fitted - start, 4),
        "fit_cpu_s": round(fitted_cpu - start_cpu, 4),
        "predict_time_s": round(predicted - fitted, 4),
        "n_train": len(train),
        "n_test": len(test),
        "packages": ", ".join(map(" ".join, METHODS[method].packages_used().items())),
    }


def list_tasks(
    scale: Scale,
    methods: Sequence[str],
    *,
    device: str,
    versions: Mapping[str, str],
    data_home: str | None,
) -> list[Task]:
    """List the runs, split by split: a run that is killed leaves whole splits."""
    run = partial(run_method, budget=scale.budget, device=device, data_home=data_home)
    settings = {method: METHODS[method].settings(scale.budget, versions) for method in methods}
    return [
        Task(
            {"table": table.name, "method": method, "split": split},
            {**settings[method], "test_share": TEST_SHARE, "source": table.source},
            partial(run, table.name, method, split),
        )
        for split in range(scale.n_splits)
        for table in load_by_cost(scale.tables, data_home)
        for method in methods
    ]
