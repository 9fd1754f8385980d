"""CIFAR-10 and CIFAR-100 as arrays, from their original files or from a subset that says so."""

import hashlib
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError

import numpy as np
from sklearn.utils import Bunch

from benchmarks._data_home import ENVIRONMENT_VARIABLE, DataHome, find_data_home
from benchmarks._vision import import_torchvision


@dataclass(frozen=True)
class _PictureSet:
    """One of the two data sets, and where its files are."""

    title: str
    folder: str  # below the data home
    kind: str  # the class of torchvision that knows its files and their checksums
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def files(self) -> Any:
        """Give the class of torchvision."""
        return getattr(import_torchvision().datasets, self.kind)


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

_SUBSET_FILE = "cifar10_subset.npz"
_SUBSET_SHA256 = "6563938732d29a458c5d3576fd8c215584a3897c968ce3858619f0f2ab51f121"
_SUBSET_NAME = "CIFAR-10 subset: 10,000 + 2,000, JPEG-recompressed"


def fetch_cifar10(
    data_home: DataHome = None,
    download_if_missing: bool = True,
    *,
    subset: bool | Literal["auto"] = "auto",
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
    if subset not in (True, False, "auto"):
        raise ValueError(f"`subset` must be True, False or 'auto'; got {subset!r}.")
    path = find_data_home(data_home) / _CIFAR10.folder / _SUBSET_FILE
    if subset == "auto":
        subset = path.exists() and not _is_here(_CIFAR10, data_home)
    if not subset:
        return _fetch(_CIFAR10, data_home, download_if_missing)
    if not path.exists():
        raise FileNotFoundError(
            f"The CIFAR-10 subset needs {str(path)!r}: not found, and it is never downloaded. Let "
            f"`data_home` or the environment variable {ENVIRONMENT_VARIABLE} name a folder that "
            f"has it as '{_CIFAR10.folder}/{_SUBSET_FILE}', or use subset=False for all of "
            "CIFAR-10."
        )
    return _read_subset(path)


def fetch_cifar100(data_home: DataHome = None, download_if_missing: bool = True) -> Bunch:
    """Load CIFAR-100: which of a hundred things is in a picture of 32 x 32 pixels.

    The files are ``cifar100/cifar-100-python/`` or ``cifar100/cifar-100-python.tar.gz`` below the
    data home. Parameters, fields and errors are those of :func:`fetch_cifar10`.

    Returns
    -------
    Bunch
        50,000 training and 10,000 test pictures of 100 classes; ``is_subset`` is False.
    """
    return _fetch(_CIFAR100, data_home, download_if_missing)


def _is_here(pictures: _PictureSet, data_home: DataHome) -> bool:
    """Whether the batches, or the archive of them, are in their place."""
    try:
        files = pictures.files()
    except ImportError:
        return False
    root = find_data_home(data_home) / pictures.folder
    return not _missing(files, root) or (root / files.filename).exists()


def _batches(files: Any, root: Path) -> list[tuple[Path, str]]:
    """List the files of the two parts and of the names, each with its checksum."""
    listed = [*files.train_list, *files.test_list, (files.meta["filename"], files.meta["md5"])]
    return [(root / files.base_folder / name, md5) for name, md5 in listed]


def _missing(files: Any, root: Path) -> list[Path]:
    """List the batches that are not there."""
    return [path for path, _ in _batches(files, root) if not path.exists()]


def _fetch(pictures: _PictureSet, data_home: DataHome, download_if_missing: bool) -> Bunch:
    """Load the original batches."""
    files = pictures.files()
    root = find_data_home(data_home) / pictures.folder
    if missing := _missing(files, root):
        archive = root / files.filename
        if not archive.exists() and not download_if_missing:
            reason = "download_if_missing is False"
            raise FileNotFoundError(_how_to_get(pictures, missing, reason))
        _unpack(pictures, missing, archive)
    _check(files, root)
    parts = [files(root, train=train) for train in (True, False)]
    X, y = zip(*((part.data.transpose(0, 3, 1, 2), part.targets) for part in parts), strict=True)
    return _bunch(
        pictures,
        X,
        y,
        target_names=parts[0].classes,
        name=pictures.title,
        source=files.url,
    )


def _how_to_get(pictures: _PictureSet, missing: Sequence[Path], reason: str) -> str:
    """Say which files are wanted, where they go and where they are from."""
    files = pictures.files()
    return (
        f"{pictures.title} needs {', '.join(repr(str(path)) for path in missing)}: not found, and "
        f"{reason}. Unpack {files.url} in {str(missing[0].parents[1])!r}, or let `data_home` or "
        f"the environment variable {ENVIRONMENT_VARIABLE} name a folder that has them as "
        f"'{pictures.folder}/{files.base_folder}'."
    )


def _unpack(pictures: _PictureSet, missing: Sequence[Path], archive: Path) -> None:
    """Unpack the archive, which is downloaded if it is not there."""
    files = pictures.files()
    utils = import_torchvision().datasets.utils
    root = archive.parent
    try:
        if archive.exists():
            if not utils.check_integrity(archive, files.tgz_md5):
                raise ValueError(_damaged(archive, files))
            utils.extract_archive(str(archive), str(root))
        else:
            with redirect_stdout(StringIO()):  # old torchvision tells what it does
                utils.download_and_extract_archive(
                    files.url, str(root), filename=files.filename, md5=files.tgz_md5
                )
    except (OSError, RuntimeError) as error:  # the second is a download with a wrong checksum
        if isinstance(error, HTTPError):
            error.close()  # it is the server's answer too, and open
        reason = f"getting them failed ({error})"
        raise OSError(_how_to_get(pictures, missing, reason)) from error


def _damaged(path: Path, files: Any) -> str:
    """Say what to do with a file that is not the published one."""
    return (
        f"{str(path)!r} is damaged: its checksum is not the published one. Delete it and fetch "
        f"again; it is from {files.url}."
    )


def _check(files: Any, root: Path) -> None:
    """Raise ValueError for the first batch that is not the published one."""
    check_integrity = import_torchvision().datasets.utils.check_integrity
    for path, md5 in _batches(files, root):
        if not check_integrity(path, md5):
            raise ValueError(_damaged(path, files))


def _read_subset(path: Path) -> Bunch:
    """Read the packed subset of CIFAR-10."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != _SUBSET_SHA256:
        raise ValueError(
            f"{str(path)!r} is damaged: expected the SHA-256 checksum {_SUBSET_SHA256}, found "
            f"{sha256}. Copy it again, or use subset=False for all of CIFAR-10."
        )
    with np.load(BytesIO(content)) as arrays:
        return _bunch(
            _CIFAR10,
            [arrays[part].transpose(0, 3, 1, 2) for part in ("x_train", "x_test")],
            [arrays[part] for part in ("y_train", "y_test")],
            target_names=arrays["class_names"].tolist(),
            name=_SUBSET_NAME,
            source=str(path),
            note="The first pictures of each class, shuffled; JPEG-compressed with quality 75 once,"
            " so errors are not those on CIFAR-10.",
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
    """Give the training and the test part their names and types."""
    X_train, X_test = (np.ascontiguousarray(part, dtype=np.uint8) for part in X)
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
    mean, std = (np.array(part, dtype=np.float64).reshape(-1, 1, 1) for part in (mean, std))
    floats = X.astype(np.float32)
    floats -= (255 * mean).astype(np.float32)  # in place: no second copy
    floats /= (255 * std).astype(np.float32)
    return floats
