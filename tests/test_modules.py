import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sklearn_mixup.modules import MLP, Discriminator, Generator

pytestmark = pytest.mark.usefixtures("float64")


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


@pytest.mark.parametrize("row_shape", [(3,), (1, 4, 4), (2, 5)])
@pytest.mark.parametrize("hidden_sizes", [(), (7,), (6, 5)])
def test_generator_is_an_mlp_whose_output_has_the_shape_of_a_row(row_shape, hidden_sizes):
    generator = Generator(4, row_shape, hidden_sizes, n_cuts=0)
    z = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    rows = generator(z)
    assert rows.shape == (9, *row_shape)
    assert_close(rows.flatten(1), reference(generator)(z))


@pytest.mark.parametrize("shape", [(9, 12), (9, 3, 4), (1, 2, 2, 3)])
@pytest.mark.parametrize("hidden_sizes", [(), (7,), (6, 5)])
def test_discriminator_is_an_mlp_with_one_output(shape, hidden_sizes):
    discriminator = Discriminator(12, hidden_sizes)
    X = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    logits = discriminator(X)
    assert logits.shape == (shape[0], 1)
    assert_close(logits, reference(discriminator)(X))


WITH_SIZES = {
    "MLP": lambda sizes: MLP(6, 4, sizes),
    "Generator": lambda sizes: Generator(6, (4,), sizes),
    "Discriminator": lambda sizes: Discriminator(6, sizes),
}


@pytest.mark.parametrize("make", WITH_SIZES.values(), ids=WITH_SIZES.keys())
@pytest.mark.parametrize("sizes", [5, np.int64(5), [5], np.array([5])])
def test_one_size_is_one_hidden_layer(make, sizes):
    assert [layer.out_features for layer in make(sizes).hidden] == [5]


@pytest.mark.parametrize("make", WITH_SIZES.values(), ids=WITH_SIZES.keys())
@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        *[(0, "0"), (-1, "-1"), (2.5, "2.5"), (None, "None"), ("8", "'8'")],
        *[((8, 0), "0"), ((8, True), "True"), ((8.0,), "8.0"), ([[8]], r"\[8\]")],
    ],
)
def test_sizes_that_are_no_whole_numbers_are_named(make, sizes, named):
    with pytest.raises(ValueError, match=f"`hidden_sizes.* whole number >= 1.*; got {named}"):
        make(sizes)


@pytest.mark.parametrize("dropout", [-0.1, 1, float("nan")])
def test_a_dropout_that_is_no_share_is_named(dropout):
    with pytest.raises(ValueError, match=rf"`dropout` must be in \[0, 1\); got {dropout}"):
        MLP(6, 4, dropout=dropout)


def test_networks_of_the_gan_have_three_hidden_layers_of_128_by_default():
    for module in (Generator(2, (5,)), Discriminator(5)):
        assert [layer.out_features for layer in module.hidden] == [128] * 3
        assert module.dropout.p == 0


@pytest.mark.parametrize("gain", [math.sqrt(2), math.sqrt(1 / 3), 3.0])
def test_weights_of_the_generator_have_the_spread_of_their_gain(gain):
    torch.manual_seed(0)
    widths = (300, 200, 400)
    generator = Generator(50, (5,), widths, gain=gain, n_cuts=0)
    for layer, n_inputs in zip(generator.hidden, (50, *widths), strict=False):
        assert layer.weight.std().item() == pytest.approx(gain / math.sqrt(n_inputs), rel=0.02)
    assert generator.output.weight.abs().max() < 1 / math.sqrt(400)  # torch's own


def test_samples_differ_from_the_start_as_latent_vectors_do():
    def spread(**params):
        torch.manual_seed(0)
        z = torch.randn(500, 8)
        hidden = Generator(8, (5,), n_cuts=0, **params).hidden
        for layer in hidden:
            z = torch.relu(layer(z))
        return z.std(dim=0).square().mean().sqrt().item()

    assert 0.4 < spread() < 1.2  # He: the mean square is kept from layer to layer
    assert spread(gain=math.sqrt(1 / 3)) < 0.06


def test_the_latent_vector_and_the_cuts_have_half_of_the_first_layer_each():
    torch.manual_seed(0)
    first = Generator(40, (5,), (2000,), n_classes=10, n_cuts=200).hidden[0].weight
    for weights in first.split([50, 200], dim=1):  # He's gain: the variances of both add up to 2
        assert weights.square().sum(dim=1).mean().item() == pytest.approx(1, rel=0.02)


def test_rows_jump_across_the_cuts_and_nowhere_else():
    torch.manual_seed(0)
    generator = Generator(3, (2,), n_cuts=5)
    normals, offsets = generator.normals / 100, generator.offsets / 100
    assert_close(normals.norm(dim=0), torch.ones(5))
    on_cut = -offsets * normals  # the point of each that is nearest to the origin

    def moves(by):
        steps = [on_cut.T + sign * by / 2 * normals.T for sign in (-1, 1)]
        return (generator(steps[1]) - generator(steps[0])).norm(dim=1)

    def smooth_moves(by):
        z = on_cut.T + 0.1 * normals.T
        return (generator(z + by * normals.T) - generator(z)).norm(dim=1)

    assert (moves(0.02) > 10 * smooth_moves(0.02)).all()


def test_cuts_stay_where_they_are_and_are_saved():
    generator = Generator(3, (2,), (4,), n_cuts=5)
    assert {name for name, _ in generator.named_parameters()}.isdisjoint({"normals", "offsets"})
    other, z = Generator(3, (2,), (4,), n_cuts=5), torch.ones(2, 3)
    other.load_state_dict(generator.state_dict())
    assert_close(other(z), generator(z))


@pytest.mark.parametrize("n_cuts", [-1, 2.0, True, None])
def test_cuts_that_are_no_number_of_them_are_named(n_cuts):
    with pytest.raises(ValueError, match=f"`n_cuts` must be a whole number >= 0; got {n_cuts}"):
        Generator(2, (5,), n_cuts=n_cuts)


@pytest.mark.parametrize("gain", [0, -1.0, math.inf, math.nan])
def test_a_gain_that_is_no_scale_is_named(gain):
    with pytest.raises(ValueError, match=f"`gain` must be a finite number > 0; got {gain}"):
        Generator(2, (5,), gain=gain)


def test_outputs_of_the_networks_of_the_gan_are_unbounded():
    rng = torch.Generator().manual_seed(0)
    for module, n_features in ((Generator(2, (5,), (16,)), 2), (Discriminator(5, (16,)), 5)):
        X = 1e4 * torch.randn(50, n_features, generator=rng)
        assert module(X).min() < -100
        assert module(X).max() > 100


def test_discriminator_drops_units_while_training_only():
    discriminator = Discriminator(5, (64,), dropout=0.5)
    X = torch.ones(3, 5)
    evaluated = discriminator.eval()
    assert torch.equal(evaluated(X), evaluated(X))
    with torch.random.fork_rng():
        assert not torch.equal(discriminator.train()(X), discriminator(X))
