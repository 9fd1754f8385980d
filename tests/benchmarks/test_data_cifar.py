"""CIFAR: files that are the published ones, and errors that name those that are not."""

import hashlib
import os
import pickle
import shutil
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

# Only where the extra is absent: any other failed import is a failed test.
if find_spec("torchvision") is None:
    pytest.skip("needs the extra vision", allow_module_level=True)
from PIL import Image

from benchmarks._data import cifar
from benchmarks._data.cifar import fetch_cifar10, fetch_cifar100
from benchmarks._data.jpegs import decode_packed
from benchmarks._data.pictures import to_floats
from benchmarks._nets.vision import import_torchvision
from tests.real_data import DATA_HOME, find_or_skip

# -- CIFAR: the packed subset ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def subset() -> Bunch:
    find_or_skip("cifar10/cifar10_subset.npz")
    return fetch_cifar10(DATA_HOME, download_if_missing=False, versions=["subset"])


def test_subset_has_a_thousand_pictures_of_each_class_and_says_that_it_is_one(subset):
    assert subset.X_train.shape == (10_000, 3, 32, 32)
    assert subset.X_test.shape == (2_000, 3, 32, 32)
    assert subset.X_train.dtype == subset.X_test.dtype == np.uint8
    assert subset.y_train.dtype == subset.y_test.dtype == np.int64
    assert np.bincount(subset.y_train).tolist() == [1000] * 10
    assert np.bincount(subset.y_test).tolist() == [200] * 10
    assert subset.name == "CIFAR-10 subset: 10,000 + 2,000, JPEG-recompressed"
    assert subset.is_subset
    assert subset.target_names[:3] == ["airplane", "automobile", "bird"]


def test_subset_is_near_the_lossless_pictures_in_layout_order_and_label(subset):
    lossless = np.load(find_or_skip("cifar10/cifar10_lossless200.npz"))
    packed = np.load(find_or_skip("cifar10/cifar10_subset.npz"))
    row_of = {name: row for row, name in enumerate(packed["files_train"].tolist())}
    assert lossless["x"][0, 0, 0].tolist() == [59, 62, 63]
    seen = [0] * 10
    for X, label in zip(lossless["x"], lossless["y"], strict=True):
        row = row_of[f"train/{subset.target_names[label]}/{seen[label]:04d}.jpg"]
        seen[label] += 1
        assert subset.y_train[row] == label
        ours = subset.X_train[row].astype(float)
        assert np.corrcoef(ours.ravel(), X.transpose(2, 0, 1).ravel())[0, 1] >= 0.95
    assert sum(seen) == 200


def test_mean_and_std_are_those_of_the_pixels(subset):
    """The authors' std is the mean of the pictures' own."""
    pixels = subset.X_train[:4000] / 255
    np.testing.assert_allclose(pixels.mean((0, 2, 3)), subset.mean, atol=0.01)
    np.testing.assert_allclose(pixels.std((2, 3)).mean(0), subset.std, atol=0.01)


def test_subset_needs_no_torchvision(subset, monkeypatch):
    def refuse():
        raise ImportError("torchvision is not installed")

    monkeypatch.setattr(cifar, "import_torchvision", refuse)
    assert fetch_cifar10(DATA_HOME, download_if_missing=False).name == subset.name
    with pytest.raises(ImportError, match="not installed"):
        fetch_cifar10(DATA_HOME, download_if_missing=False, versions=["original"])


def test_damaged_subset_is_refused(tmp_path):
    content = bytearray(find_or_skip("cifar10/cifar10_subset.npz").read_bytes())
    content[1_000_000] ^= 1
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar10_subset.npz").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"cifar10_subset\.npz' is damaged.*versions=\[\"original\"\]"
    ):
        fetch_cifar10(tmp_path)


# -- CIFAR: all of it, recompressed ----------------------------------------------------------------

PACKED = "cifar10/cifar10_jpeg.npz"


