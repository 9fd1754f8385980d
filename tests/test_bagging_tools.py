"""FusedBaggingClassifier among scikit-learn's tools: searches, calibration, pickles, seeds."""

import inspect
import io
import pickle
import random

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.stats import uniform
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

import sklearn_mixup._fused.jobs as fused_module
from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, FusedRandomizedSearchCV
from tests.bagged_nets import CountingScaler, make_ensemble, make_pipe, make_plain, mean_of_members
from tests.rounding import assert_near
from tests.test_fused import assert_same_net, make_net, same_bits
from tests.test_search import assert_searches_agree

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def stacks(monkeypatch):
    """Record how many nets are trained at a time."""
    stacks, fit = [], fused_module._fit_chunk
    monkeypatch.setattr(
        fused_module, "_fit_chunk", lambda jobs, *told: stacks.append(len(jobs)) or fit(jobs, *told)
    )
    return stacks


# -- warm_start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [make_net(), make_pipe()], ids=["net", "pipeline"])
@pytest.mark.parametrize(
    "draws", [{}, {"bootstrap": True, "max_features": 0.5}, {"max_samples": 0.5}], ids=str
)
def test_three_members_and_five_more_are_eight_at_once(estimator, draws, iris, stacks):
    grown = make_ensemble(estimator, 3, warm_start=True, **draws).fit(*iris)
    first = list(grown.estimators_)
    grown.set_params(n_estimators=8).fit(*iris)
    assert stacks == [3, 5]
    assert all(one is other for one, other in zip(first, grown.estimators_[:3], strict=True))
    whole = make_ensemble(estimator, 8, **draws).fit(*iris)
    for name in ("estimators_samples_", "estimators_features_"):
        assert_array_equal(getattr(grown, name), getattr(whole, name))
    assert_near(grown.predict_proba(iris[0]), whole.predict_proba(iris[0]))
    plain = make_plain(whole.set_params(warm_start=True, n_estimators=3)).fit(*iris)
    plain.set_params(n_estimators=8).fit(*iris)
    assert_near(grown.predict_proba(iris[0]), plain.predict_proba(iris[0]))


def test_warm_start_only_adds(iris):
    ensemble = make_ensemble(None, 3, warm_start=True).fit(*iris)
    members, before = list(ensemble.estimators_), ensemble.predict_proba(iris[0])
    with pytest.raises(ValueError, match=r"n_estimators.*3.*2"):
        ensemble.set_params(n_estimators=2).fit(*iris)
    with pytest.warns(UserWarning, match="(?i)warm.start.*n_estimators") as caught:
        assert ensemble.set_params(n_estimators=3).fit(*iris) is ensemble
    assert caught[0].filename == __file__
    assert ensemble.estimators_ == members
    assert_array_equal(ensemble.predict_proba(iris[0]), before)


def test_warm_start_wants_the_same_kind_of_targets(iris):
    X, y = iris
    several = np.column_stack([y > 0, y > 1, y < 1])
    for first, later in ((y, several), (several, several[:, :2]), (several, y)):
        ensemble = make_ensemble(None, 2, warm_start=True).fit(X, first)
        with pytest.raises(ValueError, match="y must be what it was before, multi"):
            ensemble.set_params(n_estimators=3).fit(X, later)
        assert len(ensemble.estimators_) == 2


def test_without_warm_start_all_is_learned_anew(iris, wine):
    ensemble = make_ensemble(None, 3).fit(*wine)
    members = ensemble.estimators_
    ensemble.set_params(n_estimators=2).fit(*iris)
    fresh = make_ensemble(None, 2).fit(*iris)
    assert len(ensemble.estimators_) == 2
    assert not {*map(id, members)} & {*map(id, ensemble.estimators_)}
    assert vars(ensemble).keys() == vars(fresh).keys()
    assert all(map(same_bits, ensemble.estimators_, fresh.estimators_))


