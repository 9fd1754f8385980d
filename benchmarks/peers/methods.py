"""What stands beside each other in the benchmark peers: the methods, each at its defaults."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks._data.tables import Table, make_preprocessor
from benchmarks._lab.stacks import search_nets
from benchmarks._nets.tables import describe_defaults
from benchmarks._nets.vision import import_torchvision
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier

PYTABKIT = "pytabkit"
_OWN_ALPHA = 0.2


@dataclass(frozen=True)
class Budget:
    """How much the nets may compute; what `FULL` leaves at None is at its default.

    `tuned` is the grid of the tuned method, and `own_epochs` are the epochs among which a method
    finds its own best budget.
    """

    tuned: Mapping[str, tuple[float, ...]]
    own_epochs: tuple[int, ...]
    n_estimators: int = 8
    max_epochs: int | None = None
    realmlp_epochs: int | None = None

    def epochs(self) -> dict[str, Any]:
        """Tell the epochs of MixupClassifier, if they are not its default."""
        return {} if self.max_epochs is None else {"max_epochs": self.max_epochs}


FULL = Budget(
    tuned={"alpha": (0.1, 0.2, 0.5), "dropout": (0.0, 0.2), "max_epochs": (16, 64)},
    own_epochs=(4, 8, 16, 32, 64),
)
TINY = Budget(
    tuned={"alpha": (0.1, 0.5), "max_epochs": (1, 2)},
    own_epochs=(1, 2),
    n_estimators=2,
    max_epochs=2,
    realmlp_epochs=2,
)


def as_categories(table: Table) -> pd.DataFrame:
    """Get the features with nominal columns, and those of words, as categories."""
    words = table.X.select_dtypes(exclude="number").columns
    return table.X.astype(dict.fromkeys({*table.nominal, *words}, "category"))


@dataclass(frozen=True)
class Method:
    """A method of the benchmark."""

    title: str  # in tables and figures
    family: str  # "mixup", "ERM", "net" or "trees"
    make: Callable[[Table, int, Budget, str], Any]  # make(table, split, budget, device)
    features: str  # "standardised" or "raw", see `make_preprocessor`; "categories"
    # tell(budget), the settings that its results depend on, where they are not its defaults.
    tell: Callable[[Budget], Mapping[str, Any]] = lambda budget: {}

    @property
    def is_ours(self) -> bool:
        """Whether it is a net of this package."""
        return self.family in ("mixup", "ERM")

    def settings(self, budget: Budget, environment: Mapping[str, str]) -> dict[str, Any]:
        """Tell all that its results depend on.

        They hold no version of what it does not use: a new one would have it run again for nothing.
        """
        used = ["device", "sklearn", *(["torch"] if self.title == "RealMLP-TD" else [])]
        versions = {name: environment[name] for name in (environment if self.is_ours else used)}
        return {**versions, "features": self.features, **self.tell(budget)}


# -- nets with mixup, and without -----------------------------------------------------------------


def _ours(
    title: str,
    family: str,
    *,
    is_ensemble: bool = False,
    grid: Callable[[Budget], Mapping[str, tuple[float, ...]]] | None = None,
    **params: Any,
) -> Method:
    """Describe a net of this package, an ensemble of them, or a search of settings around one."""

    def make(table: Table, split: int, budget: Budget, device: str) -> Any:
        net = MixupClassifier(device=device, **budget.epochs(), **params)
        if is_ensemble:
            net = FusedBaggingClassifier(net, budget.n_estimators)
        net.set_params(random_state=split)
        if grid is not None:
            return search_nets(table, split, net, grid(budget))
        return make_pipeline(make_preprocessor(table, "standardised"), net)

    def tell(budget: Budget) -> dict[str, Any]:
        names = ("module", "optimizer", "lr", "batch_size", "alpha", "max_epochs")
        told = describe_defaults(*names) | budget.epochs() | params
        if is_ensemble:
            told["n_estimators"] = budget.n_estimators
        if grid is not None:
            searched = {name: list(values) for name, values in grid(budget).items()}
            told |= {"grid": searched, "n_folds": 3}
        return told

    return Method(title, family, make, "standardised", tell)


def _own_budget(title: str, family: str, alpha: float) -> Method:
    """Describe a search of a net's own best epochs."""

    def grid(budget: Budget) -> dict[str, tuple[float, ...]]:
        return {"alpha": (alpha,), "max_epochs": budget.own_epochs}

    return _ours(title, family, grid=grid)


# -- peers ----------------------------------------------------------------------------------------


def _realmlp(table: Table, split: int, budget: Budget, device: str) -> Any:
    """Make RealMLP-TD, which takes no missing numbers: they become medians."""
    RealMLP = import_realmlp()
    epochs = {} if budget.realmlp_epochs is None else {"n_epochs": budget.realmlp_epochs}
    net = RealMLP(random_state=split, device=device, n_threads=1, **epochs)
    numbers = as_categories(table).select_dtypes("number")
    incomplete = list(numbers.columns[numbers.isna().any()])
    if not incomplete:
        return net
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    options = {"remainder": "passthrough", "verbose_feature_names_out": False}
    impute = make_column_transformer((median, incomplete), **options)
    return make_pipeline(impute.set_output(transform="pandas"), net)


def import_realmlp() -> Any:
    """Import RealMLP-TD, and have Lightning, which trains it, say nothing but errors."""
    import_torchvision()  # torchmetrics, which pytabkit needs, imports it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytabkit import RealMLP_TD_Classifier
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return RealMLP_TD_Classifier


def _behind(features: str, Classifier: Callable[..., Any]) -> Callable[..., Any]:
    """Make a classifier of scikit-learn behind the preprocessor."""
    return lambda table, split, *_: make_pipeline(
        make_preprocessor(table, features), Classifier(random_state=split)
    )


def _hist_gb(table: Table, split: int, *_: Any) -> HistGradientBoostingClassifier:
    """Make gradient-boosted trees, which know categories and missing values."""
    return HistGradientBoostingClassifier(random_state=split)


# -- all of them ----------------------------------------------------------------------------------

METHODS = {
    "mixup": _ours("mixup", "mixup"),
    "ensemble": _ours("mixup x 8", "mixup", is_ensemble=True),
    "tuned": _ours("mixup, tuned", "mixup", grid=lambda budget: budget.tuned),
    "mixup_budget": _own_budget("mixup, own budget", "mixup", _OWN_ALPHA),
    "erm": _ours("ERM", "ERM", alpha=0.0),
    "erm_ensemble": _ours("ERM x 8", "ERM", is_ensemble=True, alpha=0.0),
    "erm_budget": _own_budget("ERM, own budget", "ERM", 0.0),
    "realmlp": Method(
        *("RealMLP-TD", "net", _realmlp, "categories"),
        lambda budget: {PYTABKIT: version(PYTABKIT), "n_epochs": budget.realmlp_epochs},
    ),
    "mlp": Method("MLPClassifier", "net", _behind("standardised", MLPClassifier), "standardised"),
    "hist_gb": Method("HistGradientBoosting", "trees", _hist_gb, "categories"),
    "forest": Method("RandomForest", "trees", _behind("raw", RandomForestClassifier), "raw"),
}


def title_of(method: str) -> str:
    """Name a method in tables and figures."""
    return METHODS[method].title


def is_installed(method: str) -> bool:
    """Tell whether the package of a method is installed."""
    return method != "realmlp" or find_spec(PYTABKIT) is not None
