"""What committees on a table share: how rows become members with shares, and these a mean."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mixup._doc_link import linked
from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._net.checks import check_outputs, check_sample_weight
from sklearn_mixup._net.tables import check_table, take
from sklearn_mixup._net.vicinal_net import VicinalNet
from sklearn_mixup._tabular.bins import Bins
from sklearn_mixup._tabular.committee import MAX_SEED, make_committees, out_of_fold, tell, train
from sklearn_mixup._tabular.encode import TableEncoder
from sklearn_mixup._tabular.others import check_others, fit_others
from sklearn_mixup._tabular.rows import Rows, deal_folds
from sklearn_mixup._tabular.select import N_PRIOR
from sklearn_mixup.minibatches import content_order

# Weights of whole numbers are counts if they make the table so many times as long at most.
_LONGEST = 10
# Parameters of a net that are not for a setting to change.
_COMMON = ("callbacks", "device", "engine", "random_state", "train_split", "warm_start")
_N_BINS = 16
# What committees differ in, if the user does not say: `bins` are those of numbers.
SETTINGS: tuple[dict[str, Any], ...] = ({"alpha": 0.2}, {"alpha": 0.2, "bins": _N_BINS})
_MOST_BINNED = 150
_MOST_NUMBERS = 2**26


@linked
class TabularMixup(BaseEstimator):
    """A committee of nets and others on a table, whatever it predicts."""

    # What is trained, and its parameters that are not for a setting to change.
    _net_type: ClassVar[type[VicinalNet]]
    _own: ClassVar[tuple[str, ...]]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "settings": [list, tuple, None],
        "others": [list, tuple, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "time_limit_s": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "engine": [StrOptions({"torch", "numba"})],
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    # -- what depends on what is predicted ----------------------------------------------------

    @abstractmethod
    def _check_y(self, y: Any) -> tuple[np.ndarray, str]:
        """Check targets, and tell what they are."""

    @abstractmethod
    def _learn(self, y: np.ndarray, kind: str, weight: np.ndarray | None) -> Any:
        """Learn what the targets of rows that have weight are: `Labels` or `Numbers`."""

    @abstractmethod
    def _weigh_classes(
        self, targets: Any, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Compute the weight of each class, if there are some."""

    @abstractmethod
    def _settle(self, rows: Rows) -> dict[str, Any]:
        """Settle the parameters that nets have in common for what they predict."""

    @abstractmethod
    def _list_others(self, rows: Rows) -> list[Any]:
        """List the estimators beside the nets, if the user names none."""

    @abstractmethod
    def _weigh(self, found: np.ndarray, rows: Rows, prior: np.ndarray, n_prior: float) -> None:
        """Find the shares by what all say of rows, and the loss of the mean, if any have weight."""

    @abstractmethod
    def _keep(self, targets: Any) -> None:
        """Keep what was learned of the targets."""

    @abstractmethod
    def _read(self, nets: Sequence[Any], outputs: torch.Tensor) -> torch.Tensor:
        """Turn outputs (n_samples, n_nets, n_told) into what is averaged."""

    # -- training -------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """Encode a table, train committees on it, and weigh them and others."""
        deadline = None if self.time_limit_s is None else time.perf_counter() + self.time_limit_s
        self._validate_params()
        X = self._check_X(X, reset=True)
        X, y, kind, weight = self._check_rows(X, y, sample_weight)
        targets = self._learn(y, kind, weight)
        state = self.random_state
        # None is a seed that nobody knows: the global generator of NumPy is left alone.
        rng = np.random.RandomState() if state is None else check_random_state(state)
        encoder = TableEncoder(rng.randint(MAX_SEED))
        encoded, told = encoder.fit_transform(X), targets.encode(y)
        # From here on the order in which the rows were stored makes no difference.
        order = content_order(torch.tensor(encoded), torch.tensor(told)).numpy()
        rows = Rows(encoded, told, weight, self._weigh_classes(targets, y, weight)).take(order)
        check_others(self.others or (), rows)
        settings, bins = self._bin(self._list_settings(), rows)
        views = {n: rows.encoded_as(own.transform(rows.X)) for n, own in bins.items()}
        tables = [views.get(own.get("bins", 0), rows) for own in settings]
        n_estimators = self.n_estimators
        if isinstance(n_estimators, str):
            n_estimators = 16 if len(rows) < 500 else 8 if len(rows) <= 20_000 else 4
        committees, left_out = train(
            make_committees(
                self._net_type,
                [{name: own[name] for name in own if name != "bins"} for own in settings],
                n_estimators,
                rng,
                max_epochs=self.max_epochs,
                device=self.device,
                engine=self.engine,
                **self._settle(rows),
            ),
            tables,
            deal_folds(rows.strata, n_estimators, rng),
            deadline=deadline,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        tables = tables[: len(committees)]
        known, found = out_of_fold(committees, tables, left_out)
        others: list[Any] = []
        if not rows.take(known).weigh_nothing:
            named = self._list_others(rows) if self.others is None else self.others
            others, said = fit_others(
                named, rows, left_out, rng, deadline=deadline, n_jobs=self.n_jobs
            )
            found = np.concatenate([found, said])
        self.settings_ = [*map(dict, settings[: len(committees)]), *map(clone, others)]
        self._keep(targets)
        self._choose(committees, others, found, rows.take(known))
        self._encoder, self._bins, self._n_told = encoder, bins, rows.n_told
        self._stacks = Stacks()
        return self

    def _check_X(self, X: Any, *, reset: bool) -> Any:  # noqa: N802
        """Check a table, its columns and their names."""
        X = check_table(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, np.ndarray, str, np.ndarray | None]:
        """Check targets and weights; repeat rows that count many times, drop those that do not.

        Returns the table, the targets, what these are, and the weights.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y, kind = self._check_y(y)
        check_consistent_length(X, y)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, len(y))
            counts = weight > 0
            if (weight == np.rint(weight)).all() and weight.sum() <= _LONGEST * len(y):
                counts, weight = weight, None
            visits = np.repeat(np.arange(len(y)), counts.astype(int))
            X, y, weight = take(X, visits), y[visits], None if weight is None else weight[visits]
        return X, y, kind, weight

    def _list_settings(self) -> Sequence[Mapping[str, Any]]:
        """Check the settings to choose among."""
        settings = SETTINGS if self.settings is None else self.settings
        if not len(settings) or not all(isinstance(setting, Mapping) for setting in settings):
            raise ValueError(
                f"`settings` must hold a dict of parameters of {self._net_type.__name__} at least; "
                f"got {settings!r}. Use [{{}}] for its defaults."
            )
        if taken := sorted(
            {*_COMMON, *self._own} & {name for setting in settings for name in setting}
        ):
            raise ValueError(
                f"`settings` must not set {', '.join(taken)}, which all networks have in common. "
                f"Set parameters of that name of {type(self).__name__}, or leave them alone."
            )
        for own in settings:
            n_bins = own.get("bins", 0)
            if not isinstance(n_bins, Integral) or not (n_bins == 0 or int(n_bins) > 1):
                raise ValueError(f"`bins` of a setting must be 0 or an int > 1; got {n_bins!r}.")
        return settings

    def _bin(
        self, settings: Sequence[Mapping[str, Any]], rows: Rows
    ) -> tuple[Sequence[Mapping[str, Any]], dict[int, Bins]]:
        """Find the bins that settings ask for; leave out defaults whose bins cost too much."""
        bins = {n: Bins(n).fit(rows.X) for n in {own.get("bins", 0) for own in settings} if n}
        if self.settings is None:
            # Bins of many columns, or rows, would cost more than they bring.
            bins = {
                n: own
                for n, own in bins.items()
                if len(own.edges) <= _MOST_BINNED and own.n_encoded * len(rows) <= _MOST_NUMBERS
            }
            settings = [own for own in settings if own.get("bins", 0) in {0, *bins}]
        return settings, bins

    def _choose(
        self,
        committees: Sequence[Any],
        others: Sequence[Any],
        found: np.ndarray,
        rows: Rows,
        n_prior: float = N_PRIOR,
    ) -> None:
        """Weigh committees and others by what they say of rows that they did not train on."""
        n_each = [n for n in (len(committees), len(others)) if n]
        prior = np.concatenate([np.full(n, 1 / n / len(n_each)) for n in n_each])
        self.setting_weights_, self.validation_loss_ = np.eye(len(found))[0], np.nan
        self._weigh(found, rows, prior, n_prior)
        self.estimators_, self.estimator_settings_, weights = [], [], []
        for i, members in enumerate([*committees, *([other] for other in others)]):
            if (share := self.setting_weights_[i]) > 0:
                self.estimators_ += members
                self.estimator_settings_ += [i] * len(members)
                weights += [share / len(members)] * len(members)
        self.estimator_weights_ = np.array(weights)

    # -- prediction -----------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_encoder")  # One that was interrupted knows its columns alone.

    def _average(self, X: Any) -> np.ndarray:
        """Average what all members say of the rows of a table, by their weights."""
        check_is_fitted(self)
        rows = self._encoder.transform(self._check_X(X, reset=False))
        tables = {0: rows, **{n: own.transform(rows) for n, own in self._bins.items()}}
        settings = [self.settings_[i] for i in self.estimator_settings_]  # networks come first
        n_bins = [own.get("bins", 0) for own in settings if isinstance(own, dict)]
        nets, others = self.estimators_[: len(n_bins)], self.estimators_[len(n_bins) :]
        self._stacks.update(nets, [str(n).encode() for n in n_bins])
        mean = np.zeros((len(rows), self._n_told))
        for members, outputs in self._stacks.outputs(nets, lambda i: tables[n_bins[i]]):
            # The last bits of the double precision in there tell the place of a row.
            said = self._read([nets[i] for i in members], outputs).float().cpu().numpy()
            mean += (said * self.estimator_weights_[members, None]).sum(axis=1)
        for other, weight in zip(others, self.estimator_weights_[len(nets) :], strict=True):
            mean += weight * tell(other, rows, self._n_told).astype(np.float32)
        return check_outputs(mean)