def test_warm_start_may_go_on_with_other_rows(iris, iris_names):
    few = np.r_[:80]  # of two classes
    ensemble = make_ensemble(None, 2, warm_start=True, bootstrap=True).fit(
        iris[0][few], iris_names[few]
    )
    samples = ensemble.estimators_samples_
    ensemble.set_params(n_estimators=5).fit(iris[0], iris_names)
    assert ensemble.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert_near(ensemble.predict_proba(iris[0]), mean_of_members(ensemble, iris[0]))
    assert [len(rows) for rows in ensemble.estimators_samples_] == [80, 80, 150, 150, 150]
    assert_array_equal(ensemble.estimators_samples_[:2], samples)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_ensemble_as_it_was(warm_start, iris):
    ensemble = make_ensemble(None, 2, warm_start=warm_start).fit(*iris)
    before = ensemble.predict_proba(iris[0])
    ensemble.set_params(n_estimators=3, estimator__alpha=-1)
    with pytest.raises(ValueError, match="alpha"):
        ensemble.fit(*iris)
    assert len(ensemble.estimators_) == 2
    assert_array_equal(ensemble.predict_proba(iris[0]), before)


# -- searches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "prefix"),
    [
        (make_ensemble(), "estimator__"),
        (make_ensemble(make_pipe()), "estimator__net__"),
        (Pipeline([("scale", CountingScaler()), ("clf", make_ensemble())]), "clf__estimator__"),
        (
            Pipeline([("scale", CountingScaler()), ("clf", make_ensemble(make_pipe()))]),
            "clf__estimator__net__",
        ),
    ],
    ids=["ensemble", "of pipelines", "in a pipeline", "both"],
)
def test_a_search_trains_all_members_of_all_candidates_as_one_stack(
    estimator, prefix, iris, stacks
):
    grid = {f"{prefix}alpha": [0, 0.2, 1]}
    CountingScaler.fits = 0
    params = {"cv": 3, "scoring": "neg_log_loss"}
    fused = FusedGridSearchCV(clone(estimator), grid, **params).fit(*iris)
    assert stacks == [3 * 3 * 4, 4]  # Then the best anew.
    if isinstance(estimator, Pipeline):
        assert CountingScaler.fits == 3 + 1
    best = fused.best_estimator_
    ensemble = best[-1] if isinstance(best, Pipeline) else best
    plain = clone(estimator).set_params(**fused.best_params_)
    ensemble_of_plain = plain[-1] if isinstance(plain, Pipeline) else plain
    assert type(ensemble) is FusedBaggingClassifier
    assert ensemble.get_params().keys() == ensemble_of_plain.get_params().keys()
    sklearn_s = make_plain(ensemble_of_plain)
    if isinstance(plain, Pipeline):
        sklearn_s = Pipeline([plain.steps[0], ("clf", sklearn_s)])
    expected = GridSearchCV(sklearn_s, grid, **params).fit(*iris)
    for name in ("mean_test_score", "split1_test_score"):
        assert_near(fused.cv_results_[name], expected.cv_results_[name])
    assert fused.best_params_ == expected.best_params_
    assert_near(fused.predict_proba(iris[0]), expected.predict_proba(iris[0]))


GRIDS = {
    "of the ensemble": (
        make_ensemble(),
        {"n_estimators": [1, 3], "bootstrap": [True, False], "max_samples": [0.7]},
    ),
    "out of bag": (
        make_ensemble(None, 24, bootstrap=True, oob_score=True, random_state=1),
        {"max_features": [0.5, 1.0], "estimator__lr": [0.01]},
    ),
    "of the estimator": (make_ensemble(), {"estimator": [make_net(alpha=1), make_pipe(alpha=0)]}),
    "of nets and ensembles": (
        Pipeline([("clf", make_net())]),
        {"clf": [make_net(), make_ensemble(), make_ensemble(make_pipe())]},
    ),
    "of transformers": (
        make_ensemble(make_pipe()),
        {"estimator__scale__with_mean": [True, False], "estimator__net__alpha": [0, 1]},
    ),
    "nothing": (make_ensemble(), {}),
}


@pytest.mark.parametrize(("estimator", "grid"), GRIDS.values(), ids=GRIDS)
def test_a_search_has_the_results_of_grid_search(estimator, grid, iris, iris_names):
    search = assert_searches_agree(estimator, grid, iris[0], iris_names)
    assert set(search.predict(iris[0])) <= {*iris_names}


