"""The parts of a GAN: two networks, an optimizer for each, and the average of the generator."""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mixup._gan.classes import has_classes
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.parts import make_part

PARTS = ("generator", "discriminator")
# Of Adam. Torch's, (0.9, 0.999), go on in a direction long after the other network has turned.
BETAS = (0.0, 0.99)


def make_networks(gan: Any) -> None:
    """Make both modules; each is told what it names of the latent, the row and its class."""
    row_shape = getattr(gan, "_row_shape_", None)
    rows = {
        "row_shape": row_shape,
        "n_features": None if row_shape is None else math.prod(row_shape),
        "n_classes": len(gan.classes_) if has_classes(gan) else None,
    }
    gan._latent_dim_ = _count_latent(gan, row_shape)
    gan.generator_ = make_part(gan, "generator", {**rows, "latent_dim": gan._latent_dim_})
    gan.discriminator_ = make_part(gan, "discriminator", rows)
    follow_generator(gan, anew=True)


def _count_latent(gan: Any, row_shape: tuple[int, ...] | None) -> int:
    """Count the numbers of a latent vector: by default as many as a row has."""
    if gan.latent_dim != "auto":
        return int(gan.latent_dim)
    told = gan.get_params_for("generator")
    row_shape = told.get("row_shape", row_shape)
    n_features = told.get("n_features", 0 if row_shape is None else math.prod(row_shape))
    return min(max(n_features, 2), 64)


def draw_latent(gan: Any, n_rows: int, rng: torch.Generator) -> Tensor:
    """Draw latent vectors, standard normal, shape (n_rows, latent_dim)."""
    dtype = gan._training_.dtype if gan._training_ is not None else gan._module_dtype()
    size = (n_rows, gan._latent_dim_)
    return torch.randn(size, generator=rng, device=rng.device, dtype=dtype)


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
        setattr(gan, f"optimizer_{part}_", make_optimizer(gan, part, getattr(gan, part + "_")))


def make_optimizer(gan: Any, part: str, module: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer of a part, for such a module."""
    name = "optimizer_" + part
    args, kwargs = gan.get_params_for_optimizer(name, module.named_parameters())
    if getattr(gan, name) in (torch.optim.Adam, torch.optim.AdamW):
        kwargs.setdefault("betas", BETAS)
    return getattr(gan, name)(*args, **kwargs)
