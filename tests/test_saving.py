"""One file for a whole estimator: what comes back is what was saved, to the bit."""

import importlib
import importlib.metadata
import inspect
import io
import json
import os
import sys
import textwrap
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import loguniform
from sklearn import set_config
from sklearn.base import RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    RandomizedSearchCV,
    StratifiedKFold,
    check_cv,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from skorch.callbacks import EarlyStopping, EpochScoring, GradientNormClipping, LRScheduler
from torch import nn

import sklearn_mixup
from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    MixupClassifier,
    MixupGAN,
    MixupRegressor,
    TabularMixupClassifier,
    TabularMixupRegressor,
    VicinalSampler,
)
from sklearn_mixup._net.checks import default_dtype
from sklearn_mixup._saving import names
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.modules import LeNet, PreActResNet18, WideResNet
from sklearn_mixup.vicinities import cutmix


def net(**params):
    return MixupClassifier(**{"hidden_sizes": 3, "max_epochs": 2, "random_state": 0, **params})


def regressor(**params):
    return MixupRegressor(**{"hidden_sizes": 3, "max_epochs": 2, "random_state": 0, **params})


def save_and_load(model, **options):
    file = io.BytesIO()
    sklearn_mixup.save(model, file)
    file.seek(0)
    return sklearn_mixup.load(file, **options)


def assert_same(model, other, X):
    """Compare all that two estimators say of rows, bit by bit."""
    assert type(other) is type(model)
    compared = 0
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(model, method):
            ours, theirs = getattr(model, method)(X), getattr(other, method)(X)
            if hasattr(ours, "toarray"):
                ours, theirs = ours.toarray(), theirs.toarray()
            np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours))
            compared += 1
    assert compared


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X[:, 0] * 2 + 1
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(
    word=np.where(X[:, 2] > 0, "red", "blue"),
    kind=pd.Categorical(np.where(X[:, 3] > 0, "u", "v")),
    day=pd.date_range("2020-01-01", periods=60),
    text=[f"row {i} of a great many, {i % 7}" for i in range(60)],
)
TABLE.loc[3, "a"] = np.nan
PICTURES = RNG.normal(size=(24, 1, 28, 28)).astype(np.float32)

