"""The fused searches are scikit-learn's own: same results, each net trained in one go."""

import contextlib
import inspect
import io
import pickle
import re
import time
from copy import deepcopy

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.parallel import ThreadingBackend, register_parallel_backend
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_mixup._fused.plan as plan_module
from sklearn_mixup import FusedGridSearchCV, FusedRandomizedSearchCV, MixupClassifier
from sklearn_mixup.modules import MLP
from tests.rounding import ROUNDING

pytestmark = pytest.mark.usefixtures("float64")

ALPHAS = {"alpha": [0, 0.2, 1]}
NET_ALPHAS = {"net__alpha": [0, 0.2]}


def make_net(**params):
    small = {"module__hidden_sizes": (8,), "max_epochs": 3, "lr": 0.02, "random_state": 0}
    return MixupClassifier(**{**small, "device": "cpu", **params})


def make_pipe(*before, **params):
    steps = before or (("scale", StandardScaler()), ("select", SelectKBest(k=3)))
    return Pipeline([*steps, ("net", make_net(**params))])


def show(thing):
    """Represent what may hold estimators, which do not compare, without its addresses."""
    return re.sub(r" at 0x\w+", "", repr(thing))


def assert_same_search(fused, plain):
    """Compare all that a search has learned, but for seconds."""
    assert list(fused.cv_results_) == list(plain.cv_results_)
    for name, column in plain.cv_results_.items():
        own = fused.cv_results_[name]
        if name == "params":
            assert show(own) == show(column)
        elif name.startswith("param_"):
            assert_array_equal(own.mask, column.mask)
            assert own.dtype == column.dtype
            assert show(own) == show(column)
        elif "_time" in name:
            assert (own >= 0).all()
        elif name.startswith("rank_"):  # Rounding breaks ties.
            mean = plain.cv_results_[name.replace("rank", "mean")]
            differ = ~np.isclose(mean[:, None], mean, rtol=0, atol=20 * ROUNDING, equal_nan=True)
            order, own_order = (np.sign(r[:, None] - r) for r in (column, own))
            assert_array_equal(own_order[differ], order[differ])
        else:
            # A log loss has the error of logits, which are 20 at most; one net for another moves
            # it by 1e-2.
            assert_allclose(own, column, rtol=0, atol=20 * ROUNDING, err_msg=name)
    learned = {name for name in vars(plain) if name.endswith("_")}
    assert {name for name in vars(fused) if name.endswith("_")} == learned
    for name in learned - {"cv_results_", "best_estimator_", "refit_time_", "best_score_"}:
        assert show(getattr(fused, name)) == show(getattr(plain, name)), name
    if "best_score_" in learned:
        assert_allclose(fused.best_score_, plain.best_score_, rtol=0, atol=20 * ROUNDING)
    if "best_estimator_" in learned:
        assert show(fused.best_estimator_) == show(plain.best_estimator_)


def assert_searches_agree(estimator, grid, X, y, fit_params=None, **params):
    """Search as scikit-learn does and fused, compare, and return the fused search."""
    params = {"scoring": "neg_log_loss", "cv": 3, "return_train_score": True, **params}
    searches = []
    for Search in (GridSearchCV, FusedGridSearchCV):
        search = Search(clone(estimator), grid, **deepcopy(params))
        searches.append(search.fit(X, y, **(fit_params or {})))
    plain, fused = searches
    assert_same_search(fused, plain)
    if fused.refit:
        assert_array_equal(fused.predict_proba(X), plain.predict_proba(X))
    return fused


@pytest.fixture
def calls(monkeypatch):
    """Record the calls of ``fit_together``, which then trains one by one."""
    calls = []

    def fit_together(estimators, Xs, ys, fit_params, **kwargs):
        calls.append((estimators, Xs, ys, fit_params, kwargs))
        pairs = zip(estimators, Xs, ys, fit_params, strict=True)
        return [(net.fit(X, y, **params), 5.0) for net, X, y, params in pairs]

    monkeypatch.setattr(plan_module, "fit_together", fit_together)
    return calls


# -- the results are scikit-learn's ----------------------------------------------------------

