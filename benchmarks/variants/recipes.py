"""The variants of the recipe, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks._lab.changes.compare import YARDSTICK, Change
from benchmarks._nets.tables import DEFAULTS
from sklearn_mixup import MixupClassifier

ALPHA: float = DEFAULTS["alpha"]

Schedule = Callable[[int], np.ndarray]  # the alpha of each epoch, for a number of epochs


# -- alpha over the fit ---------------------------------------------------------------------------


def falling(n_epochs: int, *, start: float) -> np.ndarray:
    """Let alpha fall along a line, to 0 in the last epoch."""
    return np.linspace(start, 0, n_epochs)


def erm_at_end(n_epochs: int, *, share: float) -> np.ndarray:
    """Mix first, and not in the last epochs, a `share` of all."""
    n_mixed = n_epochs - round(share * n_epochs)
    return np.where(np.arange(n_epochs) < n_mixed, ALPHA, 0.0)


def set_next_alpha(net: MixupClassifier, alphas: np.ndarray) -> None:
    """Give a net the alpha of its next epoch; called after each of its epochs."""
    n_done = len(net.history)
    if n_done < len(alphas):
        net.alpha = float(alphas[n_done])


# -- all of them ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variant(Change):
    """One change of the recipe."""

    params: Mapping[str, Any] = field(default_factory=dict)  # other than the classifier's defaults
    numbers: str = "standardised"  # how numeric columns come: or as "quantiles"
    sees_values: bool = False  # whether the net turns quantiles back into standardised values
    alphas: Schedule | None = None
    n_nets: int = 1  # whose probabilities are averaged
    divisor: int = 1  # of their epochs
    bootstrap: bool = False  # whether each net has rows of its own, drawn with replacement

    def describe(self, max_epochs: int) -> dict[str, Any]:
        """Write down all that the result depends on, JSON-serialisable."""
        words = ("name", "kind", "change", "beside", "alphas")
        settings = {key: value for key, value in vars(self).items() if key not in words}
        alphas = None if self.alphas is None else self.alphas(max_epochs).round(9).tolist()
        return {**settings, "alphas": alphas}

    @property
    def is_fused(self) -> bool:
        """Whether its nets can be trained with those of others."""
        return not self.sees_values


_SPACE, _PARTNER, _SCHEDULE = "Space", "Partner", "Alpha over the fit"
_ENSEMBLE = "Ensemble"
# Parts of the epochs at whose end nothing is mixed.
_LAST = {"8th": (1 / 8, "eighth"), "4th": (1 / 4, "quarter"), "half": (1 / 2, "half")}

_ALL = (
    Variant("reference", "", "the recipe"),
    Variant("quantiles", _SPACE, "quantiles are mixed and seen", numbers="quantiles"),
    Variant(
        *("quantiles_mixed", _SPACE, "quantiles are mixed, values are seen"),
        numbers="quantiles",
        sees_values=True,
    ),
    Variant(*("same_class", _PARTNER, "partner of the same class"), params={"pairs": "same_class"}),
    Variant(
        *("nearest", _PARTNER, "nearest row of the minibatch"),
        params={"pairs": "nearest", "n_neighbors": 1},
    ),
    Variant(
        *("near_5", _PARTNER, "one of the 5 nearest of the minibatch"),
        params={"pairs": "nearest", "n_neighbors": 5},
    ),
    *(
        Variant(
            *(f"falling_{start:g}", _SCHEDULE, f"alpha falls from {start:g} to 0"),
            alphas=partial(falling, start=start),
        )
        for start in (2 * ALPHA, 5 * ALPHA)
    ),
    *(
        Variant(
            *(f"erm_last_{name}", _SCHEDULE, f"no mixing in the last {text} of the epochs"),
            alphas=partial(erm_at_end, share=share),
        )
        for name, (share, text) in _LAST.items()
    ),
    Variant(
        *("erm_first_4th", _SCHEDULE, "no mixing in the first quarter of the epochs"),
        params={"erm_epochs": 1 / 4},
    ),
    Variant("nets_16", _ENSEMBLE, "16 nets, half the epochs", "nets_8", n_nets=16, divisor=2),
    Variant(
        *("nets_32", _ENSEMBLE, "32 nets, a quarter of the epochs", "nets_8"), n_nets=32, divisor=4
    ),
    Variant(
        *("bootstrap_8", _ENSEMBLE, "8 nets, each on a bootstrap of the rows", "nets_8"),
        n_nets=8,
        bootstrap=True,
    ),
    Variant("nets_8", YARDSTICK, "8 nets, averaged", n_nets=8),
    Variant("dropout", YARDSTICK, "dropout 0.2", params={"dropout": 0.2}),
    Variant("erm", YARDSTICK, "no mixing at all (ERM)", params={"alpha": 0.0}),
)
VARIANTS = {variant.name: variant for variant in _ALL}
