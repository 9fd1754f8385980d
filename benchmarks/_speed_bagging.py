"""What eight nets cost beside one: `FusedBaggingClassifier` and `MixupClassifier`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import pandas as pd

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import TITLES, find_tables, load_table, make_preprocessor
from benchmarks._runs import RunTable, Task
from benchmarks._speed_pictures import judge
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier

TARGETS = {"fit": 3.0, "predict": 2.0}
# One call of predict_proba is too short to be timed.
_N_PREDICTIONS = 50


@dataclass(frozen=True)
class Scale:
    """How much of the section is run; None is the default of MixupClassifier."""

    n_rounds: int
    tables: tuple[str, ...]
    max_epochs: int | None


SCALES = {
    "smoke": Scale(1, ("digits",), 1),
    "small": Scale(5, ("website_phishing", "abalone", "digits"), None),
    "paper": Scale(5, ("website_phishing", "abalone", "digits"), None),
}


def time_round(
    name: str, max_epochs: int | None, *, device: str, data_home: str | None, turn: int = 0
) -> dict[str, float]:
    """Time a fit and a prediction of one net and of eight, in seconds, in turn.

    80 % of the rows of a table are trained on, standardised, and the others predicted.
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, 0)
    preprocessor = make_preprocessor(table, "standardised")
    X = preprocessor.fit_transform(table.X.iloc[train])
    X_test, y = preprocessor.transform(table.X.iloc[test]), table.y[train]
    epochs = {} if max_epochs is None else {"max_epochs": max_epochs}
    net = MixupClassifier(device=device, random_state=turn, **epochs)
    contenders = {"one": net, "eight": FusedBaggingClassifier(net, random_state=turn)}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    seconds = {}
    for contender, estimator in list(contenders.items())[:: -1 if turn % 2 else 1]:
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds[f"fit_s {contender}"] = time.perf_counter() - start
    for _ in range(_N_PREDICTIONS):
        for contender, estimator in contenders.items():
            start = time.perf_counter()
            estimator.predict_proba(X_test)
            found[contender].append(time.perf_counter() - start)
    return seconds | {
        f"predict_s {contender}": float(pd.Series(times).median())
        for contender, times in found.items()
    }


def ensemble_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times, and the ratios of eight nets to one.

    Parameters
    ----------
    rounds : DataFrame
        A row for each table and round, columns as `time_round` names them, and ``table``.

    Returns
    -------
    DataFrame
    """
    rows = []
    for name, timed in rounds.groupby("table", sort=False):
        for work, target in TARGETS.items():
            one, eight = (timed[f"{work}_s {contender}"] for contender in ("one", "eight"))
            rows.append(
                {
                    "table": TITLES[str(name)],
                    "": work,
                    "one net, ms": f"{1000 * one.median():.1f}",
                    "eight, ms": f"{1000 * eight.median():.1f}",
                    **judge(eight, one, target),
                }
            )
    return pd.DataFrame(rows)


def run_section(
    run_table: RunTable,
    scale: Scale,
    *,
    n_rounds: int | None,
    device: str,
    data_home: str | None,
    versions: Mapping[str, str],
) -> list[str | pd.DataFrame]:
    """Do what is pending and return the parts of the page."""
    settings = {**asdict(scale), **versions}
    del settings["n_rounds"]  # More rounds leave those that were done as they are.
    n_rounds = n_rounds or scale.n_rounds
    tables, _ = find_tables([*scale.tables, "digits"], data_home, download=False)
    work = partial(time_round, device=device, data_home=data_home)
    tasks = [
        Task(
            {"measure": f"ensemble {name}", "round": i},
            settings,
            partial(work, name, scale.max_epochs, turn=i),
        )
        for name in dict.fromkeys(tables)
        for i in range(n_rounds)
    ]
    timed = run_table.complete(tasks, title="speed, ensembles", extra=versions)
    timed = timed.assign(table=timed["measure"].str.removeprefix("ensemble "))
    return [
        "## Eight nets beside one",
        "`FusedBaggingClassifier` of eight networks and one `MixupClassifier`, both with their "
        "defaults: the fit, and `predict_proba` of the test rows. Medians, and the median of the "
        f"ratios, of {n_rounds} rounds.",
        ensemble_table(timed),
    ]
