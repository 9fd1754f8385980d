"""The networks for pictures: as published, in numbers and in mathematics."""

import copy
import pickle
from functools import partial
from inspect import signature

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, relu
from torch.testing import assert_close

from benchmarks._nets.vision import import_torchvision
from sklearn_mixup.modules import DenseNetBC, PreActResNet18, WideResNet
from tests.recording import layers_of, make_random, trace

# Narrow ones of each family.
SMALL = {
    "preact": partial(PreActResNet18, n_classes=5, width=3, n_blocks=(2, 1, 2)),
    "wide": partial(WideResNet, n_classes=5, depth=16, widen_factor=1),
    "wide, x 2": partial(WideResNet, n_classes=5, depth=10, widen_factor=2),
    "dense": partial(DenseNetBC, n_classes=5, depth=16, growth_rate=3),
    "dense, reduced": partial(DenseNetBC, n_classes=5, depth=10, growth_rate=5, reduction=0.3),
}
small = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def blocks_of(module):
    return [layer for layer in module.modules() if hasattr(layer, "conv2")]


# -- as published ---------------------------------------------------------------------------------


def count_residual(n_in, widths, n_blocks, n_classes, *, n_channels=3):
    """Count the parameters of a residual network by its description."""
    total = 9 * n_channels * n_in
    for width, number in zip(widths, n_blocks, strict=True):
        first = 2 * n_in + 9 * n_in * width + 2 * width + 9 * width * width
        projection = n_in * width if n_in != width else 0
        total += first + projection + (number - 1) * (4 * width + 18 * width * width)
        n_in = width
    return total + 2 * n_in + (n_in + 1) * n_classes


def count_dense(depth, k, n_classes, reduction=0.5):
    """Count the parameters of a DenseNet-BC: sums over its layers of m channels in, 4 k between."""
    n = (depth - 4) // 6
    m, total = 2 * k, 9 * 3 * 2 * k
    for block in range(3):
        total += sum(2 * c + c * 4 * k + 2 * 4 * k + 9 * 4 * k * k for c in range(m, m + n * k, k))
        m += n * k
        if block < 2:
            total += 2 * m + m * int(m * reduction)
            m = int(m * reduction)
    return total + 2 * m + (m + 1) * n_classes


PUBLISHED = [
    (
        PreActResNet18,
        11.2,
        count_residual(64, (64, 128, 256, 512), (2, 2, 2, 2), 10),
    ),
    (WideResNet, 36.5, count_residual(16, (160, 320, 640), (4, 4, 4), 10)),
    (DenseNetBC, 25.6, count_dense(190, 40, 10)),
]


@pytest.mark.parametrize(("make", "millions", "derived"), PUBLISHED)
def test_defaults_have_as_many_parameters_as_published(make, millions, derived):
    with torch.device("meta"):
        n_parameters = count(make())
    assert n_parameters == derived
    assert round(n_parameters / 1e6, 1) == millions


# Table 2 of the DenseNet paper, and Table 4 of the WideResNet paper.
OTHERS = [
    (partial(DenseNetBC, depth=100, growth_rate=12), 0.8, count_dense(100, 12, 10)),
    (partial(DenseNetBC, depth=250, growth_rate=24), 15.3, count_dense(250, 24, 10)),
    (
        partial(WideResNet, depth=40, widen_factor=4),
        8.9,
        count_residual(16, (64, 128, 256), (6, 6, 6), 10),
    ),
    (
        partial(WideResNet, depth=16, widen_factor=8),
        11.0,
        count_residual(16, (128, 256, 512), (2, 2, 2), 10),
    ),
]


@pytest.mark.parametrize(("make", "millions", "derived"), OTHERS)
def test_other_depths_and_widths_have_as_many_parameters_as_published(make, millions, derived):
    with torch.device("meta"):
        assert count(make()) == derived
    assert round(derived / 1e6, 1) == millions


def is_on_the_way(layer):
    return isinstance(layer, nn.Linear) or layer.kernel_size == (3, 3)


DEPTHS = [
    # He counts the layers with weights on the way, shortcuts aside; Zagoruyko all convolutions.
    (PreActResNet18, 18, is_on_the_way),
    (partial(PreActResNet18, n_blocks=(3, 4, 6, 3)), 34, is_on_the_way),
    (WideResNet, 28, lambda layer: isinstance(layer, nn.Conv2d)),
    (DenseNetBC, 190, lambda layer: True),
]


