"""Rounds: all contenders one after the other, and the median of the ratios within a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch

from benchmarks._lab.outcome import Block
from benchmarks._lab.runs import Task

KEY = ("measure", "round")


@dataclass(frozen=True)
class Section:
    """Runs, by what stands beside their progress bar, and a part of the page.

    ``tell(*runs) -> blocks`` gets a DataFrame for each list of tasks.
    """

    tasks: Mapping[str, Sequence[Task]]
    tell: Callable[..., list[Block]]


def list_rounds(
    measure: str,
    n_rounds: int,
    settings: Mapping[str, Any],
    work: Callable[..., Mapping[str, Any]],
    *,
    in_turns: bool = False,
) -> list[Task]:
    """List rounds of the same work; `in_turns` it gets their number as ``turn``."""
    return [
        Task({"measure": measure, "round": i}, settings, partial(work, **turn))
        for i in range(n_rounds)
        for turn in [{"turn": i} if in_turns else {}]
    ]


def clock(work: Callable[[], object], device: str) -> float:
    """Time some work in seconds, until what it asked of the device is done."""
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    _made = work()  # Kept until the clock was read: to free it is no part of the work.
    wait()
    return time.perf_counter() - start


def time_each(
    contenders: Mapping[str, Callable[[], object]], device: str, *, turn: int = 0
) -> dict[str, float]:
    """Time contenders one after the other, in seconds; every other turn the last is first."""
    seconds = dict.fromkeys(contenders, 0.0)
    for name in list(contenders)[:: -1 if turn % 2 else 1]:
        seconds[name] = clock(contenders[name], device)
    return seconds


@dataclass(frozen=True)
class Ratio:
    """How many times as long one takes as another: median, quartiles, what it should not exceed."""

    low: float
    median: float
    high: float
    target: float | None = None

    def cells(self, title: str = "ratio") -> dict[str, str]:
        """Write it for a table, and whether the target is met."""
        cells = {title: f"{self.median:.2f}", "quartiles": f"{self.low:.2f} to {self.high:.2f}"}
        if self.target is None:
            return {**cells, "target": "", "met": ""}
        met = "pass" if self.median <= self.target else "FAIL"
        return {**cells, "target": f"<= {self.target:.2f}", "met": met}


def compute_ratio(ours: pd.Series, other: pd.Series, target: float | None = None) -> Ratio:
    """Compute the median of the ratios within a round.

    Examples
    --------
    >>> compute_ratio(pd.Series([1.0, 20.0, 3.0]), pd.Series([2.0, 10.0, 3.0]), 0.9).cells()
    {'ratio': '1.00', 'quartiles': '0.75 to 1.50', 'target': '<= 0.90', 'met': 'FAIL'}
    """
    low, median, high = (ours / other).quantile([0.25, 0.5, 0.75])
    return Ratio(low, median, high, target)
