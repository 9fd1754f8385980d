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
from dataclasses import replace

from benchmarks._data.speech import fetch_speech_commands
from benchmarks._data.spoken import Source, load_speech
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alphas, add_data_options, add_number, missing_data_end_it
from benchmarks._nets.speech import NETWORKS, SPEECH_SIZES
from benchmarks.speech.recipes import SPEECH_ALPHAS
from benchmarks.speech.report import tell
from benchmarks.speech.runs import KEY, MIXES, Scale, list_tasks

_SCALES = {
    "smoke": Scale(1, {"lenet": {"width": 2}, "vgg11": {"width": 2}}, MIXES, 2, n_clips=120),
    "small": Scale(5, {"lenet": {"width": 10}, "vgg11": {"width": 8}}, MIXES),
    "paper": Scale(1, SPEECH_SIZES, MIXES[:1], whole=True),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mix", nargs="+", choices=MIXES, help="what is mixed; default: both, at paper the first"
    )
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), help="default: both")
    add_alphas(parser, SPEECH_ALPHAS, told="; default 0.1 0.2")
    add_number(parser, "--epochs", "the schedule comes in proportion; by scale")
    parser.add_argument(
        "--tones", action="store_true", help="generated tones in place of speech, to try it out"
    )
    add_data_options(parser, "speech/...")


def _plan(request: Request) -> list[Part]:
    args = request.args
    scale = request.narrow(n_seeds="seeds", mixes="mix", max_epochs="epochs")
    sizes = {family: scale.sizes[family] for family in args.networks or scale.sizes}
    tasks = list_tasks(
        _find_clips(scale, args),
        replace(scale, sizes=sizes),
        alphas=sorted({alpha for alpha in args.alphas if alpha > 0}),
        **request.where,
    )
    return [Part("speech", KEY, {"": tasks}, tell)]


def _find_clips(scale: Scale, args: argparse.Namespace) -> Source:
    """Find out whether there is speech; the smoke scale makes do with tones."""
    tones = Source("tones", n_clips=scale.n_clips)
    if args.tones:
        return tones
    if args.download:
        fetch_speech_commands(args.data_home, subset=False)
    source = Source("speech_commands", args.data_home, scale.whole, scale.n_clips)
    with missing_data_end_it("(or --download, to get it)"):
        try:
            load_speech(source)
        except OSError:
            if args.scale != "smoke":
                raise
            return tones
    return source


EXPERIMENT = Experiment(
    name="speech",
    paper="Figure 4",
    title="Spoken commands",
    question="Does mixup lower the error on words that new speakers say?",
    small_takes="half an hour",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
