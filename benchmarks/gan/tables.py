"""Do samples of a GAN help a classifier of a small table? Not in [1]: Section 3.8 on real tables.

A GAN for each class learns from the few rows that a classifier is trained on, and doubles them.
Beside it stand the real rows alone and two controls that cost nothing: each row once more, as it
is, or moved by noise. What a GAN does not do better than these is no merit of its samples.

References
----------
.. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks._data.tables import TITLES, Table, load_table, make_preprocessor
from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.runs import Task
from benchmarks.gan import runs
from benchmarks.gan.runs import fit, make_key, name_gan
from benchmarks.gan.scale import Scale
from sklearn_mixup import MixupGAN

CLASSIFIERS = {"logistic": "logistic regression", "forest": "random forest"}
CONTROLS = {"real": "real rows alone", "repeat": "rows repeated", "jitter": "rows with noise"}
N_LEAST = 5  # Rows that a class must have for more of its kind to be made.
JITTER = 0.3  # Standard deviation of the noise, in standard deviations of a column.
# Networks as small as the classes.
SETTINGS: Mapping[str, Any] = {
    "latent_dim": 8,
    **runs.SETTINGS,
    "generator__hidden_sizes": (128, 128),
    "generator__gain": math.sqrt(1 / 3),
    "generator__n_cuts": 0,
    "discriminator__hidden_sizes": (128, 128),
}


# -- data -----------------------------------------------------------------------------------------


def split_rows(table: Table, seed: int, n_train: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a few rows to train on, stratified by class; the rest is to test on."""
    train, test = train_test_split(
        np.arange(len(table.y)), train_size=n_train, random_state=seed, stratify=table.y
    )
    return train, test


def nominal_blocks(preprocessor: ColumnTransformer) -> list[slice]:
    """Find the columns of zeros and a one that a fitted preprocessor made of each nominal one."""
    blocks = []
    for name, where in preprocessor.output_indices_.items():
        encoder = preprocessor.named_transformers_.get(name)
        if isinstance(encoder, Pipeline):
            encoder = encoder[-1]
        if isinstance(encoder, OneHotEncoder):
            start = where.start
            for categories in encoder.categories_:
                blocks.append(slice(start, start + len(categories)))
                start += len(categories)
    return blocks


def snap(rows: np.ndarray, blocks: Sequence[slice]) -> np.ndarray:
    """Make nominal columns nominal again: the largest of a block becomes 1, the others 0.

    Examples
    --------
    >>> snap(np.array([[0.3, 0.6, -2.5]]), [slice(0, 2)])
    array([[ 0. ,  1. , -2.5]])
    """
    rows = rows.copy()
    for block in blocks:
        rows[:, block] = np.eye(block.stop - block.start)[rows[:, block].argmax(axis=1)]
    return rows


# -- more rows of a class -------------------------------------------------------------------------


# ``make_rows(rows, number)``: as many rows of a class; `number` counts the classes, for seeds.
_Maker = Callable[[np.ndarray, int], np.ndarray]


def augment(X: np.ndarray, y: np.ndarray, make_rows: _Maker) -> tuple[np.ndarray, np.ndarray]:
    """Make as many new rows of each class as there are, where there are at least `N_LEAST`.

    Returns the new rows alone, class by class, and their labels.
    """
    new_rows, new_labels = [X[:0]], [y[:0]]
    for number, label in enumerate(np.unique(y)):
        rows = X[y == label]
        if len(rows) >= N_LEAST:
            new_rows.append(make_rows(rows, number))
            new_labels.append(np.full(len(rows), label))
    return np.concatenate(new_rows), np.concatenate(new_labels)


def repeat_rows(rows: np.ndarray, number: int) -> np.ndarray:
    """Take the rows once more, as they are."""
    return rows.copy()


def jitter_rows(rows: np.ndarray, number: int, *, seed: int) -> np.ndarray:
    """Take the rows once more and move each number by Gaussian noise."""
    rng = np.random.default_rng([seed, number])
    return rows + JITTER * rng.standard_normal(rows.shape)


def sample_rows(
    rows: np.ndarray, number: int, *, alpha: float, seed: int, max_iter: int, device: str
) -> np.ndarray:
    """Train a GAN on the rows of a class and draw as many; repeat them where that cannot be."""
    if (rows == rows[0]).all():  # nothing to learn
        return rows.copy()
    settings = {**SETTINGS, "max_iter": max_iter, "device": device}
    gan = MixupGAN(alpha=alpha, encode=False, random_state=1000 * seed + number, **settings)
    fit(gan, rows.astype(np.float32))
    return gan.sample(len(rows), random_state=seed) if gan.initialized_ else rows.copy()


