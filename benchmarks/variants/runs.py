"""The runs of variants: the nets of a change of the recipe on splits of a table."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.preprocessing import QuantileTransformer

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import Table, load_by_cost, load_table, make_preprocessor
from benchmarks._lab.runs import Keys, Task
from benchmarks._lab.scores import measure
from benchmarks._lab.stacks import SPLITS_AT_ONCE
from benchmarks._nets.tables import describe_defaults
from benchmarks.variants.nets import QuantileMLP
from benchmarks.variants.recipes import VARIANTS, Variant, set_next_alpha
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.modules import MLP

KEY = ("table", "variant", "max_epochs", "split")
_MEASURES = ("test_error", "log_loss", "brier", "ece", "n_unseen")
# Splits of the tables that take long, at a small scale. Of these, splits are trained one by one:
# the nets of one are enough to fuse, and those of Arcene take 20 MB each.
FEW_SPLITS = {"arcene": 4, "htru2": 3, "phishing_websites": 3}
_SEED_STEP = 100  # net `i` of an ensemble has the seed of its split and `i` times this


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    few_splits: Mapping[str, int]
    max_epochs: int
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The rows of a split as a net gets them, and what turns its quantiles back."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    back: Mapping[str, Any]


Team = list[tuple[MixupClassifier, np.ndarray | None]]  # nets, and how often each counts each row


def prepare(table: Table, split: int, numbers: str) -> Rows:
    """Standardise a split; with quantiles, make them of the numeric columns."""
    train, test = split_rows(table, split)
    preprocessor = make_preprocessor(table, "standardised")
    X = preprocessor.fit_transform(table.X.iloc[train])
    X_test = preprocessor.transform(table.X.iloc[test])
    blocks = preprocessor.output_indices_
    names = [name for name in ("numbers", "incomplete_numbers") if name in blocks]
    columns = [column for name in names for column in range(X.shape[1])[blocks[name]]]
    back = {}
    if numbers == "quantiles" and columns:
        transformer = QuantileTransformer(
            n_quantiles=min(1000, len(train)), output_distribution="normal", random_state=split
        )
        X[:, columns] = transformer.fit_transform(X[:, columns])
        X_test[:, columns] = transformer.transform(X_test[:, columns])
        back = {"columns": columns, "quantiles": transformer.quantiles_}
    return Rows(X, table.y[train], X_test, table.y[test], back)


def make_nets(variant: Variant, rows: Rows, *, max_epochs: int, seed: int, device: str) -> Team:
    """Make the nets of a variant, each with how often it counts each row (None: once)."""
    params: dict[str, Any] = {"device": device, **variant.params}
    params["max_epochs"] = max(max_epochs // variant.divisor, 1)
    if "erm_epochs" in params:
        params["erm_epochs"] = round(params["erm_epochs"] * max_epochs)
    if variant.alphas is not None:
        params["alpha"] = float(variant.alphas(max_epochs)[0])
    if variant.sees_values and rows.back:
        params["module"] = QuantileMLP
        params |= {f"module__{name}": value for name, value in rows.back.items()}
    if variant.bootstrap:
        params["classes"] = np.unique(rows.y).tolist()  # some may not be drawn
    nets = []
    n_rows = len(rows.y)
    for net_seed in range(seed, seed + _SEED_STEP * variant.n_nets, _SEED_STEP):
        counts = None
        if variant.bootstrap:
            drawn = np.random.default_rng(net_seed).integers(n_rows, size=n_rows)
            counts = np.bincount(drawn, minlength=n_rows)
        nets.append((MixupClassifier(random_state=net_seed, **params), counts))
    return nets


def run_together(
    name: str, max_epochs: int, runs: Keys, *, device: str, data_home: str | None
) -> list[dict[str, Any]]:
    """Train the nets for ``variant`` and ``split`` of each run, and measure each run.

    ``fit_time_s`` is a run's share of the time of all.
    """
    table = load_table(name, data_home)
    start = time.perf_counter()
    rows_of = functools.cache(partial(prepare, table))
    variants = [VARIANTS[run["variant"]] for run in runs]
    splits = [run["split"] for run in runs]
    data = [rows_of(split, it.numbers) for split, it in zip(splits, variants, strict=True)]
    teams = [
        make_nets(variant, rows, max_epochs=max_epochs, seed=split, device=device)
        for variant, rows, split in zip(variants, data, splits, strict=True)
    ]
    fit_teams(variants, data, teams, max_epochs=max_epochs)
    fit_time_s = round((time.perf_counter() - start) / len(runs), 4)
    results = []
    for split, rows, team in zip(splits, data, teams, strict=True):
        probabilities = np.mean([net.predict_proba(rows.X_test) for net, _ in team], axis=0)
        measured = measure(probabilities, rows.y_test, team[0][0].classes_, seed=split)
        sizes = {"n_train": len(rows.y), "n_test": len(rows.y_test)}
        chosen = {name: measured[name] for name in _MEASURES}
        results.append({**chosen, "fit_time_s": fit_time_s, **sizes})
    return results


def fit_teams(
    variants: Sequence[Variant], data: Sequence[Rows], teams: Sequence[Team], *, max_epochs: int
) -> None:
    """Fit all nets of all runs, together those that can be."""
    jobs, schedules = [], {}
    for variant, rows, team in zip(variants, data, teams, strict=True):
        for net, counts in team:
            if variant.alphas is not None:
                schedules[id(net)] = variant.alphas(max_epochs)
            if net.module is MLP:
                jobs.append((net, rows.X, rows.y, counts))
            else:
                net.fit(rows.X, rows.y, sample_weight=counts)

    def look(net: MixupClassifier) -> None:
        if id(net) in schedules:
            set_next_alpha(net, schedules[id(net)])

    if jobs:
        nets, Xs, ys, counts = zip(*jobs, strict=True)
        on_epoch_end = look if schedules else None
        fit_fused(nets, Xs, ys, sample_weights=counts, n_jobs=1, on_epoch_end=on_epoch_end)


def _group(table: Table, variant: Variant, split: int) -> str:
    """Name the runs that are trained together: single nets of a few splits, ensembles by kind."""
    nets = "single" if variant.is_fused and variant.n_nets == 1 else variant.name
    return f"{table.name} {nets} {split // (1 if table.name in FEW_SPLITS else SPLITS_AT_ONCE)}"


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs, those that are trained together in a row."""
    recipe = describe_defaults("module", "optimizer", "lr", "batch_size", "alpha")
    settings = {**versions, **recipe, "test_share": TEST_SHARE}
    max_epochs = scale.max_epochs
    return [
        Task(
            dict(zip(KEY, (table.name, variant.name, max_epochs, split), strict=True)),
            {**settings, "source": table.source, **variant.describe(max_epochs)},
            partial(run_together, table.name, max_epochs, device=device, data_home=data_home),
            group=_group(table, variant, split),
        )
        for table in load_by_cost(scale.tables, data_home)
        for split in range(scale.few_splits.get(table.name, scale.n_splits))
        for variant in VARIANTS.values()
    ]
