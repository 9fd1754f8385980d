"""What fit_fused claims of modules of the user's own, and of nets that cannot be fused."""

import copy
import threading

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup._engine.lockstep import Group
from sklearn_mixup._engine.stack import DropoutMasks, StackedModules
from sklearn_mixup.modules import MLP
from tests.rounding import assert_near
from tests.test_fused import (
    DROPPED,
    LENGTHS,
    VARIED,
    assert_same_net,
    fit_both,
    largest_difference,
    make_folds,
    make_weights,
    same_bits,
)

pytestmark = pytest.mark.usefixtures("float64")


def make_net(module, **params):
    small = {"max_epochs": 3, "lr": 0.02, "random_state": 0, "device": "cpu"}
    return MixupClassifier(module, **{**small, **params})


# -- modules that are fused ---------------------------------------------------------------------


class Normed(nn.Module):
    """A hidden layer that is normalised by ``norm(width)``.

    A bias before it has no gradient but for rounding, which Adam blows up.
    """

    def __init__(self, n_features, n_classes, norm, p=0.0):
        super().__init__()
        self.hidden, self.norm = nn.Linear(n_features, 8, bias=False), norm(8)
        self.dropout, self.output = nn.Dropout(p), nn.Linear(8, n_classes)

    def forward(self, X):
        return self.output(self.dropout(torch.relu(self.norm(self.hidden(X)))))


class Pictures(nn.Module):
    """A convolution, with all that is usual for pictures."""

    def __init__(self, n_classes, p=0.0):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.dropout, self.output = nn.Dropout2d(p), nn.Linear(4 * 3 * 3, n_classes)

    def forward(self, X):
        X = self.dropout(torch.relu(self.norm(self.conv(X))))
        return self.output(F.max_pool2d(X, 2).flatten(1))


class Tied(nn.Module):
    """One matrix, there and back."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.there, self.back = nn.Linear(n_features, 6), nn.Linear(6, n_features)
        self.back.weight = nn.Parameter(torch.randn(n_features, 6) / 3)
        self.again = nn.Linear(6, n_features)
        self.again.weight = self.back.weight
        self.output = nn.Linear(n_features, n_classes)

    def forward(self, X):
        X = torch.relu(self.back(torch.relu(self.there(X))))
        return self.output(self.again(torch.relu(self.there(X))))


class Small(nn.Module):
    """A hidden layer of 8."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.hidden, self.output = nn.Linear(n_features, 8), nn.Linear(8, n_classes)

    def forward(self, X):
        return self.output(torch.relu(self.hidden(X)))


