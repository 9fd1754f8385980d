"""The time of a grid search whose nets are trained as one, beside one by one and skorch."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Conclusions, Heading, Note, Table
from benchmarks.speed.nets import (
    by_table,
    list_on_tables,
    load_numbers,
    make_ours,
    make_skorch,
    put_behind_scaler,
)
from benchmarks.speed.rounds import Section, clock
from benchmarks.speed.scale import Scale
from sklearn_mixup import FusedGridSearchCV

# Both with two jobs.
TARGET = 5.0  # GridSearchCV over FusedGridSearchCV
TARGET_OVER_SKORCH = 7.0  # GridSearchCV of skorch's net over FusedGridSearchCV with numba
FUSED, FUSED_ALONE = "fused, 2 jobs", "fused, 1 job"
NUMBA, NUMBA_ALONE = "numba, 2 jobs", "numba, 1 job"
GRID, GRID_ALONE, SKORCH = "GridSearchCV, 2 jobs", "GridSearchCV, 1 job", "skorch, 2 jobs"
_CONTENDERS = (FUSED, GRID, NUMBA, FUSED_ALONE, NUMBA_ALONE, GRID_ALONE, SKORCH)
_OVER_GRID, _NUMBA_OVER_SKORCH = f"over {GRID}", "numba over skorch, 2 jobs"
# Ratios of times: how many times faster the second of each is.
_RATIOS = {
    _OVER_GRID: (GRID, FUSED),
    f"over {GRID_ALONE}": (GRID_ALONE, FUSED_ALONE),
    f"over {SKORCH}": (SKORCH, FUSED),
    _NUMBA_OVER_SKORCH: (SKORCH, NUMBA),
    "numba, 2 jobs over 1": (NUMBA_ALONE, NUMBA),
}
# More than a row or two of a small fold would be another result, whose time says nothing.
_TOLERANCE = 0.02


def time_search_round(
    name: str, scale: Scale, *, turn: int, device: str, data_home: str | None
) -> dict[str, Any]:
    """Time a search by each contender, in seconds; every other turn the last of them is first.

    Raises
    ------
    RuntimeError
        If mean test scores without dropout differ, so that the times are those of other work.
    """
    X, y = load_numbers(name, data_home)
    folds = StratifiedKFold if np.bincount(y).min() >= scale.n_folds else KFold
    common = {
        "cv": folds(scale.n_folds, shuffle=True, random_state=0),
        "refit": False,
        "error_score": "raise",
    }
    settings: dict[str, Any] = {"max_epochs": scale.max_epochs, "device": device}
    ours = put_behind_scaler(make_ours(**settings))
    theirs = put_behind_scaler(make_skorch(X, y, **settings))
    compiled = clone(ours).set_params(net__engine="numba")
    alphas, dropouts = list(scale.alphas), list(scale.dropouts)
    grid = {"net__alpha": alphas, "net__dropout": dropouts}
    skorch_grid = {"net__alpha": alphas, "net__module__dropout": dropouts}
    searches = {
        FUSED: FusedGridSearchCV(ours, grid, n_jobs=2, **common),
        FUSED_ALONE: FusedGridSearchCV(ours, grid, n_jobs=1, **common),
        NUMBA: FusedGridSearchCV(compiled, grid, n_jobs=2, **common),
        NUMBA_ALONE: FusedGridSearchCV(compiled, grid, n_jobs=1, **common),
        GRID: GridSearchCV(ours, grid, n_jobs=2, **common),
        GRID_ALONE: GridSearchCV(ours, grid, n_jobs=1, **common),
        SKORCH: GridSearchCV(theirs, skorch_grid, n_jobs=2, **common),
    }
    seconds = {}
    for contender in _CONTENDERS[:: -1 if turn % 2 else 1]:
        in_processes = contender in (GRID, SKORCH)
        with parallel_config("loky", inner_max_num_threads=1) if in_processes else nullcontext():
            seconds[contender] = _time(searches[contender], X, y)
    is_exact = np.array(searches[FUSED].cv_results_["param_net__dropout"] == 0, dtype=bool)
    scores = [
        searches[c].cv_results_["mean_test_score"][is_exact]
        for c in (FUSED, FUSED_ALONE, NUMBA, GRID)
    ]
    difference = float(np.ptp(scores, axis=0).max())
    if difference > _TOLERANCE:
        raise RuntimeError(
            f"FusedGridSearchCV must score as GridSearchCV does where there is no dropout; mean "
            f"test scores on {name} differ by up to {difference:.4f}, more than {_TOLERANCE}."
        )
    return {
        **{f"fit_time_s {contender}": seconds[contender] for contender in _CONTENDERS},
        "largest_difference": difference,
        "n_rows": len(X),
        "n_features": X.shape[1],
    }


def _time(search: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Time a search whose processes are at work already, and have loaded what they need."""
    few = np.arange(0, len(y), max(len(y) // 64, 1))
    grid = {"net__alpha": [0.2] * 8}
    short = clone(search).set_params(param_grid=grid, cv=KFold(2), estimator__net__max_epochs=1)
    short.fit(X[few], y[few])
    return clock(partial(search.fit, X, y), search.estimator["net"].device)


def search_tables(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the seconds of the searches, and how many times faster the fused one is.

    Ratios are medians of those within a round; last comes their geometric mean.
    """
    times, ratios, found = [], [], []
    for name, rounds in by_table(runs).items():
        seconds = {c: rounds[f"fit_time_s {c}"] for c in _CONTENDERS}
        shape = rounds[["n_rows", "n_features"]].iloc[0].map(str).set_axis(["rows", "columns"])
        medians = {f"{c} (s)": f"{seconds[c].median():.2f}" for c in _CONTENDERS}
        times.append({"search": TITLES[name], **shape, **medians, "rounds": str(len(rounds))})
        over = pd.DataFrame({key: seconds[a] / seconds[b] for key, (a, b) in _RATIOS.items()})
        found.append(over.median())
        low, high = over[_OVER_GRID].quantile([0.25, 0.75])
        told = {"quartiles": f"{low:.1f} to {high:.1f}"}
        told["scores differ by"] = f"{rounds['largest_difference'].max():.4f}"
        ratios.append({"search": TITLES[name], **_write(found[-1]), **told})
    mean = np.exp(np.log(pd.DataFrame(found)).mean())
    ratios.append({"search": "geometric mean", **_write(mean)})
    targets = ("target", _OVER_GRID, TARGET), ("with numba", _NUMBA_OVER_SKORCH, TARGET_OVER_SKORCH)
    for told_as, key, target in targets:
        met = "pass" if mean[key] >= target else "FAIL"
        ratios.append({"search": told_as, key: f">= {target:g}", "met": met})
    columns = ["search", _OVER_GRID, "quartiles", *[*_RATIOS][1:], "met", "scores differ by"]
    return pd.DataFrame(times), pd.DataFrame(ratios, columns=columns).fillna("")


def _write(ratios: pd.Series) -> dict[str, str]:
    """Write ratios."""
    return {name: f"{ratio:.1f}" for name, ratio in ratios.items()}


# -- the page -------------------------------------------------------------------------------------


def plan_section(request: Request) -> Section:
    """List the rounds on each table that is here."""
    scale = request.scale
    n_rounds = {name: request.args.seeds or n for name, n in scale.searches}
    tasks = list_on_tables(
        *("search", n_rounds, scale.grid, time_search_round, request), in_turns=True
    )
    return Section({"search": tasks}, partial(tell, scale))


def tell(scale: Scale, searched: pd.DataFrame) -> list[Block]:
    """Tell how many times faster the fused search is."""
    times, ratios = search_tables(searched)
    mean = ratios.set_index("search").loc["geometric mean"]
    return [
        Heading("Searches"),
        Note(
            f"{len(scale.alphas)} alphas x {len(scale.dropouts)} values of dropout x "
            f"{scale.n_folds} folds, each a net in a Pipeline behind StandardScaler, "
            f"{scale.max_epochs} epochs, minibatches and layers as above, no refit. Each job is "
            "one thread: of this process in FusedGridSearchCV (fused; numba: with engine='numba'), "
            "a process of its own, started before the clock, in GridSearchCV. skorch is "
            "GridSearchCV of skorch's NeuralNetClassifier, which mixes in its training step. "
            "Rounds take turns, every other one backwards; tables that take long have fewer."
        ),
        Table(times),
        Note(
            "How many times faster FusedGridSearchCV is, with as many jobs: medians of the ratios "
            "within a round. Scores differ by: the most that a mean test score without dropout, "
            "of FusedGridSearchCV, is off that of GridSearchCV (a run fails above "
            f"{_TOLERANCE}); with dropout the masks are other ones."
        ),
        Table(ratios),
        Conclusions(
            [
                f"FusedGridSearchCV is {mean[_OVER_GRID]} times as fast as GridSearchCV, with two "
                "jobs each.",
                f"With engine='numba' it is {mean[_NUMBA_OVER_SKORCH]} times as fast as "
                "GridSearchCV of skorch's net, with two jobs each.",
            ]
        ),
    ]
