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
from benchmarks._lab.methods.method import Method


def _net(title: str, family: str = "mixup", **options: Any) -> Method:
    """Describe a net of this package, or an ensemble of them."""
    return ours.net("Classifier", title, family, **options)


def _make_prior(table: Table, split: int, rounds: int | None) -> DummyClassifier:
    """Make the base rates."""
    return DummyClassifier(strategy="prior")


METHODS = {
    "tabular": ours.committee("Classifier", "TabularMixup"),
    "networks": ours.committee("Classifier", "TabularMixup, networks alone", others=()),
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
