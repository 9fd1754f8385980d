"""What is mixed with what in a fit: each setting against the step written out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import TensorDataset

from sklearn_mixup import (
    FusedGridSearchCV,
    MixupClassifier,
    MixupRegressor,
    fit_fused,
)
from sklearn_mixup._engine.lockstep import Group
from sklearn_mixup.vicinities import cutmix, mixup
from tests.rounding import assert_near

N_ROWS = 7
pytestmark = pytest.mark.usefixtures("float64")


class Watch(Callback):
    """Ask for each minibatch, and do nothing."""

    def on_batch_end(self, net, **kwargs):
        """Look on."""


class Cutter(nn.Module):
    """A small module for pictures."""

    def __init__(self, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, n_classes)

    def forward(self, X):
        """Return logits."""
        return self.head(self.norm(self.conv(X)).relu().mean((2, 3)))


def flip(X, y, uniform):
    """Pair the first row of a minibatch with its last, and so on."""
    n_minibatches, n_rows = uniform.shape
    return torch.arange(n_rows - 1, -1, -1, device=uniform.device).repeat(n_minibatches, 1)


def a_quarter(X, partner, *, lam, place):
    """Mix with a weight that is known."""
    return mixup(X, partner, lam=torch.full_like(lam, 0.25), place=place)


def make_net(kind=MixupClassifier, **params):
    return kind(
        **{"hidden_sizes": (6,), "alpha": 1.0, "max_epochs": 2, "batch_size": 3, "random_state": 0}
        | params
    )


def known(kind=MixupClassifier, **params):
    """Make a net whose one step is known beforehand: by lam = 1/4, and flipped pairs."""
    fixed = {
        "vicinity": a_quarter,
        "pairs": flip,
        "max_epochs": 1,
        "batch_size": -1,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "iterator_train__shuffle": False,
        "callbacks__lr_decay": None,
    }
    return make_net(kind, **fixed | params)


@pytest.fixture
def rows():
    """Make a few rows of three classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_ROWS, 4)), np.array([0, 1, 2, 1, 0, 2, 1])


@pytest.fixture
def table():
    """Make a table of three classes."""
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=40)
    return (rng.normal(size=(40, 4)) + y[:, None]), y


@pytest.fixture
def pictures():
    """Make some pictures of two classes."""
    rng = np.random.default_rng(2)
    y = rng.integers(2, size=20)
    return (rng.normal(size=(20, 1, 6, 5)) + y[:, None, None, None]), y


def step_by_hand(net, X, loss):
    """Take a step of SGD from the net's first weights on ``loss(module, X)``; return the module."""
    start = net.__class__(**net.get_params()).set_params(max_epochs=0).fit(*X)
    module = start.module_.train().cpu()
    (value := loss(module)).backward()
    with torch.no_grad():
        for param in module.parameters():
            param -= 0.1 * param.grad
    return module, value.item()


def assert_same_weights(module, other):
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        assert_near(one.detach().cpu(), two.detach().cpu())


def own_and_flipped(y, n_classes=3):
    own = F.one_hot(torch.as_tensor(y), n_classes).double() if np.ndim(y) == 1 else torch.tensor(y)
    return own, own.flip(0)


def cross_entropy(logits, targets):
    return -(targets * logits.log_softmax(1)).sum(1)


