"""Whatever comes in, what comes out is right, or an error says in our words what is wrong.

`make fuzz N=10000` draws more cases, other ones each time.
"""

import linecache
import os
import pickle
import re
import traceback
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy
import sklearn
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from torch.utils.data import Dataset

import sklearn_mixup
from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier, MixupGAN
from tests import slow_reference as slow
from tests.generated import (
    cases,
    data,
    settings_of_bags,
    settings_of_gans,
    settings_of_nets,
    sometimes,
)

HOME, SKLEARN, *CONVERTERS = (
    f"{Path(package.__file__).parent}{os.sep}"
    for package in (sklearn_mixup, sklearn, np, scipy, pd, pl, pa)
)
EXPECTED_WARNINGS = "|".join([
    "A column-vector y was passed",
    r"\d+ of \d+ nets could not be fused",
    r"\d+ of \d+ rows have no out-of-bag prediction",
    "Samples of a class with a single row can only repeat that row",
    "The number of unique classes is greater than 50%",
    "The least populated class in y has only",
    "The trained weights are gone",
    "'onnxscript",  # an old one warns of itself where torch imports it
    "X does not have valid feature names|X has feature names",
])  # fmt: skip
REFUSED = object()

pytestmark = pytest.mark.slow


# -- what must hold of every call -----------------------------------------------------------------


def assert_in_our_words(error):
    """Check that an error was raised on purpose, by this package or by scikit-learn."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if last.filename.startswith(HOME):
        line = linecache.getline(last.filename, last.lineno).strip()
        assert line.startswith("raise"), f"{last.filename}:{last.lineno} did not raise: {line}"
        return
    outside = [f for f in frames if not f.filename.startswith((*CONVERTERS,))]
    assert outside[-1].filename.startswith(SKLEARN), f"raised in {last.filename}:{last.lineno}"


def content_of(thing):
    """Give all that can be read from an input, as bytes or text."""
    # Frames pickle what they found out as well.
    if isinstance(thing, pl.DataFrame | pl.Series):
        return repr(thing.to_arrow().to_pylist())
    if isinstance(thing, pd.DataFrame | pd.Series):
        frame = pd.DataFrame(thing)
        return repr((frame.to_dict("tight"), [*frame.dtypes]))
    return pickle.dumps(thing)


def attempt(do, *args, is_good=False, **kwargs):
    """Call; return the result, or REFUSED with an error in our words. Inputs stay as they are."""
    inputs = [*args, *kwargs.values()]
    before = [content_of(thing) for thing in inputs]
    result = REFUSED
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = do(*args, **kwargs)
        except (ValueError, TypeError, NotFittedError) as error:
            if is_good:
                raise
            assert_in_our_words(error)
    for warning in heard:
        known = re.match(EXPECTED_WARNINGS, str(warning.message))
        assert known or warning.filename.startswith((SKLEARN, *CONVERTERS)), str(warning)
    assert [content_of(thing) for thing in inputs] == before
    return result


@contextmanager
def double_precision():
    """Make modules of float64, so that equal up to rounding is equal in ten digits."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def is_multilabel(y):
    """Whether rows of whole numbers are several labels a row."""
    return np.ndim(y) == 2 and np.asarray(y).dtype.kind == "i"


def predictions_of(estimator, X):
    """Ask for all that is predicted, or REFUSED."""
    if isinstance(estimator, MixupGAN):
        return attempt(estimator.sample, 3, random_state=0)
    return attempt(estimator.predict_proba, X)


def as_array(X):
    """Give an array of the same numbers in the same dtype."""
    return X.detach().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)


def is_moderate(rows):
    """Whether all numbers are so small that rounding errors stay such, in gradients as well."""
    return bool((np.abs(rows) < 1e6).all())


def assert_same(found, expected):
    """Check that two outcomes are the same, to the bit."""
    assert (found is REFUSED) == (expected is REFUSED)
    if found is not REFUSED:
        assert_array_equal(found, expected)


