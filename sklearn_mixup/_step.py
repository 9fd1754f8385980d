"""The steps of a net that nobody watches: loss, gradient and update, and nothing else.

They work on the module's own parameters and the optimizer's own state, as these are when the steps
are made: anew after each epoch in whose end a callback may have changed anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import methodcaller
from typing import Any

import torch
from torch import Tensor, amp
from torch.nn import functional as F  # noqa: N812

from sklearn_mixup._stack import has_hooks, is_plain_mlp, mlp_backward
from sklearn_mixup._targets import LogCoefficients, is_plain_cross_entropy, mix_targets
from sklearn_mixup._update import Update
from sklearn_mixup.minibatches import Minibatches, cut_rows


class Steps:
    """The steps of a net whose module may be any: its gradient by autograd."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.updates = [Update(getattr(net, name + "_")) for name in net._optimizers]

    def minibatches(self, iterator: Minibatches) -> Iterator[tuple[Any, Any]]:
        """Yield the minibatches of the epoch, in the form that `take` takes."""
        return iter(iterator)

    def take(self, batch: tuple[Any, Any], **fit_params: Any) -> dict[str, Tensor]:
        """Take a step on a minibatch; return its loss."""
        X, y = batch
        net = self.net
        net._zero_grad_optimizer()
        loss = net.get_loss(net.infer(X), y, X=X, training=True)
        loss.backward()
        for update in self.updates:
            update()
        return {"loss": loss}


class WrittenSteps(Steps):
    """The steps of an MLP by cross-entropy, whose gradient is written out."""

    def __init__(self, net: Any) -> None:
        module = net.module_
        layers = [*module.hidden, module.output]
        for parameter in module.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        super().__init__(net)
        params = [layer.weight for layer in layers], [layer.bias for layer in layers]
        self.p_dropout = module.dropout.p
        self.widths = [layer.out_features for layer in module.hidden]
        self.weights, self.biases = ([param.detach() for param in part] for part in params)
        self.grads = [[param.grad for param in part] for part in params]

    def minibatches(self, iterator: Minibatches) -> Iterator[tuple[Tensor, Any]]:
        """Yield the minibatches of the epoch, the targets as coefficients and their sums."""
        net = self.net
        for X, y, n_rows in iterator.runs():
            if not isinstance(y, LogCoefficients):
                itself, ones = torch.arange(len(X), device=X.device), X.new_ones(len(X))
                y = mix_targets(
                    *(net.criterion_, y, None, itself, ones),
                    batch_size=n_rows,
                    shares_lam=True,
                    n_outputs=net.n_outputs_,
                    dtype=X.dtype,
                )
            targets = y.rows, y.rows.sum(-1, keepdim=True)
            yield from cut_rows(methodcaller("split", n_rows), (X.flatten(1), targets))
            del X, y, targets  # or the next run would be made beside this one

    def take(self, batch: tuple[Tensor, Any], **fit_params: Any) -> dict[str, Tensor]:
        """Take a step on a minibatch; return its loss."""
        X, (coefficients, totals) = batch
        masks = []
        if self.p_dropout > 0:
            # Drawn as the layers themselves draw, from the generator that they draw from.
            masks = [F.dropout(X.new_ones(len(X), width), self.p_dropout) for width in self.widths]
        with torch.no_grad():
            loss = mlp_backward(
                X, coefficients, totals, masks, self.weights, self.biases, *self.grads
            )
        for update in self.updates:
            update()
        return {"loss": loss}


def make_steps(net: Any, iterator: Minibatches) -> Steps:
    """Make the fastest steps that a net can take on these minibatches."""
    return WrittenSteps(net) if _can_be_written(net, iterator.X) else Steps(net)


def _can_be_written(net: Any, X: Any) -> bool:
    """Whether the gradient of a net is the one that is written out."""
    module, criterion, kind = net.module_, net.criterion_, net._training_.device.type
    return (
        is_plain_mlp(module)
        and is_plain_cross_entropy(criterion)
        and not has_hooks(criterion)
        and net._optimizers == ["optimizer"]
        and isinstance(X, Tensor)
        # What does not fit is left to the module, which says so.
        and X.dtype == net._module_dtype()
        and X.shape[1:].numel() == [*module.hidden, module.output][0].in_features
        and module.output.out_features == getattr(net, "n_outputs_", None)
        and not (amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind))
    )
