"""What a run takes, computed before it starts: parameters, memory and steps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks._lab.outcome import terminal_table


class Cost(NamedTuple):
    """What a run takes, computed without weights, data or a step."""

    n_parameters: int  # numbers that are trained
    state_bytes: int  # parameters, gradients, momenta, and statistics of normalisation layers
    activation_bytes: int  # what a minibatch keeps for its backward pass, parameters left out
    data_bytes: int  # pictures and labels that stay on the device


def compute_cost(
    make: Callable[[], nn.Module],
    *,
    batch_size: int,
    shape: tuple[int, int, int],
    n_resident: int = 0,
) -> Cost:
    """Compute what a run takes, on torch's meta device: shapes alone, no numbers.

    Of the network that `make` gives, on float32 pictures of a `shape`, channels first; `n_resident`
    of them stay on the device, to train or test on, none if they are streamed.

    Examples
    --------
    >>> def make():
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    >>> cost = compute_cost(make, batch_size=4, shape=(3, 2, 2))
    >>> cost.n_parameters, cost.state_bytes
    (130, 1560)
    """
    with torch.device("meta"):
        module = make()
        X = torch.empty(batch_size, *shape)
        y = torch.empty(batch_size, dtype=torch.int64)
    parameters = list(module.parameters())
    own = {tensor.untyped_storage()._cdata for tensor in (*parameters, *module.buffers())}
    kept: dict[int, Tensor] = {}  # a storage's number is its own only while it is alive

    def keep(tensor: Tensor) -> Tensor:
        if (storage := tensor.untyped_storage()._cdata) not in own:
            kept[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = nn.functional.cross_entropy(module(X), y)
    activation_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del loss
    parameter_bytes = sum(p.numel() * p.element_size() for p in parameters)
    buffer_bytes = sum(b.numel() * b.element_size() for b in module.buffers())
    picture_bytes = 4 * int(np.prod(shape)) + 8  # and its label
    return Cost(
        n_parameters=sum(parameter.numel() for parameter in parameters),
        state_bytes=3 * parameter_bytes + buffer_bytes,
        activation_bytes=activation_bytes,
        data_bytes=n_resident * picture_bytes,
    )


def tell_plan(title: str, planned: Sequence[Mapping[str, Any]]) -> None:
    """Print a plan, its sums, and what is counted; memory is in MB, a million bytes.

    `planned` has a line for runs that differ in what costs nothing, such as alpha and seed: words,
    and the numbers ``runs``, ``steps a run`` and others.
    """
    frame = pd.DataFrame(planned)
    n_runs, n_steps = frame["runs"].sum(), (frame["runs"] * frame["steps a run"]).sum()
    told = frame.map(lambda value: value if isinstance(value, str) else f"{value:,.0f}")
    print("", title, "", terminal_table(told), "", sep="\n")
    print(f"{n_runs:,} runs, {n_steps:,} steps (minibatches) in all. Nothing was trained.\n")
    counted = (
        "Memory of one run on one device, computed from shapes: weights are the parameters, "
        "their gradients, their momenta and the statistics of normalisation, in float32; "
        "minibatch is what the forward pass of one minibatch keeps for the backward pass, each "
        "tensor once; data are pictures and labels that stay on the device. Not counted: what "
        "kernels need while they compute, copies that gather and mix, and the libraries."
    )
    print(textwrap.fill(counted, 100))
