"""What makes tables out of a table: SMOTE, a Gaussian copula, and the rows themselves.

Each has ``fit(X, y)`` and ``sample(n_samples, return_y=True)``, as the makers of this package have.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

_GAP = "missing"
Rows = tuple[pd.DataFrame, np.ndarray]


class RealRows:
    """The rows themselves, as many as there are."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> RealRows:
        """Keep the rows."""
        self._rows = X, y
        return self

    def sample(self, n_samples: int, *, return_y: bool = True) -> Rows:
        """Give the rows back, in their order."""
        X, y = self._rows
        return X.iloc[:n_samples].reset_index(drop=True), y[:n_samples]


class Smote:
    """SMOTE [1]_ of imbalanced-learn at its defaults, told to make a whole table.

    Each class is asked for as many more rows as it is to have, and the real ones are left out.
    Numbers are near by their standard deviations, as imbalanced-learn advises, and rounded where
    all are whole. What it cannot take, gaps, are words (`Complete`).

    References
    ----------
    .. [1] Chawla, Bowyer, Hall, Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
       Journal of Artificial Intelligence Research 16, 2002.
    """

    def __init__(self, random_state: int) -> None:
        from imblearn import over_sampling  # takes longer than all that it is here for

        self.random_state = random_state
        self._makers = over_sampling

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Smote:
        """Keep the rows, without gaps."""
        self._gaps, self._y = Complete(X), y
        self._X = self._gaps.fill(X)
        numbers = self._X.select_dtypes("number")
        self._whole = [name for name in numbers if (numbers[name] % 1 == 0).all()]
        # To the nearest power of two, so that no digit is lost on the way and back.
        spread = numbers.std().where(lambda it: it > 0, 1.0)
        self._scale = 2.0 ** np.rint(np.log2(spread))
        return self

    def sample(self, n_samples: int, *, return_y: bool = True) -> Rows:
        """Make rows, class by class."""
        rng = np.random.default_rng(self.random_state)
        found, counts = np.unique(self._y, return_counts=True)
        n_new = rng.multinomial(n_samples, counts / counts.sum())
        strategy = dict(zip(found.tolist(), (counts + n_new).tolist(), strict=True))
        options = {"sampling_strategy": strategy, "random_state": self.random_state}
        X, numbers = self._X.copy(), list(self._scale.index)
        X[numbers] = X[numbers] / self._scale
        if len(numbers) == X.shape[1]:
            maker = self._makers.SMOTE(**options)
        elif numbers:
            maker = self._makers.SMOTENC([name for name in X if name not in numbers], **options)
        else:
            maker = self._makers.SMOTEN(**options)
        made, labels = maker.fit_resample(X, self._y)
        made, labels = made.iloc[len(X) :].reset_index(drop=True), labels[len(X) :]
        made[numbers] = made[numbers] * self._scale
        made[self._whole] = made[self._whole].round()
        return self._gaps.reopen(made.astype(self._X.dtypes)), labels


class Copula:
    """A Gaussian copula for each class: the values of its rows, the correlations of their ranks.

    With ``Phi`` the distribution function of the normal distribution, and ``F_j`` that of column
    ``j`` in the rows, the scores ``Phi^-1(F_j(x_j))`` are taken for normal. A row that is made is
    ``F_j^-1(Phi(z_j))`` of a ``z`` drawn with the correlations of the scores. Words are codes, the
    most frequent first, so a word is what lies between two thresholds of a score; equal values have
    the score of the middle of their ranks. Gaps are words (`Complete`).
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Copula:
        """Learn values and correlations."""
        self._gaps, self._labels = Complete(X), y
        filled = self._gaps.fill(X)
        self._dtypes = filled.dtypes
        words = filled.select_dtypes(exclude="number")
        self._words = {name: words[name].value_counts().index for name in words}
        values = filled.copy()
        for name, known in self._words.items():
            values[name] = known.get_indexer(filled[name])
        table = values.to_numpy(dtype=float)
        self._of_class = {label: learn_copula(table[y == label]) for label in np.unique(y).tolist()}
        return self

    def sample(self, n_samples: int, *, return_y: bool = True) -> Rows:
        """Make rows, class by class."""
        rng = np.random.default_rng(self.random_state)
        labels = np.sort(rng.choice(self._labels, n_samples))
        made = np.concatenate(
            [
                sample_copula(*of_class, n_samples=int((labels == label).sum()), rng=rng)
                for label, of_class in self._of_class.items()
            ]
        )
        frame = pd.DataFrame(made, columns=self._dtypes.index)
        for name, known in self._words.items():
            frame[name] = known[frame[name].astype(int)]
        return self._gaps.reopen(frame.astype(self._dtypes)), labels


def learn_copula(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Learn the sorted values of each column, and the correlations of their normal scores."""
    n_rows = len(values)
    scores = stats.norm.ppf((stats.rankdata(values, axis=0) - 0.5) / n_rows)
    scores -= scores.mean(axis=0)
    spread = scores.std(axis=0)
    scores = np.divide(scores, spread, out=np.zeros_like(scores), where=spread > 1e-9)
    correlations = scores.T @ scores / n_rows
    np.fill_diagonal(correlations, 1.0)  # a column of one value is by itself
    return np.sort(values, axis=0), correlations


def sample_copula(
    values: np.ndarray, correlations: np.ndarray, *, n_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw rows of what `learn_copula` learned."""
    mean = np.zeros(len(correlations))
    z = rng.multivariate_normal(mean, correlations, n_samples, method="eigh")
    place = (stats.norm.cdf(z) * len(values)).astype(int).clip(max=len(values) - 1)
    return np.take_along_axis(values, place, axis=0)


class Complete:
    """A table without gaps, and back: a gap is a word, and one among numbers a column of words."""

    def __init__(self, X: pd.DataFrame) -> None:
        has_gaps = X.columns[X.isna().any()]
        numbers = X.select_dtypes("number").columns
        self._dtypes = X.dtypes
        self._medians = X[[name for name in has_gaps if name in numbers]].median().fillna(0.0)
        self._words = [name for name in has_gaps if name not in numbers]

    def fill(self, X: pd.DataFrame) -> pd.DataFrame:
        """Name the gaps."""
        filled = X.reset_index(drop=True).fillna(self._medians.to_dict())
        for name in self._words:
            filled[name] = filled[name].cat.add_categories([_GAP]).fillna(_GAP)
        for name in self._medians.index:
            is_gap = pd.Series(np.where(X[name].isna(), _GAP, "known"))
            filled[f"{name}: {_GAP}"] = is_gap.astype(pd.CategoricalDtype([_GAP, "known"]))
        return filled

    def reopen(self, filled: pd.DataFrame) -> pd.DataFrame:
        """Make gaps of what names them."""
        X = filled[list(self._dtypes.index)].copy()
        for name in self._medians.index:
            X[name] = X[name].mask(filled[f"{name}: {_GAP}"] == _GAP)
        for name in self._words:
            X[name] = X[name].cat.remove_categories([_GAP])
        return X.astype(self._dtypes)
