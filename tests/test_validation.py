"""What nets that look at rows held out claim: the best epoch of each, as if seen from outside."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from skorch.callbacks import Callback
from torch import nn

from sklearn_mixup import MixupClassifier
from sklearn_mixup._fused.jobs import fit_together
from sklearn_mixup._fused.plan import NetEnsemble, Plan, fit_all
from sklearn_mixup._net import validation as validation_module
from sklearn_mixup._net.validation import LoneWatch, Validation
from tests.rounding import assert_near
from tests.test_fused_epochs import Normalised

pytestmark = pytest.mark.usefixtures("float64")

SETTINGS = {"lr": 0.02, "max_epochs": 12, "batch_size": 16, "device": "cpu"}
MODULES = {
    "mlp": {"module__hidden_sizes": (16,)},
    "normalised": {"module": Normalised},
    "smoothed": {"module__hidden_sizes": (16,), "criterion__label_smoothing": 0.1},
}


class Pair(nn.Module):
    """A module of two inputs."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(13, 3)

    def forward(self, left, right):
        return self.output(torch.cat([left, right], 1))


class Outside(Callback):
    """Look at a net after each epoch from outside, and remember the best."""

    def __init__(self, X, y, weight=None):
        self.X, self.y, self.weight = X, y, weight

    def on_train_begin(self, net, **kwargs):
        self.losses, self.states = [], []

    def on_epoch_end(self, net, **kwargs):
        proba = net.predict_proba(self.X)
        self.losses.append(log_loss(self.y, proba, sample_weight=self.weight))
        state = net.module_.state_dict(), net.optimizer_.state_dict()["state"]
        self.states.append(copy.deepcopy(state))


def part(X, y, k=0, **options):
    """Part rows into those to train on and every fourth or fifth, to validate on."""
    held = np.arange(len(y)) % (4 + k % 2) == k
    return (X[~held], y[~held]), Validation(X[held], y[held], **options)


def fit(nets, parts, **options):
    """Fit nets together; raise what one raises."""
    rows, validation = zip(*parts, strict=True)
    Xs, ys = zip(*rows, strict=True)
    outcomes = fit_together(nets, Xs, ys, [{}] * len(nets), validation=validation, **options)
    for result, _ in outcomes:
        if isinstance(result, Exception):
            raise result
    return nets


def make_nets(n_nets=3, **params):
    return [MixupClassifier(random_state=k, **{**SETTINGS, **params}) for k in range(n_nets)]


def assert_same_net(net, other):
    """Compare what two nets and their optimizers have learned."""
    tensors = (each.module_.state_dict().values() for each in (net, other))
    for one, two in zip(*tensors, strict=True):
        assert_near(one, two)
    states = (each.optimizer_.state_dict()["state"] for each in (net, other))
    for one, two in zip(*(state.values() for state in states), strict=True):
        for key, value in one.items():
            assert_near(value, two[key])


@pytest.mark.parametrize("module", MODULES)
def test_each_net_of_a_stack_keeps_the_epoch_that_is_best_seen_from_outside(noisy, module):
    parts = [part(*noisy, k) for k in range(3)]
    nets = make_nets(**MODULES[module])
    best = []
    for net, ((X, y), held) in zip(nets, parts, strict=True):
        outside = Outside(held.X, held.y)
        watched = clone(net).set_params(callbacks=[("outside", outside)]).fit(X, y)
        outside = dict(watched.callbacks_)["outside"]
        best.append((np.argmin(outside.losses), outside))
    fit(nets, parts)
    assert {k for k, _ in best} - {SETTINGS["max_epochs"] - 1}, "all of them end with their best"
    for net, (k, outside) in zip(nets, best, strict=True):
        if module != "smoothed":
            assert_near(net.history[:, "valid_loss"], outside.losses)
        assert len(net.history) == SETTINGS["max_epochs"]
        k = np.argmin(net.history[:, "valid_loss"]) if module == "smoothed" else k
        weights, moments = outside.states[k]
        for name, tensor in net.module_.state_dict().items():
            assert_near(tensor, weights[name])
        for key, state in net.optimizer_.state_dict()["state"].items():
            for name, value in state.items():
                assert_near(value, moments[key][name])


def test_an_epoch_may_be_judged_by_the_mean_of_several(noisy):
    parts = [part(*noisy, k, n_averaged=4) for k in range(3)]
    nets = fit(make_nets(lr=0.2), parts)
    differ = False
    for net, ((X, y), held) in zip(nets, parts, strict=True):
        losses = np.array(net.history[:, "valid_loss"])
        means = [losses[max(i - 3, 0) : i + 1].mean() for i in range(len(losses))]
        best = np.argmin(means)
        differ |= best != np.argmin(losses)
        assert_near(log_loss(held.y, net.predict_proba(held.X)), losses[best])
        alone = clone(net)
        with validation_module.validated(alone, held):
            alone.fit(X, y)
        assert_near(alone.history[:, "valid_loss"], losses)
        assert_near(alone.predict_proba(X), net.predict_proba(X))
    assert differ, "the mean chooses what the loss itself does"


