"""The methods of others that stand in peers, each at its defaults with the columns' kinds told."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from benchmarks._data.tables import Table, as_categories
from benchmarks._nets.vision import import_torchvision

# make(table, split, rounds): `rounds` of training, the default if that is None.
Make = Callable[[Table, int, int | None], Any]
# Beyond so many columns TabM-D has its numbers as they are: of 10,000 columns it would make
# 160,000, and need half a minute for a minibatch.
WIDE = 1000


def make_catboost(table: Table, split: int, rounds: int | None) -> Any:
    """Make CatBoost. To it missing categories are a category, as its guide advises."""
    from catboost import CatBoostClassifier

    codes = list(as_categories(table).select_dtypes("category").columns)
    # Silent, and without files in the working folder.
    quiet = {"verbose": False, "allow_writing_files": False}
    trees = CatBoostClassifier(
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
        from lightgbm import LGBMClassifier

    trees: dict[str, Any] = {} if rounds is None else {"n_estimators": rounds}
    return LGBMClassifier(random_state=split, n_jobs=1, verbosity=-1, **trees)


def make_tabm(table: Table, split: int, rounds: int | None) -> Any:
    """Make TabM-D, with piecewise-linear numbers where they are not too many for a processor."""
    is_wide = table.X.shape[1] > WIDE
    params = {} if is_wide else {"num_emb_type": "pwl"}
    return _from_pytabkit("TabM_D_Classifier", table, split, rounds, **params)


def make_realmlp(table: Table, split: int, rounds: int | None) -> Any:
    """Make RealMLP-TD."""
    return _from_pytabkit("RealMLP_TD_Classifier", table, split, rounds)


def _from_pytabkit(name: str, table: Table, split: int, rounds: int | None, **params: Any) -> Any:
    """Make a net of pytabkit. They take no missing numbers: these become medians."""
    if rounds is not None:
        params["n_epochs"] = rounds
    Net = getattr(_import_pytabkit(), name)
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


def behind_skrub(classifier: Any) -> Any:
    """Put a classifier behind skrub's pipeline for tables, which suits it to the classifier."""
    from skrub import tabular_pipeline

    return tabular_pipeline(classifier)


def from_sklearn(Classifier: Callable[..., Any]) -> Make:
    """Make a classifier of scikit-learn behind skrub's pipeline."""
    return lambda table, split, rounds: behind_skrub(Classifier(random_state=split))


def make_prior(table: Table, split: int, rounds: int | None) -> DummyClassifier:
    """Make the base rates."""
    return DummyClassifier(strategy="prior")