# -- what comes of one step -----------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_a_vicinity_and_pairs_of_ones_own_are_those_of_the_step(rows, lam_per, weighted):
    X, y = rows
    weight = np.linspace(0.5, 2, N_ROWS) if weighted else np.ones(N_ROWS)
    net = known(lam_per=lam_per).fit(X, y, sample_weight=weight if weighted else None)
    own, flipped = own_and_flipped(y)
    w = torch.tensor(weight / weight.mean())

    def loss(module):
        X_own = torch.tensor(X)
        logits = module(0.25 * X_own + 0.75 * X_own.flip(0))
        return (
            0.25 * w * cross_entropy(logits, own)
            + 0.75 * w.flip(0) * cross_entropy(logits, flipped)
        ).mean()

    module, value = step_by_hand(net, (X, y), loss)
    assert_same_weights(net.module_, module)
    assert net.loss_ == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_erm_weight_is_the_share_of_the_plain_loss(rows, weighted):
    X, y = rows
    weight = np.linspace(0.5, 2, N_ROWS) if weighted else np.ones(N_ROWS)
    net = known(erm_weight=0.3).fit(X, y, sample_weight=weight if weighted else None)
    own, flipped = own_and_flipped(y)
    w = torch.tensor(weight / weight.mean())

    def loss(module):
        X_own = torch.tensor(X)
        plain = w * cross_entropy(module(X_own), own)
        logits = module(0.25 * X_own + 0.75 * X_own.flip(0))
        mixed = 0.25 * w * cross_entropy(logits, own)
        mixed += 0.75 * w.flip(0) * cross_entropy(logits, flipped)
        return 0.3 * plain.mean() + 0.7 * mixed.mean()

    module, value = step_by_hand(net, (X, y), loss)
    assert_same_weights(net.module_, module)
    assert net.loss_ == pytest.approx(value, rel=1e-5)


def test_erm_weight_is_regmixup_but_for_the_scale(pictures):
    """In RegMixup plain and mixed rows are one minibatch to normalise, and eta weighs the mixed."""
    X, y = pictures
    eta = 3.0
    net = known(module=Cutter, hidden_sizes=None, erm_weight=1 / (1 + eta)).fit(X, y)
    own, flipped = own_and_flipped(y, 2)

    def loss(module):
        X_own = torch.tensor(X)
        both = torch.cat([X_own, 0.25 * X_own + 0.75 * X_own.flip(0)])
        plain, mixed = module(both).chunk(2)
        regmixup = cross_entropy(plain, own).mean()
        regmixup += eta * cross_entropy(mixed, 0.25 * own + 0.75 * flipped).mean()
        return regmixup / (1 + eta)

    module, value = step_by_hand(net, (X, y), loss)
    assert_same_weights(net.module_, module)
    assert_near(net.module_.norm.running_var.cpu(), module.norm.running_var)
    assert net.loss_ == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("erm_weight", [0.0, 0.4])
@pytest.mark.parametrize("layer", ["hidden.0", "output"])
def test_a_layer_mixes_what_it_puts_out(rows, layer, erm_weight):
    X, y = rows
    net = known(vicinity="mixup", alpha=np.inf, mix_at=[layer], erm_weight=erm_weight).fit(X, y)
    own, flipped = own_and_flipped(y)

    def loss(module):
        hidden = module.hidden[0](torch.tensor(X))
        plain = module.output(hidden.relu())
        if layer == "hidden.0":
            logits = module.output(((hidden + hidden.flip(0)) / 2).relu())
        else:
            logits = (plain + plain.flip(0)) / 2
        mixed = cross_entropy(logits, (own + flipped) / 2).mean()
        return erm_weight * cross_entropy(plain, own).mean() + (1 - erm_weight) * mixed

    module, value = step_by_hand(net, (X, y), loss)
    assert_same_weights(net.module_, module)
    assert net.loss_ == pytest.approx(value, rel=1e-5)


def test_mixing_at_input_alone_is_mixing_the_inputs(table):
    one, other = (make_net(mix_at=mix_at).fit(*table) for mix_at in ("input", ["input"]))
    assert_same_weights(one.module_, other.module_)


def test_codes_that_a_layer_embeds_need_not_be_floats():
    class Embedded(nn.Module):
        def __init__(self, n_classes):
            super().__init__()
            self.embed, self.output = nn.Embedding(5, 4), nn.Linear(4, n_classes)

        def forward(self, X):
            return self.output(self.embed(X.long()).mean(1))

    X, y = np.arange(60).reshape(30, 2) % 5, np.arange(30) % 3
    params = {"module": Embedded, "hidden_sizes": None, "iterator_train__shuffle": False}
    nets = [
        make_net(mix_at=["embed"], **params).fit(codes, y)
        for codes in (X.astype(np.float32), torch.tensor(X), {"X": X})
    ]
    for net in nets[1:]:
        assert_same_weights(nets[0].module_, net.module_)
    with pytest.raises(TypeError, match="Only floating inputs can be mixed"):
        make_net(mix_at=["embed", "input"], **params).fit(torch.tensor(X), y)


