"""What a training is seeded by."""

from __future__ import annotations

import copy
import pickle

import numpy as np

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
