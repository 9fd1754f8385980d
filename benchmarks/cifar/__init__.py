"""Figure 3 of [1]: test errors of ERM and mixup on CIFAR, and their curves over the epochs.

Two parts, which share one table of runs, cifar.csv:

- errors (the default): PreAct ResNet-18, WideResNet and DenseNet-BC, ERM beside mixup;
- budget: PreAct ResNet-18 for several numbers of epochs, each a training of its own with the
  whole schedule: from which budget on does mixup win?

Departs from the paper at --scale small, for two CPU cores: narrow networks, few epochs with the
drops of the learning rate in proportion, and, where that is what the data folder has, a subset of
CIFAR-10. Every result names the data it is for.

At --scale gpu PreAct ResNet-18 is trained as in the paper, once each, on all of CIFAR-10, or on all
of it recompressed where that is what the data folder has; in bfloat16 where the GPU has it
(precision="auto"), of which the paper says nothing. --epochs, --rows and --width make less
of it: --scale gpu --epochs 2 --rows 1000 is to see that it runs.

The test error after each epoch is a measurement: nothing is chosen by it. While the runs go on,
DIR/cifar_unfinished.md and .png show the curves so far, and so they do if the runs are cut off. A
killed run goes on in its middle, from DIR/cifar_checkpoints.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.2.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import (
    add_alphas,
    add_data_options,
    add_dry_run,
    add_number,
    add_size,
    with_erm,
)
from benchmarks._lab.pictures import KEY, ON_A_FAST_GPU, find_pictures, list_tasks, tell_cost
from benchmarks._nets.recipes import CIFAR_RECIPES, CIFAR_SIZES
from benchmarks.cifar.report import tell_budget, tell_errors
from benchmarks.cifar.runs import BUDGET_FAMILY, Scale, list_trainings

_SMOKE_SIZES = {
    "preact_resnet18": {"width": 4},
    "wide_resnet": {"depth": 10, "widen_factor": 1},
    "densenet_bc": {"depth": 10, "growth_rate": 4},
}
_SMALL_SIZES = {
    "preact_resnet18": {"width": 16},
    "wide_resnet": {"depth": 16, "widen_factor": 1},
    "densenet_bc": {"depth": 22, "growth_rate": 8},
}
_SCALES = {
    "smoke": Scale(1, ("digits",), _SMOKE_SIZES, 2, (1, 2)),
    "small": Scale(3, ("cifar10",), _SMALL_SIZES, 12, (10, 30, 100)),
    # At 35,000 pictures a second the 400 epochs of each part take ten minutes.
    "gpu": Scale(
        *(1, ("cifar10",), CIFAR_SIZES, None, (20, 60, 120)),
        networks=("preact_resnet18",),
        pace=ON_A_FAST_GPU,
    ),
    "paper": Scale(1, ("cifar10", "cifar100"), CIFAR_SIZES, None, (50, 100, 200)),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parts, data = ["errors", "budget"], ["cifar10", "cifar100", "digits"]
    parser.add_argument(
        "--parts", nargs="+", choices=parts, default=parts[:1], help="default errors"
    )
    parser.add_argument("--data", nargs="+", choices=data, help="by scale")
    parser.add_argument("--networks", nargs="+", choices=list(CIFAR_RECIPES), help="default: all")
    add_alphas(parser, [CIFAR_RECIPES[BUDGET_FAMILY].alpha], told="; default 1")
    told = "of the part errors; the drops of the learning rate come in proportion; by scale"
    add_number(parser, "--epochs", told)
    add_size(parser)
    add_number(parser, "--budgets", "epochs of the part budget; by scale", nargs="+")
    add_dry_run(parser)
    add_data_options(parser, "cifar10/...")


def _plan(request: Request) -> list[Part]:
    args = request.args
    scale: Scale = request.narrow(
        n_seeds="seeds",
        data="data",
        networks="networks",
        n_rows="rows",
        max_epochs="epochs",
        budgets="budgets",
    )
    hint = "(or --download, to get it)"
    pictures = [find_pictures(name, args, hint).first(scale.n_rows) for name in scale.data]
    if args.width:
        scale = replace(scale, sizes={**scale.sizes, BUDGET_FAMILY: {"width": args.width}})
    trainings = {
        "errors": list_trainings(scale, pictures, scale.networks, [scale.max_epochs]),
        "budget": list_trainings(scale, pictures, [BUDGET_FAMILY], sorted(scale.budgets)),
    }
    pages = {"errors": ("cifar", tell_errors), "budget": ("cifar_budget", tell_budget)}
    alphas = with_erm(args.alphas)
    parts = []
    for name in args.parts:
        tasks = list_tasks(trainings[name], alphas=alphas, n_seeds=scale.n_seeds, **request.where)
        stem, tell = pages[name]
        dry_run = partial(tell_cost, f"cifar, {name}", tasks)
        parts.append(
            Part(stem, KEY, {"": tasks}, tell, table="cifar", checkpoints=True, dry_run=dry_run)
        )
    return parts


EXPERIMENT = Experiment(
    name="cifar",
    paper="Figure 3",
    title="CIFAR",
    question="Does mixup lower the test error on small pictures?",
    small_takes="35 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
