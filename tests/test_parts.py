"""Parts of a net that do not fit each other: an error that says which do, in every training."""

import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier, fit_fused
from sklearn_mixup._net.last_good import list_layers
from sklearn_mixup.inspection import gradient_norm_between
from sklearn_mixup.modules import MLP
from sklearn_mixup.robustness import fgsm
from tests.small_gans import make_rows
from tests.small_gans import quick as quick_gan


def quick(**params):
    return MixupClassifier(**{"max_epochs": 2, "random_state": 0, **params})


def fit_in_every_way(net, X, y):
    """Yield functions that fit a net: alone, in a stack, an ensemble and a search."""
    yield lambda: net.fit(X, y)
    yield lambda: net.partial_fit(X, y)
    yield lambda: fit_fused([net], [X], [y])
    yield lambda: FusedBaggingClassifier(net, 2).fit(X, y)
    yield lambda: FusedGridSearchCV(net, {"lr": [0.1]}, cv=2, error_score="raise").fit(X, y)


# -- what callbacks watch -------------------------------------------------------------------------


class Reader(Callback):
    """A callback of somebody's own, that reads the history."""

    def on_epoch_end(self, net, **kwargs):
        net.history[-1, "valid_acc"]


WATCHERS = {
    "early stopping": (EarlyStopping, "valid_loss"),
    "early stopping on accuracy": (lambda: EarlyStopping("valid_acc"), "valid_acc"),
    "checkpoint": (
        lambda: Checkpoint(f_params=None, f_optimizer=None, f_criterion=None, f_history=None),
        "valid_loss_best",
    ),
    "schedule": (lambda: LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), "valid_loss"),
    "reader": (Reader, "valid_acc"),
}


@pytest.mark.parametrize(("make", "key"), WATCHERS.values(), ids=WATCHERS.keys())
def test_watching_rows_that_nobody_set_aside_is_told_of_train_split(make, key, iris):
    match = rf"must watch .* one of .*train_loss.*; got '{key}'.*`train_split`.*ValidSplit\(5\)\."
    for fit in fit_in_every_way(quick(callbacks=[make()]), *iris):
        with pytest.raises(ValueError, match=match):
            fit()


def test_the_callback_that_watches_is_named(iris):
    with pytest.raises(ValueError, match="Callback 'stop' must watch"):
        quick(callbacks=[("stop", EarlyStopping())]).fit(*iris)
    with pytest.raises(ValueError, match="A callback must watch"):
        quick(callbacks=[Reader()]).fit(*iris)


@pytest.mark.parametrize(("make", "key"), WATCHERS.values(), ids=WATCHERS.keys())
def test_with_a_split_they_watch(make, key, iris):
    clf = quick(callbacks=[make()], train_split=ValidSplit(3, stratified=True)).fit(*iris)
    assert key in clf.history[-1]


def test_a_score_needs_rows_too(iris):
    callbacks = [EpochScoring("f1_macro", name="f1"), EarlyStopping("f1", lower_is_better=False)]
    with pytest.raises(ValueError, match=r"got 'f1'.*`train_split`.*EpochScoring"):
        quick(callbacks=callbacks).fit(*iris)


def test_a_misspelt_watch_is_told_what_there_is(iris):
    callbacks = [EarlyStopping("train_los")]
    for split in (None, ValidSplit(3)):
        with pytest.raises(ValueError, match=r"one of .*train_loss, .*; got 'train_los'") as caught:
            quick(callbacks=callbacks, train_split=split).fit(*iris)
        assert ("train_split" in str(caught.value)) is (split is None)


@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_a_gan_has_no_loss_of_rows_set_aside(split):
    gan = quick_gan(callbacks=[EarlyStopping()], train_split=split)
    match = "one of discriminator_loss.*generator_loss.*; got 'valid_loss'"
    with pytest.raises(ValueError, match=match) as caught:
        gan.fit(make_rows())
    assert ("`train_split`" in str(caught.value)) is (split is None)
    quick_gan(callbacks=[EarlyStopping("generator_loss")]).fit(make_rows())


class Failing(Callback):
    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        raise self.error


@pytest.mark.parametrize("error", [KeyError("mine"), ValueError(), ValueError("mine"), KeyError(3)])
def test_other_errors_of_callbacks_are_left_alone(error, iris):
    with pytest.raises(type(error)) as caught:
        quick(callbacks=[Failing(error)]).fit(*iris)
    assert caught.value is error


