"""What stands beside each other in the benchmark peers: the methods, each at its defaults."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from benchmarks._data.splits import make_folds
from benchmarks._data.tables import Table, make_preprocessor
from benchmarks._nets.tables import describe_defaults
from benchmarks._nets.vision import import_torchvision
from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier

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


# -- nets with mixup, and without -----------------------------------------------------------------


def _net(table: Table, split: int, budget: Budget, device: str, **params: Any) -> Any:
    """Make a net of this package behind the preprocessor."""
    net = MixupClassifier(random_state=split, device=device, **budget.epochs(), **params)
    return make_pipeline(make_preprocessor(table, "standardised"), net)


def _ensemble(table: Table, split: int, budget: Budget, device: str, **params: Any) -> Any:
    """Make an ensemble of nets, trained as one stack, behind the preprocessor."""
    net = MixupClassifier(device=device, **budget.epochs(), **params)
    ensemble = FusedBaggingClassifier(net, n_estimators=budget.n_estimators, random_state=split)
    return make_pipeline(make_preprocessor(table, "standardised"), ensemble)


def _search(
    table: Table,
    split: int,
    budget: Budget,
    device: str,
    *,
    grid: Callable[[Budget], Mapping[str, tuple[float, ...]]],
) -> FusedGridSearchCV:
    """Make a search over the settings of a net, in folds of the training rows."""
    return FusedGridSearchCV(
        _net(table, split, budget, device),
        {f"mixupclassifier__{name}": list(values) for name, values in grid(budget).items()},
        cv=make_folds(table, split),
        n_jobs=1,
        error_score="raise",
    )


def _own_budget(budget: Budget, *, alpha: float) -> dict[str, tuple[float, ...]]:
    """Tell the grid in which a method finds its own best epochs."""
    return {"alpha": (alpha,), "max_epochs": budget.own_epochs}


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
    impute = make_column_transformer(
        (SimpleImputer(strategy="median", keep_empty_features=True), incomplete),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return make_pipeline(impute.set_output(transform="pandas"), net)


def import_realmlp() -> Any:
    """Import RealMLP-TD, and have Lightning, which trains it, say nothing but errors.

    Returns
    -------
    type
        ``pytabkit.RealMLP_TD_Classifier``.

    Raises
    ------
    ImportError
        If pytabkit is not installed.
    """
    import_torchvision()  # torchmetrics, which pytabkit needs, imports it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytabkit import RealMLP_TD_Classifier
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return RealMLP_TD_Classifier


def _hist_gb(table: Table, split: int, budget: Budget, device: str) -> Any:
    """Make gradient boosting, which knows categories and missing values."""
    return HistGradientBoostingClassifier(random_state=split)


def _forest(table: Table, split: int, budget: Budget, device: str) -> Any:
    """Make a random forest on numbers that are as raw as can be."""
    return make_pipeline(
        make_preprocessor(table, "raw"), RandomForestClassifier(random_state=split)
    )


def _mlp(table: Table, split: int, budget: Budget, device: str) -> Any:
    """Make scikit-learn's net behind the preprocessor."""
    net = MLPClassifier(random_state=split)
    return make_pipeline(make_preprocessor(table, "standardised"), net)


def as_categories(table: Table) -> pd.DataFrame:
    """Get the features with nominal columns, and those of words, as categories."""
    words = table.X.select_dtypes(exclude="number").columns
    return table.X.astype(dict.fromkeys({*table.nominal, *words}, "category"))


