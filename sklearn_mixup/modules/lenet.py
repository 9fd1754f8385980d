"""LeNet for spectrograms: two convolutions, two linear layers."""

from __future__ import annotations

from torch import Tensor, nn

from sklearn_mixup.modules._common import Renewed, check_counts, check_dropout, initialize

__all__ = ["LeNet"]

_MAP_SIZE = (37, 22)  # what two convolutions and poolings leave of 160 x 101


class LeNet(Renewed):
    """LeNet [1]_ for spectrograms of 160 x 101, with ReLU and max-pooling as it is used today.

    Twice a convolution of 5 x 5 without padding and the maxima of 2 x 2 numbers, then a hidden
    layer with batch normalisation. 16.3 million parameters by default, nearly all of them of the
    hidden layer.

    **Shape**: input (batch_size, `n_channels`, height, width), 16 x 16 or more; output
    (batch_size, `n_classes`), logits.

    Parameters
    ----------
    n_classes : int, default=30
        Width of the output.
    width : int, default=20
        Maps of each convolution. The hidden layer has ``50 * width`` units.
    n_channels : int, default=1
        Channels of the input.
    dropout : float in [0, 1), default=0.0
        Share that is dropped while training: of the maps of the second convolution, as wholes, and
        of the hidden units.

    Raises
    ------
    ValueError
        If a parameter is not as said above.

    Notes
    -----
    Width and hidden layer are those of a widely used network for the speech commands [2]_, which
    drops with p = 0.5. That one does not normalise: with Adam and the learning rate of the speech
    experiment, 0.003, the first steps moved its 16,280 inputs of a hidden unit all at once, and the
    loss rose to 20. Maps of another size than that of 160 x 101 are averaged, or repeated, to
    37 x 22 numbers before the hidden layer.

    With C channels, w maps, h = 50 w units and K classes there are
    ``25 C w + w + 25 w^2 + w + (814 w + 2) h + (h + 1) K`` parameters.

    Convolutions start from He's normal distribution, by the number of outputs.

    References
    ----------
    .. [1] LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of
       the IEEE, 1998.
    .. [2] Adi, "ConvNets for Speech Commands Recognition", github.com/adiyoss/GCommandsPytorch,
       2017.

    Examples
    --------
    >>> import torch
    >>> LeNet(n_classes=30, width=4)(torch.zeros(5, 1, 160, 101)).shape
    torch.Size([5, 30])
    """

    _new_layer = "hidden_norm"

    def __init__(
        self,
        n_classes: int = 30,
        width: int = 20,
        *,
        n_channels: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes, width=width, n_channels=n_channels)
        check_dropout(dropout)
        self.conv1 = nn.Conv2d(n_channels, width, 5)
        self.pool1 = nn.MaxPool2d(2)
        self.activation1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 5)
        self.map_dropout = nn.Dropout2d(dropout)
        self.pool2 = nn.MaxPool2d(2)
        self.activation2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(_MAP_SIZE)
        self.hidden = nn.Linear(_MAP_SIZE[0] * _MAP_SIZE[1] * width, 50 * width, bias=False)
        self.hidden_norm = nn.BatchNorm1d(50 * width)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(50 * width, n_classes)
        initialize(self)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, shape (batch_size, n_classes)."""
        X = self.activation1(self.pool1(self.conv1(X)))
        X = self.conv2(X)
        if self.map_dropout.p:  # A call that drops nothing would cost as much as a ReLU.
            X = self.map_dropout(X)
        X = self.activation2(self.pool2(X))
        if X.shape[2:] != _MAP_SIZE:
            X = self.pool(X)
        X = self.activation(self.hidden_norm(self.hidden(X.flatten(1))))
        if self.dropout.p:
            X = self.dropout(X)
        return self.output(X)
