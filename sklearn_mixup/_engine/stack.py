"""Modules of one shape as one: stacked parameters and their gradients.

Horizontally fused training [1]_: the operations of many small modules, each on a minibatch of its
own, are one batched operation each. A *stack* has its modules along the first axis.

References
----------
.. [1] Wang et al., "Horizontally Fused Training Array: An Effective Hardware Utilization Squeezer
   for Training Novel Deep Learning Models", MLSys 2021.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.losses import WrittenLoss
from sklearn_mixup._net.mix_at import Inside, mixing_inside
from sklearn_mixup._streams import words_at
from sklearn_mixup.minibatches import Rows, map_tensors
from sklearn_mixup.modules import MLP

_threshold_backward = torch.ops.aten.threshold_backward.default

# What a layer of dropout multiplies its input with, for each call of one in a step.
Masks = Sequence[Tensor]
# A weight, its transpose, the bias; whether the gradient of the weight lies as the weight itself,
# else transposed; that gradient; that of the bias.
Layer = tuple[Tensor, Tensor, Tensor, bool, Tensor, Tensor]

# Those that drop whole channels, with the rank of the minibatch that they take.
_CHANNELWISE: dict[type, int] = {nn.Dropout1d: 3, nn.Dropout2d: 4, nn.Dropout3d: 5}
_DROPOUT = {nn.Dropout, *_CHANNELWISE}


def is_dropout(module: nn.Module) -> TypeGuard[nn.Dropout]:
    """Whether a layer is one whose masks can be drawn here: a subclass may do more."""
    return type(module) in _DROPOUT


def fingerprint(value: Any) -> str:
    """Write down what a value is, so that two of the same fingerprint do the same."""
    if isinstance(value, nn.Module):
        tensors = fingerprint({**dict(value.named_parameters()), **dict(value.named_buffers())})
        return describe(value) + tensors
    if isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta:
        # As bytes: NumPy has no bfloat16.
        numbers = value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(numbers).hexdigest()}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return str({str(key): fingerprint(part) for key, part in value.items()})
    if isinstance(value, list | tuple):
        return f"{type(value)} {[fingerprint(part) for part in value]}"
    if value is None or isinstance(value, str | bytes | Number | torch.dtype | torch.device):
        return f"{type(value)} {value!r}"
    # Classes and functions, and whatever else, are the same if they are one object. All of them
    # belong to nets that are there while this is compared.
    return f"{type(value)} {id(value)}"


def describe(part: nn.Module) -> str:
    """Write down all that a module is, but for its numbers and how much its dropout drops."""
    internals = vars(nn.Module()).keys()
    lines = []
    for name, module in part.named_modules():
        dropped = {*internals, "p"} if is_dropout(module) else internals
        own = {key: part for key, part in vars(module).items() if key not in dropped}
        lines.append(f"{name}: {fingerprint(type(module))} {fingerprint(own)}")
    trained = {key for key, parameter in part.named_parameters() if parameter.requires_grad}
    for name, tensor in part.state_dict().items():
        lines.append(f"{name}: {tuple(tensor.shape)} {tensor.dtype} {name in trained}")
    return "\n".join(lines)


def is_plain_mlp(module: nn.Module) -> bool:
    """Whether a module is an MLP as it was made: all of it trained, and nothing replaced."""
    if type(module) is not MLP:
        return False
    layers = (*module.hidden, module.output)
    parts = (module, *module._modules.values(), *module.hidden, *module.activations)
    parameters = [parameter for layer in layers for parameter in layer._parameters.values()]
    return (
        all(type(layer) is nn.Linear for layer in layers)
        and type(module.dropout) is nn.Dropout
        # A weight and a bias for each layer, none of them shared, and nothing besides.
        and len({id(parameter) for parameter in parameters}) == 2 * len(layers)
        and [*map(type, module.activations)] == [nn.ReLU] * len(module.hidden)
        and module._modules.keys() == {"hidden", "activations", "dropout", "output"}
        and not module._parameters
        and not any(layer._modules for layer in layers)
        and all(parameter is not None and parameter.requires_grad for parameter in parameters)
        and not any("forward" in vars(part) or _is_hooked(part) for part in parts)
    )


def has_hooks(part: nn.Module) -> bool:
    """Whether anybody is called when a module is, or when its gradient is known."""
    return any(map(_is_hooked, part.modules()))


def _is_hooked(part: nn.Module) -> bool:
    """Whether anybody is called when a module, but not one in it, is, or when its gradient is."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    parameters = (parameter for parameter in part._parameters.values() if parameter is not None)
    return any(vars(part)[name] for name in hooks) or any(
        parameter._backward_hooks or parameter._post_accumulate_grad_hooks
        for parameter in parameters
    )


