"""Networks for pictures, ERM beside mixup, as runs: what several experiments train alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._data.cifar import fetch_cifar10, fetch_cifar100
from benchmarks._data.pictures import (
    ANY_VERSION,
    ORIGINAL,
    WHOLE_VERSIONS,
    Loaded,
    PictureSet,
    find_in_memory,
)
from benchmarks._lab.cost import compute_cost, tell_plan
from benchmarks._lab.options import missing_data_end_it
from benchmarks._lab.runs import Task
from benchmarks._nets.pictures import DESIGNS, make_network, name_network
from benchmarks._nets.recipes import PictureRecipe
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier
from sklearn_mixup import MixupClassifier

KEY = ("data", "network", "method", "alpha", "max_epochs", "seed")
# Of CIFAR-10, by scale: what is none of these takes what there is.
_VERSIONS = {"gpu": WHOLE_VERSIONS, "paper": ORIGINAL}
CHANNELS_LAST = True  # 0.6 to 0.85 of the time of narrow networks on a CPU, see `make_network`


def key_of(
    data: str, network: str, alpha: float, max_epochs: int, seed: int, *, method: str = "mixup"
) -> dict[str, Any]:
    """Tell a run from all others, by `KEY`; without alpha the method is ERM."""
    method = method if alpha else "ERM"
    return dict(zip(KEY, (data, network, method, alpha, max_epochs, seed), strict=True))


def find_pictures(name: str, args: argparse.Namespace, hint: str) -> PictureSet:
    """Find the pictures of a name, downloaded first if the options say so.

    Raises
    ------
    SystemExit
        If they are not on this machine; `hint` ends its message.
    """
    versions = _VERSIONS.get(args.scale, ANY_VERSION)
    with missing_data_end_it(hint):
        if args.download and name == "cifar10":
            fetch_cifar10(args.data_home, versions=versions)
        elif args.download and name == "cifar100":
            fetch_cifar100(args.data_home)
        dry = getattr(args, "dry_run", False)
        return find_in_memory(name, args.data_home, versions=versions, dry=dry)


@dataclass(frozen=True)
class Pace:
    """What a training is done by, that is no part of its recipe."""

    # Spread over the epochs; None is one after each. Where these take a second there is no time.
    n_checkpoints: int | None = None
    precision: str = "float32"  # of MixupClassifier

    def every_n_epochs(self, max_epochs: int) -> int:
        """Tell the epochs from one checkpoint to the next.

        >>> Pace().every_n_epochs(200), Pace(20).every_n_epochs(200), Pace(20).every_n_epochs(3)
        (1, 10, 1)
        """
        return max(max_epochs // self.n_checkpoints, 1) if self.n_checkpoints else 1

    @property
    def settings(self) -> dict[str, str]:
        """What a result depends on."""
        return {} if self.precision == "float32" else {"precision": self.precision}


USUAL_PACE = Pace()
ON_A_FAST_GPU = Pace(n_checkpoints=20, precision="auto")


@dataclass(frozen=True)
class Training:
    """A network, the pictures that it is trained on, and how."""

    pictures: PictureSet
    family: str  # as for `make_network`
    recipe: PictureRecipe  # its alpha is what mixup uses, if the experiment has no other
    sizes: Mapping[str, Any] = field(default_factory=dict)  # depth, width and the like
    settings: Mapping[str, Any] = field(default_factory=dict)  # of a `Task`, beside these
    pace: Pace = USUAL_PACE
    method: str = "mixup"  # what it is called where it mixes
    params: Mapping[str, Any] = field(default_factory=dict)  # more of MixupClassifier, as JSON

    @property
    def network(self) -> str:
        """The name of the network."""
        return name_network(self.family, self.sizes)


def train(
    training: Training,
    alpha: float,
    seed: int,
    *,
    device: str,
    checkpoints: Path,
    accelerator: Any = None,
) -> tuple[MixupClassifier, Loaded, dict[str, Any]]:
    """Train a network and measure its errors after each epoch; it goes on from `checkpoints`.

    With an `accelerator` this is for each of its processes to call. The results say whose pictures
    they are and how many, and what `fit_resumable` gives.
    """
    pictures = training.pictures
    loaded = pictures.load(device)
    classifier = make_classifier(
        training.recipe,
        training.family,
        n_train=pictures.n_train,
        n_classes=pictures.n_classes,
        alpha=alpha,
        seed=seed,
        device=device,
        sizes={"channels_last": CHANNELS_LAST, **training.sizes},
        callbacks=[("test_errors", TestErrors(*loaded.test))],
        accelerator=accelerator,
        precision=training.pace.precision,
        **training.params,
        **loaded.params,
    )
    every = training.pace.every_n_epochs(training.recipe.max_epochs)
    results = fit_resumable(classifier, *loaded.train, checkpoints, every_n_epochs=every)
    counts = {"n_train": pictures.n_train, "n_test": pictures.n_test}
    about = {"data_name": pictures.title, "family": training.family}
    told = {**about, **results, **counts, **training.pace.settings}
    return classifier, loaded, told


def run_training(training: Training, alpha: float, seed: int, **options: Any) -> dict[str, Any]:
    """Train a network, and keep its errors alone."""
    return train(training, alpha, seed, **options)[2]


def list_tasks(
    trainings: Sequence[Training],
    *,
    n_seeds: int,
    device: str,
    versions: Mapping[str, str],
    alphas: Sequence[float] | None = None,
    run: Callable[..., dict[str, Any]] = run_training,
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    Without `alphas`: ERM, and mixup with the alpha of each recipe. The work of a task is ``run``
    with ``training``, ``alpha``, ``seed`` and ``device``; it lacks ``checkpoints``.
    """
    return [
        Task(
            key_of(
                *(training.pictures.name, training.network, alpha),
                *(training.recipe.max_epochs, seed),
                method=training.method,
            ),
            {
                **versions,
                "recipe": replace(training.recipe, alpha=alpha).describe(),
                "channels_last": CHANNELS_LAST,
                "data_name": training.pictures.title,
                **DESIGNS.get(training.family, {}),
                **training.settings,
                **training.pace.settings,
                **({"params": dict(training.params)} if training.params else {}),
            },
            partial(run, training=training, alpha=alpha, seed=seed, device=device),
        )
        for seed in range(n_seeds)
        for training in trainings
        for alpha in alphas or (0.0, training.recipe.alpha)
    ]


