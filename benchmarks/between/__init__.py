"""Figure 2 of [1]: misses and gradient norms of ERM and mixup between the pictures of CIFAR-10.

At ``lam * x_i + (1 - lam) * x_j``, for random pairs of training pictures, not augmented: how often
the prediction is neither label (a miss), and the Euclidean norm of the gradient with respect to the
picture. The paper says "norm of the gradients of the model"; here it is that of the loss, and
beside it that of all logits (the norm of their Jacobian). Misses between test pictures are ours.

Departs from the paper at --scale small as the benchmark cifar does: a PreAct ResNet-18 of a quarter
of the width, few epochs with the drops of the learning rate in proportion, and, where that is what
the data folder has, a subset of CIFAR-10. ERM and mixup of a seed have the same initial weights,
shuffles and pairs, and are compared seed by seed. --scale smoke runs on scikit-learn's digits.

At --scale gpu it is the paper's network on all of CIFAR-10, or on all of it recompressed where that
is what the data folder has, for 60 epochs instead of 200.

While the runs go on, DIR/between_unfinished.md and .png show their test errors so far. A killed run
goes on in its middle, from DIR/between_checkpoints.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3 and Figure 2.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alpha, add_data_options, add_number, add_size
from benchmarks._lab.pictures import KEY, ON_A_FAST_GPU, find_pictures
from benchmarks._nets.recipes import CIFAR_RECIPES
from benchmarks.between.report import tell
from benchmarks.between.runs import FAMILY, Scale, plan_runs

_SCALES = {
    "smoke": Scale(2, "digits", 4, 2, 5, 100, 40, 10),
    "small": Scale(3, "cifar10", 16, 12, 11, 1_000, 500, 100),
    # At 35,000 pictures a second the 360 epochs take nine minutes.
    "gpu": Scale(3, "cifar10", 64, 60, 21, 10_000, 5_000, 1_000, pace=ON_A_FAST_GPU),
    "paper": Scale(3, "cifar10", 64, None, 21, 10_000, 5_000, 1_000),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", choices=["cifar10", "digits"], help="by scale")
    add_alpha(parser, CIFAR_RECIPES[FAMILY].alpha, told="to mix with, beside ERM; default 1")
    told = "the drops of the learning rate come in proportion; by scale"
    add_number(parser, "--epochs", told)
    add_size(parser)
    add_data_options(parser, "cifar10/...")


def _plan(request: Request) -> list[Part]:
    scale: Scale = request.narrow(
        n_seeds="seeds", data="data", max_epochs="epochs", width="width", n_rows="rows"
    )
    hint = "(--download gets it; --data digits does without, to see that it runs)"
    pictures = find_pictures(scale.data, request.args, hint).first(scale.n_rows)
    tasks = plan_runs(scale, pictures, alpha=request.args.alpha, **request.where)
    return [Part("between", KEY, {"": tasks}, partial(tell, scale), checkpoints=True)]


EXPERIMENT = Experiment(
    name="between",
    paper="Figure 2",
    title="Between the pictures",
    question="Does mixup err less, and have smaller gradients, between the training pictures?",
    small_takes="12 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
