"""
How do I predict numbers?
=========================

With :class:`~sklearn_mixup.MixupRegressor`, or eight of its networks trained as one. Targets are
standardised within and scaled back. Here it is how much a person's diabetes progresses in a year,
from ten measures.

:doc:`/regression` tells of other losses, of many targets, and of what mixing does.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import PredictionErrorDisplay, r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import FusedBaggingRegressor, MixupRegressor

X, y = load_diabetes(return_X_y=True)
models = {
    "ridge": RidgeCV(),
    "one network": MixupRegressor(random_state=0),
    "eight networks": FusedBaggingRegressor(random_state=0),
}

# %%
# Each person is predicted by a model that was fitted to others.
fig, panels = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True, layout="constrained")
for panel, (name, model) in zip(panels, models.items(), strict=True):
    pipeline = make_pipeline(StandardScaler(), model)
    y_pred = cross_val_predict(pipeline, X, y, cv=KFold(5, shuffle=True, random_state=0))
    PredictionErrorDisplay.from_predictions(
        y, y_pred, kind="actual_vs_predicted", ax=panel, scatter_kwargs={"s": 10, "alpha": 0.5}
    )
    panel.set(title=f"{name}: R² = {r2_score(y, y_pred):.2f}", xlabel="predicted", ylabel="")
    panel.set(xticks=[100, 200, 300], yticks=[100, 200, 300])
panels[0].set_ylabel("progress in a year")
plt.show()
