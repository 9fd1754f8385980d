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
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from torch import Tensor, nn

from benchmarks._lab.experiment import Request
from benchmarks._lab.runs import Task
from benchmarks.gan import runs
from benchmarks.gan.runs import fit, make_key
from sklearn_mixup import MixupGAN
from sklearn_mixup._gan.energy import energy_distance

CONFIDENT = 0.9  # A picture counts as recognised if the classifier is that sure of some digit.
COVERED = 0.02  # A digit counts as drawn if that share of the samples is held for it.
TEST_SHARE = 0.25  # of the pictures, kept from GAN and classifier
SETTINGS: Mapping[str, Any] = {"latent_dim": 16, **runs.SETTINGS}
# The classifier of real digits; its probabilities are calibrated in five folds.
JUDGE = CalibratedClassifierCV(SVC(C=10), method="sigmoid", cv=5, ensemble=False)
_N_SHOWN = 100


# -- modules --------------------------------------------------------------------------------------


class Painter(nn.Module):
    """Multilayer perceptron from latent vectors to pictures, (batch_size, 1, 8, 8) in [-1, 1]."""

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
    """Convolutions and linear layers that give each picture one logit, of being data."""

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


def judge(X: np.ndarray, y: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Train the classifier on real digits; give its probabilities, (n_pictures, 10), of others."""
    classifier = clone(JUDGE).fit(X.reshape(len(X), -1), y)
    return classifier.predict_proba(pictures.reshape(len(pictures), -1))


# -- measures -------------------------------------------------------------------------------------


def describe_probabilities(probabilities: np.ndarray) -> dict[str, Any]:
    """Measure how sure a classifier is of pictures, and how they spread over the digits.

    ``recognised`` is the share of the pictures of which it is at least `CONFIDENT`; ``n_digits``
    counts the digits that at least `COVERED` of the pictures are held for; ``kl`` is the
    Kullback-Leibler divergence of the digits' shares from uniform ones, in nats.

    Examples
    --------
    >>> describe_probabilities(np.array([[0.95, 0.05], [0.6, 0.4]]))
    {'recognised': 0.5, 'n_digits': 1, 'kl': 0.6931471805599453}
    """
    n_pictures, n_digits = probabilities.shape
    shares = np.bincount(probabilities.argmax(axis=1), minlength=n_digits) / n_pictures
    return {
        "recognised": float((probabilities.max(axis=1) >= CONFIDENT).mean()),
        "n_digits": int((shares >= COVERED).sum()),
        "kl": float(entropy(shares, np.ones(n_digits))),
    }


def nearest_distance(X: np.ndarray, others: np.ndarray) -> float:
    """Compute the median Euclidean distance from a row to the nearest of the others.

    Examples
    --------
    >>> nearest_distance(np.array([[0.0], [5.0], [9.0]]), np.array([[1.0], [7.0]]))
    2.0
    """
    distances = cdist(X.reshape(len(X), -1), others.reshape(len(others), -1))
    return float(np.median(distances.min(axis=1)))


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
    probabilities = judge(X[train], y[train], X[test])
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
    settings = {**SETTINGS, "max_iter": max_iter}
    gan = MixupGAN(Painter, Critic, alpha=alpha, random_state=seed, device=device, **settings)
    diverged_at, fit_time_s = fit(gan, X[train])
    cost = {"diverged_at": diverged_at, "fit_time_s": round(fit_time_s, 3)}
    if not gan.initialized_:  # It never had a good epoch.
        return cost
    samples = gan.sample(n_samples, random_state=seed)
    return {
        **describe_probabilities(judge(X[train], y[train], samples)),
        "energy": -gan.score(X[test]),
        "nearest": nearest_distance(samples, X[train]),
        "discriminator_loss": float(gan.history[-1, "discriminator_loss"]),
        "generator_loss": float(gan.history[-1, "generator_loss"]),
        **cost,
        "n_train": len(train),
        "samples": encode_pictures(samples[:_N_SHOWN]) if seed == 0 else None,
    }


def list_tasks(request: Request) -> list[Task]:
    """List the runs, seed by seed; a seed is a split and the GANs' random state."""
    scale = request.scale
    judged = {
        **request.versions,
        "judge": repr(JUDGE),
        "confident": CONFIDENT,
        "covered": COVERED,
        "test_share": TEST_SHARE,
    }
    sizes = {"max_iter": scale.digits_iter, "n_samples": scale.n_samples}
    modules = [repr(Painter(SETTINGS["latent_dim"])), repr(Critic())]
    trained = {**judged, **SETTINGS, **sizes, "modules": modules}
    key, run = partial(make_key, "digits", "digits", "conv"), partial(run_gan, **sizes)
    tasks = []
    for seed in range(scale.n_seeds):
        real = key(method="real", alpha=0.0, seed=seed)
        tasks.append(Task(real, judged, partial(run_real, seed)))
        for alpha in scale.digits_alphas:
            work = partial(run, alpha, seed, device=request.device)
            tasks.append(Task(key(alpha=alpha, seed=seed), trained, work))
    return tasks
