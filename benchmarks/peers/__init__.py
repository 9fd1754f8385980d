"""Ours beside the best that one can install: error, probabilities and time. Not in [1].

[1] sets mixup beside ERM alone. Here nets with mixup, one and eight, stand beside RealMLP-TD [2],
the best tabular net at its defaults, and beside the trees and the net of scikit-learn, on the UCI
tables of the mixup paper and three that come with scikit-learn. Each method is at its defaults, but
for searches around ours, has the same random splits as the others (see the benchmark tabular), and
one thread.

- test error, log-loss, Brier score and expected calibration error, and the seconds of the fit;
- differences between methods, paired by table and split, and ranks;
- the share that is mixup's own: alpha 0 beside 0.2, with equal and with its own best budget.

RealMLP-TD needs pytabkit: ``pip install pytabkit``. Without it the others run.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data", NeurIPS 2024.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.tables import add_table_options, plan_tables
from benchmarks.peers.methods import FULL, METHODS, TINY, is_installed
from benchmarks.peers.report import absent_note, tell
from benchmarks.peers.runs import KEY, Scale, list_tasks

_SCALES = {
    "smoke": Scale(2, ("iris", "wine"), TINY),
    "small": Scale(10, tuple(TITLES), FULL),
    "paper": Scale(20, tuple(TITLES), FULL),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    told = "; ".join(f"{slug}: {method.title}" for slug, method in METHODS.items())
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="NAME", help=told)
    add_table_options(parser)


def _plan(request: Request) -> list[Part]:
    asked = request.args.methods or METHODS
    wanted = [method for method in METHODS if method in asked]
    methods = [method for method in wanted if is_installed(method)]
    absent = [method for method in wanted if method not in methods]
    if not methods:
        raise SystemExit(absent_note(absent))
    scale, missing, where = plan_tables(request, n_splits="seeds")
    tasks = list_tasks(scale, methods, **where)
    told = partial(tell, budget=scale.budget, absent=absent, missing=missing)
    return [Part("peers", KEY, {"": tasks}, told)]


def _find_device(device: str) -> str:
    # Times are compared with those of methods that have no use for a GPU.
    return "cpu" if device == "auto" else device


EXPERIMENT = Experiment(
    name="peers",
    paper=None,
    title="Against the peers",
    question="Are nets with mixup ahead of the best tabular net and of trees, and in less time?",
    small_takes="an hour and a half",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
    device=_find_device,
)