NETS = {
    "classes": (net(), X, Y),
    "three classes": (net(), X, THREE),
    "a table with names": (net(), TABLE[list("bcd")], Y),
    "several labels": (net(), X, (X[:, :2] > 0).astype(int)),
    "probabilities": (net(), X, np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)),
    "early stopping": (net(early_stopping=True), X, Y),
    "weights of classes": (net(class_weight={"yes": 2.0, "no": 1.0}), X, Y),
    "a function of ours": (
        net(vicinity=cutmix, module=LeNet, hidden_sizes=None),
        PICTURES,
        np.arange(24) % 2,
    ),
    "half precision": (net(precision="bfloat16"), X, Y),
    "numbers": (regressor(), X, NUMBERS),
    "numbers of a name": (regressor(criterion="quantile", quantile=0.3), X, NUMBERS),
    "two columns": (regressor(), X, X[:, :2]),
    "a state that draws": (net(random_state=np.random.RandomState(3)), X, Y),
    "callbacks": (
        net(
            callbacks=[
                EpochScoring("accuracy", lower_is_better=False),
                GradientNormClipping(1.0),
                LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1),
                EarlyStopping("train_loss"),
            ],
        ),
        X,
        Y,
    ),
    "pictures": (
        net(
            module=PreActResNet18,
            hidden_sizes=None,
            module__width=2,
            module__n_channels=1,
            max_epochs=1,
            iterator_train__augment=crop_and_flip,
        ),
        PICTURES,
        np.arange(24) % 2,
    ),
    "pictures with dropout": (
        net(
            module=WideResNet,
            hidden_sizes=None,
            module__depth=10,
            module__widen_factor=1,
            module__n_channels=1,
            dropout=0.2,
            max_epochs=1,
        ),
        PICTURES,
        np.arange(24) % 2,
    ),
    "a chain of layers": (
        net(
            module=nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.GELU(), nn.Linear(3, 2)),
            hidden_sizes=None,
        ),
        X,
        Y,
    ),
    "another optimizer": (net(optimizer=torch.optim.SGD, optimizer__momentum=0.9, lr=0.01), X, Y),
}
BINS = KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform")
MEMBERS = [("lines", LogisticRegression()), ("net", net())]
STACKS = {
    "bagging": (
        FusedBaggingClassifier(net(), 2, random_state=0, bootstrap=True),
        X,
        Y,
    ),
    "bagging of numbers": (FusedBaggingRegressor(regressor(), 2, random_state=0), X, NUMBERS),
    "grid": (FusedGridSearchCV(net(), {"alpha": [0, 0.5]}, cv=2), X, Y),
    "draws": (
        FusedRandomizedSearchCV(
            net(),
            {"optimizer__weight_decay": loguniform(1e-5, 1e-2)},
            n_iter=2,
            cv=2,
            random_state=0,
        ),
        X,
        Y,
    ),
    "scikit-learn's grid": (
        GridSearchCV(
            make_pipeline(StandardScaler(), net()),
            {
                "mixupclassifier__alpha": [0, 0.5],
                "standardscaler": [RobustScaler(), "passthrough"],
            },
            cv=StratifiedKFold(2),
            scoring=make_scorer(balanced_accuracy_score),
        ),
        X,
        Y,
    ),
    "scikit-learn's draws": (
        RandomizedSearchCV(net(), {"alpha": [0, 0.5]}, n_iter=1, cv=2, random_state=0),
        X,
        Y,
    ),
    "pipeline": (make_pipeline(RobustScaler(), SelectKBest(f_classif, k=2), net()), X, Y),
    "columns": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("gaps", make_pipeline(SimpleImputer(), PowerTransformer()), ["a", "b"]),
                    ("splines", SplineTransformer(3), ["c"]),
                    ("words", OneHotEncoder(handle_unknown="ignore"), ["word", "kind"]),
                    ("text", TfidfVectorizer(), "text"),
                    ("codes", OrdinalEncoder(), ["word"]),
                    ("targets", TargetEncoder(cv=2), ["word"]),
                ],
                remainder="drop",
                sparse_threshold=0,
            ),
            net(),
        ),
        TABLE,
        Y,
    ),
    "union": (
        make_pipeline(
            FeatureUnion([("more", PolynomialFeatures()), ("bins", BINS)]),
            VarianceThreshold(),
            QuantileTransformer(n_quantiles=10),
            FunctionTransformer(np.tanh),
            net(),
        ),
        X,
        Y,
    ),
    "neighbours": (make_pipeline(KNNImputer(), net()), X, Y),
    "voting": (VotingClassifier(MEMBERS, voting="soft"), X, Y),
    "stacking": (StackingClassifier(MEMBERS, cv=2), X, Y),
    "calibration": (CalibratedClassifierCV(net(), cv=2), X, Y),
    "logarithms": (
        TransformedTargetRegressor(regressor(), func=np.log1p, inverse_func=np.expm1),
        X,
        np.abs(NUMBERS),
    ),
    "trees": (ExtraTreesClassifier(3, random_state=0), X, THREE),
    "trees of numbers": (RandomForestRegressor(3, random_state=0), X, X[:, :2]),
    "boosting": (HistGradientBoostingClassifier(max_iter=3), X, THREE),
    "quantiles": (
        HistGradientBoostingRegressor(max_iter=3, loss="quantile", quantile=0.3),
        X,
        NUMBERS,
    ),
    "scikit-learn's nets": (MLPClassifier(3, max_iter=300, random_state=0), X, Y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [*NETS, *STACKS])
def test_loaded_model_predicts_with_the_same_bits(name):
    model, X, y = {**NETS, **STACKS}[name]
    model = clone(model).fit(X, y)
    assert_same(model, save_and_load(model), X)


@pytest.mark.parametrize("make", [TabularMixupClassifier, TabularMixupRegressor])
def test_loaded_committee_predicts_with_the_same_bits(make):
    pytest.importorskip("skrub")
    model = make(n_estimators=2, max_epochs=1, random_state=0)
    model.fit(TABLE, Y if make is TabularMixupClassifier else NUMBERS)
    other = save_and_load(model)
    assert_same(model, other, TABLE)
    np.testing.assert_array_equal(other.setting_weights_, model.setting_weights_)


