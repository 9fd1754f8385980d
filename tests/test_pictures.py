"""Pictures: files that are the published ones, folders that name what is damaged, and streaming."""

import csv
import hashlib
import http.server
import os
import pickle
import re
import shutil
import tarfile
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch
from torch import nn
from torch.utils.data import DataLoader, Dataset

# Only where the extra is absent: any other failed import is a failed test.
if find_spec("torchvision") is None or find_spec("PIL") is None:
    pytest.skip("needs the extra vision", allow_module_level=True)
from PIL import Image, ImageFile

from benchmarks import _imagenet, _picture_sets, pictures
from benchmarks._vision import import_torchvision
from benchmarks.datasets import fetch_cifar10, fetch_cifar100
from benchmarks.pictures import PictureFolder, fetch_imagenet, fetch_imagenette, to_floats
from sklearn_mixup import MixupClassifier

DATA_HOME = Path(
    os.environ.get("SKLEARN_MIXUP_DATA")
    or Path(__file__).resolve().parents[1].parent / "shared" / "data"
)


def path_of(file: str) -> Path:
    """Find a file of the data home; skip the test without it."""
    if not (DATA_HOME / file).exists():
        pytest.skip(f"no {DATA_HOME / file}: set SKLEARN_MIXUP_DATA to where the data is")
    return DATA_HOME / file


# -- CIFAR: the packed subset ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def subset() -> Bunch:
    path_of("cifar10/cifar10_subset.npz")
    return fetch_cifar10(DATA_HOME, download_if_missing=False, subset=True)


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
    lossless = np.load(path_of("cifar10/cifar10_lossless200.npz"))
    packed = np.load(path_of("cifar10/cifar10_subset.npz"))
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

    monkeypatch.setattr(_picture_sets, "import_torchvision", refuse)
    assert fetch_cifar10(DATA_HOME, download_if_missing=False).name == subset.name
    with pytest.raises(ImportError, match="not installed"):
        fetch_cifar10(DATA_HOME, download_if_missing=False, subset=False)


def test_damaged_subset_is_refused(tmp_path):
    content = bytearray(path_of("cifar10/cifar10_subset.npz").read_bytes())
    content[1_000_000] ^= 1
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar10_subset.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"cifar10_subset\.npz' is damaged.*subset=False"):
        fetch_cifar10(tmp_path)


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


