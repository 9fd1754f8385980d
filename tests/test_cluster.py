"""Chunks of a search as joblib tasks: spread over a dask cluster, whose workers may die."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import cloudpickle
import joblib
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import FusedGridSearchCV, MixupClassifier, fit_fused
from sklearn_mixup.modules import MLP
from tests.rounding import assert_near

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    """Connect to a cluster of two processes, which know this file by value: it is no package."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def make_module(path, **kwargs):
    """Make an MLP; note who made it, and die the first time."""
    try:
        with Path(path, "died").open("x"):
            os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        Path(path, str(os.getpid())).touch()
    return make_double(**kwargs)


def make_double(**kwargs):
    """Make a module in float64, which the workers would not do by themselves."""
    return MLP(n_features=4, n_classes=3, hidden_sizes=(8,), **kwargs).double()


def make_nets(**params):
    return [MixupClassifier(max_epochs=3, random_state=seed, **params) for seed in range(6)]


def test_chunk_of_a_worker_that_dies_is_run_again(client, iris, tmp_path):
    X, y = iris
    pids = set(client.run(os.getpid).values())
    nets = make_nets(module=partial(make_module, str(tmp_path)), dropout=0.1)
    with joblib.parallel_config(backend="dask"):
        fit_fused(nets, [X] * 6, [y] * 6, max_fused=2)
    assert Path(tmp_path, "died").exists()
    # Here, in this process, nothing was trained.
    assert not Path(tmp_path, str(os.getpid())).exists()
    assert set(client.run(os.getpid).values()) != pids
    alone = fit_fused(make_nets(module=make_double, dropout=0.1), [X] * 6, [y] * 6)
    for net, other in zip(nets, alone, strict=True):
        for p, q in zip(net.module_.parameters(), other.module_.parameters(), strict=True):
            assert_near(p.detach(), q.detach())


def test_search_over_a_cluster_equals_the_search_here(client, iris):
    X, y = iris
    net = MixupClassifier(make_double, max_epochs=3, random_state=0)
    grid = {"mixupclassifier__alpha": [0, 0.2, 1], "mixupclassifier__dropout": [0, 0.5]}
    search = FusedGridSearchCV(make_pipeline(StandardScaler(), net), grid, cv=3, max_fused=5)
    here = search.fit(X, y).cv_results_["mean_test_score"].tolist()
    with joblib.parallel_config(backend="dask"):
        there = search.fit(X, y).cv_results_["mean_test_score"].tolist()
    assert there == here
