"""Figure 1b of [1]: p(y = 1 | x) of ERM and mixup on two classes in the plane. And over alpha.

The paper's figure has orange points amid green ones. It tells neither the data nor the settings, so
ours are of that kind: an orange disc, a gap, a green ring; `MixupClassifier` with its defaults,
trained long enough for the step of ERM to be sharp.

How linear a network is between the classes is measured on straight lines from random green points
to random orange ones: p is to go from 0 to 1 along each. With a position on the line that goes from
0 to 1 too, a network that is linear between the classes, p = position, has

- steepest: the largest slope of p on a line, 1 (a step: the larger, the sharper);
- between: the share of a line on which p is between 0.1 and 0.9, 0.8 (a step: near 0);
- distance: the mean of abs(p - position) on a line, 0 (a step in the middle: 0.25).

No network can be all linear here: green points mixed with green ones from the other side of the
ring are green, and lie on the disc. Seeds draw the points, the lines and the first weights; all
networks of a seed share them. The figures draw the first seed.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 2 and Figure 1b.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alphas, add_number, with_erm
from benchmarks.toy.report import tell
from benchmarks.toy.runs import KEY, Scale, list_tasks

_ALPHAS = (0.0, 0.1, 0.2, 0.4, 1.0, 8.0, 32.0)
_SCALES = {
    "smoke": Scale(2, 120, 20, (0.0, 1.0)),
    "small": Scale(10, 120, 300, _ALPHAS),
    "paper": Scale(50, 120, 300, _ALPHAS),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_number(parser, "--epochs", "epochs to train; by scale")
    add_alphas(parser, told=" and the paper's 1; by scale")


def _plan(request: Request) -> list[Part]:
    scale = request.narrow(n_seeds="seeds", max_epochs="epochs", alphas="alphas")
    scale = replace(scale, alphas=tuple(with_erm((*scale.alphas, 1.0))))  # the paper's is drawn
    tasks = list_tasks(scale, **request.where)
    return [Part("toy", KEY, {"": tasks}, partial(tell, scale, tasks, device=request.device))]


EXPERIMENT = Experiment(
    name="toy",
    paper="Figure 1b",
    title="Two classes in the plane",
    question="Is the way from one class to the other smoother with mixup?",
    small_takes="a minute",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
