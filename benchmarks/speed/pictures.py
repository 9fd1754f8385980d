"""The time of pictures: a fit beside a hand-written loop, mixing beside that of timm, torchvision.

Both on random numbers in the shape of pictures, that lie on the device whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Block, Heading, Note, Table
from benchmarks._nets.vision import import_torchvision
from benchmarks.speed.augmentation import augmentation_table, time_augmentation
from benchmarks.speed.nets import fit_by_hand
from benchmarks.speed.rounds import Section, compute_ratio, list_rounds, time_each
from benchmarks.speed.scale import BATCH_SIZE, Scale
from benchmarks.speed.throughput import tell_throughput, time_epochs
from sklearn_mixup import MixupClassifier
from sklearn_mixup.augmentation import crop_and_flip
from sklearn_mixup.modules import PreActResNet18
from sklearn_mixup.vicinal import mix, sample_lam, sample_partner

FIT_TARGET = 1.05  # MixupClassifier over the loop
_AUGMENTS: Mapping[str, Callable[[Tensor], Tensor] | None] = {
    "as they are": None,
    "cropped and flipped": crop_and_flip,
}
# Ours over theirs, and what it should not be above.
MIX_TARGETS = {"timm": 1.0, "torchvision": 1.0, "copy": 1.3}
_OURS = "mix"
_ALPHA = 1.0
_SGD: Mapping[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def _make_pictures(shape: Sequence[int], n_classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Make random pictures and labels on the device."""
    X = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0))
    return X.to(device), (torch.arange(len(X)) % n_classes).to(device)


# -- fits -----------------------------------------------------------------------------------------


def _fit_ours(X: Tensor, y: Tensor, width: int, augment: Any, device: str) -> None:
    """Fit this package's classifier for an epoch."""
    MixupClassifier(
        PreActResNet18,
        module__width=width,
        alpha=_ALPHA,
        max_epochs=1,
        batch_size=BATCH_SIZE,
        optimizer=torch.optim.SGD,
        **{name if name == "lr" else f"optimizer__{name}": value for name, value in _SGD.items()},
        iterator_train__augment=augment,
        random_state=0,
        device=device,
    ).fit(X, y)


def _fit_bare_loop(X: Tensor, y: Tensor, width: int, augment: Any, device: str) -> None:
    """Train for an epoch as one would by hand."""
    module = PreActResNet18(n_classes=10, width=width).to(device)
    optimizer = torch.optim.SGD(module.parameters(), **_SGD)
    options = {"alpha": _ALPHA, "batch_size": BATCH_SIZE, "augment": augment}
    fit_by_hand(module, optimizer, X, y, **options)


_FITS = {"MixupClassifier": _fit_ours, "bare loop": _fit_bare_loop}


def time_fits(scale: Scale, *, device: str, turn: int = 0) -> dict[str, float]:
    """Time a fit and a loop, with and without augmentation; every other turn the loop is first."""
    X, y = _make_pictures((scale.n_pictures, 3, 32, 32), 10, device)
    seconds: dict[str, float] = {}
    for pictures, augment in _AUGMENTS.items():
        fits = {
            f"fit_time_s {pictures} {name}": partial(fit, X, y, scale.width, augment, device)
            for name, fit in _FITS.items()
        }
        seconds |= time_each(fits, device, turn=turn)
    return seconds


# -- mixing ---------------------------------------------------------------------------------------


