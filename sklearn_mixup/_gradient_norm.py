"""Norm of the gradient with respect to the input between samples: Figure 2b of the mixup paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.dataset import get_len
from torch import Tensor, nn

from sklearn_mixup._between import (
    check_count,
    check_labels,
    check_lam,
    check_rows,
    draw_pairs,
    parts_of,
    points_between,
    summarise,
)
from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._targets import unwrap
from sklearn_mixup._validation import explain_shapes
from sklearn_mixup.minibatches import map_tensors


def gradient_norm_between(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    of: str = "loss",
    ord: float = 2,
    lam: Any = None,
    n_pairs: int = 1000,
    random_state: Any = None,
    batch_size: int = 256,
) -> Bunch:
    """Measure the norm of the gradient with respect to the input between samples (Figure 2b [1]_).

    At ``x = lam * x_i + (1 - lam) * x_j``, for random pairs ``i != j`` of the rows of X, it is the
    gradient of the mixed loss ``lam * l(f(x), y_i) + (1 - lam) * l(f(x), y_j)``.

    Parameters
    ----------
    estimator : MixupClassifier, skorch classifier or torch.nn.Module
        A fitted net, with its own criterion; or a module that returns logits, (batch_size,
        n_classes), with cross-entropy. The module is used in evaluation mode; its mode, gradients
        and parameters are left as they were found.
    X : array-like of shape (n_samples, ...), DataFrame, tensor or dict of them
        At least two rows of finite numbers; floating if they are more than a table. They go to the
        device and dtype of the module. Never written to.
    y : array-like of shape (n_samples,)
        Labels that the net was fitted with; of a module, and of skorch's own nets, class indices
        0, 1, ... Not looked at if `of` is "output".
    of : {"loss", "output"}, default="loss"
        What to differentiate: the loss, or all outputs of the module (logits), whose norm is that
        of the Jacobian, over all its entries. The paper says "gradients of the model"; the
        outputs take as many backward passes as there are classes.
    ord : float, default=2
        Order of the norm over all numbers of a row: 2 is Euclidean, 1 the sum of absolute values,
        ``inf`` the largest.
    lam, n_pairs, random_state
        As for :func:`miss_rate_between`, with the same pairs for the same int.
    batch_size : int, default=256
        Most rows that pass through the module at once.

    Returns
    -------
    Bunch
        lam : ndarray of shape (n_lam,)
            The weights.
        gradient_norm : ndarray of shape (n_lam,)
            Mean norm over the pairs, in nats (or logits) for a unit of the input.
        standard_error : ndarray of shape (n_lam,)
            Sample standard deviation of the norms over ``sqrt(n_pairs)``; NaN for a single pair.
            It tells of other pairs of these rows, not of other rows or another training.
        gradient_norms : ndarray of shape (n_lam, n_pairs)
            The norms.
        pairs : ndarray of shape (n_pairs, 2)
            The rows ``i`` and ``j`` of each pair.
        n_pairs : int
            Their number.

    Raises
    ------
    NotFittedError
        If the net is not fitted.
    TypeError
        If `estimator` is neither a net nor a module, such as a pipeline: a gradient with respect
        to what enters the pipeline need not exist.
    ValueError
        If X, y or a parameter is not as said above.

    Notes
    -----
    The gradients of a minibatch are those of its summed losses, so they are the rows' own where
    rows do not interact, as is usual in evaluation mode. With weights of classes in its criterion
    the loss of a row has that weight.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Figure 2.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mixup.inspection import gradient_norm_between
    >>> module = torch.nn.Linear(1, 2)
    >>> _ = module.weight.data.copy_(torch.tensor([[3.0], [-3.0]])), module.bias.data.zero_()
    >>> X, y = [[-1.0], [1.0]], [1, 0]
    >>> curve = gradient_norm_between(module, X, y, lam=[0.5, 1.0], random_state=0)
    >>> curve.gradient_norm.round(3)
    array([0.   , 0.015])
    """
    if of not in ("loss", "output"):
        raise ValueError(f'`of` must be "loss" or "output"; got {of!r}.')
    if not isinstance(ord, Real) or not ord >= 1:
        raise ValueError(f"`ord` must be a number >= 1, perhaps inf; got {ord!r}.")
    module = _find_module(estimator)
    weights, n_pairs = check_lam(lam), check_count(n_pairs, "n_pairs")
    batch_size = check_count(batch_size, "batch_size")
    labels = None if of == "output" else check_labels(y)
    rows, _ = check_rows(X, labels)
    if isinstance(estimator, MixupClassifier):  # names and number of the features
        estimator._check_X(X, reset=False)
    codes = None if labels is None else torch.from_numpy(_encode(estimator, labels))
    pairs = draw_pairs(get_len(rows), n_pairs, random_state)
    norms = np.empty((len(weights), n_pairs))
    criterion = None if of == "output" else _find_criterion(estimator)
    losses = _summed_losses(criterion) if criterion is not None else nullcontext()
    # Out of inference mode gradients are taken, whether or not the caller does without.
    with _evaluating(module), losses, torch.inference_mode(False):
        for place, some, points in points_between(rows, pairs, weights, batch_size):
            inputs = _as_inputs(module, points)
            with explain_shapes(module, inputs):
                output = _apply(estimator, module, inputs)
            if codes is None:
                outputs = (output[0] if isinstance(output, tuple) else output).flatten(1)
                targets = outputs.sum(0).unbind()
            else:
                weight = float(weights[place])
                own, other = (
                    _loss(estimator, output, codes[torch.from_numpy(places)])
                    for places in pairs[some].T
                )
                targets = (weight * own + (1 - weight) * other,)
            norms[place, some] = _norms_of_gradients(targets, parts_of(inputs), ord)
    gradient_norm, standard_error = summarise(norms)
    return Bunch(
        lam=weights,
        gradient_norm=gradient_norm,
        standard_error=standard_error,
        gradient_norms=norms,
        pairs=pairs,
        n_pairs=n_pairs,
    )


def _find_module(estimator: Any) -> nn.Module:
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


def _find_criterion(estimator: Any) -> nn.Module | None:
    """Find the criterion of a net; None for a module."""
    if isinstance(estimator, nn.Module):
        return None
    criterion = unwrap(getattr(estimator, "criterion_", None))
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            "The gradient at a row needs the loss of that row, so a criterion with a `reduction`, "
            f"as torch's own have; got {type(criterion).__name__}. Use of='output'."
        )
    return criterion


def _encode(estimator: Any, y: np.ndarray) -> np.ndarray:
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
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts into its own mode after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _summed_losses(criterion: Any) -> Iterator[None]:
    """Let a criterion sum the losses of the rows, so that their gradients are apart."""
    reduction, criterion.reduction = criterion.reduction, "sum"
    try:
        yield
    finally:
        criterion.reduction = reduction


def _as_inputs(module: nn.Module, points: Any) -> Any:
    """Put points where the module is, in its dtype, as leaves that gradients are taken for."""
    floating = (p for p in module.parameters() if p.is_floating_point())
    example = next(floating, torch.empty(0))
    return map_tensors(
        lambda rows: rows.to(device=example.device, dtype=example.dtype).requires_grad_(),
        map_tensors(torch.as_tensor, points),
    )


def _apply(estimator: Any, module: nn.Module, inputs: Any) -> Any:
    """Compute the output of the module, without what would part it from the inputs."""
    if not isinstance(estimator, nn.Module | MixupClassifier):
        return estimator.infer(inputs)  # skorch's binary net drops a dimension there
    return module(**inputs) if isinstance(inputs, Mapping) else module(inputs)


def _loss(estimator: Any, output: Any, codes: Tensor) -> Tensor:
    """Sum the losses of the rows."""
    logits = output[0] if isinstance(output, tuple) else output
    codes = codes.to(logits.device)
    if isinstance(estimator, nn.Module):
        n_outputs = logits.shape[1] if logits.ndim == 2 else 0
        if codes.max() >= n_outputs:
            raise ValueError(
                f"The module must return a logit for each class, shape (batch_size, n_classes), "
                f"and y hold indices below n_classes; got {int(codes.max())} in y and an output of "
                f"shape {tuple(logits.shape)}."
            )
        return F.cross_entropy(logits, codes, reduction="sum")
    if isinstance(unwrap(estimator.criterion_), nn.BCELoss | nn.BCEWithLogitsLoss):
        codes = codes.to(logits.dtype)
    return estimator.get_loss(output, codes)


def _norms_of_gradients(targets: Any, inputs: list[Tensor], order: float) -> np.ndarray:
    """Compute the norm over all inputs and targets of each row's gradients."""
    norms = []
    for place, target in enumerate(targets):
        last = place == len(targets) - 1
        gradients = torch.autograd.grad(
            target, inputs, retain_graph=not last, allow_unused=True, materialize_grads=True
        )
        norms += [torch.linalg.vector_norm(g.flatten(1), ord=order, dim=1) for g in gradients]
    # The norm of norms of one order is that of all entries.
    return torch.linalg.vector_norm(torch.stack(norms), ord=order, dim=0).cpu().double().numpy()
