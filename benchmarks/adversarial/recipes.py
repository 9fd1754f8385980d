"""What the paper found under attack [1]_, as data; how it trained is in `_nets.recipes`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

# Table 3: errors as shares of ResNet-101 on ImageNet with eps 4 of 255, by box, attack and n of
# top-n: those of ERM and mixup.
TABLE_3_ERRORS: Mapping[tuple[str, str, int], tuple[float, float]] = {
    ("white", "fgsm", 1): (0.907, 0.752),
    ("white", "ifgsm", 1): (0.999, 0.996),
    ("white", "fgsm", 5): (0.631, 0.491),
    ("white", "ifgsm", 5): (0.934, 0.958),
    ("black", "fgsm", 1): (0.570, 0.460),
    ("black", "ifgsm", 1): (0.573, 0.409),
    ("black", "fgsm", 5): (0.248, 0.174),
    ("black", "ifgsm", 5): (0.181, 0.118),
}
