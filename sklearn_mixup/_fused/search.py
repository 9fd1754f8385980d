"""Searches over settings of nets that train all of them together."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    check_cv,
    cross_validate,
)
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._doc_link import linked
from sklearn_mixup._fused.plan import NetEnsemble, fit_all
from sklearn_mixup._fused.replay import (
    Failed,
    Prepared,
    Recorder,
    Replay,
    Trained,
    as_fitted,
    final_step,
    replace_net,
    setting_before_net,
)
from sklearn_mixup._regressor import MixupRegressor

__all__ = ["FusedGridSearchCV", "FusedRandomizedSearchCV"]

_CONSTRAINTS: dict[str, list[Any]] = {
    "max_fused": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]
}


_TRAINED_TOGETHER = (MixupClassifier, MixupRegressor, NetEnsemble)


@linked
class _FusedSearch(BaseEstimator):
    """What both searches share: train every net first, then let scikit-learn search as ever."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Train the nets of all candidates and splits together, score them, refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs: whatever the estimator takes that has rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict of str -> object
            Passed to ``fit`` of the estimator, to the scorer and to the splitter, as scikit-learn's
            searches do: ``groups`` goes to the splitter, ``sample_weight`` to a net, and
            ``net__sample_weight`` to the step `net` of a Pipeline. With metadata routing enabled
            it goes where it is requested. What has an entry for each sample is cut with X.

        Returns
        -------
        FusedGridSearchCV or FusedRandomizedSearchCV
            The search itself.

        Raises
        ------
        ValueError
            As :class:`sklearn.model_selection.GridSearchCV` does; what a net or a transformer
            raises, if `error_score` is "raise" or all of them fail.
        """
        self._validate_params()
        self._get_scorers()  # raises before training if there are none
        routed_params = self._get_routed_params_for_fit(params)
        # In scikit-learn's order, which matters to a RandomState that several of them share.
        estimator = clone(self.estimator)
        candidates = list(self._candidates())
        splits = self._split(X, y, routed_params.splitter.split)
        routed_params.splitter.split = {}
        # Here and below, joblib must not send to other processes what has to stay in this one.
        with parallel_config("sequential"):
            folds = self._cut(estimator, X, y, splits, routed_params.estimator.fit)
        ready, fit_times_s = self._train(estimator, candidates, folds)
        replay = Replay(
            self,
            Trained(estimator, ready),
            candidates,
            splits=splits,
            routed_params=routed_params,
            fit_times_s=fit_times_s,
        )
        for name in {"_skl_callbacks", "_parent_callback_ctx"} & vars(self).keys():
            setattr(replay, name, getattr(self, name))  # callbacks of scikit-learn 1.9
        with parallel_config("sequential"):
            replay.fit(X, y, **params)
        for name, value in vars(replay).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)
        return self

    def _split(self, X: Any, y: Any, params: Mapping[str, Any]) -> list[Any]:
        """Make the splits, once."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        n_splits = cv.get_n_splits(X, y, **params)
        splits = list(cv.split(X, y, **params))
        if len(splits) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{n_splits} splits, got {len(splits)}"
            )
        return splits

    def _cut(
        self, estimator: Any, X: Any, y: Any, splits: Sequence[Any], fit_params: Any
    ) -> list[Recorder]:
        """Let scikit-learn cut X, y and the fit parameters by the training rows of each split."""
        if not splits:
            return []
        with config_context(enable_metadata_routing=False):  # they are routed
            return cross_validate(
                Recorder(estimator),
                X,
                y,
                cv=splits,
                params=fit_params,
                error_score="raise",
                return_estimator=True,
            )["estimator"]

    def _train(
        self, estimator: Any, candidates: Sequence[Mapping[str, Any]], folds: Sequence[Recorder]
    ) -> tuple[deque[Any], list[float]]:
        """Train the net of each candidate on each fold; return what `Trained` hands out."""
        configured = [
            clone(estimator).set_params(**clone(params, safe=False)) for params in candidates
        ]
        self._warn_of_others([final_step(candidate) for candidate in configured])
        prepared: dict[Any, Prepared] = {}
        pairs: list[tuple[Any, Prepared | None]] = []
        for candidate, params in zip(configured, candidates, strict=True):
            net = final_step(candidate)
            if not isinstance(net, _TRAINED_TOGETHER):
                pairs += [(net, None)] * len(folds)  # left to scikit-learn
                continue
            setting = setting_before_net(candidate, params)
            for split, fold in enumerate(folds):
                if (setting, split) not in prepared:
                    prepared[setting, split] = Prepared(candidate, fold)
                prepared[setting, split].n_nets += 1
                pairs.append((net, prepared[setting, split]))
        failures = [before.failed for before in prepared.values() if before.failed is not None]
        if failures and self.error_score == "raise":
            failures[0].fit(None)

        ready: list[Any] = [None if before is None else before.failed for _, before in pairs]
        fit_times_s = [0.0 if before is None else before.share_s() for _, before in pairs]
        to_train = [
            (index, clone(net), before)
            for index, (net, before) in enumerate(pairs)
            if before is not None and before.failed is None
        ]
        outcomes = fit_all(
            [net for _, net, _ in to_train],
            [before.recorder.X for *_, before in to_train],
            [before.recorder.y for *_, before in to_train],
            [before.recorder.fit_params for *_, before in to_train],
            max_fused=self.max_fused,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            stacklevel=5,
        )
        for (index, _, before), (outcome, fit_time_s) in zip(to_train, outcomes, strict=True):
            if isinstance(outcome, Exception):
                ready[index] = Failed(outcome)
            else:
                ready[index] = as_fitted(replace_net(before.estimator, outcome))
            fit_times_s[index] += fit_time_s
        return deque(ready), fit_times_s

    def _warn_of_others(self, last_steps: Sequence[Any]) -> None:
        """Name what cannot be trained together."""
        others = [step for step in last_steps if not isinstance(step, _TRAINED_TOGETHER)]
        if others:
            kinds = {repr(s) if isinstance(s, str) else type(s).__name__ for s in others}
            warnings.warn(
                f"{type(self).__name__} trains together what is a MixupClassifier, a "
                "MixupRegressor, a FusedBagging... or a Pipeline that ends in one. "
                f"{len(others)} of {len(last_steps)} candidates end in "
                f"{' or '.join(sorted(kinds))}: they are fitted one by one, as by scikit-learn.",
                stacklevel=4,
            )