def test_one_layer_of_several_mixes_in_each_minibatch(table):
    """Of 300 minibatches the three places get 100 each, +- 8: five standard errors are 41."""
    X, y = table
    seen = []

    class Spy(MixupClassifier):
        def infer(self, x, **fit_params):
            if hasattr(x, "lam"):
                assert (x.lam < 1).sum(1).max() == 1
                seen.append((x.lam < 1).any(0))
            return super().infer(x, **fit_params)

    net = make_net(Spy, mix_at=["input", "hidden.0", "output"], max_epochs=50, batch_size=7)
    net.fit(X, y)
    counts = torch.stack(seen).sum(0)
    assert len(seen) == counts.sum() == 300
    assert (counts - 100).abs().max() < 41


def test_the_vicinity_input_trains_on_whole_labels(rows):
    X, y = rows
    targets = []

    class Spy(MixupClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            targets.append(y_true.rows)
            return super().get_loss(y_pred, y_true, *args, **kwargs)

    make_net(Spy, vicinity="input", lam_per="sample", max_epochs=20).fit(X, y)
    rows_of_targets = torch.cat([part * -len(part) for part in targets])
    assert set(rows_of_targets.flatten().tolist()) == {0.0, 1.0}


def test_cutmix_pastes_boxes_and_mixes_labels_by_their_area(pictures):
    X, y = pictures
    X = np.where(y[:, None, None, None] > 0, 1, 0) + 0 * X
    seen = []

    class Spy(MixupClassifier):
        def infer(self, x, **fit_params):
            seen.append([x, None])
            return super().infer(x, **fit_params)

        def get_loss(self, y_pred, y_true, *args, **kwargs):
            seen[-1][1] = y_true.rows * -len(y_true.rows)
            return super().get_loss(y_pred, y_true, *args, **kwargs)

    make_net(Spy, module=Cutter, hidden_sizes=None, vicinity="cutmix", lam_per="sample").fit(X, y)
    shares = torch.cat([x.mean((1, 2, 3)) for x, _ in seen])
    labels = torch.cat([targets[:, 1] for _, targets in seen])
    # A picture's mean is the share of its pixels that are of class 1.
    assert_near(shares, labels)
    assert ((labels > 0) & (labels < 1)).any()


@pytest.mark.parametrize("pairs", ["same_class", "different_class"])
def test_pairs_are_of_one_class_or_of_several(table, pairs):
    X, y = table
    targets = []

    class Spy(MixupClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            targets.append(y_true.rows * -len(y_true.rows))
            return super().get_loss(y_pred, y_true, *args, **kwargs)

    make_net(Spy, pairs=pairs, alpha=np.inf, batch_size=10).fit(X, y)
    highest = torch.cat(targets).max(1).values
    assert set(highest.tolist()) == ({1.0} if pairs == "same_class" else {0.5})


@pytest.mark.parametrize("kind", ["probabilities", "multilabel"])
def test_columns_of_targets_have_classes_to_pair_by(table, kind):
    X, y = table
    columns = np.eye(3)[y]
    if kind == "multilabel":
        columns[:, 2] = 1
        columns = columns.astype(int)
    seen = []

    def spy(X, partner, *, lam, place):
        seen.append(partner)
        return mixup(X, partner, lam=lam, place=place)

    net = make_net(pairs="same_class", vicinity=spy, batch_size=-1, max_epochs=1)
    net.set_params(iterator_train__shuffle=False).fit(X, columns)
    net.fit(X, [str(row) for row in columns])  # the same classes as labels
    partner = seen[0]
    assert seen[1].tolist() == partner.tolist() != list(range(len(y)))


def test_near_targets_are_paired(table):
    X, _ = table
    y = np.linspace(0, 1, len(X))
    seen = []

    def spy(X, partner, *, lam, place):
        seen.append((X["x"] if isinstance(X, dict) else X, partner))
        return mixup(X, partner, lam=lam, place=place)

    X[:, 0] = y  # so that rows tell their targets
    for bandwidth in (1e-3, 1e3):
        net = make_net(MixupRegressor, pairs="target", bandwidth=bandwidth, vicinity=spy)
        net.set_params(batch_size=-1, max_epochs=1, iterator_train__shuffle=False).fit(X, y)
    near, far = ((rows[:, 0] - rows[partner, 0]).abs() for rows, partner in seen)
    assert near.max() == 0  # the next is 0.085 standard deviations away
    assert far.mean() > 0.2


def test_the_nearest_rows_are_paired(table):
    X, y = table
    seen = []

    def spy(X, partner, *, lam, place):
        seen.append((X, partner))
        return mixup(X, partner, lam=lam, place=place)

    make_net(pairs="nearest", n_neighbors=2, vicinity=spy, batch_size=-1, max_epochs=1).fit(X, y)
    ((rows, partner),) = seen
    order = torch.cdist(rows, rows).argsort(1)
    assert ((order[:, 1:3] == partner[:, None]).any(1)).all()


# -- the same on every road -----------------------------------------------------------------------

SETTINGS = [
    {"vicinity": "input"},
    {"vicinity": a_quarter},
    {"pairs": "same_class"},
    {"pairs": "different_class", "lam_per": "sample"},
    {"pairs": "nearest", "n_neighbors": 2, "batch_size": 8},
    {"pairs": flip},
    {"erm_weight": 0.5},
    {"erm_weight": 0.5, "erm_epochs": 1, "lam_per": "sample"},
    {"mix_at": ["hidden.0"]},
    {"mix_at": ["input", "hidden.0"], "erm_weight": 0.2, "pairs": "same_class"},
]
names = [", ".join(setting) for setting in SETTINGS]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("setting", SETTINGS, ids=names)
def test_who_looks_on_changes_nothing(table, setting, weighted):
    weight = np.linspace(0.5, 2, len(table[1])) if weighted else None
    alone, watched = (
        make_net(max_epochs=4, callbacks=callbacks, **setting).fit(*table, sample_weight=weight)
        for callbacks in (None, [Watch()])
    )
    assert alone.slow_because_ is None
    assert watched.slow_because_ is not None
    assert_same_weights(alone.module_, watched.module_)
    sizes = [
        [batch["train_batch_size"] for row in net.history for batch in row["batches"]]
        for net in (alone, watched)
    ]
    assert sizes[0] == sizes[1]
    assert_near(alone.loss_curve_, watched.loss_curve_)


@pytest.mark.parametrize("setting", SETTINGS, ids=names)
def test_alpha_zero_is_erm(table, setting):
    setting = {name: value for name, value in setting.items() if name != "batch_size"}
    plain, mixed = make_net(alpha=0).fit(*table), make_net(alpha=0, **setting).fit(*table)
    assert_same_weights(plain.module_, mixed.module_)


def test_nets_of_a_stack_may_mix_otherwise_and_end_as_alone(table, monkeypatch):
    made = []
    init = Group.__init__
    monkeypatch.setattr(
        Group, "__init__", lambda self, lanes: made.append(len(lanes)) or init(self, lanes)
    )
    settings = [
        *SETTINGS,
        {},
        {"alpha": 0},
        {"erm_weight": 0.1},
        {"mix_at": ["hidden.0"], "alpha": 0},
    ]
    settings = [{"batch_size": 8, "max_epochs": 3, **setting} for setting in settings]
    stacked = [make_net(**setting) for setting in settings]
    fit_fused(stacked, [table[0]] * len(stacked), [table[1]] * len(stacked))
    for net, setting in zip(stacked, settings, strict=True):
        alone = make_net(**setting).fit(*table)
        assert_same_weights(net.module_, alone.module_)
        assert (
            net.history[:, "batches", :, "train_batch_size"]
            == alone.history[:, "batches", :, "train_batch_size"]
        )
    # Twice as many rows, epochs that do so, a vicinity of one's own, and layers are for themselves.
    assert sorted(made) == [1, 1, 1, 1, 1, 2, 7]


def test_pictures_are_cut_in_a_stack_as_alone(pictures):
    X, y = pictures
    settings = [{"vicinity": "cutmix"}, {"vicinity": "cutmix", "lam_per": "sample"}, {}]
    fixed = {"module": Cutter, "hidden_sizes": None, "batch_size": 6}
    stacked = [make_net(**fixed, **setting) for setting in settings]
    fit_fused(stacked, [X] * 3, [y] * 3)
    for net, setting in zip(stacked, settings, strict=True):
        assert_same_weights(net.module_, make_net(**fixed, **setting).fit(X, y).module_)


@pytest.mark.parametrize("setting", [{}, {"erm_weight": 0.3}, {"mix_at": ["hidden.0"]}])
@pytest.mark.parametrize("criterion", ["squared_error", "absolute_error", nn.SmoothL1Loss])
def test_regressors_mix_in_a_stack_as_alone(table, criterion, setting):
    X = table[0]
    y = X @ [1.0, -1, 2, 0.5]
    settings = [setting | more for more in ({}, {"pairs": "target"}, {"pairs": "nearest"})]
    fixed = {"criterion": criterion, "batch_size": 9}
    stacked = [make_net(MixupRegressor, **fixed, **each) for each in settings]
    fit_fused(stacked, [X] * 3, [y] * 3)
    for net, each in zip(stacked, settings, strict=True):
        alone = make_net(MixupRegressor, **fixed, **each).fit(X, y)
        assert_same_weights(net.module_, alone.module_)


def test_a_search_goes_over_vicinities(table):
    grid = {
        "pairs": ["random", "same_class"],
        "erm_weight": [0, 0.5],
        "vicinity": ["mixup", "input"],
    }
    fused, plain = (
        kind(make_net(), grid, cv=2, scoring="neg_log_loss").fit(*table)
        for kind in (FusedGridSearchCV, GridSearchCV)
    )
    scores = fused.cv_results_["mean_test_score"]
    assert_near(scores, plain.cv_results_["mean_test_score"])
    assert len({*scores}) == 6  # Within a class a label is that of both.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("setting", SETTINGS, ids=names)
def test_numbers_of_float32_stay_so(table, setting, weighted):
    torch.set_default_dtype(torch.float32)
    weight = np.linspace(0.5, 2, len(table[1])) if weighted else None
    alone, stacked = (make_net(max_epochs=1, **setting) for _ in range(2))
    alone.fit(*table, sample_weight=weight)
    fit_fused([stacked], [table[0]], [table[1]], sample_weights=[weight])
    for net in (alone, stacked):
        assert {param.dtype for param in net.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("setting", SETTINGS, ids=names)
def test_minibatches_of_a_data_set_are_mixed_too(table, setting):
    X, y = table
    dataset = TensorDataset(torch.tensor(X), torch.tensor(y))
    net = make_net(classes=[0, 1, 2], max_epochs=30, lr=0.02, **setting).fit(dataset, None)
    assert net.score(X, y) > 0.7


@pytest.mark.parametrize("setting", [SETTINGS[i] for i in (2, 5, 7, 9)])
def test_dicts_are_mixed_as_one(table, setting):
    X, y = table

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.ModuleList([nn.Linear(4, 6)])
            self.output = nn.Linear(6, 3)

        def forward(self, left, right):
            return self.output(self.hidden[0](torch.cat([left, right], 1)).relu())

    nets = [
        make_net(module=Two, hidden_sizes=None, optimizer=torch.optim.SGD, lr=0.1, **setting)
        for _ in range(2)
    ]
    parts = {"left": X[:, :1], "right": X[:, 1:]}
    nets[0].fit(parts, y)
    fit_fused(nets[1:], [parts], [y])
    assert_same_weights(nets[0].module_, nets[1].module_)


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"vicinity": "cutmix"}, "pictures"),
        ({"vicinity": "cut"}, "vicinity"),
        ({"pairs": "target"}, "MixupRegressor"),
        ({"pairs": "nearest", "n_neighbors": 3}, "smaller than the number of rows in a minibatch"),
        ({"pairs": "nearest", "n_neighbors": 40, "batch_size": -1}, "40"),
        ({"mix_at": "hidden.0"}, r"mix_at=\['hidden.0'\]"),
        ({"mix_at": ["hidden.7"]}, "hidden.7"),
        ({"mix_at": []}, "mix_at"),
        ({"mix_at": ["hidden.0"], "vicinity": "input"}, "mixup"),
        ({"mix_at": ["hidden.0"], "compile": True}, "compile"),
        ({"erm_weight": 1.0}, "erm_weight"),
        ({"pairs": lambda X, y, u: u}, "int64"),
        ({"pairs": lambda X, y, u: y[0]}, "shape"),
        ({"pairs": partial(lambda X, y, u: u)}, "int64"),
        ({"pairs": lambda X, y, u: y + 3}, "from 0 to 2"),
        ({"pairs": lambda X, y, u: y - 1}, "from 0 to 2"),
        ({"vicinity": lambda X, partner, *, lam, place: (X, lam[:1])}, "shape"),
        ({"vicinity": lambda X, partner, *, lam, place: (X[:, :1], lam)}, "rows as it was given"),
        ({"vicinity": lambda X, partner, *, lam, place: (X.mul_(0), lam)}, "must not write into"),
        ({"vicinity": lambda X, partner, *, lam, place: (X, lam.mul_(0))}, "must not write into"),
        ({"pairs": lambda X, y, u: y.zero_()}, "must not write into"),
    ],
)
def test_what_cannot_be_mixed_so_is_told(table, params, message):
    net = make_net(**params)
    with pytest.raises(ValueError, match=message):
        net.fit(*table)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"vicinity": "cutmix"}, "pictures"),
        ({"pairs": "nearest", "n_neighbors": 3}, "smaller than the number of rows in a minibatch"),
    ],
)
def test_each_net_of_a_stack_is_told_what_it_cannot_mix_so(table, params, message):
    with pytest.raises(ValueError, match=message):
        fit_fused([make_net(), make_net(**params)], [table[0]] * 2, [table[1]] * 2)


