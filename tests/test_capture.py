"""What is claimed of steps that are recorded and replayed: they do what steps one by one do.

No recorder is needed for it but an eager twin, which a test puts in the place of a CUDA graph.
"""

import math
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring
from torch import nn

import sklearn_mixup._engine.capture as capture
from sklearn_mixup import MixupClassifier, MixupRegressor, fit_fused
from sklearn_mixup._engine.capture import ChunkedSteps, RepeatedStep
from sklearn_mixup._net.precision import can_compute
from sklearn_mixup.minibatches import list_tensors
from sklearn_mixup.modules import Discriminator
from tests.recording import HostReads
from tests.rounding import ROUNDING
from tests.small_gans import make_rows, quick, same_bits, weights
from tests.test_fused import LENGTHS, VARIED, assert_same_net, make_folds, make_net, make_weights

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def repeated():
    """Collect the steps that are repeated while a test runs."""
    return []


@pytest.fixture
def twin(monkeypatch, repeated):
    """Let an eager twin take the place of a graph; whatever is not loaded anew becomes NaN."""
    load, make = ChunkedSteps.load, RepeatedStep.__init__

    def poison_and_load(self, chunk):
        for room in list_tensors(() if self.chunk is None else self.chunk):
            room.fill_(math.nan if room.is_floating_point() else 0)
        load(self, chunk)

    def make_noted(self, *args, **kwargs):
        make(self, *args, **kwargs)
        repeated.append(self)

    monkeypatch.setattr(ChunkedSteps, "load", poison_and_load)
    monkeypatch.setattr(RepeatedStep, "__init__", make_noted)
    monkeypatch.setitem(capture.RECORDERS, "cpu", lambda step, device: step)


class Squared(nn.Module):
    """A loss of the user's own, whose targets are others in epochs that do not mix."""

    reduction = "mean"

    def forward(self, logits, y):
        losses = (logits.softmax(1) - nn.functional.one_hot(y, logits.shape[1])).square().sum(1)
        return losses.mean() if self.reduction == "mean" else losses


SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__fused": True}
MANY = {"batch_size": 8, "max_epochs": 5}
EARLY = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 2}


def fit_twice(monkeypatch, nets, folds, **options):
    """Fit nets by repeated steps, and copies of them by steps one by one."""
    others = [clone(net) for net in nets]
    fit_fused(nets, *zip(*folds, strict=True), **options)
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cpu")
        fit_fused(others, *zip(*folds, strict=True), **options)
    return list(zip(nets, others, strict=True))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout": 0.3},
        SGD,
        {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
        {"criterion__label_smoothing": 0.1, "dropout": 0.3},
        {"criterion": Squared, "erm_epochs": 2},
        {"pairs": "nearest", "vicinity": "input", "erm_weight": 0.3},
        {"mix_at": ["input", "hidden.0"], "lam_per": "sample"},
        EARLY,
    ],
    ids=lambda params: ", ".join(params),
)
def test_nets_end_as_by_steps_one_by_one(iris, params, twin, repeated, monkeypatch):
    # Rows can be set aside where each class has some.
    folds = make_folds(*iris, *((150, 140, 133, 150) if params is EARLY else LENGTHS))
    weights = None if "criterion" in params else make_weights(folds)
    varied = VARIED if "optimizer" not in params and params is not EARLY else VARIED[:4]
    nets = [make_net(**{**MANY, **net, **params}) for net in varied]
    for pair in fit_twice(
        monkeypatch, nets, folds[: len(nets)], sample_weights=weights and weights[: len(nets)]
    ):
        assert_same_net(*pair)
    assert repeated
    assert all(step.why_eager is None for step in repeated)


LOSSES = [{"criterion": name} for name in ("squared_error", "absolute_error", "huber", "quantile")]


