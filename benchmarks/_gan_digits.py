"""Section 3.8 of [1] on pictures: the ordinary GAN and the mixup GAN on the digits of scikit-learn.

The paper shows mixup GANs on two-dimensional toys alone. Here a generator draws 8 x 8 pictures of
handwritten digits and a convolutional discriminator judges them; both are defined in this file, as
a user would define them. A classifier of real digits then tells how many samples it recognises.

References
----------
.. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.8.
"""

from __future__ import annotations

import base64
import functools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from torch import Tensor, nn

from benchmarks._gan_runs import fit
from benchmarks._runs import Task, environment, mean_and_standard_error
from sklearn_mixup import MixupGAN
from sklearn_mixup._energy import energy_distance

CONFIDENT = 0.9  # A picture counts as recognised if the classifier is that sure of some digit.
COVERED = 0.02  # A digit counts as drawn if that share of the samples is held for it.
TEST_SHARE = 0.25  # of the pictures, kept from GAN and classifier
ALPHAS = (0.0, 0.2, 0.5)

# Ours: found on one split by looking at samples. One step of the discriminator, and an Adam that
# forgets its direction at once, are what kept the toys of this benchmark stable too.
SETTINGS: Mapping[str, Any] = {
    "latent_dim": 16,
    "n_discriminator_steps": 1,
    "batch_size": 64,
    "lr": 1e-3,
    "optimizer_generator__betas": (0.0, 0.99),
    "optimizer_discriminator__betas": (0.0, 0.99),
}

_N_SHOWN = 100
_COLUMNS = 10
_GREY, _BLACK = "#666666", "#222222"


@dataclass(frozen=True)
class _Scale:
    """How much is run: generator iterations, and the samples that are measured."""

    max_iter: int
    n_samples: int
    alphas: tuple[float, ...]


_SCALES = {
    "smoke": _Scale(50, 200, (0.0, 0.2)),
    "small": _Scale(8_000, 2_000, ALPHAS),
    "paper": _Scale(40_000, 10_000, ALPHAS),
}


# -- modules --------------------------------------------------------------------------------------


class Painter(nn.Module):
    """Multilayer perceptron that turns latent vectors into pictures of numbers in [-1, 1].

    **Shape**: input (batch_size, `latent_dim`); output (batch_size, 1, 8, 8).

    Examples
    --------
    >>> import torch
    >>> Painter(latent_dim=16)(torch.zeros(3, 16)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(self, latent_dim: int, n_hidden: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(latent_dim, n_hidden), nn.ReLU()),
            *(nn.Linear(n_hidden, n_hidden), nn.ReLU()),
            *(nn.Linear(n_hidden, 64), nn.Tanh()),
            nn.Unflatten(1, (1, 8, 8)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures."""
        return self.layers(z)


