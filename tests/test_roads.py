"""A fit that nobody watches step by step takes a short road: it ends where skorch's own does."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
)
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn.utils.prune import l1_unstructured
from torch.optim import SGD, Adam, AdamW, RMSprop, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, TensorDataset

from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup._engine import step as step_module
from sklearn_mixup._engine import update as update_module
from sklearn_mixup.modules import MLP
from tests.rounding import ROUNDING, assert_near


class Watch(Callback):
    """Ask for each minibatch, and do nothing."""

    def on_batch_end(self, net, **kwargs):
        """Look on."""


class Normed(nn.Sequential):
    """A module of the user's own, with numbers that no optimizer moves, and draws of its own."""

    def __init__(self, n_features, n_classes):
        super().__init__(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(8, n_classes),
        )


def make_net(**params):
    return MixupClassifier(
        **{"module__hidden_sizes": (8, 6), "max_epochs": 3, "random_state": 0, **params}
    )


def own(**params):
    return MixupClassifier(**{"module": Normed, "max_epochs": 3, "random_state": 0, **params})


def assert_same_end(one, other):
    """Compare all that two trainings leave behind, to rounding."""
    for part in ("module_", "optimizer_"):
        states = [getattr(net, part).state_dict() for net in (one, other)]
        assert states[0].keys() == states[1].keys()
        if part == "optimizer_":
            assert states[0]["param_groups"] == states[1]["param_groups"]
            states = [
                {
                    (i, k): v
                    for i, held in s["state"].items()
                    for k, v in held.items()
                    if v is not None
                }
                for s in states
            ]
            assert states[0].keys() == states[1].keys()
        for name in states[0]:
            assert_near(states[0][name], states[1][name], 2 * ROUNDING)
    for row, expected in zip(one.history, other.history, strict=True):
        assert row.keys() == expected.keys()
        for name in row.keys() - {"dur", "batches"}:
            assert type(row[name]) is type(expected[name])
            assert row[name] == pytest.approx(expected[name], rel=ROUNDING)
        for step, watched in zip(row["batches"], expected["batches"], strict=True):
            assert step == pytest.approx(watched, rel=ROUNDING)


def fit_both(net, *data, **fit_params):
    """Fit a net, and one like it that is watched; return both."""
    watched = clone(net).set_params(callbacks=[*(net.callbacks or []), Watch()])
    net.fit(*data, **fit_params)
    watched.fit(*data, **fit_params)
    assert net.slow_because_ is None
    assert "Watch" in watched.slow_because_
    return net, watched


SETTINGS = {
    "defaults": {},
    "without mixing": {"alpha": 0},
    "without mixing at the end": {"erm_epochs": 2},
    "a lam for each row": {"lam_per": "sample"},
    "dropout": {"dropout": 0.4},
    "dropout without mixing": {"dropout": 0.4, "alpha": 0},
    "all rows at once": {"batch_size": -1},
    "a last row alone": {"batch_size": 149},
    "in small chunks": {"iterator_train__chunk_bytes": 1},
    "without the short minibatch": {"iterator_train__drop_last": True},
    "augmentation": {"iterator_train__augment": lambda X: X + 0.01},
    "class weights": {"class_weight": {0: 1, 1: 3, 2: 0.5}},
    "no decay": {"callbacks__lr_decay": None},
    "SGD": {"optimizer": SGD, "optimizer__momentum": 0.9, "lr": 0.05},
    "AdamW": {"optimizer": AdamW, "optimizer__weight_decay": 0.1},
    "AdamW, amsgrad": {"optimizer": AdamW, "optimizer__amsgrad": True},
    "RMSprop": {"optimizer": RMSprop},
    "plain Adam": {"optimizer__fused": False},
    "decay": {"optimizer__weight_decay": 0.1},
    "groups of parameters": {"optimizer__param_groups": [("*bias", {"lr": 0.1})]},
    "validation": {"train_split": ValidSplit(3)},
    "a schedule": {"callbacks": [LRScheduler(lr_scheduler.MultiStepLR, milestones=[2], gamma=0.1)]},
    "early stopping": {
        "callbacks": [EarlyStopping(patience=1, threshold=10)],
        "train_split": ValidSplit(3),
        "max_epochs": 5,
    },
    "a score of the training rows": {"callbacks": [EpochScoring("accuracy", on_train=True)]},
    "label smoothing": {"criterion__label_smoothing": 0.1},
    "rows that do not count": {"criterion__ignore_index": 2},
    "a linear model": {"module__hidden_sizes": ()},
}


