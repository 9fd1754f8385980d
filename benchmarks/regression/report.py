"""What came out of regression, told."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import ALL_TITLES
from benchmarks._lab.methods.method import FULL, Budget, Method
from benchmarks._lab.methods.report import (
    Titled,
    by_table,
    note_on_differences,
    page,
)
from benchmarks._lab.methods.results import Results, collect
from benchmarks._lab.methods.statistics import by_table_and_split
from benchmarks._lab.outcome import Outcome
from benchmarks.regression.conclusions import conclude
from benchmarks.regression.results import (
    CONTEST,
    FLOOR,
    MEASURES,
    OURS,
    RIVAL,
    RMSE,
    WORTH_FINDING,
)


def tell(
    runs: pd.DataFrame, *, budget: Budget, absent: Sequence[Method], missing: Sequence[str]
) -> Outcome:
    """Tell what came out."""
    results = collect(CONTEST, runs)
    return page(
        "Numbers: against the best that one can install",
        "regression",
        results,
        conclusions=conclude(results),
        by_table=tables_by_table(results),
        notes=notes(results, budget),
        absent=absent,
        missing=missing,
    )


def tables_by_table(results: Results) -> list[Titled]:
    """Write errors of each method on each table, and how far ours are from rival and floor."""
    in_units = by_table_and_split(results.runs, "rmse")
    written = [
        (RMSE.heading, by_table(in_units, results, RMSE)),
        *(
            (kind.heading, by_table(results.values[name], results, kind))
            for name, kind in MEASURES.items()
            if kind.is_loss
        ),
        *(_differences(results, other) for other in (RIVAL, FLOOR)),
    ]
    return [(title, table) for title, table in written if len(table)]


def _differences(results: Results, other: str) -> Titled:
    """Write by how much the RMSE of each of ours is above another's, on each table."""
    values, kind = results.values["rmse_sd"], MEASURES["rmse_sd"]
    title = f"RMSE less that of {CONTEST.title(other)}, sd of y, ± over the splits"
    ours = [name for name in OURS if name in results.methods]
    if other not in results.methods or not ours:
        return title, pd.DataFrame()
    by = values[ours].sub(values[other], axis=0).groupby("table", sort=False)
    means, errors = by.mean(), by.sem()
    return title, pd.DataFrame(
        {"table": ALL_TITLES[table]}
        | {
            CONTEST.title(name): kind.text(
                means.loc[table, name], errors.loc[table, name], sign="+"
            )
            for name in ours
        }
        for table in means.index
    )


def notes(results: Results, budget: Budget) -> str:
    """Say what was done and how it was measured."""
    n_splits = results.runs["split"].nunique()
    defaults = (
        "at its defaults (TabM-D with piecewise-linear numbers)"
        if budget == FULL
        else "with next to no budget, to see that it runs"
    )
    return (
        f"Every method {defaults}, with the same {n_splits} random split{'s' * (n_splits > 1)} of "
        f"each table, {1 - TEST_SHARE:.0%} to train on and {TEST_SHARE:.0%} to test on, one "
        "thread, and the split as random_state. CatBoost, LightGBM, RealMLP-TD and TabM-D are told "
        "which columns are nominal; the methods of scikit-learn stand behind "
        "skrub.tabular_pipeline, the target of MLPRegressor standardised; TabularMixup takes the "
        "table as it is; mixup, C-Mixup, ERM and mixup x 8 get standardised numbers and nominal "
        "columns one-hot. sd: in standard deviations of the y of "
        "the test rows, so that tables of any unit count alike; RMSE in sd is the root of 1 - R^2. "
        "The fit time is that of the processor for all of the fit, preprocessing too; times are "
        f"geometric means. {note_on_differences('RMSE')} Found in 80 %: the true difference that "
        "the t-test at 5 % finds with that probability; power: how probable it is that it finds "
        f"one of {WORTH_FINDING:g}. California, 4000 rows, is a part of California. Which "
        "regressors of scikit-learn stand beside the networks of TabularMixup was chosen on some "
        "splits of these tables, so its numbers are a little too good."
    )
