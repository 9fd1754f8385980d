"""The output of a row hangs on the row alone, however many there are and wherever it stands.

To the bit on a CPU, whose kernels are tried out; other devices have minibatches of one size.
"""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.utils.data import DataLoader

import sklearn_mixup._engine.lockstep as lockstep
import sklearn_mixup._net.device as device_module
import sklearn_mixup._net.prediction as prediction
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, MixupGAN
from sklearn_mixup.modules import LeNet

# Of float32 every bit; of float64 all that a float32 would show, and more.
TOLERANCE = {torch.float32: 0, torch.float64: 1e-13}


def table(n_rows, n_features, dtype=np.float32):
    return np.random.default_rng(0).normal(size=(n_rows, n_features)).astype(dtype)


def assert_rows_apart(predict, X, tolerance=0.0):
    """Rows shuffled, a part of them and each alone: their outputs are those of all together."""
    rng = np.random.default_rng(1)
    whole = predict(X)
    scale = np.abs(whole).max()
    chosen = [rng.permutation(len(X)), *(rng.permutation(len(X))[:n] for n in (2, 15, 33, 97, 400))]
    chosen += [np.array([place]) for place in rng.integers(len(X), size=5)]
    for rows in chosen:
        difference = np.abs(predict(X[rows]) - whole[rows]).max()
        assert difference <= tolerance * scale, f"{len(rows)} rows"


def draw_shapes(n):
    """Draw numbers of features, widths, classes and rows of a minibatch to fit."""
    rng = np.random.default_rng(0)
    widths = [1, 2, 3, 5, 7, 8, 10, 13, 16, 17, 33, 64, 100, 128, 257, 1000]
    for _ in range(n):
        n_features, *hidden = rng.choice(widths, size=rng.integers(1, 4)).tolist()
        yield (
            n_features,
            tuple(hidden),
            int(rng.choice([1, 2, 3, 5, 10, 100])),
            4 ** rng.integers(7),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("n_features", "hidden", "n_classes", "batch_size"), [*draw_shapes(24)])
def test_a_net_s_output_for_a_row_hangs_on_the_row_alone(
    n_features, hidden, n_classes, batch_size, dtype
):
    clf = MixupClassifier(
        module__n_features=n_features,
        module__n_classes=n_classes,
        module__hidden_sizes=hidden,
        batch_size=batch_size,
        device="cpu",
        random_state=0,
    ).initialize()
    clf.module_.to(dtype)
    assert_rows_apart(lambda X: clf.forward(X).numpy(), table(1500, n_features), TOLERANCE[dtype])


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("n_classes", [3, 30])
@pytest.mark.parametrize(
    ("n_features", "hidden"), [(13, (128,)), (30, ()), (5, (10, 7)), (1, (1,))]
)
def test_probabilities_hang_on_the_row_alone(n_features, hidden, n_classes, multilabel):
    X = table(1200, n_features)
    y = np.arange(1200) % n_classes
    y = np.eye(n_classes, dtype=int)[y] if multilabel else y
    net = MixupClassifier(max_epochs=1, module__hidden_sizes=hidden, device="cpu", random_state=0)
    # An ensemble averages in float64.
    for clf, tolerance in ((net, 0), (FusedBaggingClassifier(net, 3, random_state=0), 1e-15)):
        clf.fit(X[:200], y[:200])
        assert_rows_apart(clf.predict_proba, X, tolerance)
        assert_rows_apart(clf.decision_function, X, tolerance)