def test_loaded_committee_reads_columns_of_all_kinds_with_the_same_bits():
    pytest.importorskip("skrub")
    zones = pd.date_range("2024-01-01", periods=len(TABLE), freq="D", tz="Europe/Zurich")
    mostly_one = np.r_[np.zeros(len(TABLE) - 9), np.arange(9)]
    table = TABLE.assign(seen=zones, mostly_one=mostly_one, spans=zones - zones[0])
    model = TabularMixupClassifier(n_estimators=2, max_epochs=1, others=(), random_state=0)
    model.fit(table, Y)
    assert model._encoder.scaler.minmax_cols_.any()
    assert_same(model, save_and_load(model), table)


@pytest.mark.parametrize("table", [X, TABLE, PICTURES], ids=["an array", "a table", "pictures"])
@pytest.mark.parametrize("has_classes", [False, True])
def test_loaded_gan_draws_and_judges_the_same(table, has_classes):
    if has_classes and table is PICTURES:
        pytest.skip("made by class are rows alone")
    gan = MixupGAN(generator__hidden_sizes=(4,), max_iter=2, random_state=0)
    gan.fit(table, Y) if has_classes else gan.fit(table)
    other = save_and_load(gan)
    for ours, theirs in _samples(gan, other):
        if isinstance(ours, pd.DataFrame):
            pd.testing.assert_frame_equal(theirs, ours)
        else:
            np.testing.assert_array_equal(theirs, ours)
    if not has_classes and table is X:
        np.testing.assert_array_equal(other.decision_function(X), gan.decision_function(X))


def _samples(model, other):
    """Draw rows from both, with their targets if there are some."""
    drawn, again = (each.sample(9, random_state=1) for each in (model, other))
    return zip(drawn, again, strict=True) if isinstance(drawn, tuple) else [(drawn, again)]


@pytest.mark.parametrize(
    "table",
    [
        X,
        TABLE,
        TABLE.convert_dtypes(),
        TABLE.assign(day=TABLE.day.dt.tz_localize("Europe/Paris")),
        TABLE.set_index("text"),
        TABLE.astype({"word": object, "text": object}),
    ],
    ids=["an array", "a table", "with gaps", "with zones", "with an index", "of objects"],
)
def test_loaded_sampler_draws_the_same_rows(table):
    sampler = VicinalSampler(random_state=0).fit(table, Y)
    drawn, again = (s.sample(9, random_state=1) for s in (sampler, save_and_load(sampler)))
    for ours, theirs in (
        zip(drawn, again, strict=True) if isinstance(drawn, tuple) else [(drawn, again)]
    ):
        if isinstance(ours, pd.DataFrame):
            pd.testing.assert_frame_equal(theirs, ours)
        else:
            np.testing.assert_array_equal(theirs, ours)


def test_loaded_sampler_draws_the_same_rows_of_polars():
    pl = pytest.importorskip("polars")
    table = pl.from_pandas(TABLE.drop(columns="kind")).with_columns(
        pl.col("word").cast(pl.Categorical),
        pl.col("text").cast(pl.Enum(sorted(TABLE.text))),
        day=pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/Paris"),
        date=pl.col("day").cast(pl.Date),
        span=pl.col("b").cast(pl.Int64).cast(pl.Duration("ms")),
        some=pl.when(pl.col("b") > 0).then(pl.col("b")),
        few=pl.when(pl.col("b") > 0).then(pl.col("word")),
        yes=pl.col("b") > 0,
    )
    sampler = VicinalSampler(random_state=0).fit(table, Y)
    ours, theirs = (s.sample(9, random_state=1) for s in (sampler, save_and_load(sampler)))
    assert theirs.schema == ours.schema
    assert theirs.equals(ours)