def test_a_search_tells_of_members_that_fail_what_their_fit_tells(iris):
    grid = {"estimator__alpha": [0.2, -1]}
    with pytest.warns(FitFailedWarning, match=r"(?s)fits failed.*alpha") as caught:
        search = FusedGridSearchCV(make_ensemble(), grid, cv=3, error_score=-7).fit(*iris)
    assert len(caught) == 1
    assert search.cv_results_["mean_test_score"][1] == -7 < search.cv_results_["mean_test_score"][0]
    with pytest.raises(ValueError, match="alpha"):
        FusedGridSearchCV(make_ensemble(), grid, cv=3, error_score="raise").fit(*iris)


@pytest.mark.parametrize("in_pipe", [False, True])
def test_weights_and_frames_pass_through_a_search(in_pipe, iris):
    X, y = pd.DataFrame(iris[0], columns=["sl", "sw", "pl", "pw"]), iris[1]
    weight = np.random.default_rng(0).uniform(0, 3, 150)
    ensemble = make_ensemble(make_pipe(), bootstrap=True)
    estimator = Pipeline([("clf", ensemble)]) if in_pipe else ensemble
    prefix = "clf__" if in_pipe else ""
    grid = {f"{prefix}estimator__net__alpha": [0, 1]}
    fit_params = {f"{prefix}sample_weight": weight}
    search = assert_searches_agree(estimator, grid, X, y, fit_params)
    unweighted = assert_searches_agree(estimator, grid, X, y)
    assert np.abs(search.predict_proba(X) - unweighted.predict_proba(X)).max() > 1e-3


def test_a_randomized_search_draws_from_the_ensemble_s_parameters(iris, stacks):
    settings = {"estimator__alpha": uniform(0, 1), "max_samples": uniform(0.3, 0.7)}
    search = FusedRandomizedSearchCV(
        make_ensemble(None, 2), settings, n_iter=3, cv=2, random_state=0, refit=False
    ).fit(*iris)
    assert stacks == [3 * 2 * 2]
    assert len({*map(str, search.cv_results_["params"])}) == 3


# -- other tools ---------------------------------------------------------------------------------


class LogBagging(BaggingClassifier):
    """scikit-learn's ensemble with the decision function of ours."""

    def decision_function(self, X):
        return self.predict_log_proba(X)


@pytest.mark.parametrize("estimator", [make_net(), make_pipe()], ids=["net", "pipeline"])
def test_cross_validation_and_calibration_give_what_scikit_learn_s_ensemble_gives(estimator, iris):
    X, y = iris
    ensemble = make_ensemble(estimator, bootstrap=True)
    plain = LogBagging(**make_plain(ensemble).get_params(deep=False))
    scores = [cross_val_score(clf, X, y, cv=3, scoring="roc_auc_ovr") for clf in (ensemble, plain)]
    assert_near(*scores)
    for method in ("sigmoid", "isotonic"):
        own, expected = (
            CalibratedClassifierCV(clf, cv=3, method=method).fit(X, y).predict_proba(X)
            for clf in (ensemble, plain)
        )
        assert np.abs(own - expected).mean() < 1e-3  # isotonic steps may fall elsewhere


def test_other_tools_take_it(iris, iris_names):
    X, y = iris[0], iris_names
    vote = VotingClassifier([("a", make_ensemble()), ("b", make_net())], voting="soft").fit(X, y)
    both = make_ensemble().fit(X, y).predict_proba(X) + make_net().fit(X, y).predict_proba(X)
    assert_near(vote.predict_proba(X), both / 2)
    importance = permutation_importance(
        make_ensemble().fit(X, y), X, y, n_repeats=3, random_state=0
    )
    assert importance.importances_mean[2:].sum() > importance.importances_mean[:2].sum()


def test_the_constructor_is_scikit_learn_s_and_one_more():
    own = inspect.signature(FusedBaggingClassifier).parameters
    plain = inspect.signature(BaggingClassifier).parameters
    assert list(own) == [*plain, "max_fused"]
    assert [own[name].kind for name in plain] == [p.kind for p in plain.values()]
    differ = {name: own[name].default for name in own if name not in plain}
    differ |= {n: own[n].default for n in plain if own[n].default != plain[n].default}
    expected = {"n_estimators": 8, "bootstrap": False, "max_fused": "auto"}
    if plain["max_samples"].default != 1.0:  # None from scikit-learn 1.8 on
        expected["max_samples"] = 1.0
    assert differ == expected
    ensemble = make_ensemble(max_fused=3)
    assert isinstance(ensemble, BaggingClassifier)
    assert is_classifier(ensemble)
    assert clone(ensemble).get_params(deep=False).keys() == ensemble.get_params(deep=False).keys()
    assert clone(ensemble).max_fused == 3
    assert repr(FusedBaggingClassifier(n_estimators=3)) == "FusedBaggingClassifier(n_estimators=3)"


