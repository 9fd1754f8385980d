"""Samples of a GAN that its rejector does not keep are drawn anew."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.stats import ks_2samp
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler

from sklearn_mixup import MixupGAN, load, save
from sklearn_mixup._gan import rejection
from sklearn_mixup.minibatches import Minibatches


class Latent(nn.Module):
    """Hands on the latent vectors, and with them their class: nothing in it can be learned."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)
        self.shift = shift

    def forward(self, z, y=None):
        return z * self.scale + (0 if y is None else self.shift * y[:, 1:])


def untrained(**params):
    """Make a GAN whose samples are standard normal, whatever it is trained on."""
    defaults = {
        "encode": False,
        "latent_dim": 2,
        "max_iter": 200,
        "rejection": 3.0,
        "discriminator__hidden_sizes": (32, 32),
        "random_state": 0,
    }
    return MixupGAN(Latent, **{**defaults, **params})


def normal(n_rows, mean, spread, seed=1):
    return np.random.default_rng(seed).normal(mean, spread, (n_rows, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def shifted():
    """Learn what to reject of a standard normal distribution to get a narrower one beside it."""
    return untrained().fit(normal(4000, 0.5, 0.6))


def ks(rows, others):
    """Compute the larger distance of the marginal distributions of two columns."""
    return max(ks_2samp(rows[:, i], others[:, i]).statistic for i in (0, 1))


def test_what_is_kept_has_the_distribution_of_the_data(shifted):
    # Two sets of 4,000 rows of one distribution are 0.04 apart in one of 500 cases.
    fresh = normal(4000, 0.5, 0.6, seed=2)
    assert ks(shifted.sample(4000, random_state=0), fresh) < 0.05
    plain = copy.deepcopy(shifted).set_params(rejection=0.0)
    assert ks(plain.sample(4000, random_state=0), fresh) > 0.25


def test_the_logit_of_the_rejector_is_the_logarithm_of_the_ratio_of_densities(shifted):
    rows = torch.tensor(normal(1000, 0.5, 0.6, seed=3))
    with torch.no_grad():
        logits = shifted.rejector_(rows.to(shifted.device)).flatten().cpu()
    data, sample = torch.distributions.Normal(0.5, 0.6), torch.distributions.Normal(0.0, 1.0)
    ratio = (data.log_prob(rows) - sample.log_prob(rows)).sum(1)
    assert torch.corrcoef(torch.stack([logits, ratio]))[0, 1] > 0.95
    assert abs(float((logits - ratio).mean())) < 0.15


@pytest.mark.parametrize(("n_rows", "n_columns"), [(2000, 2), (100, 2), (120, 20)])
def test_nothing_is_rejected_where_there_is_nothing_to_tell(n_rows, n_columns):
    # The last would be learned by heart: only rows that were set aside show that it is nothing.
    rows = np.random.default_rng(3).normal(size=(n_rows, n_columns)).astype(np.float32)
    gan = untrained(latent_dim=n_columns).fit(rows)
    assert not hasattr(gan, "rejector_")
    plain = untrained(latent_dim=n_columns, rejection=0.0).fit(rows)
    assert_array_equal(gan.sample(5, random_state=0), plain.sample(5, random_state=0))


def test_nothing_is_rejected_where_that_leads_away_from_the_data(monkeypatch):
    X = normal(4000, 0.5, 1.0)
    assert hasattr(untrained().fit(X), "rejector_")
    # What looks most like data alone, which is one side of it.
    monkeypatch.setattr(
        rejection, "_find_range", lambda data, samples: 2 * (np.quantile(data, 0.9),)
    )
    gan = untrained().fit(X)
    assert not hasattr(gan, "rejector_")
    plain = untrained(rejection=0.0, train_split=None).fit(X)
    assert abs(gan.sample(4000, random_state=0).mean() - plain.sample(4000).mean()) < 0.1


def test_classes_keep_what_was_asked_for():
    y = np.arange(4000) % 2
    X = normal(4000, 0.5, 0.6) + 3 * y[:, None].astype(np.float32)
    gan = untrained(generator__shift=3.0).fit(X, y)
    asked = np.repeat([0, 1], [3000, 1000])
    rows = gan.sample(4000, y=asked, random_state=0)
    for label in (0, 1):
        fresh = normal(2000, 0.5, 0.6, seed=2) + 3 * label
        # Without a rejector 0.31; of 1,000 and 2,000 rows of one distribution 0.07 in one of 400.
        assert ks(rows[asked == label], fresh) < 0.12


def test_a_quarter_of_the_samples_is_kept_where_data_are_that_samples_hardly_reach():
    # By their ratio alone, a row in 50 would have samples drawn anew a thousand times.
    X = normal(4000, 0.0, 1.0)
    X[::50] += 5
    gan, judged = untrained().fit(X), []
    gan.rejector_.register_forward_pre_hook(lambda module, args: judged.append(len(args[0])))
    rows = gan.sample(2000, random_state=0)
    # The mean is 8,000 and the standard deviation 155, and of what is kept as at the fit another.
    assert 4000 < sum(judged) < 10_000
    assert abs(rows.mean()) < 0.15


def test_a_rejector_that_keeps_nothing_ends(shifted):
    gan = copy.deepcopy(shifted)
    gan._kept_logits_ = (1e9, 1e9)
    assert gan.sample(3, random_state=0).shape == (3, 2)


def test_samples_are_judged_in_minibatches(shifted):
    gan, sizes = copy.deepcopy(shifted), []
    gan.rejector_.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    gan.sample(1000, random_state=0)
    assert 0 < max(sizes) <= gan.batch_size


def test_an_interrupted_rejector_leaves_the_gan_as_it_was_trained():
    class Pressed(nn.Linear):
        n_before, n_seen = 10**9, 0

        def forward(self, rows):
            Pressed.n_seen += 1
            if Pressed.n_seen > Pressed.n_before:
                raise KeyboardInterrupt
            return super().forward(rows)

    params = {"discriminator": Pressed(2, 1), "discriminator__hidden_sizes": None, "max_iter": 10}
    params = {**untrained().get_params(deep=False), "latent_dim": 2, **params}
    del params["discriminator__hidden_sizes"]
    X = normal(200, 0.5, 0.6)
    MixupGAN(**{**params, "rejection": 0.0}).fit(X)
    # A few more than those: the rejector has begun.
    Pressed.n_before, Pressed.n_seen = Pressed.n_seen + 5, 0
    gan = MixupGAN(**params)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(X)
    assert (gan.n_iter_, gan.sample(3).shape) == (10, (3, 2))
    assert not hasattr(gan, "rejector_")


def test_a_rejector_that_nobody_has_checked_is_not_kept(monkeypatch):
    def press(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(rejection, "_mean_distances", press)
    gan = untrained()
    with pytest.raises(KeyboardInterrupt):
        gan.fit(normal(4000, 0.5, 0.6))
    assert not hasattr(gan, "rejector_")


def test_a_copy_and_a_file_draw_the_same_samples(shifted, tmp_path):
    save(shifted, tmp_path / "gan.mixup")
    expected = shifted.sample(50, random_state=0)
    trusted = ["tests.test_gan_rejection.Latent"]
    for other in (
        pickle.loads(pickle.dumps(shifted)),
        load(tmp_path / "gan.mixup", trusted=trusted),
    ):
        assert_array_equal(other.sample(50, random_state=0), expected)
    again = untrained().fit(normal(4000, 0.5, 0.6))
    assert_array_equal(again.sample(50, random_state=0), expected)


def test_a_generator_that_moves_on_is_not_judged_by_what_it_was(shifted, tmp_path):
    moved = copy.deepcopy(shifted).partial_fit(normal(4000, 0.5, 0.6), epochs=1)
    assert not hasattr(moved, "rejector_")
    shifted.save_params(f_generator=tmp_path / "generator.pt")
    loaded = copy.deepcopy(shifted)
    loaded.load_params(f_generator=tmp_path / "generator.pt")
    assert not hasattr(loaded, "rejector_")
    assert not hasattr(copy.deepcopy(shifted).initialize(), "rejector_")


def test_rows_of_train_split_serve_to_see_what_was_learned():
    X = normal(4000, 0.5, 0.6)
    seen = []

    class Watched(MixupGAN):
        def get_split_datasets(self, X, y=None, **fit_params):
            datasets = super().get_split_datasets(X, y, **fit_params)
            seen.append([0 if dataset is None else len(dataset) for dataset in datasets])
            seen.append(len(self._training_.set_aside))
            return datasets

    params = {**untrained().get_params(deep=False), "latent_dim": 2, "max_iter": 20}
    assert hasattr(Watched(**params).fit(X), "rejector_")
    params["train_split"] = ValidSplit(5)
    assert hasattr(Watched(**params).fit(X), "rejector_")
    assert seen == [[3600, 0], 400, [3200, 800], 800]


def test_a_class_of_one_row_is_trained_on():
    X, y = normal(200, 0.0, 1.0), np.r_[0, np.ones(199, dtype=int)]
    labels = []

    class Watched(MixupGAN):
        def train_step(self, batch, **fit_params):
            labels.append(batch[1][1].clone())
            return super().train_step(batch, **fit_params)

    params = {**untrained().get_params(deep=False), "latent_dim": 2, "max_iter": 5}
    for random_state in range(10):
        labels.clear()
        with pytest.warns(UserWarning, match="class with a single row"):
            Watched(**{**params, "random_state": random_state}).fit(X, y)
        assert (torch.cat(labels) == 0).any()


class Talkative(nn.Linear):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass


@pytest.mark.parametrize("rejection", [0.0, 3.0])
@pytest.mark.parametrize("judge", [nn.utils.spectral_norm(nn.Linear(2, 1)), Talkative(2, 1)])
def test_a_discriminator_that_is_more_than_its_weights_is_copied(judge, rejection):
    params = {"encode": False, "latent_dim": 2, "max_iter": 20, "lr": 0.05, "random_state": 0}
    gan = MixupGAN(Latent, judge, rejection=rejection, **params).fit(normal(200, 2.0, 0.5))
    assert hasattr(gan, "rejector_") == (rejection > 0)
    assert gan.sample(3).shape == (3, 2)


def test_a_generator_may_return_another_dtype(shifted):
    class Double(Latent):
        def forward(self, z, y=None):
            return super().forward(z).double()

    gan = untrained().set_params(generator=Double).fit(normal(4000, 0.5, 0.6))
    assert_array_equal(gan.sample(50, random_state=0), shifted.sample(50, random_state=0))


@pytest.mark.parametrize("loader", [Minibatches, DataLoader])
def test_a_sampler_of_ones_own_draws_all_rows(loader):
    X = normal(200, 0.5, 0.6)
    options = {"sampler": SequentialSampler(X), "shuffle": False}
    params = {"iterator_train": loader, "max_iter": 2}
    params |= {f"iterator_train__{name}": value for name, value in options.items()}
    gan = untrained(**params, rejection="auto").fit(X)
    assert not hasattr(gan, "rejector_")
    with pytest.raises(ValueError, match=r"iterator_train__sampler.*rejection=0"):
        untrained(**params).fit(X)


def test_rows_that_fill_no_minibatch_are_not_set_aside():
    params = {"iterator_train": DataLoader, "iterator_train__drop_last": True, "max_iter": 2}
    gan = untrained(**params, batch_size=64).fit(normal(300, 0.5, 0.6))
    assert (gan.n_iter_, hasattr(gan, "rejector_")) == (2, False)


@pytest.mark.parametrize("rejection", ["auto", 0.5])
def test_rows_that_are_no_points_in_the_plane_are_judged_if_that_is_asked_for(rejection):
    words = pd.DataFrame({"number": np.arange(200.0) % 7, "word": ["a", "b"] * 100})
    points = normal(200, 0.0, 1.0)
    params = {"discriminator__hidden_sizes": (4,), "generator__hidden_sizes": (4,), "max_iter": 4}
    seen = []

    class Watched(MixupGAN):
        def get_split_datasets(self, X, y=None, **fit_params):
            datasets = super().get_split_datasets(X, y, **fit_params)
            seen.append(self._training_.set_aside is not None)
            return datasets

    for rows in (words, points[:, [0, 1, 0]], points):
        Watched(**params, rejection=rejection, random_state=0).fit(rows).sample(3)
    assert seen == [rejection != "auto", rejection != "auto", True]


@pytest.mark.parametrize("rejection", [-0.1, "always", None])
def test_a_share_that_is_none_is_refused(rejection):
    with pytest.raises(ValueError, match="'rejection' parameter"):
        untrained(rejection=rejection).fit(normal(100, 0.0, 1.0))
