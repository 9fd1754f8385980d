"""Pictures in memory: CIFAR, or digits for a machine that has nothing else, as tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from benchmarks._data.cifar import fetch_cifar10, fetch_cifar100
from sklearn_mixup.augmentation import crop_and_flip


@dataclass(frozen=True)
class Pictures:
    """Pictures to train and to test on: float32 (n_rows, n_channels, height, width), and labels.

    `augment` is the augmentation to train with: of rows on the device. `mean` and `std`, a number
    for each channel, are what pixels between 0 and 1 were standardised with.
    """

    name: str
    X_train: Tensor
    y_train: Tensor
    X_test: Tensor
    y_test: Tensor
    augment: Callable[[Tensor], Tensor]
    mean: Sequence[float]
    std: Sequence[float]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y_train.max()) + 1


@functools.cache
def load_pictures(name: str, data_home: str | None = None, whole: bool = False) -> Pictures:
    """Load pictures that are on this machine, once in each process.

    Parameters
    ----------
    name : {"cifar10", "cifar100", "digits"}
        The digits come with scikit-learn: they are for a machine that has nothing else.
    data_home : str, default=None
        Where to look, as in `cifar.fetch_cifar10`.
    whole : bool, default=False
        Whether CIFAR-10 has to be all of it, and not the subset that the folder may have.

    Returns
    -------
    Pictures

    Raises
    ------
    OSError
        If its files are missing.
    """
    if name == "digits":
        bunch = load_digits()
        pixels = np.repeat(bunch.images[:400, None].astype(np.float32) / 16, 3, axis=1)
        mean, std = pixels.mean(), pixels.std()
        X, y = torch.from_numpy((pixels - mean) / std), torch.from_numpy(bunch.target[:400])
        crop = partial(crop_and_flip, padding=1, flip=False)
        parts = X[:300], y[:300], X[300:], y[300:]
        return Pictures("digits of scikit-learn", *parts, crop, 3 * [mean], 3 * [std])
    if name == "cifar10":
        bunch = fetch_cifar10(data_home, False, subset=False if whole else "auto")
    else:
        bunch = fetch_cifar100(data_home, False)
    X_train, X_test = (
        torch.from_numpy(to_floats(X, bunch.mean, bunch.std)) for X in (bunch.X_train, bunch.X_test)
    )
    y_train, y_test = torch.from_numpy(bunch.y_train), torch.from_numpy(bunch.y_test)
    black = tuple(-m / s for m, s in zip(bunch.mean, bunch.std, strict=True))
    # The authors crop before they standardise: what a picture is padded with is black.
    augment = partial(crop_and_flip, padding=4, fill=black)
    parts = X_train, y_train, X_test, y_test
    return Pictures(bunch.name, *parts, augment, bunch.mean, bunch.std)


def to_floats(X: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Turn bytes into standardised numbers: ``(X / 255 - mean) / std``.

    Parameters
    ----------
    X : ndarray of shape (n_pictures, n_channels, height, width), uint8
        Pixels, 0 to 255. Never written to.
    mean, std : n_channels floats
        Of each channel of pixels in [0, 1].

    Returns
    -------
    ndarray of the shape of `X`, float32

    Raises
    ------
    TypeError
        If `X` is not an array of uint8: it may have been converted before.
    ValueError
        If the second axis of `X` is not that of the channels.

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
