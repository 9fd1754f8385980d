"""The runs of Figure 3: networks for small pictures, by data, size and number of epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks._data.pictures import PictureSet
from benchmarks._lab.pictures import USUAL_PACE, Pace, Training
from benchmarks._nets.recipes import CIFAR_RECIPES

BUDGET_FAMILY = "preact_resnet18"


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run; `max_epochs` None is the paper's."""

    n_seeds: int
    data: tuple[str, ...]
    sizes: Mapping[str, Mapping[str, Any]]  # of each network
    max_epochs: int | None
    budgets: tuple[int, ...]
    networks: tuple[str, ...] = tuple(CIFAR_RECIPES)
    n_rows: int | None = None  # to train on; None is all
    pace: Pace = USUAL_PACE


def list_trainings(
    scale: Scale,
    pictures: Sequence[PictureSet],
    families: Sequence[str],
    epochs: Sequence[int | None],
) -> list[Training]:
    """List what is trained, with every alpha and seed: each network on all data, for all budgets.

    `epochs` are budgets, each a training of its own; None is that of the paper.
    """
    return [
        Training(
            of,
            family,
            CIFAR_RECIPES[family].shortened(max_epochs),
            scale.sizes[family],
            {"sizes": dict(scale.sizes[family])},
            scale.pace,
        )
        for of in pictures
        for family in families
        for max_epochs in epochs
    ]