NESTED = Pipeline([("scale", StandardScaler()), ("rest", make_pipe(("pca", PCA())))])
GRIDS = {
    "net": (make_net(), {"alpha": [0, 0.2, 1], "lr": [0.01, 0.03]}),
    "nothing": (make_net(), {}),
    "masked": (make_net(), [{"alpha": [0, 1]}, {"lr": [0.1], "random_state": [1, 2]}]),
    "shapes": (make_net(), {"module__hidden_sizes": [(4,), (8, 4)], "batch_size": [16, 50]}),
    "twice": (make_net(), {"alpha": [0.2, 0.2]}),
    "state": (make_net(), {"random_state": [np.random.RandomState(3), 4]}),
    "pipe": (make_pipe(), {"net__alpha": [0, 1], "select__k": [1, 2], "scale__with_mean": [True]}),
    "steps": (
        make_pipe(),
        [{"scale": [MinMaxScaler(), "passthrough"], **NET_ALPHAS}, {"select": [None, PCA(2)]}],
    ),
    "nets": (make_pipe(), {"net": [make_net(alpha=1), make_net(lr=0.1)], "net__lr": [0.01, 0.1]}),
    "whole": (make_pipe(), {"steps": [[("a", PCA(2)), ("b", make_net())], [("c", make_net())]]}),
    "passthrough": (make_pipe(("no", "passthrough")), NET_ALPHAS),
    "nested": (NESTED, {"rest__net__alpha": [0, 1], "rest__pca__n_components": [1, 3]}),
    "inner": (NESTED, {"rest": [make_pipe(), make_net()], "scale__with_std": [True, False]}),
}


@pytest.mark.machines
@pytest.mark.parametrize("case", GRIDS)
def test_results_are_those_of_grid_search(case, iris):
    assert_searches_agree(*GRIDS[case], *iris)


def test_columns_reach_the_transformers_by_name(abalone):
    X, y = abalone.X[:200], abalone.y[:200]
    numeric = [name for name in X if name not in abalone.nominal]
    columns = make_column_transformer(
        (StandardScaler(), numeric), (OneHotEncoder(), abalone.nominal)
    )
    grid = {"columns__standardscaler__with_std": [True, False], **NET_ALPHAS}
    search = assert_searches_agree(make_pipe(("columns", columns)), grid, X, y)
    assert_array_equal(search.feature_names_in_, X.columns)
    assert set(search.predict(X)) <= {"young", "middle", "old"}
    bare = assert_searches_agree(make_net(), ALPHAS, X[numeric], pd.Series(y))
    assert_array_equal(bare.best_estimator_.feature_names_in_, numeric)


def test_labels_may_be_strings_and_lists(iris, iris_names):
    assert_searches_agree(make_net(), ALPHAS, iris[0].tolist(), iris_names.tolist())


def test_a_pairwise_x_is_cut_by_columns_too(iris):
    X, y = iris
    pipe = make_pipe(("kernel", KernelPCA(2, kernel="precomputed")))
    assert_searches_agree(pipe, {"kernel__n_components": [2, 3], **NET_ALPHAS}, X @ X.T, y)


def test_what_a_step_does_to_its_input_stays_there(iris):
    pipe = make_pipe(("scale", StandardScaler(copy=False)))
    grid = {"scale__with_std": [False, True], **NET_ALPHAS}
    # scikit-learn scores the training rows as the step has left them: scaled twice.
    assert_searches_agree(
        pipe, grid, iris[0] * 3 + 1, iris[1], return_train_score=False, refit=False
    )


def test_steps_may_be_cached(iris, tmp_path):
    pipe = make_pipe().set_params(memory=str(tmp_path))
    grid = {"select__k": [1, 2], **NET_ALPHAS}
    FusedGridSearchCV(pipe, grid, refit=False).fit(*iris)
    assert any(tmp_path.rglob("*.pkl"))
    assert_searches_agree(pipe, grid, *iris)


def two_scores(estimator, X, y):
    proba = estimator.predict_proba(X)
    return {"top": proba.max(1).mean(), "own": proba[:, 0].mean()}


def second(cv_results):
    return 1


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (None, True),
        ("accuracy", second),
        (["accuracy", "neg_log_loss"], "neg_log_loss"),
        (["accuracy", "neg_log_loss"], False),
        ({"a": "accuracy", "b": "balanced_accuracy"}, second),
        (two_scores, "own"),
        (two_scores, False),
        (lambda estimator, X, y: estimator.predict_proba(X)[:, 1].mean(), True),
    ],
)
def test_scoring_and_refit_are_scikit_learn_s(scoring, refit, iris):
    search = assert_searches_agree(make_pipe(), NET_ALPHAS, *iris, scoring=scoring, refit=refit)
    assert hasattr(search, "predict") is bool(refit)
    if refit == "neg_log_loss":
        assert search.score(*iris) < 0