def classes_of(y, weight):
    """Find the classes among the rows that count, as y has them."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return np.arange(y.shape[1])
    counts = slice(None) if weight is None else np.broadcast_to(weight, len(y)) > 0
    return np.unique(y.ravel()[counts])


def assert_right_probabilities(clf, X, rows):
    """Check probabilities against those of the module's weights, written out in float64."""
    proba = clf.predict_proba(X)
    assert proba.shape == (len(rows), len(clf.classes_))
    assert np.isfinite(proba).all()
    assert (proba >= 0).all()
    predicted = clf.predict(X)
    decided = clf.decision_function(X)
    several = clf.target_type_ == "multilabel-indicator"
    if several:
        assert (proba <= 1).all()
        assert_array_equal(predicted, (proba > 0.5).astype(int))
    else:
        step = np.finfo(proba.dtype).eps
        assert_allclose(proba.sum(axis=1), 1, rtol=0, atol=2 * step * proba.shape[1])
        assert_array_equal(predicted, clf.classes_[proba.argmax(axis=1)])
    with np.errstate(over="ignore", invalid="ignore"):
        logits, error = slow.apply_mlp(clf.module_, rows)
    known = np.isfinite(error).all(axis=1) & (error < 1e3).all(axis=1)
    error = error.max(axis=1, keepdims=True)[known]
    expected = (slow.sigmoid if several else slow.softmax)(logits[known])
    # Neither changes faster than its input; a rounding for each exponential and their sum.
    bound = error + 8 * np.finfo(np.float32).eps
    assert (np.abs(proba[known] - expected) <= bound).all()
    if decided.ndim == 1:
        logits = logits[:, 1:] - logits[:, :1]
    apart = np.abs(decided.reshape(len(rows), -1) - logits)[known]
    assert (apart <= 2 * error + 1e-6 * np.abs(logits[known])).all()


# -- MixupClassifier ------------------------------------------------------------------------------


@cases(0.35)
@given(data(), st.booleans(), st.data())
def test_a_net_is_fitted_right_or_says_what_is_wrong(case, good_settings, drawn):
    params = drawn.draw(settings_of_nets(is_good=good_settings))
    net = MixupClassifier(**params)
    weighs_classes = "class_weight" in params and is_multilabel(case.y)
    is_good = case.is_good and good_settings and not weighs_classes
    if attempt(net.fit, **case.to_fit, is_good=is_good) is REFUSED:
        return
    proba = attempt(net.predict_proba, case.X, is_good=is_good)
    if params["random_state"] is not None:
        again = attempt(clone(net).fit, **case.to_fit, is_good=True)
        assert_same(predictions_of(again, case.X), proba)
    if proba is REFUSED or not np.isfinite(case.rows).all() or isinstance(case.X, Dataset | dict):
        return
    attempt(partial(assert_right_probabilities, net), case.X, case.rows, is_good=True)
    if "classes" not in params:
        assert_array_equal(net.classes_, classes_of(case.y, case.sample_weight))
    if np.ndim(case.y) == 1:
        right = net.predict(case.X) == np.asarray(case.y)
        assert attempt(net.score, case.X, case.y, is_good=True) == right.mean()


