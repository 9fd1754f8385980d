"""Time and memory of a fit with mixup, as ratios taken side by side. Not in the paper.

One fit on Abalone (all 4177 rows; without its files, on random numbers of the same shape), with
minibatches of 16, 10 epochs, two hidden layers of 128 and one thread, of

- mixup: `MixupClassifier` with alpha = 0.2, and ERM: the same with alpha = 0;
- bare loop: a hand-written PyTorch loop that draws and mixes minibatch by minibatch, as the code
  released with the paper does, on resident tensors, with the same fused Adam;
- skorch: `NeuralNetClassifier` on the same module and optimizer, with that mixing in its step;
- scikit-learn: `MLPClassifier`, which does not mix.

All take turns, round after round, and the median of the ratios within a round is what counts: what
else the machine does then weighs on all of them alike. Then the peak memory of a fit, in a process
of its own, beyond what it took before: at most the data once and one chunk of mixed rows.

Then `MixupGAN` beside a hand-written loop of the same two networks, with the settings of Figure 5.

And many nets at once: `FusedGridSearchCV` beside `GridSearchCV` on four tables, `fit_fused` by the
number of nets, and where its time goes. `FusedBaggingClassifier` beside one net of its eight.

Last pictures: an epoch beside a hand-written loop, and mixing beside timm, torchvision and a copy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn

from benchmarks import _speed_bagging, _speed_pictures, recipes
from benchmarks._data.uci import available, fetch_abalone
from benchmarks._nets.tables import TABLE_4
from benchmarks._options import add_data_options
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from benchmarks._speed_gan import SETTINGS, gan_table, time_gan_round
from benchmarks._speed_search import SCALES, make_skorch, run_section
from sklearn_mixup import MixupClassifier

_KEY = ("measure", "round")
_ALPHA = 0.2
_MIB = 2**20


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run."""

    n_rounds: int
    max_epochs: int
    n_rows: int | None  # of Abalone; None: all
    data_mib: int
    chunk_mib: int
    n_processes: int  # that measure memory
    n_iter: int  # of the GAN


_SCALES = {
    "smoke": _Scale(
        n_rounds=1, max_epochs=1, n_rows=320, data_mib=16, chunk_mib=4, n_processes=1, n_iter=2
    ),
    "small": _Scale(
        n_rounds=9,
        max_epochs=10,
        n_rows=None,
        data_mib=256,
        chunk_mib=64,
        n_processes=3,
        n_iter=100,
    ),
}
_SCALES["paper"] = replace(_SCALES["small"], n_rounds=25, data_mib=1024)

# Ours over theirs, and what it should not be above.
_RATIOS = (
    ("mixup", "ERM", 1.10),
    ("mixup", "bare loop", 0.80),
    ("mixup", "skorch", 0.65),
    ("mixup", "scikit-learn", None),
)


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


def _fit_ours(X: np.ndarray, y: np.ndarray, *, alpha: float, max_epochs: int, device: str) -> None:
    """Fit this package's classifier with the paper's settings."""
    MixupClassifier(
        alpha=alpha,
        max_epochs=max_epochs,
        random_state=0,
        device=device,
        **TABLE_4.params(),
    ).fit(X, y)


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


def _fit_skorch(X: np.ndarray, y: np.ndarray, *, max_epochs: int, device: str) -> None:
    """Fit skorch's net on the module that ours has."""
    n_classes = int(y.max()) + 1
    make_skorch(X.shape[1], n_classes, alpha=_ALPHA, max_epochs=max_epochs, device=device).fit(X, y)


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
    given = {"max_epochs": max_epochs, "device": device}
    fits: dict[str, Callable[[], None]] = {
        "mixup": partial(_fit_ours, X, y, alpha=_ALPHA, **given),
        "ERM": partial(_fit_ours, X, y, alpha=0.0, **given),
        "bare loop": partial(_fit_bare_loop, X, y, **given),
        "skorch": partial(_fit_skorch, X, y, **given),
        "scikit-learn": partial(_fit_scikit_learn, X, y, max_epochs=max_epochs),
    }
    seconds = {}
    for contender, fit in fits.items():
        start = time.perf_counter()
        fit()
        seconds[f"fit_time_s {contender}"] = time.perf_counter() - start
    return {**seconds, "data": name}


# -- memory ---------------------------------------------------------------------------------------


def measure_memory(
    data_mib: int, chunk_mib: int, *, n_processes: int, device: str
) -> dict[str, Any]:
    """Measure the peak memory of a fit in MiB: the most over some processes of their own."""
    peaks = [_measure_peak(data_mib, chunk_mib, device) for _ in range(n_processes)]
    return {"data_mib": data_mib, "chunk_mib": chunk_mib, "peak_mib": round(max(peaks), 1)}


