"""How many nets a stack holds, how many stacks are trained at a time, and by how many threads."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.base import clone
from torch import Tensor, nn

from sklearn_mixup._engine.lane import Lane, Shared, initialize
from sklearn_mixup._engine.stack import apply, is_plain_mlp
from sklearn_mixup._net.device import MANY_FLOPS, isolated_rng
from sklearn_mixup.minibatches import bytes_per_row, map_tensors

# On a CPU, parameters, gradients and Adam's two averages of a stack should stay in the cache. What
# takes more alone is large enough to keep a core busy: it is trained as a stack of one.
_CACHE_BYTES = 10 * 2**20

# What a step of a stack takes on a CPU, in operations of matrix products: Python, while it holds
# its lock, as much as the first, however many the nets; for each operation of the products, which
# threads share, the second, which they do not; and each thread the third to start. On 16 cores 100
# nets of 18,000 weights took 5.0 s by one worker, 2.7 by four, 5.6 by eight and 10.4 by sixteen,
# each a thread with stacks of its own, that waits for the lock; and 2.1 by one stack on 16 threads.
_LOCKED_FLOPS = 7.4e7
_BESIDE = 0.75
_START_FLOPS = 1e6


@dataclass(frozen=True)
class Kind:
    """Nets that can share a stack, and what one of them takes.

    Parameters
    ----------
    n_nets : int
    n_flops : float
        Operations of a step; 0 where no thread of the host does them.
    bytes_of_state : int
        Parameters, gradients and an optimizer's averages.
    n_bytes : int
        All the memory that it takes to train one.
    free_bytes : int
        Memory that there is.
    on_host : bool
        Whether they are trained on a CPU.
    is_compiled : bool
        Whether compiled code takes the steps, which holds no lock, and uses one thread.
    """

    n_nets: int
    n_flops: float = 0.0
    bytes_of_state: int = 1
    n_bytes: int = 1
    free_bytes: int = 2**32
    on_host: bool = True
    is_compiled: bool = False

    def most(self, n_stacks: int, n_threads: int) -> int:
        """Tell how many of them fit into a stack, of so many at a time by so many threads each."""
        size = int(self.free_bytes / n_stacks / 2 / self.n_bytes)
        if self.on_host:
            size = min(size, n_threads * _CACHE_BYTES // self.bytes_of_state)
        return max(size, 1)


def count_chunks(n_nets: int, size: int, n_stacks: int) -> int:
    """Tell into how many chunks of so many nets at most to cut, one for each stack at least."""
    # Each worker as many, so that none waits for another's last chunk.
    n_rounds = max(-(-n_nets // (size * n_stacks)), 1)
    return min(n_rounds * n_stacks, n_nets)


def estimate(n_stacks: int, n_threads: int, kind: Kind, size: int | None = None) -> float:
    """Estimate what a step of all nets takes: so many stacks at a time, by so many threads each.

    Threads that train a stack each wait for each other where Python does the work; threads within
    a stack are of use only where there is enough to compute.
    """
    n_chunks = count_chunks(kind.n_nets, size or kind.most(n_stacks, n_threads), n_stacks)
    n_flops = -(-kind.n_nets // n_chunks) * kind.n_flops
    step = _LOCKED_FLOPS + n_flops * (_BESIDE + 1 / n_threads) + (n_threads - 1) * _START_FLOPS
    return -(-n_chunks // n_stacks) * max(step, n_stacks * _LOCKED_FLOPS)


def spread(n_workers: int, kind: Kind, size: int | None = None) -> tuple[int, int]:
    """Tell how many stacks to train at a time, in threads, and how many threads each is to use.

    `size` bounds the nets of a stack.
    """
    if not kind.on_host:  # All of them would wait for one device.
        return 1, 1
    if kind.is_compiled:
        return min(n_workers, kind.n_nets), 1
    choices = [
        (n_stacks, n_threads)
        for n_stacks in range(min(n_workers, kind.n_nets), 0, -1)
        for n_threads in range(1, n_workers // n_stacks + 1)
    ]
    return min(choices, key=lambda each: estimate(each[0], each[1], kind, size))


def measure(jobs: Sequence[Any]) -> Kind:
    """Find out what it takes to train a net of a group, by beginning one."""
    for net, X, y, fit_params, _, validation in jobs:
        with suppress(Exception):  # It will be raised again where that is noted.
            lane = Lane(clone(net), X, y, fit_params, None, Shared(), validation)
            if not initialize({0: lane}):
                break
    else:
        return Kind(len(jobs), bytes_of_state=_CACHE_BYTES)
    device, n_flops = lane.y.device, lane.net._training_.n_flops
    lane.close(fitted=False)
    on_host = device.type == "cpu"
    bytes_of_state = 4 * sum(p.numel() * p.element_size() for p in lane.net.module_.parameters())
    # Weights and an optimizer's two averages of them are kept of the last good epoch too.
    n_copies = 3 if lane.held_out is None else 6  # quarters of the state; of the best epoch too
    n_bytes = bytes_of_state * (4 + n_copies) // 4 + 2 * _bytes_of_step(lane)
    return Kind(
        len(jobs),
        # Of a module whose size is not known before the first minibatch, as if it were large.
        n_flops=min(n_flops, 1e10) if on_host else 0.0,
        bytes_of_state=bytes_of_state,
        n_bytes=n_bytes + 64 * lane.n_visits,
        free_bytes=_free_bytes(device),
        on_host=on_host,
        is_compiled=lane.net.engine == "numba"
        and is_plain_mlp(lane.net.module_)
        and n_flops < MANY_FLOPS,
    )


def _bytes_of_step(lane: Lane) -> int:
    """Count the bytes of what all layers put out for a minibatch, found without computing it."""
    counts: list[int] = []

    def count(layer: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            counts.append(output.numel() * output.element_size())

    X = map_tensors(
        lambda part: torch.empty(lane.batch_size, *part.shape[1:], dtype=part.dtype, device="meta"),
        lane.minibatches.X,
    )
    try:
        module = copy.deepcopy(lane.net.module_).to("meta")
        for layer in module.modules():
            layer.register_forward_hook(count)
        with torch.no_grad(), isolated_rng(0, "cpu"):
            apply(module, X)
    except Exception:
        return 64 * bytes_per_row(lane.minibatches.X) * lane.batch_size
    return bytes_per_row(X) * lane.batch_size + sum(counts)


def _free_bytes(device: torch.device) -> int:
    """Tell how much memory is free where the nets are trained."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return 2**32
