"""A module that computes in bfloat16 or float16: on each road, with its loss in float32."""

import copy
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring, GradientNormClipping
from torch import nn

import sklearn_mixup._net.precision as precision
from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    MixupClassifier,
    MixupGAN,
    MixupRegressor,
    TabularMixupClassifier,
    fit_fused,
)
from sklearn_mixup._net.precision import can_compute, find_half
from sklearn_mixup._net.targets import log_coefficient_loss
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.modules import MLP

HALVES = ["bfloat16", "float16"]
needs_float16 = pytest.mark.skipif(
    not can_compute(torch.float16, torch.device("cpu")),
    reason="this version of torch does not train in float16 on a CPU",
)
each_half = pytest.mark.parametrize(
    "half", ["bfloat16", pytest.param("float16", marks=needs_float16)]
)


class Convolved(nn.Module):
    """A small network for pictures of 8 x 8, which notes in what precision its layers compute."""

    def __init__(self, n_classes):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.output = nn.Linear(4 * 36, n_classes)
        self.seen = []

    def forward(self, X):
        maps = self.norm(self.convolution(X)).relu()
        output = self.output(maps.flatten(1))
        self.seen.append((X.dtype, output.dtype))
        return output


class Loss(nn.CrossEntropyLoss):
    """A criterion that notes in what precision logits reach it."""

    seen = ()

    def forward(self, logits, y):
        self.seen = (*self.seen, logits.dtype)
        return super().forward(logits, y)


class Watch(Callback):
    """Ask for each minibatch."""

    def on_batch_end(self, net, **kwargs):
        """Look on."""


@pytest.fixture(scope="module")
def pictures(digits):
    """200 digits of 8 x 8 pixels, one channel."""
    return digits[0][:200, None], digits[1][:200]


def make_net(module=Convolved, **params):
    small = {"max_epochs": 2, "batch_size": 40, "random_state": 0, "device": "cpu"}
    return MixupClassifier(module, **{**small, **params})


def assert_same_net(one, other, tolerance=0):
    for name, tensor in one.module_.state_dict().items():
        torch.testing.assert_close(
            tensor, other.module_.state_dict()[name], rtol=tolerance, atol=tolerance
        )


def dtype_of(half):
    return getattr(torch, half)


# -- what is computed in which precision ----------------------------------------------------------


@each_half
def test_layers_compute_in_half_and_the_loss_in_float32(half, pictures):
    net = make_net(precision=half, criterion=Loss).fit(*pictures)
    assert net.slow_because_ is None
    assert set(net.module_.seen) == {(torch.float32, dtype_of(half))}
    assert set(net.criterion_.seen) == {torch.float32}
    assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
    assert net.predict_proba(pictures[0]).dtype == np.float32


@each_half
def test_half_learns_about_what_float32_learns(half, pictures):
    nets = [make_net(precision=kind, max_epochs=8).fit(*pictures) for kind in ("float32", half)]
    expected, found = (net.predict_proba(pictures[0]) for net in nets)
    assert not np.array_equal(found, expected)
    assert np.abs(found - expected).mean() < 0.02
    np.testing.assert_allclose(nets[1].loss_curve_, nets[0].loss_curve_, rtol=0.05)


@each_half
def test_prediction_and_validation_are_in_half_too(half, pictures):
    X, y = pictures
    net = make_net(precision=half, early_stopping=True).fit(X, y)
    net.module_.seen.clear()
    proba = net.predict_proba(X)
    assert set(net.module_.seen) == {(torch.float32, dtype_of(half))}
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
    assert all(map(np.isfinite, net.history[:, "valid_loss"]))
    # In float32 it would not be the same.
    expected = clone(net).set_params(precision="float32").fit(X, y).history[:, "valid_loss"]
    assert net.history[:, "valid_loss"] != expected
    np.testing.assert_allclose(net.history[:, "valid_loss"], expected, rtol=0.1)


