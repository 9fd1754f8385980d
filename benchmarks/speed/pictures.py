"""The time of pictures: a fit beside a hand-written loop, mixing beside that of timm, torchvision.

Both on random numbers in the shape of pictures, that lie on the device whole.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Heading, Note, Table
from benchmarks._nets.vision import import_torchvision
from benchmarks.speed.augmentation import augmentation_table, time_augmentation
from benchmarks.speed.rounds import Section, compute_ratio, list_rounds
from sklearn_mixup import MixupClassifier
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.modules import PreActResNet18
from sklearn_mixup.vicinal import mix, sample_lam, sample_partner

FIT_TARGET = 1.05  # MixupClassifier over the loop
_AUGMENTS: Mapping[str, Callable[[Tensor], Tensor] | None] = {
    "as they are": None,
    "cropped and flipped": crop_and_flip,
}
_FITS = ("MixupClassifier", "bare loop")
# Ours over theirs, and what it should not be above.
MIX_TARGETS = {"timm": 1.0, "torchvision": 1.0, "copy": 1.3}
_OURS = "mix"
_ALPHA = 1.0
_BATCH_SIZE = 128
_SGD: Mapping[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


@dataclass(frozen=True)
class Scale:
    """How much of this is run."""

    n_rounds: int
    n_pictures: int  # of 3 x 32 x 32, in a fit
    width: int  # of the network
    size: int  # height and width of the pictures that are only mixed
    n_turns: int  # of these in a round


SCALES = {
    "smoke": Scale(n_rounds=1, n_pictures=128, width=1, size=16, n_turns=3),
    "small": Scale(n_rounds=9, n_pictures=20 * _BATCH_SIZE, width=8, size=224, n_turns=9),
    "paper": Scale(n_rounds=25, n_pictures=20 * _BATCH_SIZE, width=16, size=224, n_turns=9),
}


def _make_pictures(shape: Sequence[int], n_classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Make random pictures and labels on the device."""
    X = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0))
    return X.to(device), (torch.arange(len(X)) % n_classes).to(device)


def _synchronize(device: str) -> None:
    """Wait until what was asked of the device is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


# -- fits -----------------------------------------------------------------------------------------


def _fit_ours(X: Tensor, y: Tensor, width: int, augment: Any, device: str) -> None:
    """Fit this package's classifier for an epoch."""
    MixupClassifier(
        PreActResNet18,
        module__width=width,
        alpha=_ALPHA,
        max_epochs=1,
        batch_size=_BATCH_SIZE,
        optimizer=torch.optim.SGD,
        **{name if name == "lr" else f"optimizer__{name}": value for name, value in _SGD.items()},
        iterator_train__augment=augment,
        random_state=0,
        device=device,
    ).fit(X, y)


def _fit_bare_loop(X: Tensor, y: Tensor, width: int, augment: Any, device: str) -> None:
    """Train for an epoch as the code released with the paper does, on pictures on the device."""
    module = PreActResNet18(n_classes=10, width=width).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), **_SGD)
    order = torch.randperm(len(X), device=device)
    for chosen in order.split(_BATCH_SIZE):
        X_batch, y_batch = X[chosen], y[chosen]
        if augment is not None:
            X_batch = augment(X_batch)
        lam = np.random.beta(_ALPHA, _ALPHA)  # noqa: NPY002, as the released code has it
        partner = torch.randperm(len(X_batch), device=device)
        logits = module(lam * X_batch + (1 - lam) * X_batch[partner])
        loss = lam * criterion(logits, y_batch) + (1 - lam) * criterion(logits, y_batch[partner])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()


def time_fits(scale: Scale, *, device: str, turn: int = 0) -> dict[str, Any]:
    """Time a fit and a loop, with and without augmentation; every other turn the loop is first."""
    X, y = _make_pictures((scale.n_pictures, 3, 32, 32), 10, device)
    seconds = {}
    for pictures, augment in _AUGMENTS.items():
        fits = dict(zip(_FITS, (_fit_ours, _fit_bare_loop), strict=True))
        for contender, fit in list(fits.items())[:: -1 if turn % 2 else 1]:
            _synchronize(device)
            start = time.perf_counter()
            fit(X, y, scale.width, augment, device)
            _synchronize(device)
            seconds[f"fit_time_s {pictures} {contender}"] = time.perf_counter() - start
    return seconds


# -- mixing ---------------------------------------------------------------------------------------