def test_losses_are_those_of_the_nets_criterion(noisy):
    ((X, y), held) = part(*noisy)
    (net,) = fit(make_nets(1, **MODULES["smoothed"]), [((X, y), held)])
    logits = torch.from_numpy(net.decision_function(held.X))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(held.y), label_smoothing=0.1)
    assert_near(min(net.history[:, "valid_loss"]), loss)


@pytest.mark.parametrize("n_at_once", [1, 2**22])
def test_losses_are_weighed_by_rows_and_classes(noisy, n_at_once, monkeypatch):
    monkeypatch.setattr(validation_module, "_NUMBERS_AT_ONCE", n_at_once)
    X, y = noisy
    weights = [np.random.RandomState(k).randint(3, size=len(y)) for k in range(2)]
    by_class = {0: 0.5, 1: 2.0, 2: 1.0}
    nets = make_nets(2, class_weight=by_class)
    nets[1].set_params(class_weight=None)
    held = [Validation(X, y, weight) for weight in weights]
    fit(nets, [((X, y), own) for own in held])
    both = weights[0] * np.vectorize(by_class.get)(y), weights[1]
    for net, weight in zip(nets, both, strict=True):
        loss = log_loss(y, net.predict_proba(X), sample_weight=weight)
        assert_near(min(net.history[:, "valid_loss"]), loss)


def test_rows_are_looked_at_in_runs_that_fit_into_memory(noisy, monkeypatch):
    parts = [part(*noisy, k) for k in range(3)]
    for module in ("mlp", "smoothed"):
        whole = fit(make_nets(**MODULES[module]), parts)
        with monkeypatch.context() as patch:
            patch.setattr(validation_module, "_NUMBERS_AT_ONCE", 1)
            cut = fit(make_nets(batch_size=16, **MODULES[module]), parts)
        for net, other in zip(whole, cut, strict=True):
            assert_near(net.history[:, "valid_loss"], other.history[:, "valid_loss"])


def test_a_net_ends_after_as_many_epochs_without_a_better_one(noisy):
    patience = [None, 2, 4]
    parts = [part(*noisy, k, n_iter_no_change=n) for k, n in enumerate(patience)]
    nets = fit(make_nets(), parts)
    forever = fit(make_nets(), [part(*noisy, k) for k in range(3)])
    ended = 0
    for net, other, n in zip(nets, forever, patience, strict=True):
        losses = other.history[:, "valid_loss"]
        best = [np.argmin(losses[: k + 1]) for k in range(len(losses))]
        last = next((k for k in range(len(losses)) if n is not None and k - best[k] >= n), None)
        expected = losses if last is None else losses[: last + 1]
        assert net.history[:, "valid_loss"] == expected
        assert np.isfinite(net.history[:, "train_loss"]).all()
        ended += last is not None
    assert ended


def test_a_stack_whose_nets_have_all_ended_takes_no_more_steps(noisy):
    steps = []
    parts = [part(*noisy, k, n_iter_no_change=1) for k in range(3)]
    nets = make_nets(max_epochs=1000, lr=0.05, callbacks__lr_decay=None)
    fit(nets, parts, on_epoch_end=lambda net: steps.append(len(net.history)))
    assert len(steps) == sum(len(net.history) for net in nets) < 300


@pytest.mark.parametrize("n_iter_no_change", [None, 2])
@pytest.mark.parametrize("module", MODULES)
def test_a_net_alone_ends_like_that_of_a_stack(noisy, module, n_iter_no_change):
    parts = [part(*noisy, k, n_iter_no_change=n_iter_no_change) for k in range(3)]
    nets, alone = make_nets(**MODULES[module]), make_nets(**MODULES[module])
    fit(nets, parts)
    for net in alone:
        net.set_params(callbacks=[("idle", Callback())])
    with pytest.warns(UserWarning, match="could not be fused"):
        fit(alone, parts)
    for net, other in zip(nets, alone, strict=True):
        assert other.slow_because_ is None
        assert_same_net(net, other)
        for name in ("train_loss", "valid_loss"):
            assert_near(net.history[:, name], other.history[:, name])
        (X, y), _ = parts[0]
        assert_same_net(net.partial_fit(X, y), other.partial_fit(X, y))


@pytest.mark.parametrize("kind", ["probabilities", "multilabel-indicator"])
def test_targets_of_all_kinds_are_looked_at(noisy, kind):
    X, labels = noisy
    y = np.eye(3)[labels] if kind == "probabilities" else np.stack([labels > 0, labels > 1], 1) * 1
    nets = fit(make_nets(2), [part(X, y, k) for k in range(2)])
    for k, net in enumerate(nets):
        held = part(X, y, k)[1]
        p = net.predict_proba(held.X)
        rows = -held.y * np.log(p) - (0 if kind == "probabilities" else (1 - held.y) * np.log1p(-p))
        loss = rows.sum(1).mean() if kind == "probabilities" else rows.mean()
        assert_near(min(net.history[:, "valid_loss"]), loss)


