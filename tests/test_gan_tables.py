"""What MixupGAN makes of tables: samples that are tables of the same kind, and rows by class."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from polars.testing import assert_frame_equal as assert_polars_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader

from sklearn_mixup import MixupGAN
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._gan.matching import Matching
from sklearn_mixup.modules import Discriminator, Generator
from tests.small_gans import quick, same_bits, weights

N = 120


def customers(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "plan": pd.Categorical(rng.choice(["basic", "plus"], n), ["none", "plus", "basic"]),
            "calls": rng.poisson(9, n),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(300, size=n), "D"),
            "paid": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(3, 1, n)),
            "active": rng.random(n) < 0.3,
            "city": rng.choice(["Bern", "Oslo", None], n),
            "cards": rng.integers(3, size=n).astype(np.int8),
            "version": 7,
        },
        index=np.arange(n) * 2,
    )


@pytest.fixture(scope="module")
def X():  # noqa: N802
    """A table of all kinds of columns."""
    return customers()


@pytest.fixture(scope="module")
def y(X):
    """Whether a customer calls often; 49 of 120 do."""
    return np.where(X["calls"] > 9, "yes", "no")


def small(**params):
    """A quick GAN that encodes."""
    return quick(encode=True, **params)


def assert_like(samples, X):
    """Check that samples could be rows of a table."""
    assert samples.dtypes.equals(X.dtypes)
    assert samples.columns.equals(X.columns)
    assert samples.index.equals(pd.RangeIndex(len(samples)))
    for name in X:
        if X[name].dtype.kind in "ifM":
            assert samples[name].min() >= X[name].min()
            assert samples[name].max() <= X[name].max()
        else:
            assert {*samples[name].dropna()} <= {*X[name].dropna()}
    assert (samples["version"] == 7).all()
    assert (samples["since"] == samples["since"].dt.normalize()).all()
    assert not samples.drop(columns=["paid", "city"]).isna().any(axis=None)


# -- samples are like the table -------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 0.2])
def test_samples_have_the_columns_and_kinds_of_the_table(alpha, X, assert_unchanged):
    with assert_unchanged(X):
        gan = small(alpha=alpha).fit(X)
    assert_like(gan.sample(200, random_state=0), X)
    assert gan.n_features_in_ == 8
    assert gan.get_feature_names_out().tolist() == gan.feature_names_in_.tolist() == [*X]
    again = clone(gan).fit(X).sample(200, random_state=0)
    pd.testing.assert_frame_equal(again, gan.sample(200, random_state=0))
    assert not again.equals(gan.sample(200, random_state=1))


def test_a_table_of_polars_comes_out_as_one(X):
    table = pl.from_pandas(X.drop(columns="since")).with_columns(since=pl.Series(X["since"]))
    gan = small().fit(table)
    samples = gan.sample(50, random_state=0)
    assert samples.schema == table.schema
    assert gan.score(table) < 0
    assert_polars_equal(samples, pickle.loads(pickle.dumps(gan)).sample(50, random_state=0))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_an_array_comes_out_as_one_in_its_own_units(kind):
    X = (np.random.default_rng(0).normal([1e6, -5], [1e4, 3], size=(N, 2))).astype(kind)
    gan = small().fit(X)
    samples = gan.sample(300, random_state=0)
    assert samples.dtype == kind
    assert (samples >= X.min(axis=0)).all()
    assert (samples <= X.max(axis=0)).all()
    assert same_bits(gan, small().fit(torch.tensor(X)))
    assert gan.score(X) == gan.score(torch.tensor(X)) < 0
    frames = gan.set_output(transform="pandas").sample(300, random_state=0)
    assert frames.columns.tolist() == ["x0", "x1"]
    np.testing.assert_array_equal(frames, samples)


@pytest.mark.parametrize("kind", [">f8", np.longdouble])
def test_floats_of_other_bytes_keep_their_digits(kind):
    X = np.random.default_rng(0).normal(1e9, 1, size=(N, 2))
    assert same_bits(small().fit(X), gan := small().fit(X.astype(kind)))
    assert gan.sample(3).dtype == np.float64


def test_an_array_of_floats_is_standardised_and_nothing_else():
    X = np.random.default_rng(0).normal([1e6, -5], [1e4, 3], size=(N, 2))
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    gan, by_hand = small().fit(X), quick(encode=False).fit(scaled)
    assert_close(weights(gan), weights(by_hand), rtol=1e-5, atol=1e-6)
    expected = by_hand.sample(50, random_state=0) * X.std(axis=0) + X.mean(axis=0)
    expected = expected.clip(X.min(axis=0), X.max(axis=0))
    np.testing.assert_allclose(gan.sample(50, random_state=0), expected, rtol=1e-4)
    np.testing.assert_allclose(gan.decision_function(X), by_hand.decision_function(scaled), 1e-4)
    constant = small().fit(np.column_stack([X, np.full(N, 3.5)]))
    assert (constant.sample(50)[:, 2] == 3.5).all()
    assert np.isfinite(small().fit(X * 1e200).sample(50)).all()
    with pytest.raises(ValueError, match="contains NaN"):
        gan.score(np.where(X < -5, np.nan, X))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_gaps_in_an_array_of_floats_are_learned(kind):
    X = np.random.default_rng(0).normal(size=(N, 2))
    X[::3, 1] = np.nan
    gan = small().fit(kind(X))
    samples = gan.sample(200, random_state=0)
    assert samples.dtype == X.dtype
    assert np.isnan(samples).any(axis=0).tolist() == [False, True]
    assert gan.score(kind(X)) < 0


def test_the_units_of_numbers_do_not_matter(X):
    numbers = X[["calls", "cards"]].astype(np.int64)
    gan, other = small().fit(numbers), small().fit(numbers * 1000 + 17)
    assert same_bits(gan, other)
    found = other.sample(50, random_state=0)
    pd.testing.assert_frame_equal(
        ((found - 17) / 1000).round().astype(int), gan.sample(50, random_state=0)
    )


def test_a_table_can_be_asked_for_in_another_package(X):
    gan = small().fit(X[["calls", "paid"]])
    with sklearn.config_context(transform_output="polars"):
        assert gan.sample(3).columns == ["calls", "paid"]
    with sklearn.config_context(transform_output="pandas"):
        assert gan.sample(3).dtypes.equals(X[["calls", "paid"]].dtypes)
        samples = small().fit(pl.from_pandas(X)).sample(3)
    kinds = ["category", "int64", "float64", "bool", "int8"]
    assert [*samples[["plan", "calls", "paid", "active", "cards"]].dtypes] == kinds


def test_pictures_are_not_encoded(digits):
    pictures = np.array(digits[0][:40])
    gan = small().fit(pictures)
    assert same_bits(gan, quick(encode=False).fit(pictures))
    assert gan.sample(2).shape == (2, 8, 8)


def test_without_encoding_rows_are_seen_as_they_are(X):
    numbers = X[["calls", "cards"]]
    seen = []

    class Watched(Discriminator):
        def forward(self, X):
            seen.append(X)
            return super().forward(X)

    quick(encode=False, alpha=0, discriminator=Watched).fit(numbers)
    assert {*torch.cat(seen[1:])[:, 0].tolist()} & {*map(float, numbers["calls"])}
    with pytest.raises(ValueError, match="'plan'"):
        quick(encode=False).fit(X)


@pytest.mark.parametrize(("n_columns", "expected"), [(1, 2), (2, 2), (9, 9), (80, 64)])
def test_latent_vectors_are_as_long_as_rows_within_bounds(n_columns, expected):
    X = np.random.default_rng(0).normal(size=(30, n_columns))
    gan = small(max_iter=1).fit(X)
    assert len(gan.generator_.normals) == expected
    assert len(small(max_iter=1, latent_dim=3).fit(X).generator_.normals) == 3


# -- the discriminator sees what sampling gives ---------------------------------------------------


def test_the_discriminator_sees_words_whole_of_data_and_of_samples(X):
    seen = []

    class Watched(Discriminator):
        def forward(self, X):
            if self.training:
                seen.append(X.detach())
            return super().forward(X)

    gan = small(alpha=0, discriminator=Watched).fit(X)
    codec = gan._codec_
    rows = torch.cat(seen)
    for start, stop in codec.blocks:
        assert torch.equal(rows[:, start:stop].max(1).values, torch.ones(len(rows)))
        assert torch.equal(rows[:, start:stop].sum(1), torch.ones(len(rows)))
    assert len(rows) == 6 * (2 * 2 + 1) * 16


def shares(samples, name):
    return samples[name].value_counts(normalize=True, dropna=False)


def test_shares_of_words_and_gaps_are_learned_also_of_rare_ones():
    rng = np.random.default_rng(0)
    words = rng.choice(["a", "b", "c", None], 3_000, p=[0.75, 0.2, 0.02, 0.03])
    table = pd.DataFrame({"word": words, "x": rng.normal(size=3_000)})
    gan = small(max_iter=250, batch_size=128, lr=0.005, n_discriminator_steps=1).fit(table)
    found, expected = shares(gan.sample(4_000, random_state=0), "word"), shares(table, "word")
    assert (found / expected).between(0.5, 2).all()


def test_matching_is_zero_on_average_for_rows_of_the_table_and_not_for_others(X, y):
    rows = torch.tensor(TableCodec(X).encode(X, np.random.RandomState(0))).double()
    codes = torch.tensor((y == "yes").astype(int))
    one_hot = torch.eye(2).double()[codes]
    matching = Matching(rows, one_hot, 3)
    assert_close(matching.means[1, :3], rows[codes == 1, :3].mean(0))
    assert_close(matching.means[0, -3:], (rows[codes == 0, :3] ** 2).mean(0))
    rng = torch.Generator().manual_seed(0)
    drawn = [torch.randint(N, (64,), generator=rng) for _ in range(2_000)]
    found = torch.stack([matching(rows[at], one_hot[at]) for at in drawn])
    other = torch.stack([matching(rows[at], 1 - one_hot[at]) for at in drawn])
    # Five standard errors.
    assert found.mean().abs() < 5 * found.std() / 2_000**0.5
    assert other.mean() > 50 * found.std() / 2_000**0.5


def test_matching_is_of_the_rows_that_are_trained_on(X):
    gan = small(train_split=ValidSplit(4, stratified=False))
    kept = []

    class Keep(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            kept.append((net._training_.matching, dataset_train))

    gan.set_params(callbacks=[("keep", Keep())]).fit(X)
    matching, dataset = kept[0]
    rows = torch.stack([torch.as_tensor(dataset[i][0]) for i in range(len(dataset))])
    assert len(rows) == 90
    assert_close(matching.means[0, : rows.shape[1]], rows.mean(0))


def test_without_matching_the_generator_has_the_loss_of_the_discriminator_alone(X):
    losses = []

    class Watched(MixupGAN):
        def generator_loss(self, fake, y=None):
            losses.append(super().generator_loss(fake, y))
            return losses[-1]

    params = {**small().get_params(deep=False), "n_discriminator_steps": 1}
    for weight in (0, 10):
        losses.clear()
        gan = Watched(**{**params, "matching": weight}).fit(X)
        told = [batch["generator_loss"] for row in gan.history for batch in row["batches"]]
        equal = np.allclose(told, [loss.item() for loss in losses])
        assert equal == (weight == 0)


# -- rows by class --------------------------------------------------------------------------------


def test_rows_are_drawn_by_class_or_with_the_shares_of_the_data(X, y):
    gan = small().fit(X, pd.Series(y, name="churned"))
    assert gan.classes_.tolist() == ["no", "yes"]
    rows, labels = gan.sample(2_000, random_state=0, return_y=True)
    assert_like(rows, X)
    assert labels.name == "churned"
    # Five standard errors.
    assert abs((labels == "yes").mean() - (y == "yes").mean()) < 5 * 0.5 / 2_000**0.5
    rows, labels = gan.sample(7, y="yes", return_y=True)
    assert len(rows) == 7
    assert labels.tolist() == ["yes"] * 7
    asked = ["no", "yes", "yes"]
    assert gan.sample(3, y=asked, return_y=True)[1].tolist() == asked
    assert isinstance(small().fit(X, y).sample(2, return_y=True)[1], np.ndarray)


@pytest.mark.parametrize("kind", ["numbers", "booleans", "floats", "categories", "polars"])
def test_labels_of_any_kind_come_back(kind, X, y):
    labels = {
        "numbers": np.where(y == "yes", 3, -1),
        "booleans": y == "yes",
        "floats": np.where(y == "yes", 1.0, 0.0),
        "categories": pd.Series(pd.Categorical(y, ["yes", "no", "never"])),
        "polars": pl.Series("churned", y),
    }[kind]
    gan = small().fit(X, labels)
    drawn = gan.sample(30, random_state=0, return_y=True)[1]
    assert type(drawn) is type(labels)
    assert drawn.dtype == labels.dtype
    assert {*drawn} == {*labels}
    first = labels[0]
    assert {*gan.sample(5, y=first, return_y=True)[1]} == {first}


class Told(nn.Module):
    """Networks of one's own, which note what they are told."""

    def __init__(self, n_in, n_out, n_classes):
        super().__init__()
        self.layer, self.seen = nn.Linear(n_in + n_classes, n_out), []

    def forward(self, X, y):
        if self.training:
            self.seen.append((X.detach(), y.detach()))
        return self.layer(torch.cat([X, y], dim=1))


