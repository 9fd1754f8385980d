"""What a classifier makes of wrong labels and of adversarial examples.

Tables 2 and 3 of the mixup paper [1]_ measure both.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from skorch.utils import is_dataset
from torch import Tensor, nn

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._net.checks import check_inputs, is_floating
from sklearn_mixup._net.tables import columns_of, is_frame, take
from sklearn_mixup._probe.input_gradient import (
    as_inputs,
    compute_loss,
    compute_output,
    encode,
    evaluating,
    find_criterion,
    find_module,
)
from sklearn_mixup._probe.rows import Rows, check_count, check_labels, check_rows, parts_of
from sklearn_mixup.minibatches import map_tensors

__all__ = ["corrupt_labels", "fgsm", "iterative_fgsm", "pixel_bounds"]

# How far the numbers of an input may move, and the two ends of their range, if it has any.
_Bound = Sequence[np.ndarray]


# -- wrong labels ---------------------------------------------------------------------------------


def corrupt_labels(y: Any, fraction: float, *, random_state: Any = None) -> tuple[Any, np.ndarray]:
    """Replace a share of the labels by random ones, as in Table 2 of the mixup paper [1]_.

    A network that has memorised such labels errs on new rows; see [2]_.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any kind, of two classes at least. Never written to.
    fraction : float in [0, 1]
        Share of the labels to replace: ``round(fraction * n_samples)`` rows, drawn without
        replacement.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and their labels.

    Returns
    -------
    y_corrupted : ndarray or Tensor of shape (n_samples,)
        The labels; a tensor if `y` is one, on the same device.
    replaced : ndarray of shape (n_samples,), bool
        Which rows had their label replaced. All classes of `y` are equally likely, so of
        ``n_classes`` such rows one got its own label again: ``y_corrupted != y`` tells which labels
        are wrong.

    Raises
    ------
    ValueError
        If `fraction` is not in [0, 1], or `y` does not hold one label a row, of two classes at
        least.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.4.
    .. [2] Zhang, Bengio, Hardt, Recht, Vinyals, "Understanding Deep Learning Requires Rethinking
       Generalization", ICLR 2017.

    Examples
    --------
    >>> from sklearn_mixup.robustness import corrupt_labels
    >>> y = ["cat"] * 5 + ["dog"] * 5
    >>> y_corrupted, replaced = corrupt_labels(y, 0.4, random_state=0)
    >>> int(replaced.sum()), bool((y_corrupted == y)[~replaced].all())
    (4, True)
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 <= fraction <= 1:
        raise ValueError(
            f"`fraction` must be a number in [0, 1]; got {fraction!r}. Use 0.5 for half of the "
            "labels."
        )
    labels = check_labels(y)
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"y must hold at least two classes, so that a label can be wrong; got only {classes}."
        )
    # None is a seed that nobody knows, not the global generator: that is left alone.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    rows = rng.permutation(len(labels))[: round(fraction * len(labels))]
    corrupted, replaced = labels.copy(), np.zeros(len(labels), dtype=bool)
    corrupted[rows] = classes[rng.randint(len(classes), size=len(rows))]
    replaced[rows] = True
    if isinstance(y, Tensor):
        return torch.as_tensor(corrupted, device=y.device), replaced
    return corrupted, replaced


# -- adversarial examples -------------------------------------------------------------------------


