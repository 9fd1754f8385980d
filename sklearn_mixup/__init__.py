"""Training with mixup from scikit-learn."""

from sklearn_mixup._bagging import FusedBaggingClassifier, FusedBaggingRegressor
from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused.jobs import fit_fused
from sklearn_mixup._fused.search import FusedGridSearchCV, FusedRandomizedSearchCV
from sklearn_mixup._gan.estimator import MixupGAN
from sklearn_mixup._onnx.convert import to_onnx
from sklearn_mixup._regressor import MixupRegressor
from sklearn_mixup._sampler.estimator import VicinalSampler
from sklearn_mixup._saving.file import load, save
from sklearn_mixup._tabular.estimator import TabularMixupClassifier
from sklearn_mixup._tabular.regressor import TabularMixupRegressor

__all__ = [
    "FusedBaggingClassifier",
    "FusedBaggingRegressor",
    "FusedGridSearchCV",
    "FusedRandomizedSearchCV",
    "MixupClassifier",
    "MixupGAN",
    "MixupRegressor",
    "TabularMixupClassifier",
    "TabularMixupRegressor",
    "VicinalSampler",
    "fit_fused",
    "load",
    "save",
    "to_onnx",
]

__version__ = "0.1.0.dev0"
