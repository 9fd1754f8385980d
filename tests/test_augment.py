"""`iterator_train__augment`: rows are augmented before they are mixed, and only to train on."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.utils.data import TensorDataset

from sklearn_mixup import FusedGridSearchCV, MixupClassifier, MixupGAN
from sklearn_mixup._fused.jobs import fit_fused
from sklearn_mixup.minibatches import Minibatches
from sklearn_mixup.modules import Discriminator
from sklearn_mixup.vicinal import mix
from tests.recording import Recording


def add_hundred(X):
    return X + 100


def add_noise(X):
    return X + torch.randn_like(X)


def write_zero(X):
    return X.zero_()


def drop_a_row(X):
    return X[1:]


def quick(**params):
    return MixupClassifier(**{"random_state": 0, "max_epochs": 2, "batch_size": 20, **params})


@pytest.fixture
def pictures(digits):
    X, y = digits
    return X[:100].reshape(-1, 1, 8, 8).astype(np.float32), y[:100]


def seen_by(clf):
    return torch.cat(clf.module_.seen)


@pytest.mark.parametrize("alpha", [0, 1.0])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_augment_comes_before_mixing(pictures, alpha, as_dataset):
    """A constant added to all rows is added to their mixtures too, whatever lam."""
    X, y = pictures
    data = (TensorDataset(torch.tensor(X), torch.tensor(y)), None) if as_dataset else (X, y)
    params = {"iterator_train__num_workers": 0} if as_dataset else {}
    plain = quick(module=Recording, alpha=alpha, lr=0, **params).fit(*data)
    shifted = quick(
        module=Recording, alpha=alpha, lr=0, iterator_train__augment=add_hundred, **params
    ).fit(*data)
    torch.testing.assert_close(seen_by(shifted), seen_by(plain) + 100)


def test_an_augmentation_is_not_linear_in_the_mixture(pictures):
    """Mixing first would give the square of the mixture, not the mixture of the squares."""
    X, y = pictures
    clf = quick(
        module=Recording,
        alpha=float("inf"),
        max_epochs=1,
        batch_size=-1,
        iterator_train__shuffle=False,
        iterator_train__augment=torch.square,
    ).fit(X, y)
    squares = torch.tensor(X).square()
    # lam is 1/2: each mixture, times two, less the row itself, is the square of some row.
    partners = 2 * seen_by(clf) - squares
    distances = torch.cdist(partners.flatten(1), squares.flatten(1))
    assert distances.min(1).values.max() < 1e-3 < (seen_by(clf) - squares).abs().max()


def test_predictions_and_the_callers_rows_are_not_augmented(pictures):
    X, y = pictures
    before = X.copy()
    clf = quick(iterator_train__augment=write_zero).fit(X, y)
    assert np.array_equal(X, before)
    assert len(np.unique(clf.predict_proba(X), axis=0)) > 1
    again = clone(clf).set_params(iterator_train__augment=None, max_epochs=0).fit(X, y)
    again.module_.load_state_dict(clf.module_.state_dict())
    assert np.array_equal(clf.predict_proba(X), again.predict_proba(X))


def test_random_state_governs_the_augmentation(pictures):
    def weights(random_state):
        clf = quick(random_state=random_state, iterator_train__augment=add_noise).fit(*pictures)
        return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])

    state = torch.get_rng_state()
    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_gan_augments_the_real_rows(pictures):
    X = pictures[0].reshape(100, -1)
    seen = []

    class Witness(Discriminator):
        def forward(self, X):
            seen.append(X.detach().cpu())
            return super().forward(X)

    MixupGAN(
        discriminator=Witness,
        encode=False,
        alpha=0,
        max_iter=2,
        batch_size=50,
        random_state=0,
        iterator_train__augment=add_hundred,
    ).fit(X)
    rows = torch.cat([X[:50] for X in seen if len(X) == 50])
    real = rows[rows.mean(1) > 50] - 100
    assert len(real) > 0
    distances = torch.cdist(real.double(), torch.tensor(X).double()).min(1).values
    assert distances.max() < 1e-3


@pytest.mark.parametrize("workers", [{}, {"iterator_train__num_workers": 0}])
def test_a_row_that_is_lost_is_missed(pictures, workers):
    with pytest.raises(
        ValueError, match=r"`augment` must return a row for each row.*(19 for 20|99 for 100)"
    ):
        quick(iterator_train__augment=drop_a_row, **workers).fit(*pictures)


def test_rows_to_validate_on_are_not_augmented(pictures):
    clf = quick(iterator_valid__augment=add_hundred).fit(*pictures)
    with pytest.raises(ValueError, match="iterator_train__augment"):
        clf.predict(pictures[0])


def test_nets_that_augment_are_trained_one_by_one(pictures):
    X, y = pictures[0].reshape(100, -1), pictures[1]
    clf = quick(iterator_train__augment=add_noise, max_epochs=1)
    with pytest.warns(UserWarning, match="augment may draw"):
        fused = fit_fused([clone(clf), clone(clf)], [X] * 2, [y] * 2)[0]
    alone = clone(clf).fit(X, y)
    assert np.array_equal(fused.predict_proba(X), alone.predict_proba(X))
    with pytest.warns(UserWarning, match="augment may draw"):
        FusedGridSearchCV(clf, {"alpha": [0, 0.2]}, cv=2).fit(X, y)


def test_minibatches_augment_whole_chunks():
    X, y = torch.arange(24.0).view(12, 2), torch.arange(12)
    sizes = []

    def augment(X):
        sizes.append(len(X))
        return mix(X, torch.arange(len(X)).flip(0), lam=0.0)

    batches = list(Minibatches(X, y, batch_size=3, augment=augment, chunk_bytes=6 * 4 * 16))
    assert sizes == [6, 6]
    seen = torch.cat([Xi for Xi, _ in batches])
    assert torch.equal(seen, torch.cat([X[:6].flip(0), X[6:].flip(0)]))
