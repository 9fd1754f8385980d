"""What eight nets cost beside one: `FusedBaggingClassifier` and `MixupClassifier`."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import TITLES, find_tables, load_table, make_preprocessor
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Heading, Note, Table
from benchmarks._nets.tables import describe_defaults
from benchmarks.speed.rounds import Section, compute_ratio, list_rounds, time_each
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier

TARGETS = {"fit": 3.0, "predict": 2.0}
# One call of predict_proba is too short to be timed.
_N_PREDICTIONS = 50


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
    one = MixupClassifier(device=device, random_state=turn, **epochs)
    nets: dict[str, Any] = {"one": one, "eight": FusedBaggingClassifier(one, random_state=turn)}
    fits = {f"fit_s {name}": partial(net.fit, X, y) for name, net in nets.items()}
    seconds = time_each(fits, device, turn=turn)
    calls = {f"predict_s {name}": partial(net.predict_proba, X_test) for name, net in nets.items()}
    predicted = pd.DataFrame([time_each(calls, device) for _ in range(_N_PREDICTIONS)])
    return {**seconds, **predicted.median()}


def ensemble_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times, and the ratios of eight nets to one, for the rounds of each table."""
    rows = []
    for name, timed in rounds.groupby("table", sort=False):
        for work, target in TARGETS.items():
            one, eight = timed[f"{work}_s one"], timed[f"{work}_s eight"]
            row = {"table": TITLES[str(name)], "": work}
            row |= {"one net, ms": f"{1000 * one.median():.1f}"}
            row |= {"eight, ms": f"{1000 * eight.median():.1f}"}
            rows.append(row | compute_ratio(eight, one, target).cells())
    return pd.DataFrame(rows)


def plan_section(request: Request) -> Section:
    """List the rounds on each table."""
    scale, data_home = request.scale, request.args.data_home
    n_rounds = request.args.seeds or scale.n_ensemble_rounds
    max_epochs = scale.ensemble_epochs
    settings = {"tables": scale.ensemble_tables, "max_epochs": max_epochs, **request.versions}
    settings["defaults"] = describe_defaults("alpha", "max_epochs")
    tables, _ = find_tables([*scale.ensemble_tables, "digits"], data_home, download=False)
    options = {"max_epochs": max_epochs, "device": request.device, "data_home": data_home}
    tasks = [
        task
        for name in dict.fromkeys(tables)
        for task in list_rounds(
            *(f"ensemble {name}", n_rounds, settings),
            partial(time_round, name, **options),
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
