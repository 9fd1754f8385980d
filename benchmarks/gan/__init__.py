"""Figure 5 of [1]: GANs with and without mixup. Adds measures, seeds, a third set, two examples.

Three parts, each resumable, with a page of its own:

- toys: the paper's two sets, a ring of 8 Gaussians and a grid of 25 (standard deviation 0.01), and
  a swiss roll. Setting "paper" has the networks and the training of the paper; "steady" is a
  narrower network whose learning rate falls to zero, which trains in minutes on a CPU.
- digits: pictures of 8 x 8 pixels, and whether a classifier of real digits recognises samples.
- tables: whether a small table learns from samples drawn class by class.

Departs from the paper in that rows are drawn from a table of 100,000, not without end.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.8.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_data_options
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks.gan import digits, digits_report, tables, tables_report, toys, toys_report
from benchmarks.gan.recipes import GAN_ALPHA, GAN_ALPHAS
from benchmarks.gan.runs import KEY

_PARTS = ("toys", "digits", "tables")


@dataclass(frozen=True)
class _Scale:
    """How much is run: the seeds of all parts, the toys, and the other two parts."""

    n_seeds: int
    settings: tuple[str, ...]
    data: tuple[str, ...]
    alphas: tuple[float, ...]
    max_iter: int | None  # None: as the setting says
    digits: digits.Scale
    tables: tables.Scale


_FEW, _SOME = (0.0, GAN_ALPHA), (0.0, 0.2, 0.5)
_SCALES = {
    "smoke": _Scale(
        *(1, ("steady",), ("ring",), _FEW, 100),
        digits.Scale(50, 200, _FEW),
        tables.Scale(20, ("iris",), _FEW, n_train=60, n_trees=20),
    ),
    "small": _Scale(
        *(5, ("steady",), tuple(toys.TITLES), _FEW, None),
        digits.Scale(8_000, 2_000, _SOME),
        tables.Scale(tables.SMALL_MAX_ITER, tables.TABLES, _FEW),
    ),
    "paper": _Scale(
        *(10, ("paper", "steady"), tuple(toys.TITLES), GAN_ALPHAS, None),
        digits.Scale(40_000, 10_000, _SOME),
        tables.Scale(5_000, tables.TABLES, _SOME),
    ),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS), help="default: all"
    )
    parser.add_argument(
        "--settings", nargs="+", choices=list(GAN_RECIPES), help="of the toys; by scale"
    )
    parser.add_argument(
        "--data", nargs="+", choices=list(toys.TITLES), help="toys to run; by scale"
    )
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        metavar="A",
        help="concentrations of Beta(A, A) for the toys, 0 is ERM; by scale",
    )
    add_data_options(parser, "uci/...", download=None)


def _plan(request: Request) -> list[Part]:
    scale = request.narrow(n_seeds="seeds", settings="settings", data="data", alphas="alphas")
    versions = request.versions
    common = {"n_seeds": scale.n_seeds, "device": request.device, "versions": versions}
    parts = []
    for part in request.args.parts:
        if part == "toys":
            tasks = toys.list_tasks(
                scale.data, scale.settings, scale.alphas, max_iter=scale.max_iter, **common
            )
            stem, tell = "gan", toys_report.tell  # the page and the table of Figure 5
        elif part == "digits":
            tasks = digits.list_tasks(scale.digits, **common)
            stem, tell = "gan_digits", digits_report.tell
        else:
            tasks = tables.list_tasks(scale.tables, data_home=request.args.data_home, **common)
            stem, tell = "gan_tables", tables_report.tell
        if tasks:
            parts.append(Part(stem, KEY, {"": tasks}, partial(tell, versions=versions)))
        else:
            print(f"gan, {part}: nothing to run.")
    return parts


EXPERIMENT = Experiment(
    name="gan",
    paper="Figure 5",
    title="Generative adversarial networks",
    question="Does mixup keep a GAN from losing modes?",
    small_takes="hours",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