class Frozen(Small):
    """A first layer that does not learn; a scale that does; a buffer that is not saved."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.hidden.requires_grad_(False)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("shift", torch.ones(n_features), persistent=False)

    def forward(self, X):
        return self.scale * super().forward(X + self.shift)


class Attention(nn.Module):
    """Attention between the features."""

    def __init__(self, n_classes):
        super().__init__()
        self.embed = nn.Linear(1, 8)
        self.attention = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        self.output = nn.Linear(8, n_classes)

    def forward(self, X):
        X = self.embed(X.unsqueeze(2))
        return self.output(self.attention(X, X, X, need_weights=False)[0].mean(1))


def batch_norm_without_statistics(width):
    return nn.BatchNorm1d(width, track_running_stats=False)


def group_norm(width):
    return nn.GroupNorm(2, width)


def weight_norm_linear(width):
    return nn.utils.parametrizations.weight_norm(nn.Linear(width, width))


def frozen_mlp():
    module = MLP(4, 3, (8,))
    module.hidden.requires_grad_(False)
    return module


@pytest.mark.machines
# torch tells so where vmap takes an operation, but not all at once.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    ("module", "params"),
    [
        (Normed, {"module__norm": nn.BatchNorm1d}),
        (Normed, {"module__norm": batch_norm_without_statistics}),
        (Normed, {"module__norm": nn.LayerNorm}),
        (Normed, {"module__norm": group_norm}),
        (Normed, {"module__norm": nn.RMSNorm}),
        (Normed, {"module__norm": weight_norm_linear}),
        (Normed, {"module__norm": nn.BatchNorm1d, "criterion__label_smoothing": 0.1}),
        (Normed, {"module__norm": nn.BatchNorm1d, "optimizer__param_groups": [("*.bias", {})]}),
        (Tied, {}),
        (Frozen, {}),
        (Attention, {}),
        (nn.Sequential(nn.Linear(4, 8, False), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 3)), {}),
        (MLP(4, 3, (8,)), {}),
        (frozen_mlp(), {}),
        (nn.Linear(4, 3), {}),
    ],
    ids=lambda thing: (
        getattr(thing, "__name__", type(thing).__name__)
        if not isinstance(thing, dict)
        else ",".join(getattr(v, "__name__", "") or str(v) for v in thing.values())
    ),
)
def test_modules_train_as_alone(iris, module, params):
    if isinstance(module, nn.Module):  # It was made before.
        module = copy.deepcopy(module).double()
    folds = make_folds(*iris, *LENGTHS[:8], 98)  # A last minibatch of one row has no variance.
    folds = [(X[:98], y[:98]) if len(y) == 97 else (X, y) for X, y in folds]
    nets = [make_net(module, **params, **varied) for varied in VARIED]
    for pair in fit_both(nets, folds, make_weights(folds)):
        assert_same_net(*pair)


@pytest.mark.parametrize("batch_size", [32, -1])
def test_running_statistics_are_those_alone(iris, batch_size):
    nets = [
        make_net(Normed, module__norm=nn.BatchNorm1d, alpha=alpha, batch_size=batch_size)
        for alpha in (0, 0.2, 1)
    ]
    for one, other in fit_both(nets, make_folds(iris[0] + 1, iris[1], 128, 120, 150)):
        (mean, variance, count), expected = one.module_.norm.buffers(), other.module_.norm.buffers()
        for buffer, expect in zip((mean, variance, count), expected, strict=True):
            assert_near(buffer, expect)
        assert int(count) == len(one.history) * len(one.history[0, "batches"])
        assert mean.abs().max() > 0.01


@pytest.mark.parametrize("lengths", [(38, 37), (37, 25)])
def test_a_single_last_row_joins_the_minibatch_before_it_as_alone(iris, lengths):
    nets = [make_net(Normed, module__norm=nn.BatchNorm1d, batch_size=12) for _ in lengths]
    for pair in fit_both(nets, make_folds(*iris, *lengths)):
        assert_same_net(*pair)


@pytest.mark.machines
@pytest.mark.parametrize("module", [Pictures, MLP])
def test_modules_train_on_pictures_as_alone(digits, module):
    X, y = digits
    nets = [make_net(module, max_epochs=2, **varied) for varied in VARIED[:5]]
    for pair in fit_both(nets, make_folds(X[:, None], y, *LENGTHS[:5])):
        assert_same_net(*pair)


class TwoInputs(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.a, self.b = nn.Linear(3, n_classes), nn.Linear(1, n_classes)

    def forward(self, b, *, a):
        return self.a(a) + torch.tanh(self.b(b))


class Words(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.embed, self.output = nn.Embedding(9, 4), nn.Linear(5, n_classes)

    def forward(self, words, number):
        return self.output(torch.cat([self.embed(words).mean(1), number], 1))


def test_dicts_of_inputs_train_as_alone(iris, assert_unchanged):
    X, y = iris
    folds = [
        ({"a": X[rows, 1:].astype(np.float32), "b": torch.tensor(X[rows, :1])}, y[rows])
        for rows in (np.arange(150), np.arange(0, 150, 2), np.arange(128) + 11)
    ]
    nets = [make_net(TwoInputs, alpha=alpha) for alpha in (0.2, 1, 0)]
    with assert_unchanged(folds):
        pairs = fit_both(nets, folds)
    for pair in pairs:
        assert_same_net(*pair)
    words = np.clip(np.rint(X[:, 1:] * 2 + 4), 0, 8).astype(np.int64)
    folds = [({"words": words[::k], "number": X[::k, :1]}, y[::k]) for k in (1, 2)]
    for pair in fit_both([make_net(Words, alpha=0), make_net(Words, alpha=0)], folds):
        assert_same_net(*pair)


def test_a_module_instance_is_never_trained_in_place(iris):
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    nets = [make_net(module, random_state=i) for i in range(2)]
    fit_fused(nets, [iris[0]] * 2, [iris[1]] * 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(module[0].weight is not net.module_[0].weight for net in nets)
    assert [module[2].p] + [net.module_[2].p for net in nets] == [0.2] * 3
    assert largest_difference(*nets) > 1e-3


# -- dropout in them ----------------------------------------------------------------------------


class DropsTwice(nn.Module):
    """One layer of dropout, called twice; and one only if it drops, as MLP has it."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.hidden, self.more = nn.Linear(n_features, 8), nn.Linear(8, 8)
        self.output = nn.Linear(8, n_classes)
        self.dropout, self.last = nn.Dropout(0.3), nn.Dropout(0.0)

    def forward(self, X):
        X = self.dropout(torch.relu(self.hidden(X)))
        X = self.dropout(torch.relu(self.more(X)))
        return self.output(self.last(X) if self.last.p else X)