class OwnGenerator(Told):
    def __init__(self, latent_dim, n_features, n_classes):
        super().__init__(latent_dim, n_features, n_classes)


class OwnDiscriminator(Told):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, 1, n_classes)


def own(**params):
    params = {"generator": OwnGenerator, "discriminator": OwnDiscriminator, **params}
    gan = small(**params)
    for part in ("generator", "discriminator"):
        del vars(gan)[f"{part}__hidden_sizes"]
    return gan


@pytest.mark.parametrize("loader", [False, True])
def test_a_row_is_mixed_with_a_sample_of_its_own_class(loader, X, y):
    # A class has a column of its own, so that rows tell what they are of.
    table = pd.DataFrame({"word": y, "x": np.arange(N) % 17})
    how = {"iterator_train": DataLoader} if loader else {}
    gan = own(alpha=0, n_discriminator_steps=2, **how).fit(table, y)
    seen = gan.discriminator_.seen
    assert len(seen) == 6 * 5
    for i in range(0, len(seen), 5):
        (real, y_real), (_, y_fake), (other, y_other), _, (_, y_own) = seen[i : i + 5]
        assert torch.equal(y_real, y_fake)
        assert torch.equal(y_own, y_real)
        for rows, told in ((real, y_real), (other, y_other)):
            assert torch.equal(rows[:, 1:], told[:, [0, 1]] if y[0] == "no" else told[:, [1, 0]])
    first = gan.generator_.seen[0]
    assert len(first[0]) == 32
    assert torch.equal(first[1], torch.cat([seen[0][1], seen[2][1]]))


