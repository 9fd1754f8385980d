"""Table 3 of [1]: errors of ERM and mixup on adversarial examples, white box and black box.

FGSM moves each pixel by eps in the direction in which the loss rises, I-FGSM does so in ten equal
steps; pixels stay within their range. White box: made with the attacked network. Black box: made
with an ERM network trained with another seed, the same one for ERM and mixup. The paper's eps is 4
of 255 pixel values; here the curve over eps is measured too. Two parts:

- pictures: at --scale small a PreAct ResNet-18 of a quarter of the width on CIFAR-10, or the subset
  of it that the data folder has, with alpha = 1, 10 epochs, the first 500 test pictures attacked;
  at --scale paper the paper's own ResNet-101 on ImageNet, 90 epochs, alpha = 0.2. The source of
  seed s is the ERM network of seed s + 1, so that each is trained once and serves twice.
- digits: MLPs on scikit-learn's digits of 8 x 8 pixels from 0 to 16, many random splits, several
  alphas. The source is trained on the rows of the split. Not in the paper.

Networks are trained first, then attacked; what is trained is kept in DIR/adversarial_checkpoints
until all attacks are done, and a killed run goes on in its middle.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.5 and Table 3.
"""

from __future__ import annotations

import argparse
import textwrap
from functools import partial

from benchmarks._data.imagenet import find_folders
from benchmarks._data.pictures import PictureSet
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import (
    add_alpha,
    add_data_options,
    add_dry_run,
    add_number,
    missing_data_end_it,
)
from benchmarks._lab.pictures import KEY, find_pictures, tell_cost
from benchmarks._lab.runs import Task
from benchmarks._nets.recipes import IMAGENET_PIXELS
from benchmarks.adversarial.attacks import N_STEPS
from benchmarks.adversarial.digits import list_digits
from benchmarks.adversarial.pictures import (
    LEVELS,
    Scale,
    choose_training,
    list_attacks,
    list_networks,
    train_networks,
)
from benchmarks.adversarial.report import tell

_BOTH = ("pictures", "digits")
_SCALES = {
    "smoke": Scale(_BOTH, "digits", 4, 2, None, 2, 2, 4, (1.0,)),
    "small": Scale(_BOTH, "cifar10", 16, 10, 500, 3, 20, 64),
    "paper": Scale(("pictures",), "imagenet", 64, None, None, 1, 20, 64),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=_BOTH, help="by scale")
    parser.add_argument("--data", choices=["cifar10", "digits"], help="of pictures; by scale")
    add_alpha(parser, told="for pictures; default 1, on ImageNet 0.2")
    add_number(
        parser,
        "--epochs",
        "of pictures; the drops of the learning rate come in proportion; by scale",
    )
    add_dry_run(parser)
    add_number(parser, "--workers", "processes that read ImageNet; default 8", default=8)
    add_data_options(parser, "cifar10/... or imagenet/...")


def _plan(request: Request) -> list[Part]:
    args = request.args
    scale: Scale = request.narrow(
        parts="parts", data="data", max_epochs="epochs", n_seeds="seeds", n_splits="seeds"
    )
    tasks: list[Task] = []
    prepare = dry_run = None
    if "pictures" in scale.parts:
        training = choose_training(scale, _find_pictures(scale, request))
        networks = list_networks(scale, training, alpha=args.alpha, **request.where)
        name = f"{scale.data}-{scale.max_epochs or 'paper'}"
        folder = args.out / "adversarial_checkpoints" / name
        tasks += list_attacks(scale, training, networks, folder, device=request.device)
        prepare = partial(train_networks, networks=networks, folder=folder, request=request)
        dry_run = partial(_tell_cost, networks)
    if "digits" in scale.parts:
        tasks += list_digits(scale, **request.where)
    return [Part("adversarial", KEY, {"": tasks}, tell, prepare=prepare, dry_run=dry_run)]


def _find_pictures(scale: Scale, request: Request) -> PictureSet:
    args = request.args
    if scale.data != "imagenet":
        return find_pictures(scale.data, args, "(or --download, to get it)")
    size = {"pixels": IMAGENET_PIXELS, "n_workers": args.workers}
    with missing_data_end_it():
        return find_folders("imagenet", args.data_home, dry=args.dry_run, **size)


def _tell_cost(networks: list[Task]) -> None:
    tell_cost("adversarial, networks to train", networks)
    n_levels, n_passes = len(LEVELS), 3 * len(LEVELS) * (1 + N_STEPS)
    told = (
        f"Then, for each seed, {n_passes} passes forward and backward of all test pictures: "
        f"{n_levels} eps, FGSM and {N_STEPS} steps of I-FGSM, with the gradients of ERM, mixup and "
        "the black box."
    )
    print("", textwrap.fill(told, 100), sep="\n")


EXPERIMENT = Experiment(
    name="adversarial",
    paper="Table 3",
    title="Adversarial examples",
    question="Is a network that was trained with mixup harder to fool?",
    small_takes="a quarter of an hour",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
