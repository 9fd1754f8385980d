"""Manifold mixup: what is mixed at a layer, and what is left of it afterwards."""

import copy
import re
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import embedding
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from sklearn_mixup._engine.stack import apply
from sklearn_mixup._net.mix_at import Inside, check_places, mixing_inside
from sklearn_mixup.minibatches import cut_rows, map_tensors
from sklearn_mixup.modules import MLP, PreActResNet18
from sklearn_mixup.vicinal import mix
from tests.recording import HostReads

N_ROWS = 6
LAM = torch.linspace(0.1, 0.9, N_ROWS, dtype=torch.float64)
# One row is the partner of two, one of none.
PARTNER = torch.tensor([1, 2, 0, 0, 5, 4])


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def inside(rows, places=("a",), drawn=0, lam=LAM):
    """Make a minibatch that is mixed at one of some places."""
    columns = torch.ones(N_ROWS, len(places), dtype=torch.float64)
    columns[:, drawn] = lam
    return Inside(rows, PARTNER, columns)


def apply_mixed(module, rows, places, drawn=0, lam=LAM):
    with mixing_inside(module, places, inside(rows, places, drawn, lam)) as X:
        return apply(module, X)


def make_net(*layers):
    """Make a chain of layers with the names a, b, c, ..."""
    module = nn.Sequential()
    for name, layer in zip("abcdef", layers, strict=False):
        module.add_module(name, layer)
    return module.double()


def rows_of(*shape):
    return torch.randn(N_ROWS, *(shape or (4,)), dtype=torch.float64)


def list_hooks(module):
    return [list(layer._forward_hooks.items()) for layer in module.modules()]


class Calls(nn.Module):
    """Calls a function of its two layers and the rows."""

    def __init__(self, function, a=None, b=None):
        super().__init__()
        self.function = function
        self.a = a or nn.Linear(4, 4)
        self.b = b or nn.Linear(4, 3)
        self.double()

    def forward(self, X):
        return self.function(self.a, self.b, X)


# -- the mathematics -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["input", "a", "b", "c"])
def test_a_linear_network_mixed_anywhere_is_one_with_mixed_inputs(place):
    module, X = make_net(nn.Linear(4, 5), nn.Linear(5, 4), nn.Linear(4, 3)), rows_of()
    expected = module(mix(X, PARTNER, lam=LAM))
    assert_close(apply_mixed(module, X, [place]), expected)


@pytest.mark.parametrize("drawn", [0, 1, 2])
def test_outputs_and_gradients_are_those_of_manifold_mixup_written_out(drawn):
    module = make_net(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    X = rows_of().requires_grad_()
    # Of X too: a partner has its share of the gradient.
    inputs = [X, *module.parameters()]
    loss = apply_mixed(module, X, ["input", "b", "d"], drawn).square().sum()
    found = torch.autograd.grad(loss, inputs)

    lam = LAM.unsqueeze(1)
    hidden, parts = X, [module[:2], module[2:4], module[4:]]
    for k, part in enumerate(parts):
        if drawn == k:
            hidden = lam * hidden + (1 - lam) * hidden[PARTNER]
        hidden = part(hidden)
    by_hand = hidden.square().sum()
    assert_close(loss, by_hand)
    for one, other in zip(found, torch.autograd.grad(by_hand, inputs), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lam_of_one_leaves_the_bits_alone(dtype):
    module, X = make_net(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(dtype), rows_of().to(dtype)
    lam = torch.ones(N_ROWS, dtype=torch.float64)
    assert torch.equal(apply_mixed(module, X, ["input", "a", "b", "c"], lam=lam), module(X))


def test_inputs_of_several_names_are_mixed_alike():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 3).double()

        def forward(self, left, right):
            return self.a(left) * right.mean((1, 2)).unsqueeze(1)

    module, X = Both(), {"left": rows_of(), "right": rows_of(2, 5)}
    given = dict(X)
    mixed = {name: mix(part, PARTNER, lam=LAM) for name, part in X.items()}
    assert_close(apply_mixed(module, X, ["input", "a"], 0), apply(module, mixed))
    assert all(X[name] is part for name, part in given.items())
    expected = mix(module.a(X["left"]), PARTNER, lam=LAM) * X["right"].mean((1, 2)).unsqueeze(1)
    assert_close(apply_mixed(module, X, ["input", "a"], 1), expected)


def test_a_layer_named_input_goes_before_the_rows():
    module = nn.Sequential()
    module.add_module("input", nn.ReLU())
    X = rows_of()
    assert check_places(module, "input") == ("input",)
    assert_close(apply_mixed(module, X, ["input"]), mix(X.relu(), PARTNER, lam=LAM))
    with pytest.raises(ValueError, match=r"Use one of 'input'\.$"):
        check_places(module, "output")


@pytest.mark.parametrize("drawn", [0, 1])
def test_batch_norm_behind_a_layer_sees_mixed_rows(drawn):
    module, X = make_net(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)), rows_of()
    other = copy.deepcopy(module)
    found = apply_mixed(module, X, ["a", "b"], drawn)
    hidden = other.a(X) if drawn else mix(other.a(X), PARTNER, lam=LAM)
    hidden = mix(other.b(hidden), PARTNER, lam=LAM) if drawn else other.b(hidden)
    assert_close(found, other.c(hidden))
    assert_close(module.b.running_var, other.b.running_var)


def test_outputs_in_lower_precision_are_mixed_in_it():
    module, X = make_net(nn.Linear(4, 5), nn.Linear(5, 3)).float(), rows_of().float()
    seen = []
    module.b.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        apply_mixed(module, X, ["a"])
        expected = mix(module.a(X), PARTNER, lam=LAM)
    assert seen[0].dtype == torch.bfloat16
    assert torch.equal(seen[0], expected)


def test_pictures_stay_in_the_order_in_which_they_lie():
    module = small_resnet().double()
    places = check_places(module, ["input", "stem", "stages.0", "stages.1", "stages.2.1"])
    seen = []
    for name in ("stages.0", "stages.1", "stages.2"):
        layer = module.get_submodule(name)
        layer.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    X = rows_of(3, 8, 8).to(memory_format=torch.channels_last)
    apply_mixed(module, X, places, drawn=3).sum().backward()
    assert len(seen) == 3
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in seen)
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


