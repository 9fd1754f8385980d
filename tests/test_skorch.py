"""MixupClassifier is a skorch net: what skorch's users know works, with mixing under it."""

import copy
import inspect
import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
)
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP
from tests.recording import Recording
from tests.rounding import assert_near

N_MINIBATCHES = 5  # of 32 in the 150 rows of iris


def quick(**params):
    """Build a classifier that trains for a moment."""
    return MixupClassifier(
        **{"max_epochs": 4, "lr": 0.01, "module__hidden_sizes": (16,), "random_state": 0, **params}
    )


def assert_same_proba(a, b, X):
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def loss_by_hand(y, proba):
    """Mean of -log of the probability that was given to the true label."""
    columns = np.unique(y, return_inverse=True)[1]
    return -np.log(proba[np.arange(len(y)), columns].astype(float)).mean()


def weights(clf):
    return torch.cat([p.detach().cpu().flatten() for p in clf.module_.parameters()])


class Listener(Callback):
    """Write down what a callback sees at each minibatch that is trained on."""

    def __init__(self):
        self.losses, self.lrs, self.batches = [], [], []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.losses.append(net.history[-1, "batches", -1, "train_loss"])
            self.lrs.append(net.optimizer_.param_groups[0]["lr"])
            self.batches.append((batch, kwargs))


# -- the constructor and its parameters ----------------------------------------------------------


@pytest.mark.parametrize("base", [NeuralNet, NeuralNetClassifier])
def test_constructor_names_every_parameter_of_skorch(base):
    theirs = inspect.signature(base.__init__).parameters.values()
    theirs = {p.name for p in theirs if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    assert len(theirs) > 3
    assert theirs <= set(inspect.signature(MixupClassifier.__init__).parameters)


def test_constructor_only_stores(iris):
    split, module = ValidSplit(4), MLP(4, 3)
    params = {"module": module, "train_split": split, "callbacks": [], "alpha": "nonsense"}
    clf = MixupClassifier(**params, optimizer__weight_decay=0.1)
    for name, value in params.items():
        assert clf.get_params(deep=False)[name] is value
    assert [key for key in vars(clf) if key.endswith("_") and not key.startswith("_")] == []
    with pytest.raises(NotFittedError):
        clf.predict(iris[0])


def test_clone_and_set_params_keep_all_parameters():
    clf = quick(
        alpha=0.7,
        dropout=0.1,
        optimizer__weight_decay=0.3,
        callbacks=[("stop", EarlyStopping("train_loss", patience=7))],
        callbacks__lr_decay=None,
        callbacks__valid_acc=None,
        iterator_train__drop_last=True,
        device="cpu",
    )
    twin = clone(clf)
    plain = {name: v for name, v in clf.get_params(deep=False).items() if name != "callbacks"}
    assert {name: twin.get_params(deep=False)[name] for name in plain} == plain
    assert plain["callbacks__lr_decay"] is plain["callbacks__valid_acc"] is None
    ((name, stop),) = twin.callbacks
    assert (name, stop.monitor, stop.patience) == ("stop", "train_loss", 7)
    rebuilt = MixupClassifier().set_params(**clf.get_params(deep=False))
    assert {name: rebuilt.get_params(deep=False)[name] for name in plain} == plain


def test_no_decay_survives_cloning_and_can_be_set_later(iris):
    for clf in (
        clone(quick(callbacks__lr_decay=None)),
        quick().set_params(callbacks__lr_decay=None),
    ):
        listener = Listener()
        clf.set_params(callbacks=[listener]).fit(*iris)
        assert "lr_decay" not in dict(clf.callbacks_)
        assert set(listener.lrs) == {0.01}


def test_parameters_reach_module_and_optimizer(iris):
    clf = quick(module__hidden_sizes=(7, 5), optimizer__weight_decay=0.25, dropout=0.4).fit(*iris)
    assert [layer.out_features for layer in clf.module_.hidden] == [7, 5]
    assert clf.module_.dropout.p == 0.4
    assert clf.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", np.int64(16)),
        ("batch_size", np.int64(-1)),
        ("max_epochs", np.int32(3)),
        ("erm_epochs", np.uint8(2)),
        ("alpha", np.float32(0.5)),
        ("dropout", np.float64(0.5)),
        ("lr", np.float64(0.5)),
        ("random_state", np.int64(3)),
    ],
)
def test_numbers_of_numpy_are_numbers(name, value, iris):
    clf = quick(**{name: value}).fit(*iris)
    assert_same_proba(clf, quick(**{name: value.item()}).fit(*iris), iris[0])


def test_weight_decay_shrinks_the_weights(iris):
    small = quick(optimizer__weight_decay=1.0, max_epochs=10).fit(*iris)
    assert weights(small).norm() < 0.8 * weights(quick(max_epochs=10).fit(*iris)).norm()


def test_one_hidden_size_is_a_number_too(iris):
    clf = quick(module__hidden_sizes=7).fit(*iris)
    assert_same_proba(clf, quick(module__hidden_sizes=(7,)).fit(*iris), iris[0])


def test_parameters_may_be_set_after_a_fit(iris):
    X, y = iris
    clf = quick().fit(X, y)
    with pytest.warns(UserWarning, match="trained weights are gone"):
        clf.set_params(module__hidden_sizes=(9,), alpha=1.0, lr=0.003, optimizer=torch.optim.SGD)
    clf.fit(X, y)
    fresh = quick(module__hidden_sizes=(9,), alpha=1.0, lr=0.003, optimizer=torch.optim.SGD)
    assert_same_proba(clf, fresh.fit(X, y), X)