@pytest.mark.parametrize(("make", "depth", "counts"), DEPTHS)
def test_depth_is_the_number_in_the_name(make, depth, counts):
    with torch.device("meta"):
        module = make()
        layers = layers_of(module, nn.Conv2d, nn.Linear)
        called = trace(module, torch.empty(1, 3, 32, 32), layers)
    assert sum(counts(layer) for layer, *_ in called) == depth


# Channels and height after the stem, each block and each transition.
MAPS = [
    (
        PreActResNet18,
        [(64, 32)] * 3 + [(128, 16)] * 2 + [(256, 8)] * 2 + [(512, 4)] * 2,
    ),
    (partial(WideResNet, depth=10), [(16, 32), (160, 32), (320, 16), (640, 8)]),
    (
        partial(DenseNetBC, depth=10, growth_rate=16),
        [(32, 32), (48, 32), (24, 16), (40, 16), (20, 8), (36, 8)],
    ),
]


@pytest.mark.parametrize(("make", "maps"), MAPS)
def test_maps_get_smaller_as_they_get_wider(make, maps):
    with torch.device("meta"):
        module = make()
        parts = [layer for layer in module.modules() if hasattr(layer, "conv")]
        layers = [module.stem, *blocks_of(module), *parts]
        called = trace(module, torch.empty(1, 3, 32, 32), layers)
    assert [(out.shape[1], out.shape[2]) for *_, out in called] == maps
    assert all(out.shape[2] == out.shape[3] for *_, out in called)


LARGE = [
    partial(PreActResNet18, width=32),
    partial(WideResNet, depth=16, widen_factor=4),
    partial(DenseNetBC, depth=16, growth_rate=24),
]


@pytest.mark.parametrize("make", LARGE)
def test_convolutions_start_from_he_normal_by_fan_out(make):
    module = make()
    shrunk, n_numbers = [], 0
    for conv in layers_of(module, nn.Conv2d):
        fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
        shrunk.append(conv.weight.detach().flatten().double() * (fan_out / 2) ** 0.5)
        n_numbers += conv.weight.numel()
    numbers = torch.cat(shrunk)
    # Of standard normal numbers, the second and fourth moment; five standard errors.
    assert abs(numbers.square().mean() - 1) < 5 * (2 / n_numbers) ** 0.5
    assert abs(numbers.pow(4).mean() - 3) < 5 * (96 / n_numbers) ** 0.5
    assert not module.output.bias.any()


# -- the mathematics ------------------------------------------------------------------------------


def normalize(X, state, name):
    """Normalise by the running moments, and rectify."""
    mean, var, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((X - mean) / (var + 1e-5).sqrt() * weight + bias).clamp_min(0)


