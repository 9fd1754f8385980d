"""What the `hidden_sizes` of a net claims: the same as `module__hidden_sizes`, wherever it is."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_mixup import FusedGridSearchCV, MixupClassifier, fit_fused
from sklearn_mixup.modules import MLP


def quick(**params):
    return MixupClassifier(**{"max_epochs": 2, "random_state": 0, "device": "cpu", **params})


def widths(net):
    return [layer.out_features for layer in net.module_.hidden]


class Plain(nn.Linear):
    """A module without hidden layers."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)


class Any(MLP):
    """A module that takes any name."""

    def __init__(self, n_features, n_classes, **others):
        super().__init__(n_features, n_classes, **others)


@pytest.mark.parametrize("module", [MLP, Any])
@pytest.mark.parametrize("sizes", [(5,), [6, 7], 8, np.array([9, 3])])
def test_it_is_what_the_module_is_told(module, sizes, iris):
    net, other = quick(hidden_sizes=sizes), quick(module__hidden_sizes=sizes)
    for each in (net, other):
        each.set_params(module=module).fit(*iris)
    assert widths(net) == np.atleast_1d(sizes).tolist()
    assert all(map(torch.equal, net.module_.parameters(), other.module_.parameters()))


def test_both_may_say_the_same(iris):
    assert widths(quick(hidden_sizes=(5,), module__hidden_sizes=[5]).fit(*iris)) == [5]


def test_none_is_the_modules_own(iris):
    assert widths(quick().fit(*iris)) == [128, 128]
    assert widths(quick(hidden_sizes=None, module__hidden_sizes=(4,)).fit(*iris)) == [4]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module__hidden_sizes": (8,)}, r"hidden_sizes=\(5,\) and module__hidden_sizes=\(8,\)"),
        ({"module": Plain}, r"got \(5,\) and Plain, which has no such parameter"),
        ({"module": MLP(4, 3)}, r"got \(5,\) and MLP, which is made already"),
        ({"hidden_sizes": "wide"}, "hidden_sizes"),
        ({"hidden_sizes": 0}, "hidden_sizes"),
    ],
)
def test_what_does_not_go_together_is_refused(params, message, iris):
    params = {"hidden_sizes": (5,), **params}
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(*iris)
    with pytest.raises(ValueError, match=message):
        fit_fused([quick(**params)], [iris[0]], [iris[1]])


def test_a_grid_of_it_is_fused_by_shape(iris):
    grid = {"hidden_sizes": [(4,), (8, 4), None], "alpha": [0, 1]}
    one, other = (
        kind(quick(), grid, cv=2).fit(*iris) for kind in (GridSearchCV, FusedGridSearchCV)
    )
    scores = [search.cv_results_["mean_test_score"] for search in (one, other)]
    np.testing.assert_allclose(*scores, atol=2 / 75)  # a row or two at the border
    assert widths(other.best_estimator_) == widths(one.best_estimator_)


def test_clone_parameters_and_representation_know_it():
    net = clone(quick(hidden_sizes=(5, 6)))
    assert net.get_params()["hidden_sizes"] == (5, 6)
    assert repr(MixupClassifier(hidden_sizes=(5, 6))) == "MixupClassifier(hidden_sizes=(5, 6))"


def test_setting_it_makes_the_network_anew_and_says_so(iris):
    net = quick(hidden_sizes=(5,)).fit(*iris)
    net.set_params(hidden_sizes=(5,))  # Nothing is lost.
    before = net.module_
    with pytest.warns(UserWarning, match="since hidden_sizes got another value"):
        net.set_params(hidden_sizes=(6,))
    assert net.module_ is not before
    assert widths(net) == [6]
    assert widths(net.partial_fit(*iris)) == [6]