class Watched(MixupGAN):
    """Notes what is mixed."""

    def discriminator_loss(self, real, fake, lam, y=None):
        self.seen.append((real, fake))
        return super().discriminator_loss(real, fake, lam, y)


@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("with_classes", [False, True])
def test_words_are_not_mixed_and_numbers_are(with_classes, alpha, y):
    table = pd.DataFrame({"word": y, "x": np.arange(N) % 17, "other": np.arange(N) % 3 > 0})
    gan = small(alpha=alpha)
    gan.__class__, gan.seen = Watched, []
    gan.fit(table, *([y] if with_classes else []))
    for real, fake in gan.seen:
        assert {*real.unique().tolist()} >= {0, 1}
        assert (real[:, 0] != fake[:, 0]).all()
        assert torch.equal(real[:, 1:], fake[:, 1:]) == (alpha > 0)


def test_a_ring_is_sampled_mode_by_mode():
    rng = np.random.default_rng(0)
    modes = rng.integers(4, size=2_000)
    centres = 3 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    ring = centres[modes] + 0.2 * rng.normal(size=(2_000, 2))
    gan = quick(encode=False, max_iter=400, batch_size=128, lr=0.005, n_discriminator_steps=1)
    gan.set_params(
        optimizer_generator__betas=(0.0, 0.99), optimizer_discriminator__betas=(0.0, 0.99)
    )
    gan.set_params(generator__hidden_sizes=(32, 32), discriminator__hidden_sizes=(32, 32))
    gan.fit(ring, modes)
    for mode in range(4):
        rows = gan.sample(200, random_state=0, y=mode)
        nearest = np.linalg.norm(rows[:, None] - centres, axis=2).argmin(axis=1)
        assert (nearest == mode).mean() > 0.9


