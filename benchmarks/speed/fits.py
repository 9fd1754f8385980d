"""One fit on a table, beside a hand-written loop, skorch and scikit-learn."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn

from benchmarks._data.uci import available, fetch_abalone
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Figure, Note, Table
from benchmarks._lab.tell import made_on
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks._nets.tables import TABLE_4
from benchmarks.speed import figures, gan
from benchmarks.speed.memory import measure_memory, memory_table
from benchmarks.speed.nets import make_ours, make_skorch
from benchmarks.speed.rounds import Ratio, Section, compute_ratio, list_rounds

_ALPHA = 0.2

# What mixup is set beside, and what the ratio of the times should not be above.
_OTHERS = {"ERM": 1.10, "bare loop": 0.80, "skorch": 0.65, "scikit-learn": None}


@dataclass(frozen=True)
class Scale:
    """How much of this is run."""

    n_rounds: int
    max_epochs: int
    n_rows: int | None  # of Abalone; None: all
    data_mib: int
    chunk_mib: int
    n_processes: int  # that measure memory
    n_iter: int  # of the GAN


_SMALL = Scale(9, 10, None, data_mib=256, chunk_mib=64, n_processes=3, n_iter=100)
SCALES = {
    "smoke": Scale(1, 1, 320, data_mib=16, chunk_mib=4, n_processes=1, n_iter=2),
    "small": _SMALL,
    "paper": replace(_SMALL, n_rounds=25, data_mib=1024),
}


# -- contenders -----------------------------------------------------------------------------------


def load_rows(n_rows: int | None, data_home: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Load Abalone, standardised and with its sex one-hot, or a table of the same shape.

    Returns
    -------
    X : ndarray of shape (n_rows, 10), float32
    y : ndarray of shape (n_rows,), int64
        28 classes.
    name : str
        What it is.
    """
    if "abalone" in available(data_home):
        bunch = fetch_abalone(data_home, download_if_missing=False)
        X = pd.get_dummies(bunch.data).to_numpy(np.float32)
        y = np.unique(bunch.target, return_inverse=True)[1]
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
    """Train as one would by hand, mixing as the code released with the paper does."""
    recipe = TABLE_4
    rows, labels = torch.as_tensor(X, device=device), torch.as_tensor(y, device=device)
    module = _make_sequential(X.shape[1], int(y.max()) + 1).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(module.parameters(), lr=recipe.lr, fused=True)
    for _ in range(max_epochs):
        order = torch.randperm(len(rows), device=device)
        for start in range(0, len(rows), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            X_batch, y_batch = rows[chosen], labels[chosen]
            lam = np.random.beta(_ALPHA, _ALPHA)  # noqa: NPY002, as the released code has it
            partner = torch.randperm(len(X_batch), device=device)
            logits = module(lam * X_batch + (1 - lam) * X_batch[partner])
            loss = lam * criterion(logits, y_batch) + (1 - lam) * criterion(
                logits, y_batch[partner]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    loss.item()


def _make_sequential(n_features: int, n_classes: int) -> nn.Sequential:
    """Make the perceptron as one would by hand."""
    widths = [n_features, *TABLE_4.hidden_sizes]
    layers: list[nn.Module] = []
    for width, next_width in pairwise(widths):
        layers += [nn.Linear(width, next_width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))


def _fit_scikit_learn(X: np.ndarray, y: np.ndarray, *, max_epochs: int) -> None:
    """Fit scikit-learn's perceptron for as many epochs."""
    recipe = TABLE_4
    classifier = MLPClassifier(
        hidden_layer_sizes=recipe.hidden_sizes,
        batch_size=recipe.batch_size,
        learning_rate_init=recipe.lr,
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
    fits: dict[str, Callable[[], None]] = {
        "mixup": partial(make_ours(alpha=_ALPHA, **given).fit, X, y),
        "ERM": partial(make_ours(alpha=0.0, **given).fit, X, y),
        "bare loop": partial(_fit_bare_loop, X, y, **given),
        "skorch": partial(
            make_skorch(X.shape[1], int(y.max()) + 1, alpha=_ALPHA, **given).fit, X, y
        ),
        "scikit-learn": partial(_fit_scikit_learn, X, y, max_epochs=max_epochs),
    }
    seconds = {}
    for contender, fit in fits.items():
        start = time.perf_counter()
        fit()
        seconds[f"fit_time_s {contender}"] = time.perf_counter() - start
    return {**seconds, "data": name}


# -- the page -------------------------------------------------------------------------------------


def plan_section(scale: Scale, request: Request) -> Section:
    """List the rounds of fits and of GANs, and the measurement of memory."""
    device, versions, data_home = request.device, request.versions, request.args.data_home
    n_rounds = request.args.seeds or scale.n_rounds
    fit: dict[str, Any] = {"max_epochs": scale.max_epochs, "n_rows": scale.n_rows}
    *_, data_name = load_rows(scale.n_rows, data_home)
    memory = {
        "data_mib": scale.data_mib,
        "chunk_mib": scale.chunk_mib,
        "n_processes": scale.n_processes,
    }
    settings = {**fit, **TABLE_4.describe(), "data": data_name, **versions}
    work = partial(time_round, **fit, device=device, data_home=data_home)
    gan_settings = {name: asdict(GAN_RECIPES[name]) for name in gan.SETTINGS}
    gan_work = partial(gan.time_gan_round, scale.n_iter, device=device)
    tasks = {
        "time": list_rounds("time", n_rounds, settings, work),
        "GAN": list_rounds(
            *("GAN", n_rounds, {"n_iter": scale.n_iter, **versions, **gan_settings}, gan_work),
            in_turns=True,
        ),
        "memory": list_rounds(
            "memory", 1, {**memory, **versions}, partial(measure_memory, **memory, device=device)
        ),
    }
    return Section(tasks, partial(tell, scale, data_name, versions))


def warm_up(device: str) -> None:
    """Fit once outside the clock: the first fit in a process loads what all of them use."""
    time_round(1, 64, device=device, data_home=None)
    gan.time_gan_round(2, device=device)


def compute_ratios(rounds: pd.DataFrame) -> dict[str, Ratio]:
    """Set the times of mixup beside those of the others."""
    ours = rounds["fit_time_s mixup"]
    return {
        other: compute_ratio(ours, rounds[f"fit_time_s {other}"], target)
        for other, target in _OTHERS.items()
    }


def time_table(rounds: pd.DataFrame, ratios: Mapping[str, Ratio], max_epochs: int) -> pd.DataFrame:
    """Write the times and ratios."""
    blank = {"ratio": "1", "quartiles": "", "target": "", "met": ""}
    rows = []
    for contender in ("mixup", *ratios):
        seconds = rounds[f"fit_time_s {contender}"].median()
        cells = blank if contender == "mixup" else ratios[contender].cells()
        row = {"fit": contender, "ms an epoch": f"{1000 * seconds / max_epochs:.1f}"}
        rows.append(row | {"mixup / it" if k == "ratio" else k: v for k, v in cells.items()})
    return pd.DataFrame(rows)


def tell(
    scale: Scale,
    data_name: str,
    versions: Mapping[str, str],
    timed: pd.DataFrame,
    timed_gans: pd.DataFrame,
    measured: pd.DataFrame,
) -> list[Block]:
    """Tell what a fit takes."""
    ratios, memory = compute_ratios(timed), measured.iloc[0].to_dict()
    n_rounds = len(timed)
    return [
        Note(
            f"Rounds: {n_rounds}, times are medians; each is a fit of every contender on "
            f"{data_name}, one thread, minibatch {TABLE_4.batch_size}, {scale.max_epochs} epochs, "
            f"{' x '.join(map(str, TABLE_4.hidden_sizes))} ReLU units. Times are those of whole "
            "fits, checks and set-up included. Memory is what the fit of another table adds at its "
            f"peak, the most of {scale.n_processes} processes. GANs take {scale.n_iter} generator "
            f"iterations. {made_on(versions)}"
        ),
        Figure(
            "speed.png",
            "Time and memory",
            partial(figures.plot, ratios, memory, n_rounds=n_rounds),
        ),
        Table(time_table(timed, ratios, scale.max_epochs)),
        Table(gan.gan_table(timed_gans, scale.n_iter)),
        Table(memory_table(memory)),
    ]
