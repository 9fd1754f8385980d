"""Networks on pictures: each is trained once, attacked, and the source of another's attack."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks._data.pictures import Loaded, PictureSet
from benchmarks._lab.checkpoints import checkpoints_of, with_checkpoints
from benchmarks._lab.experiment import Request
from benchmarks._lab.pictures import CHANNELS_LAST, KEY, Training, list_tasks
from benchmarks._lab.runs import RunTable, Task
from benchmarks._nets import recipes
from benchmarks._nets.pictures import make_network
from benchmarks.adversarial.attacks import (
    N_ROWS_AT_ONCE,
    N_STEPS,
    Minibatches,
    in_minibatches,
    measure_attacks,
)
from sklearn_mixup._checkpoint import load_checkpoint
from sklearn_mixup.robustness import pixel_bounds

LEVELS = (1.0, 2.0, 4.0, 8.0)  # of 255; the paper's is 4
_CIFAR_FAMILY, _IMAGENET_FAMILY = "preact_resnet18", "resnet101"
_IMAGENET_EPOCHS = 90  # Table 3 does not say; Table 1 has 90 and 200


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run.

    `data`, `width`, `max_epochs` (None is the paper's), `n_attacked`, the first test pictures (None
    is all), and `n_seeds` are of the part pictures, what follows of the part digits.
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


# -- training -------------------------------------------------------------------------------------


def choose_training(scale: Scale, pictures: PictureSet) -> Training:
    """Choose the network, and how it is trained: the paper's, or a small one on small pictures."""
    if scale.data == "imagenet":
        recipe = recipes.IMAGENET_RECIPES[_IMAGENET_FAMILY, _IMAGENET_EPOCHS]
        recipe, settings = recipe.shortened(scale.max_epochs), {"pixels": recipes.IMAGENET_PIXELS}
        return Training(pictures, _IMAGENET_FAMILY, recipe, settings=settings)
    recipe = recipes.CIFAR_RECIPES[_CIFAR_FAMILY].shortened(scale.max_epochs)
    sizes = {"width": scale.width}
    return Training(pictures, _CIFAR_FAMILY, recipe, sizes, {"sizes": sizes})


def list_networks(
    scale: Scale, training: Training, *, alpha: float | None, **options: Any
) -> list[Task]:
    """List the networks to train: ERM and mixup of each seed, and one more ERM network.

    `alpha` None is the paper's; options are those of `list_tasks`.
    """
    alphas = [0.0, training.recipe.alpha if alpha is None else alpha]
    tasks = list_tasks([training], alphas=alphas, n_seeds=scale.n_seeds + 1, **options)
    return [task for task in tasks if not task.key["alpha"] or task.key["seed"] < scale.n_seeds]


def train_networks(
    pending: Sequence[Task], *, networks: Sequence[Task], folder: Path, request: Request
) -> None:
    """Train the networks that the pending attacks need; they go when all attacks are done."""
    request.stack.push(partial(_forget, folder))
    needed = set()
    for key in (task.key for task in pending if task.key["network"] == networks[0].key["network"]):
        needed |= {(key["alpha"], key["seed"]), (0.0, key["seed"] + 1)}
    due = [task for task in networks if (task.key["alpha"], task.key["seed"]) in needed]
    if due:
        tasks = [with_checkpoints(task, folder) for task in due]
        table = RunTable(folder / "networks.csv", KEY)  # says no more than what is there beside it
        table.complete(tasks, n_jobs=request.args.jobs, title="adversarial, training")


def _forget(folder: Path, error: type[BaseException] | None, *_: Any) -> None:
    """Remove the networks, and an empty folder around; after a kill they wait to be attacked."""
    if error is None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # not empty
            folder.parent.rmdir()


# -- attacks --------------------------------------------------------------------------------------


def list_attacks(
    scale: Scale, training: Training, networks: Sequence[Task], folder: Path, *, device: str
) -> list[Task]:
    """List the attacks on trained networks, those of a seed together; the last only attacks."""
    places = {(it.key["alpha"], it.key["seed"]): checkpoints_of(it, folder) for it in networks}
    attacks = {"levels": list(LEVELS), "n_steps": N_STEPS, "n_attacked": scale.n_attacked}
    where: dict[str, Any] = {"device": device, "n_attacked": scale.n_attacked}
    work = partial(attack_seed, training=training, places=places, **where)
    return [
        replace(
            network,
            settings={**network.settings, **attacks, "source_seed": network.key["seed"] + 1},
            work=work,
            group=f"pictures {network.key['seed']}",
        )
        for network in networks
        if network.key["seed"] < scale.n_seeds
    ]


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
        bounds={level: pixel_bounds(level, mean=loaded.mean, std=loaded.std) for level in LEVELS},
        n_bests=(1, 5),
    )
    told = {
        "data_name": pictures.title,
        "source_seed": seed + 1,
        "n_train": pictures.n_train,
        "n_test": min(n_attacked or pictures.n_test, pictures.n_test),
        "attack_time_s": round((time.perf_counter() - start) / len(keys), 2),
    }
    return [{**told, **errors[key["alpha"]]} for key in keys]


def read_network(checkpoints: Path, make: Callable[[], nn.Module], device: str) -> nn.Module:
    """Read a network from the checkpoint of its finished training; it is in evaluation mode."""
    found = load_checkpoint(checkpoints)
    if found is None:
        raise FileNotFoundError(
            f"{str(checkpoints)!r} must hold the checkpoint of a finished training; got none. "
            "Start the benchmark again with --fresh."
        )
    network = make()
    network.load_state_dict(found[0]["modules"]["module"])
    return network.to(device).eval()


def read_minibatches(loaded: Loaded, n_rows: int | None, device: str) -> Minibatches:
    """Give the first pictures to test on, from memory, or all of a folder as they are needed."""
    X, y = loaded.test
    if isinstance(X, Tensor):
        yield from in_minibatches(X[:n_rows], y[:n_rows].to(device))
    else:
        n_workers = loaded.params["iterator_valid__num_workers"]
        for rows, codes in DataLoader(X, batch_size=N_ROWS_AT_ONCE, num_workers=n_workers):
            yield rows.to(device), codes.to(device)