def _mix_ours(X: Tensor, y: Tensor, n_classes: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw once and mix pictures and labels."""
    lam, partner = sample_lam(_ALPHA).item(), sample_partner(len(X), rng=rng)
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


def time_mixing(scale: Scale, *, device: str, n_classes: int = 1000) -> dict[str, float]:
    """Time the mixing of a minibatch, turn after turn; the median of each, in seconds."""
    X, y = _make_pictures((BATCH_SIZE, 3, scale.size, scale.size), n_classes, device)
    mixers = {f"mix_time_s {name}": mix for name, mix in _find_mixers(X, y, n_classes, device)}
    turns = [time_each(mixers, device, turn=turn) for turn in range(scale.n_turns + 1)]
    # The first turn loads what is loaded on first use.
    return dict(pd.DataFrame(turns[1:]).median())


# -- report ---------------------------------------------------------------------------------------


def fit_table(rounds: pd.DataFrame, n_pictures: int) -> pd.DataFrame:
    """Write the pictures per second of `time_fits`, and the ratio of the times."""
    rows = []
    for pictures in _AUGMENTS:
        ours, loop = (rounds[f"fit_time_s {pictures} {name}"] for name in _FITS)
        times = zip(_FITS, (ours, loop), strict=True)
        speeds = {f"{k}, a second": f"{n_pictures / s.median():.0f}" for k, s in times}
        ratio = compute_ratio(ours, loop, FIT_TARGET)
        rows.append({"pictures": pictures, **speeds, **ratio.cells()})
    return pd.DataFrame(rows)


def mix_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Write the times of `time_mixing`, and the ratios of ours to those of the others."""
    ours = rounds[f"mix_time_s {_OURS}"]
    rows = []
    for name, target in {_OURS: None, **MIX_TARGETS}.items():
        if (times := rounds.get(f"mix_time_s {name}")) is not None:
            cells = compute_ratio(ours, times, target).cells() if target else {}
            rows.append({"a minibatch": name, "ms": f"{1000 * times.median():.1f}", **cells})
    return pd.DataFrame(rows).fillna("")


def plan_section(request: Request) -> Section:
    """List the rounds of fits, mixing, trainings and, if torchvision is here, augmentation."""
    scale, n_rounds = request.scale, request.args.seeds or request.scale.n_rounds
    shape = ("n_pictures", "n_pictures_an_epoch", "n_augmented", "width", "size", "n_turns")
    settings = {name: getattr(scale, name) for name in shape}
    settings |= {"batch_size": BATCH_SIZE, "alpha": _ALPHA, **_SGD, **request.versions}
    works: dict[str, Callable[..., Any]] = {"pictures": time_fits, "mixing": time_mixing}
    works["throughput"] = time_epochs
    if _has_torchvision():
        works["augmentation"] = time_augmentation
    tasks = {
        name: list_rounds(
            name,
            scale.n_trainings if name == "throughput" else n_rounds,
            settings,
            partial(work, scale, device=request.device),
            in_turns=name in ("pictures", "throughput"),
        )
        for name, work in works.items()
    }
    return Section(tasks, partial(tell, scale, n_rounds))


def tell(
    scale: Scale,
    n_rounds: int,
    timed: pd.DataFrame,
    mixed: pd.DataFrame,
    trained: pd.DataFrame,
    cropped: pd.DataFrame | None = None,
) -> list[Block]:
    """Tell what pictures take; `cropped` None was not timed."""
    table = mix_table(mixed.dropna(axis="columns", how="all"))
    missing = [name for name in MIX_TARGETS if name not in set(table["a minibatch"])]
    told = f" Not installed: {', '.join(missing)}." if missing else ""
    shape = f"{BATCH_SIZE} x 3 x {scale.size} x {scale.size}"
    blocks: list[Block] = [
        Heading("Pictures"),
        Note(
            f"An epoch of {scale.n_pictures} pictures of 3 x 32 x 32 by a PreAct ResNet-18 of "
            f"width {scale.width}, alpha = {_ALPHA:g}, minibatch {BATCH_SIZE}, SGD with momentum, "
            "set-up included: pictures per second, and the median of the ratios of the times in "
            f"{n_rounds} rounds. The loop draws, augments and mixes minibatch by minibatch."
        ),
        Table(fit_table(timed, scale.n_pictures)),
        *tell_throughput(scale, trained),
        Note(
            f"Mixing of one minibatch, {shape} float32 numbers and as many labels of 1000 classes, "
            "the draws included: `mix` of this package, Mixup of timm (which writes to its input "
            "and mixes it with its mirror image), MixUp of torchvision.transforms.v2 (which mixes "
            "neighbours), all of which draw lam on the host, and a copy of the pictures alone. "
            f"Medians.{told}"
        ),
        Table(table),
    ]
    if cropped is not None:
        blocks += [
            Note(
                f"Random crops and flips of {scale.n_augmented} pictures of 3 x 32 x 32, "
                f"minibatch {BATCH_SIZE}, without a network: `crop_and_flip` on pictures that lie "
                "on the device, and torchvision's transforms of pictures one by one, in a "
                "DataLoader with so many workers, the start of which is counted. Medians."
            ),
            Table(augmentation_table(cropped.dropna(axis="columns", how="all"))),
        ]
    return blocks