def _mix_ours(X: Tensor, y: Tensor, n_classes: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw once and mix pictures and labels."""
    lam, partner = sample_lam(_ALPHA, rng=rng), sample_partner(len(X), rng=rng)
    targets = one_hot(y, n_classes).to(X.dtype)
    return mix(X, partner, lam=lam), mix(targets, partner, lam=lam)


def _has_torchvision() -> bool:
    """Whether torchvision is installed."""
    try:
        import_torchvision()
    except ImportError:
        return False
    return True


def _find_mixers(
    X: Tensor, y: Tensor, n_classes: int, device: str
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """List what mixes a minibatch; those of timm and torchvision if they are installed."""
    yield _OURS, partial(_mix_ours, X, y, n_classes, torch.Generator(device).manual_seed(0))
    yield "copy", X.clone
    if not _has_torchvision():
        return
    from timm.data import Mixup
    from torchvision.transforms.v2 import MixUp

    # It writes to its input.
    theirs = Mixup(mixup_alpha=_ALPHA, mode="batch", label_smoothing=0.0, num_classes=n_classes)
    yield "timm", partial(theirs, X.clone(), y)
    yield "torchvision", partial(MixUp(alpha=_ALPHA, num_classes=n_classes), X, y)


def time_mixing(scale: Scale, *, device: str, n_classes: int = 1000) -> dict[str, Any]:
    """Time the mixing of a minibatch, turn after turn; the median of each, in seconds."""
    X, y = _make_pictures((_BATCH_SIZE, 3, scale.size, scale.size), n_classes, device)
    mixers = dict(_find_mixers(X, y, n_classes, device))
    seconds: dict[str, list[float]] = {name: [] for name in mixers}
    for turn in range(scale.n_turns + 1):
        for name in list(mixers)[:: -1 if turn % 2 else 1]:
            _synchronize(device)
            start = time.perf_counter()
            made = mixers[name]()
            _synchronize(device)
            seconds[name].append(time.perf_counter() - start)
            del made  # Or the next one would have to find other memory.
    # The first turn loads what is loaded on first use.
    return {f"mix_time_s {name}": statistics.median(spent[1:]) for name, spent in seconds.items()}


# -- report ---------------------------------------------------------------------------------------


def fit_table(rounds: pd.DataFrame, n_pictures: int) -> pd.DataFrame:
    """Write the pictures per second of `time_fits`, and the ratio of the times."""
    rows = []
    for pictures in _AUGMENTS:
        ours, loop = (rounds[f"fit_time_s {pictures} {contender}"] for contender in _FITS)
        rows.append(
            {
                "pictures": pictures,
                "MixupClassifier, a second": f"{n_pictures / ours.median():.0f}",
                "bare loop, a second": f"{n_pictures / loop.median():.0f}",
                **compute_ratio(ours, loop, FIT_TARGET).cells(),
            }
        )
    return pd.DataFrame(rows)


def mix_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times of `time_mixing`, and the ratios of ours to those of the others."""
    ours = rounds[f"mix_time_s {_OURS}"]
    blank = dict.fromkeys(("ratio", "quartiles", "target", "met"), "")
    rows = [{"a minibatch": _OURS, "ms": f"{1000 * ours.median():.1f}", **blank}]
    for name, target in MIX_TARGETS.items():
        if f"mix_time_s {name}" in rounds:
            other = rounds[f"mix_time_s {name}"]
            row = {"a minibatch": name, "ms": f"{1000 * other.median():.1f}"}
            rows.append(row | compute_ratio(ours, other, target).cells())
    return pd.DataFrame(rows)


def _time_augmentation(scale: Scale, *, device: str) -> dict[str, Any]:
    """Time the augmentation of as many pictures as four fits have."""
    return time_augmentation(4 * scale.n_pictures, batch_size=_BATCH_SIZE, device=device)


def plan_section(scale: Scale, request: Request) -> Section:
    """List the rounds of fits, of mixing and, if torchvision is here, of augmentation."""
    n_rounds, device = request.args.seeds or scale.n_rounds, request.device
    settings = {
        **asdict(scale),
        "batch_size": _BATCH_SIZE,
        "alpha": _ALPHA,
        **_SGD,
        **request.versions,
    }
    del settings["n_rounds"]  # More rounds leave those that were done as they are.
    works: dict[str, Callable[..., dict[str, Any]]] = {"pictures": time_fits, "mixing": time_mixing}
    if _has_torchvision():
        works["augmentation"] = _time_augmentation
    tasks = {
        name: list_rounds(
            *(name, n_rounds, settings, partial(work, scale, device=device)),
            in_turns=name == "pictures",
        )
        for name, work in works.items()
    }
    return Section(tasks, partial(tell, scale, n_rounds))


def warm_up(device: str) -> None:
    """Fit once outside the clock: the first fit in a process loads what all of them use."""
    time_fits(SCALES["smoke"], device=device)


def tell(
    scale: Scale,
    n_rounds: int,
    timed: pd.DataFrame,
    mixed: pd.DataFrame,
    cropped: pd.DataFrame | None = None,
) -> list[Block]:
    """Tell what pictures take; `cropped` None was not timed."""
    table = mix_table(mixed.dropna(axis="columns", how="all"))
    missing = [name for name in MIX_TARGETS if name not in set(table["a minibatch"])]
    told = f" Not installed: {', '.join(missing)}." if missing else ""
    shape = f"{_BATCH_SIZE} x 3 x {scale.size} x {scale.size}"
    blocks: list[Block] = [
        Heading("Pictures"),
        Note(
            f"An epoch of {scale.n_pictures} pictures of 3 x 32 x 32 by a PreAct ResNet-18 of "
            f"width {scale.width}, alpha = {_ALPHA:g}, minibatch {_BATCH_SIZE}, SGD with momentum, "
            "set-up included: pictures per second, and the median of the ratios of the times in "
            f"{n_rounds} rounds. The loop draws, augments and mixes minibatch by minibatch."
        ),
        Table(fit_table(timed, scale.n_pictures)),
        Note(
            f"Mixing of one minibatch, {shape} float32 numbers and as many labels of 1000 classes, "
            "the draws included: `mix` of this package, Mixup of timm (which writes to its input "
            "and mixes it with its mirror image), MixUp of torchvision.transforms.v2 (which mixes "
            f"neighbours), and a copy of the pictures alone. Medians.{told}"
        ),
        Table(table),
    ]
    if cropped is not None:
        blocks += [
            Note(
                f"Random crops and flips of {4 * scale.n_pictures} pictures of 3 x 32 x 32, "
                f"minibatch {_BATCH_SIZE}, without a network: `crop_and_flip` on pictures that lie "
                "on the device, and torchvision's transforms of pictures one by one, in a "
                "DataLoader with so many workers, the start of which is counted. Medians."
            ),
            Table(augmentation_table(cropped.dropna(axis="columns", how="all"))),
        ]
    return blocks
