"""FusedBaggingClassifier predicts the mean of its members, in one pass of the stack."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.testing import assert_close

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
from sklearn_mixup._fused.predict import StackedForward
from sklearn_mixup.modules import MLP
from tests.bagged_nets import make_ensemble, make_pipe, make_plain, mean_of_members
from tests.rounding import assert_near
from tests.test_fused import make_net
from tests.test_fused_modules import (
    Attention,
    Frozen,
    Normed,
    Tied,
    batch_norm_without_statistics,
    group_norm,
)

pytestmark = pytest.mark.usefixtures("float64")

# -- predictions are the mean of the members' --------------------------------------------------


class Undecided(MLP):
    """What vmap refuses: what is computed depends on the numbers."""

    def forward(self, X):
        logits = super().forward(X)
        return logits if logits.square().sum() >= 0 else 2 * logits


class Scaled(MLP):
    """Modules that differ in what is neither a parameter nor a buffer."""

    def __init__(self, n_features, n_classes, **sizes):
        super().__init__(n_features, n_classes, **sizes)
        self.scale = float(torch.rand(()))

    def forward(self, X):
        return self.scale * super().forward(X)


class Doubled(MLP):
    """An MLP, and one step more, so that the stack calls it."""

    def forward(self, X):
        return 2 * super().forward(X)


class Pair(MLP):
    """A module with a second output, which is not predicted."""

    def forward(self, X):
        logits = super().forward(X)
        return logits if self.training else (logits, logits.sum())


def small(module, **params):
    return make_net(**{**params, "module": module, "module__hidden_sizes": (8,)})


def bare(module, **params):
    sizes = {f"module__{name}": value for name, value in params.items()}
    return MixupClassifier(module, max_epochs=2, lr=0.02, device="cpu", batch_size=40, **sizes)


MODULES = {
    "mlp": make_net(),
    "linear": make_net(module__hidden_sizes=()),
    "dropout": make_net(dropout=0.5),
    "undecided": small(Undecided),
    "scaled": small(Scaled),
    "tied": bare(Tied),
    "frozen": bare(Frozen),
    "pair": small(Pair),
    "batch norm": bare(Normed, norm=nn.BatchNorm1d, p=0.3),
    "statistics of the minibatch": bare(Normed, norm=batch_norm_without_statistics),
    "group norm": bare(Normed, norm=group_norm),
    "attention": bare(Attention),
    "logits": make_net(predict_nonlinearity=None),
    "another nonlinearity": make_net(predict_nonlinearity=torch.sigmoid),
    "another criterion": make_net(criterion=nn.MultiMarginLoss),
    "some whole minibatches": make_net(batch_size=7),
    "one minibatch": make_net(batch_size=-1),
    "its own size for predictions": make_net(iterator_valid__batch_size=11),
}


@pytest.mark.machines
@pytest.mark.filterwarnings("ignore:.*could not be fused", "ignore:There is a performance drop")
@pytest.mark.parametrize("net", MODULES.values(), ids=MODULES)
def test_probabilities_are_the_mean_of_the_members(net, iris):
    X, y = iris
    ensemble = make_ensemble(net, 3, bootstrap=True).fit(X, y)
    for rows in (X, X[:1], X[::-1][:97], X.astype(np.float32)):
        assert_near(ensemble.predict_proba(rows), mean_of_members(ensemble, rows))
    proba = ensemble.predict_proba(X)
    assert_array_equal(ensemble.predict(X), ensemble.classes_[proba.argmax(1)])
    if net.predict_nonlinearity == "auto" and net.criterion is nn.CrossEntropyLoss:
        assert_near(np.exp(ensemble.predict_log_proba(X)), proba)
        # The logits of the mean, so that both decide alike.
        assert_near(softmax(ensemble.decision_function(X), 1), proba)
        assert_near(proba.sum(1), np.ones(len(X)))


@pytest.mark.machines
@pytest.mark.parametrize("n_members", [1, 2, 5])
@pytest.mark.parametrize("draws", [{}, {"max_features": 0.5}, {"bootstrap_features": True}])
def test_each_member_is_asked_about_its_own_columns(n_members, draws, wine):
    ensemble = make_ensemble(None, n_members, **draws).fit(*wine)
    expected = mean_of_members(ensemble, wine[0])
    assert_near(ensemble.predict_proba(wine[0]), expected)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize("net", [make_net(), small(Undecided), make_pipe()])
def test_a_class_that_a_member_misses_has_probability_zero_there(net, iris, iris_names):
    X, y = iris[0], iris_names
    rare = np.r_[:60, 100:102]  # setosa, versicolor, two of virginica
    ensemble = make_ensemble(net, 8, bootstrap=True).fit(X[rare], y[rare])
    counts = {len(member.classes_) for member in ensemble.estimators_}
    assert counts == {2, 3}
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        assert_array_equal(member.classes_, np.unique(y[rare][rows]))
    proba = ensemble.predict_proba(X)
    assert_near(proba, mean_of_members(ensemble, X))
    assert_near(proba.sum(1), np.ones(len(X)))
    plain = make_plain(ensemble).fit(X[rare], y[rare])
    assert_near(proba, plain.predict_proba(X))
    assert_array_equal(ensemble.predict(X), ensemble.classes_[proba.argmax(1)])
    assert_near(softmax(ensemble.decision_function(X), 1), proba)


def test_members_may_miss_different_classes(iris, iris_names):
    ensemble = make_ensemble(None, 5, max_samples=4, bootstrap=True, random_state=24)
    ensemble.fit(iris[0], iris_names)
    pairs = {tuple(member.classes_) for member in ensemble if len(member.classes_) == 2}
    assert len(pairs) == 3
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)


def test_a_step_of_a_member_may_be_replaced(iris):
    ensemble = make_ensemble(make_pipe()).fit(*iris)
    before = ensemble.predict_proba(iris[0])
    ensemble.estimators_[1].steps[0] = ("scale", StandardScaler().fit(3 * iris[0]))
    expected = mean_of_members(ensemble, iris[0])
    assert np.abs(expected - before).max() > 1e-3
    assert_near(ensemble.predict_proba(iris[0]), expected)


@pytest.mark.parametrize("draws", [{"max_features": 0.5}, {"bootstrap_features": True}, {}])
def test_what_is_set_after_the_fit_is_for_the_next(draws, wine):
    ensemble = make_ensemble(make_pipe(), **draws).fit(*wine)
    before = ensemble.predict_proba(wine[0])
    ensemble.set_params(max_features=1.0 if draws else 0.5, bootstrap_features=False)
    ensemble.set_params(estimator=make_net(alpha=1), n_estimators=2)
    assert_array_equal(ensemble.predict_proba(wine[0]), before)


def test_members_may_be_looked_after_by_hand(iris):
    ensemble = make_ensemble().fit(*iris)
    before = ensemble.predict_proba(iris[0])
    ensemble.estimators_[1].partial_fit(*iris)
    after = ensemble.predict_proba(iris[0])
    assert np.abs(after - before).max() > 1e-3
    assert_near(after, mean_of_members(ensemble, iris[0]))
    modules = [member.module_ for member in ensemble.estimators_]
    with torch.no_grad():
        modules[0].output.bias[0] += 3
    expected = mean_of_members(ensemble, iris[0])
    assert np.abs(expected - after).max() > 1e-3
    assert_near(ensemble.predict_proba(iris[0]), expected)
    modules[2].output = nn.Linear(8, 3)
    modules[3].hidden[0].weight = nn.Parameter(torch.randn(8, 4))
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)
    before = expected
    modules[0].activations[0] = nn.Tanh()
    expected = mean_of_members(ensemble, iris[0])
    assert np.abs(expected - before).max() > 1e-3
    assert_near(ensemble.predict_proba(iris[0]), expected)
    modules[1].output.register_forward_hook(lambda layer, X, logits: logits * 0)
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)
    ensemble.estimators_[:2] = [clone(member).fit(*iris) for member in ensemble.estimators_[2:]]
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)


def test_settings_of_a_member_may_be_changed_by_hand(iris):
    ensemble = make_ensemble().fit(*iris)
    before = ensemble.predict_proba(iris[0])
    ensemble.estimators_[1].set_params(predict_nonlinearity=None)
    expected = mean_of_members(ensemble, iris[0])
    assert np.abs(expected - before).max() > 1e-3
    assert_near(ensemble.predict_proba(iris[0]), expected)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize(
    "changed",
    [
        {"module": Undecided},
        {"module": Doubled},
        {"predict_nonlinearity": torch.sigmoid},
        {"predict_nonlinearity": None},
        {"criterion": nn.MultiMarginLoss},
        {"batch_size": 7},
        {"module__hidden_sizes": (4,)},
    ],
    ids=[
        "vmap refuses it",
        "another module",
        "sigmoid",
        "logits",
        "criterion",
        "minibatch",
        "width",
    ],
)
def test_members_that_were_added_may_differ_from_the_first(changed, iris):
    ensemble = make_ensemble(make_net(), 2, warm_start=True).fit(*iris)
    ensemble.set_params(n_estimators=4, estimator=make_net(**changed)).fit(*iris)
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize("module", [MLP, Undecided, "norm"])
def test_predicting_leaves_the_modules_as_they_were(module, iris):
    normed = bare(Normed, norm=nn.BatchNorm1d, p=0.3)
    net = normed if module == "norm" else small(module, dropout=0.3)
    ensemble = make_ensemble(net, 3).fit(*iris)
    expected = mean_of_members(ensemble, iris[0])
    modules = [member.module_ for member in ensemble.estimators_]
    for i, part in enumerate(part for module in modules for part in module.modules()):
        part.training = i % 3 == 0
    before = [[part.training for part in module.modules()] for module in modules]
    states = [{k: v.clone() for k, v in module.state_dict().items()} for module in modules]
    params = [list(module.parameters()) for module in modules]
    gradients = [[param.grad for param in own] for own in params]
    kept = copy.deepcopy(gradients)
    assert_near(ensemble.predict_proba(iris[0]), expected)
    ensemble.decision_function(iris[0])
    assert torch.is_grad_enabled()
    assert [[part.training for part in module.modules()] for module in modules] == before
    for module, state, own, of_own in zip(modules, states, params, gradients, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
        assert all(a is b for a, b in zip(module.parameters(), own, strict=True))
        assert all(param.requires_grad for param in own)
        assert all(a.grad is b for a, b in zip(own, of_own, strict=True))
    assert_close(gradients, kept)


@pytest.mark.parametrize("net", [small(Doubled, batch_size=-1), make_pipe(batch_size=-1)])
def test_predicting_is_one_pass_of_the_stack(net, iris, monkeypatch):
    ensemble = make_ensemble(net, 5).fit(*iris)
    X = iris[0][:90]  # a minibatch
    ensemble.predict_proba(X)  # The first time it is tried out how.
    passes, forward = [], MLP.forward
    monkeypatch.setattr(MLP, "forward", lambda *args: passes.append(1) or forward(*args))
    ensemble.predict_proba(X)
    assert len(passes) <= 1
    ensemble.estimators_[0].predict_proba(X)
    assert len(passes) >= 1


# -- devices ------------------------------------------------------------------------------------


def test_a_pass_of_the_stack_compiles_whole_and_needs_no_numbers():
    modules = [MLP(4, 3, hidden_sizes=(8,)) for _ in range(5)]
    stack = StackedForward(modules).restack()
    X = torch.randn(7, 4)
    expected = torch.stack([module(X) for module in modules], 1)
    assert_close(stack(X), expected)
    assert_close(torch.compile(stack, fullgraph=True, backend="aot_eager")(X), expected)
    shapes = StackedForward([module.to("meta") for module in modules]).restack()
    assert shapes(X.to("meta")).shape == (7, 5, 3)


@pytest.mark.cuda
@pytest.mark.parametrize("module", [MLP, Doubled, Undecided])
@pytest.mark.filterwarnings("ignore:.*could not be fused")
def test_cuda_probabilities_are_the_mean_of_the_members(module, iris):
    ensemble = make_ensemble(small(module, device="cuda"), 3, bootstrap=True).fit(*iris)
    assert all(next(net.module_.parameters()).is_cuda for net in ensemble.estimators_)
    expected = mean_of_members(ensemble, iris[0])
    assert_near(ensemble.predict_proba(iris[0]), expected)


def test_a_pickle_holds_the_networks_once_after_predictions_too(iris):
    bag = FusedBaggingClassifier(MixupClassifier(max_epochs=1), 2, random_state=0).fit(*iris)
    size = len(pickle.dumps(bag))
    expected = bag.predict_proba(iris[0])
    assert len(pickle.dumps(bag)) < 1.1 * size
    assert_array_equal(pickle.loads(pickle.dumps(bag)).predict_proba(iris[0]), expected)
