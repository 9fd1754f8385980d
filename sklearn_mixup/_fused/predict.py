"""Many fitted nets on the same rows, those of one shape in one pass."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sklearn_mixup._engine.stack import describe, fingerprint, has_hooks, is_plain_mlp
from sklearn_mixup._fused.replay import final_step, replace_net
from sklearn_mixup._net.checks import first_output
from sklearn_mixup._net.precision import find_half
from sklearn_mixup._net.prediction import MANY_CLASSES

# What a net is asked about besides its module.
_READ = ("criterion", "predict_nonlinearity", "batch_size", "device", "compile", "precision")
# Threads that predict by modules one by one take turns: each sets their mode, and sets it back.
_MODES = threading.Lock()


class Stacks:
    """The nets of fitted estimators as stacks, which are made anew when the nets are others."""

    def __init__(self) -> None:
        self.signature: list[int] = []
        self.kept: Any = None
        self.groups: list[tuple[list[int], StackedForward]] = []

    def __reduce__(self) -> tuple[type[Stacks], tuple[()]]:
        return Stacks, ()  # A copy makes its own, of the nets that it is copied with.

    def update(self, estimators: Sequence[Any], inputs: Sequence[bytes]) -> None:
        """Stack the nets that one pass can compute.

        Estimators that see the same features of X have the same entry in `inputs`.
        """
        befores = [_steps_before_net(estimator) for estimator in estimators]
        nets = [final_step(estimator) for estimator in estimators]
        modules = [net.module_ for net in nets]
        told = [vars(net).get(name) for net in nets for name in _READ]
        parts, tensors = _list_parts(modules)
        steps = [step for before in befores for step in before]
        # What changes if a part of a module is replaced, but not if its numbers change.
        signature = [
            *map(id, [*steps, *told, *parts, *tensors]),
            *[len(part._forward_hooks) + len(part._forward_pre_hooks) for part in parts],
        ]
        if signature == self.signature:
            return
        places: dict[str, list[int]] = {}
        for i, (before, net, name) in enumerate(zip(befores, nets, inputs, strict=True)):
            settings = {
                key: value
                for key, value in net.get_params(deep=False).items()
                if key in _READ or key.startswith("iterator_valid")
            }
            key = [id(step) for step in before], name, fingerprint(settings), net._targets.meaning
            places.setdefault(f"{key} {describe(net.module_)}", []).append(i)
        self.groups = [
            (members, StackedForward([modules[i] for i in members], find_half(nets[members[0]])))
            for members in places.values()
        ]
        # Their ids stay theirs as long as they are kept.
        self.kept = befores, told, parts, tensors
        self.signature = signature

    def outputs(
        self, estimators: Sequence[Any], take: Callable[[int], Any]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Compute the outputs of all nets; ``take(i)`` are the inputs of estimator ``i``.

        Yields places in `estimators`, and the outputs of these, (n_samples, n_nets, n_outputs).
        """
        for members, stack in self.groups:
            first = estimators[members[0]]
            net, rows = final_step(first), take(members[0])
            if first is not net:
                rows = replace_net(first, "passthrough").transform(rows)
            # The first net checks the rows, and takes them to the modules of all.
            lead = object.__new__(type(net))
            lead.__dict__.update(net.__dict__, module_=stack.restack(), precision=stack.precision)
            yield members, lead._outputs(rows)


def _steps_before_net(estimator: Any) -> list[Any]:
    """List the objects before the net of a Pipeline, which other Pipelines may share."""
    if estimator is final_step(estimator):
        return []
    *before, (_, last) = estimator.steps
    return [*(step for _, step in before), *_steps_before_net(last)]


def _list_parts(modules: Sequence[nn.Module]) -> tuple[list[nn.Module], list[Any]]:
    """List modules and their parts, and the numbers of each."""
    parts: list[nn.Module] = [*modules]
    tensors: list[Any] = []
    for part in parts:  # which grows on the way; named_parameters() takes ten times as long
        tensors += part._parameters.values()
        tensors += part._buffers.values()
        if part._modules:
            parts += [child for child in part._modules.values() if child is not None]
    return parts, tensors


