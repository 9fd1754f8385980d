"""Pictures of another size than the network takes are told as such, whatever it does about them."""

import numpy as np
import pytest
from skorch.callbacks import Callback
from torch import nn

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier


class Watch(Callback):
    """Ask for each minibatch."""

    def on_batch_end(self, net, **kwargs):
        """Look on."""


class Fixed(nn.Module):
    """A network for pictures of 8 x 8 alone."""

    def __init__(self, n_classes):
        super().__init__()
        self.convolution, self.output = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, n_classes)

    def forward(self, X):
        return self.output(self.flatten(self.convolution(X).relu()))

    def flatten(self, maps):
        return maps.flatten(1)


class Reshapes(Fixed):
    """One that takes a larger picture for several small ones."""

    def flatten(self, maps):
        return maps.reshape(-1, 4 * 36)


class Asserts(Fixed):
    """One that says so itself, in an error that is none of torch's."""

    def flatten(self, maps):
        if maps.shape[2] != 6:
            raise AssertionError(f"Input height ({maps.shape[2]}) doesn't match model (6)")
        return super().flatten(maps)


def make_net(module, **params):
    small = {"max_epochs": 1, "batch_size": 40, "random_state": 0, "device": "cpu"}
    return MixupClassifier(module, **{**small, **params})


@pytest.mark.parametrize(
    ("module", "size", "message"),
    [
        (Fixed, 14, r"minibatch of shape \[40, 1, 14, 14\].*Give X the shape"),
        (Fixed, 2, r"minibatch of shape \[40, 1, 2, 2\].*Give X the shape"),
        (Reshapes, 14, r"Reshapes put out 160 for 40\. One that reshapes"),
        (Asserts, 14, r"\[40, 1, 14, 14\].*doesn't match model.*Give X the shape"),
    ],
)
@pytest.mark.parametrize(
    "params", [{}, {"alpha": 0}, {"criterion__label_smoothing": 0.1}, {"callbacks": [Watch()]}]
)
def test_pictures_of_another_size_are_told_in_fit(module, size, message, params):
    X = np.random.default_rng(0).standard_normal((80, 1, size, size), dtype=np.float32)
    with pytest.raises(ValueError, match=message):
        make_net(module, **params).fit(X, np.arange(80) % 10)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Fixed, r"minibatch of shape \[12, 1, 14, 14\].*Give X the shape"),
        (Reshapes, r"Reshapes put out 48 for 12\. One that reshapes"),
        (Asserts, r"\[12, 1, 14, 14\].*doesn't match model.*Give X the shape"),
    ],
)
def test_pictures_of_another_size_are_told_in_predict(module, message, digits):
    net = make_net(module).fit(digits[0][:200, None], digits[1][:200])
    X = np.zeros((12, 1, 14, 14), dtype=np.float32)
    for method in (net.predict, net.predict_proba, net.decision_function):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_nets_together_tell_of_another_size_as_each_alone():
    X = np.zeros((40, 1, 14, 14), dtype=np.float32)
    bag = FusedBaggingClassifier(make_net(Reshapes), n_estimators=2, random_state=0)
    with pytest.raises(ValueError, match="Reshapes put out"):
        bag.fit(X, np.arange(40) % 10)
