"""Samples that would be rare among the data, found and drawn anew: rejection sampling [1]_.

The logit of a discriminator that has learned to tell data from the samples of a fixed generator is
the logarithm of the ratio of their densities. A sample is kept with a probability in proportion to
that ratio; what is kept has the distribution of the data, as far as the discriminator is right.

References
----------
.. [1] Azadi et al., "Discriminator Rejection Sampling", ICLR 2019.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import Dataset, Subset

from sklearn_mixup._gan.classes import apply, tell_classes
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._gan.head import draw_noise, make_rows
from sklearn_mixup._gan.parts import draw_latent, make_optimizer
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.session import MINIBATCHES_OPTIONS, count_rows
from sklearn_mixup.minibatches import Minibatches

# Rows that are set aside to see what was learned: a tenth, where that is enough to see anything.
_SHARE, _FEWEST, _MOST = 0.1, 10, 2_000
_N_CHECKS = 10
# Steps, as a share of the iterations; by default for points in the plane alone. In more columns the
# logit is too far from the logarithm of the ratio, and samples get worse.
_DEFAULT, _MOST_COLUMNS = 0.25, 2
# The range of the logits of all but two of a hundred rows of data: no sample below it is kept, and
# all above it are. Its end is lowered until so large a share of the samples is kept.
_RANGE = (0.01, 0.99)
_KEPT = 0.25
# Rows, and samples, that tell whether to reject does harm.
_N_COMPARED = 10_000
# A sample that was drawn anew so often stays: all rejectors end.
_N_ROUNDS = 50


def forget_rejection(gan: Any) -> None:
    """Let samples be as the generator makes them."""
    if "rejector_" in vars(gan):
        del gan.rejector_, gan._kept_logits_


def set_aside(gan: Any, trained: Any, validated: Any, codes: np.ndarray | None) -> tuple[Any, Any]:
    """Part rows into those to train on and those to judge a rejector by; None if there is none.

    Those that `train_split` sets aside serve for both. Each class keeps a row to train on.

    Raises
    ------
    ValueError
        If a sampler of one's own is to draw rows, some of which would be set aside.
    """
    training = gan._training_
    if not _count_steps(gan) or training.n_epochs is None:  # No end, at which it would be trained.
        return trained, None
    options = gan.get_params_for("iterator_train")
    if own := {"sampler", "batch_sampler"} & options.keys():
        raise ValueError(
            f"`rejection` > 0 sets rows aside, which iterator_train__{min(own)} would draw too; "
            f"got {gan.rejection}. Use rejection=0."
        )
    fewest = max(_FEWEST, gan.batch_size if options.get("drop_last") else 0)
    if validated is not None:
        return trained, validated if len(validated) >= fewest else None
    n_held = min(int(_SHARE * len(trained)), _MOST)
    if n_held < fewest:
        return trained, None
    if training.fresh or not hasattr(gan, "_split_seed_"):
        gan._split_seed_ = training.seed
    rows = np.random.RandomState(gan._split_seed_).permutation(len(trained))
    if codes is not None:
        first = np.unique(codes[rows], return_index=True)[1]
        rows = np.concatenate([np.delete(rows, first), rows[first]])
    held, others = (np.sort(part).tolist() for part in (rows[:n_held], rows[n_held:]))
    return Subset(trained, others), Subset(trained, held)


def learn_rejection(gan: Any) -> None:
    """Let a copy of the discriminator learn to tell data from samples of the trained generator.

    It is the one of several times of its training that tells best rows that were set aside. There
    is none if that is no better than to know nothing, by two standard errors.
    """
    training, n_steps = gan._training_, _count_steps(gan)
    discriminator = unwrap(gan.discriminator_)
    learns = any(parameter.requires_grad for parameter in discriminator.parameters())
    if training.set_aside is None or not learns:
        return
    if gan.verbose:
        print(f"Learning which samples to reject, in {n_steps} steps.")
    held = _gather(_minibatches(gan, training.set_aside), len(training.set_aside))
    held_pair = _pair_with_samples(gan, *held)
    # A weight that a hook has computed, as spectral_norm does, is copied only without its graph.
    _losses_at_rest(discriminator, *held_pair)
    rejector = copy.deepcopy(discriminator)
    minibatches = _minibatches(gan, training.dataset)
    optimizer = make_optimizer(gan, "discriminator", rejector)
    decay = CosineAnnealingLR(optimizer, n_steps)
    lowest = torch.full((), torch.inf, device=training.vicinal_rng.device)
    best = copy.deepcopy(rejector.state_dict())
    n_between = max(n_steps // _N_CHECKS, 1)
    for step in range(1, n_steps + 1):
        rejector.train()
        X, (_, codes, *_) = next(minibatches)
        pair = _pair_with_samples(gan, X, codes)

        def compute_loss(pair: Any = pair) -> float:
            optimizer.zero_grad()
            total: Any = sum(losses.mean() for losses in _losses(rejector, *pair))
            total.backward()
            return total

        optimizer.step(compute_loss)
        decay.step()
        if step % n_between == 0 or step == n_steps:
            loss: Any = sum(losses.mean() for losses in _losses_at_rest(rejector, *held_pair))
            for name, value in rejector.state_dict().items():
                if isinstance(value, Tensor):  # A module may tell more of itself.
                    best[name] = torch.where(loss < lowest, value, best[name])
            lowest = torch.fmin(loss, lowest)
    rejector.load_state_dict(best)
    gains = [math.log(2) - losses.double() for losses in _losses_at_rest(rejector, *held_pair)]
    error = math.sqrt(sum(float(gain.var()) for gain in gains) / len(training.set_aside))
    if not sum(float(gain.mean()) for gain in gains) > 2 * error:
        return
    X, samples, y = held_pair
    with torch.no_grad():
        logits = [apply(rejector, rows, y).flatten().double().cpu() for rows in (X, samples)]
    kept_logits = _find_range(*(part.numpy() for part in logits))
    n_rows = min(_N_COMPARED, len(training.dataset))
    compared = _gather(_minibatches(gan, training.dataset), n_rows)
    if _does_harm(gan, rejector, kept_logits, *compared):
        return
    gan._kept_logits_ = kept_logits
    with gan._current_init_context("module"):
        gan.rejector_ = rejector


@torch.no_grad()
def _does_harm(
    gan: Any, rejector: nn.Module, kept_logits: tuple[float, float], X: Tensor, codes: Tensor
) -> bool:
    """Whether samples that are judged are further from rows of data than those that are not.

    The distance is the square of the energy distance, which has to be larger by two standard
    errors, those over the rows. A rejector that finds what is unlike data may be wrong about how
    much of the data is where.
    """
    _, samples, y = _pair_with_samples(gan, X, codes)

    def draw(places: Tensor) -> Tensor:
        return _pair_with_samples(gan, X[places], codes[places])[1]

    rng = gan._training_.vicinal_rng
    judged = redraw_rejected(gan, rejector, kept_logits, samples.clone(), y, draw, rng)
    before, after = samples.flatten(1), judged.flatten(1)
    excess = _mean_distances(X.flatten(1), after) - _mean_distances(X.flatten(1), before)
    change = 2 * excess.mean() - (
        _mean_distances(after, after).mean() - _mean_distances(before, before).mean()
    )
    return bool(change > 2 * 2 * excess.std() / math.sqrt(len(excess)))


def _mean_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Compute the mean Euclidean distance from each row to the others."""
    exact = "donot_use_mm_for_euclid_dist"
    parts = [torch.cdist(part, others, compute_mode=exact).mean(1) for part in rows.split(1024)]
    return torch.cat(parts).double()


