"""Ways to make a row of a pair: mixed as a whole, a box pasted into it, or its inputs alone mixed.

Each is a function with one signature, which one of your own may have too::

    vicinity(X, partner, *, lam, place) -> (X_mixed, lam)

``lam``, ``partner`` and ``place`` are drawn beforehand, and the weight that comes back is that of
a row's own target: :func:`~sklearn_mixup.vicinal.mixed_loss` takes it, and
:func:`~sklearn_mixup.vicinal.mix` takes it for targets that are mixed themselves. Nothing here
knows of skorch, nothing is read back to the host, and ``lam = 1`` leaves everything as it was.

:func:`cutmix` is :func:`sample_box`, :func:`paste` and :func:`lam_of_box` in one.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sklearn_mixup.minibatches import Rows, list_tensors, map_tensors
from sklearn_mixup.vicinal import mix

__all__ = [
    "VICINITIES",
    "cutmix",
    "lam_of_box",
    "mix_inputs",
    "mixup",
    "paste",
    "sample_box",
]


def mixup(X: Rows, partner: Tensor, *, lam: Tensor, place: Tensor) -> tuple[Rows, Tensor]:
    """Mix each row with its partner, and their targets by the same weight [1]_.

    Parameters
    ----------
    X : Tensor of shape (n_rows, ...), floating, or dict of such tensors
        Inputs, of one minibatch or of many. Never written to.
    partner : LongTensor of shape (n_rows,)
        Row ``i`` is paired with row ``partner[i]``.
    lam : Tensor of shape () or (n_rows,), in [0, 1]
        Weight of the row itself.
    place : Tensor of shape (2,) or (2, n_rows), in [0, 1)
        Not used.

    Returns
    -------
    X_mixed : Tensor or dict, like `X`
    lam : Tensor, like `lam`
        Weight of a row's own target: `lam` as it is.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 2.

    Examples
    --------
    >>> import torch
    >>> X, partner, lam = torch.tensor([[0.0], [4.0]]), torch.tensor([1, 0]), torch.tensor(0.75)
    >>> X_mixed, lam_of_targets = mixup(X, partner, lam=lam, place=torch.rand(2))
    >>> X_mixed.tolist(), lam_of_targets.tolist()
    ([[1.0], [3.0]], 0.75)
    """
    return map_tensors(partial(mix, partner=partner, lam=lam), X), lam


def mix_inputs(X: Rows, partner: Tensor, *, lam: Tensor, place: Tensor) -> tuple[Rows, Tensor]:
    """Mix each row with its partner; the target is that of the nearer of the two, unmixed.

    A row between two classes gets one label, that of the row that weighs more: a design that the
    ablation study of [1]_ names.

    Parameters
    ----------
    X : Tensor of shape (n_rows, ...), floating, or dict of such tensors
        Inputs, of one minibatch or of many. Never written to.
    partner : LongTensor of shape (n_rows,)
        Row ``i`` is paired with row ``partner[i]``.
    lam : Tensor of shape () or (n_rows,), in [0, 1]
        Weight of the row itself.
    place : Tensor of shape (2,) or (2, n_rows), in [0, 1)
        Not used.

    Returns
    -------
    X_mixed : Tensor or dict, like `X`
    lam : Tensor, like `lam`
        Weight of a row's own target: 1 where `lam` is at least 1/2, else 0.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.8.

    Examples
    --------
    >>> import torch
    >>> X, partner = torch.tensor([[0.0], [4.0]]), torch.tensor([1, 0])
    >>> lam = torch.tensor([0.75, 0.25])
    >>> X_mixed, lam_of_targets = mix_inputs(X, partner, lam=lam, place=torch.rand(2))
    >>> X_mixed.tolist(), lam_of_targets.tolist()
    ([[1.0], [1.0]], [1.0, 0.0])
    """
    X_mixed, lam = mixup(X, partner, lam=lam, place=place)
    return X_mixed, (lam >= 0.5).to(lam.dtype)


def cutmix(X: Rows, partner: Tensor, *, lam: Tensor, place: Tensor) -> tuple[Rows, Tensor]:
    """Paste a box of each picture's partner into the picture [1]_.

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_channels, ..., height, width), or dict of such tensors
        Pictures, of one minibatch or of many. Those of a dict have one height and width, and get
        the same boxes. Never written to.
    partner : LongTensor of shape (n_rows,)
        The box of picture ``i`` comes from picture ``partner[i]``.
    lam : Tensor of shape () or (n_rows,), in [0, 1]
        Share of the picture outside of a box that lies in it whole.
    place : Tensor of shape (2,) or (2, n_rows), in [0, 1)
        Where the centre of the box is, down and across; uniform.

    Returns
    -------
    X_mixed : Tensor or dict, like `X`
    lam : Tensor of shape () or (n_rows,), with the dtype of `lam`
        Weight of a row's own target: the share of its pixels that are its own. It is at least
        `lam`, as a box is cut off at the border, and its sides are even numbers of pixels.

    Raises
    ------
    ValueError
        If `X` are no pictures, or pictures of more than one size.

    References
    ----------
    .. [1] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
       Localizable Features", ICCV 2019, Section 3.1, and the code released with it.

    Examples
    --------
    >>> import torch
    >>> X = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    >>> partner, lam, place = torch.tensor([1, 0]), torch.tensor(0.75), torch.tensor([0.5, 0.0])
    >>> X_mixed, lam_of_targets = cutmix(X, partner, lam=lam, place=place)
    >>> X_mixed[0, 0].int().tolist()
    [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    >>> lam_of_targets.item()
    0.875
    """
    sizes = {_size_of(pictures) for pictures in list_tensors(X)}
    if len(sizes) > 1:
        raise ValueError(
            "CutMix cuts the same box out of all pictures of a row, which must have one height "
            f"and width; got {' and '.join(f'{h} x {w}' for h, w in sorted(sizes))}. Resize "
            "them, or use mixup."
        )
    ((height, width),) = sizes
    box = box_of(place, lam, height, width)
    X_mixed = map_tensors(partial(paste, partner=partner, box=box), X)
    return X_mixed, lam_of_box(box, height, width).to(lam.dtype)


def _size_of(pictures: Tensor) -> tuple[int, int]:
    """Tell the height and width of pictures."""
    if pictures.ndim < 4:
        raise ValueError(
            "CutMix cuts boxes out of pictures of shape (n_rows, n_channels, height, width); got "
            f"shape {tuple(pictures.shape)}. Give pictures of one channel an axis for it, "
            "X[:, None], and use mixup for rows that are no pictures."
        )
    height, width = pictures.shape[-2:]
    return height, width


def sample_box(
    lam: float | Tensor, height: int, width: int, *, rng: torch.Generator | None = None
) -> Tensor:
    """Draw the box that is pasted: of a share ``1 - lam`` of the picture, anywhere in it [1]_.

    Parameters
    ----------
    lam : float or Tensor of shape () or (n_rows,), in [0, 1]
        Share of the picture outside of a box that lies in it whole. One number gives one box.
    height, width : int
        Size of the pictures in pixels.
    rng : torch.Generator, default=None
        Source of randomness; the result lives on its device. None uses torch's global generator.

    Returns
    -------
    LongTensor of shape (4,) or (4, n_rows)
        Its top, bottom, left and right: ``rows[..., top:bottom, left:right]``. The centre is
        uniform over the pixels; what reaches over the border is cut off.

    References
    ----------
    .. [1] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
       Localizable Features", ICCV 2019, Equation 2.

    Examples
    --------
    >>> import torch
    >>> top, bottom, left, right = sample_box(0.75, 32, 32, rng=torch.Generator().manual_seed(4))
    >>> (bottom - top).item(), (right - left).item()
    (16, 16)
    """
    device = rng.device if rng is not None else torch.get_default_device()
    if not isinstance(lam, Tensor):
        lam = torch.full((), lam, dtype=_dtype_of_lam(device), device=device)
    place = torch.rand((2, *lam.shape), generator=rng, dtype=_dtype_of_lam(device), device=device)
    return box_of(place, lam.to(device), height, width)


def _dtype_of_lam(device: torch.device) -> torch.dtype:
    """Tell the dtype of weights, as `sample_lam` draws them."""
    return torch.float32 if device.type == "mps" else torch.float64


def box_of(place: Tensor, lam: Tensor, height: int, width: int) -> Tensor:
    """Turn two uniform numbers and a weight into a box, as :func:`sample_box` does.

    Parameters
    ----------
    place : Tensor of shape (2,) or (2, n_rows), in [0, 1)
        Where the centre is, down and across.
    lam : Tensor of shape () or (n_rows,), in [0, 1]
        Share of the picture outside of a box that lies in it whole.
    height, width : int
        Size of the pictures in pixels.

    Returns
    -------
    LongTensor of shape (4,) or (4, n_rows)
    """
    cut_ratio = (1 - lam.to(torch.promote_types(lam.dtype, torch.float32))).sqrt()
    place = place.clamp(max=1 - torch.finfo(place.dtype).eps / 2)  # 1, if it was rounded to that
    edges = []
    for uniform, side in zip(place.unbind(), (height, width), strict=True):
        centre = (uniform * side).long()
        half = (cut_ratio * side).long() // 2  # As released: no side has an odd number of pixels.
        edges += [(centre - half).clamp(min=0), (centre + half).clamp(max=side)]
    return torch.stack(torch.broadcast_tensors(*edges))


def paste(rows: Tensor, partner: Tensor, *, box: Tensor) -> Tensor:
    """Put a box of each picture's partner in the place of its own pixels there [1]_.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_channels, ..., height, width)
        Pictures, or masks and whatever else has their pixels. Never written to.
    partner : LongTensor of shape (n_rows,)
        The box of picture ``i`` comes from picture ``partner[i]``.
    box : LongTensor of shape (4,) or (4, n_rows)
        Top, bottom, left and right, as :func:`sample_box` draws them: of one box for all pictures
        or of one each.

    Returns
    -------
    Tensor, with the shape, dtype and device of `rows`

    Raises
    ------
    ValueError
        If `rows` are no pictures, or `partner` or `box` does not fit them.

    References
    ----------
    .. [1] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
       Localizable Features", ICCV 2019, Equation 1.

    Examples
    --------
    >>> import torch
    >>> rows = torch.stack([torch.zeros(1, 2, 3), torch.ones(1, 2, 3)])
    >>> box = torch.tensor([0, 1, 1, 3])  # the first line, from the second column on
    >>> paste(rows, torch.tensor([1, 0]), box=box)[:, 0].int().tolist()
    [[[0, 1, 1], [0, 0, 0]], [[1, 0, 0], [1, 1, 1]]]
    """
    height, width = _size_of(rows)
    if partner.shape != rows.shape[:1]:
        raise ValueError(
            f"`partner` must have one entry for each of the {len(rows)} rows; "
            f"got shape {tuple(partner.shape)}."
        )
    if box.shape not in {(4,), (4, len(rows))}:
        raise ValueError(
            f"`box` must be of shape (4,) or (4, {len(rows)}): top, bottom, left and right of one "
            f"box, or of one for each row; got shape {tuple(box.shape)}."
        )
    top, bottom, left, right = box.reshape(4, -1, 1)
    down = torch.arange(height, device=box.device)
    across = torch.arange(width, device=box.device)
    is_between = (top <= down) & (down < bottom)  # (n_rows or 1, height)
    is_beside = (left <= across) & (across < right)
    inside = is_between.unsqueeze(2) & is_beside.unsqueeze(1)  # (n_rows or 1, height, width)
    inside = inside.view(-1, *[1] * (rows.ndim - 3), height, width)
    return torch.where(inside, rows.index_select(0, partner), rows)


def lam_of_box(box: Tensor, height: int, width: int) -> Tensor:
    """Tell the share of a picture that is outside of a box: the weight of its own target [1]_.

    Parameters
    ----------
    box : LongTensor of shape (4,) or (4, n_rows)
        Top, bottom, left and right, within the picture.
    height, width : int
        Size of the pictures in pixels.

    Returns
    -------
    Tensor of shape () or (n_rows,), in [0, 1]
        float64, or float32 on a device without float64.

    References
    ----------
    .. [1] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
       Localizable Features", ICCV 2019, Algorithm 1.

    Examples
    --------
    >>> import torch
    >>> lam_of_box(torch.tensor([0, 1, 1, 3]), height=2, width=4).item()
    0.75
    """
    top, bottom, left, right = box
    n_own = height * width - (bottom - top) * (right - left)
    return n_own.to(_dtype_of_lam(box.device)) / (height * width)


#: The functions by the words that the estimators have for them.
VICINITIES = {"mixup": mixup, "cutmix": cutmix, "input": mix_inputs}
