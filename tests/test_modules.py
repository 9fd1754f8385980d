from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sklearn_mixup.modules import MLP


def reference(mlp):
    """The same network out of torch's own layers."""
    layers = [nn.Flatten()]
    for layer in mlp.hidden:
        layers += [layer, nn.ReLU(), mlp.dropout]
    return nn.Sequential(*layers, mlp.output)


@pytest.mark.parametrize("hidden_sizes", [(), (5,), (128, 128), (3, 4, 5)])
@pytest.mark.parametrize("shape", [(7, 6), (1, 6), (7, 2, 3)])
def test_mlp_is_the_sequence_of_its_layers(hidden_sizes, shape):
    mlp = MLP(6, 4, hidden_sizes)
    X = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert_close(mlp(X), reference(mlp)(X))
    widths = [6, *hidden_sizes, 4]
    n_parameters = sum((n + 1) * m for n, m in pairwise(widths))
    assert sum(p.numel() for p in mlp.parameters()) == n_parameters


def test_mlp_drops_hidden_units_while_training_only():
    mlp = MLP(6, 4, (1000,), dropout=0.25)
    hidden = []
    mlp.output.register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        X = torch.randn(50, 6)
        mlp.train()(X)
        mlp.eval()(X)
    trained, evaluated = hidden
    alive = evaluated > 0
    dropped = (trained[alive] == 0).double().mean().item()
    # 50 x 1000 units, about half of them alive: five standard errors.
    assert abs(dropped - 0.25) < 5 * (0.25 * 0.75 / alive.sum().item()) ** 0.5
    kept = alive & (trained > 0)
    assert_close(trained[kept], evaluated[kept] / 0.75)
