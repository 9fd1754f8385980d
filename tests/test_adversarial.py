"""Adversarial examples: known answers, ART's numbers, any kind of rows, and nets left alone."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_mixup import MixupClassifier
from sklearn_mixup.robustness import fgsm, iterative_fgsm, pixel_bounds

ATTACKS = [fgsm, iterative_fgsm]


class TableNet(nn.Module):
    """An MLP with dropout and batch normalisation, which tell modes apart."""

    def __init__(self, n_features=4, n_classes=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 16),
            nn.BatchNorm1d(16),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.Linear(16, n_classes),
        )

    def forward(self, X):
        return self.layers(X)


class PictureNet(nn.Module):
    """A small network for pictures of three channels."""

    def __init__(self, n_classes=10):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, n_classes),
        )

    def forward(self, X):
        return self.layers(X)


class TwoInputs(nn.Module):
    """The sum of the logits of two inputs, one of them a sequence."""

    def __init__(self):
        super().__init__()
        self.table, self.signal = nn.Linear(4, 3), nn.Linear(6, 3)

    def forward(self, table, signal):
        return self.table(table) + self.signal(signal.flatten(1)).tanh()


def draw(module, seed=0):
    """Draw the weights, and the statistics of batch normalisation, of a module."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.5, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return module


@pytest.fixture
def pictures(digits):
    """Digits in three channels, with a range for each: X (60, 3, 8, 8), y, mean, std."""
    X = np.repeat(digits[0][:60, None], 3, axis=1) * np.float32([1.0, 0.5, 0.8])[:, None, None]
    mean, std = np.float32([0.4, 0.3, 0.2]), np.float32([0.3, 0.2, 0.25])
    return (X - mean[:, None, None]) / std[:, None, None], digits[1][:60], mean, std


def problem(kind, dtype, iris, pictures):
    """Give a module, X, y, eps and clip for a table or for pictures; X is within the range."""
    if kind == "table":
        module, (X, y) = TableNet(), (iris[0].clip(-1.5, 1.5), iris[1])
        eps, clip = 0.3, (-1.5, 1.5)
    else:
        module, (X, y, mean, std) = PictureNet(), pictures
        eps, clip = pixel_bounds(8, mean=mean, std=std)
    return draw(module).to(getattr(torch, dtype)), X.astype(dtype), y, eps, clip


# -- the Adversarial Robustness Toolbox --------------------------------------------------------


@pytest.fixture
def art_attack(monkeypatch):
    """Give ``art_attack(module, X, y, eps, clip, n_steps)``, which is ART's own."""
    art_config = pytest.importorskip("art.config", reason="needs the extra `test`")
    from art.attacks.evasion import BasicIterativeMethod, FastGradientMethod, fast_gradient
    from art.attacks.evasion.projected_gradient_descent import (
        projected_gradient_descent_pytorch as iterative,
    )
    from art.estimators.classification import PyTorchClassifier

    def attack(module, X, y, eps, clip, n_steps=None):
        for place in (art_config, fast_gradient, iterative):  # float32 without this
            monkeypatch.setattr(place, "ART_NUMPY_DTYPE", X.dtype.type, raising=False)
        module.eval()
        classifier = PyTorchClassifier(
            module,
            nn.CrossEntropyLoss(),
            input_shape=X.shape[1:],
            nb_classes=int(y.max()) + 1,
            clip_values=tuple(np.asarray(end, dtype=X.dtype) for end in clip),
            device_type="cpu",
        )
        eps = np.asarray(eps, dtype=X.dtype)
        eps = eps if eps.ndim else float(eps)
        if n_steps is None:
            made = FastGradientMethod(classifier, norm=np.inf, eps=eps, eps_step=eps, minimal=False)
        else:
            made = BasicIterativeMethod(
                classifier, eps=eps, eps_step=eps / n_steps, max_iter=n_steps, verbose=False
            )
        return made.generate(X.copy(), y=y)

    return attack


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["table", "pictures"])
@pytest.mark.parametrize("n_steps", [None, 10, 3])
def test_numbers_are_those_of_art(kind, dtype, n_steps, iris, pictures, art_attack):
    module, X, y, eps, clip = problem(kind, dtype, iris, pictures)
    theirs = art_attack(module, X, y, eps, clip, n_steps)
    if n_steps is None:
        ours = fgsm(module, X, y, eps=eps, clip=clip)
    else:
        ours = iterative_fgsm(module, X, y, eps=eps, n_steps=n_steps, clip=clip)
    assert ours.dtype == theirs.dtype == X.dtype
    assert np.abs(theirs - X).max() > 0.05  # it did something
    # A few units in the last place, with an eps of 0.1 to 0.3.
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_a_distance_for_each_number_is_that_of_art(iris, art_attack):
    module, X, y, _, clip = problem("table", "float64", iris, None)
    eps = np.array([0.1, 0.01, 0.4, 0.02])  # ART's have to be positive
    ours = iterative_fgsm(module, X, y, eps=eps, n_steps=5, clip=clip)
    np.testing.assert_allclose(ours, art_attack(module, X, y, eps, clip, 5), atol=1e-14)
    inside = (np.abs(X) < 1.1).all(axis=1)
    np.testing.assert_allclose(np.abs(ours - X)[inside].max(axis=0), eps, atol=1e-12)


