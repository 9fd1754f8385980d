"""Settings: a name that nothing takes is refused with the one that was meant; others just hold."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.exceptions import SkorchTrainingImpossibleError
from torch import nn
from torch.utils.data import DataLoader

from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier, MixupGAN
from sklearn_mixup.callbacks import LRDecay
from sklearn_mixup.modules import MLP
from tests.small_gans import make_rows
from tests.small_gans import quick as quick_gan


def quick(**params):
    return MixupClassifier(
        **{"max_epochs": 2, "lr": 0.01, "module__hidden_sizes": (8,), "random_state": 0, **params}
    )


# -- names that nothing has -----------------------------------------------------------------------

MISSPELT = [
    ({"hiden_sizes": (64,)}, "hidden_sizes"),
    ({"hidden_layer_sizes": (64,)}, "hidden_sizes"),
    ({"module_hidden_sizes": (64,)}, "module__hidden_sizes"),
    ({"module__hiden_sizes": (64,)}, "module__hidden_sizes"),
    ({"modul__hidden_sizes": (64,)}, "hidden_sizes"),
    ({"weight_decay": 0.1}, "optimizer__weight_decay"),
    ({"optimiser__weight_decay": 0.1}, "optimizer__weight_decay"),
    ({"optimizer__weigth_decay": 0.1}, "optimizer__weight_decay"),
    ({"label_smoothing": 0.1}, "criterion__label_smoothing"),
    ({"criterion__label_smooth": 0.1}, "criterion__label_smoothing"),
    ({"iterator_train_shuffle": False}, "iterator_train__shuffle"),
    ({"iterator_train__shufle": False}, "iterator_train__shuffle"),
    ({"iterator_valid__batchsize": 3}, "iterator_valid__batch_size"),
    ({"alpha__": 1}, "alpha"),
    ({"alpha_": 1}, "alpha"),
    ({"alpha__x": 1}, "alpha"),
    ({"module__alpha": 1}, "alpha"),
    ({"max_epoch": 1}, "max_epochs"),
    ({"epochs": 1}, "max_epochs"),
    ({"max_iter": 1}, "max_epochs"),
    ({"lerning_rate": 1}, "lr"),
    ({"early_stoping": True}, "early_stopping"),
    ({"validation_split": 0.1}, "validation_fraction"),
]


@pytest.mark.parametrize(("params", "meant"), MISSPELT)
def test_a_name_that_nothing_has_is_refused_with_the_one_that_was_meant(params, meant, iris):
    (name,) = params
    with pytest.raises(TypeError, match=rf"got {name}\. Did you mean {meant}\?"):
        quick(**params).fit(*iris)


@pytest.mark.parametrize(("params", "meant"), MISSPELT[::5])
@pytest.mark.parametrize("method", ["partial_fit", "ensemble", "in a pipeline", "search"])
def test_it_is_refused_wherever_a_net_is_fitted(method, params, meant, iris):
    net = quick(**params)
    fit = {
        "partial_fit": net.partial_fit,
        "ensemble": FusedBaggingClassifier(net, 2).fit,
        "in a pipeline": FusedBaggingClassifier(make_pipeline(StandardScaler(), net), 2).fit,
        "search": FusedGridSearchCV(net, {"alpha": [0, 1]}, cv=2, error_score="raise").fit,
    }[method]
    with pytest.raises(TypeError, match=rf"Did you mean {meant}\?"):
        fit(*iris)


@pytest.mark.parametrize(
    ("params", "meant"),
    [
        (
            {"hidden_sizes": (64,)},
            "generator__hidden_sizes or discriminator__hidden_sizes",
        ),
        ({"optimizer__betas": (0, 0.9)}, "optimizer_generator__betas or optimizer_discr.*__betas"),
        ({"discriminator__dropot": 0.1}, "discriminator__dropout"),
        ({"latentdim": 3}, "latent_dim"),
        ({"learning_rate": 0.1}, "lr"),
    ],
)
def test_so_it_is_with_a_gan(params, meant):
    (name,) = params
    with pytest.raises(TypeError, match=rf"got {name}\. Did you mean {meant}\?"):
        quick_gan(**params).fit(make_rows())


@pytest.mark.parametrize("name", ["callbacks__lr_deacy", "callbacks__stop__patience"])
def test_a_callback_that_is_not_there_is_refused_with_those_that_are(name, iris):
    with pytest.raises(TypeError, match=rf"train_loss, .* lr_decay, .*; got {name}"):
        quick(**{name: None}).fit(*iris)


def test_parameters_of_parts_are_listed(iris):
    with pytest.raises(TypeError, match=r"MLP, one of n_features, .*hidden_sizes, dropout; got"):
        quick(module__depth=3).fit(*iris)


def test_a_refused_name_leaves_a_fitted_net_as_it_was(iris):
    clf = quick().fit(*iris)
    before = clf.predict_proba(iris[0])
    vars(clf)["nonsense"] = 1
    clf._params_to_validate.add("nonsense")
    with pytest.raises(TypeError, match="nonsense"):
        clf.fit(*iris)
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before)


class Wide(nn.Sequential):
    """A module that takes any name, and says in `got` which it was given."""

    got: dict = {}  # noqa: RUF012

    def __init__(self, n_features, n_classes, **others):
        super().__init__(nn.Linear(n_features, n_classes))
        type(self).got = others


def make_mlp(n_features, n_classes, size=4):
    return MLP(n_features, n_classes, (size,))


@pytest.mark.parametrize(
    "params",
    [
        {"module": Wide, "module__width": 3},
        {"module": make_mlp, "module__size": 3},
        {"module": functools.partial(MLP, dropout=0.1), "module__hidden_sizes": (3,)},
        {"module": MLP(4, 3), "module__n_features": 4, "module__n_classes": 3},
        {"iterator_train__num_workers": 0},
        {"iterator_train": DataLoader, "iterator_train__num_workers": 0},
        {"iterator_train__chunk_bytes": 1000},
        {"optimizer__param_groups": [("output*", {"lr": 0.1})]},
        {"optimizer__lr": 0.1},
        {"callbacks__lr_decay": None, "callbacks__valid_acc__use_caching": False},
        {"callbacks": "disable", "callbacks__lr_decay": None},
        {"callbacks": [("stop", EarlyStopping("train_loss"))], "callbacks__stop__patience": 3},
        {"dataset__length": 150},
        {"compile__dynamic": True},
    ],
)
def test_names_that_a_part_takes_are_taken(params, iris):
    params = {"module__hidden_sizes": (8,), **params} if "module" not in params else params
    X, y = map(np.array, iris)
    clf = MixupClassifier(max_epochs=1, random_state=0, **params).fit(X, y)
    assert len(clf.history) == 1


def test_several_labels_a_row_may_weigh_the_positive_ones(iris):
    X, y = iris
    Y = np.eye(3, dtype=int)[y]
    one, ten = (quick(criterion__pos_weight=torch.full((3,), w)).fit(X, Y) for w in (1.0, 10.0))
    assert ten.predict_proba(X).mean() > one.predict_proba(X).mean() + 0.05


class TwoModules(MixupClassifier):
    """A net with a second module, whose parameters are not known before it is made."""

    def initialize_module(self):
        super().initialize_module()
        self.other_ = nn.Linear(**self.get_params_for("other"))
        return self


def test_a_subclass_may_have_parts_of_its_own(iris):
    params = {"other__in_features": 3, "other__out_features": 2}
    clf = TwoModules(max_epochs=1, random_state=0, **params).fit(*iris)
    assert clf.other_.weight.shape == (2, 3)
    with pytest.raises(ValueError, match="third__x"):
        TwoModules(max_epochs=1, third__x=1, **params).fit(*iris)


class Named(MixupClassifier):
    """A net with a parameter of its own."""

    def __init__(self, *args, colour="red", **kwargs):
        super().__init__(*args, **kwargs)
        self.colour = colour


def test_a_subclass_may_have_parameters_of_its_own(iris):
    clf = Named(max_epochs=1, colour="blue").fit(*iris)
    assert clone(clf).get_params()["colour"] == "blue"
    with pytest.raises(TypeError, match=r"got color\. Did you mean colour\?"):
        Named(max_epochs=1, color="blue").fit(*iris)


# -- parts that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"optimizer": "adam"},
            r"`optimizer`.*optimizer__\.\.\.; got 'adam'.*torch\.optim\.Adam\.",
        ),
        ({"optimizer": "torch.optim.SGD"}, r"`optimizer`.*Use torch\.optim\.SGD\."),
        ({"optimizer": None}, "`optimizer` must be .*; got None"),
        ({"module": "mlp"}, r"`module`.*got 'mlp'\. Use sklearn_mixup\.modules\.MLP\."),
        ({"module": "transformer"}, r"`module` must be a torch.nn.Module.*got 'transformer'\.$"),
        ({"criterion": "cross_entropy"}, r"`criterion`.*Use torch\.nn\.CrossEntropyLoss\."),
        ({"criterion": "NLLLoss"}, r"`criterion`.*Use torch\.nn\.NLLLoss\."),
        ({"criterion": nn.functional.cross_entropy}, r"Use torch\.nn\.CrossEntropyLoss\."),
        ({"iterator_train": "shuffled"}, "`iterator_train` must be a class of iterators"),
        ({"iterator_valid": 32}, "`iterator_valid` must be a class of iterators.*got 32"),
        ({"dataset": None}, "`dataset` must be a torch Dataset, class or instance; got None"),
        ({"train_split": 0.2}, r"`train_split`.*ValidSplit\(5.*got 0\.2"),
        ({"callbacks": EarlyStopping()}, "`callbacks`.*Put a single one in a list"),
    ],
)
def test_a_part_that_is_none_is_refused_with_what_was_meant(params, match, iris):
    with pytest.raises(TypeError, match=match):
        MixupClassifier(**params).fit(*iris)


@pytest.mark.parametrize("name", ["generator", "discriminator", "optimizer_generator", "criterion"])
def test_so_it_is_with_the_parts_of_a_gan(name):
    with pytest.raises(TypeError, match=f"`{name}` must be .*; got 'nonsense'"):
        MixupGAN(**{name: "nonsense"}).fit(make_rows())


def test_a_trimmed_net_says_so(iris):
    clf = quick().fit(*iris)
    clf.trim_for_prediction()
    for train in (clf.fit, clf.partial_fit):
        with pytest.raises(SkorchTrainingImpossibleError, match="trimmed for prediction"):
            train(*iris)


def test_a_dataset_may_be_made_before(iris):
    X, y = map(np.array, iris)
    assert len(quick(dataset=SkorchDataset(X, y)).fit(X, y).history) == 2


def test_an_optimizer_that_was_made_is_refused(iris):
    optimizer = torch.optim.Adam([torch.zeros(1)])
    with pytest.raises(TypeError, match="`optimizer` must be a class"):
        MixupClassifier(optimizer=optimizer).fit(*iris)


def test_an_ensemble_does_not_say_that_nets_were_trained_which_were_not(iris):
    # A warning of nets that were trained one by one would be an error here.
    with pytest.raises(TypeError, match=r"Use torch\.optim\.Adam"):
        FusedBaggingClassifier(MixupClassifier(optimizer="adam"), 2).fit(*iris)


# -- arguments of fit -----------------------------------------------------------------------------

ARGUMENTS = {
    "eval_set": "`train_split`",
    "validation_data": "`train_split`",
    "X_val": "`train_split`",
    "batch_size": "`batch_size` is a parameter of",
    "nonsense": "",
}


@pytest.mark.parametrize(("name", "hint"), ARGUMENTS.items())
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_loop"])
@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_an_argument_of_fit_that_nothing_takes_is_refused(split, method, name, hint, iris):
    clf = quick(train_split=split).fit(*iris)
    before = clf.predict_proba(iris[0])
    with pytest.raises(TypeError, match=rf"got {name}\..*{hint}"):
        getattr(clf, method)(*iris, **{name: 1})
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before)


def test_a_misspelt_argument_of_fit_is_told_the_right_one(iris):
    with pytest.raises(TypeError, match=r"got sample_weights\. Did you mean sample_weight\?"):
        quick().fit(*iris, sample_weights=np.ones(150))


@pytest.mark.parametrize("name", ["discrete_columns", "sample_weight", "eval_set", "max_iter"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_loop"])
@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_a_gan_refuses_what_it_would_ignore(split, method, name):
    X = make_rows()
    gan = quick_gan(train_split=split).fit(X)
    before = gan.sample(5, random_state=0)
    with pytest.raises(TypeError, match=f"got {name}"):
        getattr(gan, method)(X, **{name: ["b"]})
    np.testing.assert_array_equal(gan.sample(5, random_state=0), before)


def test_epochs_may_be_given_to_fit(iris):
    assert len(quick().fit(*iris, epochs=1).history) == 1
    assert len(quick_gan().fit(make_rows(), epochs=1).history) == 1


class Scaled(MLP):
    """A module whose forward takes more than rows, and remembers what."""

    got: list = []  # noqa: RUF012

    def forward(self, X, scale=1.0):
        self.got.append(scale)
        return super().forward(X) * scale


class Split:
    """A split that takes an argument, and remembers it."""

    def __init__(self):
        self.got = []

    def __call__(self, dataset, y=None, groups=None):
        self.got.append(groups)
        return ValidSplit(3)(dataset, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("module", [Scaled, Scaled(4, 3, (8,))], ids=["class", "instance"])
def test_each_argument_of_fit_goes_to_who_takes_it(module, method, iris):
    Scaled.got.clear()
    clf = MixupClassifier(module, max_epochs=1, train_split=Split())
    getattr(clf, method)(*iris, scale=2.0, groups=iris[1])
    assert set(Scaled.got) == {2.0}
    (groups,) = clf.train_split.got
    assert groups is iris[1]


def test_a_gan_hands_its_split_what_it_takes():
    gan = quick_gan(train_split=Split())
    gan.fit(make_rows(), groups=np.arange(100))
    np.testing.assert_array_equal(gan.train_split.got, [np.arange(100)])


class Stepped(MixupClassifier):
    """A net whose step takes an argument of fit."""

    def train_step(self, batch, colour=None):
        self.colours_ = colour
        return super().train_step(batch)

    def validation_step(self, batch, **fit_params):
        return super().validation_step(batch)


@pytest.mark.parametrize("module", [MLP, make_mlp, MLP(4, 3, (8,))])
def test_a_step_of_a_subclass_may_take_an_argument_of_fit(module, iris):
    clf = Stepped(module, max_epochs=1).fit(*iris, colour="red")
    assert clf.colours_ == "red"


# -- set_params of a net that is trained ----------------------------------------------------------


def assert_nothing_changed(clf, X, **params):
    """Check that parameters may be set, to no effect on what was learned."""
    before, module = clf.predict_proba(X), clf.module_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clf.set_params(**params) is clf
    assert clf.module_ is module
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert {name: clf.get_params(deep=False)[name] for name in params} == params


@pytest.mark.parametrize(
    "params",
    [
        {"module__hidden_sizes": (8,)},
        {"module__dropout": 0.0},  # the default of MLP
        {"module": MLP, "criterion": nn.CrossEntropyLoss, "optimizer": torch.optim.Adam},
        {"criterion__label_smoothing": 0.0},
        {"criterion__label_smoothing": 0.1},  # the criterion learns nothing
        {"compile": False},
        {"iterator_valid__batch_size": 1024},
        {"iterator_train__shuffle": False, "iterator_train": DataLoader},
        {"optimizer__weight_decay": 0.1},
        {"optimizer": torch.optim.SGD},
        {"lr": 1.0, "alpha": 1.0, "max_epochs": 7},
        {"callbacks__lr_decay": None},
        {"callbacks": []},
    ],
)
def test_what_is_the_same_or_no_part_of_the_module_leaves_the_weights(params, iris):
    assert_nothing_changed(quick().fit(*iris), iris[0], **params)


def test_a_trained_net_is_moved_to_the_device_that_is_set(iris):
    clf = quick().fit(*iris)
    before = clf.predict_proba(iris[0])
    with pytest.raises(ValueError, match="`device` must be a device"):
        clf.set_params(device="cuda:99")
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before)
    clf.set_params(device="cpu").partial_fit(*iris)
    assert all(part.is_meta for part in clf.set_params(device="meta").module_.parameters())


@pytest.mark.parametrize(
    ("one", "other"),
    [((8,), [8]), (np.array([8]), (8,)), (np.int64(8), 8)],
)
def test_values_that_are_equal_are_the_same(one, other, iris):
    clf = quick(module__hidden_sizes=one).fit(*iris)
    module = clf.module_
    assert clf.set_params(module__hidden_sizes=other).module_ is module


def test_the_default_of_a_class_is_not_that_of_an_instance(iris):
    clf = MixupClassifier(MLP(4, 3, (8,)), max_epochs=1).fit(*iris)
    with pytest.warns(UserWarning, match="trained weights are gone"):
        clf.set_params(module__hidden_sizes=(128, 128), module__n_features=4, module__n_classes=3)
    assert len(clf.module_.hidden) == 2


@pytest.mark.parametrize(
    "params",
    [
        {"module__hidden_sizes": (9,)},
        {"module__hidden_sizes": (9,), "module__dropout": 0.3, "alpha": 1.0},
        {"module": Scaled},
        {"compile": True, "compile__backend": "eager"},
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile imports what is old
def test_one_warning_tells_that_the_weights_are_gone(params, iris):
    clf = quick().fit(*iris)
    named = sorted(name for name in params if name != "alpha")
    match = f"The trained weights are gone.*{', '.join(named)} got another value"
    with pytest.warns(UserWarning, match=match) as caught:
        clf.set_params(**params)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_so_it_is_with_either_network_of_a_gan():
    gan = quick_gan().fit(make_rows())
    score = gan.score(make_rows())
    gan.set_params(generator__hidden_sizes=(16,), discriminator__dropout=0.0)
    assert gan.score(make_rows()) == score
    for name in ("generator__hidden_sizes", "discriminator__hidden_sizes"):
        with pytest.warns(UserWarning, match=f"weights are gone.*{name}"):
            gan.set_params(**{name: (9,)})


class Prototypes(nn.CrossEntropyLoss):
    """A loss that learns a number."""

    def __init__(self, margin=1.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = nn.Parameter(torch.tensor(margin))

    def forward(self, logits, y):
        return super().forward(logits * self.margin, y)


def test_a_criterion_that_learned_is_gone_too(iris):
    clf = quick(criterion=Prototypes).fit(*iris)
    with pytest.warns(UserWarning, match="weights are gone.*criterion__margin"):
        clf.set_params(criterion__margin=2.0)


def test_weights_that_were_loaded_are_missed_too(iris, tmp_path):
    quick().fit(*iris).save_params(f_params=tmp_path / "weights.pt")
    clf = quick(module__n_features=4, module__n_classes=3, classes=[0, 1, 2]).initialize()
    clf.set_params(module__hidden_sizes=(9,))  # Nothing is lost yet.
    clf.set_params(module__hidden_sizes=(8,))
    clf.load_params(f_params=tmp_path / "weights.pt")
    with pytest.warns(UserWarning, match="weights are gone"):
        clf.set_params(module__hidden_sizes=(9,))
    clf.set_params(module__hidden_sizes=(8,))


def test_searches_and_clones_set_parameters_in_silence(iris):
    clf = quick().fit(*iris)
    grid = {"module__hidden_sizes": [(4,), (8,)]}
    for search in (GridSearchCV, FusedGridSearchCV):
        assert len(search(clf, grid, cv=2).fit(*iris).cv_results_["params"]) == 2
    clone(clf).set_params(module__hidden_sizes=(9,))


def test_what_was_set_holds_for_the_next_fit_and_in_copies(iris):
    params = {
        "optimizer__weight_decay": 0.3,
        "optimizer": torch.optim.AdamW,
        "iterator_train__shuffle": False,
        "callbacks__lr_decay": None,
    }
    clf = quick().fit(*iris).set_params(**params)
    fresh = quick(**params).fit(*iris)
    for again in (clone(clf), pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), clf):
        proba = again.fit(*iris).predict_proba(iris[0])
        np.testing.assert_array_equal(proba, fresh.predict_proba(iris[0]))


def test_another_optimizer_goes_on_from_the_weights_there_are(iris):
    clf = quick().fit(*iris).set_params(optimizer=torch.optim.SGD, lr=0.0)
    before = clf.predict_proba(iris[0])
    assert isinstance(clf.partial_fit(*iris).optimizer_, torch.optim.SGD)
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
        {"criterion": nn.MultiMarginLoss, "criterion__margin": 0.5, "predict_nonlinearity": None},
        {"iterator_train": DataLoader, "iterator_train__timeout": 0.0},
    ],
)
def test_another_part_is_set_with_parameters_of_its_own(iris, params):
    clf = quick().fit(*iris).set_params(**params).fit(*iris)
    expected = quick(**params).fit(*iris).predict_proba(iris[0])
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), expected)
    with pytest.raises(TypeError, match=r"must name a parameter of Adagrad.*Did you mean"):
        clf.set_params(optimizer=torch.optim.Adagrad, optimizer__lr_decai=0.1)


def test_a_live_optimizer_takes_a_setting_at_once(iris):
    clf = quick().fit(*iris)
    optimizer = clf.optimizer_
    clf.set_params(optimizer__weight_decay=0.3)
    assert clf.optimizer_ is optimizer
    assert optimizer.param_groups[0]["weight_decay"] == 0.3


class Warmup(Callback):
    """A schedule of somebody's own."""

    def on_epoch_begin(self, net, **kwargs):
        net.set_params(optimizer__lr=0.01 * len(net.history))


