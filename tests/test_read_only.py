"""Arrays that may not be written to, and files that are read as they lie."""

import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils.data import DataLoader, Dataset

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, MixupGAN
from sklearn_mixup._net.memory import collate, share

LOADERS = {
    "resident": {},
    "loader": {"iterator_train": DataLoader, "iterator_valid": DataLoader},
    "sampler": {"iterator_train__num_workers": 0, "iterator_valid__num_workers": 0},
}
N_ROWS = 5000


@pytest.fixture
def file(tmp_path):
    """Open a table of 5,000 x 100, float32, that lies in a file; 2 MB."""
    path = tmp_path / "rows.npy"
    rows = np.random.default_rng(0).standard_normal((N_ROWS, 100)).astype(np.float32)
    np.save(path, rows)
    return np.load(path, mmap_mode="r")


def small(**params):
    given = {"module__hidden_sizes": (4,), "max_epochs": 1, "batch_size": 256, "random_state": 0}
    return MixupClassifier(**given, **params)


@pytest.mark.parametrize("way", LOADERS)
def test_a_file_is_trained_on_as_it_lies(way, file):
    y = np.arange(N_ROWS) % 2
    before = file.tobytes()
    small(**LOADERS[way]).fit(file[:600], y[:600])  # what is made once
    net = small(**LOADERS[way])
    tracemalloc.start()
    try:
        net.fit(file, y).predict(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < file.nbytes / 2
    assert file.tobytes() == before
    written = small(**LOADERS[way]).fit(np.array(file), y)
    assert_array_equal(net.predict_proba(file), written.predict_proba(np.array(file)))


def test_a_file_lies_on_the_cpu_without_a_copy(file):
    net = small(device="cpu").fit(file[:600], np.arange(600) % 2)
    assert net._to_device(file).data_ptr() == file.ctypes.data
    assert_array_equal(net._to_device(file[::-2]).numpy(), file[::-2])
    assert share(np.broadcast_to(np.float32(1), (3, 2))).tolist() == [[1.0, 1.0]] * 3


def test_memory_that_is_shared_stays_as_long_as_its_tensor():
    rows = np.arange(10**6)
    rows.flags.writeable = False
    shared = share(rows)
    del rows
    assert torch.equal(shared, torch.arange(10**6))


@pytest.mark.parametrize("way", LOADERS)
def test_read_only_targets_of_any_kind_are_fine(way, iris):
    X, y = iris
    soft = (0.1 + 0.7 * np.eye(3)[y]).astype(np.float32)
    several = np.eye(3, dtype=int)[y]
    for targets in (y, soft, several):
        targets.flags.writeable = False
        assert small(**LOADERS[way]).fit(X, targets).predict(X).shape[0] == 150


class Read(Dataset):
    """Rows as they are read from a file."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"X": self.rows[i]}, int(i % 2)


def test_a_dataset_may_yield_rows_of_a_file(file):
    dataset = Read(file[:600])
    net = small(classes=[0, 1], module__n_features=100, module__n_classes=2)
    assert net.fit(dataset).predict(dataset).shape == (600,)


def test_other_estimators_read_too(iris):
    X, y = iris[0].astype(np.float32), iris[1]
    X.flags.writeable = False
    assert MixupGAN(max_iter=2, **LOADERS["loader"]).fit(X).score(X) < 0
    bag = FusedBaggingClassifier(MixupClassifier(max_epochs=1), 2, bootstrap=True)
    assert bag.fit(X, y).predict(X).shape == (150,)


@pytest.mark.parametrize("dtype", ["longdouble", ">f8", ">f4", "float16"])
@pytest.mark.parametrize("make", [lambda X: X, lambda X: {"X": X}, lambda X: X[:, None]])
def test_numbers_that_torch_does_not_know_are_converted(make, dtype, iris):
    X, y = iris[0].astype(dtype), iris[1]
    net, same = (MixupClassifier(max_epochs=1, random_state=0) for _ in range(2))
    plain = make(X.astype(np.float64))
    found = net.fit(make(X), y).predict_proba(make(X))
    assert_array_equal(found, same.fit(plain, y).predict_proba(plain))


def test_whole_numbers_of_foreign_bytes_are_converted():
    rows = np.arange(6).reshape(3, 2)
    assert torch.equal(share(rows.astype(">i8")), torch.arange(6).reshape(3, 2))


def test_collation_copies_only_what_is_read_only():
    mine, theirs = np.zeros(2), np.ones(2)
    theirs.flags.writeable = False
    X, y = collate([({"a": mine, "b": [theirs]}, 0), ({"a": mine, "b": [theirs]}, 1)])
    assert X["a"].tolist() == [[0, 0], [0, 0]]
    assert X["b"][0].tolist() == [[1, 1], [1, 1]]
    assert y.tolist() == [0, 1]
    assert mine.flags.writeable
    assert not theirs.flags.writeable
