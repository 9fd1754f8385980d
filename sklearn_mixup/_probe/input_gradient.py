"""The loss of a fitted net as a function of its input, the net itself left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import Tensor, nn

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._net.checks import explain_shapes, first_output
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup.minibatches import map_tensors


def find_module(estimator: Any) -> nn.Module:
    """Find the module of a fitted net, or the module that was passed."""
    if isinstance(estimator, nn.Module):
        return estimator
    if isinstance(estimator, NeuralNetClassifier | NeuralNetBinaryClassifier):
        check_is_fitted(estimator)
        check_is_fitted(estimator, "module_")  # skorch 1.1 has other learned attributes at once
        if getattr(estimator, "target_type_", "") == "multilabel-indicator":
            raise ValueError(
                "`estimator` must be a net of one label a row; got one that was fitted to several."
            )
        return estimator.module_
    raise TypeError(
        "`estimator` must be a MixupClassifier, another classifier of skorch, or a torch module; "
        f"got {type(estimator).__name__}. For a pipeline pass its net, pipeline[-1], and what "
        "enters the net, pipeline[:-1].transform(X); for a search its best_estimator_."
    )


def find_criterion(estimator: Any) -> nn.Module | None:
    """Find the criterion of a net; None for a module."""
    if isinstance(estimator, nn.Module):
        return None
    criterion = unwrap(getattr(estimator, "criterion_", None))
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            "The gradient at a row needs the loss of that row, so a criterion with a `reduction`, "
            f"as torch's own have; got {type(criterion).__name__}. Pass the module itself, "
            "net.module_, for the cross-entropy of its logits."
        )
    return criterion


def encode(estimator: Any, y: np.ndarray) -> np.ndarray:
    """Turn labels into class indices; only MixupClassifier knows labels of other kinds."""
    if isinstance(estimator, MixupClassifier):
        classes = estimator.classes_.tolist()
        if unknown := set(y.tolist()) - set(classes):
            raise ValueError(
                f"y must hold only classes that the net was fitted with, {classes}; got "
                f"{list(unknown)[:5]} too."
            )
        places = {label: place for place, label in enumerate(classes)}
        return np.array([places[label] for label in y.tolist()])
    if y.dtype.kind not in "iub" or y.min() < 0:
        raise ValueError(
            f"y must hold class indices 0, 1, ... for a {type(estimator).__name__}; got "
            f"{np.unique(y)[:5].tolist()}. Encode it, as by sklearn.preprocessing.LabelEncoder."
        )
    return y.astype(np.int64)


@contextmanager
def evaluating(module: nn.Module, criterion: Any = None) -> Iterator[None]:
    """Put a module into evaluation mode and let its criterion sum the losses of the rows.

    So the gradients of the rows are apart. They are taken whether or not the caller does without,
    and after that each part of the module has its own mode again.
    """
    modes = [(part, part.training) for part in module.modules()]
    reduction = getattr(criterion, "reduction", None)
    module.eval()
    if criterion is not None:
        criterion.reduction = "sum"
    try:
        with torch.inference_mode(False):
            yield
    finally:
        for part, mode in modes:
            part.training = mode
        if criterion is not None:
            criterion.reduction = reduction


def as_inputs(module: nn.Module, points: Any) -> Any:
    """Put points where the module is, in its dtype, as leaves that gradients are taken for."""
    floating = (p for p in module.parameters() if p.is_floating_point())
    example = next(floating, torch.empty(0))
    return map_tensors(
        lambda rows: rows.detach().to(example.device, example.dtype).requires_grad_(),
        map_tensors(torch.as_tensor, points),
    )


def compute_output(estimator: Any, module: nn.Module, inputs: Any) -> Any:
    """Compute the output of the module, without what would part it from the inputs."""
    with explain_shapes(module, inputs):
        if not isinstance(estimator, nn.Module | MixupClassifier):
            output = estimator.infer(inputs)  # skorch's binary net drops a dimension there
        else:
            output = module(**inputs) if isinstance(inputs, Mapping) else module(inputs)
    if not first_output(module, output).requires_grad:
        raise ValueError(
            f"The output of {type(module).__name__} must have a gradient with respect to its "
            "input; got one without, as after detach() or no_grad() in its forward."
        )
    return output


def compute_loss(estimator: Any, output: Any, codes: Tensor) -> Tensor:
    """Sum the losses of the rows; see `evaluating`."""
    logits = first_output(find_module(estimator), output)
    criterion = unwrap(getattr(estimator, "criterion_", None))
    is_binary = isinstance(criterion, nn.BCELoss | nn.BCEWithLogitsLoss)
    n_classes = logits.shape[1] if logits.ndim == 2 else 0
    if is_binary or isinstance(estimator, NeuralNetBinaryClassifier):
        n_classes = 2
    # Here and not on the device, where a wrong index would end all further work.
    if codes.max() >= n_classes:
        raise ValueError(
            "The module must return a logit for each class, shape (batch_size, n_classes), and y "
            f"hold indices below n_classes; got {int(codes.max())} in y and an output of shape "
            f"{tuple(logits.shape)}."
        )
    codes = codes.to(logits.device)
    if isinstance(estimator, nn.Module):
        return F.cross_entropy(logits, codes, reduction="sum")
    return estimator.get_loss(output, codes.to(logits.dtype) if is_binary else codes)