class Hidden(Convolved):
    """A network that casts its output itself, whatever is asked for."""

    cast, form = torch.float16, "tensor"

    def forward(self, X):
        output = super().forward(X).to(self.cast)
        return (output, {"maps": X}) if self.form == "tuple" else output


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
@pytest.mark.parametrize("cast", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["tensor", "tuple"])
def test_logits_reach_the_loss_in_float32_whatever_forward_does(
    asked, cast, form, pictures, monkeypatch
):
    def note(logits, targets):
        seen.add(logits.dtype)
        return log_coefficient_loss(logits, targets)

    X, y = pictures
    seen = set()
    monkeypatch.setattr("sklearn_mixup._net.vicinal_net.log_coefficient_loss", note)
    kind = type("Casts", (Hidden,), {"cast": cast, "form": form})
    net = make_net(lambda n_classes: kind(n_classes), precision=asked).fit(X, y)
    assert seen == {torch.float32}
    assert net.predict_proba(X).dtype == np.float32
    assert net.score(X, y) > 0.15


def test_a_dict_is_refused_in_any_precision(pictures):
    class Dict(Convolved):
        def forward(self, X):
            return {"logits": super().forward(X)}

    for asked in ("float32", "bfloat16"):
        with pytest.raises(ValueError, match="a dict with keys 'logits'"):
            make_net(Dict, precision=asked).fit(*pictures)


# -- which precision that is ----------------------------------------------------------------------


def test_the_default_and_auto_are_float32_on_a_cpu(pictures):
    nets = [make_net(**params).fit(*pictures) for params in ({}, {"precision": "auto"})]
    assert set(nets[1].module_.seen) == {(torch.float32, torch.float32)}
    assert_same_net(*nets)


@pytest.mark.parametrize(
    ("module", "has_it", "expected"),
    [
        (Convolved(3), True, torch.bfloat16),
        (Convolved(3), False, None),
        (MLP(4, 3), True, None),
        (Convolved(3).double(), True, None),
    ],
)
def test_auto_is_bfloat16_for_convolutions_on_a_gpu_that_has_it(
    module, has_it, expected, monkeypatch
):
    monkeypatch.setattr(precision, "can_compute", lambda half, device: has_it)
    dtype = next(module.parameters()).dtype
    net = SimpleNamespace(
        precision="auto", device="cuda", module_=module, _module_dtype=lambda: dtype
    )
    assert find_half(net) == expected


@pytest.mark.parametrize("half", HALVES)
def test_a_device_without_it_is_told_in_fit_and_in_predict(half, pictures, monkeypatch):
    net = make_net().fit(*pictures).set_params(precision=half)
    monkeypatch.setattr(precision, "can_compute", lambda half, device: False)
    message = f"'cpu' has no {half}. Use 'float32', or 'auto'"
    with pytest.raises(ValueError, match=message):
        make_net(precision=half).fit(*pictures)
    with pytest.raises(ValueError, match=message):
        net.predict(pictures[0])
    net.set_params(precision="auto").predict(pictures[0])


@pytest.mark.usefixtures("float64")
def test_what_a_device_has_does_not_depend_on_torchs_default():
    assert can_compute.__wrapped__(torch.bfloat16, torch.device("cpu"))


def test_what_torch_only_warns_of_is_not_taken_for_computed(monkeypatch):
    def warns(*args, **kwargs):
        warnings.warn("the target dtype is not supported. Disabling autocast.", stacklevel=2)
        return torch.no_grad()

    monkeypatch.setattr(torch, "autocast", warns)
    assert not can_compute.__wrapped__(torch.bfloat16, torch.device("cpu"))


def test_a_word_that_is_none_is_refused(pictures):
    with pytest.raises(ValueError, match=r"'precision' parameter .* must be a str among"):
        make_net(precision="half").fit(*pictures)


def test_a_module_of_float64_is_refused(pictures):
    net = make_net(Convolved(10).double(), precision="bfloat16")
    with pytest.raises(ValueError, match=r"module of float64; got precision='bfloat16'"):
        net.fit(*pictures)
    assert net.set_params(precision="auto").fit(*pictures).score(*pictures) > 0


