"""The mixing of large rows on a GPU in one pass over the memory, where Triton is installed.

To gather the partners first and to mix then moves 2.5 times what a copy moves; to read a row and
its partner and to write their mixture 1.5 times.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

# Fewer numbers are sooner mixed than a kernel of Triton is called from Python.
FEWEST = 2**24
_BLOCK = 4096


# Triton's language, once a kernel is asked for: a kernel finds it among the names of its module.
tl: Any = None


@functools.cache
def _find_kernel() -> Any:
    """Get the kernel; None where there is no Triton."""
    global tl
    try:
        import triton
        from triton import language
    except ImportError:
        return None
    tl = language
    return triton.jit(_mix_rows)


# Triton takes every annotation for a type of its own.
def _mix_rows(rows, partner, lam, mixed, n_rows, n_columns, block: tl.constexpr):  # type: ignore
    """Mix a block of columns of one row; a kernel for Triton."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * block + tl.arange(0, block)
    other = tl.load(partner + row)
    inside = column < n_columns
    # A partner that is not there makes the row NaN.
    found = inside & (other >= 0) & (other < n_rows)
    own = tl.load(rows + row * n_columns + column, mask=inside)
    far = tl.load(rows + other * n_columns + column, mask=found, other=float("nan"))
    weight = tl.load(lam + row)
    if mixed.dtype.element_ty != tl.float64:
        own, far, weight = own.to(tl.float32), far.to(tl.float32), weight.to(tl.float32)
    # As torch.lerp computes it: exact at both ends.
    apart = own - far
    between = tl.where(weight < 0.5, far + weight * apart, own - apart * (1 - weight))
    tl.store(mixed + row * n_columns + column, between.to(mixed.dtype.element_ty), mask=inside)


def takes(rows: Tensor, partner: Tensor, lam: float | Tensor) -> bool:
    """Whether such rows can be mixed in one pass, and it is of use."""
    tracked = torch.is_grad_enabled() and (
        rows.requires_grad or (isinstance(lam, Tensor) and lam.requires_grad)
    )
    if not rows.is_cuda or rows.numel() < FEWEST or tracked or torch.compiler.is_compiling():
        return False
    try:  # Under vmap and the like tensors are not what they seem, and have no memory of their own.
        addresses = [part.data_ptr() for part in (rows, partner, lam) if isinstance(part, Tensor)]
    except RuntimeError:
        return False
    return all(addresses) and rows.is_contiguous() and _find_kernel() is not None


def mix_in_one_pass(rows: Tensor, partner: Tensor, lam: float | Tensor) -> Tensor:
    """Compute ``lam * rows + (1 - lam) * rows[partner]``."""
    n_rows, n_columns = len(rows), rows[0].numel()
    # Filled there: a copy would wait for all that the device has still to do.
    weight = lam.to(rows.device) if isinstance(lam, Tensor) else rows.new_full((n_rows,), lam)
    mixed = torch.empty_like(rows)
    grid = n_rows, -(-n_columns // _BLOCK)
    with torch.cuda.device(rows.device):
        _find_kernel()[grid](
            rows.detach(),
            partner.contiguous(),
            weight.detach().flatten().expand(n_rows).contiguous(),
            mixed,
            n_rows,
            n_columns,
            block=_BLOCK,
        )
    return mixed
