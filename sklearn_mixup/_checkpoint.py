"""A file that is whole or not there: written aside, renamed, and the one before it kept."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import torch

_NAME, _PREVIOUS, _SCRATCH = "checkpoint.pt", "previous.pt", "checkpoint.tmp"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a state so that a kill at any moment leaves this one or the last one whole."""
    scratch, newest = folder / _SCRATCH, folder / _NAME
    # In memory first: torch reports a disk that is full as a RuntimeError of its own.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        if newest.exists():
            os.replace(newest, folder / _PREVIOUS)
        os.replace(scratch, newest)
        _sync_folder(folder)
    except OSError:
        with suppress(OSError):
            scratch.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Force a renaming to the disk, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], Path] | None:
    """Read the newest state that is whole, and where it was; None if there never was one."""
    damaged: list[str] = []
    for path in (folder / _NAME, folder / _PREVIOUS):
        if not path.exists():
            continue
        content = path.read_bytes()
        if not _is_whole(content):
            damaged.append(str(path))
            continue
        if damaged:
            warnings.warn(
                f"The checkpoint {damaged[0]!r} is damaged; going on from the one before it, "
                f"{str(path)!r}.",
                stacklevel=3,
            )
        # All tensors on the host: who loads them puts them where they belong.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
        return state, path
    if damaged:
        raise ValueError(
            f"A checkpoint must be whole to go on from; got {' and '.join(damaged)}, which are "
            "damaged. Delete the folder to start over."
        )
    return None


def _is_whole(content: bytes) -> bool:
    """Whether a file of ``torch.save``, a ZIP archive, has all its parts and their checksums."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return bool(archive.namelist()) and archive.testzip() is None
    except Exception:  # A flipped bit can raise almost anything.
        return False


def hash_value(value: Any) -> str:
    """Hash a value, the same in each process; of one that cannot be pickled only its type."""
    try:
        return str(joblib.hash(value))
    except (pickle.PicklingError, AttributeError, TypeError):
        return f"{type(value).__module__}.{type(value).__qualname__}"


def check_shapes(path: Path, name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise ValueError unless a checkpoint has the parameters of a module, in their shapes."""
    shapes, found = (
        {key: tuple(getattr(value, "shape", ())) for key, value in part.items()}
        for part in (ours, theirs)
    )
    for key in sorted(shapes.keys() | found.keys()):
        if shapes.get(key) != found.get(key):
            raise ValueError(
                f"The checkpoint {str(path)!r} must be of the same architecture; {key!r} in the "
                f"{name} has shape {shapes.get(key, 'none')}, there {found.get(key, 'none')}. "
                "Give each training a `dirname` of its own, or delete the folder to start over."
            )
