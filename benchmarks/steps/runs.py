"""The first steps of networks at full width, each with the recipe of its experiment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks._data.pictures import PictureSet
from benchmarks._data.spoken import Source, load_speech
from benchmarks._lab.runs import Task
from benchmarks._nets.pictures import DESIGNS
from benchmarks._nets.pictures import name_network as name_for_pictures
from benchmarks._nets.recipes import CIFAR_RECIPES, PictureRecipe
from benchmarks._nets.spectrograms import compute_spectrograms
from benchmarks._nets.speech import DESIGN, SPEECH_RECIPE, SpeechRecipe, make_network
from benchmarks._nets.speech import name_network as name_for_speech
from benchmarks._nets.training import make_classifier, to_curve
from sklearn_mixup import MixupClassifier
from sklearn_mixup.exceptions import DivergedError

KEY = ("data", "network", "method", "alpha", "n_steps", "seed")
_RECIPES: Mapping[str, PictureRecipe | SpeechRecipe] = {
    **CIFAR_RECIPES,
    "lenet": SPEECH_RECIPE,
    "vgg11": SPEECH_RECIPE,
}


@dataclass(frozen=True)
class Scale:
    """How much of the experiment is run; `batch_size` None is that of each recipe."""

    n_seeds: int
    pictures: str
    clips: str
    sizes: Mapping[str, Mapping[str, Any]]  # of each network
    n_steps: int
    batch_size: int | None
    picture_pool: int  # pictures are averaged over so many pixels, down and across
    clip_pool: int  # spectrograms likewise


# -- classifiers ----------------------------------------------------------------------------------


def for_pictures(
    family: str, sizes: Mapping[str, Any], *, alpha: float, seed: int, **params: Any
) -> MixupClassifier:
    """Make the classifier of the CIFAR experiment, without its augmentation."""
    sizes = {**sizes, "channels_last": True}
    numbers: dict[str, Any] = {"n_train": 1, "n_classes": 10, "alpha": alpha, "seed": seed}
    return make_classifier(CIFAR_RECIPES[family], family, sizes=sizes, **numbers, **params)


def for_speech(
    family: str, sizes: Mapping[str, Any], *, alpha: float, seed: int, **params: Any
) -> MixupClassifier:
    """Make the classifier of the experiment with spoken words; here it mixes from the start."""
    return MixupClassifier(
        make_network,
        module__family=family,
        **{f"module__{name}": value for name, value in sizes.items()},
        alpha=alpha,
        random_state=seed,
        **{**SPEECH_RECIPE.params(), "erm_epochs": 0, **params},
    )


# -- runs -----------------------------------------------------------------------------------------


def take_steps(
    scale: Scale, family: str, source: PictureSet | Source, alpha: float, seed: int, device: str
) -> dict[str, Any]:
    """Train a network for one epoch of a few minibatches; give the loss of each."""
    make, X, y = _read(scale, family, source, device)
    batch_size = scale.batch_size or _RECIPES[family].batch_size
    n_rows = scale.n_steps * batch_size
    rows = torch.arange(n_rows) % len(y)
    params: dict[str, Any] = {"max_epochs": 1, "batch_size": batch_size, "device": device}
    net = make(family, scale.sizes[family], alpha=alpha, seed=seed, **params)
    start = time.perf_counter()
    try:
        losses = net.fit(X[rows], y[rows]).history[-1, "batches", :, "train_loss"]
    except DivergedError:  # which minibatch it was is not known
        losses = [float("nan")] * scale.n_steps
    n_last = max(1, scale.n_steps // 4)
    return {
        "family": family,
        "first_loss": losses[0],
        "highest_loss": max(losses),
        "last_loss": sum(losses[-n_last:]) / n_last,
        "loss_curve": to_curve(losses),
        "n_classes": len(torch.unique(y)),
        "batch_size": batch_size,
        "fit_time_s": round(time.perf_counter() - start, 2),
    }


def _read(scale: Scale, family: str, source: Any, device: str) -> tuple[Any, Tensor, Tensor]:
    """Read what a network is trained on, averaged, and how its classifier is made."""
    if isinstance(source, PictureSet):
        X, y = source.load(device).train
        return for_pictures, avg_pool2d(X, scale.picture_pool), y
    speech = load_speech(source)
    # The clips of a word follow each other: take them from all of the words.
    order = torch.randperm(len(speech.target), generator=torch.Generator().manual_seed(0))
    X = compute_spectrograms(torch.from_numpy(speech.waveforms)[order], device=device)
    return (
        partial(for_speech, module__n_classes=len(speech.target_names)),
        avg_pool2d(X, scale.clip_pool),
        torch.from_numpy(speech.target)[order],
    )


def list_tasks(
    scale: Scale,
    networks: Sequence[str],
    pictures: PictureSet | None,
    clips: Source | None,
    *,
    alphas: Sequence[float],
    device: str,
    versions: Mapping[str, str],
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons."""
    tasks = []
    for seed in range(scale.n_seeds):
        for family in networks:
            is_picture = family in CIFAR_RECIPES
            source: Any = pictures if is_picture else clips
            sizes, pool = scale.sizes[family], scale.picture_pool if is_picture else scale.clip_pool
            data = source.title if is_picture else load_speech(source).name
            design = DESIGNS.get(family, {}) if is_picture else {"design": DESIGN}
            name = (name_for_pictures if is_picture else name_for_speech)(family, sizes)
            for alpha in alphas:
                method = "mixup" if alpha else "ERM"
                numbers = (data, name, method, alpha, scale.n_steps, seed)
                tasks.append(
                    Task(
                        dict(zip(KEY, numbers, strict=True)),
                        {
                            **versions,
                            **design,
                            "recipe": str(_RECIPES[family]),
                            "batch_size": scale.batch_size,
                            "pool": pool,
                        },
                        partial(take_steps, scale, family, source, alpha, seed, device),
                    )
                )
    return tasks
