"""Ours beside the best that one can install: error, probabilities and time. Not in [1].

[1] sets mixup beside ERM alone. Here nets with mixup, one and eight, stand beside the anchors:
CatBoost, LightGBM, TabM-D [2], RealMLP-TD [3], and the trees, the net and the linear model of
scikit-learn behind skrub.tabular_pipeline, on the UCI tables of the mixup paper, four tables that
come with scikit-learn, and ten more, most of mixed kinds. Each method is at its defaults, is told
which columns are nominal, has the same random splits as the others (see the benchmark tabular), and
one thread.

- test error, log-loss, Brier score, ROC AUC where there are two classes, expected calibration
  error, and the seconds of fit and prediction;
- differences between methods, paired by table and split, and ranks;
- what is asked of ours, and whether it holds;
- the share that is mixup's own: eight nets at alpha 0 beside eight at the default.

Others' methods need ``pip install catboost lightgbm pytabkit skrub``. What is not there is left
out, and the others run.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling", ICLR 2025.
[3] Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data", NeurIPS 2024.
"""

from __future__ import annotations

from functools import partial

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.methods.experiment import add_options, find_device, plan_methods
from benchmarks._lab.methods.method import FULL, TINY
from benchmarks._lab.methods.runs import Scale
from benchmarks.peers.methods import METHODS
from benchmarks.peers.report import tell
from benchmarks.peers.runs import run_method

_SCALES = {
    "smoke": Scale(2, ("iris", "breast_cancer"), TINY),
    "small": Scale(5, tuple(TITLES), FULL),
    "paper": Scale(20, tuple(TITLES), FULL),
}


def _plan(request: Request) -> list[Part]:
    return plan_methods(request, "peers", METHODS, run_method, tell)


EXPERIMENT = Experiment(
    name="peers",
    paper=None,
    title="Against the peers",
    question="Are nets with mixup ahead of the best nets and trees for tables, in less time?",
    small_takes="three hours",
    doc=__doc__,
    scales=_SCALES,
    options=partial(add_options, methods=METHODS, tables=TITLES),
    plan=_plan,
    device=find_device,
)
