"""What a training is made of: minibatches that are there, shuffled, and of more than one row."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, PassthroughScoring
from skorch.dataset import ValidSplit
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, IterableDataset

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
from tests.small_gans import bare, make_rows, quick
from tests.test_fused import assert_same_net, fit_both, make_folds


def make_net(**params):
    small = {"module__hidden_sizes": (8,), "max_epochs": 2, "random_state": 0}
    return MixupClassifier(**{**small, **params})


# -- nothing to train on --------------------------------------------------------------------------


class Empty(IterableDataset):
    def __iter__(self):
        return iter(())


class Once(IterableDataset):
    """Rows that can be read once."""

    def __init__(self, X, y):
        self.rows = iter(list(zip(torch.tensor(X), torch.tensor(y), strict=True)))

    def __iter__(self):
        return self.rows


@pytest.mark.filterwarnings("ignore:.*could not be fused")  # of the ensemble with a DataLoader
@pytest.mark.parametrize("make", [make_net, lambda **p: FusedBaggingClassifier(make_net(**p), 2)])
@pytest.mark.parametrize("iterator", [None, DataLoader])
def test_rows_that_make_no_minibatch_are_told_with_both_numbers(make, iterator, iris):
    params = {} if iterator is None else {"iterator_train": iterator}
    clf = make(iterator_train__drop_last=True, **params)
    with pytest.raises(
        ValueError,
        match=r"at least one minibatch to train on.*none of 25 row\(s\) with batch_size=32 and "
        r"drop_last=True\. Use a `batch_size` of at most 25, or iterator_train__drop_last=False",
    ):
        clf.fit(iris[0][::6], iris[1][::6])
    with pytest.raises(NotFittedError):
        clf.predict(iris[0])


def test_rows_that_make_no_minibatch_leave_a_net_that_goes_on_as_it_was(iris):
    clf = make_net(iterator_train__drop_last=True).fit(*iris)
    before = clf.predict_proba(iris[0])
    with pytest.raises(ValueError, match="none of 25 row"):
        clf.partial_fit(iris[0][::6], iris[1][::6])
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before)


def test_a_stream_without_rows_is_told(iris):
    clf = make_net(module__n_features=4, module__n_classes=3, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"DataLoader yielded none with batch_size=32\."):
        clf.fit(Empty())


def test_a_stream_that_can_be_read_once_is_told_in_the_second_epoch(iris):
    params = {"module__n_features": 4, "module__n_classes": 3, "classes": [0, 1, 2]}
    rows = iris[0].astype(np.float32), iris[1]
    with pytest.raises(ValueError, match="in each epoch"):
        make_net(**params).fit(Once(*rows))
    assert len(make_net(**params, max_epochs=1).fit(Once(*rows)).history) == 1


def test_no_epochs_at_all_are_asked_for_explicitly(iris):
    clf = make_net(max_epochs=0, iterator_train__drop_last=True, batch_size=200).fit(*iris)
    assert clf.predict(iris[0]).shape == (150,)


def test_a_gan_without_a_minibatch_tells_both_numbers():
    gan = quick(iterator_train=DataLoader, iterator_train__drop_last=True, batch_size=200)
    with pytest.raises(ValueError, match=r"none of 100 row\(s\) with batch_size=200 and drop_last"):
        gan.fit(make_rows())


@pytest.mark.parametrize("epochs", [-1, 2.5, "3"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_loop"])
def test_epochs_that_are_no_number_of_epochs_are_told(epochs, method, iris):
    clf = make_net().fit(*iris) if method == "fit_loop" else make_net()
    with pytest.raises(ValueError, match="`epochs` must be a whole number >= 0; got"):
        getattr(clf, method)(*iris, epochs=epochs)
    assert clf.initialized_ == (method == "fit_loop")
    with pytest.raises(ValueError, match="`epochs` must be"):
        quick().fit(make_rows(), epochs=-1)


# -- the order of the rows ------------------------------------------------------------------------


def by_label():
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")
    return StandardScaler().fit_transform(X)[order].astype(np.float32), y[order]


def test_rows_sorted_by_label_are_shuffled_by_a_data_loader_too():
    X, y = by_label()
    clf = MixupClassifier(iterator_train=DataLoader, max_epochs=5, random_state=0).fit(X, y)
    assert clf.score(X, y) > 0.95


def visits(clf, X, y):
    """Fit a net on rows that hold their own number, and return those of each epoch."""
    seen = []

    class Watches(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append([])

        def on_batch_begin(self, net, batch, training, **kwargs):
            seen[-1] += batch[0][:, 0].long().tolist()

    clf.set_params(callbacks=[Watches()], alpha=0).fit(X, y)
    return seen


NUMBERED = np.arange(90, dtype=np.float32).reshape(90, 1), np.arange(90) % 2


def test_random_state_governs_the_shuffle_of_a_data_loader():
    one, again, other = (
        visits(make_net(iterator_train=DataLoader, random_state=seed), *NUMBERED)
        for seed in (0, 0, 1)
    )
    assert one == again != other
    assert one[0] != one[1]
    assert [sorted(rows) for rows in one] == [list(range(90))] * 2


class OwnOrder(DataLoader):
    """A loader that chooses its minibatches itself."""

    def __init__(self, dataset, batch_size):
        halves = [list(range(45)), list(range(45, 90))]
        super().__init__(dataset, batch_sampler=halves)


class OwnSampler(DataLoader):
    """A loader with a sampler of its own, which takes all options."""

    def __init__(self, dataset, **options):
        super().__init__(dataset, sampler=range(len(dataset)), **options)


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_train": DataLoader, "iterator_train__shuffle": False},
        {"iterator_train": DataLoader, "iterator_train__sampler": range(90)},
        {
            "iterator_train": DataLoader,
            "iterator_train__batch_size": 1,
            "iterator_train__batch_sampler": [list(range(60)), list(range(60, 90))],
        },
        {"iterator_train": OwnOrder},
        {"iterator_train": OwnSampler},
    ],
)
def test_a_loader_that_is_told_an_order_keeps_it(params):
    assert visits(make_net(**params), *NUMBERED) == [list(range(90))] * 2


def test_a_gan_shuffles_the_rows_of_a_data_loader_too():
    rows = []

    class Watches(Callback):
        def on_batch_begin(self, net, batch, **kwargs):
            rows.extend(batch[0][:, 0].long().tolist())

    gan = quick(iterator_train=DataLoader, callbacks=[Watches()], max_iter=3)
    gan.fit(np.arange(200, dtype=np.float32).reshape(100, 2))
    assert len({*rows}) == len(rows)
    assert rows != sorted(rows)


# -- batch normalisation and a single row ---------------------------------------------------------


class Normed(nn.Module):
    """A network with batch normalisation, that notes the minibatches it is trained on."""

    def __init__(self, n_features, n_classes, norm=nn.BatchNorm1d, frozen=False):
        super().__init__()
        self.norm, self.linear = norm(n_features), nn.Linear(n_features, n_classes)
        self.frozen, self.seen = frozen, []

    def train(self, mode=True):
        super().train(mode)
        if self.frozen:
            self.norm.eval()
        return self

    def forward(self, X):
        if self.training:
            self.seen.append(X.detach().clone())
        return self.linear(self.norm(X))


def sizes_of(clf, n_rows, iris):
    clf.fit(iris[0][50 : 50 + n_rows], iris[1][50 : 50 + n_rows])
    return [len(X) for X in clf.module_.seen]


def make_normed(**params):
    return MixupClassifier(**{"module": Normed, "max_epochs": 2, "random_state": 0, **params})


@pytest.mark.parametrize("iterator", [{}, {"iterator_train": DataLoader}])
def test_a_single_last_row_joins_where_batches_are_normalised(iterator, iris):
    assert sizes_of(make_normed(**iterator), 65, iris) == [32, 33] * 2
    assert sizes_of(make_normed(**iterator), 66, iris) == [32, 32, 2] * 2
    assert sizes_of(make_normed(**iterator, iterator_train__drop_last=True), 65, iris) == [32] * 4
    lazy = make_normed(**iterator, module__norm=lambda n: nn.LazyBatchNorm1d())
    assert sizes_of(lazy, 65, iris) == [32, 33] * 2
    assert sizes_of(make_normed(**iterator, module__frozen=True), 65, iris) == [32, 32, 1] * 2
    plain = make_normed(**iterator, module__norm=lambda n: nn.Identity())
    assert sizes_of(plain, 65, iris) == [32, 32, 1] * 2


@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 65)])
def test_the_joined_row_is_mixed_within_its_minibatch(lam_per, weights, iris):
    X, y = iris[0][50:115], iris[1][50:115]
    targets = []

    class Notes(MixupClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            targets.append(y_true.rows)
            return super().get_loss(y_pred, y_true, *args, **kwargs)

    clf = Notes(Normed, lam_per=lam_per, max_epochs=1, alpha=1, random_state=0)
    clf.set_params(iterator_train__shuffle=False).fit(X, y, sample_weight=weights)
    assert [len(rows) for rows in targets] == [32, 33]
    if weights is None:
        assert_close(targets[-1].sum().cpu(), torch.tensor(-1.0))
    if lam_per == "minibatch":  # a permutation and one lam: the mean stays
        expected = torch.tensor(X[32:].mean(0), dtype=torch.float32)
        assert_close(clf.module_.seen[-1].mean(0).cpu(), expected)


def test_how_many_rows_are_gathered_at_once_makes_no_difference_to_a_joined_one(iris):
    X, y = iris[0][50:115], iris[1][50:115]
    few = make_normed(iterator_train__chunk_bytes=1, alpha=0).fit(X, y)
    assert torch.equal(
        few.module_.linear.weight, make_normed(alpha=0).fit(X, y).module_.linear.weight
    )


def test_a_learning_rate_falls_to_zero_over_joined_minibatches(iris):
    clf = make_normed().fit(iris[0][50:115], iris[1][50:115])
    assert clf.history[-1, "event_lr"] == pytest.approx(0.003 * (1 + np.cos(np.pi * 3 / 4)) / 2)


@pytest.mark.usefixtures("float64")
def test_a_joined_row_in_a_stack_is_as_alone(iris):
    nets = [
        MixupClassifier(
            nn.Sequential(nn.Linear(4, 8, False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
            **{"max_epochs": 3, "random_state": 0, "device": "cpu", **params},
        )
        for params in ({}, {"alpha": 0}, {"lam_per": "sample"}, {}, {"random_state": 1}, {})
    ]
    for one, other in fit_both(nets, make_folds(*iris, 129, 128, 129, 130, 97, 129)):
        assert_same_net(one, other)
    assert [len(net.history[0, "batches"]) for net in nets] == [4, 4, 4, 5, 3, 4]


@pytest.mark.parametrize(
    ("rows", "params"), [(slice(50, 51), {}), (slice(40, 60), {"batch_size": 1})]
)
@pytest.mark.parametrize("iterator", [{}, {"iterator_train": DataLoader}])
def test_batch_normalisation_of_single_rows_is_told(rows, params, iterator, iris):
    clf = make_normed(classes=[0, 1, 2], **params, **iterator)
    with pytest.raises(ValueError, match="Batch normalisation needs minibatches of at least two"):
        clf.fit(iris[0][rows], iris[1][rows])
    assert not clf.initialized_


def test_batch_normalisation_of_single_rows_in_a_gan_is_told():
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    gan = bare(discriminator=discriminator, batch_size=1)
    with pytest.raises(ValueError, match=r"Batch normalisation needs.*batch_size=1"):
        gan.fit(make_rows())
    loader = bare(discriminator=discriminator, batch_size=33, iterator_train=DataLoader)
    assert np.isfinite(loader.fit(make_rows()).sample(3)).all()  # 100 rows: 33, 33 and 34


def test_the_losses_of_an_epoch_are_those_that_skorch_writes(iris):
    own = make_normed(train_split=ValidSplit(3), lr=0.3, max_epochs=8)
    theirs = clone(own).set_params(
        callbacks__train_loss=PassthroughScoring("train_loss", on_train=True),
        callbacks__valid_loss=PassthroughScoring("valid_loss"),
    )
    own.fit(*iris), theirs.fit(*iris)
    names = ("train_loss", "train_loss_best", "valid_loss", "valid_loss_best")
    for name in names:
        assert own.history[:, name] == pytest.approx(theirs.history[:, name])
        assert own.history[:, name][0] or not name.endswith("_best")
    assert not all(own.history[:, "valid_loss_best"])