@pytest.mark.parametrize("pairs", ["same_class", "different_class"])
def test_numbers_have_no_classes_to_pair_by(table, pairs):
    with pytest.raises(ValueError, match="'target'"):
        make_net(MixupRegressor, pairs=pairs).fit(table[0], table[0][:, 0])


def test_cutmix_of_pictures_is_the_function_of_that_name(pictures):
    """A callable is treated as the word is."""
    X, y = pictures
    one, other = (
        make_net(module=Cutter, hidden_sizes=None, vicinity=vicinity, max_epochs=1).fit(X, y)
        for vicinity in ("cutmix", cutmix)
    )
    assert_same_weights(one.module_, other.module_)


# -- a criterion that takes all that a module returns ---------------------------------------------


class Both(nn.Module):
    """A module that returns its hidden layer, too."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.hidden, self.output = nn.Linear(n_features, 6), nn.Linear(6, n_classes)

    def forward(self, X):
        """Return outputs and what they were made of."""
        hidden = self.hidden(X).relu()
        return self.output(hidden), hidden


class First(Both):
    """The same, without."""

    def forward(self, X):
        """Return outputs."""
        return super().forward(X)[0]


class OfRows(nn.Module):
    """A criterion of the user's own, with a loss of shape (batch_size,)."""

    reduction = "mean"

    def forward(self, outputs, y):
        """Compare the outputs with the targets."""
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        losses = (
            F.cross_entropy(outputs, y, reduction="none")
            if y.ndim == 1
            else (outputs - y).abs().mean(1)
        )
        return losses.mean() if self.reduction == "mean" else losses


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [MixupClassifier, MixupRegressor])
@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_what_else_a_module_returns_goes_to_the_criterion(table, kind, lam_per, weighted):
    X, y = table
    weight = np.linspace(0.5, 2, len(y)) if weighted else None
    both, first, stacked = (
        make_net(kind, module=module, hidden_sizes=None, criterion=OfRows, lam_per=lam_per)
        for module in (Both, First, Both)
    )
    for net in (both, first):
        net.fit(X, y, sample_weight=weight)
    fit_fused([stacked], [X], [y], sample_weights=[weight])
    assert_same_weights(both.module_, first.module_)
    assert_same_weights(stacked.module_, first.module_)
