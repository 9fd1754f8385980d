"""What a file may name: classes and functions that are harmless in anybody's hands, and no other.

A name is looked up in these tables before anything is imported. A class that is in none is loaded
if the caller trusts it by its whole name; a function never. Left out on purpose are those that
write or read files, such as callbacks that keep checkpoints, and those whose compiled code takes
what it is given without a check, such as support vector machines and trees of neighbours.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from sklearn_mixup.exceptions import RefusedFileError

# What a caller may trust: classes that are one of these.
KINDS = (nn.Module, torch.optim.Optimizer, Callback, BaseEstimator, NeuralNet)
# All public classes of that kind; torch has nothing else of it there.
_WHOLE = {
    "torch.nn": nn.Module,
    "torch.optim": torch.optim.Optimizer,
    "torch.optim.lr_scheduler": torch.optim.lr_scheduler.LRScheduler,
}
_MADE_WHOLE = ("torch.nn", "torch.optim")
# Objects of these may be made, their attributes those of the file.
_CLASSES = {
    "sklearn_mixup": "FusedBaggingClassifier FusedBaggingRegressor FusedGridSearchCV "
    "FusedRandomizedSearchCV MixupClassifier MixupGAN MixupRegressor TabularMixupClassifier "
    "TabularMixupRegressor VicinalSampler",
    "sklearn_mixup.callbacks": "LRDecay QuietLog StepLosses",
    "sklearn_mixup.modules": "MLP DenseNetBC Discriminator Generator LeNet PreActResNet18 VGG11 "
    "WideResNet",
    "sklearn_mixup.modules.densenet": "_DenseLayer _Transition",
    "sklearn_mixup.modules.preact_resnet": "_PreActBlock",
    "sklearn_mixup._fused.draws": "Draws",
    "sklearn_mixup._fused.predict": "Stacks",
    "sklearn_mixup._gan.encode": "TableCodec _Numbers _Ranks _Words",
    "sklearn_mixup._gan.progress": "GANLog",
    "sklearn_mixup._gan.scale": "Scaling",
    "sklearn_mixup._net.losses": "QuantileLoss",
    "sklearn_mixup._net.session": "Seeds",
    "sklearn_mixup._net.columns": "Column",
    "sklearn_mixup._tabular.bins": "Bins",
    "sklearn_mixup._tabular.encode": "TableEncoder",
    "skorch.callbacks": "BatchScoring EarlyStopping EpochScoring EpochTimer Freezer "
    "GradientNormClipping Initializer InputShapeSetter LRScheduler ParamMapper "
    "PassthroughScoring PrintLog ProgressBar Unfreezer WarmRestartLR",
    "skorch.dataset": "ValidSplit",
    "sklearn.calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration "
    "_TemperatureScaling",
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor make_column_selector",
    "sklearn.compose._column_transformer": "_RemainderColsList",
    "sklearn.covariance": "EmpiricalCovariance LedoitWolf OAS",
    "sklearn.decomposition": "FastICA IncrementalPCA PCA TruncatedSVD",
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier DummyRegressor",
    "sklearn.ensemble": "AdaBoostClassifier AdaBoostRegressor BaggingClassifier BaggingRegressor "
    "ExtraTreesClassifier ExtraTreesRegressor HistGradientBoostingClassifier "
    "HistGradientBoostingRegressor RandomForestClassifier RandomForestRegressor "
    "StackingClassifier StackingRegressor VotingClassifier VotingRegressor",
    "sklearn.ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "sklearn._loss.link": "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit",
    "sklearn._loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss "
    "HalfMultinomialLoss HalfPoissonLoss HalfSquaredError HalfTweedieLoss "
    "HalfTweedieLossIdentity HuberLoss PinballLoss",
    "sklearn.feature_extraction.text": "CountVectorizer TfidfTransformer TfidfVectorizer",
    "sklearn.feature_selection": "GenericUnivariateSelect RFE RFECV SelectFdr SelectFpr "
    "SelectFromModel SelectFwe SelectKBest SelectPercentile SequentialFeatureSelector "
    "VarianceThreshold",
    "sklearn.frozen": "FrozenEstimator",
    "sklearn.impute": "KNNImputer MissingIndicator SimpleImputer",
    "sklearn.impute._iterative": "IterativeImputer _ImputerTriplet",
    "sklearn.isotonic": "IsotonicRegression",
    "sklearn.kernel_approximation": "Nystroem RBFSampler",
    "sklearn.linear_model": "ARDRegression BayesianRidge ElasticNet ElasticNetCV GammaRegressor "
    "HuberRegressor Lars Lasso LassoCV LassoLars LinearRegression LogisticRegression "
    "LogisticRegressionCV PoissonRegressor QuantileRegressor Ridge RidgeCV RidgeClassifier "
    "RidgeClassifierCV TheilSenRegressor TweedieRegressor",
    "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer",
    "sklearn.model_selection": "FixedThresholdClassifier GridSearchCV GroupKFold "
    "GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut "
    "PredefinedSplit RandomizedSearchCV RepeatedKFold RepeatedStratifiedKFold ShuffleSplit "
    "StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit "
    "TunedThresholdClassifierCV",
    "sklearn.model_selection._search_successive_halving": "HalvingGridSearchCV "
    "HalvingRandomSearchCV",
    "sklearn.model_selection._split": "_CVIterableWrapper",
    "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier",
    "sklearn.multioutput": "ClassifierChain MultiOutputClassifier MultiOutputRegressor "
    "RegressorChain",
    "sklearn.naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "sklearn.neural_network": "MLPClassifier MLPRegressor",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.pipeline": "FeatureUnion Pipeline",
    "sklearn.preprocessing": "Binarizer FunctionTransformer KBinsDiscretizer LabelBinarizer "
    "LabelEncoder MaxAbsScaler MinMaxScaler Normalizer OneHotEncoder "
    "OrdinalEncoder PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler "
    "SplineTransformer StandardScaler TargetEncoder",
    "sklearn.random_projection": "GaussianRandomProjection",
    "sklearn.svm": "LinearSVC LinearSVR",
    "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier "
    "ExtraTreeRegressor",
    "sklearn.utils": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "skrub": "ApplyToCols ApplyToFrame Cleaner DatetimeEncoder Drop DropCols DropUninformative "
    "SelectCols SquashingScaler StringEncoder TableVectorizer ToCategorical ToDatetime ToFloat "
    "ToFloat32",
    "skrub._apply_to_each_col": "ApplyToEachCol",
    "skrub._check_input": "CheckInputDataFrame",
    "skrub._clean_categories": "CleanCategories",
    "skrub._clean_null_strings": "CleanNullStrings",
    "skrub._datetime_encoder": "_CircularEncoder _SplineEncoder",
    "skrub._drop_uninformative": "DropUninformative",
    "skrub._duration_to_float": "DurationToFloat",
    "skrub._squashing_scaler": "_MinMaxScaler",
    "skrub._table_vectorizer": "PassThrough ShortReprDict",
    "skrub._to_float": "ToFloat",
    "skrub._to_float32": "ToFloat32",
    "skrub._to_str": "ToStr",
    "skrub.selectors._base": "All And Cols Filter Inv NameFilter Or Sub XOr",
}
# These a model may name, as settings; none of them is made.
_NAMED = {
    "builtins": "bool bytes complex dict float int list object set str tuple",
    "numpy": "bool_ float16 float32 float64 floating int16 int32 int64 int8 integer number object_ "
    "str_ uint16 uint32 uint64 uint8",
    "sklearn_mixup.minibatches": "Minibatches",
    "skorch.dataset": "Dataset",
    "torch.utils.data": "DataLoader",
}
_FUNCTIONS = {
    "builtins": "print",
    "sklearn.feature_selection": "chi2 f_classif f_regression mutual_info_classif "
    "mutual_info_regression r_regression",
    "sklearn_mixup._gan.estimator": "_set_lr",
    "sklearn_mixup._net.prediction": "in_double softmax",
    "sklearn_mixup.augmentation": "crop_and_flip",
    "sklearn_mixup.pairs": "different_class near_target nearest same_class",
    "sklearn_mixup.vicinities": "cutmix mix_inputs mixup",
    "skorch.setter": "optimizer_setter",
    "skorch.utils": "_identity _indexing_dict _indexing_list_tuple_of_data _indexing_ndframe "
    "_indexing_none _indexing_other _none _sigmoid_then_2d freeze_parameter noop to_numpy "
    "train_loss_score unfreeze_parameter valid_loss_score",
    "skrub._dataframe._common": "has_nulls is_any_date is_bool is_categorical is_duration is_float "
    "is_integer is_numeric is_object is_string",
    "skrub._table_vectorizer": "_created_by_predicate",
    "skrub.selectors._selectors": "_cardinality_below _has_dtype _null_count_check",
    "torch": "relu sigmoid softmax tanh",
    "torch.nn.functional": "elu gelu leaky_relu relu relu6 selu sigmoid silu softmax softplus tanh",
}
# Names of those whose every function is harmless: measures, and NumPy's of a number.
_METRICS, _UFUNCS = "sklearn.metrics", ("numpy", "scipy.special")


@functools.cache
def _table(kind: str) -> dict[str, frozenset[str]]:
    tables = {"made": _CLASSES, "named": _NAMED, "function": _FUNCTIONS}
    return {module: frozenset(names.split()) for module, names in tables[kind].items()}


def find_class(path: str, trusted: frozenset[str]) -> tuple[type, bool]:
    """Import a class that is known or trusted; tell whether objects of it may be made."""
    module, _, name = path.rpartition(".")
    if is_known(path):
        found = _import(module, name)
        if not is_one(found, (_WHOLE.get(module, object),)):
            raise RefusedFileError(f"{path[:200]!r} in it is none of the classes that it may name.")
        return found, module in _MADE_WHOLE or name in _table("made").get(module, ())
    if path not in trusted:
        raise RefusedFileError(f"{path[:200]!r} in it is not trusted.", untrusted=[path])
    found = _import(module, name)
    if not is_one(found, KINDS) or _place(found) != path:
        raise RefusedFileError(
            "What is trusted must be the class of a module, optimizer, callback or estimator, "
            f"where it is defined; got {path!r}."
        )
    return found, True


def is_known(path: str) -> bool:
    """Whether a class is in a table."""
    module, _, name = path.rpartition(".")
    return module in _WHOLE or any(name in _table(k).get(module, ()) for k in ("made", "named"))


def find_function(path: str) -> Any:
    """Import a function that is in the table."""
    module, _, name = path.rpartition(".")
    if module in _UFUNCS and name.isidentifier():
        found = _import(module, name)
        if isinstance(found, np.ufunc):
            return found
    elif name in _functions_of(module):
        return _import(module, name)
    raise RefusedFileError(f"It names a function that no model needs: {path[:200]!r}.")


def _functions_of(module: str) -> Iterable[str]:
    if module == _METRICS:
        import sklearn.metrics

        return [name for name in sklearn.metrics.__all__ if name.islower()]
    return _table("function").get(module, ())


def name_class(cls: type) -> str:
    """Name a class as a file does; ValueError if no file can."""
    if (path := _known_names(cls.__name__).get(cls)) is not None:
        return path
    path = _place(cls)
    reason = None
    if "<locals>" in path or "." in cls.__qualname__:
        reason = "is defined inside of something else, where no import finds it"
    elif getattr(sys.modules.get(cls.__module__), cls.__name__, None) is not cls:
        reason = "is not what an import finds under that name"
    elif not is_one(cls, KINDS):
        reason = (
            "is none of the classes that a file may name, and no module, optimizer or estimator"
        )
    if reason:
        raise ValueError(f"`{path}` {reason}")
    return path


def name_function(function: Any) -> str:
    """Name a function as a file does; ValueError if no file can."""
    name = getattr(function, "__name__", "")
    for module in (*_UFUNCS, _METRICS, *_table("function")):
        if isinstance(function, np.ufunc) != (module in _UFUNCS):
            continue
        is_listed = module in _UFUNCS or name in _functions_of(module)
        if is_listed and getattr(sys.modules.get(module), name, None) is function:
            return f"{module}.{name}"
    raise ValueError(
        "is a function that no file may name, since one of your own would be code"
        if callable(function)
        else "is of a kind that the file has no place for"
    )


def _known_names(name: str) -> dict[type, str]:
    """Find the classes of that name in the tables, as far as they have been imported."""
    places = [module for module in _WHOLE if hasattr(sys.modules.get(module), name)]
    for table in (_table("made"), _table("named")):
        places += [module for module, names in table.items() if name in names]
    found: dict[type, str] = {}
    for module in reversed(places):  # The first, the public one, is the last word.
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and issubclass(cls, _WHOLE.get(module, object)):
            found[cls] = f"{module}.{name}"
    if name == "bool":
        found[np.bool_] = "numpy.bool_"  # which it is in every version
    return found


def is_one(found: Any, kinds: tuple[type, ...]) -> bool:
    """Whether something is a class of one of the kinds."""
    return isinstance(found, type) and issubclass(found, kinds)


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _import(module: str, name: str) -> Any:
    """Import one name of a module; both have been looked up."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"The model needs {module}.{name}, which cannot be imported here: {error}. Install "
            "what it was saved with; the file names the versions."
        ) from error
