"""What the paper's experiment with GANs [1]_ shows, and others found, as data.

Its settings are in `_nets.gans`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GAN_ALPHAS = (0.0, 0.1, 0.2, 0.5, 1.0)  # 0 is the ordinary GAN, ERM
GAN_ALPHA = 0.2  # what stands beside ERM
GAN_SNAPSHOTS = (10, 100, 1_000, 10_000, 20_000)  # generator iterations of Figure 5


@dataclass(frozen=True)
class PublishedGAN:
    """Results of a GAN on a toy set: modes of all, share of high quality, reverse KL in nats."""

    modes: float
    high_quality: float
    reverse_kl: float


# Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks",
# NeurIPS 2018: other networks and training, high quality is within 3 standard deviations too.
GAN_PUBLISHED: Mapping[str, Mapping[str, PublishedGAN]] = {
    "ring": {
        "GAN (PacGAN paper)": PublishedGAN(6.3, 0.982, 0.45),
        "PacGAN4 (PacGAN paper)": PublishedGAN(7.8, 0.959, 0.07),
    },
    "grid": {
        "GAN (PacGAN paper)": PublishedGAN(17.3, 0.948, 0.70),
        "PacGAN4 (PacGAN paper)": PublishedGAN(24.8, 0.936, 0.04),
    },
}
