"""CIFAR-10 and CIFAR-100 as arrays, from their original files or from others that say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from sklearn.utils import Bunch, check_random_state

from benchmarks._data.fetching import Archive, PackedFile, check_file
from benchmarks._data.home import DataHome, find_data_home
from benchmarks._data.jpegs import decode_packed
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

Version = Literal["original", "subset", "recompressed"]
_RATHER = 'use versions=["original"] for CIFAR-10 as its authors give it'
_SUBSET = PackedFile(
    what="The CIFAR-10 subset",
    file="cifar10/cifar10_subset.npz",
    sha256="6563938732d29a458c5d3576fd8c215584a3897c968ce3858619f0f2ab51f121",
    rather=_RATHER,
)
_SUBSET_NAME = "CIFAR-10 subset: 10,000 + 2,000, JPEG-recompressed"
_JPEG = PackedFile(
    what="CIFAR-10, recompressed,",
    file="cifar10/cifar10_jpeg.npz",
    sha256="1fd3f7e29967ee9694270fec4ad22e0aec77d4bf4c125e68a92574a6f1fd8576",
    rather=_RATHER,
)
_JPEG_NAME = "CIFAR-10, JPEG-recompressed"
_RECOMPRESSED = (
    "JPEG-compressed with quality 75 once, so pixels are near the original ones and not equal to "
    "them, and errors are not those on CIFAR-10."
)


def fetch_cifar10(
    data_home: DataHome = None,
    download_if_missing: bool = True,
    *,
    versions: Sequence[Version] = ("original", "subset", "recompressed"),
) -> Bunch:
    """Load CIFAR-10: which of ten things is in a picture of 32 x 32 pixels.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``cifar10/cifar-10-batches-py/`` with the original python batches, or
        the archive ``cifar10/cifar-10-python.tar.gz``, or one of the packed files
        ``cifar10/cifar10_subset.npz`` and ``cifar10/cifar10_jpeg.npz``. None takes the environment
        variable ``SKLEARN_MIXUP_DATA``, else :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Whether to get missing batches (170 MB) from their authors. The packed files are never
        downloaded.
    versions : sequence of str, default=("original", "subset", "recompressed")
        Those that will do, the first choice first: the first that is here is read. If none is, the
        original is downloaded where it is among them. Both others were stored as JPEG once, so that
        their pixels are near the original ones and not equal to them: ``"recompressed"`` is all
        60,000 pictures, ``"subset"`` 1,000 training and 200 test pictures of each class.

    Returns
    -------
    Bunch
        - ``X_train``, ``X_test``: uint8 arrays of shape (n_pictures, 3, 32, 32), red, green, blue;
          50,000 and 10,000 pictures, or 10,000 and 2,000 of the subset; in the original order, or
          in one that has nothing to do with the classes;
        - ``y_train``, ``y_test``: int64 arrays of shape (n_pictures,), from 0 to 9;
        - ``target_names``: list of str, the class of each code;
        - ``name``: str, ``"CIFAR-10"``, or one that says "subset" or "recompressed";
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
        If a file does not have the published checksum, or `versions` names no such thing.
    ImportError
        If the original batches are to be read and torchvision is not installed; if the recompressed
        pictures are to be read and Pillow is not.

    Examples
    --------
    >>> cifar10 = fetch_cifar10(download_if_missing=False)  # doctest: +SKIP
    >>> cifar10.name, cifar10.X_train.shape  # doctest: +SKIP
    ('CIFAR-10', (50000, 3, 32, 32))
    """
    known = get_args(Version)
    if isinstance(versions, str) or not versions or not set(versions) <= set(known):
        raise ValueError(f"`versions` must be a list of some of {list(known)}; got {versions!r}.")
    home = find_data_home(data_home)
    here = (version for version in versions if _is_here(version, home))
    version = next(here, "original" if "original" in versions else versions[0])
    if version == "subset":
        return _read_subset(home)
    if version == "recompressed":
        return _read_recompressed(home)
    packed = {"subset": _SUBSET, "recompressed": _JPEG}
    beside = [repr(packed[other].file) for other in versions if other != "original"]
    return _fetch(_CIFAR10, home, download_if_missing, beside=", or ".join(["", *beside]))


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


def _is_here(version: Version, home: Path) -> bool:
    """Whether the files of CIFAR-10 are in their place, or the archive of the original ones."""
    if version != "original":
        return {"subset": _SUBSET, "recompressed": _JPEG}[version].is_here(home)
    try:
        return _CIFAR10.published()[2].is_here(home)
    except ImportError:
        return False


def _fetch(
    pictures: _PictureSet, home: Path, download_if_missing: bool, *, beside: str = ""
) -> Bunch:
    """Load the original batches; `beside` names what else will do."""
    kind, checksums, archive = pictures.published()
    archive = replace(archive, beside=beside)
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
        note=f"The first pictures of each class, shuffled; {_RECOMPRESSED}",
    )


def _read_recompressed(home: Path) -> Bunch:
    """Read all of CIFAR-10 from its packed JPEG files, and shuffle what is sorted by class."""
    arrays = _JPEG.read(home)
    X, y = [], []
    for part in ("train", "test"):
        packed = (arrays[name] for name in ("jpeg_header", f"jpeg_{part}", f"length_{part}"))
        codes = arrays[f"y_{part}"]
        try:
            pictures = decode_packed(*packed, shape=(32, 32))
            if len(pictures) != len(codes):
                raise ValueError(f"{len(pictures):,} {part} pictures have {len(codes):,} labels")
        except ValueError as error:
            raise _JPEG.damaged(home, error) from error
        order = check_random_state(0).permutation(len(codes))
        X.append(pictures[order])
        y.append(codes[order])
    return _bunch(
        _CIFAR10,
        X,
        y,
        target_names=arrays["class_names"].tolist(),
        name=_JPEG_NAME,
        source=str(home / _JPEG.file),
        note=f"All pictures, shuffled; {_RECOMPRESSED}",
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
        is_subset=name == _SUBSET_NAME,
        mean=pictures.mean,
        std=pictures.std,
        DESCR="\n".join(description).strip(),
    )
