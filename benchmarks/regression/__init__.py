"""Numbers: our regressors beside the best that one can install. Not in [1].

[1] classifies. Here nets for numbers stand beside the anchors: TabularMixupRegressor, whole and its
networks alone, one net with mixup, with C-Mixup [4] and without, and eight with mixup. The anchors
are CatBoost, LightGBM, TabM-D [2], RealMLP-TD [3], and HistGradientBoosting, MLPRegressor and
ridge regression of scikit-learn behind skrub.tabular_pipeline, on California housing (all of its
rows, and 4,000), white wine, abalone's rings and the progression of diabetes. Each method is at its
defaults, is told which columns are nominal, has the same random splits as the others, and one
thread.

- RMSE and MAE, in units of y and in its standard deviations, R^2, and the seconds of fit and
  prediction;
- differences between methods, paired by table and split, and ranks;
- what is asked of ours, and whether it holds: a mean rank of the RMSE below RealMLP-TD's in a
  quarter of its time, and on no table an RMSE clearly above that of ridge regression;
- the share that is mixup's own, and C-Mixup's: one net at alpha 0 beside one at the default.

Others' methods need ``pip install catboost lightgbm pytabkit skrub``. What is not there is left
out, and the others run.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling", ICLR 2025.
[3] Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data", NeurIPS 2024.
[4] Yao et al., "C-Mixup: Improving Generalization in Regression", NeurIPS 2022.
"""

from __future__ import annotations

from functools import partial

from benchmarks._data.tables import NUMERIC_TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.methods.experiment import add_options, find_device, plan_methods
from benchmarks._lab.methods.method import FULL, TINY
from benchmarks._lab.methods.runs import Scale
from benchmarks.regression.methods import METHODS
from benchmarks.regression.report import tell
from benchmarks.regression.runs import run_method

_TABLES = (
    *("california_housing", "california_4000", "wine_quality_white"),
    *("abalone_rings", "diabetes_progression"),
)
_SCALES = {
    "smoke": Scale(2, ("iris_petal", "diabetes_progression"), TINY),
    "small": Scale(5, _TABLES, FULL),
    "paper": Scale(20, _TABLES, FULL),
}


def _plan(request: Request) -> list[Part]:
    return plan_methods(request, "regression", METHODS, run_method, tell)


EXPERIMENT = Experiment(
    name="regression",
    paper=None,
    title="Numbers against the peers",
    question="Are nets with mixup ahead of the best nets and trees for numbers, in less time?",
    small_takes="three hours",
    doc=__doc__,
    scales=_SCALES,
    options=partial(add_options, methods=METHODS, tables=NUMERIC_TITLES),
    plan=_plan,
    device=find_device,
)
