"""Figure 4 of [1]: validation and test errors of ERM and mixup on spoken words.

LeNet and VGG-11 on spectrograms of Google's Speech Commands, clips of a second. The paper mixes
the spectrograms, and supposes that to mix the waveforms could be better: --mix waveforms does so,
with the spectrogram as the first layer of the network.

Departs from the paper at --scale small, for two CPU cores: narrow networks, and a subset of 1,000
clips of ten words, split anew by speaker for each seed. Every result names the data it is for.

The error after each epoch on validation clips is a measurement: nothing is chosen by it.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.3.
"""

from __future__ import annotations

import argparse
import functools
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import Bunch
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from benchmarks import _speech_report as report
from benchmarks import speech_recipes as recipes
from benchmarks._data.speech import fetch_speech_commands, make_tones
from benchmarks._nets.pictures import count_errors
from benchmarks._nets.spectrograms import Spectrograms, compute_spectrograms, to_waveforms
from benchmarks._options import add_alphas, add_data_options
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import VGG11, LeNet

_KEY = ("data", "network", "mix", "alpha", "max_epochs", "seed")
_MIXES = ("spectrograms", "waveforms")
_NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"lenet": LeNet, "vgg11": VGG11}
_NAMES = {"lenet": "LeNet", "vgg11": "VGG-11"}
_PARTS = ("training", "validation", "testing")
_HELD_OUT = 0.15  # share of the speakers in each of the last two, where they are drawn at random


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run; `max_epochs` None is the paper's, `n_clips` None all."""

    n_seeds: int
    sizes: Mapping[str, Mapping[str, Any]]
    mixes: tuple[str, ...]
    max_epochs: int | None
    n_clips: int | None = None


_SCALES = {
    "smoke": _Scale(1, {"lenet": {"width": 2}, "vgg11": {"width": 2}}, _MIXES, 2, n_clips=120),
    "small": _Scale(5, {"lenet": {"width": 10}, "vgg11": {"width": 8}}, _MIXES, None),
    "paper": _Scale(1, recipes.SPEECH_SIZES, ("spectrograms",), None),
}


# -- data -----------------------------------------------------------------------------------------


@functools.cache
def load_speech(
    data: str, data_home: str | None = None, whole: bool = False, n_clips: int | None = None
) -> Bunch:
    """Load clips that are on this machine, once in each process.

    Parameters
    ----------
    data : {"speech_commands", "tones"}
        The tones are for a machine that has nothing else.
    data_home : str, default=None
        Where to look, as in `fetch_speech_commands`.
    whole : bool, default=False
        Whether it has to be all of the Speech Commands. Else it is the subset, if that is there.
    n_clips : int, default=None
        Take so many only, evenly spaced.

    Returns
    -------
    Bunch
        As of `read_speech_folder`, and ``has_parts``: whether ``split`` is that of
        the whole data, to be used.

    Raises
    ------
    OSError
        If its files are missing.
    """
    if data == "tones":
        speech = make_tones()
    else:
        try:
            speech = fetch_speech_commands(data_home, False, subset=not whole)
        except FileNotFoundError:
            speech = fetch_speech_commands(data_home, False, subset=False)
    speech.has_parts = data != "tones" and not speech.is_subset and n_clips is None
    if n_clips is not None and n_clips < len(speech.target):
        chosen = np.linspace(0, len(speech.target) - 1, n_clips).astype(int)
        for name in ("waveforms", "target", "speakers"):
            speech[name] = speech[name][chosen]
        speech.name += f", {n_clips:,} clips of them"
    return speech


def split_clips(speech: Bunch, seed: int) -> dict[str, np.ndarray]:
    """Split clips by speaker: the rows for "training", "validation" and "testing".

    Parameters
    ----------
    speech : Bunch
        From `load_speech`. If it has parts, they are taken, whatever the seed. Else 15 % of the
        speakers are drawn for validation and 15 % for testing.
    seed : int
        Governs a random split.

    Returns
    -------
    dict of str to ndarray
        Row numbers, in ascending order.

    Raises
    ------
    ValueError
        If a part has no clip.
    """
    if speech.has_parts:
        rows = {part: np.flatnonzero(speech.split == part) for part in _PARTS}
    else:
        groups = speech.speakers
        held_out = GroupShuffleSplit(1, test_size=2 * _HELD_OUT, random_state=seed)
        training, others = next(held_out.split(groups, groups=groups))
        halves = GroupShuffleSplit(1, test_size=0.5, random_state=seed)
        validation, testing = next(halves.split(others, groups=groups[others]))
        parts = (training, others[validation], others[testing])
        rows = {part: np.sort(row) for part, row in zip(_PARTS, parts, strict=True)}
    if empty := [part for part, row in rows.items() if not len(row)]:
        raise ValueError(
            f"Each part must have clips; of {speech.name} none are for {' and '.join(empty)}."
        )
    return rows


# -- runs -----------------------------------------------------------------------------------------


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
    network = _NETWORKS[family](n_classes, **sizes).to(memory_format=torch.channels_last)
    return nn.Sequential(Spectrograms(), network) if takes_waveforms else network


def name_network(family: str, sizes: Mapping[str, Any]) -> str:
    """Tell the name of a network of some size.

    Examples
    --------
    >>> name_network("vgg11", {"width": 64}), name_network("vgg11", {"width": 8})
    ('VGG-11', 'VGG-11 (width 8)')
    """
    is_published = sizes == recipes.SPEECH_SIZES[family]
    return _NAMES[family] + ("" if is_published else f" (width {sizes['width']})")


