"""Fits that are killed for real: a process that forks one fit after another, and kills it."""

import json
import os
import random
import resource
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits, load_iris
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_mixup import MixupClassifier
from sklearn_mixup.callbacks import Resume

# Where a fit is killed while it writes: at which call of which function, counted from 1.
POINTS = {
    "written by half": ("fsync", 1),
    "written, not renamed": ("replace", 1),
    "between the renames": ("replace", 2),
    "renamed": ("fsync", 2),
}


class Killed(Exception):  # noqa: N818, it is none
    """What ends a fit in the middle where no process has to die."""


class Kill(Callback):
    """End a fit in the middle of an epoch, counted from 1, or before its first minibatch."""

    def __init__(self, epoch, n_minibatches=2):
        self.epoch, self.n_minibatches = epoch, n_minibatches

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) != self.epoch:
            return
        if not self.n_minibatches:
            raise Killed
        # Whoever listens to minibatches has them taken by another loop.
        optimizer, self.n_left = getattr(net, net._optimizers[0] + "_"), self.n_minibatches
        optimizer.register_step_post_hook(self.count_down)

    def count_down(self, *args):
        self.n_left -= 1
        if not self.n_left:
            raise Killed


class Epochs(Callback):
    """Write down which epochs are begun, in a list or a line each of a file."""

    def __init__(self, path=None):
        self.path = path

    def initialize(self):
        self.begun = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        self.begun.append(len(net.history))
        if self.path is not None:
            with open(self.path, "a") as file:
                file.write(f"{len(net.history)}\n")


def build(*callbacks, **params):
    """Build a classifier that draws all there is to draw, and trains for a moment."""
    ours = {} if "module" in params else {"module__hidden_sizes": (16,), "dropout": 0.2}
    ours |= {"max_epochs": 6, "lr": 0.01, "random_state": 0, "device": "cpu"}
    return MixupClassifier(callbacks=list(callbacks), **{**ours, **params})


def digits():
    """Get the first 300 digits, as float32."""
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.float32) / 16, y[:300]


def tensors():
    """Get iris as tensors."""
    X, y = load_iris(return_X_y=True)
    return torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)


def made_module():
    """Make a module to pass as it is."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def _names():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]


# Parameters and data that another process makes anew: they have to be known again there.
REMADE = {
    "arrays": (dict, lambda: load_iris(return_X_y=True)),
    "labels that are objects": (dict, _names),
    "tensors": (dict, tensors),
    "a Dataset of tensors": (dict, lambda: (TensorDataset(*tensors()), None)),
    "a tensor among the parameters": (
        lambda: {"criterion__weight": torch.tensor([1.0, 2.0, 3.0])},
        lambda: load_iris(return_X_y=True),
    ),
    "a module that is made": (
        lambda: {"module": made_module()},
        lambda: load_iris(return_X_y=True),
    ),
}


def build_remade(name, *callbacks):
    """Build the classifier of one of these, and get its X and y."""
    params, data = REMADE[name]
    return build(*callbacks, **params()), *data()


def _kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(point, n_saves):
    """Let this process die at a point of its n-th save."""
    name, nth = POINTS[point]
    calls, real = {"fsync": 0, "replace": 0}, {"fsync": os.fsync, "replace": os.replace}
    saves = 0

    def fsync(descriptor):
        nonlocal saves
        calls["fsync"] += 1
        if calls["fsync"] == 1:
            saves += 1
        if saves == n_saves and name == "fsync" and calls["fsync"] == nth:
            if nth == 1:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            _kill_self()
        real["fsync"](descriptor)
        if calls["fsync"] == 2:
            calls.update(fsync=0, replace=0)

    def replace(*paths):
        calls["replace"] += 1
        if saves == n_saves and name == "replace" and calls["replace"] == nth:
            _kill_self()
        real["replace"](*paths)

    os.fsync, os.replace = fsync, replace


def _slow_writing(seconds):
    """Let most of the time of a fit be spent in its saves."""
    for name, real in [("fsync", os.fsync), ("replace", os.replace)]:

        def slow(*args, real=real):
            time.sleep(seconds)
            return real(*args)

        setattr(os, name, slow)


def _forked(work, delay=None):
    """Run work in a process of its own; kill it after a delay; whether it came to an end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("a fit failed")
    return os.WIFEXITED(status)


def _fit(folder, log, n_epochs):
    build(Resume(folder), Epochs(log), max_epochs=n_epochs).fit(*digits())


def _log_of(work, log, delay=None):
    """Run a fit; tell the epochs that it began, and whether it came to an end."""
    Path(log).write_text("")
    ended = _forked(work, delay)
    return [int(line) for line in Path(log).read_text().split()], ended


def kill_at_random(folder, log, n_epochs, n_kills=12):
    """Kill a fit again and again after random delays, then let it end."""
    draw = random.Random(0)
    runs = []

    def work():
        _slow_writing(0.02)  # Three kills at least: the sleeps alone last longer.
        _fit(folder, log, n_epochs)

    for _ in range(n_kills):
        runs.append(_log_of(work, log, draw.uniform(0.02, 0.25)))
        if runs[-1][1]:
            return runs
    return [*runs, _log_of(work, log)]


def kill_while_writing(folder, log, n_epochs):
    """Kill a fit once at each point of its second save, then let it end."""
    runs = {}
    for point in POINTS:

        def work(point=point):
            _die_at(point, 2)
            _fit(folder, log, n_epochs)

        runs[point] = _log_of(work, log)
    runs["at last"] = _log_of(lambda: _fit(folder, log, n_epochs), log)
    return runs


class _Full(Callback):
    """Let the disk be full from an epoch on: no file may have more than some bytes."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))


def fill_disk(folder, log):
    """Train on a disk that is full from the third epoch on; tell what was warned of."""

    def work():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = build(Resume(folder), _Full(3)).fit(*digits())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        told = [(w.category.__name__, str(w.message)) for w in caught]
        report = {"warned": told, "n_epochs": len(clf.history)}
        report["proba"] = clf.predict_proba(digits()[0]).tolist()
        Path(log).write_text(json.dumps(report))

    _forked(work)
    return json.loads(Path(log).read_text())


def leave_behind(folder):
    """Begin the fits whose parameters and data another process will make anew."""
    for name in REMADE:
        clf, X, y = build_remade(name, Resume(folder / name), Kill(3))
        with suppress(Killed):
            clf.fit(X, y)


def main(folder, n_epochs):
    """Do all of it, in a folder; print what came of it."""
    folder = Path(folder)
    torch.set_num_threads(1)
    # Imports what torch imports late, once for all; takes no step, for a process in which autograd
    # has served a GPU can fork none that computes gradients.
    build(max_epochs=0).fit(*digits())
    log = folder / "log"
    report = {
        "random": kill_at_random(folder / "random", log, n_epochs),
        "writing": kill_while_writing(folder / "writing", log, n_epochs),
        "full": fill_disk(folder / "full", log),
    }
    leave_behind(folder)
    print(json.dumps(report))
