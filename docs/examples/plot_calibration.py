"""
Can I trust the probabilities?
==============================

Of all rows that are given a probability of 0.8, four fifths should be of that class. Where
classes overlap, a network that is trained for long without mixing says 0.99 instead. Here a tenth
of the labels are drawn at random, in training and test rows alike, so that nobody can be sure.

:doc:`/calibration` asks the same of twenty tables.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier

X, y = make_classification(4000, 20, n_informative=6, flip_y=0.2, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.75, random_state=0)
models = {
    "64 epochs without mixing": MixupClassifier(alpha=0, max_epochs=64, random_state=0),
    "the defaults": MixupClassifier(random_state=0),
    "eight networks, the defaults": FusedBaggingClassifier(random_state=0),
}

# %%
# The log-loss punishes what is sure and wrong; the accuracy does not see it.
fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
for (name, model), marker in zip(models.items(), "osD", strict=True):
    p = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    accuracy = accuracy_score(y_test, p > 0.5)
    print(f"{name}: log-loss {log_loss(y_test, p):.3f}, accuracy {accuracy:.3f}")
    CalibrationDisplay.from_predictions(
        y_test, p, n_bins=10, strategy="quantile", name=name, ax=ax, marker=marker
    )
ax.set(xlabel="probability of class 1", ylabel="share of class 1", aspect="equal")
plt.show()
