"""Pictures reach a network in the order of memory that it is fastest on, with the same results."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

import sklearn_mixup._engine.capture as capture
import sklearn_mixup._net.channels_last as channels_last
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.modules import DenseNetBC, PreActResNet18, WideResNet

LAST = torch.channels_last
pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="convolutions here have one order alone"
)


def is_last(rows):
    """Whether layers take pictures for channels-last: those of one channel are so by strides."""
    return rows.stride(1) == 1 and rows.is_contiguous(memory_format=LAST)


class Noted(nn.Module):
    """A network that notes the order of the pictures that it gets, and of its own maps."""

    def __init__(self, n_classes, n_channels=1):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(n_channels, 4, 3), nn.BatchNorm2d(4)
        self.output = nn.Linear(4, n_classes)
        self.seen = set()
        self.n_calls = 0

    def forward(self, X):
        maps = self.norm(self.convolution(X)).relu()
        self.seen.add((is_last(X), is_last(maps)))
        self.n_calls += 1
        return self.flatten(maps)

    def flatten(self, maps):
        return self.output(maps.mean((2, 3)))


class Viewed(Noted):
    """What many a tutorial does, and maps in that order do not take."""

    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.output = nn.Linear(4 * 36, n_classes)

    def flatten(self, maps):
        return self.output(maps.view(len(maps), -1))


class ReadsMemory(Viewed):
    """A network that takes its maps as they lie in memory, whatever they are."""

    def flatten(self, maps):
        return self.output(maps.as_strided((len(maps), 144), (144, 1)))


class _Viewing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps):
        return maps + 0

    @staticmethod
    def backward(ctx, grad):
        return grad.contiguous(memory_format=LAST).view(len(grad), -1).view(grad.shape)


class ViewedBackward(Viewed):
    """A network whose gradient is what maps in that order do not take."""

    def flatten(self, maps):
        if is_last(maps):
            maps = _Viewing.apply(maps)
        return self.output(maps.flatten(1))


class Watch(Callback):
    """Ask for each minibatch."""

    def on_batch_end(self, net, **kwargs):
        """Look on."""


def make_net(module=Noted, **params):
    small = {"max_epochs": 2, "batch_size": 40, "random_state": 0, "device": "cpu"}
    return MixupClassifier(module, **{**small, **params})


@pytest.fixture(scope="module")
def pictures(digits):
    """200 digits of 8 x 8 pixels, one channel."""
    return digits[0][:200, None], digits[1][:200]


ROADS = {
    "eager": {},
    "without mixing": {"alpha": 0},
    "watched": {"callbacks": [Watch()]},
    "early stopping": {"early_stopping": True},
    "augmented": {"iterator_train__augment": crop_and_flip},
    "bfloat16": {"precision": "bfloat16"},
    "a loader": {"iterator_train__num_workers": 0, "iterator_valid__num_workers": 0},
}


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("road", ROADS)
def test_a_network_gets_pictures_channels_last(road, n_channels, pictures):
    X, y = np.repeat(pictures[0], n_channels, axis=1), pictures[1]
    net = make_net(module__n_channels=n_channels, **ROADS[road]).fit(X, y)
    assert net.module_.seen == {(True, True)}
    net.module_.seen.clear()
    net.predict(X[:7])
    assert net.module_.seen == {(True, True)}


def test_pictures_of_a_dataset_come_channels_last_too(pictures):
    X, y = map(torch.tensor, pictures)
    net = make_net(classes=range(10), module__n_classes=10).fit(TensorDataset(X, y))
    assert net.module_.seen == {(True, True)}


def test_recorded_steps_get_pictures_channels_last(pictures, monkeypatch):
    def record(step, device):
        return lambda: replayed.append(step())

    monkeypatch.setitem(capture.RECORDERS, "cpu", record)
    monkeypatch.setattr(capture, "FEWEST", 4)

    class Quiet(Noted):  # What a step changes on the host keeps it from being recorded.
        def forward(self, X):
            if len(X) == 40:  # not the rows that the order is tried with
                seen.append(is_last(X))
            return self.flatten(self.convolution(X).relu())

    seen, replayed = [], []
    make_net(Quiet, optimizer__fused=True).fit(*pictures)
    assert len(replayed) == 9
    assert set(seen) == {True}


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (PreActResNet18, {"width": 4, "n_blocks": (1, 1), "n_channels": 1}),
        (WideResNet, {"depth": 10, "widen_factor": 1, "n_channels": 1}),
        (DenseNetBC, {"depth": 10, "growth_rate": 4, "n_channels": 1}),
        (Noted, {}),
    ],
)
def test_results_are_those_of_the_other_order(module, params, pictures, monkeypatch):
    X, y = pictures
    net = make_net(module, **{f"module__{key}": value for key, value in params.items()})
    other = clone(net)
    net.fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_mixup._net.vicinal_net.arrange", lambda module, X, half: X)
        other.fit(X, y)
        expected = other.predict_proba(X)
    assert not np.array_equal(net.loss_curve_, other.loss_curve_)  # another way to round
    np.testing.assert_allclose(net.loss_curve_, other.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=5e-3)


@pytest.mark.parametrize("module", [Viewed, ReadsMemory, ViewedBackward])
def test_a_module_that_does_not_take_it_gets_pictures_as_they_are(module, pictures, monkeypatch):
    X, y = pictures
    net = make_net(module).fit(X, y)
    assert net.module_.seen == {(False, False)}
    other = clone(net)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_mixup._net.vicinal_net.arrange", lambda module, X, half: X)
        other.fit(X, y)
        expected = other.predict_proba(X)
    np.testing.assert_array_equal(net.predict_proba(X), expected)


def test_trying_it_out_leaves_the_module_and_the_generators_alone(pictures, monkeypatch):
    X, y = pictures
    hooked = []

    class Hooked(Noted):
        def __init__(self, n_classes):
            super().__init__(n_classes)
            self.dropout = nn.Dropout(0.5)
            self.dropout.register_forward_hook(lambda *args: hooked.append(1))

        def flatten(self, maps):
            return self.output(self.dropout(maps.mean((2, 3))))

    net = make_net(Hooked).fit(X, y)
    assert net.module_.n_calls == net.module_.norm.num_batches_tracked == 10
    assert len(hooked) == 10
    other = make_net(Hooked)
    monkeypatch.setattr(channels_last, "_try_by_pixel", lambda *args: True)
    other.fit(X, y)
    for one, two in zip(net.module_.parameters(), other.module_.parameters(), strict=True):
        assert torch.equal(one, two)


def test_weights_and_pickles_have_the_order_that_they_had(pictures, tmp_path):
    pytest.importorskip("safetensors")
    net = make_net(module__n_channels=3).fit(np.repeat(pictures[0], 3, axis=1), pictures[1])
    X = np.repeat(pictures[0], 3, axis=1)
    assert all(parameter.is_contiguous() for parameter in net.module_.parameters())
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    # safetensors refuses any other order.
    net.save_params(f_params=tmp_path / "weights.safetensors", use_safetensors=True)
    fresh = make_net(module__n_channels=3, module__n_classes=10).initialize()
    fresh.load_params(f_params=tmp_path / "weights.safetensors", use_safetensors=True)
    np.testing.assert_allclose(fresh.forward(X[:5]), net.forward(X[:5]))
    assert (True, True) in fresh.module_.seen


def test_pictures_in_a_dict_beside_other_inputs(pictures):
    class Both(Noted):
        def forward(self, picture, row):
            return super().forward(picture) + row.sum(1, keepdim=True)

    X, y = pictures
    net = make_net(Both).fit({"picture": X, "row": X[:, 0, 0]}, y)
    assert net.module_.seen == {(True, True)}


def test_rows_that_gain_nothing_are_left_as_they_are(pictures):
    X, y = pictures
    assert make_net(lambda n_classes: Noted(n_classes).double()).fit(X, y).module_.seen == {
        (False, False)
    }

    class Flat(nn.Module):
        def __init__(self, n_classes):
            super().__init__()
            self.output, self.seen = nn.Linear(64, n_classes), set()

        def forward(self, X):
            self.seen.add(is_last(X))
            return self.output(X.flatten(1))

    assert make_net(Flat).fit(X, y).module_.seen == {False}


@pytest.mark.parametrize(("half", "expected"), [(None, False), (torch.bfloat16, True)])
def test_on_a_gpu_lower_precision_gains_by_it(half, expected):
    part = SimpleNamespace(ndim=4, dtype=torch.float32, is_cpu=False, is_cuda=True)
    assert channels_last._is_faster_by_pixel(part, half) == expected


def test_an_ensemble_of_networks_for_pictures_predicts_as_each_of_them(pictures):
    class Plain(Noted):
        def forward(self, X):
            return self.flatten(self.norm(self.convolution(X)).relu())

    X, y = pictures
    bag = FusedBaggingClassifier(make_net(Plain), n_estimators=2, random_state=0).fit(X, y)
    each = [net.predict_proba(X) for net in bag.estimators_]
    np.testing.assert_allclose(bag.predict_proba(X), np.mean(each, axis=0), atol=1e-6)
