"""The runs of vicinities: nets on tables, those of some splits together, and on pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from benchmarks._data.pictures import PictureSet
from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import Table, load_by_cost
from benchmarks._lab.pictures import USUAL_PACE, Pace, Training
from benchmarks._lab.pictures import list_tasks as list_trainings
from benchmarks._lab.runs import Task
from benchmarks._lab.scores import measure
from benchmarks._lab.stacks import SPLITS_AT_ONCE, run_nets
from benchmarks._nets.recipes import CIFAR_RECIPES
from benchmarks._nets.tables import describe_defaults
from benchmarks.vicinities.recipes import ON_PICTURES, ON_TABLES

# -- tables ---------------------------------------------------------------------------------------

KEY = ("table", "variant", "split")
FEATURES = "standardised"
_MEASURES = ("test_error", "log_loss", "brier", "n_unseen")
_NETWORK = "preact_resnet18"
# Splits of the tables that take long, at a small scale; of Arcene, whose nets take 20 MB each, one
# at a time.
FEW_SPLITS = {"arcene": 3, "htru2": 3, "phishing_websites": 3}


@dataclass(frozen=True)
class TableScale:
    """How much is run on tables; `plane_epochs` are those of the nets that are drawn."""

    n_splits: int
    few_splits: Mapping[str, int]
    tables: tuple[str, ...]
    plane_epochs: int


def score(estimator: Any, X: pd.DataFrame, y: Any, split: int) -> dict[str, Any]:
    """Measure the probabilities of a fitted estimator on the test rows of a split."""
    measured = measure(estimator.predict_proba(X), y, estimator.classes_, seed=split)
    return {name: measured[name] for name in _MEASURES}


def params_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the parameters of the net of a run."""
    return dict(ON_TABLES[run["variant"]].params)


def list_tables(
    scale: TableScale, *, device: str, versions: Mapping[str, str], data_home: str | None
) -> list[Task]:
    """List the runs on tables, those that are trained together in a row."""
    recipe = describe_defaults("module", "optimizer", "lr", "batch_size", "alpha", "max_epochs")
    settings = {**versions, **recipe, "features": FEATURES, "test_share": TEST_SHARE}

    def make_task(table: Table, split: int, name: str) -> Task:
        at_once = 1 if table.name == "arcene" else SPLITS_AT_ONCE
        where: dict[str, Any] = {"data_home": data_home, "device": device}
        return Task(
            dict(zip(KEY, (table.name, name, split), strict=True)),
            {**settings, "params": params_of({"variant": name}), "source": table.source},
            partial(run_nets, score, table.name, FEATURES, own=params_of, **where),
            group=f"{table.name} {split // at_once}",
        )

    return [
        make_task(table, split, name)
        for table in load_by_cost(scale.tables, data_home)
        for split in range(scale.few_splits.get(table.name, scale.n_splits))
        for name in ON_TABLES
    ]


# -- pictures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PictureScale:
    """How much is run on pictures; `max_epochs` None is the paper's."""

    n_seeds: int
    data: str
    width: int
    max_epochs: int | None
    n_rows: int | None = None  # to train on; None is all
    pace: Pace = USUAL_PACE


def list_pictures(
    scale: PictureScale, pictures: PictureSet, *, device: str, versions: Mapping[str, str]
) -> list[Task]:
    """List the runs on pictures, all vicinities of a seed in a row."""
    recipe = CIFAR_RECIPES[_NETWORK].shortened(scale.max_epochs)
    sizes = {"width": scale.width}
    training = Training(pictures, _NETWORK, recipe, sizes, {"sizes": sizes}, scale.pace)
    where: dict[str, Any] = {"n_seeds": scale.n_seeds, "device": device, "versions": versions}
    tasks = []
    for vicinity in ON_PICTURES.values():
        params = dict(vicinity.params)
        alpha = params.pop("alpha", recipe.alpha)
        own = replace(training, method=vicinity.title, params=params)
        tasks += list_trainings([own], alphas=[alpha], **where)
    return sorted(tasks, key=lambda task: task.key["seed"])
