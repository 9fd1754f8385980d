"""
What if half of my labels are wrong?
====================================

A network that trains for long learns wrong labels by heart. Mixing with a large ``alpha`` keeps
it from that: hardly any row is ever seen as it is. Here half of the labels of the training digits
are drawn anew, and both networks are looked at after each epoch.

:doc:`/label_noise` has larger experiments.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.robustness import corrupt_labels

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
y_noisy, replaced = corrupt_labels(y_train, 0.5, random_state=0)

# %%
# :func:`~sklearn_mixup.fit_fused` trains both at once, and shows each of them after each epoch.
learned = {0: [], 8: []}
right = {0: [], 8: []}


def look(net):
    """Write down how many wrong labels a network has learned, and how often it is right."""
    learned[net.alpha].append(net.score(X_train[replaced], y_noisy[replaced]))
    right[net.alpha].append(net.score(X_test, y_test))


nets = [MixupClassifier(alpha=alpha, max_epochs=50, random_state=0) for alpha in (0, 8)]
fit_fused(nets, [X_train] * 2, [y_noisy] * 2, on_epoch_end=look)
for alpha in (0, 8):
    print(f"alpha={alpha}: {right[alpha][-1]:.0%} of the test digits are right")

# %%
# Left, what should not be learned; right, what should.
fig, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
titles = ("labels drawn anew: learned by heart", "test digits: right")
for panel, curves, title in zip(panels, (learned, right), titles, strict=True):
    for alpha, curve in curves.items():
        name = f"mixup, alpha = {alpha}" if alpha else "without mixing"
        panel.plot(range(1, 51), curve, label=name)
    panel.set(title=title, xlabel="epoch", ylim=(0, 1))
panels[0].set_ylabel("share")
panels[0].legend()
plt.show()
