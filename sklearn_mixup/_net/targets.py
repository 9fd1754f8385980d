"""What the loss of a mixed minibatch needs, prepared for many minibatches at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sklearn_mixup._net.losses import (
    DIFFERENCES,
    difference_losses,
    is_plain_cross_entropy,
    is_plain_difference,
    unwrap,
)
from sklearn_mixup.vicinal import mix, mixed_loss, row_means


class LogCoefficients(NamedTuple):
    """Targets of a minibatch for the cross-entropy: mixed, weighted, averaged.

    The cross-entropy is linear in the targets, so the objective is
    ``(rows * log_softmax(logits)).sum()``, with ``rows`` of shape (batch_size, n_classes), <= 0:
    mixed targets times weights, over ``-batch_size``.
    """

    rows: Tensor


class WeightedNumbers(NamedTuple):
    """Targets of a minibatch for the loss of a difference: mixed, with a weight for each row.

    ``rows`` has shape (batch_size, n_outputs + 1), the weights last. The objective is the sum of
    all losses times the weights of their rows, which add up to ``1 / n_outputs`` or about that.
    """

    rows: Tensor


class WeightedTargets(NamedTuple):
    """Numbers of a minibatch, mixed, with weights of mean 1, for a criterion of any form."""

    y: Tensor
    weight: Tensor


class MixedTargets(NamedTuple):
    """Targets of a minibatch before mixing, with the draw, for a criterion of any form.

    All have an entry for each row; those of ``partner`` count from the start of the minibatch.
    """

    y: Tensor
    partner: Tensor
    lam: Tensor
    weight: Tensor


class SharedTargets(NamedTuple):
    """Targets of a minibatch before mixing whose rows share ``lam`` and weigh alike.

    A criterion may average their losses in its own way. All have an entry for each row.
    """

    y: Tensor
    partner: Tensor
    lam: Tensor


# Tuples, since torch 2.4 compiles no union.
UNMIXED = MixedTargets, SharedTargets
PREPARED = LogCoefficients, WeightedNumbers

# What torch's losses compare the logits with; one of somebody's own is not known.
# Tuples, since torch 2.4 compiles no look into a set.
OF_LABELS = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)
_OF_COLUMNS = (
    *(nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.BCELoss, nn.MSELoss, nn.L1Loss),
    *(nn.SmoothL1Loss, nn.HuberLoss, nn.KLDivLoss, nn.MultiLabelSoftMarginLoss),
    nn.PoissonNLLLoss,
)
# The last two compare with -1 and 1, which no y has.
_OF_TORCH = (*OF_LABELS, *_OF_COLUMNS, nn.SoftMarginLoss, nn.HingeEmbeddingLoss)
# What some take instead of logits, its range, and what makes it. skorch gives NLLLoss logarithms.
_RANGES = {
    nn.BCELoss: ("probabilities, from 0 to 1", 0, 1, "Sigmoid()"),
    nn.NLLLoss: ("probabilities, from 0 to 1", 0, 1, "Softmax(1)"),
    nn.KLDivLoss: ("logarithms of probabilities, up to 0", -math.inf, 0, "LogSoftmax(1)"),
}


def takes_logits(criterion: Any) -> bool:
    """Whether a criterion is torch's or ours, which compares one tensor with the targets."""
    return type(unwrap(criterion)) in (*_OF_TORCH, *DIFFERENCES)


def check_criterion(criterion: Any, y: Tensor) -> None:
    """Raise ValueError for a loss of torch that does not take such targets."""
    kind = type(unwrap(criterion))
    if kind not in _OF_TORCH or kind in (OF_LABELS if y.ndim == 1 else _OF_COLUMNS):
        return
    got = "a label a row" if y.ndim == 1 else f"{y.shape[1]} columns"
    raise ValueError(
        f"`criterion` must fit y; got {kind.__name__} and y of {got}. Labels go with "
        "CrossEntropyLoss, the default, NLLLoss and MultiMarginLoss; rows of probabilities with "
        "CrossEntropyLoss; columns of zeros and ones, a label each, with BCEWithLogitsLoss; losses "
        "such as MSELoss take both kinds of columns. Two classes are labels: leave the default."
    )


