"""Estimators that are trained already, for scikit-learn's searches to score, rank and refit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from torch import Tensor


class Recorder(BaseEstimator):
    """Stands where a net will be, and notes what that would be fitted on."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def __sklearn_clone__(self) -> Recorder:
        return Recorder(self.net)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.net)  # a pairwise X is cut by columns too

    def get_metadata_routing(self) -> Any:
        """Ask for what the net asks for."""
        return self.net.get_metadata_routing()

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Recorder:
        """Note the arguments, as they are."""
        self.X, self.y, self.fit_params = X, y, fit_params
        return self

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score nothing; scikit-learn wants a number."""
        return 0.0


class Failed(BaseEstimator):
    """Fails to fit, in the way that an estimator failed before."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        # Python lengthens the traceback of an error each time that it is raised.
        self.traceback = error.__traceback__

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> None:
        """Raise the error."""
        raise self.error.with_traceback(self.traceback)


class Trained(BaseEstimator):
    """Hands out the estimators of a search, trained already, in the order they are scored.

    scikit-learn asks for ``clone(estimator).set_params(**candidate)`` once for each candidate and
    split, the splits of a candidate in a row, then once more for the refit. It goes on with what
    ``set_params`` returns: a genuine estimator, which it scores, or fits if `ready` has None or
    nothing left.
    """

    def __init__(self, estimator: Any, ready: deque[Any]) -> None:
        self.estimator = estimator
        self.ready = ready

    def __sklearn_clone__(self) -> Trained:
        return self

    def set_params(self, **params: Any) -> Any:
        """Return the next estimator; those scored are not kept."""
        trained = self.ready.popleft() if self.ready else None
        return clone(self.estimator).set_params(**params) if trained is None else trained


class Replay(GridSearchCV):
    """GridSearchCV of estimators that are trained already: it scores, ranks and refits."""

    def __init__(
        self,
        search: Any,
        trained: Trained,
        candidates: Sequence[Mapping[str, Any]],
        *,
        splits: Sequence[Any],
        routed_params: Any,
        fit_times_s: Sequence[float],
    ) -> None:
        super().__init__(
            trained,
            # A grid of one setting for each candidate: their order is the order of the list.
            [{name: [value] for name, value in params.items()} for params in candidates],
            scoring=search.scoring,
            n_jobs=1,
            refit=search.refit,
            cv=splits,
            verbose=search.verbose if search.verbose > 1 else 0,
            error_score=search.error_score,
            return_train_score=search.return_train_score,
        )
        self.search = search
        self.trained = trained
        self.candidates = candidates
        self.splits = splits
        self.routed_params = routed_params
        self.fit_times_s = fit_times_s

    def _get_scorers(self) -> Any:
        """Get the scorers of the search, which knows the genuine estimator."""
        return self.search._get_scorers()

    def _get_routed_params_for_fit(self, params: Any) -> Any:
        """Pass on what the search routed; the splits are made."""
        return self.routed_params

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> Any:
        """Count the seconds that it took to train each estimator as its fit time."""
        for scored, fit_time_s in zip(out, self.fit_times_s, strict=True):
            scored["fit_time"] += fit_time_s
        return super()._format_results(candidate_params, n_splits, out, more_results)


class Prepared:
    """What nets share on a split if their candidates differ in the net alone."""

    def __init__(self, estimator: Any, fold: Recorder) -> None:
        """Fit what comes before the net in `estimator`, if anything, on the rows of `fold`."""
        self.estimator = clone(replace_net(estimator, Recorder(final_step(estimator))))
        self.recorder: Recorder = final_step(self.estimator)
        self.failed: Failed | None = None
        self.n_nets = 0
        start = time.perf_counter()
        # A transformer may write to its input (copy=False), which is that of other settings too.
        X = fold.X.detach() if isinstance(fold.X, Tensor) else fold.X  # A part of one has no copy.
        X = deepcopy(X) if isinstance(self.estimator, Pipeline) else X
        try:
            self.estimator.fit(X, fold.y, **fold.fit_params)
        except Exception as error:
            self.failed = Failed(error)
        self.fit_time_s = time.perf_counter() - start

    def share_s(self) -> float:
        """Seconds of the fit that fall on each net."""
        return self.fit_time_s / self.n_nets


def final_step(estimator: Any) -> Any:
    """Find the last step of a Pipeline, also of one at the end of another."""
    while isinstance(estimator, Pipeline) and estimator.steps:
        estimator = estimator.steps[-1][-1]
    return estimator


def replace_net(estimator: Any, net: Any) -> Any:
    """Put `net` in the place of the last step, in a copy that shares all other steps."""
    if not isinstance(estimator, Pipeline):
        return net
    *before, (name, last) = estimator.steps
    pipeline = copy(estimator)
    pipeline.steps = [*before, (name, replace_net(last, net))]
    return pipeline


def setting_before_net(estimator: Any, params: Mapping[str, Any]) -> Any:
    """Make a key of all that a candidate sets but the net: equal keys, equal transformers."""
    prefix, step = "", estimator
    while isinstance(step, Pipeline):
        name, step = step.steps[-1]
        prefix += f"{name}__"
    key: list[Any] = [str(step.get_metadata_routing())]  # Pipelines route by it
    for name, value in params.items():
        if not f"{name}__".startswith(prefix):
            plain = value is None or isinstance(value, str | int | float | np.generic)
            # Candidates share the objects of a grid, and keep them alive.
            key.append((name, type(value), repr(value) if plain else id(value)))
    return tuple(key)


def as_fitted(estimator: Any) -> Any:
    """Let the next call of ``fit``, which is scikit-learn's, leave a trained estimator as it is."""

    def fit(*args: Any, **kwargs: Any) -> Any:
        del vars(estimator)["fit"]
        return estimator

    vars(estimator)["fit"] = fit
    return estimator
