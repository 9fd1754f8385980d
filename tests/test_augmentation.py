"""Crops and flips: each is a possible one, all are as likely, and each row has its own."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.nn.functional import pad

from sklearn_mixup.augmentation import crop_and_flip
from tests.recording import HostReads

FLOATING = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def numbered(n_rows=3, n_channels=2, height=4, width=5, dtype=torch.float32):
    """Make pictures of which no two pixels are equal, and none is 0."""
    n_pixels = n_rows * n_channels * height * width
    return torch.arange(1, n_pixels + 1).reshape(n_rows, n_channels, height, width).to(dtype)


def all_outcomes(picture, padding, flip, fill=0.0):
    """Cut every crop out of the padded picture by slices, plain and then mirrored."""
    _, height, width = picture.shape
    padded = pad(picture, (padding,) * 4, value=fill)
    places = range(2 * padding + 1)
    crops = [padded[:, i : i + height, j : j + width] for i in places for j in places]
    return torch.stack(crops + [crop.flip(2) for crop in crops] if flip else crops)


def which_outcomes(X, cropped, padding, flip):
    """Find the number of the outcome that each row is; fail where it is none, or two."""
    numbers = []
    for before, after in zip(X, cropped, strict=True):
        same = (all_outcomes(before, padding, flip) == after).flatten(1).all(1).nonzero().flatten()
        assert len(same) == 1
        numbers.append(int(same))
    return np.array(numbers)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_every_row_is_a_crop_of_its_padded_self(padding, flip):
    X = numbered(n_rows=40)
    outcomes = which_outcomes(X, crop_and_flip(X, padding=padding, flip=flip), padding, flip)
    assert outcomes.max() < (2 * padding + 1) ** 2 * (1 + flip)


def test_all_outcomes_are_equally_likely():
    padding, n_rows = 2, 20_000
    X = numbered(n_rows=1, n_channels=1)
    torch.manual_seed(0)
    cropped = crop_and_flip(X.expand(n_rows, -1, -1, -1), padding=padding)
    outcomes = all_outcomes(X[0], padding, flip=True)
    counts = [(cropped == outcome).flatten(1).all(1).sum().item() for outcome in outcomes]
    assert sum(counts) == n_rows  # no outcome is two
    # A right draw fails with a probability of 0.001, once and for all: the seed is fixed.
    assert chisquare(counts).pvalue > 0.001


def test_rows_are_drawn_independently():
    """Neighbouring rows: every pair of outcomes is as likely as any other."""
    n_rows = 20_000
    X = numbered(n_rows=1, n_channels=1).expand(n_rows, -1, -1, -1)
    torch.manual_seed(0)
    cropped = crop_and_flip(X, padding=1)
    same = torch.stack([(cropped == o).flatten(1).all(1) for o in all_outcomes(X[0], 1, True)])
    number = same.int().argmax(0)
    pairs = torch.bincount(number[:-1:2] * 18 + number[1::2], minlength=18 * 18)
    assert chisquare(pairs.numpy()).pvalue > 0.001


def test_nothing_to_draw_gives_an_equal_copy():
    X = numbered()
    cropped = crop_and_flip(X, padding=0, flip=False)
    torch.testing.assert_close(cropped, X, rtol=0, atol=0)
    assert cropped.data_ptr() != X.data_ptr()  # a module may write to it


def test_input_stays_as_it_is(assert_unchanged):
    X = numbered()
    with assert_unchanged(X):
        crop_and_flip(X).fill_(-1)


@pytest.mark.parametrize("dtype", [*FLOATING, torch.uint8])
def test_dtype_is_kept_and_values_are_copied(dtype):
    X = numbered(dtype=dtype)  # 120 pixels: whole in each of these types, and below 256
    torch.manual_seed(0)
    cropped = crop_and_flip(X, padding=1)
    assert cropped.dtype == dtype
    torch.manual_seed(0)
    assert torch.equal(cropped.double(), crop_and_flip(X.double(), padding=1))


def test_memory_format_is_kept():
    X = numbered().contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    cropped = crop_and_flip(X, padding=1)
    assert cropped.stride() == X.stride()
    torch.manual_seed(0)
    assert torch.equal(cropped, crop_and_flip(X.contiguous(), padding=1))


@pytest.mark.parametrize("n_rows", [0, 1])
def test_few_rows(n_rows):
    assert crop_and_flip(numbered(n_rows)).shape == (n_rows, 2, 4, 5)


def test_padding_may_be_wider_than_the_picture():
    X = numbered(n_rows=30)
    torch.manual_seed(0)
    cropped = crop_and_flip(X, padding=9)
    for before, after in zip(X, cropped, strict=True):
        assert (all_outcomes(before, 9, True) == after).flatten(1).all(1).any()


def test_fill_of_one_number_is_that_of_every_channel():
    X = numbered(n_rows=50)
    torch.manual_seed(0)
    cropped = crop_and_flip(X, padding=1, fill=-7.0)
    for before, after in zip(X, cropped, strict=True):
        assert (all_outcomes(before, 1, True, fill=-7.0) == after).flatten(1).all(1).any()
    torch.manual_seed(0)
    assert torch.equal(cropped, crop_and_flip(X, padding=1, fill=(-7.0, -7.0)))


def test_fill_makes_the_border_of_standardised_pictures_black():
    """Pad, crop, then standardise, as the paper does, is what `fill` gives afterwards."""
    pixels = torch.rand(50, 3, 6, 6, dtype=torch.float64)
    mean, std = np.array([0.49, 0.48, 0.45]), np.array([0.25, 0.24, 0.26])

    def standardise(X):
        return (X - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    torch.manual_seed(0)
    ours = crop_and_flip(standardise(pixels), fill=-mean / std)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, standardise(crop_and_flip(pixels)))


def test_same_seed_same_bits_and_another_seed_others():
    X = numbered(n_rows=20)
    torch.manual_seed(1)
    first, second = crop_and_flip(X), crop_and_flip(X)
    torch.manual_seed(1)
    assert torch.equal(crop_and_flip(X), first)
    assert not torch.equal(second, first)


def test_gradient_is_that_of_the_pixels_that_are_seen():
    X = numbered(dtype=torch.float64).requires_grad_()
    cropped = crop_and_flip(X, padding=2)
    (gradient,) = torch.autograd.grad(cropped.sum(), X)
    seen = torch.isin(X, cropped)
    assert torch.equal(gradient, seen.double())


# -- on the device --------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [0.0, (1.0, 2.0)])
def test_nothing_is_read_back_to_the_host(fill):
    X = numbered()
    with HostReads() as reads:
        crop_and_flip(X, fill=fill)
    assert reads.count == 0


def test_shapes_are_known_on_the_meta_device():
    cropped = crop_and_flip(torch.empty(7, 3, 32, 32, device="meta", dtype=torch.bfloat16))
    assert (cropped.shape, cropped.dtype) == ((7, 3, 32, 32), torch.bfloat16)
    assert cropped.device.type == "meta"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # within torch's compiler
@pytest.mark.parametrize("fill", [0.0, (1.0, 2.0)])
def test_compiles_whole(fill):
    X = numbered(n_rows=8)
    compiled = torch.compile(partial(crop_and_flip, fill=fill), fullgraph=True, backend="aot_eager")
    torch.manual_seed(0)
    ours = compiled(X)
    torch.manual_seed(0)
    assert torch.equal(ours, crop_and_flip(X, fill=fill))


@pytest.mark.cuda
def test_cuda_crops_there_without_waiting():
    X = numbered(n_rows=200, dtype=torch.float32).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        cropped = crop_and_flip(X, padding=1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert cropped.device == X.device
    which_outcomes(X.cpu(), cropped.cpu(), 1, True)


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "arguments", "error", "told"),
    [
        (numbered()[0], {}, ValueError, r"shape \(batch_size, .*got shape \(2, 4, 5\)"),
        (numbered()[None], {}, ValueError, r"got shape \(1, 3, 2, 4, 5\)"),
        (numbered().numpy(), {}, TypeError, "must be a tensor of pictures; got ndarray"),
        (numbered(), {"padding": -1}, ValueError, "`padding` must be >= 0; got -1"),
        (numbered(), {"padding": 1.5}, TypeError, "whole number of pixels; got 1.5"),
        (numbered(), {"padding": True}, TypeError, "whole number of pixels; got True"),
        (numbered(), {"flip": 0.5}, TypeError, "`flip` must be True or False; got 0.5"),
        (numbered(), {"fill": (1.0,)}, ValueError, "one for each of the 2 channels"),
    ],
)
def test_bad_argument_says_what_to_do(X, arguments, error, told):
    with pytest.raises(error, match=told):
        crop_and_flip(X, **arguments)
