"""What keeps an account of a training: of what a module sees, of what the host reads."""

import torch
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
