"""Residual networks with pre-activation: PreAct ResNet-18 and WideResNet, for small pictures."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from sklearn_mixup.modules._common import (
    Renewed,
    check_counts,
    check_dropout,
    check_sizes,
    count_repeats,
    initialize,
)

__all__ = ["PreActResNet18", "WideResNet"]


class _PreActResNet(nn.Module):
    """A stem, stages of residual blocks, and the mean over their normalised maps."""

    def __init__(
        self,
        n_classes: int,
        n_channels: int,
        n_stem: int,
        widths: Sequence[int],
        n_blocks: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(n_channels, n_stem, 3, padding=1, bias=False)
        self.stages = _make_stages(n_stem, widths, n_blocks, dropout)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.activation = nn.ReLU()
        self.output = nn.Linear(widths[-1], n_classes)
        initialize(self)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        X = self.stages(self.stem(X))
        # The shortcuts carry maps that grow from block to block: unscaled, they made the output
        # diverge at full width.
        X = self.activation(self.norm(X))
        return self.output(X.mean((2, 3)))


class PreActResNet18(Renewed, _PreActResNet):
    """Residual network with pre-activation for small pictures [1]_, 18 layers by default.

    Four stages of residual blocks, each twice as wide as the one before, on maps of half its
    height and width. 11.2 million parameters by default.

    **Shape**: input (batch_size, `n_channels`, height, width), any height and width, 8 or more
    being of use; output (batch_size, `n_classes`), logits.

    Parameters
    ----------
    n_classes : int, default=10
        Width of the output.
    width : int, default=64
        Channels of the first stage. 8 or 16 trains in minutes on a laptop.
    n_blocks : sequence of int, default=(2, 2, 2, 2)
        Blocks of each stage: two convolutions each. (3, 4, 6, 3) is a PreAct ResNet-34.
    n_channels : int, default=3
        Channels of the pictures.
    dropout : float in [0, 1), default=0.0
        Share of the numbers between the two convolutions of a block that is dropped while
        training.

    Raises
    ------
    ValueError
        If a parameter is not as said above.

    Notes
    -----
    The maps are normalised and rectified before the mean over them, as in [1]_. Two others are in
    use. The released code of mixup [2]_ does so after the stem instead, and takes all shortcuts
    from behind the first ReLU of a block: it trains too, but at full width its loss rose higher
    first, and its test error was higher, in each of six trainings of 60 minibatches. The
    repository that this code started from [3]_ does neither, and diverges: the maps grow from block
    to block, and nothing scales them before the output. They have 896 and 1024 parameters fewer.

    Convolutions start from He's normal distribution, by the number of outputs.

    References
    ----------
    .. [1] He et al., "Identity mappings in deep residual networks", ECCV 2016.
    .. [2] "mixup-CIFAR10", github.com/facebookresearch/mixup-cifar10, 2018.
    .. [3] Liu, "Train CIFAR10 with PyTorch", github.com/kuangliu/pytorch-cifar, 2017.

    Examples
    --------
    >>> import torch
    >>> PreActResNet18(n_classes=10, width=4)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """

    _new_layer = "norm"

    def __init__(
        self,
        n_classes: int = 10,
        width: int = 64,
        *,
        n_blocks: Sequence[int] = (2, 2, 2, 2),
        n_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        check_counts(n_classes=n_classes, width=width, n_channels=n_channels)
        n_blocks = check_sizes("n_blocks", n_blocks)
        check_dropout(dropout)
        if not n_blocks:
            raise ValueError("`n_blocks` must have a number for each stage; got none.")
        widths = [width * 2**i for i in range(len(n_blocks))]
        super().__init__(n_classes, n_channels, width, widths, n_blocks, dropout)


class WideResNet(_PreActResNet):
    """Wide residual network for small pictures [1]_, WRN-28-10 by default.

    Three stages of residual blocks with pre-activation, each twice as wide as the one before, on
    maps of half its height and width. 36.5 million parameters by default.

    **Shape**: input (batch_size, `n_channels`, height, width), any height and width, 8 or more
    being of use; output (batch_size, `n_classes`), logits.

    Parameters
    ----------
    n_classes : int, default=10
        Width of the output.
    depth : int, default=28
        Number of convolutions, 6 n + 4: n blocks a stage. 10, 16, 22, 28, 34, 40, ...
    widen_factor : int, default=10
        The stages are 16, 32 and 64 times as many channels wide.
    n_channels : int, default=3
        Channels of the pictures.
    dropout : float in [0, 1), default=0.0
        Share of the numbers between the two convolutions of a block that is dropped while
        training; 0.3 in [1]_.

    Raises
    ------
    ValueError
        If a parameter is not as said above.

    Notes
    -----
    Convolutions start from He's normal distribution, by the number of outputs.

    References
    ----------
    .. [1] Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016.

    Examples
    --------
    >>> import torch
    >>> WideResNet(n_classes=10, depth=10, widen_factor=1)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        n_classes: int = 10,
        depth: int = 28,
        widen_factor: int = 10,
        *,
        n_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        check_counts(n_classes=n_classes, widen_factor=widen_factor, n_channels=n_channels)
        check_dropout(dropout)
        n_blocks = count_repeats(depth)
        widths = [16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        super().__init__(n_classes, n_channels, 16, widths, [n_blocks] * 3, dropout)


class _PreActBlock(nn.Module):
    """Two convolutions, each after its normalisation and ReLU, beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(n_in)
        self.activation1 = nn.ReLU()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.activation2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        """Return the maps, shape (batch_size, n_out, height / stride, width / stride)."""
        activated = self.activation1(self.norm1(X))
        if self.shortcut is not None:
            X = self.shortcut(activated)
        residual = self.activation2(self.norm2(self.conv1(activated)))
        if self.dropout.p:  # A call that drops nothing would cost as much as a ReLU.
            residual = self.dropout(residual)
        return X + self.conv2(residual)


def _make_stages(
    n_in: int, widths: Sequence[int], n_blocks: Sequence[int], dropout: float
) -> nn.Sequential:
    """Make the stages; all but the first halve height and width."""
    stages = []
    for i, (width, number) in enumerate(zip(widths, n_blocks, strict=True)):
        blocks = [_PreActBlock(n_in, width, 2 if i else 1, dropout)]
        blocks += [_PreActBlock(width, width, 1, dropout) for _ in range(number - 1)]
        stages.append(nn.Sequential(*blocks))
        n_in = width
    return nn.Sequential(*stages)
