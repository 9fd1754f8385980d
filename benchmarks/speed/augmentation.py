"""The pictures per second of CIFAR's augmentation: on the device, and by torchvision's loaders."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks._data.pictures import to_floats
from benchmarks._nets.vision import import_torchvision
from benchmarks.speed.rounds import compute_ratio, time_each
from benchmarks.speed.scale import BATCH_SIZE, Scale
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.minibatches import Minibatches

_MEAN, _STD = (0.5,) * 3, (0.25,) * 3


class _HostPictures(Dataset):
    """CIFAR's augmentation by torchvision, picture by picture."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        import_torchvision()
        from torchvision.transforms import v2

        from benchmarks._data.folders import to_tensor

        augment = [v2.RandomCrop(X.shape[-1], padding=4), v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*augment, *to_tensor(_MEAN, _STD)])
        self.X, self.y = X.transpose(0, 2, 3, 1).copy(), y  # as PIL has them

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.X[index])), int(self.y[index])


def time_augmentation(scale: Scale, *, device: str) -> dict[str, float]:
    """Time one epoch of as many pictures as four fits have, each way once: ``pictures_per_s WAY``.

    They are 3 x 32 x 32 random bytes, and end up on the device. `crop_and_flip` has rows that
    live there; torchvision's transforms have PIL pictures, in a DataLoader that starts its
    processes once an epoch, as skorch does.
    """
    shape = (scale.n_augmented, 3, 32, 32)
    X = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    y = np.arange(len(X)) % 10
    fill = [-m / s for m, s in zip(_MEAN, _STD, strict=True)]
    ways: dict[str, Iterable[Any]] = {
        "on the device": Minibatches(
            torch.as_tensor(to_floats(X, _MEAN, _STD)).to(device),
            torch.as_tensor(y).to(device),
            batch_size=BATCH_SIZE,
            shuffle=True,
            transform=lambda X, y: (crop_and_flip(X, fill=fill), y),
        )
    }
    pictures = _HostPictures(X, y)
    for n in (0, 2):
        loader = DataLoader(pictures, batch_size=BATCH_SIZE, shuffle=True, num_workers=n)
        ways[f"torchvision, {n} workers"] = loader
    works = {way: partial(_pass_over, minibatches, device) for way, minibatches in ways.items()}
    seconds = time_each(works, device)
    return {f"pictures_per_s {way}": len(X) / spent for way, spent in seconds.items()}


def _pass_over(minibatches: Iterable[Any], device: str) -> None:
    """Make all minibatches."""
    for X, _ in minibatches:
        X.to(device)


def augmentation_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the pictures per second of each way, and how many times as many the first has."""
    ours, *others = [name for name in rounds if name.startswith("pictures_per_s ")]
    rows = []
    for name in (ours, *others):
        row = {"cropped and flipped": name.partition(" ")[2]}
        row |= {"pictures a second": f"{rounds[name].median():.0f}"}
        if name != ours:
            ratio = compute_ratio(rounds[ours], rounds[name])
            row |= {"ours / it": f"{ratio.median:.1f}"}
            row |= {"quartiles": f"{ratio.low:.1f} to {ratio.high:.1f}"}
        rows.append(row)
    return pd.DataFrame(rows).fillna("")
