"""Estimators that are many nets: what their fit comes down to, so that all nets train together."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn_mixup._fused.jobs import fit_together


@dataclass(frozen=True)
class Plan:
    """What a fit comes down to.

    Parameters
    ----------
    jobs : list of tuple
        Each net to train, its X, its y and the keyword arguments of its ``fit``.
    finish : callable
        ``finish()`` returns the fitted estimator, once the nets are trained.
    validation : list of (Validation or None), default=None
        What each net is validated on; None is nothing for all.
    """

    jobs: Sequence[tuple[Any, Any, Any, Mapping[str, Any]]]
    finish: Callable[[], Any]
    validation: Sequence[Any] | None = None


class NetEnsemble:
    """An estimator that is made of nets."""

    @abstractmethod
    def _plan_fit(self, X: Any, y: Any, **fit_params: Any) -> Plan:
        """Prepare a fit; the estimator stays as it is until it is finished."""


def fit_all(
    estimators: Sequence[Any],
    Xs: Sequence[Any],
    ys: Sequence[Any],
    fit_params: Sequence[Mapping[str, Any]],
    **options: Any,
) -> list[tuple[Any, float]]:
    """Fit nets and ensembles of nets, all together, as `fit_together` does with nets.

    Returns each estimator, or the exception that it raised, and its seconds.
    """
    plans: list[Plan | Exception] = []
    seconds = []
    for estimator, X, y, params in zip(estimators, Xs, ys, fit_params, strict=True):
        start = time.perf_counter()
        plans.append(_plan(estimator, X, y, params))
        seconds.append(time.perf_counter() - start)
    planned = [plan for plan in plans if isinstance(plan, Plan)]
    jobs = [job for plan in planned for job in plan.jobs]
    validation = [own for plan in planned for own in plan.validation or [None] * len(plan.jobs)]
    columns = map(list, zip(*jobs, strict=True))
    try:
        trained = iter(fit_together(*columns, validation=validation, **options) if jobs else [])
    except KeyboardInterrupt:
        for plan in plans:  # What has learned something in all its nets keeps it.
            if isinstance(plan, Plan) and all(net.initialized_ for net, *_ in plan.jobs):
                plan.finish()
        raise
    outcomes = []
    for plan, spent in zip(plans, seconds, strict=True):
        if isinstance(plan, Exception):
            outcomes.append((plan, spent))
            continue
        results = [next(trained) for _ in plan.jobs]
        failed = [result for result, _ in results if isinstance(result, Exception)]
        start = time.perf_counter()
        outcome = failed[0] if failed else plan.finish()
        spent += time.perf_counter() - start + sum(share for _, share in results)
        outcomes.append((outcome, spent))
    return outcomes


def _plan(estimator: Any, X: Any, y: Any, params: Mapping[str, Any]) -> Plan | Exception:
    """Plan the fit of an estimator; return what it raises."""
    if not isinstance(estimator, NetEnsemble):
        return Plan([(estimator, X, y, params)], lambda: estimator)
    try:
        return estimator._plan_fit(X, y, **params)
    except Exception as error:
        return error
