"""Ours beside the best that one can install: error, probabilities and time. Not in [1].

[1] sets mixup beside ERM alone. Here nets with mixup, one and eight, stand beside RealMLP-TD [2],
the best tabular net at its defaults, and beside the trees and the net of scikit-learn, on the UCI
tables of the mixup paper and three that come with scikit-learn. Each method is at its defaults, has
the same random splits as the others (see the benchmark tabular), and one thread.

- test error, log-loss, Brier score and expected calibration error, and the seconds of the fit;
- differences between methods, paired by table and split, and ranks;
- the share that is mixup's own: alpha 0 beside 0.2, with equal and with its own best budget.

RealMLP-TD needs pytabkit: ``pip install pytabkit``. Without it the others run.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data", NeurIPS 2024.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from benchmarks import _peers_figures as figures
from benchmarks import _peers_report as report
from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import (
    TITLES,
    find_tables,
    load_by_cost,
    load_table,
    missing_tables_note,
)
from benchmarks._lab.scores import measure
from benchmarks._options import add_data_options
from benchmarks._peers_conclusions import conclude
from benchmarks._peers_methods import (
    FULL,
    METHODS,
    PYTABKIT,
    TINY,
    Budget,
    as_categories,
    is_installed,
)
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown

_KEY = ("table", "method", "split")


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run."""

    n_splits: int
    tables: tuple[str, ...]
    budget: Budget


_SCALES = {
    "smoke": _Scale(2, ("iris", "wine"), TINY),
    "small": _Scale(10, tuple(TITLES), FULL),
    "paper": _Scale(20, tuple(TITLES), FULL),
}


# -- runs -----------------------------------------------------------------------------------------


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
    found = getattr(estimator, "best_params_", {})
    chosen = {param.rpartition("__")[2]: value for param, value in found.items()}
    results = {
        **measured,
        "fit_time_s": round(fitted - start, 4),
        "predict_time_s": round(predicted - fitted, 4),
        "n_train": len(train),
        "n_test": len(test),
        "chosen": json.dumps(chosen, sort_keys=True) if chosen else "",
        PYTABKIT: version(PYTABKIT) if method == "realmlp" else "",
    }
    del results["bins"]  # reliability curves are in the benchmark calibration
    return results


def plan(
    names: Sequence[str],
    methods: Sequence[str],
    *,
    n_splits: int,
    budget: Budget,
    device: str,
    data_home: str | None,
) -> list[Task]:
    """List the runs, split by split: a run that is killed leaves whole splits."""
    versions = environment(device)
    common = {"test_share": TEST_SHARE}
    settings = {method: METHODS[method].settings(budget, versions) | common for method in methods}
    return [
        Task(
            {"table": table.name, "method": method, "split": split},
            {**settings[method], "source": table.source},
            partial(
                run_method,
                *(table.name, method, split),
                budget=budget,
                device=device,
                data_home=data_home,
            ),
        )
        for split in range(n_splits)
        for table in load_by_cost(names, data_home)
        for method in methods
    ]


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    told = "; ".join(f"{slug}: {method.title}" for slug, method in METHODS.items())
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="NAME", help=told)
    parser.add_argument(
        "--tables", nargs="+", choices=list(TITLES), metavar="NAME", help=", ".join(TITLES)
    )
    add_data_options(parser, "uci/...", download="missing tables from UCI")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figures."""
    scale = _SCALES[args.scale or "small"]
    methods = [method for method in METHODS if method in (args.methods or METHODS)]
    absent = [method for method in methods if not is_installed(method)]
    methods = [method for method in methods if method not in absent]
    if not methods:
        raise SystemExit(report.absent_note(absent))
    wanted = args.tables or scale.tables
    tables, missing = find_tables(wanted, args.data_home, download=args.download)
    # Times are compared with those of methods that have no use for a GPU.
    device = "cpu" if args.device == "auto" else args.device
    out: Path = args.out

    tasks = plan(
        tables,
        methods,
        n_splits=args.seeds or scale.n_splits,
        budget=scale.budget,
        device=device,
        data_home=args.data_home,
    )
    run_table = RunTable(out / "peers.csv", _KEY)
    runs = run_table.complete(tasks, n_jobs=args.jobs, title="peers", extra=environment(device))
    results = report.collect(runs)
    conclusions, notes = conclude(results), report.notes(results, scale.budget)
    parts: list[Any] = [
        "![Error and log-loss against the time of the fit](peers.png)",
        "\n".join(f"- {sentence}" for sentence in conclusions),
    ]
    for heading, table in report.tables(results):
        print(f"\n{heading}\n\n{terminal_table(table)}")
        parts += [f"## {heading}", table]
    left_out = [report.absent_note(absent)] if absent else []
    for paragraph in (*conclusions, notes, *left_out):
        print(f"\n{textwrap.fill(paragraph, 100)}")
    if len(methods) > 1:
        parts += ["## Ranks", "![Mean ranks](peers_ranks.png)"]
        figures.plot_ranks(results.ranks, out / "peers_ranks.png")
    for heading, table in report.tables_by_table(results):
        parts += [f"## {heading}", table]
    parts += ["## How it was measured", notes, *left_out]
    if missing:
        parts.append(missing_tables_note(missing))
    parts.append(report.made_with(runs))
    write_markdown(out / "peers.md", "Against the best that one can install", *parts)
    figures.plot(results, out / "peers.png")
    ends = (".csv", ".md", ".png", *(("_ranks.png",) if len(methods) > 1 else ()))
    print(f"\nWritten: {', '.join(str(out / f'peers{end}') for end in ends)}")
