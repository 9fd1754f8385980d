"""The 2-D sets of Figure 5: data, what is measured on them, and the runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from scipy.stats import entropy
from sklearn.datasets import make_moons, make_swiss_roll
from skorch.callbacks import Callback
from torch import Tensor

from benchmarks._lab.experiment import Request
from benchmarks._lab.runs import Task
from benchmarks._nets.gans import GAN_RECIPES, GANRecipe
from benchmarks.gan.runs import fit, make_key
from sklearn_mixup import MixupGAN
from sklearn_mixup.vicinal import mix

TITLES = {
    "ring": "Ring of 8",
    "grid": "Grid of 25",
    "swiss_roll": "Swiss roll",
    "two_moons": "Two moons",
}
STANDARD_DEVIATION = 0.01
N_SAMPLES = 2_500  # to measure modes on, as the PacGAN paper does
N_COMPARED = 4_000  # data and samples for the energy distance
N_DRAWN = 500  # samples in a panel of the figure
_N_ROWS = 100_000  # to train on; the paper draws without end
_SNAPSHOTS = (10, 100, 1_000, 10_000, 20_000)  # generator iterations of Figure 5
_N_CHECKS = 20  # times that a run is measured while it trains
# All of that, for the fingerprint of a run.
MEASURED: Mapping[str, Any] = {
    "standard_deviation": STANDARD_DEVIATION,
    "n_rows": _N_ROWS,
    "n_samples": N_SAMPLES,
    "n_compared": N_COMPARED,
    "n_checks": _N_CHECKS,
    "snapshots": _SNAPSHOTS,
}


# -- data -----------------------------------------------------------------------------------------


_ANGLES = 2 * np.pi * np.arange(8) / 8  # The end point left out: it would double a mode.
_TICKS = np.linspace(-1, 1, 5)
# Centres of the Gaussians, (n_modes, 2); the swiss roll and the two moons have none.
MODES = {
    "ring": np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]),
    "grid": np.array([(x, y) for x in _TICKS for y in _TICKS]),
}


def name_method(alpha: float) -> str:
    """Name a method in a table."""
    return f"mixup {alpha:g}" if alpha else "ERM"


def draw(name: str, n_rows: int, seed: int) -> np.ndarray:
    """Draw rows of a toy set, extent [-1, 1], shape (n_rows, 2), float32."""
    rng = np.random.default_rng(seed)
    centres = MODES.get(name)
    if name == "two_moons":
        rows, _ = make_moons(n_rows, noise=0.05, random_state=seed)
        return ((rows - [0.5, 0.25]) / 1.5).astype(np.float32)
    if centres is None:
        rows, _ = make_swiss_roll(n_rows, noise=0.25, random_state=seed)
        return (rows[:, [0, 2]] / 14.0).astype(np.float32)
    noise = STANDARD_DEVIATION * rng.standard_normal((n_rows, 2))
    return (centres[rng.integers(len(centres), size=n_rows)] + noise).astype(np.float32)


# -- measures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coverage:
    """How samples lie about the modes; published ones are means over several GANs."""

    modes: float
    high_quality: float
    reverse_kl: float


def measure_coverage(samples: np.ndarray, centres: np.ndarray) -> Coverage:
    """Measure, of rows about centres, modes captured, share of high quality, and reverse KL.

    A sample is of high quality within 3 standard deviations of a mode, and that mode is captured.
    The reverse KL compares the shares of the modes among those samples with even shares, in nats;
    it is NaN where no sample is of high quality.
    """
    distance, nearest = KDTree(centres).query(samples)
    close = distance < 3 * STANDARD_DEVIATION
    counts = np.bincount(nearest[close], minlength=len(centres))
    if not close.any():
        return Coverage(0, 0.0, float("nan"))
    reverse_kl = float(entropy(counts, np.ones(len(centres))))
    return Coverage(int((counts > 0).sum()), float(close.mean()), reverse_kl)


def pack(samples: np.ndarray) -> str:
    """Write samples as text, in float16: a CSV holds them, so a figure needs no other file."""
    return base64.b64encode(samples.astype(np.float16).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """Read what `pack` wrote, shape (n_samples, 2)."""
    return np.frombuffer(base64.b64decode(text), dtype=np.float16).reshape(-1, 2)


class JoinedGAN(MixupGAN):
    """As the authors' demo: pairs of the joined minibatch, lam uniform on (0, alpha)."""

    def discriminator_loss(
        self, real: Tensor, fake: Tensor, lam: Tensor, y: Tensor | None = None
    ) -> Tensor:
        """Mix each row, real or generated, with a random one of all."""
        rows, y = torch.cat([real, fake]), torch.cat([torch.ones_like(lam), torch.zeros_like(lam)])
        partner = torch.randperm(len(rows), device=rows.device)
        weight = self.alpha * torch.rand(len(rows), device=rows.device)
        y_mixed = mix(y, partner, lam=weight)
        return self.get_loss(self.infer(mix(rows, partner, lam=weight)), y_mixed)


