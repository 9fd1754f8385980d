"""The callbacks of nets, such as the learning-rate decay, and fits that go on after a kill."""

from __future__ import annotations

import math
import operator
import os
import pickle
import warnings
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import (
    Callback,
    GradientNormClipping,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
)
from skorch.history import History
from torch.utils.data import Dataset

from sklearn_mixup._checkpoint import check_shapes, hash_value, load_checkpoint, save_checkpoint
from sklearn_mixup._net.device import get_random_states, set_random_states
from sklearn_mixup._net.history import last_epoch
from sklearn_mixup._streams import Stream
from sklearn_mixup.minibatches import peel

__all__ = ["LRDecay", "Resume"]


def decay_factor(step: int, n_steps: int) -> float:
    """Compute what the learning rate is multiplied with at a step of a fit."""
    return (1 + math.cos(math.pi * step / n_steps)) / 2


class LRDecay(Callback):
    """Lower the learning rate to zero along a cosine over a whole ``fit``, at each minibatch.

    It stands aside in ``partial_fit``, which has no end to decay to, and where the net has an
    ``LRScheduler`` of its own. After training the learning rate is what it was before.

    Examples
    --------
    Every net has one, by the name of ``lr_decay``. Without it the learning rate is constant:

    >>> from sklearn_mixup import MixupClassifier
    >>> clf = MixupClassifier(callbacks__lr_decay=None)
    """

    groups_: list[tuple[dict, float]] = []  # noqa: RUF012, replaced, never changed

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Note the learning rates to start from."""
        self.step_ = 0
        self.groups_ = []
        if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
            return
        for name in net._optimizers:
            groups = getattr(getattr(net, name + "_"), "param_groups", None)
            if isinstance(groups, list):  # An optimizer of another kind has none.
                self.groups_ += [(group, group["lr"]) for group in groups]

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Set the learning rate of this minibatch."""
        n_steps = net.n_steps_
        if not training or n_steps is None:
            return
        factor = decay_factor(self.step_, n_steps)
        for group, lr in self.groups_:
            group["lr"] = lr * factor
        self.step_ += 1

    def go_on_to(self, step: int, net: Any) -> None:
        """Set the learning rate of a step of the fit; those before it were taken elsewhere."""
        self.step_ = step
        self.on_batch_begin(net, training=True)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the learning rate of the epoch's last minibatch.

        Between epochs it is the one to start from: who saves the optimizer there saves that.
        """
        if self.groups_ and net.n_steps_ is not None:
            last_epoch(net)["event_lr"] = float(self.groups_[0][0]["lr"])
        self._reset()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the learning rates."""
        self.restore()

    def _reset(self) -> None:
        for group, lr in self.groups_:
            group["lr"] = lr

    def restore(self) -> None:
        """Restore the learning rates, and forget the optimizer."""
        self._reset()
        self.groups_ = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "groups_": []}


class StepLosses(PassthroughScoring):
    """skorch's mean of a loss over the steps of an epoch, found in a tenth of the time."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the mean, if any step told of this loss, and whether it is the best so far."""
        if type(net.history) is not History:  # one shared by several processes
            super().on_epoch_end(net, **kwargs)
            return
        size = "train_batch_size" if self.on_train else "valid_batch_size"
        epoch = last_epoch(net)
        steps = [(row[self.name], row[size]) for row in epoch["batches"] if self.name in row]
        if not steps:
            return
        losses, sizes = zip(*steps, strict=True)
        epoch[self.name] = mean = np.float64(sum(map(operator.mul, losses, sizes)) / sum(sizes))
        is_best = self._is_best_score(mean)
        if is_best:
            self.best_score_ = mean
        if is_best is not None:
            epoch[self.name + "_best"] = bool(is_best)


class QuietLog(PrintLog):
    """skorch's log of epochs, which makes no table where nobody reads it."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print the row of an epoch, if it is printed at all."""
        if net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)