def _find_range(of_data: np.ndarray, of_samples: np.ndarray) -> tuple[float, float]:
    """Find the logit below which no sample is kept, and that from which all are.

    A generator that misses a part of the data has rare samples there, whose ratio is a thousand
    times that of the others: to keep these in proportion would be to keep next to none of them.
    """
    lowest, highest = np.quantile(of_data, _RANGE).tolist()
    some = of_samples[of_samples >= lowest]

    def compute_excess(end: float) -> float:
        return np.exp(np.minimum(some - end, 0)).sum() / len(of_samples) - _KEPT

    if compute_excess(highest) >= 0:
        return lowest, highest
    if compute_excess(lowest) <= 0:
        return lowest, lowest
    return lowest, float(brentq(compute_excess, lowest, highest))


def redraw_rejected(
    gan: Any,
    rejector: nn.Module,
    kept_logits: tuple[float, float],
    rows: Tensor,
    y: Tensor | None,
    draw: Callable[[Tensor], Tensor],
    rng: torch.Generator,
) -> Tensor:
    """Draw samples anew, each in its place, until all are kept.

    Parameters
    ----------
    rejector : nn.Module
        What judges them.
    kept_logits : tuple of float
        The logit below which no sample is kept, and that from which all are.
    rows : Tensor of shape (n_rows, ...)
        Samples.
    y : Tensor of shape (n_rows, n_classes) or None
        Their classes.
    draw : callable
        ``draw(places)`` makes others for some places, shape (len(places), ...).
    rng : torch.Generator
        What chance is drawn from.
    """
    (lowest, highest), dtype = kept_logits, gan._module_dtype()
    rejector.eval()
    places = torch.arange(len(rows), device=rows.device)
    for _ in range(_N_ROUNDS):
        parts = places.split(count_rows(gan.batch_size, rows))
        logits = torch.cat(
            [
                apply(rejector, rows[part].to(dtype), None if y is None else y[part]).flatten()
                for part in parts
            ]
        )
        chance = torch.rand(len(places), generator=rng, device=rows.device)
        places = places[(logits < lowest) | (chance.log() > logits - highest)]
        if not len(places):
            break
        rows[places] = draw(places)
    return rows


