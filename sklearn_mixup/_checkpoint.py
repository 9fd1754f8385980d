"""A file that is whole or not there: written aside, renamed, and the one before it kept."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from joblib.hashing import NumpyHasher
from torch.nn.parameter import is_lazy

_NAME, _PREVIOUS, _SCRATCH = "checkpoint.pt", "previous.pt", "checkpoint.tmp"
# At the end of a file: the checksums of a ZIP archive leave out its own directory.
_N_DIGEST = hashlib.sha256().digest_size


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
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
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
        with suppress(OSError):  # Some network mounts have no way to.
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
            # Or the next save would put the damaged file in the place of the good one.
            with suppress(OSError):
                os.replace(path, folder / _NAME)
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
    """Whether a file ends with the digest of the rest."""
    rest, digest = memoryview(content)[:-_N_DIGEST], content[-_N_DIGEST:]
    return hashlib.sha256(rest).digest() == digest


class _Hasher(NumpyHasher):
    """Hash a tensor by what it holds: torch pickles its place in memory too."""

    def save(self, obj: Any) -> None:
        """Hash a part of a value."""
        if isinstance(obj, torch.Tensor) and obj.layout is torch.strided:
            rows = obj.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            obj = type(obj).__qualname__, str(obj.dtype), tuple(obj.shape), rows
        elif isinstance(obj, torch.Generator):
            obj = "generator", str(obj.device)  # Its state is in the checkpoint.
        super().save(obj)


def hash_value(value: Any) -> str:
    """Hash a value, the same in each process; if it cannot be pickled, hash its type."""
    try:
        return str(_Hasher(hash_name="md5").hash(value))
    except Exception:  # What holds a handle of the system raises almost anything.
        return f"{type(value).__module__}.{type(value).__qualname__}"


def check_shapes(path: Path, name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise ValueError unless a checkpoint has the parameters of a module, in their shapes."""
    shapes, found = (
        {
            key: () if is_lazy(value) else tuple(getattr(value, "shape", ()))
            for key, value in part.items()
        }
        for part in (ours, theirs)
    )
    # A lazy one takes the shape that it finds.
    lazy = {key for key, value in ours.items() if is_lazy(value)}
    for key in sorted((shapes.keys() | found.keys()) - lazy):
        if shapes.get(key) != found.get(key):
            raise ValueError(
                f"The checkpoint {str(path)!r} must be of the same architecture; {key!r} in the "
                f"{name} has shape {shapes.get(key, 'none')}, there {found.get(key, 'none')}. "
                "Give each training a `dirname` of its own, or delete the folder to start over."
            )