Outputs = namedtuple("Outputs", ["hidden", "weights", "none"])


@pytest.mark.parametrize("make", [tuple, list, lambda parts: dict(zip("hwn", parts, strict=True))])
def test_each_tensor_of_a_nested_output_is_mixed(make):
    class Several(nn.Module):
        def forward(self, X):
            return make([X, Outputs(X.exp(), [X.sum(1)], None), None])

    module, X = Calls(lambda a, b, X: a(X), Several()), rows_of()
    found = apply_mixed(module, X, ["a"])
    assert type(found) is type(make([0, 0, 0]))
    hidden, nested, none = found.values() if isinstance(found, dict) else found
    assert none is nested.none is None
    assert isinstance(nested, Outputs)
    for one, rows in [(hidden, X), (nested.hidden, X.exp()), (nested.weights[0], X.sum(1))]:
        assert_close(one, mix(rows, PARTNER, lam=LAM))


# -- many modules at once ------------------------------------------------------------------------


@pytest.mark.parametrize("drawn", [(0, 1, 2), (2, 2, 0)])
def test_a_stack_is_mixed_as_each_module_alone(drawn):
    places = ["input", "a", "c"]
    modules = [make_net(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)) for _ in drawn]
    minibatches = []
    for k in drawn:
        own = inside(rows_of(), places, k, torch.rand(N_ROWS, dtype=torch.float64))
        minibatches.append(own._replace(partner=torch.randint(N_ROWS, (N_ROWS,))))
    stacked = Inside(*map(torch.stack, zip(*minibatches, strict=True)))
    template, (params, buffers) = modules[0], stack_module_state(modules)

    def apply_one(params, buffers, own):
        with mixing_inside(template, places, own) as X:
            return functional_call(template, (params, buffers), (X,))

    found = vmap(apply_one)(params, buffers, stacked)
    found.square().sum().backward()
    for i, (module, own) in enumerate(zip(modules, minibatches, strict=True)):
        with mixing_inside(module, places, own) as X:
            expected = module(X)
        assert_close(found[i], expected)
        expected.square().sum().backward()
        for name, parameter in module.named_parameters():
            assert_close(params[name].grad[i], parameter.grad)
    assert not any(map(any, map(list_hooks, modules)))


def test_a_minibatch_that_is_mixed_inside_is_cut_as_any_rows_are():
    whole = inside({"X": rows_of(), "other": rows_of(2, 3)}, ["a", "b"])
    assert type(map_tensors(torch.clone, whole)) is Inside
    first, second = cut_rows(lambda part: part.split(3), whole)
    assert torch.equal(first.rows["other"], whole.rows["other"][:3])
    assert torch.equal(second.lam, whole.lam[3:])


# -- what it costs the module and the device ------------------------------------------------------