def _measure_peak(data_mib: int, chunk_mib: int, device: str) -> float:
    """Measure once, in another process."""
    command = [sys.executable, "-m", "benchmarks.speed", str(data_mib), str(chunk_mib), device]
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The process that measures memory failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def _fit_table_of(data_mib: int, chunk_mib: int, device: str) -> float:
    """Fit a table of that size and return by how many MiB memory rose at most."""
    torch.set_num_threads(1)
    n_features = 256  # 1 KiB a row
    rng = np.random.default_rng(0)
    X = rng.standard_normal((data_mib * 1024, n_features), dtype=np.float32)
    y = np.arange(len(X)) % 10
    classifier = MixupClassifier(
        max_epochs=1,
        batch_size=512,
        device=device,
        iterator_train__chunk_bytes=chunk_mib * _MIB,
        random_state=0,
    )
    classifier.fit(X[:2048], y[:2048])  # Loads what is loaded on first use.
    if torch.device(classifier.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        classifier.fit(X, y)
        return (torch.cuda.max_memory_allocated() - before) / _MIB
    before = _resident_mib("VmRSS")
    classifier.fit(X, y)
    return _resident_mib("VmHWM") - before


def _resident_mib(field: str) -> float:
    """Resident memory of this process now (VmRSS), or the most there ever was (VmHWM)."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[field].split()[0]) / 1024
    import resource  # Where there is no /proc; no "now" there, so before is the peak so far.

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


# -- report ---------------------------------------------------------------------------------------


def compute_ratios(rounds: pd.DataFrame) -> pd.DataFrame:
    """Compute the median of the ratios within a round, beside its target.

    Parameters
    ----------
    rounds : DataFrame
        A row for each round, a column ``fit_time_s NAME`` for each contender.

    Returns
    -------
    DataFrame
        ``other``, ``ratio`` (time of mixup over that of the other), ``low`` and ``high`` (its
        quartiles), ``target`` (NaN: none) and ``passes``.
    """
    rows = []
    for ours, other, target in _RATIOS:
        ratios = rounds[f"fit_time_s {ours}"] / rounds[f"fit_time_s {other}"]
        low, ratio, high = ratios.quantile([0.25, 0.5, 0.75])
        limit = np.nan if target is None else target
        rows.append(
            {"other": other, "ratio": ratio, "low": low, "high": high}
            | {"target": limit, "passes": target is None or ratio <= target}
        )
    return pd.DataFrame(rows)


def _verdict(passes: bool, target: float) -> str:
    """Say whether a target is met."""
    return "" if np.isnan(target) else "pass" if passes else "FAIL"


def time_table(rounds: pd.DataFrame, ratios: pd.DataFrame, max_epochs: int) -> pd.DataFrame:
    """Write the times and ratios."""
    rows = []
    by_other = ratios.set_index("other")
    for contender in ("mixup", *by_other.index):
        seconds = rounds[f"fit_time_s {contender}"].median()
        row = {"fit": contender, "ms an epoch": f"{1000 * seconds / max_epochs:.1f}"}
        if contender == "mixup":
            row |= {"mixup / it": "1", "quartiles": "", "target": "", "met": ""}
        else:
            found = by_other.loc[contender]
            row |= {
                "mixup / it": f"{found.ratio:.2f}",
                "quartiles": f"{found.low:.2f} to {found.high:.2f}",
                "target": "" if np.isnan(found.target) else f"<= {found.target:.2f}",
                "met": _verdict(found.passes, found.target),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def memory_table(memory: Mapping[str, Any]) -> pd.DataFrame:
    """Write the memory, in MiB."""
    limit = memory["data_mib"] + memory["chunk_mib"]
    row = {
        "data (MiB)": f"{memory['data_mib']}",
        "chunk (MiB)": f"{memory['chunk_mib']}",
        "peak of fit beyond the caller's data (MiB)": f"{memory['peak_mib']:.0f}",
        "target": f"<= {limit:.0f}",
        "met": _verdict(memory["peak_mib"] <= limit, limit),
    }
    return pd.DataFrame([row])


def plot(
    rounds: pd.DataFrame,
    ratios: pd.DataFrame,
    memory: Mapping[str, Any],
    path: str | os.PathLike[str],
) -> None:
    """Draw the ratios with their targets, and the memory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.2), dpi=160, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    place = np.arange(len(ratios))
    spread = [ratios["ratio"] - ratios["low"], ratios["high"] - ratios["ratio"]]
    left.barh(place, ratios["ratio"], height=0.55, color="#56B4E9", xerr=spread, capsize=3)
    end = max(ratios["high"].max(), ratios["target"].max()) * 1.25
    for i, row in ratios.iterrows():
        left.text(end * 0.99, i, f"{row.ratio:.2f}", ha="right", va="center")
    has = ratios["target"].notna()
    left.plot(
        *(ratios.loc[has, "target"], place[has]),
        "|",
        color="#D55E00",
        markersize=24,
        markeredgewidth=2.5,
        label="target: not above",
    )
    left.set_yticks(place, [f"against {name}" for name in ratios["other"]])
    left.invert_yaxis()
    left.set_xlim(0, end)
    left.axvline(1, color="#222222", linewidth=0.8)
    left.set_xlabel("time of a fit with mixup / time of the other\n(median, quartiles)")
    left.set_title(f"Time, rounds side by side: {len(rounds)}", fontsize=10.5)
    sizes = [memory["data_mib"], memory["peak_mib"]]
    right.barh([0, 1], sizes, height=0.55, color=["#999999", "#56B4E9"])
    limit = memory["data_mib"] + memory["chunk_mib"]
    right.plot([limit], [1], "|", color="#D55E00", markersize=24, markeredgewidth=2.5)
    for i, size in enumerate(sizes):
        right.text(size * 0.97, i, f"{size:.0f}", ha="right", va="center")
    right.set_yticks([0, 1], ["the data", "peak of fit\nbeyond it"])
    right.set_ylim(1.6, -0.6)
    right.set_xlim(0, 1.08 * max(limit, *sizes))
    right.set_xlabel("MiB")
    right.set_title(f"Memory, chunk of {memory['chunk_mib']:.0f} MiB", fontsize=10.5)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", frameon=False, markerscale=0.5)
    FigureCanvasAgg(figure).print_png(path)


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    add_data_options(parser, "uci/...", download=None)


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale = _SCALES[args.scale or "small"]
    if args.jobs > 1:
        print("Times are taken one after the other, in this process: --jobs is of no use here.")
    data_home = args.data_home
    device = MixupClassifier(device=args.device).device
    versions = environment(device)
    n_rounds = args.seeds or scale.n_rounds
    fit_settings = {"max_epochs": scale.max_epochs, "n_rows": scale.n_rows}
    *_, data_name = load_rows(scale.n_rows, data_home)
    memory_settings = {
        "data_mib": scale.data_mib,
        "chunk_mib": scale.chunk_mib,
        "n_processes": scale.n_processes,
    }
    rounds = [
        Task(
            {"measure": "time", "round": i},
            {**fit_settings, **TABLE_4.describe(), "data": data_name, **versions},
            partial(time_round, **fit_settings, device=device, data_home=data_home),
        )
        for i in range(n_rounds)
    ]
    gan_rounds = [
        Task(
            {"measure": "GAN", "round": i},
            {"n_iter": scale.n_iter, **versions}
            | {name: asdict(recipes.GAN_RECIPES[name]) for name in SETTINGS},
            partial(time_gan_round, scale.n_iter, device=device, turn=i),
        )
        for i in range(n_rounds)
    ]
    memory = Task(
        {"measure": "memory", "round": 0},
        {**memory_settings, **versions},
        partial(measure_memory, **memory_settings, device=device),
    )
    out: Path = args.out
    run_table = RunTable(out / "speed.csv", _KEY)
    _warm_up(device)
    timed = run_table.complete(rounds, title="speed, time", extra=versions)
    timed_gans = run_table.complete(gan_rounds, title="speed, GAN", extra=versions)
    measured = run_table.complete([memory], title="speed, memory", extra=versions)

    ratios = compute_ratios(timed)
    found = measured.iloc[0].to_dict()
    times, memories = time_table(timed, ratios, scale.max_epochs), memory_table(found)
    gans = gan_table(timed_gans, scale.n_iter)
    notes = (
        f"Rounds: {n_rounds}, times are medians; each is a fit of every contender on {data_name}, "
        f"one thread, minibatch {TABLE_4.batch_size}, {scale.max_epochs} epochs, "
        f"{' x '.join(map(str, TABLE_4.hidden_sizes))} ReLU units. Times are those of "
        "whole fits, checks and set-up included. Memory is what the fit of another table adds at "
        f"its peak, the most of {scale.n_processes} processes. GANs take {scale.n_iter} generator "
        "iterations. " + ", ".join(f"{name} {value}" for name, value in versions.items()) + "."
    )
    together = run_section(
        *(run_table, SCALES[args.scale or "small"]),
        n_rounds=args.seeds,
        device=device,
        data_home=data_home,
        versions=versions,
        figure=out / "speed_fused.png",
    )
    together += _speed_bagging.run_section(
        *(run_table, _speed_bagging.SCALES[args.scale or "small"]),
        n_rounds=args.seeds,
        device=device,
        data_home=data_home,
        versions=versions,
    )
    pictures = _speed_pictures.run_section(
        *(run_table, _speed_pictures.SCALES[args.scale or "small"]),
        n_rounds=args.seeds,
        device=device,
        versions=versions,
    )
    tables = [times, gans, memories]
    for part in (*tables, notes, *together, *pictures):
        print("", part if isinstance(part, str) else terminal_table(part), sep="\n")
    write_markdown(
        *(out / "speed.md", "Time and memory of a fit with mixup, of many, and of pictures"),
        *(notes, "![Time and memory](speed.png)", *tables, *together, *pictures),
    )
    plot(timed, ratios, found, out / "speed.png")
    names = ("speed.csv", "speed.md", "speed.png", "speed_fused.png")
    print(f"\nWritten: {', '.join(str(out / name) for name in names)}")


def _warm_up(device: str) -> None:
    """Fit once outside the clock: the first fit in a process loads what all of them use."""
    time_round(1, 64, device=device, data_home=None)
    time_gan_round(2, device=device)


if __name__ == "__main__":
    print(_fit_table_of(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