# -- all of them ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A method of the benchmark.

    Parameters
    ----------
    title : str
        Its name in tables and figures.
    family : {"mixup", "ERM", "net", "trees"}
    make : callable
        ``make(table, split, budget, device)``, the estimator.
    features : {"standardised", "raw", "categories"}
        What it learns from: see `make_preprocessor` and `as_categories`.
    tell : callable
        ``tell(budget)``, the settings that its results depend on.
    """

    title: str
    family: str
    make: Callable[[Table, int, Budget, str], Any]
    features: str
    tell: Callable[[Budget], Mapping[str, Any]]

    @property
    def is_ours(self) -> bool:
        """Whether it is a net of this package."""
        return self.family in ("mixup", "ERM")

    def settings(self, budget: Budget, environment: Mapping[str, str]) -> dict[str, Any]:
        """Tell all that its results depend on.

        They hold no version of what it does not use: a new one would have it run again for nothing.
        """
        used = ["device", "sklearn"]
        if self.is_ours:
            used = list(environment)
        elif self.family == "net" and self.title.startswith("RealMLP"):
            used.append("torch")
        versions = {name: environment[name] for name in used}
        return {**versions, "features": self.features, **self.tell(budget)}


def _tell_net(budget: Budget, **params: Any) -> dict[str, Any]:
    """Tell the settings of a net of this package."""
    names = ("module", "optimizer", "lr", "batch_size", "alpha", "max_epochs")
    recipe = describe_defaults(*names)
    return recipe | budget.epochs() | params


def _tell_ensemble(budget: Budget, **params: Any) -> dict[str, Any]:
    """Tell the settings of an ensemble."""
    return {**_tell_net(budget, **params), "n_estimators": budget.n_estimators}


def _tell_realmlp(budget: Budget) -> dict[str, Any]:
    """Tell the settings of RealMLP-TD."""
    return {PYTABKIT: version(PYTABKIT), "n_epochs": budget.realmlp_epochs}


def _tell_nothing(budget: Budget) -> dict[str, Any]:
    """Tell that all settings are at their defaults."""
    return {}


def _our_net(title: str, family: str, **params: Any) -> Method:
    """Describe a net of this package."""
    make, tell = partial(_net, **params), partial(_tell_net, **params)
    return Method(title, family, make, "standardised", tell)


def _our_ensemble(title: str, family: str, **params: Any) -> Method:
    """Describe an ensemble of nets of this package."""
    make, tell = partial(_ensemble, **params), partial(_tell_ensemble, **params)
    return Method(title, family, make, "standardised", tell)


def _our_search(
    title: str, family: str, grid: Callable[[Budget], Mapping[str, tuple[float, ...]]]
) -> Method:
    """Describe a search around a net of this package."""

    def tell(budget: Budget) -> dict[str, Any]:
        searched = {name: list(values) for name, values in grid(budget).items()}
        return {**_tell_net(budget), "grid": searched, "n_folds": 3}

    return Method(title, family, partial(_search, grid=grid), "standardised", tell)


METHODS = {
    "mixup": _our_net("mixup", "mixup"),
    "ensemble": _our_ensemble("mixup x 8", "mixup"),
    "tuned": _our_search("mixup, tuned", "mixup", lambda budget: budget.tuned),
    "mixup_budget": _our_search(
        "mixup, own budget", "mixup", partial(_own_budget, alpha=_OWN_ALPHA)
    ),
    "erm": _our_net("ERM", "ERM", alpha=0.0),
    "erm_ensemble": _our_ensemble("ERM x 8", "ERM", alpha=0.0),
    "erm_budget": _our_search("ERM, own budget", "ERM", partial(_own_budget, alpha=0.0)),
    "realmlp": Method("RealMLP-TD", "net", _realmlp, "categories", _tell_realmlp),
    "mlp": Method("MLPClassifier", "net", _mlp, "standardised", _tell_nothing),
    "hist_gb": Method("HistGradientBoosting", "trees", _hist_gb, "categories", _tell_nothing),
    "forest": Method("RandomForest", "trees", _forest, "raw", _tell_nothing),
}


def title_of(method: str) -> str:
    """Name a method in tables and figures."""
    return METHODS[method].title


def is_installed(method: str) -> bool:
    """Tell whether the package of a method is installed."""
    return method != "realmlp" or find_spec(PYTABKIT) is not None
