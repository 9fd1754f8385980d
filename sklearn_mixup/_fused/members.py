"""What each net of an ensemble is given to fit: its rows and features, and rows to validate on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import check_consistent_length
from sklearn.utils.metadata_routing import process_routing
from skorch.utils import is_dataset

from sklearn_mixup._fused.draws import Draws
from sklearn_mixup._fused.replay import Prepared, Recorder, final_step, replace_net
from sklearn_mixup._net.checks import check_sample_weight, is_dict
from sklearn_mixup._net.tables import take, take_columns
from sklearn_mixup._net.validation import Validation, sets_rows_aside


@dataclass(frozen=True)
class Given:
    """What an ensemble is given to fit, all rows of it."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    fit_params: Mapping[str, Any]


@dataclass(frozen=True)
class Member:
    """One net of an ensemble, with what it is to train and to validate on.

    Parameters
    ----------
    estimator : net or Pipeline that ends in one
    features : ndarray of int
        The features drawn for it.
    job : tuple
        The net, its X, its y and the keyword arguments of its ``fit``.
    validation : Validation or None
    """

    estimator: Any
    features: np.ndarray
    job: tuple[Any, Any, Any, Mapping[str, Any]]
    validation: Validation | None


def check_given(
    ensemble: Any, X: Any, y: Any, sample_weight: Any, fit_params: dict[str, Any]
) -> Given:
    """Check what all nets have in common, and find what is routed to them."""
    net = final_step(ensemble._get_estimator())
    if not isinstance(net, ensemble._net_type):
        raise TypeError(
            f"`estimator` must be a {ensemble._net_type.__name__} or a Pipeline that ends in one; "
            f"got {ensemble.estimator!r}. For others there is "
            f"sklearn.ensemble.{type(ensemble).__name__.removeprefix('Fused')}."
        )
    ensemble._validate_params()
    if is_dataset(X):
        raise TypeError(
            "X must be an array, DataFrame or tensor of rows, or a dict of them; got "
            f"{type(X).__name__}, which is read row by row. Stack its rows into one array."
        )
    if y is None:
        raise ValueError(
            f"{type(ensemble).__name__} requires y to be passed, but the target y is None."
        )
    if ensemble.oob_score and not ensemble.bootstrap:
        raise ValueError(
            "`oob_score` needs bootstrap=True: all networks know all rows; got bootstrap=False."
        )
    if ensemble.oob_score and ensemble.warm_start:
        raise ValueError("`oob_score` needs warm_start=False; got warm_start=True.")
    y, kind = net._target_kind.check(y)
    check_consistent_length(*(X.values() if is_dict(X) else [X]), y)
    if ensemble.warm_start and hasattr(ensemble, "estimators_"):
        _check_goes_on(ensemble, y, kind)
    if len(y) == 0:
        clone(ensemble._get_estimator()).fit(X, y)  # It says what it needs.
    if get_config()["enable_metadata_routing"]:
        fit_params = process_routing(ensemble, "fit", **fit_params).estimator.fit
    elif fit_params:
        raise ValueError(
            "Besides sample_weight, fit takes what metadata routing brings to the estimator; "
            f"got {sorted(fit_params)}. Use set_config(enable_metadata_routing=True)."
        )
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(y))
    return Given(X, y, sample_weight, dict(fit_params))


def _check_goes_on(ensemble: Any, y: np.ndarray, kind: str) -> None:
    """Refuse targets that cannot be averaged with those of the nets that are there."""
    known = final_step(ensemble.estimators_[0]).target_type_
    if kind != known or (y.ndim > 1 and y.shape[1] != ensemble._n_columns):
        raise ValueError(
            f"With warm_start=True y must be what it was before, {known} with as many columns; got "
            f"{kind} of shape {y.shape}. Use warm_start=False."
        )


def make_members(
    ensemble: Any, seeds: Iterable[int], draws: Draws, given: Given
) -> Iterator[Member]:
    """Make a net for each seed, which draws what it is given."""
    shared: Prepared | None = None
    alike = draws.all_rows and not draws.takes_columns
    for seed in seeds:
        member = ensemble._make_estimator(append=False, random_state=seed)
        net = final_step(member)
        features, rows = draws.draw(seed)
        own = _deal(given, draws, features, rows, counts_rows=member is net)
        X, y, params = own.X, own.y, own.fit_params
        if member is not net:
            before = shared or Prepared(member, Recorder(None).fit(X, y, **params))
            if before.failed is not None:
                before.failed.fit(None)
            if alike and not _draws_before_net(member):
                shared = before
            member = replace_net(before.estimator, net)
            recorded = before.recorder
            X, y, params = recorded.X, recorded.y, recorded.fit_params
        if own.sample_weight is not None:
            params = {**params, "sample_weight": own.sample_weight}
        held = None
        if not draws.all_rows and sets_rows_aside(net, given.X):
            held = _left_out(net, given, rows)
        if held is not None:
            others = take_columns(held.X, features) if draws.takes_columns else held.X
            if member is not net:
                others = replace_net(member, "passthrough").transform(others)
            held = Validation(others, *held[1:])
        yield Member(member, features, (net, X, y, params), held)


def _deal(
    given: Given, draws: Draws, features: np.ndarray, rows: np.ndarray, *, counts_rows: bool
) -> Given:
    """Take the rows and features that were drawn; with `counts_rows` as weights of all rows."""
    X, y, weight = given.X, given.y, given.sample_weight
    if not draws.all_rows and counts_rows:
        # A net takes whole numbers as how often it visits a row.
        counts = np.bincount(rows, minlength=len(y))
        weight = counts if weight is None else counts * weight
    elif not draws.all_rows:
        X = take(X, rows)
        y, weight = y[rows], None if weight is None else weight[rows]
    if draws.takes_columns:
        X = take_columns(X, features)
    return Given(X, y, weight, given.fit_params)


def _draws_before_net(estimator: Any) -> bool:
    """Whether a step before the net of a Pipeline has a random state of its own."""
    params = replace_net(estimator, "passthrough").get_params(deep=True)
    return any(name.endswith("random_state") for name in params)


def _left_out(net: Any, given: Given, rows: np.ndarray) -> Validation | None:
    """Find the rows that were not drawn for a net; None if it can validate on none of them."""
    y = given.y
    weight = np.ones(len(y)) if given.sample_weight is None else given.sample_weight
    others = np.setdiff1d(np.flatnonzero(weight), rows)
    if y.ndim == 1 and not net._predicts_numbers:  # It knows no labels but those of its rows.
        others = others[np.isin(y[others], y[rows][weight[rows] > 0])]
    if not len(others):
        return None
    own = None if given.sample_weight is None else weight[others]
    return Validation(take(given.X, others), y[others], own, net.n_iter_no_change)
