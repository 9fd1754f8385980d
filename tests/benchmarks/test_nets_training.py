"""Networks on pictures: errors after each epoch, what a run tells, names."""

from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks._lab import pictures as lab_pictures
from benchmarks._lab.pictures import Training, list_tasks
from benchmarks._nets.pictures import count_errors, make_network, name_network
from benchmarks._nets.recipes import CIFAR_RECIPES
from benchmarks._nets.training import TestErrors, make_classifier, summarise
from sklearn_mixup import MixupClassifier


def test_the_second_best_counts_among_the_two_best_only():
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 3.0, 2.0]])
    y = torch.tensor([0, 1, 1, 0])
    assert [count_errors(logits, y, n_best=n) for n in (1, 2, 3, 5)] == [0.75, 0.5, 0.0, 0.0]


def test_a_row_that_is_not_finite_is_an_error():
    logits = torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0], [1.0, 0.0]])
    assert count_errors(logits, torch.tensor([0, 0, 0]), n_best=5) == pytest.approx(2 / 3)


def fit_digits(digits, callbacks):
    X, y = digits
    X = torch.from_numpy(X[:, None].copy())
    torch.manual_seed(0)  # for the weights of a module that is passed ready-made
    clf = MixupClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)),
        alpha=1.0,
        max_epochs=3,
        random_state=0,
        callbacks=callbacks(X, y),
        iterator_train__augment=torch.zeros_like,  # blind while it trains
    )
    return clf.fit(X[:400], y[:400]), X[400:], y[400:]


def test_errors_of_each_epoch_are_on_plain_rows_and_change_nothing(digits):
    blind, X_test, y_test = fit_digits(digits, lambda X, y: None)
    clf, _, _ = fit_digits(digits, lambda X, y: [TestErrors(X[400:], torch.tensor(y[400:]))])
    for ours, theirs in zip(clf.module_.parameters(), blind.module_.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    errors = clf.history[:, "test_error"]
    assert len(errors) == 3
    assert errors[-1] == pytest.approx((clf.predict(X_test) != y_test).mean())
    ranks = (-clf.decision_function(X_test)).argsort(1).argsort(1)[np.arange(len(y_test)), y_test]
    assert clf.history[-1, "test_top5_error"] == pytest.approx((ranks >= 5).mean())


def test_summary_has_the_median_of_the_last_ten_epochs():
    class History:
        def __getitem__(self, key):
            epochs, name = key
            values = np.arange(20.0) ** 2 if name.startswith("test_") else np.ones(20)
            return list(values) if isinstance(epochs, slice) else values[epochs]

    found = summarise(History())
    assert found["test_error"] == 19.0**2
    assert found["test_error_median"] == (14.0**2 + 15.0**2) / 2
    assert found["fit_time_s"] == 20.0


def test_processes_share_the_minibatch_of_the_recipe():
    hf = pytest.importorskip("skorch.hf")
    recipe = CIFAR_RECIPES["preact_resnet18"]
    make = partial(
        make_classifier,
        *(recipe, "preact_resnet18"),
        n_train=1000,
        n_classes=10,
        alpha=1.0,
        seed=3,
    )
    clf = make(accelerator=SimpleNamespace(num_processes=4))
    assert isinstance(clf, hf.AccelerateMixin)
    assert isinstance(clf, MixupClassifier)
    assert (clf.batch_size, make().batch_size) == (32, 128)
    assert (clf.random_state, clf.lr, clf.max_epochs) == (3, 0.1, 200)


def test_runs_of_the_earlier_preact_resnet_are_run_again(monkeypatch):
    def fingerprints(family):
        pictures = SimpleNamespace(name="cifar10", title="CIFAR-10")
        training = Training(pictures, family, CIFAR_RECIPES[family])
        return {task.fingerprint for task in list_tasks([training], n_seeds=2, **where)}

    where = {"device": "cpu", "versions": {}}
    now = {family: fingerprints(family) for family in CIFAR_RECIPES}
    monkeypatch.setattr(lab_pictures, "DESIGNS", {})
    then = {family: fingerprints(family) for family in CIFAR_RECIPES}
    assert now.pop("preact_resnet18").isdisjoint(then.pop("preact_resnet18"))
    assert now == then


def test_names_tell_the_size():
    assert name_network("preact_resnet18", {"width": 64}) == "PreAct ResNet-18"
    assert name_network("densenet_bc", {"depth": 22, "growth_rate": 8}) == "DenseNet-BC-22 (k = 8)"


@pytest.mark.skipif(find_spec("timm") is None, reason="needs timm")
def test_network_of_timm_has_as_many_outputs_as_classes():
    with torch.device("meta"):
        logits = make_network("resnet50", 7)(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 7)
