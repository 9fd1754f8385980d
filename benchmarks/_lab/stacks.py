"""Nets of a table that are trained together, as one stack."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.pipeline import make_pipeline

from benchmarks._data.splits import make_folds, split_rows
from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks._lab.runs import Keys
from sklearn_mixup import FusedGridSearchCV, MixupClassifier, fit_fused

# Enough nets to fuse, and few enough for the memory: one for Arcene takes 20 MB.
SPLITS_AT_ONCE = 5


def alpha_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the parameters in which a net differs from the others: alpha."""
    return {"alpha": run["alpha"]}


def run_nets(
    score: Callable[..., dict[str, Any]],
    name: str,
    features: str,
    runs: Keys,
    *,
    data_home: str | None,
    own: Callable[[Mapping[str, Any]], dict[str, Any]] = alpha_of,
    **params: Any,
) -> list[dict[str, Any]]:
    """Train a net for each run, all together, and score each.

    Parameters
    ----------
    score : callable
        ``score(estimator, X, y, split)``, the results on the test rows.
    name : str
        The table, see `load_table`.
    features : {"raw", "standardised"}
    runs : sequence of mapping
        The split, see `split_rows`, is the seed too, whatever else.
    data_home : str or None
    own : callable, default=`alpha_of`
        ``own(run)``, the parameters of `MixupClassifier` that are those of this net.
    **params
        Those of all, but for the seed.

    Returns
    -------
    list of dict
        The scores; ``fit_time_s``, a net's share of the time of all, in seconds; and the numbers
        of rows, ``n_train`` and ``n_test``.
    """
    table = load_table(name, data_home)
    start = time.perf_counter()
    prepared = {}
    for split in {run["split"] for run in runs}:
        train, _ = split_rows(table, split)
        preprocessor = make_preprocessor(table, features)
        X = preprocessor.fit_transform(table.X.iloc[train])
        prepared[split] = preprocessor, X, table.y[train]
    preprocessors, Xs, ys = zip(*(prepared[run["split"]] for run in runs), strict=True)
    nets = [MixupClassifier(random_state=run["split"], **own(run), **params) for run in runs]
    fit_fused(nets, Xs, ys, n_jobs=1)
    fit_time_s = round((time.perf_counter() - start) / len(runs), 4)
    results = []
    for run, *steps in zip(runs, preprocessors, nets, strict=True):
        train, test = split_rows(table, run["split"])
        scores = score(make_pipeline(*steps), table.X.iloc[test], table.y[test], run["split"])
        sizes = {"n_train": len(train), "n_test": len(test)}
        results.append({**scores, "fit_time_s": fit_time_s, **sizes})
    return results


def search_nets(
    table: Table, split: int, net: MixupClassifier, grid: Mapping[str, Sequence[Any]]
) -> FusedGridSearchCV:
    """Make a search of the settings of a net, in folds of the training rows of a split."""
    pipeline = make_pipeline(make_preprocessor(table, "standardised"), net)
    searched = {f"mixupclassifier__{name}": list(values) for name, values in grid.items()}
    folds = make_folds(table, split)
    return FusedGridSearchCV(pipeline, searched, cv=folds, n_jobs=1, error_score="raise")


def tell_chosen(estimator: Any) -> str:
    """Write what a search chose as JSON, and nothing for what is no search."""
    found = getattr(estimator, "best_params_", {})
    chosen = {name.rpartition("__")[2]: value for name, value in found.items()}
    return json.dumps(chosen, sort_keys=True) if chosen else ""
