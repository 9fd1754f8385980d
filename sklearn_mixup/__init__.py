"""Training with mixup from scikit-learn."""

from sklearn_mixup._bagging import FusedBaggingClassifier
from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._fused import fit_fused
from sklearn_mixup._gan import MixupGAN
from sklearn_mixup._search import FusedGridSearchCV, FusedRandomizedSearchCV

__all__ = [
    "FusedBaggingClassifier",
    "FusedGridSearchCV",
    "FusedRandomizedSearchCV",
    "MixupClassifier",
    "MixupGAN",
    "fit_fused",
]
