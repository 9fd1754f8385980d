"""How nets are spread over the cores of a machine."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup._fused import jobs
from sklearn_mixup._fused.spread import Kind, count_chunks, estimate, measure, spread
from sklearn_mixup._net.device import fixed_threads, threads_for

# 2 x 128 units, ten features, ten classes, minibatches of 16.
WEIGHTS = 10 * 128 + 128 * 128 + 128 * 10
SMALL = Kind(100, n_flops=6 * 16 * WEIGHTS, bytes_of_state=16 * WEIGHTS)
LARGE = Kind(100, n_flops=1e10, bytes_of_state=2**27)


@pytest.mark.parametrize(
    ("n_stacks", "n_threads", "seconds"),
    [(4, 1, 2.7), (8, 1, 5.6), (16, 1, 10.4), (1, 16, 2.1)],
)
def test_the_estimate_is_near_what_was_measured(n_stacks, n_threads, seconds):
    ratio = estimate(n_stacks, n_threads, SMALL) / estimate(1, 1, SMALL)
    assert 5.0 * ratio == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "n_workers", "expected"),
    [
        (SMALL, 1, (1, 1)),
        (SMALL, 2, (2, 1)),
        (SMALL, 4, (2, 2)),
        (SMALL, 16, (2, 8)),
        (LARGE, 2, (2, 1)),
        (LARGE, 16, (16, 1)),
        (Kind(1, n_flops=1e10, bytes_of_state=2**27), 16, (1, 16)),
        (Kind(4, n_flops=1e5), 16, (1, 1)),
        (Kind(100, on_host=False), 16, (1, 1)),
        (replace(SMALL, is_compiled=True), 16, (16, 1)),
        (replace(SMALL, is_compiled=True, n_nets=3), 16, (3, 1)),
    ],
)
def test_stacks_and_threads_go_by_the_size_and_the_number_of_the_nets(kind, n_workers, expected):
    assert spread(n_workers, kind) == expected


@pytest.mark.parametrize("n_nets", [1, 3, 20, 100, 1000])
@pytest.mark.parametrize("n_flops", [1e4, 1e6, 1e8, 1e10])
def test_more_workers_are_never_expected_to_be_slower(n_nets, n_flops):
    kind = Kind(n_nets, n_flops=n_flops, bytes_of_state=int(n_flops / 6))
    counts = 1, 2, 4, 8, 16, 32
    chosen = [spread(n, kind) for n in counts]
    costs = [estimate(*choice, kind) for choice in chosen]
    assert all(later <= sooner for sooner, later in itertools.pairwise(costs))
    assert all(math.prod(choice) <= n for n, choice in zip(counts, chosen, strict=True))


@pytest.mark.parametrize(
    ("n_nets", "size", "n_stacks", "n_chunks"),
    [(100, 149, 1, 1), (100, 149, 2, 2), (100, 30, 2, 4), (100, 25, 4, 4), (3, 1, 8, 3)],
)
def test_each_stack_has_as_many_chunks(n_nets, size, n_stacks, n_chunks):
    assert count_chunks(n_nets, size, n_stacks) == n_chunks


def test_what_a_net_takes_is_measured_on_one(iris):
    X, y = iris
    job = (MixupClassifier(batch_size=16, device="cpu"), X, y, {}, None, None)
    kind = measure([job] * 5)
    n_products = 4 * 128 + 128 * 128 + 128 * 3
    assert kind.n_nets == 5
    assert kind.n_flops == 6 * 16 * (n_products + 128 + 128 + 3)
    assert kind.bytes_of_state == 16 * (n_products + 128 + 128 + 3)


def test_threads_that_were_chosen_are_left_alone():
    before = torch.get_num_threads()
    try:
        with fixed_threads(3), threads_for(0, "cpu"):
            assert torch.get_num_threads() == 3
        with threads_for(0, "cpu"):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_workers_change_no_bit_of_a_net(iris, monkeypatch):
    X, y = iris
    before, weights = torch.get_num_threads(), []
    for found in ((1, 1), (2, 2), (3, 1)):
        monkeypatch.setattr(jobs, "spread", lambda n, kind, size, found=found: found)
        nets = [MixupClassifier(max_epochs=2, random_state=i, device="cpu") for i in range(5)]
        fit_fused(nets, [X] * 5, [y] * 5, n_jobs=4)
        weights.append(np.stack([net.module_.output.weight.detach() for net in nets]))
        assert torch.get_num_threads() == before
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(weights[2], weights[0], rtol=1e-3, atol=1e-5)
