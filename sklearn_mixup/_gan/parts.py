"""The parts of a GAN: two networks, an optimizer for each, and the average of the generator."""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import torch

from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.parts import make_part

PARTS = ("generator", "discriminator")
# Of Adam. Torch's, (0.9, 0.999), go on in a direction long after the other network has turned.
BETAS = (0.0, 0.99)


def make_networks(gan: Any) -> None:
    """Make both modules; each is told what it names of the latent and the row."""
    row_shape = getattr(gan, "_row_shape_", None)
    rows = {
        "row_shape": row_shape,
        "n_features": None if row_shape is None else math.prod(row_shape),
    }
    gan.generator_ = make_part(gan, "generator", {**rows, "latent_dim": gan.latent_dim})
    gan.discriminator_ = make_part(gan, "discriminator", rows)
    gan._latent_dim_ = gan.latent_dim
    follow_generator(gan, anew=True)


def follow_generator(gan: Any, *, anew: bool) -> None:
    """Make the averaged generator, or do without it, as `average` has it."""
    known = "averaged_generator_" in vars(gan)
    if gan.average == 0 and known:
        del gan.averaged_generator_
    elif gan.average > 0 and (anew or not known):
        with gan._current_init_context("module"):
            gan.averaged_generator_ = copy.deepcopy(unwrap(gan.generator_))
        gan._n_averaged_ = 0


def go_on_averaging(gan: Any, *, anew: bool) -> None:
    """Go on with weights that were loaded; `anew` from those of the generator."""
    if anew:
        gan.averaged_generator_.load_state_dict(unwrap(gan.generator_).state_dict())
    gan._n_averaged_ = sys.maxsize  # Nothing in it is to be forgotten soon.


def make_optimizers(gan: Any) -> None:
    """Make an optimizer for each module."""
    for part in PARTS:
        name = "optimizer_" + part
        parameters = getattr(gan, part + "_").named_parameters()
        args, kwargs = gan.get_params_for_optimizer(name, parameters)
        if getattr(gan, name) in (torch.optim.Adam, torch.optim.AdamW):
            kwargs.setdefault("betas", BETAS)
        setattr(gan, name + "_", getattr(gan, name)(*args, **kwargs))