class Critic(nn.Module):
    """Two convolutions and two linear layers that tell pictures from samples.

    **Shape**: input (batch_size, 1, 8, 8); output (batch_size, 1), the logit of being data.

    Examples
    --------
    >>> import torch
    >>> Critic()(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 1])
    """

    def __init__(self, n_channels: int = 16, n_hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, n_channels, kernel_size=4, stride=2, padding=1),  # 8 x 8 to 4 x 4
            nn.LeakyReLU(0.2),
            nn.Conv2d(n_channels, 2 * n_channels, kernel_size=3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * n_channels * 4 * 4, n_hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(n_hidden, 1),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Return one logit a picture."""
        return self.layers(X)


# -- data and judge -------------------------------------------------------------------------------


@functools.cache
def load_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Load the pictures, float32 (1797, 1, 8, 8) in [-1, 1], and their digits, (1797,)."""
    bunch = load_digits()
    return (bunch.images[:, None] / 8 - 1).astype(np.float32), bunch.target


def split_pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pictures to learn from and those held out, stratified by digit."""
    _, y = load_pictures()
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, random_state=seed, stratify=y
    )
    return train, test


def make_judge() -> CalibratedClassifierCV:
    """Make the classifier of real digits; its probabilities are calibrated in five folds."""
    return CalibratedClassifierCV(SVC(C=10), method="sigmoid", cv=5, ensemble=False)


def fit_judge(X: np.ndarray, y: np.ndarray) -> CalibratedClassifierCV:
    """Train the classifier on real digits."""
    return make_judge().fit(X.reshape(len(X), -1), y)


# -- measures -------------------------------------------------------------------------------------


def describe_probabilities(probabilities: np.ndarray) -> dict[str, Any]:
    """Measure how sure a classifier is of pictures, and how they spread over the digits.

    Parameters
    ----------
    probabilities : ndarray of shape (n_pictures, n_digits)
        Rows sum to 1.

    Returns
    -------
    dict
        ``recognised``: share of the pictures of which it is at least `CONFIDENT`; ``n_digits``:
        digits that at least `COVERED` of the pictures are held for; ``kl``: Kullback-Leibler
        divergence of the digits' shares from uniform ones, in nats, 0 to ``log(n_digits)``.

    Examples
    --------
    >>> describe_probabilities(np.array([[0.95, 0.05], [0.6, 0.4]]))
    {'recognised': 0.5, 'n_digits': 1, 'kl': 0.6931471805599453}
    """
    n_pictures, n_digits = probabilities.shape
    shares = np.bincount(probabilities.argmax(axis=1), minlength=n_digits) / n_pictures
    drawn = shares[shares > 0]
    return {
        "recognised": float((probabilities.max(axis=1) >= CONFIDENT).mean()),
        "n_digits": int((shares >= COVERED).sum()),
        "kl": float((drawn * np.log(drawn * n_digits)).sum()),
    }


def nearest_distance(X: np.ndarray, others: np.ndarray) -> float:
    """Compute the median Euclidean distance from a row to the nearest of the others.

    Examples
    --------
    >>> nearest_distance(np.array([[0.0], [5.0], [9.0]]), np.array([[1.0], [7.0]]))
    2.0
    """
    X, others = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (X, others))
    squared = (X**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * X @ others.T
    return float(np.median(np.sqrt(np.maximum(squared.min(axis=1), 0))))


def encode_pictures(pictures: np.ndarray) -> str:
    """Write pictures of numbers in [-1, 1] as one line of text, a byte for each number."""
    levels = np.rint((np.clip(pictures, -1, 1) + 1) * 127.5).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()


def decode_pictures(text: str) -> np.ndarray:
    """Read what `encode_pictures` wrote: float (n_pictures, 8, 8), to within 1 / 255."""
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(-1, 8, 8) / 127.5 - 1


# -- runs -----------------------------------------------------------------------------------------


def run_real(seed: int) -> dict[str, Any]:
    """Measure held-out digits as if they were samples: what a perfect GAN would come to.

    Their energy distance is to as many digits to learn from. ``judge_accuracy`` is the
    classifier's on all of them, ``judge_accuracy_sure`` on those that it recognises.
    """
    X, y = load_pictures()
    train, test = split_pictures(seed)
    probabilities = fit_judge(X[train], y[train]).predict_proba(X[test].reshape(len(test), -1))
    right = probabilities.argmax(axis=1) == y[test]
    sure = probabilities.max(axis=1) >= CONFIDENT
    return {
        **describe_probabilities(probabilities),
        "energy": energy_distance(X[test], X[train][: len(test)]),
        "nearest": nearest_distance(X[test], X[train]),
        "judge_accuracy": float(right.mean()),
        "judge_confidence": float(probabilities.max(axis=1).mean()),
        "judge_accuracy_sure": float(right[sure].mean()),
        "n_train": len(train),
        "samples": encode_pictures(X[test][:_N_SHOWN]) if seed == 0 else None,
    }


def run_gan(
    alpha: float, seed: int, *, max_iter: int, n_samples: int, device: str
) -> dict[str, Any]:
    """Train a GAN on the digits of a split and measure its samples; one seed for every alpha."""
    X, y = load_pictures()
    train, test = split_pictures(seed)
    gan = MixupGAN(
        Painter,
        Critic,
        alpha=alpha,
        max_iter=max_iter,
        random_state=seed,
        device=device,
        **SETTINGS,
    )
    start = time.perf_counter()
    diverged_at = fit(gan, X[train])
    fit_time_s = round(time.perf_counter() - start, 3)
    if not gan.initialized_:  # It never had a good epoch.
        return {"diverged_at": diverged_at, "fit_time_s": fit_time_s}
    samples = gan.sample(n_samples, random_state=seed)
    judge = fit_judge(X[train], y[train])
    return {
        **describe_probabilities(judge.predict_proba(samples.reshape(n_samples, -1))),
        "energy": -gan.score(X[test]),
        "nearest": nearest_distance(samples, X[train]),
        "discriminator_loss": float(gan.history[-1, "discriminator_loss"]),
        "generator_loss": float(gan.history[-1, "generator_loss"]),
        "diverged_at": diverged_at,
        "fit_time_s": fit_time_s,
        "n_train": len(train),
        "samples": encode_pictures(samples[:_N_SHOWN]) if seed == 0 else None,
    }


def plan(seeds: int, *, device: str, scale: str, data_home: str | None = None) -> list[Task]:
    """List the runs, seed by seed; a seed is a split and the GANs' random state.

    Parameters
    ----------
    seeds : int
        Number of seeds, from 0.
    device : str
        Where the GANs train.
    scale : {"smoke", "small", "paper"}
        How long they train.
    data_home : ignored
        The digits come with scikit-learn.

    Returns
    -------
    list of Task
    """
    size, versions = _SCALES[scale], environment(device)
    judged = {
        **versions,
        "judge": repr(make_judge()),
        "confident": CONFIDENT,
        "covered": COVERED,
        "test_share": TEST_SHARE,
    }
    trained = {
        **judged,
        **SETTINGS,
        "max_iter": size.max_iter,
        "n_samples": size.n_samples,
        "modules": [repr(Painter(SETTINGS["latent_dim"])), repr(Critic())],
    }
    work = partial(run_gan, max_iter=size.max_iter, n_samples=size.n_samples, device=device)
    tasks = []
    for seed in range(seeds):
        tasks.append(Task(_key("real", 0.0, seed), judged, partial(run_real, seed)))
        for alpha in size.alphas:
            key = _key("mixup" if alpha else "ERM", alpha, seed)
            tasks.append(Task(key, trained, partial(work, alpha, seed)))
    return tasks


def _key(method: str, alpha: float, seed: int) -> dict[str, Any]:
    """Tell a run from the others."""
    return {
        "part": "digits",
        "data": "digits",
        "setting": "conv",
        "method": method,
        "alpha": alpha,
        "seed": seed,
    }


# -- report ---------------------------------------------------------------------------------------


def _of_this_part(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Part the runs by method: real digits, then the GANs by alpha; each with its title."""
    runs = runs[runs["part"] == "digits"]
    parts = []
    for (method, alpha), rows in runs.groupby(["method", "alpha"]):
        place = (method != "real", alpha)
        parts.append((place, _title(str(method), float(alpha)), rows))
    return [(title, rows) for _, title, rows in sorted(parts, key=lambda part: part[0])]


def _title(method: str, alpha: float) -> str:
    """Name a method for readers."""
    if method == "real":
        return "held-out digits"
    return f"mixup GAN, alpha {alpha:g}" if alpha else "ordinary GAN"


def _with_error(values: pd.Series, factor: float, digits: int) -> str:
    """Write a mean and, where there are several values, its standard error."""
    mean, error = mean_and_standard_error(factor * values)
    return f"{mean:.{digits}f}" + ("" if np.isnan(error) else f" ± {error:.{digits}f}")


def report(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Write the table of the runs: titles, each with a table of texts."""
    rows = [
        {
            "pictures": title,
            "recognised, %": _with_error(members["recognised"], 100, 1),
            "digits drawn": _with_error(members["n_digits"], 1, 1),
            "KL to uniform": _with_error(members["kl"], 1, 3),
            "energy distance": _with_error(members["energy"], 1, 3),
            "to nearest": _with_error(members["nearest"], 1, 2),
            "seeds": str(len(members)),
        }
        for title, members in _of_this_part(runs)
    ]
    real = runs[(runs["part"] == "digits") & (runs["method"] == "real")]
    judge = pd.DataFrame(
        [
            {
                "classifier of real digits, on held-out ones": name,
                "%": _with_error(real[column], 100, 1),
            }
            for name, column in (
                ("accuracy", "judge_accuracy"),
                ("mean confidence", "judge_confidence"),
                ("accuracy where it is sure", "judge_accuracy_sure"),
            )
        ]
    )
    return [
        ("Digits: samples of the GANs beside real ones", pd.DataFrame(rows)),
        ("Digits: the classifier that judges", judge),
    ]


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


# -- figure ---------------------------------------------------------------------------------------


def plot(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw 100 held-out digits and 100 samples of each GAN of seed 0, side by side.

    Parameters
    ----------
    runs : DataFrame
        Finished runs, those of seed 0 among them.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = [(title, rows[rows["seed"] == 0].iloc[0], rows) for title, rows in _of_this_part(runs)]
    figure = Figure(figsize=(3.1 * len(parts), 4.0), dpi=160, layout="constrained")
    figure.get_layout_engine().set(wspace=0.04)
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    for ax, (title, first, rows) in zip(axes, parts, strict=True):
        ax.imshow(tile(decode_pictures(first["samples"])), cmap="gray_r", vmin=-1, vmax=1)
        ax.set_title(title.replace("alpha", r"$\alpha$ ="), fontsize=11, color=_BLACK)
        ax.set_xlabel(
            f"{100 * rows['recognised'].mean():.0f} % recognised\n"
            f"energy distance {rows['energy'].mean():.2f}",
            fontsize=9.5,
            color=_GREY,
        )
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_color("#dddddd")
    n_seeds = runs.loc[runs["part"] == "digits", "seed"].nunique()
    figure.suptitle(
        f"Digits of scikit-learn, not chosen (seed 0); numbers: means of {n_seeds} seeds",
        fontsize=12,
    )
    FigureCanvasAgg(figure).print_png(path)


def tile(pictures: np.ndarray) -> np.ndarray:
    """Lay pictures, (n_pictures, 8, 8), out in rows of ten, white between them."""
    n_rows = -(-len(pictures) // _COLUMNS)
    canvas = np.full((10 * n_rows, 10 * _COLUMNS), -1.0)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, _COLUMNS)
        canvas[10 * row + 1 : 10 * row + 9, 10 * column + 1 : 10 * column + 9] = picture
    return canvas
