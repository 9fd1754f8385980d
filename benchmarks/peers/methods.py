"""What stands beside each other in the benchmark peers: the methods, each at its defaults."""

from __future__ import annotations

from typing import Any

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from benchmarks._data.tables import Table
from benchmarks._lab.methods import ours
from benchmarks._lab.methods.anchors import NETS, TREES, anchor, scikit_learn
from benchmarks._lab.methods.method import FULL, Budget, Method
from sklearn_mixup import TabularMixupClassifier
from sklearn_mixup._tabular.base import SETTINGS
from sklearn_mixup._tabular.others import list_classifiers


def _net(title: str, family: str = "mixup", **options: Any) -> Method:
    """Describe a net of this package, or an ensemble of them."""
    return ours.net("Classifier", title, family, **options)


def _tabular(title: str, **params: Any) -> Method:
    """Describe the committee, which takes tables as they are."""

    def make(table: Table, split: int, budget: Budget, device: str) -> TabularMixupClassifier:
        committee = TabularMixupClassifier(device=device, random_state=split, n_jobs=1, **params)
        if budget != FULL:
            committee.set_params(n_estimators=budget.n_estimators)
        return committee.set_params(**budget.epochs())

    def tell(budget: Budget) -> dict[str, Any]:
        # Its defaults as of a table of middling size.
        recipe = {"settings": SETTINGS, "others": list_classifiers(1000, 10, 2)} | params
        told = {name: str(value) for name, value in recipe.items()}
        return told | ({} if budget == FULL else vars(budget))

    return Method(title, "mixup", make, "categories", ("skrub",), tell=tell)


def _make_prior(table: Table, split: int, rounds: int | None) -> DummyClassifier:
    """Make the base rates."""
    return DummyClassifier(strategy="prior")


METHODS = {
    "tabular": _tabular("TabularMixup"),
    "networks": _tabular("TabularMixup, networks alone", others=()),
    "mixup": _net("mixup"),
    "mixup_skrub": _net("mixup, skrub", is_behind_skrub=True),
    "ensemble": _net("mixup x 8", is_ensemble=True),
    "ensemble_skrub": _net("mixup x 8, skrub", is_ensemble=True, is_behind_skrub=True),
    "erm_ensemble": _net("ERM x 8", "ERM", is_ensemble=True, alpha=0.0),
    **TREES,
    "hist_gb": scikit_learn("HistGradientBoosting", "trees", HistGradientBoostingClassifier),
    "forest": scikit_learn("RandomForest", "trees", RandomForestClassifier),
    "logistic": scikit_learn("LogisticRegression", "linear", LogisticRegression),
    "mlp": scikit_learn("MLPClassifier", "net", MLPClassifier),
    "prior": anchor("base rates", "base", _make_prior),
    **NETS,
}


def title_of(method: str) -> str:
    """Name a method in tables and figures."""
    return METHODS[method].title
