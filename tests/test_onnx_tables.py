"""Committees on tables and the generator of a GAN as ONNX graphs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data.mixed import fetch_german_credit, fetch_horse_colic
from sklearn_mixup import MixupGAN, TabularMixupClassifier, TabularMixupRegressor, to_onnx
from sklearn_mixup._gan.classes import tell_classes
from sklearn_mixup._gan.head import make_head, make_rows
from sklearn_mixup._onnx.convert import _list_inputs
from tests.onnx_graphs import assert_says_the_same
from tests.real_data import DATA_HOME

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

FEW: dict[str, Any] = {"n_estimators": 2, "max_epochs": 2, "random_state": 0, "device": "cpu"}


def make_table(n_rows=120):
    """Make a table of columns of many kinds."""
    rng = np.random.default_rng(0)
    gaps = rng.random(n_rows) < 0.2
    return pd.DataFrame(
        {
            "amount": np.where(gaps, np.nan, rng.lognormal(size=n_rows) * 1e6),
            "rooms": rng.integers(1, 5, n_rows),
            "garden": rng.random(n_rows) < 0.5,
            "town": rng.choice(["Bern", "Chur", None, "N/A"], n_rows),
            "kind": pd.Categorical(rng.choice([3, 5], n_rows)),
            "digits": rng.choice(["1", "2.5", "7"], n_rows),
            "same": ["so"] * n_rows,
            "none": [None] * n_rows,
        }
    )


# -- committees -----------------------------------------------------------------------------------


def test_a_committee_on_numbers_says_what_it_says(iris):
    X, y = iris
    model = TabularMixupClassifier(**FEW).fit(X, np.array(["c", "a", "b"])[y])
    kinds = {type(part).__name__ for part in model.estimators_}
    assert {"HistGradientBoostingClassifier", "MixupClassifier"} < kinds
    assert {own.get("bins") for own in model.settings_ if isinstance(own, dict)} == {None, 16}
    assert_says_the_same(model, X, {"X": X})


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_committee_of_regressors_says_what_it_says(n_outputs):
    X, y = load_diabetes(return_X_y=True)
    y = np.stack([y, 3 * y - 100], 1)[:, :n_outputs].squeeze()
    assert_says_the_same(TabularMixupRegressor(**FEW).fit(X, y), X, {"X": X})


def test_a_committee_takes_a_table_of_any_columns():
    X = make_table()
    y = np.where(X["amount"].fillna(0) + 1e6 * (X["town"] == "Bern") > 1e6, "yes", "no")
    others = [LogisticRegression(), RandomForestClassifier(5), HistGradientBoostingClassifier()]
    model = TabularMixupClassifier(others=others, **FEW).fit(X, y)
    numbers = ["amount", "rooms", "garden", "digits"]
    feed = {name: X[[name]].to_numpy(np.float64) for name in numbers}
    words = X.drop(columns=numbers)
    for name in words:
        told = ["" if pd.isna(word) else str(word) for word in words[name]]
        feed[name] = np.array(told, object)[:, None]
    assert_says_the_same(model, X, feed)
    # A word that nobody has seen is none, as it is to the committee.
    X, feed["town"] = X.assign(town="Genf"), np.full((len(X), 1), "Genf", object)
    assert_says_the_same(model, X, feed)


@pytest.mark.parametrize("fetch", [fetch_german_credit, fetch_horse_colic])
def test_a_committee_on_a_real_table_says_what_it_says(fetch):
    try:
        data = fetch(DATA_HOME, download_if_missing=False)
    except OSError:
        pytest.skip("no such table: set SKLEARN_MIXUP_DATA to where the data is")
    X = data.data[:300]
    model = TabularMixupClassifier(**FEW).fit(X, data.target[:300])
    assert_says_the_same(model, X, _list_inputs(model, X))


def test_what_no_graph_encodes_is_named():
    X = make_table()
    y = np.arange(len(X)) % 2
    dates = X.assign(seen=pd.to_datetime(["2024-01-03", "2024-03-04"] * 60))
    nets = TabularMixupClassifier(others=(), settings=[{}], **FEW)
    with pytest.raises(ValueError, match=r"Column 'seen' .* Make numbers of dates before the fit"):
        to_onnx(nets.fit(dates, y), dates)
    text = X.assign(text=[f"number {i}" for i in range(len(X))])
    with pytest.raises(ValueError, match=r"Column 'text' .* Group the rare words"):
        to_onnx(nets.fit(text, y), text)
    with pytest.raises(ValueError, match="X_sample must be a DataFrame"):
        to_onnx(nets.fit(X, y), X.to_numpy())


# -- a GAN ----------------------------------------------------------------------------------------


def fit_gan(X, y=None, **params):
    small = {"generator__hidden_sizes": (8,), "discriminator__hidden_sizes": (8,), "max_iter": 9}
    return MixupGAN(**small, random_state=0, device="cpu", **params).fit(X, y)


def sample_both(gan, n_rows=60):
    """Let a GAN and its graph make rows of the same noise; for classes of all in turn."""
    session = onnxruntime.InferenceSession(to_onnx(gan).SerializeToString())
    noise, *y = session.get_inputs()
    rng = np.random.default_rng(0)
    feed: dict[str, Any] = {"noise": rng.normal(size=(n_rows, noise.shape[1])).astype(np.float32)}
    told = None
    if y:
        codes = np.arange(n_rows) % len(gan.classes_)
        labels = np.asarray(gan.classes_)[codes]
        feed["y"] = labels.astype(object if labels.dtype.kind in "OU" else np.int64)
        told = tell_classes(gan, codes, torch.float32, "cpu")
    names = [out.name for out in session.get_outputs()]
    found = dict(zip(names, session.run(None, feed), strict=True))
    for few in (1, 0):
        part = session.run(None, {name: rows[:few] for name, rows in feed.items()})
        assert [len(rows) for rows in part] == [few] * len(names)
    z = torch.from_numpy(feed["noise"][:, : gan._latent_dim_])
    share = ndtr(feed["noise"][:, gan._latent_dim_ :].astype(float))
    gumbel = torch.from_numpy(-np.log(-np.log(share))).float()
    with torch.no_grad():
        head = make_head(gan, torch.device("cpu"))
        rows = make_rows(gan.averaged_generator_.eval(), head, z, gumbel, told).numpy()
    codec = vars(gan).get("_codec_")
    return found, rows if codec is None else codec.decode(rows)


@pytest.mark.parametrize("labels", [None, ["yes", "no"], [7, 3]], ids=["none", "words", "numbers"])
def test_a_gan_s_graph_makes_the_columns_of_its_table_of_noise(labels):
    X = make_table().assign(
        many=np.arange(120) * 7,
        gappy=pd.array([None, *range(119)], dtype="Int64"),
        seen=pd.to_datetime([None, *pd.date_range("2024-01-01", periods=119)]),
    )
    found, expected = sample_both(fit_gan(X, None if labels is None else np.tile(labels, 60)))
    assert [*found] == [*X.columns]
    for name in ("town", "kind", "digits", "same", "none"):
        told = expected[name].astype(object)
        told = told if name == "kind" else told.where(told.notna(), "")
        assert_array_equal(found[name][:, 0], told.to_numpy())
    for name in ("rooms", "garden", "many"):
        assert_array_equal(found[name][:, 0], expected[name])
        assert found[name].dtype == expected[name].dtype
    numbers = expected[["amount", "gappy"]].astype(float)
    assert_allclose(np.hstack([found[name] for name in numbers]), numbers, rtol=1e-5)
    seen = found["seen"][:, 0].view(X["seen"].dtype.str)
    assert_array_equal(seen, expected["seen"].to_numpy())
    assert np.isnat(seen).any()


def test_a_gan_s_graph_makes_arrays_in_their_own_units():
    X = np.random.default_rng(0).normal(size=(60, 3)) * [1, 10, 100]
    for dtype in (np.float64, np.float32):
        found, expected = sample_both(fit_gan(X.astype(dtype)))
        assert found["X"].dtype == dtype
        assert_allclose(found["X"], expected, rtol=1e-5, atol=1e-5)
    found, expected = sample_both(fit_gan(X, encode=False))
    assert_allclose(found["X"], expected, rtol=1e-5, atol=1e-5)


def test_what_a_gan_cannot_put_into_a_graph_is_refused():
    X = np.random.default_rng(0).normal(size=(60, 2))
    pipe = make_pipeline(StandardScaler(), fit_gan(X))
    pipe[0].fit(X)
    with pytest.raises(TypeError, match=r"Pass the GAN alone, model\[-1\]"):
        to_onnx(pipe, X)
    huge = np.arange(60, dtype=np.uint64) + np.uint64(2**63)
    with pytest.raises(ValueError, match="below 2\\*\\*63"):
        to_onnx(fit_gan(pd.DataFrame({"huge": huge, "other": np.arange(60)})))
    with pytest.raises(ValueError, match="beside noise; got noise for two things"):
        to_onnx(fit_gan(pd.DataFrame(X, columns=["noise", "other"])))
    with pytest.raises(TypeError, match="X_sample"):
        to_onnx(TabularMixupRegressor(others=(), settings=[{}], **FEW).fit(X, X[:, 0]))
