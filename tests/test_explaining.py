"""Tools that explain a model, on our nets: what they say must be true where the truth is known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.inspection import PartialDependenceDisplay, permutation_importance

from sklearn_mixup import MixupClassifier, MixupRegressor, modules


@pytest.fixture(scope="module")
def known():
    """Give 600 rows whose target rises with column 0 and falls, half as steeply, with column 1."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    return X, 2 * X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(600)


@pytest.fixture(scope="module", params=["labels", "numbers"])
def fitted(request, known):
    """Give a net with the default module, with the rows and targets that it was fitted to."""
    X, y = known
    if request.param == "labels":
        y = np.where(y > 0, "above", "below")
    kind = MixupClassifier if request.param == "labels" else MixupRegressor
    return kind(random_state=0).fit(X, y), X, y


def assert_adds_up(module, rows, background):
    """Compare SHAP values with what the module says of rows less what it says on average."""
    shap = pytest.importorskip("shap")
    # Of rows each at its own scale: the tool checks the sum too, with a tolerance of 0.01.
    # Its own check has a tolerance of 0.01, and a warning of NumPy.
    explainer = shap.DeepExplainer(module, background)
    values = explainer.shap_values(rows, check_additivity=False)
    with torch.no_grad():
        expected = module(rows) - module(background).mean(0)
    assert expected.abs().max() > 1e-2
    total = values.sum(tuple(range(1, rows.ndim)))
    np.testing.assert_allclose(total, expected.numpy(), atol=1e-3 * float(expected.abs().max()))
    return values


def test_shap_values_of_the_default_net_add_up_and_name_the_columns_that_count(fitted):
    net, X, _ = fitted
    before = net.predict(X)
    X = torch.tensor(X, dtype=torch.float32)
    values = assert_adds_up(net.module_, X[:50], X[100:200])
    assert np.abs(values).mean((0, 2)).argsort()[::-1][:2].tolist() == [0, 1]
    np.testing.assert_array_equal(net.predict(X), before)


def test_shap_values_add_up_where_layers_drop_units(wine):
    X, y = wine
    clf = MixupClassifier(dropout=0.2, max_epochs=5, random_state=0).fit(X, y)
    X = torch.tensor(X, dtype=torch.float32)
    assert_adds_up(clf.module_, X[::9], X[::5])


MODULES = {
    "DenseNetBC": lambda kind: kind(3, 16, 4, n_channels=1),
    "Discriminator": lambda kind: kind(32 * 32, (16, 16)),
    "LeNet": lambda kind: kind(3, 4),
    "MLP": lambda kind: kind(32 * 32, 3),
    "PreActResNet18": lambda kind: kind(3, 4, n_channels=1),
    "VGG11": lambda kind: kind(3, 4),
    "WideResNet": lambda kind: kind(3, 10, 1, n_channels=1),
}


# Of what a generator makes of noise nobody wants to know which number of the noise it is due to.
@pytest.mark.parametrize("name", [name for name in modules.__all__ if name != "Generator"])
def test_shap_values_of_our_modules_add_up(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = MODULES[name](getattr(modules, name))
        pictures = torch.randn(12, 1, 32, 32)
        module(pictures)  # Normalisation has something to normalise by.
    assert_adds_up(module.eval(), pictures[:2], pictures[2:])


def test_permutation_importance_finds_the_columns_that_count_and_their_order(fitted):
    importance = permutation_importance(*fitted, n_repeats=3, random_state=0).importances_mean
    assert importance.argsort()[::-1][:2].tolist() == [0, 1]
    assert importance[1] > 5 * np.abs(importance[2:]).max()


def test_partial_dependence_rises_and_falls_where_the_truth_does(fitted):
    net, X, _ = fitted
    display = PartialDependenceDisplay.from_estimator(net, X, [0, 1, 2], grid_resolution=15)
    plt.close(display.figure_)
    rising, falling, flat = (result["average"][0] for result in display.pd_results)
    # Labels in their order: what is shown is the probability of "below".
    sign = -1 if isinstance(net, MixupClassifier) else 1
    assert (sign * np.diff(rising) > 0).all()
    assert (sign * np.diff(falling) < 0).all()
    assert np.ptp(flat) < 0.2 * np.ptp(falling)
