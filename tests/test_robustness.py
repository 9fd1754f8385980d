"""What corrupt_labels claims: so many random rows, each with a random label, and no others."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sklearn_mixup.robustness import corrupt_labels


@pytest.fixture
def y():
    return np.repeat(["ant", "bee", "cat", "dog"], 25)


@pytest.mark.parametrize("fraction", [0, 0.2, 0.255, 0.5, 0.8, 1])
def test_exactly_that_share_of_the_labels_is_replaced(y, fraction):
    y_corrupted, replaced = corrupt_labels(y, fraction, random_state=0)
    assert replaced.sum() == round(fraction * 100)
    np.testing.assert_array_equal(y_corrupted[~replaced], y[~replaced])
    assert set(y_corrupted) <= set(y)


def test_replaced_labels_are_uniform_whatever_they_were():
    # A chi-squared test at 1e-4, of 3 classes of unequal size against 3 labels.
    y = np.repeat([0, 1, 2], [500, 1500, 4000])
    y_corrupted, replaced = corrupt_labels(y, 0.5, random_state=0)
    for label in range(3):
        counts = np.bincount(y_corrupted[replaced & (y == label)], minlength=3)
        assert stats.chisquare(counts).pvalue > 1e-4
    # A share of one in three got its own label again: also at 1e-4.
    n_same = int((y_corrupted == y)[replaced].sum())
    assert stats.binomtest(n_same, 3000, 1 / 3).pvalue > 1e-4


def test_all_rows_are_equally_likely():
    y = np.arange(10) % 2
    counts = sum(corrupt_labels(y, 0.3, random_state=seed)[1].astype(int) for seed in range(2000))
    # Rows of one draw are not independent: their counts vary less than those of a multinomial.
    assert stats.chisquare(counts).pvalue > 1e-4
    # Each label is drawn on its own, not the same for all rows.
    drawn = [corrupt_labels(y, 1, random_state=seed)[0] for seed in range(20)]
    assert any(len(set(labels)) == 2 for labels in drawn)


def test_the_same_seed_draws_the_same_and_the_global_generator_is_left_alone(y):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = corrupt_labels(y, 0.5, random_state=3)
    second = corrupt_labels(y, 0.5, random_state=np.random.RandomState(3))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    drawn = [corrupt_labels(y, 0.5, random_state=None)[0] for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()
    assert (corrupt_labels(y, 0.5, random_state=4)[0] != first[0]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_labels_of_any_kind_stay_of_their_kind(y, assert_unchanged):
    codes = np.arange(100, dtype=np.int16) % 4
    kinds = [y, y.astype(object), codes, codes.astype(bool), pd.Series(y), y.tolist()]
    for labels in kinds:
        with assert_unchanged(labels):
            y_corrupted, replaced = corrupt_labels(labels, 0.5, random_state=0)
        assert isinstance(y_corrupted, np.ndarray)
        assert y_corrupted.dtype == np.asarray(labels).dtype
        np.testing.assert_array_equal(y_corrupted[~replaced], np.asarray(labels)[~replaced])
    tensor, replaced = corrupt_labels(torch.from_numpy(codes), 0.5, random_state=0)
    assert tensor.dtype == torch.int16
    expected, also_replaced = corrupt_labels(codes, 0.5, random_state=0)
    np.testing.assert_array_equal(tensor, expected)
    np.testing.assert_array_equal(replaced, also_replaced)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_labels_stay_on_the_device():
    y = torch.arange(100, device="cuda") % 4
    y_corrupted, _ = corrupt_labels(y, 0.5, random_state=0)
    assert y_corrupted.device == y.device
    np.testing.assert_array_equal(
        y_corrupted.cpu(), corrupt_labels(y.cpu(), 0.5, random_state=0)[0]
    )
