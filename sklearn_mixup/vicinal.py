"""The vicinity of the data: draw lam and a partner once, apply them to everything.

The vicinal distribution of mixup is, with `lam` drawn from Beta(alpha, alpha) (Section 2 of [1]_),

    x~ = lam * x_i + (1 - lam) * x_j        y~ = lam * y_i + (1 - lam) * y_j

:func:`sample_lam` and :func:`sample_partner` draw ``lam`` and ``j``; :func:`mix` and
:func:`mixed_loss` apply the draw to inputs, targets, weights and losses, and :func:`mix_with` to
two sets of rows, such as data and what a generator makes. Nothing here knows of
skorch: the functions take and return tensors, on whatever device they live.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor
from torch.nn.functional import pad

from sklearn_mixup._one_pass import mix_in_one_pass, takes
from sklearn_mixup._streams import Stream, draw_words, uniform

__all__ = ["mix", "mix_with", "mixed_loss", "sample_lam", "sample_partner"]

# So many numbers of 8 bytes are two registers of the widest processors, which a kernel fills.
_PADDED = 16


def sample_lam(
    alpha: float, size: int | tuple[int, ...] = (), *, rng: torch.Generator | None = None
) -> Tensor:
    """Draw mixing weights from Beta(alpha, alpha) [1]_.

    Parameters
    ----------
    alpha : float in [0, inf]
        Concentration, dimensionless. 0 is ERM: every weight is 1 and nothing is drawn from `rng`.
        ``inf`` gives 1/2.
    size : int or tuple of int, default=()
        Shape of the result.
    rng : torch.Generator, default=None
        Source of randomness; the result lives on its device. None uses torch's global generator.

    Returns
    -------
    Tensor of shape `size`, in [0, 1]
        float64, or float32 on a device without float64. Close to 0 and 1 the weights of a small
        `alpha` crowd so densely that a cast to float32 rounds many of them to exactly 1: those
        rows are not mixed.

    Raises
    ------
    ValueError
        If `alpha` is negative or NaN.

    Notes
    -----
    A closed form, exact for every `alpha`, in place of the usual ratio of two gamma variables
    (which is 0/0 for a small `alpha`):

    1. ``t = sqrt(1 - U**(2 / (2 * alpha + 1))) * cos(pi * V)``, with U and V uniform on (0, 1),
       makes ``(1 + t) / 2`` a Beta(alpha + 1, alpha + 1) variable [2]_.
    2. A Gamma(alpha) variable is a Gamma(alpha + 1) variable times ``U**(1 / alpha)``, so the
       step from alpha + 1 down to alpha adds a Laplace variable over alpha to the logit.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 2.
    .. [2] Ulrich, "Computer generation of distributions on the m-sphere", Applied Statistics 33,
       1984; Devroye, "Non-Uniform Random Variate Generation", 1986, Section IX.4.

    Examples
    --------
    >>> import torch
    >>> lam = sample_lam(0.2, 10_000, rng=torch.Generator().manual_seed(0))
    >>> f"{lam.mean():.1f}"
    '0.5'
    >>> sample_lam(0, 3).tolist(), sample_lam(float("inf"), 2).tolist()
    ([1.0, 1.0, 1.0], [0.5, 0.5])
    """
    if not (isinstance(alpha, Real) and alpha >= 0):
        raise ValueError(
            f"`alpha` must be a number >= 0; got {alpha!r}. Use alpha=0 to train without mixing."
        )
    alpha = float(alpha)
    size = (int(size),) if isinstance(size, Integral) else tuple(size)
    device = rng.device if rng is not None else torch.get_default_device()
    dtype = torch.float32 if device.type == "mps" else torch.float64
    if alpha == 0:
        return torch.ones(size, dtype=dtype, device=device)
    return lam_of(torch.rand((4, *size), generator=rng, dtype=dtype, device=device), alpha)


def lam_of(uniform: Tensor, alpha: float | Tensor) -> Tensor:
    """Turn four uniform numbers into a weight from Beta(alpha, alpha), as :func:`sample_lam` does.

    Parameters
    ----------
    uniform : Tensor of shape (4, ...), in [0, 1)
        Independent of each other.
    alpha : float or Tensor that broadcasts with the weights, in (0, inf]
        Concentration.

    Returns
    -------
    Tensor of shape (...), in [0, 1]
    """
    exponential = torch.log1p(-uniform[:3]).neg_()
    t = torch.expm1(exponential[0] * (-2 / (2 * alpha + 1))).neg_().sqrt_()
    t = t.mul_(torch.cos(math.pi * uniform[3]))
    laplace = exponential[1] - exponential[2]
    return torch.sigmoid(2 * torch.atanh(t) + laplace / alpha)


def draw_lam(streams: Sequence[Stream], n_lams: int, alphas: Sequence[float]) -> Tensor:
    """Draw the next weights of each of some streams by its alpha > 0: shape (n_streams, n_lams)."""
    uniforms = uniform(draw_words(streams, 4 * n_lams)).unflatten(1, (n_lams, 4))
    # The last few numbers have another kernel, which rounds otherwise: these are thrown away.
    room = pad(uniforms.movedim(2, 0), (0, -n_lams % _PADDED))
    # A tensor even of one number: of a number on the host a GPU rounds otherwise. It is filled
    # there, since a copy would wait for all that the device has still to do.
    first, is_one = alphas[0], len(set(alphas)) == 1
    alpha = room.new_full((1, 1), first) if is_one else room.new_tensor(alphas).unsqueeze(1)
    return lam_of(room, alpha)[:, :n_lams]


def sample_partner(
    n_rows: int, *, batch_size: int | None = None, rng: torch.Generator | None = None
) -> Tensor:
    """Draw the row that each row is mixed with: a random permutation of its minibatch.

    Parameters
    ----------
    n_rows : int
        Number of rows, of one minibatch or of many that follow each other.
    batch_size : int, default=None
        Rows in a minibatch; the last one may be shorter. None takes all rows as one minibatch.
    rng : torch.Generator, default=None
        Source of randomness; the result lives on its device. None uses torch's global generator.

    Returns
    -------
    LongTensor of shape (n_rows,)
        ``partner[i]`` lies in the minibatch of row ``i``, and may be ``i`` itself.

    Examples
    --------
    >>> import torch
    >>> sample_partner(7, batch_size=3, rng=torch.Generator().manual_seed(0)).sort().values.tolist()
    [0, 1, 2, 3, 4, 5, 6]
    """
    device = rng.device if rng is not None else torch.get_default_device()
    # Their dtype decides over the order, so it is not left to torch's default.
    keys = torch.rand(n_rows, generator=rng, dtype=torch.float32, device=device)
    return partner_of(keys, batch_size=batch_size)


def draw_partner(streams: Sequence[Stream], n_rows: int, *, batch_size: int) -> Tensor:
    """Draw the partners of the next rows of each of some streams, shape (n_streams, n_rows)."""
    return partner_of(draw_words(streams, n_rows), batch_size=batch_size)


def partner_of(keys: Tensor, *, batch_size: int | None = None) -> Tensor:
    """Turn random keys into partners, as :func:`sample_partner` does.

    Parameters
    ----------
    keys : Tensor of shape (..., n_rows)
        Independent and uniform, on [0, 1) or all of int64.
    batch_size : int, default=None
        Rows in a minibatch; the last one may be shorter. None takes all rows as one minibatch.

    Returns
    -------
    LongTensor of shape (..., n_rows)
    """
    n_rows = keys.shape[-1]
    if batch_size is None or batch_size >= n_rows:
        return keys.argsort(-1)
    # Sorting permutes all minibatches in one call; what fills up the last one comes last in it.
    most = 2.0 if keys.is_floating_point() else torch.iinfo(keys.dtype).max
    rest = keys.new_full((*keys.shape[:-1], -n_rows % batch_size), most)
    filled = torch.cat([keys, rest], -1).unflatten(-1, (-1, batch_size))
    starts = torch.arange(0, n_rows, batch_size, device=keys.device).unsqueeze(1)
    return (filled.argsort(-1) + starts).flatten(-2)[..., :n_rows]


def _per_row(lam: Tensor, rows: Tensor) -> Tensor:
    """View `lam` of shape (batch_size,) so that it broadcasts along the rows."""
    if lam.ndim == 1 and len(lam) == len(rows):
        return lam.view(-1, *[1] * (rows.ndim - 1))
    if lam.ndim == 0:
        return lam
    raise ValueError(
        f"`lam` must be a number or have one entry for each of the {len(rows)} rows; "
        f"got shape {tuple(lam.shape)}."
    )


def _check_lam(rows: Tensor, lam: float | Tensor) -> float | Tensor:
    """Check that rows can be mixed, and bring `lam` into their shape and dtype."""
    if not rows.is_floating_point():
        raise TypeError(
            f"Only floating tensors can be mixed; got {rows.dtype}. Convert the rows with "
            ".float(), or embed codes before mixing them."
        )
    if isinstance(lam, Tensor):
        return _per_row(lam.to(rows.dtype), rows)
    if not 0 <= lam <= 1:
        raise ValueError(f"`lam` must be in [0, 1]; got {lam!r}.")
    return lam


def mix(rows: Tensor, partner: Tensor, *, lam: float | Tensor) -> Tensor:
    """Move each row toward its partner: ``lam * rows + (1 - lam) * rows[partner]`` [1]_.

    Parameters
    ----------
    rows : Tensor of shape (batch_size, ...), floating
        Inputs, one-hot targets or weights. Never written to.
    partner : LongTensor of shape (batch_size,)
        Row ``i`` is mixed with row ``partner[i]``.
    lam : float or Tensor of shape () or (batch_size,), in [0, 1]
        Weight of the row itself; 1 returns the rows unchanged.

    Returns
    -------
    Tensor of shape (batch_size, ...), with the dtype and device of `rows`

    Raises
    ------
    TypeError
        If `rows` is not a floating tensor.
    ValueError
        If `partner` does not have ``batch_size`` entries, or `lam` neither one nor that many, or
        if a number `lam` is outside [0, 1].

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 2.

    Examples
    --------
    >>> import torch
    >>> mix(torch.tensor([[0.0], [4.0]]), torch.tensor([1, 0]), lam=0.75).tolist()
    [[1.0], [3.0]]
    """
    if partner.shape != rows.shape[:1]:
        raise ValueError(
            f"`partner` must have one entry for each of the {len(rows)} rows; "
            f"got shape {tuple(partner.shape)}."
        )
    lam = _check_lam(rows, lam)
    if takes(rows, partner, lam):
        return mix_in_one_pass(rows, partner, lam)
    others = rows.index_select(0, partner)
    if isinstance(lam, Tensor) and lam.requires_grad:
        return torch.lerp(others, rows, lam)
    # In place: what was gathered is our own, and another copy would double the time.
    return others.lerp_(rows, lam)


def mix_with(rows: Tensor, others: Tensor, *, lam: float | Tensor) -> Tensor:
    """Move each row toward another: ``lam * rows + (1 - lam) * others``.

    Parameters
    ----------
    rows, others : Tensor of shape (batch_size, ...), floating
        Row ``i`` of one is mixed with row ``i`` of the other. Never written to.
    lam : float or Tensor of shape () or (batch_size,), in [0, 1]
        Weight of `rows`; 1 returns them unchanged.

    Returns
    -------
    Tensor of shape (batch_size, ...), with the dtype and device of `rows`

    Raises
    ------
    TypeError
        If `rows` is not a floating tensor.
    ValueError
        If the shapes differ, or `lam` does not have one entry or `batch_size`, or if a number
        `lam` is outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> mix_with(torch.ones(2, 1), torch.zeros(2, 1), lam=torch.tensor([0.75, 0.5])).tolist()
    [[0.75], [0.5]]
    """
    lam = _check_lam(rows, lam)
    if rows.shape != others.shape:
        raise ValueError(
            f"`rows` and `others` must have one shape; got {tuple(rows.shape)} and "
            f"{tuple(others.shape)}."
        )
    return torch.lerp(others, rows, lam)


def row_means(losses: Tensor) -> Tensor:
    """Average the losses of a row over whatever a row has: labels, pixels."""
    return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


def mixed_loss(
    criterion: Callable[[Tensor, Tensor], Tensor],
    y_pred: Tensor,
    y: Tensor,
    partner: Tensor,
    *,
    lam: float | Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """Weigh the loss against a row's own target with the loss against its partner's.

    For any criterion, linear in the target or not, the mean over the rows ``i`` with partner ``j``
    of ``lam * criterion(f(x~_i), y_i) + (1 - lam) * criterion(f(x~_i), y_j)``. With weights ``w``
    it is the mean of::

        lam * w_i * l(f(x~_i), y_i) + (1 - lam) * w_j * l(f(x~_i), y_j)

    Parameters
    ----------
    criterion : callable
        ``criterion(y_pred, y)`` returns the losses of the rows, shape (batch_size, ...)
        (``reduction="none"``), or their mean, which serves where `lam` is shared and there is no
        `weight`.
    y_pred : Tensor of shape (batch_size, ...)
        Output of the module for the mixed inputs.
    y : Tensor of shape (batch_size, ...)
        Targets of the rows before mixing: class indices or target rows.
    partner : LongTensor of shape (batch_size,)
        Row ``i`` was mixed with row ``partner[i]``.
    lam : float or Tensor of shape () or (batch_size,), in [0, 1]
        Weight of the row itself.
    weight : Tensor of shape (batch_size,), default=None
        Weights of the rows before mixing, >= 0. Scale them once, to mean 1 over all rows to train
        on: by those of each minibatch, one without a rare class would count as much as one with it.

    Returns
    -------
    Tensor of shape (), with the dtype of the losses

    Raises
    ------
    ValueError
        If the criterion returns a mean where the losses of the rows are needed.

    Examples
    --------
    >>> import torch
    >>> logits, y = torch.zeros(2, 4), torch.tensor([0, 3])
    >>> cross_entropy = torch.nn.CrossEntropyLoss()
    >>> loss = mixed_loss(cross_entropy, logits, y, torch.tensor([1, 0]), lam=0.3)
    >>> bool(loss.isclose(torch.tensor(4.0).log()))
    True
    """
    own, other = criterion(y_pred, y), criterion(y_pred, y.index_select(0, partner))
    if isinstance(lam, Tensor):
        lam = lam.to(own.dtype)
    shared = not isinstance(lam, Tensor) or lam.ndim == 0
    if own.ndim == 0:
        if shared and weight is None:
            return lam * own + (1 - lam) * other
        raise ValueError(
            "Weights, or one `lam` per sample, need the losses of the rows, but the criterion "
            'returned their mean. Give it reduction="none".'
        )
    weight = own.new_ones(len(own)) if weight is None else weight.to(own.dtype)
    own, other = row_means(own), row_means(other)
    own_weight, other_weight = lam * weight, (1 - lam) * weight.index_select(0, partner)
    return (own_weight * own + other_weight * other).mean()
