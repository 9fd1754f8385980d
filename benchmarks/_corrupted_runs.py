"""A run with corrupted labels: on pictures, or many nets of a table together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._data.pictures import load_pictures
from benchmarks._data.splits import split_rows
from benchmarks._data.tables import TITLES, load_table, make_preprocessor
from benchmarks._nets import recipes as picture_recipes
from benchmarks._nets.pictures import count_errors
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier, summarise
from benchmarks.corrupted_recipes import TABLES_RECIPE, Grid, Method
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.robustness import corrupt_labels

FAMILY = "preact_resnet18"
CHANNELS_LAST = True  # faster on a CPU, see `make_network`


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

    Parameters
    ----------
    classifier : fitted net
        Its ``forward`` gives logits, in evaluation mode.
    X : array-like of shape (n_rows, ...)
        The rows that it was trained on, not augmented.
    y : LongTensor of shape (n_rows,)
        The labels that it was trained with, as numbers of classes.
    replaced : ndarray of shape (n_rows,), bool
        Which of them were replaced, some true and some false.

    Returns
    -------
    dict
        ``real_error`` and ``corrupted_error``, shares in [0, 1], and ``n_replaced``.
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
    recipe: picture_recipes.PictureRecipe,
    fraction: float,
    method: Method,
    seed: int,
    *,
    device: str,
    data_home: str | None,
    whole: bool,
    checkpoints: Path,
) -> dict[str, Any]:
    """Train one network on pictures with corrupted labels; `seed` draws these labels too."""
    pictures = load_pictures(scale.data, data_home, whole)
    X = pictures.X_train[: scale.n_rows]
    y, replaced = corrupt_labels(pictures.y_train[: scale.n_rows], fraction, random_state=seed)
    classifier = make_classifier(
        recipe,
        FAMILY,
        n_train=len(X),
        n_classes=pictures.n_classes,
        alpha=method.alpha,
        seed=seed,
        device=device,
        sizes={"width": scale.width, "dropout": method.dropout, "channels_last": CHANNELS_LAST},
        callbacks=[("test_errors", TestErrors(pictures.X_test.to(device), pictures.y_test))],
        **({"iterator_train__augment": pictures.augment} if scale.augment else {}),
    )
    results = fit_resumable(classifier, X, y, checkpoints)
    told = tell_results(classifier, results, X, y, replaced, len(pictures.X_test))
    return {"data_name": name_pictures(pictures.name, scale), **told}


def run_tables(
    name: str,
    fraction: float,
    n_rows: int,
    max_epochs: int,
    runs: Sequence[Mapping[str, Any]],
    *,
    device: str,
    data_home: str | None,
) -> list[dict[str, Any]]:
    """Train all nets of one table and fraction together; a split draws corrupted labels too."""
    table = load_table(name, data_home)
    codes = np.unique(table.y, return_inverse=True)[1]
    train, watchers = {}, {}
    for split in {run["seed"] for run in runs}:
        rows, test = split_rows(table, split)
        rows = rows[:n_rows]
        preprocessor = make_preprocessor(table, "standardised").fit(table.X.iloc[rows])
        X, X_test = (
            preprocessor.transform(table.X.iloc[part]).astype(np.float32) for part in (rows, test)
        )
        y, replaced = corrupt_labels(codes[rows], fraction, random_state=split)
        train[split] = X, y, replaced
        watchers[split] = TestErrors(X_test, torch.from_numpy(codes[test]))
    classifiers = [
        MixupClassifier(
            alpha=run["alpha"],
            dropout=run["dropout"] or None,
            max_epochs=max_epochs,
            random_state=run["seed"],
            device=device,
            **TABLES_RECIPE,
        )
        for run in runs
    ]
    Xs, ys, _ = zip(*(train[run["seed"]] for run in runs), strict=True)
    fit_fused(
        classifiers,
        Xs,
        ys,
        n_jobs=1,
        on_epoch_end=lambda net: watchers[net.random_state].on_epoch_end(net),
    )
    told = []
    for run, classifier in zip(runs, classifiers, strict=True):
        X, y, replaced = train[run["seed"]]
        n_test = len(watchers[run["seed"]].y)
        results = summarise(classifier.history)
        results = tell_results(classifier, results, X, torch.from_numpy(y), replaced, n_test)
        told.append({"data_name": TITLES[name], **results})
    return told


def name_pictures(name: str, scale: PictureScale) -> str:
    """Tell whose the results are: those for a part are none for the whole."""
    return name if scale.n_rows is None else f"{name}; the first {scale.n_rows:,} to train on"
