"""Networks for pictures by name, those of the package and those of timm, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._nets.vision import import_torchvision
from sklearn_mixup.modules import DenseNetBC, PreActResNet18, WideResNet

_NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "preact_resnet18": PreActResNet18,
    "wide_resnet": WideResNet,
    "densenet_bc": DenseNetBC,
}
# Settings of runs of a network whose name was another's: what was run with that one is run again.
DESIGNS: Mapping[str, Mapping[str, str]] = {
    "preact_resnet18": {"design": "normalised before the mean"}
}
_IMAGENET_TITLES = {
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnext101_32x4d": "ResNeXt-101 32x4d",
    "resnext101_64x4d": "ResNeXt-101 64x4d",
}


def make_network(
    family: str, n_classes: int = 10, *, channels_last: bool = False, **sizes: Any
) -> nn.Module:
    """Make a network by name, its weights drawn from torch's global generator.

    `family` is a network of `sklearn_mixup.modules`, such as ``"wide_resnet"``, or any name that
    timm has; `sizes` are depth, width and the like, as the module names them. With `channels_last`
    the weights of convolutions lie channel by channel, as they are faster on a CPU: narrow networks
    trained in 0.6 to 0.85 of the time.

    Examples
    --------
    >>> make_network("preact_resnet18", width=4)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])
    """
    network: Any  # mypy knows nothing of memory formats
    if family in _NETWORKS:
        network = _NETWORKS[family](n_classes=n_classes, **sizes)
    else:
        import_torchvision()
        import timm

        network = timm.create_model(family, num_classes=n_classes, **sizes)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def name_network(family: str, sizes: Mapping[str, Any]) -> str:
    """Tell the name of a network of some size.

    Examples
    --------
    >>> name_network("wide_resnet", {"depth": 28, "widen_factor": 10})
    'WideResNet-28-10'
    >>> name_network("preact_resnet18", {"width": 16})
    'PreAct ResNet-18 (width 16)'
    >>> name_network("resnet50", {"layers": (1, 1, 1, 1)})
    'ResNet-50 (layers 1, 1, 1, 1)'
    """
    if family == "preact_resnet18":
        width = sizes.get("width", 64)
        return "PreAct ResNet-18" + (f" (width {width})" if width != 64 else "")
    if family == "wide_resnet":
        return f"WideResNet-{sizes.get('depth', 28)}-{sizes.get('widen_factor', 10)}"
    if family == "densenet_bc":
        return f"DenseNet-BC-{sizes.get('depth', 190)} (k = {sizes.get('growth_rate', 40)})"
    layers = ", ".join(map(str, sizes.get("layers", ())))
    return _IMAGENET_TITLES.get(family, family) + (f" (layers {layers})" if layers else "")


def count_errors(logits: Tensor, y: Tensor, *, n_best: int = 1) -> float:
    """Compute the share of rows whose label is not among the classes of the `n_best` logits.

    `y` has numbers of columns of `logits`, shape (n_rows, n_classes); a row of these that is not
    finite counts as an error. With `n_best` 5 it is the top-5 error.

    Examples
    --------
    >>> logits = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
    >>> y = torch.tensor([1, 2])
    >>> count_errors(logits, y), count_errors(logits, y, n_best=2)
    (0.5, 0.0)
    """
    best = logits.topk(min(n_best, logits.shape[1])).indices
    is_right = (best == y[:, None]).any(1) & logits.isfinite().all(1)
    return 1 - float(is_right.double().mean())
