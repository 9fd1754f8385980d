"""What ensembles of nets share: the rows and features of each net, and how all are trained."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import BaseEnsemble
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._doc_link import linked
from sklearn_mixup._fused.average import average, score_out_of_bag
from sklearn_mixup._fused.draws import Draws
from sklearn_mixup._fused.members import Given, check_given, make_members
from sklearn_mixup._fused.plan import NetEnsemble, Plan, fit_all
from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._net.checks import check_outputs, is_dict

_MAX_SEED = np.iinfo(np.int32).max  # as scikit-learn's ensembles draw them

BAGGING_CONSTRAINTS: dict[str, list[Any]] = {
    "max_samples": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="right"),
        None,
    ],
    "max_fused": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
}


@linked
class FusedBagging(NetEnsemble, BaseEnsemble):
    """An ensemble of scikit-learn's bagging whose nets are trained, and asked, all at once."""

    # What it trains, and where it keeps what the nets say of the rows that they do not know.
    _net_type: ClassVar[type]
    _oob_name: ClassVar[str]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = get_tags(final_step(self._get_estimator()))
        if tags.classifier_tags is not None and known.classifier_tags is not None:
            tags.classifier_tags.multi_label = known.classifier_tags.multi_label
        tags.target_tags.multi_output = known.target_tags.multi_output
        tags.input_tags.three_d_array = known.input_tags.three_d_array
        return tags

    def _get_estimator(self) -> Any:
        return self._net_type() if self.estimator is None else self.estimator

    @abstractmethod
    def _learn_targets(self, nets: Sequence[Any]) -> None:
        """Learn of the trained nets what they predict."""

    @abstractmethod
    def _columns_of(self, net: Any) -> np.ndarray:
        """Find the places of what a net predicts among what the ensemble does."""

    @abstractmethod
    def _read(self, nets: Sequence[Any], outputs: Tensor) -> Tensor:
        """Turn outputs (n_samples, n_nets, n_outputs) into what is averaged."""

    @abstractmethod
    def _score_mean(self, y: Any, mean: np.ndarray) -> float:
        """Compute the score of what the nets say of rows on average."""

    def _shape(self, mean: np.ndarray) -> np.ndarray:
        """Give what is said of rows on average the shape that a user knows."""
        return mean

    def _average(self, X: Any) -> np.ndarray:
        """Average what the nets say of rows."""
        if "estimators_" not in vars(self):
            check_is_fitted(self)  # It says so at length.
        return check_outputs(average(self, _as_shaped(X)))

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Train the networks, all at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs: what the estimator takes, but for torch Datasets.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, as ``fit`` of the estimator takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, in the objective of each network: of those of its rows, which
            are drawn whatever their weights. Transformers of a Pipeline are not told.
        **fit_params : dict of str -> object
            Passed to ``fit`` of the estimator; only with metadata routing enabled.

        Returns
        -------
        FusedBaggingClassifier or FusedBaggingRegressor
            The ensemble itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above; what a network or a transformer
            raises.
        TypeError
            If `estimator` is nothing that can be trained as a stack, or X is a torch Dataset.
        KeyboardInterrupt
            If somebody presses Ctrl-C. If all networks have trained for an epoch, the ensemble is
            made of what they have learned, else it stays as it was.
        """
        params = {"sample_weight": sample_weight, **fit_params}
        ((outcome, _),) = fit_all(
            [self],
            [X],
            [y],
            [params],
            max_fused=self.max_fused,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            stacklevel=4,
        )
        if isinstance(outcome, Exception):
            raise outcome
        return self

    def _plan_fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Plan:
        """Draw rows and features, and make the networks; `self` changes when they are trained."""
        given = check_given(self, _as_shaped(X), y, sample_weight, fit_params)
        planned = copy.copy(self)
        if not (self.warm_start and hasattr(self, "estimators_")):
            planned.estimators_, planned.estimators_features_, planned._draws = [], [], []
        else:
            planned.estimators_ = [*self.estimators_]
            planned.estimators_features_ = [*self.estimators_features_]
        n_before = len(planned.estimators_)
        n_more = self.n_estimators - n_before
        if n_more < 0:
            raise ValueError(
                "With warm_start=True networks are only added: `n_estimators` must be at least "
                f"{n_before}, which are there; got {self.n_estimators}."
            )
        if n_more == 0:
            warnings.warn(
                f"With warm_start=True and the {n_before} networks that are there, `n_estimators` "
                "asks for no other; none is trained.",
                stacklevel=5,
            )
            return Plan([], lambda: self)
        for name in ("oob_score_", self._oob_name):
            planned.__dict__.pop(name, None)
        planned.estimator_ = self._get_estimator()
        draws = planned._learn_columns(given.X, len(given.y))
        # None is a seed that nobody knows: the global generator of NumPy is left alone.
        rng = (
            np.random.RandomState()
            if self.random_state is None
            else check_random_state(self.random_state)
        )
        rng.randint(_MAX_SEED, size=n_before)
        seeds = rng.randint(_MAX_SEED, size=n_more)
        planned._draws = [*planned._draws, *((seed, draws) for seed in seeds)]
        members = [*make_members(planned, seeds, draws, given)]
        planned.estimators_ += [member.estimator for member in members]
        planned.estimators_features_ += [member.features for member in members]
        return Plan(
            [member.job for member in members],
            lambda: self._become(planned, given),
            [member.validation for member in members],
        )

    @property
    def estimators_samples_(self) -> list[np.ndarray]:
        """The rows drawn for each network; drawn anew each time that they are asked for."""
        check_is_fitted(self)
        return [draws.draw(seed)[1] for seed, draws in self._draws]

    def _learn_columns(self, X: Any, n_samples: int) -> Draws:
        """Note the features of X, and find how many rows and features each network gets."""
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if not is_dict(X) and len(X.shape) > 1:
            validate_data(self, X, skip_check_array=True)
        is_table = not is_dict(X) and len(X.shape) == 2
        return Draws.make(self, n_samples, self.n_features_in_ if is_table else None)

    def _become(self, planned: Any, given: Given) -> Any:
        """Take over what a plan has come to."""
        nets = [final_step(member) for member in planned.estimators_]
        planned._learn_targets(nets)
        planned._stacks = Stacks()
        if self.oob_score:
            mean, planned.oob_score_ = score_out_of_bag(planned, given.X, given.y)
            setattr(planned, self._oob_name, planned._shape(mean))
        self.__dict__ = planned.__dict__
        return self


def _as_shaped(X: Any) -> Any:
    """Give what has no shape, such as a list, that of an array; take a tensor off its graph."""
    if isinstance(X, Tensor):
        return X.detach()  # scikit-learn's transformers take no other
    has_shape = hasattr(X, "shape") or isinstance(X, Mapping) or is_dataset(X)
    if has_shape:
        return X
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X must hold rows of one length and kind; NumPy says: {error}") from error