class FusedGridSearchCV(_FusedSearch, GridSearchCV):
    """:class:`~sklearn.model_selection.GridSearchCV` that trains all nets of a grid at once [1]_.

    Same parameters, same attributes, same results, less time: the nets of all candidates and
    splits are trained side by side, those of the same shape as one stack, then scored by
    scikit-learn, which also refits the best. The transformers of a Pipeline are fitted once for
    each split and each setting of theirs, not once for each candidate.

    Parameters
    ----------
    estimator : MixupClassifier, MixupRegressor or Pipeline that ends in one
        What is tuned. Any other estimator, and candidates that put another in its place, are
        fitted one by one, with a warning.
    param_grid : dict or list of dicts
        Names of parameters, and the settings to try of each.
    scoring : str, callable, list, tuple or dict, default=None
        How to score; None is the estimator's own ``score``.
    n_jobs : int, default=None
        How many threads train, -1 all there are: as many stacks at a time, and threads in each, as
        suit the size and the number of the nets. If ``joblib.parallel_config`` names a backend of
        processes, so many of these. Scoring, transformers and other estimators stay in this thread.
    refit : bool, str or callable, default=True
        Whether to refit the best candidate on all rows. A name says by which of several scores; a
        function of ``cv_results_`` returns the index of the best.
    cv : int, cross-validation generator or iterable, default=None
        The splits; None is 5 folds, stratified by labels.
    verbose : int, default=0
        1 shows the progress of training; above that, also a line of scikit-learn's for each score.
    pre_dispatch : int or str, default="2*n_jobs"
        Not used; it is here because scikit-learn's search has it.
    error_score : "raise" or float, default=np.nan
        Score of a candidate that fails to fit; "raise" raises its error.
    return_train_score : bool, default=False
        Whether to score the training rows too.
    max_fused : int or "auto", default="auto"
        Number of nets in a stack, at most.

    Attributes
    ----------
    cv_results_ : dict of str -> ndarray
        As GridSearchCV has it. A fit time is the share of the net in the training of its stack,
        plus its share in the fit of the transformers before it, in seconds.
    best_estimator_ : estimator
        The best candidate, fitted on all rows. Only with `refit`.
    best_score_ : float
        Its mean score over the splits.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its place in ``cv_results_``.
    scorer_ : callable or dict
        The scorer, or the scorers by name.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Seconds of the refit.
    multimetric_ : bool
        Whether there are several scores.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.

    See Also
    --------
    FusedRandomizedSearchCV : Tries settings drawn at random.

    Notes
    -----
    All trained nets are kept until they are scored: their weights have to fit in memory together.

    References
    ----------
    .. [1] Wang et al., "Horizontally Fused Training Array: An Effective Hardware Utilization
       Squeezer for Training Novel Deep Learning Models", MLSys 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import FusedGridSearchCV, MixupClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MixupClassifier(max_epochs=32, random_state=0))
    >>> search = FusedGridSearchCV(clf, {"mixupclassifier__alpha": [0, 0.1, 0.2, 0.4]}, cv=3)
    >>> search.fit(X, y).cv_results_["mean_test_score"].shape
    (4,)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GridSearchCV._parameter_constraints,
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_fused: int | str = "auto",
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_fused = max_fused

    def _candidates(self) -> Iterable[dict[str, Any]]:
        return ParameterGrid(self.param_grid)


class FusedRandomizedSearchCV(_FusedSearch, RandomizedSearchCV):
    """:class:`~sklearn.model_selection.RandomizedSearchCV` that trains all nets at once.

    Same parameters, same draws, same results, less time: see :class:`FusedGridSearchCV`.

    Parameters
    ----------
    estimator : MixupClassifier, MixupRegressor or Pipeline that ends in one
        What is tuned. Any other estimator, and candidates that put another in its place, are
        fitted one by one, with a warning.
    param_distributions : dict or list of dicts
        Names of parameters, and a list of settings of each, or a distribution with a method
        ``rvs``, such as those of ``scipy.stats``.
    n_iter : int, default=10
        Number of candidates.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As :class:`FusedGridSearchCV` has them.
    random_state : int, RandomState instance or None, default=None
        Governs which candidates are drawn.
    max_fused : int or "auto", default="auto"
        Number of nets in a stack, at most.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, feature_names_in_
        As :class:`FusedGridSearchCV` has them.

    See Also
    --------
    FusedGridSearchCV : Tries all combinations of the settings given.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mixup import FusedRandomizedSearchCV, MixupClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MixupClassifier(max_epochs=8, random_state=0)
    >>> settings = {"alpha": [0, 0.1, 0.2], "optimizer__weight_decay": loguniform(1e-5, 1e-2)}
    >>> search = FusedRandomizedSearchCV(clf, settings, n_iter=4, cv=3, random_state=0)
    >>> len(search.fit(X, y).cv_results_["params"])
    4
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RandomizedSearchCV._parameter_constraints,
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_fused: int | str = "auto",
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_fused = max_fused

    def _candidates(self) -> Iterable[dict[str, Any]]:
        return ParameterSampler(
            self.param_distributions, self.n_iter, random_state=self.random_state
        )
