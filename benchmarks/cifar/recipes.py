"""What the paper found on CIFAR [1]_, as data; how it trained is in `_nets.recipes`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

# Figure 3a: test errors as shares, by data, network and alpha (0 is ERM).
FIGURE_3_ERRORS: Mapping[tuple[str, str, float], float] = {
    ("cifar10", "preact_resnet18", 0.0): 0.056,
    ("cifar10", "preact_resnet18", 1.0): 0.042,
    ("cifar10", "wide_resnet", 0.0): 0.038,
    ("cifar10", "wide_resnet", 1.0): 0.027,
    ("cifar10", "densenet_bc", 0.0): 0.037,
    ("cifar10", "densenet_bc", 1.0): 0.027,
    ("cifar100", "preact_resnet18", 0.0): 0.256,
    ("cifar100", "preact_resnet18", 1.0): 0.211,
    ("cifar100", "wide_resnet", 0.0): 0.194,
    ("cifar100", "wide_resnet", 1.0): 0.175,
    ("cifar100", "densenet_bc", 0.0): 0.190,
    ("cifar100", "densenet_bc", 1.0): 0.168,
}