def test_the_discriminator_judges_rows_by_class_or_by_the_best(X, y):
    gan = small().fit(X, y)
    by_class = [gan.decision_function(X, np.full(N, label)) for label in ("no", "yes")]
    assert not np.array_equal(*by_class)
    assert np.array_equal(gan.decision_function(X), np.max(by_class, axis=0))
    expected = np.where(y == "yes", by_class[1], by_class[0])
    assert np.array_equal(gan.decision_function(X, y), expected)
    rows = torch.tensor(gan._codec_.encode(X))
    with torch.no_grad():
        logits = gan.discriminator_.eval()(rows, torch.eye(2)[torch.tensor((y == "yes") * 1)])
    np.testing.assert_allclose(expected, logits.flatten(), rtol=1e-4, atol=1e-6)


class Positional(Discriminator):
    def forward(self, *parts):
        return super().forward(*parts)


def test_a_discriminator_may_call_rows_and_classes_what_it_likes(X, y):
    gan, plain = small(discriminator=Positional).fit(X, y), small().fit(X, y)
    assert_close(gan.decision_function(X, y), plain.decision_function(X, y))


def test_the_score_counts_whether_rows_fit_their_class(X, y):
    gan = small().fit(X, y)
    assert gan.score(X, y) == gan.score(X, y)
    assert gan.score(X, y) != gan.score(X)
    of_few = [gan.score(X[y == label], y[y == label]) for label in ("no", "yes")]
    assert of_few[0] != of_few[1]


