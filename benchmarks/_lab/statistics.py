"""Means with their standard errors, and differences that are paired by split or seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


def mean_and_standard_error(values: Any) -> tuple[float, float]:
    """Mean, and sample standard deviation over the root of the number of values.

    The standard error of a single value is NaN.

    Examples
    --------
    >>> mean_and_standard_error([1.0, 2.0, 3.0, 4.0, 5.0])
    (3.0, 0.7071067811865476)
    """
    values = np.asarray(values, dtype=float)
    spread = values.std(ddof=1) if len(values) > 1 else np.nan
    return float(values.mean()), float(spread / np.sqrt(len(values)))


def mean_of(name: str, values: Any) -> dict[str, float]:
    """Mean and standard error as the columns `name` and ``{name}_se`` of a table.

    Examples
    --------
    >>> mean_of("error", [1.0, 2.0, 3.0, 4.0, 5.0])
    {'error': 3.0, 'error_se': 0.7071067811865476}
    """
    return dict(zip((name, f"{name}_se"), mean_and_standard_error(values), strict=True))


def holm(p_values: Any) -> np.ndarray:
    """Adjust p values for their number: the chance of one so low, if none of all is real [1]_.

    The smallest is multiplied by their number, the next by one less, and so on.

    References
    ----------
    .. [1] Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
       Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.02, 0.01, 0.3]).round(3).tolist()
    [0.04, 0.03, 0.3]
    """
    p_values = np.asarray(p_values, dtype=float)
    order = p_values.argsort()
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    return adjusted.clip(max=1)


@dataclass(frozen=True)
class PairedDifference:
    """Mean of differences between two methods on the same splits, and how sure it is.

    ``p_value`` is that of the ordinary paired t-test, which takes the splits for independent.
    ``p_corrected`` and ``half_width`` (of the 95 % confidence interval) allow for the rows that
    random splits share, and are the ones to go by. All are NaN for a single split.
    """

    mean: float
    standard_error: float
    p_value: float
    p_corrected: float
    half_width: float

    def columns(self) -> dict[str, float]:
        """Give it as columns of a table: ``difference``, ``difference_se``, the rest by name."""
        told = {"difference": self.mean, "difference_se": self.standard_error}
        return told | {name: vars(self)[name] for name in ("p_value", "p_corrected", "half_width")}


def paired_difference(a: Any, b: Any, *, test_share: float = 0.0) -> PairedDifference:
    """Compare two methods split by split: ``a - b``, with the corrected resampled t-test [1]_.

    Random splits of one table share rows, so the differences are not independent, and the
    variance of their mean is not ``s**2 / n``. Nadeau and Bengio put
    ``s**2 * (1 / n + n_test / n_train)`` in its place.

    Parameters
    ----------
    a, b : array-like of shape (n_splits,)
        Results of the two methods, in the same order of splits.
    test_share : float in [0, 1), default=0
        Share of the rows that each split tests on; 0 where no rows are shared, as by seeds.

    Returns
    -------
    PairedDifference

    References
    ----------
    .. [1] Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.

    Examples
    --------
    >>> difference = paired_difference([3.0, 2.0, 4.0], [1.0, 2.0, 3.0], test_share=0.2)
    >>> difference.mean, round(difference.p_value, 3), round(difference.p_corrected, 3)
    (1.0, 0.225, 0.321)
    """
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    n_splits = len(differences)
    mean, error = mean_and_standard_error(differences)
    if n_splits < 2:
        return PairedDifference(mean, np.nan, np.nan, np.nan, np.nan)
    if np.ptp(differences) < 1e-12:  # No spread: a t-test would divide by zero.
        p_value = 1.0 if abs(mean) < 1e-12 else 0.0
        return PairedDifference(mean, 0.0, p_value, p_value, 0.0)
    overlap = test_share / (1 - test_share)  # n_test / n_train
    corrected_error = error * np.sqrt(1 + n_splits * overlap)
    distribution = stats.t(df=n_splits - 1)
    return PairedDifference(
        mean=mean,
        standard_error=error,
        p_value=float(stats.ttest_rel(a, b).pvalue),
        p_corrected=float(2 * distribution.sf(abs(mean) / corrected_error)),
        half_width=float(distribution.ppf(0.975) * corrected_error),
    )
