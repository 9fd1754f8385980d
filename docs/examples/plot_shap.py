"""
Why does the network say so?
============================

SHAP's ``DeepExplainer`` shares the logit of a row out among its columns; permutation importance
asks how much worse the predictions get when a column is shuffled. Both take a fitted network as
it is.

:doc:`/guide` has more on what SHAP values are of.
"""

import matplotlib.pyplot as plt
import numpy as np
import shap
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import MixupClassifier

data = load_breast_cancer()
X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
clf = MixupClassifier(random_state=0).fit(X_train, y_train)
rows, background = (torch.tensor(X, dtype=torch.float32) for X in (X_test, X_train[:100]))
explainer = shap.DeepExplainer(clf.module_, background)
values = explainer.shap_values(rows, check_additivity=False)

# %%
# The values of a row add up to its logits less the mean logits of the background.
with torch.no_grad():
    expected = clf.module_(rows) - clf.module_(background).mean(0)
print(f"largest difference: {np.abs(values.sum(1) - expected.numpy()).max():.6f}")

# %%
# Both measures of all columns, the ten largest by SHAP. They need not agree: one is about what
# the network says, the other about how often it is right, and columns that go together stand in
# for each other.
mean_shap = np.abs(values[:, :, 1]).mean(0)
shuffled = permutation_importance(
    clf, X_test, y_test, scoring="neg_log_loss", n_repeats=5, random_state=0
)
top = mean_shap.argsort()[-10:]
fig, panels = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
panels[0].barh(data.feature_names[top], mean_shap[top])
panels[0].set(title="SHAP", xlabel="mean absolute share of the logit")
panels[1].barh(data.feature_names[top], shuffled.importances_mean[top], color="C1")
panels[1].set(title="permutation importance", xlabel="rise of the log-loss, nats")
plt.show()