def test_a_target_of_numbers_is_learned_cut_as_the_error_says(X):
    paid = X["paid"].fillna(0)
    with pytest.raises(ValueError, match=r"as by pandas\.qcut\(y, 4, labels=False\)"):
        small().fit(X, paid)
    y = pd.qcut(paid, 4, labels=False)
    assert small().fit(X, y).classes_.tolist() == [0, 1, 2, 3]


def test_a_class_of_a_single_row_is_learned_with_a_warning(X, y):
    labels = np.where(np.arange(N) == 3, "once", y)
    with pytest.warns(UserWarning, match=r"single row can only repeat .* 1 of 3 have one: 'once'"):
        gan = small().fit(X, labels)
    assert len(gan.sample(3, y="once")) == 3


def test_pictures_are_learned_by_class(digits):
    pictures, labels = np.array(digits[0][:60]), np.array(digits[1][:60]) % 3
    gan = small().fit(pictures, labels)
    assert gan.sample(4, y=2).shape == (4, 8, 8)
    assert gan.score(pictures, labels) < 0
    assert gan.decision_function(pictures).shape == (60,)


# -- the life of an estimator and a net -----------------------------------------------------------


@pytest.mark.parametrize("by_class", [False, True])
def test_training_goes_on_with_the_columns_and_classes_that_are_known(by_class, X, y):
    labels = y if by_class else None
    gan = small().fit(X, labels).partial_fit(X[:50], None if labels is None else labels[:50])
    assert gan.n_iter_ == 12
    copied = pickle.loads(pickle.dumps(gan)).partial_fit(X, labels)
    assert same_bits(copied, gan.partial_fit(X, labels))
    pd.testing.assert_frame_equal(copied.sample(9, 0), gan.sample(9, 0))
    warm = small(warm_start=True).fit(X, labels).fit(X, labels)
    assert warm.n_iter_ == 12
    assert same_bits(small(random_state=4).fit(X, labels).set_params(random_state=0).fit(X, labels),
                     small().fit(X, labels))  # fmt: skip
    assert not hasattr(gan.fit(X), "classes_")


def test_the_loader_of_the_user_learns_tables_by_class(X, y):
    gan = small(iterator_train=DataLoader, batch_size=50).fit(X, y)
    assert_like(gan.sample(20, random_state=0), X)


def test_a_grid_search_scores_tables_by_class(X, y):
    table = X.drop(columns="since")
    search = GridSearchCV(small(max_iter=2), {"alpha": [0.0, 0.2]}, cv=2, error_score="raise")
    assert (search.fit(table, y).cv_results_["mean_test_score"] < 0).all()
    assert search.best_estimator_.sample(2, y="no").dtypes.equals(table.dtypes)


