"""The networks for spectrograms: by formula, by hand, and as torchvision has them."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.testing import assert_close

from benchmarks._nets.vision import import_torchvision
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import VGG11, LeNet
from tests.recording import layers_of, make_random, trace

SMALL = {
    "lenet": partial(LeNet, n_classes=5, width=2),
    "vgg": partial(VGG11, n_classes=5, width=2),
}
small = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


# -- as described ---------------------------------------------------------------------------------


def count_lenet(n_channels, width, n_classes):
    """Count by the docstring's formula."""
    h = 50 * width
    convolutions = 25 * n_channels * width + width + 25 * width**2 + width
    return convolutions + (814 * width + 2) * h + (h + 1) * n_classes


def count_vgg(n_channels, width, n_classes):
    w = width
    return (
        9 * n_channels * w + 2250 * w**2 + 86 * w + (120 * w + 2) * 8 * w + (8 * w + 1) * n_classes
    )


COUNTS = [(LeNet, 20, 16.3, count_lenet), (VGG11, 64, 13.2, count_vgg)]


@pytest.mark.parametrize(("make", "width", "millions", "by_formula"), COUNTS)
def test_parameters_are_as_many_as_the_formula_says(make, width, millions, by_formula):
    with torch.device("meta"):
        modules = [make(), make(7, 3, n_channels=2), make(1, 1)]
        counts = [sum(p.numel() for p in module.parameters()) for module in modules]
    assert counts == [by_formula(1, width, 30), by_formula(2, 3, 7), by_formula(1, 1, 1)]
    assert round(counts[0] / 1e6, 1) == millions


@pytest.mark.parametrize(("make", "depth"), [(LeNet, 4), (partial(VGG11, width=8), 8 + 2)])
def test_layers_with_weights_are_called_once_and_the_map_fits(make, depth):
    with torch.device("meta"):
        module = make()
        X = torch.empty(2, 1, 160, 101)
        called = trace(module, X, layers_of(module, nn.Conv2d, nn.Linear))
        pooled = trace(module, X, [module.pool])
    assert len(called) == depth
    assert pooled == []  # maps of 160 x 101 go on as they are
    assert called[-1][-1].shape == (2, 30)


@pytest.mark.parametrize("make", [partial(LeNet, width=64), partial(VGG11, width=16)])
def test_convolutions_start_from_he_normal_by_fan_out(make):
    shrunk = []
    for conv in layers_of(make(), nn.Conv2d):
        fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
        shrunk.append(conv.weight.detach().flatten().double() * (fan_out / 2) ** 0.5)
    numbers = torch.cat(shrunk)
    # Of standard normal numbers, the second and fourth moment; five standard errors.
    assert abs(numbers.square().mean() - 1) < 5 * (2 / len(numbers)) ** 0.5
    assert abs(numbers.pow(4).mean() - 3) < 5 * (96 / len(numbers)) ** 0.5


# -- the mathematics ------------------------------------------------------------------------------


