"""Calibration of ERM and mixup, over alpha: not in [1]. Beside [2], on tables instead of pictures.

A classifier is calibrated if, of the predictions with a confidence of 0.8, 80 % are right. [2]
found networks trained with mixup on pictures and texts to be better calibrated than those trained
without. Here: the UCI tables of the mixup paper and three that come with scikit-learn, standardised
features, random splits as in the benchmark tabular, and `MixupClassifier` with its defaults.

- ECE: expected calibration error of the predicted class, 15 bins of equal width [3]. A small test
  set makes it larger, so what calibrated networks would be measured to have stands beside it.
- Overconfidence: mean confidence less accuracy; below 0 a network is right more often than it says.
- Log-loss and Brier score, which good probabilities lower, and the test error.
- Reliability curves: accuracy over confidence, the test rows of all splits taken together.

Networks of a split differ in alpha alone, and are compared with ERM split by split. All of five
splits are trained together (`fit_fused`): without dropout each ends as it would alone.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Thulasidasan et al., "On Mixup Training: Improved Calibration and Predictive Uncertainty for
    Deep Neural Networks", NeurIPS 2019.
[3] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _calibration_report as report
from benchmarks._calibration_measures import N_BINS, measure
from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import (
    TITLES,
    find_tables,
    load_by_cost,
    load_table,
    missing_tables_note,
)
from benchmarks._options import add_alphas, add_data_options
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from benchmarks._tabular_report import versions_used
from benchmarks.tabular import SPLITS_AT_ONCE, fit_together
from sklearn_mixup import MixupClassifier

_KEY = ("table", "method", "alpha", "max_epochs", "split")
_ALPHAS = (0.0, 0.1, 0.2, 0.4, 1.0)
_FEATURES = "standardised"
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(MixupClassifier).parameters.items()
}


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run."""

    n_splits: int
    max_epochs: int
    alphas: tuple[float, ...]
    tables: tuple[str, ...]


_SCALES = {
    "smoke": _Scale(2, 4, (0.0, 0.2), ("iris", "digits")),
    "small": _Scale(20, _DEFAULTS["max_epochs"], _ALPHAS, tuple(TITLES)),
    "paper": _Scale(50, _DEFAULTS["max_epochs"], _ALPHAS, tuple(TITLES)),
}


# -- runs -----------------------------------------------------------------------------------------


def run_together(
    name: str,
    max_epochs: int,
    runs: Sequence[Mapping[str, Any]],
    *,
    device: str,
    data_home: str | None,
) -> list[dict[str, Any]]:
    """Train a net for ``alpha`` and ``split`` of each run, all together, and measure each.

    The split is the seed, whatever alpha. ``fit_time_s`` is a net's share of the time of all.
    """
    table = load_table(name, data_home)
    splits = [run["split"] for run in runs]
    classifiers = [
        MixupClassifier(
            alpha=run["alpha"], max_epochs=max_epochs, random_state=run["split"], device=device
        )
        for run in runs
    ]
    estimators, fit_time_s = fit_together(table, _FEATURES, splits, classifiers)
    results = []
    for split, estimator in zip(splits, estimators, strict=True):
        train, test = split_rows(table, split)
        probabilities = estimator.predict_proba(table.X.iloc[test])
        measured = measure(probabilities, table.y[test], estimator.classes_, seed=split)
        sizes = {"n_train": len(train), "n_test": len(test)}
        results.append({**measured, "fit_time_s": round(fit_time_s, 4), **sizes})
    return results


def plan(
    names: Sequence[str],
    *,
    n_splits: int,
    max_epochs: int,
    alphas: Sequence[float],
    device: str,
    data_home: str | None,
) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    told = ("module", "optimizer", "lr", "batch_size")
    recipe = {name: getattr(_DEFAULTS[name], "__name__", _DEFAULTS[name]) for name in told}
    settings = {
        **environment(device),
        **recipe,
        "features": _FEATURES,
        "test_share": TEST_SHARE,
        "n_bins": N_BINS,
    }
    return [
        Task(
            {
                "table": table.name,
                "method": "mixup" if alpha else "ERM",
                "alpha": alpha,
                "max_epochs": max_epochs,
                "split": split,
            },
            {**settings, "source": table.source},
            partial(run_together, table.name, max_epochs, device=device, data_home=data_home),
            group=f"{table.name} {split // SPLITS_AT_ONCE}",
        )
        for table in load_by_cost(names, data_home)
        for split in range(n_splits)
        for alpha in alphas
    ]


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="epochs to train; default those of MixupClassifier"
    )
    add_alphas(parser, told="; by scale")
    parser.add_argument(
        "--tables", nargs="+", choices=list(TITLES), metavar="NAME", help=", ".join(TITLES)
    )
    add_data_options(parser, "uci/...", download="missing tables from UCI")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale = _SCALES[args.scale or "small"]
    wanted = args.tables or scale.tables
    tables, missing = find_tables(wanted, args.data_home, download=args.download)
    alphas = sorted({0.0, *(args.alphas or scale.alphas)})
    if alphas == [0.0]:
        raise SystemExit("--alphas must have a number > 0, to set beside 0 (ERM); got 0 alone.")
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    out: Path = args.out

    tasks = plan(
        tables,
        n_splits=args.seeds or scale.n_splits,
        max_epochs=args.epochs or scale.max_epochs,
        alphas=alphas,
        device=device,
        data_home=args.data_home,
    )
    run_table = RunTable(out / "calibration.csv", _KEY)
    runs = run_table.complete(
        tasks, n_jobs=args.jobs, title="calibration", extra=environment(device)
    )
    comparison = report.compare(runs)
    conclusions = report.conclude(comparison)
    notes = report.notes(runs)
    parts: list[Any] = [
        notes,
        "![Calibration of ERM and mixup](calibration.png)",
        "\n".join(f"- {sentence}" for sentence in conclusions),
    ]
    for heading, table in report.tables(comparison):
        print(f"\n{heading}\n\n{terminal_table(table)}")
        parts += [f"## {heading}", table]
    for paragraph in (notes, *conclusions):
        print(f"\n{textwrap.fill(paragraph, 100)}")
    if missing:
        parts.append(missing_tables_note(missing))
    parts.append(f"Made with {versions_used(runs)} {len(runs)} runs.")
    write_markdown(out / "calibration.md", "Calibration of ERM and mixup on tables", *parts)
    report.plot(runs, comparison, out / "calibration.png")
    names = (str(out / f"calibration.{ext}") for ext in ("csv", "md", "png"))
    print(f"\nWritten: {', '.join(names)}")
