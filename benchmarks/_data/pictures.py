"""Pictures to train and to test a network on, as one value; those that fit into memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks._data.cifar import Version, fetch_cifar10, fetch_cifar100
from sklearn_mixup.augmentation import crop_and_flip

# What pixels between 0 and 1 of ImageNet, and of what is like it, are standardised with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_CIFAR = {"cifar10": ("CIFAR-10", 10), "cifar100": ("CIFAR-100", 100)}
_CIFAR_ROWS = (50_000, 10_000)
# Which CIFAR-10 will do: the first that is on this machine.
ANY_VERSION: tuple[Version, ...] = ("original", "subset", "recompressed")
WHOLE_VERSIONS: tuple[Version, ...] = ("original", "recompressed")
ORIGINAL: tuple[Version, ...] = ("original",)


@dataclass(frozen=True)
class Loaded:
    """Pictures as a run takes them."""

    train: tuple[Any, Any]  # X and y: tensors, or a torch Dataset and None
    test: tuple[Any, Any]  # X and y: tensors, X on the device, or a torch Dataset and its labels
    params: Mapping[str, Any]  # of MixupClassifier: how they are augmented, or read
    mean: Sequence[float]  # of each channel of pixels in [0, 1], to standardise with
    std: Sequence[float]
    names: Sequence[str] = ()  # of the classes, if they are known


@dataclass(frozen=True)
class PictureSet:
    """What a plan has to know about pictures, and how a run gets them."""

    name: str  # that tells it from others, such as "cifar10"
    title: str  # what they call themselves: a result for a subset is none for the whole
    shape: tuple[int, int, int]  # n_channels, height, width
    n_train: int
    n_test: int
    n_classes: int
    load: Callable[[str], Loaded] = field(repr=False)  # by device; pickled to other processes
    n_resident: int = 0  # pictures that stay on the device; 0 if they are streamed

    def first(self, n_rows: int | None) -> PictureSet:
        """Keep the first to train on, and as many to test on at most; None keeps all.

        Of pictures that are in memory.
        """
        if n_rows is None:
            return self
        n_train, n_test = min(n_rows, self.n_train), min(n_rows, self.n_test)
        title = f"{self.title}; the first {n_train:,} to train on"
        return replace(
            self,
            title=title if n_test == self.n_test else f"{title}, {n_test:,} to test on",
            n_train=n_train,
            n_test=n_test,
            load=partial(_load_first, self.load, n_rows),
            n_resident=n_train + n_test,
        )


def _load_first(load: Callable[[str], Loaded], n_rows: int, device: str) -> Loaded:
    """Load pictures, and keep the first to train and to test on."""
    loaded = load(device)
    train, test = (tuple(part[:n_rows] for part in it) for it in (loaded.train, loaded.test))
    return replace(loaded, train=train, test=test)


# -- in memory -------------------------------------------------------------------------------------


def find_in_memory(
    name: str,
    data_home: str | None = None,
    *,
    versions: tuple[Version, ...] = ANY_VERSION,
    dry: bool = False,
) -> PictureSet:
    """Find "cifar10", "cifar100" or, on a machine without, "digits"; they stay in memory.

    OSError is that of missing files. `versions` of CIFAR-10 are those that will do, as for
    `fetch_cifar10`. A `dry` run wants the numbers alone: those of CIFAR are known without it.
    """
    load = partial(_load, name, data_home, versions)
    try:
        title, loaded = _read(name, data_home, versions)
    except OSError:
        if not dry:
            raise
        title, n_classes = _CIFAR[name]
        title += ", which is not on this machine"
        n_resident = sum(_CIFAR_ROWS)
        return PictureSet(name, title, (3, 32, 32), *_CIFAR_ROWS, n_classes, load, n_resident)
    (X, y), (X_test, _) = loaded.train, loaded.test
    counts = len(X), len(X_test), int(y.max()) + 1
    return PictureSet(name, title, tuple(X.shape[1:]), *counts, load, len(X) + len(X_test))


@functools.cache
def _read(name: str, data_home: str | None, versions: tuple[Version, ...]) -> tuple[str, Loaded]:
    """Read pictures once in each process, and what they call themselves."""
    if name == "digits":
        bunch = load_digits()
        pixels = np.repeat(bunch.images[:400, None].astype(np.float32) / 16, 3, axis=1)
        mean, std = pixels.mean(), pixels.std()
        X, y = torch.from_numpy((pixels - mean) / std), torch.from_numpy(bunch.target[:400])
        crop = partial(crop_and_flip, padding=1, flip=False)
        parts = (X[:300], y[:300]), (X[300:], y[300:])
        names = [*map(str, range(10))]
        loaded = Loaded(*parts, {"iterator_train__augment": crop}, 3 * [mean], 3 * [std], names)
        return "digits of scikit-learn", loaded
    if name == "cifar10":
        bunch = fetch_cifar10(data_home, False, versions=versions)
    else:
        bunch = fetch_cifar100(data_home, False)
    mean, std = bunch.mean, bunch.std
    # The authors crop before they standardise: what a picture is padded with is black.
    black = tuple(-m / s for m, s in zip(mean, std, strict=True))
    params = {"iterator_train__augment": partial(crop_and_flip, padding=4, fill=black)}
    train, test = (
        (torch.from_numpy(to_floats(X, mean, std)), torch.from_numpy(y))
        for X, y in ((bunch.X_train, bunch.y_train), (bunch.X_test, bunch.y_test))
    )
    return bunch.name, Loaded(train, test, params, mean, std, bunch.target_names)


def _load(name: str, data_home: str | None, versions: tuple[Version, ...], device: str) -> Loaded:
    """Give the pictures; those to test on go to the device."""
    _, loaded = _read(name, data_home, versions)
    X, y = loaded.test
    return replace(loaded, test=(X.to(device), y))


def to_floats(X: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Turn bytes into standardised numbers, float32: ``(X / 255 - mean) / std``.

    `X` is of shape (n_pictures, n_channels, height, width), and never written to; another type,
    which may have been converted before, is a TypeError, another shape a ValueError. `mean` and
    `std` are of each channel of pixels in [0, 1].

    Examples
    --------
    >>> X = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
    >>> to_floats(X, mean=[0.5], std=[0.25]).ravel().tolist()
    [-2.0, 2.0]
    """
    if not isinstance(X, np.ndarray) or X.dtype != np.uint8:
        got = getattr(X, "dtype", type(X).__name__)
        raise TypeError(f"`X` must be an array of uint8; got {got}. Floats need no conversion.")
    if X.ndim != 4 or not X.shape[1] == len(mean) == len(std):
        raise ValueError(
            f"`X` must be of shape (n_pictures, {len(mean)}, height, width), with a mean and a std "
            f"for each channel; got shape {X.shape}, {len(mean)} means and {len(std)} stds. Use "
            "X.transpose(0, 3, 1, 2) if the channels come last."
        )
    shift, scale = (
        (255 * np.array(part, dtype=np.float64)).reshape(-1, 1, 1).astype(np.float32)
        for part in (mean, std)
    )
    floats = X.astype(np.float32)
    floats -= shift  # in place: no second copy
    floats /= scale
    return floats
