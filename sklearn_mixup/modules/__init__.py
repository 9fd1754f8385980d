"""The paper's networks, as plain ``torch.nn`` modules."""

from sklearn_mixup.modules.densenet import DenseNetBC
from sklearn_mixup.modules.mlp import MLP, Discriminator, Generator
from sklearn_mixup.modules.preact_resnet import PreActResNet18, WideResNet

__all__ = ["MLP", "DenseNetBC", "Discriminator", "Generator", "PreActResNet18", "WideResNet"]