@pytest.mark.machines
@pytest.mark.parametrize(
    ("module", "params"),
    [
        (Normed, {"module__norm": nn.BatchNorm1d}),
        (DropsTwice, {}),
        (MLP, {"criterion__label_smoothing": 0.1}),
        (nn.Sequential(nn.Dropout(), nn.Linear(4, 3)), {}),
    ],
    ids=["Normed", "DropsTwice", "MLP", "Sequential"],
)
@pytest.mark.parametrize("max_fused", [1, 4])
def test_dropout_of_modules_is_the_same_however_nets_are_stacked(iris, module, params, max_fused):
    if isinstance(module, nn.Module):  # It was made before.
        module = copy.deepcopy(module).double()
    folds = make_folds(*iris, 128, 120, 98, 128, 96, 64)
    nets = [make_net(module, **params, **dropped) for dropped in DROPPED]
    others = [clone(net) for net in nets]
    dry = make_net(module, **params, dropout=0.0).fit(*folds[0])
    fit_fused(nets, *zip(*folds, strict=True))
    fit_fused(others[::-1], *zip(*folds[::-1], strict=True), max_fused=max_fused)
    assert largest_difference(nets[0], dry) > 1e-3
    assert_same_net(nets[2], clone(nets[2]).fit(*folds[2]))
    for one, other in zip(nets, others, strict=True):
        assert_same_net(one, other)


class Constant(nn.Module):
    """Gives back its input, after dropout of a kind, times a parameter."""

    def __init__(self, dropout):
        super().__init__()
        self.scale, self.dropout = nn.Parameter(torch.ones(1)), dropout

    def forward(self, X):
        return self.dropout(self.scale * X)