def test_it_is_a_sequence_of_its_members(iris):
    ensemble = make_ensemble().fit(*iris)
    assert len(ensemble) == 4
    assert list(ensemble) == ensemble.estimators_
    assert ensemble[1] is ensemble.estimators_[1]


def test_the_estimator_that_was_passed_is_not_touched(iris):
    pipe = make_pipe()
    before = vars(pipe["net"]).copy()
    make_ensemble(pipe).fit(*iris)
    assert vars(pipe["net"]) == before
    assert not hasattr(pipe["scale"], "mean_")


@pytest.mark.parametrize("through", ["pickle", "joblib"])
@pytest.mark.parametrize("draws", [{}, {"bootstrap": True, "max_features": 0.5}], ids=str)
def test_a_pickled_ensemble_predicts_the_same(through, draws, iris):
    ensemble = make_ensemble(make_pipe(), **draws).fit(*iris)
    before = ensemble.predict_proba(iris[0])  # Whatever is kept of the stack is pickled or not.
    if through == "pickle":
        again = pickle.loads(pickle.dumps(ensemble))
    else:
        file = io.BytesIO()
        joblib.dump(ensemble, file)
        again = joblib.load(file)
    assert_array_equal(again.predict_proba(iris[0]), before)
    assert_array_equal(again.estimators_samples_, ensemble.estimators_samples_)
    scalers = {id(member["scale"]) for member in again.estimators_}
    assert len(scalers) == (4 if draws else 1)
    # It goes on, too.
    for clf in (again, ensemble):
        clf.set_params(warm_start=True, n_estimators=6).fit(*iris)
    assert_array_equal(again.predict_proba(iris[0]), ensemble.predict_proba(iris[0]))


def test_a_pickle_keeps_no_training_data(iris):
    rng = np.random.default_rng(0)
    sizes = []
    for n in (200, 5000):
        X, y = rng.normal(size=(n, 20)), rng.integers(0, 3, n)
        ensemble = make_ensemble(make_pipe(batch_size=-1), 2, bootstrap=True).fit(X, y)
        sizes.append(len(pickle.dumps(ensemble)))
        ensemble.predict(X)
        sizes.append(len(pickle.dumps(ensemble)))  # Nor what predicting has made.
    assert max(sizes) < 1.2 * min(sizes)


# -- random_state --------------------------------------------------------------------------------


def bits(ensemble, X):
    return [net.predict_proba(X).tobytes() for net in ensemble.estimators_]


@pytest.mark.parametrize("params", [{}, {"dropout": 0.4}], ids=str)
def test_one_random_state_gives_the_same_bits(params, iris):
    one, other = (make_ensemble(make_net(**params), bootstrap=True).fit(*iris) for _ in range(2))
    assert all(map(same_bits, one.estimators_, other.estimators_))
    assert_array_equal(one.predict_proba(iris[0]), other.predict_proba(iris[0]))
    assert len({*bits(one, iris[0])}) == 4
    another = make_ensemble(make_net(**params), bootstrap=True, random_state=1).fit(*iris)
    assert not {*bits(another, iris[0])} & {*bits(one, iris[0])}


@pytest.mark.parametrize(
    "options", [{"max_fused": 1}, {"max_fused": 3}, {"n_jobs": 2}, {"n_jobs": 2, "max_fused": 2}]
)
@pytest.mark.parametrize("params", [{}, {"dropout": 0.4}], ids=str)
def test_stacks_and_jobs_do_not_matter(options, params, iris, stacks):
    expected = make_ensemble(make_net(**params), 5).fit(*iris)
    ensemble = make_ensemble(make_net(**params), 5, **options).fit(*iris)
    assert stacks[0] == 5
    most = options.get("max_fused", 5)  # So few small nets are quickest as one stack.
    assert max(stacks[1:]) <= most
    assert sum(stacks[1:]) == 5
    for pair in zip(ensemble.estimators_, expected.estimators_, strict=True):
        assert_same_net(*pair)
    assert_near(ensemble.predict_proba(iris[0]), expected.predict_proba(iris[0]))


