"""The settings of networks for tables, as data: the paper's [1]_, and our defaults.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from sklearn_mixup import MixupClassifier


@dataclass(frozen=True)
class TabularRecipe:
    """Settings of a multilayer perceptron for a table.

    `batch_size` counts rows, `lr` is Adam's constant learning rate, and `hidden_sizes` are the
    widths of the hidden layers of ReLU units.
    """

    batch_size: int
    hidden_sizes: tuple[int, ...]
    lr: float
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam

    def params(self) -> dict[str, Any]:
        """Parameters for ``MixupClassifier``; the package's own decay is switched off."""
        return {
            "batch_size": self.batch_size,
            "module__hidden_sizes": self.hidden_sizes,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "callbacks__lr_decay": None,
        }

    def describe(self) -> dict[str, Any]:
        """Give the settings as JSON can hold them."""
        hidden_sizes, optimizer = list(self.hidden_sizes), self.optimizer.__name__
        return {**vars(self), "hidden_sizes": hidden_sizes, "optimizer": optimizer}


# Minibatches of 16 are from [1]. Two hidden layers of 128 and Adam at its defaults are understood
# to be what it used, but were not checked against its text.
TABLE_4 = TabularRecipe(batch_size=16, hidden_sizes=(128, 128), lr=1e-3)

DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(MixupClassifier).parameters.items()
}


def describe_defaults(*names: str, of: Any = MixupClassifier) -> dict[str, Any]:
    """Give defaults of a class of nets as JSON can hold them."""
    parameters = inspect.signature(of).parameters
    defaults = {name: parameters[name].default for name in names}
    return {name: getattr(it, "__name__", it) for name, it in defaults.items()}