@pytest.mark.machines
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS.keys())
def test_the_default_network_ends_where_a_watched_one_does(params, iris):
    assert_same_end(*fit_both(make_net(**params), *iris))


@pytest.mark.machines
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "a linear model"])
def test_a_network_of_ones_own_ends_where_a_watched_one_does(name, iris):
    assert_same_end(*fit_both(own(**SETTINGS[name]), *iris))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [make_net, own])
@pytest.mark.parametrize("weight", [np.linspace(0.5, 2, 150), np.arange(150) % 3])
def test_weights_of_rows_count_as_for_a_watched_net(make, weight, iris):
    assert_same_end(*fit_both(make(), *iris, sample_weight=weight))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("kind", ["probabilities", "several labels", "words", "pictures"])
def test_other_targets_and_inputs_end_as_for_a_watched_net(kind, alpha, iris):
    X, y = iris
    columns = np.eye(3)[y]
    y = {"several labels": columns.astype(int), "probabilities": columns * 0.7 + 0.1}.get(kind, y)
    X = X.reshape(-1, 2, 2) if kind == "pictures" else X
    y = np.array(["a", "b", "c"])[y] if kind == "words" else y
    assert_same_end(*fit_both(make_net(alpha=alpha), X, y))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [make_net, own])
def test_training_that_goes_on_ends_where_a_watched_one_does(make, iris):
    net, watched = fit_both(make(), *iris)
    net.partial_fit(*iris)
    watched.partial_fit(*iris)
    assert_same_end(net, watched)
    net.set_params(warm_start=True, optimizer__weight_decay=0.1).fit(*iris)
    watched.set_params(warm_start=True, optimizer__weight_decay=0.1).fit(*iris)
    assert_same_end(net, watched)


@pytest.mark.usefixtures("float64")
def test_who_begins_to_watch_between_two_trainings_is_told(iris):
    net, watched = fit_both(make_net(), *iris)
    calls = []
    net.callbacks_.append(("late", late := Callback()))
    late.on_batch_end = lambda *args, **kwargs: calls.append(1)
    assert_same_end(net.partial_fit(*iris), watched.partial_fit(*iris))
    assert "late" in net.slow_because_
    assert len(calls) == 3 * 5


class Changes(Callback):
    """Change a part of the net after its first epoch."""

    def __init__(self, change):
        self.change = change

    def on_epoch_end(self, net, **kwargs):
        """Change it."""
        if len(net.history) == 1:
            self.change(net)


def halve(net):
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.mul_(0.5)


def reload_weights(net):
    net.module_.load_state_dict({k: v / 2 for k, v in net.module_.state_dict().items()})


def reload_optimizer(net):
    net.optimizer_.load_state_dict(net.optimizer_.state_dict())
    halve(net)


def freeze(net):
    next(net.module_.parameters()).requires_grad_(False)


def replace_weight(net):
    layer = net.module_.output if isinstance(net.module_, MLP) else net.module_[-1]
    with torch.no_grad():
        layer.weight.data = layer.weight.data / 2


def drop_more(net):
    for layer in net.module_.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.5


def decay_more(net):
    net.optimizer_.param_groups[0]["weight_decay"] = 0.2


def forget_gradients(net):
    net.optimizer_.zero_grad()
    halve(net)


