"""The settings of the paper's networks for pictures [1]_, as data.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
.. [2] Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from skorch.callbacks import LRScheduler


@dataclass(frozen=True)
class DropsAfterWarmUp:
    """What `lr` is multiplied with at a step: a line from `start` to 1, then ever smaller.

    Examples
    --------
    >>> factor = DropsAfterWarmUp(2, start=0.5, drop_steps=(3,), drop_factor=0.1)
    >>> [factor(step) for step in range(5)]
    [0.5, 0.75, 1.0, 0.1, 0.1]
    """

    # Numbers alone, so that the state of the scheduler is one of numbers alone too.
    n_warmup_steps: int  # of the line
    start: float  # a share of the learning rate that the line ends at
    drop_steps: tuple[int, ...]  # before each the learning rate is multiplied by `drop_factor`
    drop_factor: float  # in (0, 1)

    def __call__(self, step: int) -> float:
        """Compute the factor of a step, counted from 0."""
        if step < self.n_warmup_steps:
            return self.start + (1 - self.start) * step / self.n_warmup_steps
        return self.drop_factor ** sum(step >= drop for drop in self.drop_steps)


@dataclass(frozen=True)
class PictureRecipe:
    """Settings of a network for pictures, trained by SGD."""

    alpha: float  # what mixup uses; ERM is the same with 0
    max_epochs: int
    batch_size: int
    lr: float  # after any warm-up, before the first drop
    drops: tuple[int, ...]  # epochs after which, at once, `lr` is multiplied by `drop_factor`
    drop_factor: float = 0.1
    # Learning rate of the first minibatch; from there it rises along a line, minibatch by minibatch
    # [2]_, to `lr` at the end of so many epochs.
    warmup_lr: float = 0.0
    warmup_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4  # of all parameters

    def shortened(self, max_epochs: int | None) -> PictureRecipe:
        """Give the recipe for another number of epochs: drops and warm-up in proportion.

        >>> CIFAR_RECIPES["wide_resnet"].shortened(10).drops
        (3, 6, 9)
        """
        if max_epochs is None:
            return self
        scale = max_epochs / self.max_epochs
        return replace(
            self,
            max_epochs=max_epochs,
            drops=tuple(max(1, round(scale * drop)) for drop in self.drops),
            warmup_epochs=max(1, round(scale * self.warmup_epochs)) if self.warmup_epochs else 0,
        )

    def with_batch_size(self, batch_size: int) -> PictureRecipe:
        """Give the recipe for other minibatches: learning rates in proportion to them [2]_."""
        scale = batch_size / self.batch_size
        return replace(
            self, batch_size=batch_size, lr=scale * self.lr, warmup_lr=scale * self.warmup_lr
        )

    def n_minibatches(self, n_train: int) -> int:
        """Count the minibatches of an epoch; the last may be short."""
        return -(-n_train // self.batch_size)

    def scheduler(self, n_train: int) -> LRScheduler:
        """Make the callback that sets the learning rate: by epoch, by minibatch with a warm-up.

        skorch notes the learning rate in the history as ``event_lr``: of the epoch, or with a
        warm-up of each minibatch (``history[:, "batches", :, "event_lr"]``). It is the one that was
        in force there, not the next.
        """
        if not self.warmup_epochs:
            return LRScheduler(
                torch.optim.lr_scheduler.MultiStepLR,
                milestones=list(self.drops),
                gamma=self.drop_factor,
            )
        n_minibatches = self.n_minibatches(n_train)
        factor = DropsAfterWarmUp(
            n_warmup_steps=self.warmup_epochs * n_minibatches,
            start=self.warmup_lr / self.lr,
            drop_steps=tuple(drop * n_minibatches for drop in self.drops),
            drop_factor=self.drop_factor,
        )
        return LRScheduler(torch.optim.lr_scheduler.LambdaLR, step_every="batch", lr_lambda=factor)

    def params(self) -> dict[str, Any]:
        """Parameters for ``MixupClassifier``, but for alpha and the callbacks."""
        return {
            "max_epochs": self.max_epochs,
            "batch_size": self.batch_size,
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": self.momentum,
            "optimizer__weight_decay": self.weight_decay,
            "lr": self.lr,
        }

    def describe(self) -> dict[str, Any]:
        """Give the settings as JSON can hold them."""
        return {**asdict(self), "drops": list(self.drops)}


# -- CIFAR ----------------------------------------------------------------------------------------

# Augmented by a crop with padding 4 and a flip. The optimizer, the decay, the padding and alpha are
# those of the authors' released code, whose learning rate falls an epoch late: not so here.
_CIFAR = PictureRecipe(alpha=1.0, max_epochs=200, batch_size=128, lr=0.1, drops=(100, 150))
CIFAR_RECIPES: Mapping[str, PictureRecipe] = {
    "preact_resnet18": _CIFAR,
    # [1] names the epochs alone. The paper of WideResNet multiplies by 0.2 at them; here it is the
    # 0.1 of the other two.
    "wide_resnet": replace(_CIFAR, drops=(60, 120, 180)),
    "densenet_bc": _CIFAR,
}
CIFAR_SIZES: Mapping[str, Mapping[str, Any]] = {
    "preact_resnet18": {"width": 64},
    "wide_resnet": {"depth": 28, "widen_factor": 10},
    "densenet_bc": {"depth": 190, "growth_rate": 40},
}

# -- ImageNet -------------------------------------------------------------------------------------

# Height and width. Augmented by a random resized crop and a flip; tested on the centre crop.
IMAGENET_PIXELS = 224

_IMAGENET: Mapping[str, Any] = {"batch_size": 1024, "lr": 0.4, "warmup_lr": 0.1, "warmup_epochs": 5}
_DROPS = {90: (30, 60, 80), 200: (60, 120, 180)}  # by epochs of a training
_ALPHAS = {"resnet50": 0.2, "resnet101": 0.2, "resnext101_32x4d": 0.4, "resnext101_64x4d": 0.4}

# By network, as timm names it, and epochs.
IMAGENET_RECIPES: Mapping[tuple[str, int], PictureRecipe] = {
    (network, max_epochs): PictureRecipe(
        alpha=alpha, max_epochs=max_epochs, drops=drops, **_IMAGENET
    )
    for max_epochs, drops in _DROPS.items()
    for network, alpha in _ALPHAS.items()
}
