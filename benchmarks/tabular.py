"""Table 4 of [1]: test errors of ERM and mixup on UCI tables. Departs in splits and scaling.

The paper does not say how it split the rows, whether it scaled the features, or with which alpha
it mixed. Here each table is split at random many times, 80 % to train on and 20 % to test on,
stratified by class unless a class has a single row (Abalone). ERM and mixup get the same splits,
initial weights and shuffles, so they are compared pair by pair. Features come in two variants:

- raw: as published; only what is no number is made one (Abalone's sex is one-hot, missing values
  of Arrhythmia are medians of the training rows);
- standardised: zero mean and unit variance over the training rows, nominal columns one-hot.

Without --scale: 20 splits, 10 epochs as in the paper. A longer training is another question, and
--epochs 10 100 (part of --scale paper) answers both. With --tuned also searches alpha, dropout and
epochs inside each training split, beside two classifiers of scikit-learn.

All nets of a table, features and epochs are trained together (`fit_fused`), and those of a search
(`FusedGridSearchCV`): without dropout each ends as it would alone, to rounding.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.6.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks import recipes
from benchmarks._data.splits import TEST_SHARE, make_folds, split_rows
from benchmarks._data.tables import (
    SHIPPED,
    TITLES,
    Table,
    find_tables,
    load_by_cost,
    load_table,
    make_preprocessor,
    missing_tables_note,
)
from benchmarks._data.uci import FETCHERS
from benchmarks._lab.stacks import SPLITS_AT_ONCE, fit_together
from benchmarks._options import add_alphas, add_data_options
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from benchmarks._tabular_report import (
    FEATURES,
    TUNED_METHODS,
    alpha_table,
    compare,
    compare_tuned,
    conclude,
    main_table,
    notes_on_fixed,
    notes_on_tuned,
    plot,
    tuned_table,
    versions_used,
)
from sklearn_mixup import FusedGridSearchCV, MixupClassifier

_KEY = ("recipe", "table", "features", "method", "alpha", "max_epochs", "split")


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run."""

    n_splits: int
    epochs: tuple[int, ...]
    alphas: tuple[float, ...]
    tables: tuple[str, ...]
    n_tuned_splits: int
    grid: Mapping[str, tuple[float, ...]]


_SMOKE_GRID = {"alpha": (0.0, 0.2), "dropout": (0.0,), "max_epochs": (1, 2)}
_FEW = (0.0, recipes.TABLE_4_ALPHA)
_SOME = (*_FEW, 1.0)
_PAPER = tuple(FETCHERS)
_SCALES = {
    "smoke": _Scale(2, (2,), _FEW, ("iris",), 1, _SMOKE_GRID),
    "small": _Scale(5, (10,), _FEW, (*_PAPER, *SHIPPED), 2, recipes.TUNED_GRID),
    None: _Scale(20, (10,), _SOME, _PAPER, 5, recipes.TUNED_GRID),
    "paper": _Scale(
        20, recipes.TABLE_4_EPOCHS, recipes.TABLE_4_ALPHAS, _PAPER, 20, recipes.TUNED_GRID
    ),
}


# -- runs -----------------------------------------------------------------------------------------


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
            **recipes.TABLE_4.params(),
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
            sizes = recipes.TABLE_4.hidden_sizes
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


def _make_task(
    table: Table,
    versions: Mapping[str, str],
    work: Any,
    settings: Mapping[str, Any],
    *,
    group: str | None = None,
    **key: Any,
) -> Task:
    """Describe a run; its key, and all else that its result depends on."""
    settings = {**settings, **versions, "source": table.source, "test_share": TEST_SHARE}
    key = {"table": table.name, **key}
    return Task(key, settings, work, group)


def plan(
    names: Sequence[str],
    *,
    n_splits: int,
    epochs: Sequence[int],
    alphas: Sequence[float],
    device: str,
    data_home: str | None,
) -> list[Task]:
    """List the runs with the paper's settings, those that are trained together in a row."""
    versions = environment(device)
    tables = load_by_cost(names, data_home)
    return [
        _make_task(
            table,
            versions,
            partial(
                run_fixed,
                *(table.name, features, max_epochs),
                device=device,
                data_home=data_home,
            ),
            recipes.TABLE_4.describe(),
            group=f"{table.name} {features} {max_epochs} {split // SPLITS_AT_ONCE}",
            recipe="paper",
            features=features,
            method="mixup" if alpha else "ERM",
            alpha=alpha,
            max_epochs=max_epochs,
            split=split,
        )
        for max_epochs in sorted(epochs, reverse=True)
        for table in tables
        for features in FEATURES
        for split in range(n_splits)
        for alpha in alphas
    ]