@cases(0.1)
@given(st.data())
def test_a_step_is_that_of_the_objective_written_out(drawn):
    alpha = drawn.draw(st.sampled_from([0, float("inf")]))
    n_rows = drawn.draw(st.integers(2, 12 if alpha == 0 else 3))
    case = drawn.draw(data(is_good=True, n_rows=n_rows, weighted=alpha == 0))
    several = is_multilabel(case.y)
    balanced = not several and drawn.draw(st.booleans())
    net = MixupClassifier(
        alpha=alpha,
        class_weight="balanced" if balanced else None,
        module__hidden_sizes=drawn.draw(st.sampled_from([(), (3,), (4, 2)])),
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=-1,
        max_epochs=1,
        random_state=0,
    )
    with double_precision():
        start = clone(net).set_params(max_epochs=0).fit(**case.to_fit)
        shares = slow.shares_of(case.y, start.classes_)
        given_weight = 1 if case.sample_weight is None else np.asarray(case.sample_weight)
        weight = np.ones(n_rows) * given_weight
        if balanced:
            mass = weight @ shares
            per_class = mass.sum() / (np.count_nonzero(mass) * np.where(mass > 0, mass, np.inf))
            weight = weight * (shares @ per_class)
        moved = net.fit(**case.to_fit).module_.cpu()
        possible = slow.possible_steps(
            start.module_.cpu(),
            case.rows,
            shares,
            weight,
            lam=1 if alpha == 0 else 0.5,
            lr=0.1,
            is_multilabel=several,
        )
        found = [p.detach() for p in moved.parameters()]
        assert any(
            np.isclose(loss, net.history[-1, "train_loss"])
            and all(torch.allclose(a, b, atol=1e-9) for a, b in zip(step, found, strict=True))
            for step, loss in possible
        )


# -- what trains many nets at once ----------------------------------------------------------------


@cases(0.15)
@given(data(), st.booleans(), st.data())
def test_an_ensemble_is_its_members_alone_or_says_what_is_wrong(case, scales, drawn):
    net = MixupClassifier(**drawn.draw(settings_of_nets()))
    params = drawn.draw(settings_of_bags(len(case.rows)))
    bag = FusedBaggingClassifier(make_pipeline(MaxAbsScaler(), net) if scales else net, **params)
    with double_precision():
        if attempt(bag.fit, **case.to_fit) is REFUSED:
            return
        proba = predictions_of(bag, case.X)
        again = attempt(clone(bag).fit, **case.to_fit, is_good=True)
        assert_same(predictions_of(again, case.X), proba)
        if proba is REFUSED or not np.isfinite(case.rows).all() or isinstance(case.X, dict):
            return
        # In its own dtype: a net that sees other bits shuffles otherwise. That is also why the
        # scaler is one that does not add up, which rounds as the memory is laid out.
        X, y = as_array(case.X), np.asarray(case.y).reshape(len(case.rows), -1)
        y = y[:, 0] if y.shape[1] == 1 else y
        assert np.isfinite(proba).all()
        mean = np.zeros_like(proba)
        for i, member in enumerate(bag.estimators_):
            columns = bag.estimators_features_[i]
            own = attempt(member.predict_proba, X[:, columns], is_good=True)
            names = bag.classes_ if y.ndim == 2 else member.classes_
            mean[:, np.isin(bag.classes_, names)] += own / len(bag.estimators_)
            if not net.dropout and is_moderate(case.rows):
                with np.errstate(all="ignore"):
                    alone = slow.fit_member_alone(bag, i, X, y, case.sample_weight)
                assert_allclose(own, alone.predict_proba(X[:, columns]), atol=1e-6)
        assert_allclose(proba, mean, atol=1e-9)


@cases(0.06)
@given(data(weighted=False), st.booleans(), st.data())
def test_a_search_finds_what_that_of_scikit_learn_finds(case, scales, drawn):
    net = MixupClassifier(**drawn.draw(settings_of_nets()))
    net.set_params(dropout=None)
    prefix = "mixupclassifier__" if scales else ""
    grid = {f"{prefix}alpha": [0, drawn.draw(st.sampled_from([0.2, 2]))]}
    estimator = make_pipeline(MaxAbsScaler(), net) if scales else net
    found = []
    with double_precision():
        for kind in FusedGridSearchCV, GridSearchCV:
            search = kind(clone(estimator), grid, cv=2, error_score="raise")
            found.append(attempt(search.fit, case.X, case.y))
        fused, plain = found
        assert (fused is REFUSED) == (plain is REFUSED)
        if fused is REFUSED:
            return
        assert fused.cv_results_.keys() == plain.cv_results_.keys()
        scores = [search.cv_results_["mean_test_score"] for search in found]
        if is_moderate(case.rows):
            assert_allclose(*scores, atol=1e-12)
        first, second = (predictions_of(search, case.X) for search in found)
        assert (first is REFUSED) == (second is REFUSED)
        if first is not REFUSED and is_moderate(case.rows):
            assert_allclose(first, second, atol=1e-6)