def test_what_a_schedule_sets_does_not_outlive_the_fit(iris):
    clf = quick(callbacks=[Warmup()], callbacks__lr_decay=None).fit(*iris)
    assert clf.optimizer_.param_groups[0]["lr"] == 0.02
    assert "optimizer__lr" not in clf.get_params(deep=False)


def test_a_callback_may_be_taken_out_and_put_back(iris):
    clf = quick().fit(*iris).set_params(callbacks__lr_decay=None).partial_fit(*iris)
    assert "lr_decay" not in dict(clf.callbacks_)
    clf.set_params(callbacks__lr_decay=LRDecay()).partial_fit(*iris)
    assert "lr_decay" in dict(clf.callbacks_)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("module__hiden_sizes", "module__hidden_sizes"),
        ("optimizer__weigth_decay", "optimizer__weight_decay"),
        ("callbacks__lr_deacy", "lr_decay"),
        ("iterator_train_shuffle", "iterator_train__shuffle"),
        ("alpha__", "alpha"),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_set(name, match, iris):
    clf = quick().fit(*iris)
    before = clf.predict_proba(iris[0]), clf.get_params(deep=False)
    with pytest.raises(TypeError, match=match):
        clf.set_params(**{"module__hidden_sizes": (9,), name: None})
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), before[0])
    assert clf.get_params(deep=False) == before[1]


def test_a_trailing_underscore_is_refused_of_a_fresh_net_too():
    with pytest.raises(TypeError, match=r"got alpha__\. Did you mean alpha"):
        quick().set_params(alpha__=1)
