"""How figures look, in every experiment alike; `outcome.write` saves them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# Those of Okabe and Ito, told apart with any colour vision, and a soft black.
BLUE, SKY, GREEN, ORANGE = "#0072B2", "#56B4E9", "#009E73", "#E69F00"
VERMILLION, PURPLE, BLACK = "#D55E00", "#CC79A7", "#222222"
# Greys, the darkest first: words, marks, a grid in front, a grid behind, every other row.
GREY, SOFT, GRID, FAINT, STRIPE = "#666666", "#6e6e6e", "#dddddd", "#e5e5e5", "#f3f3f3"


def new_figure(width: float, height: float, **options: Any) -> Any:
    """Make a figure, in inches; it is laid out by matplotlib unless `options` say otherwise."""
    from matplotlib.figure import Figure

    return Figure(**{"figsize": (width, height), "dpi": 160, "layout": "constrained", **options})


def alpha_colours(alphas: Sequence[float]) -> dict[float, Any]:
    """Give each of many alphas a colour: ERM (0) is blue, mixup the darker the larger alpha."""
    from matplotlib import colormaps

    mixed = sorted(alpha for alpha in alphas if alpha > 0)
    places = np.linspace(0.35, 0.95, len(mixed)) if len(mixed) > 1 else [0.75]
    return {0.0: BLUE, **dict(zip(mixed, colormaps["YlOrRd"](places), strict=True))}


def method_colours(alphas: Sequence[float]) -> dict[float, tuple[str, str]]:
    """Give each of a few alphas a colour and a name; ERM is blue."""
    mixed = [alpha for alpha in sorted(alphas) if alpha > 0]
    colours = (VERMILLION, GREEN, PURPLE) * len(mixed)
    told = {0.0: (BLUE, alpha_name(0.0))} if 0.0 in alphas else {}
    return told | {
        alpha: (colour, alpha_name(alpha)) for alpha, colour in zip(mixed, colours, strict=False)
    }


def alpha_name(alpha: float) -> str:
    """Name a method in a figure."""
    return rf"mixup, $\alpha$ = {alpha:g}" if alpha else "ERM"


def keep_quiet(ax: Any, sides: Iterable[str] = ("top", "right")) -> None:
    """Draw no more of the frame than is needed."""
    ax.set_axisbelow(True)
    for side in sides:
        ax.spines[side].set_visible(False)


def add_legend(figure: Any, panel: Any = None, **options: Any) -> None:
    """Put one legend for all panels below them: that of `panel`, else of the first.

    `options` are those of ``figure.legend``, such as ``ncols``, by default one for each label.
    """
    if "handles" not in options:
        found = (panel or figure.axes[0]).get_legend_handles_labels()
        options = dict(zip(("handles", "labels"), found, strict=True)) | options
    standard = {"loc": "outside lower center", "ncols": len(options["handles"]), "frameon": False}
    figure.legend(**(standard | options))


def shade_plane(ax: Any, classifier: Any, edge: float) -> Any:
    """Shade p(y = 1 | x) of a classifier, from ``-edge`` to ``edge`` both ways.

    Gives what a colour bar needs.
    """
    from sklearn.inspection import DecisionBoundaryDisplay

    corners = np.array([[-edge, -edge], [edge, edge]], dtype=np.float32)
    colours = {"cmap": "Blues", "vmin": 0, "vmax": 1, "rasterized": True}
    display = DecisionBoundaryDisplay.from_estimator(
        classifier,
        corners,
        response_method="predict_proba",
        plot_method="pcolormesh",
        grid_resolution=300,
        eps=0,
        ax=ax,
        **colours,
    )
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-edge, edge), ylim=(-edge, edge))
    return display.surface_


def stripe_rows(ax: Any, n_rows: int) -> None:
    """Shade every other row of a figure that has a row for each table."""
    for row in range(0, n_rows, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=STRIPE, linewidth=0, zorder=0)


def prepare_rows(ax: Any, titles: Sequence[str], *, grid: str = GRID, striped: bool = True) -> None:
    """Prepare a row for each of some names: their titles, from the top, and a quiet frame."""
    if striped:
        stripe_rows(ax, len(titles))
    ax.set_yticks(range(len(titles)), titles)
    ax.set_ylim(len(titles) - 0.5, -0.5)
    ax.grid(axis="x", color=grid, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    keep_quiet(ax)


def set_ticks(axis: Any, ticks: Sequence[float], labels: Sequence[str] | None = None) -> None:
    """Put these ticks on an axis and no others, as numbers without a power of ten."""
    axis.set_ticks(ticks, labels or [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
