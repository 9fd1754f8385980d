"""The mathematics of mixup. Statistical tests state their error rate at the fixed seeds."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

import sklearn_mixup._one_pass as one_pass
from sklearn_mixup.vicinal import mix, mix_with, mixed_loss, sample_lam, sample_partner

SHAPES = [(1,), (1, 3), (2, 3), (7, 3), (5, 2, 4), (3, 1, 4, 4)]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def draw(n_rows, seed=1, alpha=0.4):
    generator = rng(seed)
    return sample_lam(alpha, n_rows, rng=generator), sample_partner(n_rows, rng=generator)


def targets_of(n_rows, n_classes=4, seed=2):
    return torch.randint(n_classes, (n_rows,), generator=rng(seed))


# -- lam ------------------------------------------------------------------------------------

ALPHAS = [1e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 8.0, 1e3]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_lam_has_the_moments_of_beta(alpha):
    # Two tests at each of 8 alphas; 4.4 standard errors each: 2e-4 false alarms in all.
    n_draws = 200_000
    lam = sample_lam(alpha, n_draws, rng=rng()).numpy()
    beta = stats.beta(alpha, alpha)
    variance = 1 / (4 * (2 * alpha + 1))
    assert beta.var() == pytest.approx(variance)
    assert abs(lam.mean() - 0.5) < 4.4 * math.sqrt(variance / n_draws)
    fourth = variance**2 * (3 + float(beta.stats(moments="k")))
    error = math.sqrt((fourth - variance**2) / n_draws)
    assert abs(((lam - 0.5) ** 2).mean() - variance) < 4.4 * error + 1e-12


@pytest.mark.parametrize("alpha", ALPHAS)
def test_lam_has_the_distribution_of_beta_inside_the_unit_interval(alpha):
    # Conditional on lam in (0.001, 0.999): nearer to the ends, a small alpha has draws that are
    # equal in floating point, and Kolmogorov-Smirnov would reject correct code. Eight tests at
    # level 1e-4: below 1e-3 false alarms in all.
    lam = sample_lam(alpha, 100_000, rng=rng(3)).numpy()
    beta = stats.beta(alpha, alpha)
    low, high = beta.cdf(0.001), beta.cdf(0.999)
    inside = lam[(lam > 0.001) & (lam < 0.999)]
    share = high - low
    assert (
        abs(len(inside) / len(lam) - share) < 4 * math.sqrt(share * (1 - share) / len(lam)) + 1e-9
    )
    test = stats.kstest(inside, lambda x: (beta.cdf(x) - low) / share)
    assert test.pvalue > 1e-4


def test_lam_is_one_at_alpha_zero_and_nothing_is_drawn():
    generator = rng()
    before = generator.get_state()
    assert_close(sample_lam(0, (2, 3), rng=generator), torch.ones(2, 3, dtype=torch.float64))
    assert torch.equal(generator.get_state(), before)


def test_lam_is_one_half_at_alpha_infinity():
    assert (sample_lam(math.inf, 1000, rng=rng()) == 0.5).all()


@pytest.mark.parametrize("alpha", [1e-300, 1e-12, 1e-6, 1e12, 1e300])
def test_lam_stays_in_the_unit_interval_at_extreme_alphas(alpha):
    lam = sample_lam(alpha, 10_000, rng=rng())
    assert ((lam >= 0) & (lam <= 1)).all()
    # Toward 0 half of the weights are 0 and half are 1; 5 standard errors. Toward infinity, 1/2.
    assert abs(lam.mean() - 0.5) < 5 * math.sqrt(0.25 / 10_000)
    assert (lam - 0.5).abs().min() > 0.49 if alpha < 1 else (lam - 0.5).abs().max() < 1e-5


def test_lam_is_symmetric_and_its_draws_are_independent():
    lam = sample_lam(0.2, 100_000, rng=rng(5)).numpy()
    # Level 1e-4 each.
    assert stats.ks_2samp(lam[:50_000], 1 - lam[50_000:]).pvalue > 1e-4
    assert stats.pearsonr(lam[:-1], lam[1:]).pvalue > 1e-4


@pytest.mark.parametrize("alpha", [-1, -0.0001, math.nan, "0.2", None, 1j])
def test_lam_of_a_bad_alpha_raises(alpha):
    with pytest.raises(ValueError, match=r"`alpha` must be a number >= 0; got"):
        sample_lam(alpha)


def test_same_generator_state_gives_the_same_draws():
    assert torch.equal(sample_lam(0.2, 50, rng=rng(7)), sample_lam(0.2, 50, rng=rng(7)))
    assert not torch.equal(sample_lam(0.2, 50, rng=rng(7)), sample_lam(0.2, 50, rng=rng(8)))
    assert torch.equal(sample_partner(50, rng=rng(7)), sample_partner(50, rng=rng(7)))


def test_draws_from_a_generator_leave_the_global_one_alone():
    before = torch.get_rng_state()
    draw(10)
    assert torch.equal(torch.get_rng_state(), before)


# -- partners -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 4), (12, 4), (13, 4), (7, None), (9, 1)])
def test_partners_are_a_permutation_of_each_minibatch(n_rows, batch_size):
    partner = sample_partner(n_rows, batch_size=batch_size, rng=rng())
    size = batch_size or n_rows
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        assert sorted(partner[start:stop].tolist()) == list(range(start, stop))


def test_partners_do_not_depend_on_the_default_dtype(float64):
    partner = sample_partner(40, batch_size=8, rng=rng())
    torch.set_default_dtype(torch.float32)
    assert torch.equal(sample_partner(40, batch_size=8, rng=rng()), partner)


def test_every_partner_of_a_minibatch_is_equally_likely():
    # Chi-squared over the 4 x 4 pairs of row and partner (9 degrees of freedom), level 1e-4.
    partner = sample_partner(40_000, batch_size=4, rng=rng()).view(-1, 4).numpy() % 4
    counts = np.array([np.bincount(partner[:, row], minlength=4) for row in range(4)])
    statistic = ((counts - 2500) ** 2 / 2500).sum()
    assert statistic < stats.chi2(9).ppf(1 - 1e-4)


# -- mix ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_with_lam_one_is_the_identity_and_with_lam_zero_the_partner(shape):
    rows, (_, partner) = rows_of(shape), draw(shape[0])
    for one in (1.0, torch.tensor(1.0), torch.ones(shape[0])):
        assert torch.equal(mix(rows, partner, lam=one), rows)
    assert torch.equal(mix(rows, partner, lam=0.0), rows[partner])


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_is_the_convex_combination_of_the_paper(shape):
    rows, (lam, partner) = rows_of(shape), draw(shape[0])
    for i, mixed in enumerate(mix(rows, partner, lam=lam)):
        assert_close(mixed, lam[i] * rows[i] + (1 - lam[i]) * rows[partner[i]])


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_commutes_with_affine_maps(shape):
    rows, (lam, partner) = rows_of(shape), draw(shape[0])
    mixed_then_mapped = -3.0 * mix(rows, partner, lam=lam) + 0.7
    assert_close(mix(-3.0 * rows + 0.7, partner, lam=lam), mixed_then_mapped)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 32])
def test_mixed_targets_stay_in_the_simplex(n_rows):
    y = nn.functional.one_hot(targets_of(n_rows), 4).double()
    lam, partner = draw(n_rows)
    y_mixed = mix(y, partner, lam=lam)
    assert (y_mixed >= 0).all()
    assert_close(y_mixed.sum(1), torch.ones(n_rows, dtype=torch.float64))
    assert ((y_mixed > 0).sum(1) <= 2).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_shared_lam_keeps_the_mean_of_the_minibatch(shape):
    rows, (lam, partner) = rows_of(shape), draw(shape[0])
    assert_close(mix(rows, partner, lam=lam[0]).mean(0), rows.mean(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_mixed_row_lies_on_the_segment_between_two_rows(shape):
    rows, (lam, partner) = rows_of(shape), draw(shape[0])
    mixed = mix(rows, partner, lam=lam).flatten(1) if len(shape) > 1 else None
    if mixed is None:
        mixed = mix(rows, partner, lam=lam).unsqueeze(1)
    rows = rows.view(shape[0], -1)
    to_own, to_partner = (mixed - rows).norm(dim=1), (mixed - rows[partner]).norm(dim=1)
    assert_close(to_own + to_partner, (rows - rows[partner]).norm(dim=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_mix_keeps_the_dtype_and_leaves_its_inputs_untouched(dtype):
    rows, (lam, partner) = rows_of((7, 3)).to(dtype), draw(7)
    originals = copy.deepcopy((rows, lam, partner))
    mixed = mix(rows, partner, lam=lam)
    assert mixed.dtype == dtype
    assert mixed.data_ptr() != rows.data_ptr()
    for now, before in zip((rows, lam, partner), originals, strict=True):
        assert torch.equal(now, before)


def test_squared_error_on_mixed_targets_falls_short_of_the_mixed_squared_errors():
    # By lam * (1 - lam) * ||y - y[partner]||^2: the loss is not linear in the targets.
    y, y_pred, (lam, partner) = rows_of((6, 4)), rows_of((6, 4), seed=5), draw(6)
    squared = ((y_pred - mix(y, partner, lam=lam)) ** 2).sum(1)
    two_terms = lam * ((y_pred - y) ** 2).sum(1)
    two_terms += (1 - lam) * ((y_pred - y[partner]) ** 2).sum(1)
    gap = lam * (1 - lam) * ((y - y[partner]) ** 2).sum(1)
    assert_close(two_terms - squared, gap)


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_with_is_the_convex_combination_row_by_row(shape):
    rows, others, lam = rows_of(shape), rows_of(shape, seed=5), draw(shape[0])[0]
    mixed = mix_with(rows, others, lam=lam)
    for i, weight in enumerate(lam.tolist()):
        assert_close(mixed[i], weight * rows[i] + (1 - weight) * others[i])
    assert_close(mix_with(rows, others, lam=0.25), 0.25 * rows + 0.75 * others)
    assert_close(mix_with(rows, others, lam=torch.tensor(0.25)), 0.25 * rows + 0.75 * others)
    assert_close(mix_with(others, rows, lam=1 - lam), mixed)


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_with_lam_one_gives_the_rows_and_with_lam_zero_the_others(shape):
    rows, others = rows_of(shape), rows_of(shape, seed=5)
    for lam in (1, 1.0, torch.ones(shape[0])):
        assert torch.equal(mix_with(rows, others, lam=lam), rows)
    for lam in (0, 0.0, torch.zeros(shape[0])):
        assert torch.equal(mix_with(rows, others, lam=lam), others)


@pytest.mark.parametrize("shape", SHAPES)
def test_mix_is_mix_with_the_partners(shape):
    rows, (lam, partner) = rows_of(shape), draw(shape[0])
    assert torch.equal(mix(rows, partner, lam=lam), mix_with(rows, rows[partner], lam=lam))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_mix_with_keeps_the_dtype_and_leaves_its_inputs_untouched(dtype):
    rows, others, (lam, _) = rows_of((7, 3)).to(dtype), rows_of((7, 3), seed=5).to(dtype), draw(7)
    before = copy.deepcopy((rows, others, lam))
    mixed = mix_with(rows, others, lam=lam)
    assert mixed.dtype == dtype
    assert all(map(torch.equal, (rows, others, lam), before))
    mixed.zero_()
    assert all(map(torch.equal, (rows, others, lam), before))


def test_gradients_of_mix_with_are_shared_out_by_lam():
    rows, others, (lam, _) = rows_of((7, 3)), rows_of((7, 3), seed=5), draw(7)
    rows.requires_grad_()
    others.requires_grad_()
    mix_with(rows, others, lam=lam).sum().backward()
    assert_close(rows.grad, lam.unsqueeze(1).expand(7, 3))
    assert_close(others.grad, 1 - lam.unsqueeze(1).expand(7, 3))


@pytest.mark.parametrize(
    ("shape", "lam", "match"),
    [
        ((5, 4), 0.5, r"must have one shape; got \(5, 3\) and \(5, 4\)"),
        ((4, 3), 0.5, r"must have one shape; got \(5, 3\) and \(4, 3\)"),
        ((5, 1), 0.5, r"must have one shape"),
        ((5, 3), torch.ones(4), r"for each of the 5 rows; got shape \(4,\)"),
        ((5, 3), torch.ones(5, 1), r"for each of the 5 rows; got shape \(5, 1\)"),
        ((5, 3), 1.5, r"`lam` must be in \[0, 1\]; got 1\.5"),
        ((5, 3), -0.1, r"`lam` must be in \[0, 1\]; got -0\.1"),
        ((5, 3), math.nan, r"`lam` must be in \[0, 1\]; got nan"),
    ],
)
def test_mix_with_what_does_not_fit_raises(shape, lam, match):
    with pytest.raises(ValueError, match=match):
        mix_with(rows_of((5, 3)), rows_of(shape), lam=lam)


def test_mix_with_integers_raises_type_error():
    with pytest.raises(TypeError, match=r"Only floating tensors can be mixed; got torch\.int64"):
        mix_with(torch.arange(3), torch.arange(3), lam=0.5)


def test_mix_of_integers_raises_type_error():
    with pytest.raises(TypeError, match=r"Only floating tensors can be mixed; got torch.int64"):
        mix(torch.arange(3), torch.tensor([0, 2, 1]), lam=0.5)


@pytest.mark.parametrize(
    ("partner", "lam", "match"),
    [
        (torch.tensor([1, 0]), 0.5, "`partner` must have one entry for each of the 3 rows"),
        (torch.tensor([1, 0, 2]), 1.5, r"`lam` must be in \[0, 1\]; got 1.5"),
        (torch.tensor([1, 0, 2]), torch.rand(2), "`lam` must be a number or have one entry"),
    ],
)
def test_mix_of_draws_that_do_not_fit_raises(partner, lam, match):
    with pytest.raises(ValueError, match=match):
        mix(torch.zeros(3, 3), partner, lam=lam)


# -- losses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 7])
@pytest.mark.parametrize("shared", [True, False])
def test_two_term_loss_is_the_soft_target_loss_for_unweighted_cross_entropy(n_rows, shared):
    logits, y, (lam, partner) = rows_of((n_rows, 4)), targets_of(n_rows), draw(n_rows)
    lam = lam[0] if shared else lam
    y_mixed = mix(nn.functional.one_hot(y, 4).double(), partner, lam=lam)
    soft = nn.CrossEntropyLoss()(logits, y_mixed)
    two_terms = mixed_loss(nn.CrossEntropyLoss(reduction="none"), logits, y, partner, lam=lam)
    assert_close(two_terms, soft)
    if shared:
        assert_close(mixed_loss(nn.CrossEntropyLoss(), logits, y, partner, lam=lam), soft)


def test_class_weights_part_the_two_term_loss_from_the_soft_target_loss():
    logits, y, (lam, partner) = rows_of((8, 4)), targets_of(8), draw(8)
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0, 1.0, 5.0], dtype=torch.float64))
    y_mixed = mix(nn.functional.one_hot(y, 4).double(), partner, lam=lam[0])
    two_terms = mixed_loss(criterion, logits, y, partner, lam=lam[0])
    assert abs(two_terms - criterion(logits, y_mixed)) > 0.1


def test_weighted_loss_is_the_objective_written_out_row_by_row():
    n_rows = 6
    logits, y, (lam, partner) = rows_of((n_rows, 4)), targets_of(n_rows), draw(n_rows)
    weight = torch.rand(n_rows, generator=rng(9), dtype=torch.float64)
    log_p = logits.log_softmax(1)
    total = 0.0
    for i in range(n_rows):
        j = int(partner[i])
        own, other = lam[i] * weight[i], (1 - lam[i]) * weight[j]
        total -= own * log_p[i, y[i]] + other * log_p[i, y[j]]
    criterion = nn.CrossEntropyLoss(reduction="none")
    loss = mixed_loss(criterion, logits, y, partner, lam=lam, weight=weight)
    assert_close(loss, total / n_rows)


def test_losses_of_several_labels_are_averaged_over_the_row():
    logits, (lam, partner) = rows_of((5, 3)), draw(5)
    y = (rows_of((5, 3), seed=4) > 0).double()
    unreduced = mixed_loss(nn.BCEWithLogitsLoss(reduction="none"), logits, y, partner, lam=lam)
    assert_close(unreduced, nn.BCEWithLogitsLoss()(logits, mix(y, partner, lam=lam)))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_loss_has_the_dtype_of_the_losses(reduction):
    # A weight as `sample_lam` draws it is of float64, and of no axes as a mean is.
    logits, y, (lam, partner) = rows_of((5, 4)).float(), targets_of(5), draw(5)
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    for each in (0.3, lam[0]) if reduction == "mean" else (0.3, lam[0], lam):
        assert mixed_loss(criterion, logits, y, partner, lam=each).dtype == torch.float32


def test_a_mean_cannot_be_weighted_by_row():
    logits, y, (lam, partner) = rows_of((5, 4)), targets_of(5), draw(5)
    with pytest.raises(ValueError, match='reduction="none"'):
        mixed_loss(nn.CrossEntropyLoss(), logits, y, partner, lam=lam)
    with pytest.raises(ValueError, match='reduction="none"'):
        mixed_loss(nn.CrossEntropyLoss(), logits, y, partner, lam=0.5, weight=torch.ones(5))


# -- compiled, and without data -------------------------------------------------------------


def test_a_whole_vicinal_step_compiles_without_a_graph_break():
    layer = nn.Linear(3, 4)

    def loss_of(X, y, partner, lam):
        X_mixed = mix(X, partner, lam=lam)
        criterion = nn.functional.cross_entropy
        return mixed_loss(criterion, layer(X_mixed), y, partner, lam=lam)

    X, y, (lam, partner) = rows_of((8, 3)).float(), targets_of(8), draw(8)
    compiled = torch.compile(loss_of, fullgraph=True, backend="aot_eager")
    lam = lam[0].float()
    assert_close(compiled(X, y, partner, lam), loss_of(X, y, partner, lam))
    compiled(X, y, partner, lam).backward()
    assert layer.weight.grad.abs().sum() > 0


def test_mixing_needs_no_values_on_the_host():
    # A tensor on the meta device has no values: whatever read one would raise.
    X, y = torch.empty(8, 3, device="meta"), torch.zeros(8, dtype=torch.long, device="meta")
    partner = torch.empty(8, dtype=torch.long, device="meta")
    lam = torch.empty(8, device="meta")
    criterion = nn.CrossEntropyLoss(reduction="none")
    loss = mixed_loss(criterion, mix(X, partner, lam=lam), y, partner, lam=lam, weight=lam)
    assert loss.device.type == "meta"
    assert loss.shape == ()


class Launches(TorchDispatchMode):
    """Counts the operations that a device would be asked for: not views of memory."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += not func.is_view
        return func(*args, **kwargs or {})