def fgsm(
    estimator: Any, X: Any, y: Any, *, eps: Any, clip: Any = None, batch_size: int = 256
) -> Any:
    """Make adversarial examples by the fast gradient sign method [1]_.

    Each number of a row moves by `eps` in the direction in which the loss rises:
    ``x + eps * sign(d l(f(x), y) / d x)``.

    Parameters
    ----------
    estimator : MixupClassifier, skorch classifier or torch.nn.Module
        The net to attack, fitted, with its own criterion; or a module that returns logits,
        (batch_size, n_classes), with cross-entropy. The module is used in evaluation mode; its
        mode, gradients and parameters are left as they were found.
    X : array-like of shape (n_samples, ...), DataFrame, tensor or dict of them, floating
        Rows as the net takes them. Never written to.
    y : array-like of shape (n_samples,)
        Their true labels, as the net was fitted with; of a module, and of skorch's own nets, class
        indices 0, 1, ...
    eps : float or array-like that broadcasts to a row, >= 0
        How far each number may move, in the units of X: after standardisation those are standard
        deviations. `pixel_bounds` computes it for pictures. For a dict of inputs perhaps a dict.
    clip : tuple (low, high), default=None
        Ends of the valid range, in the units of X; each a float or an array-like that broadcasts
        to a row. All numbers are moved into it. For a dict of inputs perhaps a dict.
    batch_size : int, default=256
        Most rows that pass through the module at once.

    Returns
    -------
    array, DataFrame, tensor or dict of them
        The adversarial examples: as X is, in its dtype and on its device.

    Raises
    ------
    NotFittedError
        If the net is not fitted.
    TypeError
        If X is not floating, or `estimator` is neither a net nor a module: what has no gradient
        cannot be attacked with it. Of a pipeline the net can, with what enters it.
    ValueError
        If X, y or a parameter is not as said above, or the module has no gradient.

    See Also
    --------
    iterative_fgsm : The same in several steps.

    Notes
    -----
    The attack is white box if it is made with the net whose error is then measured, and black box
    if it is made with another one. The label is the true one and no class is aimed at, as in [2]_.

    References
    ----------
    .. [1] Goodfellow, Shlens, Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.
    .. [2] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mixup import MixupClassifier
    >>> from sklearn_mixup.robustness import fgsm
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MixupClassifier(max_epochs=10, random_state=0).fit(X[:1000], y[:1000])
    >>> X_adversarial = fgsm(clf, X[1000:], y[1000:], eps=1.0, clip=(0, 16))
    >>> float(abs(X_adversarial - X[1000:]).max())
    1.0
    >>> clf.score(X_adversarial, y[1000:]) < clf.score(X[1000:], y[1000:])
    True
    """
    return _attack(estimator, X, y, eps=eps, n_steps=1, clip=clip, batch_size=batch_size)


def iterative_fgsm(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    eps: Any,
    n_steps: int = 10,
    clip: Any = None,
    batch_size: int = 256,
) -> Any:
    """Make adversarial examples by several small steps of the fast gradient sign method [1]_.

    Each step moves every number by ``eps / n_steps`` in the direction in which the loss rises at
    the point reached so far, so that none ends further than `eps` from where it was.

    Parameters
    ----------
    estimator, X, y, eps, clip, batch_size
        As for :func:`fgsm`; the numbers are moved into `clip` after each step.
    n_steps : int, default=10
        Number of steps, 10 in the mixup paper [2]_; with 1 it is :func:`fgsm`.

    Returns
    -------
    array, DataFrame, tensor or dict of them
        The adversarial examples: as X is, in its dtype and on its device.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As :func:`fgsm` does.

    References
    ----------
    .. [1] Kurakin, Goodfellow, Bengio, "Adversarial Examples in the Physical World", 2016.
    .. [2] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mixup import MixupClassifier
    >>> from sklearn_mixup.robustness import fgsm, iterative_fgsm
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MixupClassifier(max_epochs=10, random_state=0).fit(X[:1000], y[:1000])
    >>> X, y = X[1000:], y[1000:]
    >>> one, ten = fgsm(clf, X, y, eps=1.0), iterative_fgsm(clf, X, y, eps=1.0)
    >>> clf.score(ten, y) < clf.score(one, y)
    True
    """
    return _attack(estimator, X, y, eps=eps, n_steps=n_steps, clip=clip, batch_size=batch_size)


