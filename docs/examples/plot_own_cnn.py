"""
How do I train a network of my own?
===================================

Pass its class. Any ``torch.nn.Module`` that returns a logit for each class will do; ``fit`` fills
in ``n_classes``, and ``module__...`` sets the other arguments. The pictures are digits of 8 x 8
pixels.

:doc:`/pictures` has networks that are ready, augmentation, and more to know.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_mixup import MixupClassifier


class ConvNet(nn.Sequential):
    """Two convolutions and a linear layer."""

    def __init__(self, n_classes, width=16):
        super().__init__(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 4 * 4, n_classes),
        )


X = load_digits().images[:, None] / 16  # (1797, 1, 8, 8): one channel
X_train, X_test, y_train, y_test = train_test_split(X, load_digits().target, random_state=0)
clf = MixupClassifier(ConvNet, module__width=8, max_epochs=20, random_state=0)
clf.fit(X_train, y_train)
print(f"{clf.score(X_test, y_test):.1%} of the test digits are right")

# %%
# Those that are hardest for it: the true digit has the lowest probability.
probabilities = clf.predict_proba(X_test)
of_truth = probabilities[range(len(y_test)), y_test]
fig, panels = plt.subplots(2, 5, figsize=(7, 3.6), layout="constrained")
for panel, i in zip(panels.flat, of_truth.argsort(), strict=False):
    panel.imshow(X_test[i, 0], cmap="gray_r")
    told = f"{y_test[i]}: p = {of_truth[i]:.2f}\nsays {probabilities[i].argmax()}"
    panel.set_title(told, size=9)
    panel.axis("off")
plt.show()
