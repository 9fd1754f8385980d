"""Multilayer perceptrons: the classifier of the UCI tables, the networks of the GAN."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_mixup.modules._common import check_counts, check_dropout, check_sizes

__all__ = ["MLP", "Discriminator", "Generator"]

# Of the sides of a cut: how fast the number that tells them rises.
_STEEPNESS = 100.0


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
    hidden_sizes : int or sequence of int, default=(128, 128)
        Width of each hidden layer; a number is one layer. Empty: a linear model.
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
        hidden_sizes: int | Sequence[int] = (128, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(n_features=n_features, n_classes=n_classes)
        check_dropout(dropout)
        widths = [n_features, *check_sizes("hidden_sizes", hidden_sizes)]
        self.hidden = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        # Each a module of its own: tools that explain a network, such as SHAP, look for them.
        self.activations = nn.ModuleList(nn.ReLU() for _ in self.hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(widths[-1], n_classes)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        X = X.flatten(1)
        for layer, activation in zip(self.hidden, self.activations, strict=True):
            X = activation(layer(X))
            if self.dropout.p:  # A call that drops nothing would cost as much as a ReLU.
                X = self.dropout(X)
        return self.output(X)


class Generator(MLP):
    """Multilayer perceptron that turns latent vectors into rows, three hidden layers of 128 ReLU.

    **Shape**: input (batch_size, `latent_dim`), and (batch_size, `n_classes`) if there are classes;
    output (batch_size, ...), rows of `row_shape`, of unbounded numbers.

    Parameters
    ----------
    latent_dim : int
        Numbers in a latent vector.
    row_shape : tuple of int
        Shape of a row of the data, ``X.shape[1:]``.
    hidden_sizes : int or sequence of int, default=(128, 128, 128)
        Width of each hidden layer; a number is one layer.
    gain : float > 0, default=sqrt(2)
        Initial weights of the hidden layers have a standard deviation of ``gain / sqrt(n_inputs)``.
        sqrt(2) is He's: samples differ from the start as much as latent vectors do. With torch's
        own, 1 / sqrt(3), they are nearly alike, and a GAN has to learn first that they may differ.
    n_cuts : int >= 0, default=128
        Random planes of the latent space across which rows may jump. Beside the latent vector the
        network is told on which side of each it lies: near the plane, within a hundredth of the
        spread of latent vectors, a number rises from -1 to 1. A network without them is so smooth
        that it makes rows between any two groups of rows that are apart [1]_. Half of the variance
        of the first layer comes from the cuts; they stay where they are.
    n_classes : int, default=0
        Numbers that tell the class of a row, beside its latent vector.

    References
    ----------
    .. [1] Tanielian, Issenhuth, Dohmatob, Mary, "Learning disconnected manifolds: a no GAN's land",
       ICML 2020.

    Examples
    --------
    >>> import torch
    >>> Generator(latent_dim=2, row_shape=(1, 8, 8))(torch.zeros(5, 2)).shape
    torch.Size([5, 1, 8, 8])
    """

    normals: Tensor
    offsets: Tensor

    def __init__(
        self,
        latent_dim: int,
        row_shape: Sequence[int],
        hidden_sizes: int | Sequence[int] = (128, 128, 128),
        gain: float = math.sqrt(2),
        n_cuts: int = 128,
        n_classes: int = 0,
    ) -> None:
        check_counts(latent_dim=latent_dim)
        check_counts(0, n_cuts=n_cuts)
        row_shape = check_sizes("row_shape", row_shape)
        if not 0 < gain < math.inf:
            raise ValueError(f"`gain` must be a finite number > 0; got {gain!r}.")
        n_inputs = latent_dim + n_classes
        super().__init__(n_inputs + n_cuts, math.prod(row_shape), hidden_sizes)
        self.row_shape = row_shape
        with torch.no_grad():
            for parameter in self.hidden.parameters():
                parameter.mul_(gain * math.sqrt(3))  # torch's own are as of a gain of 1 / sqrt(3).
        self.n_cuts = n_cuts
        if n_cuts:
            normals = nn.functional.normalize(torch.randn(latent_dim, n_cuts), dim=0)
            self.register_buffer("normals", _STEEPNESS * normals)
            self.register_buffer("offsets", _STEEPNESS * torch.randn(n_cuts))
            first = next(module for module in self.modules() if isinstance(module, nn.Linear))
            with torch.no_grad():
                for weight in first.weight.split([n_inputs, n_cuts], dim=1):
                    weight.mul_(math.sqrt((n_inputs + n_cuts) / weight.shape[1] / 2))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return rows, shape (batch_size, ...), of `row_shape`; `y` tells their classes."""
        inputs = [z] if y is None else [z, y]
        if self.n_cuts:
            inputs.append(torch.addmm(self.offsets, z, self.normals).clamp(-1, 1))
        return super().forward(torch.cat(inputs, dim=1)).unflatten(1, self.row_shape)


class Discriminator(MLP):
    """Multilayer perceptron that tells data from samples, three hidden layers of 128 ReLU.

    **Shape**: input (batch_size, ...) with `n_features` numbers a row, and (batch_size,
    `n_classes`) if there are classes; output (batch_size, 1), the logit of a row being data.

    Parameters
    ----------
    n_features : int
        Numbers in a row; rows of a higher rank are flattened.
    hidden_sizes : int or sequence of int, default=(128, 128, 128)
        Width of each hidden layer; a number is one layer.
    dropout : float in [0, 1), default=0.0
        Share of the units of each hidden layer that is dropped while training.
    n_classes : int, default=0
        Numbers that tell the class of a row, beside the row.

    Examples
    --------
    >>> import torch
    >>> Discriminator(n_features=64)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        n_features: int,
        hidden_sizes: int | Sequence[int] = (128, 128, 128),
        dropout: float = 0.0,
        n_classes: int = 0,
    ) -> None:
        check_counts(n_features=n_features)
        super().__init__(n_features + n_classes, 1, hidden_sizes, dropout)

    def forward(self, X: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the logit of each row, shape (batch_size, 1); `y` tells their classes."""
        return super().forward(X if y is None else torch.cat([X.flatten(1), y], dim=1))
