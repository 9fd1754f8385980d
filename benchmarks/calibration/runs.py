"""The runs of calibration: nets on tables, and scores of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_by_cost, load_table
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import N_BINS, measure
from benchmarks._lab.stacks import SPLITS_AT_ONCE, fit_together
from benchmarks._nets.tables import describe_defaults
from sklearn_mixup import MixupClassifier

KEY = ("table", "method", "alpha", "max_epochs", "split")
_FEATURES = "standardised"


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    max_epochs: int
    alphas: tuple[float, ...]
    tables: tuple[str, ...]


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


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    settings = {
        **versions,
        **describe_defaults("module", "optimizer", "lr", "batch_size"),
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
                "max_epochs": scale.max_epochs,
                "split": split,
            },
            {**settings, "source": table.source},
            partial(run_together, table.name, scale.max_epochs, device=device, data_home=data_home),
            group=f"{table.name} {split // SPLITS_AT_ONCE}",
        )
        for table in load_by_cost(scale.tables, data_home)
        for split in range(scale.n_splits)
        for alpha in scale.alphas
    ]
