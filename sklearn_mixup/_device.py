"""The device that a net runs on, and the global random generators there."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Dropout and the initial weights draw from torch's global generator, so two fits in two threads
# would share it: they take turns.
_GLOBAL_RNG = threading.RLock()


def resolve_device(device: Any) -> Any:
    """Turn "auto" into the best device there is; leave every other device alone."""
    if not (isinstance(device, str) and device == "auto"):
        return device
    return _best_device()


@functools.cache
def _best_device() -> str:
    """Find out once: it is asked for at every minibatch."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: Any) -> None:
    """Raise ValueError unless a tensor can be put on the device."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"`device` must be a device that torch can use here; got {device!r} ({error}). "
            'Use "auto" for the best one there is, or "cpu".'
        ) from error


@contextmanager
def isolated_rng(seed: int, device: Any) -> Iterator[None]:
    """Seed the global generators of NumPy and torch, and leave them as they were found."""
    device = torch.device(device if device is not None else "cpu")
    accelerator = getattr(torch, device.type) if device.type in ("cuda", "mps", "xpu") else None
    # torch.mps has one device and takes no argument that names it.
    where = () if device.type == "mps" else (device,)
    with _GLOBAL_RNG:
        numpy_state = np.random.get_state()  # noqa: NPY002
        torch_state = torch.get_rng_state()
        accelerator_state = accelerator.get_rng_state(*where) if accelerator else None
        try:
            np.random.seed(seed)  # noqa: NPY002
            torch.default_generator.manual_seed(seed)
            if accelerator:
                fresh = torch.Generator(device=device).manual_seed(seed)
                accelerator.set_rng_state(fresh.get_state(), *where)
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            torch.set_rng_state(torch_state)
            if accelerator:
                accelerator.set_rng_state(accelerator_state, *where)
