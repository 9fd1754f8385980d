"""
What does CutMix do to my pictures?
===================================

It pastes a box of one picture into another, and mixes their labels by the share of the pixels,
where mixup fades one into the other. Both are functions on tensors in
:mod:`sklearn_mixup.vicinities`, and words for the parameter ``vicinity``.

:doc:`/ways_to_mix` has the others.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import PreActResNet18
from sklearn_mixup.vicinities import cutmix, mixup

X, y = load_digits().images[:, None] / 16, load_digits().target
pairs, partner = torch.tensor(X[:6]), torch.tensor([3, 4, 5, 0, 1, 2])
lam, place = torch.tensor(0.6), torch.rand(2, 6, generator=torch.Generator().manual_seed(1))
fig, panels = plt.subplots(3, 6, figsize=(7, 4), layout="constrained")
rows = {"as they are": (pairs, torch.tensor(1.0))}
rows |= {way.__name__: way(pairs, partner, lam=lam, place=place) for way in (mixup, cutmix)}
for line, (name, (mixed, weight)) in zip(panels, rows.items(), strict=True):
    for i, panel in enumerate(line):
        panel.imshow(mixed[i, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        panel.set(xticks=[], yticks=[])
        own = float(weight.expand(6)[i])
        told = f"{own:.0%} {y[i]}, {1 - own:.0%} {y[partner[i]]}" if own < 1 else f"{y[i]}"
        panel.set_title(told, size=9)
    line[0].set_ylabel(name)
plt.show()

# %%
# Which of them suits these pictures? A narrow network of the paper's kind, on 500 digits:
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=500, random_state=0)
for settings in ({"alpha": 0}, {"vicinity": "mixup"}, {"vicinity": "cutmix"}):
    clf = MixupClassifier(
        PreActResNet18,
        **{"alpha": 1, "max_epochs": 30, "random_state": 0, **settings},
        module__width=8,
        module__n_blocks=(1, 1),
        module__n_channels=1,
    ).fit(X_train, y_train)
    print(f"{settings}: {clf.score(X_test, y_test):.1%} of the test digits are right")