def test_dicts_of_inputs_are_looked_at(noisy):
    X, y = noisy
    held = np.arange(len(y)) % 4 == 0
    inputs = [{"left": X[rows, :5], "right": X[rows, 5:]} for rows in (~held, held)]
    (net,) = fit(
        make_nets(1, module=Pair), [((inputs[0], y[~held]), Validation(inputs[1], y[held]))]
    )
    loss = log_loss(y[held], net.predict_proba(inputs[1]))
    assert_near(min(net.history[:, "valid_loss"]), loss)


def test_nets_without_rows_held_out_stay_what_they_are(noisy):
    X, y = noisy
    plain = MixupClassifier(random_state=9, **SETTINGS)
    expected = clone(plain).fit(X, y)
    nets = [*make_nets(1), plain]
    fit(nets, [part(X, y), ((X, y), None)])
    assert_same_net(plain, expected)
    assert "valid_loss" not in plain.history[-1]


def test_ensembles_plan_what_their_nets_are_validated_on(noisy):
    parts = [part(*noisy, k) for k in range(2)]

    class Pairs(NetEnsemble):
        def _plan_fit(self, X, y, **fit_params):
            self.nets = make_nets(2)
            jobs = [(net, *rows, {}) for net, (rows, _) in zip(self.nets, parts, strict=True)]
            return Plan(jobs, lambda: self, [held for _, held in parts])

    single, ensemble = MixupClassifier(max_epochs=1, device="cpu"), Pairs()
    fit_all([single, ensemble], [noisy[0]] * 2, [noisy[1]] * 2, [{}] * 2)
    assert "valid_loss" not in single.history[-1]
    for net, other in zip(ensemble.nets, fit(make_nets(2), parts), strict=True):
        assert net.history[:, "valid_loss"] == other.history[:, "valid_loss"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1]}, "got 2 that are multiclass for 45 rows"),
        ({"sample_weight": np.zeros(45)}, "must not be all zero"),
        ({"y": np.eye(3)[[0] * 45]}, "multiclass, one for each row; got 45 that are probab"),
    ],
)
def test_rows_that_cannot_be_looked_at_are_refused(noisy, change, message):
    rows, held = part(*noisy)
    with pytest.raises(ValueError, match=message):
        fit(make_nets(1), [(rows, held._replace(**change))])


class Overflowing(nn.Linear):
    """A module whose outputs are not finite but in training."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)

    def forward(self, X):
        return super().forward(X) * (1 if self.training else torch.inf)


def test_a_net_without_an_epoch_that_can_be_judged_ends_with_its_last(noisy):
    (X, y), held = part(*noisy, n_iter_no_change=2)
    (net,) = fit(make_nets(1, module=Overflowing), [((X, y), held)])
    assert np.isnan(net.history[:, "valid_loss"]).all()
    assert_same_net(net, make_nets(1, module=Overflowing)[0].fit(X, y))


def test_a_small_net_looks_with_one_thread(noisy, monkeypatch):
    found = []
    before = torch.get_num_threads()
    look = validation_module.loss_of_rows

    def note(*args):
        found.append(torch.get_num_threads())
        return look(*args)

    monkeypatch.setattr(validation_module, "loss_of_rows", note)
    torch.set_num_threads(2)
    try:
        make_nets(1, early_stopping=True, max_epochs=1)[0].fit(*noisy)
    finally:
        torch.set_num_threads(before)
    assert found == [1]


def test_a_diverged_net_leaves_the_others_their_best_epochs(noisy):
    parts = [part(*noisy, k) for k in range(3)]
    nets = make_nets(optimizer=torch.optim.SGD)
    nets[1].set_params(lr=1e30)
    rows, held = zip(*parts, strict=True)
    outcomes = fit_together(nets, *zip(*rows, strict=True), [{}] * 3, validation=held)
    assert [isinstance(result, Exception) for result, _ in outcomes] == [False, True, False]
    for net, own in zip(nets[::2], held[::2], strict=True):
        assert_near(min(net.history[:, "valid_loss"]), log_loss(own.y, net.predict_proba(own.X)))


def test_a_watch_goes_on_with_the_losses_that_it_judges_by(iris):
    validation = Validation(*iris, n_iter_no_change=4, n_averaged=3)
    watch, other = (LoneWatch(validation, None, 4) for _ in range(2))
    net = MixupClassifier(max_epochs=1).fit(*iris)
    assert [watch.note(net.history, loss) for loss in (3.0, 2.0)] == [True, True]
    other.load_state_dict(net, watch.state_dict())
    for one in watch, other:
        assert one.note(net.history, 2.4)
        assert one.best_loss == sum([3.0, 2.0, 2.4]) / 3  # not 2.4
