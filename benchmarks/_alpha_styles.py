"""How the methods look in a figure that has many values of alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_BLUE = "#0072B2"


def alpha_colours(alphas: Sequence[float]) -> dict[float, Any]:
    """Give each alpha a colour: ERM (0) is blue, mixup the darker the larger alpha."""
    from matplotlib import colormaps

    mixed = sorted(alpha for alpha in alphas if alpha > 0)
    places = np.linspace(0.35, 0.95, len(mixed)) if len(mixed) > 1 else [0.75]
    return {0.0: _BLUE, **dict(zip(mixed, colormaps["YlOrRd"](places), strict=True))}


def alpha_name(alpha: float) -> str:
    """Name a method in a figure."""
    return rf"mixup, $\alpha$ = {alpha:g}" if alpha else "ERM"


def keep_quiet(ax: Any) -> None:
    """Draw no more of the frame than is needed."""
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
