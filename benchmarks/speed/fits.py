"""One fit on a table, beside a hand-written loop, skorch and scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Conclusions, Figure, Note, Table
from benchmarks._lab.tell import made_on
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks._nets.tables import TABLE_4, describe_defaults
from benchmarks.speed import figures, gan
from benchmarks.speed.memory import measure_memory, memory_table
from benchmarks.speed.nets import fit_by_hand, load_numbers, make_ours, make_skorch
from benchmarks.speed.rounds import Ratio, Section, compute_ratio, list_rounds, time_each
from sklearn_mixup import MixupClassifier

_ALPHA = 0.2
NUMBA = "mixup, numba"

# What mixup is set beside, and what the ratio of the times should not be above.
_OTHERS = {"ERM": 1.10, "bare loop": 0.35, "skorch": 0.22, "scikit-learn": 0.45}
# The same of a fit of iris, which both take at their defaults.
_SMALL = 1.0


def load_rows(n_rows: int | None, data_home: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Load Abalone, standardised and with its sex one-hot, or a table of the same shape.

    Returns X, float32 (n_rows, 10), y, int64 of 28 classes, and the name of the table.
    """
    if "abalone" in available(data_home):
        X, y = load_numbers("abalone", data_home)
        X, name = (X - X.mean(0)) / X.std(0), "Abalone"
    else:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((4177, 10), dtype=np.float32)
        y = np.concatenate([np.arange(28), rng.integers(28, size=4177 - 28)])
        name = "random numbers in the shape of Abalone"
    if n_rows is not None:
        # The first rows with few classes would be another problem; keep the number of classes.
        X, y = X[:n_rows], np.arange(n_rows) % 28
    return X, y.astype(np.int64), name


def _fit_bare_loop(X: np.ndarray, y: np.ndarray, *, max_epochs: int, device: str) -> None:
    """Train the perceptron as one would by hand."""
    widths = [X.shape[1], *TABLE_4.hidden_sizes]
    layers = [layer for sizes in pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Linear(widths[-1], int(y.max()) + 1)).to(device)
    fit_by_hand(
        module,
        torch.optim.Adam(module.parameters(), lr=TABLE_4.lr, fused=True),
        *(torch.as_tensor(X, device=device), torch.as_tensor(y, device=device)),
        alpha=_ALPHA,
        batch_size=TABLE_4.batch_size,
        max_epochs=max_epochs,
    )