def pack_jpegs(pictures: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pack pictures as JPEG files: what all begin with, the rest of each, and their lengths."""
    files = []
    for picture in pictures:
        file = BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=75)
        files.append(file.getvalue())
    header = files[0][: files[0].index(b"\xff\xda")]  # up to the pixels
    rest = [file[len(header) :] for file in files]
    lengths = np.array([len(part) for part in rest], dtype=np.uint16)
    return np.frombuffer(header, np.uint8), np.frombuffer(b"".join(rest), np.uint8), lengths


@pytest.fixture
def pack(tmp_path, monkeypatch) -> Callable[..., Bunch]:
    """Write a small packed file, make its checksum the published one; give what is in it.

    The pictures of class k are all of one grey, 20 k, sorted by class; `changes` are other arrays.
    """

    def write(size: int = 32, **changes) -> Bunch:
        arrays = {"class_names": np.array(list("abcdefghij"))}
        for part, n_each in (("train", 3), ("test", 1)):
            y = np.repeat(np.arange(10, dtype=np.uint8), n_each)
            X = np.ones((len(y), size, size, 3), dtype=np.uint8) * 20 * y[:, None, None, None]
            header, rest, lengths = pack_jpegs(X)
            arrays |= {"jpeg_header": header, f"jpeg_{part}": rest}
            arrays |= {f"length_{part}": lengths, f"y_{part}": y}
        (tmp_path / "cifar10").mkdir(exist_ok=True)
        np.savez(tmp_path / PACKED, **(arrays | changes))
        known = hashlib.sha256((tmp_path / PACKED).read_bytes()).hexdigest()
        monkeypatch.setattr(cifar, "_JPEG", replace(cifar._JPEG, sha256=known))
        return Bunch(**arrays)

    return write


def fetch_recompressed(home):
    return fetch_cifar10(home, download_if_missing=False, versions=["original", "recompressed"])


def test_recompressed_pictures_are_shuffled_with_their_labels_and_say_what_they_are(tmp_path, pack):
    pack()
    ours = fetch_recompressed(tmp_path)
    for X, y, n_each in [(ours.X_train, ours.y_train, 3), (ours.X_test, ours.y_test, 1)]:
        assert (X.dtype, y.dtype, X.flags.c_contiguous) == (np.uint8, np.int64, True)
        assert X.shape == (10 * n_each, 3, 32, 32)
        # JPEG keeps a picture of one grey but for rounding.
        np.testing.assert_allclose(X, np.broadcast_to(20 * y[:, None, None, None], X.shape), atol=2)
        assert np.bincount(y).tolist() == [n_each] * 10
        assert y.tolist() != sorted(y)
    assert ours.target_names == list("abcdefghij")
    assert (ours.name, ours.is_subset) == ("CIFAR-10, JPEG-recompressed", False)
    np.testing.assert_array_equal(fetch_recompressed(tmp_path).y_train, ours.y_train)


def test_recompressed_pictures_of_the_data_home_are_those_of_the_subset(subset):
    path = find_or_skip(PACKED)
    arrays = cifar._JPEG.read(path.parents[1])
    assert {name: np.bincount(arrays[f"y_{name}"]).tolist() for name in ("train", "test")} == {
        "train": [5000] * 10,
        "test": [1000] * 10,
    }
    n_bytes = arrays["length_test"][:20].sum(dtype=int)
    X = decode_packed(
        arrays["jpeg_header"],
        arrays["jpeg_test"][:n_bytes],
        arrays["length_test"][:20],
        shape=(32, 32),
    )
    packed = np.load(find_or_skip("cifar10/cifar10_subset.npz"))
    row_of = {name: row for row, name in enumerate(packed["files_test"].tolist())}
    for row, picture in enumerate(X):
        np.testing.assert_array_equal(
            picture, packed["x_test"][row_of[f"test/airplane/{row:04d}.jpg"]]
        )


def test_truncated_recompressed_file_is_refused_by_name(tmp_path, pack):
    pack()
    path = tmp_path / PACKED
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cifar10_jpeg\.npz' is damaged.*Copy it again.*original"):
        fetch_recompressed(tmp_path)


def test_recompressed_pictures_that_do_not_fit_together_are_refused_by_name(tmp_path, pack):
    whole = pack()
    cut = whole.length_train.copy()
    cut[[3, 4]] += np.array([-9, 9], dtype=np.int16).astype(np.uint16)
    for changes, why in (
        ({"y_test": whole.y_test[1:]}, "10 test pictures have 9 labels"),
        ({"length_train": whole.length_train[1:]}, "29 pictures must have .* bytes"),
        ({"jpeg_train": whole.jpeg_train[:-5]}, "30 pictures must have .* bytes"),
        ({"length_train": cut}, "picture 3 cannot be decoded"),
    ):
        pack(**changes)
        with pytest.raises(ValueError, match=rf"cifar10_jpeg\.npz' is damaged: {why}.*Copy it"):
            fetch_recompressed(tmp_path)
    pack(size=28)
    with pytest.raises(ValueError, match=r"picture 0 must be of shape \(32, 32, 3\); got \(28, 28"):
        fetch_recompressed(tmp_path)


def test_recompressed_pictures_need_pillow_and_say_so(tmp_path, pack, monkeypatch):
    pack()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        fetch_cifar10(tmp_path, versions=["recompressed"])


# -- CIFAR: small batches in the original form -----------------------------------------------------


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_batches(root: Path, kind: type, n_classes: int, monkeypatch) -> Bunch:
    """Write small batches, archived too, and make theirs the published checksums."""
    rng = np.random.default_rng(0)
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    labels = "labels" if n_classes == 10 else "fine_labels"
    written = {}
    for part in ("train_list", "test_list"):
        X, y, listed = [], [], []
        for name, _ in getattr(kind, part):
            data = rng.integers(0, 256, (12, 3072), dtype=np.uint8)
            codes = rng.integers(0, n_classes, 12).tolist()
            (folder / name).write_bytes(pickle.dumps({"data": data, labels: codes}, protocol=2))
            X.append(data)
            y += codes
            listed.append([name, md5_of(folder / name)])
        monkeypatch.setattr(kind, part, listed)
        written[part] = np.vstack(X), np.array(y)
    names = [f"class {code}" for code in range(n_classes)]
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: names}, protocol=2))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5_of(meta)})
    with tarfile.open(root / kind.filename, "w:gz") as archive:
        archive.add(folder, arcname=kind.base_folder)
    monkeypatch.setattr(kind, "tgz_md5", md5_of(root / kind.filename))
    return Bunch(train=written["train_list"], test=written["test_list"], names=names)


@pytest.fixture
def cifar10(tmp_path, monkeypatch) -> Bunch:
    kind = import_torchvision().datasets.CIFAR10
    written = write_batches(tmp_path / "cifar10", kind, 10, monkeypatch)
    return Bunch(home=tmp_path, root=tmp_path / "cifar10", kind=kind, **written)


def assert_as_written(ours: Bunch, written: Bunch) -> None:
    """Each row of a batch is 1,024 reds, greens and blues, line by line."""
    for X, y, part in [(ours.X_train, ours.y_train, "train"), (ours.X_test, ours.y_test, "test")]:
        data, codes = written[part]
        assert X.flags.c_contiguous
        assert (X.dtype, y.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(X, data.reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(y, codes)
    assert ours.target_names == written.names


def test_batches_are_read_in_order(cifar10):
    ours = fetch_cifar10(cifar10.home, download_if_missing=False)
    assert_as_written(ours, cifar10)
    assert (ours.name, ours.is_subset) == ("CIFAR-10", False)


def test_batches_of_cifar100_have_its_fine_labels(tmp_path, monkeypatch):
    kind = import_torchvision().datasets.CIFAR100
    # A subclass of CIFAR10's class, with lists of its own.
    written = write_batches(tmp_path / "cifar100", kind, 100, monkeypatch)
    ours = fetch_cifar100(tmp_path, download_if_missing=False)
    assert_as_written(ours, written)
    assert (ours.name, ours.is_subset) == ("CIFAR-100", False)


def test_archive_is_unpacked_without_a_network(cifar10):
    shutil.rmtree(cifar10.root / cifar10.kind.base_folder)
    assert_as_written(fetch_cifar10(cifar10.home, download_if_missing=False), cifar10)


def test_missing_batches_are_downloaded(cifar10, serve, tmp_path_factory, monkeypatch, capfd):
    monkeypatch.setattr(cifar10.kind, "url", f"{serve(cifar10.root)}/{cifar10.kind.filename}")
    home = tmp_path_factory.mktemp("elsewhere")
    assert_as_written(fetch_cifar10(home), cifar10)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("file", ["no-such-file.tar.gz", "cifar-10-batches-py/test_batch"])
def test_failed_download_says_which_file_where_and_whence(
    cifar10, serve, tmp_path_factory, monkeypatch, file
):
    """No such file, and one that is not the published archive."""
    url = f"{serve(cifar10.root)}/{file}"
    monkeypatch.setattr(cifar10.kind, "url", url)
    home = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(OSError, match=r"data_batch_1.*the download failed") as caught:
        fetch_cifar10(home)
    assert url in str(caught.value)


def test_missing_files_are_named_with_their_place_and_their_source(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        fetch_cifar10(tmp_path, download_if_missing=False)
    told = str(caught.value)
    assert repr(str(tmp_path / "cifar10" / "cifar-10-batches-py" / "data_batch_1")) in told
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in told
    assert "SKLEARN_MIXUP_DATA" in told
    with pytest.raises(FileNotFoundError, match=r"cifar-100-python/train'"):
        fetch_cifar100(tmp_path, download_if_missing=False)
    for version, file in (("subset", "cifar10_subset"), ("recompressed", "cifar10_jpeg")):
        with pytest.raises(FileNotFoundError, match=rf"{file}\.npz'.*never downloaded"):
            fetch_cifar10(tmp_path, versions=[version])
    with pytest.raises(FileNotFoundError, match=r"batches-py', or 'cifar10/cifar10_jpeg\.npz'\."):
        fetch_recompressed(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_damaged_batch_is_refused_by_name(cifar10, name):
    path = cifar10.root / cifar10.kind.base_folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}' is damaged"):
        fetch_cifar10(cifar10.home)


def test_damaged_archive_is_refused_by_name(cifar10):
    shutil.rmtree(cifar10.root / cifar10.kind.base_folder)
    path = cifar10.root / cifar10.kind.filename
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz' is damaged"):
        fetch_cifar10(cifar10.home)


@pytest.mark.parametrize("unpacked", [True, False])
def test_all_of_cifar10_is_preferred_to_the_subset(cifar10, unpacked, pack):
    if not unpacked:
        shutil.rmtree(cifar10.root / cifar10.kind.base_folder)
    packed = find_or_skip("cifar10/cifar10_subset.npz")
    os.symlink(packed, cifar10.root / packed.name)
    pack()
    assert fetch_cifar10(cifar10.home).name == "CIFAR-10"
    assert fetch_recompressed(cifar10.home).name == "CIFAR-10"
    assert fetch_cifar10(cifar10.home, versions=["subset"]).is_subset


def test_the_subset_is_preferred_to_all_that_was_recompressed_as_small_runs_want_it(tmp_path, pack):
    pack()
    assert fetch_cifar10(tmp_path, False).name == "CIFAR-10, JPEG-recompressed"
    os.symlink(find_or_skip("cifar10/cifar10_subset.npz"), tmp_path / "cifar10/cifar10_subset.npz")
    assert fetch_cifar10(tmp_path, False).is_subset


@pytest.mark.parametrize("versions", ["original", [], ["original", "whole"], [True]])
def test_versions_have_to_be_some_that_there_are(tmp_path, versions):
    with pytest.raises(ValueError, match=r"`versions` must be a list of some of .*'recompressed'"):
        fetch_cifar10(tmp_path, versions=versions)


# -- numbers ---------------------------------------------------------------------------------------


def test_to_floats_standardises_each_channel(assert_unchanged):
    X = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)
    mean, std = (0.49, 0.48, 0.45), (0.2, 0.3, 0.4)
    with assert_unchanged(X):
        floats = to_floats(X, mean, std)
    expected = (X / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, expected, atol=1e-6)


def test_to_floats_refuses_what_is_converted_or_has_its_channels_last():
    X = np.zeros((5, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"transpose\(0, 3, 1, 2\)"):
        to_floats(X, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(TypeError, match="must be an array of uint8; got float64"):
        to_floats(X / 255, (0.5,) * 3, (0.5,) * 3)