def test_a_minibatch_is_mixed_by_few_calls_of_the_device():
    # On a GPU each call costs the host the same, however few the rows. There are 10, the two losses
    # included, by torch 2.4 as by 2.13; 12, as a version between or to come may split one.
    lam = sample_lam(0.2, rng=rng()).item()
    X, y = torch.empty(8, 3, device="meta"), torch.empty(8, 3, device="meta")
    with torch.device("meta"), Launches() as launches:
        partner = sample_partner(8)
        mixed_loss(nn.MSELoss(), mix(X, partner, lam=lam), y, partner, lam=lam)
    assert 0 < launches.n <= 12


@pytest.mark.cuda
def test_draws_and_mixtures_stay_on_a_cuda_device():
    generator = torch.Generator("cuda").manual_seed(0)
    lam = sample_lam(0.2, 8, rng=generator)
    partner = sample_partner(8, batch_size=4, rng=generator)
    mixed = mix(torch.randn(8, 3, device="cuda"), partner, lam=lam)
    assert {t.device.type for t in (lam, partner, mixed)} == {"cuda"}


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["number", "one", "each"])
def test_large_rows_are_mixed_in_one_pass_as_small_ones(dtype, kind):
    pytest.importorskip("triton")
    n_rows, n_columns = 97, 173_003
    generator = torch.Generator("cuda").manual_seed(0)
    X = torch.randn(n_rows, n_columns, device="cuda", generator=generator).to(dtype)
    partner = sample_partner(n_rows, rng=generator)
    lam = {"number": 0.3, "one": torch.tensor(0.7, device="cuda")}.get(kind)
    lam = torch.linspace(0, 1, n_rows, device="cuda") if lam is None else lam
    assert one_pass.takes(X, partner, lam)
    mixed = mix(X, partner, lam=lam)
    weight = torch.as_tensor(lam, device="cuda").to(dtype).expand(n_rows).unsqueeze(1)
    expected = torch.lerp(X[partner], X, weight)
    # Both round once from float32, or a sum of two products in float64.
    torch.testing.assert_close(mixed, expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


@pytest.mark.cuda
def test_large_rows_are_mixed_by_a_number_without_waiting_for_the_device():
    pytest.importorskip("triton")
    X = torch.zeros(2, one_pass.FEWEST // 2, device="cuda")
    X[0] = 1
    partner = torch.tensor([1, 0], device="cuda")
    mix(X, partner, lam=0.3)  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed = mix(X, partner, lam=0.75)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (mixed[0] == 0.75).all()
    assert (mixed[1] == 0.25).all()


@pytest.mark.cuda
def test_a_partner_that_is_not_there_is_never_read():
    pytest.importorskip("triton")
    X = torch.ones(2, one_pass.FEWEST // 2, device="cuda")
    mixed = mix(X, torch.tensor([0, 2], device="cuda"), lam=0.5)
    assert torch.equal(mixed[0], X[0])
    assert mixed[1].isnan().all()


@pytest.mark.cuda
def test_large_rows_whose_gradient_is_asked_for_have_one():
    X = torch.ones(2, one_pass.FEWEST // 2, device="cuda", requires_grad=True)
    mix(X, torch.tensor([1, 0], device="cuda"), lam=0.25).sum().backward()
    torch.testing.assert_close(X.grad, torch.ones_like(X))
