"""How the pages of all parts are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks._lab.outcome import Conclusions, Figure, Note, Outcome, headed
from benchmarks._lab.statistics import mean_and_standard_error
from benchmarks._lab.tell import made_on, number


def make_page(
    title: str,
    tables: Mapping[str, pd.DataFrame],
    notes: str,
    figures: Sequence[Figure],
    versions: Mapping[str, str],
    conclusions: Sequence[str] = (),
) -> Outcome:
    """Put tables under their headings, then what came out, how, and the figures."""
    told = [Conclusions(conclusions)] if conclusions else []
    blocks = [*headed(tables.items()), *told, Note(notes), *figures, Note(made_on(versions))]
    return Outcome(title, blocks)


def mean(values: pd.Series | np.ndarray, digits: int, *, factor: float = 1) -> str:
    """Write the mean of the seeds, with its standard error if there are several."""
    return number(*mean_and_standard_error(values), factor=factor, digits=digits)
