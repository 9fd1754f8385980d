"""What came out of the digits, told beside real ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from benchmarks._lab.outcome import Figure, Outcome
from benchmarks.gan import figures
from benchmarks.gan.digits import CONFIDENT, COVERED, SETTINGS, TEST_SHARE, load_pictures
from benchmarks.gan.pages import make_page, mean
from benchmarks.gan.runs import name_gan


def tell(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell what the samples are like, and how good the classifier is that judges them."""
    groups = split_runs(runs)
    return make_page(
        "GANs that draw digits",
        {
            "Digits: samples of the GANs beside real ones": table(groups),
            "Digits: the classifier that judges": judge_table(groups["held-out digits"]),
        },
        notes(),
        [Figure("gan_digits.png", "digits", partial(figures.plot_digits, groups))],
        versions,
    )


def split_runs(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split the runs by method, each with its title: real digits, then the GANs by alpha."""
    is_real = runs["method"] == "real"
    groups = runs[~is_real].groupby("alpha")
    return {"held-out digits": runs[is_real]} | {name_gan(alpha): rows for alpha, rows in groups}


def table(groups: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Write what was measured of the pictures of each method."""
    return pd.DataFrame(
        {
            "pictures": title,
            "recognised, %": mean(rows["recognised"], 1, factor=100),
            "digits drawn": mean(rows["n_digits"], 1),
            "KL to uniform": mean(rows["kl"], 3),
            "energy distance": mean(rows["energy"], 3),
            "to nearest": mean(rows["nearest"], 2),
            "seeds": str(len(rows)),
        }
        for title, rows in groups.items()
    )


def judge_table(real: pd.DataFrame) -> pd.DataFrame:
    """Write what the classifier makes of held-out digits."""
    columns = {
        "accuracy": "judge_accuracy",
        "mean confidence": "judge_confidence",
        "accuracy where it is sure": "judge_accuracy_sure",
    }
    told = {name: mean(real[column], 1, factor=100) for name, column in columns.items()}
    title = "classifier of real digits, on held-out ones"
    return pd.DataFrame(told.items(), columns=[title, "%"])


def notes() -> str:
    """Say what was done, how it was measured, and what it does not show."""
    n_pictures = len(load_pictures()[1])
    return (
        f"Digits: the {n_pictures} pictures of scikit-learn, 8 x 8, scaled to [-1, 1]. A seed is a "
        f"split ({1 - TEST_SHARE:.0%} to learn from, {TEST_SHARE:.0%} held out, stratified) and "
        "the networks' random state; all GANs of a seed share both. The generator is a perceptron "
        "with two hidden layers of 256, the discriminator has two convolutions and two linear "
        f"layers; one step each a minibatch of {SETTINGS['batch_size']}, Adam with betas "
        f"{SETTINGS['optimizer_generator__betas']} at {SETTINGS['lr']:g}, falling along a cosine. "
        "A support vector classifier with calibrated probabilities, trained on the same real "
        "digits, judges: recognised is the share of pictures of which it is at least "
        f"{CONFIDENT:.0%} sure. It is less sure of real digits than it is right, so the first row, "
        "not 100%, is what to compare with. A digit is drawn if at least "
        f"{COVERED:.0%} of the pictures are held for it; KL is the divergence of the digits' "
        "shares from uniform ones, in nats. The "
        "energy distance is to the held-out digits, for as many samples (0 is best, and the first "
        "row shows what as many real digits come to). To nearest is the median distance from a "
        "picture to the nearest one learned from: far below that of held-out digits it would tell "
        "of copies. Numbers are means ± standard errors over the seeds, whose splits overlap. The "
        "settings were chosen on seed 0, among some ten, for speed and by the samples of alpha 0.2 "
        "mostly, and then used for every alpha; so seed 0 is not quite a fair test, and a recipe "
        "of its own might serve the ordinary GAN better. A sample that pleases a classifier need "
        "not please an eye, and one small data set says little about others."
    )
