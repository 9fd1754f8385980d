"""The settings and results of the paper's experiment with corrupted labels [1]_, as data.

References
----------
.. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

FRACTIONS = (0.2, 0.5, 0.8)  # of the labels to train with


class Method(NamedTuple):
    """A row of the table: what is mixed with, and what is dropped; 0 is neither."""

    name: str
    alpha: float
    dropout: float


@dataclass(frozen=True)
class Grid:
    """Concentrations alpha and shares p that are dropped, of each method; ERM has none."""

    alphas: tuple[float, ...]
    dropouts: tuple[float, ...]
    both_alphas: tuple[float, ...]
    both_dropouts: tuple[float, ...]

    def methods(self) -> list[Method]:
        """List all settings, ERM first.

        Examples
        --------
        >>> methods = Grid((8.0,), (0.5,), (), ()).methods()
        >>> [tuple(method) for method in methods]
        [('ERM', 0.0, 0.0), ('dropout', 0.0, 0.5), ('mixup', 8.0, 0.0)]
        """
        return [
            Method("ERM", 0.0, 0.0),
            *(Method("dropout", 0.0, dropout) for dropout in self.dropouts),
            *(Method("mixup", alpha, 0.0) for alpha in self.alphas),
            *(
                Method("mixup + dropout", *both)
                for both in product(self.both_alphas, self.both_dropouts)
            ),
        ]


METHODS = ("ERM", "dropout", "mixup", "mixup + dropout")
PAPER_GRID = Grid(
    (1.0, 2.0, 8.0, 32.0), (0.5, 0.7, 0.8, 0.9), (1.0, 2.0, 4.0, 8.0), (0.3, 0.5, 0.7)
)


@dataclass(frozen=True)
class PublishedErrors:
    """A row of Table 2: alpha and p of the best model, and its errors, as shares in [0, 1]."""

    alpha: float
    dropout: float
    best: float
    last: float
    real: float
    corrupted: float


# Table 2, by fraction and method. 0.1 at 20 % is what it prints, though it is in no grid of [1].
TABLE_2: Mapping[tuple[float, str], PublishedErrors] = {
    (0.2, "ERM"): PublishedErrors(0, 0, 0.127, 0.166, 0.0005, 0.0028),
    (0.2, "dropout"): PublishedErrors(0, 0.7, 0.088, 0.104, 0.0526, 0.8355),
    (0.2, "mixup"): PublishedErrors(8, 0, 0.059, 0.064, 0.0227, 0.8632),
    (0.2, "mixup + dropout"): PublishedErrors(4, 0.1, 0.062, 0.062, 0.0192, 0.8502),
    (0.5, "ERM"): PublishedErrors(0, 0, 0.188, 0.446, 0.0026, 0.0064),
    (0.5, "dropout"): PublishedErrors(0, 0.8, 0.141, 0.155, 0.1271, 0.8698),
    (0.5, "mixup"): PublishedErrors(32, 0, 0.113, 0.127, 0.0584, 0.8571),
    (0.5, "mixup + dropout"): PublishedErrors(8, 0.3, 0.109, 0.109, 0.0756, 0.8790),
    (0.8, "ERM"): PublishedErrors(0, 0, 0.365, 0.739, 0.0062, 0.0083),
    (0.8, "dropout"): PublishedErrors(0, 0.8, 0.309, 0.351, 0.2984, 0.8637),
    (0.8, "mixup"): PublishedErrors(32, 0, 0.253, 0.309, 0.1892, 0.8544),
    (0.8, "mixup + dropout"): PublishedErrors(8, 0.3, 0.240, 0.248, 0.1970, 0.8767),
}

# Ours, for tables: the package's defaults. With Adam, whose learning rate falls to zero.
TABLES_RECIPE: Mapping[str, Any] = {
    "module__hidden_sizes": (128, 128),
    "batch_size": 32,
    "lr": 3e-3,
}
