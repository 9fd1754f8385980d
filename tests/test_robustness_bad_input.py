"""Bad input of sklearn_mixup.robustness: the error says the rule, what came and what to do."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_mixup import MixupClassifier
from sklearn_mixup.robustness import corrupt_labels, fgsm, iterative_fgsm, pixel_bounds

ATTACKS = [fgsm, iterative_fgsm]
NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)), NAMES[np.arange(30) % 3]
    return MixupClassifier(max_epochs=1, random_state=0, device="cpu").fit(X, y), X, y


# -- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [-0.1, 1.01, np.nan, np.inf, "half", None, True, [0.5]])
def test_fraction_that_is_no_share_is_refused(fraction):
    with pytest.raises(ValueError, match=r"`fraction` must be a number in \[0, 1\]; got"):
        corrupt_labels([0, 1], fraction)


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.eye(3), "one label for each row"),
        (np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1]]), "one label for each row"),
        ([0.1, 0.2, 0.35], "continuous"),
        ([1, 1, 1], "two classes at least|at least two classes"),
        ([], "at least two classes|0 sample"),
        ([0.0, 1.0, np.nan], "NaN"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(y, told):
    with pytest.raises(ValueError, match=told):
        corrupt_labels(y, 0.5)


# -- attacks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    ("eps", "told"),
    [
        (-0.1, r"`eps` must be finite and >= 0; got -0\.1"),
        (np.nan, "`eps` must be finite"),
        (np.inf, "`eps` must be finite"),
        ([0.1, 0.1, -0.1, 0.1], "`eps` must be finite"),
        ([0.1, 0.2], r"broadcast to the shape of a row of X, \(4,\); got shape \(2,\)"),
        (np.full((30, 4), 0.1), "broadcast"),
        ("a little", "`eps` must hold numbers"),
        (None, "`eps` must"),
    ],
)
def test_eps_that_is_no_distance_is_refused(fitted, attack, eps, told):
    net, X, y = fitted
    with pytest.raises(ValueError, match=told):
        attack(net, X, y, eps=eps)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    ("clip", "told"),
    [
        (1.0, r"`clip` must be a tuple \(low, high\) or None; got 1\.0"),
        ((0.0,), r"tuple \(low, high\)"),
        ((1.0, 0.0), "low <= high"),
        ((np.nan, 1.0), "low <= high"),
        (([0.0] * 4, [1.0, 1.0, -1.0, 1.0]), "low <= high"),
        ((np.zeros(3), 1.0), "broadcast"),
        (("low", "high"), "`clip` must hold numbers"),
    ],
)
def test_clip_that_is_no_range_is_refused(fitted, attack, clip, told):
    net, X, y = fitted
    with pytest.raises(ValueError, match=told):
        attack(net, X, y, eps=0.1, clip=clip)


@pytest.mark.parametrize("n_steps", [0, -1, 1.5, True, None])
def test_n_steps_that_is_no_number_of_steps_is_refused(fitted, n_steps):
    net, X, y = fitted
    with pytest.raises(ValueError, match="`n_steps` must be a whole number >= 1"):
        iterative_fgsm(net, X, y, eps=0.1, n_steps=n_steps)


@pytest.mark.parametrize("attack", ATTACKS)
def test_rows_that_cannot_move_a_little_are_refused(fitted, attack):
    net, X, y = fitted
    whole = (10 * X).astype(int)
    frame = pd.DataFrame(X, columns=list("abcd"))
    for rows, told in (
        (whole, "X must be floating; got int64"),
        (whole.tolist(), "X must be floating; got int64"),
        (torch.from_numpy(whole), "X must be floating; got torch.int64"),
        (X > 0, "X must be floating; got bool"),
        ({"X": whole}, r"X\['X'\] must be floating"),
        (frame.assign(b=whole[:, 1]), r"X\['b'\] must be floating"),
        (frame.assign(b="word"), "must hold only numbers|must be floating"),
        (sparse.csr_array(X), "dense"),
        (TensorDataset(torch.from_numpy(X)), "TensorDataset"),
    ):
        with pytest.raises(TypeError, match=told):
            attack(net, rows, y, eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_rows_and_labels_that_do_not_fit_are_refused(fitted, attack):
    net, X, y = fitted
    holes = X.copy()
    holes[1, 1] = np.nan
    for rows, labels, told in (
        (X, y[:-1], "inconsistent numbers of samples"),
        (X[:, :3], y, "3 features"),
        (X[:0], y[:0], "at least one row|0 sample"),
        (holes, y, "NaN"),
        (X, np.where(y == "setosa", "rose", y), r"fitted with.*got \['rose'\]"),
        (X, np.arange(30) % 3, "fitted with"),
        (X, np.eye(3)[np.arange(30) % 3], "one label for each row"),
    ):
        with pytest.raises(ValueError, match=told):
            attack(net, rows, labels, eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", [MixupClassifier, NeuralNetClassifier, NeuralNetBinaryClassifier])
def test_nets_that_are_not_fitted_are_refused(fitted, attack, kind):
    _, X, _ = fitted
    net = kind() if kind is MixupClassifier else kind(nn.Linear, module__in_features=4)
    with pytest.raises(NotFittedError):
        attack(net, X, np.zeros(len(X), dtype=int), eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_estimators_without_gradient_are_refused_with_the_way_around(fitted, attack):
    net, X, y = fitted
    pipeline = make_pipeline(StandardScaler(), net)
    for estimator in (LogisticRegression().fit(X, y), pipeline, net.predict, None):
        with pytest.raises(TypeError, match=r"MixupClassifier.*torch module.*got"):
            attack(estimator, X, y, eps=0.1)


class Detached(nn.Linear):
    """A module whose output does not depend on its input, as far as autograd knows."""

    def forward(self, X):
        return super().forward(X.detach())


class WithoutGradient(nn.Linear):
    """A module whose output has no gradient at all."""

    @torch.no_grad()
    def forward(self, X):
        return super().forward(X)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("module", [Detached, WithoutGradient])
def test_modules_without_gradient_are_refused(fitted, attack, module):
    _, X, _ = fitted
    with pytest.raises(ValueError, match=f"output of {module.__name__} must have a gradient"):
        attack(module(4, 3), X, np.zeros(len(X), dtype=int), eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_labels_that_a_module_has_no_logit_for_are_refused(fitted, attack):
    _, X, y = fitted
    codes = np.arange(len(X)) % 4
    with pytest.raises(ValueError, match=r"indices below n_classes; got 3 .*\(30, 3\)"):
        attack(nn.Linear(4, 3), X, codes, eps=0.1)
    with pytest.raises(ValueError, match="class indices"):
        attack(nn.Linear(4, 3), X, y, eps=0.1)
    net = NeuralNetClassifier(
        nn.Linear, criterion=nn.CrossEntropyLoss, module__in_features=4, module__out_features=3
    ).initialize()
    with pytest.raises(ValueError, match="got 3 in y"):
        attack(net, X, codes, eps=0.1)
    binary = NeuralNetBinaryClassifier(
        nn.Linear, module__in_features=4, module__out_features=1
    ).initialize()
    with pytest.raises(ValueError, match="got 3 in y"):
        attack(binary, X, codes, eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_rows_of_the_wrong_shape_are_told_in_the_users_words(fitted, attack):
    _, X, _ = fitted
    with pytest.raises(ValueError, match="Linear could not be applied to a minibatch of shape"):
        attack(nn.Linear(5, 3), X, np.zeros(len(X), dtype=int), eps=0.1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_dicts_of_eps_and_clip_must_have_the_inputs_of_the_rows(attack):
    class Sum(nn.Module):
        def forward(self, a, b):
            return a + b

    X, y = {"a": np.ones((4, 2)), "b": np.ones((4, 2))}, [0, 1, 0, 1]
    for params in ({"eps": {"a": 0.1}}, {"eps": 0.1, "clip": {"b": (0, 1), "c": (0, 1)}}):
        with pytest.raises(ValueError, match=r"must have the inputs of X, \['a', 'b'\]; got"):
            attack(Sum(), X, y, **params)


# -- units of pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "mean", "std", "told"),
    [
        (-1, [0.5], [0.2], "`n` must be finite and >= 0"),
        (np.nan, [0.5], [0.2], "`n` must be finite"),
        (4, 0.5, 0.2, "for each channel"),
        (4, [0.5, 0.5], [0.2], "for each channel"),
        (4, [0.5], [0.0], "> 0 in `std`"),
        (4, [np.nan], [0.2], "finite number for each channel"),
    ],
)
def test_pixel_bounds_that_make_no_sense_are_refused(n, mean, std, told):
    with pytest.raises(ValueError, match=told):
        pixel_bounds(n, mean=mean, std=std)