CHANGES = [
    *(halve, reload_weights, reload_optimizer, freeze, replace_weight, drop_more, decay_more),
    forget_gradients,
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [make_net, own])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_callback_changes_after_an_epoch_is_heeded(make, change, iris):
    net, watched = fit_both(make(callbacks=[Changes(change)]), *iris)
    assert_same_end(net, watched)
    plain = make().fit(*iris)
    pairs = zip(net.module_.parameters(), plain.module_.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


# -- modules whose gradient is not the one that is written out -------------------------------------


def tie(module):
    module.hidden[1].weight = module.hidden[0].weight


def freeze_bias(module):
    module.output.bias.requires_grad_(False)


def no_bias(module):
    module.output.bias = None


def hook_module(module):
    module.hidden[0].register_forward_hook(lambda layer, args, output: output * 0.5)


def hook_parameter(module):
    module.output.weight.register_hook(lambda grad: grad * 0.5)


def halve_gradient(parameter):
    parameter.grad.mul_(0.5)


def hook_gradient(module):
    module.output.weight.register_post_accumulate_grad_hook(halve_gradient)


def patch(module):
    forward = module.forward
    module.forward = lambda X: forward(X) * 0.5


def patch_layer(module):
    layer = module.hidden[0]
    layer.forward = lambda X: nn.functional.linear(X, layer.weight)


def add_layer(module):
    module.extra = nn.Linear(3, 3)


def replace_dropout(module):
    module.dropout = nn.AlphaDropout(0.3)


def replace_activation(module):
    module.activations[1] = nn.Tanh()


def share_activation(module):
    module.activations[1] = module.activations[0] = nn.LeakyReLU(0.3)


def hook_activation(module):
    module.activations[0].register_forward_hook(lambda layer, args, output: output * 0.5)


def weight_norm(module):
    nn.utils.parametrizations.weight_norm(module.hidden[0])


def prune(module):
    l1_unstructured(module.hidden[0], "weight", 0.5)


ODD = [
    *(tie, freeze_bias, no_bias, hook_module, hook_parameter, hook_gradient, patch, patch_layer),
    *(add_layer, replace_dropout, replace_activation, share_activation, hook_activation),
    *(weight_norm, prune),
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("change", ODD)
def test_a_changed_mlp_is_trained_as_it_is(change, iris):
    def make_module():
        module = MLP(4, 3, hidden_sizes=(4, 4))
        change(module)
        return module

    X, y = iris
    nets = []
    for callbacks in ([], [Watch()]):
        net = MixupClassifier(
            lambda: make_module(), callbacks=callbacks, max_epochs=3, random_state=0
        )
        nets.append(net.fit(X, y))
    assert nets[0].slow_because_ is None
    assert_same_end(*nets)


@pytest.mark.usefixtures("float64")
def test_a_module_that_uses_its_parts_in_turn_is_trained_as_by_skorch(iris):
    class Turns(nn.Module):
        def __init__(self):
            super().__init__()
            self.n_calls = 0
            self.parts = nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

        def forward(self, X):
            self.n_calls += self.training
            return self.parts[self.n_calls % 2](X)

    net = MixupClassifier(Turns, max_epochs=3, random_state=0, optimizer__weight_decay=0.1)
    assert_same_end(*fit_both(net, *iris))


def test_mixed_precision_around_a_fit_is_that_of_a_watched_one(iris):
    nets = make_net(), make_net(callbacks=[Watch()])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for net in nets:
            net.fit(*iris)
    pairs = zip(*(net.module_.parameters() for net in nets), strict=True)
    assert nets[0].slow_because_ is None
    for one, other in pairs:
        torch.testing.assert_close(one, other)


# -- which road, and why --------------------------------------------------------------------------


class OwnStep(MixupClassifier):
    def train_step(self, batch, **fit_params):
        return super().train_step(batch, **fit_params)


class OwnLoss(MixupClassifier):
    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs)


class OwnEpoch(MixupClassifier):
    def run_single_epoch(self, *args, **kwargs):
        super().run_single_epoch(*args, **kwargs)


class OwnHook(MixupClassifier):
    def on_batch_begin(self, *args, **kwargs):
        super().on_batch_begin(*args, **kwargs)


class Unrelated(MixupClassifier):
    """A subclass that leaves the steps alone."""

    def predict(self, X):
        return super().predict(X)


class Takes(MLP):
    def forward(self, X, shift=0):
        return super().forward(X + shift)


def test_a_net_tells_what_makes_it_slow(iris):
    X, y = iris
    tensors = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    small = {"max_epochs": 1, "random_state": 0, "classes": [0, 1, 2], "lr": 0.001}

    def why(data, kind=MixupClassifier, fit_params=None, **params):
        return kind(**small, **params).fit(*data, **(fit_params or {})).slow_because_

    assert why((X, y)) is None
    assert why((X, y), Unrelated) is None
    assert why((TensorDataset(*tensors),)) is None
    assert why((X, y), verbose=1) is None
    assert why((X, y), callbacks=[Watch()]) == "the callback 'Watch' asks for each minibatch"
    clip = GradientNormClipping(1.0)
    assert "asks for the gradients of each step" in why((X, y), callbacks=[clip])
    assert "asks for each minibatch" in why(
        (X, y),
        callbacks=[LRScheduler("CyclicLR", base_lr=0.1, max_lr=0.2, step_every="batch")],
        optimizer=SGD,
    )
    for kind, method in [
        (OwnStep, "train_step"),
        (OwnLoss, "get_loss"),
        (OwnEpoch, "run_single_epoch"),
        (OwnHook, "on_batch_begin"),
    ]:
        assert why((X, y), kind) == f"{kind.__name__} has a method {method!r} of its own"
    assert "LBFGS may evaluate" in why((X, y), optimizer=torch.optim.LBFGS)
    assert "loader" in why((X, y), iterator_train=DataLoader)
    assert "loader" in why((X, y), iterator_train__num_workers=0)
    assert "compile" in why((X, y), compile=True, compile__backend="eager")
    assert "shift" in why((X, y), module=Takes, fit_params={"shift": 0.5})


def test_a_net_tells_anew_after_each_fit(iris):
    net = make_net(callbacks=[Watch()]).fit(*iris)
    assert net.slow_because_
    assert net.set_params(callbacks=None).fit(*iris).slow_because_ is None
    net = make_net(callbacks=[Watch()]).fit(*iris).set_params(callbacks=None)
    assert fit_fused([net], [iris[0]], [iris[1]])[0].slow_because_ is None


def test_what_listens_to_epochs_alone_takes_the_short_road(iris, tmp_path):
    callbacks = [
        EpochScoring("accuracy", on_train=True),
        Checkpoint(monitor="valid_loss_best", dirname=tmp_path),
        EarlyStopping(),
        LRScheduler(lr_scheduler.StepLR, step_size=1),
    ]
    net = make_net(callbacks=callbacks, train_split=ValidSplit(3)).fit(*iris)
    assert net.slow_because_ is None
    assert len(net.history) == 3


def test_the_default_network_has_its_gradient_written_out(iris, monkeypatch):
    calls = []
    real = step_module.mlp_backward
    monkeypatch.setattr(step_module, "mlp_backward", lambda *a: (calls.append(1), real(*a))[1])
    net = make_net(dropout=0.2, device="cpu").fit(*iris)
    assert len(calls) == 3 * 5
    # The last gradients are there to be looked at, as after any step.
    assert all(float(p.grad.abs().sum()) > 0 for p in net.module_.parameters())
    own(device="cpu").fit(*iris)
    assert len(calls) == 3 * 5


# -- the step of an optimizer ---------------------------------------------------------------------


def test_an_optimizer_that_somebody_watches_takes_its_own_steps(iris):
    calls = []

    class Hooks(Callback):
        def on_train_begin(self, net, **kwargs):
            net.optimizer_.register_step_post_hook(lambda *args: calls.append(1))

    make_net(callbacks=[Hooks()]).fit(*iris)
    assert len(calls) == 3 * 5
    handle = register_optimizer_step_pre_hook(lambda *args: calls.append(1))
    try:
        make_net().fit(*iris)
    finally:
        handle.remove()
    assert len(calls) == 2 * 3 * 5


@pytest.mark.parametrize("optimizer", [Adam, AdamW])
def test_the_kernel_of_an_optimizer_takes_the_step_to_the_bit(optimizer, monkeypatch, iris):
    params = {"optimizer": optimizer, "optimizer__weight_decay": 0.1}
    net = make_net(**params).fit(*iris)
    monkeypatch.setattr(update_module, "_is_plain_fused_adam", lambda optimizer: False)
    own = make_net(**params).fit(*iris)
    pairs = zip(net.module_.parameters(), own.module_.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    states = [n.optimizer_.state_dict()["state"] for n in (net, own)]
    for i, held in states[1].items():
        assert all(torch.equal(value, states[0][i][key]) for key, value in held.items())
        assert states[0][i]["step"] == 3 * 5


def test_an_optimizer_whose_step_is_replaced_takes_that(iris):
    calls = []

    class Wraps(Callback):
        def on_train_begin(self, net, **kwargs):
            step = net.optimizer_.step
            net.optimizer_.step = lambda *args: (calls.append(1), step(*args))[1]

    make_net(callbacks=[Wraps()]).fit(*iris)
    assert len(calls) == 3 * 5


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"module__n_classes": 5}, "one logit for each of the 3 classes"),
        ({"module__n_features": 5}, "could not be applied to a minibatch of shape"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_told_alike_on_both_roads(params, said, iris):
    for callbacks in ([], [Watch()]):
        with pytest.raises(ValueError, match=said):
            make_net(callbacks=callbacks, **params).fit(*iris)
