"""What makes tables in the benchmark synthetic, each at its defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._data.tables import Table
from benchmarks._lab.methods.method import Budget, Method
from benchmarks.synthetic.makers import Copula, RealRows, Smote
from sklearn_mixup import VicinalSampler

_JUDGE = "lightgbm"  # measures what each of them makes


def _other(title: str, family: str, make: Callable[[int], Any], *packages: str) -> Method:
    """Describe a maker that is none of this package; ``make(seed)`` makes it."""

    def make_it(table: Table, split: int, budget: Budget, device: str) -> Any:
        return make(split)

    return Method(title, family, make_it, "categories", (_JUDGE, *packages))


def _sampler(title: str, family: str = "mixup", **params: Any) -> Method:
    """Describe a sampler of the vicinity."""

    def make(table: Table, split: int, budget: Budget, device: str) -> VicinalSampler:
        return VicinalSampler(**params, random_state=split)

    def tell(budget: Budget) -> dict[str, Any]:
        told = VicinalSampler(**params).get_params()
        return {name: told[name] for name in ("alpha", "pairs", "n_neighbors")}

    return Method(title, family, make, "categories", (_JUDGE,), tell=tell)


METHODS = {
    "real": _other("real rows", "base", lambda seed: RealRows()),
    "bootstrap": _sampler("real rows, drawn", "base", alpha=0),
    "smote": _other("SMOTE", "maker", Smote, "imblearn"),
    "copula": _other("Gaussian copula", "maker", Copula),
    "vicinal": _sampler("VicinalSampler"),
    "alpha_1": _sampler("VicinalSampler, alpha 1", alpha=1),
    "same_class": _sampler("VicinalSampler, same class", pairs="same_class"),
}
# Those that train networks, which are run on fewer tables: with mixup, and without.
GANS: tuple[str, ...] = ()
