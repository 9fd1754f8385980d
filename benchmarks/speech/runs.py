"""The runs of Figure 4: networks on spectrograms or waveforms, mixed or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from benchmarks._data.spoken import HELD_OUT, PARTS, Source, load_speech, split_clips
from benchmarks._lab.runs import Task
from benchmarks._nets.pictures import count_errors
from benchmarks._nets.spectrograms import compute_spectrograms, to_waveforms
from benchmarks._nets.speech import DESIGN, SPEECH_RECIPE, SpeechRecipe, make_network, name_network
from benchmarks._nets.training import fit_to_the_end, sum_seconds, to_curve
from sklearn_mixup import MixupClassifier

KEY = ("data", "network", "mix", "alpha", "max_epochs", "seed")
MIXES = ("spectrograms", "waveforms")


@dataclass(frozen=True)
class Scale:
    """How much is run; `max_epochs` None is the paper's, `n_clips` None all that `whole` says."""

    n_seeds: int
    sizes: Mapping[str, Mapping[str, Any]]
    mixes: tuple[str, ...]
    max_epochs: int | None = None
    n_clips: int | None = None
    whole: bool = False


def train(
    source: Source,
    family: str,
    sizes: Mapping[str, Any],
    recipe: SpeechRecipe,
    mix: str,
    alpha: float,
    seed: int,
    *,
    device: str,
) -> dict[str, Any]:
    """Train one network and measure its errors on the clips of other speakers."""
    speech = load_speech(source)
    X, y = {}, {}
    for part, rows in split_clips(speech, seed).items():
        samples = torch.from_numpy(speech.waveforms[rows])
        if mix == "waveforms":
            X[part] = to_waveforms(samples.to(device))
        else:
            X[part] = compute_spectrograms(samples, device=device)
        y[part] = torch.from_numpy(speech.target[rows])
    classifier = MixupClassifier(
        make_network,
        module__family=family,
        module__n_classes=len(speech.target_names),
        module__takes_waveforms=mix == "waveforms",
        **{f"module__{name}": value for name, value in sizes.items()},
        alpha=alpha,
        random_state=seed,
        device=device,
        classes=list(range(len(speech.target_names))),
        train_split=predefined_split(Dataset(X["validation"], y["validation"])),
        **recipe.params(),
    )
    fit_to_the_end(classifier, X["training"], y["training"], last="valid_acc")
    history = classifier.history
    errors = {}
    for part in PARTS:
        logits = classifier.forward(X[part])
        errors[f"{part}_error"] = count_errors(logits, y[part].to(logits.device))
    return {
        "data_name": speech.name,
        "family": family,
        "split": "published" if speech.has_parts else "random",
        **errors,
        "train_loss": history[-1, "train_loss"],
        "fit_time_s": sum_seconds(history, "dur"),
        "validation_curve": to_curve(1 - accuracy for accuracy in history[:, "valid_acc"]),
        "loss_curve": to_curve(history[:, "train_loss"]),
        **{f"n_{part}": len(y[part]) for part in PARTS},
    }


def list_tasks(
    source: Source,
    scale: Scale,
    *,
    alphas: Sequence[float],
    device: str,
    versions: Mapping[str, str],
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    `alphas` are above 0; ERM is added, once for all ways to mix. The name of the clips is a
    setting: a result for a subset is none for the whole.
    """
    recipe = SPEECH_RECIPE.shortened(scale.max_epochs or SPEECH_RECIPE.max_epochs)
    shared = {
        **versions,
        "recipe": asdict(recipe),
        "data_name": load_speech(source).name,
        "held_out": HELD_OUT,
        "design": DESIGN,
    }
    ways = [("nothing", 0.0), *product(scale.mixes, alphas)]
    return [
        Task(
            {
                "data": source.data,
                "network": name_network(family, size),
                "mix": mix,
                "alpha": alpha,
                "max_epochs": recipe.max_epochs,
                "seed": seed,
            },
            {**shared, "sizes": dict(size)},
            partial(train, source, family, size, recipe, mix, alpha, seed, device=device),
        )
        for seed in range(scale.n_seeds)
        for family, size in scale.sizes.items()
        for mix, alpha in ways
    ]
