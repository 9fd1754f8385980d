"""What the paper found on ImageNet [1]_, as data; how it trained is in `_nets.recipes`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

# Table 1: top-1 and top-5 errors as shares, by network, epochs and alpha (0 is ERM); None where
# the table has a dash. ERM at 100 epochs is what [1] quotes from the paper of ResNeXt.
TABLE_1_ERRORS: Mapping[tuple[str, int, float], tuple[float, float | None]] = {
    ("resnet50", 90, 0.0): (0.235, None),
    ("resnet50", 90, 0.2): (0.233, 0.066),
    ("resnet101", 90, 0.0): (0.221, None),
    ("resnet101", 90, 0.2): (0.215, 0.056),
    ("resnext101_32x4d", 100, 0.0): (0.212, None),
    ("resnext101_32x4d", 90, 0.0): (0.212, 0.056),
    ("resnext101_32x4d", 90, 0.4): (0.207, 0.053),
    ("resnext101_64x4d", 100, 0.0): (0.204, 0.053),
    ("resnext101_64x4d", 90, 0.4): (0.198, 0.049),
    ("resnet50", 200, 0.0): (0.236, 0.070),
    ("resnet50", 200, 0.2): (0.221, 0.061),
    ("resnet101", 200, 0.0): (0.220, 0.061),
    ("resnet101", 200, 0.2): (0.208, 0.054),
    ("resnext101_32x4d", 200, 0.0): (0.213, 0.059),
    ("resnext101_32x4d", 200, 0.4): (0.201, 0.050),
}