def make_classifiers(seed: int, n_trees: int) -> dict[str, Any]:
    """Make the classifiers that the rows are for; keys are those of `CLASSIFIERS`."""
    return {
        "logistic": LogisticRegression(max_iter=5_000),
        "forest": RandomForestClassifier(n_estimators=n_trees, random_state=seed),
    }


def name_rows(method: str, alpha: float) -> str:
    """Name what is trained on for readers."""
    return CONTROLS.get(method) or name_gan(alpha)


# -- runs -----------------------------------------------------------------------------------------


def run_tables(
    name: str,
    method: str,
    alpha: float,
    seed: int,
    *,
    scale: Scale,
    device: str,
    data_home: str | None,
) -> dict[str, Any]:
    """Train classifiers on a few rows of a table and on what a method adds to them.

    The method adds nothing (``"real"``), the rows again (``"repeat"``), moved by noise
    (``"jitter"``), or samples of a GAN of that alpha (``"ERM"``, ``"mixup"``). The seed governs
    split, networks and forest, whatever the method.

    Returns shares in [0, 1]: ``logistic_error``, ``forest_error`` on the other rows, and
    ``logistic_alone``, ``forest_alone`` where the new rows stand in the place of the real ones
    (classes of which none were made keep theirs).
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, seed, scale.n_train)
    preprocessor = make_preprocessor(table, "standardised").fit(table.X.iloc[train])
    X, X_test = (preprocessor.transform(table.X.iloc[rows]) for rows in (train, test))
    y, y_test = table.y[train], table.y[test]
    results: dict[str, Any] = {"n_train": len(train), "n_test": len(test)}

    start = time.perf_counter()
    X_new, y_new = X[:0], y[:0]
    if method != "real":
        makers: dict[str, _Maker] = {
            "repeat": repeat_rows,
            "jitter": partial(jitter_rows, seed=seed),
        }
        sample = partial(
            sample_rows, alpha=alpha, seed=seed, max_iter=scale.tables_iter, device=device
        )
        X_new, y_new = augment(X, y, makers.get(method, sample))
        X_new = snap(X_new, nominal_blocks(preprocessor))
    results |= {"fit_time_s": round(time.perf_counter() - start, 3), "n_new": len(y_new)}

    is_kept = ~np.isin(y, y_new)
    sets = {
        "error": (np.concatenate([X, X_new]), np.concatenate([y, y_new])),
        "alone": (np.concatenate([X[is_kept], X_new]), np.concatenate([y[is_kept], y_new])),
    }
    for suffix, (X_train, y_train) in sets.items():
        for classifier_name, classifier in make_classifiers(seed, scale.n_trees).items():
            predicted = classifier.fit(X_train, y_train).predict(X_test)
            results[f"{classifier_name}_{suffix}"] = float((predicted != y_test).mean())
    return results


def list_tasks(request: Request) -> list[Task]:
    """List the runs, split by split; tables whose files are missing are left out, and printed."""
    scale, data_home = request.scale, request.args.data_home
    tables = [name for name in scale.tables if name in available(data_home)]
    if missing := [TITLES[name] for name in scale.tables if name not in tables]:
        print(
            f"Not on this machine, and left out: {', '.join(missing)}. "
            "`python -m benchmarks tabular --download` gets them from UCI; or let the environment "
            "variable SKLEARN_MIXUP_DATA name the folder that has them as uci/arrhythmia/...",
            flush=True,
        )
    common = {
        **request.versions,
        "n_train": scale.n_train,
        "n_least": N_LEAST,
        "classifiers": list(map(repr, make_classifiers(0, scale.n_trees).values())),
    }
    trained = {**SETTINGS, "max_iter": scale.tables_iter}
    added: dict[str | None, dict[str, Any]] = {"jitter": {"jitter": JITTER}, None: trained}
    methods = [*((name, 0.0) for name in CONTROLS), *((None, a) for a in scale.tables_alphas)]
    where = {"scale": scale, "device": request.device, "data_home": data_home}
    tasks = []
    for seed, name, (method, alpha) in product(range(scale.n_seeds), tables, methods):
        key = make_key("tables", name, "classwise", method=method, alpha=alpha, seed=seed)
        source = load_table(name, data_home).source
        settings = {**common, "source": source, **added.get(method, {})}
        work = partial(run_tables, name, key["method"], alpha, seed, **where)
        tasks.append(Task(key, settings, work))
    return tasks