def test_a_misspelt_parameter_is_an_error_in_fit(iris):
    with pytest.raises((TypeError, ValueError), match="optimiser__weight_decay"):
        quick(optimiser__weight_decay=0.1).fit(*iris)


def test_callbacks_can_be_disabled(iris):
    clf = quick(callbacks="disable").fit(*iris)
    assert clf.callbacks_ == []
    assert_same_proba(clf, quick(callbacks__lr_decay=None).fit(*iris), iris[0])


# -- history -------------------------------------------------------------------------------------


def batch_losses(clf, prefix="train"):
    rows = [[b for b in epoch["batches"] if f"{prefix}_loss" in b] for epoch in clf.history]
    return [[(b[f"{prefix}_loss"], b[f"{prefix}_batch_size"]) for b in epoch] for epoch in rows]


@pytest.mark.parametrize("listens", [False, True])
def test_history_has_the_loss_of_each_minibatch_and_epoch(listens, iris):
    clf = quick(callbacks=[Listener()] if listens else None).fit(*iris)
    assert clf.history[:, "epoch"] == [1, 2, 3, 4]
    assert clf.history[:, "train_batch_count"] == [N_MINIBATCHES] * 4
    for epoch, entries in zip(clf.history, batch_losses(clf), strict=True):
        losses, sizes = zip(*entries, strict=True)
        assert sizes == (32, 32, 32, 32, 22)
        assert all(type(loss) is float for loss in losses)
        assert epoch["train_loss"] == pytest.approx(np.average(losses, weights=sizes))
    assert clf.history[-1, "train_loss"] < clf.history[0, "train_loss"]


@pytest.mark.usefixtures("float64")
def test_history_is_written_alike_whether_somebody_listens_or_not(iris):
    listener = Listener()
    heard, unheard = quick(callbacks=[listener]).fit(*iris), quick().fit(*iris)
    assert [loss for epoch in batch_losses(heard) for loss, _ in epoch] == listener.losses
    assert_near(batch_losses(heard), batch_losses(unheard))
    assert all(type(loss) is float for loss in listener.losses)
    assert_near(heard.predict_proba(iris[0]), unheard.predict_proba(iris[0]))


def test_loss_of_erm_in_the_history_is_the_log_loss(iris):
    X, y = iris
    clf = quick(alpha=0, lr=0, max_epochs=1, batch_size=-1).fit(X, y)
    by_hand = loss_by_hand(y, clf.predict_proba(X))
    assert clf.history[-1, "train_loss"] == pytest.approx(by_hand, rel=1e-5)


def test_history_goes_to_json(iris, tmp_path):
    clf = quick(train_split=ValidSplit(3, stratified=True)).fit(*iris)
    clf.history.to_file(tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text())[-1]["epoch"] == 4


# -- partial_fit and warm_start ------------------------------------------------------------------


def test_partial_fit_is_a_fit_that_does_not_decay(iris):
    # max_epochs is what skorch's partial_fit trains for.
    part, whole = quick().partial_fit(*iris), quick(callbacks__lr_decay=None).fit(*iris)
    assert_same_proba(part, whole, iris[0])


def test_partial_fit_goes_on_where_training_ended(iris):
    X, y = iris
    clf = quick(max_epochs=10, alpha=0).partial_fit(X, y)
    before, first = weights(clf), clf.history[-1, "train_loss"]
    clf.partial_fit(X, y)
    assert len(clf.history) == 20
    # It starts from what was learned: a fresh net has a loss of about log(3) in its first epoch.
    assert clf.history[10, "train_loss"] < 0.75 * clf.history[0, "train_loss"]
    assert clf.history[-1, "train_loss"] < first
    assert (weights(clf) - before).norm() < before.norm()


def test_fit_loop_on_its_own_mixes_and_shuffles_as_partial_fit_does(iris):
    one, two = (quick(module=Recording, max_epochs=2, alpha=1.0).fit(*iris) for _ in range(2))
    one.partial_fit(*iris)
    two.fit_loop(*iris)
    assert_same_proba(one, two, iris[0])
    two.fit_loop(*iris, epochs=1)
    assert len(two.history) == 5


def test_partial_fit_draws_anew_at_each_call(iris):
    clf = quick(module=Recording, max_epochs=1, alpha=1.0).partial_fit(*iris).partial_fit(*iris)
    first, second = clf.module_.seen[:N_MINIBATCHES], clf.module_.seen[N_MINIBATCHES:]
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_partial_fit_learns_the_classes_it_is_told_of_from_parts(iris, iris_names):
    X, _ = iris
    clf = quick(max_epochs=1)
    with pytest.raises(ValueError, match="virginica"):
        quick().partial_fit(X[:100], iris_names[:100]).partial_fit(X, iris_names)
    for epoch in range(30):
        for part in range(2):
            rows = slice(0, 100) if part == 0 else slice(50, 150)
            clf.partial_fit(
                X[rows], iris_names[rows], classes=np.unique(iris_names) if epoch == 0 else None
            )
    assert list(clf.classes_) == ["setosa", "versicolor", "virginica"]
    assert clf.score(X, iris_names) > 0.85


class Start(Callback):
    """Note the weights that training starts from."""

    def on_train_begin(self, net, **kwargs):
        self.weights = getattr(self, "weights", [])
        self.weights.append(weights(net))


@pytest.mark.parametrize("warm", [True, False])
def test_a_warm_start_begins_where_the_last_fit_ended(warm, iris):
    start = Start()
    clf = quick(warm_start=warm, callbacks=[("start", start)]).fit(*iris)
    end_of_first = weights(clf)
    clf.fit(*iris)
    first, second = dict(clf.callbacks_)["start"].weights
    assert torch.equal(second, end_of_first if warm else first)
    assert len(clf.history) == (8 if warm else 4)


