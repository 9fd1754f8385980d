"""The time of a fit of MixupGAN beside a hand-written loop of the same two networks."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks._nets.gans import GAN_RECIPES, GANRecipe
from benchmarks.speed.rounds import compute_ratio, time_each
from sklearn_mixup import MixupGAN
from sklearn_mixup.modules import Discriminator, Generator

SETTINGS = ("paper", "steady")
TARGET = 1.10
_ALPHA = 0.2
_N_ROWS = 10_000


def _fit_bare_loop(X: np.ndarray, recipe: GANRecipe, device: str) -> None:
    """Train as one would by hand: draw, mix and step, minibatch by minibatch."""
    rows, size = torch.as_tensor(X, device=device), recipe.batch_size
    widths = recipe.hidden_sizes
    generator = Generator(recipe.latent_dim, X.shape[1:], widths, n_cuts=recipe.n_cuts).to(device)
    discriminator = Discriminator(X.shape[1], recipe.hidden_sizes).to(device)
    averaged = copy.deepcopy(generator)
    optimizers = [
        torch.optim.Adam(module.parameters(), lr=recipe.lr, betas=recipe.betas, fused=True)
        for module in (generator, discriminator)
    ]
    decay = torch.optim.lr_scheduler.CosineAnnealingLR
    schedules = [decay(it, recipe.max_iter) for it in optimizers if recipe.decays]
    criterion = nn.BCEWithLogitsLoss()
    concentration = torch.tensor(_ALPHA, device=device)
    beta = torch.distributions.Beta(concentration, concentration, validate_args=False)
    ones = torch.ones(size, 1, device=device)
    for _ in range(recipe.max_iter):
        for _ in range(recipe.n_discriminator_steps):
            real = rows[torch.randint(len(rows), (size,), device=device)]
            with torch.no_grad():
                fake = generator(torch.randn(size, recipe.latent_dim, device=device))
            lam = beta.sample((size, 1))
            loss = criterion(discriminator(lam * real + (1 - lam) * fake), lam)
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
        fake = generator(torch.randn(size, recipe.latent_dim, device=device))
        loss = criterion(discriminator(fake), ones)
        optimizers[0].zero_grad()
        loss.backward(inputs=list(generator.parameters()))
        optimizers[0].step()
        for schedule in schedules:
            schedule.step()
        if recipe.average:
            with torch.no_grad():
                for mean, value in zip(averaged.parameters(), generator.parameters(), strict=True):
                    mean.lerp_(value, 1 - recipe.average)
    loss.item()


def time_gan_round(n_iter: int, *, device: str, turn: int = 0) -> dict[str, float]:
    """Time a fit and a loop with each setting, in seconds; every other turn the loop is first."""
    X = np.random.default_rng(0).standard_normal((_N_ROWS, 2), dtype=np.float32)
    seconds: dict[str, float] = {}
    for setting in SETTINGS:
        recipe = replace(GAN_RECIPES[setting], max_iter=n_iter)
        ours = MixupGAN(alpha=_ALPHA, random_state=0, device=device, **recipe.params())
        fits = {
            f"fit_time_s {setting} MixupGAN": partial(ours.fit, X),
            f"fit_time_s {setting} bare loop": partial(_fit_bare_loop, X, recipe, device),
        }
        seconds |= time_each(fits, device, turn=turn)
    return seconds


def gan_table(rounds: pd.DataFrame, n_iter: int) -> pd.DataFrame:
    """Write the times of `time_gan_round`, and the median of the ratios within a round."""
    rows = []
    for setting in SETTINGS:
        names = ("MixupGAN", "bare loop")
        ours, loop = (rounds[f"fit_time_s {setting} {name}"] for name in names)
        times = {"ms an iteration": ours.median() / n_iter, "bare loop": loop.median() / n_iter}
        cells = compute_ratio(ours, loop, TARGET).cells()
        rows.append({"GAN": setting, **{k: f"{1000 * s:.1f}" for k, s in times.items()}, **cells})
    return pd.DataFrame(rows)
