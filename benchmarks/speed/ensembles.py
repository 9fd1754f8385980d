"""What eight nets cost beside one: `FusedBaggingClassifier` and `MixupClassifier`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pandas as pd

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import TITLES, find_tables, load_table, make_preprocessor
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Heading, Note, Table
from benchmarks.speed.rounds import Section, compute_ratio, list_rounds
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
    epochs: dict[str, Any] = {} if max_epochs is None else {"max_epochs": max_epochs}
    net = MixupClassifier(device=device, random_state=turn, **epochs)
    contenders: dict[str, Any] = {
        "one": net,
        "eight": FusedBaggingClassifier(net, random_state=turn),
    }
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
    """Write the times, and the ratios of eight nets to one, for the rounds of each table."""
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
                    **compute_ratio(eight, one, target).cells(),
                }
            )
    return pd.DataFrame(rows)


def plan_section(scale: Scale, request: Request) -> Section:
    """List the rounds on each table."""
    data_home, n_rounds = request.args.data_home, request.args.seeds or scale.n_rounds
    settings = {**asdict(scale), **request.versions}
    del settings["n_rounds"]  # More rounds leave those that were done as they are.
    tables, _ = find_tables([*scale.tables, "digits"], data_home, download=False)
    work = partial(time_round, max_epochs=scale.max_epochs, device=request.device)
    tasks = [
        task
        for name in dict.fromkeys(tables)
        for task in list_rounds(
            *(f"ensemble {name}", n_rounds, settings),
            partial(work, name, data_home=data_home),
            in_turns=True,
        )
    ]
    return Section({"ensembles": tasks}, partial(tell, n_rounds))


def tell(n_rounds: int, timed: pd.DataFrame) -> list[Block]:
    """Tell what eight nets cost beside one."""
    timed = timed.assign(table=timed["measure"].str.removeprefix("ensemble "))
    return [
        Heading("Eight nets beside one"),
        Note(
            "`FusedBaggingClassifier` of eight networks and one `MixupClassifier`, both with their "
            "defaults: the fit, and `predict_proba` of the test rows. Medians, and the median of "
            f"the ratios, of {n_rounds} rounds."
        ),
        Table(ensemble_table(timed)),
    ]
