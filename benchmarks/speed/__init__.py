"""Time and memory of a fit with mixup, as ratios taken side by side. Not in the paper.

One fit on Abalone (all 4177 rows; without its files, on random numbers of the same shape), with
minibatches of 16, 10 epochs, two hidden layers of 128 and one thread, of

- mixup: `MixupClassifier` with alpha = 0.2, and ERM: the same with alpha = 0;
- numba: the same with ``engine="numba"``;
- bare loop: a hand-written PyTorch loop that draws and mixes minibatch by minibatch, as the code
  released with the paper does, on resident tensors, with the same fused Adam;
- skorch: `NeuralNetClassifier` on the same module and optimizer, with that mixing in its step;
- scikit-learn: `MLPClassifier`, which does not mix.

All take turns, round after round, and the median of the ratios within a round is what counts: what
else the machine does then weighs on all of them alike. Then a fit of iris by the defaults of both,
`MixupClassifier` and `MLPClassifier`. Then the peak memory of a fit, in a process
of its own, beyond what it took before: at most the data once and one chunk of mixed rows.

Then `MixupGAN` beside a hand-written loop of the same two networks, with the settings of Figure 5.

And many nets at once: `FusedGridSearchCV` beside `GridSearchCV` on four tables, `fit_fused` by the
number of nets, and where its time goes. `FusedBaggingClassifier` beside one net of its eight.

Then answers: one row, 100,000 and one picture, beside `MLPClassifier`,
`HistGradientBoostingClassifier`, the ONNX graph of the net, and the module alone.

Last pictures: an epoch beside a hand-written loop, pictures a second of a training that goes on in
float32 and bfloat16, and mixing beside timm, torchvision and a copy. ``--scale gpu`` takes the
network at full width, and little of the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import pandas as pd

from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_data_options
from benchmarks._lab.outcome import Conclusions, Outcome
from benchmarks._lab.runs import Task, one_thread
from benchmarks.speed import counts, ensembles, fits, gan, pictures, search, serving
from benchmarks.speed.rounds import KEY, Section
from benchmarks.speed.scale import SCALES


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser, "uci/...", download=None)


def _plan(request: Request) -> list[Part]:
    if request.args.jobs > 1:
        print("Times are taken one after the other, in this process: --jobs is of no use here.")
    modules = (fits, search, counts, ensembles, serving, pictures)
    sections = [module.plan_section(request) for module in modules]
    tasks = {name: tasks for section in sections for name, tasks in section.tasks.items()}

    def warm_up(pending: Sequence[Task]) -> None:
        """Fit outside the clock: the first fit in a process loads what all of them use."""
        if pending:
            with one_thread():
                fits.time_round(1, 64, device=request.device, data_home=None)
                gan.time_gan_round(2, device=request.device)
                pictures.time_fits(SCALES["smoke"], device=request.device)

    def tell(*runs: pd.DataFrame) -> Outcome:
        return _tell(sections, dict(zip(tasks, runs, strict=True)))

    return [Part("speed", KEY, tasks, tell, one_by_one=True, prepare=warm_up)]


def _tell(sections: Sequence[Section], runs: dict[str, pd.DataFrame]) -> Outcome:
    """Put the page together, and count the targets that are met."""
    told = (section.tell(*(runs[name] for name in section.tasks)) for section in sections)
    page = Outcome("Time and memory of a fit with mixup, of many, and of pictures", [*chain(*told)])
    met = pd.concat([table["met"] for table in page.tables if "met" in table]).value_counts()
    counted = f"{met.get('pass', 0)} of {met.drop('', errors='ignore').sum()} targets are met."
    return replace(page, blocks=[*page.blocks, Conclusions([counted])])


EXPERIMENT = Experiment(
    name="speed",
    paper=None,
    title="Time and memory",
    question="What does mixup cost, and what do nets that are trained together save?",
    small_takes="minutes",
    doc=__doc__,
    scales=SCALES,
    options=_add_options,
    plan=_plan,
)
