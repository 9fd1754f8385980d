"""Ctrl-C: what was learned stays and can predict, and the interrupt goes on to the caller."""

import math
import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit

import sklearn_mixup._engine.stack as stack_module
from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    MixupClassifier,
)
from sklearn_mixup.modules import MLP
from tests.small_gans import make_rows, quick

pytestmark = pytest.mark.usefixtures("ctrl_c_raises")


def make_net(**params):
    small = {"module__hidden_sizes": (8,), "max_epochs": 6, "lr": 0.05, "random_state": 0}
    return MixupClassifier(**{**small, **params})


class Interrupts(MLP):
    """An MLP in whose `n_th` training pass somebody presses Ctrl-C."""

    def __init__(self, n_features, n_classes, n_th=13, hidden_sizes=(8,)):
        super().__init__(n_features, n_classes, hidden_sizes)
        self.n_th, self.n_passes = n_th, 0

    def forward(self, X):
        self.n_passes += self.training
        if self.training and self.n_passes == self.n_th:
            signal.raise_signal(signal.SIGINT)
        return super().forward(X)


class Listens(Callback):
    def on_batch_begin(self, net, **kwargs):
        pass


class Ends(Callback):
    """Notes that training ended."""

    def on_train_end(self, net, **kwargs):
        net.has_ended_ = True


# An epoch of iris is five steps.
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_loop"])
@pytest.mark.parametrize("callback", [Ends, Listens])
def test_a_net_keeps_what_it_learned_and_the_interrupt_goes_on(method, callback, iris):
    goes_on = method == "fit_loop"
    clf = make_net(module=Interrupts, module__n_th=43 if goes_on else 13, callbacks=[callback()])
    if goes_on:
        clf.fit(*iris)
    with pytest.raises(KeyboardInterrupt):
        getattr(clf, method)(*iris)
    if method == "fit":
        # skorch opens a row for a minibatch that is watched before the step.
        assert [sum(map(bool, row["batches"])) for row in clf.history] == [5, 5, 2]
        fewer = make_net(module=Interrupts, module__n_th=0, max_epochs=6)
        expected = fewer.fit(*iris).history[:2, "train_loss"]
        assert clf.history[:2, "train_loss"] == expected
    assert clf.score(*iris) > 0.5
    assert clf.optimizer_.param_groups[0]["lr"] == 0.05
    assert clf._training_ is None
    if callback is Ends and method != "fit_loop":  # skorch's fit_loop tells no end
        assert clf.has_ended_
    clf.set_params(callbacks=None).partial_fit(*iris)


@pytest.mark.parametrize("callbacks", [None, [Listens()]])
def test_an_interrupt_before_the_first_step_leaves_an_unfitted_net(callbacks, iris):
    clf = make_net(module=Interrupts, module__n_th=1, callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*iris)
    with pytest.raises(NotFittedError):
        clf.predict(iris[0])


class NanThenInterrupts(Interrupts):
    def forward(self, X):
        logits = super().forward(X)
        return logits * math.nan if self.training and self.n_passes == self.n_th - 1 else logits


@pytest.mark.parametrize(("n_th", "n_kept"), [(13, 2), (3, 0)])
def test_what_has_diverged_before_an_interrupt_is_not_kept(n_th, n_kept, iris):
    clf = make_net(module=NanThenInterrupts, module__n_th=n_th)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*iris)
    assert len(clf.history) == n_kept
    assert clf.initialized_ == (n_kept > 0)
    if n_kept:
        assert np.isfinite(clf.predict_proba(iris[0])).all()


class RaisesIn(Callback):
    """Raise KeyboardInterrupt in a hook, by hand or as Ctrl-C does."""

    def __init__(self, hook, by_hand):
        self.hook, self.by_hand = hook, by_hand

    def _raise(self, net):
        if len(net.history) == 2:
            if self.by_hand:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    def on_batch_end(self, net, training=False, **kwargs):
        if self.hook == "on_batch_end":
            self._raise(net)

    def on_epoch_end(self, net, **kwargs):
        if self.hook == "on_epoch_end":
            self._raise(net)


