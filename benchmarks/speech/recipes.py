"""The settings and results of the paper's experiment with speech [1]_, as data.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
   Section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from skorch.callbacks import LRScheduler


@dataclass(frozen=True)
class SpeechRecipe:
    """Settings of a network for spectrograms, trained by Adam."""

    max_epochs: int
    batch_size: int
    lr: float  # of the first epochs
    drop_every: int  # epochs, again and again, after which `lr` is multiplied by `drop_factor`
    drop_factor: float
    erm_epochs: int  # at the start, that do not mix

    def shortened(self, max_epochs: int) -> SpeechRecipe:
        """Give the recipe for another number of epochs, its stages in proportion.

        >>> short = SPEECH_RECIPE.shortened(6)
        >>> short.drop_every, short.erm_epochs
        (2, 1)
        """
        scale = max_epochs / self.max_epochs
        return replace(
            self,
            max_epochs=max_epochs,
            drop_every=max(1, round(scale * self.drop_every)),
            erm_epochs=round(scale * self.erm_epochs),
        )

    def params(self) -> dict[str, Any]:
        """Parameters for ``MixupClassifier``, but for alpha."""
        drops = LRScheduler(
            torch.optim.lr_scheduler.StepLR, step_size=self.drop_every, gamma=self.drop_factor
        )
        return {
            "max_epochs": self.max_epochs,
            "batch_size": self.batch_size,
            "optimizer": torch.optim.Adam,
            "lr": self.lr,
            "erm_epochs": self.erm_epochs,
            "callbacks": [("lr", drops)],
        }


# Adam and the first epochs without mixing are not in the text of [1] that we have.
SPEECH_RECIPE = SpeechRecipe(
    max_epochs=30, batch_size=100, lr=3e-3, drop_every=10, drop_factor=0.1, erm_epochs=5
)
SPEECH_ALPHAS = (0.1, 0.2)
SPEECH_SIZES: Mapping[str, Mapping[str, Any]] = {"lenet": {"width": 20}, "vgg11": {"width": 64}}

# Figure 4: validation and test errors as shares, by network and alpha (0 is ERM); mixed on
# spectrograms.
FIGURE_4_ERRORS: Mapping[tuple[str, float], tuple[float, float]] = {
    ("lenet", 0.0): (0.098, 0.103),
    ("lenet", 0.1): (0.101, 0.108),
    ("lenet", 0.2): (0.102, 0.113),
    ("vgg11", 0.0): (0.050, 0.046),
    ("vgg11", 0.1): (0.040, 0.038),
    ("vgg11", 0.2): (0.039, 0.034),
}
