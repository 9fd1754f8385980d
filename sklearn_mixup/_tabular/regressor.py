"""TabularMixupRegressor: any table in, a committee of nets, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from torch import Tensor

from sklearn_mixup._fused.predict import numbers
from sklearn_mixup._net.numbers import Numbers
from sklearn_mixup._regressor import MixupRegressor
from sklearn_mixup._tabular.base import TabularMixup
from sklearn_mixup._tabular.others import list_regressors
from sklearn_mixup._tabular.rows import Rows
from sklearn_mixup._tabular.select import squared_error, weigh_numbers

__all__ = ["TabularMixupRegressor"]


class TabularMixupRegressor(RegressorMixin, TabularMixup):
    """A regressor for tables as they come: a committee of networks, trained with mixup.

    :class:`TabularMixupClassifier` for numbers: words, dates, gaps and numbers of any size are
    encoded by `skrub <https://skrub-data.org>`_, which comes with the extra ``tables``. Each
    network leaves out some of the rows, and keeps the weights of the epoch that is best on these.
    All are trained as one stack. A few regressors of scikit-learn stand beside them, and what each
    says of the rows that it did not train on sets its share in the mean.

    Parameters
    ----------
    n_estimators : int or "auto", default="auto"
        Networks that are trained with each of the settings. Each leaves out an eighth of the rows,
        large and small targets alike; after eight networks there is another round with other
        eighths. "auto" is 16 for fewer than 500 rows, 4 for more than 20,000, and 8 between.
    settings : list of dict, default=None
        Settings of networks, as of :class:`TabularMixupClassifier`: parameters of
        :class:`MixupRegressor`, and ``"bins"``. None is ``alpha=0.2`` with bins and without. What a
        setting does not name is that of :class:`MixupRegressor`, but for `max_epochs`.
    others : list of regressors, default=None
        Regressors that stand beside the networks; they take the encoded rows, and targets that are
        standardised. None is :class:`~sklearn.linear_model.RidgeCV`,
        :class:`~sklearn.ensemble.RandomForestRegressor`,
        :class:`~sklearn.ensemble.ExtraTreesRegressor` and, where its trees are not too many,
        :class:`~sklearn.ensemble.HistGradientBoostingRegressor`; ``()`` is networks alone. Each is
        fitted on all rows, and once without each part that networks leave out. One that takes a
        single column is fitted to each of several.
    max_epochs : int, default=64
        Epochs of each network; the learning rate falls to zero over them.
    time_limit_s : float, default=None
        As of :class:`TabularMixupClassifier`.
    random_state : int, RandomState instance or None, default=None
        Governs the encoding, what is left out and all that the networks draw: the same state gives
        the same bits on one device.
    n_jobs, verbose, device, engine
        As of :class:`TabularMixupClassifier`.

    Attributes
    ----------
    n_features_in_, feature_names_in_
        As of :class:`TabularMixupClassifier`.
    n_outputs_ : int
        Columns of y.
    target_type_, target_mean_, target_scale_
        As of :class:`MixupRegressor`: what y was, and what its columns were standardised by.
    estimators_ : list of regressors
        The networks that have a share, then the others; they take encoded rows, and predict
        standardised numbers.
    estimator_weights_ : ndarray of shape (n_estimators,)
        The weight of each in the mean; they sum to 1.
    estimator_settings_, settings_, setting_weights_
        As of :class:`TabularMixupClassifier`.
    validation_loss_ : float
        The mean squared error on the rows left out, in units of y squared, as
        :func:`~sklearn.metrics.mean_squared_error` has it. A little too good, since it chose shares
        and epochs.

    See Also
    --------
    MixupRegressor : The network alone. ``skrub.tabular_pipeline(MixupRegressor())`` takes such
        tables too, and trains one network on all of the rows, for all of the epochs.
    sklearn.compose.TransformedTargetRegressor : Predicts a function of y, such as the logarithm of
        a price.

    Notes
    -----
    Shares are those of the least squared error of the mean [1]_, given a prior that holds networks
    and others for equally good and is worth ten rows. They are >= 0 and sum to 1, and minimise::

        n_rows / v * error(shares) + 10 * sum((shares - prior)**2 / prior)

    where ``error`` is the mean squared error of standardised columns, and v about the least of it,
    the variance of what is left. So few rows leave the shares near even, and many rows decide.

    References
    ----------
    .. [1] Breiman, "Stacked Regressions", Machine Learning 1996.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mixup import TabularMixupRegressor
    >>> df = pd.DataFrame({
    ...     "size": [1.2, None, 3.1, 2.9] * 10,
    ...     "colour": ["red", "blue", None, "red"] * 10,
    ...     "seen": pd.to_datetime(["2024-01-03", "2024-02-29", "2023-05-31", None] * 10),
    ... })
    >>> reg = TabularMixupRegressor(n_estimators=2, max_epochs=16, random_state=0)
    >>> bool(reg.fit(df, [4.0, 6.0, 25.0, 19.0] * 10).score(df, [4.0, 6.0, 25.0, 19.0] * 10) > 0.9)
    True
    """

    _net_type = MixupRegressor
    _own = ("scale_y",)

    def __init__(
        self,
        *,
        n_estimators: int | str = "auto",
        settings: Sequence[Mapping[str, Any]] | None = None,
        others: Sequence[Any] | None = None,
        max_epochs: int = 64,
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
        self.time_limit_s = time_limit_s
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device
        self.engine = engine

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularMixupRegressor:
        """Encode a table, train committees on it, and choose among them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A table, as :meth:`TabularMixupClassifier.fit` takes it. Never written to.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Finite numbers. Each column is standardised before training, so its unit does not
            matter; a constant column is predicted as it is.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; they count when epochs and settings are chosen too. Whole
            numbers that make the table at most ten times as long are counts: a row of weight 2 is
            that row twice. A row of weight 0 is left out.

        Returns
        -------
        TabularMixupRegressor
            The regressor itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above, or no column of X varies.
        ImportError
            If skrub is not there.
        """
        return self._fit(X, y, sample_weight)

    # -- what depends on what is predicted ------------------------------------------------------

    def _check_y(self, y: Any) -> tuple[np.ndarray, str]:
        return Numbers.check(y)

    def _learn(self, y: np.ndarray, kind: str, weight: np.ndarray | None) -> Numbers:
        return Numbers.standardising(y, kind, weight)

    def _weigh_classes(self, targets: Numbers, y: np.ndarray, weight: np.ndarray | None) -> None:
        return None

    def _settle(self, rows: Rows) -> dict[str, Any]:
        return {"scale_y": False}  # All have the same scale already.

    def _list_others(self, rows: Rows) -> list[Any]:
        return list_regressors(len(rows), rows.X.shape[1], rows.n_told)

    def _weigh(self, found: np.ndarray, rows: Rows, prior: np.ndarray, n_prior: float) -> None:
        if rows.weigh_nothing:
            return
        weight = rows.full_weight
        self.setting_weights_ = weigh_numbers(found, rows.y, weight, prior, n_prior)
        mean = np.tensordot(self.setting_weights_, found, 1)
        errors = squared_error(mean, rows.y, weight)
        with np.errstate(over="ignore"):
            self.validation_loss_ = float((errors * self.target_scale_**2).mean())

    def _keep(self, targets: Numbers) -> None:
        assert targets.mean is not None
        assert targets.scale is not None
        self.target_type_, self.n_outputs_ = targets.kind, len(targets.mean)
        self.target_mean_, self.target_scale_ = targets.mean, targets.scale

    def _read(self, nets: Sequence[Any], outputs: Tensor) -> Tensor:
        return numbers(nets, outputs)

    # -- prediction -----------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Predict the numbers: the mean of what all members say, by their weights.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A table with the columns that ``fit`` has seen. A word that was not there is no word,
            whatever is missing a gap.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Numbers as `y` had them.

        Raises
        ------
        ValueError
            If the columns are others, or hold another kind of thing.
        """
        mean = self._average(X)  # It says what is missing before a fit.
        return Numbers.of(self).decode(mean)
