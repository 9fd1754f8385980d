"""What stands in the tables and figures of regression."""

from __future__ import annotations

from benchmarks._lab.methods.results import Contest
from benchmarks._lab.tell import Measure
from benchmarks.regression.methods import METHODS

# Of the main measures, in standard deviations of y: tables have other units.
MEASURES = {
    "rmse_sd": Measure("RMSE, sd of y", 1, 3),
    "mae_sd": Measure("MAE, sd of y", 1, 3),
    "r2": Measure("R^2", 1, 3, is_loss=False),
}
RMSE = Measure("RMSE, in units of y", 1, -1)
# Mixup and ERM with the same budget.
SHARE = ("mixup", "erm")
WORTH_FINDING = 0.01  # a difference in RMSE of a hundredth of a standard deviation
# What is asked of ours: a mean rank below that of the rival in such a share of its time, and an
# RMSE that is on no table above the floor's.
RIVAL, TIME = "realmlp", 0.25
FLOOR = "ridge"

OURS = [name for name, method in METHODS.items() if method.is_ours]
_MAIN = "tabular"
CONTEST = Contest(
    METHODS,
    MEASURES,
    main={"rmse_sd": "RMSE, sd", "mae_sd": "MAE, sd"},
    ours=_MAIN,
    pairs=(
        *((_MAIN, name) for name, method in METHODS.items() if method.is_anchor),
        *((name, other) for name in OURS if name != _MAIN for other in (RIVAL, FLOOR)),
        *(("cmixup", name) for name in ("mixup", "erm")),
    ),
    share=SHARE,
    worth=WORTH_FINDING,
)
