"""
How easily is my network fooled?
================================

:func:`~sklearn_mixup.robustness.fgsm` moves each pixel a little, in the direction in which the
loss rises. How often a network is still right tells how steep it is between the classes.

:doc:`/robustness` tells what such a test can tell, and what it cannot.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mixup import MixupClassifier
from sklearn_mixup.robustness import fgsm

X, y = load_digits(return_X_y=True)  # pixels from 0 to 16
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
nets = {
    "without mixing": MixupClassifier(alpha=0, max_epochs=40, random_state=0),
    "mixup, alpha = 1": MixupClassifier(alpha=1, max_epochs=40, random_state=0),
}
steps = [0, 0.5, 1, 1.5, 2, 3]
fig, (curve, *pictures) = plt.subplots(
    1, 4, figsize=(9, 3), width_ratios=[3, 1, 1, 1], layout="constrained"
)
for name, net in nets.items():
    net.fit(X_train, y_train)
    moved = [fgsm(net, X_test, y_test, eps=eps, clip=(0, 16)) for eps in steps]
    scores = [net.score(rows, y_test) for rows in moved]
    curve.plot(steps, scores, marker="o", label=name)
    print(f"{name}:", ", ".join(f"{s:.0%} at {eps}" for eps, s in zip(steps, scores, strict=True)))
curve.set(xlabel="change of each pixel, of 16", ylabel="share that is right", ylim=(0, 1.03))
curve.legend()
for panel, i in zip(pictures, (0, 2, 5), strict=True):  # one digit, for the last network
    panel.imshow(moved[i][1].reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    panel.set_title(f"changed by {steps[i]}\nsays {net.predict(moved[i][1:2])[0]}", size=9)
    panel.axis("off")
plt.show()