def test_no_score_for_the_training_rows_unless_asked(iris):
    search = assert_searches_agree(make_net(), ALPHAS, *iris, return_train_score=False)
    assert "mean_train_score" not in search.cv_results_


@pytest.mark.parametrize(
    "make_cv",
    [
        lambda: RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        lambda: ShuffleSplit(3, random_state=np.random.RandomState(0)),
        lambda: [(range(100), range(100, 150)), (range(50, 150), range(50))],
        lambda: ((np.arange(i, 150, 3), np.arange(i + 1, 150, 3)) for i in range(2)),
    ],
)
def test_cv_may_be_a_splitter_or_an_iterable(make_cv, iris):
    plain = GridSearchCV(make_net(), ALPHAS, cv=make_cv()).fit(*iris)
    assert_same_search(FusedGridSearchCV(make_net(), ALPHAS, cv=make_cv()).fit(*iris), plain)


# -- what goes with X and y --------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [make_net(), make_pipe()])
def test_weights_reach_the_nets_and_groups_the_splitter(estimator, iris):
    weight = np.random.default_rng(0).uniform(0, 3, size=150)
    groups = np.arange(150) % 5
    is_pipe = isinstance(estimator, Pipeline)
    grid = NET_ALPHAS if is_pipe else ALPHAS
    name = "net__sample_weight" if is_pipe else "sample_weight"
    search = assert_searches_agree(
        estimator, grid, *iris, {name: weight, "groups": groups}, cv=LeaveOneGroupOut()
    )
    unweighted = assert_searches_agree(
        estimator, grid, *iris, {"groups": groups}, cv=LeaveOneGroupOut()
    )
    assert search.n_splits_ == 5
    assert np.abs(search.predict_proba(iris[0]) - unweighted.predict_proba(iris[0])).max() > 1e-3


class ByDay(GroupKFold):
    def split(self, X, y=None, groups=None, day=None):
        return super().split(X, y, day)

    def get_n_splits(self, X=None, y=None, groups=None, day=None):
        return super().get_n_splits(X, y, day)


@pytest.mark.parametrize("in_pipe", [False, True])
def test_routed_metadata_goes_where_it_is_requested(in_pipe, iris):
    weight = np.random.default_rng(0).uniform(0, 3, size=150)
    given = {"sample_weight": weight, "day" if in_pipe else "groups": np.arange(150) % 5}
    with config_context(enable_metadata_routing=True):
        asks, refuses = (make_net().set_fit_request(sample_weight=a) for a in (True, False))
        scale = StandardScaler().set_fit_request(sample_weight=True)
        estimator = Pipeline([("scale", scale), ("net", asks)]) if in_pipe else asks
        grid = {"net": [asks, refuses]} if in_pipe else ALPHAS
        cv = ByDay(3).set_split_request(day=True) if in_pipe else GroupKFold(3)
        scoring = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        search = assert_searches_agree(estimator, grid, *iris, given, cv=cv, scoring=scoring)
        assert search.n_splits_ == 3


def test_scores_are_weighted_where_scikit_learn_weighs_them(iris):
    weight = np.where(iris[1] == 0, 0.1, 5.0)
    assert_searches_agree(make_net(), ALPHAS, *iris, {"sample_weight": weight}, scoring="accuracy")


# -- trained in one go, transformers once -----------------------------------------------------


class CountingScaler(TransformerMixin, BaseEstimator):
    fits = 0

    def __init__(self, factor=1, slow=0.0):
        self.factor = factor
        self.slow = slow

    def fit(self, X, y=None):
        if self.factor == "bad":
            raise ValueError("a bad factor")
        type(self).fits += 1
        time.sleep(self.slow)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X * self.factor


def test_what_cannot_be_fused_is_told_where_the_search_is_fitted(iris):
    search = FusedGridSearchCV(make_net(optimizer=torch.optim.LBFGS), {"alpha": [0, 1]}, cv=2)
    with pytest.warns(UserWarning, match="4 of 4 nets could not be fused") as caught:
        search.fit(*iris)
    assert caught[0].filename == __file__