def test_a_random_state_that_is_shared_moves_on_as_in_scikit_learn(iris):
    states = [np.random.RandomState(7) for _ in range(2)]
    ensemble = make_ensemble(bootstrap=True, random_state=states[0])
    plain = make_plain(ensemble).set_params(random_state=states[1])
    for clf in (ensemble, plain, ensemble, plain):
        clf.fit(*iris)
    assert_array_equal(ensemble.estimators_samples_, plain.estimators_samples_)
    assert states[0].randint(2**31) == states[1].randint(2**31)


def test_no_random_state_gives_other_nets_each_time(iris):
    nets = [net for _ in range(2) for net in make_ensemble(None, 2, random_state=None).fit(*iris)]
    assert len({net.predict_proba(iris[0]).tobytes() for net in nets}) == 4


def test_the_random_state_of_the_estimator_gives_way_to_that_of_the_ensemble(iris):
    one, other = (
        make_ensemble(make_net(random_state=state), 2).fit(*iris)
        for state in (3, np.random.RandomState(0))
    )
    assert all(map(same_bits, one.estimators_, other.estimators_))


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generators_are_left_as_they_were_found(random_state, iris):
    def states():
        numpy_state = np.random.get_state()  # noqa: NPY002
        return random.getstate(), repr(numpy_state), torch.get_rng_state().tolist()

    before = states()
    ensemble = make_ensemble(make_pipe(dropout=0.2), bootstrap=True, random_state=random_state)
    ensemble.fit(*iris).predict(iris[0])
    assert states() == before


@pytest.mark.parametrize("estimator", [make_net(), make_pipe()], ids=["net", "pipeline"])
def test_inputs_are_not_written_to(estimator, iris, assert_unchanged):
    X, y = (array.copy() for array in iris)
    weight = np.linspace(0, 1, 150)
    with assert_unchanged(X, y, weight):
        ensemble = make_ensemble(estimator, 24, bootstrap=True, oob_score=True, random_state=1)
        ensemble.fit(X, y, sample_weight=weight).predict(X)


# -- progress and metadata -----------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_shows_a_bar(verbose, iris, capsys):
    ensemble = make_ensemble(verbose=verbose).fit(*iris)
    ensemble.predict_proba(iris[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert ("4 nets: 100%" in err.split("\r")[-1]) is bool(verbose)
    assert bool(err) is bool(verbose)


@pytest.mark.parametrize("in_pipe", [False, True])
def test_routed_weights_reach_the_nets(in_pipe, iris):
    weight = np.random.default_rng(0).uniform(0, 3, 150)
    plain = make_ensemble(make_pipe() if in_pipe else make_net(), bootstrap=True)
    expected = clone(plain).fit(*iris, sample_weight=weight).predict_proba(iris[0])
    with config_context(enable_metadata_routing=True):
        net = make_net().set_fit_request(sample_weight=True)
        pipe = make_pipe()
        estimator = pipe.set_params(net=net) if in_pipe else net
        if in_pipe:
            pipe["scale"].set_fit_request(sample_weight=False)
        ensemble = clone(plain).set_params(estimator=estimator).fit(*iris, sample_weight=weight)
        assert_array_equal(ensemble.predict_proba(iris[0]), expected)
        scoring = get_scorer("neg_log_loss").set_score_request(sample_weight=False)
        fused, searched = (
            Search(ensemble, {}, cv=2, scoring=scoring).fit(*iris, sample_weight=weight)
            for Search in (FusedGridSearchCV, GridSearchCV)
        )
        assert_array_equal(fused.predict_proba(iris[0]), searched.predict_proba(iris[0]))
        assert_array_equal(fused.predict_proba(iris[0]), expected)


def test_metadata_that_nobody_asked_for_is_refused(iris):
    with pytest.raises((TypeError, ValueError), match="colour"):
        make_ensemble().fit(*iris, colour=np.ones(150))
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="colour"),
    ):
        make_ensemble().fit(*iris, colour=np.ones(150))