def test_accelerate_has_a_precision_of_its_own(pictures):
    class Accelerated(MixupClassifier):
        accelerator = SimpleNamespace(device="cpu", process_index=0, num_processes=1)

    net = Accelerated(Convolved, precision="bfloat16", device="cpu")
    with pytest.raises(ValueError, match=r"accelerator's; got precision='bfloat16'.*mixed_precis"):
        net.fit(*pictures)


@pytest.mark.parametrize("half", HALVES)
def test_estimators_without_a_precision_say_so(half, iris):
    with pytest.raises(TypeError, match=r"MixupGAN.*got precision"):
        MixupGAN(precision=half).fit(iris[0])
    with pytest.raises(TypeError, match="precision"):
        TabularMixupClassifier(precision=half)


# -- each road ------------------------------------------------------------------------------------

SETTINGS = [
    {},
    {"alpha": 0},
    {"criterion__label_smoothing": 0.1},
    {"optimizer": torch.optim.SGD, "lr": 0.05},
    {"early_stopping": True},
]


@each_half
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_watched_net_ends_where_one_left_alone_does(half, params, pictures):
    if half == "float16" and "optimizer" in params:
        params = {**params, "optimizer__fused": True}
    net = make_net(precision=half, **params).fit(*pictures)
    watched = clone(net).set_params(callbacks=[Watch()]).fit(*pictures)
    assert net.slow_because_ is None
    assert "Watch" in watched.slow_because_
    assert_same_net(net, watched, 1e-5)


