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
import shutil
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks import _adversarial_report as report
from benchmarks._adversarial_nets import (
    N_STEPS,
    measure_attacks,
    read_minibatches,
    read_network,
    split_rows,
)
from benchmarks._data.cifar import fetch_cifar10
from benchmarks._data.imagenet import find_folders
from benchmarks._data.pictures import PictureSet, find_in_memory
from benchmarks._lab.checkpoints import with_checkpoints
from benchmarks._lab.options import add_data_options, add_dry_run, missing_data_end_it
from benchmarks._lab.pictures import CHANNELS_LAST, KEY, Training, list_tasks, tell_cost
from benchmarks._nets import recipes
from benchmarks._nets.pictures import make_network
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.robustness import pixel_bounds

_CIFAR_FAMILY, _IMAGENET_FAMILY = "preact_resnet18", "resnet101"
_IMAGENET_EPOCHS = 90  # Table 3 does not say; Table 1 has 90 and 200
_PIXEL_LEVELS = (1.0, 2.0, 4.0, 8.0)  # of 255; the paper's is 4
_DIGIT_LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of 16
_DIGITS_NETWORK = "MLP 2 x 128"
_TEST_SHARE = 0.2  # of the digits
_SPLITS_AT_ONCE = 5  # few enough nets to fuse for the memory
_SOURCE_SEED = 1000  # added to the split's, for the net that attacks in the black box


@dataclass(frozen=True)
class _Scale:
    """How much is run.

    `width`, `max_epochs` (None is the paper's) and `n_attacked`, the first test pictures (None is
    all), are of the part pictures.
    """

    parts: tuple[str, ...]
    data: str
    width: int
    max_epochs: int | None
    n_attacked: int | None
    n_seeds: int
    n_splits: int
    digits_epochs: int
    digits_alphas: tuple[float, ...] = (0.2, 1.0)


_BOTH = ("pictures", "digits")
_SCALES = {
    "smoke": _Scale(_BOTH, "digits", 4, 2, None, 2, 2, 4, (1.0,)),
    "small": _Scale(_BOTH, "cifar10", 16, 10, 500, 3, 20, 64),
    "paper": _Scale(("pictures",), "imagenet", 64, None, None, 1, 20, 64),
}


# -- pictures -------------------------------------------------------------------------------------


def plan_networks(
    scale: _Scale, pictures: PictureSet, *, alpha: float | None, n_seeds: int, device: str
) -> list[Task]:
    """List the networks to train: ERM and mixup of each seed, and one more ERM network.

    Parameters
    ----------
    scale : _Scale
        What is run.
    pictures : PictureSet
        To train on, and to attack.
    alpha : float
        Of mixup; None is the paper's of the network.
    n_seeds : int
        Repeats.
    device : str

    Returns
    -------
    list of Task
        Those of `list_tasks`; their work lacks ``checkpoints``.
    """
    if scale.data == "imagenet":
        recipe = recipes.IMAGENET_RECIPES[_IMAGENET_FAMILY, _IMAGENET_EPOCHS]
        training = Training(
            pictures,
            _IMAGENET_FAMILY,
            recipe.shortened(scale.max_epochs),
            settings={"pixels": recipes.IMAGENET_PIXELS},
        )
    else:
        recipe = recipes.CIFAR_RECIPES[_CIFAR_FAMILY]
        sizes = {"width": scale.width}
        training = Training(
            pictures, _CIFAR_FAMILY, recipe.shortened(scale.max_epochs), sizes, {"sizes": sizes}
        )
    tasks = list_tasks(
        [training],
        alphas=[0.0, recipe.alpha if alpha is None else alpha],
        n_seeds=n_seeds + 1,
        device=device,
        versions=environment(device),
    )
    return [task for task in tasks if not task.key["alpha"] or task.key["seed"] < n_seeds]


def plan_attacks(networks: Sequence[Task], *, n_attacked: int | None, device: str) -> list[Task]:
    """List the attacks on trained networks; those of a seed are done together.

    Parameters
    ----------
    networks : list of Task
        From `plan_networks`, with their checkpoints.
    n_attacked : int or None
        The first test pictures are attacked; None: all.
    device : str

    Returns
    -------
    list of Task
    """
    places = {(n.key["alpha"], n.key["seed"]): n.work.keywords["checkpoints"] for n in networks}
    tasks = []
    for network in networks:
        seed = network.key["seed"]
        if (0.0, seed + 1) not in places:  # it is there to attack, not to be attacked
            continue
        settings = {
            **network.settings,
            "levels": list(_PIXEL_LEVELS),
            "n_steps": N_STEPS,
            "source_seed": seed + 1,
            "n_attacked": n_attacked,
        }
        training = network.work.keywords["training"]
        options = {"places": places, "n_attacked": n_attacked, "device": device}
        work = partial(attack_seed, training=training, **options)
        group = "-".join(
            str(network.key[name]) for name in ("data", "network", "max_epochs", "seed")
        )
        tasks.append(Task(network.key, settings, work, group))
    return tasks


