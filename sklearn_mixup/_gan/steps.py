"""The iterations of a GAN: some steps of the discriminator, then one of the generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sklearn_mixup._engine.capture import FEWEST, RECORDERS, RepeatedStep
from sklearn_mixup._engine.stack import describe, has_hooks, host_random_states
from sklearn_mixup._engine.update import RatesOnDevice, Update, takes_rate_from_device
from sklearn_mixup._gan.classes import tell_classes
from sklearn_mixup._gan.head import make_head, make_rows
from sklearn_mixup._gan.parts import PARTS
from sklearn_mixup._net.settings import is_foreign


class Given(NamedTuple):
    """What an iteration is taken with."""

    #: Rows for all steps of the discriminator, shape (n_rows, ...).
    X: Tensor
    #: Their weights, shape (n_rows,).
    lam: Tensor
    #: Their classes, of no meaning where there are none, shape (n_rows,).
    codes: Tensor
    #: Latent vectors, shape (n_first + n_rows, latent_dim): of the step of the generator, which
    #: has as many rows, and classes, as the first step, and of the samples set beside the rows.
    z: Tensor
    #: What words are drawn by, for each latent vector, shape (n_first + n_rows, n_logits).
    noise: Tensor
    #: Whether a mixture has the words of its row of data; empty where there are none.
    is_real: Tensor


class Iterations:
    """Takes the iterations of a GAN while it trains; on a GPU they are replayed where they can be.

    Parameters
    ----------
    net : MixupGAN
        Ready for its first iteration.
    """

    def __init__(self, net: Any) -> None:
        self.net = net
        self.modules = [getattr(net, part + "_") for part in PARTS]
        self.optimizers = [getattr(net, f"optimizer_{part}_") for part in PARTS]
        self.updates = [Update(optimizer) for optimizer in self.optimizers]
        # To look for them in the modules takes as long as small modules take for an iteration.
        self.parameters = [[*module.parameters()] for module in self.modules]
        if net.average > 0:
            self.averaged = [*net.averaged_generator_.parameters()]
            self.has_buffers = any(True for _ in self.modules[0].buffers())
        self.head = make_head(net, net._training_.device)
        self.n_taken = 0
        self.why_eager = self._why_eager()
        self.repeated: RepeatedStep | None = None
        self.sizes: Sequence[int] = ()

    def take(self, given: Given, sizes: Sequence[int]) -> Tensor:
        """Take an iteration; return the losses, of the discriminator and of the generator.

        Parameters
        ----------
        given : Given
            What it is taken with.
        sizes : list of int
            Rows of each step.
        """
        net, kept = self.net, 0.0
        if net.average > 0:  # Early weights are soon forgotten.
            net._n_averaged_ += 1
            kept = min(net.average, net._n_averaged_ / (net._n_averaged_ + 10))
        self.n_taken += 1
        # In the first iteration optimizers make their states.
        if self.why_eager is None and self.n_taken > 1:
            return self._repeat(given, sizes, kept)
        return self._iterate(given, sizes, kept)

    def _iterate(self, given: Given, sizes: Sequence[int], kept: float | Tensor) -> Tensor:
        net = self.net
        X, lam, codes, z, noise, is_real = given
        n_own = sizes[0]
        y = tell_classes(net, codes, X.dtype, X.device)
        make = partial(make_rows, self.modules[0], self.head)
        with torch.no_grad():  # The generator stands still while the discriminator moves.
            fake = make(z[n_own:], noise[n_own:], y).to(X.dtype)
            if self.head is not None and net.alpha > 0:
                X, fake = self.head.share_words(X, fake, is_real)
        of_rows = (X, fake, lam) if y is None else (X, fake, lam, y)
        parts = zip(*(rows.split(sizes) for rows in of_rows), strict=True)
        losses = [self._step(1, partial(net.discriminator_loss, *part)) for part in parts]
        told = () if y is None else (y[:n_own],)

        def compute_loss() -> Tensor:
            own = make(z[:n_own], noise[:n_own], *(told or (None,)))
            loss = net.generator_loss(own, *told)
            if (matching := net._training_.matching) is not None:
                loss = loss + net.matching * matching(own, *(told or (None,)))
            return loss

        loss = self._step(0, compute_loss)
        if net.average > 0:
            self._average(kept)
        return torch.stack([torch.stack(losses).mean(), loss])

    def _step(self, i: int, compute_loss: Callable[[], Tensor]) -> Tensor:
        """Move one of the modules; the gradients of the other are not computed."""
        net, module = self.net, self.modules[i]
        parameters = [p for p in self.parameters[i] if p.requires_grad]
        losses = []

        def closure() -> Tensor:
            for parameter in parameters:
                parameter.grad = None
            loss = compute_loss()
            if parameters:  # else all are frozen
                loss.backward(inputs=parameters)
            if net._training_.needs_closure:
                named = list(module.named_parameters())
                net.notify("on_grad_computed", named_parameters=named, training=True)
            losses.append(loss.detach())
            return loss

        if net._training_.needs_closure:
            self.optimizers[i].step(closure)
        else:
            closure()
            self.updates[i]()
        return losses[0]

    def _average(self, kept: float | Tensor) -> None:
        """Move the averaged weights toward the present ones.

        torch's AveragedModel would ask the device how often it was called, at every call.
        """
        averaged, present = self.net.averaged_generator_, self.modules[0]
        with torch.no_grad():
            for mean, value in zip(self.averaged, self.parameters[0], strict=True):
                mean.lerp_(value, 1 - kept)
            if self.has_buffers:
                for buffer, value in zip(averaged.buffers(), present.buffers(), strict=True):
                    buffer.copy_(value)

    # -- replayed ---------------------------------------------------------------------------

    def _why_eager(self) -> str | None:
        """Say why iterations cannot be replayed; None if nothing is known to prevent it."""
        net, training = self.net, self.net._training_
        if training.device.type not in RECORDERS:
            return "only a GPU replays iterations"
        if training.n_iter is not None and training.n_iter < FEWEST:
            return f"fewer than {FEWEST} iterations"
        if training.needs_closure:
            return "somebody asks for the gradients"
        for name in ("discriminator_loss", "generator_loss", "infer", "get_loss"):
            if is_foreign(getattr(net, name)):
                return f"{type(net).__name__} has a method {name!r} of its own"
        for part, module in zip(PARTS, self.modules, strict=True):
            if has_hooks(module):
                return f"the {part} has hooks"
            if hasattr(module, "_orig_mod"):
                return f"the {part} is compiled"
        for optimizer in self.optimizers:
            if not takes_rate_from_device(optimizer):
                return f"{type(optimizer).__name__} reads its learning rate on the host"
        return None

    def _repeat(self, given: Given, sizes: Sequence[int], kept: float) -> Tensor:
        """Take an iteration on tensors that stay where they are."""
        X = given.X
        if self.repeated is None or sizes != self.sizes:
            self.close()
            self.sizes = sizes
            self.room = Given(*map(torch.empty_like, given))
            self.kept = X.new_zeros(())
            self.rates = RatesOnDevice(self.optimizers, X.device)
            self.losses = X.new_zeros(2)
            self.repeated = RepeatedStep(
                self._iterate_in_place,
                self._list_state,
                X.device,
                describe_host=lambda: (host_random_states(), *map(describe, self.modules)),
            )
        for room, part in zip(self.room, given, strict=True):
            room.copy_(part)
        self.kept.fill_(kept)
        self.rates.read()
        self.repeated.take(1)
        self.why_eager = self.repeated.why_eager
        return self.losses.clone()

    def close(self) -> None:
        """Let go of the recorded iteration, and of the gradients in its memory."""
        if self.repeated is not None:
            self.repeated.close()
            for optimizer in self.optimizers:
                optimizer.zero_grad()

    def _iterate_in_place(self) -> None:
        with self.rates.in_place():
            self.losses.copy_(self._iterate(self.room, self.sizes, self.kept))

    def _list_state(self) -> list[Tensor]:
        """List the tensors that an iteration changes."""
        modules = [*self.modules]
        if self.net.average > 0:
            modules.append(self.net.averaged_generator_)
        tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
        held = [v for update in self.updates for v in update.tensors()]
        return [*tensors, *held, self.losses]
