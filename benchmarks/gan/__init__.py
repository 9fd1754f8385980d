"""Figure 5 of [1]: GANs with and without mixup. Adds measures, seeds, two sets, two examples.

Five parts, each resumable, with a page of its own:

- toys: the paper's two sets, a ring of 8 Gaussians and a grid of 25 (standard deviation 0.01), a
  swiss roll and two moons. Setting "paper" has the networks and the training of the paper,
  "default" is that of MixupGAN, and "steady" has twice its rows and nearly twice its iterations.
- budgets: the grid again, over Adam's betas and over the iterations that a GAN has.
- digits: pictures of 8 x 8 pixels, and whether a classifier of real digits recognises samples.
- numbers: how near samples come to real tables of numbers, at the defaults.
- tables: whether a small table learns from samples drawn class by class.

Departs from the paper in that rows are drawn from a table of 100,000, not without end.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.8.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_data_options
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks.gan import (
    budgets,
    digits,
    digits_report,
    numbers,
    tables,
    tables_report,
    toys,
    toys_report,
)
from benchmarks.gan.runs import KEY
from benchmarks.gan.scale import SCALES

# What runs, what tells of it, and the name of the page; "gan" is that of Figure 5.
_PARTS = {
    "toys": (toys.list_tasks, toys_report.tell, "gan"),
    "budgets": (budgets.list_tasks, budgets.tell, "gan_budgets"),
    "numbers": (numbers.list_tasks, numbers.tell, "gan_numbers"),
    "digits": (digits.list_tasks, digits_report.tell, "gan_digits"),
    "tables": (tables.list_tasks, tables_report.tell, "gan_tables"),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = partial(parser.add_argument, nargs="+")
    add("--parts", choices=list(_PARTS), default=list(_PARTS), help="default: all")
    add("--settings", choices=list(GAN_RECIPES), help="of the toys; by scale")
    add("--data", choices=list(toys.TITLES), help="toys to run; by scale")
    told = "concentrations of Beta(A, A) for the toys, 0 is ERM; by scale"
    add("--alphas", type=float, metavar="A", help=told)
    add_data_options(parser, "uci/...", download=None)


def _plan(request: Request) -> list[Part]:
    scale = request.narrow(n_seeds="seeds", settings="settings", data="data", alphas="alphas")
    request, parts = replace(request, scale=scale), []
    for name in request.args.parts:
        list_tasks, tell, stem = _PARTS[name]
        if tasks := list_tasks(request):
            told = partial(tell, versions=request.versions)
            parts.append(Part(stem, KEY, {"": tasks}, told))
        else:
            print(f"gan, {name}: nothing to run.")
    return parts


EXPERIMENT = Experiment(
    name="gan",
    paper="Figure 5",
    title="Generative adversarial networks",
    question="Does mixup keep a GAN from losing modes?",
    small_takes="hours",
    doc=__doc__,
    scales=SCALES,
    options=_add_options,
    plan=_plan,
)
