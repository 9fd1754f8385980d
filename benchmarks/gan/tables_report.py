"""What came out of the tables: errors, compared split by split, and told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from benchmarks._data.tables import TITLES
from benchmarks._lab.compare import pair
from benchmarks._lab.outcome import Figure, Outcome
from benchmarks._lab.statistics import mean_of, paired_difference
from benchmarks._lab.tell import p_value, percent, points
from benchmarks.gan import figures
from benchmarks.gan.pages import make_page
from benchmarks.gan.runs import name_gan
from benchmarks.gan.scale import SCALES
from benchmarks.gan.tables import CLASSIFIERS, CONTROLS, JITTER, N_LEAST, name_rows

_REAL, _REPEATED, _JITTERED = CONTROLS.values()


def tell(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell the errors with new rows beside the real ones and without them, and what is whose."""
    beside = compare(runs)
    return make_page(
        "Small tables augmented by GANs",
        {
            "Tables: test error in %, new rows beside the real ones": error_table(beside),
            "Tables: what is the GANs' own merit, in percentage points": merit_table(runs),
            "Tables: test error in %, new rows in the place of the real ones": error_table(
                compare(runs, suffix="alone")
            ),
        },
        notes(),
        [Figure("gan_tables.png", "tables", partial(figures.plot_tables, beside))],
        versions,
    )


def compare(runs: pd.DataFrame, *, reference: str = _REAL, suffix: str = "error") -> pd.DataFrame:
    """Set every method beside one of them, as `name_rows` names it, split by split.

    New rows are beside the real ones (suffix ``"error"``) or in their place (``"alone"``). Gives a
    row for each table, classifier and method: shares in [0, 1], ``difference`` is method -
    reference. ``half_width`` is that of the 95 % interval of the ordinary paired t-test,
    ``half_width_corrected`` that of the corrected one.

    Raises
    ------
    ValueError
        If some split lacks a method.
    """
    places = [*CONTROLS, "ERM", "mixup"]
    names = list(map(name_rows, runs["method"], runs["alpha"]))
    runs = runs.assign(place=runs["method"].map(places.index), trained_on=names)
    runs = runs.sort_values(["place", "alpha"])
    rows = []
    groups = runs.groupby(["data", "n_train", "n_test"], sort=False)
    for ((data, n_train, n_test), members), classifier in product(groups, CLASSIFIERS):
        by_split = pair(
            *(members, f"{classifier}_{suffix}"),
            by="seed",
            columns="trained_on",
            wanted=(reference,),
            where=data,
        )
        for trained_on in members["trained_on"].unique():
            errors, others = by_split[trained_on], by_split[reference]
            plain = paired_difference(errors, others)
            corrected = paired_difference(errors, others, test_share=n_test / (n_train + n_test))
            row = {"data": data, "classifier": classifier, "trained_on": trained_on}
            row |= {"n_splits": len(errors), "n_train": n_train, "n_test": n_test}
            row |= mean_of("error", errors) | corrected.columns()
            row |= {"half_width": plain.half_width, "half_width_corrected": corrected.half_width}
            rows.append(row)
    return pd.DataFrame(rows)


def error_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write the error of each method, and its difference from the real rows alone."""
    rows = []
    for row in comparison.itertuples():
        told = {
            "table": TITLES[row.data],
            "classifier": CLASSIFIERS[row.classifier],
            "trained on": row.trained_on,
            "test error": percent(row.error, row.error_se),
        }
        beside = _write_difference("- real", row) if row.trained_on != _REAL else {}
        rows.append({**told, **beside, "splits": str(row.n_splits)})
    columns = [*told, "- real", "p", "p uncorr.", "splits"]
    return pd.DataFrame(rows, columns=columns).fillna("")


def _write_difference(title: str, row: Any) -> dict[str, str]:
    """Write a difference in percentage points, and its p values."""
    return {
        title: points(row.difference, row.difference_se),
        "p": p_value(row.p_corrected),
        "p uncorr.": p_value(row.p_value),
    }


def merit_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Write the differences of the GANs from the controls, and of mixup from the ordinary GAN."""
    rows = [
        {
            "table": TITLES[row.data],
            "classifier": CLASSIFIERS[row.classifier],
            "difference": f"{row.trained_on} - {reference}",
            **_write_difference("points", row),
        }
        for reference in (_REPEATED, _JITTERED, name_gan(0.0))
        for row in compare(runs, reference=reference).itertuples()
        if row.trained_on not in (*CONTROLS.values(), reference)
    ]
    return pd.DataFrame(rows).sort_values(["table", "classifier"], kind="stable", ignore_index=True)


def notes() -> str:
    """Say what was done, how it was measured, and what it does not show."""
    small = SCALES["small"]
    return (
        f"Tables: in each random split {small.n_train} rows, stratified by class, are to train on "
        "(60 of Iris at the smoke scale), all others to test on. Columns are standardised over the "
        f"training rows, nominal ones one-hot. Each class with at least {N_LEAST} training rows "
        "is doubled, the others stay as they are, so that all methods give the classifiers as "
        "many rows of each class: the same rows once more, the same with Gaussian noise of "
        f"{JITTER:g} standard deviations, or samples of a GAN trained on that class alone. In new "
        "rows the largest of a nominal column's one-hot columns is made 1, the others 0. Networks "
        "have two hidden layers of 128; splits, initial weights and shuffles are the same for all "
        "GANs. Nothing was tuned on the test rows or per table. The small scale trains for "
        f"{small.tables_iter:,} iterations, which is short: on a split beyond these, three "
        "times as many made samples better in the place of Arrhythmia's real rows, though not "
        "clearly so beside them. "
        "Differences are from the real rows alone, in percentage points, ± standard errors over "
        'the splits. p is that of the corrected resampled t-test (Nadeau and Bengio, 2003), "p '
        'uncorr." that of the ordinary paired t-test; neither is adjusted for the number of '
        "comparisons. The correction is made for test sets that are small beside the training "
        "sets; here they are larger, training sets share few rows and test sets most, so that it "
        "is far too cautious, while the ordinary test is too bold: the truth lies between. "
        "Rows repeated change a classifier too (half the penalty of the logistic regression, other "
        "bootstrap samples of the forest), which is why a GAN is to be judged against them and "
        "not against the real rows alone."
    )
