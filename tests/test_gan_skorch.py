"""MixupGAN beside what skorch offers for one module and one optimizer, and under odd use."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import Dataset as SkorchDataset
from skorch.helper import predefined_split
from skorch.hf import AccelerateMixin
from torch import nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from sklearn_mixup import MixupGAN
from tests.small_gans import bare, make_rows, quick, same_bits, weights


@pytest.fixture(scope="module")
def X():  # noqa: N802
    """A table of 100 x 2, float32, read-only; its rows all differ."""
    return make_rows()


# -- rows to validate on --------------------------------------------------------------------------


class Seen(Callback):
    def on_train_end(self, net, **kwargs):
        self.score_ = net.history[-1, "held_out"]

    def on_epoch_end(self, net, dataset_valid, **kwargs):
        self.X_, self.codes_ = (np.asarray(part) for part in zip(*dataset_valid, strict=True))


@pytest.mark.parametrize("n_rows", [40, 20])
@pytest.mark.parametrize("kind", ["points", "table"])
def test_rows_of_ones_own_to_validate_on_are_encoded(kind, n_rows):
    X = np.random.default_rng(0).normal(1e3, 5.0, (120, 2))
    if kind == "table":
        X = pd.DataFrame({"number": X[:, 0], "word": ["a", "b"] * 60})
    y = np.array(["no", "yes"] * 60)
    dataset = SkorchDataset(X[:40], y[:40])
    held = dataset if n_rows == 40 else Subset(dataset, range(n_rows))
    scoring = EpochScoring(None, name="held_out", lower_is_better=False)
    callbacks = [("held_out", scoring), ("seen", seen := Seen())]
    gan = quick(encode=True, rejection=1.0, train_split=predefined_split(held), callbacks=callbacks)
    gan.fit(X, y)
    assert seen.score_ == gan.set_params(rejection=0).score(X[:n_rows], y[:n_rows])
    assert np.abs(seen.X_).max() < 5
    np.testing.assert_array_equal(seen.codes_, (y[:n_rows] == "yes").astype(int))


@pytest.mark.parametrize(
    ("dataset", "error"),
    [
        (TensorDataset(torch.ones(5, 2), torch.ones(5)), TypeError),
        (SkorchDataset(np.ones((5, 2), dtype=np.float32)), ValueError),
    ],
)
def test_rows_to_validate_on_that_cannot_be_encoded_are_refused(X, dataset, error):
    gan = quick(encode=True, train_split=predefined_split(dataset))
    with pytest.raises(error, match=r"`train_split`.*predefined_split\(skorch"):
        gan.fit(X, np.arange(100) % 2)


# -- loading --------------------------------------------------------------------------------------


def initialized(**params):
    return quick(generator__row_shape=(2,), discriminator__n_features=2, **params).initialize()


def test_a_generator_that_is_loaded_is_sampled_from_with_an_average_too(X, tmp_path):
    gan = quick(average=0.9, max_iter=40).fit(X)
    gan.save_params(f_generator=tmp_path / "g.pt", f_averaged_generator=tmp_path / "a.pt")
    raw, both, plain = initialized(average=0.9), initialized(average=0.9), initialized()
    raw.load_params(f_generator=tmp_path / "g.pt")
    both.load_params(f_generator=tmp_path / "g.pt", f_averaged_generator=tmp_path / "a.pt")
    plain.load_params(f_generator=tmp_path / "g.pt")
    samples = [g.sample(5, random_state=0) for g in (gan, raw, both, plain)]
    np.testing.assert_array_equal(samples[2], samples[0])
    np.testing.assert_array_equal(samples[1], samples[3])
    assert not np.array_equal(samples[0], samples[1])


def test_a_loaded_average_is_not_forgotten_at_once(X, tmp_path):
    quick(average=0.999, max_iter=40).fit(X).save_params(f_generator=tmp_path / "g.pt")
    gan = initialized(average=0.999, max_iter=1, lr=0.5)
    gan.load_params(f_generator=tmp_path / "g.pt")
    before = next(gan.averaged_generator_.parameters()).detach().clone()
    gan.partial_fit(X)
    moved = (next(gan.generator_.parameters()) - before).abs().max()
    moved_average = (next(gan.averaged_generator_.parameters()) - before).abs().max()
    assert moved > 0.1
    torch.testing.assert_close(moved_average, moved * 0.001, rtol=0.01, atol=1e-6)


# -- callbacks ------------------------------------------------------------------------------------


def test_a_hook_set_on_a_callback_of_any_class_is_called_at_each_step(X):
    watcher = Mock(spec=Callback, get_params=dict, set_params=Mock())
    gan = quick(callbacks=[("watcher", watcher)]).fit(X)
    assert watcher.on_batch_end.call_count == gan.n_iter_
    n_steps = 1 + gan.n_discriminator_steps
    assert watcher.on_grad_computed.call_count == n_steps * gan.n_iter_


# -- sampling while training ----------------------------------------------------------------------


class Noisy(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.layer = nn.Linear(latent_dim, 2)

    def forward(self, z):
        return self.layer(z) + 0.1 * torch.randn(len(z), 2, device=z.device)


class Samples(Callback):
    def __init__(self, hook):
        self.hook = hook

    def on_epoch_end(self, net, **kwargs):
        if self.hook == "epoch":
            net.sample(3)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if self.hook == "grad":
            net.sample(3)


def test_samples_of_a_generator_that_draws_are_given_by_the_random_state(X):
    gan = bare(generator=Noisy, discriminator__hidden_sizes=(8,)).fit(X)
    before = torch.get_rng_state()
    first, second = gan.sample(3, random_state=0), gan.sample(3, random_state=0)
    np.testing.assert_array_equal(first, second)
    assert gan.score(X) == gan.score(X)
    assert torch.equal(torch.get_rng_state(), before)


class Slow(Noisy):
    modes = ()

    def forward(self, z):
        self.modes = (*self.modes, self.training)
        time.sleep(0.05)
        return self.layer(z)


def test_threads_that_sample_at_once_do_not_wake_the_generator(X):
    gan = bare(generator=Slow, discriminator__hidden_sizes=(8,), max_iter=1).fit(X)
    gan.generator_.modes = ()
    with ThreadPoolExecutor(3) as pool:
        assert len([*pool.map(gan.sample, range(1, 4))]) == 3
    assert gan.generator_.modes == (False,) * 3


@pytest.mark.parametrize("hook", ["epoch", "grad"])
def test_sampling_in_a_callback_leaves_the_training_as_it_is(X, hook):
    def fit(what):
        gan = MixupGAN(
            Noisy,
            discriminator__hidden_sizes=(8,),
            discriminator__dropout=0.5,
            max_iter=6,
            iter_per_epoch=2,
            batch_size=16,
            random_state=0,
            callbacks=[("samples", Samples(what))],
        )
        return gan.fit(X)

    assert same_bits(fit(hook), fit("never"))


# -- callbacks and hooks for one module -----------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (LRScheduler("StepLR", step_size=1), "LRScheduler.*callbacks__lr_decay"),
        (Checkpoint(monitor=None), "f_params=None.*f_generator"),
        (TrainEndCheckpoint(), "f_params=None.*f_generator"),
        (EarlyStopping("generator_loss", load_best=True), "load_best=False"),
    ],
)
def test_a_callback_that_knows_one_module_is_refused(X, callback, message):
    with pytest.raises(ValueError, match=f"'mine'.*{message}"):
        quick(callbacks=[("mine", callback)]).fit(X)


def test_a_checkpoint_of_both_modules_can_be_loaded(X, tmp_path):
    files = {"f_params": None, "f_optimizer": None, "f_criterion": None, "f_history": None}
    saves = Checkpoint(
        monitor=None, dirname=tmp_path, f_generator="g.pt", f_discriminator="d.pt", **files
    )
    gan = quick(callbacks=[("saves", saves)]).fit(X)
    loaded = initialized()
    loaded.load_params(f_generator=tmp_path / "g.pt", f_discriminator=tmp_path / "d.pt")
    assert same_bits(loaded, gan)


@pytest.mark.parametrize("hook", ["train_step_single", "_step_optimizer"])
def test_a_subclass_whose_hook_would_not_be_called_is_refused(X, hook):
    kind = type("Mine", (MixupGAN,), {hook: lambda self, *args, **kwargs: None})
    with pytest.raises(TypeError, match=f"Mine overrides {hook}.*train_step"):
        kind(**quick().get_params(deep=False)).fit(X)


def test_accelerate_is_refused(X):
    accelerate = pytest.importorskip("accelerate")

    class Accelerated(AccelerateMixin, MixupGAN):
        pass

    params = {**quick().get_params(deep=False), "device": None}
    with pytest.raises(TypeError, match=r"one device.*got Accelerated with.*AccelerateMixin"):
        Accelerated(**params, accelerator=accelerate.Accelerator(cpu=True)).fit(X)


# -- iterations -----------------------------------------------------------------------------------


def test_fit_loop_takes_as_many_iterations_as_partial_fit(X):
    gan = quick(max_iter=7).fit(X)
    gan.fit_loop(X)
    assert gan.n_iter_ == 14
    gan.fit_loop(X, epochs=1)
    assert gan.n_iter_ == 17


def test_fit_loop_learns_the_rows_of_a_net_initialized_by_hand(X):
    gan = initialized()
    gan.fit_loop(X)
    assert gan.n_iter_ == 6
    with pytest.raises(ValueError, match="NaN"):
        gan.fit_loop(np.full_like(X, np.nan))


def test_one_iteration_gathers_the_rows_of_one(X, monkeypatch):
    visits = []

    class Seen(MixupGAN):
        def get_iterator(self, dataset, training=False):
            iterator = super().get_iterator(dataset, training)
            visits.append(iterator.n_visits)
            return iterator

    params = quick(iter_per_epoch=100).get_params(deep=False)
    Seen(**{**params, "max_iter": 1}).fit(X)
    Seen(**{**params, "max_iter": 300}).fit(X)
    assert visits == [2 * 16, 100 * 2 * 16]


def test_latent_width_is_that_of_the_training(X):
    gan = quick().fit(X)
    before = gan.sample(3, random_state=0)
    gan.set_params(latent_dim=5)
    np.testing.assert_array_equal(gan.sample(3, random_state=0), before)
    assert gan.fit(X).sample(3).shape == (3, 2)
    assert len(gan.generator_.normals) == 5


# -- scores and names -----------------------------------------------------------------------------


def test_score_keeps_its_digits_far_from_zero(X):
    gan = quick().fit(X)
    gan.generator_.double()
    gan.discriminator_.double()
    X = X.astype(np.float64)
    near = gan.score(X)
    with torch.no_grad():
        gan.generator_.output.bias += 1e8
    assert gan.score(X + 1e8) == pytest.approx(near, rel=1e-4)


def test_pictures_have_no_names(X):
    gan = quick().fit(X.reshape(50, 1, 2, 2))
    with pytest.raises(ValueError, match=r"in columns.*\(1, 2, 2\)"):
        gan.get_feature_names_out()


def test_losses_are_the_logarithm_of_two_where_the_discriminator_knows_nothing(float64):
    class Ignorant(MixupGAN):
        criterion_ = nn.BCEWithLogitsLoss()

        def infer(self, x):
            return torch.zeros(50)

    for saturating, sign in ((False, 1), (True, -1)):
        gan = Ignorant(saturating=saturating)
        assert gan.generator_loss(None).item() == pytest.approx(sign * math.log(2))
        mixed = gan.discriminator_loss(torch.ones(50, 2), torch.zeros(50, 2), torch.rand(50))
        assert mixed.item() == pytest.approx(math.log(2))


# -- data sets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
@pytest.mark.parametrize("hidden", [False, True])
def test_whole_numbers_of_a_data_set_are_rows_too(dtype, alpha, hidden):
    class Hidden(Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, i):
            return pairs[i]

    rows = torch.arange(40).reshape(20, 2).to(dtype)
    pairs = TensorDataset(rows, torch.zeros(20))
    gan = quick(alpha=alpha).fit(Hidden() if hidden else pairs)
    assert np.isfinite(gan.sample(3)).all()


@pytest.mark.parametrize("n_rows", [0, 1])
def test_a_data_set_needs_two_rows(n_rows):
    with pytest.raises(ValueError, match=rf"at least two rows.*TensorDataset of {n_rows} row"):
        quick().fit(TensorDataset(torch.zeros(n_rows, 2), torch.zeros(n_rows)))


def test_a_stream_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(torch.zeros(2), 0)])

    with pytest.raises(ValueError, match="found by their number; got Stream"):
        quick().fit(Stream())


# -- divergence of nets that know something -------------------------------------------------------


def test_a_net_initialized_by_hand_goes_back_to_what_it_was(X):
    gan = initialized(lr=1e30)
    before = weights(gan)
    with pytest.raises(ValueError, match=r"diverged.*those of iteration 0"):
        gan.partial_fit(X)
    assert all(map(torch.equal, weights(gan), before))
    assert np.isfinite(gan.sample(3)).all()


def test_a_first_partial_fit_that_diverges_leaves_an_unfitted_net(X):
    gan = quick(lr=1e30)
    with pytest.raises(ValueError, match="no good epoch"):
        gan.partial_fit(X)
    assert not gan.initialized_
