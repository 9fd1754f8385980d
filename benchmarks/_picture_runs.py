"""A run of a network on pictures: the classifier, the error after each epoch, what it will cost."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from benchmarks._nets.pictures import count_errors, make_network
from benchmarks._runs import Task
from benchmarks.picture_recipes import PictureRecipe
from sklearn_mixup import MixupClassifier
from sklearn_mixup.callbacks import Resume

N_LAST_EPOCHS = 10  # the median over them is what the authors' readme tells


# -- the error after each epoch -------------------------------------------------------------------


class TestErrors(Callback):
    """Measure top-1 and top-5 error on test pictures after each epoch, for the curve.

    A measurement: nothing is chosen or stopped by it. The pictures are predicted as they are, not
    augmented, by the network in evaluation mode. The history gets ``test_error``,
    ``test_top5_error`` and ``test_s``, the seconds that it took.

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_channels, height, width), or torch Dataset
        Test pictures.
    y : LongTensor of shape (n_rows,)
        Their labels, as numbers of classes.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    def __init__(self, X: Any, y: Any) -> None:
        self.X = X
        self.y = y

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Measure, and note what was found."""
        start = time.perf_counter()
        logits = net.forward(self.X)
        y = torch.as_tensor(self.y, device=logits.device)
        net.history.record("test_error", count_errors(logits, y))
        net.history.record("test_top5_error", count_errors(logits, y, n_best=5))
        net.history.record("test_s", time.perf_counter() - start)


# -- a run ----------------------------------------------------------------------------------------


def make_classifier(
    recipe: PictureRecipe,
    family: str,
    *,
    n_train: int,
    n_classes: int,
    alpha: float,
    seed: int,
    device: Any = "auto",
    sizes: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
    accelerator: Any = None,
    **params: Any,
) -> MixupClassifier:
    """Make the classifier of a run: a network, trained as the recipe says.

    Parameters
    ----------
    recipe : PictureRecipe
        Schedule, minibatch and optimizer.
    family, sizes
        The network, as for `make_network`.
    n_train : int
        Pictures to train on: the warm-up and the drops are counted in minibatches.
    n_classes : int
        Number of classes.
    alpha : float
        0 is ERM.
    seed : int
        Governs all that is random.
    device : str, default="auto"
        Not used with an `accelerator`, which has its own.
    callbacks : sequence of callbacks
        In this order, after the learning rate's.
    accelerator : accelerate.Accelerator, default=None
        Shares the minibatches out among its processes; each takes `batch_size` over their number.
    **params
        More parameters of ``MixupClassifier``.

    Returns
    -------
    MixupClassifier
        Not fitted.
    """
    kind: Any = MixupClassifier
    extra: dict[str, Any] = {"device": device}
    recipe_params = recipe.params()
    if accelerator is not None:
        from skorch.hf import AccelerateMixin

        kind = type("AcceleratedMixupClassifier", (AccelerateMixin, MixupClassifier), {})
        extra = {"accelerator": accelerator}
        recipe_params["batch_size"] //= accelerator.num_processes
    return kind(
        make_network,
        module__family=family,
        module__n_classes=n_classes,
        **{f"module__{name}": value for name, value in (sizes or {}).items()},
        alpha=alpha,
        random_state=seed,
        callbacks=[("lr", recipe.scheduler(n_train)), *callbacks],
        **recipe_params,
        **extra,
        **params,
    )


def summarise(history: Any) -> dict[str, Any]:
    """Tell the result of a run from its history: errors as shares, curves as JSON lists."""
    errors, top5 = history[:, "test_error"], history[:, "test_top5_error"]
    return {
        "test_error": errors[-1],
        "test_error_median": float(np.median(errors[-N_LAST_EPOCHS:])),
        "test_top5_error": top5[-1],
        "test_top5_error_median": float(np.median(top5[-N_LAST_EPOCHS:])),
        "train_loss": history[-1, "train_loss"],
        # From the history, so that a run that was killed and went on tells all of its seconds.
        "fit_time_s": round(float(np.sum(history[:, "dur"])), 2),
        "test_time_s": round(float(np.sum(history[:, "test_s"])), 2),
        "test_curve": json.dumps([round(error, 6) for error in errors]),
        "test_top5_curve": json.dumps([round(error, 6) for error in top5]),
        "loss_curve": json.dumps([round(loss, 6) for loss in history[:, "train_loss"]]),
    }


def fit_resumable(classifier: MixupClassifier, X: Any, y: Any, checkpoints: Path) -> dict[str, Any]:
    """Fit, going on from the last epoch in `checkpoints` if there is one; give the results.

    The folder is for this run alone. It is removed by `forget_checkpoints` when the table of runs
    has the results, not before.

    Raises
    ------
    KeyboardInterrupt
        If the fit was stopped by one before its end, which skorch keeps to itself.
    """
    classifier.callbacks = [*classifier.callbacks, ("resume", Resume(checkpoints))]
    classifier.fit(X, y)
    history = classifier.history
    if len(history) < classifier.max_epochs or "test_s" not in history[-1]:
        # skorch takes Ctrl-C for the wish to train no longer: that is no finished run.
        raise KeyboardInterrupt
    return summarise(history)


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
