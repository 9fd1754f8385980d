"""What the paper found on spoken commands [1]_, as data; how it trained is in `_nets.speech`.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

SPEECH_ALPHAS = (0.1, 0.2)
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
