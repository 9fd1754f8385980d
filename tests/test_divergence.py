"""A training whose loss is no longer finite: an error, never predictions of NaN."""

import math
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    MixupClassifier,
    fit_fused,
)
from sklearn_mixup._checkpoint import load_checkpoint
from sklearn_mixup._net.last_good import are_finite
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.exceptions import DivergedError
from sklearn_mixup.modules import MLP
from tests.test_fused import assert_same_net

# A weight decay of d makes plain gradient descent multiply its weights by 1 - lr * d in each step,
# whatever is drawn. So float32 is left behind in the first epoch of five steps with the one, when
# weights reach 1e19, and in the second with the other: 1e9 after five steps, 1e13 after seven.
PLAIN = {"optimizer": torch.optim.SGD, "lr": 1e-8}
AT_ONCE, LATER = ({**PLAIN, "optimizer__weight_decay": decay} for decay in (1e28, 1e10))


def make_net(**params):
    return MixupClassifier(**{"max_epochs": 4, "random_state": 0, **params})


class Spoils(MLP):
    """An MLP that returns NaN once, at its `n_bad`-th training pass."""

    def __init__(self, n_features, n_classes, n_bad=0):
        super().__init__(n_features, n_classes, hidden_sizes=(8,))
        self.norm = nn.BatchNorm1d(n_features)
        self.n_bad, self.n_passes = n_bad, 0

    def forward(self, X):
        self.n_passes += self.training
        logits = super().forward(self.norm(X))
        return logits * math.nan if self.training and self.n_passes == self.n_bad else logits


