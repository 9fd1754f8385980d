"""The multilayer perceptron of the UCI tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MLP"]


class MLP(nn.Module):
    """Multilayer perceptron with ReLU units, two hidden layers of 128 by default.

    **Shape**: input (batch_size, ...) with `n_features` numbers a row; output (batch_size,
    n_classes), logits.

    Parameters
    ----------
    n_features : int
        Numbers in a row of the input; rows of a higher rank are flattened.
    n_classes : int
        Width of the output.
    hidden_sizes : sequence of int, default=(128, 128)
        Width of each hidden layer. Empty: a linear model.
    dropout : float in [0, 1), default=0.0
        Share of the units of each hidden layer that is dropped while training.

    Examples
    --------
    >>> import torch
    >>> MLP(n_features=4, n_classes=3)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden_sizes: Sequence[int] = (128, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [n_features, *hidden_sizes]
        self.hidden = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(widths[-1], n_classes)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        X = X.flatten(1)
        for layer in self.hidden:
            X = torch.relu(layer(X))
            if self.dropout.p:  # A call that drops nothing would cost as much as a ReLU.
                X = self.dropout(X)
        return self.output(X)
