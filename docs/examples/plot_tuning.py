"""
How do I tune a network without waiting for each fit?
=====================================================

:class:`~sklearn_mixup.FusedGridSearchCV` is scikit-learn's grid search with one difference: the
networks of all candidates and folds are trained at the same time, as one stack. Here these are
sixty.

:doc:`/fused` tells what can be searched in one stack, and what it takes.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import FusedGridSearchCV, MixupClassifier

X, y = load_breast_cancer(return_X_y=True)
alphas, rates = [0, 0.2, 0.5, 1, 4], [3e-4, 1e-3, 3e-3, 1e-2]
search = FusedGridSearchCV(
    make_pipeline(StandardScaler(), MixupClassifier(hidden_sizes=(32,), random_state=0)),
    {"mixupclassifier__alpha": alphas, "mixupclassifier__lr": rates},
    scoring="neg_log_loss",
    cv=3,
).fit(X, y)
print(search.best_params_, f"log-loss {-search.best_score_:.3f}")

# %%
# ``cv_results_`` is that of scikit-learn: a row for each candidate, in the order of the grid.
losses = -search.cv_results_["mean_test_score"].reshape(len(alphas), len(rates))
fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
picture = ax.imshow(losses, cmap="viridis_r")
for i, row in enumerate(losses):
    for j, loss in enumerate(row):
        colour = "white" if picture.norm(loss) > 0.5 else "black"
        ax.text(j, i, f"{loss:.3f}", ha="center", va="center", color=colour)
ax.set(xlabel="learning rate", ylabel="alpha", title="log-loss, mean of three folds")
ax.set_xticks(range(len(rates)), rates)
ax.set_yticks(range(len(alphas)), alphas)
ax.spines[:].set_visible(False)
plt.show()
