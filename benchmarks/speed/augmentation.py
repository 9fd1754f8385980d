"""The pictures per second of CIFAR's augmentation: on the device, and by torchvision's loaders."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks._data.pictures import to_floats
from benchmarks._nets.vision import import_torchvision
from benchmarks.speed.rounds import compute_ratio
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.minibatches import Minibatches

_MEAN, _STD = (0.5,) * 3, (0.25,) * 3
_N_WORKERS = 2


class _HostPictures(Dataset):
    """CIFAR's augmentation by torchvision, picture by picture."""

    def __init__(self, X: np.ndarray, y: np.ndarray, mean: Sequence[float], std: Sequence[float]):
        import_torchvision()
        from torchvision.transforms import v2

        from benchmarks._data.folders import to_tensor

        augment = [v2.RandomCrop(X.shape[-1], padding=4), v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*augment, *to_tensor(mean, std)])
        self.X = X.transpose(0, 2, 3, 1).copy()  # as PIL has them
        self.y = y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.X[index])), int(self.y[index])


def time_augmentation(n_pictures: int, *, batch_size: int, device: str) -> dict[str, float]:
    """Time one epoch of augmented minibatches, without a net, each way once.

    Parameters
    ----------
    n_pictures : int
        Of 3 x 32 x 32 random bytes.
    batch_size : int
        Pictures in a minibatch.
    device : str
        Where the minibatches end up.

    Returns
    -------
    dict of str to float
        ``pictures_per_s WAY``: ``"on the device"`` (`crop_and_flip` on rows that live there),
        ``"torchvision, 0 workers"`` and ``"torchvision, 2 workers"`` (its transforms on PIL
        pictures, in a DataLoader that starts its processes once an epoch, as skorch does).
    """
    X = np.random.default_rng(0).integers(256, size=(n_pictures, 3, 32, 32), dtype=np.uint8)
    y = np.arange(len(X)) % 10
    fill = [-m / s for m, s in zip(_MEAN, _STD, strict=True)]
    ways: dict[str, Iterable[Any]] = {
        "on the device": Minibatches(
            torch.as_tensor(to_floats(X, _MEAN, _STD)).to(device),
            torch.as_tensor(y).to(device),
            batch_size=batch_size,
            shuffle=True,
            transform=lambda X, y: (crop_and_flip(X, fill=fill), y),
        )
    }
    pictures = _HostPictures(X, y, _MEAN, _STD)
    for n in (0, _N_WORKERS):
        loader = DataLoader(pictures, batch_size=batch_size, shuffle=True, num_workers=n)
        ways[f"torchvision, {n} workers"] = loader
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    speeds = {}
    for way, minibatches in ways.items():
        start = time.perf_counter()
        for minibatch, _ in minibatches:
            minibatch.to(device)
        wait()
        speeds[f"pictures_per_s {way}"] = len(X) / (time.perf_counter() - start)
    return speeds


def augmentation_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the pictures per second of each way, and how many times as many the first has."""
    ours, *others = [name for name in rounds if name.startswith("pictures_per_s ")]
    rows = [_row(ours, rounds[ours], {"ours / it": "", "quartiles": ""})]
    for other in others:
        found = compute_ratio(rounds[ours], rounds[other])
        spread = f"{found.low:.1f} to {found.high:.1f}"
        rows.append(
            _row(other, rounds[other], {"ours / it": f"{found.median:.1f}", "quartiles": spread})
        )
    return pd.DataFrame(rows)


def _row(column: str, speeds: pd.Series, ratio: dict[str, str]) -> dict[str, str]:
    """Write a way to augment."""
    told = {"cropped and flipped": column.partition(" ")[2]}
    return {**told, "pictures a second": f"{speeds.median():.0f}", **ratio}
