"""What stands beside each other in the benchmark regression: methods, each at its defaults."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks._data.tables import Table
from benchmarks._lab.methods import ours
from benchmarks._lab.methods.anchors import NETS, TREES, anchor, behind_skrub, scikit_learn
from benchmarks._lab.methods.method import Method


def _net(title: str, family: str = "mixup", **options: Any) -> Method:
    """Describe a net of this package, or an ensemble of them."""
    return ours.net("Regressor", title, family, **options)


def _make_mlp(table: Table, split: int, rounds: int | None) -> TransformedTargetRegressor:
    """Make MLPRegressor; of dollars it learns next to nothing, so its target is standardised."""
    net = behind_skrub(MLPRegressor(random_state=split))
    return TransformedTargetRegressor(net, transformer=StandardScaler())


METHODS = {
    "tabular": ours.committee("Regressor", "TabularMixup"),
    "networks": ours.committee("Regressor", "TabularMixup, networks alone", others=()),
    "mixup": _net("mixup"),
    "cmixup": _net("C-Mixup", pairs="target", bandwidth=0.5),
    "erm": _net("ERM", "ERM", alpha=0.0),
    "ensemble": _net("mixup x 8", is_ensemble=True),
    **TREES,
    "hist_gb": scikit_learn("HistGradientBoosting", "trees", HistGradientBoostingRegressor),
    "ridge": scikit_learn("Ridge", "linear", Ridge),
    "mlp": anchor("MLPRegressor", "net", _make_mlp, "skrub"),
    **NETS,
}
