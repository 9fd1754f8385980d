"""What estimators compute, written out slowly in float64, for tests to compare with."""

import itertools

import numpy as np
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from torch import nn


def layers_of(module):
    """List weights and biases of an MLP, in float64."""
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return [
        [p.detach().cpu().numpy().astype(np.float64) for p in (layer.weight, layer.bias)]
        for layer in linears
    ]


def apply_mlp(module, rows):
    """Compute the outputs of an MLP, and a bound on the rounding errors of its own.

    A sum of k products of numbers that are rounded to a relative error of u is off by at most
    (k + 2) u times the sum of their sizes, and passes on errors of its inputs times the weights.
    """
    step = float(torch.finfo(next(module.parameters()).dtype).eps)
    values, errors = rows, step * np.abs(rows)
    layers = layers_of(module)
    for i, (weight, bias) in enumerate(layers):
        size = np.abs(values) @ np.abs(weight).T + np.abs(bias)
        errors = errors @ np.abs(weight).T + (weight.shape[1] + 2) * step * size
        values = values @ weight.T + bias
        if i < len(layers) - 1:
            values = np.maximum(values, 0)
    return values, errors


def softmax(logits):
    """Turn logits into probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(logits):
    """Turn logits into probabilities of labels."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def mean_distance(A, B):
    """Compute the mean distance of all pairs of rows."""
    return np.mean([np.sqrt(((a - b) ** 2).sum()) for a in A for b in B])


def energy_distance(A, B):
    """Compute sqrt(2 E|a - b| - E|a - a'| - E|b - b'|)."""
    squared = 2 * mean_distance(A, B) - mean_distance(A, A) - mean_distance(B, B)
    return np.sqrt(max(squared, 0))


# -- one step of gradient descent ------------------------------------------------------------------


def shares_of(y, classes):
    """Turn labels into rows of ones and zeros; rows of numbers stay."""
    y = np.asarray(y)
    return y.astype(float) if y.ndim == 2 else (y[:, None] == np.asarray(classes)).astype(float)


def row_loss(logits, shares, is_multilabel):
    """Compute the loss of one row: cross-entropy, or its mean over the labels."""
    if is_multilabel:
        return nn.functional.binary_cross_entropy_with_logits(logits, shares)
    return -(shares * logits.log_softmax(0)).sum()


def objective(module, rows, shares, weight, partner, lam, is_multilabel):
    """Sum the losses of all rows, each of a row moved toward its partner, weighed, on average."""
    total = 0.0
    for i, j in enumerate(partner):
        output = module((lam * rows[i] + (1 - lam) * rows[j])[None])[0]
        total = total + lam * weight[i] * row_loss(output, shares[i], is_multilabel)
        total = total + (1 - lam) * weight[j] * row_loss(output, shares[j], is_multilabel)
    return total / weight.sum()


def possible_steps(module, rows, shares, weight, *, lam, lr, is_multilabel=False):
    """Compute the parameters after a step for all partners that rows may get, with the loss."""
    rows, shares, weight = (
        torch.tensor(np.asarray(a, dtype=float)) for a in (rows, shares, weight)
    )
    as_they_are = range(len(rows))
    for partner in itertools.permutations(as_they_are) if lam < 1 else [tuple(as_they_are)]:
        loss = objective(module, rows, shares, weight, partner, lam, is_multilabel)
        parameters = list(module.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        yield (
            [
                p.detach() - lr * (0 if g is None else g)
                for p, g in zip(parameters, gradients, strict=True)
            ],
            loss.item(),
        )


# -- members of an ensemble ------------------------------------------------------------------------


def fit_member_alone(bag, i, X, y, sample_weight):
    """Fit what member `i` is said to be: a clone with its seeds, on the rows and columns drawn."""
    member = bag.estimators_[i]
    seeds = {k: v for k, v in member.get_params().items() if k.endswith("random_state")}
    alone = clone(bag.estimator).set_params(**seeds)
    drawn, columns = bag.estimators_samples_[i], bag.estimators_features_[i]
    X, weight = X[:, columns], None
    if sample_weight is not None:
        weight = np.ones(len(y)) * np.asarray(sample_weight, float)
    if isinstance(member, Pipeline):  # transformers count rows, not weights
        X, y = X[drawn], y[drawn]
        weight = None if weight is None else weight[drawn]
    elif len(drawn) < len(y) or bag.bootstrap:
        counts = np.bincount(drawn, minlength=len(y))
        weight = counts if weight is None else counts * weight
    if weight is None:
        return alone.fit(X, y)
    name = "sample_weight"
    if isinstance(alone, Pipeline):
        name = f"{alone.steps[-1][0]}__{name}"
    return alone.fit(X, y, **{name: weight})