def _fit_of_scikit_learn(name, cls):
    """Fit an estimator of scikit-learn to what suits it, and say what it is asked about."""
    is_number = issubclass(cls, RegressorMixin) or name == "IterativeImputer"
    line = Ridge() if is_number else LogisticRegression()
    needed = {
        "estimators": [("line", line)],
        "param_grid": {"C": [1.0, 2.0]},
        "param_distributions": {"C": [1.0, 2.0]},
        "steps": [("line", line)],
        "transformers": [("as it is", "passthrough", [0])],
        "transformer_list": [("as it is", "passthrough")],
    }
    params = inspect.signature(cls.__init__).parameters
    needed["estimator" if "estimator" in params else "base_estimator"] = line
    given = {key: value for key, value in needed.items() if key in params}
    if name == "RandomizedSearchCV":
        given["n_iter"] = 2
    elif name == "GaussianRandomProjection":
        given["n_components"] = 2
    rows, y = np.abs(X), (X[:, 0] > 0) + 1
    if "Chain" in name or "MultiOutput" in name:
        y = np.column_stack([y, y[::-1]])
    if name in ("CountVectorizer", "TfidfVectorizer"):
        rows = TABLE.text.tolist()
    elif name in ("LabelEncoder", "LabelBinarizer"):
        return cls().fit(y), y
    elif name == "IsotonicRegression":
        rows = rows[:, 0]
    elif name == "FrozenEstimator":
        line.fit(rows, y)
    return cls(**given).fit(rows, y), rows


def _listed():
    """Find the estimators of scikit-learn that a file may name without trust."""
    for module, found in names._table("made").items():
        if module.startswith("sklearn."):
            for name in found:
                cls = getattr(importlib.import_module(module), name, None)
                is_public = not name.startswith("_") and hasattr(cls, "fit")
                if is_public:
                    yield pytest.param(name, cls, id=name)


@pytest.mark.filterwarnings("ignore")  # of a table of sixty rows
@pytest.mark.parametrize(("name", "cls"), sorted(_listed(), key=lambda param: param.id))
def test_every_estimator_that_needs_no_trust_comes_back(name, cls):
    model, rows = _fit_of_scikit_learn(name, cls)
    other = save_and_load(model)
    if any(hasattr(model, method) for method in ("predict", "transform")):
        assert_same(model, other, rows)
    else:
        assert vars(other).keys() == vars(model).keys()


def test_loaded_net_has_parameters_history_and_names():
    model = net(alpha=0.3).fit(TABLE[list("bcd")], Y)
    other = save_and_load(model)
    assert {k: v for k, v in other.get_params().items() if "callbacks" not in k} == {
        k: v for k, v in model.get_params().items() if "callbacks" not in k
    }
    assert list(other.history) == list(model.history)
    assert type(other.history) is type(model.history)
    assert other.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(other.feature_names_in_, ["b", "c", "d"])
    np.testing.assert_array_equal(other.classes_, model.classes_)
    with pytest.raises(ValueError, match="feature names"):
        other.predict(TABLE[list("bca")])


@pytest.mark.parametrize("name", ["Adam", "SGD", "AdamW", "LBFGS"])
def test_loaded_net_goes_on_with_the_same_bits(name):
    model = net(optimizer=getattr(torch.optim, name)).fit(X, Y)
    other = save_and_load(model)
    for each in (model, other):
        each.partial_fit(X, Y)
    assert_same(model, other, X)
    assert len(other.history) == 4


def test_net_that_is_trimmed_for_prediction_predicts_with_the_same_bits(iris):
    X, y = iris
    for labels in (y, np.eye(3, dtype=int)[y]):
        clf = net().fit(X, labels)
        clf.trim_for_prediction()
        np.testing.assert_array_equal(save_and_load(clf).predict_proba(X), clf.predict_proba(X))


def test_loaded_net_is_cloned_and_fitted_anew():
    model = net().fit(X, Y)
    other = clone(save_and_load(model)).fit(X, Y)
    assert_same(model, other, X)


def test_gan_goes_on_with_the_same_bits():
    gan = MixupGAN(generator__hidden_sizes=(4,), max_iter=2, random_state=0).fit(X)
    other = save_and_load(gan)
    for each in (gan, other):
        each.partial_fit(X)
    np.testing.assert_array_equal(other.sample(5, random_state=1), gan.sample(5, random_state=1))


def test_search_keeps_its_results():
    search = FusedGridSearchCV(net(), {"alpha": [0, 0.5]}, cv=2).fit(X, Y)
    other = save_and_load(search)
    assert other.best_params_ == search.best_params_
    assert other.cv_results_.keys() == search.cv_results_.keys()
    for key, values in search.cv_results_.items():
        np.testing.assert_array_equal(np.asarray(other.cv_results_[key]), np.asarray(values))
    assert other.fit(X, Y).best_score_ == search.best_score_