def attack_seed(
    keys: Sequence[Mapping[str, Any]],
    *,
    training: Training,
    places: Mapping[tuple[float, int], Path],
    device: str,
    n_attacked: int | None = None,
) -> list[dict[str, Any]]:
    """Attack the trained networks of a seed, whose checkpoints are at `places`."""
    start = time.perf_counter()
    pictures, loaded = training.pictures, training.pictures.load(device)
    sizes = {"channels_last": CHANNELS_LAST, **training.sizes}
    make = partial(make_network, training.family, pictures.n_classes, **sizes)
    (seed,) = {key["seed"] for key in keys}
    errors = measure_attacks(
        {key["alpha"]: read_network(places[key["alpha"], seed], make, device) for key in keys},
        read_network(places[0.0, seed + 1], make, device),
        read_minibatches(loaded, n_attacked, device),
        bounds={
            level: pixel_bounds(level, mean=loaded.mean, std=loaded.std) for level in _PIXEL_LEVELS
        },
        n_bests=(1, 5),
    )
    counts = {
        "n_train": pictures.n_train,
        "n_test": min(n_attacked or pictures.n_test, pictures.n_test),
    }
    seconds = round((time.perf_counter() - start) / len(keys), 2)
    told = {
        "data_name": pictures.title,
        "source_seed": seed + 1,
        **counts,
        "attack_time_s": seconds,
    }
    return [{**told, **errors[key["alpha"]]} for key in keys]


# -- digits ---------------------------------------------------------------------------------------


def plan_digits(
    *, alphas: Sequence[float], n_splits: int, max_epochs: int, device: str
) -> list[Task]:
    """List the runs on digits, split by split; alpha 0 is ERM."""
    settings = {
        **environment(device),
        "levels": list(_DIGIT_LEVELS),
        "n_steps": N_STEPS,
        "test_share": _TEST_SHARE,
        "source_seed": _SOURCE_SEED,
    }
    work = partial(run_digits, max_epochs=max_epochs, device=device)
    return [
        Task(
            {
                "data": "digits",
                "network": _DIGITS_NETWORK,
                "method": "mixup" if alpha else "ERM",
                "alpha": alpha,
                "max_epochs": max_epochs,
                "seed": split,
            },
            settings,
            work,
            f"digits-{max_epochs}-{split // _SPLITS_AT_ONCE}",
        )
        for split in range(n_splits)
        for alpha in alphas
    ]


def run_digits(
    keys: Sequence[Mapping[str, Any]], *, max_epochs: int, device: str
) -> list[dict[str, Any]]:
    """Train nets, and a source for each split, all together; attack them split by split."""
    start = time.perf_counter()
    bunch = load_digits()
    X, y = (bunch.data / 16).astype(np.float32), bunch.target
    splits = sorted({key["seed"] for key in keys})
    rows = {
        split: train_test_split(
            np.arange(len(y)), test_size=_TEST_SHARE, random_state=split, stratify=y
        )
        for split in splits
    }
    nets = {
        (split, alpha): MixupClassifier(
            alpha=alpha or 0.0,
            max_epochs=max_epochs,
            random_state=split + (_SOURCE_SEED if alpha is None else 0),
            device=device,
        )
        for split, alpha in [
            *((key["seed"], key["alpha"]) for key in keys),
            *((split, None) for split in splits),  # the source
        ]
    }
    train = {split: (X[rows[split][0]], y[rows[split][0]]) for split in splits}
    Xs, ys = zip(*(train[split] for split, _ in nets), strict=True)
    fit_fused(list(nets.values()), Xs, ys, n_jobs=1)
    errors = {}
    for split in splits:
        _, test = rows[split]
        errors[split] = measure_attacks(
            {
                a: net.module_.eval()
                for (of, a), net in nets.items()
                if of == split and a is not None
            },
            nets[split, None].module_.eval(),
            split_rows(torch.from_numpy(X[test]).to(device), torch.from_numpy(y[test]).to(device)),
            bounds={level: (level / 16, (0.0, 1.0)) for level in _DIGIT_LEVELS},
        )
    told = {"data_name": "digits of scikit-learn"}
    told |= {"n_train": len(Xs[0]), "n_test": len(y) - len(Xs[0])}
    told["run_time_s"] = round((time.perf_counter() - start) / len(keys), 2)
    return [
        {**told, "source_seed": seed + _SOURCE_SEED, **errors[seed][alpha]}
        for seed, alpha in ((key["seed"], key["alpha"]) for key in keys)
    ]


# -- command line ---------------------------------------------------------------------------------


