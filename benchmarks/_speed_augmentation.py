"""The pictures per second of CIFAR's augmentation: on the device, and by torchvision's loaders."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks._data.folders import to_tensor
from benchmarks._data.pictures import to_floats
from benchmarks._nets.vision import import_torchvision
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.minibatches import Minibatches

import_torchvision()
from torchvision.transforms import v2  # noqa: E402


class _HostPictures(Dataset):
    """CIFAR's augmentation by torchvision, picture by picture."""

    def __init__(self, X: np.ndarray, y: np.ndarray, mean: Sequence[float], std: Sequence[float]):
        augment = [v2.RandomCrop(X.shape[-1], padding=4), v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*augment, *to_tensor(mean, std)])
        self.X = X.transpose(0, 2, 3, 1).copy()  # as PIL has them
        self.y = y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.X[index])), int(self.y[index])


def time_augmentation_round(
    X: np.ndarray,
    y: np.ndarray,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 128,
    n_workers: int = 2,
    device: str = "cpu",
) -> dict[str, float]:
    """Time one epoch of augmented minibatches, without a net, each way once.

    Parameters
    ----------
    X : ndarray of shape (n_pictures, 3, size, size), uint8
        Square pictures.
    y : ndarray of shape (n_pictures,), int64
        Their classes.
    mean, std : three floats
        Of each channel of pixels in [0, 1].
    batch_size : int, default=128
        Pictures in a minibatch.
    n_workers : int, default=2
        Processes of the loader that has some; it starts them once an epoch, as skorch does.
    device : str, default="cpu"
        Where the minibatches end up.

    Returns
    -------
    dict of str to float
        Pictures per second: ``"on the device"`` (`crop_and_flip` on rows that live there),
        ``"torchvision, 0 workers"`` and ``"torchvision, 2 workers"`` (its transforms on PIL
        pictures, in a DataLoader). Call it several times, and take medians.
    """
    rows = torch.as_tensor(to_floats(X, mean, std)).to(device), torch.as_tensor(y).to(device)
    fill = [-m / s for m, s in zip(mean, std, strict=True)]
    pictures = _HostPictures(X, y, mean, std)
    ways: dict[str, Iterable[Any]] = {
        "on the device": Minibatches(
            *rows,
            batch_size=batch_size,
            shuffle=True,
            transform=lambda X, y: (crop_and_flip(X, fill=fill), y),
        )
    }
    for n in (0, n_workers):
        loader = DataLoader(pictures, batch_size=batch_size, shuffle=True, num_workers=n)
        ways[f"torchvision, {n} workers"] = loader
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    speeds = {}
    for name, minibatches in ways.items():
        start = time.perf_counter()
        for minibatch, _ in minibatches:
            minibatch.to(device)
        wait()
        speeds[name] = len(X) / (time.perf_counter() - start)
    return speeds
