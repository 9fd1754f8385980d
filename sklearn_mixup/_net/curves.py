"""What scikit-learn's MLPClassifier tells of its training, read from skorch's history."""

from __future__ import annotations

from typing import Any


def read_curve(net: Any, name: str) -> list[float]:
    """Read a number of each epoch."""
    if not net.history or name not in net.history[-1]:
        raise AttributeError(
            f"This {type(net).__name__} has no {name!r} in its history: it is not fitted, or "
            "the callback that writes it was left out."
        )
    return net.history[:, name]
