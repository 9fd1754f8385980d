"""What a training that fails raises, and a file that is refused, for those who want to catch it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DivergedError", "RefusedFileError"]


class DivergedError(ValueError):
    """Training diverged: a loss or a weight was NaN or infinite.

    Attributes
    ----------
    n_iter : int >= 1
        The epoch in which training diverged, of a GAN the iteration; counted as ``n_iter_`` is.
    is_fitted : bool
        Whether there was a good epoch to go back to. If so, the net can predict, and
        ``partial_fit`` goes on from there; if not, it is not fitted.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mixup import MixupClassifier
    >>> from sklearn_mixup.exceptions import DivergedError
    >>> clf = MixupClassifier(optimizer=torch.optim.SGD, lr=1e9, random_state=0)
    >>> try:
    ...     clf.fit(*load_iris(return_X_y=True))
    ... except DivergedError as error:
    ...     print(error.n_iter, error.is_fitted)
    1 False
    """

    def __init__(self, message: str, *, n_iter: int = 1, is_fitted: bool = False) -> None:
        super().__init__(message)
        self.n_iter = n_iter
        self.is_fitted = is_fitted


class RefusedFileError(ValueError):
    """A file is not one that :func:`~sklearn_mixup.load` opens: damaged, hostile, newer or unknown.

    Attributes
    ----------
    untrusted : tuple of str
        The classes in it that neither the package nor `trusted` names; empty if it was refused for
        another reason.

    Examples
    --------
    >>> import io
    >>> import sklearn_mixup
    >>> from sklearn_mixup.exceptions import RefusedFileError
    >>> try:
    ...     sklearn_mixup.load(io.BytesIO(b"something else"))
    ... except RefusedFileError as error:
    ...     print(error.untrusted)
    ()
    """

    def __init__(self, message: str, *, untrusted: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.untrusted = tuple(untrusted)
