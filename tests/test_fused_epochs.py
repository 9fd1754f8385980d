"""What fit_fused claims of on_epoch_end: it sees each net after each epoch, and changes nothing."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.modules import MLP
from tests.rounding import assert_near

pytestmark = pytest.mark.usefixtures("float64")


class Normalised(nn.Sequential):
    """A module with buffers, which vmap trains: running means and variances."""

    def __init__(self, n_features, n_classes):
        super().__init__(
            # A bias would be taken away again: its gradient is rounding, which Adam magnifies.
            nn.Linear(n_features, 8, bias=False),
            nn.BatchNorm1d(8),
            nn.Dropout(0.0),
            nn.Linear(8, n_classes),
        )


class Note:
    """Note what each net predicts after each epoch; of module level, for processes."""

    def __init__(self, X):
        self.X = X

    def __call__(self, net):
        net.history.record("noted", net.predict_proba(self.X).tolist())
        net.history.record("noted_loss", net.history[-1, "train_loss"])


class Idle(Callback):
    """A callback keeps a net from being fused."""


def make_nets(**params):
    settings = {"max_epochs": 3, "lr": 0.02, "random_state": 0, "device": "cpu", **params}
    return [MixupClassifier(alpha=alpha, **settings) for alpha in (0.0, 0.4)]


MODULES = {"mlp": {"module__hidden_sizes": (8,)}, "normalised": {"module": Normalised}}


@pytest.mark.parametrize("module", MODULES)
def test_nets_are_seen_as_they_are_after_each_epoch_alone(iris, module):
    X, y = iris[0].astype(np.float32), iris[1]
    rows = [slice(0, None, 2), slice(0, None, 3)]  # of other lengths, with short last minibatches
    nets = make_nets(**MODULES[module])
    seen = [[], []]
    alone = [clone(net) for net in nets]
    for net, some, probabilities in zip(alone, rows, seen, strict=True):

        class Look(Callback):
            found = probabilities

            def on_epoch_end(self, net, **kwargs):
                self.found.append(net.predict_proba(X))

        net.set_params(callbacks=[("look", Look())]).fit(X[some], y[some])
    fit_fused(nets, [X[some] for some in rows], [y[some] for some in rows], on_epoch_end=Note(X))
    for net, probabilities in zip(nets, seen, strict=True):
        assert_near(net.history[:, "noted"], np.array(probabilities))
        assert net.history[:, "noted_loss"] == net.history[:, "train_loss"]
        assert_near(net.history[-1, "noted"], net.predict_proba(X))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("dropout", [None, 0.5])
def test_looking_changes_no_bit(iris, module, dropout):
    X, y = iris
    both = []
    for look in (None, Note(X)):
        nets = make_nets(dropout=dropout, **MODULES[module])
        if module == "mlp":
            nets[0].set_params(module__dropout=0.1)
        both.append(fit_fused(nets, [X] * 2, [y] * 2, on_epoch_end=look))
    for net, watched in zip(*both, strict=True):
        expected, found = net.module_.state_dict(), watched.module_.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_nets_that_are_trained_alone_are_seen_after_their_callbacks(iris):
    X, y = iris
    nets = make_nets(callbacks=[Idle()])
    with pytest.warns(UserWarning, match="could not be fused"):
        fit_fused(nets, [X] * 2, [y] * 2, on_epoch_end=Note(X))
    for net in nets:
        assert net.history[:, "noted_loss"] == net.history[:, "train_loss"]
        assert len(net.history[:, "noted"]) == 3
        pickle.loads(pickle.dumps(net)).partial_fit(X, y)  # is told no more
        assert "noted" not in net.partial_fit(X, y).history[-1]


def test_an_error_while_looking_is_raised(iris):
    def look(net):
        raise LookupError("nothing there")

    nets = make_nets()
    with pytest.raises(LookupError, match="nothing there"):
        fit_fused(nets, [iris[0]] * 2, [iris[1]] * 2, on_epoch_end=look)


def test_nets_in_other_processes_are_seen_too(iris):
    X, y = iris
    module = MLP(4, 3, (8,))  # A new process makes modules in float32.
    nets, others = make_nets(module=module), make_nets(module=module)
    fit_fused(nets, [X] * 2, [y] * 2, on_epoch_end=Note(X))
    with joblib.parallel_config(backend="loky"):
        fit_fused(others, [X] * 2, [y] * 2, on_epoch_end=Note(X), n_jobs=2)
    for net, other in zip(nets, others, strict=True):
        assert_near(other.history[:, "noted"], net.history[:, "noted"])


class Mixes(Callback):
    """Set the alpha of each epoch but the first; a callback keeps a net from being fused."""

    def __init__(self, alphas):
        self.alphas = alphas

    def on_epoch_end(self, net, **kwargs):
        net.alpha = [*self.alphas, 0.0][len(net.history)]


@pytest.mark.parametrize("alphas", [(0.4, 2.0, 0.1), (0.4, 0.0, 0.0), (0.0, 0.4, 0.0)])
def test_an_alpha_that_is_set_between_epochs_holds_from_the_next(alphas, iris):
    params = {"max_epochs": 3, "random_state": 0, "device": "cpu", "lam_per": "sample"}
    first, mixes = {"alpha": alphas[0] or 1e-300, **params}, Mixes(alphas)
    alone = MixupClassifier(**first, callbacks=[mixes]).fit(*iris)
    other = MixupClassifier(alpha=0.2, **params)
    nets = fit_fused(
        [MixupClassifier(**first), other],
        [iris[0]] * 2,
        [iris[1]] * 2,
        on_epoch_end=lambda net: net is other or mixes.on_epoch_end(net),
    )
    assert_near(nets[0].predict_proba(iris[0]), alone.predict_proba(iris[0]))
