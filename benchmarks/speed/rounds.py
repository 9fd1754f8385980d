"""Rounds: all contenders one after the other, and the median of the ratios within a round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

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
        Task(
            {"measure": measure, "round": i},
            settings,
            partial(work, **({"turn": i} if in_turns else {})),
        )
        for i in range(n_rounds)
    ]


@dataclass(frozen=True)
class Ratio:
    """How many times as long one takes as another: median, quartiles, what it should not exceed."""

    low: float
    median: float
    high: float
    target: float | None = None

    def cells(self) -> dict[str, str]:
        """Write it for a table, and whether the target is met."""
        cells = {"ratio": f"{self.median:.2f}", "quartiles": f"{self.low:.2f} to {self.high:.2f}"}
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
