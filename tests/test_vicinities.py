"""The mathematics of vicinities. Statistical tests state their error rate at the fixed seeds."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.testing import assert_close

from benchmarks._nets.vision import import_torchvision
from sklearn_mixup.vicinal import mix, sample_lam, sample_partner
from sklearn_mixup.vicinities import (
    VICINITIES,
    box_of,
    cutmix,
    lam_of_box,
    mix_inputs,
    mixup,
    paste,
    sample_box,
)

SHAPES = [(1, 1, 4, 4), (7, 3, 5, 8), (6, 2, 3, 6, 7), (5, 3, 1, 9), (3, 1, 1, 1)]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def draw(n_rows, seed=1, alpha=1.0):
    """Draw what a vicinity takes: a partner, a lam and a place for each row."""
    generator = rng(seed)
    return {
        "partner": sample_partner(n_rows, rng=generator),
        "lam": sample_lam(alpha, n_rows, rng=generator),
        "place": torch.rand(2, n_rows, generator=generator, dtype=torch.float64),
    }


# -- what all have in common ----------------------------------------------------------------


@pytest.mark.parametrize("vicinity", VICINITIES.values())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["shared", "each"])
def test_lam_one_is_erm(vicinity, shape, kind):
    X, drawn = rows_of(shape), draw(shape[0])
    drawn["lam"] = torch.ones_like(drawn["lam"])
    if kind == "shared":
        drawn |= {"lam": drawn["lam"][0], "place": drawn["place"][:, 0]}
    X_mixed, lam = vicinity(X, **drawn)
    assert torch.equal(X_mixed, X)
    assert torch.equal(lam, drawn["lam"])


@pytest.mark.parametrize("vicinity", VICINITIES.values())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lam_dtype", [torch.float64, torch.float32])
def test_rows_and_weights_keep_their_dtype_and_the_weights_their_range(vicinity, dtype, lam_dtype):
    X, drawn = rows_of((30, 2, 6, 6)).to(dtype), draw(30)
    drawn["lam"] = drawn["lam"].to(lam_dtype)
    X_mixed, lam = vicinity(X, **drawn)
    assert (X_mixed.dtype, X_mixed.shape) == (dtype, X.shape)
    assert (lam.dtype, lam.shape) == (lam_dtype, (30,))
    assert ((lam >= 0) & (lam <= 1)).all()


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_inputs_are_left_as_they_were(vicinity, assert_unchanged):
    X, drawn = {"a": rows_of((6, 2, 5, 5)), "b": rows_of((6, 1, 5, 5))}, draw(6)
    with assert_unchanged(X, drawn):
        X_mixed, _ = vicinity(X, **drawn)
        for part in X_mixed.values():
            part.zero_()


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_tensors_of_a_dict_are_mixed_by_one_draw(vicinity):
    X, drawn = {"a": rows_of((6, 2, 5, 4)), "b": rows_of((6, 1, 5, 4), seed=3)}, draw(6)
    X_mixed, lam = vicinity(X, **drawn)
    assert [*X_mixed] == ["a", "b"]
    for name, part in X.items():
        alone, lam_alone = vicinity(part, **drawn)
        assert torch.equal(X_mixed[name], alone)
        assert torch.equal(lam, lam_alone)


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_a_shared_lam_does_what_the_same_lam_for_each_row_does(vicinity):
    X, drawn = rows_of((6, 2, 5, 5)), draw(6)
    shared = {**drawn, "lam": drawn["lam"][2], "place": drawn["place"][:, 2]}
    each = {**drawn, "lam": drawn["lam"][[2] * 6], "place": drawn["place"][:, [2] * 6]}
    X_mixed, lam = vicinity(X, **shared)
    expected, lam_of_each = vicinity(X, **each)
    assert lam.ndim == 0
    assert_close(X_mixed, expected)
    assert_close(lam.expand(6), lam_of_each)


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_minibatches_at_once_are_those_one_by_one(vicinity):
    X, drawn = rows_of((7, 2, 5, 5)), draw(7)
    drawn["partner"] = sample_partner(7, batch_size=3, rng=rng())
    X_mixed, lam = vicinity(X, **drawn)
    for start, stop in [(0, 3), (3, 6), (6, 7)]:
        own = {"partner": drawn["partner"][start:stop] - start, "lam": drawn["lam"][start:stop]}
        alone, lam_alone = vicinity(X[start:stop], place=drawn["place"][:, start:stop], **own)
        assert torch.equal(X_mixed[start:stop], alone)
        assert torch.equal(lam[start:stop], lam_alone)


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_a_gradient_flows_back_to_both_rows(vicinity):
    X, drawn = rows_of((2, 1, 4, 4)).requires_grad_(), draw(2)
    drawn |= {"partner": torch.tensor([1, 1]), "lam": torch.full((2,), 0.7, dtype=torch.float64)}
    vicinity(X, **drawn)[0].sum().backward()
    # Each pixel of a result is made of shares of pixels that sum to 1.
    assert_close(X.grad.sum().item(), 32.0)
    assert 0 < X.grad[0].sum() < 16


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_no_values_are_needed_on_the_host(vicinity):
    # A tensor on the meta device has no values: whatever read one would raise.
    X, drawn = torch.empty(4, 3, 8, 8, device="meta"), draw(4)
    X_mixed, lam = vicinity(X, **{name: part.to("meta") for name, part in drawn.items()})
    assert (X_mixed.shape, lam.shape) == ((4, 3, 8, 8), (4,))


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_each_compiles_without_a_graph_break(vicinity):
    X, drawn = rows_of((4, 3, 8, 8)), draw(4)
    compiled = torch.compile(vicinity, fullgraph=True, backend="aot_eager")
    for got, expected in zip(compiled(X, **drawn), vicinity(X, **drawn), strict=True):
        assert_close(got, expected)


@pytest.mark.cuda
@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_what_was_drawn_gives_the_same_rows_on_a_cuda_device(vicinity):
    X, drawn = rows_of((6, 3, 8, 8)), draw(6)
    on_device = {name: part.cuda() for name, part in drawn.items()}
    for got, expected in zip(vicinity(X.cuda(), **on_device), vicinity(X, **drawn), strict=True):
        assert got.device.type == "cuda"
        assert_close(got.cpu(), expected)


# -- mixup, and inputs alone ----------------------------------------------------------------


@pytest.mark.parametrize("vicinity", [mixup, mix_inputs])
@pytest.mark.parametrize("shape", [(5,), (1, 3), (5, 2, 4)])
def test_inputs_are_mixed_as_mix_does(vicinity, shape):
    X, drawn = rows_of(shape), draw(shape[0])
    X_mixed, _ = vicinity(X, **drawn)
    assert torch.equal(X_mixed, mix(X, drawn["partner"], lam=drawn["lam"]))


def test_mixup_mixes_targets_by_the_same_lam():
    drawn = draw(5)
    assert mixup(rows_of((5, 2)), **drawn)[1] is drawn["lam"]


def test_inputs_alone_have_the_target_of_the_row_that_they_are_nearer_to():
    X, drawn = rows_of((500, 3)), {**draw(500), "partner": torch.arange(500).roll(1)}
    X_mixed, lam = mix_inputs(X, **drawn)
    nearer = (X_mixed - X).norm(dim=1) <= (X_mixed - X[drawn["partner"]]).norm(dim=1)
    assert 0 < nearer.sum() < 500
    assert torch.equal(lam, nearer.double())


# -- cutmix ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_is_of_the_row_or_of_its_partner_at_that_place(shape):
    X, drawn = rows_of(shape), draw(shape[0])
    X_mixed, _ = cutmix(X, **drawn)
    others = X[drawn["partner"]]
    assert ((X_mixed == X) | (X_mixed == others)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_weight_is_the_share_of_pixels_that_are_a_rows_own(shape):
    n_rows, (height, width) = shape[0], shape[-2:]
    drawn = draw(n_rows + 1)
    drawn["partner"] = torch.arange(1, n_rows + 2) % (n_rows + 1)
    # Pixels that tell of which row they are.
    X = torch.arange(n_rows + 1.0).view(-1, 1, 1, 1).expand(-1, 1, height, width)
    X_mixed, lam = cutmix(X, **drawn)
    own = (X_mixed == X).double().mean((1, 2, 3))
    assert torch.equal(lam, own)


def test_a_box_is_that_of_algorithm_1_pixel_by_pixel():
    height, width, n_rows = 7, 10, 200
    X, drawn = rows_of((n_rows, 2, height, width)), draw(n_rows)
    X_mixed, lam = cutmix(X, **drawn)
    for i in range(n_rows):
        cut_ratio = math.sqrt(1 - drawn["lam"][i])
        down, across = (drawn["place"][:, i] * torch.tensor([height, width])).int().tolist()
        half_height, half_width = int(height * cut_ratio) // 2, int(width * cut_ratio) // 2
        top, bottom = max(down - half_height, 0), min(down + half_height, height)
        left, right = max(across - half_width, 0), min(across + half_width, width)
        expected = X[i].clone()
        box = slice(None), slice(top, bottom), slice(left, right)
        expected[box] = X[drawn["partner"][i]][box]
        assert torch.equal(X_mixed[i], expected)
        assert lam[i] == pytest.approx(1 - (bottom - top) * (right - left) / (height * width))


def test_a_box_in_the_middle_has_the_share_that_lam_leaves_it():
    # Sides of whole even numbers of pixels: nothing is rounded or cut off.
    middle = torch.full((2,), 0.5, dtype=torch.float64)
    for side in range(2, 65, 2):
        lam = torch.tensor(1 - (side / 64) ** 2, dtype=torch.float64)
        assert cutmix(torch.zeros(1, 1, 64, 64), torch.tensor([0]), lam=lam, place=middle)[1] == lam


def test_a_row_never_keeps_less_of_itself_than_lam():
    X, drawn = torch.zeros(5000, 1, 9, 16), draw(5000)
    lam = cutmix(X, **drawn)[1]
    assert (lam >= drawn["lam"]).all()
    assert (lam > drawn["lam"]).any()


def test_the_centre_of_a_box_is_uniform_over_the_pixels():
    # lam that leaves a box of 2 x 2 pixels, or what the border leaves of it: its corner below and
    # to the right is beside the centre. Chi-squared over 4 x 6 pixels, level 1e-4.
    height, width, n_draws = 4, 6, 24_000
    lam = torch.full((n_draws,), 1 - 0.55**2, dtype=torch.float64)
    _, bottom, _, right = sample_box(lam, height, width, rng=rng())
    centre = ((bottom - 1) * width + right - 1).numpy()
    assert stats.chisquare(np.bincount(centre, minlength=24)).pvalue > 1e-4


@pytest.mark.parametrize("side", [1, 3, 224, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rounded", [False, True])
def test_a_place_just_below_one_is_the_last_pixel(side, dtype, rounded):
    place = torch.ones(2, 1, dtype=dtype)
    if not rounded:
        place = place.nextafter(torch.zeros((), dtype=dtype))
    X = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, side, side)
    kwargs = {"lam": torch.zeros(2, dtype=dtype), "place": place.expand(2, 2)}
    X_mixed, lam = cutmix(X, torch.tensor([1, 0]), **kwargs)
    # The box reaches over the border by half of its side, less what is beside the centre.
    assert lam[0] == 1 - ((side // 2 + 1 if side > 1 else 0) / side) ** 2
    assert X_mixed[0, 0, -1, -1] == (side > 1)


def test_pieces_of_cutmix_put_together_are_cutmix():
    X, drawn = rows_of((6, 3, 8, 9)), draw(6)
    for lam in (drawn["lam"], drawn["lam"][3], 0.4):
        box = sample_box(lam, 8, 9, rng=rng(5))
        place = torch.rand(2, *getattr(lam, "shape", ()), generator=rng(5), dtype=torch.float64)
        weight = torch.as_tensor(lam, dtype=torch.float64)
        X_mixed, lam_of_targets = cutmix(X, drawn["partner"], lam=weight, place=place)
        assert torch.equal(paste(X, drawn["partner"], box=box), X_mixed)
        assert torch.equal(lam_of_box(box, 8, 9), lam_of_targets)


def test_a_box_is_a_slice():
    X, partner = rows_of((3, 2, 6, 7)), torch.tensor([2, 0, 1])
    box = torch.tensor([1, 4, 2, 7])
    expected = X.clone()
    expected[..., 1:4, 2:7] = X[partner][..., 1:4, 2:7]
    assert torch.equal(paste(X, partner, box=box), expected)
    assert lam_of_box(box, 6, 7) == pytest.approx(1 - 15 / 42)


def test_masks_of_whole_numbers_are_pasted_by_the_box_of_the_pictures():
    masks = torch.arange(2).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    pasted = paste(masks, torch.tensor([1, 0]), box=torch.tensor([0, 2, 0, 2]))
    assert pasted.dtype == torch.int64
    assert pasted.sum((1, 2, 3)).tolist() == [4, 12]


def test_values_that_are_not_pasted_do_not_spread():
    X = torch.zeros(2, 1, 4, 4)
    X[1, 0, 3, 3] = math.nan
    pasted = paste(X, torch.tensor([1, 0]), box=torch.tensor([0, 2, 0, 2]))
    assert not pasted[0].isnan().any()


def test_draws_of_a_box_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    box = sample_box(0.3, 8, 8, rng=rng())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(box, sample_box(0.3, 8, 8, rng=rng()))


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 8, 8)])
def test_cutmix_of_rows_that_are_no_pictures_raises(shape):
    with pytest.raises(ValueError, match=r"got shape \(4.*X\[:, None\], and use mixup"):
        cutmix(torch.zeros(shape), **draw(4))


def test_cutmix_of_pictures_of_two_sizes_raises():
    X = {"eye": torch.zeros(4, 1, 8, 8), "ear": torch.zeros(4, 1, 8, 9)}
    with pytest.raises(ValueError, match="one height and width; got 8 x 8 and 8 x 9"):
        cutmix(X, **draw(4))


def test_cutmix_of_pictures_beside_columns_raises():
    X = {"picture": torch.zeros(4, 1, 8, 8), "columns": torch.zeros(4, 3)}
    with pytest.raises(ValueError, match=r"got shape \(4, 3\)"):
        cutmix(X, **draw(4))


def test_a_partner_or_a_box_for_other_rows_raises():
    X, box = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="`partner` must have one entry for each of the 4 rows"):
        paste(X, torch.arange(3), box=box)
    with pytest.raises(ValueError, match=r"`box` must be of shape \(4,\) or \(4, 4\)"):
        paste(X, torch.arange(4), box=box.view(4, 1).expand(4, 3))


# -- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("vicinity", VICINITIES.values())
def test_the_weight_that_comes_back_mixes_one_hot_targets_too(vicinity):
    X, drawn = rows_of((20, 1, 6, 6)), draw(20)
    y = nn.functional.one_hot(torch.arange(20) % 3).double()
    _, lam = vicinity(X, **drawn)
    y_mixed = mix(y, drawn["partner"], lam=lam)
    assert_close(y_mixed.sum(1), torch.ones(20, dtype=torch.float64))


# -- beside torchvision and timm ------------------------------------------------------------


@pytest.fixture(scope="module")
def others():
    """Import torchvision's transforms and timm's Mixup, or skip."""
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision and timm")
    timm = pytest.importorskip("timm.data.mixup")
    return SimpleNamespace(v2=pytest.importorskip("torchvision.transforms.v2"), timm=timm)


@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_a_box_is_that_of_torchvision_for_the_same_draws(others, size):
    height, width = size
    cutmix_of_torchvision = others.v2.CutMix(num_classes=3)
    X, y = rows_of((5, 2, *size)), torch.tensor([0, 1, 2, 1, 0])
    partner = torch.arange(5).roll(1)
    for seed in range(50):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected, y_expected = cutmix_of_torchvision(X, y)
            torch.manual_seed(seed)
            drawn = cutmix_of_torchvision._dist.sample(())
            across, down = torch.randint(width, size=(1,)), torch.randint(height, size=(1,))
        place = torch.cat([(down + 0.5) / height, (across + 0.5) / width])
        X_mixed, lam = cutmix(X, partner, lam=drawn.squeeze().double(), place=place)
        assert torch.equal(X_mixed, expected)
        y_mixed = mix(nn.functional.one_hot(y, 3).float(), partner, lam=lam)
        assert_close(y_mixed, y_expected)


def test_mixup_is_that_of_torchvision_for_the_same_draws(others):
    X, y = rows_of((5, 2, 4, 4)), torch.tensor([0, 1, 2, 1, 0])
    mixup_of_torchvision = others.v2.MixUp(num_classes=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected, y_expected = mixup_of_torchvision(X, y)
        torch.manual_seed(0)
        drawn = mixup_of_torchvision._dist.sample(()).squeeze()
    drawn = {"partner": torch.arange(5).roll(1), "lam": drawn, "place": torch.rand(2)}
    X_mixed, lam = mixup(X, **drawn)
    assert_close(X_mixed, expected)
    assert_close(mix(nn.functional.one_hot(y, 3).float(), drawn["partner"], lam=lam), y_expected)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("mode", ["batch", "elem"])
def test_rows_and_targets_are_those_of_timm_for_the_same_draws(others, kind, mode, monkeypatch):
    boxes, module = [], others.timm
    find_box = module.cutmix_bbox_and_lam

    def watched(*args, **kwargs):
        box, lam = find_box(*args, **kwargs)
        boxes.append(torch.tensor([int(edge) for edge in box]))
        return box, lam

    monkeypatch.setattr(module, "cutmix_bbox_and_lam", watched)
    alphas = {"mixup_alpha": 1.0 * (kind == "mixup"), "cutmix_alpha": 1.0 * (kind == "cutmix")}
    theirs = module.Mixup(**alphas, mode=mode, label_smoothing=0.0, num_classes=3)
    X, y, partner = rows_of((6, 2, 9, 7)), torch.arange(6) % 3, torch.arange(6).flip(0)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    expected, y_expected = theirs(X.clone(), y)
    np.random.seed(0)  # noqa: NPY002
    drawn, _ = theirs._params_per_batch() if mode == "batch" else theirs._params_per_elem(6)
    np.random.set_state(state)  # noqa: NPY002
    if kind == "mixup":
        X_mixed, lam = mixup(X, partner, lam=torch.as_tensor(drawn), place=torch.rand(2))
    else:
        box = torch.stack(boxes, 1).squeeze(1)
        X_mixed, lam = paste(X, partner, box=box), lam_of_box(box, 9, 7)
    assert_close(X_mixed, expected)
    one_hot = nn.functional.one_hot(y, 3).double()
    assert_close(mix(one_hot, partner, lam=lam).float(), y_expected.float())


def test_a_box_is_that_of_timm_for_the_same_draws_but_for_odd_sides(others):
    height, width = 12, 16
    for seed in range(100):
        lam = sample_lam(1.0, rng=rng(seed))
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        expected = others.timm.rand_bbox((3, height, width), lam.item())
        np.random.seed(seed)  # noqa: NPY002
        down, across = np.random.randint(height), np.random.randint(width)  # noqa: NPY002
        np.random.set_state(state)  # noqa: NPY002
        place = torch.tensor([(down + 0.5) / height, (across + 0.5) / width])
        box = box_of(place, lam, height, width).tolist()
        ratio = math.sqrt(1 - lam)
        # Later versions of timm give a box of an odd side one more line at its end.
        more = [0, int(height * ratio) % 2, 0, int(width * ratio) % 2]
        assert all(0 <= e - o <= m for e, o, m in zip(expected, box, more, strict=True))
