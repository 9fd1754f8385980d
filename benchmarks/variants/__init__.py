"""Variants of the recipe: other spaces, partners, schedules and ensembles. Not in [1].

Which change of `MixupClassifier` with its defaults (one alpha in all epochs, rows mixed as the net
sees them, partners drawn from the whole minibatch) lowers the error on tables? Each variant
changes one thing:

- the space in which rows are mixed: normal quantiles of the numeric columns, seen by the net as
  they are, or turned back into standardised values after the mixing;
- the partner: of the same class, the nearest row of the minibatch, one of its 5 nearest;
- alpha over the fit: falling to 0, no mixing in the last epochs or in the first;
- ensembles of 8 nets (the mean of their probabilities): more nets with fewer epochs, bootstrap;
- known yardsticks: 8 nets instead of one, dropout, no mixing.

The UCI tables of [1] and three that come with scikit-learn, standardised features, random splits as
in the benchmark tabular. Variants get the same splits and seeds as the recipe and are compared
split by split; tables count alike. Nets are trained together (`fit_fused`), those with
modules of their own one by one.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._data.tables import FIRST_TABLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.tables import add_epochs, add_table_options, plan_tables
from benchmarks._nets.tables import DEFAULTS
from benchmarks.variants.report import tell
from benchmarks.variants.runs import FEW_SPLITS, KEY, Scale, list_tasks

_SCALES = {
    "smoke": Scale(2, {}, 4, ("iris", "wine")),
    "small": Scale(10, FEW_SPLITS, DEFAULTS["max_epochs"], FIRST_TABLES),
    "paper": Scale(20, {}, DEFAULTS["max_epochs"], FIRST_TABLES),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_epochs(parser)
    add_table_options(parser)


def _plan(request: Request) -> list[Part]:
    scale, missing, where = plan_tables(request, n_splits="seeds", max_epochs="epochs")
    if request.args.seeds:
        scale = replace(scale, few_splits={})
    tasks = list_tasks(scale, **where)
    return [Part("variants", KEY, {"": tasks}, partial(tell, missing=missing))]


EXPERIMENT = Experiment(
    name="variants",
    paper=None,
    title="Variants of the recipe",
    question="Do other spaces, partners, schedules or ensembles lower the error on tables?",
    small_takes="a quarter of an hour",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
