"""Pictures a second of a training that goes on, by precision, beside a hand-written loop."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks._lab.outcome import Block, Note, Table
from benchmarks.speed.nets import fit_by_hand
from benchmarks.speed.rounds import clock, compute_ratio
from benchmarks.speed.scale import BATCH_SIZE, Scale
from sklearn_mixup import MixupClassifier
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.modules import PreActResNet18

TARGET = 1.02  # MixupClassifier over the loop
WANTED = 35_000  # pictures a second of a network of width 64 on one H100
_HALF: Mapping[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16}
_N_EPOCHS = 3  # the first of which records steps and finds the fastest kernels
_SGD: Mapping[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def _train_ours(precision: str, X: Tensor, y: Tensor, width: int, device: str) -> list[float]:
    """Train this package's classifier; list the seconds of its epochs."""
    net = MixupClassifier(
        PreActResNet18,
        module__width=width,
        alpha=1.0,
        max_epochs=_N_EPOCHS,
        batch_size=BATCH_SIZE,
        optimizer=torch.optim.SGD,
        **{name if name == "lr" else f"optimizer__{name}": value for name, value in _SGD.items()},
        iterator_train__augment=crop_and_flip,
        precision=precision,
        random_state=0,
        device=device,
    ).fit(X, y)
    return list(net.history[:, "dur"])


def _train_by_hand(precision: str, X: Tensor, y: Tensor, width: int, device: str) -> list[float]:
    """Train as one would by hand, channels last and with autocast; list the seconds of epochs."""
    module: Any = PreActResNet18(n_classes=10, width=width)
    module.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(module.parameters(), **_SGD)
    half = _HALF[precision]

    def infer(rows: Tensor) -> Tensor:
        with torch.autocast(torch.device(device).type, half, enabled=half is not None):
            return module(rows.contiguous(memory_format=torch.channels_last)).float()

    epoch = partial(
        fit_by_hand,
        infer,
        optimizer,
        X,
        y,
        alpha=1.0,
        batch_size=BATCH_SIZE,
        augment=crop_and_flip,
    )
    return [clock(epoch, device) for _ in range(_N_EPOCHS)]


_TRAININGS: Mapping[str, Callable[..., list[float]]] = {
    "MixupClassifier": _train_ours,
    "bare loop": _train_by_hand,
}


def time_epochs(scale: Scale, *, device: str, turn: int = 0) -> dict[str, float]:
    """Time an epoch of each in each precision; every other turn the loop is first."""
    rng = torch.Generator().manual_seed(0)
    X = torch.randn(scale.n_pictures_an_epoch, 3, 32, 32, generator=rng).to(device)
    y = (torch.arange(len(X)) % 10).to(device)
    seconds = {}
    for precision in _HALF:
        for name in list(_TRAININGS)[:: -1 if turn % 2 else 1]:
            epochs = _TRAININGS[name](precision, X, y, scale.width, device)
            seconds[f"epoch_time_s {precision} {name}"] = statistics.median(epochs[1:])
    return seconds


def throughput_table(rounds: pd.DataFrame, n_pictures: int) -> pd.DataFrame:
    """Write the pictures per second of `time_epochs`, and the ratio of the times."""
    rows = []
    for precision in _HALF:
        ours, loop = (rounds[f"epoch_time_s {precision} {name}"] for name in _TRAININGS)
        times = zip(_TRAININGS, (ours, loop), strict=True)
        speeds = {f"{k}, a second": f"{n_pictures / s.median():.0f}" for k, s in times}
        ratio = compute_ratio(ours, loop, TARGET)
        rows.append({"precision": precision, **speeds, **ratio.cells()})
    return pd.DataFrame(rows)


def tell_throughput(scale: Scale, rounds: pd.DataFrame) -> list[Block]:
    """Tell how many pictures a second are trained on."""
    return [
        Note(
            f"The same network, SGD, crops, flips and mixing, in epochs of "
            f"{scale.n_pictures_an_epoch} pictures after the first, set-up not included, by "
            "precision. The loop has autocast and channels-last memory too. With a width of 64, "
            f"minibatches of {BATCH_SIZE} and bfloat16, one H100 is to take {WANTED:,} pictures a "
            "second (`--scale gpu`)."
        ),
        Table(throughput_table(rounds, scale.n_pictures_an_epoch)),
    ]