@pytest.mark.parametrize(
    ("layer", "shape", "mask"),
    [
        (nn.Dropout, (50, 20, 3, 3), (50, 20, 3, 3)),
        (nn.Dropout1d, (50, 20, 9), (50, 20, 1)),
        (nn.Dropout2d, (50, 20, 3, 3), (50, 20, 1, 1)),
        (nn.Dropout3d, (50, 20, 3, 3, 3), (50, 20, 1, 1, 1)),
    ],
)
def test_channelwise_dropout_drops_whole_channels(layer, shape, mask):
    modules = [Constant(layer(p)) for p in (0.5, 0.2)]
    X = torch.ones(2, *shape)
    inside = StackedModules(modules, lambda out, _: out.flatten(2).var(2).sum(), X)
    assert inside.mask_shapes(X) == [mask]
    masks = DropoutMasks(torch.tensor([3, 4]), inside.p_dropout, torch.float32)
    drawn = masks.make(0, masks.draw(0, 2, 0, 1, int(np.prod(mask)))[:, 0], [mask])
    losses = inside.backward(0, 2, X, torch.zeros(2), drawn)
    assert (losses == 0).tolist() == [layer is not nn.Dropout] * 2
    total = StackedModules(modules, lambda out, _: (out > 0).float().mean() + 0 * out.sum(), X)
    kept = total.backward(0, 2, X, torch.zeros(2), drawn)
    # 1000 channels at least: a right one fails once in 1e6.
    assert (kept - torch.tensor([0.5, 0.8])).abs().max() < 5 * 0.5 / 1000**0.5


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Dropout1d, (20, 4)), (nn.Dropout2d, (20, 4, 3)), (nn.Dropout2d, ())]
)
def test_channelwise_dropout_of_another_shape_is_not_fused(layer, shape):
    X = torch.ones(1, *(shape or (20, 4, 3, 3, 3)))
    with pytest.raises(RuntimeError, match=f"{layer.__name__} is applied to shape"):
        StackedModules([Constant(layer())], lambda out, _: out.sum(), X)


def test_dropout_of_channels_trains_to_the_losses_of_nets_alone(digits):
    X, y = digits[0][:300, None], digits[1][:300]
    nets = [make_net(Pictures, dropout=0.4, alpha=0, random_state=i) for i in range(10)]
    one, other = np.array(
        [[net.history[-1, "train_loss"] for net in pair] for pair in fit_both(nets, [(X, y)] * 10)]
    ).T
    assert stats.ttest_rel(one, other).pvalue > 1e-4  # A right one fails once in 1e4.
    assert np.abs(one - other).max() > 1e-3


# -- nets that cannot be fused: told once, and as alone bit for bit -------------------------------


class Asks(Small):
    def forward(self, X):
        logits = super().forward(X)
        return logits if logits.sum() > 0 else 0.9 * logits


class Reads(Small):
    def forward(self, X):
        return super().forward(X / (1 + X.abs().max().item()))


class Noisy(Small):
    def forward(self, X):
        return super().forward(F.dropout(X, 0.3, self.training))


class NoisyOnHost(Small):
    def forward(self, X):
        noise = torch.randn(len(X), 1) + float(np.random.rand())  # noqa: NPY002
        return super().forward(X + 0.1 * noise.to(X.device))


class Unused(Small):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.unused = nn.Linear(3, 3)


class Recurrent(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.rnn, self.output = nn.GRU(1, 5, batch_first=True), nn.Linear(5, n_classes)

    def forward(self, X):
        return self.output(self.rnn(X.unsqueeze(2))[0][:, -1])


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X):
        return 2 * X

    @staticmethod
    def backward(ctx, grad):
        return grad  # Not what autograd would find.


class Custom(Small):
    def forward(self, X):
        return Doubled.apply(super().forward(X))


def averaging_norm(width):
    return nn.BatchNorm1d(width, momentum=None)


def alpha_dropout_mlp():
    module = MLP(4, 3, (8,))
    module.dropout = nn.AlphaDropout(0.3)
    return module


def assert_told_once_and_as_alone(nets, X, y, match):
    """Fit nets that cannot be fused, beside one that can."""
    other = make_net(MLP, module__hidden_sizes=(8,), random_state=9)
    nets = [*nets, other]
    alone = [clone(net) for net in nets]
    numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    with pytest.warns(UserWarning, match=match) as told:
        fit_fused(nets, [X] * len(nets), [y] * len(nets))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert all(map(np.array_equal, np.random.get_state(), numpy_before))  # noqa: NPY002
    # torch.compile may have its own to tell, of the version of Python.
    (warning,) = (warning for warning in told if warning.category is UserWarning)
    assert str(warning.message).startswith(f"{len(nets) - 1} of {len(nets)} nets could not be")
    assert warning.filename == __file__
    for one, expected in zip(nets[:-1], alone, strict=False):
        assert same_bits(one, expected.fit(X, y))
        assert one.history[:, "train_loss"] == expected.history[:, "train_loss"]
    assert_same_net(other, alone[-1].fit(X, y))


