"""Tables out of tables: rows that were made beside real ones. Not in [1].

What is a table worth that was made out of another one? Makers learn from the training rows and
make as many: VicinalSampler, at its defaults and as SMOTE does it, SMOTE [2] of imbalanced-learn,
a Gaussian copula for each class, and MixupGAN, with mixup and without, on fewer tables and splits
(--tables and --seeds hold for all). Beside them stand the real rows, and real rows drawn with
replacement, which are copies.

- Train on what was made, test on real rows: LightGBM, by its AUC, as a share of what real rows gain
  over the base rates.
- How well LightGBM tells real rows from those that were made.
- How near the made rows are to the closest training row, beside test rows, and how many are copies.
- Which shares of categories are lost.
- Seconds.

All are paired by table and split; the page says PASS or FAIL of what was asked. The extra `peers`
has what is needed: LightGBM measures, so nothing is run without it; imbalanced-learn has SMOTE.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Chawla, Bowyer, Hall, Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique", Journal
    of Artificial Intelligence Research 16, 2002.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.methods.experiment import add_options, find_device
from benchmarks._lab.methods.method import FULL, TINY, absent_note
from benchmarks._lab.methods.runs import KEY, list_tasks
from benchmarks._lab.tables import plan_tables
from benchmarks.synthetic.methods import GANS, METHODS
from benchmarks.synthetic.report import tell
from benchmarks.synthetic.results import REAL
from benchmarks.synthetic.runs import MakerScale, run_method

_MIXED = ("adult", "german_credit", "credit_approval", "horse_colic", "cmc", "diabetes")
_TABLES = (*_MIXED, "magic", "phoneme", "segment", "breast_cancer")
_FEW = ("german_credit", "credit_approval", "cmc", "diabetes", "segment")
_SCALES = {
    "smoke": MakerScale(2, ("wine", "diabetes"), TINY, ("wine",), 1),
    "small": MakerScale(5, _TABLES, FULL, _FEW, 2),
    "paper": MakerScale(20, _TABLES, FULL, _TABLES, 5),
}


def _plan(request: Request) -> list[Part]:
    args = request.args
    wanted = [name for name in METHODS if name in (args.methods or METHODS) or name == REAL]
    names = [name for name in wanted if not METHODS[name].absent_packages()]
    absent = [METHODS[name] for name in wanted if name not in names]
    if not names:
        raise SystemExit(absent_note(absent))
    scale, missing, where = plan_tables(request, n_splits="seeds")
    quick = [name for name in names if name not in GANS]
    tasks = {"": list_tasks(run_method, METHODS, scale, quick, **where)}
    if {*names} & {*GANS}:
        # What is asked for by hand is asked of all methods.
        tables = scale.tables if args.tables else scale.gan_tables
        few = tuple(name for name in scale.tables if name in tables)
        n_splits = args.seeds or scale.n_gan_splits
        if few:
            few_runs = replace(scale, tables=few, n_splits=n_splits)
            # One page of all methods is enough, where they have the same runs.
            name = "" if few_runs == scale else "with GANs"
            tasks[name] = list_tasks(run_method, METHODS, few_runs, names, **where)
    told = partial(tell, budget=scale.budget, absent=absent, missing=missing)
    return [Part("synthetic", KEY, tasks, told)]


EXPERIMENT = Experiment(
    name="synthetic",
    paper=None,
    title="Tables out of tables",
    question="What is a table worth that was made out of another one?",
    small_takes="20 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=partial(add_options, methods=METHODS, tables=TITLES),
    plan=_plan,
    device=find_device,
)