# What may change between a kill and the next start: it does not change what is learned.
_FREE = {"accelerator", "callbacks", "device", "torch_load_kwargs", "verbose", "warm_start"}
# Callbacks that change what is learned by their settings.
_TEACHERS = (LRDecay, LRScheduler, GradientNormClipping)


class Resume(Callback):
    """Save all that a ``fit`` needs to go on, and go on from there when it is started again.

    After an epoch the weights, optimizer, learning-rate schedule, history, what callbacks have
    learned and the state of every random generator go to ``checkpoint.pt`` in a folder. It is
    written aside and renamed, and the one before it stays as ``previous.pt``: a kill or a power cut
    at any moment costs at most the epochs since. The same ``fit`` started again then goes on
    where the last one was, and on a CPU ends with the bits that it would have had without
    the kill; one that was finished is not trained again.

    Parameters
    ----------
    dirname : path-like
        Folder of this one training; made when it is first needed. To start over, delete it.
    every_n_epochs : int >= 1, default=1
        Epochs from one checkpoint to the next. The last epoch has one always.

    Warns
    -----
    UserWarning
        If a checkpoint cannot be written, as on a full disk: training goes on, and the last one
        stays. If the newest checkpoint is damaged: the one before it is used.

    Raises
    ------
    ValueError
        In ``fit``, if the checkpoint is of another module, other parameters or other data; if all
        there are are damaged; if ``random_state`` is no whole number: what is drawn before the
        first epoch has to be drawn again.

    Notes
    -----
    A checkpoint is a pickle, as torch and skorch write them: open none that you do not trust.
    It acts in the ``fit`` of a classifier, not in ``partial_fit`` or a warm start, and runs after
    all other callbacks. `max_epochs` may be raised between two starts where the learning rate does
    not hang on it, that is without the default ``lr_decay``. Each candidate and split of a search
    would need a folder of its own: it refuses to train others in one. What skorch's
    ``EarlyStopping`` ended trains its last epoch again, and ends there again.

    What is no part of a ``state_dict`` is not saved, such as buffers that are not persistent, and
    random generators that are no parameters of the net, such as that of a Dataset. A callback that
    holds something with a ``state_dict`` should make it in ``on_train_begin``.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mixup import MixupClassifier
    >>> from sklearn_mixup.callbacks import Resume
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> clf = MixupClassifier(callbacks=[Resume(folder.name)], max_epochs=5, random_state=0)
    >>> len(clf.fit(X, y).history)
    5
    >>> proba = clf.predict_proba(X)
    >>> bool((clf.fit(X, y).predict_proba(X) == proba).all())  # read, not trained again
    True
    >>> folder.cleanup()
    """

    def __init__(self, dirname: str | os.PathLike[str], every_n_epochs: int = 1) -> None:
        self.dirname = dirname
        self.every_n_epochs = every_n_epochs

    def initialize(self) -> Any:
        """Check the parameters."""
        if not (isinstance(self.every_n_epochs, Integral) and self.every_n_epochs >= 1):
            raise ValueError(
                "`every_n_epochs` must be a whole number >= 1; got "
                f"{self.every_n_epochs!r}. Use 1 to save after each epoch."
            )
        self.identity_: dict[str, str] | None = None
        self.random_states_: Any = None
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Take up the training where the last checkpoint left it."""
        self.identity_ = self.random_states_ = None
        training = net._training_
        if training is None or training.n_epochs is None or len(net.history):
            return
        if not isinstance(net.random_state, Integral):
            raise ValueError(
                "`random_state` must be a whole number for a fit that can be resumed; got "
                f"{net.random_state!r}. Use random_state=0, for one."
            )
        if type(net.history) is not History:
            raise ValueError(
                f"Resume needs skorch's History; got {type(net.history).__name__}. Leave out "
                "`history`: each process then keeps its own."
            )
        folder = Path(self.dirname)
        if folder.exists() and not folder.is_dir():
            raise ValueError(
                f"`dirname` must be a folder, or the name of one to make; got {str(folder)!r}, "
                "a file. Give another name."
            )
        self.identity_ = _identify(net, X, y)
        if (found := load_checkpoint(Path(self.dirname))) is not None:
            self._take_up(net, *found)

    def _take_up(self, net: Any, state: dict[str, Any], path: Path) -> None:
        """Check that a checkpoint is of this training, and restore all but what draws."""
        modules = {name: getattr(net, name + "_") for name in net._modules + net._criteria}
        for name, module in modules.items():
            _check_weights(path, name, module, state["modules"].get(name, {}))
        identity: dict[str, str] = self.identity_ or {}
        names = sorted(identity.keys() | state["identity"].keys())
        if changed := [n for n in names if identity.get(n) != state["identity"].get(n)]:
            raise ValueError(
                f"The checkpoint {str(path)!r} must be of a fit with the same parameters and data; "
                f"got others for {', '.join(changed)}. Give each training a `dirname` of its own, "
                "or delete the folder to start over."
            )
        training, n_done = net._training_, len(state["history"])
        if n_done > training.n_epochs:
            raise ValueError(
                f"The checkpoint {str(path)!r} must have no more epochs than are asked for; got "
                f"{n_done} for max_epochs={training.n_epochs}."
            )
        for name, module in modules.items():
            module.load_state_dict(state["modules"][name])
        for name in net._optimizers:
            getattr(net, name + "_").load_state_dict(state["optimizers"][name])
        net.history.extend(state["history"])
        for name, callback in net.callbacks_:
            if isinstance(callback, LRDecay) and callback.groups_:
                callback.on_train_begin(net)  # The optimizer has new groups.
            _restore(callback, state["callbacks"].get(name, {}))
        if (scaler := _scaler(net)) is not None and state["scaler"]:
            scaler.load_state_dict(state["scaler"])
        # Known here at last: what was saved belongs to a net that has its parts.
        training.n_epochs_done = n_done
        if training.watch is not None:
            training.watch.load_state_dict(net, state["watch"])
        self.random_states_ = state["random_states"]

    def restore_random_states(self, net: Any) -> None:
        """Go on drawing where the last checkpoint left off; all that draws is there by now."""
        if self.random_states_ is not None:
            rank = torch.distributed.get_rank() if _is_distributed() else 0
            _set_random_states(net, self.random_states_[rank])
            self.random_states_ = None

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Stand aside in what comes after the fit."""
        self.identity_ = self.random_states_ = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Save what the next epoch starts from."""
        n_epochs = len(net.history)
        watch = None if net._training_ is None else net._training_.watch
        is_last = net._training_ is None or n_epochs == net._training_.n_epochs
        is_last |= watch is not None and watch.has_ended
        if self.identity_ is None or (n_epochs % self.every_n_epochs and not is_last):
            return
        random_states = _gather(_get_random_states(net))
        if random_states is None:  # Another process writes.
            return
        scaler = _scaler(net)
        parts = {name: getattr(net, name + "_") for name in net._modules + net._criteria}
        state = {
            "identity": self.identity_,
            "modules": {name: part.state_dict() for name, part in parts.items()},
            "optimizers": {name: getattr(net, name + "_").state_dict() for name in net._optimizers},
            "history": list(net.history),
            "callbacks": {name: _learned(callback) for name, callback in net.callbacks_},
            "scaler": None if scaler is None else scaler.state_dict(),
            "random_states": random_states,
            "watch": None if watch is None else watch.state_dict(),
        }
        try:
            save_checkpoint(Path(self.dirname), state)
        except OSError as error:
            warnings.warn(
                f"The checkpoint of epoch {n_epochs} could not be written ({error}). Training goes "
                f"on; the last checkpoint in {str(self.dirname)!r} stays.",
                stacklevel=2,
            )


def _identify(net: Any, X: Any, y: Any) -> dict[str, str]:
    """Name each setting that shapes a training, and its data, by a hash."""
    params = net.get_params(deep=False)
    settings = {
        name: value
        for name, value in params.items()
        if name not in _FREE and not name.startswith("callbacks__")
    }
    decays = any(isinstance(cb, LRDecay) and cb.groups_ for _, cb in net.callbacks_)
    settings["max_epochs"] = net._training_.n_epochs if decays else None
    for name, callback in net.callbacks_:
        if isinstance(callback, _TEACHERS):
            settings[f"callbacks__{name}"] = callback.get_params()
    settings["the data"] = _describe_data(X, y), getattr(net._training_, "sample_weight", None)
    # The states of generators of another kind are others.
    settings["the kind of device"] = net._training_.shuffle_stream.device.type
    settings["the number of processes"] = (
        torch.distributed.get_world_size() if _is_distributed() else 1
    )
    return {name: hash_value(value) for name, value in settings.items()}


def _describe_data(X: Any, y: Any) -> Any:
    """Give what tells one data set from another; of a Dataset its labels and length."""
    if not isinstance(X, Dataset):
        return X, y
    base, rows = peel(X)
    labels = [getattr(base, name) for name in ("targets", "y", "tensors") if hasattr(base, name)]
    length = len(base) if hasattr(base, "__len__") else None
    return type(base).__qualname__, length, labels[:1], rows


def _learned(callback: Callback) -> dict[str, Any]:
    """Collect what a callback has learned so far, as far as it can be pickled."""
    if isinstance(callback, (Resume, PrintLog)):
        return {}
    learned = {}
    for name, value in vars(callback).items():
        # EpochScoring's predictions of an epoch are of no use to the next.
        if not name.endswith("_") or name in ("groups_", "y_trues_", "y_preds_", "policy_"):
            continue
        if hasattr(value, "state_dict"):
            # Of a schedule, a function it was made with: it is made with it again.
            learned[name] = {k: v for k, v in value.state_dict().items() if _can_be_pickled(v)}
        elif _can_be_pickled(value):
            learned[name] = value
    return learned


def _can_be_pickled(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # What holds a handle of the system raises almost anything.
        return False
    return True


def _restore(callback: Callback, learned: dict[str, Any]) -> None:
    """Give back to a callback what it had learned."""
    for name, value in learned.items():
        part = getattr(callback, name, None)
        if part is not None and hasattr(part, "load_state_dict"):
            part.load_state_dict(value)
        else:
            setattr(callback, name, value)


def _check_weights(path: Path, name: str, module: Any, weights: dict[str, Any]) -> None:
    """Raise ValueError unless a checkpoint fits a module, because of what the module says of it."""
    try:
        check_shapes(path, name, module.state_dict(), weights)
    except ValueError as error:
        try:
            module.load_state_dict(weights)
        except (RuntimeError, ValueError) as reason:
            raise error from reason
        raise


def _scaler(net: Any) -> Any:
    """Get what scales the loss in float16, ours or accelerate's, if anything does."""
    own = None if net._training_ is None else net._training_.scaler
    return own or getattr(getattr(net, "accelerator", None), "scaler", None)


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _gather(states: Any) -> list[Any] | None:
    """Collect the states of all processes in the first; None in the others."""
    if not _is_distributed():
        return [states]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, states)
    return gathered if torch.distributed.get_rank() == 0 else None


def _generators(net: Any) -> list[torch.Generator | Stream]:
    """List the random generators of a training and those among its parameters."""
    values = [value for _, value in sorted(net.get_params(deep=False).items())]
    values += [getattr(value, "generator", None) for value in values]  # of a sampler
    training = net._training_
    own = training.streams
    values = [value for value in values if isinstance(value, torch.Generator)]
    return [*own, training.vicinal_rng, *values]


def _get_random_states(net: Any) -> tuple[Any, ...]:
    """Collect the states of all random generators that a training draws from."""
    rngs = _generators(net)
    return get_random_states(rngs[0].device), [rng.get_state() for rng in rngs]


def _set_random_states(net: Any, states: tuple[Any, ...]) -> None:
    """Set the states of all random generators that a training draws from."""
    rngs = _generators(net)
    set_random_states(states[0], rngs[0].device)
    for rng, state in zip(rngs, states[1], strict=True):
        rng.set_state(state)
