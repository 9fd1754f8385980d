"""The methods of others, each at its defaults with the kinds of the columns told.

Whether they learn labels or numbers is seen from the table.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from benchmarks._data.tables import Table, as_categories
from benchmarks._lab.methods.method import Budget, Method
from benchmarks._nets.vision import import_torchvision

# make(table, split, rounds): `rounds` of training, the default if that is None.
Make = Callable[[Table, int, int | None], Any]
# Beyond so many columns TabM-D has its numbers as they are: of 10,000 columns it would make
# 160,000, and need half a minute for a minibatch.
WIDE = 1000


def make_catboost(table: Table, split: int, rounds: int | None) -> Any:
    """Make CatBoost. To it missing categories are a category, as its guide advises."""
    import catboost

    codes = list(as_categories(table).select_dtypes("category").columns)
    # Silent, and without files in the working folder.
    quiet = {"verbose": False, "allow_writing_files": False}
    CatBoost = getattr(catboost, f"CatBoost{table.kind}")
    trees = CatBoost(
        iterations=rounds, random_state=split, thread_count=1, cat_features=codes, **quiet
    )
    if not codes:
        return trees
    fill = SimpleImputer(strategy="constant", fill_value="missing")
    options = {"remainder": "passthrough", "verbose_feature_names_out": False}
    name_missing = make_column_transformer((fill, codes), **options)
    return make_pipeline(name_missing.set_output(transform="pandas"), trees)


def make_lightgbm(table: Table, split: int, rounds: int | None) -> Any:
    """Make LightGBM, which knows categories and missing values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # An old dask, which it imports, warns of itself.
        import lightgbm

    trees: dict[str, Any] = {} if rounds is None else {"n_estimators": rounds}
    LGBM = getattr(lightgbm, f"LGBM{table.kind}")
    return LGBM(random_state=split, n_jobs=1, verbosity=-1, **trees)


def make_tabm(table: Table, split: int, rounds: int | None) -> Any:
    """Make TabM-D, with piecewise-linear numbers where they are not too many for a processor."""
    is_wide = table.X.shape[1] > WIDE
    params = {} if is_wide else {"num_emb_type": "pwl"}
    return _from_pytabkit("TabM_D", table, split, rounds, **params)


def make_realmlp(table: Table, split: int, rounds: int | None) -> Any:
    """Make RealMLP-TD."""
    return _from_pytabkit("RealMLP_TD", table, split, rounds)


def _from_pytabkit(name: str, table: Table, split: int, rounds: int | None, **params: Any) -> Any:
    """Make a net of pytabkit. They take no missing numbers: these become medians."""
    if rounds is not None:
        params["n_epochs"] = rounds
    Net = getattr(_import_pytabkit(), f"{name}_{table.kind}")
    net = Net(random_state=split, device="cpu", n_threads=1, **params)
    numbers = as_categories(table).select_dtypes("number")
    incomplete = list(numbers.columns[numbers.isna().any()])
    if not incomplete:
        return net
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    options = {"remainder": "passthrough", "verbose_feature_names_out": False}
    impute = make_column_transformer((median, incomplete), **options)
    return make_pipeline(impute.set_output(transform="pandas"), net)


def _import_pytabkit() -> Any:
    """Import pytabkit, and have Lightning, which trains some of it, say nothing but errors."""
    import_torchvision()  # torchmetrics, which pytabkit needs, imports it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pytabkit
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return pytabkit


def behind_skrub(estimator: Any) -> Any:
    """Put an estimator behind skrub's pipeline for tables, which suits it to the estimator."""
    from skrub import tabular_pipeline

    return tabular_pipeline(estimator)


def from_sklearn(Estimator: Callable[..., Any]) -> Make:
    """Make an estimator of scikit-learn behind skrub's pipeline."""
    return lambda table, split, rounds: behind_skrub(Estimator(random_state=split))


# -- as methods -----------------------------------------------------------------------------------


def anchor(
    title: str,
    family: str,
    make: Make,
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


def scikit_learn(title: str, family: str, Estimator: Callable[..., Any]) -> Method:
    """Describe an estimator of scikit-learn behind skrub's pipeline."""
    return anchor(title, family, from_sklearn(Estimator), "skrub")


TREES = {
    "catboost": anchor("CatBoost", "trees", make_catboost, "catboost"),
    "lightgbm": anchor("LightGBM", "trees", make_lightgbm, "lightgbm"),
}
_TORCH = ("sklearn", "torch")
NETS = {
    "realmlp": anchor("RealMLP-TD", "net", make_realmlp, "pytabkit", uses=_TORCH),
    "tabm": anchor("TabM-D", "net", make_tabm, "pytabkit", uses=_TORCH),
}