@pytest.mark.parametrize("n_classes", [2, 15, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_softmax_is_torch_s_to_a_rounding_and_in_its_order(n_classes, dtype):
    outputs = 9 * torch.randn(
        500, n_classes, dtype=dtype, generator=torch.Generator().manual_seed(0)
    )
    found = prediction.softmax(outputs)
    assert found.dtype == dtype
    assert found.is_contiguous()
    exact = outputs.double().softmax(1)
    assert ((found - exact).abs() <= 64 * torch.finfo(dtype).eps * exact).all()


def test_the_discriminator_s_logit_of_a_row_hangs_on_the_row_alone():
    X = table(500, 5)
    sizes = {"generator__hidden_sizes": (10,), "discriminator__hidden_sizes": (10,)}
    gan = MixupGAN(max_iter=2, device="cpu", random_state=0, **sizes).fit(X)
    assert_rows_apart(gan.decision_function, X)


def test_pictures_are_not_filled_up_and_differ_by_rounding_at_most():
    seen = []

    class Watched(LeNet):
        def forward(self, X):
            seen.append(len(X))
            return super().forward(X)

    X = np.random.default_rng(0).normal(size=(40, 1, 28, 28)).astype(np.float32)
    clf = MixupClassifier(Watched, module__n_classes=3, batch_size=128, random_state=0).initialize()
    # Sums of a few hundred products in float32, in another order, through three layers. A GPU
    # rounds the factors of its convolutions to 10 bits, unless it is told not to.
    with torch.backends.cudnn.flags(allow_tf32=False):
        assert_rows_apart(lambda X: clf.forward(X).numpy(), X, tolerance=1e-5)
    assert 1 in seen
    assert max(seen) <= 40


@pytest.fixture
def nothing_tried(monkeypatch):
    """Forget what was found out before."""
    monkeypatch.setattr(prediction, "_by_shape", {})
    monkeypatch.setattr(prediction, "_by_module", prediction.WeakKeyDictionary())


class PlaceMatters(nn.Module):
    """A linear layer that treats the last rows otherwise, as kernels treat the edge of a tile."""

    def __init__(self, n_features, n_classes, tile, is_rounded):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)
        self.tile, self.is_rounded = tile, is_rounded

    def forward(self, X):
        output = self.layer(X)
        n_even = len(X) // self.tile * self.tile
        if self.is_rounded:  # by something that is lost in double precision
            X = X[n_even:].flip(1)
            edge = nn.functional.linear(X, self.layer.weight.flip(1), self.layer.bias)
        else:
            edge = output[n_even:] * (1 + 2**-20)
        return torch.cat([output[:n_even], edge])


@pytest.mark.parametrize("is_rounded", [False, True])
@pytest.mark.parametrize("tile", [1, 16, 32, 48, 96])
def test_tiles_of_other_processors_are_found_out(nothing_tried, tile, is_rounded):
    params = {"module__n_features": 20, "module__n_classes": 8, "device": "cpu", "random_state": 0}
    params |= {"module__tile": tile, "module__is_rounded": is_rounded}
    clf = MixupClassifier(PlaceMatters, **params).initialize()
    assert_rows_apart(lambda X: clf.forward(X).numpy(), table(1500, 20))


def test_a_net_that_answers_the_same_to_all_rows_teaches_nothing_of_its_shape(nothing_tried):
    params = {"module__n_features": 20, "module__n_classes": 8, "device": "cpu", "random_state": 0}
    params |= {"module__tile": 48, "module__is_rounded": False}
    X = table(1500, 20)
    dead, alive = (MixupClassifier(PlaceMatters, **params).initialize() for _ in range(2))
    with torch.no_grad():
        for parameter in dead.module_.parameters():
            parameter.zero_()
    assert not dead.forward(X).any()
    assert_rows_apart(lambda X: alive.forward(X).numpy(), X)


def test_products_come_out_the_same_however_they_are_called():
    X, weight, bias = (torch.from_numpy(table(*shape)) for shape in ((5, 4), (3, 4), (1, 3)))
    calls = [
        lambda: nn.functional.linear(X, weight, bias[0]),
        lambda: nn.functional.linear(input=X, weight=weight, bias=bias[0]),
        lambda: nn.functional.linear(X[0], weight),
        lambda: torch.addmm(bias, X, weight.T),
        lambda: X @ weight.T + bias,
        lambda: torch.baddbmm(bias.expand(2, 5, 3), X.expand(2, 5, 4), weight.T.expand(2, 4, 3)),
        lambda: torch.mm(torch.ones(2, 2, dtype=torch.int64), torch.ones(2, 2, dtype=torch.int64)),
    ]
    for call in calls:
        expected = call()
        with prediction._InDouble():
            found = call()
        assert found.dtype == expected.dtype
        # Five sums of less than 8, each rounded by 8 * 2**-24 at most.
        torch.testing.assert_close(found, expected, rtol=0, atol=5 * 2**-21)


def test_what_is_found_out_of_a_module_is_not_taken_for_another_s_of_its_shape(nothing_tried):
    X = table(60, 4)
    plain, batchwise = (
        MixupClassifier(
            nn.BatchNorm1d, module__num_features=4, module__track_running_stats=tracks, **params
        ).initialize()
        for tracks, params in ((True, {}), (False, {"batch_size": 30}))
    )
    plain.forward(X)
    layer = nn.BatchNorm1d(4, track_running_stats=False)
    expected = torch.cat([layer(part) for part in torch.from_numpy(X).split(30)])
    torch.testing.assert_close(batchwise.forward(X), expected)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4,), torch.float32), ((4,), torch.float64), ((1, 2, 2), torch.float32)]
)
def test_a_module_whose_rows_have_to_do_with_each_other_is_asked_as_it_was_trained(
    shape, dtype, nothing_tried
):
    sizes = []

    class Centred(nn.Linear):
        def forward(self, X):
            sizes.append(len(X))
            return super().forward(X.flatten(1) - X.flatten(1).mean(0))

    clf = MixupClassifier(
        partial(Centred, dtype=dtype),
        module__in_features=4,
        module__out_features=3,
        batch_size=40,
    ).initialize()
    clf.forward(table(100, 4).reshape(-1, *shape))
    assert sizes[-3:] == [40, 40, 40]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_an_accelerator_is_shown_no_code_that_is_not_there(
    dtype, device, nothing_tried, monkeypatch
):
    """After an index out of bounds no kernel runs on a GPU: a trial must not make one up."""
    seen = []

    class Codes(nn.Embedding):
        def forward(self, X):
            seen.append(X.long())
            return super().forward(X.long()).flatten(1)

    if device == "cpu" and dtype == torch.float32:
        monkeypatch.setattr(prediction, "_is_safe_to_try", lambda part: False)
    clf = MixupClassifier(
        partial(Codes, 5, 3), alpha=0, classes=[0, 1], criterion=nn.MultiMarginLoss, device=device
    ).initialize()
    X = (torch.arange(60).reshape(30, 1, 2) * 7 % 5).to(dtype)
    found = clf.forward(X)
    assert len(seen) > 1
    assert all(codes.min() >= 0 and codes.max() < 5 for codes in seen)
    torch.testing.assert_close(found.cpu(), clf.module_.weight.cpu()[X.long()].flatten(1))


