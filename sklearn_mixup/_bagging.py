"""FusedBaggingClassifier: many nets on one table, trained as one stack, their answers averaged."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import BaggingClassifier
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.average import average, score_out_of_bag
from sklearn_mixup._fused.draws import Draws
from sklearn_mixup._fused.members import Given, check_given, make_members
from sklearn_mixup._fused.plan import NetEnsemble, Plan, fit_all
from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._net.checks import check_outputs, is_dict
from sklearn_mixup._net.labels import Labels

__all__ = ["FusedBaggingClassifier"]

_MAX_SEED = np.iinfo(np.int32).max  # as scikit-learn's ensembles draw them


class FusedBaggingClassifier(NetEnsemble, BaggingClassifier):
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
    Networks with ``early_stopping=True`` validate on the rows that were not drawn for them, with
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaggingClassifier._parameter_constraints,
        "max_samples": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
            None,
        ],
        "max_fused": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = get_tags(final_step(self._get_estimator()))
        if known.classifier_tags is not None:
            tags.classifier_tags.multi_label = known.classifier_tags.multi_label
        tags.input_tags.three_d_array = known.input_tags.three_d_array
        return tags

    def _get_estimator(self) -> Any:
        return MixupClassifier() if self.estimator is None else self.estimator

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Train the networks, all at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs: what the estimator takes, but for torch Datasets.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Targets, as :meth:`MixupClassifier.fit` takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, in the objective of each network: of those of its rows, which
            are drawn whatever their weights. Transformers of a Pipeline are not told.
        **fit_params : dict of str -> object
            Passed to ``fit`` of the estimator; only with metadata routing enabled.

        Returns
        -------
        FusedBaggingClassifier
            The ensemble itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above; what a network or a transformer
            raises.
        TypeError
            If `estimator` is nothing that can be trained as a stack, or X is a torch Dataset.
        KeyboardInterrupt
            If somebody presses Ctrl-C. If all networks have trained for an epoch, the ensemble is
            made of what they have learned, else it stays as it was.
        """
        params = {"sample_weight": sample_weight, **fit_params}
        ((outcome, _),) = fit_all(
            [self],
            [X],
            [y],
            [params],
            max_fused=self.max_fused,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            stacklevel=4,
        )
        if isinstance(outcome, Exception):
            raise outcome
        return self

    def _plan_fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Plan:
        """Draw rows and features, and make the networks; `self` changes when they are trained."""
        given = check_given(self, _as_shaped(X), y, sample_weight, fit_params)
        planned = copy.copy(self)
        if not (self.warm_start and hasattr(self, "estimators_")):
            planned.estimators_, planned.estimators_features_, planned._draws = [], [], []
        else:
            planned.estimators_ = [*self.estimators_]
            planned.estimators_features_ = [*self.estimators_features_]
        n_before = len(planned.estimators_)
        n_more = self.n_estimators - n_before
        if n_more < 0:
            raise ValueError(
                "With warm_start=True networks are only added: `n_estimators` must be at least "
                f"{n_before}, which are there; got {self.n_estimators}."
            )
        if n_more == 0:
            warnings.warn(
                f"With warm_start=True and the {n_before} networks that are there, `n_estimators` "
                "asks for no other; none is trained.",
                stacklevel=5,
            )
            return Plan([], lambda: self)
        planned.__dict__.pop("oob_score_", None)
        planned.__dict__.pop("oob_decision_function_", None)
        planned.estimator_ = self._get_estimator()
        draws = planned._learn_columns(given.X, len(given.y))
        # None is a seed that nobody knows: the global generator of NumPy is left alone.
        rng = (
            np.random.RandomState()
            if self.random_state is None
            else check_random_state(self.random_state)
        )
        rng.randint(_MAX_SEED, size=n_before)
        seeds = rng.randint(_MAX_SEED, size=n_more)
        planned._draws = [*planned._draws, *((seed, draws) for seed in seeds)]
        members = [*make_members(planned, seeds, draws, given)]
        planned.estimators_ += [member.estimator for member in members]
        planned.estimators_features_ += [member.features for member in members]
        return Plan(
            [member.job for member in members],
            lambda: self._become(planned, given),
            [member.validation for member in members],
        )

    @property
    def estimators_samples_(self) -> list[np.ndarray]:
        """The rows drawn for each network; drawn anew each time that they are asked for."""
        check_is_fitted(self)
        return [draws.draw(seed)[1] for seed, draws in self._draws]

    def _learn_columns(self, X: Any, n_samples: int) -> Draws:
        """Note the features of X, and find how many rows and features each network gets."""
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if not is_dict(X) and len(X.shape) > 1:
            validate_data(self, X, skip_check_array=True)
        is_table = not is_dict(X) and len(X.shape) == 2
        return Draws.make(self, n_samples, self.n_features_in_ if is_table else None)

    def _become(self, planned: Any, given: Given) -> Any:
        """Take over what a plan has come to."""
        nets = [final_step(member) for member in planned.estimators_]
        planned.classes_ = nets[0].classes_
        if nets[0].target_type_ == "multiclass":
            planned.classes_ = np.unique(np.concatenate([net.classes_ for net in nets]))
        planned.n_classes_ = len(planned.classes_)
        planned._stacks = Stacks()
        if self.oob_score:
            scored = score_out_of_bag(planned, given.X, given.y)
            planned.oob_decision_function_, planned.oob_score_ = scored
        self.__dict__ = planned.__dict__
        return self

    # -- prediction -------------------------------------------------------------------------

    @property
    def _labels(self) -> Labels:
        """What the labels are."""
        return Labels(final_step(self.estimators_[0]).target_type_, self.classes_)

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
        check_is_fitted(self)
        return check_outputs(average(self, _as_shaped(X)))

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


def _as_shaped(X: Any) -> Any:
    """Give what has no shape, such as a list, that of an array; take a tensor off its graph."""
    if isinstance(X, Tensor):
        return X.detach()  # scikit-learn's transformers take no other
    has_shape = hasattr(X, "shape") or isinstance(X, Mapping) or is_dataset(X)
    if has_shape:
        return X
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X must hold rows of one length and kind; NumPy says: {error}") from error