def test_all_nets_are_trained_in_one_call_that_shares_what_they_share(iris, calls):
    pipe = make_pipe(("scale", CountingScaler()))
    grid = [
        {"net": [make_net(), make_net(alpha=0)], "scale__factor": np.array([1, 2])},
        {"net__lr": [0.1], "scale__factor": np.array([1, 2])},
    ]
    search = FusedGridSearchCV(pipe, grid, cv=3, refit=False, max_fused=7, n_jobs=2, verbose=1)
    CountingScaler.fits = 0
    search.fit(*iris, net__sample_weight=np.arange(150) + 1.0)
    assert CountingScaler.fits == 3 * 2  # splits, settings
    ((nets, Xs, ys, fit_params, kwargs),) = calls
    del kwargs["stacklevel"]
    assert kwargs == {"max_fused": 7, "n_jobs": 2, "verbose": 1, "validation": [None] * 3 * 6}
    assert len({id(net) for net in nets}) == len(nets) == 3 * 6
    assert len({id(X) for X in Xs}) == 3 * 2
    assert len({id(y) for y in ys}) == 3
    assert len({id(params["sample_weight"]) for params in fit_params}) == 3


def test_a_fit_time_is_a_share(iris, calls):
    pipe = make_pipe(("scale", CountingScaler(slow=0.4)))
    search = FusedGridSearchCV(pipe, {"net__alpha": [0, 0.1, 0.2, 1]}, cv=2, refit=False).fit(*iris)
    assert_allclose(search.cv_results_["mean_fit_time"], 5 + 0.4 / 4, atol=0.09)


def test_scorers_meet_a_genuine_estimator(iris, calls, tmp_path):
    met = []

    def scoring(estimator, X, y):
        met.append(estimator)
        return estimator.score(X, y)

    pipe = make_pipe().set_params(memory=str(tmp_path))
    FusedGridSearchCV(pipe, NET_ALPHAS, cv=2, scoring=scoring, refit=False).fit(*iris)
    assert [type(estimator) for estimator in met] == [Pipeline] * 4
    assert [estimator[-1] for estimator in met] == calls[0][0]
    assert {estimator.memory for estimator in met} == {str(tmp_path)}
    alone = make_pipe().set_params(net__alpha=0).fit(*iris)
    assert list(vars(met[0])) == list(vars(alone))
    assert list(vars(met[0][-1])) == list(vars(alone[-1]))
    assert (
        met[0].fit(*iris).predict_proba(iris[0]).tolist() == alone.predict_proba(iris[0]).tolist()
    )


class Elsewhere(ThreadingBackend):
    def configure(self, *args, **kwargs):
        raise AssertionError("work left this process")


def test_trained_nets_are_scored_in_this_process(iris, calls):
    register_parallel_backend("elsewhere", Elsewhere)
    plain = GridSearchCV(make_net(), ALPHAS, cv=3).fit(*iris)
    with joblib.parallel_config("elsewhere", n_jobs=2):
        fused = FusedGridSearchCV(make_net(), ALPHAS, cv=3).fit(*iris)
    assert_same_search(fused, plain)


def test_two_jobs_give_the_same(iris):
    # Other processes make modules in float32, so it is made here.
    net = MixupClassifier(MLP(4, 3, (8,)), max_epochs=3, lr=0.02, random_state=0, device="cpu")
    pipe = Pipeline([("scale", StandardScaler()), ("net", net)])
    assert_searches_agree(pipe, {**NET_ALPHAS, "net__batch_size": [16, 32]}, *iris, n_jobs=2)


# -- what fails, and what cannot be fused ------------------------------------------------------

FAILING = [
    (make_net(), {"alpha": [0.2, -1, 0]}),
    (make_pipe(("scale", CountingScaler())), {"scale__factor": [1, "bad"], **NET_ALPHAS}),
]


@pytest.mark.parametrize(("estimator", "grid"), FAILING)
def test_candidates_that_fail_get_the_error_score(estimator, grid, iris):
    searches = []
    for Search in (GridSearchCV, FusedGridSearchCV):
        search = Search(estimator, grid, cv=3, error_score=-7)
        with pytest.warns(FitFailedWarning) as caught:
            searches.append(search.fit(*iris))
        (warning,) = caught
        # One error, however often it is raised, is told once.
        assert str(warning.message).count("with the following error") == 1
    plain, fused = searches
    assert_same_search(fused, plain)
    assert -7 in fused.cv_results_["mean_test_score"]