class Listens(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


class Poisons(Callback):
    """Make the gradients NaN at one step."""

    def __init__(self, n_step):
        self.n_step, self.n_steps = n_step, 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.n_steps += 1
        if self.n_steps == self.n_step:
            for _, parameter in named_parameters:
                parameter.grad.fill_(math.nan)


def everything(net):
    """Copy all that a net and its optimizer have learned."""
    moments = net.optimizer_.state_dict()["state"].values()
    tensors = [*net.module_.state_dict().values(), *(v for s in moments for v in s.values())]
    return [tensor.clone() for tensor in tensors]


class GoodEpochs(Callback):
    def __init__(self):
        self.states = []

    def on_epoch_end(self, net, **kwargs):
        self.states.append(everything(net))


# An epoch of iris is five steps.
@pytest.mark.parametrize(("n_bad", "n_kept"), [(6, 1), (10, 1), (11, 2), (15, 2)])
@pytest.mark.parametrize("listens", [False, True])
def test_a_net_that_diverges_goes_back_to_its_last_good_epoch(n_bad, n_kept, listens, iris):
    good = GoodEpochs()
    callbacks = [good, Listens()] if listens else [good]
    clf = make_net(module=Spoils, module__n_bad=n_bad, callbacks=callbacks)
    match = (
        rf"diverged: a loss was NaN or infinite in epoch {n_kept + 1}\. The net is as it was after "
        rf"epoch {n_kept}\. Try a lower learning rate \(lr=0\.003\)"
    )
    with pytest.raises(DivergedError, match=match) as caught:
        clf.fit(*iris)
    assert (caught.value.n_iter, caught.value.is_fitted) == (n_kept + 1, True)
    assert len(good.states) == len(clf.history) == n_kept
    assert all(map(torch.equal, everything(clf), good.states[-1]))
    assert clf.optimizer_.param_groups[0]["lr"] == 0.003
    assert np.isfinite(clf.predict_proba(iris[0])).all()
    clf.set_params(callbacks=None).partial_fit(*iris)
    assert len(clf.history) == n_kept + 4


@pytest.mark.parametrize("params", [{"module__n_bad": 4}, AT_ONCE])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_divergence_in_the_first_epoch_leaves_an_unfitted_net(params, method, iris):
    clf = make_net(module=Spoils, **params)
    match = r"in epoch 1\. There was no good epoch to go back to"
    with pytest.raises(DivergedError, match=match) as caught:
        getattr(clf, method)(*iris)
    assert (caught.value.n_iter, caught.value.is_fitted) == (1, False)
    with pytest.raises(NotFittedError):
        clf.predict(iris[0])
    clf.set_params(module__n_bad=0, lr=0.003, optimizer__weight_decay=0).fit(*iris)
    assert np.isfinite(clf.predict_proba(iris[0])).all()


@pytest.mark.parametrize("method", ["warm", "partial_fit", "fit_loop"])
def test_a_net_that_goes_on_and_diverges_is_what_it_was(method, iris):
    clf = make_net(module=Spoils, module__n_bad=22, warm_start=method == "warm").fit(*iris)
    before = everything(clf)
    with pytest.raises(ValueError, match=r"in epoch 5\. The net is as it was after epoch 4\."):
        getattr(clf, "fit" if method == "warm" else method)(*iris)
    assert all(map(torch.equal, everything(clf), before))
    assert len(clf.history) == 4


def test_a_net_initialized_by_hand_goes_back_to_what_it_was(iris):
    clf = make_net(**AT_ONCE, module__n_features=4, module__n_classes=3).initialize()
    before = everything(clf)
    with pytest.raises(ValueError, match=r"The net is as it was before\."):
        clf.partial_fit(*iris)
    assert all(map(torch.equal, everything(clf), before))
    assert np.isfinite(clf.predict_proba(iris[0])).all()


@pytest.mark.parametrize(("n_step", "n_kept"), [(10, 1), (20, 3)])
def test_weights_that_become_nan_in_the_last_step_are_noticed(n_step, n_kept, iris):
    clf = make_net(callbacks=[Poisons(n_step)])
    with pytest.raises(ValueError, match=rf"in epoch {n_kept + 1}\. .* after epoch {n_kept}\."):
        clf.fit(*iris)
    assert np.isfinite(clf.predict_proba(iris[0])).all()


class StepsOnce(torch.optim.Optimizer):
    """An optimizer whose state is a list that it lengthens."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter].setdefault("steps", []).append(1)
                parameter.data.sub_(parameter.grad, alpha=group["lr"])
        return loss


def test_states_of_an_optimizer_that_are_no_tensors_go_back_too(iris):
    clf = make_net(module=Spoils, module__n_bad=8, optimizer=StepsOnce)
    with pytest.raises(ValueError, match="after epoch 1"):
        clf.fit(*iris)
    assert {len(state["steps"]) for state in clf.optimizer_.state.values()} == {5}


def test_a_minibatch_without_a_target_that_counts_is_no_divergence(iris):
    X, y = iris[0], np.sort(iris[1])
    clf = make_net(
        alpha=0, criterion__ignore_index=0, batch_size=25, iterator_train__shuffle=False
    ).fit(X, y)
    losses = clf.history[-1, "batches", :, "train_loss"]
    assert np.isnan(losses).tolist() == [True, True, False, False, False, False]


class Nan(nn.CrossEntropyLoss):
    """A loss that is NaN, with the gradient of the cross-entropy."""

    def forward(self, y_pred, y_true):
        return super().forward(y_pred, y_true) + math.nan


def test_an_epoch_without_a_finite_loss_is_divergence_though_weights_stay_finite(iris):
    with pytest.raises(ValueError, match="diverged"):
        make_net(alpha=0, criterion=Nan).fit(*iris)


def test_finite_numbers_of_any_size_are_finite():
    large = torch.full((4,), 3e38)
    assert are_finite([large, torch.ones(2)])
    assert are_finite([torch.full((9,), 6e4, dtype=torch.float16), large])
    for bad in (math.nan, math.inf, -math.inf):
        assert not are_finite([torch.ones(2), torch.tensor([1.0, bad])])
    assert not are_finite([torch.tensor([math.inf, -math.inf])])


def test_a_diverged_epoch_is_not_saved(iris, tmp_path):
    clf = make_net(callbacks=[Poisons(10), Resume(tmp_path)])
    with pytest.raises(ValueError, match="after epoch 1"):
        clf.fit(*iris)
    state, _ = load_checkpoint(tmp_path)
    assert len(state["history"]) == 1
    assert are_finite(list(state["modules"]["module"].values()))


def test_a_fit_that_goes_on_after_a_kill_falls_back_on_what_it_had(iris, tmp_path):
    whole = make_net(max_epochs=2, callbacks=[Resume(tmp_path)], callbacks__lr_decay=None)
    whole.fit(*iris)
    clf = make_net(callbacks=[Resume(tmp_path), Poisons(3)], callbacks__lr_decay=None)
    with pytest.raises(ValueError, match=r"in epoch 3\. The net is as it was after epoch 2\."):
        clf.fit(*iris)
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), whole.predict_proba(iris[0]))


def test_the_error_comes_whole_out_of_another_process():
    error = pickle.loads(pickle.dumps(DivergedError("told", n_iter=7, is_fitted=True)))
    assert (str(error), error.n_iter, error.is_fitted) == ("told", 7, True)


# -- stacks ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
# Out of float64 in the first epoch, in the second.
@pytest.mark.parametrize("decay", [1e170, 1e77])
@pytest.mark.parametrize("n_rows", [150, 160])  # 150 rows end in a short minibatch, 160 do not.
def test_a_net_of_a_stack_that_diverges_ends_as_alone_and_harms_no_other(decay, n_rows, iris):
    X, y = np.resize(iris[0], (n_rows, 4)), np.resize(iris[1], n_rows)
    bad = {"lr": 1e-60, "optimizer__weight_decay": decay}
    nets = [
        make_net(optimizer=torch.optim.SGD, device="cpu", **params)
        for params in ({"lr": 0.1}, bad, {"lr": 0.2, "alpha": 0}, {**bad, "random_state": 1})
    ]
    alone = [clone(net) for net in nets]
    errors = [error_of(net.fit, X, y) for net in alone]
    assert ["diverged" in str(error) for error in errors] == [False, True, False, True]
    seen = {}
    with pytest.raises(DivergedError, match=re.escape(str(errors[1]))) as caught:
        fit_fused(nets, [X] * 4, [y] * 4, on_epoch_end=lambda net: seen.update({net: learned(net)}))
    assert vars(caught.value) == vars(errors[1])
    assert [net.initialized_ for net in nets] == [net.initialized_ for net in alone]
    for net, other in zip(nets, alone, strict=True):
        assert net._training_ is None
        if net.lr > 1e-3:
            assert_same_net(net, other)
        elif net.initialized_:
            assert len(net.history) == len(other.history) > 0
            assert torch.equal(seen[net], learned(net))
            assert {*net.optimizer_.state} == {*other.optimizer_.state} == set()


def error_of(fit, *args):
    try:
        fit(*args)
    except ValueError as error:
        return error


def learned(net):
    return nn.utils.parameters_to_vector(net.module_.parameters()).detach().clone()


@pytest.mark.usefixtures("float64")
def test_the_optimizer_of_a_net_that_diverges_in_a_stack_goes_back_too(iris):
    params = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "device": "cpu"}
    bad = {"lr": 1e-60, "optimizer__weight_decay": 1e77}
    nets = [make_net(**params, **rate) for rate in (bad, {"lr": 0.01})]
    with pytest.raises(ValueError, match="after epoch 1"):
        fit_fused(nets, [iris[0]] * 2, [iris[1]] * 2)
    momenta = [state["momentum_buffer"] for state in nets[0].optimizer_.state.values()]
    assert len(momenta) == 6
    assert are_finite(momenta)


def test_nets_that_all_diverge_end_their_stack(iris):
    seen = []
    nets = [make_net(**LATER, random_state=seed) for seed in range(3)]
    with pytest.raises(ValueError, match="after epoch 1"):
        fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3, on_epoch_end=seen.append)
    assert seen == nets
    for net in nets:
        assert len(net.history) == 1
        assert np.isfinite(net.predict_proba(iris[0])).all()


def test_an_ensemble_with_a_net_that_diverges_stays_unfitted(iris):
    bag = FusedBaggingClassifier(make_net(**AT_ONCE), n_estimators=2, random_state=0)
    with pytest.raises(ValueError, match="Training diverged"):
        bag.fit(*iris)
    with pytest.raises(NotFittedError):
        bag.predict(iris[0])


# -- searches -------------------------------------------------------------------------------------


# At these rates 120 of 120 nets diverged on two thirds of the rows.
@pytest.mark.parametrize("lr", [1e3, 100])
@pytest.mark.parametrize(
    "wrap", [lambda net: net, lambda net: FusedBaggingClassifier(net, 2, random_state=0)]
)
@pytest.mark.parametrize(
    "Search",
    [GridSearchCV, FusedGridSearchCV, partial(FusedRandomizedSearchCV, n_iter=2)],
)
def test_a_search_never_chooses_a_setting_that_diverges(lr, wrap, Search, iris):
    estimator = wrap(make_net(optimizer=torch.optim.SGD))
    name = "lr" if isinstance(estimator, MixupClassifier) else "estimator__lr"
    search = Search(estimator, {name: [lr, 0.1]}, cv=3, error_score=-7.0)
    with pytest.warns(FitFailedWarning, match="Training diverged"):
        search.fit(*iris)
    scores = search.cv_results_["mean_test_score"]
    worst = search.cv_results_["params"].index({name: lr})
    assert scores[worst] == -7
    assert scores[1 - worst] > 0.4
    assert search.best_params_ == {name: 0.1}