def pixel_bounds(
    n: float, *, mean: Sequence[float], std: Sequence[float]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Compute `eps` and `clip` of an attack on standardised pictures.

    Of pictures ``(pixels / 255 - mean) / std``, channel by channel, with pixels from 0 to 255.

    Parameters
    ----------
    n : float, >= 0
        How far each pixel may move, of 255; 4 in the mixup paper [1]_.
    mean, std : array-like of shape (n_channels,)
        What the pictures, between 0 and 1, were standardised with. Zeros and ones if they were not.

    Returns
    -------
    eps : ndarray of shape (n_channels, 1, 1)
        For :func:`fgsm`, in the units of the standardised pictures.
    clip : tuple of two ndarrays of shape (n_channels, 1, 1)
        What pixels of 0 and of 255 are.

    Raises
    ------
    ValueError
        If `n` is negative, or `mean` and `std` are not lists of one length, of finite numbers, > 0
        in `std`.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.5.

    Examples
    --------
    >>> from sklearn_mixup.robustness import pixel_bounds
    >>> eps, (low, high) = pixel_bounds(51, mean=[0.5], std=[0.25])
    >>> eps.item(), low.item(), high.item()
    (0.8, -2.0, 2.0)
    """
    n = float(_check_distance(n, "n"))
    center, scale = np.asarray(mean, dtype=float), np.asarray(std, dtype=float)
    is_list = center.ndim == 1 and center.shape == scale.shape
    if not is_list or not np.isfinite(center).all() or not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(
            "`mean` and `std` must hold a finite number for each channel, > 0 in `std`; got "
            f"{mean!r} and {std!r}."
        )
    center, scale = center[:, None, None], scale[:, None, None]
    return n / 255 / scale, (-center / scale, (1 - center) / scale)


def _attack(
    estimator: Any, X: Any, y: Any, *, eps: Any, n_steps: int, clip: Any, batch_size: int
) -> Any:
    """Move rows in equal steps, each in the direction in which the loss rises."""
    module, criterion = find_module(estimator), find_criterion(estimator)
    n_steps = check_count(n_steps, "n_steps")
    batch_size = check_count(batch_size, "batch_size")
    labels = check_labels(y)
    _check_is_floating(X)
    rows, restore = check_rows(X, labels)
    if isinstance(estimator, MixupClassifier):  # names and number of the features
        check_inputs(estimator, X, reset=False)
    codes = torch.from_numpy(encode(estimator, labels))
    bounds = _check_bounds(rows, eps, clip)
    moved = []
    with evaluating(module, criterion):
        for places in np.split(np.arange(len(codes)), range(batch_size, len(codes), batch_size)):
            points = map_tensors(torch.as_tensor, take(rows, places))
            for _ in range(n_steps):
                inputs = as_inputs(module, points)
                output = compute_output(estimator, module, inputs)
                loss = compute_loss(estimator, output, codes[torch.from_numpy(places)])
                gradients = _find_gradients(module, loss, parts_of(inputs))
                steps = zip(parts_of(points), gradients, bounds, strict=True)
                points = _like(points, [_move(*step, n_steps=n_steps) for step in steps])
            moved.append(parts_of(points))
    parts = [
        torch.cat(part) if isinstance(whole, Tensor) else torch.cat(part).numpy()
        for whole, part in zip(parts_of(rows), zip(*moved, strict=True), strict=True)
    ]
    return restore(_like(rows, parts))


def _like(rows: Any, parts: Sequence[Any]) -> Any:
    """Put parts into a dict if `rows` is one."""
    return dict(zip(rows, parts, strict=True)) if isinstance(rows, Mapping) else parts[0]


def _find_gradients(module: nn.Module, loss: Tensor, inputs: list[Tensor]) -> Sequence[Tensor]:
    """Compute the gradient with respect to the inputs alone; zeros for one that is not used."""
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise ValueError(
            f"The output of {type(module).__name__} must have a gradient with respect to its "
            "input; got one that is made from it by detach(), argmax() or the like."
        )
    return [
        torch.zeros_like(part) if gradient is None else gradient
        for part, gradient in zip(inputs, gradients, strict=True)
    ]


def _move(rows: Tensor, gradient: Tensor, bound: _Bound, *, n_steps: int) -> Tensor:
    """Take one of some steps in the direction of the sign of the gradient."""
    eps, *ends = (torch.as_tensor(n, dtype=rows.dtype, device=rows.device) for n in bound)
    rows = rows + eps / n_steps * gradient.sign().to(device=rows.device, dtype=rows.dtype)
    return rows.clamp(*ends) if ends else rows


# -- checks ---------------------------------------------------------------------------------------


def _check_is_floating(X: Any) -> None:
    """Raise TypeError for rows that cannot move a little: whole numbers, words."""
    if issparse(X) or is_dataset(X):  # `check_rows` tells more of them.
        return
    if isinstance(X, Mapping):
        kinds = {f"X[{name!r}]": _dtype_of(part) for name, part in X.items()}
    elif is_frame(X):  # `check_rows` tells more of words.
        dtypes = {f"X[{name!r}]": column.dtype for name, column in columns_of(X)}
        kinds = {name: dtype for name, dtype in dtypes.items() if dtype.kind in "iub"}
    else:
        kinds = {"X": _dtype_of(X)}
    for name, dtype in kinds.items():
        if not is_floating(dtype):
            raise TypeError(
                f"An adversarial example moves a little from its row, so {name} must be floating; "
                f"got {dtype}. Convert it to what the net was fitted with, such as "
                "X.astype('float32')."
            )


def _dtype_of(part: Any) -> Any:
    """Tell the dtype of a tensor, an array or a list of numbers."""
    return part.dtype if hasattr(part, "dtype") else np.asarray(part).dtype


def _check_distance(eps: Any, name: str) -> np.ndarray:
    """Check that a distance, or each of several, is finite and not negative."""
    distance = _as_numbers(eps, name)
    if not (np.isfinite(distance) & (distance >= 0)).all():
        raise ValueError(f"`{name}` must be finite and >= 0; got {eps!r}.")
    return distance


def _check_bounds(rows: Rows, eps: Any, clip: Any) -> list[_Bound]:
    """Check how far the numbers of each input may move, and within which ends."""
    if not isinstance(rows, Mapping):
        return [_check_bound(rows, eps, clip, "X")]
    for name, value in (("eps", eps), ("clip", clip)):
        if isinstance(value, Mapping) and value.keys() != rows.keys():
            raise ValueError(
                f"A dict for `{name}` must have the inputs of X, {list(rows)}; got {list(value)}."
            )
    return [
        _check_bound(part, _of_input(eps, name), _of_input(clip, name), f"X[{name!r}]")
        for name, part in rows.items()
    ]


def _of_input(value: Any, name: str) -> Any:
    """Get what holds for one input."""
    return value[name] if isinstance(value, Mapping) else value


def _check_bound(part: Any, eps: Any, clip: Any, name: str) -> _Bound:
    """Check how far the numbers of an input may move, and within which ends."""
    distance = _check_distance(eps, "eps")
    ends: Sequence[np.ndarray] = []
    if clip is not None:
        if not isinstance(clip, tuple | list) or len(clip) != 2:
            raise ValueError(f"`clip` must be a tuple (low, high) or None; got {clip!r}.")
        ends = [_as_numbers(end, "clip") for end in clip]
    shape = tuple(part.shape[1:])
    for numbers, told in [(distance, "eps"), *((end, "clip") for end in ends)]:
        try:
            fits = np.broadcast_shapes(numbers.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"`{told}` must be a number, or broadcast to the shape of a row of {name}, "
                f"{shape}; got shape {numbers.shape}. For pictures pixel_bounds gives one number a "
                "channel."
            )
    if ends and not (ends[0] <= ends[1]).all():  # not so for NaN either
        raise ValueError(f"`clip` must be (low, high) with low <= high; got {clip!r}.")
    return [distance, *ends]


def _as_numbers(value: Any, name: str) -> np.ndarray:
    """Read a number, or an array of them."""
    try:
        return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must hold numbers; got {value!r}.") from error