# -- saving and loading --------------------------------------------------------------------------


@pytest.mark.parametrize("use_safetensors", [False, True])
def test_saved_parameters_load_into_a_new_net(use_safetensors, iris, iris_names, tmp_path):
    if use_safetensors:
        pytest.importorskip("safetensors")
    X, _ = iris
    clf = quick().fit(X, iris_names)
    path = tmp_path / "params"
    clf.save_params(f_params=path, use_safetensors=use_safetensors)

    new = quick(module__n_features=4, module__n_classes=3, random_state=1)
    new.set_params(classes=["setosa", "versicolor", "virginica"]).initialize()
    assert np.abs(new.predict_proba(X) - clf.predict_proba(X)).max() > 0.1
    new.load_params(f_params=path, use_safetensors=use_safetensors)
    assert_same_proba(new, clf, X)
    np.testing.assert_array_equal(new.predict(X), clf.predict(X))
    np.testing.assert_array_equal(new.decision_function(X), clf.decision_function(X))


def test_optimizer_and_history_are_saved_too(iris, tmp_path):
    clf = quick().fit(*iris)
    files = {f"f_{part}": str(tmp_path / part) for part in ("params", "optimizer", "history")}
    clf.save_params(**files)
    new = quick().fit(*iris).set_params(random_state=5).fit(*iris)
    new.load_params(**files)
    assert new.history[:, "train_loss"] == clf.history[:, "train_loss"]
    for ours, theirs in zip(
        new.optimizer_.state_dict()["state"].values(),
        clf.optimizer_.state_dict()["state"].values(),
        strict=True,
    ):
        torch.testing.assert_close(ours["exp_avg"], theirs["exp_avg"], rtol=0, atol=0)


def test_initialize_says_what_it_cannot_know():
    with pytest.raises(ValueError, match="module__n_features"):
        quick(module__n_classes=3).initialize()
    with pytest.raises(ValueError, match="module__n_classes"):
        quick(module__n_features=4).initialize()
    clf = quick(module__n_features=4, module__n_classes=3).initialize()
    assert clf.predict_proba(np.zeros((2, 4))).shape == (2, 3)


def test_loading_before_initialize_is_an_error(iris, tmp_path):
    quick().fit(*iris).save_params(f_params=tmp_path / "params")
    with pytest.raises(NotFittedError):
        quick().load_params(f_params=tmp_path / "params")


