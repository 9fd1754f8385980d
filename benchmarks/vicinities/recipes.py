"""The vicinities that are set beside each other, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks._lab.changes.compare import RECIPE, Change

MIXUP, ERM = RECIPE, "erm"  # mixup by its defaults is what the others change


@dataclass(frozen=True)
class Vicinity(Change):
    """A way to mix: mixup with one thing changed."""

    title: str = ""  # short
    params: Mapping[str, Any] = field(default_factory=dict)  # of the nets, as JSON


_KIND = "Way to mix"
_COMMON = (
    Vicinity(MIXUP, _KIND, "mixup", title="mixup"),
    Vicinity(ERM, _KIND, "ERM, nothing mixed", title="ERM", params={"alpha": 0.0}),
    Vicinity(
        *("input", _KIND, "inputs mixed, labels not"),
        title="inputs alone",
        params={"vicinity": "input"},
    ),
    Vicinity(
        *("same_class", _KIND, "partner of the same class"),
        title="same class",
        params={"pairs": "same_class"},
    ),
    Vicinity(
        *("different_class", _KIND, "partner of a different class"),
        title="different class",
        params={"pairs": "different_class"},
    ),
    Vicinity(
        *("nearest", _KIND, "partner among the 5 nearest"),
        title="nearest",
        params={"pairs": "nearest"},
    ),
    Vicinity(
        *("regmixup", _KIND, "half of the loss unmixed (RegMixup)"),
        title="RegMixup",
        params={"erm_weight": 0.5},
    ),
)


def _manifold(*layers: str) -> Vicinity:
    """Describe manifold mixup at the inputs and at some layers."""
    return Vicinity(
        *("manifold", _KIND, "mixed at inputs or layers (manifold mixup)"),
        title="manifold mixup",
        params={"mix_at": ["input", *layers]},
    )


def _by_name(*vicinities: Vicinity) -> dict[str, Vicinity]:
    return {vicinity.name: vicinity for vicinity in vicinities}


# What comes out of a linear layer is mixed as what goes into it: these are the inputs, and what
# comes out of the first and the second layer of ReLUs.
ON_TABLES = _by_name(*_COMMON, _manifold("hidden.1", "output"))
# Manifold mixup mixes where its paper did in PreAct ResNet-18: the pictures, and what comes out of
# the first and the second stage.
ON_PICTURES = _by_name(
    *(vicinity for vicinity in _COMMON if vicinity.name not in ("different_class", "nearest")),
    Vicinity(
        *("cutmix", _KIND, "a box pasted (CutMix)"),
        title="CutMix",
        params={"vicinity": "cutmix"},
    ),
    _manifold("stages.0", "stages.1"),
)


def beside_erm(vicinity: Vicinity) -> Vicinity:
    """Give the same vicinity as a change of ERM."""
    return replace(vicinity, name=f"{vicinity.name} less {ERM}", beside=ERM)


#: Of the page on tables: each beside mixup, and then each beside ERM.
CHANGES: Mapping[str, Vicinity] = ON_TABLES | _by_name(
    *(beside_erm(it) for it in ON_TABLES.values() if it.name != ERM)
)
