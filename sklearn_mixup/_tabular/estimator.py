"""TabularMixupClassifier: any table in, a committee of nets, probabilities to trust out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mixup._fused.predict import Stacks, probabilities
from sklearn_mixup._net.checks import check_outputs, check_sample_weight, check_y
from sklearn_mixup._net.labels import Labels
from sklearn_mixup._net.tables import take
from sklearn_mixup._tabular.bins import Bins
from sklearn_mixup._tabular.committee import (
    MAX_SEED,
    Rows,
    deal_folds,
    make_committees,
    out_of_fold,
    train,
)
from sklearn_mixup._tabular.encode import TableEncoder, check_table
from sklearn_mixup._tabular.others import check_others, fit_others, list_others, tell
from sklearn_mixup._tabular.select import N_PRIOR, find_temperature, heat, log_loss, weigh
from sklearn_mixup.minibatches import content_order

__all__ = ["TabularMixupClassifier"]

# Weights of whole numbers are counts if they make the table so many times as long at most.
_LONGEST = 10
# Parameters of a net that are not for a setting to change.
_OWN = (
    "callbacks",
    "class_weight",
    "classes",
    "device",
    "engine",
    "random_state",
    "train_split",
    "warm_start",
)
_N_BINS = 16
# What committees differ in, if the user does not say: `bins` are those of numbers.
SETTINGS: tuple[dict[str, Any], ...] = ({"alpha": 0.2}, {"alpha": 0.2, "bins": _N_BINS})
_MOST_BINNED = 150
_MOST_NUMBERS = 2**26


class TabularMixupClassifier(ClassifierMixin, BaseEstimator):
    """A classifier for tables as they come: a committee of networks, trained with mixup.

    Words, dates, gaps and numbers of any size are encoded by `skrub <https://skrub-data.org>`_,
    which comes with the extra ``tables``. Each network leaves out some of the rows, and keeps the
    weights of the epoch that is best on these, so that it stops before it overfits where classes
    overlap. All networks are trained as one stack. A few classifiers of scikit-learn stand beside
    them, since on some tables trees know better. What each says of the rows that it did not train
    on sets its share in the mean [1]_, and one temperature for all.

    Parameters
    ----------
    n_estimators : int or "auto", default="auto"
        Networks that are trained with each of the settings. Each leaves out an eighth of the rows,
        by class; after eight networks there is another round with other eighths. "auto" is 16 for
        fewer than 500 rows, 4 for more than 20,000, and 8 between.
    settings : list of dict, default=None
        Settings of networks, as in ``[{"alpha": 0}, {"alpha": 1}, {"module__hidden_sizes":
        (256,)}]``: parameters of :class:`MixupClassifier`; and ``"bins"``, which shows numbers to
        the networks piece by piece too (piecewise linear encoding [2]_), in so many bins. None is
        ``alpha=0.2`` with bins and without. What a setting does not name is that of
        :class:`MixupClassifier`, but for `max_epochs`.
    others : list of classifiers, default=None
        Classifiers with ``predict_proba`` that stand beside the networks; they take the encoded
        rows. None is :class:`~sklearn.linear_model.LogisticRegression`,
        :class:`~sklearn.ensemble.RandomForestClassifier`,
        :class:`~sklearn.ensemble.ExtraTreesClassifier` and, where its trees are not too many,
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`; ``()`` is networks alone. Each is
        fitted on all rows, and once without each part that networks leave out.
    max_epochs : int, default=64
        Epochs of each network; the learning rate falls to zero over them.
    class_weight : dict or "balanced", default=None
        Weight of each class, by label. "balanced" is ``n_samples / (n_classes * bincount(y))``.
    time_limit_s : float, default=None
        Seconds that training may take, all in all. When they are over the networks are what they
        have learned by then, one epoch at least; settings and others for which there is no time are
        not tried. So the result depends on the machine. None is no limit.
    random_state : int, RandomState instance or None, default=None
        Governs the encoding, what is left out and all that the networks draw: the same state gives
        the same bits on one device.
    n_jobs : int, default=None
        How many threads train, as in :class:`FusedGridSearchCV`.
    verbose : int, default=0
        1 shows the progress of training.
    device : str or torch.device, default="auto"
        "auto" is CUDA, else MPS, else the CPU.
    engine : {"torch", "numba"}, default="torch"
        As of :class:`MixupClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of columns, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X was a DataFrame.
    estimators_ : list of classifiers
        The networks that have a share, then the others; they take encoded rows, and know the
        classes as 0, 1, ...
    estimator_weights_ : ndarray of shape (n_estimators,)
        The weight of each in the mean of their probabilities; they sum to 1.
    estimator_settings_ : list of int
        Which of `settings_` each has.
    settings_ : list of dict and of classifiers
        The settings of networks that were tried, then the others, not fitted.
    setting_weights_ : ndarray of shape (n_settings,)
        The share of each of them; 0 if it is not worth its time. Before any row is seen networks
        have one half and others one half, which weighs as much as ten rows do.
    temperature_ : float
        What the logits of the mean are divided by; above 1 it was too sure of itself. The fewer
        rows there are, the closer it is to 1.
    validation_loss_ : float
        The log-loss on the rows left out. A little too good, since it chose shares and epochs;
        NaN if no class has two rows.

    See Also
    --------
    MixupClassifier : The network alone. ``skrub.tabular_pipeline(MixupClassifier())`` takes such
        tables too, and trains one network on all of the rows, for all of the epochs.

    Notes
    -----
    A word that was not there in ``fit`` is none of the words; a gap in a column that had none is
    its median. Rows are weighed as in :class:`MixupClassifier`, and the weights count in all that
    is chosen. A row that is the only one of its class is left out by no network.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson, Gelman, "Using Stacking to Average Bayesian Predictive
       Distributions", Bayesian Analysis 2018.
    .. [2] Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
       Learning", NeurIPS 2022.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mixup import TabularMixupClassifier
    >>> df = pd.DataFrame({
    ...     "size": [1.2, None, 3.1, 2.9] * 10,
    ...     "colour": ["red", "blue", None, "red"] * 10,
    ...     "seen": pd.to_datetime(["2024-01-03", "2024-02-29", "2023-05-31", None] * 10),
    ... })
    >>> clf = TabularMixupClassifier(n_estimators=2, max_epochs=8, random_state=0)
    >>> clf.fit(df, ["cat", "cat", "dog", "dog"] * 10).predict(df[:4]).tolist()
    ['cat', 'cat', 'dog', 'dog']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "settings": [list, tuple, None],
        "others": [list, tuple, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "time_limit_s": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "engine": [StrOptions({"torch", "numba"})],
    }

    def __init__(
        self,
        *,
        n_estimators: int | str = "auto",
        settings: Sequence[Mapping[str, Any]] | None = None,
        others: Sequence[Any] | None = None,
        max_epochs: int = 64,
        class_weight: Any = None,
        time_limit_s: float | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: Any = "auto",
        engine: str = "torch",
    ) -> None:
        self.n_estimators = n_estimators
        self.settings = settings
        self.others = others
        self.max_epochs = max_epochs
        self.class_weight = class_weight
        self.time_limit_s = time_limit_s
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device
        self.engine = engine

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularMixupClassifier:
        """Encode a table, train committees on it, and choose among them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            The table: a DataFrame of pandas or polars, a table of pyarrow, an array or a list of
            rows. Columns of any kind, with gaps. Never written to.
        y : array-like of shape (n_samples,)
            A label for each row, of any kind that scikit-learn takes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; they count when epochs, settings and the temperature are
            chosen too. Whole numbers that make the table at most ten times as long are counts: a
            row of weight 2 is that row twice. A row of weight 0 is left out.

        Returns
        -------
        TabularMixupClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above, y has one class, or no column of
            X varies.
        ImportError
            If skrub is not there.
        """
        deadline = None if self.time_limit_s is None else time.perf_counter() + self.time_limit_s
        self._validate_params()
        X = self._check_X(X, reset=True)
        labels, X, y, weight = self._check_rows(X, y, sample_weight)
        state = self.random_state
        # None is a seed that nobody knows: the global generator of NumPy is left alone.
        rng = np.random.RandomState() if state is None else check_random_state(state)
        encoder = TableEncoder(rng.randint(MAX_SEED))
        encoded, codes = encoder.fit_transform(X), labels.encode(y)
        weights = labels.weigh(self.class_weight, y, weight)
        # From here on the order in which the rows were stored makes no difference.
        order = content_order(torch.tensor(encoded), torch.tensor(codes)).numpy()
        rows = Rows(
            encoded, codes, weight, np.ones(len(labels.known)) if weights is None else weights
        ).take(order)
        check_others(self.others or (), rows)
        settings = self._list_settings()
        bins = {n: Bins(n).fit(rows.X) for n in {own.get("bins", 0) for own in settings} if n}
        if self.settings is None:
            # Bins of many columns, or rows, would cost more than they bring.
            bins = {
                n: own
                for n, own in bins.items()
                if len(own.edges) <= _MOST_BINNED and own.n_encoded * len(rows) <= _MOST_NUMBERS
            }
            settings = [own for own in settings if own.get("bins", 0) in {0, *bins}]
        views = {n: rows.encoded_as(own.transform(rows.X)) for n, own in bins.items()}
        tables = [views.get(own.get("bins", 0), rows) for own in settings]
        n_estimators = self.n_estimators
        if isinstance(n_estimators, str):
            n_estimators = 16 if len(rows) < 500 else 8 if len(rows) <= 20_000 else 4
        committees, left_out = train(
            make_committees(
                [{name: own[name] for name in own if name != "bins"} for own in settings],
                rows.class_weight,
                n_estimators,
                rng,
                max_epochs=self.max_epochs,
                device=self.device,
                engine=self.engine,
            ),
            tables,
            deal_folds(rows.codes, n_estimators, rng),
            deadline=deadline,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        tables = tables[: len(committees)]
        known, found = out_of_fold(committees, tables, left_out)
        others: list[Any] = []
        if len(known) and rows.full_weight[known].any():
            names = self.others
            if names is None:
                names = list_others(len(rows), rows.X.shape[1], len(labels.known))
            others, told = fit_others(
                names, rows, left_out, rng, deadline=deadline, n_jobs=self.n_jobs
            )
            found = np.concatenate([found, told])
        self.settings_ = [*map(dict, settings[: len(committees)]), *map(clone, others)]
        self._choose(committees, others, found, rows.take(known))
        self.classes_ = labels.known
        self._encoder, self._bins = encoder, bins
        self._stacks = Stacks()
        return self

    def _list_settings(self) -> Sequence[Mapping[str, Any]]:
        """Check the settings to choose among."""
        settings = SETTINGS if self.settings is None else self.settings
        if not len(settings) or not all(isinstance(setting, Mapping) for setting in settings):
            raise ValueError(
                "`settings` must hold a dict of parameters of MixupClassifier at least; got "
                f"{settings!r}. Use [{{}}] for its defaults."
            )
        if taken := sorted({*_OWN} & {name for setting in settings for name in setting}):
            raise ValueError(
                f"`settings` must not set {', '.join(taken)}, which all networks have in common. "
                "Set parameters of that name of TabularMixupClassifier, or leave them alone."
            )
        for own in settings:
            n_bins = own.get("bins", 0)
            if not isinstance(n_bins, Integral) or not (n_bins == 0 or int(n_bins) > 1):
                raise ValueError(f"`bins` of a setting must be 0 or an int > 1; got {n_bins!r}.")
        return settings

    def _check_X(self, X: Any, *, reset: bool) -> Any:  # noqa: N802
        """Check a table, its columns and their names."""
        X = check_table(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Labels, Any, np.ndarray, np.ndarray | None]:
        """Check labels and weights; repeat rows that count many times, and drop those that do not.

        Returns what the labels are, the table, the labels and the weights.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y, kind = check_y(y)
        if kind != "multiclass":
            raise ValueError(
                f"y must hold one label a row; got {kind} of shape {y.shape}. MixupClassifier "
                "takes these, as in skrub.tabular_pipeline(MixupClassifier())."
            )
        check_consistent_length(X, y)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, len(y))
            counts = weight > 0
            if (weight == np.rint(weight)).all() and weight.sum() <= _LONGEST * len(y):
                counts, weight = weight, None
            visits = np.repeat(np.arange(len(y)), counts.astype(int))
            X, y, weight = take(X, visits), y[visits], None if weight is None else weight[visits]
        labels = Labels("multiclass", np.unique(y))
        labels.check_several()
        return labels, X, y, weight

    def _choose(
        self,
        committees: Sequence[Any],
        others: Sequence[Any],
        found: np.ndarray,
        rows: Rows,
        n_prior: float = N_PRIOR,
    ) -> None:
        """Weigh committees and others by what they say of rows that they did not train on."""
        n_each = [n for n in (len(committees), len(others)) if n]
        prior = np.concatenate([np.full(n, 1 / n / len(n_each)) for n in n_each])
        self.setting_weights_ = np.eye(len(found))[0]
        self.temperature_, self.validation_loss_ = 1.0, np.nan
        if len(rows) and rows.full_weight.any():
            self.setting_weights_ = weigh(found, rows.codes, rows.full_weight, prior, n_prior)
            mean = np.tensordot(self.setting_weights_, found, 1)
            self.temperature_ = find_temperature(mean, rows.codes, rows.full_weight)
            self.validation_loss_ = log_loss(
                heat(mean, self.temperature_), rows.codes, rows.full_weight
            )
        self.estimators_, self.estimator_settings_, weights = [], [], []
        for i, members in enumerate([*committees, *([other] for other in others)]):
            if (share := self.setting_weights_[i]) > 0:
                self.estimators_ += members
                self.estimator_settings_ += [i] * len(members)
                weights += [share / len(members)] * len(members)
        self.estimator_weights_ = np.array(weights)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A table with the columns that ``fit`` has seen. A word that was not there is no word,
            whatever is missing a gap.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the columns are others, or hold another kind of thing.
        """
        check_is_fitted(self)
        rows = self._encoder.transform(self._check_X(X, reset=False))
        tables = {0: rows, **{n: own.transform(rows) for n, own in self._bins.items()}}
        settings = [self.settings_[i] for i in self.estimator_settings_]  # networks come first
        n_bins = [own.get("bins", 0) for own in settings if isinstance(own, dict)]
        nets, others = self.estimators_[: len(n_bins)], self.estimators_[len(n_bins) :]
        self._stacks.update(nets, [str(n).encode() for n in n_bins])
        mean = np.zeros((len(rows), len(self.classes_)))
        for members, outputs in self._stacks.outputs(nets, lambda i: tables[n_bins[i]]):
            # The last bits of the double precision in there tell the place of a row.
            said = probabilities(nets[members[0]], outputs).float().cpu().numpy()
            mean += (said * self.estimator_weights_[members, None]).sum(axis=1)
        for other, weight in zip(others, self.estimator_weights_[len(nets) :], strict=True):
            mean += weight * tell(other, rows, mean.shape[1]).astype(np.float32)
        return heat(check_outputs(mean), self.temperature_)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the labels: those of the largest probability.

        Parameters
        ----------
        X : as for :meth:`predict_proba`
            A table.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        proba = self.predict_proba(X)  # It says what is missing before a fit.
        return self.classes_[proba.argmax(axis=1)]
