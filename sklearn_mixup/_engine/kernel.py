"""The steps of MLPs as code that numba compiles: no lock of Python's is held while it runs.

A net takes all its steps of a chunk before the next one does, so that its weights and the averages
of Adam stay in a core's cache. Where numba is missing these are functions of Python.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sklearn_mixup._streams import GOLDEN, ROUNDS

try:
    from numba import njit
except ImportError:  # which a net that asks for it says

    def njit(**options: Any) -> Any:  # type: ignore[no-redef]
        """Leave a function as it is."""
        return lambda function: function


# As in `_streams`, but in whole numbers without a sign: to shift them brings in zeros.
_GOLDEN = np.uint64(GOLDEN)
_SHIFTS = tuple(np.uint64(n_bits) for n_bits, _ in ROUNDS)
_FACTORS = tuple(np.uint64(factor) for _, factor in ROUNDS)


def _compiled(function: Any) -> Any:
    """Let numba compile a function, and keep what comes of it where it finds a place."""
    # Sums may be taken in any order, but NaN and infinity are what they are: they tell of
    # divergence.
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    }
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that may be written to
        return njit(**options)(function)


@_compiled
def multiply_turned(A: Any, B: Any, out: Any, zero: Any) -> None:
    """Compute ``A @ B.T``; A has shape (m, k), B (n, k).

    The other products are BLAS's; of small matrices this one takes it twice as long.
    """
    m, depth = A.shape
    n = B.shape[0]
    pairs, fours = m - m % 2, n - n % 4
    for j in range(0, fours, 4):
        for i in range(0, pairs, 2):
            s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = zero
            for k in range(depth):
                a0, a1 = A[i, k], A[i + 1, k]
                b0, b1, b2, b3 = B[j, k], B[j + 1, k], B[j + 2, k], B[j + 3, k]
                s0 += a0 * b0
                s1 += a0 * b1
                s2 += a0 * b2
                s3 += a0 * b3
                t0 += a1 * b0
                t1 += a1 * b1
                t2 += a1 * b2
                t3 += a1 * b3
            for row, sums in ((i, (s0, s1, s2, s3)), (i + 1, (t0, t1, t2, t3))):
                out[row, j] = sums[0]
                out[row, j + 1] = sums[1]
                out[row, j + 2] = sums[2]
                out[row, j + 3] = sums[3]
    for j in range(n):
        for i in range(pairs if j < fours else 0, m):
            s0 = zero
            for k in range(depth):
                s0 += A[i, k] * B[j, k]
            out[i, j] = s0


@_compiled
def move(
    grad: Any, param: Any, average: Any, square: Any, rate: Any, shrink: Any, decay: Any, adam: Any
) -> None:
    """Move parameters by a step of Adam; `adam` is 1 - betas, 1 / the root of a bias, epsilon."""
    beside1, beside2, unbias, eps = adam
    for j in range(len(param)):
        p = param[j] * shrink
        g = grad[j] + decay * p
        a = average[j] + beside1 * (g - average[j])
        s = square[j] + beside2 * (g * g - square[j])
        average[j] = a
        square[j] = s
        param[j] = p - rate * a / (np.sqrt(s) * unbias + eps)


@_compiled
def cross_entropy(logits: Any, coefficients: Any, grad: Any, zero: Any) -> Any:
    """Compute ``(coefficients * log_softmax(logits)).sum()`` and its gradient."""
    loss = zero
    m, n = logits.shape
    for i in range(m):
        top = logits[i, 0]
        for j in range(1, n):
            top = max(top, logits[i, j])
        total = weight = zero
        for j in range(n):
            total += np.exp(logits[i, j] - top)
            weight += coefficients[i, j]
        log_total = np.log(total)
        for j in range(n):
            log_p = logits[i, j] - top - log_total
            loss += coefficients[i, j] * log_p
            grad[i, j] = coefficients[i, j] - weight * np.exp(log_p)
    return loss


@_compiled
def difference_loss(
    kind: Any, parameter: Any, outputs: Any, rows: Any, grad: Any, zero: Any
) -> Any:
    """Compute a loss of differences and its gradient, as ``_net.losses.DifferenceLoss`` does.

    `kind` is the place in ``DIFFERENCES``, counted from 1; rows end with their weights.
    """
    loss = zero
    m, n = outputs.shape
    for i in range(m):
        weight = rows[i, n]
        for j in range(n):
            d = outputs[i, j] - rows[i, j]
            if kind == 1:  # squared
                lost, slope = d * d, d + d
            elif kind == 2:  # absolute
                lost, slope = abs(d), np.sign(d)
            elif kind == 3:  # Huber's
                slope = min(max(d, -parameter), parameter)
                lost = abs(slope) * abs(d) - slope * slope / 2
            else:  # of a quantile
                slope = -parameter
                if d > 0:
                    slope += 1
                lost = slope * d
            loss += weight * lost
            grad[i, j] = weight * slope
    return loss


@_compiled
def draw(key: Any, first: Any, words: Any) -> None:
    """Write the words of a stream from `first` on, those of ``_streams.words_at``."""
    golden, factor1, factor2 = _GOLDEN, _FACTORS[0], _FACTORS[1]
    for i in range(len(words)):
        word = np.uint64(key) + np.uint64(first + i + 1) * golden
        word = (word ^ (word >> _SHIFTS[0])) * factor1
        word = (word ^ (word >> _SHIFTS[1])) * factor2
        words[i] = word ^ (word >> _SHIFTS[2])


@_compiled
def drop(values: Any, mask: Any, bits: Any, most: Any, scale: Any, zero: Any) -> None:
    """Multiply values with a mask, or with the one that random bits make."""
    for i in range(len(mask)):
        values[i] *= mask[i]
    for i in range(len(bits)):
        values[i] *= scale if bits[i] <= most else zero


@_compiled
def train(
    X: Any,
    targets: Any,
    masks: Any,
    kind: Any,
    parameter: Any,
    keys: Any,
    first: Any,
    most: Any,
    scale: Any,
    weights: Any,
    weight_averages: Any,
    weight_squares: Any,
    biases: Any,
    bias_averages: Any,
    bias_squares: Any,
    turned: Any,
    rates: Any,
    decays: Any,
    decays_apart: Any,
    betas: Any,
    eps: Any,
    n_taken: Any,
    losses: Any,
) -> None:
    """Take steps of Adam with MLPs.

    Parameters
    ----------
    X : ndarray of shape (n_modules, n_steps, batch_size, n_features)
    targets : ndarray of shape (n_modules, n_steps, batch_size, n_columns)
        Rows as the loss takes them.
    masks : ndarray of shape (n_modules, n_steps, n_dropped)
        What the outputs of the hidden layers, layer after layer, are multiplied with; none if
        ``n_dropped`` is 0.
    kind : int
        Which loss: 0 is the cross-entropy, others are those of `difference_loss`.
    parameter : float
        Of the loss, if it has one.
    keys : ndarray of int64 of shape (n_modules,)
        Of streams of random bits instead: of these those at most `most` keep what they drop, times
        `scale`, both of shape (n_modules, n_layers - 1). None if there are no keys.
    first : int
        The place of the first step in these streams.
    weights, weight_averages, weight_squares : tuple of ndarray of shape (n_modules, n_out, n_in)
        Of each layer, with Adam's averages; transposed where `turned` says so.
    biases, bias_averages, bias_squares : tuple of ndarray of shape (n_modules, n_out)
    turned : tuple of bool
    rates : ndarray of shape (n_modules, n_steps)
        Learning rates.
    decays : ndarray of shape (n_modules,)
        Weight decay, apart from the gradient if `decays_apart`.
    betas : tuple of float
    eps : float
    n_taken : int
        Steps that were taken before.
    losses : ndarray of shape (n_steps, n_modules)
        The losses are written here.
    """
    n_modules, n_steps, m, n_features = X.shape
    n_layers = len(weights)
    width = n_features
    for layer in range(n_layers):
        width = max(width, biases[layer].shape[1])
    zero = np.zeros(1, X.dtype)[0]
    one, level = zero + X.dtype.type(1), X.dtype.type(parameter)
    outputs = np.empty((n_layers, m * width), X.dtype)
    grads, passed = np.empty(m * width, X.dtype), np.empty(m * width, X.dtype)
    row = np.empty(width, X.dtype)
    largest = 0
    for layer in range(n_layers):
        largest = max(largest, weights[layer][0].size)
    weight_grad = np.empty(largest, X.dtype)
    n_dropped = 0
    if len(keys):
        for layer in range(n_layers - 1):
            n_dropped += m * biases[layer].shape[1]
    words = np.empty((n_dropped + 3) // 4, np.uint64)
    bits = words.view(np.int16)[:n_dropped]
    eps = X.dtype.type(eps)
    beside1, beside2 = X.dtype.type(1 - betas[0]), X.dtype.type(1 - betas[1])
    for q in range(n_modules):
        for t in range(n_steps):
            if n_dropped:
                draw(keys[q], (first + t) * len(words), words)
            # Forward.
            inner = X[q, t]
            start = 0
            for layer in range(n_layers):
                n = biases[layer].shape[1]
                flat = outputs[layer, : m * n]
                outer = flat.reshape(m, n)
                weight, bias = weights[layer][q], biases[layer][q]
                if turned[layer]:
                    np.dot(inner, weight, outer)
                else:
                    multiply_turned(inner, weight, outer, zero)
                for i in range(m):
                    for j in range(n):
                        outer[i, j] += bias[j]
                if layer < n_layers - 1:
                    for i in range(m * n):
                        if flat[i] < 0:
                            flat[i] = zero
                    drop(
                        flat,
                        masks[q, t, start : start + m * n],
                        bits[start : start + m * n],
                        most[q, layer],
                        scale[q, layer],
                        zero,
                    )
                    start += m * n
                inner = outer
            # Backward: each layer moves as soon as those below know their gradient.
            grad = grads[: inner.size].reshape(inner.shape)
            if kind == 0:
                losses[t, q] = cross_entropy(inner, targets[q, t], grad, zero)
            else:
                losses[t, q] = difference_loss(kind, level, inner, targets[q, t], grad, zero)
            n_now = n_taken + t + 1
            rate = X.dtype.type(rates[q, t] / (1 - betas[0] ** n_now))
            unbias = X.dtype.type(1 / math.sqrt(1 - betas[1] ** n_now))
            adam = beside1, beside2, unbias, eps
            shrink, decay = one, X.dtype.type(decays[q])
            if decays_apart:
                shrink, decay = X.dtype.type(1 - rates[q, t] * decays[q]), zero
            for layer in range(n_layers - 1, -1, -1):
                weight = weights[layer][q]
                average, square = weight_averages[layer][q], weight_squares[layer][q]
                n_in = weight.shape[0] if turned[layer] else weight.shape[1]
                flat = passed[: m * n_in]
                inner = X[q, t]
                if layer:
                    inner = outputs[layer - 1, : m * n_in].reshape(m, n_in)
                    below = flat.reshape(m, n_in)
                    if turned[layer]:
                        multiply_turned(grad, weight, below, zero)
                    else:
                        np.dot(grad, weight, below)
                own = weight_grad[: weight.size]
                if turned[layer]:
                    np.dot(inner.T, grad, own.reshape(weight.shape))
                else:
                    np.dot(grad.T, inner, own.reshape(weight.shape))
                move(
                    *(own, weight.reshape(-1), average.reshape(-1), square.reshape(-1)),
                    *(rate, shrink, decay, adam),
                )
                own = row[: grad.shape[1]]
                own[:] = zero
                for i in range(m):
                    for j in range(len(own)):
                        own[j] += grad[i, j]
                bias, average = biases[layer][q], bias_averages[layer][q]
                move(own, bias, average, bias_squares[layer][q], rate, shrink, decay, adam)
                if layer:
                    start -= m * n_in
                    drop(
                        flat,
                        masks[q, t, start : start + m * n_in],
                        bits[start : start + m * n_in],
                        most[q, layer - 1],
                        scale[q, layer - 1],
                        zero,
                    )
                    # What ReLU let through and dropout kept is above zero.
                    values = outputs[layer - 1]
                    for i in range(m * n_in):
                        grads[i] = zero if values[i] <= 0 else flat[i]
                    grad = grads[: m * n_in].reshape(m, n_in)
