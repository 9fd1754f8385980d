"""The paper's networks, as plain ``torch.nn`` modules."""

from sklearn_mixup.modules.mlp import MLP, Discriminator, Generator

__all__ = ["MLP", "Discriminator", "Generator"]