COPIES = {"pickle": lambda net: pickle.loads(pickle.dumps(net)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_predict_and_go_on_training_alike(copied, iris, iris_names):
    X = iris[0]
    clf = quick(train_split=ValidSplit(3)).fit(X, iris_names)
    twin = copied(clf)
    assert_same_proba(twin, clf, X)
    np.testing.assert_array_equal(twin.predict(X), clf.predict(X))
    assert twin.history == clf.history
    assert twin.get_params(deep=False)["device"] == "auto"
    assert_same_proba(twin.partial_fit(X, iris_names), clf.partial_fit(X, iris_names), X)
    assert_same_proba(twin.fit(X, iris_names), clf.fit(X, iris_names), X)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_of_an_unfitted_net_are_unfitted(copied, iris):
    twin = copied(quick(alpha=0.3))
    with pytest.raises(NotFittedError):
        twin.predict(iris[0])
    assert_same_proba(twin.fit(*iris), quick(alpha=0.3).fit(*iris), iris[0])


def test_a_copy_trains_without_touching_the_original(iris):
    clf = quick().fit(*iris)
    before = weights(clf)
    copy.deepcopy(clf).partial_fit(*iris)
    assert torch.equal(weights(clf), before)


# -- inner validation ----------------------------------------------------------------------------


@pytest.fixture
def valid_rows():
    """Every third row: as many of each species."""
    return np.arange(150) % 3 == 0


@pytest.fixture
def valid_split(valid_rows):
    return ValidSplit([(np.flatnonzero(~valid_rows), np.flatnonzero(valid_rows))])


class ScoreByHand(Callback):
    """Predict some rows at the end of each epoch."""

    def __init__(self, X):
        self.X = X

    def initialize(self):
        self.predicted, self.probas = [], []
        return self

    def on_epoch_end(self, net, **kwargs):
        self.predicted.append(net.predict(self.X))
        self.probas.append(net.predict_proba(self.X))


def test_valid_acc_and_loss_are_those_of_the_held_out_rows(
    iris, iris_names, valid_rows, valid_split
):
    X, y = iris[0], iris_names
    by_hand = ScoreByHand(X[valid_rows])
    clf = quick(train_split=valid_split, callbacks=[by_hand]).fit(X, y)
    scores = [accuracy_score(y[valid_rows], predicted) for predicted in by_hand.predicted]
    assert clf.history[:, "valid_acc"] == scores
    assert len(set(scores)) > 1
    losses = [loss_by_hand(y[valid_rows], proba) for proba in by_hand.probas]
    assert clf.history[:, "valid_loss"] == pytest.approx(losses, rel=1e-5)


def test_held_out_rows_are_not_trained_on(iris, valid_rows, valid_split):
    X, y = iris
    clf = quick(alpha=0, module=Recording, train_split=valid_split, max_epochs=1).fit(X, y)
    seen = torch.cat(clf.module_.seen).numpy()
    kept = X[~valid_rows].astype(np.float32)
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(kept, axis=0))


def test_validation_leaves_the_training_as_it_was(iris, valid_rows, valid_split):
    X, y = iris
    watched = quick(train_split=valid_split).fit(X, y)
    assert_same_proba(watched, quick().fit(X[~valid_rows], y[~valid_rows]), X)


def test_stratified_split_on_string_labels(iris, iris_names):
    clf = quick(train_split=ValidSplit(5, stratified=True)).fit(iris[0], iris_names)
    assert batch_losses(clf, "valid")[0][0][1] == 30
    assert 0.3 < clf.history[-1, "valid_acc"] <= 1
    assert clf.history[-1, "valid_loss"] < clf.history[0, "valid_loss"]


def test_predefined_split_with_string_labels(iris, iris_names, valid_rows):
    X, y = iris[0].astype(np.float32), iris_names
    held_out = SkorchDataset(X[valid_rows], y[valid_rows])
    clf = quick(train_split=predefined_split(held_out)).fit(X[~valid_rows], y[~valid_rows])
    assert clf.history[-1, "valid_acc"] == accuracy_score(y[valid_rows], clf.predict(X[valid_rows]))


def test_predefined_split_of_an_array_in_float64(iris, iris_names, valid_rows):
    X, y = iris[0], iris_names
    held_out = SkorchDataset(X[valid_rows], y[valid_rows])
    clf = quick(train_split=predefined_split(held_out)).fit(X[~valid_rows], y[~valid_rows])
    assert clf.history[-1, "valid_acc"] == accuracy_score(y[valid_rows], clf.predict(X[valid_rows]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("iterator", ["iterator_train", "iterator_valid"])
def test_skorchs_own_loader_knows_string_labels(
    iterator, dtype, iris, iris_names, valid_rows, valid_split
):
    X, y = iris[0].astype(dtype), iris_names
    clf = quick(train_split=valid_split, **{iterator: DataLoader}).fit(X, y)
    expected = accuracy_score(y[valid_rows], clf.predict(X[valid_rows]))
    assert clf.history[-1, "valid_acc"] == expected


# -- callbacks -----------------------------------------------------------------------------------


def test_early_stopping_stops_when_nothing_improves(iris, valid_split):
    stop = EarlyStopping(patience=3, threshold=10, threshold_mode="abs")
    clf = quick(max_epochs=50, train_split=valid_split, callbacks=[stop]).fit(*iris)
    # The first epoch is better than none; in the three that follow no loss can fall by ten.
    assert len(clf.history) == 1 + 3
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01


@pytest.fixture
def spoiling():
    """After three epochs the steps are 200 times too long, so the third epoch is about the best."""
    return LRScheduler(policy="StepLR", step_size=3, gamma=200)


def test_early_stopping_keeps_the_best_weights(iris, valid_split, spoiling):
    stop = EarlyStopping(patience=3, load_best=True)
    clf = quick(max_epochs=30, train_split=valid_split, callbacks=[spoiling, stop]).fit(*iris)
    losses = clf.history[:, "valid_loss"]
    assert len(losses) < 10
    assert max(losses[losses.index(min(losses)) :]) > 2 * min(losses)
    valid = valid_split.cv[0][1]
    best = loss_by_hand(iris[1][valid], clf.predict_proba(iris[0][valid]))
    assert best == pytest.approx(min(losses), rel=1e-5)


def test_a_scheduler_of_the_users_replaces_the_decay(iris):
    listener = Listener()
    schedule = LRScheduler(policy="StepLR", step_size=1, gamma=0.5)
    clf = quick(callbacks=[schedule, listener]).fit(*iris)
    lrs = [0.01, 0.005, 0.0025, 0.00125]
    assert clf.history[:, "event_lr"] == pytest.approx(lrs)
    assert listener.lrs == pytest.approx(np.repeat(lrs, N_MINIBATCHES))


def test_a_scheduler_may_step_at_each_minibatch(iris):
    listener = Listener()
    schedule = LRScheduler("CosineAnnealingLR", step_every="batch", T_max=4 * N_MINIBATCHES)
    quick(callbacks=[listener, schedule]).fit(*iris)
    t = np.arange(4 * N_MINIBATCHES)
    assert listener.lrs == pytest.approx(0.005 * (1 + np.cos(np.pi * t / len(t))))


def test_learning_rate_falls_to_zero_along_a_cosine(iris):
    listener = Listener()
    clf = quick(callbacks=[listener]).fit(*iris)
    n_steps = 4 * N_MINIBATCHES
    expected = [0.01 * (1 + math.cos(math.pi * t / n_steps)) / 2 for t in range(n_steps)]
    assert listener.lrs == pytest.approx(expected)
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01  # restored


def test_learning_rate_falls_without_a_listener_too(iris):
    clf = quick().fit(*iris)
    ends = np.arange(1, 5) * N_MINIBATCHES - 1  # the last minibatch of each epoch
    assert clf.history[:, "event_lr"] == pytest.approx(
        0.005 * (1 + np.cos(np.pi * ends / (4 * N_MINIBATCHES)))
    )
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01


def test_decay_scales_each_group_of_parameters(iris):
    clf = quick(optimizer__param_groups=[("output*", {"lr": 0.5})])
    rates = []

    class Rates(Callback):
        def on_batch_end(self, net, **kwargs):
            rates.append([group["lr"] for group in net.optimizer_.param_groups])

    clf.set_params(callbacks=[Rates]).fit(*iris)
    start = np.array([group["lr"] for group in clf.optimizer_.param_groups])
    assert sorted(start) == [0.01, 0.5]
    t = np.arange(4 * N_MINIBATCHES)
    factor = (1 + np.cos(np.pi * t / len(t))) / 2
    np.testing.assert_allclose(rates, factor[:, None] * start)


def test_partial_fit_does_not_decay(iris):
    listener = Listener()
    clf = quick(callbacks=[listener]).partial_fit(*iris)
    assert set(listener.lrs) == {0.01}
    clf.fit(*iris)
    clf.partial_fit(*iris)
    assert set(dict(clf.callbacks_)["Listener"].lrs[-4 * N_MINIBATCHES :]) == {0.01}


def test_checkpoint_loads_the_best_weights(iris, valid_split, spoiling, tmp_path):
    by_hand = ScoreByHand(iris[0])
    save = Checkpoint(dirname=str(tmp_path), load_best=True)
    clf = quick(max_epochs=6, train_split=valid_split, callbacks=[spoiling, by_hand, save])
    clf.fit(*iris)
    assert len(by_hand.probas) == 6
    assert len(clf.history) == 3  # skorch loads the history of the best epoch too
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), by_hand.probas[2])
    assert {path.name for path in tmp_path.iterdir()} == {
        "params.pt",
        "optimizer.pt",
        "criterion.pt",
        "history.json",
    }


def test_checkpoint_writes_safetensors(iris, tmp_path):
    pytest.importorskip("safetensors")
    save = Checkpoint(
        monitor=None,
        dirname=str(tmp_path),
        f_params="params.safetensors",
        f_optimizer=None,
        f_criterion=None,
        use_safetensors=True,
    )
    clf = quick(callbacks=[save]).fit(*iris)
    new = quick(random_state=1).fit(*iris)
    new.load_params(f_params=tmp_path / "params.safetensors", use_safetensors=True)
    assert_same_proba(new, clf, iris[0])


def test_checkpoint_pickles_the_net_in_the_middle_of_training(iris, iris_names, tmp_path):
    save = Checkpoint(
        monitor=None, dirname=str(tmp_path), f_pickle="net_{last_epoch[epoch]}.pkl", f_params=None
    )
    by_hand = ScoreByHand(iris[0])
    quick(callbacks=[by_hand, save]).fit(iris[0], iris_names)
    nets = [pickle.loads((tmp_path / f"net_{i}.pkl").read_bytes()) for i in range(1, 5)]
    for epoch, (net, proba) in enumerate(zip(nets, by_hand.probas, strict=True), start=1):
        np.testing.assert_array_equal(net.predict_proba(iris[0]), proba)
        net.partial_fit(iris[0], iris_names)  # and it can go on from there
        assert len(net.history) == epoch + 4


def test_gradient_norm_clipping_bounds_the_steps(iris):
    # Plain gradient descent moves by lr times the gradient, so at most lr * 0.01 a minibatch.
    params = {"optimizer": torch.optim.SGD, "lr": 0.1, "callbacks__lr_decay": None}
    start = weights(quick(**params, max_epochs=0).fit(*iris))
    free = weights(quick(**params).fit(*iris))
    clip = GradientNormClipping(gradient_clip_value=0.01)
    clipped = weights(quick(**params, callbacks=[clip]).fit(*iris))
    bound = 0.1 * 0.01 * 4 * N_MINIBATCHES
    assert (free - start).norm() > 2 * bound
    assert bound / 2 < (clipped - start).norm() <= bound * 1.001


def test_callbacks_see_the_gradients(iris):
    norms = []

    class Norms(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(sum(p.grad.square().sum().item() for _, p in named_parameters) ** 0.5)

    quick(callbacks=[GradientNormClipping(0.01), Norms]).fit(*iris)
    assert len(norms) == 4 * N_MINIBATCHES
    assert max(norms) <= 0.01 * 1.001
    assert min(norms) > 0


class PlainObject:
    """All that a net asks of a callback, in a class of its own; counts what it is told."""

    def __init__(self):
        self.calls = Counter()

    def initialize(self):
        return self

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda net, **kwargs: self.calls.update([name])


@pytest.mark.usefixtures("float64")
def test_a_callback_may_be_any_object_with_the_methods(iris):
    watcher = PlainObject()
    clf = quick(callbacks=[("watcher", watcher)]).fit(*iris)
    assert watcher.calls == {
        "on_train_begin": 1,
        "on_epoch_begin": 4,
        "on_batch_begin": 4 * N_MINIBATCHES,
        "on_grad_computed": 4 * N_MINIBATCHES,
        "on_batch_end": 4 * N_MINIBATCHES,
        "on_epoch_end": 4,
        "on_train_end": 1,
    }
    assert_near(clf.predict_proba(iris[0]), quick().fit(*iris).predict_proba(iris[0]))


@pytest.mark.parametrize("hook", ["on_batch_begin", "on_grad_computed", "on_batch_end"])
@pytest.mark.parametrize("of_net", [False, True])
def test_a_hook_set_on_one_object_is_called_at_each_minibatch(iris, hook, of_net):
    clf = quick(callbacks=[("mute", callback := Callback())]).fit(*iris)
    calls = []
    watched = clf if of_net else callback
    told = getattr(watched, hook)
    setattr(watched, hook, lambda *args, **kwargs: (calls.append(1), told(*args, **kwargs)))
    clf.partial_fit(*iris)
    assert len(calls) == 4 * N_MINIBATCHES


# -- scores on training data ---------------------------------------------------------------------


def test_training_accuracy_is_that_of_the_rows_as_they_are(iris, iris_names):
    by_hand = ScoreByHand(iris[0])
    score = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    clf = quick(alpha=1.0, callbacks=[score, by_hand]).fit(iris[0], iris_names)
    expected = [accuracy_score(iris_names, predicted) for predicted in by_hand.predicted]
    assert clf.history[:, "train_acc"] == expected
    assert len(set(expected)) > 1


def test_training_accuracy_with_held_out_rows_is_that_of_the_others(
    iris, iris_names, valid_rows, valid_split
):
    X, y = iris[0], iris_names
    score = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    clf = quick(alpha=1.0, train_split=valid_split, callbacks=[score]).fit(X, y)
    expected = accuracy_score(y[~valid_rows], clf.predict(X[~valid_rows]))
    assert clf.history[-1, "train_acc"] == expected


def test_the_users_scoring_callback_is_left_as_it_was(iris):
    score = EpochScoring("accuracy", on_train=True, name="train_acc")
    before = score.get_params()
    quick(alpha=1.0, callbacks=[score]).fit(*iris)
    assert score.get_params() == before


def test_scores_of_mixed_minibatches_are_refused(iris):
    score = BatchScoring("accuracy", on_train=True, name="train_acc")
    with pytest.raises(ValueError, match=r"(?s)'train_acc'|'BatchScoring'"):
        quick(alpha=0.2, callbacks=[score]).fit(*iris)
    with pytest.raises(ValueError, match="use_caching"):
        quick(
            alpha=0.2,
            use_caching=True,
            callbacks=[EpochScoring("accuracy", on_train=True, name="train_acc")],
        ).fit(*iris)


def test_scores_of_plain_minibatches_know_the_callers_labels(iris, iris_names):
    score = BatchScoring("accuracy", on_train=True, name="batch_acc", lower_is_better=False)
    listener = Listener()
    clf = quick(alpha=0, callbacks=[score, listener]).fit(iris[0], iris_names)
    correct = [
        np.mean(np.unique(iris_names)[kwargs["y_pred"].detach().argmax(1).cpu()] == batch[1])
        for batch, kwargs in listener.batches
    ]
    scores = [b["batch_acc"] for epoch in clf.history for b in epoch["batches"]]
    assert scores == pytest.approx(correct)
    assert len(set(scores)) > 3


def test_training_accuracy_of_plain_minibatches_is_that_of_skorch(iris, iris_names):
    # Without mixing skorch's shortcut is fine: the predictions that were made while training.
    listener = Listener()
    score = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    clf = quick(alpha=0, callbacks=[score, listener]).fit(iris[0], iris_names)
    correct = [
        np.unique(iris_names)[kwargs["y_pred"].detach().argmax(1).cpu()] == batch[1]
        for batch, kwargs in listener.batches
    ]
    first_epoch = np.concatenate(correct[:N_MINIBATCHES])
    assert clf.history[0, "train_acc"] == pytest.approx(first_epoch.mean())


def test_batch_scores_of_held_out_rows_are_fine_with_mixing(
    iris, iris_names, valid_rows, valid_split
):
    score = BatchScoring("accuracy", name="batch_acc", lower_is_better=False)
    clf = quick(train_split=valid_split, batch_size=100, callbacks=[score])
    clf.fit(iris[0], iris_names)
    expected = accuracy_score(iris_names[valid_rows], clf.predict(iris[0][valid_rows]))
    assert clf.history[-1, "batch_acc"] == pytest.approx(expected)


# -- optimizers ----------------------------------------------------------------------------------


def test_lbfgs_mixes_once_for_all_evaluations_of_a_step(iris):
    clf = quick(
        module=Recording,
        optimizer=torch.optim.LBFGS,
        lr=0.1,  # At 1, of torch's first steps one in six goes astray.
        batch_size=-1,
        alpha=1.0,
        max_epochs=3,
        callbacks__lr_decay=None,
    ).fit(*iris)
    seen = clf.module_.seen
    assert len(seen) > 10
    draws = [seen[0]]
    for rows in seen[1:]:
        if not torch.equal(rows, draws[-1]):
            draws.append(rows)
    assert len(draws) == 3  # one for each epoch's only minibatch
    assert clf.score(*iris) > 0.9


def test_lbfgs_works_with_the_decay(iris):
    clf = quick(optimizer=torch.optim.LBFGS, lr=1, batch_size=-1, alpha=0).fit(*iris)
    assert clf.score(*iris) > 0.95
    assert clf.optimizer_.param_groups[0]["lr"] == 1


@pytest.mark.parametrize("name", ["SGD", "AdamW", "RMSprop", "Adagrad", "NAdam", "Rprop"])
def test_optimizers_of_torch_train(name, iris):
    lr = 0.1 if name == "SGD" else 0.02
    clf = quick(optimizer=getattr(torch.optim, name), lr=lr, max_epochs=15).fit(*iris)
    assert clf.score(*iris) > 0.8


class ByHand(torch.optim.Optimizer):
    """Gradient descent of a user's own, that asks for the closure."""

    n_closures = 0

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure):
        loss = closure()
        type(self).n_closures += 1
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad
        return loss


def test_an_optimizer_of_the_users_gets_its_closure(iris, float64):
    n_before = ByHand.n_closures
    clf = quick(optimizer=ByHand, lr=0.1, max_epochs=15).fit(*iris)
    assert ByHand.n_closures - n_before == 15 * N_MINIBATCHES
    same = quick(optimizer=torch.optim.SGD, lr=0.1, max_epochs=15).fit(*iris)
    assert_near(clf.predict_proba(iris[0]), same.predict_proba(iris[0]))


class SignSteps:
    """An optimizer of another kind: it knows how to step, and how to forget gradients."""

    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.n_steps = self.n_zeroed = 0

    def zero_grad(self):
        self.n_zeroed += 1
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, closure):
        closure()
        self.n_steps += 1
        with torch.no_grad():
            for parameter in self.parameters:
                parameter -= 0.01 * parameter.grad.sign()


