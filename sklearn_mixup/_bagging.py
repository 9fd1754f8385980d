"""FusedBaggingClassifier and -Regressor: many nets on one table, trained as one, and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from torch import Tensor

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.bagging import BAGGING_CONSTRAINTS, FusedBagging
from sklearn_mixup._fused.predict import numbers, probabilities
from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._net.labels import Labels
from sklearn_mixup._net.numbers import Numbers
from sklearn_mixup._regressor import MixupRegressor

__all__ = ["FusedBaggingClassifier", "FusedBaggingRegressor"]


class FusedBaggingClassifier(FusedBagging, BaggingClassifier):
    """:class:`~sklearn.ensemble.BaggingClassifier` that trains all its nets at once.

    Eight networks that differ in initial weights, shuffles and mixing, trained as one stack; the
    mean of their probabilities. It errs a little less than one network, and its probabilities are
    better; "Which settings for my table" in the documentation tells by how much, and what it costs.
    Each network ends as it would alone on its rows (with dropout, with other masks of the same
    distribution).

    Parameters
    ----------
    estimator : MixupClassifier or Pipeline that ends in one, default=None
        What is trained many times; None is ``MixupClassifier()``.
    n_estimators : int, default=8
        Number of networks.
    max_samples : int or float in (0, 1], default=1.0
        How many rows are drawn for each network, or which share of them.
    max_features : int or float in (0, 1], default=1.0
        How many features are drawn for each network, or which share of them; X must be 2-D.
    bootstrap : bool, default=False
        Whether rows are drawn with replacement. Without it, and with all rows, the networks differ
        in their random numbers alone, which is enough.
    bootstrap_features : bool, default=False
        Whether features are drawn with replacement.
    oob_score : bool, default=False
        Whether to measure the accuracy on the rows that were not drawn; needs `bootstrap`.
    warm_start : bool, default=False
        Whether another ``fit`` keeps the networks that are there and adds those that are missing to
        `n_estimators`.
    n_jobs : int, default=None
        How many threads train, as in :class:`FusedGridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Governs the rows and features drawn and, by a seed for each, all that a network draws.
    verbose : int, default=0
        1 shows the progress of training.
    max_fused : int or "auto", default="auto"
        Number of networks in a stack, at most.

    Attributes
    ----------
    estimators_ : list of MixupClassifier or Pipeline
        The fitted networks. They know the labels as `y` has them, unlike scikit-learn's. Pipelines
        share their transformers where all would learn the same.
    estimators_samples_ : list of ndarray of int
        The rows drawn for each.
    estimators_features_ : list of ndarray of int
        The features drawn for each.
    classes_ : ndarray of shape (n_classes,)
        The labels, as of :class:`MixupClassifier`.
    n_classes_ : int
        Their number.
    n_features_in_ : int
        Number of features, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.
    oob_score_ : float
        Accuracy on each row, of the networks that were not trained on it.
    oob_decision_function_ : ndarray of shape (n_samples, n_classes)
        Their mean probabilities; NaN for a row that all networks know.

    See Also
    --------
    FusedGridSearchCV : Trains all networks of a search at once; also around this ensemble, with
        ``estimator__alpha`` and the like.

    Notes
    -----
    Networks with `early_stopping` validate on the rows that were not drawn for them, with
    `bootstrap` or a `max_samples` that leaves some, and on a share of their own rows otherwise. The
    former have had a say in when a network was best, so `oob_score_` is a little too high then.

    Averaging networks that differ in their random numbers alone is known as a deep ensemble [2]_.

    References
    ----------
    .. [1] Breiman, "Bagging predictors", Machine Learning 24, 1996.
    .. [2] Lakshminarayanan, Pritzel, Blundell, "Simple and Scalable Predictive Uncertainty
       Estimation using Deep Ensembles", NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = FusedBaggingClassifier(MixupClassifier(max_epochs=16), random_state=0)
    >>> bool(cross_val_score(clf, X / 16, y, cv=3).mean() > 0.9)
    True
    """

    _net_type = MixupClassifier
    _oob_name = "oob_decision_function_"
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaggingClassifier._parameter_constraints,
        **BAGGING_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 8,
        *,
        max_samples: int | float | None = 1.0,
        max_features: int | float = 1.0,
        bootstrap: bool = False,
        bootstrap_features: bool = False,
        oob_score: bool = False,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        max_fused: int | str = "auto",
    ) -> None:
        super().__init__(
            estimator,
            n_estimators,
            max_samples=max_samples,
            max_features=max_features,
            bootstrap=bootstrap,
            bootstrap_features=bootstrap_features,
            oob_score=oob_score,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.max_fused = max_fused

    def _learn_targets(self, nets: Sequence[Any]) -> None:
        self.classes_ = nets[0].classes_
        if nets[0].target_type_ == "multiclass":
            self.classes_ = np.unique(np.concatenate([net.classes_ for net in nets]))
        self.n_classes_ = self._n_columns = len(self.classes_)

    def _columns_of(self, net: Any) -> np.ndarray:
        if net.target_type_ == "multiclass":  # which may not know all of them
            return np.searchsorted(self.classes_, net.classes_)
        return np.arange(self.n_classes_)

    def _read(self, nets: Sequence[Any], outputs: Tensor) -> Tensor:
        return probabilities(nets[0], outputs)

    def _score_mean(self, y: Any, mean: np.ndarray) -> float:
        return self._labels.score(y, self._labels.decide(mean))

    @property
    def _labels(self) -> Labels:
        """What the labels are."""
        return Labels(final_step(self.estimators_[0]).target_type_, self.classes_)

    # -- prediction -------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class: the mean of what the networks say.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``. A network that was trained without a class
            gives it probability 0.
        """
        return self._average(X)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the labels: those of the largest mean probability.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) for multilabel targets
            Labels, as of :meth:`MixupClassifier.predict`.
        """
        proba = self.predict_proba(X)  # It says what is missing before a fit.
        return self._labels.decide(proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Compute the logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms, -inf where the probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the logits of :meth:`predict_proba`, so that both decide alike.

        scikit-learn's bagging has the mean of the logits here, the largest of which may be another
        class than that of the largest mean probability.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Logarithms of the mean probabilities; for two classes the second's less the first's, and
            for multilabel targets that of a label less that of its absence.
        """
        proba = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            if self._labels.is_multilabel:
                return np.log(proba) - np.log1p(-proba)
            logits = np.log(proba)
            return logits[:, 1] - logits[:, 0] if self.n_classes_ == 2 else logits

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            True labels, as for :meth:`MixupClassifier.score`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float in [0, 1]
            Share of the rows that are predicted right.
        """
        predicted = self.predict(X)  # It says what is missing before a fit.
        return self._labels.score(y, predicted, sample_weight)


class FusedBaggingRegressor(FusedBagging, BaggingRegressor):
    """:class:`~sklearn.ensemble.BaggingRegressor` that trains all its nets at once.

    Eight networks that differ in initial weights, shuffles and mixing, trained as one stack; the
    mean of their predictions. Each network ends as it would alone on its rows (with dropout, with
    other masks of the same distribution).

    Parameters
    ----------
    estimator : MixupRegressor or Pipeline that ends in one, default=None
        What is trained many times; None is ``MixupRegressor()``.
    n_estimators, max_samples, max_features, bootstrap, bootstrap_features
        As of :class:`FusedBaggingClassifier`.
    oob_score : bool, default=False
        Whether to measure R^2 on the rows that were not drawn; needs `bootstrap`.
    warm_start, n_jobs, random_state, verbose, max_fused
        As of :class:`FusedBaggingClassifier`.

    Attributes
    ----------
    estimators_, estimators_samples_, estimators_features_, n_features_in_, feature_names_in_
        As of :class:`FusedBaggingClassifier`.
    n_outputs_ : int
        Columns of y.
    oob_score_ : float
        R^2 on each row, of the networks that were not trained on it. A little too high where these
        stop early, see :class:`FusedBaggingClassifier`; exact with ``early_stopping=False``.
    oob_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Their mean predictions; NaN for a row that all networks know.

    See Also
    --------
    FusedBaggingClassifier : The same for labels.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import FusedBaggingRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = make_pipeline(StandardScaler(), FusedBaggingRegressor(random_state=0))
    >>> bool(cross_val_score(reg, X, y, cv=3).mean() > 0.4)
    True
    """

    _net_type = MixupRegressor
    _oob_name = "oob_prediction_"
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaggingRegressor._parameter_constraints,
        **BAGGING_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 8,
        *,
        max_samples: int | float | None = 1.0,
        max_features: int | float = 1.0,
        bootstrap: bool = False,
        bootstrap_features: bool = False,
        oob_score: bool = False,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        max_fused: int | str = "auto",
    ) -> None:
        super().__init__(
            estimator,
            n_estimators,
            max_samples=max_samples,
            max_features=max_features,
            bootstrap=bootstrap,
            bootstrap_features=bootstrap_features,
            oob_score=oob_score,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.max_fused = max_fused

    def _learn_targets(self, nets: Sequence[Any]) -> None:
        self.n_outputs_ = self._n_columns = nets[0].n_outputs_

    def _columns_of(self, net: Any) -> np.ndarray:
        return np.arange(self.n_outputs_)

    def _read(self, nets: Sequence[Any], outputs: Tensor) -> Tensor:
        return numbers(nets, outputs)

    def _shape(self, mean: np.ndarray) -> np.ndarray:
        return self._numbers.decode(mean)

    def _score_mean(self, y: Any, mean: np.ndarray) -> float:
        return self._numbers.score(y, self._shape(mean))

    @property
    def _numbers(self) -> Numbers:
        """What the numbers are; what is averaged is as `y` has it."""
        return Numbers(final_step(self.estimators_[0]).target_type_, None, None)

    # -- prediction -------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Predict the numbers: the mean of what the networks say.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Numbers as `y` had them.
        """
        mean = self._average(X)  # It says what is missing before a fit.
        return self._shape(mean)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the coefficient of determination, R^2.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            1 at best, 0 for the mean of y; the mean over the columns of y.
        """
        predicted = self.predict(X)
        return self._numbers.score(y, predicted, sample_weight)