@pytest.mark.parametrize(("estimator", "grid"), FAILING)
def test_error_score_raise_raises_the_original_error(estimator, grid, iris):
    with pytest.raises(ValueError, match=r"alpha|a bad factor") as plain:
        GridSearchCV(estimator, grid, error_score="raise").fit(*iris)
    with pytest.raises(type(plain.value)) as fused:
        FusedGridSearchCV(estimator, grid, error_score="raise").fit(*iris)
    assert str(fused.value) == str(plain.value)


@pytest.mark.parametrize(
    ("grid", "params"),
    [
        ({"no_such_parameter": [1]}, {}),
        ({"alpha": [-1]}, {}),
        ([], {}),
        (ALPHAS, {"cv": []}),
        (ALPHAS, {"scoring": ["accuracy", "roc_auc_ovr"]}),
        (ALPHAS, {"scoring": "no_such_score"}),
        (ALPHAS, {"refit": lambda results: 99}),
        (ALPHAS, {"cv": 1000}),
        (ALPHAS, {"n_jobs": "many"}),
        (ALPHAS, {"error_score": "no"}),
        ({"alpha": 0.1}, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_bad_searches_raise_what_scikit_learn_raises(grid, params, iris):
    with pytest.raises(Exception, match=r".") as plain:
        GridSearchCV(make_net(), grid, **params).fit(*iris)
    with pytest.raises(type(plain.value)) as fused:
        FusedGridSearchCV(make_net(), grid, **params).fit(*iris)
    first_line = str(plain.value).partition("\n")[0].replace("GridSearchCV", "FusedGridSearchCV")
    assert str(fused.value).partition("\n")[0] == first_line


def test_what_must_fail_fails_before_training(iris, calls):
    with pytest.raises(ValueError, match="refit must be set to a scorer"):
        FusedGridSearchCV(make_net(), ALPHAS, scoring=["accuracy"]).fit(*iris)
    with pytest.raises(ValueError, match="a bad factor"):
        FusedGridSearchCV(*FAILING[1], error_score="raise").fit(*iris)
    assert calls == []


def test_max_fused_is_checked(iris):
    with pytest.raises(ValueError, match=r"'max_fused' parameter of FusedGridSearchCV must be"):
        FusedGridSearchCV(make_net(), ALPHAS, max_fused=0).fit(*iris)


class Inconsistent(ShuffleSplit):
    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


def test_a_splitter_that_miscounts_is_told(iris):
    with pytest.raises(ValueError, match="Expected 2 splits, got 3"):
        FusedGridSearchCV(make_net(), ALPHAS, cv=Inconsistent(3)).fit(*iris)


@pytest.mark.parametrize(
    ("estimator", "grid", "reason"),
    [
        (GaussianNB(), {"var_smoothing": [1e-9, 1]}, "2 of 2 candidates end in GaussianNB"),
        (make_pipe(), {"net": [GaussianNB(), make_net()]}, "1 of 2 .* GaussianNB"),
        (OneVsRestClassifier(make_net()), {"estimator__alpha": [0]}, "1 of 1 .* OneVsRest"),
        (Pipeline([("a", PCA()), ("b", "passthrough")]), {"a__n_components": [1]}, "'passthrough'"),
    ],
)
def test_what_cannot_be_fused_is_named_once_and_fitted_all_the_same(estimator, grid, reason, iris):
    scoring = (lambda estimator, X, y: X[0, 0]) if reason == "'passthrough'" else None
    plain = GridSearchCV(estimator, grid, cv=3, scoring=scoring).fit(*iris)
    with pytest.warns(UserWarning, match=reason) as caught:
        fused = FusedGridSearchCV(estimator, grid, cv=3, scoring=scoring).fit(*iris)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_same_search(fused, plain)
    assert (fused.cv_results_["mean_fit_time"] > 0).all()


# -- an estimator like any other ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("Fused", "Plain"),
    [(FusedGridSearchCV, GridSearchCV), (FusedRandomizedSearchCV, RandomizedSearchCV)],
)
def test_constructor_is_scikit_learn_s_and_one_more(Fused, Plain):
    *params, max_fused = inspect.signature(Fused).parameters.values()
    assert [(p.name, p.default, p.kind) for p in params] == [
        (p.name, p.default, p.kind) for p in inspect.signature(Plain).parameters.values()
    ]
    assert (max_fused.name, max_fused.default) == ("max_fused", "auto")
    search = Fused(make_net(), ALPHAS, max_fused=3, cv=2, verbose=1)
    assert isinstance(search, Plain)
    assert clone(search).get_params(deep=False).keys() == search.get_params(deep=False).keys()
    assert clone(search).max_fused == 3


@pytest.mark.parametrize("shared", [False, True])
def test_randomized_search_draws_what_scikit_learn_draws(shared, iris):
    settings = {"alpha": loguniform(0.01, 1), "lr": [0.01, 0.1], "batch_size": np.array([16, 50])}
    searches = []
    for Search in (RandomizedSearchCV, FusedRandomizedSearchCV):
        rng = np.random.RandomState(5)
        cv = ShuffleSplit(2, random_state=rng if shared else 0)
        net = make_net(random_state=rng if shared else 0)
        search = Search(net, settings, n_iter=3, cv=cv, random_state=rng, scoring="neg_log_loss")
        searches.append(search.fit(*iris))
    plain, fused = searches
    assert_same_search(fused, plain)
    assert_array_equal(fused.predict_proba(iris[0]), plain.predict_proba(iris[0]))


def test_search_may_be_searched(iris):
    scores = [
        cross_val_score(Search(make_pipe(), NET_ALPHAS, cv=2), *iris, cv=2)
        for Search in (GridSearchCV, FusedGridSearchCV)
    ]
    assert_allclose(*scores)


class NetCounter(pickle.Pickler):
    count = 0

    def reducer_override(self, obj):
        self.count += isinstance(obj, MixupClassifier)
        return NotImplemented


def test_a_fitted_search_pickles_and_keeps_one_net(iris):
    search = FusedGridSearchCV(make_pipe(), NET_ALPHAS, cv=2).fit(*iris)
    with contextlib.closing(io.BytesIO()) as file:
        counter = NetCounter(file)
        counter.dump(search)
        again = pickle.loads(file.getvalue())
    assert counter.count == 2  # the best, and that of `estimator`
    assert_array_equal(again.predict_proba(iris[0]), search.predict_proba(iris[0]))


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 0), (2, 1 + 4)])
def test_verbose_counts_the_lines(verbose, lines, iris, capsys, calls):
    FusedGridSearchCV(make_pipe(), NET_ALPHAS, cv=2, verbose=verbose).fit(*iris)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == lines
    assert captured.err == ""