@pytest.mark.parametrize(
    "cv", [[(np.arange(30), np.arange(30, 60))], PredefinedSplit(np.repeat([0, 1], 30))]
)
def test_search_keeps_its_splits(cv):
    model = GridSearchCV(net(), {"alpha": [0.1, 1.0]}, cv=cv).fit(X, Y)
    other = save_and_load(model)
    assert_same(model, other, X)
    np.testing.assert_equal([*check_cv(other.cv).split(X, Y)], [*check_cv(cv).split(X, Y)])


def test_columns_that_are_chosen_by_their_kind_are_kept():
    numbers = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include=np.number))
    )
    model = make_pipeline(numbers, net()).fit(TABLE, Y)
    assert_same(model, save_and_load(model), TABLE)


def test_estimator_that_is_not_fitted_is_saved_too():
    model = make_pipeline(StandardScaler(), net(alpha=0.1))
    other = save_and_load(model).fit(X, Y)
    assert_same(model.fit(X, Y), other, X)


def test_pipeline_keeps_what_it_puts_out():
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), net()).fit(
        TABLE[list("bcd")], Y
    )
    other = save_and_load(model)
    assert isinstance(other[0].transform(TABLE[list("bcd")]), pd.DataFrame)


def test_metadata_requests_are_kept():
    set_config(enable_metadata_routing=True)
    try:
        model = net().set_fit_request(sample_weight=True)
        other = save_and_load(model)
        assert str(other.get_metadata_routing()) == str(model.get_metadata_routing())
    finally:
        set_config(enable_metadata_routing=False)


# -- the file -------------------------------------------------------------------------------------