def test_hooks_are_those_that_there_were():
    module = make_net(nn.Linear(4, 4), nn.Linear(4, 4))
    module.a.register_forward_hook(lambda layer, args, output: output + 1)
    before, X = list_hooks(module), rows_of()
    plain = module(X)
    # What a hook of the user's has made of an output is what is mixed.
    assert_close(apply_mixed(module, X, ["a"]), module.b(mix(module.a(X), PARTNER, lam=LAM)))
    assert list_hooks(module) == before
    assert torch.equal(module(X), plain)


def test_hooks_are_gone_after_an_exception():
    def fails(a, b, X):
        raise FloatingPointError("mine")

    module = Calls(lambda a, b, X: fails(a, b, a(X)))
    with pytest.raises(FloatingPointError, match="mine"):
        apply_mixed(module, rows_of(), ["a", "b"])
    assert not any(list_hooks(module))
    with pytest.raises(ValueError, match="does not have"):
        apply_mixed(module, rows_of(), ["a", "gone"])
    assert not any(list_hooks(module))


def test_nothing_is_read_from_the_device():
    module, X = make_net(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), rows_of()
    with HostReads() as reads:
        apply_mixed(module, X, ["input", "a", "b"]).sum().backward()
    assert reads.count == 0
    with torch.device("meta"):
        shapes = map_tensors(lambda part: part.to("meta"), inside(X, ["input", "a"]))
        with mixing_inside(module.to("meta"), ["input", "a"], shapes) as rows:
            assert module(rows).shape == (N_ROWS, 3)


def test_one_trace_serves_each_place_that_may_be_drawn():
    # As a recorded step has it: the tensors change, the operations do not.
    module, X = make_net(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), rows_of()
    places = ["input", "a", "c"]

    def step(rows, partner, lam):
        with mixing_inside(module, places, Inside(rows, partner, lam)) as X:
            return module(X)

    traced = make_fx(step)(*inside(X, places, 0))
    for drawn in range(3):
        own = inside(rows_of(), places, drawn)
        assert_close(traced(*own), step(*own))


# -- calls that cannot be mixed --------------------------------------------------------------------


def under_checkpoint(a, b, X):
    return b(checkpoint(a, X.requires_grad_(), use_reentrant=True))


def without_gradients(a, b, X):
    with torch.no_grad():
        X = a(X)
    return b(X)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda a, b, X: b(a(a(X))), r"calls once; 'a' \(Linear\) is called a second time"),
        (lambda a, b, X: b(X), "each forward pass calls; Calls did not call 'a'"),
        (under_checkpoint, r"'a' \(Linear\) is called without, as under"),
        (without_gradients, r"'a' \(Linear\) is called without, as under"),
    ],
)
def test_layers_not_called_once_with_gradients_are_refused(function, match):
    module = Calls(function)
    with pytest.raises(ValueError, match=match):
        apply_mixed(module, rows_of(), ["a"])
    assert not any(list_hooks(module))


def test_a_checkpoint_that_calls_a_layer_again_is_refused():
    # Else its gradients would be those of rows that are not mixed.
    module = Calls(lambda a, b, X: checkpoint(lambda X: b(a(X).relu()), X, use_reentrant=False))
    with (
        pytest.raises(ValueError, match="second time"),
        mixing_inside(module, ["a"], inside(rows_of())) as X,
    ):
        module(X).sum().backward()
    with pytest.raises(RuntimeError, match="number of tensors"):
        apply_mixed(module, rows_of(), ["a"]).sum().backward()


def test_without_gradients_around_it_a_pass_may_be_mixed():
    module, X = Calls(without_gradients), rows_of()
    with torch.no_grad():
        assert_close(apply_mixed(module, X, ["a"]), module.b(mix(module.a(X), PARTNER, lam=LAM)))


