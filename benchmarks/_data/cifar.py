"""CIFAR-10 and CIFAR-100 as arrays, from their original files or from a subset that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from benchmarks._data.fetching import Archive, PackedSubset, Subset, check_file
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._nets.vision import import_torchvision


@dataclass(frozen=True)
class _PictureSet:
    """One of the two data sets, and where its files are."""

    title: str
    folder: str  # below the data home
    kind: str  # the class of torchvision that knows its files and their checksums
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def published(self) -> tuple[Any, dict[str, str], Archive]:
        """Give the class of torchvision, each file's MD5 checksum, and where they are from."""
        kind = getattr(import_torchvision().datasets, self.kind)
        listed = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        checksums = {f"{kind.base_folder}/{name}": md5 for name, md5 in listed}
        archive = Archive(
            self.title, kind.url, self.folder, tuple(checksums), f"md5:{kind.tgz_md5}"
        )
        return kind, checksums, archive


_CIFAR10 = _PictureSet(
    title="CIFAR-10",
    folder="cifar10",
    kind="CIFAR10",
    # Of the authors' own train.py. This std is the mean of the pictures' own.
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
)
_CIFAR100 = _PictureSet(
    title="CIFAR-100",
    folder="cifar100",
    kind="CIFAR100",
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)
_CITATION = 'Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009'

_SUBSET = PackedSubset(
    title="CIFAR-10",
    file="cifar10/cifar10_subset.npz",
    sha256="6563938732d29a458c5d3576fd8c215584a3897c968ce3858619f0f2ab51f121",
    whole="all of CIFAR-10",
)
_SUBSET_NAME = "CIFAR-10 subset: 10,000 + 2,000, JPEG-recompressed"


def fetch_cifar10(
    data_home: DataHome = None, download_if_missing: bool = True, *, subset: Subset = "auto"
) -> Bunch:
    """Load CIFAR-10: which of ten things is in a picture of 32 x 32 pixels.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``cifar10/cifar-10-batches-py/`` with the original python batches, or
        the archive ``cifar10/cifar-10-python.tar.gz``, or the packed subset
        ``cifar10/cifar10_subset.npz``. None takes the environment variable ``SKLEARN_MIXUP_DATA``,
        else :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Whether to get missing batches (170 MB) from their authors. The subset is never downloaded.
    subset : bool or "auto", default="auto"
        False is all of CIFAR-10, True the packed subset: 1,000 training and 200 test pictures of
        each class that were stored as JPEG once, so that their pixels are near the original ones
        and not equal to them. ``"auto"`` is all of CIFAR-10 if its files are here, else the subset
        if that is here, else all of CIFAR-10, downloaded.

    Returns
    -------
    Bunch
        - ``X_train``, ``X_test``: uint8 arrays of shape (n_pictures, 3, 32, 32), red, green, blue;
          50,000 and 10,000 pictures, in the original order, or 10,000 and 2,000 of the subset;
        - ``y_train``, ``y_test``: int64 arrays of shape (n_pictures,), from 0 to 9;
        - ``target_names``: list of str, the class of each code;
        - ``name``: str, ``"CIFAR-10"``, or one that starts with ``"CIFAR-10 subset"``;
        - ``is_subset``: bool;
        - ``mean``, ``std``: tuples of three floats, of each channel of pixels in [0, 1], as the
          authors of mixup standardise them;
        - ``DESCR``: str, whose data it is, and from where.

    Raises
    ------
    FileNotFoundError
        If the files are not here and are not to be downloaded.
    OSError
        If a download fails.
    ValueError
        If a file does not have the published checksum.
    ImportError
        If the original batches are to be read and torchvision is not installed.

    Examples
    --------
    >>> cifar10 = fetch_cifar10(download_if_missing=False)  # doctest: +SKIP
    >>> cifar10.name, cifar10.X_train.shape  # doctest: +SKIP
    ('CIFAR-10', (50000, 3, 32, 32))
    """
    home = find_data_home(data_home)
    if _SUBSET.is_wanted(subset, home, lambda: _is_here(_CIFAR10, home)):
        return _read_subset(home)
    return _fetch(_CIFAR10, home, download_if_missing)


def fetch_cifar100(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load CIFAR-100: which of a hundred things is in a picture of 32 x 32 pixels.

    The files are ``cifar100/cifar-100-python/`` or ``cifar100/cifar-100-python.tar.gz`` below the
    data home. Parameters, fields and errors are those of :func:`fetch_cifar10`.

    Returns
    -------
    Bunch
        50,000 training and 10,000 test pictures of 100 classes; ``is_subset`` is False.
    """
    return _fetch(_CIFAR100, find_data_home(data_home), download_if_missing)


def _is_here(pictures: _PictureSet, home: Path) -> bool:
    """Whether the batches, or the archive of them, are in their place."""
    try:
        return pictures.published()[2].is_here(home)
    except ImportError:
        return False


def _fetch(pictures: _PictureSet, home: Path, download_if_missing: bool) -> Bunch:
    """Load the original batches."""
    kind, checksums, archive = pictures.published()
    root = home / pictures.folder
    archive.fetch(home, download_if_missing)
    for name, md5 in checksums.items():
        check_file(root / name, "md5", md5, archive.url)
    train, test = kind(root, train=True), kind(root, train=False)
    return _bunch(
        pictures,
        [train.data, test.data],
        [train.targets, test.targets],
        target_names=train.classes,
        name=pictures.title,
        source=archive.url,
    )


def _read_subset(home: Path) -> Bunch:
    """Read the packed subset of CIFAR-10."""
    arrays = _SUBSET.read(home)
    return _bunch(
        _CIFAR10,
        [arrays["x_train"], arrays["x_test"]],
        [arrays["y_train"], arrays["y_test"]],
        target_names=arrays["class_names"].tolist(),
        name=_SUBSET_NAME,
        source=str(home / _SUBSET.file),
        note="The first pictures of each class, shuffled; JPEG-compressed with quality 75 once, so "
        "errors are not those on CIFAR-10.",
    )


def _bunch(
    pictures: _PictureSet,
    X: Sequence[np.ndarray],
    y: Sequence[Any],
    *,
    target_names: Sequence[str],
    name: str,
    source: str,
    note: str = "",
) -> Bunch:
    """Give the training and the test part their names and types; channels came last."""
    X_train, X_test = (
        np.ascontiguousarray(part.transpose(0, 3, 1, 2), dtype=np.uint8) for part in X
    )
    y_train, y_test = (np.asarray(part, dtype=np.int64) for part in y)
    description = (
        f"{name}; {_CITATION}.",
        f"Source: {source}.",
        f"{len(X_train)} training and {len(X_test)} test pictures of {len(target_names)} classes.",
        note,
    )
    return Bunch(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        target_names=list(target_names),
        name=name,
        is_subset=name != pictures.title,
        mean=pictures.mean,
        std=pictures.std,
        DESCR="\n".join(description).strip(),
    )
