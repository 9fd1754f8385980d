"""What a run takes, computed from shapes: counted by hand, and held against a real pass."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks._lab.cost import compute_cost
from benchmarks._nets.pictures import make_network

SIZES = {
    "preact_resnet18": {"width": 4},
    "wide_resnet": {"depth": 10, "widen_factor": 1},
    "densenet_bc": {"depth": 10, "growth_rate": 4},
}


def test_cost_of_one_layer_by_hand():
    def make():
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 10), nn.BatchNorm1d(10))

    cost = compute_cost(make, batch_size=8, shape=(3, 4, 4), n_resident=20)
    assert cost.n_parameters == 48 * 10 + 10 + 2 * 10
    # Parameters, gradients, momenta; running mean and variance, and the count of minibatches.
    assert cost.state_bytes == 3 * 4 * cost.n_parameters + 2 * 10 * 4 + 8
    assert cost.data_bytes == 20 * (48 * 4 + 8)
    # Of each row: picture, output of the layer, log-softmax, label. Of all: the statistics of the
    # minibatch, and the sum of weights.
    rows = 8 * (48 * 4 + 10 * 4 + 10 * 4 + 8)
    assert cost.activation_bytes == rows + 2 * 10 * 4 + 4


def test_a_tensor_and_a_view_of_it_count_once():
    def make():
        return nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))

    cost = compute_cost(make, batch_size=8, shape=(3, 4, 4))
    # Picture, rectified maps, log-softmax and label of each row; the sum of weights.
    assert cost.activation_bytes == 8 * (48 * 4 + 32 * 4 + 10 * 4 + 8) + 4


@pytest.mark.parametrize("family", SIZES)
def test_activations_are_what_a_real_forward_pass_keeps(family):
    make = partial(make_network, family, **SIZES[family])
    module, kept = make(), {}
    own = {p.data_ptr() for p in (*module.parameters(), *module.buffers())}

    def keep(tensor):
        if tensor.data_ptr() not in own and tensor.numel():
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        nn.functional.cross_entropy(module(torch.zeros(4, 3, 16, 16)), torch.zeros(4).long())
    expected = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    cost = compute_cost(make, batch_size=4, shape=(3, 16, 16))
    assert cost.activation_bytes == pytest.approx(expected, rel=0.01)
