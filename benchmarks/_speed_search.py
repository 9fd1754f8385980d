"""The time of many nets trained as one: grid searches, the number of nets, where the time goes."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.model_selection._validation import _score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks._data.tables import TITLES, load_table
from benchmarks._data.uci import available
from benchmarks._nets.tables import TABLE_4
from benchmarks._runs import RunTable, Task
from sklearn_mixup import FusedGridSearchCV, MixupClassifier, fit_fused
from sklearn_mixup._lockstep import Group, Lane
from sklearn_mixup._stack import DropoutMasks, StackedMLP
from sklearn_mixup._stack_optimizer import StackOptimizer
from sklearn_mixup.modules import MLP

TARGET = 5.0  # GridSearchCV over FusedGridSearchCV, both with two jobs
FUSED, FUSED_ALONE = "fused, 2 jobs", "fused, 1 job"
GRID, GRID_ALONE, SKORCH = "GridSearchCV, 2 jobs", "GridSearchCV, 1 job", "skorch, 2 jobs"
_CONTENDERS = (FUSED, GRID, FUSED_ALONE, GRID_ALONE, SKORCH)
# More than a row or two of a small fold would be another result, whose time says nothing.
_TOLERANCE = 0.02
# Blue and vermillion of Okabe and Ito, told apart with any colour vision.
_COLOURS = ("#0072B2", "#D55E00")


@dataclass(frozen=True)
class Scale:
    """How much of this is run."""

    n_rounds: Mapping[str, int]  # of the searches on each table
    alphas: tuple[float, ...]
    dropouts: tuple[float, ...]
    n_folds: int
    max_epochs: int
    counts: tuple[int, ...]  # of nets
    most_alone: int  # of which no more are trained one by one
    counted_tables: tuple[str, ...]
    n_counted_rounds: int
    profiled_table: str


_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_GRID = ((0.0, 0.1, 0.2, 0.5, 1.0), (0.0, 0.1, 0.2, 0.4), 5, 10)
_COUNTED = (_COUNTS, 50, ("iris", "website_phishing"))
_FEW_ROUNDS = {"iris": 5, "arrhythmia": 3, "website_phishing": 2, "abalone": 1}
_ROUNDS = {"iris": 9, "arrhythmia": 9, "website_phishing": 9, "abalone": 5}
SCALES = {
    "smoke": Scale({"iris": 1}, (0.0, 0.2), (0.0,), 2, 1, (1, 2, 5), 2, ("iris",), 1, "iris"),
    "small": Scale(_FEW_ROUNDS, *_GRID, *_COUNTED, 1, "website_phishing"),
    "paper": Scale(_ROUNDS, *_GRID, *_COUNTED, 5, "website_phishing"),
}


# -- contenders -----------------------------------------------------------------------------------


class MixingNet(NeuralNetClassifier):
    """skorch's classifier with the mixing of the paper's released code in its training step."""

    def __init__(self, *args: Any, alpha: float = 0.2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Mix a minibatch and compute its loss."""
        if not self.alpha:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        X, y = batch[0].to(self.device), batch[1].to(self.device)
        lam = np.random.beta(self.alpha, self.alpha)  # noqa: NPY002, as the released code has it
        partner = torch.randperm(len(X), device=X.device)
        logits = self.infer(lam * X + (1 - lam) * X[partner], **fit_params)
        loss = lam * self.criterion_(logits, y) + (1 - lam) * self.criterion_(logits, y[partner])
        loss.backward()
        return {"loss": loss, "y_pred": logits}


def make_skorch(
    n_features: int, n_classes: int, *, max_epochs: int, device: str, alpha: float = 0.2
) -> MixingNet:
    """Make skorch's net on the module that ours has, with the paper's settings."""
    recipe = TABLE_4
    return MixingNet(
        MLP,
        alpha=alpha,
        module__n_features=n_features,
        module__n_classes=n_classes,
        module__hidden_sizes=recipe.hidden_sizes,
        criterion=nn.CrossEntropyLoss,
        optimizer=recipe.optimizer,
        optimizer__fused=True,
        lr=recipe.lr,
        max_epochs=max_epochs,
        batch_size=recipe.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=device,
    )


