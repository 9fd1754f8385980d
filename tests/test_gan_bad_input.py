"""What MixupGAN refuses, in which words, and what is left of it afterwards."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from sklearn_mixup import MixupGAN
from sklearn_mixup.exceptions import DivergedError
from sklearn_mixup.modules import Discriminator, Generator
from tests.small_gans import bare, make_rows, quick, same_bits, weights

DEFAULTS = MixupGAN().get_params(deep=False)


@pytest.fixture(scope="module")
def X():  # noqa: N802
    """A table of 100 x 2, float32, read-only; its rows all differ."""
    return make_rows()


@pytest.fixture
def assert_rejected(X, assert_unchanged):
    """Check that a fit is refused, changes nothing, and can be followed by one that is not."""

    def check(match, rows=None, *, error=ValueError, make=quick, **params):
        rows = X if rows is None else rows
        gan = make(**params)
        with assert_unchanged(rows), pytest.raises(error, match=match):
            gan.fit(rows)
        with pytest.raises(NotFittedError):
            gan.sample()
        fresh = quick()
        gan.set_params(**{name: DEFAULTS[name] for name in params if name in DEFAULTS})
        kept = fresh.get_params(deep=False)
        gan.set_params(**{name: kept[name] for name in (*params, *kept) if name in kept}).fit(X)
        assert same_bits(gan, fresh.fit(X))

    return check


# -- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            (name, value)
            for name in ("latent_dim", "n_discriminator_steps", "max_iter", "iter_per_epoch")
            for value in (0, -1, 1.5, "2", None)
        ],
        *[("batch_size", value) for value in (0, -2, 1.5, None)],
        *[("alpha", value) for value in (-0.1, math.inf, math.nan, "0.2", None)],
        *[("lam_per", value) for value in ("row", None, 1)],
        *[("saturating", value) for value in ("yes", None, 2)],
        *[("average", value) for value in (1, 1.5, -0.1, math.nan)],
        *[("lr", value) for value in (-1, math.inf, math.nan, None)],
        ("random_state", "seed"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_value(name, value, assert_rejected):
    match = rf"The '{name}' parameter of MixupGAN must be .* Got {re.escape(repr(value))} instead"
    assert_rejected(match, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 3),
        ("max_iter", 4),
        ("batch_size", 8),
        ("batch_size", -1),
        ("n_discriminator_steps", 1),
        ("iter_per_epoch", 2),
    ],
)
def test_whole_numbers_of_numpy_are_whole_numbers(name, value, X):
    assert same_bits(quick(**{name: np.int64(value)}).fit(X), quick(**{name: value}).fit(X))


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device, assert_rejected):
    assert_rejected(f"`device` must be a device that torch can use here; got '{device}'",
                    device=device)  # fmt: skip


@pytest.mark.parametrize("name", ["nonsense", "generator_hidden_sizes", "lerning_rate"])
def test_a_misspelt_parameter_is_named(name, X):
    gan = quick(**{name: 1})
    with pytest.raises((TypeError, ValueError), match=name):
        gan.fit(X)


# -- modules that do not fit ----------------------------------------------------------------------


def with_modules(generator=None, discriminator=None, **params):
    generator, discriminator = generator or nn.Linear(2, 2), discriminator or nn.Linear(2, 1)
    return bare(generator=generator, discriminator=discriminator, **params)


@pytest.mark.parametrize(
    ("modules", "match"),
    [
        (
            {"generator": nn.Linear(2, 3)},
            r"shape \(batch_size, 2\); Linear returned shape \(2, 3\) for 2 latent vectors",
        ),
        (
            {"generator": nn.Sequential(nn.Linear(2, 2), nn.Flatten(0))},
            r"shape \(batch_size, 2\); Sequential returned shape \(4,\) for 2 latent vectors",
        ),
        (
            {"generator": nn.Linear(3, 2)},
            r"(?s)Linear could not be applied to a minibatch of shape \[2, 2\].*`latent_dim` must",
        ),
        (
            {"discriminator": nn.Linear(3, 1)},
            r"(?s)Linear could not be applied to a minibatch of shape \[2, 2\].*Give X the shape",
        ),
        (
            {"discriminator": nn.Linear(2, 2)},
            r"one logit a row, shape .* Linear returned shape \(2, 2\) for 2 rows",
        ),
        (
            {"discriminator": nn.Sequential(nn.Linear(2, 1), nn.AdaptiveAvgPool2d(1))},
            r"Sequential",
        ),
    ],
)
def test_modules_that_do_not_fit_are_refused_with_the_shapes(modules, match, X):
    gan = with_modules(**modules)
    with pytest.raises(ValueError, match=match):
        gan.fit(X)
    with pytest.raises(NotFittedError):
        gan.sample()
    gan.set_params(generator=nn.Linear(2, 2), discriminator=nn.Linear(2, 1)).fit(X)
    assert gan.n_iter_ == 6


def test_modules_that_do_not_fit_are_refused_before_any_step(X):
    class Counts(Discriminator):
        def forward(self, X):
            if self.training:
                raise AssertionError("a step was taken")
            return super().forward(X)

    gan = quick(generator=nn.Linear(2, 3), discriminator=Counts)
    del gan.generator__hidden_sizes
    with pytest.raises(ValueError, match="must return rows like those of X"):
        gan.fit(X)


def test_a_discriminator_of_pictures_on_a_table_says_the_shapes(X):
    with pytest.raises(ValueError, match=r"Conv2d could not be applied to a minibatch of shape"):
        with_modules(discriminator=nn.Conv2d(1, 1, 3)).fit(X)


@pytest.mark.parametrize("shape", [(2, 1), (2,)])
def test_logits_may_have_a_column_or_none(shape, X):
    layers = [nn.Linear(2, 1)] if len(shape) == 2 else [nn.Linear(2, 1), nn.Flatten(0)]
    gan = with_modules(discriminator=nn.Sequential(*layers)).fit(X)
    assert gan.decision_function(X[:5]).shape == (5,)


# -- X --------------------------------------------------------------------------------------------


def spoilt(X, value):
    rows = np.array(X)
    rows[3, 1] = value
    return rows


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, torch.tensor])
def test_x_that_is_not_finite_is_refused(kind, value, X, assert_rejected):
    assert_rejected(r"X contains (NaN|infinity)", kind(spoilt(X, value)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_of_a_dataset_that_are_not_finite_are_refused(value, X):
    rows = TensorDataset(torch.tensor(spoilt(X, value)), torch.zeros(100))
    with pytest.raises(ValueError, match="X contains NaN, infinity or a value too large"):
        quick().fit(rows)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_numbers_too_large_for_the_module_are_refused(kind, X, assert_rejected):
    rows = kind(1e200 * X.astype(np.float64))
    assert_rejected(r"too large for the module's torch\.float32", rows)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_one_row_is_refused(kind, X, assert_rejected):
    assert_rejected(r"1 sample.*minimum of 2 is required", kind(X[:1]))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, pd.DataFrame])
@pytest.mark.parametrize("n_rows", [2, 50])
def test_equal_rows_are_refused(kind, n_rows, X, assert_rejected):
    rows = kind(np.repeat(X[:1], n_rows, axis=0))
    assert_rejected(rf"X must hold rows that differ; got {n_rows} equal rows", rows)


def test_no_rows_and_no_columns_are_refused(X, assert_rejected):
    assert_rejected(r"0 sample", X[:0])
    assert_rejected(r"0 feature", X[:, :0])
    assert_rejected(r"got shape \(0, 2\)", torch.tensor(X[:0]))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda X: {"a": X}, TypeError, "X must be one array or tensor; got a dict. Concatenate"),
        (sparse.csr_array, TypeError, "dense data is required"),
        (sparse.dok_array, TypeError, "dense data is required"),
        (lambda X: X[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (lambda X: torch.tensor(X[:, 0]), ValueError, "got a 1D array of 100"),
        (lambda X: np.full((9, 2), "word"), ValueError, "could not convert string to float"),
        (lambda X: X + 1j, ValueError, "[Cc]omplex data not supported"),
        (lambda X: torch.tensor(X + 1j), (TypeError, ValueError), "[Cc]omplex"),
    ],
)
def test_x_of_another_kind_is_refused(make, error, match, X, assert_rejected):
    assert_rejected(match, make(X), error=error)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [0, 0.2])
def test_a_constant_column_is_learned(value, alpha, X):
    rows = np.column_stack([X[:, 0], np.full(len(X), value)])
    gan = quick(alpha=alpha, max_iter=300, iter_per_epoch=100, lr=0.005, average=0.98).fit(rows)
    samples = gan.sample(500, random_state=0)
    # A standard deviation of the other column is 1.
    assert np.abs(samples[:, 1].mean() - value) < 0.5
    assert samples[:, 1].std() < 0.75


def test_minibatches_may_be_larger_than_the_table(X):
    gan = quick(batch_size=500).fit(X)
    assert gan.n_iter_ == 6
    assert gan.sample(7).shape == (7, 2)
    assert quick(batch_size=500).fit(X[:2]).n_iter_ == 6


def test_a_loader_that_yields_nothing_is_refused(X):
    gan = quick(iterator_train=DataLoader, iterator_train__drop_last=True, batch_size=200)
    with pytest.raises(ValueError, match="minibatch"):
        gan.fit(torch.tensor(X))


# -- a GAN that was fitted before -----------------------------------------------------------------


METHODS = ["fit", "partial_fit"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda X: spoilt(X, np.nan), "contains NaN"),
        (lambda X: X[:1], "minimum of 2"),
        (lambda X: np.repeat(X[:1], 9, axis=0), "rows that differ"),
        (lambda X: X[:, 0], "1D array"),
    ],
)
def test_a_fitted_gan_survives_data_that_are_refused(method, make, match, X):
    gan = quick().fit(X)
    before, state = weights(gan), vars(gan).keys()
    with pytest.raises(ValueError, match=match):
        getattr(gan, method)(make(X))
    assert all(map(torch.equal, before, weights(gan)))
    assert vars(gan).keys() == state
    assert (gan.n_iter_, gan.n_features_in_, len(gan.history)) == (6, 2, 2)
    assert same_bits(gan.partial_fit(X), quick().fit(X).partial_fit(X))


@pytest.mark.parametrize("method", METHODS)
def test_a_fitted_gan_survives_parameters_that_are_refused(method, X):
    gan = quick().fit(X)
    before = weights(gan)
    with pytest.raises(ValueError, match="'alpha' parameter of MixupGAN"):
        getattr(gan.set_params(alpha=-1), method)(X)
    assert all(map(torch.equal, before, weights(gan)))
    assert gan.sample(3).shape == (3, 2)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, pd.DataFrame])
@pytest.mark.parametrize("method", ["partial_fit", "score", "decision_function"])
def test_another_number_of_columns_is_refused(kind, method, X):
    gan = quick().fit(kind(X))
    with pytest.raises(ValueError, match=r"X has 1 features, but MixupGAN is expecting 2|feature"):
        getattr(gan, method)(kind(X[:, :1]))
    assert gan.n_features_in_ == 2
    gan.partial_fit(kind(X))
    wide = kind(np.hstack([X, X[:, :1]]))
    assert gan.fit(wide).sample(2).shape == (2, 3)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_pictures_of_another_width_are_refused(kind, digits):
    pictures = kind(np.array(digits[0][:50]))
    gan = quick().fit(pictures)
    with pytest.raises(ValueError, match=r"must have shape \(8, 8\), .* got \(8, 7\)"):
        gan.partial_fit(pictures[:, :, :7])
    with pytest.raises(ValueError, match=r"must have shape \(8, 8\), .* got \(8, 7\)"):
        gan.score(pictures[:, :, :7])
    with pytest.raises(ValueError, match=r"minibatch of shape \[\d+, 8, 7\]"):
        gan.decision_function(pictures[:, :, :7])


def test_other_names_of_columns_are_refused(X):
    gan = quick().fit(pd.DataFrame(X, columns=["a", "b"]))
    with pytest.raises(ValueError, match="feature names"):
        gan.score(pd.DataFrame(X, columns=["a", "c"]))


@pytest.mark.parametrize("method", ["score", "decision_function"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_to_judge_are_checked_as_those_to_learn_from(method, value, X):
    gan = quick().fit(X)
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        getattr(gan, method)(spoilt(X, value))


@pytest.mark.parametrize("call", ["sample", "score", "decision_function", "get_feature_names_out"])
def test_an_unfitted_gan_says_so(call, X):
    args = [X] if call in ("score", "decision_function") else []
    with pytest.raises(NotFittedError, match="This MixupGAN instance is not initialized yet"):
        getattr(quick(), call)(*args)


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, 2.0, True, "3", None, math.nan])
def test_a_number_of_samples_that_is_none_is_refused(n_samples, X):
    gan = quick().fit(X)
    match = rf"`n_samples` must be a whole number >= 1; got {re.escape(repr(n_samples))}"
    with pytest.raises(ValueError, match=match):
        gan.sample(n_samples)


def test_a_random_state_that_is_none_of_them_is_refused(X):
    with pytest.raises(ValueError, match="'seed' cannot be used to seed"):
        quick().fit(X).sample(3, random_state="seed")


# -- divergence -----------------------------------------------------------------------------------


class Spoils(Discriminator):
    """A discriminator that returns NaN once, at its `n_bad`-th training pass."""

    def __init__(self, n_features, hidden_sizes=(16,), n_bad=0):
        super().__init__(n_features, hidden_sizes)
        self.n_bad, self.n_passes = n_bad, 0

    def forward(self, X):
        self.n_passes += self.training
        logits = super().forward(X)
        return logits * math.nan if self.training and self.n_passes == self.n_bad else logits


class GoodEpochs(Callback):
    """Keep the states at the end of each epoch."""

    def __init__(self):
        self.states, self.n_iters = [], []

    def on_epoch_end(self, net, **kwargs):
        self.states.append((weights(net), *moments(net)))
        self.n_iters.append(net.n_iter_)


def moments(gan):
    optimizers = gan.optimizer_generator_, gan.optimizer_discriminator_
    return [
        torch.cat([s["exp_avg"].flatten() for s in o.state_dict()["state"].values()]).clone()
        for o in optimizers
    ]


# An iteration with alpha > 0 passes minibatches through the discriminator three times: two steps
# of its own and one of the generator's. An epoch is three iterations.
@pytest.mark.parametrize(
    ("n_bad", "iteration", "kept"), [(10, 4, 3), (12, 4, 3), (18, 6, 3), (19, 7, 6), (26, 9, 6)]
)
@pytest.mark.parametrize("listens", [False, True])
def test_divergence_ends_a_fit_with_the_last_good_epoch(n_bad, iteration, kept, listens, X):
    class Listens(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    good = GoodEpochs()
    gan = quick(
        discriminator=Spoils,
        discriminator__n_bad=n_bad,
        max_iter=12,
        average=0.5,
        callbacks=[good, Listens()] if listens else [good],
    )
    match = (
        rf"(?s)Training diverged: a loss was NaN or infinite at iteration {iteration}\. The "
        rf"networks are those of iteration {kept}, .* Try a lower learning rate \(lr=0\.001\), "
        r"standardised features, or a larger `alpha` \(0\.2\)"
    )
    with pytest.raises(DivergedError, match=match) as caught:
        gan.fit(X)
    assert (caught.value.n_iter, caught.value.is_fitted) == (iteration, True)
    n_epochs = kept // 3
    assert good.n_iters == [3 * i for i in range(1, n_epochs + 1)]
    assert gan.n_iter_ == kept
    assert len(gan.history) == n_epochs
    assert np.isfinite(gan.history[:, "discriminator_loss"]).all()
    expected, *expected_moments = good.states[-1]
    assert all(map(torch.equal, expected, weights(gan)))
    assert all(map(torch.equal, expected_moments, moments(gan)))
    assert np.isfinite(gan.sample(20)).all()
    gan.set_params(callbacks=None).partial_fit(X)
    assert gan.n_iter_ == kept + 12
    assert np.isfinite(gan.score(X))


def test_learning_rates_after_divergence_are_those_to_start_from(X):
    gan = quick(discriminator=Spoils, discriminator__n_bad=20, max_iter=12, lr=0.01)
    with pytest.raises(ValueError, match="diverged"):
        gan.fit(X)
    for optimizer in (gan.optimizer_generator_, gan.optimizer_discriminator_):
        assert optimizer.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("n_bad", [1, 4, 9])
def test_divergence_in_the_first_epoch_leaves_an_unfitted_gan(n_bad, X):
    gan = quick(discriminator=Spoils, discriminator__n_bad=n_bad)
    iteration = (n_bad + 2) // 3
    with pytest.raises(ValueError, match=rf"at iteration {iteration}\. There was no good epoch"):
        gan.fit(X)
    for use in (gan.sample, lambda: gan.score(X), lambda: gan.decision_function(X)):
        with pytest.raises(NotFittedError):
            use()
    gan.set_params(discriminator__n_bad=0).fit(X)
    assert same_bits(gan, quick(discriminator=Spoils).fit(X))


@pytest.mark.parametrize("train", ["partial_fit", "warm"])
def test_divergence_of_a_gan_that_goes_on_keeps_what_it_was(train, X):
    # 18 passes in a fit of six iterations; the 20th is in the first epoch of the next.
    gan = quick(discriminator=Spoils, discriminator__n_bad=20, warm_start=train == "warm").fit(X)
    before, drawn = weights(gan), gan.sample(5, random_state=0)
    with pytest.raises(ValueError, match=r"at iteration 7\. The networks are those of iteration 6"):
        (gan.fit if train == "warm" else gan.partial_fit)(X)
    assert all(map(torch.equal, before, weights(gan)))
    assert np.array_equal(drawn, gan.sample(5, random_state=0))
    assert gan.n_iter_ == 6
    assert len(gan.history) == 2


class Poisons(Callback):
    """Make the gradients of the generator NaN at one iteration."""

    def __init__(self, n_iter):
        self.n_iter = n_iter

    def on_grad_computed(self, net, named_parameters, **kwargs):
        is_generator = named_parameters[-1][1].shape == (2,)  # the discriminator's last bias: (1,)
        if net.n_iter_ + 1 == self.n_iter and is_generator:
            for _, parameter in named_parameters:
                parameter.grad.fill_(math.nan)


@pytest.mark.parametrize(("n_iter", "named", "kept"), [(4, 5, 3), (6, 6, 3), (9, 9, 6)])
def test_weights_that_become_nan_are_noticed_with_the_losses_still_finite(n_iter, named, kept, X):
    gan = quick(max_iter=12, callbacks=[Poisons(n_iter)])
    match = rf"at iteration {named}\. The networks are those of iteration {kept}"
    with pytest.raises(ValueError, match=match):
        gan.fit(X)
    assert np.isfinite(gan.sample(9)).all()


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_a_huge_learning_rate_is_named(optimizer, X):
    params = {"optimizer_generator": optimizer, "optimizer_discriminator": optimizer}
    with pytest.raises(ValueError, match=r"diverged.*lower learning rate \(lr=1e\+30\)"):
        quick(lr=1e30, max_iter=30, **params).fit(X)


def test_a_generator_of_nan_is_noticed(X):
    class Nan(Generator):
        def forward(self, z):
            return super().forward(z) * math.nan

    with pytest.raises(ValueError, match=r"at iteration 1\. There was no good epoch"):
        quick(generator=Nan).fit(X)


def test_divergence_leaves_the_global_generators_alone(X):
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="diverged"):
        quick(discriminator=Spoils, discriminator__n_bad=20, max_iter=12).fit(X)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_average_after_divergence_is_that_of_the_last_good_epoch(X):
    gan = quick(discriminator=Spoils, discriminator__n_bad=11, average=0.5, max_iter=9)
    kept = quick(discriminator=Spoils, average=0.5, max_iter=9, callbacks=[Average()]).fit(X)
    with pytest.raises(ValueError, match="iteration 3, the last good one"):
        gan.fit(X)
    ours = nn.utils.parameters_to_vector(gan.averaged_generator_.parameters())
    assert_close(ours.detach(), dict(kept.callbacks_)["Average"].after[0], rtol=0, atol=0)


class Average(Callback):
    def __init__(self):
        self.after = []

    def on_epoch_end(self, net, **kwargs):
        parameters = net.averaged_generator_.parameters()
        self.after.append(nn.utils.parameters_to_vector(parameters).detach().clone())


# -- CUDA -----------------------------------------------------------------------------------------


@pytest.mark.cuda
def test_cuda_divergence_ends_a_fit_with_the_last_good_epoch(X):
    good = GoodEpochs()
    gan = quick(
        discriminator=Spoils,
        discriminator__n_bad=20,
        max_iter=12,
        device="cuda",
        callbacks=[good],
    )
    with pytest.raises(ValueError, match=r"at iteration 7\. The networks are those of iteration 6"):
        gan.fit(X)
    assert all(map(torch.equal, good.states[-1][0], weights(gan)))
    assert np.isfinite(gan.sample(20)).all()