def test_an_optimizer_may_be_any_object_that_steps(iris):
    class Signed(MixupClassifier):
        def initialize_optimizer(self):
            super().initialize_optimizer()
            self.optimizer_ = SignSteps(self.module_.parameters())
            return self

    clf = Signed(max_epochs=12, random_state=0).fit(*iris)
    assert clf.optimizer_.n_steps == clf.optimizer_.n_zeroed == 12 * N_MINIBATCHES
    assert clf.score(*iris) > 0.8


# -- compile, subclasses, instances --------------------------------------------------------------


@pytest.mark.usefixtures("float64")
def test_a_compiled_net_trains_like_one_that_is_not(iris):
    X, y = iris
    compiled = quick(compile=True, compile__backend="eager").fit(X, y)
    assert type(compiled.module_).__name__ == "OptimizedModule"
    assert_near(compiled.predict_proba(X), quick().fit(X, y).predict_proba(X))


def test_a_subclass_may_replace_the_training_step(iris):
    class Counting(MixupClassifier):
        n_calls = 0

        def train_step_single(self, batch, **fit_params):
            Counting.n_calls += 1
            return super().train_step_single(batch, **fit_params)

    Counting(max_epochs=4, random_state=0).fit(*iris)
    assert Counting.n_calls == 4 * N_MINIBATCHES