def _positive(text: str) -> float:
    """Read an alpha that mixes; ERM is run anyway."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be > 0; got {text}. ERM is run beside it anyway")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument("--parts", nargs="+", choices=_BOTH, help="by scale")
    parser.add_argument("--data", choices=["cifar10", "digits"], help="of pictures; by scale")
    parser.add_argument(
        "--alpha",
        type=_positive,
        metavar="A",
        help="concentration of Beta(A, A) for pictures; default 1, on ImageNet 0.2",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="of pictures; the drops of the learning rate come in proportion; by scale",
    )
    add_dry_run(parser)
    parser.add_argument(
        "--workers",
        type=int,
        default=8,
        metavar="N",
        help="processes that read ImageNet; default 8",
    )
    add_data_options(parser, "cifar10/... or imagenet/...")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale_name = args.scale or "small"
    scale = _SCALES[scale_name]
    scale = replace(scale, data=args.data or scale.data, max_epochs=args.epochs or scale.max_epochs)
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    parts = args.parts or scale.parts
    tasks: list[Task] = []
    checkpoints = args.out / "adversarial_checkpoints"
    folder = checkpoints / f"{scale.data}-{scale.max_epochs or 'paper'}"
    if "pictures" in parts:
        pictures = _find_pictures(scale, args, whole=scale_name == "paper")
        n_seeds = args.seeds or scale.n_seeds
        networks = plan_networks(scale, pictures, alpha=args.alpha, n_seeds=n_seeds, device=device)
        if args.dry_run:
            tell_cost("adversarial, networks to train", networks)
            n_levels, n_passes = len(_PIXEL_LEVELS), 3 * len(_PIXEL_LEVELS) * (1 + N_STEPS)
            told = (
                f"Then, for each seed, {n_passes} passes forward and backward of all test "
                f"pictures: {n_levels} eps, FGSM and {N_STEPS} steps of I-FGSM, with the gradients "
                "of ERM, mixup and the black box."
            )
            print("", textwrap.fill(told, 100), sep="\n")
        else:
            tasks += _train(networks, folder, scale.n_attacked, device, args)
    if args.dry_run:
        return
    if "digits" in parts:
        tasks += plan_digits(
            alphas=(0.0, *scale.digits_alphas),
            n_splits=args.seeds or scale.n_splits,
            max_epochs=scale.digits_epochs,
            device=device,
        )
    run_table = RunTable(args.out / "adversarial.csv", KEY)
    versions = environment(device)
    runs = run_table.complete(tasks, n_jobs=args.jobs, title="adversarial", extra=versions)
    shutil.rmtree(folder, ignore_errors=True)
    if checkpoints.is_dir() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()
    _tell(runs, args.out, versions)


def _find_pictures(scale: _Scale, args: argparse.Namespace, *, whole: bool) -> PictureSet:
    """Find the pictures to train on and to attack."""
    if scale.data == "imagenet":
        size = {"pixels": recipes.IMAGENET_PIXELS, "n_workers": args.workers}
        with missing_data_end_it():
            return find_folders("imagenet", args.data_home, dry=args.dry_run, **size)
    with missing_data_end_it("(or --download, to get it)"):
        if args.download and scale.data == "cifar10":
            fetch_cifar10(args.data_home)
        return find_in_memory(scale.data, args.data_home, whole=whole, dry=args.dry_run)


def _train(
    networks: Sequence[Task],
    folder: Path,
    n_attacked: int | None,
    device: str,
    args: argparse.Namespace,
) -> list[Task]:
    """Train the networks that attacks to come need, and plan the attacks."""
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    networks = [with_checkpoints(task, folder) for task in networks]
    tasks = plan_attacks(networks, n_attacked=n_attacked, device=device)
    pending = RunTable(args.out / "adversarial.csv", KEY).pending(tasks)
    needed = {(task.key["alpha"], task.key["seed"]) for task in pending}
    needed |= {(0.0, task.key["seed"] + 1) for task in pending}
    if needed:
        # Beside the checkpoints, so that it says no more than what is there.
        trained = RunTable(folder / "networks.csv", KEY)
        due = [task for task in networks if (task.key["alpha"], task.key["seed"]) in needed]
        trained.complete(due, n_jobs=args.jobs, title="adversarial, training")
    return tasks


def _tell(runs: Any, out: Path, versions: Mapping[str, str]) -> None:
    """Write table, page and figure."""
    comparison = report.compare(runs)
    verdicts, notes = report.conclude(comparison), report.notes(runs)
    tables = [report.table_3(comparison), report.curves_table(comparison)]
    report.plot(runs, out / "adversarial.png")
    for table in tables:
        print("", terminal_table(table), sep="\n")
    print("", *(textwrap.fill(text, 100) + "\n" for text in (*verdicts, notes)), sep="\n")
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    title = "Table 3: adversarial examples, ERM and mixup"
    picture = f"![{title}](adversarial.png)"
    write_markdown(out / "adversarial.md", title, *verdicts, picture, *tables, notes, told + ".")
    print(f"Written: {', '.join(str(out / f'adversarial.{ext}') for ext in ('csv', 'md', 'png'))}")
