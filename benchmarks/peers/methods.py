"""What stands beside each other in the benchmark peers: the methods, each at its defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks._data.tables import Table, make_preprocessor
from benchmarks._nets.tables import describe_defaults
from benchmarks.peers import anchors
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, TabularMixupClassifier
from sklearn_mixup._tabular.base import SETTINGS
from sklearn_mixup._tabular.others import list_classifiers


@dataclass(frozen=True)
class Budget:
    """How much the methods may compute; what `FULL` leaves at None is at its default."""

    n_estimators: int = 8
    max_epochs: int | None = None
    rounds: int | None = None  # epochs or trees of the others

    def epochs(self) -> dict[str, Any]:
        """Tell the epochs of MixupClassifier, if they are not its default."""
        return {} if self.max_epochs is None else {"max_epochs": self.max_epochs}


FULL = Budget()
TINY = Budget(n_estimators=2, max_epochs=2, rounds=2)


@dataclass(frozen=True)
class Method:
    """A method of the benchmark."""

    title: str  # in tables and figures
    family: str  # a key of `figures.FAMILIES`
    make: Callable[[Table, int, Budget, str], Any]  # make(table, split, budget, device)
    features: str  # "standardised", see `make_preprocessor`; "categories"
    packages: tuple[str, ...] = ()  # that it needs, beside those of this package
    uses: tuple[str, ...] = ("sklearn",)  # of `environment`; all of it, if it is ours
    # tell(budget), the settings that its results depend on, where they are not its defaults.
    tell: Callable[[Budget], Mapping[str, Any]] = lambda budget: {}

    @property
    def is_ours(self) -> bool:
        """Whether it is a net of this package."""
        return self.family in ("mixup", "ERM")

    @property
    def is_anchor(self) -> bool:
        """Whether it is a method of others that learns from the features."""
        return not self.is_ours and self.family != "base"

    def packages_used(self) -> dict[str, str]:
        """Tell the versions of its packages."""
        return {name: version(name) for name in self.packages}

    def settings(self, budget: Budget, environment: Mapping[str, str]) -> dict[str, Any]:
        """Tell all that its results depend on.

        They hold no version of what it does not use: a new one would have it run again for nothing.
        """
        used = environment if self.is_ours else ("device", *self.uses)
        versions = {name: environment[name] for name in used} | self.packages_used()
        return {**versions, "features": self.features, **self.tell(budget)}


# -- nets with mixup, and without -----------------------------------------------------------------


def _ours(
    title: str,
    family: str,
    *,
    is_ensemble: bool = False,
    is_behind_skrub: bool = False,
    **params: Any,
) -> Method:
    """Describe a net of this package, or an ensemble of them."""

    def make(table: Table, split: int, budget: Budget, device: str) -> Any:
        net = MixupClassifier(device=device, **budget.epochs(), **params)
        if is_ensemble:
            net = FusedBaggingClassifier(net, budget.n_estimators)
        net.set_params(random_state=split)
        if is_behind_skrub:
            return anchors.behind_skrub(net)
        return make_pipeline(make_preprocessor(table, "standardised"), net)

    def tell(budget: Budget) -> dict[str, Any]:
        names = ("module", "optimizer", "lr", "batch_size", "alpha", "max_epochs")
        told = describe_defaults(*names) | budget.epochs() | params
        return told | ({"n_estimators": budget.n_estimators} if is_ensemble else {})

    if is_behind_skrub:
        return Method(title, family, make, "categories", ("skrub",), tell=tell)
    return Method(title, family, make, "standardised", tell=tell)


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


# -- peers ----------------------------------------------------------------------------------------


def _anchor(
    title: str,
    family: str,
    make: anchors.Make,
    *packages: str,
    uses: tuple[str, ...] = ("sklearn",),
) -> Method:
    """Describe a method of others."""

    def make_it(table: Table, split: int, budget: Budget, device: str) -> Any:
        return make(table, split, budget.rounds)

    def tell(budget: Budget) -> dict[str, Any]:
        has_rounds = packages and packages != ("skrub",)
        return {"rounds": budget.rounds} if has_rounds else {}

    return Method(title, family, make_it, "categories", packages, uses, tell)


_NETS: dict[str, Any] = {"uses": ("sklearn", "torch")}


def _behind_skrub(title: str, family: str, Classifier: Callable[..., Any]) -> Method:
    """Describe a classifier of scikit-learn behind skrub's pipeline."""
    return _anchor(title, family, anchors.from_sklearn(Classifier), "skrub")


# -- all of them ----------------------------------------------------------------------------------

METHODS = {
    "tabular": _tabular("TabularMixup"),
    "networks": _tabular("TabularMixup, networks alone", others=()),
    "mixup": _ours("mixup", "mixup"),
    "mixup_skrub": _ours("mixup, skrub", "mixup", is_behind_skrub=True),
    "ensemble": _ours("mixup x 8", "mixup", is_ensemble=True),
    "ensemble_skrub": _ours("mixup x 8, skrub", "mixup", is_ensemble=True, is_behind_skrub=True),
    "erm_ensemble": _ours("ERM x 8", "ERM", is_ensemble=True, alpha=0.0),
    "catboost": _anchor("CatBoost", "trees", anchors.make_catboost, "catboost"),
    "lightgbm": _anchor("LightGBM", "trees", anchors.make_lightgbm, "lightgbm"),
    "hist_gb": _behind_skrub("HistGradientBoosting", "trees", HistGradientBoostingClassifier),
    "forest": _behind_skrub("RandomForest", "trees", RandomForestClassifier),
    "logistic": _behind_skrub("LogisticRegression", "linear", LogisticRegression),
    "mlp": _behind_skrub("MLPClassifier", "net", MLPClassifier),
    "prior": _anchor("base rates", "base", anchors.make_prior),
    "realmlp": _anchor("RealMLP-TD", "net", anchors.make_realmlp, "pytabkit", **_NETS),
    "tabm": _anchor("TabM-D", "net", anchors.make_tabm, "pytabkit", **_NETS),
}


def title_of(method: str) -> str:
    """Name a method in tables and figures."""
    return METHODS[method].title


def absent_packages(method: str) -> list[str]:
    """List the packages of a method that are not installed."""
    return [name for name in METHODS[method].packages if find_spec(name) is None]
