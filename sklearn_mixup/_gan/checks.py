"""Whether the parts that a GAN is given fit it and each other."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import Tensor, nn

from sklearn_mixup._gan.classes import apply, check_takes_classes
from sklearn_mixup._net.checks import (
    explain_shapes,
    show_output,
)
from sklearn_mixup._net.listening import replaces
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup.callbacks import Resume


def check_hooks(net: NeuralNet) -> None:
    """Refuse what skorch offers for one module and one optimizer: it would do nothing."""
    if getattr(net, "accelerator", None) is not None:
        raise TypeError(
            "A GAN trains on one device: accelerate would neither share out its rows nor average "
            f"its gradients; got {type(net).__name__} with an accelerator. Leave out "
            "AccelerateMixin."
        )
    for name, callback in net.callbacks_:
        if isinstance(callback, LRScheduler):
            raise ValueError(
                f"Callback {name!r} is an LRScheduler, which knows one optimizer; a GAN has "
                "two. Use the default callbacks__lr_decay, or a callback that sets the lr of "
                "both."
            )
        if isinstance(callback, Resume):
            raise ValueError(
                f"Callback {name!r} is a Resume, which knows nothing of a GAN's averaged weights. "
                "Use a Checkpoint with f_generator=... and so on."
            )
        if getattr(callback, "f_params", None) or getattr(callback, "f_optimizer", None):
            raise ValueError(
                f"Callback {name!r} would save `module_` and `optimizer_`; a GAN has two of "
                "each. Give it f_params=None, f_optimizer=None, and f_generator=..., "
                "f_discriminator=..., f_optimizer_generator=... and so on."
            )
        if getattr(callback, "load_best", False) and isinstance(callback, EarlyStopping):
            raise ValueError(
                f"Callback {name!r} has load_best=True, which knows `module_` only; a GAN has "
                "two modules. Use load_best=False and a Checkpoint."
            )
    for hook in ("train_step_single", "_step_optimizer"):
        if replaces(net, hook, NeuralNet):
            raise TypeError(
                f"{type(net).__name__} overrides {hook}, which a GAN does not call: it takes "
                "two kinds of steps. Override train_step, discriminator_loss or generator_loss."
            )


def check_modules(
    generator: nn.Module,
    discriminator: nn.Module,
    z: Tensor,
    y: Tensor | None,
    row_shape: tuple[int, ...],
) -> None:
    """Pass latent vectors through both modules, as they were before they were compiled."""
    generator, discriminator = unwrap(generator), unwrap(discriminator)
    if y is not None:
        check_takes_classes("generator", generator)
        check_takes_classes("discriminator", discriminator)
    with torch.no_grad():
        with explain_shapes(generator, z, "`latent_dim` must be what the generator takes"):
            fake = _only_tensor("generator", generator, apply(generator, z, y))
        if tuple(fake.shape) != (len(z), *row_shape):
            raise ValueError(
                f"The generator must return rows like those of X, shape (batch_size, "
                f"{', '.join(map(str, row_shape))}); {type(generator).__name__} returned shape "
                f"{tuple(fake.shape)} for {len(z)} latent vectors. A generator that names a "
                "parameter `row_shape` or `n_features` is told it."
            )
        with explain_shapes(discriminator, fake):
            logits = apply(discriminator, fake.to(z.dtype), y)
            logits = _only_tensor("discriminator", discriminator, logits)
    if logits.numel() != len(z):
        raise ValueError(
            "The discriminator must return one logit a row, shape (batch_size, 1) or "
            f"(batch_size,); {type(discriminator).__name__} returned shape "
            f"{tuple(logits.shape)} for {len(z)} rows."
        )


def _only_tensor(part: str, module: nn.Module, output: Any) -> Tensor:
    """Raise ValueError for an output that is not one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(
            f"The {part} must return one tensor; {type(module).__name__} returned "
            f"{show_output(output)}. Let its forward pick it."
        )
    return output
