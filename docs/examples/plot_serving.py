"""
How do I take a model out of the notebook?
==========================================

As one file. :func:`sklearn_mixup.save` writes a whole pipeline, scaler and classes included, and
no code; who opens the file runs none.

:doc:`/saving` tells what goes in, and what is refused; :doc:`/serving` how to keep answers quick,
and how to do without torch, by ONNX.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_mixup

data = load_breast_cancer()
X, y = data.data, data.target_names[data.target]
clf = make_pipeline(StandardScaler(), sklearn_mixup.MixupClassifier(random_state=0)).fit(X, y)
clf[-1].trim_for_prediction()  # The state of the optimizer would be two thirds of the file.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "cells.mixup"
sklearn_mixup.save(clf, path)
print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")

# %%
# The service, which knows nothing but the file:
served = sklearn_mixup.load(path)
folder.cleanup()
print(served.predict(X[:3]))
print("same bits:", np.array_equal(served.predict_proba(X), clf.predict_proba(X)))

# %%
# How long does an answer take? The fastest of twenty, on the machine that built this page.
rows = np.tile(X, (20, 1))
sizes = [1, 10, 100, 1000, 10000]
seconds = np.empty((len(sizes), 20))
for i, size in enumerate(sizes):
    served.predict_proba(rows[:size])
    for j in range(20):
        start = time.perf_counter()
        served.predict_proba(rows[:size])
        seconds[i, j] = time.perf_counter() - start
times = 1000 * seconds.min(axis=1)
print(", ".join(f"{size} rows {ms:.1f} ms" for size, ms in zip(sizes, times, strict=True)))
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
ax.loglog(sizes, times, marker="o")
ax.set(xlabel="rows in a request", ylabel="milliseconds")
ax.grid(alpha=0.3)
plt.show()
