"""JPEG files of one kind, packed one after the other: what they begin with alike is kept once."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np


def decode_packed(
    header: np.ndarray, rest: np.ndarray, lengths: np.ndarray, *, shape: tuple[int, int]
) -> np.ndarray:
    """Decode pictures of which each is `header` and its own part of `rest`.

    Parameters
    ----------
    header : array of shape (n_bytes,), uint8
        What all files begin with.
    rest : array of shape (n_bytes,), uint8
        What follows it in each file, one file after the other.
    lengths : array of shape (n_pictures,), whole numbers
        Bytes of `rest` that are each file's.
    shape : tuple of two int
        Height and width that all have, in pixels.

    Returns
    -------
    array of shape (n_pictures, height, width, 3), uint8
        Red, green and blue.

    Raises
    ------
    ValueError
        If the lengths are not those of `rest`; if a picture is truncated or has another size.
    ImportError
        If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "JPEG files need Pillow, which is not installed: pip install pillow."
        ) from error
    ends = np.cumsum(lengths, dtype=np.int64)
    n_bytes = int(ends[-1]) if len(ends) else 0
    if n_bytes != len(rest):
        raise ValueError(
            f"{len(lengths):,} pictures must have {n_bytes:,} bytes by their lengths; got "
            f"{len(rest):,}"
        )
    start, content = header.tobytes(), rest.tobytes()
    pictures = np.empty((len(ends), *shape, 3), dtype=np.uint8)
    for row, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
        try:
            picture: Any = Image.open(BytesIO(start + content[end - length : end]))
            pixels = np.asarray(picture)  # which decodes it
        except OSError as error:
            raise ValueError(f"picture {row:,} cannot be decoded ({error})") from error
        if pixels.shape != pictures.shape[1:]:
            raise ValueError(
                f"picture {row:,} must be of shape {pictures.shape[1:]}; got {pixels.shape}"
            )
        pictures[row] = pixels
    return pictures
