"""The runs of Table 1: networks of timm on folders of pictures, shared among processes if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._data.pictures import PictureSet
from benchmarks._lab.checkpoints import with_checkpoints
from benchmarks._lab.experiment import Request
from benchmarks._lab.pictures import KEY, Training
from benchmarks._lab.runs import RunTable, Task
from benchmarks._nets.recipes import IMAGENET_RECIPES, PictureRecipe

NETWORKS = tuple(dict.fromkeys(network for network, _ in IMAGENET_RECIPES))


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run; `batch_size` None is the paper's."""

    data: str
    networks: tuple[str, ...]
    pixels: int
    epochs: tuple[int, ...]
    batch_size: int | None
    n_workers: int
    lr_factor: float = 1.0
    sizes: Mapping[str, Any] = field(default_factory=dict)  # of the networks, as timm names them


def choose_recipe(
    family: str, max_epochs: int, batch_size: int | None, lr_factor: float = 1.0
) -> PictureRecipe:
    """Take a recipe of the paper, or shorten that for 90 epochs; minibatches of `batch_size`.

    `lr_factor` is what learning rates are multiplied with beside.
    """
    known = IMAGENET_RECIPES.get((family, max_epochs))
    recipe = known or IMAGENET_RECIPES[family, 90].shortened(max_epochs)
    recipe = recipe if batch_size is None else recipe.with_batch_size(batch_size)
    return replace(recipe, lr=lr_factor * recipe.lr, warmup_lr=lr_factor * recipe.warmup_lr)


def list_trainings(scale: Scale, pictures: PictureSet) -> list[Training]:
    """List what is trained, with every alpha and seed: each network for each number of epochs."""
    return [
        Training(
            pictures,
            family,
            choose_recipe(family, max_epochs, scale.batch_size, scale.lr_factor),
            scale.sizes,
            {"pixels": scale.pixels},
        )
        for max_epochs in scale.epochs
        for family in scale.networks
    ]


def share(tasks: Sequence[Task], request: Request) -> list[Task]:
    """Let all processes of accelerate do the runs together; the first keeps the table.

    It gets the tasks, to be done by it as any others are. The other processes do their share of
    them here, and have nothing left to do.
    """
    from accelerate import Accelerator

    args = request.args
    if args.jobs != 1:
        raise SystemExit(f"--accelerate shares each run out: it needs --jobs 1; got {args.jobs}.")
    if args.fresh:
        raise SystemExit("--fresh and --accelerate do not go together: delete the files in --out.")
    accelerator = Accelerator()
    request.stack.callback(accelerator.end_training)
    tasks = [replace(task, work=partial(task.work, accelerator=accelerator)) for task in tasks]
    table: Path = args.out / "imagenet.csv"
    if accelerator.is_main_process:
        RunTable(table, KEY)  # mends what a kill left, before others read it
    accelerator.wait_for_everyone()
    pending = RunTable(table, KEY).pending(tasks)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        return tasks
    for task in pending:
        with_checkpoints(task, args.out / "imagenet_checkpoints").work()
    return []