@each_half
def test_the_default_network_computes_in_half_by_torchs_steps(half, iris):
    pytest.importorskip("numba")
    X, y = iris
    net = make_net(MLP, precision=half, engine="numba").fit(X, y)
    assert net.engine_ == "torch"
    watched = clone(net).set_params(callbacks=[Watch()]).fit(X, y)
    assert_same_net(net, watched, 1e-5)
    plain = clone(net).set_params(precision="float32").fit(X, y)
    assert plain.engine_ == "numba"
    assert not np.array_equal(net.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("module", [Convolved, MLP])
def test_nets_that_are_not_fused_end_as_each_alone(module, pictures):
    X, y = pictures
    nets = [make_net(module, precision="bfloat16", random_state=seed) for seed in (0, 1)]
    alone = [clone(net).fit(X, y) for net in nets]
    with pytest.warns(UserWarning, match="vmap does not round to lower precision"):
        fit_fused(nets, [X, X], [y, y])
    for one, other in zip(nets, alone, strict=True):
        assert_same_net(one, other)


def test_auto_that_turns_out_to_be_half_is_not_fused_either(pictures, monkeypatch):
    X, y = pictures
    monkeypatch.setattr(
        "sklearn_mixup._net.session.find_half",
        lambda net: torch.bfloat16 if net.precision == "auto" else None,
    )
    net = make_net(precision="auto")
    with pytest.warns(UserWarning, match="vmap does not round to lower precision"):
        fit_fused([net], [X], [y])
    assert (torch.float32, torch.bfloat16) in net.module_.seen


@pytest.mark.parametrize("module", [Convolved, MLP])
def test_an_ensemble_averages_what_its_nets_say_alone(module, pictures):
    X, y = pictures
    bag = FusedBaggingClassifier(
        make_net(module, precision="bfloat16"), n_estimators=2, random_state=0
    )
    with pytest.warns(UserWarning, match="could not be fused"):
        bag.fit(X, y)
    each = [net.predict_proba(X) for net in bag.estimators_]
    assert not np.array_equal(*each)
    np.testing.assert_allclose(bag.predict_proba(X), np.mean(each, axis=0), atol=1e-6)


def test_a_search_chooses_among_precisions(pictures):
    X, y = pictures
    search = FusedGridSearchCV(make_net(MLP), {"precision": ["float32", "bfloat16"]}, cv=2)
    with pytest.warns(UserWarning, match="2 of 4 nets could not be fused"):
        search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_compiled_modules_compute_in_half(pictures):
    half = "bfloat16"
    net = make_net(precision=half, compile=True, compile__backend="eager").fit(*pictures)
    other = make_net(precision=half).fit(*pictures)
    np.testing.assert_allclose(
        net.predict_proba(pictures[0]), other.predict_proba(pictures[0]), atol=1e-3
    )


def test_what_a_row_comes_out_as_does_not_depend_on_the_others(pictures, iris):
    for module, X, y in ((Convolved, *pictures), (MLP, *iris)):
        net = make_net(module, precision="bfloat16").fit(X, y)
        proba = net.predict_proba(X)
        for rows in (slice(7, 8), slice(3, 90)):
            np.testing.assert_array_equal(net.predict_proba(X[rows]), proba[rows])


# -- nets that go on ------------------------------------------------------------------------------


@each_half
def test_a_pickled_net_predicts_and_goes_on_as_it_would_have(half, pictures):
    net = make_net(precision=half).fit(*pictures)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(
            other.predict_proba(pictures[0]), net.predict_proba(pictures[0])
        )
    net.partial_fit(*pictures)
    assert_same_net(net, other.partial_fit(*pictures))


@each_half
def test_a_fit_that_is_resumed_ends_with_the_same_bits(half, pictures, tmp_path):
    def make(max_epochs):
        resume = Resume(tmp_path)
        return make_net(
            precision=half, callbacks=[resume], callbacks__lr_decay=None, max_epochs=max_epochs
        )

    make(2).fit(*pictures)
    resumed = make(4).fit(*pictures)
    whole = make_net(precision=half, callbacks__lr_decay=None, max_epochs=4).fit(*pictures)
    assert_same_net(resumed, whole)
    if half == "float16":
        assert resumed._scale_ == whole._scale_


# -- float16 and its scale ------------------------------------------------------------------------


class Steep(Convolved):
    """A network whose gradients overflow in float16 at the scale that torch begins with."""

    def forward(self, X):
        return 100 * super().forward(100 * X)


@needs_float16
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 1e-9},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 1e-9}
        | {"optimizer__fused": True},
        {"callbacks": [Watch()]},
    ],
    ids=["fused Adam", "SGD", "fused SGD", "watched"],
)
def test_steps_whose_gradients_overflow_are_left_out(params, pictures):
    before = make_net(Steep, max_epochs=0, precision="float16").fit(*pictures)
    net = make_net(Steep, max_epochs=1, batch_size=-1, precision="float16", **params)
    net.fit(*pictures)
    assert net._scale_["scale"] == 2.0**15
    for name, parameter in net.module_.named_parameters():
        torch.testing.assert_close(parameter, before.module_.get_parameter(name))
    net.set_params(max_epochs=12).partial_fit(*pictures)  # which goes on with that scale
    assert net._scale_["scale"] < 2.0**15
    states = net.optimizer_.state_dict()["state"].values()
    assert all(t.isfinite().all() for s in states for t in s.values() if t is not None)
    assert any(
        not torch.equal(parameter, before.module_.get_parameter(name))
        for name, parameter in net.module_.named_parameters()
    )


@needs_float16
def test_momentum_begins_at_zero_when_the_first_step_is_left_out(pictures):
    """What torch's fused SGD would find there is whatever lay in memory."""
    momentum = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 1e-9}
    net = make_net(
        Steep, max_epochs=1, batch_size=-1, precision="float16", optimizer__fused=True, **momentum
    ).fit(*pictures)
    for state in net.optimizer_.state.values():
        assert not state["momentum_buffer"].any()


@needs_float16
def test_optimizers_that_ask_the_device_take_the_slow_road(pictures):
    for optimizer in (torch.optim.SGD, torch.optim.RMSprop):
        net = make_net(precision="float16", optimizer=optimizer, optimizer__momentum=0.9, lr=0.01)
        why = net.fit(*pictures).slow_because_
        assert why == f"float16 asks the device after each step whether {optimizer.__name__} " + (
            "may take it"
        )
        assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


