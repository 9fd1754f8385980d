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
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from benchmarks import _picture_figures as figures
from benchmarks import _picture_report as report
from benchmarks._nets import recipes
from benchmarks._nets.pictures import make_network, name_network
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier
from benchmarks._options import add_alphas, add_data_options, add_dry_run
from benchmarks._picture_runs import compute_cost, forget_checkpoints, with_checkpoints
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from sklearn_mixup import MixupClassifier

_KEY = ("data", "network", "method", "alpha", "max_epochs", "seed")
_NETWORKS = list(dict.fromkeys(network for network, _ in recipes.IMAGENET_RECIPES))
_CHANNELS_LAST = True


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run; `shortened` and `batch_size` None are the paper's."""

    data: str
    networks: tuple[str, ...]
    pixels: int
    epochs: tuple[int, ...]
    batch_size: int | None
    n_workers: int
    lr_factor: float = 1.0
    sizes: Mapping[str, Any] = field(default_factory=dict)  # of the networks, as timm names them


_SCALES = {
    "smoke": _Scale("digits", ("resnet50",), 32, (2,), 20, 0, sizes={"layers": (1, 1, 1, 1)}),
    "small": _Scale("imagenette", ("resnet50",), 64, (10,), 32, 0, lr_factor=0.25),
    "paper": _Scale("imagenet", tuple(_NETWORKS), recipes.IMAGENET_PIXELS, (90, 200), None, 8),
}


# -- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Folders:
    """Folders of pictures to train and to test on, a folder for each class in either."""

    name: str
    train_dir: Path
    test_dir: Path
    n_train: int
    n_test: int
    n_classes: int


def find_folders(name: str, data_home: str | None = None) -> Folders:
    """Find ImageNet or Imagenette on this machine.

    Raises
    ------
    OSError
        If the folders are missing.
    """
    from benchmarks._data.imagenet import fetch_imagenet, fetch_imagenette

    bunch = (fetch_imagenet if name == "imagenet" else fetch_imagenette)(data_home)
    counts = {key: bunch[key] for key in ("n_train", "n_test", "n_classes")}
    return Folders(bunch.name, bunch.train_dir, bunch.test_dir, **counts)


def write_digits(root: Path) -> Folders:
    """Write 60 digits of scikit-learn as grey PNG files: pictures on a machine that has none."""
    from PIL import Image

    bunch = load_digits()
    for part, rows in (("train", range(40)), ("val", range(40, 60))):
        for row in rows:
            folder = root / part / str(bunch.target[row])
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (bunch.images[row] * 15).astype(np.uint8)  # 0 to 16 becomes 0 to 240
            Image.fromarray(pixels).resize((32, 32)).save(folder / f"{row}.png")
    return Folders("digits of scikit-learn", root / "train", root / "val", 40, 20, 10)


# -- runs -----------------------------------------------------------------------------------------


def run_one(
    folders: Folders,
    family: str,
    recipe: recipes.PictureRecipe,
    alpha: float,
    seed: int,
    *,
    pixels: int,
    n_workers: int,
    device: str,
    checkpoints: Path,
    sizes: Mapping[str, Any],
    accelerator: Any = None,
) -> dict[str, Any]:
    """Train one network and measure its errors after each epoch.

    With an `accelerator` this is for each of its processes to call.
    """
    from benchmarks._data.folders import PictureFolder, test_transform, train_transform

    train = PictureFolder(folders.train_dir, train_transform(pixels))
    test = PictureFolder(folders.test_dir, test_transform(pixels))
    loader: dict[str, Any] = {"num_workers": n_workers}
    if n_workers:
        loader |= {"persistent_workers": True, "pin_memory": device.startswith("cuda")}
    classifier = make_classifier(
        recipe,
        family,
        n_train=len(train),
        n_classes=folders.n_classes,
        alpha=alpha,
        seed=seed,
        device=device,
        sizes={"channels_last": _CHANNELS_LAST, **sizes},
        callbacks=[("test_errors", TestErrors(test, test.targets))],
        accelerator=accelerator,
        **{f"iterator_train__{name}": value for name, value in loader.items()},
        iterator_valid__num_workers=n_workers,
    )
    results = fit_resumable(classifier, train, None, checkpoints)
    counts = {"n_train": len(train), "n_test": len(test)}
    return {"data_name": folders.name, "family": family, **results, **counts}


