"""Ways to mix: vicinities, pairs, layers and a share of the plain loss. Not in [1].

Which of them helps where? Each is a parameter of `MixupClassifier`, and changes mixup by its
defaults in one thing:

- vicinity="input": inputs are mixed, the label is that of the nearer row, as the ablation study of
  [1] has it; on pictures "cutmix" [2] too;
- pairs="same_class", on tables "different_class" and "nearest" too;
- erm_weight=0.5, half of the loss on rows as they are: RegMixup [3];
- mix_at, one of the inputs and some layers, drawn for each minibatch: manifold mixup [4].

Two parts, each with a table of runs and a page of its own:

- tables (vicinities.csv): the tables of the benchmark peers, one network with its defaults,
  random splits; all networks of some splits are trained together.
- pictures (vicinities_pictures.csv): PreAct ResNet-18 on CIFAR-10 by the recipe of the benchmark
  cifar, alpha 1. At --scale small a narrow one for 12 epochs; at --scale gpu the paper's, in
  bfloat16 where the GPU has it, for 50 epochs; --epochs, --rows and --width make less of it. A run
  that is killed goes on in its middle, and vicinities_pictures_unfinished.md and .png show how far
  the runs are.

Each is set beside mixup and beside ERM, split by split or seed by seed, with Holm's correction for
the number of those; the page tells what difference so many would show in 80 % of cases.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
[2] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019.
[3] Pinto et al., "Using Mixup as a Regularizer Can Surprisingly Improve Accuracy and
    Out-of-Distribution Robustness", NeurIPS 2022.
[4] Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML
    2019.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from benchmarks._data.tables import TITLES
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import (
    add_data_options,
    add_dry_run,
    add_number,
    add_size,
    add_tables,
)
from benchmarks._lab.pictures import KEY as PICTURES_KEY
from benchmarks._lab.pictures import ON_A_FAST_GPU, find_pictures, tell_cost
from benchmarks._lab.tables import plan_tables
from benchmarks.vicinities.report import tell_pictures, tell_tables
from benchmarks.vicinities.runs import (
    FEW_SPLITS,
    KEY,
    PictureScale,
    TableScale,
    list_pictures,
    list_tables,
)

_TABLES = tuple(TITLES)
_ON_TABLES = TableScale(20, {}, _TABLES, 300)
_SCALES = {
    "smoke": {
        "tables": TableScale(2, {}, ("iris", "wine"), 20),
        "pictures": PictureScale(1, "digits", 4, 2),
    },
    "small": {
        "tables": TableScale(10, FEW_SPLITS, _TABLES, 300),
        "pictures": PictureScale(3, "cifar10", 16, 12),
    },
    # RegMixup sees twice as many pictures. At 35,000 a second the 20 million take ten minutes.
    "gpu": {
        "tables": _ON_TABLES,
        "pictures": PictureScale(1, "cifar10", 64, 50, pace=ON_A_FAST_GPU),
    },
    "paper": {"tables": _ON_TABLES, "pictures": PictureScale(3, "cifar10", 64, None)},
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=list(_PLANS), help="default: both; pictures at --scale gpu"
    )
    add_tables(parser, _TABLES)
    parser.add_argument("--data", choices=["cifar10", "digits"], help="the pictures; by scale")
    told = "of pictures; the drops of the learning rate come in proportion; by scale"
    add_number(parser, "--epochs", told)
    add_size(parser)
    add_dry_run(parser)
    add_data_options(parser, "cifar10/... and uci/...")


def _plan(request: Request) -> list[Part]:
    parts = request.args.parts or (["pictures"] if request.args.scale == "gpu" else list(_PLANS))
    return [_PLANS[part](replace(request, scale=request.scale[part])) for part in parts]


def _plan_tables(request: Request) -> Part:
    scale, missing, where = plan_tables(request, n_splits="seeds")
    if request.args.seeds:
        scale = replace(scale, few_splits={})
    tell = partial(tell_tables, scale, missing=missing, device=request.device)
    return Part("vicinities", KEY, {"": list_tables(scale, **where)}, tell)


def _plan_pictures(request: Request) -> Part:
    scale: PictureScale = request.narrow(
        n_seeds="seeds", data="data", max_epochs="epochs", width="width", n_rows="rows"
    )
    hint = "(--download gets it; --data digits or --parts tables do without)"
    pictures = find_pictures(scale.data, request.args, hint).first(scale.n_rows)
    tasks = list_pictures(scale, pictures, **request.where)
    return Part(
        "vicinities_pictures",
        PICTURES_KEY,
        {"": tasks},
        partial(tell_pictures, pictures=pictures),
        checkpoints=True,
        dry_run=partial(tell_cost, "vicinities, pictures", tasks),
    )


_PLANS: Mapping[str, Callable[[Request], Part]] = {
    "tables": _plan_tables,
    "pictures": _plan_pictures,
}
EXPERIMENT = Experiment(
    name="vicinities",
    paper=None,
    title="Ways to mix",
    question="Which way to mix helps where: other pairs, pasted boxes, layers, a share unmixed?",
    small_takes="an hour and a half",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
