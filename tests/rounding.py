"""How far rounding alone may put two computations of the same thing apart, on any processor."""

from typing import Any

import torch
from torch.testing import assert_close

# Of the largest number, for what was trained in float64. Adam, RMSprop and the like divide a
# gradient by its own size plus 1e-8. So where a gradient should vanish, its rounding error moves
# a parameter by at most lr * eps / 1e-8 a step, and the learning rates of the small fits of the
# tests sum to about 1. What is computed otherwise, such as another row in a minibatch, moves the
# parameters by 0.01 or more. In float32 eps / 1e-8 is 12: there is no such bound.
ROUNDING = torch.finfo(torch.float64).eps / 1e-8


def error_of_sum(n: int, dtype: torch.dtype) -> float:
    """Bound the relative error of a sum of `n` products, in whatever order it is computed.

    Relative to the sum of their absolute values; Higham, "Accuracy and Stability of Numerical
    Algorithms", 2002, Lemma 3.1.
    """
    error = n * torch.finfo(dtype).eps / 2
    return error / (1 - error)


def assert_near(actual: Any, expected: Any, rounding: float = ROUNDING) -> None:
    """Compare numbers in float64; `rounding` is of the largest of them."""
    actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
    bound = rounding * float(expected.abs().max()) if expected.numel() else 0
    assert_close(actual, expected, rtol=0, atol=bound)
