"""What a run takes, computed before it starts: parameters, memory and steps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks._lab.outcome import terminal_table


@dataclass(frozen=True)
class Cost:
    """What a run takes, computed without weights, data or a step.

    Parameters
    ----------
    n_parameters : int
        Numbers that are trained.
    state_bytes : int
        Parameters, their gradients and momenta, and the statistics of normalisation layers.
    activation_bytes : int
        What one minibatch keeps for its backward pass: each tensor once, parameters left out.
    data_bytes : int
        Pictures and labels that stay on the device.
    """

    n_parameters: int
    state_bytes: int
    activation_bytes: int
    data_bytes: int


def compute_cost(
    make: Callable[[], nn.Module],
    *,
    batch_size: int,
    shape: tuple[int, int, int],
    n_resident: int = 0,
) -> Cost:
    """Compute what a run takes, on torch's meta device: shapes alone, no numbers.

    Parameters
    ----------
    make : callable
        ``make() -> module``.
    batch_size : int
        Pictures of a minibatch.
    shape : (n_channels, height, width)
        Of a picture, which is float32 where it lies on the device.
    n_resident : int, default=0
        Pictures that stay on the device, to train or test on; 0 if they are streamed.

    Returns
    -------
    Cost

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


@dataclass
class PlannedRuns:
    """Runs that differ in what costs nothing, such as alpha and seed; `n_steps` are of each."""

    data: str
    network: str
    max_epochs: int
    n_steps: int
    cost: Cost
    n_runs: int = 0

    def row(self) -> dict[str, str]:
        """Write it for a terminal: counts in full, memory in MB (a million bytes)."""
        memory = {
            "weights": self.cost.state_bytes,
            "minibatch": self.cost.activation_bytes,
            "data": self.cost.data_bytes,
        }
        memory["in all"] = sum(memory.values())
        return {
            "data": self.data,
            "network": self.network,
            "epochs": f"{self.max_epochs:,}",
            "runs": f"{self.n_runs:,}",
            "parameters": f"{self.cost.n_parameters:,}",
            "steps a run": f"{self.n_steps:,}",
            **{f"{name}, MB": f"{n_bytes / 1e6:,.0f}" for name, n_bytes in memory.items()},
        }


def tell_plan(title: str, planned: list[PlannedRuns]) -> None:
    """Print a plan, its sums, and what is counted."""
    n_runs = sum(runs.n_runs for runs in planned)
    n_steps = sum(runs.n_runs * runs.n_steps for runs in planned)
    table = terminal_table(pd.DataFrame([runs.row() for runs in planned]))
    print("", title, "", table, "", sep="\n")
    print(f"{n_runs:,} runs, {n_steps:,} steps (minibatches) in all. Nothing was trained.\n")
    counted = (
        "Memory of one run on one device, computed from shapes: weights are the parameters, "
        "their gradients, their momenta and the statistics of normalisation, in float32; "
        "minibatch is what the forward pass of one minibatch keeps for the backward pass, each "
        "tensor once; data are pictures and labels that stay on the device. Not counted: what "
        "kernels need while they compute, copies that gather and mix, and the libraries."
    )
    print(textwrap.fill(counted, 100))