@pytest.mark.parametrize(
    "params",
    [*LOSSES, {"criterion": nn.SmoothL1Loss}, {"lam_per": "sample"}],
    ids=lambda params: " ".join(map(str, params.values())),
)
@pytest.mark.parametrize("weighed", [False, True])
def test_regressors_end_as_by_steps_one_by_one(iris, params, weighed, twin, repeated, monkeypatch):
    X, y = iris[0][:148, :2], iris[0][:148, 2:]
    weight = np.random.default_rng(0).uniform(0.1, 3, 148) if weighed else None
    nets = [
        MixupRegressor(**{**MANY, "hidden_sizes": (8,), "random_state": i, **params})
        for i in range(3)
    ]
    weights = [weight] * 3
    for pair in fit_twice(monkeypatch, nets, [(X, y)] * 3, sample_weights=weights):
        assert_same_net(*pair)
    alone, other = clone(nets[0]), clone(nets[0])
    alone.fit(X, y, sample_weight=weight)
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cpu")
        other.fit(X, y, sample_weight=weight)
    assert_same_net(alone, other)
    assert any(step.is_trusted for step in repeated)
    assert all(step.why_eager is None for step in repeated)


class Normed(nn.Module):
    """Batch normalisation, whose running statistics a step changes too."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features)
        self.output = nn.Linear(n_features, n_classes)

    def forward(self, X):
        return self.output(self.norm(X))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 0, "callbacks__lr_decay": None},
        {"lam_per": "sample", "iterator_train__chunk_bytes": 4000},
        {"module": Normed, "batch_size": 7},  # a single row is left, and joins the last minibatch
        {"criterion": Squared, "erm_epochs": 2},
        {"pairs": "same_class", "vicinity": "input", "lam_per": "sample"},
        {"mix_at": ["input", "hidden.0"], "erm_weight": 0.3},
        {"class_weight": {0: 1.0, 1: 0.5, 2: 2.0}, **SGD},
        {"callbacks": [("score", EpochScoring("accuracy", on_train=True))]},
        EARLY,
    ],
    ids=lambda params: ", ".join(params),
)
def test_a_fit_ends_as_by_steps_one_by_one(iris, params, twin, repeated, monkeypatch):
    X, y = (part[:148] for part in iris)
    common = {"random_state": 0, "device": "cpu", **MANY}
    net = MixupClassifier(**{**common, **params})
    other = clone(net)
    net.fit(X, y).partial_fit(X, y)
    assert repeated
    assert any(step.is_trusted for step in repeated)
    assert all(step.why_eager is None for step in repeated)
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cpu")
        other.fit(X, y).partial_fit(X, y)
    assert_same_net(net, other)


@pytest.mark.parametrize("optimizer", [{}, SGD], ids=["Adam", "SGD"])
@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_a_fit_in_half_ends_as_by_steps_one_by_one(
    iris, half, optimizer, twin, repeated, monkeypatch
):
    if half == "float16" and not can_compute(torch.float16, torch.device("cpu")):
        pytest.skip("this version of torch does not train in float16 on a CPU")
    torch.set_default_dtype(torch.float32)
    net = MixupClassifier(Normed, precision=half, random_state=0, device="cpu", **MANY, **optimizer)
    other, plain = clone(net), clone(net).set_params(precision="float32")
    net.fit(*iris)
    assert [step.why_eager for step in repeated] == [None]
    assert repeated[0].is_trusted
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cpu")
        other.fit(*iris)
        plain.fit(*iris)
    for name, tensor in net.module_.state_dict().items():
        assert torch.equal(tensor, other.module_.state_dict()[name])
    assert not torch.equal(net.module_.output.weight, plain.module_.output.weight)
    assert getattr(net, "_scale_", None) == getattr(other, "_scale_", None)


def test_a_fit_whose_steps_cannot_be_recorded_goes_on_eagerly(iris, twin, monkeypatch, caplog):
    def fail(step, device):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setitem(capture.RECORDERS, "cpu", fail)
    net = MixupClassifier(random_state=0, device="cpu", **MANY)
    other = clone(net)
    with caplog.at_level("INFO", logger="sklearn_mixup"):
        net.fit(*iris)
    assert "operation not permitted when stream is capturing" in caplog.text
    monkeypatch.delitem(capture.RECORDERS, "cpu")
    assert_same_net(net, other.fit(*iris))


def test_a_recorded_step_that_does_something_else_is_found_out(iris, twin, repeated, monkeypatch):
    def forget_the_last_step(step, device):
        calls = []
        return lambda: calls.append(None) if calls else calls.append(step())

    monkeypatch.setitem(capture.RECORDERS, "cpu", forget_the_last_step)
    for pair in fit_twice(monkeypatch, [make_net(**MANY, dropout=0.2)] * 1, [iris]):
        assert_same_net(*pair)
    assert {step.why_eager for step in repeated} == {
        "a recorded step did not do what the same step does"
    }


def test_a_step_that_cannot_be_recorded_is_taken_eagerly(iris, twin, repeated, monkeypatch):
    def fail_after_a_step(step, device):
        step()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setitem(capture.RECORDERS, "cpu", fail_after_a_step)
    for pair in fit_twice(monkeypatch, [make_net(**MANY)], [iris]):
        assert_same_net(*pair)
    (why,) = {step.why_eager for step in repeated}
    assert re.search("recording a step failed: RuntimeError: operation not permitted", why)


@pytest.mark.parametrize("scale", [1 + 1e-2, 1 + 1e-12])
def test_only_rounding_may_differ(scale, monkeypatch):
    """A step whose change is off by 1 % is another one; off by 1e-12 it is the same."""
    x = torch.ones(1000)

    def step():
        x.add_(1e-3)

    monkeypatch.setitem(capture.RECORDERS, "cpu", lambda step, device: lambda: x.add_(1e-3 * scale))
    repeated = RepeatedStep(step, lambda: [x], x.device)
    repeated.take(4)
    assert (repeated.why_eager is None) == (scale < 1 + 1e-3)
    torch.testing.assert_close(x, torch.full_like(x, 1.004), rtol=1e-12, atol=0)


def test_random_numbers_of_a_module_go_on_where_eager_steps_left_them(monkeypatch):
    def draw_ten(record):
        torch.manual_seed(0)
        place, drawn = torch.zeros(1, dtype=torch.int64), torch.zeros(10)

        def step():
            drawn.index_copy_(0, place, torch.rand(1))
            place.add_(1)

        monkeypatch.setitem(capture.RECORDERS, "cpu", record)
        RepeatedStep(step, lambda: [place, drawn], place.device).take(10)
        return drawn

    def fail(step, device):
        raise RuntimeError

    torch.manual_seed(0)
    expected = torch.rand(10)
    with torch.random.fork_rng():
        for record in (lambda step, device: step, fail):
            torch.testing.assert_close(draw_ten(record), expected, rtol=0, atol=0)


@pytest.mark.parametrize("max_epochs", [7, 8])
def test_only_what_has_32_steps_is_recorded(iris, twin, repeated, max_epochs):
    # Of four full minibatches each.
    fit_fused([make_net(max_epochs=max_epochs)], *[[part] for part in iris])
    assert len(repeated) == (max_epochs == 8)


def test_a_fit_whose_callbacks_act_is_not_recorded_anew_for_a_few_steps(iris, twin, repeated):
    class Acts(Callback):
        pass

    net = make_net(max_epochs=8, callbacks=[("acts", Acts())])
    net.fit(*iris)  # four full minibatches an epoch, each epoch with steps of its own
    assert len(repeated) == 8
    assert not any(step.is_trusted for step in repeated)


def test_losses_of_another_dtype_than_the_default_are_kept(iris, twin, repeated):
    net = MixupClassifier(
        partial(nn.Linear, dtype=torch.float32),
        module__in_features=4,
        module__out_features=3,
        device="cpu",
        **MANY,
    )
    net.fit(*iris)  # where the default is float64
    assert any(step.is_trusted for step in repeated)


@pytest.mark.parametrize("params", [{}, {"lam_per": "sample", "dropout": 0.3}], ids=str)
def test_nothing_is_read_from_the_device_per_replay(iris, params, twin):
    counts = []
    for batch_size in (3, 10):
        nets = [make_net(batch_size=batch_size, max_epochs=4, **params) for _ in range(3)]
        with HostReads() as reads:
            fit_fused(nets, *[[part] * 3 for part in iris])
        counts.append(reads.count)
    assert counts[0] == counts[1]


def rows_by_class(params):
    """Give a GAN's rows: a table with words, and their classes, if it encodes."""
    X = make_rows().astype(float)
    if not params.get("encode"):
        return X, None
    table = pd.DataFrame({"x": X[:, 0], "word": np.where(X[:, 1] > -1, "up", "down"), "gap": None})
    table.loc[::5, "gap"] = 2.5
    return table, (X[:, 0] > 1).astype(int)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 0, "average": 0.9},
        {"lam_per": "sample", "callbacks__lr_decay": None},
        {"encode": True, "average": 0.9},
    ],
)
def test_iterations_of_a_gan_end_as_one_by_one(params, twin, repeated, monkeypatch):
    data = rows_by_class(params)
    gan = quick(max_iter=48, iter_per_epoch=8, device="cpu", **params)
    other = clone(gan)
    gan.fit(*data)
    assert [(step.is_trusted, step.why_eager) for step in repeated] == [(True, None)]
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cpu")
        other.fit(*data)
    for one, expected in zip(weights(gan), weights(other), strict=True):
        np.testing.assert_allclose(one, expected, rtol=ROUNDING, atol=ROUNDING)
    losses = [name for name in gan.history[0] if name.endswith("_loss")]
    np.testing.assert_allclose(gan.history[:, losses], other.history[:, losses], rtol=ROUNDING)
    assert gan.n_iter_ == other.n_iter_ == 48
    for part in ("generator", "discriminator"):
        groups = [getattr(net, f"optimizer_{part}_").param_groups for net in (gan, other)]
        for one, expected in zip(*groups, strict=True):
            assert one["lr"] == expected["lr"]
            assert one["capturable"] == expected["capturable"]