def test_trying_out_leaves_module_hooks_and_generators_alone(nothing_tried):
    class Counting(nn.Linear):
        n_calls = 0

        def forward(self, X):
            self.n_calls += 1
            return super().forward(X)

    clf = MixupClassifier(Counting, module__in_features=4, module__out_features=3).initialize()
    told = []
    clf.module_.register_forward_hook(lambda module, args, output: told.append(len(output)))
    state = torch.get_rng_state()
    clf.forward(table(16, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert clf.module_.n_calls == len(told) == 1
    assert clf.module_.training is False


def test_the_minibatch_of_prediction_is_not_that_of_training():
    sizes = []

    class Watched(nn.Linear):
        def forward(self, X):
            sizes.append(len(X))
            return super().forward(X)

    params = {"module__in_features": 4, "module__out_features": 3}
    for batch_size in (1, 32, 10**8):
        clf = MixupClassifier(Watched, batch_size=batch_size, device="cpu", **params).initialize()
        clf.forward(table(1, 4))
        assert sizes[-1] == 16
        clf.forward(table(100_000, 4))
        assert max(sizes) == 4032
    clf = MixupClassifier(Watched, iterator_valid__batch_size=50, **params).initialize()
    sizes.clear()
    clf.forward(table(1000, 4))
    assert max(sizes) <= 50


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle=True")
@pytest.mark.parametrize("option", ["shuffle", "drop_last"])
def test_rows_to_predict_are_all_taken_in_their_order(option):
    X, y = table(100, 4), np.arange(100) % 3
    params = {"max_epochs": 1, "random_state": 0}
    expected = MixupClassifier(**params).fit(X, y).predict_proba(X)
    params[f"iterator_valid__{option}"] = True
    clf = MixupClassifier(**params).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    clf = MixupClassifier(iterator_valid=DataLoader, **params).fit(X, y)
    with pytest.raises(ValueError, match="in their order, and all of them"):
        clf.predict(X)


def test_a_minibatch_larger_than_any_table_costs_nothing():
    X, y = table(150, 4), np.arange(150) % 3
    # Numbers for each of its rows would take 8 PB.
    huge, whole = (
        MixupClassifier(batch_size=size, max_epochs=2, random_state=0).fit(X, y)
        for size in (10**15, 150)
    )
    np.testing.assert_array_equal(huge.predict_proba(X), whole.predict_proba(X))


# -- threads --------------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    """Let torch have two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class ThreadsSeen(nn.Linear):
    """Notes how many threads it may use."""

    seen: set[int]

    def forward(self, X):
        ThreadsSeen.seen.add(torch.get_num_threads())
        return super().forward(X)


@pytest.mark.parametrize(("n_features", "n_threads"), [(8, 1), (2000, 2)])
def test_a_small_net_has_one_thread_and_a_large_one_all(
    two_threads, monkeypatch, n_features, n_threads
):
    monkeypatch.setattr(device_module, "MANY_FLOPS", 1e5)
    X, y = table(64, n_features), np.arange(64) % 3
    params = {"module__in_features": n_features, "module__out_features": 3, "max_epochs": 1}
    clf = MixupClassifier(ThreadsSeen, optimizer=torch.optim.SGD, device="cpu", **params)
    ThreadsSeen.seen = set()
    clf.fit(X, y)
    assert ThreadsSeen.seen == {n_threads}
    assert torch.get_num_threads() == 2
    ThreadsSeen.seen = set()
    clf.predict(X)
    assert ThreadsSeen.seen == {n_threads}
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error(two_threads):
    class Fails(nn.Linear):
        def forward(self, X):
            raise FloatingPointError("mine")

    params = {"module__in_features": 4, "module__out_features": 3, "device": "cpu"}
    with pytest.raises(FloatingPointError, match="mine"):
        MixupClassifier(Fails, **params).fit(table(64, 4), np.arange(64) % 3)
    assert torch.get_num_threads() == 2


def test_a_stack_has_one_thread_if_all_of_it_is_small(two_threads, monkeypatch):
    seen = []
    step = lockstep.Group._update

    def update(self, *args):
        seen.append(torch.get_num_threads())
        step(self, *args)

    monkeypatch.setattr(lockstep.Group, "_update", update)
    X, y = table(64, 4), np.arange(64) % 3
    net = MixupClassifier(max_epochs=1, device="cpu")
    FusedBaggingClassifier(clone(net), 2).fit(X, y)
    assert {*seen} == {1}
    seen.clear()
    FusedBaggingClassifier(net.set_params(module__hidden_sizes=(1200, 1200)), 2).fit(X, y)
    assert {*seen} == {2}
    assert torch.get_num_threads() == 2
