"""VicinalSampler: rows drawn from the vicinity of a table itself, without training."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_mixup._doc_link import linked
from sklearn_mixup._net.checks import unlearn_on_error
from sklearn_mixup._net.classes import (
    find_class,
    has_fractions,
    list_labels,
    list_some,
    read_classes,
    read_target,
)
from sklearn_mixup._net.columns import (
    is_polars,
    mix_rows,
    read_column,
    read_columns,
    read_table,
    take_anew,
)
from sklearn_mixup._net.tables import is_frame
from sklearn_mixup._sampler.partners import encode, find_nearest
from sklearn_mixup._sampler.strategy import count_missing
from sklearn_mixup.vicinal import sample_lam


@linked
class VicinalSampler(BaseEstimator):
    """Rows drawn from the vicinity of a table: mixtures of two of its rows [1]_.

    A row that is drawn lies on the line between two rows of the table, near ones of the same class
    by default. Nothing is trained. :meth:`sample` draws rows as
    :class:`sklearn.neighbors.KernelDensity` does; :meth:`fit_resample` adds rows to small classes,
    in imbalanced-learn's protocol and without that package, much as SMOTE [2]_ does.

    Parameters
    ----------
    alpha : float in [0, inf], default=0.2
        Concentration of Beta(alpha, alpha), from which the weight ``lam`` of a row is drawn. 0
        draws rows of the table as they are, 1 all points between two rows alike, ``inf`` the
        middle. The closer to 0, the nearer to one of the two.
    pairs : {"nearest", "same_class", "random"}, default="nearest"
        Which rows are mixed: a row and one of the `n_neighbors` nearest of its class, or of the
        table if there are no classes ("nearest"), any two of one class ("same_class"), or any two
        ("random").
    n_neighbors : int >= 1, default=5
        How many rows are near, with ``pairs="nearest"``. A class of fewer others has all of them.
    sampling_strategy : str, float, dict or callable, default="auto"
        What :meth:`fit_resample` makes even, as in imbalanced-learn: "minority", "not minority",
        "not majority" (which is "auto") or "all" make classes as large as the largest; a float is
        the size of the smaller of two classes over that of the larger; a dict has the number of
        rows that each class named is to have; a callable gets `y` and returns a dict.
    target_type : {"auto", "labels", "numbers"}, default="auto"
        What `y` holds: labels, or numbers that are mixed as those of X are. "auto" takes floats of
        which one has a fraction for numbers, all else for labels. Say "numbers" of counts, prices
        and other targets that are whole.
    random_state : int, RandomState instance or None, default=None
        Governs what is drawn: the same state draws the same rows. None is a fresh seed, and NumPy's
        global generator is left alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, if `y` held labels.
    sampling_strategy_ : dict
        Rows added to each class by :meth:`fit_resample`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with names that are all strings.

    Notes
    -----
    A row ``i`` is drawn, each as often as any other, and a partner ``j``. A number or date is
    ``w * x_i + (1 - w) * x_j``, so no column leaves its bounds. Whatever is no number or date is
    that of row ``i``: words, categories, booleans, gaps and the label. So words stand together as
    they do in the data, no combination is made up, and all keep their shares: a table of words
    alone is drawn from row by row. A number whose partner is a gap stays as it is.

    In a mixture of two rows, with ``lam ~ Beta(alpha, alpha)``, either gives the words with the
    probability of its weight. Given that row ``i`` does, ``w ~ Beta(alpha + 1, alpha)``. SMOTE
    draws ``w`` uniformly.

    Numbers stay whole in columns where all are, in floats too, and dates whole days, hours, minutes
    or seconds, of UTC if they have a time zone. Numbers that are codes would be mixed: make
    categories of them, as by ``astype("category")``.

    Near is by the Euclidean distance of standardised numbers and dates, where two words are 1
    apart and a gap is at the mean. It takes the memory and time of
    :class:`sklearn.neighbors.NearestNeighbors`.

    The sampler keeps a copy of the table. A row whose partner is itself, or an equal one, is drawn
    as it is, so samples do not protect the persons in a table.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 2.
    .. [2] Chawla, Bowyer, Hall, Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
       Journal of Artificial Intelligence Research 16, 2002.

    Examples
    --------
    >>> from collections import Counter
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mixup import VicinalSampler
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = VicinalSampler(random_state=0).fit(X, y)
    >>> sampler.sample(3).shape, sampler.sample(3, y=2).shape
    ((3, 4), (3, 4))
    >>> X_even, y_even = VicinalSampler(random_state=0).fit_resample(X[:120], y[:120])
    >>> sorted(Counter(y_even.tolist()).items())
    [(0, 50), (1, 50), (2, 50)]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="both")],
        "pairs": [StrOptions({"nearest", "same_class", "random"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "sampling_strategy": [str, Real, Mapping, callable],
        "target_type": [StrOptions({"auto", "labels", "numbers"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha: float = 0.2,
        *,
        pairs: str = "nearest",
        n_neighbors: int = 5,
        sampling_strategy: Any = "auto",
        target_type: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.alpha = alpha
        self.pairs = pairs
        self.n_neighbors = n_neighbors
        self.sampling_strategy = sampling_strategy
        self.target_type = target_type
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any = None) -> VicinalSampler:
        """Keep a copy of a table, and learn what its columns are.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array-like, of shape (n_samples, n_columns)
            A table of two rows or more. Numbers are finite or gaps. Never written to.
        y : array-like of shape (n_samples,), default=None
            Labels or numbers, as `target_type` says.

        Returns
        -------
        VicinalSampler
            The sampler itself.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as said above, or if there are no classes for
            ``pairs="same_class"``.
        TypeError
            If X is sparse, or a table of another package.
        """
        self._validate_params()
        with unlearn_on_error(self):
            table = self._check_table(X)
            y_kept, classes, codes = None, None, None
            if y is not None:
                y_kept, classes, codes = _check_target(y, table, self.target_type)
            if classes is None and self.pairs == "same_class":
                got = "no y" if y is None else "numbers"
                raise ValueError(
                    f'`pairs="same_class"` needs a y of labels; got {got}. Use pairs="random" or '
                    '"nearest".'
                )
            self.__dict__.pop("classes_", None)
            if classes is not None:
                self.classes_ = classes
            self._pairs, self._table = self.pairs, table
            self._y: Any = y_kept
            self._codes: Any = codes
            self._columns = read_columns(table)
            self._encoded = encode(table, self._columns) if self.pairs == "nearest" else None
        return self

    def sample(
        self,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        y: Any = None,
        return_y: bool = False,
    ) -> Any:
        """Draw rows from the vicinity of the table.

        Parameters
        ----------
        n_samples : int >= 1, default=1
            Rows to draw.
        random_state : int, RandomState instance or None, default=None
            Governs the draw. None takes the sampler's own.
        y : label, default=None
            Class to draw rows of. None draws all, with the shares that they have in the data.
        return_y : bool, default=False
            Whether to return the targets of the rows as well.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_columns)
            Rows in the container, with the columns, dtypes and categories of the table.
        y : Series or ndarray of shape (n_samples,)
            Labels, or mixed numbers; if `return_y`.

        Raises
        ------
        ValueError
            If `n_samples` is not a whole number of at least 1, if `y` is no class of the data, or
            if a class to draw pairs from has one row.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
            raise ValueError(f"`n_samples` must be a whole number >= 1; got {n_samples!r}.")
        if return_y and self._y is None:
            raise ValueError("`return_y=True` needs targets; the sampler was fitted without y.")
        among = np.arange(len(self._table)) if y is None else self._rows_of(y)
        state = _state_of(self.random_state if random_state is None else random_state)
        drawn = self._draw(among, int(n_samples), state)
        X_drawn = mix_rows(self._table, self._columns, *drawn)
        return (X_drawn, self._mix_y(*drawn)) if return_y else X_drawn

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Add rows to small classes, by `sampling_strategy`: imbalanced-learn's protocol.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array-like, of shape (n_samples, n_columns)
            As for :meth:`fit`.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples_new, n_columns)
            The rows of the table, unchanged and in their order, then those that are added, class by
            class; in the container, with the columns, dtypes and categories of the table.
        y : Series or ndarray of shape (n_samples_new,)
            Their labels.

        Raises
        ------
        ValueError
            As for :meth:`fit`; if `sampling_strategy` is not as said above, names a class that is
            not there or fewer rows than a class has; if `y` holds numbers or a single class, or one
            row of a class that rows are to be added to from pairs of its own.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        self.fit(X, y)
        if "classes_" not in vars(self):
            raise ValueError(
                "fit_resample adds rows to classes; got a y of numbers. Use fit(X, y) and "
                "sample(n, return_y=True)."
            )
        n_of = np.bincount(self._codes).tolist()
        counts = dict(zip(list_labels(self.classes_), n_of, strict=True))
        self.sampling_strategy_ = count_missing(self.sampling_strategy, counts, y)
        state = _state_of(self.random_state)
        kept = np.arange(len(self._table))
        parts = [(kept, kept, np.ones(len(kept)))]
        for name, n_rows in self.sampling_strategy_.items():
            parts.append(self._draw(self._rows_of(name), n_rows, state))
        drawn = [np.concatenate(part) for part in zip(*parts, strict=True)]
        return mix_rows(self._table, self._columns, *drawn), self._mix_y(*drawn)

    # -- what is drawn ------------------------------------------------------------------------

    def _draw(
        self, among: np.ndarray, n_samples: int, state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw rows that give the words, their partners, and the weight of the first."""
        self._check_pairs(among)
        rows = among[state.randint(len(among), size=n_samples)]
        rng = torch.Generator("cpu").manual_seed(int(state.randint(2**31 - 1)))
        lam = sample_lam(self.alpha, len(rows), rng=rng).numpy()
        partner, is_own = self._draw_partner(rows, state), state.random_sample(len(rows)) < lam
        # Of two rows the one that is drawn gives the words, which makes its weight the larger. So
        # each row gives as many as any other, however many others it is near to.
        return rows, partner, np.where(is_own, lam, 1 - lam)

    def _draw_partner(self, rows: np.ndarray, state: np.random.RandomState) -> np.ndarray:
        """Draw the row that each row is mixed with."""
        if self._pairs == "random":
            return state.randint(len(self._table), size=len(rows))
        codes = np.zeros(len(self._table), dtype=int) if self._codes is None else self._codes
        partner = np.empty_like(rows)
        for code in np.unique(codes[rows]):
            places, among = np.flatnonzero(codes[rows] == code), np.flatnonzero(codes == code)
            if self._pairs == "same_class":
                partner[places] = among[state.randint(len(among), size=len(places))]
                continue
            each, back = np.unique(rows[places], return_inverse=True)
            near = find_nearest(self._encoded, each, among, self.n_neighbors)
            partner[places] = near[back, state.randint(near.shape[1], size=len(places))]
        return partner

    def _mix_y(self, rows: np.ndarray, partner: np.ndarray, weight: np.ndarray) -> Any:
        """Make the targets of drawn rows: labels are whole, numbers mixed."""
        if self._codes is not None:
            return take_anew(self._y, rows)
        table = _as_table(self._y)
        mixed = mix_rows(table, read_columns(table), rows, partner, weight)
        if is_frame(mixed):
            return mixed.to_series() if is_polars(mixed) else mixed.iloc[:, 0]
        return mixed.ravel()

    def _check_pairs(self, among: np.ndarray) -> None:
        """Raise ValueError for a class of one row, in which there is no pair."""
        if self._codes is None or self._pairs == "random":
            return
        drawn = np.unique(self._codes[among])
        alone = drawn[np.bincount(self._codes)[drawn] < 2]
        if len(alone):
            raise ValueError(
                f"Each class must have two rows or more to draw pairs from (pairs="
                f"{self._pairs!r}); {len(alone)} of {len(self.classes_)} have a single row: "
                f"{list_some(self.classes_[alone])}. Drop or merge them, or use "
                'pairs="random". If y holds numbers to be mixed, say target_type="numbers".'
            )

    def _rows_of(self, label: Any) -> np.ndarray:
        """List the rows of a class."""
        if "classes_" not in vars(self):
            raise ValueError(
                f"`y` must be a class to draw rows of; got {label!r}, and the sampler was fitted "
                f"{'without y' if self._y is None else 'to a y of numbers'}."
            )
        return np.flatnonzero(self._codes == find_class(self.classes_, label))

    def _check_table(self, X: Any) -> Any:
        """Check a table, and copy it."""
        table = read_table(self, X, reset=True)
        if len(table) < 2:
            raise ValueError(
                "X must have two rows at least, to mix one with the other; got n_samples=1."
            )
        return table.clone() if is_polars(table) else table.copy()


def _state_of(random_state: Any) -> np.random.RandomState:
    """Get what is drawn from; None leaves NumPy's global generator alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def _check_target(
    y: Any, table: Any, target_type: str
) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
    """Check targets; return a copy, and for labels the classes and the code of each row."""
    kept, values = read_target(y, table)
    if target_type == "auto":
        target_type = "numbers" if has_fractions(values) else "labels"
    if target_type == "numbers":
        check_array(values, ensure_2d=False, dtype=np.float64, input_name="y")
        if read_column(_as_table(kept), 0, "y") is None:
            raise ValueError(
                'With target_type="numbers" y is mixed, so it must hold numbers; got '
                f"{values[0]!r}. Make it floats, as by np.asarray(y, dtype=float)."
            )
        return kept, None, None
    return kept, *read_classes(kept, values)


def _as_table(y: Any) -> Any:
    """Make a table of one column of a target."""
    return y.to_frame() if hasattr(y, "to_frame") else y.reshape(-1, 1)