def tell_cost(title: str, tasks: Sequence[Task]) -> None:
    """Print what the runs of `list_tasks` take: a line for each data, network and budget."""
    planned: dict[tuple[Any, ...], dict[str, Any]] = {}
    for task in tasks:
        work: Any = task.work
        training: Training = work.keywords["training"]
        place = (training.pictures.title, training.network, training.recipe.max_epochs)
        if place not in planned:
            planned[place] = dict(zip(("data", "network", "epochs"), place, strict=True))
            planned[place] |= {"runs": 0, **_numbers(training)}
        planned[place]["runs"] += 1
    tell_plan(title, list(planned.values()))


def _numbers(training: Training) -> dict[str, float]:
    """Count the parameters, steps and megabytes of a training."""
    pictures, recipe = training.pictures, training.recipe
    cost = compute_cost(
        partial(make_network, training.family, pictures.n_classes, **training.sizes),
        batch_size=recipe.batch_size,
        shape=pictures.shape,
        n_resident=pictures.n_resident,
    )
    memory = {
        "weights, MB": cost.state_bytes / 1e6,
        "minibatch, MB": cost.activation_bytes / 1e6,
        "data, MB": cost.data_bytes / 1e6,
    }
    return {
        "parameters": cost.n_parameters,
        "steps a run": recipe.max_epochs * recipe.n_minibatches(pictures.n_train),
        **memory,
        "in all, MB": sum(memory.values()),
    }
