"""The runs of Figure 4: networks on spectrograms or waveforms, mixed or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from benchmarks._lab.runs import Task
from benchmarks._nets.pictures import count_errors
from benchmarks._nets.spectrograms import Spectrograms, compute_spectrograms, to_waveforms
from benchmarks.speech.data import HELD_OUT, PARTS, Source, load_speech, split_clips
from benchmarks.speech.recipes import SPEECH_RECIPE, SPEECH_SIZES, SpeechRecipe
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import VGG11, LeNet

KEY = ("data", "network", "mix", "alpha", "max_epochs", "seed")
MIXES = ("spectrograms", "waveforms")
NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"lenet": LeNet, "vgg11": VGG11}
_NAMES = {"lenet": "LeNet", "vgg11": "VGG-11"}


@dataclass(frozen=True)
class Scale:
    """How much is run; `max_epochs` None is the paper's, `n_clips` None all that `whole` says."""

    n_seeds: int
    sizes: Mapping[str, Mapping[str, Any]]
    mixes: tuple[str, ...]
    max_epochs: int | None = None
    n_clips: int | None = None
    whole: bool = False


def make_network(
    family: str, n_classes: int, *, takes_waveforms: bool = False, **sizes: Any
) -> nn.Module:
    """Make a network for spectrograms, or for waveforms with the spectrogram as its first layer.

    Its weights lie channel by channel: narrow networks trained in 0.6 to 0.7 of the time on a CPU.

    Examples
    --------
    >>> make_network("lenet", 10, takes_waveforms=True, width=2)(torch.zeros(3, 16000)).shape
    torch.Size([3, 10])
    """
    network: Any = NETWORKS[family](n_classes, **sizes)
    network = network.to(memory_format=torch.channels_last)
    return nn.Sequential(Spectrograms(), network) if takes_waveforms else network


def name_network(family: str, sizes: Mapping[str, Any]) -> str:
    """Tell the name of a network of some size.

    Examples
    --------
    >>> name_network("vgg11", {"width": 64}), name_network("vgg11", {"width": 8})
    ('VGG-11', 'VGG-11 (width 8)')
    """
    is_published = sizes == SPEECH_SIZES[family]
    return _NAMES[family] + ("" if is_published else f" (width {sizes['width']})")


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
        X[part] = _prepare(samples, mix, device)
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
    classifier.fit(X["training"], y["training"])
    history = classifier.history
    if len(history) < recipe.max_epochs or "valid_acc" not in history[-1]:
        # skorch takes Ctrl-C for the wish to train no longer: that is no finished run.
        raise KeyboardInterrupt
    errors = {
        part: count_errors(logits := classifier.forward(X[part]), y[part].to(logits.device))
        for part in PARTS
    }
    curve = [round(1 - accuracy, 6) for accuracy in history[:, "valid_acc"]]
    return {
        "data_name": speech.name,
        "family": family,
        "split": "published" if speech.has_parts else "random",
        **{f"{part}_error": error for part, error in errors.items()},
        "train_loss": history[-1, "train_loss"],
        "fit_time_s": round(float(np.sum(history[:, "dur"])), 2),
        "validation_curve": json.dumps(curve),
        "loss_curve": json.dumps([round(float(loss), 6) for loss in history[:, "train_loss"]]),
        **{f"n_{part}": len(y[part]) for part in PARTS},
    }


def _prepare(samples: Tensor, mix: str, device: str) -> Tensor:
    """Turn samples into what is mixed, on the device."""
    if mix == "waveforms":
        return to_waveforms(samples.to(device))
    return compute_spectrograms(samples, device=device)


def list_tasks(
    source: Source,
    scale: Scale,
    *,
    alphas: Sequence[float],
    device: str,
    versions: Mapping[str, str],
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    Parameters
    ----------
    source : Source
        Of the clips. Their name is a setting: a result for a subset is none for the whole.
    scale : Scale
        ERM, which mixes nothing, is run once for all its mixes.
    alphas : sequence of float
        Above 0; ERM is added.
    device : str
    versions : mapping of str to str
        Of what it runs on.

    Returns
    -------
    list of Task
    """
    recipe = SPEECH_RECIPE.shortened(scale.max_epochs) if scale.max_epochs else SPEECH_RECIPE
    data_name = load_speech(source).name
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
            {
                **versions,
                "recipe": asdict(recipe),
                "sizes": dict(size),
                "data_name": data_name,
                "held_out": HELD_OUT,
            },
            partial(train, source, family, size, recipe, mix, alpha, seed, device=device),
        )
        for seed in range(scale.n_seeds)
        for family, size in scale.sizes.items()
        for mix, alpha in [("nothing", 0.0), *((m, a) for m in scale.mixes for a in alphas)]
    ]