# -- mathematics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_example_of_a_linear_net_is_known(attack, iris):
    X, y = iris[0][:100], iris[1][:100]
    linear = draw(nn.Linear(4, 2)).double()
    # For two classes the gradient of the loss is p(other) * (w_other - w_true), wherever x is.
    w = linear.weight.detach().numpy()
    expected = X + 0.25 * np.sign(w[1 - y] - w[y])
    np.testing.assert_allclose(attack(linear, X, y, eps=0.25), expected, rtol=1e-13)


def test_each_step_starts_from_where_the_last_one_ended(iris):
    module, X, y, _, clip = problem("table", "float64", iris, None)
    by_hand = X
    for _ in range(4):
        by_hand = fgsm(module, by_hand, y, eps=0.2, clip=clip)
    found = iterative_fgsm(module, X, y, eps=0.8, n_steps=4, clip=clip)
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    assert np.abs(found - fgsm(module, X, y, eps=0.8, clip=clip)).max() > 0.1


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["table", "pictures"])
def test_loss_rises(attack, kind, iris, pictures):
    module, X, y, *_ = problem(kind, "float64", iris, pictures)
    module.eval()

    def losses(X):
        return F.cross_entropy(module(torch.tensor(X)), torch.tensor(y), reduction="none")

    made = attack(module, X, y, eps=1e-4)
    slope = (losses(made) - losses(X)) / 1e-4
    assert (slope > 0).all()
    # To first order the loss rises by eps times the sum of the gradient's absolute values.
    leaf = torch.tensor(X, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses_of(module, leaf, y).sum(), leaf)
    torch.testing.assert_close(slope, gradient.abs().flatten(1).sum(1), rtol=0.01, atol=1e-3)


def losses_of(module, X, y):
    return F.cross_entropy(module(X), torch.tensor(y), reduction="none")


