"""Folders of pictures, too large for memory: a Dataset that names what is damaged, transforms."""

import os
import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import joblib
import torch
from PIL import Image, ImageFile
from tqdm import tqdm

from benchmarks._data.pictures import IMAGENET_MEAN, IMAGENET_STD
from benchmarks._nets.vision import import_torchvision

import_torchvision()
from torchvision.datasets import ImageFolder  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

# -- folders ---------------------------------------------------------------------------------------


class PictureFolder(ImageFolder):
    """Pictures in folders, one for each class: a torch Dataset of ``(picture, code)``.

    A picture is read when it is asked for, so a folder may be larger than memory. Whatever its
    mode, such as grey, it is given as RGB.

    Parameters
    ----------
    root : path-like
        Folder with a folder of pictures for each class. Classes are coded in the order of their
        names.
    transform : callable, default=None
        ``transform(picture)`` of a :class:`PIL.Image.Image`, such as :func:`train_transform`.
    unreadable : "raise" or "skip", default="raise"
        What to do about a truncated or otherwise unreadable picture. ``"raise"`` is an error that
        names it, once it is asked for. ``"skip"`` leaves it out, with a warning that names it; to
        find them all, the whole folder is read and decoded once, here.

    Attributes
    ----------
    classes, samples, targets
        As of :class:`torchvision.datasets.ImageFolder`.
    skipped : list of str
        Paths of the pictures that were left out.

    Raises
    ------
    FileNotFoundError
        If `root` has no folders, or one of them no pictures.
    ValueError
        If a picture cannot be read; if none of a class can.

    Examples
    --------
    >>> pictures = PictureFolder("imagenette2/train", train_transform(128))  # doctest: +SKIP
    >>> len(pictures), pictures[0][0].shape  # doctest: +SKIP
    (9469, torch.Size([3, 128, 128]))
    """

    samples: list[tuple[str, int]]

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        *,
        unreadable: Literal["raise", "skip"] = "raise",
    ) -> None:
        if unreadable not in ("raise", "skip"):
            raise ValueError(f"`unreadable` must be 'raise' or 'skip'; got {unreadable!r}.")
        super().__init__(os.fspath(root), transform=transform, loader=read_picture)
        self.unreadable = unreadable
        self.skipped: list[str] = []
        if unreadable == "skip":
            self._skip_unreadable()

    def _skip_unreadable(self) -> None:
        """Decode every picture once and leave out those that cannot be."""
        paths = [path for path, _ in self.samples]
        # Decoding lets go of the interpreter's lock, so threads share the work.
        parallel = joblib.Parallel(joblib.cpu_count(), require="sharedmem", return_as="generator")
        problems = parallel(joblib.delayed(_find_problem)(path) for path in paths)
        # disable=None: a bar on a terminal, nothing elsewhere.
        bar = tqdm(problems, "reading pictures", len(paths), leave=False, disable=None)
        pairs = list(zip(self.samples, bar, strict=True))
        told = [problem for _, problem in pairs if problem]
        if not told:
            return
        self.skipped = [path for (path, _), problem in pairs if problem]
        self.samples = self.imgs = [sample for sample, problem in pairs if not problem]
        self.targets = [code for _, code in self.samples]
        emptied = [self.classes[code] for code in set(range(len(self.classes))) - {*self.targets}]
        if emptied:
            raise ValueError(f"No picture of {', '.join(emptied)} can be read: {told[0]}.")
        more = f"; and {len(told) - 5} more" if len(told) > 5 else ""
        warnings.warn(
            f"Left out {len(told)} of {len(pairs)} pictures that cannot be read: "
            f"{'; '.join(told[:5])}{more}.",
            stacklevel=3,
        )


def read_picture(path: str) -> Image.Image:
    """Read and decode a picture as RGB, whole; else it is a ValueError that names the file."""
    content = Path(path).read_bytes()
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ValueError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES must be False; got True. With it the missing part "
            "of a truncated picture is grey, and nothing tells of it."
        )
    try:
        return Image.open(BytesIO(content)).convert("RGB")
    except Exception as error:  # a damaged file can make PIL raise almost anything
        raise ValueError(
            f"{path!r} cannot be read as a picture: {error}. Replace or delete it, or leave such "
            'pictures out with unreadable="skip".'
        ) from error


def _find_problem(path: str) -> str:
    """Say why a picture cannot be read; nothing if it can."""
    try:
        read_picture(path)
    except ValueError as error:
        return f"{path} ({error.__cause__})" if error.__cause__ else str(error)
    return ""


# -- transforms ------------------------------------------------------------------------------------


def to_tensor(mean: Sequence[float], std: Sequence[float]) -> list[Any]:
    """List the transforms that turn a PIL picture into a standardised float tensor."""
    return [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean, std),
        v2.ToPureTensor(),
    ]


def train_transform(size: int) -> v2.Compose:
    """Make the paper's augmentation for ImageNet: scale and aspect ratio, random crop, flip.

    Parameters
    ----------
    size : int
        Height and width of the result, in pixels; the paper's is 224.

    Returns
    -------
    Compose
        From a PIL picture to a float32 tensor of shape (3, size, size), standardised as ImageNet.

    Examples
    --------
    >>> train_transform(64)(Image.new("RGB", (100, 80))).shape
    torch.Size([3, 64, 64])
    """
    augment = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
    return v2.Compose([*augment, *to_tensor(IMAGENET_MEAN, IMAGENET_STD)])


def test_transform(size: int) -> v2.Compose:
    """Make the paper's view of a test picture: shorter side to 256/224 of `size`, centre crop.

    Parameters and result are those of :func:`train_transform`. Nothing is random.

    Examples
    --------
    >>> test_transform(64)(Image.new("RGB", (100, 80))).shape
    torch.Size([3, 64, 64])
    """
    centre = [v2.Resize(round(256 * size / 224)), v2.CenterCrop(size)]
    return v2.Compose([*centre, *to_tensor(IMAGENET_MEAN, IMAGENET_STD)])


vars(test_transform)["__test__"] = False  # no test, whatever pytest makes of its name
