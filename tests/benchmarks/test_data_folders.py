"""Folders of pictures: what is damaged is named, what is published is known, workers stream it."""

import csv
import os
import pickle
import re
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch
from torch import nn
from torch.utils.data import DataLoader

# Only where the extra is absent: any other failed import is a failed test.
if find_spec("torchvision") is None or find_spec("PIL") is None:
    pytest.skip("needs the extra vision", allow_module_level=True)
from PIL import Image, ImageFile

from benchmarks._data import imagenet
from benchmarks._data.folders import PictureFolder, test_transform, train_transform
from benchmarks._data.imagenet import (
    fetch_imagenet,
    fetch_imagenette,
)
from benchmarks._data.pictures import IMAGENET_MEAN, IMAGENET_STD, to_floats
from sklearn_mixup import MixupClassifier
from tests.real_data import DATA_HOME, find_or_skip

# -- transforms ------------------------------------------------------------------------------------


def test_test_transform_shows_the_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    seen = test_transform(224)(Image.fromarray(pixels))
    centre = pixels[16:240, 16:240].transpose(2, 0, 1)[None]
    expected = to_floats(centre, IMAGENET_MEAN, IMAGENET_STD)[0]
    assert type(seen) is torch.Tensor
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_test_transform_keeps_the_aspect_ratio():
    """A picture three times as wide as high: the middle third is all that is seen of it."""
    pixels = np.zeros((64, 192, 3), dtype=np.uint8)
    pixels[:, 70:122] = 255
    seen = test_transform(56)(Image.fromarray(pixels))  # 64 high, then the centre
    assert seen.shape == (3, 56, 56)
    n_white = (seen > 0).all(0).sum(1)
    assert n_white.tolist() == [52] * 56


def test_train_transform_crops_flips_and_standardises():
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], (120, 1, 3))
    transform = train_transform(32)
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
    return IMAGENET_MEAN, IMAGENET_STD


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
    folder = PictureFolder(tmp_path, test_transform(16))
    with pytest.raises(ValueError, match=re.escape(repr(str(path)))):
        list(DataLoader(folder, batch_size=4, num_workers=1))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
def test_any_damage_is_a_value_error(content, tmp_path):
    path = write_colours(tmp_path) / "a_red" / "0.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        PictureFolder(tmp_path)[0]


def test_truncated_jpeg_is_found_however_little_is_missing(tmp_path):
    original = next(find_or_skip("imagenet_like/train/n01440764").glob("*.jpg"))
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
    folder = PictureFolder(write_colours(tmp_path), test_transform(16))
    again = pickle.loads(pickle.dumps(folder))
    assert torch.equal(again[3][0], folder[3][0])


# -- ImageNet and Imagenette -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def imagenette() -> Bunch:
    find_or_skip("imagenet_like/train")
    return fetch_imagenette(DATA_HOME)


def test_sample_of_imagenette_is_named_as_one(imagenette):
    assert imagenette.name == "Imagenette v2 sample: 450 + 150"
    assert imagenette.is_subset
    assert imagenette.n_classes == 10
    with find_or_skip("imagenet_like/classes.csv").open() as file:
        names = {row["wnid"]: row["name"] for row in csv.DictReader(file)}
    assert names == imagenet._IMAGENETTE_NAMES
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
    root: Path, n_train: int, n_test: int, wnids=tuple(imagenet._IMAGENETTE_NAMES)
) -> None:
    for part, n_pictures in [("train", n_train), ("val", n_test)]:
        for wnid in wnids:
            (root / part / wnid).mkdir(parents=True)
            for i in range(n_pictures):
                (root / part / wnid / f"{i}.JPEG").touch()
            (root / part / wnid / "notes.txt").touch()


def test_all_of_a_data_set_goes_by_its_name(tmp_path, monkeypatch):
    published = imagenet._IMAGENETTE
    assert (published.n_train, published.n_test) == (9469, 3925)
    write_classes(tmp_path / "imagenette2", 3, 2)
    assert fetch_imagenette(tmp_path).name == "Imagenette v2 sample: 30 + 20"
    monkeypatch.setattr(imagenet, "_IMAGENETTE", replace(published, n_train=30, n_test=20))
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
    return PictureFolder(root, train_transform(16))


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
    fit = streaming(alpha=0).fit(PictureFolder(tmp_path, train_transform(16)))
    rows = torch.cat(fit.module_.seen)
    assert len(rows) == 32
    assert len(rows.flatten(1).unique(dim=0)) == 32


def test_labels_stay_with_their_pictures(tmp_path):
    folder = PictureFolder(write_colours(tmp_path), train_transform(16))
    fit = streaming(max_epochs=60, batch_size=4, iterator_train__num_workers=0).fit(folder)
    assert fit.predict(folder).tolist() == folder.targets


def test_streamed_rows_are_mixed_on_the_way_to_the_module(tmp_path):
    """One lam and a permutation: a minibatch keeps its mean, and its rows do not stay plain."""
    folder = PictureFolder(write_colours(tmp_path), test_transform(16))
    settings = {"max_epochs": 1, "batch_size": 12, "iterator_train__shuffle": False}
    (plain,) = streaming(alpha=0, **settings).fit(folder).module_.seen
    (mixed,) = streaming(alpha=1, **settings).fit(folder).module_.seen
    assert torch.equal(plain, torch.stack([picture for picture, _ in folder]))
    torch.testing.assert_close(mixed.mean(0), plain.mean(0))
    assert not torch.isclose(mixed, plain).flatten(1).all(1).all()
