"""Numbers told piece by piece."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_mixup._tabular.bins import Bins, _find_edges, _locate


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=(200, 2)), rng.integers(2, size=200)]).astype("f4")


def test_a_number_is_told_by_how_far_it_has_come_through_each_bin():
    edges = _find_edges(np.arange(9.0), 4)
    told = _locate(np.array([0.0, 1.0, 4.0, 7.5]), edges)
    assert_array_equal(told, [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0.75]])


def test_beyond_its_bins_a_number_goes_on_for_a_while():
    told = _locate(np.array([-1.0, -50.0, 9.0, 50.0]), _find_edges(np.arange(9.0), 4))
    assert_array_equal(told[:2], [[-0.5, 0, 0, 0], [-1, 0, 0, 0]])
    assert_array_equal(told[2:], [[1, 1, 1, 1.5], [1, 1, 1, 2]])


def test_bins_hold_as_many_rows_each(rows):
    bins = Bins(8).fit(rows)
    assert list(bins.edges) == [0, 1]  # The third column has two values.
    told = _locate(rows[:, 0], bins.edges[0])
    assert told.shape == (200, 8)
    inside = ((told > 0) & (told < 1)).sum(axis=0)
    assert (np.abs(inside - 25) <= 1).all()


def test_numbers_stay_and_their_bins_have_mean_zero(rows):
    found = Bins(8).fit(rows).transform(rows)
    assert found.dtype == np.float32
    assert_array_equal(found[:, :3], rows)
    assert_allclose(found[:, 3:].mean(axis=0), 0, atol=1e-6)


def test_values_that_many_rows_share_make_fewer_bins():
    column = np.repeat([0.0, 1.0, 2.0], [90, 5, 5])[:, None]
    assert Bins(16).fit(column).transform(column).shape == (100, 3)


def test_a_table_of_two_values_has_no_bins():
    rows = np.array([[0.0], [1.0]] * 5, dtype=np.float32)
    assert_array_equal(Bins(16).fit(rows).transform(rows), rows)


def test_a_value_that_many_rows_share_is_an_end_of_bins():
    others = np.arange(1.0, 51.0)
    edges = _find_edges(np.append(np.zeros(50), others), 8)
    # The others have the seven bins that are left.
    assert_allclose(edges, [0, *np.quantile(others, np.linspace(0, 1, 8))])


def test_of_few_values_each_is_an_end_of_bins():
    column = np.repeat([1.0, 2.0, 5.0, 9.0], [70, 10, 10, 10])
    assert_array_equal(_find_edges(column, 16), [1, 2, 5, 9])
