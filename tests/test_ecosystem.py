"""MixupClassifier inside scikit-learn's own tools, on real data, against what they should give."""

import inspect

import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch import NeuralNet
from skorch.dataset import ValidSplit

from sklearn_mixup import MixupClassifier
from tests.rounding import assert_near


def quick(**params):
    """Build a classifier that learns these tables in a tenth of a second."""
    return MixupClassifier(
        **{"max_epochs": 15, "module__hidden_sizes": (32,), "random_state": 0, **params}
    )


def share_of_majority(y):
    return np.unique(y, return_counts=True)[1].max() / len(y)


def score_by_hand(estimator, X, y, splits, **params):
    """Fit a clone on each split and score it, as a search should."""
    fits = (
        clone(estimator).set_params(**params).fit(X[a], y[a]).score(X[b], y[b]) for a, b in splits
    )
    return list(fits)


def split_scores(search, candidate):
    n_splits = sum(
        key.startswith("split") and key.endswith("test_score") for key in search.cv_results_
    )
    return [search.cv_results_[f"split{k}_test_score"][candidate] for k in range(n_splits)]


# -- pipelines -----------------------------------------------------------------------------------


def test_pipeline_is_the_steps_done_by_hand(breast_cancer):
    X, y = breast_cancer
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    pipe = make_pipeline(StandardScaler(), quick()).fit(X_train, y_train)

    scaler = StandardScaler().fit(X_train)
    clf = quick().fit(scaler.transform(X_train), y_train)
    np.testing.assert_array_equal(
        pipe.predict_proba(X_test), clf.predict_proba(scaler.transform(X_test))
    )
    # Any sound classifier has about 0.97 here, with a standard error of 0.014 on 143 rows; the
    # larger class has 0.63.
    assert pipe.score(X_test, y_test) > 0.93


def test_column_transformer_encodes_the_nominal_column_of_abalone(abalone):
    encode = make_column_transformer(
        (OneHotEncoder(), abalone.nominal), remainder=StandardScaler(), sparse_threshold=0
    )
    X_train, X_test, y_train, y_test = train_test_split(abalone.X, abalone.y, random_state=0)
    pipe = make_pipeline(encode, quick()).fit(X_train, y_train)

    # Published accuracies for these three groups are 0.6 to 0.65; on 150 rows the standard error
    # is 0.04, and the largest group has 0.36.
    assert pipe.score(X_test, y_test) > share_of_majority(y_test) + 0.12
    assert set(pipe.predict(X_test)) <= {"young", "middle", "old"}
    by_hand = quick().fit(clone(encode).fit_transform(X_train), y_train)
    np.testing.assert_array_equal(
        pipe.predict_proba(X_test), by_hand.predict_proba(encode.fit(X_train).transform(X_test))
    )


def test_column_transformer_encodes_the_nominal_columns_of_website_phishing(website_phishing):
    X, y, nominal = vars(website_phishing).values()
    encode = make_column_transformer((OneHotEncoder(sparse_output=False), nominal))
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    pipe = make_pipeline(encode, quick()).fit(X_train, y_train)
    # About 0.87 is usual, 0.52 the share of the largest class, 0.025 the standard error.
    assert pipe.score(X_test, y_test) > 0.78
    assert list(pipe.classes_) == [-1, 0, 1]


@pytest.mark.parametrize("split", range(3))
def test_where_classes_overlap_the_defaults_tell_more_than_the_base_rates(split):
    X, target = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, target > 140, random_state=split)
    pipe = make_pipeline(StandardScaler(), MixupClassifier(random_state=0)).fit(X_train, y_train)
    base = DummyClassifier(strategy="prior").fit(X_train, y_train)
    # Of logistic regression 0.5 to 0.6, of the base rates 0.69; learned by heart it is above that.
    loss, base_loss = (log_loss(y_test, clf.predict_proba(X_test)) for clf in (pipe, base))
    assert loss < base_loss - 0.05


def test_set_output_pandas_names_the_features_and_changes_no_prediction(abalone):
    def pipeline():
        encode = make_column_transformer(
            (OneHotEncoder(sparse_output=False), abalone.nominal),
            remainder=StandardScaler(),
            verbose_feature_names_out=False,
        )
        return make_pipeline(encode, quick(max_epochs=3))

    plain = pipeline().fit(abalone.X, abalone.y)
    framed = pipeline().set_output(transform="pandas").fit(abalone.X, abalone.y)
    names = framed[0].get_feature_names_out()
    assert {"sex_F", "sex_I", "sex_M", "length"} <= set(names)
    assert list(framed[-1].feature_names_in_) == list(names)
    assert not hasattr(plain[-1], "feature_names_in_")
    np.testing.assert_array_equal(framed.predict_proba(abalone.X), plain.predict_proba(abalone.X))


