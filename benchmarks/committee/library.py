"""Committees of many settings that are trained once, and choose among some of them at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from sklearn_mixup import TabularMixupClassifier
from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._tabular.committee import Rows


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

    def _choose(self, committees: Sequence[Sequence[Any]], found: np.ndarray, rows: Rows) -> None:
        kept = [name for name, own in self.library.items() if dict(own) in self.settings_]
        self.committees_ = dict(zip(kept, committees, strict=True))
        self._found, self._rows = dict(zip(kept, found, strict=True)), rows

    def count_epochs(self, names: Sequence[str]) -> int:
        """Count the epochs that the networks of some settings have trained, all in all."""
        return sum(len(net.history) for name in names for net in self.committees_.get(name, ()))

    def choose_among(
        self, names: Sequence[str], *, chooses: bool = True, tempers: bool = True
    ) -> TabularMixupClassifier:
        """Choose among some of the settings as the recipe does.

        Parameters
        ----------
        names : sequence of str
            Keys of `library`. One that was left out, as bins of wide tables are, is none.
        chooses : bool, default=True
            False takes the mean of all.
        tempers : bool, default=True
            False leaves the temperature at 1.

        Returns
        -------
        TabularMixupClassifier
            A fitted one, for predictions.
        """
        chosen = copy.copy(self)
        here = [name for name in self.library if name in names and name in self.committees_]
        committees, found = ([of[name] for name in here] for of in (self.committees_, self._found))
        chosen.settings_ = [dict(self.library[name]) for name in here]
        chosen._stacks = Stacks()
        choose = super(Library, chosen)._choose
        if chooses:
            choose(committees, np.array(found), self._rows)
        else:
            choose([[*chain(*committees)]], np.mean(found, axis=0)[None], self._rows)
            chosen.setting_weights_ = np.full(len(here), 1 / len(here))
            chosen.estimator_settings_ = [
                place for place, nets in enumerate(committees) for _ in nets
            ]
        if not tempers:
            chosen.temperature_ = 1.0
        return chosen
