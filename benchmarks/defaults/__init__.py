"""The defaults of `MixupClassifier` beside other settings, and the base rates. Not in [1].

One network on a table, behind StandardScaler and a one-hot encoder. Where classes overlap it learns
by heart what is chance, and its probabilities may end up worse than the base rates, those of a
classifier that gives every row the shares of the classes among the training rows. Which settings
are safe there, and what do they cost where classes hardly overlap?

All tables that there are but Abalone, some of whose classes have a single row, so that early
stopping cannot hold one out and train on another; random splits as in the benchmark tabular.
Networks of a split have the same seed and are compared split by split with the defaults; tables
count alike. Those that differ in alpha and split alone are trained together (`fit_fused`), up to
five splits at once: each ends as it would alone.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_data_options, add_tables
from benchmarks._lab.tables import plan_tables
from benchmarks.defaults.report import tell
from benchmarks.defaults.runs import FEW_SPLITS, KEY, Scale, list_tasks

_TABLES = tuple(name for name in TITLES if name != "abalone")
_SCALES = {
    "smoke": Scale(2, {}, ("iris", "wine")),
    "small": Scale(5, FEW_SPLITS, _TABLES),
    "paper": Scale(20, {}, _TABLES),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_tables(parser, _TABLES)
    add_data_options(parser, "uci/...", download="missing tables from where they are published")


def _plan(request: Request) -> list[Part]:
    scale, missing, where = plan_tables(request, n_splits="seeds")
    if request.args.seeds:
        scale = replace(scale, few_splits={})
    tasks = list_tasks(scale, **where)
    return [Part("defaults", KEY, {"": tasks}, partial(tell, missing=missing))]


EXPERIMENT = Experiment(
    name="defaults",
    paper=None,
    title="The defaults",
    question="Are one network's probabilities better than the base rates, whatever the table?",
    small_takes="10 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
