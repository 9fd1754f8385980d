"""What keeps an account: of what a module and its layers see, of what the host reads."""

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_mixup.modules import MLP


class Recording(MLP):
    """An MLP that keeps the inputs and outputs of its training passes."""

    def __init__(self, n_features, n_classes, hidden_sizes=(8,), dropout=0.0):
        super().__init__(n_features, n_classes, hidden_sizes, dropout)
        self.seen, self.outputs = [], []

    def forward(self, X):
        outputs = super().forward(X)
        if self.training:
            self.seen.append(X.detach().cpu().clone())
            self.outputs.append(outputs.detach().cpu().clone())
        return outputs


class HostReads(TorchDispatchMode):
    """Count the values that are read from tensors: what would wait for a device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def layers_of(module, *kinds):
    """List the layers of some kinds."""
    return [layer for layer in module.modules() if isinstance(layer, kinds)]


def make_random(make, **kwargs):
    """Make a network in float64 none of whose numbers is 0 or 1, in evaluation mode."""
    module = make(**kwargs).double().eval()
    for norm in layers_of(module, nn.BatchNorm1d, nn.BatchNorm2d):
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 1.5)
        norm.bias.data -= 1
        norm.running_mean -= 1
    for layer in layers_of(module, nn.Linear):
        if layer.bias is not None:
            layer.bias.data.normal_()
    return module


def trace(module, X, layers):
    """Apply the module; give ``(layer, input, output)`` of some layers in the order of calls."""
    called = []
    hooks = [
        layer.register_forward_hook(lambda *call: called.append((call[0], *call[1], call[2])))
        for layer in layers
    ]
    module(X)
    for hook in hooks:
        hook.remove()
    return called
