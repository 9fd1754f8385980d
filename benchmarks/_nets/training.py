"""A training of a network on pictures: the classifier, the error after each epoch, the results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from benchmarks._nets.pictures import count_errors, make_network
from benchmarks._nets.recipes import PictureRecipe
from sklearn_mixup import MixupClassifier
from sklearn_mixup.callbacks import Resume

N_LAST_EPOCHS = 10  # the median over them is what the authors' readme tells


# -- the error after each epoch -------------------------------------------------------------------


class TestErrors(Callback):
    """Measure top-1 and top-5 error on test pictures after each epoch, for the curve.

    A measurement: nothing is chosen or stopped by it. The pictures, a Tensor or a torch Dataset,
    are predicted as they are, not augmented, by the network in evaluation mode. The history gets
    ``test_error``, ``test_top5_error`` and ``test_s``, the seconds that it took.
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


# -- what there is to see of a run before its end --------------------------------------------------

SO_FAR = "so_far.json"  # in the folder of its checkpoints


class NoteSoFar(Callback):
    """Write what a run tells after each epoch, so that one that is cut off has told it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write it, whole or not at all."""
        accelerator = getattr(net, "accelerator", None)
        if accelerator is not None and not accelerator.is_main_process:
            return
        text, scratch = json.dumps(summarise(net.history)), self.folder / f"{SO_FAR}.tmp"
        with suppress(OSError):  # a full disk, of which the checkpoint tells too: training goes on
            self.folder.mkdir(parents=True, exist_ok=True)
            scratch.write_text(text, encoding="utf-8")
            os.replace(scratch, self.folder / SO_FAR)


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
    """Make the classifier of a run: a network of `make_network`, trained as the recipe says.

    Warm-up and drops are counted in minibatches of the `n_train` pictures. `callbacks` come after
    the learning rate's. An `accelerator`, which has its own device, shares the minibatches out
    among its processes; each takes `batch_size` over their number. `params` are more of
    ``MixupClassifier``.
    """
    kind: Any = MixupClassifier
    params = {**recipe.params(), "device": device, **params}
    if accelerator is not None:
        from skorch.hf import AccelerateMixin

        kind = type("AcceleratedMixupClassifier", (AccelerateMixin, MixupClassifier), {})
        del params["device"]
        params["accelerator"] = accelerator
        params["batch_size"] //= accelerator.num_processes
    return kind(
        make_network,
        module__family=family,
        module__n_classes=n_classes,
        **{f"module__{name}": value for name, value in (sizes or {}).items()},
        alpha=alpha,
        random_state=seed,
        callbacks=[("lr", recipe.scheduler(n_train)), *callbacks],
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
        "fit_time_s": sum_seconds(history, "dur"),
        "test_time_s": sum_seconds(history, "test_s"),
        "test_curve": to_curve(errors),
        "test_top5_curve": to_curve(top5),
        "loss_curve": to_curve(history[:, "train_loss"]),
    }


def sum_seconds(history: Any, name: str) -> float:
    """Sum what a history says that its epochs took."""
    return round(float(np.sum(history[:, name])), 2)


def to_curve(values: Iterable[float]) -> str:
    """Write a number for each epoch as a JSON list, for a column of the table of runs."""
    return json.dumps([round(float(value), 6) for value in values])


def fit_resumable(
    classifier: MixupClassifier, X: Any, y: Any, checkpoints: Path, *, every_n_epochs: int = 1
) -> dict[str, Any]:
    """Fit, going on from the last checkpoint in `checkpoints` if there is one; give the results.

    The folder is for this run alone. It is removed by `forget_checkpoints` when the table of runs
    has the results, not before. What the run tells is there after each epoch, a checkpoint
    `every_n_epochs`.
    """
    more = ("so_far", NoteSoFar(checkpoints)), ("resume", Resume(checkpoints, every_n_epochs))
    classifier.callbacks = [*classifier.callbacks, *more]
    fit_to_the_end(classifier, X, y, last="test_s")
    return summarise(classifier.history)


def fit_to_the_end(classifier: MixupClassifier, X: Any, y: Any, *, last: str) -> None:
    """Fit; raise KeyboardInterrupt if one kept an epoch from noting its `last` number.

    skorch takes Ctrl-C for the wish to train no longer, and keeps it to itself: that is no
    finished run.
    """
    history = classifier.fit(X, y).history
    if len(history) < classifier.max_epochs or last not in history[-1]:
        raise KeyboardInterrupt