# -- searches ------------------------------------------------------------------------------------

GRID = {"clf__alpha": [0.0, 0.4], "clf__dropout": [None, 0.3]}


@pytest.fixture
def pipe():
    steps = [("scale", StandardScaler()), ("clf", quick(max_epochs=4))]
    return sklearn.pipeline.Pipeline(steps)


def test_grid_search_over_alpha_and_dropout_scores_as_a_loop_by_hand(pipe, wine):
    X, y = wine
    splits = list(StratifiedKFold(3).split(X, y))
    search = GridSearchCV(pipe, GRID, cv=splits, error_score="raise").fit(X, y)

    assert len(search.cv_results_["params"]) == 4
    for i, params in enumerate(search.cv_results_["params"]):
        assert split_scores(search, i) == score_by_hand(pipe, X, y, splits, **params)
    assert search.best_params_ in search.cv_results_["params"]
    refit = clone(pipe).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), refit.predict_proba(X))


def test_grid_search_candidates_differ(pipe, wine):
    # Otherwise the loop by hand could agree because alpha and dropout are ignored in both.
    X, y = wine
    search = GridSearchCV(pipe, GRID, cv=3, scoring="neg_log_loss", error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4


def test_grid_search_in_two_processes_gives_the_same_scores(pipe, wine):
    X, y = wine
    one, two = (
        GridSearchCV(pipe, GRID, cv=3, scoring="neg_log_loss", n_jobs=n, error_score="raise")
        .fit(X, y)
        .cv_results_
        for n in (1, 2)
    )
    scores = [key for key in one if "test_score" in key]
    assert len(scores) == 3 + 3
    for key in scores:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)


def test_randomized_search_scores_the_alphas_it_draws(pipe, wine):
    X, y = wine
    splits = list(StratifiedKFold(2).split(X, y))
    search = RandomizedSearchCV(
        pipe,
        {"clf__alpha": loguniform(0.05, 5), "clf__lam_per": ["minibatch", "sample"]},
        n_iter=3,
        cv=splits,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert len({params["clf__alpha"] for params in search.cv_results_["params"]}) == 3
    for i, params in enumerate(search.cv_results_["params"]):
        assert split_scores(search, i) == score_by_hand(pipe, X, y, splits, **params)


def test_randomized_search_may_draw_whole_numbers(pipe, wine):
    X, y = wine
    splits = list(StratifiedKFold(2).split(X, y))
    grid = {"clf__batch_size": np.array([16, 64]), "clf__max_epochs": randint(2, 5)}
    search = RandomizedSearchCV(
        pipe, grid, n_iter=2, cv=splits, random_state=0, error_score="raise"
    ).fit(X, y)
    for i, params in enumerate(search.cv_results_["params"]):
        plain = {name: int(value) for name, value in params.items()}
        assert split_scores(search, i) == score_by_hand(pipe, X, y, splits, **plain)


def test_halving_search_spends_epochs_as_its_resource(pipe, wine):
    X, y = wine
    splits = StratifiedKFold(2)
    search = HalvingGridSearchCV(
        pipe,
        {"clf__alpha": [0.0, 0.2, 1.0]},
        cv=splits,
        resource="clf__max_epochs",
        min_resources=2,
        max_resources=6,
        factor=3,
        error_score="raise",
    ).fit(X, y)
    results = search.cv_results_
    # Three candidates get two epochs, the best of them three times as many.
    assert list(results["n_resources"]) == [2, 2, 2, 6]
    for i, params in enumerate(results["params"]):
        by_hand = score_by_hand(pipe, X, y, splits.split(X, y), **params)
        assert split_scores(search, i) == by_hand
    assert search.best_params_["clf__alpha"] in (0.0, 0.2, 1.0)
    assert search.best_params_["clf__max_epochs"] == 6


def test_cross_val_predict_predicts_each_row_with_the_fit_that_left_it_out(wine):
    X, y = wine
    splits = list(StratifiedKFold(3).split(X, y))
    proba = cross_val_predict(quick(), X, y, cv=splits, method="predict_proba")
    for train, test in splits:
        left_out = quick().fit(X[train], y[train]).predict_proba(X[test])
        np.testing.assert_array_equal(proba[test], left_out)
    # 0.97 to 0.99 is usual, 0.013 the standard error, 0.40 the share of the largest class.
    assert accuracy_score(y, proba.argmax(1)) > 0.92


# -- meta-estimators -----------------------------------------------------------------------------


def test_calibration_fits_each_fold_and_mends_an_overconfident_net(breast_cancer):
    X, y = breast_cancer
    X = StandardScaler().fit_transform(X)
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=0.4, random_state=0)
    # Logits ten times too large: the right side of the boundary, but far too sure of it.
    overconfident = quick(alpha=0, predict_nonlinearity=TenfoldSoftmax())
    splits = list(StratifiedKFold(3).split(X_train, y_train))
    calibrated = CalibratedClassifierCV(overconfident, cv=splits).fit(X_train, y_train)

    for (train, _), fitted in zip(splits, calibrated.calibrated_classifiers_, strict=True):
        alone = clone(overconfident).fit(X_train[train], y_train[train])
        np.testing.assert_array_equal(
            fitted.estimator.predict_proba(X_test), alone.predict_proba(X_test)
        )
    before = log_loss(y_test, clone(overconfident).fit(X_train, y_train).predict_proba(X_test))
    assert log_loss(y_test, calibrated.predict_proba(X_test)) < before / 2