def test_a_module_that_counts_its_calls_is_not_replayed(twin, repeated):
    class Counts(Discriminator):
        n_calls = 0

        def forward(self, X):
            self.n_calls += 1
            return super().forward(X)

    quick(discriminator=Counts, max_iter=40, device="cpu").fit(make_rows())
    assert repeated[0].why_eager == "a step changes something that the host keeps"


# -- CUDA -----------------------------------------------------------------------------------------


@pytest.fixture
def noted(monkeypatch):
    """Collect the steps that are repeated, wherever they are."""
    made = []
    make = RepeatedStep.__init__

    def make_noted(self, *args, **kwargs):
        make(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(RepeatedStep, "__init__", make_noted)
    return made


class Deep(nn.Module):
    """What vmap takes, with layers that the written-out gradient has not."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.input, self.norm = nn.Linear(n_features, 16), nn.LayerNorm(16)
        self.dropout, self.output = nn.Dropout(0.2), nn.Linear(16, n_classes)

    def forward(self, X):
        return self.output(self.dropout(nn.functional.gelu(self.norm(self.input(X)))))


@pytest.mark.cuda
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout": 0.3},
        SGD,
        {"criterion__label_smoothing": 0.1, "dropout": 0.3},
        {"module": Deep, "dropout": 0.3},
        EARLY,
    ],
    ids=str,
)
def test_cuda_graphs_do_what_steps_one_by_one_do(iris, params, noted, monkeypatch):
    varied = [{"alpha": 0}, {"alpha": 0.2, "random_state": 1}, {"alpha": 1, "lam_per": "sample"}]
    common = {"device": "cuda", "random_state": 0, **MANY, **params}
    nets = [MixupClassifier(**{**common, **net}) for net in varied]
    others = [clone(net) for net in nets]
    folds = list(zip(*make_folds(*iris, 150, 140, 150), strict=True))
    fit_fused(nets, *folds)
    # Of those with too few steps none is recorded.
    assert {step.why_eager for step in noted} == {None}
    assert any(step.is_trusted for step in noted)
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cuda")
        fit_fused(others, *folds)
    for pair in zip(nets, others, strict=True):
        assert_same_net(*pair)
    again = [clone(net) for net in nets]
    fit_fused(again, *folds)
    for one, other in zip(nets, again, strict=True):
        for name, tensor in one.module_.state_dict().items():
            assert torch.equal(tensor, other.module_.state_dict()[name])


@pytest.mark.cuda
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 0, "dropout": 0.3},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
        {"module": Normed, "batch_size": 7},
        {"module": Deep, "criterion__label_smoothing": 0.1},
        {"lam_per": "sample", "class_weight": "balanced"},
    ],
    ids=str,
)
def test_cuda_graphs_of_a_fit_do_what_steps_one_by_one_do(iris, params, noted, monkeypatch):
    """In float32, as on a GPU: after an epoch of 18 steps, which differ by rounding at most."""
    torch.set_default_dtype(torch.float32)
    monkeypatch.setattr(capture, "FEWEST", 4)
    net = MixupClassifier(
        **{"random_state": 0, "device": "cuda", **MANY, "max_epochs": 1, **params}
    )
    others = clone(net), clone(net)
    net.fit(*iris)
    assert [step.why_eager for step in noted] == [None]
    assert noted[0].is_trusted
    others[0].fit(*iris)
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cuda")
        others[1].fit(*iris)
    for name, tensor in net.module_.state_dict().items():
        assert torch.equal(tensor, others[0].module_.state_dict()[name])
        # A rounding error of a gradient near zero is as large a step of Adam as any other.
        expected = others[1].module_.state_dict()[name]
        assert (tensor - expected).double().norm() <= 1e-2 * (expected.double().norm() + 1)


@pytest.mark.cuda
def test_cuda_steps_that_look_at_the_host_go_on_eagerly(iris, noted):
    class Looks(nn.Linear):
        def forward(self, X):
            return super().forward(X) * (1.0 if float(X.abs().sum()) >= 0 else 0.0)

    torch.set_default_dtype(torch.float32)
    shape = {"module__in_features": 4, "module__out_features": 3}
    net = MixupClassifier(Looks, device="cuda", random_state=0, **shape, **MANY).fit(*iris)
    assert "recording a step failed" in noted[0].why_eager
    assert np.isfinite(net.predict_proba(iris[0])).all()
    expected = net.set_params(module=nn.Linear).fit(*iris).predict_proba(iris[0])
    net.set_params(module=Looks).fit(*iris)
    np.testing.assert_allclose(net.predict_proba(iris[0]), expected, rtol=0, atol=1e-3)


@pytest.mark.cuda
@pytest.mark.parametrize(
    "params", [{}, {"alpha": 0, "discriminator__dropout": 0.2}, {"encode": True}]
)
def test_cuda_graphs_of_a_gan_do_what_iterations_one_by_one_do(params, noted, monkeypatch):
    torch.set_default_dtype(torch.float32)
    data = rows_by_class(params)
    gan = quick(max_iter=48, iter_per_epoch=8, device="cuda", **params)
    others = clone(gan), clone(gan)
    gan.fit(*data)
    assert [step.why_eager for step in noted] == [None]
    assert noted[0].is_trusted
    others[0].fit(*data)
    assert same_bits(gan, others[0])
    with monkeypatch.context() as patch:
        patch.delitem(capture.RECORDERS, "cuda")
        others[1].fit(*data)
    # 48 iterations in float32, each rounded otherwise.
    for one, expected in zip(weights(gan), weights(others[1]), strict=True):
        assert (one - expected).abs().max() <= 0.05 * expected.abs().max()
