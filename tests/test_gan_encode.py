"""Tables as rows of numbers and back, and what makes such rows of a generator's output."""

import copy
import datetime
import inspect
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal as assert_polars_equal
from scipy.stats import kstest
from torch.testing import assert_close

from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._gan.head import Head, draw_noise, draw_whose_words

N = 200
# polars has renamed them.
TOLERANCES = [name for name in inspect.signature(assert_polars_equal).parameters if "tol" in name]
DAYS = pd.date_range("2024-01-01", periods=N, freq="D")
WORDS = ["a", "b", "b", "c"] * (N // 4)


def normal():
    return np.random.default_rng(0).normal(size=N)


PANDAS = {
    "float": normal(),
    "float with gaps": np.where(np.arange(N) % 5 == 0, np.nan, normal()),
    "float32": normal().astype(np.float32),
    "whole": np.arange(N) * 3 - 100,
    "large": 2**62 + 2**54 * np.arange(N),
    "unsigned": np.arange(N, dtype=np.uint64) + np.uint64(2**64 - 300),
    "of all sizes": np.append(np.arange(N - 1, dtype=np.uint64) << 56, np.uint64(2**64 - 1)),
    "small": (np.arange(N) % 100).astype(np.int8),
    "few": np.array([0, 1, 1, 5] * (N // 4)),
    "constant": np.full(N, 7),
    "nullable": pd.array([None, *range(1, N)], dtype="Int64"),
    "nullable float": pd.array([None, *normal()[1:]], dtype="Float64"),
    "nullable boolean": pd.array([True, False, None, True] * (N // 4), dtype="boolean"),
    "boolean": np.array([True, False] * (N // 2)),
    "words": WORDS,
    "words with gaps": [None, *WORDS[1:]],
    "category": pd.Categorical(WORDS),
    "ordered": pd.Categorical(WORDS, ["c", "b", "z", "a"], ordered=True),
    "category with gaps": pd.Categorical([None, *WORDS[1:]]),
    "category of numbers": pd.Categorical([3, 1, 1, 2] * (N // 4)),
    "days": DAYS,
    "days with gaps": pd.Series(DAYS).where(np.arange(N) % 3 > 0),
    "seconds": DAYS.as_unit("s"),
    "aware": pd.date_range("2024-03-01", periods=N, freq="h", tz="Europe/Berlin"),
    "spans": pd.to_timedelta(np.arange(N), unit="h"),
    "python's days": [day.date() for day in DAYS],
    "python's numbers": pd.Series([1, 2.5, None, 4] * (N // 4), dtype=object),
    "gaps": [None] * N,
    "mixed": ["a", 1, None, True] * (N // 4),
    "arrow": pd.array([None, *range(1, N)], dtype="int64[pyarrow]"),
}
# Dates have no digits to spare in a rank of float32 where they are far apart.
POLARS = {
    "float": pl.Series(normal()),
    "whole": pl.Series(range(N), dtype=pl.UInt8),
    "with gaps": pl.Series([None, *range(1, N)]),
    "boolean": pl.Series([True, False, None, True] * (N // 4)),
    "words": pl.Series([None, *WORDS[1:]]),
    "categorical": pl.Series(WORDS, dtype=pl.Categorical),
    "enum": pl.Series(WORDS, dtype=pl.Enum(["z", "c", "b", "a"])),
    "day": pl.Series([day.date() for day in DAYS]),
    "time": pl.Series([datetime.time(i % 24, 3) for i in range(N)]),
    "aware": pl.Series([d.to_pydatetime() for d in DAYS]).dt.replace_time_zone("Europe/Berlin"),
    "milliseconds": pl.Series([d.to_pydatetime() for d in DAYS], dtype=pl.Datetime("ms")),
    "duration": pl.Series([datetime.timedelta(hours=7 * i) for i in range(N)]),
    "null": pl.Series([None] * N),
}


def roundtrip(X, rng=None):
    codec = pickle.loads(pickle.dumps(TableCodec(X)))
    return codec.decode(codec.encode(X, rng))


@pytest.mark.parametrize("spreads", [False, True])
@pytest.mark.parametrize("name", PANDAS)
def test_what_is_encoded_is_decoded_to_itself(name, spreads):
    X = pd.DataFrame({"x": PANDAS[name]})
    before = copy.deepcopy(X)
    found = roundtrip(X, np.random.RandomState(0) if spreads else None)
    pd.testing.assert_frame_equal(found, X, rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("name", POLARS)
def test_what_is_encoded_of_polars_is_decoded_to_itself(name):
    X = pl.DataFrame({"x": POLARS[name]})
    found = roundtrip(X, np.random.RandomState(0))
    assert_polars_equal(found, X, **dict.fromkeys(TOLERANCES, 1e-5))


@pytest.mark.parametrize(
    "X",
    [
        normal().reshape(-1, 2),
        normal().reshape(-1, 2).astype(np.float32),
        np.arange(N).reshape(-1, 2),
        np.array([[True, False], [False, True]]),
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[1.5, "a"], [2.5, None]] * 20, dtype=object),
        np.array([["2020-01-01"], ["2020-03-01"]], dtype="M8[D]"),
    ],
)
def test_arrays_come_back_as_arrays_of_their_dtype(X):
    found = roundtrip(X)
    assert found.dtype == X.dtype
    if X.dtype.kind == "f":
        np.testing.assert_allclose(found, X, rtol=1e-4, atol=1e-5)
    else:
        assert np.array_equal(found, X)


def test_columns_keep_their_order_and_names():
    X = pd.DataFrame({"w": WORDS, 3: normal(), ("a", 1): np.arange(N)}).rename_axis("c", axis=1)
    found = roundtrip(X)
    pd.testing.assert_index_equal(found.columns, X.columns)
    twice = pd.concat([X[["w"]], X[["w"]]], axis=1)
    pd.testing.assert_frame_equal(roundtrip(twice), twice)


def test_rows_are_numbers_first_and_then_blocks_of_zeros_and_a_one():
    X = pd.DataFrame(
        {name: PANDAS[name] for name in ("words", "float with gaps", "few", "constant", "whole")}
    )
    codec = TableCodec(X)
    rows = codec.encode(X)
    assert rows.dtype == np.float32
    assert rows.shape == (N, codec.width) == (N, 2 + 3 + 2 + 3)
    assert codec.blocks == [(2, 5), (5, 7), (7, 10)]
    assert codec.gates == [5, -1]
    for start, stop in codec.blocks:
        assert (np.sort(rows[:, start:stop], axis=1)[:, -1] == 1).all()
        assert (rows[:, start:stop].sum(axis=1) == 1).all()
    is_gap = X["float with gaps"].isna().to_numpy()
    assert np.array_equal(rows[:, 6] == 1, is_gap)
    assert (rows[is_gap, 0] == 0).all()


SKEWED = {
    "heavy tails": np.random.default_rng(1).standard_cauchy(2_000),
    "a spike": np.maximum(np.random.default_rng(1).normal(-1.3, 1, 2_000), 0) * 9_999,
    "whole numbers": np.random.default_rng(1).poisson(9, 2_000),
    "many": np.random.default_rng(1).lognormal(0, 2, 9_000),
}


@pytest.mark.parametrize("name", SKEWED)
def test_numbers_of_any_shape_are_told_as_a_normal_distribution_has_them(name):
    X = pd.DataFrame({"x": SKEWED[name]})
    rows = TableCodec(X).encode(X, np.random.RandomState(0))
    # Ranks are more even than random draws: far within what a test of these allows.
    assert kstest(rows[:, 0], "norm").statistic < 1.0 / np.sqrt(len(X))


@pytest.mark.parametrize("name", SKEWED)
def test_normal_numbers_are_decoded_to_the_distribution_of_the_column(name):
    X = pd.DataFrame({"x": SKEWED[name]})
    drawn = np.random.default_rng(2).normal(size=(20_000, 1))
    found = TableCodec(X).decode(drawn)["x"]
    assert found.dtype == X["x"].dtype
    at = np.unique(X["x"])
    shares = [
        [
            (np.asarray(x)[:, None] <= at[None, i : i + 500]).mean(axis=0)
            for i in range(0, len(at), 500)
        ]
        for x in (X["x"], found)
    ]
    gap = np.abs(np.concatenate(shares[0]) - np.concatenate(shares[1])).max()
    assert gap < 1.95 / np.sqrt(20_000) + 2 / 1_000  # an error rate of 0.001, and the knots


def test_decoded_numbers_stay_within_bounds_and_whole():
    X = pd.DataFrame(
        {
            "whole": [3, 5, 11, 40] * 25 + [6, 7, 8, 9, 10, 20, 21],
            "float": np.linspace(-1.5, 2, 107),
        }
    )
    codec = TableCodec(X)
    found = codec.decode(np.random.default_rng(0).normal(scale=30, size=(500, codec.width)))
    assert found["whole"].min() == 3
    assert found["whole"].max() == 40
    assert found["float"].min() == -1.5
    assert found["float"].max() == 2
    assert codec.decode(np.random.default_rng(0).normal(size=(500, 2)))["float"].nunique() > 400


# -- what a table that is encoded later may hold --------------------------------------------------


def test_numbers_that_were_not_there_lie_between_their_neighbours():
    X = pd.DataFrame({"x": np.arange(0, 100, 5) + 0.0, "few": [1, 2, 4, 9] * 5})
    codec = TableCodec(pd.concat([X] * 3))
    known = codec.encode(pd.DataFrame({"x": [5.0, 10.0], "few": [4, 9]}))
    found = codec.encode(pd.DataFrame({"x": [7.0, -99], "few": [5, 100]}))
    assert known[0, 0] < found[0, 0] < known[1, 0]
    assert codec.decode(found)["x"].tolist() == [5 + 5 * 2 / 5, 0]  # beyond bounds is the bound
    assert np.array_equal(found[:, 1:], known[:, 1:])


@pytest.mark.parametrize(
    ("fitted", "later", "match"),
    [
        (WORDS, ["q"], r"'x' of X must hold what it held .*: 'a', 'b', 'c'; got 'q'\. Leave"),
        (WORDS, [None], r"'a', 'b', 'c'; got a gap"),
        (normal(), [np.nan], "numbers and no gap; got a gap"),
        (normal(), ["word"], "'x' of X held numbers when the GAN was fitted; got 'word'"),
        (normal(), DAYS[:1], "held numbers when the GAN was fitted; got Timestamp"),
        (DAYS, [1.5], "held dates when the GAN was fitted; got 1.5"),
        (DAYS, pd.to_timedelta([1]), "held dates when the GAN was fitted; got Timedelta"),
        (DAYS, [np.nan], "numbers and no gap; got a gap"),
    ],
)  # fmt: skip
def test_a_column_of_another_kind_is_named(fitted, later, match):
    codec = TableCodec(pd.DataFrame({"x": fitted}))
    with pytest.raises(ValueError, match=match):
        codec.encode(pd.DataFrame({"x": later}))


def test_gaps_alone_are_gaps_of_a_column_that_has_some():
    codec = TableCodec(pd.DataFrame({"x": PANDAS["float with gaps"]}))
    rows = codec.encode(pd.DataFrame({"x": [None, np.nan]}, dtype=object))
    assert np.array_equal(rows, [[0, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize("kind", [float, "Int64", object])
def test_numbers_may_be_of_another_dtype(kind):
    codec = TableCodec(pd.DataFrame({"x": np.arange(N)}))
    expected = codec.encode(pd.DataFrame({"x": [3, 7]}))
    assert np.array_equal(codec.encode(pd.DataFrame({"x": [3, 7]}).astype(kind)), expected)


def test_dates_may_be_of_another_unit():
    X = pd.DataFrame({"x": DAYS})
    codec, later = TableCodec(X), X.astype("datetime64[ms]")
    assert np.array_equal(codec.encode(later), codec.encode(X))
    of_polars = pl.DataFrame({"x": POLARS["milliseconds"]})
    rows = TableCodec(of_polars).encode(of_polars)
    later = of_polars.with_columns(pl.col("x").cast(pl.Datetime("us")))
    assert np.array_equal(TableCodec(of_polars).encode(later), rows)
    with pytest.raises(TypeError, match=r"holds dates: give it in a table of .* pandas"):
        codec.encode(of_polars)


def test_a_column_of_too_many_words_is_named():
    many = pd.DataFrame({"id": [f"row {i}" for i in range(5_000)]})
    with pytest.raises(ValueError, match=r"at most 1000 different ones .* got 5000 in column 'id'"):
        TableCodec(many)
    TableCodec(many[:1_000])


def test_a_span_beyond_floats_is_named():
    X = pd.DataFrame({"x": np.linspace(-1, 1, 50) * 1.7e308})
    with pytest.raises(ValueError, match=r"column 'x' of X\. Rescale"):
        TableCodec(X)
    roundtrip(X / 4)


def test_a_whole_number_that_is_a_gap_in_disguise_is_named():
    """Counted from it, all others are one float."""
    X = pd.DataFrame({"x": [np.iinfo(np.int64).min, *range(50)]})
    with pytest.raises(ValueError, match=r"-9223372036854775808 to 49 .* of which 51 .* be 2\."):
        TableCodec(X)
    roundtrip(X.clip(lower=-(2**52)))


# -- the head -------------------------------------------------------------------------------------


BLOCKS, GATES = [(2, 5), (5, 7)], [-1, 5]


def head(**params):
    return Head(**{"n_numbers": 2, "blocks": BLOCKS, "gates": GATES, "device": "cpu", **params})


def output(n=50, width=7):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, width, generator=rng, dtype=torch.float64)


def noise_for(rows, made):
    return draw_noise(made, rows, torch.Generator().manual_seed(1))


def test_blocks_hold_a_one_and_numbers_are_left_as_they_are():
    rows, made = output(), head()
    drawn = made(rows, noise_for(rows, made))
    assert torch.equal(drawn[:, 0], rows[:, 0])
    for start, stop in BLOCKS:
        block = drawn[:, start:stop]
        assert torch.equal(block.sum(1), torch.ones(50).double())
        assert torch.equal(block.max(1).values, torch.ones(50).double())


def test_a_number_is_zero_where_there_is_none():
    rows, made = output(), head()
    drawn = made(rows, noise_for(rows, made))
    is_number = drawn[:, 5] == 1
    assert 0 < is_number.sum() < 50
    assert torch.equal(drawn[:, 1], torch.where(is_number, rows[:, 1], 0.0))


def test_words_are_drawn_with_the_probabilities_of_a_softmax():
    made = head()
    rows = torch.tensor([[0.0, 0, 1, -1, 0.5, 2, -2]]).double().expand(40_000, 7)
    shares = made(rows, noise_for(rows, made))[:, 2:].mean(0)
    expected = torch.cat([rows[0, 2:5].softmax(0), rows[0, 5:].softmax(0)])
    assert (shares - expected).abs().max() < 5 * 0.5 / 40_000**0.5  # five standard errors


def test_the_gradient_is_that_of_the_softmax_of_the_noisy_logits():
    made, rows, weight = head(gates=[-1, -1]), output().requires_grad_(), output(7, 1).flatten()
    noise = noise_for(rows, made)
    (made(rows, noise) @ weight).sum().backward()
    soft = rows.detach().clone().requires_grad_()
    noisy = soft[:, 2:] + noise
    parts = [soft[:, :2], *(part.softmax(1) for part in noisy.split([3, 2], dim=1))]
    (torch.cat(parts, dim=1) @ weight).sum().backward()
    assert_close(rows.grad, soft.grad)
    assert rows.grad[:, 2:].abs().min() > 0


def test_a_table_of_numbers_alone_draws_nothing():
    made = head(n_numbers=7, blocks=[], gates=[-1] * 7)
    rng = torch.Generator().manual_seed(0)
    before = rng.get_state()
    rows = output()
    assert made(rows, draw_noise(made, rows, rng)) is rows
    assert torch.equal(rng.get_state(), before)


def test_a_table_of_words_alone_has_no_numbers():
    rows, made = output(width=5), head(n_numbers=0, blocks=[(0, 3), (3, 5)], gates=[])
    drawn = made(rows, noise_for(rows, made))
    assert torch.equal(drawn.sum(1), torch.full((50,), 2.0).double())


def test_a_mixture_has_the_words_of_one_of_the_two_and_numbers_between_them():
    made = head()
    real = torch.tensor([[0.5, 4.0, 1, 0, 0, 1, 0]] * 2 + [[0.5, 0.0, 1, 0, 0, 0, 1]] * 2).double()
    fake = torch.tensor([[1.5, 2.0, 0, 0, 1, 1, 0]] * 4).double()
    shared = made.share_words(real, fake, torch.tensor([True, False, True, False]))
    mixed = torch.lerp(*reversed(shared), 0.25)  # a quarter of the row of data
    expected = [
        [1.25, 2.5, 1, 0, 0, 1, 0],
        [1.25, 2.5, 0, 0, 1, 1, 0],
        [1.25, 0.0, 1, 0, 0, 0, 1],  # a gap
        [1.25, 2.0, 0, 0, 1, 1, 0],  # whose partner is one
    ]
    assert torch.equal(mixed, torch.tensor(expected).double())


def test_words_are_those_of_the_data_as_often_as_lam_says():
    lam = torch.tensor([0.0, 0.2, 0.7, 1.0]).repeat(10_000)
    drawn = draw_whose_words(head(), lam, torch.Generator().manual_seed(0)).view(-1, 4)
    shares = drawn.double().mean(0)
    assert shares[[0, 3]].tolist() == [0, 1]
    assert (shares - lam[:4]).abs().max() < 5 * 0.5 / 10_000**0.5  # five standard errors
    rng = torch.Generator().manual_seed(0)
    before = rng.get_state()
    assert len(draw_whose_words(None, lam, rng)) == 0
    assert torch.equal(rng.get_state(), before)
