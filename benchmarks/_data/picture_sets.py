"""Pictures to train and to test a network on, in memory or streamed from folders, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from benchmarks._data.imagenet import (
    IMAGENET,
    IMAGENET_MEAN,
    IMAGENET_STD,
    fetch_imagenet,
    fetch_imagenette,
)
from benchmarks._data.pictures import load_pictures

_CIFAR = {"cifar10": ("CIFAR-10", 10), "cifar100": ("CIFAR-100", 100)}
_CIFAR_ROWS = (50_000, 10_000)


@dataclass(frozen=True)
class Loaded:
    """Pictures as a run takes them.

    Parameters
    ----------
    train : (X, y)
        Tensors, or a torch Dataset and None.
    test : (X, y)
        Tensors, X on the device, or a torch Dataset and its labels.
    params : mapping
        What ``MixupClassifier`` is told about them: how they are augmented, or read.
    mean, std : sequence of float
        Of each channel of pixels between 0 and 1, what they were standardised with.
    """

    train: tuple[Any, Any]
    test: tuple[Any, Any]
    params: Mapping[str, Any]
    mean: Sequence[float]
    std: Sequence[float]


@dataclass(frozen=True)
class PictureSet:
    """What a plan has to know about pictures, and how a run gets them.

    Parameters
    ----------
    name : str
        That tells it from others, such as ``"cifar10"``.
    title : str
        What they call themselves: a result for a subset is none for the whole.
    shape : (n_channels, height, width)
        Of a picture.
    n_train, n_test, n_classes : int
    load : callable
        ``load(device) -> Loaded``; pickled to other processes.
    n_resident : int, default=0
        Pictures that stay on the device; 0 if they are streamed.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    n_train: int
    n_test: int
    n_classes: int
    load: Callable[[str], Loaded] = field(repr=False)
    n_resident: int = 0


# -- in memory -------------------------------------------------------------------------------------


def find_in_memory(
    name: str, data_home: str | None = None, *, whole: bool = False, dry: bool = False
) -> PictureSet:
    """Find pictures that `load_pictures` loads; a `dry` run can do without those of CIFAR.

    Raises
    ------
    OSError
        If the files are missing.
    """
    load = partial(_load_in_memory, name, data_home, whole)
    try:
        found = load_pictures(name, data_home, whole)
    except OSError:
        if not dry:
            raise
        title, n_classes = _CIFAR[name]
        title += ", which is not on this machine"
        n_resident = sum(_CIFAR_ROWS)
        return PictureSet(name, title, (3, 32, 32), *_CIFAR_ROWS, n_classes, load, n_resident)
    n_train, n_channels, height, width = found.X_train.shape
    n_test, shape = len(found.X_test), (n_channels, height, width)
    return PictureSet(
        name, found.name, shape, n_train, n_test, found.n_classes, load, n_train + n_test
    )


def _load_in_memory(name: str, data_home: str | None, whole: bool, device: str) -> Loaded:
    """Load pictures once in each process; those to test on go to the device."""
    found = load_pictures(name, data_home, whole)
    train, test = (found.X_train, found.y_train), (found.X_test.to(device), found.y_test)
    return Loaded(train, test, {"iterator_train__augment": found.augment}, found.mean, found.std)


# -- folders ---------------------------------------------------------------------------------------


def find_folders(
    name: str, data_home: str | None = None, *, pixels: int, n_workers: int, dry: bool = False
) -> PictureSet:
    """Find ImageNet or Imagenette; a `dry` run can do without ImageNet.

    Parameters
    ----------
    name : {"imagenet", "imagenette"}
    data_home : str, default=None
        Where to look, as in `fetch_imagenet`.
    pixels : int
        Height and width of a picture as the network sees it.
    n_workers : int
        Processes that read pictures.
    dry : bool, default=False
        Whether the numbers are all that is wanted.

    Raises
    ------
    OSError
        If the folders are missing.
    """
    try:
        found = (fetch_imagenet if name == "imagenet" else fetch_imagenette)(data_home)
    except OSError:
        if not (dry and name == "imagenet"):
            raise
        title, nowhere = f"{IMAGENET.title}, which is not on this machine", Path("nowhere")
        counts = IMAGENET.n_train, IMAGENET.n_test, IMAGENET.n_classes
        return _of_folders(name, title, (nowhere, nowhere), counts, pixels, n_workers)
    folders = found.train_dir, found.test_dir
    counts = found.n_train, found.n_test, found.n_classes
    return _of_folders(name, found.name, folders, counts, pixels, n_workers)


def write_digits(root: Path, *, pixels: int, n_workers: int) -> PictureSet:
    """Write 60 digits of scikit-learn as grey PNG files: folders on a machine that has none."""
    from PIL import Image

    bunch = load_digits()
    for part, rows in (("train", range(40)), ("val", range(40, 60))):
        for row in rows:
            folder = root / part / str(bunch.target[row])
            folder.mkdir(parents=True, exist_ok=True)
            grey = (bunch.images[row] * 15).astype(np.uint8)  # 0 to 16 becomes 0 to 240
            Image.fromarray(grey).resize((32, 32)).save(folder / f"{row}.png")
    folders = root / "train", root / "val"
    return _of_folders("digits", "digits of scikit-learn", folders, (40, 20, 10), pixels, n_workers)


def _of_folders(
    name: str,
    title: str,
    folders: tuple[Path, Path],
    counts: tuple[int, int, int],
    pixels: int,
    n_workers: int,
) -> PictureSet:
    """Describe pictures that are read as they are needed."""
    load = partial(_load_folders, *folders, pixels, n_workers)
    return PictureSet(name, title, (3, pixels, pixels), *counts, load)


def _load_folders(
    train_dir: Path, test_dir: Path, pixels: int, n_workers: int, device: str
) -> Loaded:
    """Open the folders: augmented to train on, cut to the centre to test on."""
    from benchmarks._data.folders import PictureFolder, test_transform, train_transform

    train = PictureFolder(train_dir, train_transform(pixels))
    test = PictureFolder(test_dir, test_transform(pixels))
    params: dict[str, Any] = {"iterator_valid__num_workers": n_workers}
    reading: dict[str, Any] = {"num_workers": n_workers}
    if n_workers:
        reading |= {"persistent_workers": True, "pin_memory": device.startswith("cuda")}
    params |= {f"iterator_train__{name}": value for name, value in reading.items()}
    return Loaded((train, None), (test, test.targets), params, IMAGENET_MEAN, IMAGENET_STD)
