"""The time of many nets by their number, and where the time of a search goes."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold
from sklearn.model_selection._validation import _score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data.tables import TITLES
from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Figure, Heading, Note, Table
from benchmarks.speed import figures
from benchmarks.speed.nets import Scale, by_table, list_on_tables, load_numbers, make_ours
from benchmarks.speed.rounds import Section
from sklearn_mixup import FusedGridSearchCV, fit_fused
from sklearn_mixup._lockstep import Group, Lane
from sklearn_mixup._stack import DropoutMasks, StackedMLP
from sklearn_mixup._stack_optimizer import StackOptimizer


def time_counts(name: str, scale: Scale, *, device: str, data_home: str | None) -> dict[str, float]:
    """Time the fit of 1, 2, 5, ... nets, as one stack and one by one, in turns, in seconds."""
    X, y = load_numbers(name, data_home)
    X = (X - X.mean(0)) / X.std(0)
    make_ours(max_epochs=1, device=device).fit(X, y)  # Loads what is loaded on first use.
    seconds: dict[str, float] = {}
    n_done, alone = 0, 0.0
    for count in scale.counts:
        make = partial(make_ours, max_epochs=scale.max_epochs, device=device)
        start = time.perf_counter()
        fit_fused([make(random_state=i) for i in range(count)], [X] * count, [y] * count, n_jobs=1)
        seconds[f"fit_time_s fused {count}"] = time.perf_counter() - start
        if count <= scale.most_alone:
            start = time.perf_counter()
            for i in range(n_done, count):
                make(random_state=i).fit(X, y)
            alone, n_done = alone + time.perf_counter() - start, count
            seconds[f"fit_time_s one by one {count}"] = alone
    return seconds


# Where the time of a search goes. None of these calls another one.
_PARTS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "preparing nets": (Lane.__init__, Group.__init__),
    "drawing rows, lam and partners": (Group._draw,),
    "gathering and mixing rows": (Group._gather,),
    "dropout masks": (DropoutMasks.draw, DropoutMasks.make),
    "matrix products, forward and backward": (StackedMLP.backward,),
    "optimizer": (StackOptimizer.step,),
    "scoring": (_score,),
}


def profile_search(
    name: str, scale: Scale, *, device: str, data_home: str | None
) -> dict[str, float]:
    """Measure which share of a search in one thread falls on each of its parts."""
    X, y = load_numbers(name, data_home)
    net = make_ours(max_epochs=scale.max_epochs, device=device)
    search = FusedGridSearchCV(
        Pipeline([("scale", StandardScaler()), ("net", net)]),
        {"net__alpha": list(scale.alphas), "net__dropout": list(scale.dropouts)},
        cv=KFold(scale.n_folds, shuffle=True, random_state=0),
        refit=False,
        n_jobs=1,
    )
    net.fit(X, y)  # Loads what is loaded on first use.
    profile = cProfile.Profile()
    profile.runcall(search.fit, X, y)
    stats: Any = pstats.Stats(profile)
    found = {place: cumulative for place, (_, _, _, cumulative, _) in stats.stats.items()}
    shares = {}
    for part, functions in _PARTS.items():
        codes = [function.__code__ for function in functions]
        places = [(code.co_filename, code.co_firstlineno, code.co_name) for code in codes]
        shares[f"share {part}"] = sum(found.get(place, 0.0) for place in places) / stats.total_tt
    return {**shares, "share the rest": 1 - sum(shares.values())}


def count_seconds(runs: pd.DataFrame, scale: Scale) -> dict[str, pd.DataFrame]:
    """Collect the median seconds by the number of nets: ``fused``, and ``alone`` or NaN."""
    found = {}
    for name, rounds in by_table(runs).items():
        medians = rounds.median(numeric_only=True)
        columns = {
            key: [medians.get(f"fit_time_s {contender} {n}", np.nan) for n in scale.counts]
            for key, contender in (("fused", "fused"), ("alone", "one by one"))
        }
        found[name] = pd.DataFrame(columns, index=pd.Index(scale.counts, name="nets"))
    return found


def count_table(seconds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Write the seconds by the number of nets."""
    columns = {}
    for name, frame in seconds.items():
        for key, label in (("fused", "at once (s)"), ("alone", "one by one (s)")):
            columns[f"{TITLES[name]}, {label}"] = [
                "" if np.isnan(value) else f"{value:.2f}" for value in frame[key]
            ]
        columns[f"{TITLES[name]}, ratio"] = [
            "" if np.isnan(value) else f"{value:.1f}" for value in frame["alone"] / frame["fused"]
        ]
        counts = [str(n) for n in frame.index]
    return pd.DataFrame({"nets": counts, **columns})


# -- the page -------------------------------------------------------------------------------------


def plan_section(scale: Scale, request: Request) -> Section:
    """List the rounds on each table that is here, and one profile."""
    counts = {"counts": scale.counts, "most_alone": scale.most_alone}
    n_rounds = request.args.seeds or scale.n_counted_rounds
    counted = dict.fromkeys(scale.counted_tables, n_rounds)
    is_here = scale.profiled_table in available(request.args.data_home)
    profiled = scale.profiled_table if is_here else "iris"
    options: dict[str, Any] = {"scale": scale, "request": request}
    tasks = {
        "number of nets": list_on_tables("nets", counted, counts, time_counts, **options),
        "profile": list_on_tables("profile", {profiled: 1}, scale.grid, profile_search, **options),
    }
    return Section(tasks, partial(tell, scale, profiled))


def tell(scale: Scale, profiled: str, counted: pd.DataFrame, profile: pd.DataFrame) -> list[Block]:
    """Tell what a net takes among many, and where the time of a search goes."""
    seconds = count_seconds(counted, scale)
    shares = {part: f"{profile[f'share {part}'].iloc[0]:.2f}" for part in (*_PARTS, "the rest")}
    return [
        Heading("Number of nets"),
        Note(
            f"Nets of {scale.max_epochs} epochs on all rows, alpha = 0.2, no dropout, one thread: "
            "fit_fused, and fit after fit."
        ),
        Figure("speed_fused.png", "Many nets at once", partial(figures.plot_counts, seconds)),
        Table(count_table(seconds)),
        Note(
            f"Where the time of FusedGridSearchCV with one job goes on {TITLES[profiled]}, by "
            "cProfile, which makes many short calls of Python look longer than they are:"
        ),
        Table(pd.DataFrame(shares.items(), columns=["part of a search", "share of the time"])),
    ]
