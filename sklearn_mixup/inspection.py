"""How a classifier behaves between the points of a data set: Figure 2 of the mixup paper [1]_.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from skorch.dataset import get_len
from torch import Tensor

from sklearn_mixup._probe.between import check_lam, draw_pairs, points_between, summarise
from sklearn_mixup._probe.gradient_norm import gradient_norm_between
from sklearn_mixup._probe.rows import check_count, check_labels, check_rows

__all__ = ["BetweenSamplesDisplay", "gradient_norm_between", "miss_rate_between"]


# -- miss rate ------------------------------------------------------------------------------------


def miss_rate_between(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    lam: Any = None,
    n_pairs: int = 1000,
    random_state: Any = None,
    batch_size: int = 1024,
) -> Bunch:
    """Measure how often a prediction between two samples is the label of neither (Figure 2a [1]_).

    At ``lam * x_i + (1 - lam) * x_j``, for random pairs ``i != j`` of the rows of X, a prediction
    that is neither ``y_i`` nor ``y_j`` is a miss.

    Parameters
    ----------
    estimator : fitted classifier
        Anything with ``predict``: of scikit-learn, a pipeline, a net.
    X : array-like of shape (n_samples, ...), DataFrame, tensor or dict of them
        At least two rows of finite numbers; floating if they are more than a table. The paper
        takes the training rows. `estimator` gets points of the same kind: DataFrames of the same
        columns, tensors on the same device. Never written to.
    y : array-like of shape (n_samples,)
        The labels, of any kind. One that `estimator` never saw can only be missed.
    lam : array-like of shape (n_lam,), in [0, 1], default=None
        Weights of the first row of a pair. None is 21 even steps from 0 to 1.
    n_pairs : int, default=1000
        Pairs drawn, independently and uniformly from all ordered pairs of two different rows; the
        same pairs serve for every `lam`. As in the paper two rows may have one label.
    random_state : int, RandomState instance or None, default=None
        Draws the pairs. The same int and number of rows give the same pairs for any estimator, so
        that two curves can be compared pair by pair.
    batch_size : int, default=1024
        Most rows that are mixed and predicted in one call.

    Returns
    -------
    Bunch
        lam : ndarray of shape (n_lam,)
            The weights.
        miss_rate : ndarray of shape (n_lam,), in [0, 1]
            Share of the pairs whose point is missed.
        standard_error : ndarray of shape (n_lam,)
            Sample standard deviation of the misses over ``sqrt(n_pairs)``; NaN for a single pair.
            It tells of other pairs of these rows, not of other rows or another training.
        misses : ndarray of shape (n_lam, n_pairs), bool
            Which points are missed.
        pairs : ndarray of shape (n_pairs, 2)
            The rows ``i`` and ``j`` of each pair.
        n_pairs : int
            Their number.

    Raises
    ------
    NotFittedError
        If `estimator` is not fitted.
    TypeError
        If `estimator` is no classifier, or X cannot be mixed: whole numbers of more than two
        dimensions, words, sparse matrices.
    ValueError
        If X, y or a parameter is not as said above, or `estimator` saw none of the labels.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Figure 2.

    Examples
    --------
    Between a setosa and a virginica there often is a versicolor:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_mixup.inspection import miss_rate_between
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegression(max_iter=1000).fit(X, y)
    >>> curve = miss_rate_between(clf, X, y, lam=[0.0, 0.5, 1.0], random_state=0)
    >>> curve.miss_rate.round(1)
    array([0. , 0.2, 0. ])
    """
    if not callable(getattr(estimator, "predict", None)):
        raise TypeError(
            "`estimator` must be a classifier with a `predict` method; got "
            f"{type(estimator).__name__}. Wrap a module in MixupClassifier, or see "
            "gradient_norm_between, which takes modules."
        )
    kind = _estimator_type(estimator)
    if kind not in (None, "classifier"):
        raise TypeError(
            f"`estimator` must be a classifier, as a miss is a wrong label; got the {kind} "
            f"{type(estimator).__name__}."
        )
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    weights, n_pairs = check_lam(lam), check_count(n_pairs, "n_pairs")
    batch_size = check_count(batch_size, "batch_size")
    labels = check_labels(y)
    rows, restore = check_rows(X, labels)
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, np.ndarray) and not set(labels.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"y must hold labels that the estimator can predict, {classes.tolist()}; got none of "
            f"them, but {np.unique(labels)[:5].tolist()}. Pass y as it was passed to fit."
        )
    pairs = draw_pairs(get_len(rows), n_pairs, random_state)
    misses = np.empty((len(weights), n_pairs), dtype=bool)
    for place, some, points in points_between(rows, pairs, weights, batch_size):
        predicted = _predict(estimator, restore(points), len(pairs[some]))
        first, second = labels[pairs[some]].T
        misses[place, some] = (predicted != first) & (predicted != second)
    miss_rate, standard_error = summarise(misses)
    return Bunch(
        lam=weights,
        miss_rate=miss_rate,
        standard_error=standard_error,
        misses=misses,
        pairs=pairs,
        n_pairs=n_pairs,
    )


def _estimator_type(estimator: Any) -> str | None:
    """Tell what an estimator says it is; None if it does not say."""
    if hasattr(estimator, "__sklearn_tags__"):
        return estimator.__sklearn_tags__().estimator_type
    return getattr(estimator, "_estimator_type", None)


def _predict(estimator: Any, points: Any, n_points: int) -> np.ndarray:
    """Predict one label a point."""
    predicted = estimator.predict(points)
    if isinstance(predicted, Tensor):
        predicted = predicted.detach().cpu()
    predicted = np.asarray(predicted)
    if predicted.shape != (n_points,):
        raise ValueError(
            "`estimator` must predict one label a row; for "
            f"{n_points} rows {type(estimator).__name__} returned shape {predicted.shape}."
        )
    return predicted


# -- display --------------------------------------------------------------------------------------


class BetweenSamplesDisplay:
    """Curve of misses or gradient norms between samples, as in Figure 2 of the mixup paper [1]_.

    Use :meth:`from_estimator` or :meth:`from_curve` to make one; all parameters are stored as
    attributes. Several displays on one axis make a comparison.

    Parameters
    ----------
    lam : ndarray of shape (n_lam,), in [0, 1]
        Weights of the first sample of a pair.
    values : ndarray of shape (n_lam,)
        Miss rates, in [0, 1], or gradient norms.
    standard_error : ndarray of shape (n_lam,), default=None
        Half the height of the band around the curve. None draws no band.
    kind : {"miss_rate", "gradient_norm"}, default="miss_rate"
        What the values are, for the label of the axis.
    name : str, default=None
        Name in the legend. None leaves the curve out of it.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    band_ : matplotlib PolyCollection or None
        The band of one standard error to each side.
    ax_ : matplotlib Axes
        Where they are drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Figure 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_mixup.inspection import BetweenSamplesDisplay, miss_rate_between
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegression(max_iter=1000).fit(X, y)
    >>> curve = miss_rate_between(clf, X, y, random_state=0)
    >>> display = BetweenSamplesDisplay.from_curve(curve, name="linear")
    >>> display.ax_.get_ylabel()
    'miss rate (share of pairs)'
    """

    def __init__(
        self,
        *,
        lam: Any,
        values: Any,
        standard_error: Any = None,
        kind: str = "miss_rate",
        name: str | None = None,
    ) -> None:
        self.lam = lam
        self.values = values
        self.standard_error = standard_error
        self.kind = kind
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        kind: str = "miss_rate",
        lam: Any = None,
        n_pairs: int = 1000,
        random_state: Any = None,
        batch_size: int | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> BetweenSamplesDisplay:
        """Compute a curve and draw it.

        Parameters
        ----------
        estimator, X, y, lam, n_pairs, random_state
            As for :func:`miss_rate_between` or :func:`gradient_norm_between`. Give an int as
            `random_state` to draw several estimators for the same pairs.
        kind : {"miss_rate", "gradient_norm"}, default="miss_rate"
            Which of the two.
        batch_size : int, default=None
            Most rows at a time; None is the default of the function.
        name : str, default=None
            Name in the legend; None is the class of `estimator`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            Passed to ``ax.plot``.

        Returns
        -------
        BetweenSamplesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError, TypeError, ValueError
            As the functions do, or if `kind` is not as said above.
        """
        _check_kind(kind)
        _import_pyplot(f"{cls.__name__}.from_estimator")  # before the work, not after
        measure = miss_rate_between if kind == "miss_rate" else gradient_norm_between
        options = {} if batch_size is None else {"batch_size": batch_size}
        curve = measure(
            estimator, X, y, lam=lam, n_pairs=n_pairs, random_state=random_state, **options
        )
        name = type(estimator).__name__ if name is None else name
        return cls.from_curve(curve, name=name, ax=ax, **kwargs)

    @classmethod
    def from_curve(
        cls, curve: Mapping[str, Any], *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> BetweenSamplesDisplay:
        """Draw a curve that was computed before.

        Parameters
        ----------
        curve : Bunch
            From :func:`miss_rate_between` or :func:`gradient_norm_between`.
        name : str, default=None
            Name in the legend; None leaves the curve out of it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            Passed to ``ax.plot``.

        Returns
        -------
        BetweenSamplesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `curve` has neither miss rates nor gradient norms.
        """
        kind = next((kind for kind in _LABELS if kind in curve), None)
        if kind is None:
            raise ValueError(
                "`curve` must come from miss_rate_between or gradient_norm_between; got one that "
                f"holds {sorted(curve)}."
            )
        display = cls(
            lam=curve["lam"],
            values=curve[kind],
            standard_error=curve["standard_error"],
            kind=kind,
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> BetweenSamplesDisplay:
        """Draw the curve and its band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Name in the legend, in place of the stored one.
        **kwargs
            Passed to ``ax.plot``. The band has the colour of the line.

        Returns
        -------
        BetweenSamplesDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `kind` is not as said above.
        """
        _check_kind(self.kind)
        pyplot = _import_pyplot(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = pyplot.subplots()
        name = self.name if name is None else name
        order = np.argsort(self.lam)
        lam, values = np.asarray(self.lam)[order], np.asarray(self.values)[order]
        (self.line_,) = ax.plot(lam, values, **{"label": name, **kwargs})
        self.band_ = None
        if self.standard_error is not None:
            error = np.asarray(self.standard_error)[order]
            self.band_ = ax.fill_between(
                lam,
                values - error,
                values + error,
                color=self.line_.get_color(),
                alpha=0.2,
                linewidth=0,
                zorder=self.line_.get_zorder() - 0.1,
            )
        ax.set_xlabel(r"$\lambda$, the weight of the first sample")
        ax.set_ylabel(_LABELS[self.kind])
        # Both are amounts: show zero, and still make room for the next curve.
        ax.set_ylim(bottom=0, auto=True)
        if name is not None or "label" in kwargs:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


_LABELS = {
    "miss_rate": "miss rate (share of pairs)",
    "gradient_norm": "norm of the gradient w.r.t. the input",
}


def _check_kind(kind: Any) -> None:
    """Raise ValueError for a kind of curve that there is not."""
    if kind not in _LABELS:
        raise ValueError(f"`kind` must be one of {list(_LABELS)}; got {kind!r}.")


def _import_pyplot(caller: str) -> Any:
    """Import what draws, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed: pip install matplotlib."
        ) from error
    return plt
