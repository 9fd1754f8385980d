"""What a training is seeded by, and what it knows before its first epoch."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_mixup import MixupClassifier, MixupGAN
from sklearn_mixup._engine.lane import Lane, Shared, initialize
from sklearn_mixup._net.session import Seeds, draw_seeds


def test_seeds_are_those_that_a_random_state_draws_one_training_after_the_other():
    seeds, rng = Seeds(7), np.random.RandomState(7)
    assert [seeds.draw() for _ in range(4)] == [draw_seeds(rng) for _ in range(4)]


def test_seeds_of_one_net_leave_those_of_another_alone():
    one, other, rng = Seeds(7), Seeds(8), np.random.RandomState(7)
    drawn = []
    for _ in range(3):
        drawn.append(one.draw())
        other.draw()
    assert drawn == [draw_seeds(rng) for _ in range(3)]


def test_seeds_go_on_after_a_copy_and_a_pickle():
    seeds, rng = Seeds(7), np.random.RandomState(7)
    seeds.draw()
    draw_seeds(rng)
    copies = [copy.deepcopy(seeds), pickle.loads(pickle.dumps(seeds))]
    assert [each.draw() for each in copies] == [draw_seeds(rng)] * 2


# -- what it knows --------------------------------------------------------------------------------


class Notes(Callback):
    """Notes what a training holds when its first epoch begins, and when each ends."""

    # What takes the steps is found epoch by epoch; a GAN counts its iterations.
    changes = frozenset({"steps", "n_done"})

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def note(self, net):
        held = vars(net._training_).items()
        self.seen_.append({name: value for name, value in held if name not in self.changes})

    def on_epoch_begin(self, net, **kwargs):
        if not self.seen_:
            self.note(net)

    def on_epoch_end(self, net, **kwargs):
        self.note(net)


def make_net(kind=MixupClassifier, **params):
    if kind is MixupClassifier:
        params = {"module__hidden_sizes": (5,), "max_epochs": 3, **params}
    else:
        params = {"max_iter": 6, "iter_per_epoch": 2, "batch_size": 8, **params}
    return kind(callbacks=[("notes", Notes())], random_state=0, device="cpu", **params)


@pytest.mark.parametrize(
    ("fit", "params"),
    [
        (MixupClassifier.fit, {}),
        (MixupClassifier.fit, {"early_stopping": True}),
        (MixupClassifier.partial_fit, {}),
        (MixupGAN.fit, {"kind": MixupGAN}),
    ],
)
def test_a_session_is_complete_before_the_first_epoch(iris, fit, params):
    net = make_net(**params)
    fit(net, *iris)
    first, *others = dict(net.callbacks_)["notes"].seen_
    assert len(others) == 3
    for seen in others:
        assert all(seen[name] is value for name, value in first.items())
    assert first["last_good"] is not None
    assert math.isfinite(first["n_flops"])


def test_the_session_of_a_net_of_a_stack_is_complete_when_it_is_initialized(iris):
    lane = Lane(make_net(), *iris, {}, None, Shared())
    assert not initialize({0: lane})
    alone = make_net()
    alone.fit(*iris)
    expected = dict(alone.callbacks_)["notes"].seen_[0]
    for name in ("n_epochs", "n_planned", "n_minibatches", "n_flops", "seed", "device", "dtype"):
        assert getattr(lane.net._training_, name) == expected[name]
    lane.close(fitted=False)


class AsksForMinibatches(Callback):
    """Makes minibatches of some rows, and takes none."""

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        net.get_iterator(net.get_dataset(dataset_train.X[:20], dataset_train.y[:20]), training=True)


def test_minibatches_that_a_callback_makes_leave_the_training_as_it_is(iris):
    plain = make_net().fit(*iris)
    asked = MixupClassifier(**{**plain.get_params(deep=False), "callbacks": [AsksForMinibatches()]})
    asked.fit(*iris)
    assert plain.history[:, "event_lr"] == asked.history[:, "event_lr"]
    assert plain.history[:, "train_loss"] == asked.history[:, "train_loss"]