def probabilities(net: Any, outputs: Tensor) -> Tensor:
    """Turn outputs (n_samples, n_nets, n_outputs) into probabilities, as one of the nets does."""
    is_softmax = net.predict_nonlinearity == "auto" and isinstance(
        net.criterion_, nn.CrossEntropyLoss
    )
    if outputs.is_cpu and is_softmax and outputs.shape[2] < MANY_CLASSES:
        # torch is up to ten times faster here with the few classes along the first axis; in double
        # precision, or the place of a row would show in the last bit.
        return outputs.movedim(2, 0).double().contiguous().softmax(0).movedim(0, 2)
    flat = net._get_predict_nonlinearity()(outputs.flatten(0, 1))
    return flat.unflatten(0, outputs.shape[:2])


def numbers(nets: Sequence[Any], outputs: Tensor) -> Tensor:
    """Turn outputs (n_samples, n_nets, n_outputs) into numbers, as each of the nets does."""
    flat = nets[0]._get_predict_nonlinearity()(outputs.flatten(0, 1))
    outputs = torch.as_tensor(flat).unflatten(0, outputs.shape[:2]).cpu().double()
    mean, scale = (
        torch.from_numpy(np.stack([vars(net)[name] for net in nets]))
        for name in ("target_mean_", "target_scale_")
    )
    return outputs * scale + mean


class StackedForward(nn.Module):
    """Modules of one shape, applied to the same rows in one pass.

    **Shape**: input as that of a module; output (batch_size, n_modules, ...), the first output of
    each. Modules that :func:`torch.func.vmap` refuses are called one by one, and those that compute
    in lower precision, which it would round otherwise.
    """

    def __init__(self, modules: Sequence[nn.Module], half: torch.dtype | None = None) -> None:
        super().__init__()
        self.one_by_one = list(modules)  # No parts of this one: most are never called.
        named = [dict(module.named_parameters()) for module in modules]
        held = [dict(module.named_buffers()) for module in modules]
        self.own: dict[str, list[Any]] = {
            name: [params[name] for params in named] for name in named[0]
        }
        self.own_buffers: dict[str, list[Any]] = {
            name: [buffers[name] for buffers in held] for name in held[0]
        }
        self.precision = "float32" if half is None else str(half).removeprefix("torch.")
        self.is_mlp = half is None and all(map(is_plain_mlp, modules))
        self.template: nn.Module | None = None
        if half is None and not self.is_mlp and not any(map(has_hooks, modules)):
            self.template = copy.deepcopy(modules[0])  # Its numbers are never used.

    @property
    def n_modules(self) -> int:
        """How many modules there are."""
        return len(self.one_by_one)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Get the parameters of the modules, as of one net that has them all."""
        return itertools.chain.from_iterable(self.own.values())

    def restack(self) -> StackedForward:
        """Take the numbers that the modules have now."""
        with torch.no_grad():
            self.params = {name: torch.stack(parts) for name, parts in self.own.items()}
            self.held = {name: torch.stack(parts) for name, parts in self.own_buffers.items()}
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the outputs of all modules."""
        if self.is_mlp:
            return self._forward_mlp(*args, **kwargs)
        if self.template is not None:
            try:
                return vmap(self._forward_one, (0, 0, None, None), 1)(
                    self.params, self.held, args, kwargs
                )
            except Exception:
                # vmap refuses it, or its rows are wrong: then it says so itself.
                self.template = None
        with _MODES:
            modes = [(part, part.training) for own in self.one_by_one for part in own.modules()]
            try:
                calls = [
                    (own, own.train(self.training)(*args, **kwargs)) for own in self.one_by_one
                ]
            finally:
                for part, mode in modes:
                    part.training = mode
        return torch.stack([first_output(own, output) for own, output in calls], 1)

    def _forward_mlp(self, X: Tensor) -> Tensor:
        """Apply MLPs: a batched product for each layer.

        Rows are columns here: no slower, and faster for the few classes.
        """
        columns = X.flatten(1).T.expand(len(self.one_by_one), -1, -1)
        # In the order of the layers: weight, bias, weight, bias.
        parts = list(self.params.values())
        for i, (weight, bias) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            columns = columns.relu_() if i else columns
            columns = torch.baddbmm(bias.unsqueeze(2), weight, columns)
        return columns.permute(2, 0, 1)

    def _forward_one(self, params: Any, buffers: Any, args: Any, kwargs: Any) -> Tensor:
        """Apply one module; vmap calls it with all of them at once."""
        assert self.template is not None
        output = functional_call(self.template, (params, buffers), args, kwargs)
        return first_output(self.template, output)
