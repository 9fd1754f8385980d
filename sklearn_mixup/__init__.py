"""Training with mixup from scikit-learn."""

from sklearn_mixup._classifier import MixupClassifier

__all__ = ["MixupClassifier"]