# -- criterion and targets ------------------------------------------------------------------------

OF_LABELS = ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss")
OF_COLUMNS = (
    *("BCEWithLogitsLoss", "BCELoss", "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"),
    *("KLDivLoss", "MultiLabelSoftMarginLoss", "PoissonNLLLoss"),
)
OF_SIGNS = ("SoftMarginLoss", "HingeEmbeddingLoss")


class Shares(MLP):
    """A network that returns probabilities."""

    def forward(self, X):
        return super().forward(X).softmax(1)


class LogShares(MLP):
    """A network that returns the logarithms of probabilities."""

    def forward(self, X):
        return super().forward(X).log_softmax(1)


class Apart(MLP):
    """A network that returns logits on both sides of what may be a probability."""

    def forward(self, X):
        return super().forward(X) + torch.tensor([-9.0, 0.0, 9.0], device=X.device)


def make_targets(kind, y):
    columns = np.eye(3)[y]
    return {
        "labels": y,
        "two labels": (y > 0).astype(int),
        "words": np.array(["a", "b", "c"])[y],
        "several labels": np.column_stack([y > 0, y > 1, y == 0]).astype(int),
        "probabilities": 0.05 + 0.85 * columns,
    }[kind]


def make_net(name, **params):
    module = {"NLLLoss": Shares, "BCELoss": Shares, "KLDivLoss": LogShares}.get(name, MLP)
    batch_size = 3  # As many rows as classes: torch would compare what only looks alike.
    return quick(criterion=getattr(nn, name), module=module, batch_size=batch_size, **params)


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, kind) for name in OF_COLUMNS + OF_SIGNS for kind in ("labels", "two labels")],
        ("BCEWithLogitsLoss", "words"),
        *[
            (name, kind)
            for name in OF_LABELS[1:] + OF_SIGNS
            for kind in ("several labels", "probabilities")
        ],
    ],
)
def test_a_criterion_that_does_not_fit_the_targets_is_told_what_fits(name, kind, alpha, iris):
    X, y = iris[0], make_targets(kind, iris[1])
    got = "a label a row" if y.ndim == 1 else "3 columns"
    with pytest.raises(ValueError, match=f"got {name} and y of {got}. Labels go with CrossEntr"):
        make_net(name, alpha=alpha).fit(X, y)


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"), [("BCEWithLogitsLoss", "two labels"), ("NLLLoss", "probabilities")]
)
def test_so_it_is_wherever_a_net_is_trained(name, kind, weigh, alpha, iris):
    X, y = iris[0], make_targets(kind, iris[1])
    params = {"lam_per": "sample"} if weigh else {}
    net = make_net(name, alpha=alpha, **params)
    for fit in list(fit_in_every_way(net, X, y))[: 5 if y.ndim == 1 else 4]:
        with pytest.raises(ValueError, match=f"got {name} and y of"):
            fit()
    if weigh:
        with pytest.raises(ValueError, match=f"got {name} and y of"):
            net.fit(X, y, sample_weight=np.linspace(0.5, 1, 150))


class Pairs(Dataset):
    """Rows with labels, one by one."""

    def __init__(self, X, y):
        self.X, self.targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.targets[i]


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("make", [Pairs, lambda X, y: TensorDataset(*Pairs(X, y)[:])])
def test_labels_of_a_dataset_are_seen_too(make, alpha, iris):
    with pytest.raises(ValueError, match="got BCEWithLogitsLoss and y of a label a row"):
        make_net("BCEWithLogitsLoss", alpha=alpha).fit(make(*iris))


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MSELoss", "MultiLabelSoftMarginLoss"])
@pytest.mark.parametrize("n_columns", [1, 3])
def test_rows_of_a_dataset_are_not_repeated_to_fit_the_module(n_columns, name, alpha, iris):
    class Unseen(Pairs):
        def __getitem__(self, i):
            return self.X[i], torch.eye(3)[i % 3, :n_columns]

    dataset = Unseen(*iris)
    del dataset.targets
    net = make_net(name, alpha=alpha, module__n_classes=4 - n_columns)
    what = "alone" if name == "CrossEntropyLoss" and n_columns == 1 else "got rows of"
    with pytest.raises(ValueError, match=f"A Dataset of your own must yield .*{what}"):
        net.fit(dataset)


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "labels") for name in OF_LABELS],
        ("CrossEntropyLoss", "probabilities"),
        *[(name, "several labels") for name in OF_COLUMNS],
        *[(name, "probabilities") for name in OF_COLUMNS],
    ],
)
@pytest.mark.filterwarnings("ignore:reduction")  # torch on KLDivLoss
def test_a_criterion_that_fits_trains(name, kind, alpha, iris):
    y = make_targets(kind, iris[1])
    with warnings.catch_warnings():
        clf = make_net(name, alpha=alpha, max_epochs=1).fit(iris[0], y)
    assert np.isfinite(clf.history[-1, "train_loss"])


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("NLLLoss", "labels", "from 0 to 1; Apart returned .* -"),
        ("BCELoss", "several labels", "from 0 to 1; Apart returned .* -"),
        ("KLDivLoss", "probabilities", r"up to 0; Apart returned .* to [89]"),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction")  # torch on KLDivLoss