class DropoutMasks:
    """Masks for the dropout of a stack, all drawn at once, each from a stream of its own.

    What a module drops depends on its key and on the step alone. A number is kept if its 16 random
    bits are at most a threshold: p is met to 1 / 131072, and the scale of what is kept makes up for
    the rest, so that the mean of the masks is exactly 1.

    Parameters
    ----------
    keys : Tensor of shape (n_modules,), int64
        Of the stream of each module.
    p : Tensor of shape (n_modules, n_calls)
        How much each call of dropout in a step drops.
    dtype : torch.dtype
        Of the masks.
    """

    def __init__(self, keys: Tensor, p: Tensor, dtype: torch.dtype) -> None:
        self.keys = self.epoch_keys = keys
        self.device = keys.device
        # To allocate it for each draw would take as long as to fill it.
        self.room = keys.new_empty(2, 0)
        kept = ((1 - p.double()) * 2**16).round().clamp(1, 2**16 - 1)
        kept = torch.where(p > 0, kept, 2**16)
        # Random bits are signed: the least are -(2**15).
        self.most = (kept - 2**15 - 1).to(self.device, torch.int16)
        self.scale = (2**16 / kept).to(self.device, dtype)
        self.made: dict[Any, Any] = {}

    def begin(self, epoch: int) -> None:
        """Begin an epoch: each has streams of its own."""
        self.epoch_keys = words_at(self.keys, 1, first=epoch)[:, 0]

    def draw(self, start: int, stop: int, first: int, n_steps: int, n_numbers: int) -> Tensor:
        """Draw the bits of the steps from `first` on, shape (n_modules, n_steps, n_numbers).

        Those that were drawn before are overwritten.
        """
        n_words = -(-n_numbers // 4)
        shape = stop - start, n_steps * n_words
        if self.room.shape[1] < math.prod(shape):
            self.room = self.keys.new_empty(2, math.prod(shape))
        room = [part[: math.prod(shape)].view(shape) for part in self.room]
        keys = self.epoch_keys[start:stop]
        words = words_at(keys, shape[1], first=first * n_words, room=room)
        return words.view(torch.int16).unflatten(1, (n_steps, 4 * n_words))[..., :n_numbers]

    def make(self, start: int, bits: Tensor, shapes: Sequence[tuple[int, ...]]) -> Sequence[Tensor]:
        """Turn the bits of a step of modules from `start` on into a mask for each call.

        The masks of the step before are overwritten.
        """
        key = start, len(bits), *shapes
        if key not in self.made:
            here = slice(start, start + len(bits))
            sizes = torch.tensor([math.prod(shape) for shape in shapes], device=self.device)
            each = [x[here].repeat_interleave(sizes, 1) for x in (self.most, self.scale)]
            mask = torch.empty_like(each[1])
            parts = mask.split(sizes.tolist(), 1)
            calls = [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]
            self.made[key] = *each, mask, calls
        most, scale, mask, calls = self.made[key]
        # Straight into floats is three times faster than by way of bools.
        torch.le(bits, most, out=mask)
        mask.mul_(scale)
        return calls


class _Stack:
    """The parameters, gradients and buffers of modules of one shape, stacked."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules
        self.named = named = [dict(module.named_parameters()) for module in modules]
        self.params = {
            name: torch.stack([params[name].detach() for params in named]) for name in named[0]
        }
        self.trained = [name for name, param in named[0].items() if param.requires_grad]
        self.grads = {name: torch.zeros_like(self.params[name]) for name in self.trained}
        held = [dict(module.named_buffers()) for module in modules]
        self.buffers = {name: torch.stack([buffers[name] for buffers in held]) for name in held[0]}
        # The module's own, in the order of `tensors`.
        self.own = [
            [*(params[name] for name in named[0]), *(buffers[name] for name in held[0])]
            for params, buffers in zip(named, held, strict=True)
        ]

    def tensors(self) -> list[Tensor]:
        """List all that the stack learns."""
        return [*self.params.values(), *self.buffers.values()]

    def write_back(self, places: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Give modules what they have learned, out of what :meth:`tensors` lists."""
        rows = [tensor.unbind() for tensor in tensors]
        own = [tensor for i in places for tensor in self.own[i]]
        if own:  # Not all have learned something, nor has every module something to learn.
            with torch.no_grad():
                torch._foreach_copy_(own, [each[i] for i in places for each in rows])

    def sum_weights(self) -> Tensor:
        """Sum the trained parameters of each module: one that is not finite makes its sum so."""
        sums = [self.params[name].reshape(len(self.modules), -1).sum(1) for name in self.trained]
        return torch.stack(sums).sum(0) if sums else torch.zeros(len(self.modules))

    def is_finite(self, i: int) -> bool:
        """Whether the trained parameters of a module are finite."""
        return all(bool(self.params[name][i].isfinite().all()) for name in self.trained)


class StackedMLP(_Stack):
    """A stack of :class:`MLP`, with the gradient of the loss written out."""

    def __init__(self, modules: Sequence[MLP], loss: WrittenLoss) -> None:
        super().__init__(modules)
        self.loss = loss
        n_hidden = len(modules[0].hidden)
        self.layers = layers = [*(f"hidden.{i}" for i in range(n_hidden)), "output"]
        # In memory the short side is the first: the gradient of the first layer of a table is
        # computed three times faster then. What an optimizer holds is laid out likewise.
        for tensors, name in itertools.product((self.params, self.grads), layers):
            weight = tensors[f"{name}.weight"]
            if weight.shape[2] < weight.shape[1]:
                tensors[f"{name}.weight"] = weight.mT.contiguous().mT
        self.weights = [self.params[f"{layer}.weight"] for layer in layers]
        # (n_modules, 1, width): a row for all rows of a minibatch.
        self.biases = [self.params[f"{layer}.bias"].unsqueeze(1) for layer in layers]
        self.weight_grads = [self.grads[f"{layer}.weight"] for layer in layers]
        self.bias_grads = [self.grads[f"{layer}.bias"] for layer in layers]
        self.p_dropout = torch.tensor([[module.dropout.p] * n_hidden for module in modules])
        self.views: dict[tuple[int, int], list[Layer]] = {}

    def mask_shapes(self, X: Tensor) -> list[tuple[int, int]]:
        """Tell the shapes of the masks that a minibatch of each module needs."""
        return [(X.shape[1], weight.shape[1]) for weight in self.weights[:-1]]

    def predict(self, X: Tensor) -> Tensor:
        """Compute the outputs of all modules in evaluation mode, each for rows of its own."""
        X = X if X.ndim == 3 else X.flatten(2)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            X = torch.baddbmm(bias, X.relu() if i else X, weight.mT)
        return X

    def backward(self, start: int, stop: int, X: Tensor, targets: Any, masks: Masks) -> Tensor:
        """Compute the losses and gradients of modules `start` to `stop`.

        X has shape (n_modules, batch_size, ...), and the targets are stacked likewise.
        """
        if (start, stop) not in self.views:
            stacked = self.weights, self.biases, self.weight_grads, self.bias_grads
            views = ([part[start:stop] for part in parts] for parts in stacked)
            self.views[start, stop] = view_layers(*views)
        X = X if X.ndim == 3 else X.flatten(2)
        with torch.no_grad():
            layers = self.views[start, stop]
            return mlp_backward(X, self.loss, self.loss.cut(targets.rows), masks, layers)


def view_layers(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    weight_grads: Sequence[Tensor],
    bias_grads: Sequence[Tensor],
) -> list[Layer]:
    """Make the views of layers that `mlp_backward` takes, so that no step has to."""
    layers = []
    for weight, bias, weight_grad, bias_grad in zip(
        weights, biases, weight_grads, bias_grads, strict=True
    ):
        # Else its transpose is: torch.compile takes no other for `out`.
        straight = weight_grad.is_contiguous()
        grad = weight_grad if straight else weight_grad.mT
        layers.append((weight, weight.mT, bias, straight, grad, bias_grad))
    return layers


def mlp_backward(
    X: Tensor,
    loss: WrittenLoss,
    targets: Sequence[Tensor],
    masks: Masks,
    layers: Sequence[Layer],
) -> Tensor:
    """Write the gradients of a loss; return the losses.

    All are those of one module, X of shape (batch_size, n_features), or have modules along a first
    axis. The targets are cut as the loss cuts them.
    """
    one = X.ndim == 2
    add_product, product = (torch.addmm, torch.mm) if one else (torch.baddbmm, torch.bmm)
    inputs = [X]
    last = len(layers) - 1
    for i, (_, turned, bias, *_) in enumerate(layers):
        X = add_product(bias, X, turned)
        if i < last:
            X = X.relu_()
            if masks:
                X = X.mul_(masks[i])
            inputs.append(X)
    losses, grad = loss.backward(X, *targets)
    for i in range(last, -1, -1):
        weight, _, _, straight, weight_grad, bias_grad = layers[i]
        if straight:
            product(grad.mT, inputs[i], out=weight_grad)
        else:
            product(inputs[i].mT, grad, out=weight_grad)
        torch.sum(grad, -2, out=bias_grad)
        if i:
            grad = product(grad, weight)
            if masks:
                grad = grad.mul_(masks[i - 1])
            # What ReLU let through and dropout kept is above zero.
            grad = _threshold_backward(grad, inputs[i], 0)
    return losses


class _GivenMasks(nn.Module):
    """A layer of dropout that takes its masks from outside, one for each call."""

    p = 0.5  # A module may look whether a layer drops anything.

    def __init__(self, source: StackedModules) -> None:
        super().__init__()
        self.source = [source]  # In a list, or it would be taken for a part.

    def forward(self, X: Tensor) -> Tensor:
        """Drop what the next mask says."""
        return X * next(self.source[0].masks)


class StackedModules(_Stack):
    """A stack of any modules that ``torch.func.vmap`` takes, with any loss.

    ``loss(output, targets)`` is that of one module, shape (). `mix_at` are the layers that mix what
    they put out, of minibatches which are to be mixed inside. A module that draws random numbers
    otherwise than in a layer of dropout raises RuntimeError.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        loss: Callable[[Any, Any], Tensor],
        X: Rows,
        mix_at: Sequence[str] = (),
    ) -> None:
        super().__init__(modules)
        self.loss = loss
        self.mix_at = mix_at
        if any(has_hooks(module) for module in modules):
            raise ValueError("a module with hooks")
        # Its own numbers are never used.
        self.template = copy.deepcopy(modules[0]).train()
        if not all(layer.training for layer in self.template.modules()):
            raise ValueError("a module with a layer that train() leaves in evaluation mode")
        self.plain = copy.deepcopy(self.template).to("meta")
        for name, layer in list(self.plain.named_modules()):
            if is_dropout(layer):
                if layer.inplace:
                    raise ValueError("a layer of dropout with inplace=True")
                layer.p = _GivenMasks.p  # It is called, whether the first net drops or not.
                parent, _, child = name.rpartition(".")
                setattr(self.template.get_submodule(parent), child, _GivenMasks(self))
        self.evaluated: nn.Module | None = None
        self.masks: Iterator[Tensor] = iter(())
        self.calls: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
        layers = [name for name, _ in self._trace(X)]
        self.p_dropout = torch.tensor(
            [[module.get_submodule(name).p for name in layers] for module in modules]
        )

    def _trace(self, X: Rows) -> list[tuple[str, tuple[int, ...]]]:
        """Find the calls of dropout in a step, X stacked, with the shapes of their masks."""
        X = map_tensors(lambda part: part[0].to("meta"), X)
        calls = []

        def note(name: str, layer: nn.Module, args: tuple[Tensor]) -> None:
            shape = tuple(args[0].shape)
            if type(layer) is not nn.Dropout:  # whole channels
                if len(shape) != _CHANNELWISE[type(layer)]:
                    raise RuntimeError(f"{type(layer).__name__} is applied to shape {shape}")
                shape = shape[:2] + (1,) * (len(shape) - 2)
            calls.append((name, shape))

        handles = [
            self.plain.get_submodule(name).register_forward_pre_hook(functools.partial(note, name))
            for name, layer in self.plain.named_modules()
            if is_dropout(layer)
        ]
        before = describe(self.plain)
        try:
            with torch.no_grad(), isolated_rng(0, "cpu"):
                states = host_random_states()
                apply(self.plain, X)
                if host_random_states() != states:
                    raise ValueError("a module that draws random numbers on the host")
        finally:
            for handle in handles:
                handle.remove()
        if describe(self.plain) != before:
            raise ValueError("a module whose forward changes its attributes")
        return calls

    def mask_shapes(self, X: Rows) -> list[tuple[int, ...]]:
        """Tell the shapes of the masks that a minibatch of each module needs."""
        if not self.p_dropout.shape[1]:
            return []
        X = X.rows if isinstance(X, Inside) else X
        key = str([part.shape[1:] for part in (X.values() if isinstance(X, Mapping) else [X])])
        if key not in self.calls:
            self.calls[key] = self._trace(X)
        return [shape for _, shape in self.calls[key]]

    def backward(self, start: int, stop: int, X: Rows, targets: Any, masks: Masks) -> Tensor:
        """Compute the losses and gradients of modules `start` to `stop`.

        X has shape (n_modules, batch_size, ...), and the targets are stacked likewise.
        """
        params = {name: stacked[start:stop].detach() for name, stacked in self.params.items()}
        for name in self.trained:
            params[name].requires_grad_()
        buffers = {name: stacked[start:stop] for name, stacked in self.buffers.items()}
        losses = vmap(self._loss_of_one, randomness="error")(
            params, buffers, X, targets, list(masks)
        )
        grads = torch.autograd.grad(losses.sum(), [params[name] for name in self.trained])
        torch._foreach_copy_([self.grads[name][start:stop] for name in self.trained], list(grads))
        return losses.detach()

    def predict(self, X: Rows) -> Any:
        """Compute the outputs of all modules in evaluation mode, each for rows of its own."""
        if self.evaluated is None:
            self.evaluated = copy.deepcopy(self.modules[0]).eval()  # Its own numbers are not used.
        template = self.evaluated
        return vmap(lambda X, *state: apply(template, X, state))(X, self.params, self.buffers)

    def _loss_of_one(
        self, params: Any, buffers: Any, X: Rows, targets: Any, masks: Sequence[Tensor]
    ) -> Tensor:
        """Compute the loss of one module; vmap calls it with all of them at once."""
        self.masks = iter(masks or itertools.repeat(torch.ones(())))
        state = params, buffers
        if not isinstance(X, Inside):
            return self.loss(apply(self.template, X, state), targets)
        with mixing_inside(self.template, self.mix_at, X) as rows:
            return self.loss(apply(self.template, rows, state), targets)


def host_random_states() -> str:
    """Write down the states of the host's global generators."""
    return fingerprint((torch.get_rng_state(), np.random.get_state(), random.getstate()))  # noqa: NPY002


def apply(module: nn.Module, X: Rows, state: Any = None) -> Any:
    """Call a module, as skorch does: the entries of a dict are its arguments."""
    args, kwargs = ((), dict(X)) if isinstance(X, Mapping) else ((X,), {})
    return (
        module(*args, **kwargs) if state is None else functional_call(module, state, args, kwargs)
    )
