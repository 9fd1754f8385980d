"""Variants of the committee of `TabularMixupClassifier`: what helps it, what does not. Not in [1].

The committee has networks of two settings, alpha 0.2 with numbers shown in bins too and not, and
four classifiers of scikit-learn beside them. What each says of rows that it did not train on sets
its share in the mean, and a temperature. Which of that does it need, and would more help? Each
variant changes one thing:

- less: networks alone, no networks, no bins, one of the four classifiers less;
- one setting more: no mixing, a larger alpha, more bins, wider networks, dropout, weight decay,
  label smoothing;
- another way: no mixing in place of mixing, one lam for each row, half of the networks, even
  shares, shares without a prior, no temperature.

On the tables of the benchmark peers that have some 4,300 rows to train on at most, without Arcene,
Arrhythmia, Abalone and Digits, which take long; with the same random splits. The networks of all
settings are trained once for each split, and each variant weighs those that it has: so variants
differ from the recipe by what they change, and by no other draw. Half of the networks are
trained apart. Tables count alike.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.tables import add_table_options, plan_tables
from benchmarks.committee.report import tell
from benchmarks.committee.runs import KEY, Scale, list_tasks

_SLOW = {"abalone", "arcene", "arrhythmia", "digits", "htru2", "phishing_websites"}
_TABLES = tuple(name for name in TITLES if name not in _SLOW)
_SCALES = {
    "smoke": Scale(2, ("iris", "wine"), {"n_estimators": 2, "max_epochs": 3, "engine": "torch"}),
    "small": Scale(2, _TABLES, {}),
    "paper": Scale(5, _TABLES, {}),
}


def _plan(request: Request) -> list[Part]:
    if find_spec("skrub") is None:
        raise SystemExit('skrub must be there to encode tables: pip install ".[tables]"')
    scale, missing, where = plan_tables(request, n_splits="seeds")
    return [
        Part("committee", KEY, {"": list_tasks(scale, **where)}, partial(tell, missing=missing))
    ]


EXPERIMENT = Experiment(
    name="committee",
    paper=None,
    title="Variants of the committee",
    question="Which parts of TabularMixupClassifier help, and would more settings?",
    small_takes="a quarter of an hour",
    doc=__doc__,
    scales=_SCALES,
    options=add_table_options,
    plan=_plan,
)