def test_same_model_gives_the_same_file(tmp_path):
    model = net().fit(X, Y)
    files = []
    for name in ("one.mixup", "two.mixup"):
        sklearn_mixup.save(model, tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert sorted(os.listdir(tmp_path)) == ["one.mixup", "two.mixup"]


def test_failed_save_leaves_the_last_file(tmp_path):
    path = tmp_path / "model.mixup"
    sklearn_mixup.save(net(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="vicinity"):
        sklearn_mixup.save(net(vicinity=lambda X, partner, lam, place: (X, lam)), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.mixup"]


def test_what_another_save_left_behind_is_not_in_the_way(tmp_path):
    # In a container each process has the same number.
    left = tmp_path / f"model.mixup.{os.getpid()}.tmp"
    left.write_bytes(b"cut short")
    sklearn_mixup.save(net(), tmp_path / "model.mixup")
    assert sorted(os.listdir(tmp_path)) == ["model.mixup", left.name]


def test_file_is_json_and_safetensors_stored_as_they_are(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = net().fit(X, Y)
    sklearn_mixup.save(model, tmp_path / "model.mixup")
    with zipfile.ZipFile(tmp_path / "model.mixup") as archive:
        assert archive.namelist() == ["model.json", "arrays.safetensors"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        written = json.loads(archive.read("model.json"))
        arrays = safetensors.load(archive.read("arrays.safetensors"))
    assert written["versions"]["torch"] == importlib.metadata.version("torch")
    weights = [name for name in arrays if name.endswith("output.weight")]
    weight = model.module_.output.weight.detach().cpu()
    np.testing.assert_array_equal(arrays[weights[0]], weight.numpy())


def test_layout_in_memory_is_kept():
    arrays = [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0),
        np.arange(3.0)[::-1],
        np.zeros((0, 3)),
        np.array(2.5),
        np.array(["a", "bcd"]),
        np.array([1 + 2j]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[s]"),
        np.array([1, 2], dtype=">i4"),
        np.array([True, False]),
    ]
    model = StandardScaler()
    model.arrays = arrays
    model.pictures = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    model.half = torch.ones(3, dtype=torch.bfloat16)
    other = save_and_load(model)
    for ours, theirs in zip(arrays, other.arrays, strict=True):
        np.testing.assert_array_equal(theirs, ours)
        assert np.argsort(theirs.strides).tolist() == np.argsort(np.abs(ours.strides)).tolist()
        assert theirs.dtype == ours.dtype.newbyteorder("=")
        assert theirs.flags.writeable
    assert other.pictures.stride() == model.pictures.stride()
    assert torch.equal(other.half, model.half)
    assert other.half.dtype == torch.bfloat16


def test_object_that_is_named_twice_is_one():
    model = StandardScaler()
    model.one = model.two = np.arange(3)
    other = save_and_load(model)
    assert other.one is other.two


# -- classes of one's own -------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Import a module of a user's own, and forget it afterwards."""
    (tmp_path / "own_nets.py").write_text(
        textwrap.dedent(
            """
            from sklearn.base import BaseEstimator, TransformerMixin
            from skorch.callbacks import Callback
            from torch import nn

            class Net(nn.Module):
                def __init__(self, n_features, n_classes):
                    super().__init__()
                    self.width = 3
                    self.layers = nn.Sequential(nn.Linear(n_features, 3), nn.ReLU())
                    self.out = nn.Linear(3, n_classes)

                def forward(self, X):
                    return self.out(self.layers(X))

            class Watch(Callback):
                def on_train_end(self, net, X=None, y=None, **kwargs):
                    self.ended_ = True

            class Twice(TransformerMixin, BaseEstimator):
                def fit(self, X, y=None):
                    return self

                def transform(self, X):
                    return 2 * X

            class Plain:
                pass

            def function():
                pass
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    import own_nets

    yield own_nets
    sys.modules.pop("own_nets", None)


def test_own_classes_are_loaded_if_they_are_trusted(own):
    model = make_pipeline(
        own.Twice(), net(module=own.Net, hidden_sizes=None, callbacks=[own.Watch()])
    ).fit(X, Y)
    trusted = ["own_nets.Net", "own_nets.Watch", "own_nets.Twice"]
    other = save_and_load(model, trusted=trusted)
    assert_same(model, other, X)
    assert dict(other[-1].callbacks_)["Watch"].ended_
    file = io.BytesIO()
    sklearn_mixup.save(model, file)
    with pytest.raises(sklearn_mixup.exceptions.RefusedFileError) as caught:
        sklearn_mixup.load(file, trusted=trusted[:1])
    assert set(caught.value.untrusted) == set(trusted[1:])
    assert "trusted=['own_nets.Twice', 'own_nets.Watch']" in str(caught.value)


def test_class_that_is_not_trusted_is_not_imported(own):
    file = io.BytesIO()
    sklearn_mixup.save(net(module=own.Net), file)
    del sys.modules["own_nets"]
    with pytest.raises(ValueError, match=r"own_nets\.Net"):
        sklearn_mixup.load(file)
    assert "own_nets" not in sys.modules


# -- devices --------------------------------------------------------------------------------------


def test_net_of_a_device_that_is_not_here_is_put_on_another():
    model = net().fit(X, Y)
    proba = model.predict_proba(X)
    vars(model)["device"] = "cuda:7"
    file = io.BytesIO()
    sklearn_mixup.save(model, file)
    with pytest.raises(ValueError, match="device"):
        sklearn_mixup.load(file)
    other = sklearn_mixup.load(file, device="cpu")
    np.testing.assert_allclose(other.predict_proba(X), proba, rtol=1e-5)
    assert other.get_params()["device"] == "cpu"
    with pytest.raises(ValueError, match="`device` must be a device"):
        sklearn_mixup.load(file, device="cuda:7")


def test_committee_stays_on_the_device_that_is_asked_for():
    model = TabularMixupClassifier(n_estimators=2, others=[], max_epochs=1).fit(X, Y)
    assert model.device == save_and_load(model).device == "auto"
    other = save_and_load(make_pipeline(model), device="cpu")[0]
    assert {other.device, *(member.device for member in other.estimators_)} == {"cpu"}


def test_a_default_device_of_torch_is_none_of_a_file_s():
    model = net(device="cpu").fit(X, Y)
    with torch.device("meta"):
        assert default_dtype() == np.float32  # which fit asks for
        other = save_and_load(model)
    assert_same(model, other, X)


@pytest.mark.cuda
def test_net_is_put_on_the_device_that_is_asked_for():
    model = net(device="cpu").fit(X, Y)
    other = save_and_load(model, device="cuda")
    assert next(other.module_.parameters()).is_cuda
    np.testing.assert_allclose(other.predict_proba(X), model.predict_proba(X), rtol=1e-4, atol=1e-5)
    other.partial_fit(X, Y)