def _count_steps(gan: Any) -> int:
    """Count the steps in which a rejector is trained; by default none where rows are no points."""
    share = gan.rejection
    if share == "auto":
        is_table = isinstance(getattr(gan, "_codec_", None), TableCodec)
        is_points = len(gan._row_shape_) == 1 and gan._row_shape_[0] <= _MOST_COLUMNS
        options = gan.get_params_for("iterator_train").keys()
        is_usual = gan.iterator_train is Minibatches and options <= MINIBATCHES_OPTIONS
        share = _DEFAULT if is_points and is_usual and not is_table else 0.0
    return round(share * gan._training_.n_iter)


def _minibatches(gan: Any, dataset: Dataset) -> Iterator[Any]:
    """Yield minibatches of a data set without an end."""
    iterator = gan.get_iterator(dataset, training=True)
    while True:
        yield from iterator


def _gather(minibatches: Iterator[Any], n_rows: int) -> tuple[Tensor, Tensor]:
    """Join minibatches to at least so many rows and the codes of their classes."""
    Xs, all_codes, n = [], [], 0
    while n < n_rows:
        X, (_, codes, *_) = next(minibatches)
        Xs.append(X)
        all_codes.append(codes)
        n += len(X)
    return torch.cat(Xs), torch.cat(all_codes)


@torch.no_grad()
def _pair_with_samples(gan: Any, X: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Set as many samples of the same classes beside rows of data."""
    training, generator = gan._training_, getattr(gan, "averaged_generator_", gan.generator_).eval()
    head, rng = training.steps.head, training.vicinal_rng
    z = draw_latent(gan, len(X), rng)
    y = tell_classes(gan, codes, X.dtype, X.device)
    return X, make_rows(generator, head, z, draw_noise(head, z, rng), y).to(X.dtype), y


def _losses(rejector: nn.Module, X: Tensor, fake: Tensor, y: Tensor | None) -> list[Tensor]:
    """Compute the cross-entropy of each row of data, and of each sample."""
    return [
        softplus(-apply(rejector, X, y).flatten()),
        softplus(apply(rejector, fake, y).flatten()),
    ]


@torch.no_grad()
def _losses_at_rest(rejector: nn.Module, *pair: Any) -> list[Tensor]:
    return _losses(rejector.eval(), *pair)