class TenfoldSoftmax:
    def __call__(self, logits):
        return (10 * logits).softmax(-1)


def test_soft_voting_averages_the_nets_it_fits(iris, iris_names):
    X, _ = iris
    y = iris_names
    members = [
        ("mixup", quick(alpha=1.0)),
        ("erm", quick(alpha=0, random_state=1)),
        ("linear", LogisticRegression()),
    ]
    vote = VotingClassifier(members, voting="soft").fit(X, y)
    alone = [clone(member).fit(X, y).predict_proba(X) for _, member in members]
    np.testing.assert_allclose(vote.predict_proba(X), np.mean(alone, axis=0), rtol=1e-12)
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    assert set(vote.predict(X)) == set(y)


def test_bagging_fits_its_bootstrap_samples(wine):
    X, y = wine
    bagging = BaggingClassifier(quick(random_state=None), n_estimators=3, random_state=0).fit(X, y)
    alone = [
        clone(net).fit(X[rows], y[rows]).predict_proba(X)
        for net, rows in zip(bagging.estimators_, bagging.estimators_samples_, strict=True)
    ]
    for net, by_hand in zip(bagging.estimators_, alone, strict=True):
        np.testing.assert_array_equal(net.predict_proba(X), by_hand)
    np.testing.assert_allclose(bagging.predict_proba(X), np.mean(alone, axis=0), rtol=1e-6)
    assert len({net.random_state for net in bagging.estimators_}) == 3
    assert bagging.score(X, y) > 0.92


def test_bagging_on_some_of_the_features(wine):
    X, y = wine
    bagging = BaggingClassifier(
        quick(), n_estimators=3, max_features=0.5, bootstrap=False, random_state=0
    ).fit(X, y)
    assert {net.n_features_in_ for net in bagging.estimators_} == {6}
    assert bagging.score(X, y) > 0.92


def test_adaboost_gives_the_second_net_the_weights_of_the_firsts_mistakes(breast_cancer, float64):
    X, y = breast_cancer
    X = StandardScaler().fit_transform(X)
    boost = AdaBoostClassifier(quick(max_epochs=1, lr=1e-3), n_estimators=2, random_state=0)
    boost.fit(X, y)
    first, second = boost.estimators_

    # SAMME (Zhu et al. 2009, Algorithm 2) by hand: uniform weights, then more for the mistakes.
    weight = np.full(len(y), 1 / len(y))
    by_hand = clone(first).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(by_hand.predict_proba(X), first.predict_proba(X))
    wrong = by_hand.predict(X) != y
    assert 0 < wrong.mean() < 0.5
    weight[wrong] *= (1 - wrong.mean()) / wrong.mean()
    weight /= weight.sum()
    by_hand = clone(second).fit(X, y, sample_weight=weight)
    assert_near(by_hand.predict_proba(X), second.predict_proba(X))
    unweighted = clone(second).fit(X, y)
    assert np.abs(unweighted.predict_proba(X) - second.predict_proba(X)).max() > 1e-2


# -- metadata routing ----------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def weight(wine):
    """Weights that count the first class three times and the second hardly at all."""
    return np.array([3.0, 0.1, 1.0])[wine[1]]


@pytest.mark.usefixtures("routing")
def test_routed_sample_weight_reaches_the_fit_through_a_pipeline(wine, weight):
    X, y = wine
    clf = quick(max_epochs=3).set_fit_request(sample_weight=True)
    scale = StandardScaler().set_fit_request(sample_weight=False)
    routed = make_pipeline(scale, clf).fit(X, y, sample_weight=weight)

    X_scaled = StandardScaler().fit_transform(X)
    direct = quick(max_epochs=3).fit(X_scaled, y, sample_weight=weight).predict_proba(X_scaled)
    plain = quick(max_epochs=3).fit(X_scaled, y).predict_proba(X_scaled)
    np.testing.assert_array_equal(routed.predict_proba(X), direct)
    assert np.abs(direct - plain).max() > 0.05


