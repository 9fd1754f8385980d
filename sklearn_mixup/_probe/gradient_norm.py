"""Norm of the gradient with respect to the input between samples: Figure 2b of the mixup paper."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch
from skorch.dataset import get_len
from torch import Tensor

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._net.checks import check_inputs, first_output
from sklearn_mixup._probe.between import check_lam, draw_pairs, points_between, summarise
from sklearn_mixup._probe.input_gradient import (
    as_inputs,
    compute_loss,
    compute_output,
    encode,
    evaluating,
    find_criterion,
    find_module,
)
from sklearn_mixup._probe.rows import check_count, check_labels, check_rows, parts_of


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
    module = find_module(estimator)
    weights, n_pairs = check_lam(lam), check_count(n_pairs, "n_pairs")
    batch_size = check_count(batch_size, "batch_size")
    labels = None if of == "output" else check_labels(y)
    rows, _ = check_rows(X, labels)
    if isinstance(estimator, MixupClassifier):  # names and number of the features
        check_inputs(estimator, X, reset=False)
    codes = None if labels is None else torch.from_numpy(encode(estimator, labels))
    pairs = draw_pairs(get_len(rows), n_pairs, random_state)
    norms = np.empty((len(weights), n_pairs))
    criterion = None if of == "output" else find_criterion(estimator)
    with evaluating(module, criterion):
        for place, some, points in points_between(rows, pairs, weights, batch_size):
            inputs = as_inputs(module, points)
            output = compute_output(estimator, module, inputs)
            if codes is None:
                outputs = first_output(module, output).flatten(1)
                targets = outputs.sum(0).unbind()
            else:
                weight = float(weights[place])
                own, other = (
                    compute_loss(estimator, output, codes[torch.from_numpy(places)])
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
