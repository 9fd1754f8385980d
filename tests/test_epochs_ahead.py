"""Small epochs are drawn, gathered and mixed several at once: what is learned is the same."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.testing import assert_close

from sklearn_mixup import MixupClassifier
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.minibatches import Minibatches
from tests.test_interrupts import Interrupts


class Acts(Callback):
    """May change the net between two epochs, as far as anybody knows."""

    def on_epoch_end(self, net, **kwargs):
        """Leave it as it is."""


def make_net(*callbacks, **params):
    # On a GPU steps are repeated as graphs, and epochs are made one by one.
    small = {"module__hidden_sizes": (8,), "max_epochs": 6, "random_state": 0, "device": "cpu"}
    return MixupClassifier(callbacks=list(callbacks), **{**small, **params})


@pytest.fixture
def table(iris):
    """Rows that fill neither whole minibatches nor, with five columns, whole cache lines."""
    X, y = iris
    X = StandardScaler().fit_transform(np.c_[X, X[:, 0] ** 2])
    return X[::2].astype(np.float32), y[::2]


@pytest.fixture
def made(monkeypatch):
    """Note how many epochs are made in each go."""
    numbers, make = [], Minibatches.epochs

    def spy(self, n_epochs):
        numbers.append(n_epochs)
        return make(self, n_epochs)

    monkeypatch.setattr(Minibatches, "epochs", spy)
    return numbers


def assert_same(one, other):
    """Compare what two nets have learned, and lost on the way, to the bit."""
    assert_close(one.module_.state_dict(), other.module_.state_dict(), rtol=0, atol=0)
    # Of each step, its loss and the number of its rows.
    assert one.history[:, "batches"] == other.history[:, "batches"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 0},
        {"lam_per": "sample"},
        {"batch_size": 25},  # as many as fill whole minibatches
        {"batch_size": -1},
        {"dropout": 0.5},
        {"class_weight": "balanced"},
        {"class_weight": "balanced", "alpha": 0},
        {"criterion": nn.MultiMarginLoss},
        {"criterion": nn.MultiMarginLoss, "lam_per": "sample"},
        {"iterator_train__drop_last": True},
        {"iterator_train__shuffle": False},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_epochs_made_at_once_are_those_made_one_by_one(params, table, made):
    at_once = make_net(**params).fit(*table)
    assert made == [6]
    one_by_one = make_net(Acts(), **params).fit(*table)
    assert made == [6]
    assert_same(at_once, one_by_one)


@pytest.mark.parametrize(("erm_epochs", "expected"), [(1, [5]), (2, [2, 4]), (5, [5]), (9, [6])])
def test_epochs_that_mix_are_made_apart_from_those_that_do_not(erm_epochs, expected, table, made):
    net = make_net(erm_epochs=erm_epochs).fit(*table)
    assert made == expected
    assert_same(net, make_net(Acts(), erm_epochs=erm_epochs).fit(*table))


# A row counts 4 * (5 * 4 + 8 + 8 * 3) bytes, an epoch 75 rows.
@pytest.mark.parametrize(
    ("n_bytes", "expected"), [(208 * 160, [2, 2, 2]), (208 * 320, [4, 2]), (208 * 64, [])]
)
def test_as_many_epochs_are_made_at_once_as_the_memory_holds(n_bytes, expected, table, made):
    net = make_net(iterator_train__chunk_bytes=n_bytes).fit(*table)
    assert made == expected
    assert_same(net, make_net(Acts()).fit(*table))


@pytest.mark.usefixtures("ctrl_c_raises")
@pytest.mark.parametrize("n_th", [2, 7, 13])
def test_an_interrupted_fit_knows_what_it_has_trained(n_th, table, made):
    params = {"module": Interrupts, "module__n_th": n_th}
    nets = make_net(**params), make_net(Acts(), **params)
    for net in nets:
        with pytest.raises(KeyboardInterrupt):
            net.fit(*table)
    assert made == [6]
    assert_same(*nets)
    # What has been made and not been trained is of no consequence to a training that goes on.
    for net in nets:
        net.partial_fit(*table)
    assert made == [6, 6]
    assert_same(*nets)


def test_a_fit_that_is_to_be_resumed_draws_no_more_than_it_has_trained(table, made, tmp_path):
    class Ends(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 4:
                raise RuntimeError("a kill")

    with pytest.raises(RuntimeError, match="a kill"):
        make_net(Resume(tmp_path), Ends()).fit(*table)
    resumed = make_net(Resume(tmp_path)).fit(*table)
    assert made == []
    assert_same(resumed, make_net().fit(*table))


def test_a_training_makes_only_the_epochs_that_it_will_train(table, made):
    net = make_net(max_epochs=1).fit(*table)
    for _ in range(2):
        net.partial_fit(*table)
    assert made == []
    net.partial_fit(*table, epochs=3)
    assert made == [3]


def test_rows_that_are_augmented_are_made_one_epoch_at_a_time(table, made):
    make_net(iterator_train__augment=lambda X: X).fit(*table)
    assert made == []