def test_a_criterion_of_probabilities_is_not_given_logits(name, kind, told, alpha, iris):
    X, y = iris[0], make_targets(kind, iris[1])
    net = make_net(name, alpha=alpha).set_params(module=Apart)
    for fit in list(fit_in_every_way(net, X, y))[: 5 if y.ndim == 1 else 4]:
        with pytest.raises(ValueError, match=f"{name} needs .* {told}"):
            fit()


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize(
    ("name", "same", "kind"),
    [
        ("MultiLabelSoftMarginLoss", "BCEWithLogitsLoss", "several labels"),
        ("KLDivLoss", "CrossEntropyLoss", "probabilities"),
    ],
)
def test_what_is_trained_alike_predicts_alike(name, same, kind, iris):
    X, y = iris[0], make_targets(kind, iris[1])
    reduction = {"criterion__reduction": "batchmean"} if name == "KLDivLoss" else {}
    one = make_net(name, **reduction, lr=1e-4).fit(X, y)
    other = make_net(same, lr=1e-4).fit(X, y)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-3)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_outputs_are_looked_at_once_a_training(iris, monkeypatch):
    seen, aminmax = [], torch.Tensor.aminmax
    monkeypatch.setattr(torch.Tensor, "aminmax", lambda rows: seen.append(1) or aminmax(rows))
    clf = make_net("NLLLoss", max_epochs=2).fit(*iris)
    assert len(seen) == 1
    clf.partial_fit(*iris)
    assert len(seen) == 2


class OneColumn(nn.BCEWithLogitsLoss):
    """A loss of somebody's own that turns labels into columns."""

    def forward(self, logits, y):
        return super().forward(logits, nn.functional.one_hot(y, logits.shape[1]).to(logits))


# The network stands still, and visits the rows as they lie.
STILL = {"lr": 0, "max_epochs": 1, "iterator_train__shuffle": False, "random_state": 0}


def loss_against_columns(X, y, **params):
    """Train on a column of zeros and ones for each class; return the loss."""
    clf = MixupClassifier(**STILL, **params).fit(X, np.eye(3, dtype=int)[y])
    return clf.history[-1, "train_loss"]


@pytest.mark.parametrize("alpha", [0, 0.2])
def test_a_criterion_of_somebodys_own_takes_what_it_takes(alpha, iris):
    clf = MixupClassifier(criterion=OneColumn, alpha=alpha, **STILL).fit(*iris)
    # The binary cross-entropy is linear in the targets. Sums of 450 numbers, in float32.
    expected = loss_against_columns(*iris, alpha=alpha)
    assert clf.history[-1, "train_loss"] == pytest.approx(expected, rel=450 * 2**-24)


