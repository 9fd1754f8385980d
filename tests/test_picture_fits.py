"""The networks for pictures, ours and those of timm, trained through MixupClassifier."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.utils.data import Dataset

from benchmarks._nets.vision import import_torchvision
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import DenseNetBC, PreActResNet18, WideResNet

NARROW = {
    PreActResNet18: {"width": 4, "n_blocks": (1, 1, 1)},
    WideResNet: {"depth": 10, "widen_factor": 1},
    DenseNetBC: {"depth": 10, "growth_rate": 12},
}
every_module = pytest.mark.parametrize("module", NARROW)


@pytest.fixture(scope="module")
def pictures(digits):
    """320 digits of 8 x 8 pixels, one channel."""
    return digits[0][:320, None], digits[1][:320]


def make_classifier(module, *, n_channels=1, **params):
    """Make a classifier with a narrow network of that family."""
    of_module = {"n_channels": n_channels, **NARROW[module]}
    params = {
        "batch_size": 64,
        "max_epochs": 8,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "optimizer__momentum": 0.9,
        "random_state": 0,
        "device": "cpu",
    } | params
    return MixupClassifier(
        module, **params, **{f"module__{key}": value for key, value in of_module.items()}
    )


@every_module
@pytest.mark.parametrize("alpha", [0, 1])
def test_training_lowers_the_loss(module, alpha, pictures, assert_unchanged):
    X, y = pictures
    classifier = make_classifier(module, alpha=alpha)
    with assert_unchanged(X, y):
        classifier.fit(X, y)
    losses = classifier.history_[:, "train_loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert classifier.score(X, y) > 0.5  # by chance 0.1


@every_module
def test_classifier_tells_the_module_the_number_of_classes(module, pictures):
    X, y = pictures
    fitted = make_classifier(module, max_epochs=1).fit(X, y % 3)
    assert fitted.module_.output.out_features == 3


@every_module
def test_classifiers_dropout_reaches_every_block(module, pictures):
    X, y = pictures
    fitted = make_classifier(module, max_epochs=1, dropout=0.7).fit(X, y)
    blocks = [layer for layer in fitted.module_.modules() if hasattr(layer, "conv2")]
    assert [block.dropout.p for block in blocks] == [0.7] * 3


@every_module
def test_same_random_state_gives_the_same_bits(module, pictures):
    X, y = pictures
    classifier = make_classifier(module, max_epochs=1, alpha=1, dropout=0.3)
    first, second = (clone(classifier).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


# -- pictures that do not fit ---------------------------------------------------------------------


@every_module
def test_wrong_number_of_channels_is_told_in_fit(module, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"minibatch of shape \[64, 1, 8, 8\].* 3 channels"):
        make_classifier(module, n_channels=3).fit(X, y)


@every_module
def test_wrong_number_of_channels_is_told_in_predict(module, pictures):
    X, y = pictures
    fitted = make_classifier(module, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 1 features"):
        fitted.predict(np.repeat(X, 3, axis=1))


@every_module
@pytest.mark.parametrize("shape", [(64,), (8, 8)])
def test_rows_that_are_no_pictures_are_told(module, shape, pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"shape \[64, "):
        make_classifier(module).fit(X.reshape(-1, *shape), y)


def test_picture_too_small_to_be_halved_twice_is_told(pictures):
    X, y = pictures
    with pytest.raises(ValueError, match=r"shape \[64, 1, 3, 8\].*too small.*Give X the shape"):
        make_classifier(DenseNetBC).fit(X[:, :, :3], y)


@every_module
def test_any_size_from_8_fits_and_predicts_at_another(module):
    X = np.random.default_rng(0).standard_normal((16, 2, 9, 14), dtype=np.float32)
    classifier = make_classifier(module, n_channels=2, max_epochs=1, batch_size=8)
    proba = classifier.fit(X, np.arange(16) % 4).predict_proba(np.repeat(X, 2, axis=2))
    assert proba.shape == (16, 4)
    assert np.isfinite(proba).all()


# -- networks for ImageNet, by timm ---------------------------------------------------------------

# Blocks of each stage, groups and channels of a group; the published number of parameters.
IMAGENET = {
    "resnet50": ((3, 4, 6, 3), 1, 64, 25_557_032),
    "resnet101": ((3, 4, 23, 3), 1, 64, 44_549_160),
    "resnext101_32x4d": ((3, 4, 23, 3), 32, 4, 44_177_704),
    "resnext101_64x4d": ((3, 4, 23, 3), 64, 4, 83_455_272),
}


@pytest.fixture(scope="module")
def timm():
    """Import timm, or skip: it is an extra."""
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision and timm")
    return pytest.importorskip("timm")


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_networks_are_those_of_torchvision_in_size(name, timm):
    from torchvision.models.resnet import Bottleneck, ResNet

    n_blocks, groups, width, n_parameters = IMAGENET[name]
    with torch.device("meta"):
        ours = timm.create_model(name)
        other = ResNet(Bottleneck, list(n_blocks), groups=groups, width_per_group=width)
        assert ours(torch.empty(2, 3, 224, 224)).shape == (2, 1000)
    shapes, others = (
        sorted(tuple(parameter.shape) for parameter in module.parameters())
        for module in (ours, other)
    )
    assert shapes == others
    assert sum(map(np.prod, shapes)) == n_parameters


def test_a_step_of_resnet_50_by_name_moves_every_weight(timm):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 3, 32, 32), dtype=np.float32), np.arange(4) % 2
    classifier = MixupClassifier(
        timm.create_model,
        module__model_name="resnet50",
        module__num_classes=2,
        module__zero_init_last=False,  # Or no gradient passes the blocks in the first step.
        alpha=0.2,
        max_epochs=1,
        batch_size=4,
        optimizer=torch.optim.SGD,
        random_state=0,
        device="cpu",
    )
    before = clone(classifier).set_params(max_epochs=0).fit(X, y).module_.state_dict()
    fitted = classifier.fit(X, y)
    assert np.isfinite(fitted.history_[-1, "train_loss"])
    for name, weight in fitted.module_.named_parameters():
        if weight.ndim > 1:
            assert not torch.equal(weight, before[name]), name
    assert fitted.predict_proba(X).shape == (4, 2)


def test_an_instance_of_timms_is_copied(timm):
    X, y = np.random.default_rng(0).standard_normal((4, 3, 32, 32), dtype=np.float32), [0, 1] * 2
    module = timm.create_model("resnet18", num_classes=2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fitted = MixupClassifier(module, max_epochs=1, device="cpu").fit(X, y)
    assert isinstance(fitted.module_, type(module))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not torch.equal(fitted.module_.fc.weight, module.fc.weight)


def test_bytes_are_refused_with_what_to_do():
    X = np.zeros((8, 3, 8, 8), dtype=np.uint8)
    for inputs in (X, torch.as_tensor(X)):
        with pytest.raises(TypeError, match=r"Only floating inputs.*uint8.*[Cc]onvert"):
            make_classifier(WideResNet, n_channels=3).fit(inputs, np.arange(8) % 2)


class Bytes(Dataset):
    """Pictures that nothing has converted."""

    targets = (0, 1) * 4

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((3, 8, 8), 30 * index, dtype=torch.uint8), self.targets[index]


def test_bytes_that_a_dataset_yields_are_refused_too():
    with pytest.raises(TypeError, match=r"Only floating tensors .*got torch\.uint8"):
        make_classifier(WideResNet, n_channels=3).fit(Bytes())