@needs_float16
def test_gradients_are_looked_at_and_clipped_as_they_are(pictures):
    class Norms(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            named = list(named_parameters)
            self.found = [*getattr(self, "found", ()), norm_of(p.grad for _, p in named)]

    def norm_of(tensors):
        return float(torch.stack([tensor.norm() for tensor in tensors]).norm())

    def fit(asked):
        before, after = Norms(), Norms()
        callbacks = [("before", before), ("clip", GradientNormClipping(0.1)), ("after", after)]
        net = make_net(precision=asked, callbacks=callbacks, max_epochs=1, lr=0.0)
        assert "asks for the gradients" in net.fit(*pictures).slow_because_
        return before.found, after.found

    (found, clipped), (expected, _) = fit("float16"), fit("float32")
    np.testing.assert_allclose(found, expected, rtol=0.05)
    assert min(found) > 0.1
    np.testing.assert_allclose(clipped, 0.1, rtol=1e-4)


@needs_float16
@pytest.mark.parametrize("method", ["train_step", "train_step_single"])
def test_a_step_of_ones_own_knows_of_no_scale(method, pictures):
    def own(self, batch, **fit_params):
        return getattr(MixupClassifier, method)(self, batch, **fit_params)

    kind = type("Own", (MixupClassifier,), {method: own, "__module__": "user"})
    own.__module__ = "user"
    net = kind(Convolved, precision="float16", device="cpu", max_epochs=1)
    with pytest.raises(ValueError, match=f"own method '{method}'. Use 'bfloat16'"):
        net.fit(*pictures)
    net.set_params(precision="bfloat16").fit(*pictures)


@needs_float16
def test_lbfgs_is_refused(pictures):
    with pytest.raises(ValueError, match="LBFGS computes it more than once a step"):
        make_net(precision="float16", optimizer=torch.optim.LBFGS).fit(*pictures)


@each_half
def test_scores_of_epochs_are_computed_in_half(half, pictures):
    score = EpochScoring("accuracy", on_train=True, name="acc")
    net = make_net(precision=half, callbacks=[score]).fit(*pictures)
    assert set(net.module_.seen) == {(torch.float32, dtype_of(half))}
    assert net.history[-1, "acc"] == pytest.approx(net.score(*pictures))


def test_a_training_within_torchs_autocast_is_left_to_it(pictures):
    net = make_net()
    with torch.autocast("cpu", torch.bfloat16):
        net.fit(*pictures)
    assert set(net.module_.seen) == {(torch.float32, torch.bfloat16)}
    ours = make_net(precision="bfloat16").fit(*pictures)
    expected, found = (n.predict_proba(pictures[0]) for n in (ours, net))
    assert np.abs(found - expected).mean() < 0.01


def test_a_training_within_torchs_autocast_steps_from_its_own_weights(iris):
    model = MixupClassifier(max_epochs=8, random_state=0, device="cpu")
    expected = clone(model).fit(*iris).predict_proba(iris[0])
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=True):
        for _ in range(2):  # No weights that torch has kept are those of this fit.
            found = model.fit(*iris).predict_proba(iris[0])
            assert np.abs(found - expected).mean() < 0.01
        assert torch.is_autocast_cache_enabled()


@each_half
def test_numbers_are_predicted_in_half_too(half, iris):
    X, y = iris[0][:, :3], iris[0][:, 3]
    net = MixupRegressor(precision=half, max_epochs=8, random_state=0, device="cpu").fit(X, y)
    plain = clone(net).set_params(precision="float32").fit(X, y)
    predicted = net.predict(X)
    assert predicted.dtype == np.float64
    assert not np.array_equal(predicted, plain.predict(X))
    assert net.score(X, y) == pytest.approx(plain.score(X, y), abs=0.02)
