"""The variants of the committee, as data: the settings that it chooses among, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._lab.changes.compare import Change
from sklearn_mixup._tabular.estimator import SETTINGS

_RECIPE = ("mixup", "erm", "mixup_bins", "erm_bins")
# The settings of the recipe by name, and others that some variant has.
LIBRARY: dict[str, Mapping[str, Any]] = {
    **dict(zip(_RECIPE, SETTINGS, strict=True)),
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
    """Tell a setting of `LIBRARY` in words.

    Examples
    --------
    >>> describe("mixup_bins")
    'alpha=0.2, bins=16'
    """
    return ", ".join(f"{key}={value}" for key, value in LIBRARY[name].items())


@dataclass(frozen=True)
class Variant(Change):
    """One change of the committee."""

    settings: tuple[str, ...] = _RECIPE  # that it chooses among, keys of `LIBRARY`
    halves: bool = False  # whether each has half of the networks
    chooses: bool = True  # or takes the mean of all
    tempers: bool = True  # whether it sets a temperature

    def describe(self) -> dict[str, Any]:
        """Write down all that the result depends on, JSON-serialisable."""
        switches = {name: vars(self)[name] for name in ("halves", "chooses", "tempers")}
        return {**switches, "settings": [LIBRARY[name] for name in self.settings]}


_FEWER, _MORE, _OTHER = "Fewer settings", "One setting more", "Another way"

_ALL = (
    Variant("reference", "", "the recipe"),
    Variant("one_mixup", _FEWER, "one setting, alpha=0.2", settings=("mixup",)),
    Variant("one_erm", _FEWER, "one setting, alpha=0", settings=("erm",)),
    Variant("no_bins", _FEWER, "two settings, those without bins", settings=("mixup", "erm")),
    Variant(
        *("no_erm", _FEWER, "two settings, those with alpha=0.2"), settings=("mixup", "mixup_bins")
    ),
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
    Variant(
        *("sample", _OTHER, 'lam_per="sample" where it mixes'),
        settings=("sample", "erm", "sample_bins", "erm_bins"),
    ),
    Variant("halves", _OTHER, "half the networks of each setting", halves=True),
    Variant("mean", _OTHER, "the mean of the four settings, none chosen", chooses=False),
    Variant("no_temperature", _OTHER, "no temperature", tempers=False),
)
VARIANTS = {variant.name: variant for variant in _ALL}
