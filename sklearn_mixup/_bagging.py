"""FusedBaggingClassifier: many nets on one table, trained as one stack, their answers averaged."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.draws import Draws
from sklearn_mixup._fused.plan import NetEnsemble, Plan, fit_all
from sklearn_mixup._fused.predict import Stacks, probabilities
from sklearn_mixup._fused.replay import Prepared, Recorder, final_step, replace_net
from sklearn_mixup._net.checks import check_outputs, check_sample_weight, check_y, is_dict
from sklearn_mixup._net.labels import likeliest
from sklearn_mixup._net.tables import take, take_columns
from sklearn_mixup._net.validation import Validation

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
        X = _as_shaped(X)
        y, fit_params = self._check_fit(X, y, fit_params)
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
        draws = planned._learn_columns(X, len(y))
        # None is a seed that nobody knows: the global generator of NumPy is left alone.
        rng = (
            np.random.RandomState()
            if self.random_state is None
            else check_random_state(self.random_state)
        )
        rng.randint(_MAX_SEED, size=n_before)
        seeds = rng.randint(_MAX_SEED, size=n_more)
        planned._draws = [*planned._draws, *((seed, draws) for seed in seeds)]
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, len(y))
        jobs, validation = planned._add_members(seeds, draws, X, y, sample_weight, fit_params)
        return Plan(jobs, lambda: self._become(planned, X, y), validation)

    def _check_fit(self, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
        """Check what all networks have in common; return the targets and what is routed to them."""
        net = final_step(self._get_estimator())
        if not isinstance(net, MixupClassifier):
            raise TypeError(
                "`estimator` must be a MixupClassifier or a Pipeline that ends in one; got "
                f"{self.estimator!r}. For others there is sklearn.ensemble.BaggingClassifier."
            )
        self._validate_params()
        if is_dataset(X):
            raise TypeError(
                "X must be an array, DataFrame or tensor of rows, or a dict of them; got "
                f"{type(X).__name__}, which is read row by row. Stack its rows into one array."
            )
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if self.oob_score and not self.bootstrap:
            raise ValueError(
                "`oob_score` needs bootstrap=True: all networks know all rows; got bootstrap=False."
            )
        if self.oob_score and self.warm_start:
            raise ValueError("`oob_score` needs warm_start=False; got warm_start=True.")
        y, _ = check_y(y)
        check_consistent_length(*(X.values() if is_dict(X) else [X]), y)
        if len(y) == 0:
            clone(self._get_estimator()).fit(X, y)  # It says what it needs.
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        elif fit_params:
            raise ValueError(
                "Besides sample_weight, fit takes what metadata routing brings to the estimator; "
                f"got {sorted(fit_params)}. Use set_config(enable_metadata_routing=True)."
            )
        return y, dict(fit_params)

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

    def _add_members(
        self,
        seeds: Any,
        draws: Draws,
        X: Any,
        y: np.ndarray,
        sample_weight: Any,
        fit_params: dict[str, Any],
    ) -> tuple[list[Any], list[Validation | None]]:
        """Make a network for each seed; return what is to be trained and validated on what."""
        jobs, validation = [], []
        shared: Prepared | None = None
        for seed in seeds:
            member = self._make_estimator(append=False, random_state=seed)
            net = final_step(member)
            features, rows = draws.draw(seed)
            own, labels, weight, params = X, y, sample_weight, fit_params
            if not draws.all_rows and member is net:
                # A net takes whole numbers as how often it visits a row.
                counts = np.bincount(rows, minlength=len(y))
                weight = counts if weight is None else counts * weight
            elif not draws.all_rows:
                own = take(X, rows)
                labels, weight = y[rows], None if weight is None else weight[rows]
            if draws.takes_columns:
                own = take_columns(own, features)
            if member is not net:
                before = shared or Prepared(member, Recorder(None).fit(own, labels, **params))
                if before.failed is not None:
                    before.failed.fit(None)
                alike = draws.all_rows and not draws.takes_columns
                if alike and not _draws_before_net(member):
                    shared = before
                member = replace_net(before.estimator, net)
                recorded = before.recorder
                own, labels, params = recorded.X, recorded.y, recorded.fit_params
            if weight is not None:
                params = {**params, "sample_weight": weight}
            self.estimators_.append(member)
            self.estimators_features_.append(features)
            jobs.append((net, own, labels, params))
            held = None
            if net.early_stopping and not draws.all_rows:
                held = _left_out(net, X, y, sample_weight, rows)
            if held is not None:
                own = take_columns(held.X, features) if draws.takes_columns else held.X
                if member is not net:
                    own = replace_net(member, "passthrough").transform(own)
                held = Validation(own, *held[1:])
            validation.append(held)
        return jobs, validation

    def _become(self, planned: Any, X: Any, y: np.ndarray) -> Any:
        """Take over what a plan has come to."""
        nets = [final_step(member) for member in planned.estimators_]
        planned.classes_ = nets[0].classes_
        if nets[0].target_type_ == "multiclass":
            planned.classes_ = np.unique(np.concatenate([net.classes_ for net in nets]))
        planned.n_classes_ = len(planned.classes_)
        planned._stacks = Stacks()
        if self.oob_score:
            planned._set_oob_score(X, y)
        self.__dict__ = planned.__dict__
        return self

    def _set_oob_score(self, X: Any, y: np.ndarray) -> None:
        """Let each row be predicted by the networks that were not trained on it."""
        total = np.zeros((len(y), self.n_classes_))
        n_votes = np.zeros((len(y), 1))
        drawn = self.estimators_samples_
        for members, outputs in self._outputs(X):
            net = final_step(self.estimators_[members[0]])
            shares = probabilities(net, outputs).cpu().numpy()
            for k, member in enumerate(members):
                free = np.setdiff1d(np.arange(len(y)), drawn[member])
                total[np.ix_(free, self._columns(net))] += shares[free, k]
                n_votes[free] += 1
        scored = n_votes[:, 0] > 0
        if not scored.all():
            warnings.warn(
                f"{len(y) - scored.sum()} of {len(y)} rows have no out-of-bag prediction, since "
                "all networks were trained on them. Raise `n_estimators`.",
                stacklevel=6,
            )
        self.oob_decision_function_ = np.full_like(total, np.nan)
        np.divide(total, n_votes, out=self.oob_decision_function_, where=n_votes > 0)
        predicted = self._decode(self.oob_decision_function_[scored])
        self.oob_score_ = accuracy_score(self._as_labels(y[scored]), predicted)

    # -- prediction -------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Iterator[tuple[list[int], Tensor]]:
        """Compute the outputs of all networks, those of one shape in one pass.

        Yields places in `estimators_`, and the outputs of these, (n_samples, n_members, n_outputs).
        """
        check_is_fitted(self)
        drawn = [features.tobytes() for features in self.estimators_features_]
        self._stacks.update(self.estimators_, drawn)
        X = _as_shaped(X)
        takes_columns = [
            # Other X are refused by the networks.
            draws.takes_columns and len(getattr(X, "shape", ())) == 2
            for _, draws in self._draws
        ]
        if any(takes_columns):
            validate_data(self, X, skip_check_array=True, reset=False)

        def take_features(i: int) -> Any:
            return take_columns(X, self.estimators_features_[i]) if takes_columns[i] else X

        return self._stacks.outputs(self.estimators_, take_features)

    def _columns(self, net: Any) -> np.ndarray:
        """Find the columns of the classes that a network knows."""
        if net.target_type_ != "multiclass":
            return np.arange(self.n_classes_)
        return np.searchsorted(self.classes_, net.classes_)

    def _is_multilabel(self) -> bool:
        return final_step(self.estimators_[0]).target_type_ == "multilabel-indicator"

    def _as_labels(self, y: Any) -> np.ndarray:
        """Take the likeliest class of rows of probabilities."""
        return y if self._is_multilabel() else likeliest(y, self.classes_)

    def _decode(self, probabilities: np.ndarray) -> np.ndarray:
        """Turn probabilities into labels."""
        if self._is_multilabel():
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

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
        mean: Any = 0.0
        for members, outputs in self._outputs(X):
            net = final_step(self.estimators_[members[0]])
            share = np.zeros((len(outputs), self.n_classes_))
            share[:, self._columns(net)] = probabilities(net, outputs).sum(1).cpu().numpy()
            mean += share / len(self.estimators_)
        return check_outputs(mean)

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
        return self._decode(self.predict_proba(X))

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
            if self._is_multilabel():
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
        check_is_fitted(self)
        return super().score(X, self._as_labels(y), sample_weight)


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


def _draws_before_net(estimator: Any) -> bool:
    """Whether a step before the net of a Pipeline has a random state of its own."""
    params = replace_net(estimator, "passthrough").get_params(deep=True)
    return any(name.endswith("random_state") for name in params)


def _left_out(
    net: Any, X: Any, y: np.ndarray, sample_weight: Any, rows: np.ndarray
) -> Validation | None:
    """Find the rows that were not drawn for a network; None if it can validate on none of them."""
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    others = np.setdiff1d(np.flatnonzero(weight), rows)
    if y.ndim == 1:  # It does not know labels that it was not trained on.
        others = others[np.isin(y[others], y[rows][weight[rows] > 0])]
    if not len(others):
        return None
    weight = None if sample_weight is None else weight[others]
    return Validation(take(X, others), y[others], weight, net.n_iter_no_change)
