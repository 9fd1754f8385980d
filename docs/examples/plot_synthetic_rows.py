"""
How do I make more rows like mine?
==================================

:class:`~sklearn_mixup.VicinalSampler` draws rows between two rows of the same class, without
training anything, from tables with words and dates too. :class:`~sklearn_mixup.MixupGAN` learns
to draw them.

:doc:`/gan` tells when to take which.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from sklearn_mixup import MixupClassifier, VicinalSampler

iris = load_iris(as_frame=True)
df, y = iris.data, iris.target_names[iris.target]
df_train, df_test, y_train, y_test = train_test_split(df, y, test_size=0.5, random_state=0)
sampler = VicinalSampler(random_state=0).fit(df_train, y_train)
df_drawn, y_drawn = sampler.sample(500, return_y=True)
print(df_drawn.head(3))

# %%
# Drawn rows lie where the rows of their class are.
fig, panels = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True, sharey=True, layout="constrained")
drawn = {"75 flowers": (df_train, y_train), "500 that were drawn": (df_drawn, y_drawn)}
for panel, (title, (table, labels)) in zip(panels, drawn.items(), strict=True):
    for kind, marker in zip(iris.target_names, "os^", strict=True):
        own = table[labels == kind]
        panel.scatter(own.iloc[:, 0], own.iloc[:, 2], s=14, alpha=0.6, marker=marker, label=kind)
    panel.set(title=title, xlabel=df.columns[0])
panels[0].set_ylabel(df.columns[2])
panels[0].legend()
plt.show()

# %%
# Are they good for training? A network that has seen drawn rows alone, asked about flowers:
for name, (table, labels) in drawn.items():
    clf = MixupClassifier(max_epochs=50, random_state=0).fit(table, labels)
    print(f"fitted to {name}: {clf.score(df_test, y_test):.1%} of the test flowers are right")
