"""The runs of synthetic: a method makes a table of the training rows, which is measured."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import as_categories, load_table, make_preprocessor
from benchmarks._lab.methods.anchors import make_lightgbm
from benchmarks._lab.methods.method import Budget
from benchmarks._lab.methods.runs import Scale
from benchmarks._lab.scores import measure
from benchmarks.synthetic.measures import (
    area_under_curve,
    detect,
    find_worst_share,
    learn_and_test,
    measure_copies,
)
from benchmarks.synthetic.methods import METHODS


@dataclass(frozen=True)
class MakerScale(Scale):
    """How much is run; GANs, which take a minute each, on fewer tables and splits."""

    gan_tables: tuple[str, ...]
    n_gan_splits: int


def run_method(
    name: str, method: str, split: int, *, budget: Budget, device: str, data_home: str | None
) -> dict[str, Any]:
    """Make as many rows as there are training rows in a split, and measure them.

    ``fit_cpu_s`` and ``predict_time_s`` are the time to learn and the time to draw.
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, split)
    X = as_categories(table)
    X_train, X_test = (X.iloc[rows].reset_index(drop=True) for rows in (train, test))
    y_train, y_test = table.y[train], table.y[test]
    try:
        with warnings.catch_warnings():
            if "imblearn" in METHODS[method].packages:
                warnings.simplefilter("ignore")  # those of its own
            maker = METHODS[method].make(table, split, budget, device)
            start, start_cpu = time.perf_counter(), time.process_time()
            maker.fit(X_train, y_train)
            fitted, fitted_cpu = time.perf_counter(), time.process_time()
            X_made, y_made = maker.sample(len(train), return_y=True)
            drawn = time.perf_counter()
    except Exception as error:
        raise RuntimeError(
            f"The method {method!r} failed on the table {name!r}, split {split}: {error!r}. To "
            "leave it out, name the others with --methods."
        ) from error
    X_made = X_made[list(X)].reset_index(drop=True).astype(X.dtypes)

    make_trees = partial(make_lightgbm, table, split, budget.rounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM's, of names of columns
        probabilities = learn_and_test((X_made, y_made), (X_test, y_test), make_trees)
        detection = detect((X_test, y_test), (X_made, y_made), make_trees, seed=split)
    classes = pd.unique(pd.Series(y_train)).tolist()
    scores = measure(probabilities, y_test, sorted(classes), seed=split)
    as_numbers = make_preprocessor(table, "standardised").fit(X_train)
    rows = (as_numbers.transform(it) for it in (X_made, X_train, X_test))
    return {
        "auc": area_under_curve(y_test, probabilities),
        **{measured: scores[measured] for measured in ("test_error", "log_loss")},
        "detection": detection,
        **measure_copies(*rows),
        "categories": find_worst_share(X_made, X_train),
        "fit_time_s": round(fitted - start, 4),
        "fit_cpu_s": round(fitted_cpu - start_cpu, 4),
        "predict_time_s": round(drawn - fitted, 4),
        "n_train": len(train),
        "n_test": len(test),
        "packages": ", ".join(map(" ".join, METHODS[method].packages_used().items())),
    }