def test_a_subclass_may_change_the_loss(iris):
    class Penalised(MixupClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            penalty = sum(p.square().sum() for p in self.module_.parameters())
            return super().get_loss(y_pred, y_true, *args, **kwargs) + penalty

    plain = MixupClassifier(max_epochs=4, random_state=0).fit(*iris)
    assert (
        weights(Penalised(max_epochs=4, random_state=0).fit(*iris)).norm()
        < 0.9 * weights(plain).norm()
    )


def test_a_subclass_may_listen_to_minibatches(iris):
    class Listening(MixupClassifier):
        heard = []  # noqa: RUF012

        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            super().on_batch_end(net, batch=batch, training=training, **kwargs)
            self.heard.append((training, net.history[-1, "batches", -1, "train_loss"]))

    clf = Listening(max_epochs=2, random_state=0).fit(*iris)
    assert len(clf.heard) == 2 * N_MINIBATCHES
    assert all(training and type(loss) is float for training, loss in clf.heard)


def test_a_subclass_may_watch_the_gradients(iris):
    class Watching(MixupClassifier):
        n_calls = 0

        def on_grad_computed(self, net, named_parameters, **kwargs):
            assert all(p.grad is not None for _, p in named_parameters)
            Watching.n_calls += 1

    Watching(max_epochs=2, random_state=0).fit(*iris)
    assert Watching.n_calls == 2 * N_MINIBATCHES


def test_a_subclass_may_replace_the_validation_step(iris, valid_split):
    class Constant(MixupClassifier):
        def validation_step(self, batch, **fit_params):
            return {**super().validation_step(batch, **fit_params), "loss": torch.tensor(7.0)}

    clf = Constant(max_epochs=2, random_state=0, train_split=valid_split).fit(*iris)
    assert clf.history[:, "valid_loss"] == [7.0, 7.0]


@pytest.mark.parametrize("alpha", [0, 0.4])
def test_a_subclass_may_name_its_criterion_otherwise(alpha, iris):
    class Renamed(MixupClassifier):
        def initialize_criterion(self):
            self.own_ = nn.CrossEntropyLoss()
            return self

        def get_loss(self, y_pred, y_true, *args, **kwargs):
            y_true = y_true.y if alpha else y_true
            return self.own_(y_pred, y_true)

    X, y = iris
    clf = Renamed(alpha=alpha, max_epochs=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


def test_a_step_may_write_to_the_history_and_count_its_rows(iris, valid_split):
    class Noting(MixupClassifier):
        def get_loss(self, *args, training=False, **kwargs):
            loss = super().get_loss(*args, training=training, **kwargs)
            self.history.record_batch("own", len(self.history[-1, "batches"]))
            return loss

    clf = Noting(max_epochs=2, random_state=0, train_split=valid_split).fit(*iris)
    for epoch in clf.history:
        assert [row["own"] for row in epoch["batches"]] == [1, 2, 3, 4, 5, 6]
        assert ["train_loss" in row for row in epoch["batches"]] == [True] * 4 + [False] * 2
        assert "valid_loss" in epoch["batches"][-1]


def test_other_arguments_of_fit_reach_the_module(iris):
    class Scaled(MLP):
        scales = []  # noqa: RUF012

        def forward(self, X, scale=None):
            self.scales.append(scale)
            return super().forward(X)

    clf = quick(module=Scaled, max_epochs=1).fit(*iris, scale=2)
    clf.partial_fit(*iris, scale=3)
    assert Scaled.scales == [2] * N_MINIBATCHES + [3] * N_MINIBATCHES


def test_a_module_instance_is_not_trained_in_place(iris):
    module = MLP(4, 3)
    module.eval()
    before = copy.deepcopy(module.state_dict())
    clf = MixupClassifier(module, max_epochs=4, random_state=0, dropout=0.3).fit(*iris)
    first = clf.predict_proba(iris[0])
    assert clf.module is module
    assert clf.module_ is not module
    assert not module.training
    assert module.dropout.p == 0
    assert all(p.grad is None for p in module.parameters())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not torch.equal(weights(clf), nn.utils.parameters_to_vector(module.parameters()))
    # So a second fit starts from the same weights as the first.
    np.testing.assert_array_equal(clf.fit(*iris).predict_proba(iris[0]), first)


def test_a_criterion_instance_is_taken(iris):
    weighted = quick(criterion=nn.CrossEntropyLoss(label_smoothing=0.2), max_epochs=20).fit(*iris)
    by_name = quick(criterion__label_smoothing=0.2, max_epochs=20).fit(*iris)
    assert_same_proba(weighted, by_name, iris[0])
    assert (
        weighted.predict_proba(iris[0]).max()
        < quick(max_epochs=20, alpha=0).fit(*iris).predict_proba(iris[0]).max()
    )


# -- what is printed -----------------------------------------------------------------------------


def test_nothing_is_printed_by_default(iris, valid_split, capsys):
    clf = quick(train_split=valid_split).fit(*iris)
    with pytest.warns(UserWarning, match="trained weights are gone"):
        clf.set_params(module__hidden_sizes=(8,))
    clf.fit(*iris).partial_fit(*iris)
    assert capsys.readouterr() == ("", "")


def test_verbose_prints_skorchs_table(iris, valid_split, capsys):
    quick(verbose=1, train_split=valid_split).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["epoch", "train_loss", "valid_acc", "valid_loss"]
    assert len(lines) == 2 + 4


def test_repr_shows_what_was_changed():
    assert repr(MixupClassifier(alpha=0.3, module__hidden_sizes=(8,))) == (
        "MixupClassifier(alpha=0.3, module__hidden_sizes=(8,))"
    )


# -- what callbacks and the user do between minibatches, epochs and fits -------------------------


def test_predictions_made_while_training_are_of_the_rows_asked_for(iris):
    class Predicts(Callback):
        def on_epoch_end(self, net, **kwargs):
            parts = [net.predict_proba(iris[0][i : i + 50]) for i in (0, 50, 100)]
            np.testing.assert_array_equal(np.concatenate(parts), net.predict_proba(iris[0]))

    clf = quick(callbacks=[Predicts()]).fit(*iris)
    assert len(clf.history) == 4


@pytest.mark.parametrize("how", ["failure", "load_best", "pickle"])
def test_learning_rate_is_that_of_before_however_training_ends(how, iris, tmp_path):
    class Fails(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 6:
                raise RuntimeError("in the middle")

    if how == "failure":
        clf = quick(warm_start=True, callbacks=[Fails()]).fit(*iris)
        with pytest.raises(RuntimeError, match="in the middle"):
            clf.fit(*iris)
    elif how == "load_best":
        save = Checkpoint(dirname=tmp_path, monitor="train_loss_best", load_best=True)
        clf = quick(alpha=0, callbacks=[save]).fit(*iris)
    else:
        save = Checkpoint(dirname=tmp_path, monitor=None, f_pickle="net.pkl")
        quick(callbacks=[save]).fit(*iris)
        clf = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01


def test_loading_parameters_leaves_the_device_that_was_asked_for(iris, tmp_path):
    save = Checkpoint(dirname=tmp_path, monitor="train_loss_best", load_best=True)
    clf = quick(callbacks=[save]).fit(*iris)
    assert clf.get_params()["device"] == "auto"


def test_the_decay_keeps_nothing_of_the_net(iris):
    clf = quick(module__hidden_sizes=(400, 400)).fit(*iris)
    plain = quick(module__hidden_sizes=(400, 400), callbacks__lr_decay=None).fit(*iris)
    assert len(pickle.dumps(clf)) < 1.1 * len(pickle.dumps(plain))


@pytest.mark.parametrize("train", ["fit", "partial_fit"])
def test_a_net_initialized_by_hand_can_be_trained(train, iris, iris_names):
    clf = quick(module__n_features=4, module__n_classes=3, warm_start=True, max_epochs=20)
    getattr(clf.initialize(), train)(iris[0], iris_names)
    assert clf.score(iris[0], iris_names) > 0.85


@pytest.mark.parametrize("multilabel", [False, True])
def test_trimming_keeps_the_predictions(multilabel, iris):
    X, y = iris
    clf = quick().fit(X, np.column_stack([y > 0, y > 1]).astype(int) if multilabel else y)
    before, proba = clf.predict(X), clf.predict_proba(X)
    clf.trim_for_prediction()
    np.testing.assert_array_equal(clf.predict_proba(X), proba)
    np.testing.assert_array_equal(clf.predict(X), before)


def test_a_step_that_evaluates_in_between_evaluates_without_dropout(iris):
    class Peeks(MixupClassifier):
        def train_step_single(self, batch, **fit_params):
            one, two = (self.evaluation_step(batch, training=False) for _ in range(2))
            assert torch.equal(one, two)
            step = super().train_step_single(batch, **fit_params)
            assert self.module_.training
            return step

    assert len(Peeks(dropout=0.5, max_epochs=2, random_state=0).fit(*iris).history) == 2


def test_the_decay_ends_where_a_fit_of_other_epochs_ends(iris):
    clf = quick(max_epochs=3).fit(*iris, epochs=6)
    lrs = clf.history[:, "event_lr"]
    assert len(lrs) == 6
    assert lrs == sorted(lrs, reverse=True)
    assert lrs[-1] < 0.01 * lrs[0]


def test_an_own_notify_hears_of_each_minibatch(iris):
    heard = []

    class Hears(MixupClassifier):
        def notify(self, method_name, **kwargs):
            heard.append(method_name)
            super().notify(method_name, **kwargs)

    Hears(max_epochs=2, random_state=0).fit(*iris)
    assert heard.count("on_batch_end") == 2 * N_MINIBATCHES