def _make_ours(max_epochs: int, device: str, **params: Any) -> MixupClassifier:
    """Make this package's classifier with the paper's settings."""
    recipe = TABLE_4.params()
    return MixupClassifier(
        max_epochs=max_epochs, device=device, **{"random_state": 0} | recipe | params
    )


def load_numbers(name: str, data_home: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Load a table as float32, nominal columns one-hot, what is missing a median; y is 0, 1, ..."""
    table = load_table(name, data_home)
    X = pd.get_dummies(table.X, columns=list(table.nominal), dtype=float)
    y = np.unique(table.y, return_inverse=True)[1]
    return X.fillna(X.median()).to_numpy(np.float32), y.astype(np.int64)


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
    settings = {"max_epochs": scale.max_epochs, "device": device}
    ours = Pipeline([("scale", StandardScaler()), ("net", _make_ours(**settings))])
    theirs = make_skorch(X.shape[1], int(y.max()) + 1, **settings)
    theirs = Pipeline([("scale", StandardScaler()), ("net", theirs)])
    alphas, dropouts = list(scale.alphas), list(scale.dropouts)
    grid = {"net__alpha": alphas, "net__dropout": dropouts}
    skorch_grid = {"net__alpha": alphas, "net__module__dropout": dropouts}
    searches = {
        FUSED: FusedGridSearchCV(ours, grid, n_jobs=2, **common),
        FUSED_ALONE: FusedGridSearchCV(ours, grid, n_jobs=1, **common),
        GRID: GridSearchCV(ours, grid, n_jobs=2, **common),
        GRID_ALONE: GridSearchCV(ours, grid, n_jobs=1, **common),
        SKORCH: GridSearchCV(theirs, skorch_grid, n_jobs=2, **common),
    }
    seconds = {}
    for contender in _CONTENDERS[:: -1 if turn % 2 else 1]:
        with (
            parallel_config("loky", inner_max_num_threads=1)
            if contender in (GRID, SKORCH)
            else nullcontext()
        ):
            seconds[contender] = _time(searches[contender], X, y)
    is_exact = np.array(searches[FUSED].cv_results_["param_net__dropout"] == 0, dtype=bool)
    scores = [
        searches[c].cv_results_["mean_test_score"][is_exact] for c in (FUSED, FUSED_ALONE, GRID)
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
    short = {
        "param_grid": {"net__alpha": [0.2] * 8},
        "cv": KFold(2),
        "estimator__net__max_epochs": 1,
    }
    clone(search).set_params(**short).fit(X[few], y[few])
    start = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - start


def time_counts(name: str, scale: Scale, *, device: str, data_home: str | None) -> dict[str, float]:
    """Time the fit of 1, 2, 5, ... nets, as one stack and one by one, in turns, in seconds."""
    X, y = load_numbers(name, data_home)
    X = (X - X.mean(0)) / X.std(0)
    _make_ours(1, device).fit(X, y)  # Loads what is loaded on first use.
    seconds: dict[str, float] = {}
    n_done, alone = 0, 0.0
    for count in scale.counts:
        make = partial(_make_ours, scale.max_epochs, device)
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
    net = _make_ours(scale.max_epochs, device)
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
    stats = pstats.Stats(profile)
    found = {place: cumulative for place, (_, _, _, cumulative, _) in stats.stats.items()}
    shares = {}
    for part, functions in _PARTS.items():
        codes = [function.__code__ for function in functions]
        places = [(code.co_filename, code.co_firstlineno, code.co_name) for code in codes]
        shares[f"share {part}"] = sum(found.get(place, 0.0) for place in places) / stats.total_tt
    return {**shares, "share the rest": 1 - sum(shares.values())}


# -- tasks ----------------------------------------------------------------------------------------


def _plan(
    scale: Scale, *, n_rounds: int | None, versions: Mapping[str, str], **where: Any
) -> tuple[list[Task], list[Task], list[Task]]:
    """List the rounds of the searches and of the counts, and the profile; tables that are here."""
    here = available(where["data_home"])
    settings = {**TABLE_4.describe(), "max_epochs": scale.max_epochs, **versions}
    grid = {"alphas": scale.alphas, "dropouts": scale.dropouts, "n_folds": scale.n_folds}
    counts = {"counts": scale.counts, "most_alone": scale.most_alone}

    def make(
        measure: str, name: str, i: int, given: Mapping[str, Any], work: Any, **more: Any
    ) -> Task:
        source = load_table(name, where["data_home"]).source
        done = partial(work, name, scale, **where, **more)
        return Task(
            {"measure": f"{measure} {name}", "round": i},
            {**settings, **given, "data": source},
            done,
        )

    searches = [
        make("search", name, i, grid, time_search_round, turn=i)
        for name, n in scale.n_rounds.items()
        if name in here
        for i in range(n_rounds or n)
    ]
    counted = [
        make("nets", name, i, counts, time_counts)
        for name in scale.counted_tables
        if name in here
        for i in range(n_rounds or scale.n_counted_rounds)
    ]
    profiled = scale.profiled_table if scale.profiled_table in here else "iris"
    return searches, counted, [make("profile", profiled, 0, grid, profile_search)]


def _by_table(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Part the rounds by their table."""
    return {m.split(" ")[1]: rounds for m, rounds in runs.groupby("measure", sort=False)}


# -- report ---------------------------------------------------------------------------------------


def search_tables(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the seconds of the searches, and how many times faster the fused one is.

    Parameters
    ----------
    runs : DataFrame
        A row for each round, ``measure`` and columns as `time_search_round` names them.

    Returns
    -------
    times, ratios : DataFrame
        Ratios are medians of those within a round; last comes their geometric mean.
    """
    times, ratios, found = [], [], []
    for name, rounds in _by_table(runs).items():
        seconds = {c: rounds[f"fit_time_s {c}"] for c in _CONTENDERS}
        shape = {
            "rows": str(rounds["n_rows"].iloc[0]),
            "columns": str(rounds["n_features"].iloc[0]),
        }
        medians = {f"{c} (s)": f"{seconds[c].median():.2f}" for c in _CONTENDERS}
        times.append({"search": TITLES[name], **shape, **medians, "rounds": str(len(rounds))})
        low, ratio, high = (seconds[GRID] / seconds[FUSED]).quantile([0.25, 0.5, 0.75])
        alone = (seconds[GRID_ALONE] / seconds[FUSED_ALONE]).median()
        skorch = (seconds[SKORCH] / seconds[FUSED]).median()
        found.append((ratio, alone, skorch))
        spread = f"{low:.1f} to {high:.1f}"
        differences = f"{rounds['largest_difference'].max():.4f}"
        ratios.append([TITLES[name], f"{ratio:.1f}", spread, f"{alone:.1f}", f"{skorch:.1f}"])
        ratios[-1] += ["", "", differences]
    ratio, alone, skorch = np.exp(np.log(found).mean(axis=0))
    ratios.append(["geometric mean", f"{ratio:.1f}", "", f"{alone:.1f}", f"{skorch:.1f}"])
    ratios[-1] += [f">= {TARGET:g}", "pass" if ratio >= TARGET else "FAIL", ""]
    columns = ["search", f"over {GRID}", "quartiles", f"over {GRID_ALONE}", f"over {SKORCH}"]
    columns += ["target", "met", "scores differ by"]
    return pd.DataFrame(times), pd.DataFrame(ratios, columns=columns)


def count_seconds(runs: pd.DataFrame, scale: Scale) -> dict[str, pd.DataFrame]:
    """Collect the median seconds by the number of nets: ``fused``, and ``alone`` or NaN."""
    found = {}
    for name, rounds in _by_table(runs).items():
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


def _span(values: list[float], form: str, *, reverse: bool = False) -> str:
    """Write the least and the most."""
    ends = [form.format(end) for end in sorted([min(values), max(values)], reverse=reverse)]
    return " to ".join(dict.fromkeys(ends))


def plot_counts(seconds: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw the time of a net, and of all nets, by how many are trained: `count_seconds`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.0), dpi=160, layout="constrained")
    left, right = figure.subplots(1, 2)
    gains = []
    for (name, frame), colour in zip(seconds.items(), _COLOURS, strict=False):
        n = frame.index.to_numpy()
        timed = frame["alone"].dropna()
        each_alone = timed.iloc[-1] / timed.index[-1]
        gains.append(each_alone * n[-1] / frame["fused"].iloc[-1])
        beyond = n[n >= timed.index[-1]]
        for ax, by in ((left, 1000 / n), (right, np.ones(len(n)))):
            style = {"color": colour, "markersize": 4.5, "linewidth": 1.6}
            ax.plot(n, frame["fused"] * by, "o-", label=f"{TITLES[name]}, at once", **style)
            few = len(timed)
            style["markerfacecolor"] = "white"
            ax.plot(n[:few], timed * by[:few], "s--", label=f"{TITLES[name]}, one by one", **style)
            ax.plot(
                *(beyond, each_alone * beyond * by[-len(beyond) :], ":"),
                color=colour,
                linewidth=1.3,
                label=f"{TITLES[name]}, one by one, extrapolated",
            )
    most = max(frame.index[-1] for frame in seconds.values())
    shares = _span(gains, "1/{:.0f}", reverse=True)
    left.set_title(f"Among {most}, a net takes {shares} of its time alone", fontsize=10.5)
    alone = _span([most / gain for gain in gains], "{:.0f}")
    right.set_title(f"{most} nets at once take as long as {alone} one by one", fontsize=10.5)
    left.set_ylabel("time per net (ms)")
    right.set_ylabel("time of all nets (s)")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ticks = next(iter(seconds.values())).index
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("number of nets")
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(seconds), frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def run_section(
    run_table: RunTable,
    scale: Scale,
    *,
    n_rounds: int | None,
    device: str,
    data_home: str | None,
    versions: Mapping[str, str],
    figure: Path,
) -> list[str | pd.DataFrame]:
    """Do what is pending, draw the figure, and return the parts of the page.

    With `n_rounds` None there are as many as the scale has for each table.
    """
    searches, counted, profiled = _plan(
        scale, n_rounds=n_rounds, device=device, data_home=data_home, versions=versions
    )
    complete = partial(run_table.complete, extra=versions)
    times, ratios = search_tables(complete(searches, title="speed, search"))
    seconds = count_seconds(complete(counted, title="speed, number of nets"), scale)
    profile = complete(profiled, title="speed, profile").iloc[0]
    shares = {part: f"{profile[f'share {part}']:.2f}" for part in (*_PARTS, "the rest")}
    plot_counts(seconds, figure)
    profiled_name = TITLES[profiled[0].key["measure"].split(" ")[1]]
    return [
        "## Searches",
        f"{len(scale.alphas)} alphas x {len(scale.dropouts)} values of dropout x {scale.n_folds} "
        f"folds, each a net in a Pipeline behind StandardScaler, {scale.max_epochs} "
        "epochs, minibatches and layers as above, no refit. Each job is one thread: of this "
        "process in FusedGridSearchCV (fused), a process of its own, started before the clock, in "
        "GridSearchCV. skorch is GridSearchCV of skorch's NeuralNetClassifier, which mixes in its "
        "training step. Rounds take turns, every other one backwards; tables that take long have "
        "fewer.",
        times,
        "How many times faster FusedGridSearchCV is, with as many jobs: medians of the ratios "
        "within a round. Scores differ by: the most that a mean test score without dropout, of "
        "FusedGridSearchCV, is off that of GridSearchCV (a run fails above "
        f"{_TOLERANCE}); with dropout the masks are other ones.",
        ratios,
        "## Number of nets",
        f"Nets of {scale.max_epochs} epochs on all rows, alpha = 0.2, no dropout, one thread: "
        "fit_fused, and fit after fit.",
        f"![Many nets at once]({figure.name})",
        count_table(seconds),
        f"Where the time of FusedGridSearchCV with one job goes on {profiled_name}, by cProfile, "
        "which makes many short calls of Python look longer than they are:",
        pd.DataFrame(shares.items(), columns=["part of a search", "share of the time"]),
    ]
