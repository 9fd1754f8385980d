"""ImageNet and Imagenette: where their folders of pictures are, and whether all are there."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from benchmarks._data.home import HOME_HAS, DataHome, find_data_home
from benchmarks._data.pictures import IMAGENET_MEAN, IMAGENET_STD, Loaded, PictureSet
from benchmarks._nets.vision import import_torchvision


@dataclass(frozen=True)
class _FolderSet:
    """A data set of folders of pictures, as published."""

    title: str
    folders: tuple[str, ...]  # below the data home; the first that is here is taken
    n_classes: int
    n_train: int
    n_test: int
    url: str
    citation: str


IMAGENET = _FolderSet(
    title="ImageNet-2012",
    folders=("imagenet",),
    n_classes=1000,
    n_train=1_281_167,
    n_test=50_000,
    url="https://www.image-net.org/challenges/LSVRC/2012/",
    citation='Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015',
)
_IMAGENETTE = _FolderSet(
    title="Imagenette v2",
    folders=("imagenette2", "imagenet_like"),
    n_classes=10,
    n_train=9_469,
    n_test=3_925,
    url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz",
    citation="Howard, Imagenette, fast.ai; ten classes of ImageNet",
)
_IMAGENETTE_NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def fetch_imagenet(data_home: DataHome = None) -> Bunch:
    """Find ImageNet-2012: which of a thousand things is in a picture.

    Nothing is downloaded: its owners give it out for research, to those who register.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``imagenet/train/WNID/`` and ``imagenet/val/WNID/``, where WNID is the
        WordNet id of a class, such as ``n01440764``. None takes the environment variable
        ``SKLEARN_MIXUP_DATA``, else :func:`sklearn.datasets.get_data_home`.

    Returns
    -------
    Bunch
        - ``train_dir``, ``test_dir``: Path, for :class:`PictureFolder`; ImageNet's validation part
          is the test part, as in the paper;
        - ``n_train``, ``n_test``: int, pictures in them;
        - ``n_classes``: int; ``classes``: list of str, the WNIDs in the order of their codes;
        - ``target_names``: list of str, the name of each class, if known, else its WNID;
        - ``name``: str, which says how many pictures there are if not all of them;
        - ``is_subset``: bool;
        - ``mean``, ``std``: tuples of three floats, of each channel of pixels in [0, 1];
        - ``DESCR``: str, whose data it is, and from where.

    Raises
    ------
    FileNotFoundError
        If the folders are not here.
    ValueError
        If the folders of the classes are not those of the data set, or differ between the parts.

    Examples
    --------
    >>> imagenet = fetch_imagenet()  # doctest: +SKIP
    >>> imagenet.name, imagenet.n_train  # doctest: +SKIP
    ('ImageNet-2012', 1281167)
    """
    return _fetch(IMAGENET, data_home)


def fetch_imagenette(data_home: DataHome = None) -> Bunch:
    """Find Imagenette v2: which of ten things, easily told apart, is in a picture of ImageNet.

    It is ``imagenette2/{train,val}/WNID/`` below the data home, as its archive unpacks, else a
    sample of it in that layout, ``imagenet_like``, which is named as one. Nothing is downloaded.
    Parameters, fields and errors are those of :func:`fetch_imagenet`.

    Returns
    -------
    Bunch
        9,469 training and 3,925 test pictures of 10 classes, or those of the sample.
    """
    return _fetch(_IMAGENETTE, data_home)


def _fetch(pictures: _FolderSet, data_home: DataHome) -> Bunch:
    """Find the folders of a data set and count what is in them."""
    home = find_data_home(data_home)
    roots = [home / folder for folder in pictures.folders]
    here = [root for root in roots if all((root / part).is_dir() for part in ("train", "val"))]
    if not here:
        wanted = " or ".join(repr(str(root)) for root in roots)
        raise FileNotFoundError(
            f"{pictures.title} needs {wanted}, with the folders train/ and val/, each with a "
            f"folder for every class: not found. Get it from {pictures.url}, or let {HOME_HAS} it "
            f"as '{pictures.folders[0]}'."
        )
    train_dir, test_dir = here[0] / "train", here[0] / "val"
    (classes, n_train), (test_classes, n_test) = (_count(part) for part in (train_dir, test_dir))
    if len(classes) != pictures.n_classes or classes != test_classes:
        odd = sorted({*classes} ^ {*test_classes})[:5]
        raise ValueError(
            f"{pictures.title} has {pictures.n_classes} classes, each a folder in train/ and in "
            f"val/; found {len(classes)} in {str(train_dir)!r} and {len(test_classes)} in "
            f"{str(test_dir)!r}{f', not in both: {odd}' if odd else ''}. Unpack {pictures.url} "
            "again; the archive of ImageNet's validation part has to be sorted into folders."
        )
    is_subset = (n_train, n_test) != (pictures.n_train, pictures.n_test)
    name = pictures.title + (f" sample: {n_train:,} + {n_test:,}" if is_subset else "")
    names = _class_names(here[0])
    description = (
        f"{name}; {pictures.citation}.",
        f"Source: {pictures.url}; this copy: {here[0]}.",
        f"{n_train} training and {n_test} test pictures of {len(classes)} classes.",
        "The pictures belong to their owners; they may be used for non-commercial research and "
        "education only.",
    )
    return Bunch(
        train_dir=train_dir,
        test_dir=test_dir,
        n_train=n_train,
        n_test=n_test,
        n_classes=len(classes),
        classes=classes,
        target_names=[names.get(wnid, wnid) for wnid in classes],
        name=name,
        is_subset=is_subset,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        DESCR="\n".join(description),
    )


def _count(part: Path) -> tuple[list[str], int]:
    """List the classes of one part, and count its pictures without opening them."""
    extensions = import_torchvision().datasets.folder.IMG_EXTENSIONS
    classes = sorted(entry.name for entry in os.scandir(part) if entry.is_dir())
    names = (entry.name for wnid in classes for entry in os.scandir(part / wnid))
    return classes, sum(name.lower().endswith(extensions) for name in names)


def _class_names(root: Path) -> dict[str, str]:
    """Read the names of the classes that lie beside the folders; Imagenette's are known."""
    path = root / "classes.csv"
    if not path.exists():
        return _IMAGENETTE_NAMES
    with path.open(newline="", encoding="utf-8") as file:
        return {row["wnid"]: row["name"] for row in csv.DictReader(file)}


