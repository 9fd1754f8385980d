"""Table 1 of [1]: top-1 and top-5 errors of ERM and mixup on ImageNet. At paper scale: many GPUs.

Networks are timm's; pictures are read from folders as they are needed, by --workers processes, and
mixed on the device. Scales:

- paper: ImageNet-2012 from imagenet/train and imagenet/val below the data home, the paper's
  settings, each network for 90 and for 200 epochs;
- small: ResNet-50 on Imagenette, or the sample of it in the data folder, at 64 x 64 pixels, for two
  CPU cores: it shows that the loss falls and is no reproduction. Ten classes, 10 epochs,
  minibatches of 32; with the learning rate in proportion to them [2] the training loss rose for
  three epochs first, so it is a quarter of that;
- smoke: ResNet-50 on digits of scikit-learn, written to PNG files.

--dry-run tells what the runs take, and needs no data. A killed run goes on in its middle, from
DIR/imagenet_checkpoints. With --accelerate all processes that `accelerate launch` or `torchrun`
starts share the minibatches of each run.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.1.
[2] Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._data.imagenet import find_folders, write_digits
from benchmarks._data.pictures import PictureSet
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import (
    add_alphas,
    add_data_options,
    add_dry_run,
    add_number,
    missing_data_end_it,
)
from benchmarks._lab.pictures import KEY, list_tasks, tell_cost
from benchmarks._nets.recipes import IMAGENET_PIXELS
from benchmarks.imagenet.report import tell
from benchmarks.imagenet.runs import NETWORKS, Scale, list_trainings, share

_SCALES = {
    "smoke": Scale("digits", ("resnet50",), 32, (2,), 20, 0, sizes={"layers": (1, 1, 1, 1)}),
    "small": Scale("imagenette", ("resnet50",), 64, (10,), 32, 0, lr_factor=0.25),
    "paper": Scale("imagenet", NETWORKS, IMAGENET_PIXELS, (90, 200), None, 8),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, help="by scale")
    add_alphas(parser, told="; default: the paper's of each network")
    told = "90 and 200 are the paper's; of others warm-up and drops come in proportion; by scale"
    add_number(parser, "--epochs", told, nargs="+")
    told = "pictures of a minibatch, with the learning rate in proportion; by scale"
    add_number(parser, "--batch-size", told)
    add_number(parser, "--pixels", "height and width of a picture; by scale")
    add_number(parser, "--workers", "processes that read pictures; by scale")
    told = "share each run among the processes of `accelerate launch`; needs --jobs 1"
    parser.add_argument("--accelerate", action="store_true", help=told)
    add_dry_run(parser)
    folders = "imagenet/train/..., imagenette2/train/... or imagenet_like/train/..."
    add_data_options(parser, folders, download=None)


def _plan(request: Request) -> list[Part]:
    args = request.args
    scale = request.narrow(
        networks="networks", epochs="epochs", batch_size="batch_size", pixels="pixels"
    )
    tasks = list_tasks(
        list_trainings(scale, _find_pictures(scale, request)),
        alphas=args.alphas and [0.0, *(alpha for alpha in args.alphas if alpha > 0)],
        n_seeds=args.seeds or 1,
        **request.where,
    )
    if args.accelerate and not args.dry_run:
        tasks = share(tasks, request)
        if not tasks:
            return []
    dry_run = partial(tell_cost, "imagenet", tasks)
    return [Part("imagenet", KEY, {"": tasks}, tell, checkpoints=True, dry_run=dry_run)]


def _find_pictures(scale: Scale, request: Request) -> PictureSet:
    workers = request.args.workers
    n_workers = scale.n_workers if workers is None else workers
    options = {"pixels": scale.pixels, "n_workers": n_workers}
    if scale.data == "digits":
        return write_digits(Path(request.stack.enter_context(TemporaryDirectory())), **options)
    with missing_data_end_it():
        data_home, dry = request.args.data_home, request.args.dry_run
        return find_folders(scale.data, data_home, dry=dry, **options)


EXPERIMENT = Experiment(
    name="imagenet",
    paper="Table 1",
    title="ImageNet",
    question="Does mixup lower the test error on large pictures?",
    small_takes="4 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
