"""The runs of peers: a method on a split of a table, measured and timed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_by_cost, load_table
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import measure
from benchmarks._lab.stacks import tell_chosen
from benchmarks.peers.methods import METHODS, PYTABKIT, Budget, as_categories

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

    ``fit_time_s`` is all of the fit: the preprocessor, the search and its refit too.
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, split)
    X = as_categories(table) if METHODS[method].features == "categories" else table.X
    try:
        estimator = METHODS[method].make(table, split, budget, device)
        with warnings.catch_warnings():
            # MLPClassifier stops after 200 epochs; that is its default, and what is compared.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if method == "realmlp":  # Lightning warns of itself
                warnings.simplefilter("ignore")
            start = time.perf_counter()
            estimator.fit(X.iloc[train], table.y[train])
            fitted = time.perf_counter()
            probabilities = estimator.predict_proba(X.iloc[test])
            predicted = time.perf_counter()
        measured = measure(probabilities, table.y[test], estimator.classes_, seed=split)
    except Exception as error:
        raise RuntimeError(
            f"The method {method!r} failed on the table {name!r}, split {split}: {error!r}. To "
            "leave it out, name the others with --methods."
        ) from error
    del measured["bins"]  # reliability curves are in the benchmark calibration
    return {
        **measured,
        "fit_time_s": round(fitted - start, 4),
        "predict_time_s": round(predicted - fitted, 4),
        "n_train": len(train),
        "n_test": len(test),
        "chosen": tell_chosen(estimator),
        PYTABKIT: version(PYTABKIT) if method == "realmlp" else "",
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
