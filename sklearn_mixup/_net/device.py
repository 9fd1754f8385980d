"""The device that a net runs on, its threads, and the global random generators there."""

from __future__ import annotations

import functools
import math
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

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


def move(net: Any, device: Any) -> None:
    """Put the parts of a net on the device that it computes on."""
    optimizers = []
    for prefix in getattr(net, "cuda_dependent_attributes_", ()):
        part = getattr(net, prefix, None)
        if isinstance(part, nn.Module):
            part.to(device)
        elif isinstance(part, torch.optim.Optimizer):
            optimizers.append(part)
    for optimizer in optimizers:
        optimizer.load_state_dict(optimizer.state_dict())  # to where its parameters are


def autocast_dtype(kind: str) -> torch.dtype | None:
    """Tell the precision of torch.autocast on a kind of device; None outside of it."""
    is_on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if is_on else None


@contextmanager
def uncached_autocast() -> Iterator[None]:
    """Let torch.autocast round weights anew in each step: what it has kept are those before it."""
    is_cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(is_cached)


@contextmanager
def isolated_rng(seed: int, device: Any) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch; leave them as they were found."""
    with kept_rng(device) as seed_all:
        seed_all(seed)
        yield


@contextmanager
def kept_rng(device: Any) -> Iterator[Callable[[int], None]]:
    """Leave the global generators of Python, NumPy and torch as they were found.

    Yields a function that seeds them, which takes a tenth of the time that it takes to keep them.
    """
    try:
        device = torch.device("cpu" if device is None else device)
    except RuntimeError:  # What torch does not know draws nothing, and fails where it is used.
        device = torch.device("cpu")
    with _GLOBAL_RNG:
        states = get_random_states(device)
        try:
            yield functools.partial(_seed_all, device)
        finally:
            set_random_states(states, device)


def _seed_all(device: torch.device, seed: int) -> None:
    """Seed the global generators of Python, NumPy, torch and the device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    if (accelerator := _accelerator(device)) is not None:
        fresh = torch.Generator(device=device).manual_seed(seed)
        accelerator.set_rng_state(fresh.get_state(), *_named(device))


def _accelerator(device: torch.device) -> Any:
    """Find torch's module for a kind of device that has a global generator of its own."""
    return getattr(torch, device.type) if device.type in ("cuda", "mps", "xpu") else None


def _named(device: torch.device) -> tuple[torch.device, ...]:
    """Name the device, but to torch.mps, which has one and takes no argument that names it."""
    return () if device.type == "mps" else (device,)


def get_random_states(device: torch.device) -> tuple[Any, ...]:
    """Collect the states of the global generators of Python, NumPy, torch and the device."""
    accelerator = _accelerator(device)
    return (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002
        torch.get_rng_state(),
        accelerator.get_rng_state(*_named(device)) if accelerator else None,
    )


def set_random_states(states: tuple[Any, ...], device: torch.device) -> None:
    """Set the states of the global generators of Python, NumPy, torch and the device."""
    python_state, numpy_state, torch_state, accelerator_state = states
    random.setstate(python_state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    torch.set_rng_state(torch_state)
    accelerator = _accelerator(device)
    if accelerator is not None and accelerator_state is not None:
        accelerator.set_rng_state(accelerator_state, *_named(device))


# -- threads --------------------------------------------------------------------------------

# A step of fewer operations takes 1.5 milliseconds of one thread, or less. Two save a third of them
# at most, if each has a core to itself; on a busy machine one waits for the other, up to a second.
MANY_FLOPS = 1e8


def count_flops(module: nn.Module, X: Any) -> int:
    """Bound the operations that a module spends on a row, found without computing it.

    Each number of a parameter is used once for each place in a row, that is for each pixel of a
    picture and each element of a sequence.
    """
    parts = list(X.values()) if isinstance(X, Mapping) else [X]
    parameters = list(module.parameters())
    convolves = any(parameter.ndim > 2 for parameter in parameters)
    places = [part.shape[2:] if convolves else part.shape[1:-1] for part in parts]
    return 2 * sum(p.numel() for p in parameters) * max(map(math.prod, places))


_fixed = threading.local()


@contextmanager
def fixed_threads(n_threads: int) -> Iterator[None]:
    """Let what this thread computes have so many threads, whatever it is."""
    torch.set_num_threads(n_threads)
    _fixed.is_set = True
    try:
        yield
    finally:
        _fixed.is_set = False


@contextmanager
def threads_for(n_flops: float, device: Any) -> Iterator[None]:
    """Let a computation on a CPU have one thread if it is a small one, else all there are."""
    before, is_fixed = torch.get_num_threads(), getattr(_fixed, "is_set", False)
    if (
        is_fixed
        or before == 1
        or n_flops >= MANY_FLOPS
        or torch.device(device or "cpu").type != "cpu"
    ):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _OneBlasThread:
    """Holds BLAS to one thread as long as anybody in any thread asks for it.

    Matrices of a minibatch are too small to share; threads that wait for each other take longer.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_users = 0
        self.limiter: Any = None

    def __enter__(self) -> None:
        with self.lock:
            self.n_users += 1
            if self.n_users == 1:
                self.limiter = _find_blas().limit(limits=1)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.n_users -= 1
            if self.n_users == 0:
                self.limiter.restore_original_limits()


@functools.cache
def _find_blas() -> Any:
    """Find the libraries of BLAS that are loaded, which takes some milliseconds."""
    import scipy.linalg.cython_blas  # noqa: F401, whose BLAS compiled code calls
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


one_blas_thread = _OneBlasThread()
