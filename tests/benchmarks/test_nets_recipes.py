"""The recipes for networks on pictures: the learning rate in force at every epoch."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks._nets import recipes
from sklearn_mixup import MixupClassifier


class SeenSGD(torch.optim.SGD):
    """SGD that notes the learning rate of each of its steps."""

    seen: list[float]

    def step(self, closure=None):
        self.seen.append(self.param_groups[0]["lr"])
        return super().step(closure)


def fit(recipe, *, n_minibatches, epochs=None):
    """Train a tiny net as the recipe says; give each step's learning rate, and the history."""
    n_train = n_minibatches * recipe.batch_size - 1  # the last minibatch is short
    rows = np.arange(n_train) % 2
    SeenSGD.seen = []
    params = {**recipe.params(), "optimizer": SeenSGD, "max_epochs": epochs or recipe.max_epochs}
    # Weights that any learning rate leaves finite.
    params["module"] = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    clf = MixupClassifier(
        alpha=recipe.alpha, callbacks=[recipe.scheduler(n_train)], random_state=0, **params
    )
    clf.fit(rows[:, None].astype(np.float32), rows)
    seen = np.array(SeenSGD.seen).reshape(-1, n_minibatches)
    assert len(seen) == params["max_epochs"]
    return seen, clf.history


def by_spans(*spans):
    """Write out a schedule: (epochs, learning rate), one after the other."""
    return np.concatenate([np.full(n_epochs, lr) for n_epochs, lr in spans])


# PAPER.md, row 2: "200 epochs, lr 0.1, x0.1 after 100 and 150 (WideResNet: 60, 120, 180)".
CIFAR_LR = {
    "preact_resnet18": by_spans((100, 0.1), (50, 0.01), (50, 0.001)),
    "wide_resnet": by_spans((60, 0.1), (60, 0.01), (60, 0.001), (20, 0.0001)),
    "densenet_bc": by_spans((100, 0.1), (50, 0.01), (50, 0.001)),
}
# Row 1: "lr 0.1 -> 0.4 linearly over the first 5 epochs; 90 epochs: x0.1 after 30, 60, 80;
# 200 epochs: x0.1 after 60, 120, 180". At the start of the five epochs of the warm-up:
WARM = [0.1, 0.16, 0.22, 0.28, 0.34]
IMAGENET_LR = {
    90: np.concatenate([WARM, by_spans((25, 0.4), (30, 0.04), (20, 0.004), (10, 0.0004))]),
    200: np.concatenate([WARM, by_spans((55, 0.4), (60, 0.04), (60, 0.004), (20, 0.0004))]),
}


@pytest.mark.parametrize("network", CIFAR_LR)
def test_lr_of_every_epoch_on_cifar(network):
    recipe = replace(recipes.CIFAR_RECIPES[network], batch_size=4)
    seen, history = fit(recipe, n_minibatches=2)
    np.testing.assert_allclose(seen, np.column_stack([CIFAR_LR[network]] * 2))
    # What the history calls event_lr is the epoch's own, not the next one's.
    np.testing.assert_allclose(history[:, "event_lr"], CIFAR_LR[network])


@pytest.mark.parametrize("max_epochs", IMAGENET_LR)
def test_lr_of_every_epoch_on_imagenet(max_epochs):
    recipe = replace(recipes.IMAGENET_RECIPES["resnet50", max_epochs], batch_size=4)
    seen, history = fit(recipe, n_minibatches=2)
    np.testing.assert_allclose(seen[:, 0], IMAGENET_LR[max_epochs])
    # Within the warm-up it rises from minibatch to minibatch, afterwards it stays for the epoch.
    np.testing.assert_allclose(seen[:5, 1], [0.13, 0.19, 0.25, 0.31, 0.37])
    np.testing.assert_allclose(seen[5:, 1], IMAGENET_LR[max_epochs][5:])
    np.testing.assert_allclose(history[:, "batches", :, "event_lr"], seen)


def test_warm_up_ends_at_its_top_whatever_the_number_of_minibatches():
    recipe = replace(recipes.IMAGENET_RECIPES["resnet50", 90], batch_size=4)
    for n_minibatches in (1, 3, 7):
        seen, _ = fit(recipe, n_minibatches=n_minibatches, epochs=7)
        line = 0.1 + 0.3 * np.arange(5 * n_minibatches) / (5 * n_minibatches)
        np.testing.assert_allclose(seen[:5].ravel(), line)
        np.testing.assert_allclose(seen[5:], 0.4)


def test_drops_come_at_the_first_minibatch_after_the_epochs_on_all_of_imagenet():
    recipe = recipes.IMAGENET_RECIPES["resnet101", 90]
    factor = recipe.scheduler(1_281_167).kwargs["lr_lambda"]
    n = 1252  # 1,281,167 / 1,024 = 1,251.1
    assert recipe.n_minibatches(1_281_167) == n
    found = [recipe.lr * factor(step) for step in (30 * n - 1, 30 * n, 80 * n - 1, 80 * n)]
    np.testing.assert_allclose(found, [0.4, 0.04, 0.004, 0.0004])
    assert factor(0) * recipe.lr == pytest.approx(0.1)


def test_settings_are_those_of_the_paper():
    for recipe in recipes.CIFAR_RECIPES.values():
        assert (recipe.batch_size, recipe.alpha, recipe.max_epochs) == (128, 1.0, 200)
    alphas = {"resnet50": 0.2, "resnet101": 0.2, "resnext101_32x4d": 0.4, "resnext101_64x4d": 0.4}
    assert set(recipes.IMAGENET_RECIPES) == {(n, e) for n in alphas for e in (90, 200)}
    for (network, max_epochs), recipe in recipes.IMAGENET_RECIPES.items():
        assert (recipe.batch_size, recipe.alpha) == (1024, alphas[network])
        assert recipe.max_epochs == max_epochs
    for recipe in (*recipes.CIFAR_RECIPES.values(), *recipes.IMAGENET_RECIPES.values()):
        assert recipe.params()["optimizer"] is torch.optim.SGD
        assert recipe.params()["optimizer__momentum"] == 0.9
        assert recipe.params()["optimizer__weight_decay"] == 1e-4


def test_a_shorter_training_keeps_its_proportions():
    recipe = recipes.CIFAR_RECIPES["wide_resnet"]
    assert recipe.shortened(20).drops == (6, 12, 18)
    assert recipe.shortened(200) == recipe
    assert recipes.IMAGENET_RECIPES["resnet50", 90].shortened(18).warmup_epochs == 1
    # However short, the first epoch has the whole learning rate.
    assert recipe.shortened(1).drops == (1, 1, 1)
    seen, _ = fit(replace(recipe.shortened(1), batch_size=4), n_minibatches=1)
    np.testing.assert_allclose(seen[0], 0.1)


def test_learning_rates_follow_the_minibatch():
    recipe = recipes.IMAGENET_RECIPES["resnet50", 90].with_batch_size(256)
    assert (recipe.lr, recipe.warmup_lr) == pytest.approx((0.1, 0.025))


def test_recipes_can_be_written_down_and_sent_to_a_process():
    for recipe in (*recipes.CIFAR_RECIPES.values(), *recipes.IMAGENET_RECIPES.values()):
        assert json.loads(json.dumps(recipe.describe()))["lr"] == recipe.lr
        assert pickle.loads(pickle.dumps(recipe.scheduler(10_000))).step_every in ("epoch", "batch")