def check_width(criterion: Any, y: Tensor, outputs: Tensor) -> None:
    """Raise ValueError for rows of targets that a loss of torch would repeat to fit the outputs."""
    if type(unwrap(criterion)) not in _OF_TORCH or not y.ndim == outputs.ndim == 2:
        return
    if y.shape[1] != outputs.shape[1]:
        raise ValueError(
            "A Dataset of your own must yield a number for each output of the module; got rows of "
            f"{y.shape[1]} for {outputs.shape[1]} outputs. Let it yield as many, or the module "
            "return as many."
        )


def check_range(net: Any, outputs: Tensor) -> None:
    """Raise ValueError for outputs that are logits, where the criterion takes probabilities.

    On a GPU BCELoss would end all that the process does there. The device is asked once a training.
    """
    kind, training = type(unwrap(net.criterion_)), net._training_
    if kind not in _RANGES or training is None or training.knows_range:
        return
    wanted, least, most, layer = _RANGES[kind]
    while torch._C._functorch.is_batchedtensor(outputs):  # of nets that are trained as one
        outputs = torch._C._functorch.get_unwrapped(outputs)
    lowest, highest = torch.stack(outputs.detach().aminmax()).tolist()
    if not least <= lowest <= highest <= most:
        raise ValueError(
            f"{kind.__name__} needs a module that returns {wanted}; "
            f"{type(unwrap(net.module_)).__name__} returned numbers from {lowest:.3g} to "
            f"{highest:.3g}. Let it end in nn.{layer}, or leave the default criterion, which takes "
            "logits."
        )
    training.knows_range = True


def check_criterion_of_numbers(criterion: Any) -> None:
    """Raise ValueError for a loss of torch, class or instance, that takes labels."""
    kind = criterion if isinstance(criterion, type) else type(criterion)
    if kind in (*OF_LABELS, nn.BCEWithLogitsLoss, nn.BCELoss, nn.MultiLabelSoftMarginLoss):
        raise ValueError(
            f"`criterion` must compare numbers; got {kind.__name__}, which takes labels. Use "
            '"squared_error", the default, or MixupClassifier.'
        )


def mix_targets(
    net: Any,
    y: Tensor,
    weight: Tensor | None,
    mixing: tuple[Tensor, Tensor] | None,
    batch_size: int,
    n_epochs: int = 1,
) -> Any:
    """Prepare the targets of consecutive minibatches of `batch_size` rows for a net's `get_loss`.

    `mixing` is lam and the partners, None of rows that are not mixed. Epochs have as many rows.
    """
    criterion = unwrap(getattr(net, "criterion_", None))  # A subclass may name its own otherwise.
    n_outputs, dtype = getattr(net, "n_outputs_", None), net._module_dtype()
    if net._predicts_numbers:
        return _mix_numbers(criterion, y.to(dtype), weight, mixing, batch_size, n_epochs)
    if is_plain_cross_entropy(criterion) and n_outputs is not None:
        rows = (F.one_hot(y, n_outputs) if y.ndim == 1 else y).to(dtype)
        rows = rows if weight is None else rows * weight.unsqueeze(1)
        if mixing is not None:
            rows = mix(rows, mixing[1], lam=mixing[0])
        return LogCoefficients(rows / -_sizes_of_minibatches(rows, batch_size, n_epochs))
    y = y.to(dtype) if y.ndim > 1 else y
    if mixing is None:
        mixing = torch.ones(len(y), device=y.device), torch.arange(len(y), device=y.device)
    lam, partner = mixing
    if weight is None and _is_plain_binary_cross_entropy(criterion):
        check_criterion(criterion, y)
        return mix(y, partner, lam=lam)
    partner = partner - find_starts(partner, batch_size, n_epochs)
    if weight is None and net.lam_per == "minibatch" and not callable(net.vicinity):
        return SharedTargets(y, partner, lam)
    return MixedTargets(y, partner, lam, torch.ones_like(lam) if weight is None else weight)