class Watch(Callback):
    """Sample a GAN while it trains: at some iterations to draw, at even intervals to measure."""

    def __init__(self, snapshots: Sequence[int], centres: np.ndarray | None, every: int) -> None:
        self.snapshots = snapshots
        self.centres = centres
        self.every = every

    def initialize(self) -> Watch:
        """Forget what was seen."""
        self.drawn_: dict[int, str] = {}
        self.coverage_: list[Coverage] = []
        return self

    def on_epoch_end(self, net: MixupGAN, **kwargs: Any) -> None:
        """Look at the GAN, if it is time."""
        if net.n_iter_ in self.snapshots:
            self.drawn_[net.n_iter_] = pack(net.sample(N_DRAWN, random_state=1))
        if self.centres is not None and net.n_iter_ % self.every == 0:
            samples = net.sample(N_SAMPLES, random_state=net.n_iter_)
            self.coverage_.append(measure_coverage(samples, self.centres))


# -- runs -----------------------------------------------------------------------------------------


def run_toy(
    name: str, recipe: GANRecipe, alpha: float, seed: int, *, device: str, draws: bool
) -> dict[str, Any]:
    """Train a GAN on a toy set, and measure it at the end and on the way."""
    X, held_out = draw(name, _N_ROWS, seed), draw(name, N_COMPARED, 1_000_000 + seed)
    centres = MODES.get(name)
    iter_per_epoch = min(10, recipe.max_iter)
    snapshots = [*(n for n in _SNAPSHOTS if n < recipe.max_iter), recipe.max_iter]
    every = max(recipe.max_iter // _N_CHECKS, iter_per_epoch)
    watch = Watch(snapshots if draws else [], centres, every)
    gan = (JoinedGAN if recipe.joined and alpha else MixupGAN)(
        alpha=alpha,
        random_state=seed,
        device=device,
        iter_per_epoch=iter_per_epoch,
        callbacks=[("watch", watch)],
        **recipe.params(),
    )
    diverged_at, fit_time_s = fit(gan, X)
    results: dict[str, Any] = {"fit_time_s": round(fit_time_s, 2), "diverged_at": diverged_at}
    if not gan.initialized_:
        return results  # It never had a good epoch.
    results["energy_distance"] = -gan.score(held_out)
    seen = dict(gan.callbacks_)["watch"]
    if centres is not None:
        results |= asdict(measure_coverage(gan.sample(N_SAMPLES, random_state=0), centres))
        if late := seen.coverage_[len(seen.coverage_) // 2 :]:
            results["late_modes_least"] = min(c.modes for c in late)
            results["late_high_quality_sd"] = float(np.std([c.high_quality for c in late]))
    if draws:
        results["snapshots"] = json.dumps(seen.drawn_)
    if hasattr(gan, "rejector_"):
        gan.rejection = 0.0  # as the generator makes them
        results["energy_distance_of_all"] = -gan.score(held_out)
    return results


def list_tasks(request: Request) -> list[Task]:
    """List the runs, seed by seed."""
    scale = request.scale
    shortened = {} if scale.max_iter is None else {"max_iter": scale.max_iter}
    recipes = {name: replace(GAN_RECIPES[name], **shortened) for name in scale.settings}
    return [
        Task(
            make_key("toys", name, setting, alpha=alpha, seed=seed),
            {**asdict(recipe), **MEASURED, **request.versions},
            partial(run_toy, name, recipe, alpha, seed, device=request.device, draws=seed == 0),
        )
        for seed in range(scale.n_seeds)
        for setting, recipe in recipes.items()
        for name in scale.data
        for alpha in scale.alphas
    ]
