"""The losses of the paper's networks over their first steps, at full width. Not in the paper.

Each network of `sklearn_mixup.modules` for pictures and spectrograms, as deep and as wide as the
paper has it, takes its first steps with the recipe of its experiment: optimizer, learning rate,
momentum, weight decay. The loss of each minibatch is kept. Other experiments at --scale small have
narrow networks, which may train where the paper's would not.

Departs from these recipes: spectrograms are mixed from the first step, pictures are neither cropped
nor flipped. At --scale small, for two CPU cores, pictures are averaged over 4 x 4 pixels and
spectrograms over 2 x 2 numbers; minibatches are those of the recipes. --scale smoke has digits and
tones, narrow networks and smaller minibatches.
"""

from __future__ import annotations

import argparse

from benchmarks._data.spoken import Source, load_speech
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import (
    add_alphas,
    add_data_options,
    add_number,
    missing_data_end_it,
    with_erm,
)
from benchmarks._lab.pictures import find_pictures
from benchmarks._nets.recipes import CIFAR_SIZES
from benchmarks._nets.speech import SPEECH_SIZES
from benchmarks.steps.report import tell
from benchmarks.steps.runs import KEY, Scale, list_tasks

_SMOKE_SIZES = {
    "preact_resnet18": {"width": 4},
    "wide_resnet": {"depth": 10, "widen_factor": 1},
    "densenet_bc": {"depth": 10, "growth_rate": 4},
    "lenet": {"width": 2},
    "vgg11": {"width": 2},
}
_SIZES = {**CIFAR_SIZES, **SPEECH_SIZES}
_SCALES = {
    "smoke": Scale(2, "digits", "tones", _SMOKE_SIZES, 4, 16, 1, 2),
    "small": Scale(3, "cifar10", "speech_commands", _SIZES, 30, None, 4, 2),
    "paper": Scale(3, "cifar10", "speech_commands", _SIZES, 200, None, 1, 1),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", choices=list(_SIZES), help="default: all")
    add_alphas(parser, [1.0], told="; default 1")
    add_number(parser, "--steps", "minibatches of each network; by scale", dest="n_steps")
    add_data_options(parser, "cifar10/... and speech/...")


def _plan(request: Request) -> list[Part]:
    args = request.args
    scale: Scale = request.narrow(n_seeds="seeds", n_steps="n_steps")
    networks = args.networks or list(_SIZES)
    pictures = clips = None
    if not {*networks}.isdisjoint(CIFAR_SIZES):
        pictures = find_pictures(scale.pictures, args, "(or --download, to get it)")
    if not {*networks}.isdisjoint(SPEECH_SIZES):
        clips = Source(scale.clips, args.data_home)
        with missing_data_end_it("(python -m benchmarks speech --download gets it)"):
            load_speech(clips)
    tasks = list_tasks(
        scale, networks, pictures, clips, alphas=with_erm(args.alphas), **request.where
    )
    return [Part("steps", KEY, {"": tasks}, tell)]


EXPERIMENT = Experiment(
    name="steps",
    paper=None,
    title="First steps at full width",
    question="Do the paper's networks train at full width with the paper's settings?",
    small_takes="half an hour",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