@pytest.fixture
def server(cifar10, monkeypatch) -> str:
    """Serve the archive in place of its authors; give the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(cifar10.root))

        def log_message(self, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_missing_batches_are_downloaded(cifar10, server, tmp_path_factory, monkeypatch, capfd):
    monkeypatch.setattr(cifar10.kind, "url", f"{server}/{cifar10.kind.filename}")
    home = tmp_path_factory.mktemp("elsewhere")
    assert_as_written(fetch_cifar10(home), cifar10)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("file", ["no-such-file.tar.gz", "cifar-10-batches-py/test_batch"])
def test_failed_download_says_which_file_where_and_whence(
    cifar10, server, tmp_path_factory, monkeypatch, file
):
    """No such file, and one that is not the published archive."""
    monkeypatch.setattr(cifar10.kind, "url", f"{server}/{file}")
    home = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(OSError, match=r"data_batch_1.*getting them failed") as caught:
        fetch_cifar10(home)
    assert f"{server}/{file}" in str(caught.value)


def test_missing_files_are_named_with_their_place_and_their_source(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        fetch_cifar10(tmp_path, download_if_missing=False)
    told = str(caught.value)
    assert repr(str(tmp_path / "cifar10" / "cifar-10-batches-py" / "data_batch_1")) in told
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in told
    assert "SKLEARN_MIXUP_DATA" in told
    with pytest.raises(FileNotFoundError, match=r"cifar-100-python/train'"):
        fetch_cifar100(tmp_path, download_if_missing=False)
    with pytest.raises(FileNotFoundError, match=r"cifar10_subset\.npz'.*never downloaded"):
        fetch_cifar10(tmp_path, subset=True)


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


def test_all_of_cifar10_is_preferred_to_the_subset(cifar10):
    packed = path_of("cifar10/cifar10_subset.npz")
    os.symlink(packed, cifar10.root / packed.name)
    assert fetch_cifar10(cifar10.home).name == "CIFAR-10"
    assert fetch_cifar10(cifar10.home, subset=True).is_subset


def test_subset_has_to_be_a_bool_or_auto(tmp_path):
    with pytest.raises(ValueError, match="`subset` must be True, False or 'auto'; got 'yes'"):
        fetch_cifar10(tmp_path, subset="yes")


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


# -- transforms ------------------------------------------------------------------------------------


def test_test_transform_shows_the_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    seen = pictures.test_transform(224)(Image.fromarray(pixels))
    centre = pixels[16:240, 16:240].transpose(2, 0, 1)[None]
    expected = to_floats(centre, pictures.IMAGENET_MEAN, pictures.IMAGENET_STD)[0]
    assert type(seen) is torch.Tensor
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_test_transform_keeps_the_aspect_ratio():
    """A picture three times as wide as high: the middle third is all that is seen of it."""
    pixels = np.zeros((64, 192, 3), dtype=np.uint8)
    pixels[:, 70:122] = 255
    seen = pictures.test_transform(56)(Image.fromarray(pixels))  # 64 high, then the centre
    assert seen.shape == (3, 56, 56)
    n_white = (seen > 0).all(0).sum(1)
    assert n_white.tolist() == [52] * 56


def test_train_transform_crops_flips_and_standardises():
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], (120, 1, 3))
    transform = pictures.train_transform(32)
    torch.manual_seed(0)
    seen = torch.stack([transform(Image.fromarray(ramp)) for _ in range(200)])
    mean, std = (torch.tensor(part)[:, None, None] for part in _constants())
    red = (seen * std + mean)[:, 0] * 255
    rises = red[:, 16, -1] > red[:, 16, 0]
    assert 70 <= rises.sum() <= 130  # 200 fair flips leave that range once in 20,000
    shares = (red[:, 16, -1] - red[:, 16, 0]).abs() / 240
    assert shares.max() > 0.8
    assert shares.min() < 0.45
    assert red.min() >= -0.01
    assert red.max() <= 238.01


def _constants():
    return pictures.IMAGENET_MEAN, pictures.IMAGENET_STD


# -- folders ---------------------------------------------------------------------------------------


def write_colours(root: Path, n_pictures: int = 4) -> Path:
    """Write a folder of plain pictures: the code of each class is in its colour."""
    for code, name in [(2, "c_blue"), (0, "a_red"), (1, "b_green")]:
        (root / name).mkdir(parents=True)
        for i in range(n_pictures):
            colour = tuple(200 + 10 * i if channel == code else 10 * i for channel in range(3))
            Image.new("RGB", (20, 16), colour).save(root / name / f"{i}.png")
    return root


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_given_as_rgb(mode, tmp_path):
    (tmp_path / "a").mkdir()
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new(mode, (7, 5)).save(tmp_path / "a" / f"x.{suffix}")
    ((picture, _),) = PictureFolder(tmp_path)
    assert (picture.mode, picture.size) == ("RGB", (7, 5))


def test_classes_are_coded_in_the_order_of_their_names(tmp_path):
    folder = PictureFolder(write_colours(tmp_path))
    assert folder.classes == ["a_red", "b_green", "c_blue"]
    assert folder.targets == [0] * 4 + [1] * 4 + [2] * 4
    assert [np.argmax(picture.getpixel((3, 3))) for picture, _ in folder] == folder.targets


def test_unreadable_picture_is_named(tmp_path):
    path = write_colours(tmp_path) / "b_green" / "2.png"
    damage(path)
    folder = PictureFolder(tmp_path)
    folder[5], folder[7]
    with pytest.raises(ValueError, match=re.escape(repr(str(path)))):
        folder[6]


def test_unreadable_picture_is_named_by_a_worker(tmp_path):
    path = write_colours(tmp_path) / "b_green" / "2.png"
    damage(path)
    folder = PictureFolder(tmp_path, pictures.test_transform(16))
    with pytest.raises(ValueError, match=re.escape(repr(str(path)))):
        list(DataLoader(folder, batch_size=4, num_workers=1))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
def test_any_damage_is_a_value_error(content, tmp_path):
    path = write_colours(tmp_path) / "a_red" / "0.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        PictureFolder(tmp_path)[0]


def test_truncated_jpeg_is_found_however_little_is_missing(tmp_path):
    original = next(path_of("imagenet_like/train/n01440764").glob("*.jpg"))
    (tmp_path / "a").mkdir()
    content = original.read_bytes()
    (tmp_path / "a" / "x.jpg").write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(ValueError, match="truncated"):
        PictureFolder(tmp_path)[0]


def test_skip_leaves_out_what_cannot_be_read_and_names_it(tmp_path):
    write_colours(tmp_path)
    paths = [tmp_path / "b_green" / "2.png", tmp_path / "c_blue" / "0.png"]
    for path in paths:
        damage(path)
    with pytest.warns(UserWarning, match="Left out 2 of 12 pictures") as warned:
        folder = PictureFolder(tmp_path, unreadable="skip")
    assert all(str(path) in str(warned[0].message) for path in paths)
    assert folder.skipped == [str(path) for path in paths]
    assert len(folder) == len(folder.imgs) == 10
    assert folder.targets == [0] * 4 + [1] * 3 + [2] * 3
    assert [np.argmax(picture.getpixel((3, 3))) for picture, _ in folder] == folder.targets


def test_skip_finds_nothing_where_all_is_well(tmp_path):
    folder = PictureFolder(write_colours(tmp_path), unreadable="skip")
    assert (len(folder), folder.skipped) == (12, [])


def test_class_without_a_readable_picture_is_an_error(tmp_path):
    for path in (write_colours(tmp_path) / "b_green").iterdir():
        damage(path)
    with pytest.raises(ValueError, match="No picture of b_green can be read"):
        PictureFolder(tmp_path, unreadable="skip")


def test_truncated_pictures_are_never_filled_with_grey(tmp_path, monkeypatch):
    folder = PictureFolder(write_colours(tmp_path))
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # nothing that we import turns it on
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ValueError, match="LOAD_TRUNCATED_IMAGES must be False"):
        folder[0]


def test_bad_choice_and_missing_folder_are_errors(tmp_path):
    with pytest.raises(ValueError, match="'raise' or 'skip'; got 'ignore'"):
        PictureFolder(write_colours(tmp_path), unreadable="ignore")
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        PictureFolder(tmp_path / "no-such-folder")


def test_folder_goes_to_a_worker_of_any_kind(tmp_path):
    folder = PictureFolder(write_colours(tmp_path), pictures.test_transform(16))
    again = pickle.loads(pickle.dumps(folder))
    assert torch.equal(again[3][0], folder[3][0])


# -- ImageNet and Imagenette -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def imagenette() -> Bunch:
    path_of("imagenet_like/train")
    return fetch_imagenette(DATA_HOME)


def test_sample_of_imagenette_is_named_as_one(imagenette):
    assert imagenette.name == "Imagenette v2 sample: 450 + 150"
    assert imagenette.is_subset
    assert imagenette.n_classes == 10
    with path_of("imagenet_like/classes.csv").open() as file:
        names = {row["wnid"]: row["name"] for row in csv.DictReader(file)}
    assert names == _imagenet._IMAGENETTE_NAMES
    for part, n_pictures in [("train_dir", 45), ("test_dir", 15)]:
        folder = PictureFolder(imagenette[part])
        assert folder.classes == imagenette.classes == sorted(names)
        assert np.bincount(folder.targets).tolist() == [n_pictures] * 10
    assert imagenette.target_names == [names[wnid] for wnid in sorted(names)]


def test_grey_pictures_of_the_sample_are_given_as_rgb(imagenette):
    greys = 0
    for part in ("train_dir", "test_dir"):
        folder = PictureFolder(imagenette[part])
        for i, (path, _) in enumerate(folder.samples):
            with Image.open(path) as picture:
                grey = picture.mode == "L"
            if grey:
                greys += 1
                assert folder[i][0].mode == "RGB"
    assert greys == 9


def write_classes(
    root: Path, n_train: int, n_test: int, wnids=tuple(_imagenet._IMAGENETTE_NAMES)
) -> None:
    for part, n_pictures in [("train", n_train), ("val", n_test)]:
        for wnid in wnids:
            (root / part / wnid).mkdir(parents=True)
            for i in range(n_pictures):
                (root / part / wnid / f"{i}.JPEG").touch()
            (root / part / wnid / "notes.txt").touch()


def test_all_of_a_data_set_goes_by_its_name(tmp_path, monkeypatch):
    published = _imagenet._IMAGENETTE
    assert (published.n_train, published.n_test) == (9469, 3925)
    write_classes(tmp_path / "imagenette2", 3, 2)
    assert fetch_imagenette(tmp_path).name == "Imagenette v2 sample: 30 + 20"
    monkeypatch.setattr(_imagenet, "_IMAGENETTE", replace(published, n_train=30, n_test=20))
    whole = fetch_imagenette(tmp_path)
    assert (whole.name, whole.is_subset) == ("Imagenette v2", False)
    assert whole.target_names[0] == "tench"


def test_imagenet_needs_its_thousand_classes_in_both_parts(tmp_path):
    wnids = [f"n{code:08d}" for code in range(1000)]
    write_classes(tmp_path / "imagenet", 0, 0, wnids)
    assert fetch_imagenet(tmp_path).n_classes == 1000
    shutil.rmtree(tmp_path / "imagenet" / "val" / wnids[7])
    with pytest.raises(ValueError, match=r"1000 classes.*found 1000 in .* and 999.*n00000007"):
        fetch_imagenet(tmp_path)


def test_missing_folders_are_named_with_their_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"imagenet'.*image-net\.org.*SKLEARN_MIXUP_DATA"):
        fetch_imagenet(tmp_path)
    (tmp_path / "imagenette2" / "train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"imagenette2' or .*imagenet_like'"):
        fetch_imagenette(tmp_path)


# -- streaming: workers read, the device mixes -----------------------------------------------------


class Linear(nn.Module):
    """Logits from the mean colour; keeps the inputs of its training passes."""

    def __init__(self, n_classes: int):
        super().__init__()
        self.head = nn.Linear(3, n_classes)
        self.seen = []

    def forward(self, X):
        if self.training:
            self.seen.append(X.detach().clone())
        return self.head(X.mean((2, 3)))


def streaming(**parameters):
    settings = {"alpha": 1.0, "lr": 0.3, "max_epochs": 2, "batch_size": 8, "random_state": 0}
    workers = {"iterator_train__num_workers": 2, "device": "cpu"}
    return MixupClassifier(Linear, **{**settings, **workers, **parameters})


@pytest.fixture(scope="module")
def forty(imagenette, tmp_path_factory) -> PictureFolder:
    """Four pictures of each class of the sample."""
    root = tmp_path_factory.mktemp("forty")
    for wnid in imagenette.classes:
        (root / wnid).mkdir()
        for path in sorted((imagenette.train_dir / wnid).iterdir())[:4]:
            os.symlink(path, root / wnid / path.name)
    return PictureFolder(root, pictures.train_transform(16))


def test_forty_pictures_stream_through_two_workers(forty):
    """The same state gives the same bits, with workers too; another state gives others."""
    fits = [streaming(random_state=state).fit(forty) for state in (0, 0, 1)]
    first, same, other = (fit.module_ for fit in fits)
    assert fits[0].classes_.tolist() == list(range(10))
    assert torch.equal(first.head.weight, same.head.weight)
    for ours, theirs in zip(first.seen, same.seen, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_two_epochs_and_two_workers_see_different_crops(tmp_path, forty):
    """The same file many times over: no two of its crops are equal."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i in range(16):
        os.symlink(forty.samples[0][0], tmp_path / "ab"[i % 2] / f"{i}.jpg")
    fit = streaming(alpha=0).fit(PictureFolder(tmp_path, pictures.train_transform(16)))
    rows = torch.cat(fit.module_.seen)
    assert len(rows) == 32
    assert len(rows.flatten(1).unique(dim=0)) == 32


