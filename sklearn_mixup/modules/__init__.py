"""The paper's networks, as plain ``torch.nn`` modules."""

from sklearn_mixup.modules.densenet import DenseNetBC
from sklearn_mixup.modules.lenet import LeNet
from sklearn_mixup.modules.mlp import MLP, Discriminator, Generator
from sklearn_mixup.modules.preact_resnet import PreActResNet18, WideResNet
from sklearn_mixup.modules.vgg import VGG11

__all__ = [
    "MLP",
    "VGG11",
    "DenseNetBC",
    "Discriminator",
    "Generator",
    "LeNet",
    "PreActResNet18",
    "WideResNet",
]
