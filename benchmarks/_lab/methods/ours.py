"""The nets of this package as methods, for labels or for numbers."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import make_pipeline

from benchmarks._data.tables import Table, make_preprocessor
from benchmarks._lab.methods.anchors import behind_skrub
from benchmarks._lab.methods.method import FULL, Budget, Method
from benchmarks._nets.tables import describe_defaults
from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    MixupClassifier,
    MixupRegressor,
    TabularMixupClassifier,
    TabularMixupRegressor,
)
from sklearn_mixup._tabular.base import SETTINGS
from sklearn_mixup._tabular.others import list_classifiers, list_regressors

_NETS: dict[str, tuple[Any, Any]] = {
    "Classifier": (MixupClassifier, FusedBaggingClassifier),
    "Regressor": (MixupRegressor, FusedBaggingRegressor),
}
# What stands beside the networks by default, as of a table of middling size.
_COMMITTEES: dict[str, tuple[Any, Any]] = {
    "Classifier": (TabularMixupClassifier, list_classifiers(1000, 10, 2)),
    "Regressor": (TabularMixupRegressor, list_regressors(1000, 10, 1)),
}


def net(
    kind: str,
    title: str,
    family: str,
    *,
    is_ensemble: bool = False,
    is_behind_skrub: bool = False,
    **params: Any,
) -> Method:
    """Describe a net, or an ensemble of them; `kind` is that of the tables, see `Table.kind`."""
    Net, Ensemble = _NETS[kind]

    def make(table: Table, split: int, budget: Budget, device: str) -> Any:
        estimator: Any = Net(device=device, **budget.epochs(), **params)
        if is_ensemble:
            estimator = Ensemble(estimator, budget.n_estimators)
        estimator.set_params(random_state=split)
        if is_behind_skrub:
            return behind_skrub(estimator)
        return make_pipeline(make_preprocessor(table, "standardised"), estimator)

    def tell(budget: Budget) -> dict[str, Any]:
        names = ["module", "optimizer", "lr", "batch_size", "alpha", "max_epochs"]
        if kind == "Regressor":  # Nets for labels train on all rows.
            names.append("early_stopping")
        told = describe_defaults(*names, of=Net) | budget.epochs() | params
        return told | ({"n_estimators": budget.n_estimators} if is_ensemble else {})

    if is_behind_skrub:
        return Method(title, family, make, "categories", ("skrub",), tell=tell)
    return Method(title, family, make, "standardised", tell=tell)


def committee(kind: str, title: str, **params: Any) -> Method:
    """Describe a committee, which takes tables as they are; `kind` is that of the tables."""
    Committee, others = _COMMITTEES[kind]

    def make(table: Table, split: int, budget: Budget, device: str) -> Any:
        estimator = Committee(device=device, random_state=split, n_jobs=1, **params)
        if budget != FULL:
            estimator.set_params(n_estimators=budget.n_estimators)
        return estimator.set_params(**budget.epochs())

    def tell(budget: Budget) -> dict[str, Any]:
        recipe = {"settings": SETTINGS, "others": others} | params
        told = {name: str(value) for name, value in recipe.items()}
        return told | ({} if budget == FULL else vars(budget))

    return Method(title, "mixup", make, "categories", ("skrub",), tell=tell)