class OwnLoss(MixupClassifier):
    """A net whose loss is another than its criterion's."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        columns = nn.functional.one_hot(y_true, 3).to(y_pred)
        return nn.functional.binary_cross_entropy_with_logits(y_pred, columns)


def test_a_loss_of_a_subclass_takes_what_it_takes(iris):
    clf = OwnLoss(criterion=nn.BCEWithLogitsLoss, alpha=0, **STILL).fit(*iris)
    expected = loss_against_columns(*iris, alpha=0)
    assert clf.history[-1, "train_loss"] == pytest.approx(expected, rel=450 * 2**-24)


# -- what a module returns ------------------------------------------------------------------------


class Returning(MLP):
    """A network that puts its logits into something."""

    wrap = staticmethod(lambda logits: logits)

    def forward(self, X):
        return type(self).wrap(super().forward(X))


class Dict(Returning):
    wrap = staticmethod(lambda logits: {"logits": logits, "loss": None})


class List(Returning):
    wrap = staticmethod(lambda logits: [logits, logits])


class Nothing(Returning):
    wrap = staticmethod(lambda logits: None)


class Nested(Returning):
    wrap = staticmethod(lambda logits: ({"logits": logits}, logits))


class Empty(Returning):
    wrap = staticmethod(lambda logits: ())


class Tuple(Returning):
    wrap = staticmethod(lambda logits: (logits, {"more": logits}))


RETURNED = {
    Dict: "Dict returned a dict with keys 'logits', 'loss'",
    List: r"List returned a list of \['Tensor', 'Tensor'\]",
    Nothing: "Nothing returned a NoneType",
    Nested: r"Nested returned a tuple of \['dict', 'Tensor'\]",
    Empty: r"Empty returned a tuple of \[\]",
}


@pytest.mark.parametrize(("module", "shown"), RETURNED.items())
@pytest.mark.parametrize("alpha", [0, 0.2])
def test_an_output_that_holds_no_logits_is_shown(alpha, module, shown, iris):
    for fit in fit_in_every_way(quick(module=module, alpha=alpha), *iris):
        with pytest.raises(ValueError, match=f"must return a tensor of logits, or a tu.*{shown}"):
            fit()


def fitted_on_logits(module, iris):
    """Fit a net, and let its module return something else from now on."""
    clf = quick(module=Returning).fit(*iris)
    clf.module_.__class__ = module
    return clf


@pytest.mark.parametrize(("module", "shown"), RETURNED.items())
def test_so_it_is_when_a_net_is_asked(module, shown, iris):
    X, y = iris
    clf = fitted_on_logits(module, iris)
    ask = {
        "predict_proba": lambda: clf.predict_proba(X),
        "decision_function": lambda: clf.decision_function(X),
        "fgsm": lambda: fgsm(clf, X, y, eps=0.1),
        "gradient": lambda: gradient_norm_between(clf, X, y, n_pairs=2),
        "gradient of a module": lambda: gradient_norm_between(
            clf.module_, X.astype(np.float32), y, of="output", n_pairs=2
        ),
    }
    for asked in ask.values():
        with pytest.raises(ValueError, match=shown):
            asked()


def test_the_first_entry_of_a_tuple_counts(iris):
    one, other = (quick(module=module).fit(*iris) for module in (Tuple, Returning))
    np.testing.assert_array_equal(one.predict_proba(iris[0]), other.predict_proba(iris[0]))
    ensemble = FusedBaggingClassifier(quick(module=Tuple), 2, random_state=0).fit(*iris)
    assert ensemble.score(*iris) > 0.5


class Bare(nn.Module):
    """A network of two layers that puts its output into a dict."""

    def __init__(self, n_features=2, n_out=2):
        super().__init__()
        self.linear = nn.Linear(n_features, n_out)

    def forward(self, X):
        return {"out": self.linear(X)}


@pytest.mark.parametrize(("part", "n_out"), [("generator", 2), ("discriminator", 1)])
def test_networks_of_a_gan_return_one_tensor(part, n_out):
    gan = quick_gan(**{part: Bare, f"{part}__n_out": n_out})
    delattr(gan, f"{part}__hidden_sizes")
    match = f"The {part} must return one tensor; Bare returned a dict with keys 'out'"
    with pytest.raises(ValueError, match=match):
        gan.fit(make_rows())


def test_a_loader_of_somebodys_own_meets_the_same_checks(iris):
    with pytest.raises(ValueError, match="got MSELoss and y of a label a row"):
        make_net("MSELoss", iterator_train=DataLoader, alpha=0).fit(*map(np.array, iris))


def test_the_layers_of_a_net_are_those_of_its_parts_each_once(iris):
    class Shares(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.again = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.nothing = None
            self.register_module("none", None)
            self.last = nn.ModuleList([self.first, nn.Linear(4, 3)])

        def forward(self, X):
            return self.last[1](self.again(self.first(X)))

    net = MixupClassifier(Shares, max_epochs=1).fit(*iris)
    layers = list_layers(net)
    assert len(layers) == len(set(layers))
    assert set(layers) == {*net.module_.modules(), net.criterion_}
