"""The runs of methods: one on a split of a table, measured and timed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import Table, as_categories, load_by_cost
from benchmarks._lab.methods.method import Budget, Method
from benchmarks._lab.runs import Task

KEY = ("table", "method", "split")
# score(estimator, outputs, y, split): the measures of what a fitted estimator said of test rows.
Score = Callable[[Any, np.ndarray, np.ndarray, int], dict[str, Any]]


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    tables: tuple[str, ...]
    budget: Budget


def fit_and_score(
    table: Table,
    methods: Mapping[str, Method],
    name: str,
    split: int,
    score: Score,
    *,
    predict: str,
    budget: Budget,
    device: str,
) -> dict[str, Any]:
    """Fit a method on the training rows of a split, and measure it on its test rows.

    `predict` names what is called to predict. ``fit_time_s`` is all of the fit, with the
    preprocessor; ``fit_cpu_s`` is the time of the processor alone, which other work on the machine
    does not lengthen.
    """
    method = methods[name]
    train, test = split_rows(table, split)
    X = as_categories(table) if method.features == "categories" else table.X
    try:
        estimator = method.make(table, split, budget, device)
        with warnings.catch_warnings():
            if method.packages:  # they warn of themselves, of unseen words, of few steps
                warnings.simplefilter("ignore")
            start, start_cpu = time.perf_counter(), time.process_time()
            estimator.fit(X.iloc[train], table.y[train])
            fitted, fitted_cpu = time.perf_counter(), time.process_time()
            outputs = getattr(estimator, predict)(X.iloc[test])
            predicted = time.perf_counter()
        measured = score(estimator, outputs, table.y[test], split)
    except Exception as error:
        raise RuntimeError(
            f"The method {name!r} failed on the table {table.name!r}, split {split}: {error!r}. To "
            "leave it out, name the others with --methods."
        ) from error
    return {
        **measured,
        "fit_time_s": round(fitted - start, 4),
        "fit_cpu_s": round(fitted_cpu - start_cpu, 4),
        "predict_time_s": round(predicted - fitted, 4),
        "n_train": len(train),
        "n_test": len(test),
        "packages": ", ".join(map(" ".join, method.packages_used().items())),
    }


def list_tasks(
    run: Callable[..., dict[str, Any]],
    methods: Mapping[str, Method],
    scale: Scale,
    names: Sequence[str],
    *,
    device: str,
    versions: Mapping[str, str],
    data_home: str | None,
) -> list[Task]:
    """List the runs, split by split: a run that is killed leaves whole splits.

    ``run(table, method, split, budget=..., device=..., data_home=...)``, all by their names, does
    one of them.
    """
    run = partial(run, budget=scale.budget, device=device, data_home=data_home)
    settings = {name: methods[name].settings(scale.budget, versions) for name in names}
    return [
        Task(
            {"table": table.name, "method": name, "split": split},
            {**settings[name], "test_share": TEST_SHARE, "source": table.source},
            partial(run, table.name, name, split),
        )
        for split in range(scale.n_splits)
        for table in load_by_cost(scale.tables, data_home)
        for name in names
    ]
