"""Networks at full width with the recipe of their experiment: the loss falls, and stays bounded."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from benchmarks._nets.recipes import CIFAR_SIZES
from benchmarks._nets.speech import SPEECH_SIZES
from benchmarks._nets.tables import TABLE_4
from benchmarks.steps.runs import for_pictures, for_speech
from sklearn_mixup import MixupClassifier

BATCH_SIZE, N_EPOCHS = 32, 4


def for_tables(recipe, *, alpha, seed):
    return MixupClassifier(alpha=alpha, random_state=seed, **recipe)


def on_digits(make, family, **shallower):
    """Make classifiers for ten classes; what is deep may be less so, never narrower."""
    sizes = {**CIFAR_SIZES, **SPEECH_SIZES}[family]
    return partial(make, family, {**sizes, **shallower})


for_digits = partial(for_speech, module__n_classes=10)
# What makes the classifier, rows, channels, and how often a pixel is repeated down and across.
NETWORKS = {
    "preact_resnet18": (on_digits(for_pictures, "preact_resnet18"), 128, 3, 1),
    "wide_resnet": (on_digits(for_pictures, "wide_resnet", depth=10), 64, 3, 1),
    "densenet_bc": (on_digits(for_pictures, "densenet_bc", depth=40), 64, 3, 1),
    "lenet": (on_digits(for_digits, "lenet"), 64, 1, 2),
    "vgg11": (on_digits(for_digits, "vgg11"), 64, 1, 4),
    "mlp, table 4": (partial(for_tables, TABLE_4.params()), 128, 1, 1),
    "mlp, defaults": (partial(for_tables, {}), 128, 1, 1),
}


def make_rows(n_rows, n_channels, n_repeats):
    """Make digits of 8 x 8 pixels under noise: clean ones are learned before a loss can grow."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:n_rows].reshape(-1, 1, 8, 8), y[:n_rows]
    X = (X - X.mean()) / X.std() + np.random.default_rng(0).standard_normal(X.shape)
    X = np.kron(X / 2**0.5, np.ones((n_channels, n_repeats, n_repeats)))
    return torch.tensor(X, dtype=torch.float32), y


def first_losses(name, alpha, seed):
    """Train for 8 or 16 minibatches; give the mean loss of each quarter of them."""
    make, *size = NETWORKS[name]
    net = make(alpha=alpha, seed=seed).set_params(max_epochs=N_EPOCHS, batch_size=BATCH_SIZE)
    return net.fit(*make_rows(*size)).history[:, "train_loss"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_falls_over_the_first_steps_at_full_width(name, alpha, seed):
    losses = first_losses(name, alpha, seed)  # A loss that is not finite is an error of fit.
    untrained = np.log(10)
    assert max(losses) < 2 * untrained
    assert np.mean(losses[1:]) < untrained
