"""Which rows and features each net of an ensemble gets: those that scikit-learn's bagging draws."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.random import sample_without_replacement


@dataclass(frozen=True)
class Draws:
    """How many rows and features are drawn out of how many, and whether with replacement.

    Without `takes_columns` X goes to the nets as it is.
    """

    n_samples: int
    max_samples: int
    bootstrap: bool
    n_features: int
    max_features: int
    bootstrap_features: bool
    takes_columns: bool

    @classmethod
    def make(cls, ensemble: Any, n_samples: int, n_features: int | None) -> Draws:
        """Turn the parameters of an ensemble into counts.

        `n_features` is None where X has no columns to draw.
        """
        max_samples: Any = 1.0 if ensemble.max_samples is None else ensemble.max_samples
        if not isinstance(max_samples, Integral):
            max_samples = max(int(max_samples * n_samples), 1)
        if max_samples > n_samples and not ensemble.bootstrap:
            raise ValueError(
                f"Without bootstrap, `max_samples` must be at most the number of rows, {n_samples};"
                f" got {max_samples}."
            )
        max_features, n_columns = ensemble.max_features, n_features or 0
        # The whole number 1 is one feature.
        is_all = not isinstance(max_features, Integral) and max_features == 1.0
        takes_columns = ensemble.bootstrap_features or not is_all
        if takes_columns and n_features is None:
            raise ValueError(
                "`max_features` and `bootstrap_features` draw columns, so X must be 2-D; got "
                f"max_features={max_features}. Leave them at their defaults for other X."
            )
        if not isinstance(max_features, Integral):
            max_features = max(int(max_features * n_columns), min(n_columns, 1))
        if max_features > n_columns:
            raise ValueError(
                f"`max_features` must be at most the number of features, {n_columns}; got "
                f"{max_features}."
            )
        return cls(
            n_samples,
            int(max_samples),
            ensemble.bootstrap,
            n_columns,
            int(max_features),
            ensemble.bootstrap_features,
            takes_columns,
        )

    @property
    def all_rows(self) -> bool:
        """Whether each net gets each row once."""
        return self.max_samples == self.n_samples and not self.bootstrap

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw features and rows, in the order in which scikit-learn does."""
        rng = np.random.RandomState(seed)
        drawn = []
        for replace, n, n_drawn in (
            (self.bootstrap_features, self.n_features, self.max_features),
            (self.bootstrap, self.n_samples, self.max_samples),
        ):
            if replace:
                drawn.append(rng.randint(0, n, n_drawn))
            else:
                drawn.append(sample_without_replacement(n, n_drawn, random_state=rng))
        return drawn[0], drawn[1]