def test_inputs_are_not_written_to(iris, assert_unchanged):
    X, y = (array.copy() for array in iris)
    weight = np.linspace(0, 1, 150)
    with assert_unchanged(X, y, weight):
        FusedGridSearchCV(make_pipe(), NET_ALPHAS).fit(X, y, net__sample_weight=weight)


def test_callbacks_of_scikit_learn_see_the_search(iris):
    pytest.importorskip("sklearn.callback")
    seen = []

    class Recorder:
        def setup(self, estimator, context):
            seen.append("setup")

        def on_fit_task_begin(self, estimator, context, **kwargs):
            seen.append(context.task_name)

        def on_fit_task_end(self, estimator, context, **kwargs):
            return False

        def teardown(self, estimator, context):
            seen.append("teardown")

    FusedGridSearchCV(make_net(), ALPHAS, cv=2).set_callbacks(Recorder()).fit(*iris)
    assert seen.count("candidate-split-evaluation") == 3 * 2
    assert (seen[0], seen[-1]) == ("setup", "teardown")


LEARNER = make_net(max_epochs=8, lr=0.03)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # of failing fits
@parametrize_with_checks(
    [
        FusedGridSearchCV(LEARNER, {"alpha": [0, 0.2]}, cv=2),
        FusedRandomizedSearchCV(LEARNER, {"alpha": [0, 0.2, 0.4]}, n_iter=2, cv=2),
        FusedGridSearchCV(make_pipeline(StandardScaler(), LEARNER), {}, cv=2),
    ]
)
def test_scikit_learn_check_passes(estimator, check):
    torch.set_default_dtype(torch.float32)  # As users have it.
    check(estimator)
