"""What a method is that stands beside others: how it is made, and what its results depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from benchmarks._data.tables import Table

# What packages are called where they are installed from, if not as they are imported.
_PROJECTS = {"imblearn": "imbalanced-learn"}


@dataclass(frozen=True)
class Budget:
    """How much the methods may compute; what `FULL` leaves at None is at its default."""

    n_estimators: int = 8
    max_epochs: int | None = None
    rounds: int | None = None  # epochs or trees of the others

    def epochs(self) -> dict[str, Any]:
        """Tell the epochs of our nets, if they are not their default."""
        return {} if self.max_epochs is None else {"max_epochs": self.max_epochs}


FULL = Budget()
TINY = Budget(n_estimators=2, max_epochs=2, rounds=2)


@dataclass(frozen=True)
class Method:
    """A method that is set beside others."""

    title: str  # in tables and figures
    family: str  # a key of `figures.FAMILIES`
    make: Callable[[Table, int, Budget, str], Any]  # make(table, split, budget, device)
    features: str  # "standardised", see `make_preprocessor`; "categories"
    packages: tuple[str, ...] = ()  # that it needs, beside those of this package
    uses: tuple[str, ...] = ("sklearn",)  # of `environment`; all of it, if it is ours
    # tell(budget), the settings that its results depend on, where they are not its defaults.
    tell: Callable[[Budget], Mapping[str, Any]] = lambda budget: {}

    @property
    def is_ours(self) -> bool:
        """Whether it is a net of this package."""
        return self.family in ("mixup", "ERM")

    @property
    def is_anchor(self) -> bool:
        """Whether it is a method of others that learns from the features."""
        return not self.is_ours and self.family != "base"

    def absent_packages(self) -> list[str]:
        """List the packages that it needs and that are not installed."""
        return [name for name in self.packages if find_spec(name) is None]

    def packages_used(self) -> dict[str, str]:
        """Tell the versions of its packages."""
        projects = (_PROJECTS.get(name, name) for name in self.packages)
        return {name: version(name) for name in projects}

    def settings(self, budget: Budget, environment: Mapping[str, str]) -> dict[str, Any]:
        """Tell all that its results depend on.

        They hold no version of what it does not use: a new one would have it run again for nothing.
        """
        used = environment if self.is_ours else ("device", *self.uses)
        versions = {name: environment[name] for name in used} | self.packages_used()
        return {**versions, "features": self.features, **self.tell(budget)}


def absent_note(absent: Iterable[Method]) -> str:
    """Say which methods are left out and how to get them."""
    methods = list(absent)
    names = ", ".join(method.title for method in methods)
    packages = dict.fromkeys(name for method in methods for name in method.absent_packages())
    projects = (_PROJECTS.get(name, name) for name in packages)
    how = f"To have them too: pip install {' '.join(projects)}, then start again."
    return f"Not installed, and left out: {names}. {how}"