@pytest.mark.parametrize("by_class", [False, True])
def test_rows_that_are_held_out_are_scored(by_class, X, y):
    scoring = EpochScoring(None, name="held_out", lower_is_better=False)
    gan = small(train_split=ValidSplit(5, stratified=by_class), callbacks=[("s", scoring)])
    gan.fit(X, y if by_class else None)
    assert all(score < 0 for score in gan.history[:, "held_out"])


def test_weights_alone_make_no_table(X, y, tmp_path):
    gan = small().fit(X, y)
    gan.save_params(f_generator=tmp_path / "g.pt")
    told = small(random_state=3).partial_fit(X, y, epochs=0)
    assert told.n_iter_ == 0
    told.load_params(f_generator=tmp_path / "g.pt")
    pd.testing.assert_frame_equal(told.sample(9, 0), gan.sample(9, 0))
    shape = gan._row_shape_
    fresh = small(generator__row_shape=shape, generator__n_classes=2,
                  discriminator__n_features=shape[0])  # fmt: skip
    with pytest.raises(ValueError, match=r"weights alone\. Pickle the GAN .* partial_fit"):
        small(generator__row_shape=shape, discriminator__n_features=1).initialize().sample()
    fresh.initialize()


def test_global_generators_are_left_alone(X, y):
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    gan = small().fit(X, y)
    gan.sample(5)
    gan.score(X, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]  # noqa: NPY002


def test_training_by_class_moves_all_weights(X, y):
    gan = small(max_iter=3).partial_fit(X, y, epochs=0)
    before = weights(gan)
    gan.partial_fit(X, y)
    assert not any(map(torch.equal, before, weights(gan)))
    assert gan.generator_.n_classes if hasattr(gan.generator_, "n_classes") else True


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[120, 119\]"),
        (lambda X, y: (X, np.linspace(0, 1, N)), r"must hold classes.*such as 0\.008.*column of X"),
        (lambda X, y: (X, np.stack([y, y], 1)), "1d array|1-dimensional|shape"),
        (lambda X, y: (X, [None, *y[1:]]), "NaN or None"),
        (lambda X, y: (X, [np.nan, *y[1:]]), "NaN or None; got nan in row 0"),
        (lambda X, y: (X, np.ma.array(y, mask=y == "no")), "y has masked entries"),
        (lambda X, y: (X, pd.qcut(X["calls"], 3)), r"words or of numbers; got .* Interval\("),
        (lambda X, y: (X, np.arange(N) // 2 + 0.0), "y must hold labels; got 60 different numbers"),
        (lambda X, y: (X[:0], y[:0]), r"row and a column at least; got a table of 0 row"),
        (lambda X, y: (X[[]], y), r"at least; got a table of 120 row\(s\) and 0 column"),
        (lambda X, y: (X[:1], y[:1]), "1 sample.*minimum of 2"),
        (lambda X, y: (pd.concat([X[:1]] * N), y), "rows that differ; got 120 equal rows"),
        (lambda X, y: (X[["version"]], y), "rows that differ; got 120 equal rows"),
        (lambda X, y: (X.assign(calls=np.inf), y), "infinity in column 'calls'"),
        (lambda X, y: (X.assign(calls=1j), y), "[Cc]omplex"),
        (
            lambda X, y: (pd.concat([X] * 50).assign(plan=[*map(str, range(6000))]), [*y] * 50),
            r"at most 1000 different ones .* got 6000 in column 'plan'",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(change, match, X, y):
    rows, labels = change(X, y)
    gan = small()
    with pytest.raises(ValueError, match=match):
        gan.fit(rows, labels)
    assert same_bits(gan.fit(X, y), small().fit(X, y))


def test_a_fitted_gan_survives_a_table_that_is_refused(X, y):
    gan = small().fit(X, y)
    before, drawn = weights(gan), gan.sample(9, 0)
    for rows, labels in ((X, y[:-1]), (X.assign(calls=np.inf), y)):
        with pytest.raises(ValueError, match=r"inconsistent|infinity"):
            gan.fit(rows, labels)
    assert all(map(torch.equal, before, weights(gan)))
    pd.testing.assert_frame_equal(gan.sample(9, 0), drawn)


@pytest.mark.parametrize("call", ["score", "decision_function", "partial_fit"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X: X.assign(city="Rome"), r"'city' .* 'Bern'.*; got 'Rome'"),
        (lambda X: X.rename(columns={"city": "town"}), "feature names"),
        (lambda X: X.drop(columns="city"), r"feature names|has 7 features"),
        (lambda X: X.assign(calls="many"), "'calls' of X held numbers .* got 'many'"),
        (lambda X: X.assign(since=3), "'since' of X held dates .* got 3"),
        (lambda X: X.assign(calls=np.inf), "infinity in column 'calls'"),
        (lambda X: X.assign(active=[None, *X["active"][1:]]), "'active' .* got a gap"),
    ],
)
def test_a_table_of_other_columns_or_words_is_refused(call, change, match, X, y):
    gan = small().fit(X, y)
    before = weights(gan)
    with pytest.raises(ValueError, match=match):
        getattr(gan, call)(change(X), y)
    assert all(map(torch.equal, before, weights(gan)))


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        ({"y": "maybe"}, r"`y` must be a class of the data; got 'maybe'. They are 'no', 'yes'"),
        ({"y": ["no", "maybe"]}, r"must be a class of the data; got 'maybe'"),
        ({"y": ["no", "yes", "no"]}, r"one for each of n_samples=2 rows; got 3"),
    ],
)
def test_a_class_that_is_not_there_is_refused(ask, match, X, y):
    with pytest.raises(ValueError, match=match):
        small().fit(X, y).sample(2, **ask)


