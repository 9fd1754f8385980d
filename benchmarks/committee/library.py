"""Committees of many settings that are trained once, and weigh some of them at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.committee.recipes import OTHERS
from sklearn_mixup import TabularMixupClassifier
from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._tabular.rows import Rows
from sklearn_mixup._tabular.select import N_PRIOR


class Library(TabularMixupClassifier):
    """A `TabularMixupClassifier` that keeps the networks of all settings, until `choose_among`.

    So variants that choose among other settings have the same networks where they share settings,
    and leave out the same rows.

    Attributes
    ----------
    library : mapping of str to dict
        Settings by name, to be set before the fit; those of the recipe have bins under its rule.
    """

    library: Mapping[str, Mapping[str, Any]]

    def _list_settings(self) -> Sequence[Mapping[str, Any]]:
        return list(self.library.values())

    def _choose(
        self,
        committees: Sequence[Any],
        others: Sequence[Any],
        found: np.ndarray,
        rows: Rows,
        n_prior: float = N_PRIOR,
    ) -> None:
        networks = [own for own in self.settings_ if isinstance(own, dict)]
        kept = [name for name, own in self.library.items() if dict(own) in networks]
        self.committees_ = dict(zip(kept, committees, strict=True))
        self.others_ = {type(other).__name__: other for other in others}
        self._found = dict(zip([*kept, *self.others_], found, strict=True))
        self._rows = rows

    def count_epochs(self, names: Sequence[str]) -> int:
        """Count the epochs that the networks of some settings have trained, all in all."""
        return sum(len(net.history) for name in names for net in self.committees_.get(name, ()))

    def choose_among(
        self,
        names: Sequence[str],
        others: Sequence[str] = OTHERS,
        *,
        n_prior: float = N_PRIOR,
        tempers: bool = True,
    ) -> TabularMixupClassifier:
        """Weigh some of the settings, and of the classifiers beside them, as the recipe does.

        Parameters
        ----------
        names : sequence of str
            Keys of `library`. One that was left out, as bins of wide tables are, is none.
        others : sequence of str
            Names of classes. One that was left out, as of wide tables, is none.
        n_prior : float
            Rows that even shares are worth.
        tempers : bool, default=True
            False leaves the temperature at 1.

        Returns
        -------
        TabularMixupClassifier
            A fitted one, for predictions.
        """
        chosen = copy.copy(self)
        here = [name for name in self.library if name in names and name in self.committees_]
        beside = {name: other for name, other in self.others_.items() if name in others}
        chosen.settings_ = [*(dict(self.library[name]) for name in here), *beside.values()]
        chosen._stacks = Stacks()
        super(Library, chosen)._choose(
            [self.committees_[name] for name in here],
            [*beside.values()],
            np.array([self._found[name] for name in (*here, *beside)]),
            self._rows,
            n_prior,
        )
        if not tempers:
            chosen.temperature_ = 1.0
        return chosen