# -- as pictures to train on -----------------------------------------------------------------------


def find_folders(
    name: str, data_home: str | None = None, *, dry: bool = False, **options: int
) -> PictureSet:
    """Find "imagenet" or "imagenette", or raise OSError; a `dry` run can do without ImageNet.

    `options` are those of `_of_folders`.
    """
    try:
        found = (fetch_imagenet if name == "imagenet" else fetch_imagenette)(data_home)
    except OSError:
        if not (dry and name == "imagenet"):
            raise
        title, nowhere = f"{IMAGENET.title}, which is not on this machine", Path("nowhere")
        found = Bunch(**vars(IMAGENET), name=title, train_dir=nowhere, test_dir=nowhere)
    return _of_folders(name, found, **options)


def write_digits(root: Path, **options: int) -> PictureSet:
    """Write 60 digits of scikit-learn as grey PNG files: folders on a machine that has none."""
    from PIL import Image

    bunch = load_digits()
    for part, rows in (("train", range(40)), ("val", range(40, 60))):
        for row in rows:
            folder = root / part / str(bunch.target[row])
            folder.mkdir(parents=True, exist_ok=True)
            grey = (bunch.images[row] * 15).astype(np.uint8)  # 0 to 16 becomes 0 to 240
            Image.fromarray(grey).resize((32, 32)).save(folder / f"{row}.png")
    found = Bunch(name="digits of scikit-learn", train_dir=root / "train", test_dir=root / "val")
    return _of_folders("digits", Bunch(**found, n_train=40, n_test=20, n_classes=10), **options)


def _of_folders(name: str, found: Bunch, *, pixels: int, n_workers: int) -> PictureSet:
    """Describe pictures that `n_workers` read as they are needed, `pixels` high and wide."""
    load = partial(_load_folders, found.train_dir, found.test_dir, pixels, n_workers)
    counts = found.n_train, found.n_test, found.n_classes
    return PictureSet(name, found.name, (3, pixels, pixels), *counts, load)


def _load_folders(
    train_dir: Path, test_dir: Path, pixels: int, n_workers: int, device: str
) -> Loaded:
    """Open the folders: augmented to train on, cut to the centre to test on."""
    from benchmarks._data.folders import PictureFolder, test_transform, train_transform

    train = PictureFolder(train_dir, train_transform(pixels))
    test = PictureFolder(test_dir, test_transform(pixels))
    params: dict[str, Any] = {
        f"iterator_{part}__num_workers": n_workers for part in ("train", "valid")
    }
    if n_workers:
        params["iterator_train__persistent_workers"] = True
        params["iterator_train__pin_memory"] = device.startswith("cuda")
    return Loaded((train, None), (test, test.targets), params, IMAGENET_MEAN, IMAGENET_STD)
