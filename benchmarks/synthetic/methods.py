"""What makes tables in the benchmark synthetic, each at its defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._data.tables import Table
from benchmarks._lab.methods.method import Budget, Method
from benchmarks._nets.tables import describe_defaults
from benchmarks.synthetic.makers import Copula, RealRows, Smote
from sklearn_mixup import MixupGAN, VicinalSampler

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


def _gan(title: str, family: str, **params: Any) -> Method:
    """Describe a GAN, which learns rows given their class."""

    def make(table: Table, split: int, budget: Budget, device: str) -> MixupGAN:
        return MixupGAN(**params, **_iterations(budget), device=device, random_state=split)

    def tell(budget: Budget) -> dict[str, Any]:
        names = ("alpha", "latent_dim", "lr", "batch_size", "n_discriminator_steps", "max_iter")
        return describe_defaults(*names, of=MixupGAN) | params | _iterations(budget)

    return Method(title, family, make, "categories", (_JUDGE,), tell=tell)


def _iterations(budget: Budget) -> dict[str, Any]:
    """Tell the iterations of a GAN, if they are not its default."""
    return {} if budget.rounds is None else {"max_iter": 5 * budget.rounds}


METHODS = {
    "real": _other("real rows", "base", lambda seed: RealRows()),
    "bootstrap": _sampler("real rows, drawn", "base", alpha=0),
    "smote": _other("SMOTE", "maker", Smote, "imblearn"),
    "copula": _other("Gaussian copula", "maker", Copula),
    "vicinal": _sampler("VicinalSampler"),
    "alpha_1": _sampler("VicinalSampler, alpha 1", alpha=1),
    "same_class": _sampler("VicinalSampler, same class", pairs="same_class"),
    "gan": _gan("MixupGAN", "mixup"),
    "gan_erm": _gan("MixupGAN, alpha 0", "ERM", alpha=0.0),
}
# Those that train networks, which are run on fewer tables: with mixup, and without.
GANS = ("gan", "gan_erm")