@pytest.mark.parametrize(
    ("module", "params", "match"),
    [
        (Asks, {}, r"data-dependent|\.item\(\)"),
        (Reads, {}, r"\.item\(\)|meta"),
        (Noisy, {}, "random"),
        (NoisyOnHost, {}, "random|meta|device"),
        (nn.Sequential(nn.Linear(4, 8), nn.AlphaDropout(0.2), nn.Linear(8, 3)), {}, "random"),
        (nn.Sequential(nn.Linear(4, 8), nn.RReLU(), nn.Linear(8, 3)), {}, "rrelu"),
        (alpha_dropout_mlp(), {}, r"."),
        (Unused, {}, "not have been used"),
        (Recurrent, {}, r"."),
        (Custom, {}, "autograd.Function"),
        (Normed, {"module__norm": averaging_norm}, r"\.item\(\)|meta"),
    ],
    ids=lambda thing: getattr(thing, "__name__", ""),
)
def test_a_module_that_vmap_does_not_take_is_trained_alone(iris, module, params, match):
    nets = [make_net(module, **params, random_state=i) for i in range(2)]
    assert_told_once_and_as_alone(nets, *iris, match)


class Subclass(MixupClassifier):
    pass


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"callbacks": [EpochScoring("accuracy", on_train=True)]}, "callback"),
        ({"callbacks__print_log__floatfmt": ".3f"}, "callback"),
        ({"train_split": ValidSplit(3)}, "train_split"),
        ({"verbose": 1}, "verbose"),
        ({"compile": True, "compile__backend": "eager"}, "compile"),
        ({"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 3}, "LBFGS"),
        ({"iterator_train": DataLoader}, "iterator_train"),
        ({"iterator_train__num_workers": 0}, "iterator_train"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,  # An object's address is no id.
)
def test_what_one_net_asks_for_is_not_fused(iris, params, match, capsys):
    nets = [make_net(MLP, random_state=i, max_epochs=2, **params) for i in range(2)]
    assert_told_once_and_as_alone(nets, *iris, match)
    printed = capsys.readouterr().out
    assert ("train_loss" in printed) == ("verbose" in params)


def test_subclasses_datasets_and_warm_starts_are_not_fused(iris):
    X, y = torch.tensor(iris[0], dtype=torch.float32), torch.tensor(iris[1])
    dataset = TensorDataset(X, y)
    subclass = Subclass(max_epochs=2, random_state=0, device="cpu")
    assert_told_once_and_as_alone([subclass], *iris, "Subclass may do more")
    net, other = make_net(MLP, max_epochs=2), make_net(MLP)
    with pytest.warns(UserWarning, match="1 of 2 nets .* a torch Dataset yields"):
        fit_fused([net, other], [dataset, iris[0]], [None, iris[1]])
    assert same_bits(net, clone(net).fit(dataset))
    warm, cold = (make_net(MLP, warm_start=True).fit(*iris) for _ in range(2))
    with pytest.warns(UserWarning, match="1 of 2 nets .* warm_start goes on"):
        fit_fused([warm, other], [iris[0]] * 2, [iris[1]] * 2)
    assert same_bits(warm, cold.fit(*iris))
    # The first fit of a net with warm_start begins anew.
    assert fit_fused([clone(warm)], [iris[0]], [iris[1]])[0].initialized_


def test_all_reasons_are_in_one_warning(iris):
    params = [{"verbose": 1, "callbacks__print_log": None}, {"train_split": ValidSplit(3)}]
    nets = [make_net(MLP, **more) for more in (*params, *params)] + [make_net(Asks)]
    with pytest.warns(UserWarning, match="could not be fused") as told:
        fit_fused(nets, [iris[0]] * 5, [iris[1]] * 5)
    (warning,) = told
    message = str(warning.message)
    assert message.startswith("3 of 5 nets")
    assert message.count("train_split") == 1
    assert "RuntimeError: " in message
    assert "verbose" not in message


# -- what stacks must not take for one, or forget -------------------------------------------------


def scaled_mlp(scale):
    class Scaled(Small):
        def forward(self, X):
            return super().forward(scale * X)

    return Scaled


class Attribute(Small):
    """Uses an attribute that is no buffer."""

    def __init__(self, n_features, n_classes, value):
        super().__init__(n_features, n_classes)
        self.value = value

    def forward(self, X):
        return super().forward(X * (self.value[500] if self.value.ndim else self.value))


class Counts(Small):
    """Does something else at each call."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.n_calls = 0

    def forward(self, X):
        self.n_calls += self.training
        return super().forward(X) * (1 + self.n_calls)


class KeepsMode(Small):
    """Keeps its dropout from dropping, as one does with a part that is not to be tuned."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.dropout = nn.Dropout()

    def train(self, mode=True):
        super().train(mode)
        self.dropout.eval()
        return self

    def forward(self, X):
        return self.output(self.dropout(torch.relu(self.hidden(X))))


class Clipped(Small):
    """Clips a gradient where it arises."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.output.weight.register_hook(lambda grad: grad.clamp(-1e-3, 1e-3))


class InPlace(nn.Module):
    """Goes on with an input that its dropout wrote to."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.hidden, self.output = nn.Linear(n_features, 8), nn.Linear(8, n_classes)
        self.dropout = nn.Dropout(0.0, inplace=True)

    def forward(self, X):
        X = self.hidden(X)
        self.dropout(X)
        return self.output(torch.relu(X))


class Uncopied(Small):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.lock = threading.Lock()


@pytest.mark.filterwarnings("ignore:.*could not be fused")
def test_dropout_in_place_drops(iris):
    wet, dry = (make_net(InPlace, dropout=dropout) for dropout in (0.5, 0.0))
    assert largest_difference(*fit_fused([wet, dry], [iris[0]] * 2, [iris[1]] * 2)) > 1e-3


def hooked_mlp():
    module = MLP(4, 3, (8,)).double()
    module.hidden[0].register_forward_hook(lambda layer, args, output: 0.1 * output)
    return module


def one_long_array(value):
    array = np.ones(2000)
    array[500] = value
    return array


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize(
    "nets",
    [
        [make_net(scaled_mlp(scale)) for scale in (1, 0.1)],
        [make_net(Attribute, module__value=torch.tensor(v)) for v in (0.00114, 0.00106)],
        [make_net(Attribute, module__value=torch.tensor(v).bfloat16()) for v in (1.0, 0.1)],
        [make_net(Attribute, module__value=one_long_array(v)) for v in (1.0, 0.1)],
        [make_net(Counts, random_state=i) for i in range(3)],
        [make_net(KeepsMode, random_state=i) for i in range(2)],
        [make_net(Clipped, random_state=i) for i in range(2)],
        [make_net(hooked_mlp(), random_state=i) for i in range(2)],
        [make_net(Uncopied, random_state=i) for i in range(2)],
    ],
    ids=[
        "classes of one name",
        "numbers that print alike",
        "numbers of half precision",
        "arrays that print alike",
        "Counts",
        "KeepsMode",
        "Clipped",
        "hooked",
        "Uncopied",
    ],
)
def test_modules_that_python_changes_train_as_alone(iris, nets):
    # Fused or not; float64 tells numbers apart that differ little.
    for one, other in fit_both(nets, make_folds(*iris, 150, 120, 97)[: len(nets)]):
        assert_same_net(one, other)
        assert getattr(one.module_, "n_calls", 0) == getattr(other.module_, "n_calls", 0)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
def test_a_module_that_vmap_does_not_take_leaves_those_of_other_stacks_fused(iris, monkeypatch):
    fitted, fit = [], Group.fit
    monkeypatch.setattr(Group, "fit", lambda group, *told: fitted.append(fit(group, *told)))
    nets = [make_net(Asks), make_net(MLP), make_net(MLP, random_state=1)]
    fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3)
    assert len(fitted) == 1
    assert all(net.initialized_ for net in nets)
