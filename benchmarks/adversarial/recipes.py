"""What the paper found under attack [1]_, as data; how it trained is in `_nets.recipes`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

# Table 3: errors as shares of ResNet-101 on ImageNet with eps 4 of 255, by box, attack, n of top-n,
# and whether it is mixup.
TABLE_3_ERRORS: Mapping[tuple[str, str, int, bool], float] = {
    ("white", "fgsm", 1, False): 0.907,
    ("white", "ifgsm", 1, False): 0.999,
    ("white", "fgsm", 1, True): 0.752,
    ("white", "ifgsm", 1, True): 0.996,
    ("white", "fgsm", 5, False): 0.631,
    ("white", "ifgsm", 5, False): 0.934,
    ("white", "fgsm", 5, True): 0.491,
    ("white", "ifgsm", 5, True): 0.958,
    ("black", "fgsm", 1, False): 0.570,
    ("black", "ifgsm", 1, False): 0.573,
    ("black", "fgsm", 1, True): 0.460,
    ("black", "ifgsm", 1, True): 0.409,
    ("black", "fgsm", 5, False): 0.248,
    ("black", "ifgsm", 5, False): 0.181,
    ("black", "fgsm", 5, True): 0.174,
    ("black", "ifgsm", 5, True): 0.118,
}
