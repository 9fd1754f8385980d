"""Table 4 of [1]: test errors of ERM and mixup on UCI tables. Departs in splits and scaling.

The paper does not say how it split the rows, whether it scaled the features, or with which alpha
it mixed. Here each table is split at random many times, 80 % to train on and 20 % to test on,
stratified by class unless a class has a single row (Abalone). ERM and mixup get the same splits,
initial weights and shuffles, so they are compared pair by pair. Features come in two variants:

- raw: as published; only what is no number is made one (Abalone's sex is one-hot, missing values
  of Arrhythmia are medians of the training rows);
- standardised: zero mean and unit variance over the training rows, nominal columns one-hot.

Without --scale: 20 splits, 10 epochs as in the paper. A longer training is another question, and
--epochs 10 100 (part of --scale paper) answers both. With --tuned also searches alpha, dropout and
epochs inside each training split, beside two classifiers of scikit-learn.

All nets of a table, features and epochs are trained together (`fit_fused`), and those of a search
(`FusedGridSearchCV`): without dropout each ends as it would alone, to rounding.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.6.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks._data.tables import SHIPPED
from benchmarks._data.uci import FETCHERS
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alphas
from benchmarks._lab.tables import add_table_options, plan_tables
from benchmarks.tabular import recipes
from benchmarks.tabular.report import tell
from benchmarks.tabular.runs import KEY, Scale, list_tasks, list_tuned_tasks

_SMOKE_GRID = {"alpha": (0.0, 0.2), "dropout": (0.0,), "max_epochs": (1, 2)}
_FEW = (0.0, recipes.TABLE_4_ALPHA)
_ALL = recipes.TABLE_4_ALPHAS
_PAPER = tuple(FETCHERS)
_SCALES = {
    "smoke": Scale(2, (2,), _FEW, ("iris",), 1, _SMOKE_GRID),
    "small": Scale(5, (10,), _FEW, (*_PAPER, *SHIPPED), 2, recipes.TUNED_GRID),
    None: Scale(20, (10,), (*_FEW, 1.0), _PAPER, 5, recipes.TUNED_GRID),
    "paper": Scale(20, recipes.TABLE_4_EPOCHS, _ALL, _PAPER, 20, recipes.TUNED_GRID),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=int, nargs="+", metavar="N", help="epochs to train; default 10"
    )
    add_alphas(parser)
    told = "also search alpha, dropout and epochs in each training split"
    parser.add_argument("--tuned", action="store_true", help=told)
    add_table_options(parser)


def _plan(request: Request) -> list[Part]:
    options = {"n_splits": "seeds", "n_tuned_splits": "seeds"}
    options |= {"epochs": "epochs", "alphas": "alphas"}
    scale, missing, where = plan_tables(request, **options)
    tasks = {"": list_tasks(scale, **where)}
    if request.args.tuned:
        tasks["tuned"] = list_tuned_tasks(scale, **where)
    return [Part("tabular", KEY, tasks, partial(tell, scale=scale, missing=missing))]


EXPERIMENT = Experiment(
    name="tabular",
    paper="Table 4",
    title="UCI tables",
    question="Does mixup lower the test error on tables?",
    small_takes="half a minute",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
