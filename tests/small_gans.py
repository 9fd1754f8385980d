"""GANs that train in a moment, and what tests compare of them."""

import numpy as np
import torch
from torch import nn

from sklearn_mixup import MixupGAN

SMALL = {"generator__hidden_sizes": (16,), "discriminator__hidden_sizes": (16,)}


def make_rows():
    """Make a table of 100 x 2, float32, read-only; its rows all differ."""
    rows = np.random.default_rng(0).normal([1.0, -1.0], [1.0, 0.5], size=(100, 2))
    rows = rows.astype(np.float32)
    rows.flags.writeable = False
    return rows


def bare(**params):
    """Make a quick GAN of rows as they are, whose modules are told nothing but what fit learns."""
    defaults = {
        "encode": False,
        "n_discriminator_steps": 2,
        "max_iter": 6,
        "iter_per_epoch": 3,
        "batch_size": 16,
        "average": 0.0,
        "rejection": 0.0,
        "random_state": 0,
    }
    return MixupGAN(**{**defaults, **params})


def quick(**params):
    """Make a quick GAN of small networks."""
    return bare(**{**SMALL, **params})


def weights(gan):
    """Copy both networks' parameters into one vector each."""
    modules = (gan.generator_, gan.discriminator_)
    return [nn.utils.parameters_to_vector(m.parameters()).detach().cpu().clone() for m in modules]


def same_bits(one, other):
    """Whether both networks of two GANs have the same weights."""
    return all(map(torch.equal, weights(one), weights(other)))