@pytest.mark.usefixtures("routing")
def test_routed_sample_weight_may_go_by_another_name(wine, weight):
    X, y = wine
    clf = quick(max_epochs=3).set_fit_request(sample_weight="importance")
    routed = make_pipeline(clf).fit(X, y, importance=weight)
    direct = quick(max_epochs=3).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.predict_proba(X), direct.predict_proba(X))


@pytest.mark.usefixtures("routing")
def test_routed_sample_weight_reaches_each_fit_of_a_grid_search(wine, weight):
    X, y = wine
    clf = quick(max_epochs=3).set_fit_request(sample_weight=True)
    scoring = get_scorer("neg_log_loss").set_score_request(sample_weight=False)
    splits = list(StratifiedKFold(2).split(X, y))
    search = GridSearchCV(
        clf, {"alpha": [0.0, 1.0]}, cv=splits, scoring=scoring, error_score="raise"
    ).fit(X, y, sample_weight=weight)
    for i, params in enumerate(search.cv_results_["params"]):
        for score, (train, test) in zip(split_scores(search, i), splits, strict=True):
            net = quick(max_epochs=3, **params)
            net.fit(X[train], y[train], sample_weight=weight[train])
            assert score == pytest.approx(-log_loss(y[test], net.predict_proba(X[test])), rel=1e-6)


@pytest.mark.usefixtures("routing")
def test_sample_weight_that_nobody_asked_for_is_refused(wine, weight):
    with pytest.raises((TypeError, ValueError), match="sample_weight"):
        make_pipeline(quick()).fit(*wine, sample_weight=weight)


@pytest.mark.usefixtures("routing")
def test_groups_reach_the_split_that_asks_for_them(wine):
    groups = {"groups": np.arange(len(wine[1])) % 7}
    asks, asks_not, says_nothing = (
        GroupKFold(2).set_split_request(groups=g) for g in (True, False, None)
    )
    routed = quick(max_epochs=1, train_split=ValidSplit(asks)).fit(*wine, **groups)
    with sklearn.config_context(enable_metadata_routing=False):
        direct = quick(max_epochs=1, train_split=ValidSplit(GroupKFold(2))).fit(*wine, **groups)
    assert routed.history[:, "valid_loss"] == direct.history[:, "valid_loss"]
    if "_routing_method" not in inspect.signature(NeuralNet.fit_loop).parameters:
        return  # skorch does not route, so whatever is passed reaches the split.
    for split in (asks_not, says_nothing):
        with pytest.raises((TypeError, ValueError), match="groups"):
            quick(train_split=ValidSplit(split)).fit(*wine, **groups)


# -- inspection ----------------------------------------------------------------------------------


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.usefixtures("plt")
def test_decision_boundary_display_draws_the_decision_function_of_two_classes(breast_cancer):
    from sklearn.inspection import DecisionBoundaryDisplay

    X, y = breast_cancer
    X = StandardScaler().fit_transform(X[:, :2])
    clf = quick().fit(X, y)
    display = DecisionBoundaryDisplay.from_estimator(
        clf, X, response_method="decision_function", grid_resolution=20
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    np.testing.assert_allclose(display.response.ravel(), clf.decision_function(grid), rtol=1e-6)
    # A net that learned something has a boundary in the picture.
    assert display.response.min() < 0 < display.response.max()


@pytest.mark.usefixtures("plt")
def test_decision_boundary_display_draws_the_areas_of_string_classes(iris, iris_names):
    from sklearn.inspection import DecisionBoundaryDisplay

    X = iris[0][:, 2:]
    clf = quick().fit(X, iris_names)
    display = DecisionBoundaryDisplay.from_estimator(
        clf, X, response_method="predict", grid_resolution=20
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    np.testing.assert_array_equal(clf.classes_[display.response.ravel()], clf.predict(grid))
    assert set(display.response.ravel()) == {0, 1, 2}


def test_permutation_importance_finds_that_iris_is_told_by_its_petals(iris):
    X, y = iris
    clf = quick(max_epochs=40, lr=0.01).fit(X, y)
    importance = permutation_importance(clf, X, y, n_repeats=5, random_state=0).importances_mean
    sepals, petals = importance[:2], importance[2:]
    # Either petal measure can stand in for the other in part; the sepals add next to nothing.
    assert petals.min() > 0.05
    assert petals.min() > 2 * sepals.max()
