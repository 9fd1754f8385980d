"""What came out between the pictures, compared and told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lab.compare import pair, set_beside
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.statistics import mean_of
from benchmarks._lab.tell import name_data, number
from benchmarks.between import figures

METHODS = ("ERM", "mixup")
MEASURES = {
    "train_misses": "misses between training pictures, share",
    "test_misses": "misses between test pictures, share",
    "loss_gradient": "norm of the gradient of the loss",
    "logit_gradient": "norm of the gradients of the logits",
}


def column(measure: str, lam: float) -> str:
    """Name the column of a measure at a weight.

    >>> column("train_misses", 0.5)
    'train_misses@0.5'
    """
    return f"{measure}@{round(float(lam), 4):g}"


def tell(scale: Any, runs: pd.DataFrame) -> Outcome:
    """Tell what came out; `scale` says how many pairs it is from."""
    comparison, curves = compare(runs), curves_of(runs)
    title = f"Figure 2: ERM and mixup between the pictures of {name_data(runs)}"
    figure = Figure("between.png", title, partial(figures.plot, curves, runs))
    tables = summary_table(comparison), curves_table(curves)
    return usual_page(title, runs, [conclude(comparison)], figure, tables, notes(runs, scale))


# -- comparison -----------------------------------------------------------------------------------


def _values(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Collect a measure: a row for each run, a column for each lam, ascending."""
    columns = [name for name in runs.columns if name.startswith(f"{measure}@")]
    values = runs[columns].set_axis([float(name.partition("@")[2]) for name in columns], axis=1)
    # Runs of other scales, in the same file, may have been measured at other weights.
    return values.dropna(axis=1, how="all").sort_index(axis=1)


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed; each measure is averaged over lam first.

    A row for each measure, and for the errors, has what `set_beside` tells, of ``n_seeds``.
    """
    measured = {name: _values(runs, name).mean(axis=1) for name in MEASURES}
    measured |= {"test_error": runs["test_error"], "train_error": runs["train_error"]}
    rows = []
    for name, values in measured.items():
        valued = runs.assign(value=values)
        by_seed = pair(valued, "value", by="seed", columns="method", wanted=METHODS)
        told = set_beside(by_seed["ERM"], by_seed["mixup"])
        rows.append({"measure": name, "n_seeds": len(by_seed), **told})
    return pd.DataFrame(rows)


def curves_of(runs: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Average the curves of each measure and method over the seeds, for each ``lam``."""
    curves = {}
    for measure in MEASURES:
        for method in METHODS:
            values = _values(runs[runs["method"] == method], measure)
            told = [{"lam": lam, **mean_of("mean", values[lam])} for lam in values]
            curves[measure, method] = pd.DataFrame(told)
    return curves


def conclude(comparison: pd.DataFrame) -> str:
    """Say, from the numbers, whether mixup has fewer misses and smaller norms."""
    rows = comparison.set_index("measure")
    parts = []
    for measure, (less, equal, more), of in (
        ("train_misses", ("fewer", "as many", "more"), "misses between training pictures"),
        ("test_misses", ("fewer", "as many", "more"), "misses between test pictures"),
        ("loss_gradient", ("smaller", "equal", "larger"), "gradients of the loss"),
        ("logit_gradient", ("smaller", "equal", "larger"), "gradients of the logits"),
    ):
        row = rows.loc[measure]
        compared = less if row.difference < -1e-12 else more if row.difference > 1e-12 else equal
        told = f"{row.difference:+.2g}"
        if not np.isnan(row.difference_se):
            told += f" ± {row.difference_se:.2g}"
            if abs(row.difference) <= 2 * row.difference_se:
                told += ", within two standard errors"
        parts.append(
            f"{compared} {of} ({row.mixup:.3g} against ERM's {row.erm:.3g}; paired by seed {told}; "
            f"lower in {row.n_lower:.0f} of {row.n_seeds:.0f} seeds)"
        )
    return f"Averaged over lam, mixup has {', '.join(parts[:-1])} and {parts[-1]}."


# -- tables ---------------------------------------------------------------------------------------


def summary_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the comparison as texts."""
    names = {**MEASURES, "test_error": "test error, share", "train_error": "training error, share"}
    rows = [
        {
            "averaged over lam": names[row.measure],
            "ERM": number(row.erm, row.erm_se, digits=4),
            "mixup": number(row.mixup, row.mixup_se, digits=4),
            "mixup - ERM": number(row.difference, row.difference_se, digits=4, sign="+"),
            "mixup lower in": f"{row.n_lower} of {row.n_seeds} seeds",
        }
        for row in comparison.itertuples()
    ]
    return pd.DataFrame(rows)


def curves_table(curves: Mapping[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """Write the curves over the seeds as texts, a row for each lam."""
    columns = {
        f"{measure.replace('_', ' ')}, {method}": curve["mean"].map("{:.3f}".format)
        for (measure, method), curve in curves.items()
    }
    lam = next(iter(curves.values()))["lam"].map("{:.2f}".format)
    return pd.DataFrame({"lam": lam, **columns})


def notes(runs: pd.DataFrame, scale: Any) -> str:
    """Say what was done, how it was measured, and what it does not show."""
    first = runs.iloc[0]
    return (
        f"{first.data_name}, {first.n_train} pictures to train on and {first.n_test} to test on; "
        f"{first.network}, {first.max_epochs} epochs, with the paper's optimizer and schedule in "
        f"proportion. At each lam {scale.n_pairs} random pairs of different pictures for "
        f"misses, {scale.n_gradients} for the gradient of the loss and "
        f"{scale.n_jacobians} for those of the logits; a pair may have one label, as in the "
        "paper. Pictures are not augmented, and standardised: norms are Euclidean, in nats (or "
        "logits) for one standard deviation of a pixel. The loss at a mixed picture is mixed "
        "alike. ERM and mixup of a seed share initial weights, shuffles and pairs. Numbers are "
        "means ± standard errors over the seeds. The paper prints curves, and no numbers to set "
        "beside ours. Mixup is trained at such points and ERM is not, which is the point of the "
        "figure; that it fits its own vicinity is less of a claim than the test error."
    )
