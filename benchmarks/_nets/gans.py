"""The settings of GANs of two perceptrons, the paper's [1]_ and ours, as data.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class GANRecipe:
    """Settings of a GAN of two multilayer perceptrons, but for alpha.

    `batch_size` counts rows, `lr` and `betas` are Adam's, for both networks; `decays` tells whether
    the learning rate falls to zero along a cosine; `average` is the decay of the average of the
    generator's weights, `gain` that of its initial ones, torch's own if not said otherwise;
    `n_cuts` counts the planes of the latent space across which it may jump. `encode` tells whether
    columns are standardised; `rejection` is the share of the iterations in which a judge of samples
    is trained. `joined` pairs rows of the joined real and generated minibatch, with lam uniform on
    (0, alpha), as the demo of the paper's authors does.
    """

    hidden_sizes: tuple[int, ...]
    batch_size: int
    n_discriminator_steps: int
    lr: float
    betas: tuple[float, float]
    decays: bool
    average: float = 0.0
    saturating: bool = False
    joined: bool = False
    latent_dim: int = 2
    gain: float = math.sqrt(1 / 3)
    n_cuts: int = 0
    encode: bool = False
    rejection: float | str = 0.0
    max_iter: int = 20_000

    def params(self) -> dict[str, Any]:
        """Parameters for ``MixupGAN``."""
        names = ("batch_size", "n_discriminator_steps", "lr", "latent_dim", "average", "saturating")
        params = {name: getattr(self, name) for name in (*names, "rejection", "max_iter")}
        params |= {"generator__gain": self.gain, "generator__n_cuts": self.n_cuts}
        params["encode"] = self.encode
        for network in ("generator", "discriminator"):
            params[f"{network}__hidden_sizes"] = self.hidden_sizes
            params[f"optimizer_{network}__betas"] = self.betas
        return params if self.decays else {**params, "callbacks__lr_decay": None}


# Figure 5 of [1]: 120,000 minibatches of 128. Networks, data and Adam's defaults are those of its
# authors' code.
GAN_PAPER = GANRecipe((512, 512, 512), 128, 5, 1e-3, (0.9, 0.999), decays=False)

# Ours, from a search among some 50 settings: no momentum and a learning rate that falls to zero let
# a GAN settle; one step of the discriminator with a large minibatch serves better than five small
# ones. It passes as many rows through its networks, real or generated, as the paper's: 15.4
# million, of a quarter of the width.
GAN_STEADY = GANRecipe(
    (128, 128, 128), 512, 1, 1e-3, (0.0, 0.99), decays=True, average=0.999, max_iter=15_000
)

# The defaults of MixupGAN: half the rows, about half the iterations, He's initial weights, a
# generator that can jump, and samples that are judged.
GAN_DEFAULT = replace(
    GAN_STEADY,
    batch_size=256,
    max_iter=8_000,
    gain=math.sqrt(2),
    n_cuts=128,
    encode=True,
    rejection="auto",
)

GAN_RECIPES: Mapping[str, GANRecipe] = {
    "paper": GAN_PAPER,
    # The defaults with a generator that cannot jump, and with samples as it makes them.
    "no cuts": replace(GAN_DEFAULT, n_cuts=0, rejection=0.0),
    "no rejection": replace(GAN_DEFAULT, rejection=0.0),
    "default": GAN_DEFAULT,
    "steady": GAN_STEADY,
    # "steady" but for one choice: what does it do?
    "saturating": replace(GAN_STEADY, saturating=True),
    "joined": replace(GAN_STEADY, joined=True),
    "constant lr": replace(GAN_STEADY, decays=False),
    "not averaged": replace(GAN_STEADY, average=0.0),
    "momentum 0.9": replace(GAN_STEADY, betas=(0.9, 0.999)),
}
