"""
How do I fit a table with words and gaps?
=========================================

As it is. :class:`~sklearn_mixup.TabularMixupClassifier` turns words, dates and gaps into what a
network takes, and needs no settings. The table is that of three kinds of wine, made less tidy:
one column in words, and a tenth of the others missing.

:doc:`/tables` tells what to expect of it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sklearn_mixup import TabularMixupClassifier

wines = load_wine(as_frame=True)
df, y = wines.data, wines.target_names[wines.target]
df = df.mask(np.random.default_rng(0).random(df.shape) < 0.1)
df["color_intensity"] = pd.cut(
    df["color_intensity"], [0, 3, 6, 20], labels=["pale", "middle", "deep"]
)
print(df.iloc[:3, 6:10])

# %%
# Half of the wines to learn from, half to ask about. A network is trained for each eighth of the
# rows that it leaves out.
df_train, df_test, y_train, y_test = train_test_split(df, y, test_size=0.5, random_state=0)
clf = TabularMixupClassifier(random_state=0).fit(df_train, y_train)
probabilities = clf.predict_proba(df_test)
print(f"accuracy {clf.score(df_test, y_test):.3f}, log-loss {log_loss(y_test, probabilities):.3f}")

# %%
# Each bar is a wine, and its colours are the probabilities of the three kinds: where one colour
# fills the bar, the answer is sure.
fig, panels = plt.subplots(1, 3, figsize=(8, 2.6), sharey=True, layout="constrained")
for panel, kind in zip(panels, clf.classes_, strict=True):
    own = probabilities[y_test == kind]
    own = own[own[:, list(clf.classes_).index(kind)].argsort()]
    bottom = np.zeros(len(own))
    for column, label in zip(own.T, clf.classes_, strict=True):
        panel.bar(range(len(own)), column, 1, bottom, label=label)
        bottom += column
    panel.set(title=f"wines that are {kind}", xticks=[], xlim=(-0.5, len(own) - 0.5), ylim=(0, 1))
panels[0].set_ylabel("probability")
fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
