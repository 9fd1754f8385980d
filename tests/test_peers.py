"""What scikit-learn's estimators for the same purpose have, ours have too, or say why not."""

import re

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.utils.fixes import parse_version
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier


def quick(**params):
    return MixupClassifier(
        **{"max_epochs": 3, "module__hidden_sizes": (8,), "random_state": 0, **params}
    )


def public_names(estimator):
    """Name what a fitted estimator has, but for its parameters."""
    return {name for name in dir(estimator) if not name.startswith("_")} - set(
        estimator.get_params(deep=False)
    )


# What is left out; the docstring of the class says why.
LEFT_OUT = {
    MixupClassifier: {"coefs_", "intercepts_", "n_layers_", "out_activation_", "t_", "loss"},
    FusedBaggingClassifier: set(),
}
# `loss`, the name of the loss, is no parameter of MLPClassifier but might as well be: `criterion`.
NOT_IN_DOCSTRING = {"loss"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (MLPClassifier(max_iter=2), quick()),
        (
            BaggingClassifier(oob_score=True, n_estimators=40, random_state=0),
            FusedBaggingClassifier(quick(), 40, bootstrap=True, oob_score=True, random_state=0),
        ),
    ],
)
def test_only_what_the_docstring_explains_is_left_out(theirs, ours, iris):
    missing = public_names(theirs.fit(*iris)) - public_names(ours.fit(*iris))
    assert missing == LEFT_OUT[type(ours)]
    for name in missing - NOT_IN_DOCSTRING:
        assert re.search(rf"not here:.*`{name}`", type(ours).__doc__, re.DOTALL)


# -- what MLPClassifier has -----------------------------------------------------------------------


@pytest.mark.parametrize("targets", ["labels", "several labels"])
def test_log_probabilities_are_those_of_the_probabilities(targets, iris):
    X, y = iris
    clf = quick().fit(X, y if targets == "labels" else np.eye(3, dtype=int)[y])
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-6)


def test_a_probability_of_zero_has_a_logarithm_without_a_warning(iris):
    X, y = iris
    clf = quick().fit(X, y)
    log_proba = clf.predict_log_proba(1e6 * X)
    assert_array_equal(np.isneginf(log_proba), clf.predict_proba(1e6 * X) == 0)
    assert np.isneginf(log_proba).any()


def test_losses_are_those_of_the_history(iris):
    clf = quick().fit(*iris)
    losses = clf.history[:, "train_loss"]
    assert clf.loss_curve_ == losses
    assert (clf.loss_, clf.best_loss_, clf.n_iter_) == (losses[-1], min(losses), 3)
    assert clf.validation_scores_ is clf.best_validation_score_ is None
    assert clf.partial_fit(*iris).n_iter_ == 6
    assert len(clf.loss_curve_) == 6


def test_scores_of_rows_set_aside_are_those_of_the_history(iris):
    clf = quick(train_split=ValidSplit(3, stratified=True)).fit(*iris)
    scores = clf.history[:, "valid_acc"]
    assert clf.validation_scores_ == scores
    assert clf.best_validation_score_ == max(scores) <= 1


ATTRIBUTES = (
    *("loss_", "best_loss_", "loss_curve_", "n_iter_"),
    *("validation_scores_", "best_validation_score_"),
)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_unfitted_net_has_none_of_them(name, iris):
    clf = quick()
    assert not hasattr(clf, name)
    with pytest.raises(AttributeError, match="it is not fitted"):
        getattr(clf, name)
    assert hasattr(clf.fit(*iris), name)
    assert not hasattr(clone(clf), name)


def test_without_callbacks_there_are_epochs_but_no_losses(iris):
    clf = quick(callbacks="disable").fit(*iris)
    assert clf.n_iter_ == 3
    assert not hasattr(clf, "loss_")
    assert clf.validation_scores_ is None


# -- metadata, as scikit-learn routes it ----------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requests(estimator, method):
    return getattr(estimator._get_metadata_request(), method).requests


@pytest.mark.usefixtures("routing")
def test_a_net_asks_for_metadata_as_other_classifiers_do():
    assert requests(quick(), "fit") == requests(LogisticRegression(), "fit")
    assert requests(quick(), "partial_fit")["sample_weight"] is None
    asked = quick().set_fit_request(sample_weight=True)
    assert requests(clone(asked), "fit")["sample_weight"] is True


@pytest.mark.skipif(
    not hasattr(NeuralNetClassifier, "set_fit_request"),
    reason="before 1.4 skorch leaves it to scikit-learn, which takes sample_weight alone",
)
@pytest.mark.usefixtures("routing")
def test_a_net_asks_for_what_its_module_takes():
    asked = quick().set_fit_request(sample_weight=True, scale=True)
    assert requests(clone(asked), "fit") == {"sample_weight": True, "scale": True}
    assert requests(quick().set_fit_request(scale=True), "fit") == {
        "sample_weight": None,
        "scale": True,
    }


needs_routing_of_ensembles = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn 1.6 wants requests of an ensemble's estimator",
)


@needs_routing_of_ensembles
@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("asks", [False, True])
def test_weights_reach_an_ensemble_whether_its_net_asks_for_them_or_not(asks, iris):
    X, y = iris
    weight = np.array([3.0, 0.1, 1.0])[y]
    splits = list(KFold(2, shuffle=True, random_state=0).split(X))
    net = quick().set_fit_request(sample_weight=True) if asks else quick()
    ensemble = FusedBaggingClassifier(net, 2, random_state=0)
    fitted = cross_validate(
        ensemble, X, y, cv=splits, params={"sample_weight": weight}, return_estimator=True
    )["estimator"]
    for member, (train, _) in zip(fitted, splits, strict=True):
        alone = clone(ensemble).fit(X[train], y[train], sample_weight=weight[train])
        assert_array_equal(member.predict_proba(X), alone.predict_proba(X))
        unweighted = clone(ensemble).fit(X[train], y[train])
        assert np.abs(alone.predict_proba(X) - unweighted.predict_proba(X)).max() > 1e-3


@needs_routing_of_ensembles
@pytest.mark.usefixtures("routing")
def test_scikit_learns_own_ensemble_takes_weights_of_our_nets_too(iris):
    weight = np.random.default_rng(0).uniform(0.1, 3, 150)
    for estimator in (LogisticRegression(max_iter=1000), quick()):
        ensemble = BaggingClassifier(estimator, 2, bootstrap=True, random_state=0)
        scores = cross_validate(ensemble, *iris, cv=3, params={"sample_weight": weight})
        assert np.isfinite(scores["test_score"]).all()
