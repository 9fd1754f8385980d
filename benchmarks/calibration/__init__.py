"""Calibration of ERM and mixup, over alpha: not in [1]. Beside [2], on tables instead of pictures.

A classifier is calibrated if, of the predictions with a confidence of 0.8, 80 % are right. [2]
found networks trained with mixup on pictures and texts to be better calibrated than those trained
without. Here: the UCI tables of the mixup paper and three that come with scikit-learn, standardised
features, random splits as in the benchmark tabular, and `MixupClassifier` with its defaults.

- ECE: expected calibration error of the predicted class, 15 bins of equal width [3]. A small test
  set makes it larger, so what calibrated networks would be measured to have stands beside it.
- Overconfidence: mean confidence less accuracy; below 0 a network is right more often than it says.
- Log-loss and Brier score, which good probabilities lower, and the test error.
- Reliability curves: accuracy over confidence, the test rows of all splits taken together.

Networks of a split differ in alpha alone, and are compared with ERM split by split. All of five
splits are trained together (`fit_fused`): without dropout each ends as it would alone.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Thulasidasan et al., "On Mixup Training: Improved Calibration and Predictive Uncertainty for
    Deep Neural Networks", NeurIPS 2019.
[3] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks._data.tables import FIRST_TABLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alphas
from benchmarks._lab.tables import add_epochs, add_table_options, plan_tables
from benchmarks._nets.tables import DEFAULTS
from benchmarks.calibration.report import tell
from benchmarks.calibration.runs import KEY, Scale, list_tasks

_ALPHAS = (0.0, 0.1, 0.2, 0.5, 1.0)
_SCALES = {
    "smoke": Scale(2, 4, (0.0, 0.2), ("iris", "digits")),
    "small": Scale(20, DEFAULTS["max_epochs"], _ALPHAS, FIRST_TABLES),
    "paper": Scale(50, DEFAULTS["max_epochs"], _ALPHAS, FIRST_TABLES),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_epochs(parser)
    add_alphas(parser, told="; by scale")
    add_table_options(parser)


def _plan(request: Request) -> list[Part]:
    options = {"n_splits": "seeds", "max_epochs": "epochs", "alphas": "alphas"}
    scale, missing, where = plan_tables(request, **options)
    tasks = list_tasks(scale, **where)
    return [Part("calibration", KEY, {"": tasks}, partial(tell, missing=missing))]


EXPERIMENT = Experiment(
    name="calibration",
    paper=None,
    title="Calibration",
    question="Are the probabilities more honest with mixup?",
    small_takes="4 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
