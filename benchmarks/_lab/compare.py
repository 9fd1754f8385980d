"""Setting methods side by side, pair by pair of splits or seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks._lab.statistics import mean_of, paired_difference


def pair(
    runs: pd.DataFrame,
    measure: str,
    *,
    by: str | Sequence[str],
    columns: str = "alpha",
    wanted: Sequence[Any] = (0.0,),
    where: Any = "one",
) -> pd.DataFrame:
    """Lay out a measure of runs: a row for each split or seed, a column for each method.

    `by` is what is paired: ``"split"``, ``"seed"``, or a table and its split. `columns` tells the
    methods apart, those `wanted` must be there (0 is ERM), and `where` says what the runs are of.

    Raises
    ------
    ValueError
        If some split or seed has a run for one of the methods and not for another, or a method
        that is wanted has none.

    Examples
    --------
    >>> runs = pd.DataFrame({"seed": [0, 0, 1, 1], "alpha": [0, 1] * 2, "error": [3, 1, 4, 2]})
    >>> pair(runs, "error", by="seed").to_dict()
    {0: {0: 3, 1: 4}, 1: {0: 1, 1: 2}}
    """
    wide = runs.pivot(index=by, columns=columns, values=measure)
    if not {*wanted} <= {*wide} or wide.isna().any(axis=None):
        names = [f"{it:g}" if isinstance(it, float) else str(it) for it in wanted]
        told = f", {', '.join(names)} among them" if names else ""
        unit = by if isinstance(by, str) else " and ".join(by)
        raise ValueError(
            f"Each {unit} must have a run for each {columns}{told}; {where} has not: "
            f"{wide.notna().to_dict()}."
        )
    return wide


def set_beside(erm: pd.Series, mixup: pd.Series, *, test_share: float = 0.0) -> dict[str, float]:
    """Describe two methods, pair by pair, as columns of a table.

    ``erm`` and ``mixup``, means over the pairs, each with ``_se``, its standard error; what
    `PairedDifference.columns` tells of mixup - ERM; ``n_lower``, the pairs in which mixup is lower.

    Examples
    --------
    >>> told = set_beside(pd.Series([0.3, 0.5]), pd.Series([0.2, 0.2]))
    >>> [f"{name} {told[name]:.2f}" for name in ("erm", "erm_se", "difference", "difference_se")]
    ['erm 0.40', 'erm_se 0.10', 'difference -0.20', 'difference_se 0.10']
    """
    difference = paired_difference(mixup, erm, test_share=test_share).columns()
    n_lower = int((mixup < erm).sum())
    return {**mean_of("erm", erm), **mean_of("mixup", mixup), **difference, "n_lower": n_lower}