@pytest.mark.parametrize("attack", ATTACKS)
def test_distance_zero_changes_nothing_but_what_is_out_of_range(attack, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    np.testing.assert_array_equal(attack(module, X, y, eps=0), X)
    np.testing.assert_array_equal(attack(module, X, y, eps=0, clip=(-1, 1)), X.clip(-1, 1))


def test_one_step_is_fgsm(pictures):
    module, X, y, eps, clip = problem("pictures", "float32", None, pictures)
    one = iterative_fgsm(module, X, y, eps=eps, n_steps=1, clip=clip)
    np.testing.assert_array_equal(one, fgsm(module, X, y, eps=eps, clip=clip))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["table", "pictures"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_number_goes_too_far(attack, kind, dtype, iris, pictures):
    module, X, y, eps, (low, high) = problem(kind, dtype, iris, pictures)
    made = attack(module, X, y, eps=eps, clip=(low, high))
    slack = 20 * np.finfo(dtype).eps
    assert (np.abs(made - X) <= np.asarray(eps) * (1 + 10 * slack) + 4 * slack).all()
    assert (made >= np.asarray(low, dtype=dtype)).all()
    assert (made <= np.asarray(high, dtype=dtype)).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_input_that_the_net_ignores_stays(attack, iris):
    X, y = iris
    linear = draw(nn.Linear(4, 3)).double()
    with torch.no_grad():
        linear.weight[:, 2] = 0
    made = attack(linear, X, y, eps=0.5)
    np.testing.assert_array_equal(made[:, 2], X[:, 2])
    assert (made != X)[:, [0, 1, 3]].all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_size_and_company_of_minibatches_make_no_difference(attack, iris):
    module, X, y, eps, clip = problem("table", "float64", iris, None)
    whole = attack(module, X, y, eps=eps, clip=clip)
    for batch_size in (1, 7, 150, 1000):
        made = attack(module, X, y, eps=eps, clip=clip, batch_size=batch_size)
        np.testing.assert_allclose(made, whole, rtol=1e-13)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(
        attack(module, X[order], y[order], eps=eps, clip=clip), whole[order], rtol=1e-13
    )


# -- estimators --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(iris, iris_names):
    """A MixupClassifier of species names."""
    net = MixupClassifier(TableNet, max_epochs=5, lr=0.05, random_state=0, device="cpu")
    return net.fit(iris[0].astype(np.float32), iris_names)


@pytest.mark.parametrize("attack", ATTACKS)
def test_labels_are_those_of_the_caller(attack, fitted, iris, iris_names):
    X = iris[0].astype(np.float32)
    by_name = attack(fitted, X, iris_names, eps=0.5)
    np.testing.assert_array_equal(by_name, attack(fitted.module_, X, iris[1], eps=0.5))
    np.testing.assert_array_equal(by_name, attack(fitted, X, iris_names.tolist(), eps=0.5))
    assert fitted.score(by_name, iris_names) < fitted.score(X, iris_names) - 0.1


@pytest.mark.parametrize("attack", ATTACKS)
def test_net_of_skorch_has_its_own_criterion(attack, iris):
    X, y = iris[0].astype(np.float32), iris[1]
    module = draw(TableNet())
    net = NeuralNetClassifier(
        nn.Sequential(module, nn.Softmax(-1)), criterion=nn.NLLLoss, device="cpu"
    ).initialize()
    made = attack(net, X, y, eps=0.3)
    np.testing.assert_allclose(made, attack(module, X, y, eps=0.3), atol=1e-6)


@pytest.mark.parametrize("attack", ATTACKS)
def test_binary_net_of_skorch(attack, iris):
    X, y = iris[0][:100].astype(np.float32), iris[1][:100]
    module = draw(TableNet(n_classes=1))
    net = NeuralNetBinaryClassifier(module, device="cpu").initialize()

    class Two(nn.Module):
        def forward(self, logit):
            return torch.cat([torch.zeros_like(logit), logit], dim=1)

    made = attack(net, X, y, eps=0.3)
    np.testing.assert_allclose(
        made, attack(nn.Sequential(net.module_, Two()), X, y, eps=0.3), atol=1e-6
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_black_box_is_made_with_one_net_for_another(attack, fitted, iris, iris_names):
    X = iris[0].astype(np.float32)
    other = MixupClassifier(TableNet, max_epochs=5, lr=0.05, alpha=0, random_state=1, device="cpu")
    other.fit(X, iris_names)
    black, white = (attack(net, X, iris_names, eps=0.5) for net in (other, fitted))
    assert (black != white).any()
    assert fitted.score(black, iris_names) < fitted.score(X, iris_names) - 0.1


# -- kinds of rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("attack", ATTACKS)
def test_tensors_give_tensors(attack, dtype, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    rows = torch.tensor(X, dtype=dtype)
    made = attack(module, rows, torch.tensor(y), eps=0.3)
    assert isinstance(made, torch.Tensor)
    assert (made.dtype, made.device, made.requires_grad) == (dtype, rows.device, False)
    made.add_(1)  # neither a view of X nor an inference tensor
    np.testing.assert_allclose(made - 1, attack(module, rows.numpy(), y, eps=0.3), atol=1e-6)
    torch.testing.assert_close(rows, torch.tensor(X, dtype=dtype), rtol=0, atol=0)


@pytest.mark.parametrize("attack", ATTACKS)
def test_frames_give_frames_of_the_same_columns(attack, iris, iris_names):
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    frame = pd.DataFrame(iris[0], columns=names)
    net = MixupClassifier(TableNet, max_epochs=2, random_state=0, device="cpu")
    net.fit(frame, iris_names)
    made = attack(net, frame, iris_names, eps=0.3, clip=(-2, 2))
    assert isinstance(made, pd.DataFrame)
    assert list(made.columns) == names
    np.testing.assert_array_equal(
        made, attack(net.module_, iris[0], iris[1], eps=0.3, clip=(-2, 2))
    )
    net.predict(made)


def test_dict_of_inputs_moves_all_of_them_each_by_its_own_distance(iris):
    y, module = iris[1], draw(TwoInputs()).double()
    rng = np.random.default_rng(0)
    X = {"table": iris[0], "signal": rng.normal(size=(150, 2, 3))}
    made = fgsm(module, X, y, eps=0.1)
    assert list(made) == ["table", "signal"]
    inputs = {name: torch.tensor(part, requires_grad=True) for name, part in X.items()}
    gradients = torch.autograd.grad(losses_of_dict(module, inputs, y), list(inputs.values()))
    for (name, part), gradient in zip(X.items(), gradients, strict=True):
        np.testing.assert_allclose(made[name], part + 0.1 * gradient.sign().numpy(), rtol=1e-12)
    one = iterative_fgsm(module, X, y, eps={"table": 0.0, "signal": 0.2})
    np.testing.assert_array_equal(one["table"], X["table"])
    np.testing.assert_allclose(np.abs(one["signal"] - X["signal"]).max(), 0.2)


def losses_of_dict(module, inputs, y):
    return F.cross_entropy(module(**inputs), torch.tensor(y))


@pytest.mark.parametrize("attack", ATTACKS)
def test_signals_are_as_their_flat_rows(attack, iris):
    linear = draw(nn.Linear(12, 3)).double()
    y = iris[1]
    X = np.random.default_rng(0).normal(size=(150, 2, 6))
    made = attack(nn.Sequential(nn.Flatten(), linear), X, y, eps=0.2)
    assert made.shape == X.shape
    np.testing.assert_array_equal(
        made.reshape(150, 12), attack(linear, X.reshape(150, 12), y, eps=0.2)
    )


# -- pictures --------------------------------------------------------------------------------------


def test_bounds_of_pixels_by_hand():
    eps, (low, high) = pixel_bounds(4, mean=[0.5, 0.25], std=[0.25, 0.5])
    assert eps.shape == low.shape == high.shape == (2, 1, 1)
    np.testing.assert_allclose(eps.ravel(), [4 / 255 / 0.25, 4 / 255 / 0.5])
    np.testing.assert_allclose(low.ravel(), [-2, -0.5])
    np.testing.assert_allclose(high.ravel(), [2, 1.5])


@pytest.mark.parametrize("attack", ATTACKS)
def test_same_pictures_as_of_a_net_that_standardises_by_itself(attack, pictures):
    X, y, mean, std = pictures
    module = draw(PictureNet()).double()
    mean, std = mean.astype(float), std.astype(float)

    class Standardise(nn.Module):
        def forward(self, pixels):
            center, scale = (torch.tensor(part)[:, None, None] for part in (mean, std))
            return (pixels / 255 - center) / scale

    pixels = 255 * (X * std[:, None, None] + mean[:, None, None]).clip(0, 1)
    standardised = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    eps, clip = pixel_bounds(4, mean=mean, std=std)
    made = attack(module, standardised, y, eps=eps, clip=clip)
    back = 255 * (made * std[:, None, None] + mean[:, None, None])
    inside = attack(nn.Sequential(Standardise(), module), pixels, y, eps=4, clip=(0, 255))
    np.testing.assert_allclose(back, inside, atol=1e-9)
    assert 0 <= inside.min() <= inside.max() <= 255
    assert np.abs(inside - pixels).max() == pytest.approx(4)


# -- the net is left as it was -----------------------------------------------------------------


def state_of(module):
    """All that an attack could leave behind in a module."""
    return {
        "modes": [part.training for part in module.modules()],
        "grads": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
        "requires_grad": [p.requires_grad for p in module.parameters()],
        "state": {name: part.clone() for name, part in module.state_dict().items()},
    }


def assert_same(before, after):
    assert before["modes"] == after["modes"]
    assert before["requires_grad"] == after["requires_grad"]
    for old, new in zip(before["grads"], after["grads"], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)
    for name, part in before["state"].items():
        assert torch.equal(part, after["state"][name]), name


@pytest.mark.parametrize("attack", ATTACKS)
def test_module_is_left_as_it_was(attack, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    module.train()
    module.layers[1].eval()
    module.layers[4].weight.requires_grad_(False)
    module.layers[0].weight.grad = torch.full_like(module.layers[0].weight, 7.0)
    before = state_of(module)
    first = attack(module, X, y, eps=0.3)
    assert_same(before, state_of(module))
    np.testing.assert_array_equal(first, attack(module.eval(), X, y, eps=0.3))


@pytest.mark.parametrize("attack", ATTACKS)
def test_net_and_its_criterion_are_left_as_they_were(attack, iris, iris_names):
    X = iris[0].astype(np.float32)
    net = MixupClassifier(TableNet, max_epochs=1, random_state=0, device="cpu").fit(X, iris_names)
    net.module_.train()
    before, loss = state_of(net.module_), net.get_loss(torch.zeros(2, 3), torch.tensor([0, 1]))
    attack(net, X, iris_names, eps=0.3)
    assert_same(before, state_of(net.module_))
    assert net.get_loss(torch.zeros(2, 3), torch.tensor([0, 1])) == loss  # not summed


@pytest.mark.parametrize("attack", ATTACKS)
def test_module_is_left_as_it_was_by_an_error_too(attack, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    before = state_of(module.train())
    with pytest.raises(ValueError, match="indices below n_classes"):
        attack(module, X, y + 1, eps=0.3)
    assert_same(before, state_of(module))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_frozen_net_can_be_attacked(attack, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    made = attack(module, X, y, eps=0.3)
    np.testing.assert_array_equal(attack(module.requires_grad_(False), X, y, eps=0.3), made)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("attack", ATTACKS)
def test_it_needs_no_gradients_around_it(attack, mode, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    expected = attack(module, torch.tensor(X), y, eps=0.3)
    with mode():
        found = attack(module, torch.tensor(X), y, eps=0.3)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_tensor_that_requires_a_gradient_is_a_row_as_any_other(attack, iris):
    module, X, y, *_ = problem("table", "float64", iris, None)
    rows = torch.tensor(X, requires_grad=True)
    made = attack(module, rows, y, eps=0.3)
    assert torch.equal(made, attack(module, torch.tensor(X), y, eps=0.3))
    assert not made.requires_grad
    assert rows.grad is None


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["array", "tensor", "frame", "dict"])
def test_rows_are_never_written_to(attack, kind, iris, assert_unchanged):
    X, y = iris
    module = draw(nn.Linear(4, 3)).double()
    rows = {
        "array": X,
        "tensor": torch.tensor(X),
        "frame": pd.DataFrame(X),
        "dict": {"input": torch.tensor(X)},
    }[kind]
    with assert_unchanged(rows, y):
        made = attack(module, rows, y, eps=0.5, clip=(-1, 1), batch_size=1000)
    assert made is not rows


@pytest.mark.cuda
@pytest.mark.parametrize("attack", ATTACKS)
def test_device_of_the_rows_and_of_the_net_may_differ(attack, pictures):
    module, X, y, eps, clip = problem("pictures", "float64", None, pictures)
    expected = attack(module, X, y, eps=eps, clip=clip)
    module.cuda()
    for rows in (torch.tensor(X), torch.tensor(X).cuda()):
        made = attack(module, rows, torch.tensor(y).to(rows.device), eps=eps, clip=clip)
        assert made.device == rows.device
        np.testing.assert_allclose(made.cpu(), expected, rtol=1e-9, atol=1e-9)
    made = attack(module, X, y, eps=torch.tensor(eps).cuda(), clip=clip)
    assert isinstance(made, np.ndarray)
    np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-9)
