"""What a graph in ONNX says of rows, beside what the estimator says that it was made of."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_mixup import MixupClassifier, MixupRegressor, to_onnx

NET = MixupClassifier(max_epochs=2, device="cpu", random_state=0, module__hidden_sizes=(9,))
REG = MixupRegressor(max_epochs=2, device="cpu", random_state=0, module__hidden_sizes=(9,))


def run(model: Any, X: Any, feed: Any = None, few: Any = (1, 0)) -> list[np.ndarray]:
    """Run the graph of a model on all rows; on the first alone, and on none, it says no less."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("skl2onnx")
    session = onnxruntime.InferenceSession(to_onnx(model, X[:40]).SerializeToString())
    feed = {"X": np.asarray(X, np.float32)} if feed is None else feed
    whole = session.run(None, feed)
    for n_rows in few:
        part = session.run(None, {name: rows[:n_rows] for name, rows in feed.items()})
        for said, rows in zip(part, whole, strict=True):
            assert said.shape == (n_rows, *rows.shape[1:])
            if said.dtype.kind == "f":
                assert_allclose(said, rows[:n_rows], rtol=1e-5, atol=1e-6)
    return whole


def assert_says_the_same(
    model: Any, X: Any, feed: Any = None, *, few: Any = (1, 0), apart: float = 1e-5
) -> None:
    """Labels are those of the model, and probabilities within 1e-5; so are scaled numbers."""
    said = run(model, X, feed, few)
    if hasattr(model, "predict_proba"):
        assert_array_equal(said[0], model.predict(X))
        assert_allclose(said[1], model.predict_proba(X), rtol=0, atol=apart)
    elif len(said) == 2:
        assert_array_equal(said[0], model.predict(X))
    else:
        expected = model.predict(X)
        largest = np.abs(expected).max()
        assert_allclose(said[0].reshape(expected.shape), expected, rtol=1e-5, atol=1e-5 * largest)
