"""The runs with corrupted labels: on pictures, or many nets of a table together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._data.pictures import PictureSet
from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import TITLES, load_table, make_preprocessor
from benchmarks._lab.pictures import CHANNELS_LAST, USUAL_PACE, Pace
from benchmarks._lab.runs import Task
from benchmarks._lab.stacks import SPLITS_AT_ONCE
from benchmarks._nets.pictures import DESIGNS, count_errors, name_network
from benchmarks._nets.recipes import CIFAR_RECIPES
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier, summarise
from benchmarks.corrupted.recipes import TABLES_RECIPE, Grid, Method
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.robustness import corrupt_labels

KEY = ("data", "network", "fraction", "method", "alpha", "dropout", "max_epochs", "seed")
FAMILY = "preact_resnet18"


@dataclass(frozen=True)
class PictureScale:
    """How much is run on pictures; `n_rows` None is all, `max_epochs` None the paper's.

    `n_seeds` are the repeats at each fraction of replaced labels.
    """

    data: str
    n_rows: int | None
    width: int
    max_epochs: int | None
    augment: bool
    grid: Grid
    n_seeds: Mapping[float, int]
    pace: Pace = USUAL_PACE


@dataclass(frozen=True)
class TableScale:
    """How much is run on tables; `n_rows` are those to train on."""

    tables: tuple[str, ...]
    n_rows: int
    max_epochs: int
    grid: Grid
    n_splits: int


# -- runs -----------------------------------------------------------------------------------------


def training_errors(
    classifier: Any, X: Any, y: Tensor, replaced: np.ndarray
) -> dict[str, float | int]:
    """Measure the errors on the rows whose labels were kept, and on those with replaced labels.

    Of a fitted net, on the rows `X` that it was trained on, not augmented, against the labels `y`
    that it was trained with; `replaced` tells which were replaced, some true and some false.
    """
    logits = classifier.forward(X)
    y, told = y.to(logits.device), torch.as_tensor(replaced, device=logits.device)
    return {
        "real_error": count_errors(logits[~told], y[~told]),
        "corrupted_error": count_errors(logits[told], y[told]),
        "n_replaced": int(replaced.sum()),
    }


def tell_results(
    classifier: Any,
    results: Mapping[str, Any],
    X: Any,
    y: Tensor,
    replaced: np.ndarray,
    n_test: int,
) -> dict[str, Any]:
    """Add the best test error and the training errors to what `summarise` gives."""
    return {
        **results,
        "best_test_error": min(classifier.history[:, "test_error"]),
        **training_errors(classifier, X, y, replaced),
        "n_classes": len(classifier.classes_),
        "n_train": len(replaced),
        "n_test": n_test,
    }


def run_pictures(
    scale: PictureScale,
    pictures: PictureSet,
    key: Mapping[str, Any],
    *,
    device: str,
    checkpoints: Path,
) -> dict[str, Any]:
    """Train one network on pictures with corrupted labels; the seed draws these labels too."""
    loaded = pictures.load(device)
    X, y = loaded.train
    y, replaced = corrupt_labels(y, key["fraction"], random_state=key["seed"])
    sizes = {"width": scale.width, "dropout": key["dropout"], "channels_last": CHANNELS_LAST}
    classifier = make_classifier(
        CIFAR_RECIPES[FAMILY].shortened(scale.max_epochs),
        FAMILY,
        n_train=len(X),
        n_classes=pictures.n_classes,
        alpha=key["alpha"],
        seed=key["seed"],
        device=device,
        sizes=sizes,
        callbacks=[("test_errors", TestErrors(*loaded.test))],
        precision=scale.pace.precision,
        **(loaded.params if scale.augment else {}),
    )
    every = scale.pace.every_n_epochs(classifier.max_epochs)
    results = fit_resumable(classifier, X, y, checkpoints, every_n_epochs=every)
    told = tell_results(classifier, results, X, y, replaced, pictures.n_test)
    return {"data_name": pictures.title, **told, **scale.pace.settings}


def run_tables(
    keys: Sequence[Mapping[str, Any]], *, n_rows: int, device: str, data_home: str | None
) -> list[dict[str, Any]]:
    """Train all nets of one table and fraction together; a split draws corrupted labels too."""
    table = load_table(keys[0]["data"], data_home)
    codes = np.unique(table.y, return_inverse=True)[1]
    train, watchers = {}, {}
    for split in {key["seed"] for key in keys}:
        rows, test = split_rows(table, split)
        rows = rows[:n_rows]
        preprocessor = make_preprocessor(table, "standardised").fit(table.X.iloc[rows])
        X, X_test = (
            preprocessor.transform(table.X.iloc[part]).astype(np.float32) for part in (rows, test)
        )
        y, replaced = corrupt_labels(codes[rows], keys[0]["fraction"], random_state=split)
        train[split] = X, y, replaced
        watchers[split] = TestErrors(X_test, torch.from_numpy(codes[test]))
    classifiers = [
        MixupClassifier(
            alpha=key["alpha"],
            dropout=key["dropout"] or None,
            max_epochs=key["max_epochs"],
            random_state=key["seed"],
            device=device,
            **TABLES_RECIPE,
        )
        for key in keys
    ]
    Xs, ys, _ = zip(*(train[key["seed"]] for key in keys), strict=True)

    def watch(net: Any) -> None:
        watchers[net.random_state].on_epoch_end(net)

    fit_fused(classifiers, Xs, ys, n_jobs=1, on_epoch_end=watch)
    told = []
    for key, classifier in zip(keys, classifiers, strict=True):
        X, y, replaced = train[key["seed"]]
        n_test = len(watchers[key["seed"]].y)
        results = summarise(classifier.history)
        results = tell_results(classifier, results, X, torch.from_numpy(y), replaced, n_test)
        told.append({"data_name": TITLES[keys[0]["data"]], **results})
    return told


# -- plans ----------------------------------------------------------------------------------------


def list_pictures(
    scale: PictureScale, pictures: PictureSet, *, versions: Mapping[str, str], device: str
) -> list[Task]:
    """List the runs on pictures, seed by seed, so that a kill leaves whole comparisons.

    Their work lacks ``checkpoints``, see `with_checkpoints`.
    """
    recipe = CIFAR_RECIPES[FAMILY].shortened(scale.max_epochs)
    network = name_network(FAMILY, {"width": scale.width})
    settings = {
        **versions,
        "augment": scale.augment,
        "channels_last": CHANNELS_LAST,
        "data_name": pictures.title,
        **DESIGNS[FAMILY],
        **scale.pace.settings,
    }
    keys = [
        _key(scale.data, network, fraction, method, recipe.max_epochs, seed)
        for seed in range(max(scale.n_seeds.values()))
        for fraction, n_seeds in scale.n_seeds.items()
        if seed < n_seeds
        for method in scale.grid.methods()
    ]
    return [
        Task(
            key,
            {**settings, "recipe": replace(recipe, alpha=key["alpha"]).describe()},
            partial(run_pictures, scale, pictures, key, device=device),
        )
        for key in keys
    ]


def list_tables(
    scale: TableScale,
    fractions: Sequence[float],
    *,
    versions: Mapping[str, str],
    data_home: str | None,
    device: str,
) -> list[Task]:
    """List the runs on tables, those that are trained together in a row."""
    network = f"MLP {' x '.join(map(str, TABLES_RECIPE['module__hidden_sizes']))}"
    common = {**versions, **TABLES_RECIPE, "n_rows": scale.n_rows, "test_share": TEST_SHARE}
    work = partial(run_tables, n_rows=scale.n_rows, device=device, data_home=data_home)
    return [
        Task(
            _key(name, network, fraction, method, scale.max_epochs, split),
            {**common, "source": load_table(name, data_home).source},
            work,
            group=f"{name} {fraction} {split // SPLITS_AT_ONCE}",
        )
        for name in scale.tables
        for fraction in fractions
        for split in range(scale.n_splits)
        for method in scale.grid.methods()
    ]


def _key(
    data: str, network: str, fraction: float, method: Method, max_epochs: int, seed: int
) -> dict[str, Any]:
    """Tell a run from all others, by `KEY`."""
    return dict(zip(KEY, (data, network, fraction, *method, max_epochs, seed), strict=True))
