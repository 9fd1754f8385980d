"""Densely connected networks with bottlenecks and compression, for small pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from sklearn_mixup.modules._common import (
    check_counts,
    check_dropout,
    count_repeats,
    initialize,
)

__all__ = ["DenseNetBC"]


class DenseNetBC(nn.Module):
    """Densely connected network for small pictures [1]_, DenseNet-BC-190 with k = 40 by default.

    Three blocks, on maps of half the height and width of the one before. A layer of a block takes
    all maps made so far and adds `growth_rate` of its own. 25.6 million parameters by default.

    **Shape**: input (batch_size, `n_channels`, height, width), height and width 4 or more; output
    (batch_size, `n_classes`), logits.

    Parameters
    ----------
    n_classes : int, default=10
        Width of the output.
    depth : int, default=190
        Number of layers with weights, 6 n + 4: n layers of two convolutions in a block. 10, 16,
        22, ..., 40, 100, 190, 250, ...
    growth_rate : int, default=40
        Channels that a layer adds, k in [1]_. 12 in its smallest network.
    reduction : float in (0, 1], default=0.5
        Share of the channels that is left between two blocks, theta in [1]_.
    n_channels : int, default=3
        Channels of the pictures.
    dropout : float in [0, 1), default=0.0
        Share of the numbers between the two convolutions of a layer that is dropped while
        training.

    Raises
    ------
    ValueError
        If a parameter is not as said above.

    Notes
    -----
    Where [1]_ drops, it does so after all convolutions but the first, with p = 0.2; here it is
    between the two of a layer, as in the residual networks.

    Convolutions start from He's normal distribution, by the number of outputs.

    References
    ----------
    .. [1] Huang et al., "Densely connected convolutional networks", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> DenseNetBC(n_classes=10, depth=16, growth_rate=4)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        n_classes: int = 10,
        depth: int = 190,
        growth_rate: int = 40,
        *,
        reduction: float = 0.5,
        n_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes, growth_rate=growth_rate, n_channels=n_channels)
        if not 0 < reduction <= 1:
            raise ValueError(
                f"`reduction` must be in (0, 1]; got {reduction!r}. Use 1 to keep all channels."
            )
        check_dropout(dropout)
        n_layers, width = count_repeats(depth), 2 * growth_rate
        self.stem = nn.Conv2d(n_channels, width, 3, padding=1, bias=False)
        parts: list[nn.Module] = []
        for _ in range(2):
            parts.append(_make_block(width, n_layers, growth_rate, dropout))
            width += n_layers * growth_rate
            parts.append(_Transition(width, int(width * reduction)))
            width = int(width * reduction)
        parts.append(_make_block(width, n_layers, growth_rate, dropout))
        width += n_layers * growth_rate
        self.blocks = nn.Sequential(*parts)
        self.norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()
        self.output = nn.Linear(width, n_classes)
        initialize(self)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        X = self.blocks(self.stem(X))
        X = self.activation(self.norm(X))
        return self.output(X.mean((2, 3)))


class _DenseLayer(nn.Module):
    """A bottleneck of 1 x 1 and a convolution of 3 x 3, whose maps go beside those before."""

    def __init__(self, n_in: int, growth_rate: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(n_in)
        self.activation1 = nn.ReLU()
        self.conv1 = nn.Conv2d(n_in, 4 * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth_rate)
        self.activation2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, 3, padding=1, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        """Return the maps, shape (batch_size, n_in + growth_rate, height, width)."""
        new = self.conv1(self.activation1(self.norm1(X)))
        new = self.activation2(self.norm2(new))
        if self.dropout.p:  # A call that drops nothing would cost as much as a ReLU.
            new = self.dropout(new)
        return torch.cat([X, self.conv2(new)], dim=1)


class _Transition(nn.Module):
    """Fewer channels, then the means of 2 x 2 pixels."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in)
        self.activation = nn.ReLU()
        self.conv = nn.Conv2d(n_in, n_out, 1, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        """Return the maps, shape (batch_size, n_out, height // 2, width // 2)."""
        X = self.conv(self.activation(self.norm(X)))
        return avg_pool2d(X, 2)


def _make_block(n_in: int, n_layers: int, growth_rate: int, dropout: float) -> nn.Sequential:
    """Make a block of layers, each of which takes what all before it made."""
    widths = [n_in + i * growth_rate for i in range(n_layers)]
    return nn.Sequential(*(_DenseLayer(width, growth_rate, dropout) for width in widths))