@pytest.mark.parametrize(
    ("hook", "by_hand"), [("on_batch_end", True), ("on_batch_end", False), ("on_epoch_end", False)]
)
def test_an_interrupt_in_a_callback_goes_on(hook, by_hand, iris):
    clf = make_net(callbacks=[RaisesIn(hook, by_hand)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*iris)
    assert len(clf.history) == 2
    assert clf.score(*iris) > 0.4


def test_a_callback_that_stops_at_the_end_of_an_epoch_ends_the_fit_quietly(iris):
    clf = make_net(callbacks=[RaisesIn("on_epoch_end", by_hand=True)]).fit(*iris)
    assert len(clf.history) == 2
    clf = make_net(callbacks=[RaisesIn("on_epoch_end", by_hand=True)], max_epochs=1).fit(*iris)
    assert len(clf.fit_loop(*iris, epochs=5).history) == 2
    stopping = EarlyStopping(patience=1, threshold=10, threshold_mode="abs", sink=lambda told: None)
    clf = make_net(callbacks=[stopping], train_split=ValidSplit(3, stratified=True)).fit(*iris)
    assert len(clf.history) == 2


def test_a_gan_that_is_interrupted_keeps_what_it_learned():
    class Presses(Callback):
        def on_batch_end(self, net, **kwargs):
            if net.n_iter_ == 5:
                signal.raise_signal(signal.SIGINT)

    gan = quick(callbacks=[Presses()], max_iter=9)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(make_rows())
    assert gan.n_iter_ == 5
    assert np.isfinite(gan.sample(3)).all()


# -- searches and ensembles -----------------------------------------------------------------------


@pytest.mark.parametrize("Search", [GridSearchCV, FusedGridSearchCV, FusedRandomizedSearchCV])
@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.filterwarnings("ignore:The total space of parameters")
def test_a_search_stops(Search, iris):
    search = Search(make_net(module=Interrupts), {"alpha": [0, 0.2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*iris)
    assert not hasattr(search, "best_params_")


@pytest.mark.parametrize("n_epochs", [0, 2])
def test_an_ensemble_keeps_what_all_its_networks_have_learned(n_epochs, iris, monkeypatch):
    n_seen = []

    def count(self, told=None):
        n_seen.append(1)
        if len(n_seen) == n_epochs + 1:
            signal.raise_signal(signal.SIGINT)
        return sum_weights(self)

    sum_weights = stack_module._Stack.sum_weights
    monkeypatch.setattr(stack_module._Stack, "sum_weights", count)
    bag = FusedBaggingClassifier(make_net(), n_estimators=3, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        bag.fit(*iris)
    if n_epochs:
        assert {len(net.history) for net in bag.estimators_} == {n_epochs}
        assert bag.score(*iris) > 0.4
    else:
        with pytest.raises(NotFittedError):
            bag.predict(iris[0])


SCRIPT = """
import os
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from sklearn_mixup import MixupClassifier, fit_fused

def tell(net):
    if len(net.history) == 3:
        os.write(1, b"trains\\n")  # whole, though two threads write

class Tells(Callback):
    def on_epoch_end(self, net, **kwargs):
        tell(net)

X, y = load_iris(return_X_y=True)
net = MixupClassifier(max_epochs=10**7, callbacks=[Tells()])
search = GridSearchCV(net, {"alpha": [0, 1]})
nets = [MixupClassifier(max_epochs=10**7) for _ in range(2)]
fits = [
    lambda: net.fit(X, y),
    lambda: search.fit(X, y),
    lambda: fit_fused(nets, [X] * 2, [y] * 2, n_jobs=2, max_fused=1, on_epoch_end=tell),
]
for fit in fits:
    try:
        fit()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print(len(net.history) >= 3, net.predict(X).shape, hasattr(search, "best_params_"))
"""


def test_ctrl_c_stops_each_fit_of_a_script():
    child = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    try:
        for n_told in (1, 1, 2):  # two threads
            for _ in range(n_told):
                assert child.stdout.readline() == "trains\n"
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n"
        assert child.stdout.readline() == "True (150,) False\n"
        # No thread goes on with what nobody waits for.
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.communicate()