def choose_recipe(
    family: str, max_epochs: int, batch_size: int | None, lr_factor: float = 1.0
) -> recipes.PictureRecipe:
    """Take a recipe of the paper, or shorten that for 90 epochs; minibatches of `batch_size`.

    `lr_factor` is what learning rates are multiplied with beside.
    """
    known = recipes.IMAGENET_RECIPES.get((family, max_epochs))
    recipe = known or recipes.IMAGENET_RECIPES[family, 90].shortened(max_epochs)
    recipe = recipe if batch_size is None else recipe.with_batch_size(batch_size)
    return replace(recipe, lr=lr_factor * recipe.lr, warmup_lr=lr_factor * recipe.warmup_lr)


def plan(
    data: str,
    folders: Folders,
    networks: Sequence[str],
    *,
    epochs: Sequence[int],
    alphas: Sequence[float] | None,
    n_seeds: int,
    pixels: int,
    batch_size: int | None,
    n_workers: int,
    device: str,
    lr_factor: float = 1.0,
    sizes: Mapping[str, Any] | None = None,
) -> list[Task]:
    """List the runs; `alphas` None is ERM and the paper's alpha of each network.

    `sizes` is what differs from the networks of the paper.
    """
    versions = environment(device)
    tasks = []
    for seed in range(n_seeds):
        for max_epochs in epochs:
            for family in networks:
                recipe = choose_recipe(family, max_epochs, batch_size, lr_factor)
                for alpha in alphas or (0.0, recipe.alpha):
                    key = {
                        "data": data,
                        "network": name_network(family, sizes or {}),
                        "method": "mixup" if alpha else "ERM",
                        "alpha": alpha,
                        "max_epochs": max_epochs,
                        "seed": seed,
                    }
                    settings = {
                        **versions,
                        "recipe": replace(recipe, alpha=alpha).describe(),
                        "pixels": pixels,
                        "channels_last": _CHANNELS_LAST,
                        "data_name": folders.name,
                    }
                    work = partial(
                        run_one,
                        *(folders, family, recipe, alpha, seed),
                        pixels=pixels,
                        n_workers=n_workers,
                        device=device,
                        sizes=sizes or {},
                    )
                    tasks.append(Task(key, settings, work))
    return tasks


