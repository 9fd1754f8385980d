"""MixupGAN: a generative adversarial network whose discriminator sees mixed rows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from skorch.callbacks import EpochTimer
from skorch.dataset import Dataset
from torch import Tensor, nn

from sklearn_mixup._gan.checks import check_hooks, check_modules
from sklearn_mixup._gan.classes import apply, tell_classes
from sklearn_mixup._gan.head import draw_noise, draw_whose_words
from sklearn_mixup._gan.matching import Matching, make_matching
from sklearn_mixup._gan.minibatches import Rounds, cut_table, join_minibatches
from sklearn_mixup._gan.parts import (
    PARTS,
    draw_latent,
    follow_generator,
    go_on_averaging,
    make_networks,
    make_optimizers,
)
from sklearn_mixup._gan.progress import GANLog
from sklearn_mixup._gan.rejection import forget_rejection, learn_rejection, set_aside
from sklearn_mixup._gan.rows import encode_held_out, learn_rows
from sklearn_mixup._gan.samples import (
    distance_to,
    draw_samples,
    judge,
    name_columns,
)
from sklearn_mixup._gan.steps import Given, Iterations
from sklearn_mixup._net.checks import check_outputs, explain_shapes, is_dict, unlearn_on_error
from sklearn_mixup._net.estimator import NetEstimator
from sklearn_mixup._net.parameters import check_params, store
from sklearn_mixup._net.session import Training
from sklearn_mixup._net.settings import check_fit_params
from sklearn_mixup.callbacks import LRDecay, StepLosses
from sklearn_mixup.minibatches import Minibatches, Rows
from sklearn_mixup.modules import Discriminator, Generator
from sklearn_mixup.vicinal import mix_with

__all__ = ["MixupGAN"]


@dataclass
class _GANTraining(Training):
    """What a GAN needs while it trains."""

    # Iterations of the whole training; None where whole epochs are asked for.
    n_iter: int | None = None
    n_done: int = 0
    # The data set to train on, and that to judge a rejector of samples by.
    dataset: Any = None
    set_aside: Any = None
    # What samples of a table are to have on average.
    matching: Matching | None = None


class MixupGAN(NetEstimator):
    """A generative adversarial network (GAN), trained with mixup of data and samples [1]_.

    A generator turns noise into rows, a discriminator tells them from data. Here the discriminator
    sees points between a row of data and a generated one, and learns how far between they lie; that
    keeps the generator from collapsing onto a part of the data. A fitted GAN samples as
    :class:`sklearn.neighbors.KernelDensity` does. It is a skorch net with two modules and two
    optimizers. Tables go in as they are and come out as they went in; with `y`, rows are learned
    given their class.

    Parameters
    ----------
    generator : torch.nn.Module class or instance, default=Generator
        Turns latent vectors, shape (batch_size, latent_dim), into rows like those of X. If it names
        parameters ``latent_dim``, ``row_shape`` (``X.shape[1:]``, of an encoded table that of its
        encoded rows), ``n_features`` (numbers in such a row) or ``n_classes``, ``fit`` fills them
        in. An instance is copied, never trained in place.
    discriminator : torch.nn.Module class or instance, default=Discriminator
        Turns rows into one logit each, of the row being data. ``fit`` fills in ``row_shape``,
        ``n_features`` and ``n_classes`` if it names them. With a `y` both networks are called with
        the classes too, zeros and a one, shape (batch_size, n_classes).
    alpha : float >= 0, default=0.2
        Concentration of Beta(alpha, alpha), dimensionless. 0 is the ordinary GAN. The closer to
        0, the less is mixed.
    lam_per : {"sample", "minibatch"}, default="sample"
        Whether every row draws a ``lam`` of its own, or a minibatch shares one.
    encode : bool, default=True
        Whether the networks see columns encoded. Those of an array of floats without gaps are
        standardised. In any other table numbers and dates are told by their ranks; words,
        categories, booleans and gaps by a column for each; and samples have the columns and kinds
        of the table. False shows the networks X as it is, which must hold numbers, as it does rows
        that are no columns: pictures, and those of a torch Dataset.
    matching : float >= 0, default=200
        Weight, in the generator's loss, of how far its samples of a table are from it on average:
        in the share of each word and gap, and in mean and spread of each number, given the class
        [3]_. It keeps rare words, and much sooner than the discriminator asks for them. Of no
        meaning where X is floats alone, or nothing is encoded.
    latent_dim : int or "auto", default="auto"
        Numbers in a latent vector, which are independent standard normal. "auto" is as many as the
        networks see in a row, but at least 2 and at most 64.
    n_discriminator_steps : int, default=1
        Steps of the discriminator, a minibatch each, before a step of the generator.
    max_iter : int, default=8000
        Generator iterations of a fit: a step of the generator and the discriminator's before it.
    batch_size : int, default=256
        Rows of a minibatch; -1 takes all. Rows repeat where there are fewer.
    saturating : bool, default=False
        Whether the generator maximises the loss of its samples with the target of samples, as in
        the ordinary GAN's formula. If not, it minimises their loss with the target of data, whose
        gradient does not vanish where the discriminator is sure [2]_.
    average : float in [0, 1), default=0.999
        Samples come from a moving average of the generator's weights, with this decay an iteration:
        0.999 averages over about the last 1,000. 0 samples from the weights as they are.
    rejection : float >= 0 or "auto", default="auto"
        Steps, as a share of `max_iter`, that a copy of the discriminator takes at the end of
        ``fit``, without mixing, to tell data from samples of the trained generator. ``sample`` then
        draws anew what is rarer among the data than among samples, with the probability that the
        distribution of the data asks for as long as a quarter is kept, and whatever looks less like
        data than 99 of 100 rows [4]_. A tenth of the rows, at most 2,000, is set aside to see
        whether it can tell anything, or those that `train_split` sets aside; with less than ten of
        these, if it cannot, and if samples so drawn are further from the data in energy distance,
        nothing is rejected. Nor is it after ``partial_fit``. With 0
        samples are as the generator makes them, and no row is set aside. "auto" is 0.25 for points
        in the plane, which are rows of an array of two floats without gaps, or of one, if no loader
        or sampler of your own draws them, else 0, as for a DataFrame.
    iter_per_epoch : int, default=100
        Generator iterations of an epoch: a row of the history, for callbacks to act on.
    random_state : int, RandomState instance or None, default=None
        Governs initial weights, shuffling, ``lam`` and latent vectors: the same state gives the
        same bits on one device. None is a fresh seed. The global generators of Python, NumPy and
        torch are left as they were found.
    criterion : torch loss class, default=torch.nn.BCEWithLogitsLoss
        Compares logits with targets in [0, 1].
    optimizer_generator, optimizer_discriminator : torch optimizer class, default=torch.optim.Adam
        Adam and AdamW are fused where torch offers it, and have betas of (0, 0.99) unless
        ``optimizer_generator__betas`` and ``optimizer_discriminator__betas`` say otherwise: with
        the momentum of torch's a GAN hardly settles.
    lr : float, default=0.001
        Learning rate of both optimizers at the start; ``optimizer_generator__lr`` and
        ``optimizer_discriminator__lr`` set one. It falls to zero along a cosine over the whole fit;
        switch that off with ``callbacks__lr_decay=None``.
    iterator_train, iterator_valid : iterator class, default=Minibatches
        As in :class:`MixupClassifier`.
    dataset : Dataset class, default=skorch.dataset.Dataset
        See skorch.
    train_split : callable, default=None
        skorch's inner validation split, for callbacks that score. None trains on all rows. Rows
        that it does not take from X, as with predefined_split, are encoded as X is if they are in a
        Dataset of skorch.
    callbacks : list, default=None
        skorch callbacks, besides the default ones.
    warm_start : bool, default=False
        Whether another ``fit`` goes on with the weights of the last.
    verbose : int, default=0
        1 shows how far a fit is, the time left and both losses, in one line, and says so at the
        start where it will take minutes; 2 prints a row of losses for each epoch.
    device : str or torch.device, default="auto"
        "auto" is CUDA, else MPS, else the CPU.
    compile : bool, default=False
        Whether to compile the modules with ``torch.compile``.
    use_caching : bool, default=False
        See skorch. A score of a GAN has no predictions to keep.
    torch_load_kwargs : dict, default=None
        See skorch.
    **kwargs
        skorch's parameters of parts: ``generator__hidden_sizes=(128, 128)``,
        ``discriminator__dropout=0.2``, ``optimizer_generator__betas=(0.0, 0.99)``,
        ``callbacks__...``, ``iterator_train__...``.

    Attributes
    ----------
    generator_, discriminator_ : torch.nn.Module
        The trained networks.
    averaged_generator_ : torch.nn.Module
        The generator with averaged weights, if `average` > 0.
    rejector_ : torch.nn.Module
        The copy of the discriminator that judges samples, if there is one.
    classes_ : ndarray of shape (n_classes,)
        The classes, if there was a `y`.
    n_iter_ : int
        Generator iterations since training began.
    n_features_in_ : int
        Number of features, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.
    history_ : skorch.history.History
        ``discriminator_loss`` and ``generator_loss``, learning rate and seconds of each epoch;
        also as ``history``. Where the discriminator cannot tell data from samples both are
        ``log(2)``, mixed or not; the generator's ``-log(2)`` if `saturating`, and with the term of
        `matching` added, which is then near 0.

    Notes
    -----
    The objective, with ``g`` the generator, ``d`` the discriminator, ``l`` binary cross-entropy,
    ``x`` a row of data, ``z`` a latent vector and ``lam ~ Beta(alpha, alpha)``, is::

        max_g min_d E l(d(lam * x + (1 - lam) * g(z)), lam)

    Of a table numbers are mixed; words, categories, booleans and gaps are those of the row of data
    with probability ``lam``, else those of the sample, all of a row together.

    Only the discriminator's step mixes; the generator's sees samples as they are. With
    ``alpha=0`` the discriminator's loss is that of an ordinary GAN, ``[l(d(x), 1) + l(d(g(z)), 0)]
    / 2``, the limit of the above.

    The samples for all steps of the discriminator in an iteration come from one pass of the
    generator: batch normalisation in it sees `n_discriminator_steps` minibatches at once.

    A loss that is no longer finite ends the fit with a
    :class:`~sklearn_mixup.exceptions.DivergedError`, and the networks go back to what they were at
    the end of the last good epoch.

    The defaults are ours. ``MixupGAN(**MixupGAN.PAPER)`` is trained as the GANs of the paper's
    Figure 5 are: 3 x 512 units, 120,000 minibatches of 128 of which the generator has every sixth,
    Adam as it is in torch, a constant learning rate, no average, no cuts, rows as they are, none
    rejected.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR
       2018, Section 3.8.
    .. [2] Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, Section 3.
    .. [3] Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, Section 3.1.
    .. [4] Azadi et al., "Discriminator Rejection Sampling", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mixup import MixupGAN
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> gan = MixupGAN(
    ...     generator__hidden_sizes=(64,),
    ...     discriminator__hidden_sizes=(64,),
    ...     lr=0.01,
    ...     max_iter=300,
    ...     random_state=0,
    ... )
    >>> gan.fit(X).sample(3).shape
    (3, 2)
    >>> gan.score(X) > -0.3
    True
    """

    #: Parameters of the paper's Figure 5; networks and optimizers are those of its authors' code.
    PAPER: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "generator__hidden_sizes": (512, 512, 512),
            "generator__gain": math.sqrt(1 / 3),
            "generator__n_cuts": 0,
            "discriminator__hidden_sizes": (512, 512, 512),
            "optimizer_generator__betas": (0.9, 0.999),
            "optimizer_discriminator__betas": (0.9, 0.999),
            "callbacks__lr_decay": None,
            "lr": 1e-3,
            "encode": False,
            "latent_dim": 2,
            "n_discriminator_steps": 5,
            "batch_size": 128,
            "max_iter": 20_000,
            "average": 0.0,
            "rejection": 0.0,
            "saturating": False,
        }
    )
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "lam_per": [StrOptions({"minibatch", "sample"})],
        "encode": ["boolean"],
        "matching": [Interval(Real, 0, None, closed="left")],
        "latent_dim": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_discriminator_steps": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "saturating": ["boolean"],
        "average": [Interval(Real, 0, 1, closed="left")],
        "rejection": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "iter_per_epoch": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "lr": [Interval(Real, 0, None, closed="left")],
    }
    _training_type = _GANTraining
    _predicting = "discriminator"
    _counts = ("n_iter_", "_n_averaged_")
    _iteration = "at iteration"
    averaged_generator_: nn.Module
    # scikit-learn's set_output asks for it: samples are wrapped as transformed rows are.
    _sklearn_auto_wrap_output_keys: ClassVar[set[str]] = {"transform"}

    def __init__(
        self,
        generator: Any = Generator,
        discriminator: Any = Discriminator,
        *,
        alpha: float = 0.2,
        lam_per: str = "sample",
        encode: bool = True,
        matching: float = 200.0,
        latent_dim: Any = "auto",
        n_discriminator_steps: int = 1,
        max_iter: int = 8_000,
        batch_size: int = 256,
        saturating: bool = False,
        average: float = 0.999,
        rejection: float | str = "auto",
        iter_per_epoch: int = 100,
        random_state: Any = None,
        criterion: Any = nn.BCEWithLogitsLoss,
        optimizer_generator: Any = torch.optim.Adam,
        optimizer_discriminator: Any = torch.optim.Adam,
        lr: float = 1e-3,
        iterator_train: Any = Minibatches,
        iterator_valid: Any = Minibatches,
        dataset: Any = Dataset,
        train_split: Any = None,
        callbacks: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        use_caching: Any = False,
        torch_load_kwargs: Any = None,
        **kwargs: Any,
    ) -> None:
        params = {key: value for key, value in locals().items() if key in _PARAMETERS}
        store(self, params, kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = (
            self.encode
        )
        return tags

    @property
    def max_epochs(self) -> int:
        """Rows of the history of a fit."""
        return -(-self.max_iter // self.iter_per_epoch)

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        losses = [
            (name, StepLosses(name, lower_is_better=None, on_train=True))
            for name in ("discriminator_loss", "generator_loss")
        ]
        timer, decay, log = EpochTimer(), LRDecay(), GANLog()
        return [("epoch_timer", timer), *losses, ("lr_decay", decay), ("print_log", log)]

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Train the networks from the start, for `max_iter` generator iterations.

        Parameters
        ----------
        X : DataFrame of pandas or polars, array-like or tensor of shape (n_samples, n_features)
            Rows to learn from, at least two and not all alike: numbers, dates, words, categories,
            booleans and gaps. Or pictures and the like, an array or tensor of shape (n_samples,
            ...) of finite numbers; or a torch Dataset that yields pairs, whose second part is
            ignored. Never written to.
        y : array-like of shape (n_samples,), default=None
            Labels. Rows are then learned given their class: a row of data is mixed with a sample of
            its own class, and both networks are told it.
        **fit_params
            Passed to `train_split`, as in skorch.

        Returns
        -------
        MixupGAN
            The GAN itself.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as said above, if a column has more than 1,000 different
            words, if the modules do not fit the rows or each other, or if a loss becomes NaN or
            infinite. A class of a single row is only warned of.
        TypeError
            If there is a y, and a module whose ``forward`` takes rows alone.
        KeyboardInterrupt
            If somebody presses Ctrl-C. The GAN keeps what it has learned so far and can sample.
        """
        return self._fit("fit", X, y, fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Go on training, for `max_iter` iterations, without lowering the learning rate.

        Parameters
        ----------
        X, y
            As for :meth:`fit`. What columns and classes there are, with their words and bounds, is
            learned of the first ones.
        classes : ignored
            Here by skorch's convention.
        **fit_params
            As for :meth:`fit`.

        Returns
        -------
        MixupGAN
            The GAN itself.
        """
        return self._fit("partial_fit", X, y, fit_params)

    def _fit(self, method: str, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
        """Check what was passed, then let skorch train; ``partial_fit`` has no end."""
        ends = method == "fit"
        check_params(self)
        check_fit_params(self, self._receivers(), fit_params)
        restart = not self.initialized_ or (ends and not self.warm_start)
        with unlearn_on_error(self):
            X, codes = learn_rows(self, X, y, anew=restart)
        n_iter = self._count_iter(fit_params.get("epochs"))  # skorch takes them here too
        n_epochs = self.max_epochs if ends else None
        forget_rejection(self)
        with self._train(restart=restart, n_epochs=n_epochs, n_iter=n_iter):
            self._let_skorch_train(X, codes, method, fit_params)
            if ends and self._training_.interrupt is None:
                learn_rejection(self)
            return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Train for some epochs; called on its own, it goes on as ``partial_fit`` does."""
        if self._training_ is not None:
            return super().fit_loop(X, y, epochs, **kwargs)
        X, codes = learn_rows(self, X, y)
        forget_rejection(self)
        with self._train(restart=False, n_epochs=None, n_iter=self._count_iter(epochs)):
            return super().fit_loop(X, codes, epochs, **kwargs)

    def _count_iter(self, epochs: int | None) -> int:
        return self.max_iter if epochs is None else epochs * self.iter_per_epoch

    def initialize_module(self) -> Any:
        """Make both modules; each is told what it names of the latent and the row."""
        forget_rejection(self)
        make_networks(self)
        self.n_iter_ = 0
        return self

    def initialize_optimizer(self) -> Any:
        """Make an optimizer for each module."""
        make_optimizers(self)
        self._register_virtual_param("lr", _set_lr)
        return self

    def load_params(self, *args: Any, f_generator: Any = None, **kwargs: Any) -> None:
        """Load weights, as skorch does: ``f_generator``, ``f_discriminator`` and so on.

        A generator that is loaded without ``f_averaged_generator`` is the average to begin with.
        """
        super().load_params(*args, f_generator=f_generator, **kwargs)
        forget_rejection(self)
        if "averaged_generator_" in self.__dict__:
            is_anew = f_generator is not None and kwargs.get("f_averaged_generator") is None
            go_on_averaging(self, anew=is_anew)

    def _prepare(self) -> None:
        """See that the modules fit together, before hours are spent."""
        check_hooks(self)
        follow_generator(self, anew=False)
        self._set_training(False)
        size = (2, self._latent_dim_)
        z = torch.zeros(size, dtype=self._module_dtype(), device=self.device)
        y = tell_classes(self, [0, 0], z.dtype, self.device)
        check_modules(self.generator_, self.discriminator_, z, y, self._row_shape_)
        self._training_.steps = Iterations(self)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Get the data sets to train and to validate on; learn what the first has on average."""
        trained, validated = super().get_split_datasets(X, y, **fit_params)
        if (training := self._training_) is not None:
            validated = encode_held_out(self, trained, validated)
            trained, training.set_aside = set_aside(self, trained, validated, y)
            training.dataset = trained
            training.matching = make_matching(self, trained)
        return trained, validated

    # -- minibatches ------------------------------------------------------------------------

    @property
    def n_steps_(self) -> int | None:
        """Generator iterations of the whole fit, or None where its end is not known."""
        training = self._training_
        return None if training is None or training.n_epochs is None else training.n_iter

    def _minibatches_of_rows(
        self,
        base: Any,
        rows: np.ndarray | None,
        resident: tuple[Rows, Rows],
        kwargs: dict[str, Any],
    ) -> Minibatches:
        return cut_table(self, resident, rows, kwargs)

    def _flops_of_step(self, X: Rows, batch_size: int) -> float:
        """Bound the operations of a step of the discriminator, of which a minibatch has several."""
        return super()._flops_of_step(X, batch_size // int(self.n_discriminator_steps))

    def _minibatches_of_loader(self, loader: Any, augment: Any) -> Rounds:
        return join_minibatches(self, loader, augment)

    # -- an iteration -----------------------------------------------------------------------

    def infer(self, x: Any, y: Tensor | None = None, **fit_params: Any) -> Tensor:
        """Apply the discriminator to a minibatch; a logit a row, shape (batch_size,)."""
        training = self._training_
        if training is not None and not is_dict(x):  # That the shapes fit was found out before.
            if not training.holds(x):  # What the generator made keeps its gradient.
                x = x.to(training.device, training.dtype)
            return apply(self.discriminator_, x, y).flatten()
        x = self._to_device(x)
        with explain_shapes(self.discriminator_, x):
            # Rows and their classes, whatever the module calls them.
            logits = self.discriminator_(*(x.values() if is_dict(x) else [x]))
        return logits.flatten()

    def get_loss(self, y_pred: Tensor, y_true: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compare logits with targets, both on the device already."""
        return self.criterion_(y_pred, y_true)

    def discriminator_loss(
        self, real: Tensor, fake: Tensor, lam: Tensor, y: Tensor | None = None
    ) -> Tensor:
        """Compute the discriminator's loss of a minibatch.

        Parameters
        ----------
        real, fake : Tensor of shape (batch_size, ...)
            Rows of data, and as many that the generator made. Of a table both have the words of one
            of the two, where ``alpha > 0``.
        lam : Tensor of shape (batch_size,), in [0, 1]
            Weight of the row of data in each mixture; of no use with ``alpha=0``.
        y : Tensor of shape (batch_size, n_classes), default=None
            The class of both, zeros and a one, if there are classes.

        Returns
        -------
        Tensor of shape ()
        """
        if self.alpha == 0:
            ones = torch.ones_like(lam)
            on_real = self.get_loss(apply(self.infer, real, y), ones)
            return (on_real + self.get_loss(apply(self.infer, fake, y), 1 - ones)) / 2
        return self.get_loss(apply(self.infer, mix_with(real, fake, lam=lam), y), lam)

    def generator_loss(self, fake: Tensor, y: Tensor | None = None) -> Tensor:
        """Compute the generator's loss of a minibatch.

        Parameters
        ----------
        fake : Tensor of shape (batch_size, ...)
            Rows that the generator made.
        y : Tensor of shape (batch_size, n_classes), default=None
            Their class, zeros and a one, if there are classes.

        Returns
        -------
        Tensor of shape ()
        """
        logits = apply(self.infer, fake, y)
        if self.saturating:
            return -self.get_loss(logits, torch.zeros_like(logits))
        return self.get_loss(logits, torch.ones_like(logits))

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take a generator iteration: some steps of the discriminator, then one of the generator.

        Parameters
        ----------
        batch : (Tensor of shape (n_rows, ...), tuple of Tensor of shape (n_rows,))
            Rows for all steps of the discriminator, their ``lam``, and the codes of their classes;
            with the sizes of the minibatches, if they are not even.
        **fit_params
            Not used.

        Returns
        -------
        dict
            ``discriminator_loss``, the mean over its steps, and ``generator_loss``.
        """
        X, (lam, codes, *uneven) = batch
        n_steps = int(self.n_discriminator_steps)
        (sizes,) = uneven or [[len(X) // n_steps] * n_steps]
        self._set_training(True)
        training = self._training_
        z = draw_latent(self, len(X) + sizes[0], training.vicinal_rng)
        head, rng = training.steps.head, training.vicinal_rng
        noise, is_real = draw_noise(head, z, rng), draw_whose_words(head, lam, rng)
        losses = training.steps.take(Given(X, lam, codes, z, noise, is_real), sizes)
        self.n_iter_ += 1
        # skorch's scoring callbacks ask for predictions, of which a GAN has none.
        return {"discriminator_loss": losses[0], "generator_loss": losses[1], "y_pred": None}

    def _losses_of(self, prefix: str) -> dict[str, str]:
        return {name: name for name in ("discriminator_loss", "generator_loss")}

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Take the iterations of an epoch; rows set aside are for callbacks to score."""
        if not training:
            return
        session = self._training_
        if session.n_iter is not None:
            iterator = islice(iterator, session.n_iter - session.n_done)
        session.n_done += self.iter_per_epoch
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def _n_iter_at_step(self, step: int) -> int:
        return self.n_iter_ + step + 1

    def _state_kept(self) -> str:
        return (
            f"The networks are those of iteration {self.n_iter_}, the last good one that was kept"
        )

    def _advice_on_divergence(self) -> str:
        return f"a larger `alpha` ({self.alpha!r})"

    # -- what a fitted GAN does -------------------------------------------------------------

    def sample(
        self,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        y: Any = None,
        return_y: bool = False,
    ) -> Any:
        """Draw rows from the generator; those that the rejector does not keep are drawn anew.

        Parameters
        ----------
        n_samples : int >= 1, default=1
            Rows to draw.
        random_state : int, RandomState instance or None, default=None
            Governs what is drawn. None is a fresh seed.
        y : label, or array-like of shape (n_samples,), default=None
            Class to draw rows of, or that of each row. None draws all classes, with the shares that
            they have in the data.
        return_y : bool, default=False
            Whether to return the classes of the rows as well.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features) or (n_samples, ...)
            Rows in the container, with the columns, dtypes and categories of the table. Of an array
            an array, or a DataFrame after ``set_output(transform="pandas")``.
        y : Series or ndarray of shape (n_samples,)
            Their classes; if `return_y`.

        Raises
        ------
        ValueError
            If `n_samples` is not a whole number of at least 1, or if `y` is no class of the data.
        """
        self.check_is_fitted()
        return draw_samples(self, n_samples, random_state, y, return_y)

    def score(self, X: Any, y: Any = None) -> float:
        """Compute minus the energy distance between X and as many samples.

        Parameters
        ----------
        X : as for :meth:`fit`
            Rows to compare with. The time is that of the distances of all pairs.
        y : array-like of shape (n_samples,), default=None
            Their classes. The samples then have the same, which count as columns do.

        Returns
        -------
        float <= 0
            ``-sqrt(2 E|x - s| - E|x - x'| - E|s - s'|)``, with Euclidean distances of rows as the
            networks see them [1]_: a table's are encoded. 0 is best, but out of reach: two sets of
            rows of one distribution differ as well, the less the more there are. The samples are
            the same at each call.

        References
        ----------
        .. [1] Székely, Rizzo, "Energy statistics: a class of statistics based on distances",
           Journal of Statistical Planning and Inference 143, 2013.
        """
        self.check_is_fitted()
        return -distance_to(self, X, y)

    def decision_function(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute the discriminator's logit of each row being data.

        Parameters
        ----------
        X : as for :meth:`fit`
            Rows to judge.
        y : array-like of shape (n_samples,), default=None
            Their classes, if the GAN has learned any. None takes for each row the class that it
            fits best.

        Returns
        -------
        ndarray of shape (n_samples,)
            Positive where the discriminator holds a row for data rather than for a sample. Where
            the GAN has learned the data, it cannot tell, and the logits are near 0.
        """
        self.check_is_fitted()
        return check_outputs(judge(self, X, y))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the columns of a sample.

        Parameters
        ----------
        input_features : ignored
            Here by convention.

        Returns
        -------
        ndarray of shape (n_features,)
            The names that X had, else ``x0``, ``x1``, ...
        """
        self.check_is_fitted()
        return name_columns(self)

    def set_output(self, *, transform: str | None = None) -> Any:
        """Choose the container of the samples, as scikit-learn's transformers do.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            None leaves the choice as it is.

        Returns
        -------
        MixupGAN
            The GAN itself.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @available_if(lambda self: False)
    def predict(self, X: Any) -> np.ndarray:
        """Not available: a GAN has nothing to predict."""
        raise NotImplementedError

    @available_if(lambda self: False)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Not available: a GAN has nothing to predict."""
        raise NotImplementedError


def _set_lr(gan: Any, param: str, value: float) -> None:
    """Set the learning rate of both optimizers, where it is not one of their own."""
    gan.lr = value
    for part in PARTS:
        if f"optimizer_{part}__lr" not in vars(gan):
            for group in getattr(gan, f"optimizer_{part}_").param_groups:
                group["lr"] = value


_PARAMETERS = inspect.signature(MixupGAN.__init__).parameters.keys() - {"self", "kwargs"}
