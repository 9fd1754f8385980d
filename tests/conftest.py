"""Shared fixtures: small real data sets, read-only, and what every test session needs."""

import copy
import os
import signal

# SciPy has to know before it is imported; then scikit-learn's checks leave none out.
os.environ["SCIPY_ARRAY_API"] = "1"

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import issparse
from sklearn import datasets
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

from tests.real_data import DATA_HOME, find_or_skip

# Threads that fight over a few busy cores are slower than one.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``cuda`` where there is no such device; mark benchmarks as slow."""
    no_cuda = not torch.cuda.is_available()
    for item in items:
        if Path(__file__).parent / "benchmarks" in item.path.parents:
            item.add_marker(pytest.mark.slow)
        if no_cuda and item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; torch finds none"))


@pytest.fixture(scope="session")
def cpu_environment() -> dict[str, str]:
    """Give the environment of a child process that sees no GPU.

    Where there is one, torch's optimizers ask it at each step, which a fork must not, and
    accelerate's processes wait for each other on a GPU of their own each.
    """
    hidden = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    return {**os.environ, **hidden, "OMP_NUM_THREADS": "1"}


def _read_only(
    *arrays: Any, dtypes: tuple[Any, ...] = (np.float64, None)
) -> tuple[np.ndarray, ...]:
    arrays = tuple(np.array(array, dtype=d) for array, d in zip(arrays, dtypes, strict=True))
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch use one thread, as a small net of ours does by itself and others do not."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float64() -> Iterator[None]:
    """Let networks and tensors be made in float64, where equivalence is what a test claims."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# -- tables and pictures that come with scikit-learn: X and y, read-only ------------------------


@pytest.fixture(scope="session")
def iris() -> tuple[np.ndarray, np.ndarray]:
    """Iris, standardised: 150 x 4, three classes of 50."""
    X, y = datasets.load_iris(return_X_y=True)
    return _read_only(StandardScaler().fit_transform(X), y)


@pytest.fixture(scope="session")
def iris_names(iris) -> np.ndarray:
    """The species of each row of `iris` as a string; their order is that of the codes."""
    (names,) = _read_only(datasets.load_iris().target_names[iris[1]], dtypes=(str,))
    return names


@pytest.fixture(scope="session")
def wine() -> tuple[np.ndarray, np.ndarray]:
    """Wine, standardised: 178 x 13, classes of 59, 71 and 48."""
    X, y = datasets.load_wine(return_X_y=True)
    return _read_only(StandardScaler().fit_transform(X), y)


@pytest.fixture(scope="session")
def noisy(wine) -> tuple[np.ndarray, np.ndarray]:
    """Wine with a third of its labels drawn anew: nets soon learn by heart what is wrong."""
    X, y = wine
    rng = np.random.RandomState(0)
    drawn = np.where(rng.rand(len(y)) < 1 / 3, rng.randint(3, size=len(y)), y)
    return X, *_read_only(drawn, dtypes=(None,))


@pytest.fixture(scope="session")
def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    """Breast cancer as it is, not standardised: 569 x 30, classes of 212 and 357."""
    return _read_only(*datasets.load_breast_cancer(return_X_y=True))


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first 600 digits as pictures in [0, 1]: (600, 8, 8) float32, ten even classes."""
    bunch = datasets.load_digits()
    return _read_only(bunch.images[:600] / 16, bunch.target[:600], dtypes=(np.float32, None))


# -- tables of the paper, read from their original files -----------------------------------------


def _load(name: str) -> Any:
    loaders = pytest.importorskip("benchmarks._data.uci")
    find_or_skip(f"uci/{name}")
    return loaders.FETCHERS[name](DATA_HOME, download_if_missing=False)


@pytest.fixture(scope="session")
def _abalone() -> Any:
    return _load("abalone")


@pytest.fixture
def abalone(_abalone) -> SimpleNamespace:
    """600 rows of Abalone; the usual three age groups (rings 1-8, 9-10, 11-29) are the classes."""
    rows = np.random.default_rng(0).permutation(len(_abalone.target))[:600]
    ages = np.array(["young", "middle", "old"])
    return SimpleNamespace(
        X=_abalone.data.iloc[rows].reset_index(drop=True),
        y=ages[np.digitize(_abalone.target[rows], [9, 11])],
        nominal=list(_abalone.categorical_columns),
    )


@pytest.fixture(scope="session")
def _website_phishing() -> Any:
    return _load("website_phishing")


@pytest.fixture
def website_phishing(_website_phishing) -> SimpleNamespace:
    """800 rows of Website Phishing, nine nominal columns; labels -1, 0, 1."""
    rows = np.random.default_rng(0).permutation(len(_website_phishing.target))[:800]
    return SimpleNamespace(
        X=_website_phishing.data.iloc[rows].reset_index(drop=True),
        y=_website_phishing.target[rows],
        nominal=list(_website_phishing.categorical_columns),
    )


# -- inputs are never written to -------------------------------------------------------------------


def _content(thing: Any) -> Any:
    """Give all that can be read from an input, in a form that compares, NaN included."""
    if isinstance(thing, torch.Tensor):
        rows = thing.detach().cpu().numpy()
        return "tensor", thing.dtype, thing.requires_grad, _content(thing.grad), _content(rows)
    if isinstance(thing, np.ndarray):
        numbers = thing.dtype.hasobject
        return thing.dtype, thing.shape, repr(thing.tolist()) if numbers else thing.tobytes()
    if isinstance(thing, pd.DataFrame):
        columns = [(name, _content(column)) for name, column in thing.items()]
        return "frame", repr(thing.index), columns
    if isinstance(thing, pd.Series):
        return "series", str(thing.dtype), repr(thing.index), repr(thing.tolist())
    if issparse(thing):
        return "sparse", thing.format, thing.shape, repr(thing), thing.toarray().tobytes()
    if isinstance(thing, Mapping):
        return [(key, _content(value)) for key, value in thing.items()]
    if isinstance(thing, list | tuple):
        return type(thing), [_content(part) for part in thing]
    if isinstance(thing, Dataset):
        return type(thing), _content(vars(thing))
    return repr(thing)


@contextmanager
def _unchanged(*things: Any) -> Iterator[None]:
    before = copy.deepcopy([_content(thing) for thing in things])
    yield
    for thing, content in zip(things, before, strict=True):
        if _content(thing) != content:
            pytest.fail(f"a {type(thing).__name__} of the caller was changed")


@pytest.fixture
def assert_unchanged() -> Any:
    """Give a context, ``assert_unchanged(X, y)``: inputs must stay as they are, to the byte."""
    return _unchanged


@pytest.fixture
def ctrl_c_raises():
    """Let SIGINT raise: a shell starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