def _fit_scikit_learn(X: np.ndarray, y: np.ndarray, *, max_epochs: int) -> None:
    """Fit scikit-learn's perceptron for as many epochs."""
    classifier = MLPClassifier(
        hidden_layer_sizes=TABLE_4.hidden_sizes,
        batch_size=TABLE_4.batch_size,
        learning_rate_init=TABLE_4.lr,
        alpha=0.0,
        max_iter=max_epochs,
        tol=0.0,
        n_iter_no_change=max_epochs + 1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_epochs is all it gets.
        classifier.fit(X, y)


def time_round(
    max_epochs: int, n_rows: int | None, *, device: str, data_home: str | None
) -> dict[str, Any]:
    """Time one fit of each contender, one after the other, in seconds."""
    X, y, name = load_rows(n_rows, data_home)
    given: dict[str, Any] = {"max_epochs": max_epochs, "device": device}
    fits = {
        "mixup": make_ours(alpha=_ALPHA, **given).fit,
        NUMBA: make_ours(alpha=_ALPHA, engine="numba", **given).fit,
        "ERM": make_ours(alpha=0.0, **given).fit,
        "bare loop": partial(_fit_bare_loop, **given),
        "skorch": make_skorch(X, y, alpha=_ALPHA, **given).fit,
        "scikit-learn": partial(_fit_scikit_learn, max_epochs=max_epochs),
    }
    works = {f"fit_time_s {contender}": partial(fit, X, y) for contender, fit in fits.items()}
    return {**time_each(works, device), "data": name}


def time_small_round(turn: int, *, device: str) -> dict[str, float]:
    """Time a fit of iris by the defaults of both, in seconds."""
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    given: dict[str, Any] = {"random_state": turn}
    works = {
        "fit_time_s mixup": partial(MixupClassifier(device=device, **given).fit, X, y),
        f"fit_time_s {NUMBA}": partial(
            MixupClassifier(device=device, engine="numba", **given).fit, X, y
        ),
        "fit_time_s scikit-learn": partial(MLPClassifier(**given).fit, X, y),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return time_each(works, device, turn=turn)


# -- the page -------------------------------------------------------------------------------------


def plan_section(request: Request) -> Section:
    """List the rounds of fits and of GANs, and the measurement of memory."""
    scale, device, versions = request.scale, request.device, request.versions
    data_home, n_rounds = request.args.data_home, request.args.seeds or scale.n_rounds
    fit = {name: getattr(scale, name) for name in ("max_epochs", "n_rows")}
    memory = {name: getattr(scale, name) for name in ("data_mib", "chunk_mib", "n_processes")}
    *_, data_name = load_rows(scale.n_rows, data_home)
    settings = {**fit, **TABLE_4.describe(), "data": data_name, **versions}
    work = partial(time_round, **fit, device=device, data_home=data_home)
    recipes = {name: asdict(GAN_RECIPES[name]) for name in gan.SETTINGS}
    gan_settings = {**recipes, "n_iter": scale.n_iter, **versions}
    gan_work = partial(gan.time_gan_round, scale.n_iter, device=device)
    small_settings = {**describe_defaults("alpha", "max_epochs"), **versions}
    small_work = partial(time_small_round, device=device)
    memory_work = partial(measure_memory, **memory, device=device)
    tasks = {
        "time": list_rounds("time", n_rounds, settings, work),
        "GAN": list_rounds("GAN", n_rounds, gan_settings, gan_work, in_turns=True),
        "iris": list_rounds("iris", n_rounds, small_settings, small_work, in_turns=True),
        "memory": list_rounds("memory", 1, {**memory, **versions}, memory_work),
    }
    return Section(tasks, partial(tell, request, data_name))


def compute_ratios(rounds: pd.DataFrame) -> dict[str, Ratio]:
    """Set the times of mixup beside those of the others."""
    ours = rounds["fit_time_s mixup"]
    return {
        other: compute_ratio(ours, rounds[f"fit_time_s {other}"], target)
        for other, target in _OTHERS.items()
    }


def time_table(rounds: pd.DataFrame, ratios: Mapping[str, Ratio], max_epochs: int) -> pd.DataFrame:
    """Write the times and ratios."""
    compiled = rounds[f"fit_time_s {NUMBA}"]
    rows = []
    for name in ("mixup", NUMBA, *ratios):
        seconds = rounds[f"fit_time_s {name}"]
        row = {"fit": name, "ms an epoch": f"{1000 * seconds.median() / max_epochs:.1f}"}
        row |= {"numba / it": f"{compute_ratio(compiled, seconds).median:.2f}"}
        rows.append(row | (ratios[name].cells("mixup / it") if name in ratios else {}))
    return pd.DataFrame(rows).fillna("")


def small_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times of a fit of iris, and their ratio."""
    ours, other = (rounds[f"fit_time_s {name}"] for name in ("mixup", "scikit-learn"))
    names = {"mixup": "mixup", NUMBA: NUMBA, "scikit-learn": "MLPClassifier"}
    seconds = {
        f"{told}, ms": f"{1000 * rounds[f'fit_time_s {name}'].median():.0f}"
        for name, told in names.items()
    }
    ratio = compute_ratio(ours, other, _SMALL)
    return pd.DataFrame([{"iris, both at their defaults": "fit", **seconds, **ratio.cells()}])


def tell(
    request: Request,
    data_name: str,
    timed: pd.DataFrame,
    timed_gans: pd.DataFrame,
    timed_small: pd.DataFrame,
    measured: pd.DataFrame,
) -> list[Block]:
    """Tell what a fit takes."""
    scale, n_rounds = request.scale, len(timed)
    ratios, memory = compute_ratios(timed), measured.iloc[0].to_dict()
    beside = ", ".join(f"{ratio.median:.2f} ({other})" for other, ratio in ratios.items())
    compiled = compute_ratio(timed[f"fit_time_s {NUMBA}"], timed["fit_time_s mixup"]).median
    draw = partial(figures.plot, ratios, memory, n_rounds=n_rounds)
    return [
        Note(
            f"Rounds: {n_rounds}, times are medians; each is a fit of every contender on "
            f"{data_name}, one thread, minibatch {TABLE_4.batch_size}, {scale.max_epochs} epochs, "
            f"{' x '.join(map(str, TABLE_4.hidden_sizes))} ReLU units. Times are those of whole "
            "fits, checks and set-up included. Memory is what the fit of another table adds at its "
            f"peak, the most of {scale.n_processes} processes. GANs take {scale.n_iter} generator "
            f"iterations. {made_on(request.versions)}"
        ),
        Figure("speed.png", "Time and memory", draw),
        Conclusions(
            [
                f"A fit with mixup takes, as a multiple of what another takes: {beside}.",
                f"With engine='numba' it takes {compiled:.2f} of its own time.",
            ]
        ),
        Table(time_table(timed, ratios, scale.max_epochs)),
        Table(small_table(timed_small)),
        Table(gan.gan_table(timed_gans, scale.n_iter)),
        Table(memory_table(memory)),
    ]