def test_labels_stay_with_their_pictures(tmp_path):
    folder = PictureFolder(write_colours(tmp_path), pictures.train_transform(16))
    fit = streaming(max_epochs=60, batch_size=4, iterator_train__num_workers=0).fit(folder)
    assert fit.predict(folder).tolist() == folder.targets


def test_streamed_rows_are_mixed_on_the_way_to_the_module(tmp_path):
    """One lam and a permutation: a minibatch keeps its mean, and its rows do not stay plain."""
    folder = PictureFolder(write_colours(tmp_path), pictures.test_transform(16))
    settings = {"max_epochs": 1, "batch_size": 12, "iterator_train__shuffle": False}
    (plain,) = streaming(alpha=0, **settings).fit(folder).module_.seen
    (mixed,) = streaming(alpha=1, **settings).fit(folder).module_.seen
    assert torch.equal(plain, torch.stack([picture for picture, _ in folder]))
    torch.testing.assert_close(mixed.mean(0), plain.mean(0))
    assert not torch.isclose(mixed, plain).flatten(1).all(1).all()


# -- bytes are never mixed -------------------------------------------------------------------------


def test_bytes_are_refused_with_what_to_do():
    X = np.zeros((8, 3, 4, 4), dtype=np.uint8)
    for inputs in (X, torch.as_tensor(X)):
        with pytest.raises(TypeError, match=r"Only floating inputs.*uint8.*[Cc]onvert"):
            streaming(iterator_train__num_workers=0).fit(inputs, np.arange(8) % 2)


class Bytes(Dataset):
    """Pictures that nothing has converted."""

    targets = (0, 1) * 4

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((3, 4, 4), 30 * index, dtype=torch.uint8), self.targets[index]


def test_bytes_that_a_dataset_yields_are_refused_too():
    with pytest.raises(TypeError, match=r"Only floating tensors .*got torch\.uint8"):
        streaming(iterator_train__num_workers=0).fit(Bytes())