# -- MixupGAN -------------------------------------------------------------------------------------


@cases(0.14)
@given(data(weighted=False), st.booleans(), st.data())
def test_a_gan_is_fitted_right_or_says_what_is_wrong(case, good_settings, drawn):
    params = drawn.draw(settings_of_gans(is_good=good_settings))
    gan = MixupGAN(encode=False, **params)
    differ = not (case.rows == case.rows[:1]).all()
    is_good = good_settings and case.is_good and differ
    if attempt(gan.fit, case.X, is_good=is_good) is REFUSED:
        return
    again = attempt(clone(gan).fit, case.X, is_good=True)
    samples = gan.sample(20, random_state=0)
    assert_array_equal(again.sample(20, random_state=0), samples)
    assert np.isfinite(samples).all()
    if isinstance(case.X, Dataset) or not np.isfinite(case.rows).all():
        return
    samples = samples.reshape(20, -1)  # rows may be of a higher rank
    assert samples.shape[1] == case.rows.shape[1]
    logits = gan.decision_function(case.X)
    expected, error = slow.apply_mlp(gan.discriminator_, case.rows)
    known = error[:, 0] < 1e3
    assert (np.abs(logits - expected[:, 0]) <= error[:, 0])[known].all()
    if len(case.rows) <= 20:
        fake = gan.sample(len(case.rows), random_state=0).reshape(case.rows.shape)
        distance = slow.energy_distance(case.rows, fake)
        assert_allclose(gan.score(case.X), -distance, rtol=1e-5, atol=1e-6)


# -- one call after another -----------------------------------------------------------------------


def changes_of(settings):
    """Draw a change of one or two parameters."""
    return settings.flatmap(
        lambda params: st.sampled_from([*params]).map(lambda name: {name: params[name]})
    )


CALLS = sometimes("fit", "partial_fit", "set_params", "clone", "pickle")


@cases(0.2)
@given(st.sampled_from([MixupClassifier, MixupGAN]), st.booleans(), st.data())
def test_calls_in_any_order_leave_a_net_that_is_right(kind, good_settings, drawn):
    """A net and its twin, which is pickled at times, stay alike; what is refused does nothing."""
    settings = settings_of_nets if kind is MixupClassifier else settings_of_gans
    net = kind(**drawn.draw(settings()))
    twin = clone(net)
    known = [drawn.draw(data(is_good=is_good)) for is_good in (True, True, False)]
    before = predictions_of(net, known[0].X)
    assert before is REFUSED
    for call in drawn.draw(st.lists(CALLS, min_size=2, max_size=6)):
        refused = False
        if call == "clone":
            net, twin = clone(net), clone(twin)
        elif call == "pickle":
            twin = pickle.loads(pickle.dumps(twin))
        elif call == "set_params":
            params = drawn.draw(changes_of(settings(is_good=good_settings)))
            for one in net, twin:
                attempt(one.set_params, **params)
        else:
            case = drawn.draw(st.sampled_from(known))
            for one in net, twin:
                refused = attempt(getattr(one, call), case.X, case.y) is REFUSED
        now = [predictions_of(net, case.X) for case in known]
        for found, case in zip(now, known, strict=True):
            assert_same(predictions_of(twin, case.X), found)
        if refused and now[0] is not REFUSED:
            assert_same(now[0], before)
        before = now[0]