def maxima(X):
    """Take the maxima of 2 x 2 numbers; an odd row or column at the end is left out."""
    h, w = X.shape[2] // 2 * 2, X.shape[3] // 2 * 2
    return torch.stack([X[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]).amax(0)


def head_by_hand(state, maps):
    """Compute the hidden layer and the logits."""
    H = maps.flatten(1) @ state["hidden.weight"].T
    mean, var, weight, bias = (
        state[f"hidden_norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    H = ((H - mean) / (var + 1e-5).sqrt() * weight + bias).clamp_min(0)
    return H @ state["output.weight"].T + state["output.bias"]


def lenet_maps(state, X):
    for name in ("conv1", "conv2"):
        X = conv2d(X, state[f"{name}.weight"]) + state[f"{name}.bias"][:, None, None]
        X = maxima(X.clamp_min(0))
    return X


@pytest.mark.parametrize("n_channels", [1, 3])
def test_lenet_is_what_its_description_says(n_channels):
    module = make_random(SMALL["lenet"], n_channels=n_channels)
    X = torch.randn(2, n_channels, 160, 101, dtype=torch.float64)
    maps = lenet_maps(module.state_dict(), X)
    assert maps.shape[1:] == (2, 37, 22)
    assert_close(module(X), head_by_hand(module.state_dict(), maps))


def test_maps_of_twice_the_size_are_averaged_in_two_by_two():
    module = make_random(SMALL["lenet"])
    X = torch.randn(2, 1, 308, 188, dtype=torch.float64)
    maps = lenet_maps(module.state_dict(), X)
    assert maps.shape[2:] == (74, 44)
    maps = maps.unflatten(3, (22, 2)).unflatten(2, (37, 2)).mean((3, 5))
    assert_close(module(X), head_by_hand(module.state_dict(), maps))


@pytest.mark.parametrize(("make", "size"), [("lenet", 16), ("vgg", 32)])
def test_smallest_map_is_repeated(make, size):
    module = make_random(SMALL[make])
    X = torch.randn(3, 1, size, size, dtype=torch.float64)
    ((_, maps, pooled),) = trace(module, X, [module.pool])
    assert maps.shape[2:] == (1, 1)
    assert torch.equal(pooled, maps.expand_as(pooled))
    with pytest.raises(RuntimeError):
        module(X[:, :, :-1])


@pytest.mark.parametrize("n_channels", [1, 2])
def test_vgg_is_torchvisions_of_configuration_a(n_channels):
    try:
        torchvision = import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision")
    vgg = torchvision.models.vgg
    module = make_random(SMALL["vgg"], n_channels=n_channels)
    narrow = [size if size == "M" else size * 2 // 64 for size in vgg.cfgs["A"]]
    other = vgg.make_layers(narrow, batch_norm=True).double().eval()
    other[0] = nn.Conv2d(n_channels, 2, 3, padding=1)
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)
    ours, theirs = layers_of(module.features, *kinds), layers_of(other, *kinds)
    assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]
    for layer, twin in zip(ours, theirs, strict=True):
        state = layer.state_dict()
        if isinstance(layer, nn.Conv2d):  # theirs has a bias, which the normalisation takes off
            state["bias"] = torch.zeros_like(twin.bias)
        twin.double().load_state_dict(state)
    X = torch.randn(2, n_channels, 160, 101, dtype=torch.float64)
    assert_close(module(X), head_by_hand(module.state_dict(), other(X)))


# -- dropout --------------------------------------------------------------------------------------


def test_dropout_drops_whole_maps_and_hidden_units_while_training():
    module = LeNet(n_classes=5, width=8, dropout=0.25)
    X = torch.randn(50, 1, 40, 40)
    found = trace(module, X, layers_of(module, nn.Dropout2d, nn.Dropout))
    assert [layer for layer, *_ in found] == [module.map_dropout, module.dropout]
    (_, _, maps), (_, units, kept) = found
    is_dropped = (maps == 0).flatten(2)
    assert torch.equal(is_dropped.all(2), is_dropped.any(2))
    alive = units > 0
    for dropped in (is_dropped[:, :, 0].double(), (kept[alive] == 0).double()):
        assert abs(dropped.mean() - 0.25) < 5 * (0.25 * 0.75 / dropped.numel()) ** 0.5
    assert not torch.equal(module(X), module(X))
    assert torch.equal(module.eval()(X), module(X))


@small
def test_dropout_is_set_by_the_classifier_and_not_called_at_zero(make):
    y = torch.arange(8) % 5
    X = torch.randn(8, 1, 32, 32)
    clf = MixupClassifier(make, dropout=0.5, max_epochs=1, device="cpu", random_state=0).fit(X, y)
    layers = layers_of(clf.module_, nn.Dropout, nn.Dropout2d)
    assert [layer.p for layer in layers] == [0.5] * len(layers)
    assert len(trace(clf.module_.train(), X, layers)) == len(layers) >= 1
    assert trace(make(), X, layers) == []


# -- as modules -----------------------------------------------------------------------------------


@small
def test_network_compiles_whole(make):
    module = make(dropout=0.5).double()
    twin = copy.deepcopy(module)
    X = torch.randn(2, 1, 64, 48, dtype=torch.float64)
    outputs = []
    for network in (module, torch.compile(twin, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(0)
        outputs.append(network(X))
        outputs[-1].sum().backward()
    assert_close(*outputs)
    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert_close(ours.grad, theirs.grad)


@small
def test_network_can_be_stored_and_copied(make):
    module, other = make_random(make), make().double().eval()
    X = torch.randn(2, 1, 32, 40, dtype=torch.float64)
    other.load_state_dict(module.state_dict())
    for twin in (other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(X), module(X))


@small
@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_the_earlier_network_do_not_load(make, strict):
    module = make()
    state = module.state_dict()
    earlier = {key: state[key] for key in state if "hidden_norm" not in key}
    with pytest.raises(ValueError, match=r"before version 0\.1\.0, .* Train the network again"):
        module.load_state_dict(earlier, strict=strict)


@small
def test_network_never_writes_to_its_input_and_its_gradient_is_everywhere(make, assert_unchanged):
    module, X = make(), torch.randn(4, 1, 160, 101)
    with assert_unchanged(X):
        module(X).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


@pytest.mark.parametrize("make", [LeNet, VGG11])
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"width": 0}, r"`width` must be a whole number >= 1; got 0"),
        ({"width": 2.5}, r"`width` must be a whole number >= 1; got 2\.5"),
        ({"n_classes": -1}, r"`n_classes` must be .* got -1"),
        ({"n_channels": 0}, r"`n_channels` must be .* got 0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\); got .* Use 0 to drop nothing"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\); got "),
    ],
)
def test_bad_parameter_is_told(make, kwargs, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        make(**kwargs)
