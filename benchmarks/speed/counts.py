"""The time of many nets by their number, and where the time of a search goes."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
from sklearn.model_selection import KFold
from sklearn.model_selection._validation import _score

from benchmarks._data.tables import TITLES
from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Figure, Heading, Note, Table
from benchmarks._lab.tell import number
from benchmarks.speed import figures
from benchmarks.speed.nets import (
    by_table,
    list_on_tables,
    load_numbers,
    make_ours,
    put_behind_scaler,
)
from benchmarks.speed.rounds import Section, clock
from benchmarks.speed.scale import Scale
from sklearn_mixup import FusedGridSearchCV, MixupClassifier, fit_fused
from sklearn_mixup._engine.lane import Lane
from sklearn_mixup._engine.lockstep import Group
from sklearn_mixup._engine.stack import DropoutMasks, StackedMLP
from sklearn_mixup._engine.stack_optimizer import StackOptimizer
from sklearn_mixup._engine.stack_rows import StackRows


def time_counts(name: str, scale: Scale, *, device: str, data_home: str | None) -> dict[str, float]:
    """Time the fit of 1, 2, 5, ... nets, as one stack and one by one, in turns, in seconds."""
    X, y = load_numbers(name, data_home)
    X = (X - X.mean(0)) / X.std(0)
    make_ours(max_epochs=1, device=device).fit(X, y)  # Loads what is loaded on first use.

    def make(numbers: range) -> list[MixupClassifier]:
        settings = {"max_epochs": scale.max_epochs, "device": device}
        return [make_ours(random_state=i, **settings) for i in numbers]

    seconds: dict[str, float] = {}
    n_done, alone = 0, 0.0
    for n in scale.counts:
        stack = partial(fit_fused, make(range(n)), [X] * n, [y] * n, n_jobs=1)
        seconds[f"fit_time_s fused {n}"] = clock(stack, device)
        if n <= scale.most_alone:
            alone += sum(clock(partial(it.fit, X, y), device) for it in make(range(n_done, n)))
            seconds[f"fit_time_s one by one {n}"], n_done = alone, n
    return seconds


# Where the time of a search goes. None of these calls another one.
_PARTS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "preparing nets": (Lane.__init__, Group.__init__),
    "drawing rows, lam and partners": (Group._draw,),
    "gathering and mixing rows": (StackRows._gather,),
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
        put_behind_scaler(net),
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
    nets = pd.Index(scale.counts, name="nets")
    contenders = {"fused": "fused", "alone": "one by one"}
    return {
        name: pd.DataFrame(
            {
                key: rounds.reindex(columns=[f"fit_time_s {who} {n}" for n in nets]).median().array
                for key, who in contenders.items()
            },
            index=nets,
        )
        for name, rounds in by_table(runs).items()
    }


def count_table(seconds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Write the seconds by the number of nets."""
    columns: dict[str, Any] = {}
    for name, frame in seconds.items():
        columns["nets"] = frame.index.map(str)
        for label, values, digits in (
            ("at once (s)", frame["fused"], 2),
            ("one by one (s)", frame["alone"], 2),
            ("ratio", frame["alone"] / frame["fused"], 1),
        ):
            columns[f"{TITLES[name]}, {label}"] = [number(it, digits=digits) for it in values]
    return pd.DataFrame(columns)


# -- the page -------------------------------------------------------------------------------------


def plan_section(request: Request) -> Section:
    """List the rounds on each table that is here, and one profile."""
    scale = request.scale
    counts = {"counts": scale.counts, "most_alone": scale.most_alone}
    n_rounds = dict.fromkeys(scale.counted_tables, request.args.seeds or scale.n_counted_rounds)
    is_here = scale.profiled_table in available(request.args.data_home)
    profiled = scale.profiled_table if is_here else "iris"
    tasks = {
        "number of nets": list_on_tables("nets", n_rounds, counts, time_counts, request),
        "profile": list_on_tables("profile", {profiled: 1}, scale.grid, profile_search, request),
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
