"""What it takes to answer: one row, many, and a picture, beside others and the module alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Heading, Note, Table
from benchmarks._nets.tables import describe_defaults
from benchmarks.speed.rounds import Section, compute_ratio, list_rounds
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, to_onnx
from sklearn_mixup.modules import LeNet

ONE, EIGHT, BARE = "MixupClassifier", "FusedBaggingClassifier, eight", "its module alone"
_MLP, _TREES, _ONNX = "MLPClassifier", "HistGradientBoostingClassifier", "ONNX of the net"
# A row of the default network, of eight, in milliseconds of one core.
_BOUNDS_MS = {ONE: 0.4, EIGHT: 0.6}
_MANY, _PICTURE = 1.2, 1.5  # times what the module alone takes
_SIZES = (256, 512, 1024, 2048, 4096)  # minibatches of the module alone
_N_FEATURES = 20
_N_TURNS = 5  # of calls on many rows


def _time_turns(calls: Mapping[str, Callable[[], object]], n_turns: int) -> dict[str, float]:
    """Time calls that take turns, in milliseconds of this thread: the median of each."""
    turns = []
    for turn in range(n_turns + 1):  # The first warms up.
        times = {}
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            start = time.thread_time()
            calls[name]()
            times[name] = 1000 * (time.thread_time() - start)
        turns.append(times)
    return {str(name): float(ms) for name, ms in pd.DataFrame(turns[1:]).median().items()}


def _apply(module: Any, X: torch.Tensor, size: int) -> np.ndarray:
    """Apply a module alone, in minibatches, as one would write it."""
    with torch.inference_mode():
        parts = [module(part) for part in X.split(size)]
        return torch.cat(parts).softmax(1).numpy()


def _fit_all(turn: int, device: str) -> tuple[dict[str, Any], np.ndarray]:
    """Fit all contenders for a moment: what they have learned does not matter here."""
    X, y = make_classification(2000, _N_FEATURES, n_informative=10, random_state=turn)
    X = X.astype(np.float32)
    net = MixupClassifier(max_epochs=1, device=device, random_state=turn)
    contenders = {
        ONE: net,
        EIGHT: FusedBaggingClassifier(net, random_state=turn),
        _MLP: MLPClassifier((128, 128), max_iter=1, random_state=turn),
        _TREES: HistGradientBoostingClassifier(random_state=turn),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {name: model.fit(X, y) for name, model in contenders.items()}, X


def _make_session(model: Any, X: np.ndarray) -> Callable[[np.ndarray], Any] | None:
    """Make what computes the graph of a model with one thread; None without the extra."""
    if find_spec("onnxruntime") is None or find_spec("skl2onnx") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = to_onnx(model, X).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options)
    return lambda rows: session.run(["probabilities"], {"X": rows})[0]


def time_round(n_rows: int, n_calls: int, *, device: str, turn: int = 0) -> dict[str, float]:
    """Time one row, many rows and one picture, in milliseconds of one thread."""
    contenders, X = _fit_all(turn, device)
    answers = {name: model.predict_proba for name, model in contenders.items()}
    if (session := _make_session(contenders[ONE], X[:1])) is not None:
        answers[_ONNX] = session
    module = contenders[ONE].module_.eval()
    one, many = X[:1], np.random.default_rng(turn).normal(size=(n_rows, _N_FEATURES))
    many = many.astype(np.float32)
    calls = {name: partial(answer, one) for name, answer in answers.items()}
    calls[BARE] = partial(_apply, module, torch.from_numpy(one), 1)
    timed = {f"row {name}": ms for name, ms in _time_turns(calls, n_calls).items()}
    calls = {name: partial(answer, many) for name, answer in answers.items()}
    rows = torch.from_numpy(many)
    calls |= {f"{BARE} {size}": partial(_apply, module, rows, size) for size in _SIZES}
    times = _time_turns(calls, _N_TURNS)
    times[BARE] = min(times.pop(f"{BARE} {size}") for size in _SIZES)
    timed |= {f"rows {name}": ms for name, ms in times.items()}
    return {**timed, **_time_picture(n_calls, device=device, turn=turn)}


def _time_picture(n_calls: int, *, device: str, turn: int) -> dict[str, float]:
    """Time a picture through a network that was fitted with minibatches of 128."""
    X = np.random.default_rng(turn).normal(size=(32, 1, 28, 28)).astype(np.float32)
    params: dict[str, Any] = {
        "max_epochs": 1,
        "batch_size": 128,
        "device": device,
        "random_state": turn,
    }
    net = MixupClassifier(LeNet, **params).fit(X, np.arange(32) % 10)
    calls = {
        ONE: partial(net.predict_proba, X[:1]),
        BARE: partial(_apply, net.module_.eval(), torch.from_numpy(X[:1]), 1),
    }
    return {f"picture {name}": ms for name, ms in _time_turns(calls, max(n_calls // 5, 1)).items()}


def times_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times of all contenders."""
    median = rounds.filter(regex="^(row|rows) ").median()
    names = [name.removeprefix("row ") for name in median.index if name.startswith("row ")]
    return pd.DataFrame(
        {
            "predict_proba": names,
            "one row, ms": [f"{median[f'row {name}']:.3f}" for name in names],
            "many rows, ms": [f"{median[f'rows {name}']:.1f}" for name in names],
        }
    )


def bounds_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write what is not to be exceeded, and whether it is."""
    rows = []
    for name, bound in _BOUNDS_MS.items():
        ms = rounds[f"row {name}"]
        row = {"": f"one row, {name}", "what": "ms of one core"}
        rows.append(row | compute_ratio(ms, pd.Series(1.0, ms.index), bound).cells("it is"))
    for work, target in (("rows", _MANY), ("picture", _PICTURE)):
        ratio = compute_ratio(rounds[f"{work} {ONE}"], rounds[f"{work} {BARE}"], target)
        row = {"": "many rows" if work == "rows" else "one picture", "what": f"times {BARE}"}
        rows.append(row | ratio.cells("it is"))
    return pd.DataFrame(rows)


def plan_section(request: Request) -> Section:
    """List the rounds."""
    scale = request.scale
    n_rounds = request.args.seeds or scale.n_serving_rounds
    work = {"n_rows": scale.n_served, "n_calls": scale.n_calls}
    settings = {**work, **request.versions, "defaults": describe_defaults("alpha")}
    task = partial(time_round, **work, device="cpu")
    tasks = list_rounds("serving", n_rounds, settings, task, in_turns=True)
    return Section({"serving": tasks}, partial(tell, n_rounds, scale.n_served))


def tell(n_rounds: int, n_served: int, timed: pd.DataFrame) -> list[Block]:
    """Tell what it takes to answer."""
    return [
        Heading("Answers"),
        Note(
            f"`predict_proba` of one row and of {n_served:,} rows of {_N_FEATURES} numbers, on a "
            "CPU with one thread, by the defaults but for the epochs. MLPClassifier has as many "
            "units, and the ONNX graph is that of `to_onnx`. A picture of 28 x 28 goes through "
            "`LeNet`, fitted with minibatches of 128. The module alone has its best minibatch. "
            f"Calls take turns; times are those of the thread, medians of {n_rounds} rounds."
        ),
        Table(times_table(timed)),
        Table(bounds_table(timed)),
    ]