def test_classes_are_refused_where_there_are_none(X, y):
    gan = small().fit(X)
    with pytest.raises(ValueError, match=r"got 'no', and the GAN was fitted without y"):
        gan.sample(2, y="no")
    with pytest.raises(ValueError, match="needs classes; the GAN was fitted without y"):
        gan.sample(2, return_y=True)
    for judge in (gan.score, gan.decision_function):
        with pytest.raises(ValueError, match="fitted without classes"):
            judge(X, y)
    with pytest.raises(ValueError, match="this call is with y"):
        gan.partial_fit(X, y)
    gan.fit(X, y)
    with pytest.raises(ValueError, match="this call is without y"):
        gan.partial_fit(X)
    with pytest.raises(ValueError, match="a class of the data; got 'maybe'"):
        gan.partial_fit(X, ["maybe"] * N)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_a_network_that_takes_no_class_is_named(part, X, y):
    class Alone(nn.Linear):
        def __init__(self, n_features, latent_dim=None):
            sizes = (2, n_features) if latent_dim else (n_features, 1)
            super().__init__(*sizes)

    gan = small(**{part: Alone})
    del vars(gan)[f"{part}__hidden_sizes"]
    with pytest.raises(TypeError, match=rf"the {part} must take `y` .* Alone takes 1 argument"):
        gan.fit(X, y)


def test_classes_of_a_dataset_are_refused(X, y):
    rows = torch.utils.data.TensorDataset(torch.randn(N, 2), torch.zeros(N))
    with pytest.raises(ValueError, match="`y` must be None where X is a torch Dataset"):
        small().fit(rows, y)
    gan = small().fit(X)
    with pytest.raises(TypeError, match="must be a table, or an array of rows"):
        gan.score(rows)


def test_a_table_that_is_yet_to_be_read_is_refused(X):
    with pytest.raises(TypeError, match=r"got a LazyFrame. Use X.collect\(\)"):
        small().fit(pl.from_pandas(X).lazy())


def test_tables_of_other_packages_are_refused(X):
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match=r"pandas or polars.*Use X.to_pandas"):
        small().fit(pyarrow.Table.from_pandas(X))


def test_counts_of_drawn_classes_follow_a_random_state(X, y):
    gan = small().fit(X, y)
    first, second = (gan.sample(50, 1, return_y=True)[1] for _ in range(2))
    assert Counter(first) == Counter(second)


def test_the_networks_of_the_package_take_classes():
    y = torch.eye(3)
    generator, discriminator = (
        Generator(2, (4,), (8,), n_classes=3),
        Discriminator(4, (8,), n_classes=3),
    )
    rows = generator(torch.zeros(3, 2), y)
    assert rows.shape == (3, 4)
    assert not torch.equal(rows[0], rows[1])
    assert discriminator(rows, y).shape == (3, 1)