def run_one(
    data: str,
    family: str,
    sizes: Mapping[str, Any],
    recipe: recipes.SpeechRecipe,
    mix: str,
    alpha: float,
    seed: int,
    *,
    device: str,
    data_home: str | None,
    whole: bool,
    n_clips: int | None,
) -> dict[str, Any]:
    """Train one network and measure its errors on the clips of other speakers."""
    speech = load_speech(data, data_home, whole, n_clips)
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
        for part in _PARTS
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
        **{f"n_{part}": len(y[part]) for part in _PARTS},
    }


def _prepare(samples: Tensor, mix: str, device: str) -> Tensor:
    """Turn samples into what is mixed, on the device."""
    if mix == "waveforms":
        return to_waveforms(samples.to(device))
    return compute_spectrograms(samples, device=device)


def plan(
    data: str,
    data_name: str,
    sizes: Mapping[str, Mapping[str, Any]],
    *,
    recipe: recipes.SpeechRecipe,
    mixes: Sequence[str],
    alphas: Sequence[float],
    n_seeds: int,
    device: str,
    **loading: Any,
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    Parameters
    ----------
    data : str
        As for `load_speech`; `loading` are its other parameters.
    data_name : str
        What the data call themselves: a result for a subset is none for the whole.
    sizes : mapping of str to mapping
        Networks to train, and their sizes.
    recipe : SpeechRecipe
        How they are trained.
    mixes : sequence of {"spectrograms", "waveforms"}
        What is mixed. ERM, which mixes nothing, is run once.
    alphas : sequence of float
        Above 0; ERM is added.
    n_seeds : int
        Repeats.
    device : str
        As for ``MixupClassifier``.

    Returns
    -------
    list of Task
    """
    versions = environment(device)
    methods = [("nothing", 0.0), *((mix, alpha) for mix in mixes for alpha in alphas)]
    tasks = []
    for seed in range(n_seeds):
        for family, size in sizes.items():
            for mix, alpha in methods:
                key = {
                    "data": data,
                    "network": name_network(family, size),
                    "mix": mix,
                    "alpha": alpha,
                    "max_epochs": recipe.max_epochs,
                    "seed": seed,
                }
                settings = {
                    **versions,
                    "recipe": recipe.describe(),
                    "sizes": dict(size),
                    "data_name": data_name,
                    "held_out": _HELD_OUT,
                }
                work = partial(
                    run_one,
                    *(data, family, size, recipe, mix, alpha, seed),
                    device=device,
                    **loading,
                )
                tasks.append(Task(key, settings, work))
    return tasks


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--mix", nargs="+", choices=_MIXES, help="what is mixed; default: both, at paper the first"
    )
    parser.add_argument("--networks", nargs="+", choices=list(_NETWORKS), help="default: both")
    add_alphas(parser, recipes.SPEECH_ALPHAS, told="; default 0.1 0.2")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="the schedule comes in proportion; by scale"
    )
    parser.add_argument(
        "--tones", action="store_true", help="generated tones in place of speech, to try it out"
    )
    add_data_options(parser, "speech/...")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale_name = args.scale or "small"
    scale = _SCALES[scale_name]
    loading = {
        "data_home": args.data_home,
        "whole": scale_name == "paper" and not args.tones,
        "n_clips": scale.n_clips,
    }
    data = "tones" if args.tones else "speech_commands"
    if args.download and not args.tones:
        fetch_speech_commands(loading["data_home"], subset=False)
    try:
        speech = load_speech(data, **loading)
    except OSError as error:
        if scale_name != "smoke":
            raise SystemExit(f"{error}\n(or --download, to get it)") from error
        data = "tones"
        speech = load_speech(data, **loading)
    recipe = recipes.SPEECH_RECIPE
    if (max_epochs := args.epochs or scale.max_epochs) is not None:
        recipe = recipe.shortened(max_epochs)
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    tasks = plan(
        data,
        speech.name,
        {family: scale.sizes[family] for family in args.networks or scale.sizes},
        recipe=recipe,
        mixes=args.mix or scale.mixes,
        alphas=sorted({alpha for alpha in args.alphas if alpha > 0}),
        n_seeds=args.seeds or scale.n_seeds,
        device=device,
        **loading,
    )
    versions = environment(device)
    out: Path = args.out
    run_table = RunTable(out / "speech.csv", _KEY)
    runs = run_table.complete(tasks, n_jobs=args.jobs, title="speech", extra=versions)
    comparison = report.compare(runs)
    title = "Figure 4: errors of ERM and mixup on spoken words"
    tables = [report.errors_table(comparison), report.mixes_table(report.compare_mixes(runs))]
    tables = [table for table in tables if len(table)]
    sentences = [*report.conclude(comparison), *report.conclude_mixes(report.compare_mixes(runs))]
    report.plot_errors(comparison, out / "speech.png")
    for table in tables:
        print("", terminal_table(table), sep="\n")
    notes = report.notes(runs)
    print("", *(textwrap.fill(note, 100) + "\n" for note in [*sentences, notes]), sep="\n")
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    picture = f"![{title}](speech.png)"
    write_markdown(out / "speech.md", title, *sentences, picture, *tables, notes, told + ".")
    written = [out / "speech.csv", out / "speech.md", out / "speech.png"]
    print(f"Written: {', '.join(map(str, written))}")
