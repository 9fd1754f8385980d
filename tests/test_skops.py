"""skops and nets: a net's state holds a pickle, so no file of skops may hold or run one."""

import copy
import io
import os
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, MixupGAN, MixupRegressor
from sklearn_mixup._net import estimator as net_estimator


class _Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).normal(size=(30, 2))
    return X, (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def net(rows):
    return MixupClassifier(hidden_sizes=2, max_epochs=1, random_state=0).fit(*rows)


@pytest.mark.parametrize(
    "model",
    [
        MixupClassifier(hidden_sizes=2, max_epochs=1),
        MixupRegressor(hidden_sizes=2, max_epochs=1),
        MixupGAN(max_iter=1),
        make_pipeline(StandardScaler(), MixupClassifier(hidden_sizes=2, max_epochs=1)),
        FusedBaggingClassifier(MixupClassifier(hidden_sizes=2, max_epochs=1), 2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_skops_is_refused_a_net_and_told_what_to_use(model, rows):
    skops_io = pytest.importorskip("skops.io")
    with pytest.raises(TypeError, match=r"holds a pickle.*sklearn_mixup\.save"):
        skops_io.dumps(model.fit(*rows))


def test_skops_runs_no_pickle_that_is_hidden_in_a_file(net, tmp_path):
    skops_io = pytest.importorskip("skops.io")
    token = net_estimator._IS_PICKLED.set(True)  # As a writer that does not ask would.
    try:
        data = skops_io.dumps(net)
    finally:
        net_estimator._IS_PICKLED.reset(token)
    marker = tmp_path / "ran"
    hostile = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as good, zipfile.ZipFile(hostile, "w") as bad:
        names = good.namelist()
        assert any(name.endswith(".bin") for name in names)
        for name in names:
            is_hidden = name.endswith(".bin")
            bad.writestr(name, pickle.dumps(_Evil(str(marker))) if is_hidden else good.read(name))
    trusted = skops_io.get_untrusted_types(data=hostile.getvalue())
    with pytest.raises(TypeError, match="holds a pickle"):
        skops_io.loads(hostile.getvalue(), trusted=trusted)
    assert not marker.exists()


def test_state_of_a_net_is_given_to_nobody_but_pickle(net):
    with pytest.raises(TypeError, match="only pickle, copy and joblib"):
        net.__getstate__()
    with pytest.raises(TypeError, match="only pickle, copy and joblib"):
        MixupClassifier().__setstate__({"device": "cpu", "_is_unpickled_": True})


def test_pickle_copy_and_joblib_have_the_state_of_a_net(net, rows):
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    again = [pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net), joblib.load(file)]
    for other in again:
        assert "_is_unpickled_" not in vars(other)
        np.testing.assert_array_equal(other.predict_proba(rows[0]), net.predict_proba(rows[0]))


class _Subclass(MixupClassifier):
    def __getstate__(self):
        return {**super().__getstate__(), "of_mine": 1}


def test_subclass_adds_to_the_state_that_pickle_has(net, rows):
    sub = _Subclass(hidden_sizes=2, max_epochs=1, random_state=0).fit(*rows)
    assert pickle.loads(pickle.dumps(sub)).of_mine == 1
