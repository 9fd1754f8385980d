"""TabularMixupClassifier: any table in, a committee of nets, probabilities to trust out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from torch import Tensor

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.predict import probabilities
from sklearn_mixup._net.checks import check_labels_repeat, check_y
from sklearn_mixup._net.labels import Labels
from sklearn_mixup._tabular.base import TabularMixup
from sklearn_mixup._tabular.others import list_classifiers
from sklearn_mixup._tabular.rows import Rows
from sklearn_mixup._tabular.select import find_temperature, heat, log_loss, weigh

__all__ = ["TabularMixupClassifier"]


class TabularMixupClassifier(ClassifierMixin, TabularMixup):
    """A classifier for tables as they come: a committee of networks, trained with mixup.

    Words, dates, gaps and numbers of any size are encoded by `skrub <https://skrub-data.org>`_,
    which comes with the extra ``tables``. Each network leaves out some of the rows, and keeps the
    weights of the epoch that is best on these, so that it stops before it overfits where classes
    overlap. All networks are trained as one stack. A few classifiers of scikit-learn stand beside
    them, since on some tables trees know better. What each says of the rows that it did not train
    on sets its share in the mean [1]_, and one temperature for all.

    Parameters
    ----------
    n_estimators : int or "auto", default="auto"
        Networks that are trained with each of the settings. Each leaves out an eighth of the rows,
        by class; after eight networks there is another round with other eighths. "auto" is 16 for
        fewer than 500 rows, 4 for more than 20,000, and 8 between.
    settings : list of dict, default=None
        Settings of networks, as in ``[{"alpha": 0}, {"alpha": 1}, {"module__hidden_sizes":
        (256,)}]``: parameters of :class:`MixupClassifier`; and ``"bins"``, which shows numbers to
        the networks piece by piece too (piecewise linear encoding [2]_), in so many bins. None is
        ``alpha=0.2`` with bins and without. What a setting does not name is that of
        :class:`MixupClassifier`, but for `max_epochs`.
    others : list of classifiers, default=None
        Classifiers with ``predict_proba`` that stand beside the networks; they take the encoded
        rows. None is :class:`~sklearn.linear_model.LogisticRegression`,
        :class:`~sklearn.ensemble.RandomForestClassifier`,
        :class:`~sklearn.ensemble.ExtraTreesClassifier` and, where its trees are not too many,
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`; ``()`` is networks alone. Each is
        fitted on all rows, and once without each part that networks leave out.
    max_epochs : int, default=64
        Epochs of each network; the learning rate falls to zero over them.
    class_weight : dict or "balanced", default=None
        Weight of each class, by label. "balanced" is ``n_samples / (n_classes * bincount(y))``.
    time_limit_s : float, default=None
        Seconds that training may take, all in all. When they are over the networks are what they
        have learned by then, one epoch at least; settings and others for which there is no time are
        not tried. So the result depends on the machine. None is no limit.
    random_state : int, RandomState instance or None, default=None
        Governs the encoding, what is left out and all that the networks draw: the same state gives
        the same bits on one device.
    n_jobs : int, default=None
        How many threads train, as in :class:`FusedGridSearchCV`.
    verbose : int, default=0
        1 shows the progress of training.
    device : str or torch.device, default="auto"
        "auto" is CUDA, else MPS, else the CPU.
    engine : {"torch", "numba"}, default="torch"
        As of :class:`MixupClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of columns, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X was a DataFrame.
    estimators_ : list of classifiers
        The networks that have a share, then the others; they take encoded rows, and know the
        classes as 0, 1, ...
    estimator_weights_ : ndarray of shape (n_estimators,)
        The weight of each in the mean of their probabilities; they sum to 1.
    estimator_settings_ : list of int
        Which of `settings_` each has.
    settings_ : list of dict and of classifiers
        The settings of networks that were tried, then the others, not fitted.
    setting_weights_ : ndarray of shape (n_settings,)
        The share of each of them; 0 if it is not worth its time. Before any row is seen networks
        have one half and others one half, which weighs as much as ten rows do.
    temperature_ : float
        What the logits of the mean are divided by; above 1 it was too sure of itself. The fewer
        rows there are, the closer it is to 1.
    validation_loss_ : float
        The log-loss on the rows left out. A little too good, since it chose shares and epochs;
        NaN if no class has two rows.

    See Also
    --------
    MixupClassifier : The network alone. ``skrub.tabular_pipeline(MixupClassifier())`` takes such
        tables too, and trains one network on all of the rows, for all of the epochs.

    Notes
    -----
    A word that was not there in ``fit`` is none of the words; a gap in a column that had none is
    its median. Rows are weighed as in :class:`MixupClassifier`, and the weights count in all that
    is chosen. A row that is the only one of its class is left out by no network.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson, Gelman, "Using Stacking to Average Bayesian Predictive
       Distributions", Bayesian Analysis 2018.
    .. [2] Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
       Learning", NeurIPS 2022.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mixup import TabularMixupClassifier
    >>> df = pd.DataFrame({
    ...     "size": [1.2, None, 3.1, 2.9] * 10,
    ...     "colour": ["red", "blue", None, "red"] * 10,
    ...     "seen": pd.to_datetime(["2024-01-03", "2024-02-29", "2023-05-31", None] * 10),
    ... })
    >>> clf = TabularMixupClassifier(n_estimators=2, max_epochs=8, random_state=0)
    >>> clf.fit(df, ["cat", "cat", "dog", "dog"] * 10).predict(df[:4]).tolist()
    ['cat', 'cat', 'dog', 'dog']
    """

    _net_type = MixupClassifier
    _own = ("class_weight", "classes")
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularMixup._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        n_estimators: int | str = "auto",
        settings: Sequence[Mapping[str, Any]] | None = None,
        others: Sequence[Any] | None = None,
        max_epochs: int = 64,
        class_weight: Any = None,
        time_limit_s: float | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: Any = "auto",
        engine: str = "torch",
    ) -> None:
        self.n_estimators = n_estimators
        self.settings = settings
        self.others = others
        self.max_epochs = max_epochs
        self.class_weight = class_weight
        self.time_limit_s = time_limit_s
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device
        self.engine = engine

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularMixupClassifier:
        """Encode a table, train committees on it, and choose among them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            The table: a DataFrame of pandas or polars, a table of pyarrow, an array or a list of
            rows. Columns of any kind, with gaps. Never written to.
        y : array-like of shape (n_samples,)
            A label for each row, of any kind that scikit-learn takes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; they count when epochs, settings and the temperature are
            chosen too. Whole numbers that make the table at most ten times as long are counts: a
            row of weight 2 is that row twice. A row of weight 0 is left out.

        Returns
        -------
        TabularMixupClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above, y has one class, or no column of
            X varies.
        ImportError
            If skrub is not there.
        """
        return self._fit(X, y, sample_weight)

    # -- what depends on what is predicted ------------------------------------------------------

    def _check_y(self, y: Any) -> tuple[np.ndarray, str]:
        y, kind = check_y(y)
        if kind != "multiclass":
            raise ValueError(
                f"y must hold one label a row; got {kind} of shape {y.shape}. MixupClassifier "
                "takes these, as in skrub.tabular_pipeline(MixupClassifier())."
            )
        return y, kind

    def _learn(self, y: np.ndarray, kind: str, weight: np.ndarray | None) -> Labels:
        labels = Labels(kind, np.unique(y))
        labels.check_several()
        check_labels_repeat(y, labels.known)
        return labels

    def _weigh_classes(
        self, targets: Labels, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray:
        weights = targets.weigh(self.class_weight, y, weight)
        return np.ones(len(targets.known)) if weights is None else weights

    def _settle(self, rows: Rows) -> dict[str, Any]:
        assert rows.class_weight is not None
        weights = dict(enumerate(rows.class_weight.tolist()))
        return {"classes": [*weights], "class_weight": weights}

    def _list_others(self, rows: Rows) -> list[Any]:
        return list_classifiers(len(rows), rows.X.shape[1], rows.n_told)

    def _weigh(self, found: np.ndarray, rows: Rows, prior: np.ndarray, n_prior: float) -> None:
        self.temperature_ = 1.0
        if rows.weigh_nothing:
            return
        codes, weight = rows.y, rows.full_weight
        self.setting_weights_ = weigh(found, codes, weight, prior, n_prior)
        mean = np.tensordot(self.setting_weights_, found, 1)
        self.temperature_ = find_temperature(mean, codes, weight)
        self.validation_loss_ = log_loss(heat(mean, self.temperature_), codes, weight)

    def _keep(self, targets: Labels) -> None:
        self.classes_ = targets.known

    def _read(self, nets: Sequence[Any], outputs: Tensor) -> Tensor:
        return probabilities(nets[0], outputs)

    # -- prediction -----------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A table with the columns that ``fit`` has seen. A word that was not there is no word,
            whatever is missing a gap.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the columns are others, or hold another kind of thing.
        """
        return heat(self._average(X), self.temperature_)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the labels: those of the largest probability.

        Parameters
        ----------
        X : as for :meth:`predict_proba`
            A table.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        proba = self.predict_proba(X)  # It says what is missing before a fit.
        return self.classes_[proba.argmax(axis=1)]
