"""What a run on pictures will cost, and where it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._nets.recipes import PictureRecipe
from benchmarks._runs import Task


def with_checkpoints(task: Task, folder: Path) -> Task:
    """Tell the work of a task where its checkpoints go: a folder for its key and settings."""
    words = [str(value) for value in task.key.values() if value is not None]
    name = "".join(c if c.isalnum() or c in "-.=" else "_" for c in "-".join(words))
    return replace(task, work=partial(task.work, checkpoints=folder / f"{name}-{task.fingerprint}"))


def forget_checkpoints(folder: Path, tasks: Sequence[Task]) -> None:
    """Remove the checkpoints of finished tasks, and their folder when it is empty."""
    for task in tasks:
        shutil.rmtree(task.work.keywords["checkpoints"], ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


# -- what a run costs, told before it starts ------------------------------------------------------


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
    n_steps : int
        Minibatches of the run.
    """

    n_parameters: int
    state_bytes: int
    activation_bytes: int
    data_bytes: int
    n_steps: int

    @property
    def n_bytes(self) -> int:
        """All of it; what the kernels need while they compute is not in it."""
        return self.state_bytes + self.activation_bytes + self.data_bytes


def compute_cost(
    recipe: PictureRecipe,
    make: Callable[[], nn.Module],
    *,
    shape: tuple[int, int, int],
    n_train: int,
    n_resident: int = 0,
) -> Cost:
    """Compute what a run takes, on torch's meta device: shapes alone, no numbers.

    Parameters
    ----------
    recipe : PictureRecipe
        For the minibatch and the epochs.
    make : callable
        ``make() -> module``.
    shape : (n_channels, height, width)
        Of a picture, which is float32 where it lies on the device.
    n_train : int
        Pictures to train on.
    n_resident : int, default=0
        Pictures that stay on the device, to train or test on; 0 if they are streamed.

    Returns
    -------
    Cost

    Examples
    --------
    >>> recipe = PictureRecipe(0.2, max_epochs=3, batch_size=4, lr=0.1, drops=())
    >>> def make():
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    >>> cost = compute_cost(recipe, make, shape=(3, 2, 2), n_train=10)
    >>> cost.n_parameters, cost.state_bytes, cost.n_steps
    (130, 1560, 9)
    """
    with torch.device("meta"):
        module = make()
        X = torch.empty(recipe.batch_size, *shape)
        y = torch.empty(recipe.batch_size, dtype=torch.int64)
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
    n_parameters = sum(parameter.numel() for parameter in parameters)
    parameter_bytes = sum(p.numel() * p.element_size() for p in parameters)
    buffer_bytes = sum(b.numel() * b.element_size() for b in module.buffers())
    picture_bytes = 4 * int(np.prod(shape)) + 8  # and its label
    return Cost(
        n_parameters=n_parameters,
        state_bytes=3 * parameter_bytes + buffer_bytes,
        activation_bytes=activation_bytes,
        data_bytes=n_resident * picture_bytes,
        n_steps=recipe.max_epochs * recipe.n_minibatches(n_train),
    )
