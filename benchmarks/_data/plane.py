"""Two classes in the plane, to look at: a disc in a ring."""

from __future__ import annotations

import numpy as np

DISC, RING = 1.2, (2.2, 3.0)  # radius of the disc, inner and outer radius of the ring
EDGE = 3.4  # of the square that is drawn


def make_disc_and_ring(n_points: int, *, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points uniformly from a disc (class 1) and from a ring around it (class 0).

    `n_points` are in each class: X of shape (2 * n_points, 2), float32, first all of class 0. The
    gap between disc and ring is 1 wide.

    Examples
    --------
    >>> X, y = make_disc_and_ring(100, random_state=0)
    >>> bool(X[y == 1].max() <= 1.2), bool(np.hypot(*X[y == 0].T).min() >= 2.2)
    (True, True)
    """
    rng = np.random.default_rng(random_state)
    inner, outer = np.repeat([(RING[0], 0), (RING[1], DISC)], n_points, axis=1)
    # Uniform in area: the square of the radius is uniform.
    radius = np.sqrt(rng.uniform(inner**2, outer**2))
    angle = rng.uniform(0, 2 * np.pi, 2 * n_points)
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)
    return X, np.repeat([0, 1], n_points)
