"""Nets on scikit-learn's digits: many random splits, trained together and attacked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks._data.splits import TEST_SHARE, split_rows
from benchmarks._data.tables import load_table
from benchmarks._lab.pictures import key_of
from benchmarks._lab.runs import Task
from benchmarks._lab.stacks import SPLITS_AT_ONCE
from benchmarks.adversarial.attacks import N_STEPS, in_minibatches, measure_attacks
from benchmarks.adversarial.pictures import Scale
from sklearn_mixup import MixupClassifier, fit_fused

_LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of 16
_SOURCE_SEED = 1000  # added to the split's, for the net that attacks in the black box


def list_digits(scale: Scale, *, device: str, versions: Mapping[str, str]) -> list[Task]:
    """List the runs on digits, split by split."""
    settings = {
        **versions,
        "levels": list(_LEVELS),
        "n_steps": N_STEPS,
        "test_share": TEST_SHARE,
        "source_seed": _SOURCE_SEED,
    }
    max_epochs = scale.digits_epochs
    work = partial(run_digits, max_epochs=max_epochs, device=device)
    return [
        Task(
            key_of("digits", "MLP 2 x 128", alpha, max_epochs, split),
            settings,
            work,
            f"digits-{max_epochs}-{split // SPLITS_AT_ONCE}",
        )
        for split in range(scale.n_splits)
        for alpha in (0.0, *scale.digits_alphas)
    ]


def run_digits(
    keys: Sequence[Mapping[str, Any]], *, max_epochs: int, device: str
) -> list[dict[str, Any]]:
    """Train nets, and a source for each split, all together; attack them split by split."""
    start = time.perf_counter()
    table = load_table("digits")
    X, y = (table.X.to_numpy() / 16).astype(np.float32), table.y
    rows = {split: split_rows(table, split) for split in sorted({key["seed"] for key in keys})}
    victims = {
        (key["seed"], key["alpha"]): _make_net(key["alpha"], key["seed"], max_epochs, device)
        for key in keys
    }
    sources = {split: _make_net(0.0, split + _SOURCE_SEED, max_epochs, device) for split in rows}
    splits = [*(split for split, _ in victims), *sources]
    Xs, ys = zip(*((X[rows[split][0]], y[rows[split][0]]) for split in splits), strict=True)
    fit_fused([*victims.values(), *sources.values()], Xs, ys, n_jobs=1)
    errors = {
        split: measure_attacks(
            {alpha: net.module_.eval() for (of, alpha), net in victims.items() if of == split},
            sources[split].module_.eval(),
            in_minibatches(*(torch.from_numpy(it[test]).to(device) for it in (X, y))),
            bounds={level: (level / 16, (0.0, 1.0)) for level in _LEVELS},
        )
        for split, (_, test) in rows.items()
    }
    told = {
        "data_name": "digits of scikit-learn",
        "n_train": len(Xs[0]),
        "n_test": len(y) - len(Xs[0]),
        "run_time_s": round((time.perf_counter() - start) / len(keys), 2),
    }
    return [
        {**told, "source_seed": key["seed"] + _SOURCE_SEED, **errors[key["seed"]][key["alpha"]]}
        for key in keys
    ]


def _make_net(alpha: float, seed: int, max_epochs: int, device: str) -> MixupClassifier:
    return MixupClassifier(alpha=alpha, max_epochs=max_epochs, random_state=seed, device=device)
