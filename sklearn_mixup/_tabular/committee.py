"""Nets that each leave some rows out, and keep the weights that do best on these."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.jobs import fit_together
from sklearn_mixup._tabular.select import log_loss

# The share of rows that a net does not train on.
_N_FOLDS = 8
MAX_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Rows:
    """Rows to train on, as nets take them.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        The encoded rows.
    codes : ndarray of shape (n_rows,), int
        The place of each row's class.
    weight : ndarray of shape (n_rows,) or None
        Weights of the rows, > 0.
    class_weight : ndarray of shape (n_classes,)
        Weights of the classes.
    """

    X: np.ndarray
    codes: np.ndarray
    weight: np.ndarray | None
    class_weight: np.ndarray

    def __len__(self) -> int:
        return len(self.X)

    @property
    def full_weight(self) -> np.ndarray:
        """The weight of each row, that of its class included."""
        own = self.class_weight[self.codes]
        return own if self.weight is None else own * self.weight

    def take(self, rows: np.ndarray) -> Rows:
        """Take some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.X[rows], self.codes[rows], weight, self.class_weight)


def deal_folds(
    codes: np.ndarray, n_estimators: int, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Tell which rows each net of a committee leaves out, by class; none is left out twice.

    After a round of folds there is another, with other folds. A row that is the only one of its
    class is left out by none.
    """
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1)
    n_folds = max(min(len(rows), _N_FOLDS), 1)
    left_out: list[np.ndarray] = []
    while len(left_out) < n_estimators:
        order = rng.permutation(rows)
        # The folds get a row each in turn, class after class, so that they are even in both.
        order = order[np.argsort(codes[order], kind="stable")]
        left_out += [np.sort(order[k::n_folds]) for k in range(n_folds)]
    return left_out[:n_estimators]


class _TimeIsUp(KeyboardInterrupt):
    """Ends a training that has taken long enough, as Ctrl-C would."""


def make_committees(
    settings: Sequence[Mapping[str, Any]],
    rows: Rows,
    n_estimators: int,
    rng: np.random.RandomState,
    **common: Any,
) -> list[list[MixupClassifier]]:
    """Make the nets of each setting; `common` are the parameters of all of them."""
    common |= {
        "classes": list(range(len(rows.class_weight))),
        "class_weight": dict(enumerate(rows.class_weight.tolist())),
    }
    return [
        [
            MixupClassifier(**{**common, **own}, random_state=rng.randint(MAX_SEED))
            for _ in range(n_estimators)
        ]
        for own in settings
    ]


def train(
    committees: Sequence[Sequence[MixupClassifier]],
    rows: Rows,
    left_out: Sequence[np.ndarray],
    *,
    time_limit_s: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> list[list[MixupClassifier]]:
    """Train all committees at once; if there is a limit one by one, as long as there is time.

    The first ends with what it has learned when the time is up. Another is trained if the last took
    no longer than what is left.

    Returns
    -------
    list of list of MixupClassifier
        The committees that are trained.
    """
    everything = np.arange(len(rows))
    # Committees share these, so that they lie on the device once.
    kept = [rows.take(np.setdiff1d(everything, own)) for own in left_out]
    held_out = [rows.take(own) for own in left_out]

    def fit(chosen: Sequence[Sequence[MixupClassifier]], deadline: float | None) -> None:
        nets = [net for committee in chosen for net in committee]
        times = len(chosen)
        _fit(nets, kept * times, held_out * times, deadline, n_jobs=n_jobs, verbose=verbose)

    if time_limit_s is None:
        fit(committees, None)
        return [*map(list, committees)]
    deadline = time.perf_counter() + time_limit_s
    trained: list[list[MixupClassifier]] = []
    seconds = 0.0
    for committee in committees:
        start = time.perf_counter()
        if trained and deadline - start < seconds:
            break
        with suppress(_TimeIsUp):
            fit([committee], deadline)
        seconds = time.perf_counter() - start
        trained.append(list(committee))
    return trained


def _fit(
    nets: Sequence[MixupClassifier],
    kept: Sequence[Rows],
    held_out: Sequence[Rows],
    deadline: float | None,
    **options: Any,
) -> None:
    """Fit each net to its rows; the weights of the epoch best on those held out are kept."""
    best: dict[int, tuple[float, Any]] = {}
    places = {id(net): i for i, net in enumerate(nets)}

    def look(net: MixupClassifier) -> None:
        rows = held_out[places[id(net)]]
        if len(rows):
            with torch.no_grad():
                logits = net.module_(torch.as_tensor(rows.X, device=net.device)).cpu().numpy()
            loss = log_loss(
                softmax(logits.astype(np.float64), axis=1), rows.codes, rows.full_weight
            )
            if loss < best.get(id(net), (np.inf, None))[0]:
                best[id(net)] = loss, copy.deepcopy(net.module_.state_dict())
        if deadline is not None and time.perf_counter() > deadline:
            raise _TimeIsUp

    try:
        outcomes = fit_together(
            nets,
            [rows.X for rows in kept],
            [rows.codes for rows in kept],
            [{} if rows.weight is None else {"sample_weight": rows.weight} for rows in kept],
            on_epoch_end=look,
            **options,
        )
    finally:
        for net in nets:
            if id(net) in best:
                net.module_.load_state_dict(best[id(net)][1])
    for result, _ in outcomes:
        if isinstance(result, Exception):
            raise result


def out_of_fold(
    committees: Sequence[Sequence[MixupClassifier]], rows: Rows, left_out: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Let each row be predicted by the nets that left it out.

    Returns
    -------
    known : ndarray of int
        The rows that some net left out.
    probabilities : ndarray of shape (n_committees, n_known, n_classes)
        What the nets of each committee that left them out say of them, on average.
    """
    found = np.zeros((len(committees), len(rows), len(rows.class_weight)))
    n_votes = np.bincount(np.concatenate(left_out), minlength=len(rows))
    for total, committee in zip(found, committees, strict=True):
        for net, own in zip(committee, left_out, strict=True):
            if len(own):
                total[own] += net.predict_proba(rows.X[own])
    known = np.flatnonzero(n_votes)
    return known, found[:, known] / n_votes[known, None]