def find_starts(rows: Tensor, batch_size: int, n_epochs: int) -> Tensor:
    """Tell for each of the rows of epochs where its minibatch starts, shape (n_rows,)."""
    place = torch.arange(len(rows), device=rows.device)
    return place - place % (len(rows) // n_epochs) % batch_size


def _sizes_of_minibatches(rows: Tensor, batch_size: int, n_epochs: int) -> Tensor:
    """Tell for each row how many there are in its minibatch, shape (n_rows, 1)."""
    n_rows = len(rows) // n_epochs
    n_full = n_rows // batch_size * batch_size
    # The rows that are left in an epoch make a shorter minibatch.
    sizes = rows.new_full((n_epochs, n_rows, 1), batch_size)
    sizes[:, n_full:] = n_rows - n_full
    return sizes.flatten(0, 1)


def _mix_numbers(
    criterion: Any,
    y: Tensor,
    weight: Tensor | None,
    mixing: tuple[Tensor, Tensor] | None,
    batch_size: int,
    n_epochs: int,
) -> Any:
    """Mix targets that are numbers; a row and its partner count as they weigh."""
    y = y.unsqueeze(1) if y.ndim == 1 else y
    weight = None if weight is None else weight.to(y.dtype).unsqueeze(1)
    if mixing is not None:
        lam, partner = mixing
        if weight is None:
            y = mix(y, partner, lam=lam)
        else:
            total = mix(weight, partner, lam=lam)
            # The squared errors to both then have the gradient of that to one, times the total.
            y, weight = mix(weight * y, partner, lam=lam) / total, total
    if not is_plain_difference(criterion):
        return y if weight is None else WeightedTargets(y, weight.squeeze(1))
    sizes = _sizes_of_minibatches(y, batch_size, n_epochs) * y.shape[1]
    weight = sizes.reciprocal() if weight is None else weight / sizes
    return WeightedNumbers(torch.cat([y, weight], 1))


def weighted_number_loss(criterion: Any, outputs: Tensor, targets: WeightedNumbers) -> Tensor:
    """Compute the weighted sum of the losses of a minibatch."""
    rows = targets.rows
    losses = difference_losses(unwrap(criterion), outputs.to(rows.dtype) - rows[:, :-1])
    return (losses * rows[:, -1:]).sum()


def weighted_loss(
    criterion: Any,
    loss: Callable[[Tensor, Tensor], Tensor],
    y_pred: Tensor,
    targets: WeightedTargets,
) -> Tensor:
    """Compute the mean of the losses of a minibatch, each row times its weight.

    `loss` calls `criterion`.
    """
    losses = _for_each_row(unwrap(criterion), lambda: loss(y_pred, targets.y))
    return (row_means(losses) * targets.weight.to(losses)).mean()


def log_coefficient_loss(logits: Tensor, targets: LogCoefficients) -> Tensor:
    """Compute the mean of the weighted cross-entropies of a minibatch."""
    # Under autocast the logits may be of lower precision.
    log_p = F.log_softmax(logits.to(targets.rows.dtype), -1)
    return torch.dot(log_p.reshape(-1), targets.rows.reshape(-1))


def two_term_loss(
    criterion: Any,
    loss: Callable[[Tensor, Tensor], Tensor],
    y_pred: Tensor,
    targets: MixedTargets | SharedTargets,
) -> Tensor:
    """Compute the mean of the weighted losses against own and partner's targets.

    `loss` calls `criterion`.
    """
    criterion = unwrap(criterion)
    # What the module returns may be any that the criterion takes; the losses have a dtype.
    y, partner, lam = targets.y, targets.partner, targets.lam
    if isinstance(targets, SharedTargets):
        return mixed_loss(loss, y_pred, y, partner, lam=lam[0])
    return _for_each_row(
        criterion, lambda: mixed_loss(loss, y_pred, y, partner, lam=lam, weight=targets.weight)
    )


def _for_each_row(criterion: Any, compute: Callable[[], Tensor]) -> Tensor:
    """Compute something while a criterion gives the loss of each row, not their mean."""
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            'Weights and lam_per="sample" need the losses of the rows, so a criterion with a '
            f"`reduction`, as torch's own have; got {type(criterion).__name__}."
        )
    reduction, criterion.reduction = criterion.reduction, "none"
    try:
        return compute()
    finally:
        criterion.reduction = reduction


def _is_plain_binary_cross_entropy(criterion: nn.Module) -> bool:
    """Whether the criterion is a mean that is linear in the targets, whatever its own weights."""
    return type(criterion) is nn.BCEWithLogitsLoss and criterion.reduction == "mean"
