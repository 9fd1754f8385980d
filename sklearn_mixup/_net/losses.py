"""Losses whose gradient is written out: the cross-entropy, and those of a difference."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class QuantileLoss(nn.Module):
    """The loss whose least mean is at a quantile: a number too low costs `quantile` times as much.

    **Shape**: outputs and targets alike, (batch_size, n_outputs).

    Parameters
    ----------
    quantile : float in (0, 1), default=0.5
        0.5 is half of the absolute error.
    reduction : {"mean", "none"}, default="mean"
        As of torch's losses.
    """

    def __init__(self, quantile: float = 0.5, reduction: str = "mean") -> None:
        super().__init__()
        self.quantile = quantile
        self.reduction = reduction

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Compute the mean loss, or with ``reduction="none"`` that of each number."""
        losses = difference_losses(self, outputs - y)
        return losses if self.reduction == "none" else losses.mean()


# A tuple, since torch 2.4 compiles no look into a set. Compiled code knows their places.
DIFFERENCES = (nn.MSELoss, nn.L1Loss, nn.HuberLoss, QuantileLoss)


def unwrap(module: Any) -> Any:
    """Find the module that torch.compile wraps."""
    return getattr(module, "_orig_mod", module)


def is_plain_cross_entropy(criterion: nn.Module) -> bool:
    """Whether the criterion is the mean cross-entropy and nothing else."""
    return (
        type(criterion) is nn.CrossEntropyLoss
        and criterion.weight is None
        and criterion.label_smoothing == 0
        and criterion.ignore_index < 0
        and criterion.reduction == "mean"
    )


def is_plain_difference(criterion: Any) -> bool:
    """Whether the criterion is the mean of a loss of differences that is known here."""
    return type(criterion) in DIFFERENCES and criterion.reduction == "mean"


def difference_losses(criterion: Any, differences: Tensor) -> Tensor:
    """Compute the loss of each difference between an output and what it should be."""
    kind = type(criterion)
    if kind is nn.MSELoss:
        return differences.square()
    if kind is nn.L1Loss:
        return differences.abs()
    if kind is nn.HuberLoss:
        near = differences.abs().clamp(max=criterion.delta)
        return near * (differences.abs() - near / 2)
    q = criterion.quantile
    return torch.where(differences > 0, (1 - q) * differences, -q * differences)


def difference_slopes(criterion: Any, differences: Tensor) -> Tensor:
    """Compute the derivative of :func:`difference_losses`."""
    kind = type(criterion)
    if kind is nn.MSELoss:
        return 2 * differences
    if kind is nn.L1Loss:
        return differences.sign()
    if kind is nn.HuberLoss:
        return differences.clamp(-criterion.delta, criterion.delta)
    return (differences > 0).to(differences.dtype) - criterion.quantile


class CrossEntropy:
    """``(rows * log_softmax(outputs)).sum()``, with rows as in `LogCoefficients`."""

    code, parameter = 0, 0.0

    @staticmethod
    def cut(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Cut rows of targets into what `backward` takes: they themselves, and their sums."""
        return rows, rows.sum(-1, keepdim=True)

    @staticmethod
    def value(outputs: Tensor, rows: Tensor) -> Tensor:
        """Compute the loss, summed over the rows of a minibatch."""
        log_p = torch.log_softmax(outputs.to(rows.dtype), -1)
        return (rows * log_p).sum((-2, -1))

    @staticmethod
    def backward(outputs: Tensor, coefficients: Tensor, totals: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss and its gradient with respect to the outputs."""
        log_p = outputs.log_softmax(-1)
        losses = (coefficients * log_p).sum((-2, -1))
        # coefficients - softmax(outputs) * coefficients.sum() of the row.
        return losses, torch.addcmul(coefficients, log_p.exp_(), totals, value=-1)


class DifferenceLoss:
    """A weighted sum of the losses of differences, with rows as in `WeightedNumbers`."""

    _parameters: ClassVar[dict[type, str]] = {nn.HuberLoss: "delta", QuantileLoss: "quantile"}

    def __init__(self, criterion: Any) -> None:
        self.criterion = criterion
        self.code = 1 + DIFFERENCES.index(type(criterion))
        self.parameter = float(getattr(criterion, self._parameters.get(type(criterion), ""), 0))

    @staticmethod
    def cut(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Cut rows of targets into what `backward` takes: the numbers, and their weights."""
        return rows[..., :-1], rows[..., -1:]

    def value(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Compute the loss, summed over the rows of a minibatch."""
        y, weight = self.cut(rows)
        losses = difference_losses(self.criterion, outputs.to(rows.dtype) - y)
        return (losses * weight).sum((-2, -1))

    def backward(self, outputs: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss and its gradient with respect to the outputs."""
        differences = outputs - y
        losses = (difference_losses(self.criterion, differences) * weight).sum((-2, -1))
        return losses, difference_slopes(self.criterion, differences) * weight


WrittenLoss = CrossEntropy | DifferenceLoss


def written_loss(net: Any) -> WrittenLoss | None:
    """Find the loss of a net if its gradient is written out; None of any other."""
    if not isinstance(getattr(net, "mix_at", "input"), str):
        return None  # Layers mix what they put out, and autograd goes through that.
    criterion = unwrap(getattr(net, "criterion_", None))  # A subclass may name its own otherwise.
    if getattr(net, "_predicts_numbers", False):
        return DifferenceLoss(criterion) if is_plain_difference(criterion) else None
    return CrossEntropy() if is_plain_cross_entropy(criterion) else None