def residual_by_hand(state, X, n_blocks):
    """Compute a residual network as He et al. (2016) draw it, from its numbers."""
    X = conv2d(X, state["stem.weight"], padding=1)
    for stage, number in enumerate(n_blocks):
        for block in range(number):
            name = f"stages.{stage}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            H = normalize(X, state, f"{name}.norm1")
            R = conv2d(H, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            R = normalize(R, state, f"{name}.norm2")
            R = conv2d(R, state[f"{name}.conv2.weight"], padding=1)
            if f"{name}.shortcut.weight" in state:
                X = conv2d(H, state[f"{name}.shortcut.weight"], stride=stride)
            X = X + R
    X = normalize(X, state, "norm")
    return X.flatten(2).mean(2) @ state["output.weight"].T + state["output.bias"]


RESIDUAL = [
    (SMALL["preact"], (2, 1, 2)),
    (SMALL["wide"], (2, 2, 2)),
    (SMALL["wide, x 2"], (1, 1, 1)),
]


@pytest.mark.parametrize("size", [(32, 32), (8, 13), (9, 9)])
@pytest.mark.parametrize("n_channels", [1, 4])
@pytest.mark.parametrize(("make", "n_blocks"), RESIDUAL)
def test_residual_network_is_what_its_paper_draws(make, n_blocks, n_channels, size):
    module = make_random(make, n_channels=n_channels)
    X = torch.randn(2, n_channels, *size, dtype=torch.float64)
    assert_close(module(X), residual_by_hand(module.state_dict(), X, n_blocks))


@pytest.mark.parametrize("size", [(32, 32), (8, 13), (4, 9)])
@pytest.mark.parametrize("n_channels", [1, 4])
def test_layer_of_a_dense_block_takes_the_maps_of_all_before_it(n_channels, size):
    module = make_random(SMALL["dense"], n_channels=n_channels)
    X = torch.randn(2, n_channels, *size, dtype=torch.float64)
    state = module.state_dict()
    maps = [conv2d(X, state["stem.weight"], padding=1)]
    for block in range(3):
        for layer in range(2):
            name = f"blocks.{2 * block}.{layer}"
            new = normalize(torch.cat(maps, 1), state, f"{name}.norm1")
            new = conv2d(new, state[f"{name}.conv1.weight"])
            new = normalize(new, state, f"{name}.norm2")
            maps.append(conv2d(new, state[f"{name}.conv2.weight"], padding=1))
        if block < 2:
            name = f"blocks.{2 * block + 1}"
            H = normalize(torch.cat(maps, 1), state, f"{name}.norm")
            H = conv2d(H, state[f"{name}.conv.weight"])
            h, w = H.shape[2] // 2 * 2, H.shape[3] // 2 * 2
            maps = [sum(H[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)) / 4]
    H = normalize(torch.cat(maps, 1), state, "norm").mean((2, 3))
    assert_close(module(X), H @ state["output.weight"].T + state["output.bias"])


@small
def test_block_whose_last_convolution_is_zero_adds_nothing(make):
    module = make_random(make)
    blocks = blocks_of(module)
    assert len(blocks) >= 3
    for block in blocks:
        n_in = block.norm1.num_features
        X = torch.randn(2, n_in, 8, 8, dtype=torch.float64)
        block.conv2.weight.data.zero_()
        out = block(X)
        if isinstance(module, DenseNetBC):
            assert torch.equal(out[:, :n_in], X)
            assert not out[:, n_in:].any()
        elif block.shortcut is None:
            assert torch.equal(out, X)
        else:
            assert torch.equal(out, block.shortcut(relu(block.norm1(X))))


def import_vision():
    """Import torchvision and timm, or skip: they are an extra."""
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision and timm")
    return pytest.importorskip("torchvision"), pytest.importorskip("timm")


def test_dense_network_is_torchvisions():
    torchvision, _ = import_vision()
    module = make_random(partial(DenseNetBC, n_classes=5, depth=22, growth_rate=4))
    other = torchvision.models.DenseNet(
        growth_rate=4, block_config=(3, 3, 3), num_init_features=8, num_classes=5
    )
    # Theirs has a stem for larger pictures.
    other.features.conv0 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    other.features.norm0 = other.features.relu0 = other.features.pool0 = nn.Identity()
    ours = module.state_dict().values()
    other.double().eval().load_state_dict(dict(zip(other.state_dict(), ours, strict=True)))
    X = torch.randn(2, 3, 16, 20, dtype=torch.float64)
    assert_close(module(X), other(X))


def test_wide_network_is_timms_of_basic_blocks():
    import_vision()
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models.resnetv2 import ResNetV2

    if "basic" not in signature(ResNetV2).parameters:
        pytest.skip("this timm has no basic blocks")
    module = make_random(partial(WideResNet, n_classes=5, depth=16, widen_factor=2))
    other = ResNetV2(
        layers=[2, 2, 2],
        channels=(32, 64, 128),
        num_classes=5,
        stem_chs=16,
        basic=True,
        bottle_ratio=1.0,
        norm_layer=BatchNormAct2d,
        conv_layer=create_conv2d,
    )
    other.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    state = {
        key.replace("shortcut.", "downsample.conv.")
        .replace("output.", "head.fc.")
        .replace("stages.", "stages.@")
        .replace("@0.", "0.blocks.")
        .replace("@1.", "1.blocks.")
        .replace("@2.", "2.blocks."): value
        for key, value in module.state_dict().items()
    }
    state["head.fc.weight"] = state["head.fc.weight"][:, :, None, None]
    other.double().eval().load_state_dict(state)
    X = torch.randn(2, 3, 16, 20, dtype=torch.float64)
    assert_close(module(X), other(X))


# -- dropout --------------------------------------------------------------------------------------


@small
def test_dropout_lies_between_the_two_convolutions_of_a_block(make):
    module = make(dropout=0.5)
    layers = layers_of(module, nn.Conv2d, nn.Dropout, nn.BatchNorm2d)
    called = trace(module, torch.randn(2, 3, 8, 8), layers)
    order = [layer for layer, *_ in called]
    blocks = blocks_of(module)
    assert len(layers_of(module, nn.Dropout)) == len(blocks)
    for block in blocks:
        start = order.index(block.conv1)
        between = called[start : start + 4]
        assert order[start : start + 4] == [block.conv1, block.norm2, block.dropout, block.conv2]
        assert torch.equal(between[2][1], relu(between[1][2]))
        assert torch.equal(between[3][1], between[2][2])


@small
def test_dropout_that_drops_nothing_is_not_called(make):
    module = make()
    layers = layers_of(module, nn.Dropout)
    assert len(layers) >= 3
    assert trace(module, torch.randn(2, 3, 8, 8), layers) == []


@small
def test_dropout_drops_its_share_while_training_only(make):
    module, X = make(dropout=0.25), torch.randn(4, 3, 16, 16)
    for _, given, out in trace(module, X, layers_of(module, nn.Dropout)):
        alive = given > 0
        dropped = (out[alive] == 0).double().mean().item()
        assert abs(dropped - 0.25) < 5 * (0.25 * 0.75 / alive.sum().item()) ** 0.5
    assert not torch.equal(module(X), module(X))
    assert torch.equal(module.eval()(X), module(X))


# -- as modules -----------------------------------------------------------------------------------


@small
def test_network_compiles_whole(make):
    module = make(dropout=0.5).double()
    twin = copy.deepcopy(module)
    X = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    outputs = []
    for network in (module, torch.compile(twin, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(0)
        outputs.append(network(X))
        outputs[-1].sum().backward()
    assert_close(*outputs)
    assert_close(twin.stem.weight.grad, module.stem.weight.grad)


@small
def test_network_can_be_stored_and_copied(make):
    module, other = make_random(make), make().double().eval()
    X = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    other.load_state_dict(module.state_dict())
    for twin in (other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(X), module(X))


def without_norm(state):
    """Leave out the normalisation before the mean, as weights of the earlier network have none."""
    return {key: value for key, value in state.items() if not key.startswith(("norm.", "0.norm."))}


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_the_earlier_network_do_not_load(strict):
    for module in (SMALL["preact"](), nn.Sequential(SMALL["preact"]())):
        with pytest.raises(ValueError, match=r"before version 0\.1\.0, .* Train the network again"):
            module.load_state_dict(without_norm(module.state_dict()), strict=strict)


def test_pickle_of_the_earlier_network_does_not_load():
    module = SMALL["preact"]()
    del module.norm
    with pytest.raises(ValueError, match=r"before version 0\.1\.0, .* Train the network again"):
        pickle.loads(pickle.dumps(module))


def test_part_of_the_weights_loads_on_purpose():
    module, other = SMALL["preact"](), SMALL["preact"]()
    other.load_state_dict({"stem.weight": module.stem.weight}, strict=False)
    assert torch.equal(other.stem.weight, module.stem.weight)


@small
def test_network_never_writes_to_its_input(make, assert_unchanged):
    X = torch.randn(2, 3, 8, 8)
    with assert_unchanged(X):
        make()(X).sum().backward()


@small
def test_gradient_reaches_every_parameter(make):
    module = make()
    module(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


BAD = [
    (PreActResNet18, {"width": 0}, r"`width` must be a whole number >= 1; got 0"),
    (PreActResNet18, {"width": 2.5}, r"`width` must be a whole number >= 1; got 2\.5"),
    (PreActResNet18, {"n_blocks": (2, 0)}, r"`n_blocks\[1\]` must be .* got 0"),
    (PreActResNet18, {"n_blocks": ()}, r"`n_blocks` must have a number for each stage; got none"),
    (PreActResNet18, {"n_classes": -1}, r"`n_classes` must be .* got -1"),
    (PreActResNet18, {"n_channels": 0}, r"`n_channels` must be .* got 0"),
    (WideResNet, {"widen_factor": 0}, r"`widen_factor` must be .* got 0"),
    (DenseNetBC, {"growth_rate": 0}, r"`growth_rate` must be .* got 0"),
    (DenseNetBC, {"n_classes": 0}, r"`n_classes` must be .* got 0"),
    (DenseNetBC, {"reduction": 0}, r"`reduction` must be in \(0, 1\]; got 0\. Use 1 to"),
    (DenseNetBC, {"reduction": 1.5}, r"`reduction` must be in \(0, 1\]; got 1\.5"),
    *(
        (make, {"depth": depth}, rf"`depth` must be 6 n \+ 4, .* 10, 16, 22, .* got {depth}")
        for make in (WideResNet, DenseNetBC)
        for depth in (4, 27, 10.0)
    ),
    *(
        (make, {"dropout": dropout}, r"`dropout` must be in \[0, 1\); got .* Use 0 to drop nothing")
        for make in (PreActResNet18, WideResNet, DenseNetBC)
        for dropout in (1.0, -0.1, float("nan"))
    ),
]


@pytest.mark.parametrize(("make", "kwargs", "message"), BAD)
def test_bad_parameter_is_told(make, kwargs, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        make(**kwargs)
