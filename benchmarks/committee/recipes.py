"""The variants of the committee, as data: who is in it, and how they are weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._lab.changes.compare import Change
from sklearn_mixup._tabular.base import SETTINGS
from sklearn_mixup._tabular.others import list_classifiers
from sklearn_mixup._tabular.select import N_PRIOR

_RECIPE = ("mixup", "mixup_bins")
# The classifiers that stand beside the networks, if the table is not too wide.
OTHERS = tuple(type(other).__name__ for other in list_classifiers(1000, 10, 2))
# The settings of the recipe by name, and more that some variant has.
LIBRARY: dict[str, Mapping[str, Any]] = {
    **dict(zip(_RECIPE, SETTINGS, strict=True)),
    "erm": {"alpha": 0.0},
    "erm_bins": {"alpha": 0.0, "bins": 16},
    "alpha_1": {"alpha": 1.0},
    "bins_48": {"alpha": 0.2, "bins": 48},
    "wide": {"alpha": 0.2, "hidden_sizes": (256, 256)},
    "dropout": {"alpha": 0.2, "dropout": 0.1},
    "decay": {"alpha": 0.2, "optimizer__weight_decay": 0.01},
    "smooth": {"alpha": 0.2, "criterion__label_smoothing": 0.05},
    "sample": {"alpha": 0.2, "lam_per": "sample"},
    "sample_bins": {"alpha": 0.2, "lam_per": "sample", "bins": 16},
}


def describe(name: str) -> str:
    """Tell a setting of `LIBRARY` in words; a classifier by its name.

    Examples
    --------
    >>> describe("mixup_bins")
    'alpha=0.2, bins=16'
    >>> describe("LogisticRegression")
    'LogisticRegression'
    """
    return ", ".join(f"{key}={value}" for key, value in LIBRARY.get(name, {}).items()) or name


@dataclass(frozen=True)
class Variant(Change):
    """One change of the committee."""

    settings: tuple[str, ...] = _RECIPE  # of its networks, keys of `LIBRARY`
    others: tuple[str, ...] = OTHERS  # beside them
    halves: bool = False  # whether each setting has half of the networks
    n_prior: float = N_PRIOR  # rows that even shares are worth
    tempers: bool = True  # whether it sets a temperature

    def describe(self) -> dict[str, Any]:
        """Write down all that the result depends on, JSON-serialisable."""
        told = {name: vars(self)[name] for name in ("halves", "others", "n_prior", "tempers")}
        return {**told, "settings": [LIBRARY[name] for name in self.settings]}


_FEWER, _MORE, _OTHER = "Less", "One setting more", "Another way"

_ALL = (
    Variant("reference", "", "the recipe"),
    Variant("networks", _FEWER, "networks alone", others=()),
    Variant("one_network", _FEWER, "networks alone, without bins", settings=("mixup",), others=()),
    Variant("no_networks", _FEWER, "no networks", settings=()),
    Variant("no_bins", _FEWER, "no bins", settings=("mixup",)),
    *(
        Variant(
            *(f"no_{name.lower()}", _FEWER, f"no {name}"),
            others=tuple(other for other in OTHERS if other != name),
        )
        for name in OTHERS
    ),
    Variant("erm_too", _MORE, "alpha=0 as well", settings=(*_RECIPE, "erm", "erm_bins")),
    *(
        Variant(name, _MORE, f"{told} as well", settings=(*_RECIPE, name))
        for name, told in {
            "alpha_1": "alpha=1",
            "bins_48": "48 bins",
            "wide": "hidden_sizes=(256, 256)",
            "dropout": "dropout=0.1",
            "decay": "weight decay 0.01",
            "smooth": "label smoothing 0.05",
        }.items()
    ),
    Variant("erm", _OTHER, "alpha=0 in place of 0.2", settings=("erm", "erm_bins")),
    Variant("sample", _OTHER, 'lam_per="sample"', settings=("sample", "sample_bins")),
    Variant("halves", _OTHER, "half the networks of each setting", halves=True),
    Variant("even", _OTHER, "even shares", n_prior=1e9),
    Variant("no_prior", _OTHER, "shares by the rows alone, without a prior", n_prior=0.0),
    Variant("no_temperature", _OTHER, "no temperature", tempers=False),
)
VARIANTS = {variant.name: variant for variant in _ALL}
