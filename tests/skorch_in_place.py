"""A pytest plugin: our classifier and regressor with skorch's defaults in the place of skorch's.

skorch's tests import these from skorch when they run, so they are replaced there.
"""

import functools
import itertools
import sys
from contextlib import suppress
from inspect import signature
from types import SimpleNamespace

import skorch
import skorch.toy
from torch import nn

from sklearn_mixup import MixupClassifier, MixupRegressor


def _list_defaults(*kinds):
    """Collect the defaults of classes of skorch's."""
    parameters = [p for kind in kinds for p in signature(kind).parameters.values()]
    return {p.name: p.default for p in parameters if p.default is not p.empty}


class _Named(type(MixupClassifier)):
    """skorch's tests know what ``repr`` says of the class that they expect."""

    def __repr__(cls):
        kind = cls.__name__.removeprefix("NeuralNet").lower()
        return f"<class 'skorch.{kind}.{cls.__name__}'>"


class NeuralNetClassifier(MixupClassifier, metaclass=_Named):
    """skorch's classifier by name and defaults; what it does is ours."""

    _seeds: itertools.count  # The suite expects nets to differ.
    _default_callbacks = skorch.NeuralNetClassifier._default_callbacks
    _defaults = _list_defaults(skorch.NeuralNet, skorch.NeuralNetClassifier)

    def __init__(self, module, **params):
        own = {"alpha": 0, "random_state": next(self._seeds)}
        super().__init__(module, **{**self._defaults, **own, **params})


class NeuralNetRegressor(MixupRegressor, metaclass=_Named):
    """skorch's regressor by name and defaults; what it does is ours."""

    _seeds: itertools.count
    _default_callbacks = skorch.NeuralNetRegressor._default_callbacks
    _defaults = _list_defaults(skorch.NeuralNet, skorch.NeuralNetRegressor)

    def __init__(self, module, **params):
        own = {"alpha": 0, "scale_y": False, "random_state": next(self._seeds)}
        super().__init__(module, **{**self._defaults, **own, **params})


def _run_again(max_runs=2):
    """Do as the plugin flaky, which skorch's tests ask for: a test that fails may try again."""

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            for _ in range(max_runs - 1):
                with suppress(AssertionError):
                    return test(*args, **kwargs)
            return test(*args, **kwargs)

        return run

    return decorate


class MLPModule(skorch.toy.MLPModule):
    """skorch's toy network, which returns logits, though the loss of its classifier takes the log.

    Of what is negative that is NaN, and a loss that is NaN ends a fit here.
    """

    def __init__(self, *args, output_nonlin=nn.Softmax(dim=-1), **kwargs):  # noqa: B008
        super().__init__(*args, output_nonlin=output_nonlin, **kwargs)


def make_regressor(output_units=1, **params):
    """Make skorch's toy network for numbers, which are as they come."""
    return functools.partial(
        MLPModule, output_units=output_units, **{"output_nonlin": None, **params}
    )


def pytest_addoption(parser):
    parser.addoption("--skorchs-own", action="store_true", help="leave skorch's in its place")
    parser.addoption("--first-seed", type=int, default=100, help="of ours, which count on from it")


def pytest_configure(config):
    sys.modules["flaky"] = SimpleNamespace(flaky=_run_again)
    if not config.getoption("--skorchs-own"):
        for kind in (NeuralNetClassifier, NeuralNetRegressor):
            kind._seeds = itertools.count(config.getoption("--first-seed"))
            kind.__module__ = "skorch"  # where pickle finds it
            setattr(skorch, kind.__name__, kind)
        skorch.toy.MLPModule = MLPModule
        skorch.toy.make_regressor = make_regressor
