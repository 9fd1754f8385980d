"""Ways to pair rows: within a class, across classes, with near rows, or with near targets.

Each is a function with one signature, which one of your own may have too::

    pairs(X, y, uniform) -> partner

The rows of many minibatches of one size come at once, with a number for each that is uniform on
[0, 1) and independent of the others, and each gets the place of its partner within its own
minibatch. :func:`~sklearn_mixup.vicinal.sample_partner` draws the plain permutation of mixup.
Nothing here knows of skorch, and nothing is read back to the host.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real

import torch
from torch import Tensor

from sklearn_mixup.minibatches import Rows, list_tensors

__all__ = ["PAIRS", "different_class", "near_target", "nearest", "same_class"]

# Numbers of a matrix of rows by rows, of some minibatches: it bounds the memory.
_AT_ONCE = 2**20


def same_class(X: Rows, y: Tensor, uniform: Tensor) -> Tensor:
    """Pair each row with one of its own class: a random permutation of each class.

    Parameters
    ----------
    X : Tensor of shape (n_minibatches, batch_size, ...) or dict of such tensors
        Not used.
    y : Tensor of shape (n_minibatches, batch_size)
        Classes, as any numbers: rows with equal ones are of one class.
    uniform : Tensor of shape (n_minibatches, batch_size), in [0, 1)
        Independent random numbers.

    Returns
    -------
    LongTensor of shape (n_minibatches, batch_size)
        Place of each row's partner within its minibatch: the row itself if it has no other of its
        class there, and by chance. All permutations of a class are equally likely.

    Raises
    ------
    ValueError
        If `y` does not have one number for each row.

    Examples
    --------
    >>> import torch
    >>> y = torch.tensor([[0, 1, 1, 0, 2]])
    >>> uniform = torch.tensor([[0.4, 0.6, 0.9, 0.1, 0.5]])
    >>> same_class(None, y, uniform).tolist()
    [[3, 1, 2, 0, 4]]
    """
    _check_classes(y, uniform)
    by_class = y.argsort(dim=-1, stable=True)
    shuffled = uniform.argsort(dim=-1)
    by_chance = shuffled.gather(-1, y.gather(-1, shuffled).argsort(dim=-1, stable=True))
    return torch.empty_like(by_class).scatter_(-1, by_class, by_chance)


def different_class(X: Rows, y: Tensor, uniform: Tensor) -> Tensor:
    """Pair each row with one of another class.

    Parameters
    ----------
    X : Tensor of shape (n_minibatches, batch_size, ...) or dict of such tensors
        Not used.
    y : Tensor of shape (n_minibatches, batch_size)
        Classes, as any numbers: rows with equal ones are of one class.
    uniform : Tensor of shape (n_minibatches, batch_size), in [0, 1)
        Independent random numbers.

    Returns
    -------
    LongTensor of shape (n_minibatches, batch_size)
        Place of each row's partner within its minibatch; all rows of other classes are equally
        likely. The row itself if there is no other class.

    Raises
    ------
    ValueError
        If `y` does not have one number for each row.

    Examples
    --------
    >>> import torch
    >>> y = torch.tensor([[0, 1, 1, 0], [5, 5, 5, 5]])
    >>> different_class(None, y, torch.tensor([[0.0, 0.0, 0.9, 0.9]] * 2)).tolist()
    [[1, 0, 3, 2], [0, 1, 2, 3]]
    """
    _check_classes(y, uniform)
    if y.dtype == torch.bool:
        y = y.to(torch.uint8)
    y = y.contiguous()
    in_order, by_class = y.sort(dim=-1, stable=True)
    # In that order the rows of a class are a block; the others follow it, and go on at the start.
    start = torch.searchsorted(in_order, y)
    stop = torch.searchsorted(in_order, y, right=True)
    batch_size = y.shape[-1]
    n_others = batch_size - (stop - start)
    others = (stop + _choose(uniform, n_others)).remainder(batch_size)
    oneself = torch.arange(batch_size, device=y.device)
    return torch.where(n_others > 0, by_class.gather(-1, others), oneself)


def nearest(X: Rows, y: Tensor, uniform: Tensor, *, n_neighbors: int = 5) -> Tensor:
    """Pair each row with one of the nearest rows of its minibatch.

    Parameters
    ----------
    X : Tensor of shape (n_minibatches, batch_size, ...) or dict of such tensors
        Inputs. Rows are as far apart as all their numbers tell, by the Euclidean distance.
    y : Tensor of shape (n_minibatches, batch_size, ...)
        Not used.
    uniform : Tensor of shape (n_minibatches, batch_size), in [0, 1)
        Independent random numbers.
    n_neighbors : int, default=5
        How many of the nearest rows are equally likely. If a minibatch has fewer others, all are.

    Returns
    -------
    LongTensor of shape (n_minibatches, batch_size)
        Place of each row's partner within its minibatch; never the row itself, unless the
        minibatch has no other.

    Raises
    ------
    ValueError
        If `n_neighbors` is not a whole number > 0, or `X` has not the rows of `uniform`.

    Notes
    -----
    It takes the memory of the distances of the rows of a minibatch, and the time of computing
    them: of ``batch_size ** 2`` differences of rows.

    Examples
    --------
    >>> import torch
    >>> X = torch.tensor([[[0.0], [1.0], [10.0], [12.0]]])
    >>> nearest(X, None, torch.rand(1, 4), n_neighbors=1).tolist()
    [[1, 0, 3, 2]]
    """
    if not isinstance(n_neighbors, Integral) or isinstance(n_neighbors, bool) or n_neighbors < 1:
        raise ValueError(f"`n_neighbors` must be a whole number > 0; got {n_neighbors!r}.")
    tensors = list_tensors(X)
    for part in tensors:
        _check_rows("X", part, uniform)
    batch_size = uniform.shape[1]
    if batch_size == 1:
        return torch.zeros_like(uniform, dtype=torch.int64)
    dtype = torch.float32
    for part in tensors:
        dtype = torch.promote_types(dtype, part.dtype)
    n_nearest = min(int(n_neighbors), batch_size - 1)

    def choose(uniform: Tensor, *parts: Tensor) -> Tensor:
        distances = _without_oneself(_distances([part.to(dtype) for part in parts]))
        neighbours = distances.topk(n_nearest, largest=False).indices
        chosen = neighbours.gather(-1, _choose(uniform, n_nearest).unsqueeze(-1)).squeeze(-1)
        oneself = torch.arange(batch_size, device=chosen.device)
        return chosen + (chosen >= oneself)

    n_numbers = sum(part[0, 0].numel() for part in tensors) if len(uniform) else 0
    return _in_blocks(choose, max(batch_size, n_numbers), uniform, *tensors)


def near_target(X: Rows, y: Tensor, uniform: Tensor, *, bandwidth: float = 0.5) -> Tensor:
    """Pair each row with one whose target is near, the likelier the nearer: C-Mixup [1]_.

    Row ``j`` of the minibatch is the partner of row ``i`` with a probability proportional to
    ``exp(-||y_i - y_j||**2 / (2 * bandwidth**2))``. As in the code released with the paper, ``i``
    itself is among the rows ``j``; there these are all rows of the table, or of two minibatches.

    Parameters
    ----------
    X : Tensor of shape (n_minibatches, batch_size, ...) or dict of such tensors
        Not used.
    y : Tensor of shape (n_minibatches, batch_size) or (n_minibatches, batch_size, n_outputs)
        Targets.
    uniform : Tensor of shape (n_minibatches, batch_size), in [0, 1)
        Independent random numbers.
    bandwidth : float in (0, inf], default=0.5
        How far apart targets may well be, in the units of `y`. ``inf`` makes all rows of the
        minibatch equally likely; towards 0 rows stay with those of their own target.

    Returns
    -------
    LongTensor of shape (n_minibatches, batch_size)
        Place of each row's partner within its minibatch.

    Raises
    ------
    ValueError
        If `bandwidth` is not a number > 0, or `y` has not the rows of `uniform`.

    Notes
    -----
    It takes the memory and the time of ``batch_size ** 2`` distances of targets.

    References
    ----------
    .. [1] Yao et al., "C-Mixup: Improving Generalization in Regression", NeurIPS 2022, Section 3.

    Examples
    --------
    >>> import torch
    >>> y = torch.tensor([[0.0, 5.0, 0.1, 5.1]])
    >>> near_target(None, y, torch.tensor([[0.9, 0.9, 0.1, 0.1]])).tolist()
    [[2, 3, 0, 1]]
    """
    if not (isinstance(bandwidth, Real) and bandwidth > 0):
        raise ValueError(f"`bandwidth` must be a number > 0; got {bandwidth!r}.")
    _check_rows("y", y, uniform)
    dtype = torch.promote_types(y.dtype, torch.float32)
    # A distance of 0 over a number that the dtype rounds to 0 would be NaN.
    width = max(bandwidth, torch.finfo(dtype).tiny)

    def choose(uniform: Tensor, y: Tensor) -> Tensor:
        scaled = _distances([y.to(dtype)]).div_(width)
        cumulated = scaled.square_().mul_(-0.5).exp_().cumsum(-1)
        # The row itself counts 1, so that no sum is 0.
        chosen = cumulated[..., -1:] * _below_one(uniform).unsqueeze(-1)
        partner = torch.searchsorted(cumulated, chosen, right=True).squeeze(-1)
        return partner.clamp(max=y.shape[1] - 1)  # NaN is beyond all of them.

    return _in_blocks(choose, y.shape[1], uniform, y)


def _check_rows(name: str, rows: Tensor, uniform: Tensor) -> None:
    """Check that there is a uniform number for each row of each minibatch."""
    if uniform.ndim != 2 or rows.shape[:2] != uniform.shape:
        raise ValueError(
            f"`{name}` must begin with the axes of `uniform`, (n_minibatches, batch_size); got "
            f"shapes {tuple(rows.shape)} and {tuple(uniform.shape)}. Give one minibatch a first "
            f"axis with {name}[None]."
        )


def _check_classes(y: Tensor, uniform: Tensor) -> None:
    """Check that each row has one class."""
    _check_rows("y", y, uniform)
    if y.ndim != 2:
        raise ValueError(
            "`y` must have one number for each row, its class; got shape "
            f"{tuple(y.shape)}. Give rows of several labels a number for each set of labels."
        )


def _choose(uniform: Tensor, n_choices: int | Tensor) -> Tensor:
    """Choose one of ``n_choices`` places from 0 on, all equally likely, by a uniform number."""
    return (_below_one(uniform) * n_choices).long()


def _below_one(uniform: Tensor) -> Tensor:
    """Keep numbers in [0, 1): rounded to a narrower dtype, one may have become 1.

    The product of such a number and another is less than the other, rounded as it may be.
    """
    return uniform.clamp(max=1 - torch.finfo(uniform.dtype).eps / 2)


def _distances(parts: list[Tensor]) -> Tensor:
    """Compute the distances of all pairs of rows of a minibatch, over all numbers that they have.

    By differences, and not by a product of matrices, which rounds those of near rows away and
    computes them otherwise in other company.
    """
    flat = [part.flatten(2) if part.ndim > 2 else part.unsqueeze(2) for part in parts]
    rows = torch.cat(flat, 2) if len(flat) > 1 else flat[0]
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _without_oneself(matrix: Tensor) -> Tensor:
    """Drop the diagonal of square matrices: shape (..., n, n) becomes (..., n, n - 1)."""
    n_rows = matrix.shape[-1]
    # Behind each number of the diagonal but the last stand n others, and then the next.
    others = matrix.flatten(-2)[..., 1:].unflatten(-1, (n_rows - 1, n_rows + 1))[..., :-1]
    return others.flatten(-2).unflatten(-1, (n_rows, n_rows - 1))


def _in_blocks(choose: Callable[..., Tensor], width: int, *tensors: Tensor) -> Tensor:
    """Let some minibatches at a time choose, each of whose rows takes `width` numbers or so."""
    n_at_once = max(_AT_ONCE // (tensors[0].shape[1] * width), 1)
    blocks = zip(*(part.split(n_at_once) for part in tensors), strict=True)
    chosen = [choose(*block) for block in blocks]
    return chosen[0] if len(chosen) == 1 else torch.cat(chosen)


#: The functions by the words that the estimators have for them.
PAIRS = {
    "same_class": same_class,
    "different_class": different_class,
    "nearest": nearest,
    "target": near_target,
}
