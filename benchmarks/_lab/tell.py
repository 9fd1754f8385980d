"""How numbers and files are spelled, in every experiment alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._lab.runs import PACKAGES

SIGNIFICANCE = 0.05


def number(
    mean: float | None, error: float = np.nan, *, factor: float = 1, digits: int, sign: str = ""
) -> str:
    """Write a mean and, where there are several runs, its standard error; nothing if there is none.

    Parameters
    ----------
    mean, error : float
        NaN where it is not known; a mean of None too.
    factor : float, default=1
        100 for percent.
    digits : int
        After the point.
    sign : {"", "+"}, default=""
        Whether a sign always stands before it.

    Examples
    --------
    >>> number(0.125, 0.01, factor=100, digits=1)
    '12.5 ± 1.0'
    >>> number(-0.00001, factor=100, digits=2, sign="+")
    '+0.00'
    """
    if mean is None or np.isnan(mean):
        return ""
    told = f"{round(factor * mean, digits) + 0.0:{sign}.{digits}f}"  # never -0.00
    return told if np.isnan(error) else f"{told} ± {factor * error:.{digits}f}"


def percent(share: float | None, error: float = np.nan) -> str:
    """Write a share in percent."""
    return number(share, error, factor=100, digits=1)


def points(difference: float, error: float = np.nan) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return number(difference, error, factor=100, digits=2, sign="+")


def p_value(value: float) -> str:
    """Write a p value in a table."""
    if np.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def p_equals(value: float) -> str:
    """Write a p value in a sentence."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


@dataclass(frozen=True)
class Measure:
    """What a column of the runs is called, and how its numbers are written."""

    title: str
    factor: float
    digits: int
    is_loss: bool = True  # the lower the better

    @property
    def name(self) -> str:
        """The title without the unit."""
        return self.title.partition(",")[0]

    @property
    def heading(self) -> str:
        """The title as a heading."""
        return capital(self.title)

    def text(self, mean: float, error: float = np.nan, *, sign: str = "") -> str:
        """Write a mean and, where there are several runs, its standard error."""
        return number(mean, error, factor=self.factor, digits=self.digits, sign=sign)


def capital(text: str) -> str:
    """Begin with a capital letter, and leave the others as they are."""
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str], between: str = ", ") -> str:
    """Name some things, or say that there are none."""
    return between.join(names) or "none"


def name_data(runs: pd.DataFrame) -> str:
    """Name the data of runs in full: a result for a part of them is none for the whole."""
    return "; ".join(dict.fromkeys(runs["data_name"]))


def took(runs: pd.DataFrame) -> str:
    """Say how many runs there are, and how long they computed."""
    minutes = runs.filter(["fit_time_s", "test_time_s"]).to_numpy().sum() / 60
    return f"The {len(runs)} runs took {minutes:.1f} minutes of computing, summed."


def _versions(runs: pd.DataFrame, names: Iterable[str]) -> dict[str, str]:
    """Collect what runs were computed with, all values of each."""
    return {name: ", ".join(map(str, runs[name].unique())) for name in names}


def made_with(runs: pd.DataFrame, *, others: str = "") -> str:
    """Say how many runs there are, and what they were computed with; `others` come first."""
    told = "; ".join(map(" ".join, _versions(runs, (*PACKAGES, "device")).items()))
    return f"Made with {others}{told}. {len(runs)} runs."


def made_on(runs: pd.DataFrame | Mapping[str, str]) -> str:
    """Say on what and with what runs were made; the `environment` does in place of runs."""
    if isinstance(runs, pd.DataFrame):
        # Runs of the same table in which it is float32 have no word for it.
        is_told = "precision" in runs and runs["precision"].notna().all()
        runs = _versions(runs, ("device", *(["precision"] if is_told else []), *PACKAGES))
    return ", ".join(map(" ".join, runs.items())) + "."


def written(*paths: Path) -> str:
    """Say which files were written."""
    return f"Written: {', '.join(map(str, paths))}"