def describe_plan(tasks: Sequence[Task]) -> pd.DataFrame:
    """Compute what the runs take, see `_picture_report.plan_table`; pictures are streamed."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for task in tasks:
        folders, family, recipe, *_ = task.work.args
        place = (task.key["data"], task.key["network"], recipe.max_epochs)
        if place not in rows:
            pixels = task.settings["pixels"]
            cost = compute_cost(
                recipe,
                partial(make_network, family, folders.n_classes, **task.work.keywords["sizes"]),
                shape=(3, pixels, pixels),
                n_train=folders.n_train,
            )
            rows[place] = report.plan_row(place, cost, folders.name)
        rows[place]["n_runs"] += 1
    return pd.DataFrame(list(rows.values()))


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument("--networks", nargs="+", choices=_NETWORKS, help="by scale")
    add_alphas(parser, told="; default: the paper's of each network")
    parser.add_argument(
        "--epochs",
        type=int,
        nargs="+",
        metavar="N",
        help="90 and 200 are the paper's; of others warm-up and drops come in proportion; by scale",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="pictures of a minibatch, with the learning rate in proportion; by scale",
    )
    parser.add_argument(
        "--pixels", type=int, metavar="N", help="height and width of a picture; by scale"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that read pictures; by scale"
    )
    parser.add_argument(
        "--accelerate",
        action="store_true",
        help="share each run among the processes of `accelerate launch`; needs --jobs 1",
    )
    add_dry_run(parser)
    add_data_options(
        parser,
        "imagenet/train/..., imagenette2/train/... or imagenet_like/train/...",
        download=None,
    )


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale = _SCALES[args.scale or "small"]
    data_home = args.data_home
    with ExitStack() as stack:
        if scale.data == "digits":
            folders = write_digits(Path(stack.enter_context(TemporaryDirectory())))
        else:
            folders = find_or_tell(scale.data, data_home, dry=args.dry_run)
        device = MixupClassifier(device=args.device).device  # "auto" resolved
        alphas = args.alphas and [0.0, *(alpha for alpha in args.alphas if alpha > 0)]
        tasks = plan(
            scale.data,
            folders,
            args.networks or scale.networks,
            epochs=args.epochs or scale.epochs,
            alphas=alphas,
            n_seeds=args.seeds or 1,
            pixels=args.pixels or scale.pixels,
            batch_size=args.batch_size or scale.batch_size,
            n_workers=scale.n_workers if args.workers is None else args.workers,
            device=device,
            lr_factor=scale.lr_factor,
            sizes=scale.sizes,
        )
        if args.dry_run:
            report.tell_plan("imagenet", describe_plan(tasks))
            return
        if args.accelerate:
            _share(tasks, args, environment(device))
            return
        if args.fresh:
            shutil.rmtree(args.out / "imagenet_checkpoints", ignore_errors=True)
        _run_and_tell(tasks, args, environment(device))


def _share(tasks: Sequence[Task], args: argparse.Namespace, versions: Mapping[str, str]) -> None:
    """Let all processes of accelerate do the runs together; the first keeps the table."""
    from accelerate import Accelerator

    if args.jobs != 1:
        raise SystemExit(f"--accelerate shares each run out: it needs --jobs 1; got {args.jobs}.")
    if args.fresh:
        raise SystemExit("--fresh and --accelerate do not go together: delete the files in --out.")
    accelerator = Accelerator()
    tasks = [replace(task, work=partial(task.work, accelerator=accelerator)) for task in tasks]
    if accelerator.is_main_process:
        RunTable(args.out / "imagenet.csv", _KEY)  # mends what a kill left, before others read it
    accelerator.wait_for_everyone()
    pending = RunTable(args.out / "imagenet.csv", _KEY).pending(tasks)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _run_and_tell(tasks, args, versions)
    else:
        for task in pending:
            with_checkpoints(task, args.out / "imagenet_checkpoints").work()
    accelerator.end_training()


def find_or_tell(name: str, data_home: str | None, *, dry: bool) -> Folders:
    """Find the folders; a plan for all of ImageNet can do without them."""
    try:
        return find_folders(name, data_home)
    except OSError as error:
        if dry and name == "imagenet":
            here = Path("not on this machine")
            title = "ImageNet-2012, which is not on this machine"
            return Folders(title, here, here, *recipes.IMAGENET_ROWS, 1000)
        raise SystemExit(str(error)) from error


def _run_and_tell(
    tasks: Sequence[Task], args: argparse.Namespace, versions: Mapping[str, str]
) -> None:
    """Do the runs that are not done, and write table, page and figure."""
    out: Path = args.out
    folder = out / "imagenet_checkpoints"
    run_table = RunTable(out / "imagenet.csv", _KEY)
    tasks = [with_checkpoints(task, folder) for task in tasks]
    pending = {id(task) for task in run_table.pending(tasks)}
    forget_checkpoints(folder, [task for task in tasks if id(task) not in pending])
    runs = run_table.complete(tasks, n_jobs=args.jobs, title="imagenet", extra=versions)
    forget_checkpoints(folder, tasks)
    table, notes = report.table_1(runs), report.notes_on_imagenet(runs)
    losses = report.tell_losses(runs)
    print("", terminal_table(table), "", sep="\n")
    print(*(textwrap.fill(note, 100) + "\n" for note in (losses, notes)), sep="\n")
    figures.plot_losses(runs, out / "imagenet.png")
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    title = "Table 1 of the mixup paper: ImageNet"
    picture = "![Losses and errors](imagenet.png)"
    write_markdown(out / "imagenet.md", title, losses, picture, table, notes, told + ".")
    written = (str(out / f"imagenet.{ext}") for ext in ("csv", "md", "png"))
    print(f"Written: {', '.join(written)}")