def plan_tuned(
    names: Sequence[str],
    *,
    n_splits: int,
    grid: Mapping[str, Sequence[float]],
    device: str,
    data_home: str | None,
) -> list[Task]:
    """List the runs of the tuned methods and their peers, split by split."""
    versions = environment(device)
    searched = {name: list(values) for name, values in grid.items()}
    tables = load_by_cost(names, data_home)
    return [
        _make_task(
            table,
            versions,
            partial(
                run_tuned,
                *(table.name, method, split),
                grid=grid,
                device=device,
                data_home=data_home,
            ),
            {"grid": searched, "search": "fused"} if method in ("mixup", "ERM") else {"grid": None},
            recipe="tuned",
            features="standardised",
            method=method,
            alpha=None,  # chosen inside
            max_epochs=None,
            split=split,
        )
        for split in range(n_splits)
        for table in tables
        for method in TUNED_METHODS
    ]


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--epochs", type=int, nargs="+", metavar="N", help="epochs to train; default 10"
    )
    add_alphas(parser)
    parser.add_argument(
        "--tables", nargs="+", choices=list(TITLES), metavar="NAME", help=", ".join(TITLES)
    )
    parser.add_argument(
        "--tuned",
        action="store_true",
        help="also search alpha, dropout and epochs in each training split",
    )
    add_data_options(parser, "uci/...", download="missing tables from UCI")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale = _SCALES[args.scale]
    data_home = args.data_home
    wanted = args.tables or scale.tables
    tables, missing = find_tables(wanted, data_home, download=args.download)
    alphas = [alpha for alpha in args.alphas or scale.alphas if alpha > 0]
    main = recipes.TABLE_4_ALPHA if recipes.TABLE_4_ALPHA in alphas else alphas[0]
    n_splits = args.seeds or scale.n_splits
    out: Path = args.out

    run_table = RunTable(out / "tabular.csv", _KEY)
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    common = {"device": device, "data_home": data_home}
    progress = {"n_jobs": args.jobs, "extra": environment(device)}
    tasks = plan(
        tables,
        n_splits=n_splits,
        epochs=args.epochs or scale.epochs,
        alphas=[0.0, *alphas],
        **common,
    )
    runs = run_table.complete(tasks, title="tabular", **progress)
    comparison = compare(runs, alpha=main)
    conclusions = conclude(comparison, alpha=main)
    table, notes = main_table(comparison), notes_on_fixed(comparison, n_splits)

    print(f"\nTest error in %, mixup with alpha = {main:g}\n")
    print(terminal_table(table), "", *map(_wrap, (notes, *conclusions)), sep="\n")
    parts: list[str | pd.DataFrame] = [
        notes,
        "![Test errors](tabular.png)",
        table,
        "\n".join(f"- {sentence}" for sentence in conclusions),
    ]
    if len(alphas) > 1:
        others = alpha_table(runs, alphas)
        caption = "Mixup - ERM in percentage points at each alpha, ± standard error:"
        print(f"\n{caption}\n\n{terminal_table(others)}")
        parts += [caption, others]
    if args.tuned:
        n_tuned = args.seeds or scale.n_tuned_splits
        tuned_tasks = plan_tuned(tables, n_splits=n_tuned, grid=scale.grid, **common)
        tuned_runs = run_table.complete(tuned_tasks, title="tabular, tuned", **progress)
        tuned = tuned_table(compare_tuned(tuned_runs))
        tuned_notes = notes_on_tuned(n_tuned, scale.grid)
        print(f"\n{_wrap(tuned_notes)}\n{terminal_table(tuned)}")
        parts += ["## Tuned", tuned_notes, tuned]
    if missing:
        parts.append(missing_tables_note(missing))
    parts.append(f"Made with {versions_used(runs)} {len(runs)} runs.")
    write_markdown(out / "tabular.md", "Table 4 of the mixup paper: UCI tables", *parts)
    plot(comparison, out / "tabular.png", alpha=main)
    print(f"\nWritten: {', '.join(str(out / f'tabular.{ext}') for ext in ('csv', 'md', 'png'))}")


def _wrap(paragraph: str) -> str:
    """Break a paragraph into lines for a terminal, an empty one after it."""
    return textwrap.fill(paragraph, 100) + "\n"