class Returns(nn.Module):
    """Makes something of rows."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, X):
        return self.make(X)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda X: X.T, ValueError, r"minibatch of 6 rows .* got shape \(4, 6\)"),
        (lambda X: (X, X[None]), ValueError, r"got shape \(1, 6, 4\)"),
        (lambda X: X.sum(), ValueError, r"got shape \(\)"),
        (lambda X: X.long(), TypeError, "got torch.int64"),
        (lambda X: {"X": X, "n": 6}, TypeError, "got a int"),
        (lambda X: None, TypeError, "got a NoneType"),
    ],
)
def test_outputs_without_a_floating_row_each_are_refused(make, error, match):
    module = Calls(lambda a, b, X: a(X), Returns(make))
    with pytest.raises(error, match=rf"^What 'a' \(Returns\) puts out .*{match}"):
        apply_mixed(module, rows_of(), ["a"])


def test_layers_that_take_the_sequence_first_are_refused():
    module = Calls(lambda a, b, X: a(X)[0], nn.GRU(4, 5), nn.Identity())
    with pytest.raises(ValueError, match=r"'a' \(GRU\) .* got shape \(7, 6, 5\).*batch_first=True"):
        apply_mixed(module, torch.randn(7, N_ROWS, 4, dtype=torch.float64), ["a"])


def test_layers_of_torch_that_put_the_minibatch_elsewhere_are_refused_by_name():
    attending = nn.TransformerEncoderLayer(4, 1, 4)
    stacked = nn.TransformerEncoder(attending, 1, enable_nested_tensor=False)
    for layer in (nn.LSTM(4, 4, batch_first=True), attending, stacked, attending.self_attn):
        with pytest.raises(ValueError, match=rf"first axis; got '0', a {type(layer).__name__}, wh"):
            check_places(nn.Sequential(layer), "0")
    first = nn.TransformerEncoderLayer(4, 1, 4, batch_first=True)
    assert check_places(nn.Sequential(first), "0") == ("0",)


def test_codes_are_mixed_where_they_are_embedded():
    module = Calls(lambda a, b, X: b(a(X)), nn.Embedding(9, 4))
    X = torch.randint(9, (N_ROWS,))
    expected = module.b(mix(embedding(X, module.a.weight), PARTNER, lam=LAM))
    assert_close(apply_mixed(module, X, ["a"]), expected)
    with pytest.raises(TypeError, match=r"^X must be floating .* got torch.int64.*embeds codes"):
        apply_mixed(module, X, ["input"])


# -- what is named ---------------------------------------------------------------------------------


def small_resnet():
    return PreActResNet18(n_classes=3, width=4)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ("input", ("input",)),
        ("stages.0", ("stages.0",)),
        (["input", "stem", "stages.3.1.conv2"], ("input", "stem", "stages.3.1.conv2")),
        (("output",), ("output",)),
    ],
)
def test_layers_are_named_as_torch_names_them(places, expected):
    assert check_places(small_resnet(), places) == expected


def tied():
    module = make_net(nn.Linear(4, 4), nn.ReLU())
    module.add_module("c", module.a)
    return module


@pytest.mark.parametrize(
    ("make", "places", "error", "match"),
    [
        (
            PreActResNet18,
            "stage.1",
            ValueError,
            r"got 'stage.1', which .* 'stages.1'\?",
        ),
        (small_resnet, "x", ValueError, "have. Use one of 'input', 'stem', 'stages', .* more.$"),
        (tied, ["inputs"], ValueError, "Did you mean 'input'.* Use one of 'input', 'a', 'b'.$"),
        (tied, [""], ValueError, "got ''"),
        (tied, ["a", "input", "a"], ValueError, "once; got 'a' and 'a'"),
        (tied, ["a", "c"], ValueError, "got 'a' and 'c', which are one"),
        (tied, ["input", "input"], ValueError, "got 'input' and 'input'"),
        (tied, [], ValueError, r"at least one place; got \[\]"),
        (tied, {"a", "input"}, TypeError, "or a list of these; got {"),
        (tied, None, TypeError, "got None"),
        (tied, ["a", 1], TypeError, "must hold names of layers; got 1"),
        (tied, [nn.ReLU()], TypeError, "got a ReLU.*named_modules"),
        (lambda: MLP(4, 3), ["hidden"], ValueError, "a ModuleList.*'hidden.0', 'hidden.1'"),
    ],
)
def test_places_that_cannot_be_are_refused(make, places, error, match):
    with pytest.raises(error, match=match):
        check_places(make(), places)


def compiled_whole():
    return torch.compile(tied(), backend="eager")


def compiled_in_part():
    module = make_net(tied(), nn.ReLU())
    module.a.compile(backend="eager")
    return module


@pytest.mark.parametrize(("make", "place"), [(compiled_whole, "b"), (compiled_in_part, "a.b")])
def test_layers_of_compiled_code_are_refused(make, place):
    # It knows nothing of hooks that come after it was made.
    with pytest.raises(ValueError, match=f"not taken in; got '{re.escape(place)}'"):
        check_places(make(), place)
    assert check_places(make(), "input") == ("input",)
    assert check_places(compiled_in_part(), ["b"]) == ("b",)


def test_a_module_that_several_processes_train_is_named_as_it_is_alone(tmp_path):
    module, X = make_net(nn.Linear(4, 4), nn.Linear(4, 3)), rows_of()
    expected = apply_mixed(module, X, ["a"])
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    try:
        wrapped = DistributedDataParallel(module)
        assert check_places(wrapped, "a") == ("a",)
        assert_close(apply_mixed(wrapped, X, ["a"]), expected)
    finally:
        torch.distributed.destroy_process_group()
