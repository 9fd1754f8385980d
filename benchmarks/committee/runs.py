"""The runs of committee: the variants on a split of a table, from networks trained once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import Table, as_categories, load_by_cost, load_table
from benchmarks._lab.runs import Keys, Task
from benchmarks._lab.scores import measure
from benchmarks.committee.library import Library
from benchmarks.committee.recipes import LIBRARY, VARIANTS
from sklearn_mixup import TabularMixupClassifier

KEY = ("table", "variant", "split")
_MEASURES = ("test_error", "log_loss", "brier", "ece", "n_unseen")


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run."""

    n_splits: int
    tables: tuple[str, ...]
    params: Mapping[str, Any]  # of the committees; what is not there is at its default


def fit_library(
    table: Table, split: int, names: list[str], params: Mapping[str, Any]
) -> tuple[Library, dict[str, float]]:
    """Train the networks of some settings, keys of `LIBRARY`; tell how long that takes."""
    train, _ = split_rows(table, split)
    committees = Library(random_state=split, n_jobs=1, **params)
    committees.library = {name: LIBRARY[name] for name in names}
    start, start_cpu = time.perf_counter(), time.process_time()
    committees.fit(as_categories(table).iloc[train], table.y[train])
    took = time.perf_counter() - start, time.process_time() - start_cpu
    return committees, dict(zip(("fit_time_s", "fit_cpu_s"), took, strict=True))


def run_together(
    name: str, split: int, runs: Keys, *, params: Mapping[str, Any], data_home: str | None
) -> list[dict[str, Any]]:
    """Train the networks that the ``variant`` of any of the runs needs, and measure each.

    ``n_epochs`` are those of all networks of a variant, chosen or not. ``fit_time_s`` and
    ``fit_cpu_s`` are a run's share of the time of all.
    """
    table = load_table(name, data_home)
    _, test = split_rows(table, split)
    X_test, y_test = as_categories(table).iloc[test], table.y[test]
    variants = [VARIANTS[run["variant"]] for run in runs]
    wanted = {setting for it in variants for setting in it.settings}
    # The recipe's are always there, in its order: how many networks "auto" is shows in them.
    names = [it for it in LIBRARY if it in {*wanted, *VARIANTS["reference"].settings}]
    full, took = fit_library(table, split, names, params)
    libraries = {False: full}
    if any(it.halves for it in variants):
        n_half = max(len(full.committees_[names[0]]) // 2, 1)
        halved = list(VARIANTS["halves"].settings)
        libraries[True], more = fit_library(
            table, split, halved, {**params, "n_estimators": n_half}
        )
        took = {key: took[key] + more[key] for key in took}
    share = {key: round(seconds / len(runs), 4) for key, seconds in took.items()}
    results = []
    for it in variants:
        library = libraries[it.halves]
        chosen = library.choose_among(
            it.settings, it.others, n_prior=it.n_prior, tempers=it.tempers
        )
        measured = measure(chosen.predict_proba(X_test), y_test, chosen.classes_, seed=split)
        results.append({name: measured[name] for name in _MEASURES} | tell(chosen) | share)
        results[-1] |= {"n_epochs": library.count_epochs(it.settings)}
        results[-1] |= {"n_train": len(table.y) - len(test), "n_test": len(test)}
    return results


def tell(chosen: TabularMixupClassifier) -> dict[str, Any]:
    """Tell the share of each setting and classifier, by its name, as JSON; the temperature."""
    names = [
        next(name for name, own in LIBRARY.items() if own == it)
        if isinstance(it, dict)
        else type(it).__name__
        for it in chosen.settings_
    ]
    shares = dict(zip(names, chosen.setting_weights_.round(4).tolist(), strict=True))
    return {"shares": json.dumps(shares), "temperature": round(chosen.temperature_, 4)}


def find_engine() -> str:
    """Name the engine that takes the least time of those that are here."""
    return "torch" if find_spec("numba") is None else "numba"


def list_tasks(
    scale: Scale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs, split by split: a run that is killed leaves whole splits."""
    params = {"engine": find_engine(), **scale.params, "device": device}
    defaults = TabularMixupClassifier().get_params()
    told = {name: defaults[name] for name in ("n_estimators", "max_epochs")} | params
    settings = {**versions, **told, "test_share": TEST_SHARE}
    return [
        Task(
            dict(zip(KEY, (table.name, variant.name, split), strict=True)),
            {**settings, "source": table.source, **variant.describe()},
            partial(run_together, table.name, split, params=params, data_home=data_home),
            group=f"{table.name} {split}",
        )
        for split in range(scale.n_splits)
        for table in load_by_cost(scale.tables, data_home)
        for variant in VARIANTS.values()
    ]
