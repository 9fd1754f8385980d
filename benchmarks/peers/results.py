"""What stands in the tables and figures of peers."""

from __future__ import annotations

from dataclasses import replace

from benchmarks._lab import scores
from benchmarks._lab.methods.results import Contest
from benchmarks._lab.tell import Measure
from benchmarks.peers.methods import METHODS

ROC_AUC = "roc_auc"  # of the tables with two classes alone
MEASURES = {
    name: replace(scores.MEASURES[name], digits=digits)
    for name, digits in (("test_error", 2), ("log_loss", 3), ("brier", 3), ("ece", 2))
} | {ROC_AUC: Measure("ROC AUC", 1, 3, is_loss=False)}
OURS = "tabular"  # what is asked to be ahead of the others
# Mixup and ERM with the same budget.
SHARE = ("ensemble", "erm_ensemble")
WORTH_FINDING = 0.005  # a difference in test error of half a point

CONTEST = Contest(
    METHODS,
    MEASURES,
    main={"test_error": "error, points", "log_loss": "log-loss, nats"},
    ours=OURS,
    pairs=(
        *((OURS, name) for name, method in METHODS.items() if method.is_anchor),
        *((OURS, name) for name in ("prior", "ensemble_skrub", "mixup_skrub")),
        *(("ensemble_skrub", name) for name in ("ensemble", "catboost", "tabm", "realmlp")),
        *(("mixup_skrub", name) for name in ("mixup", "mlp", "realmlp")),
    ),
    share=SHARE,
    worth=WORTH_FINDING,
)
