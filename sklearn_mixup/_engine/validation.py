"""The losses of the nets of a stack on rows held out, all at once; and the best epoch of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sklearn_mixup._engine.lane import Lane
from sklearn_mixup._net.checks import first_output
from sklearn_mixup._net.losses import written_loss
from sklearn_mixup._net.targets import mix_targets
from sklearn_mixup._net.validation import count_numbers, cut_at_once, loss_of_rows
from sklearn_mixup.minibatches import map_tensors


class StackValidation:
    """What the nets of a stack are validated on, and what each had learned in its best epoch.

    Parameters
    ----------
    lanes : list of Lane
        The nets; each has rows held out.
    stack : StackedMLP or StackedModules
        Their modules.
    """

    def __init__(self, lanes: Sequence[Lane], stack: Any) -> None:
        self.lanes, self.stack = lanes, stack
        self.net = lanes[0].net
        self.held = [lane.held_out for lane in lanes if lane.held_out is not None]
        tables = {id(part.y): part for part in self.held}
        ends = torch.tensor([len(part.y) for part in tables.values()]).cumsum(0).tolist()
        starts = dict(zip(tables, [0, *ends], strict=False))
        self.X = _join([part.X for part in tables.values()])
        # A net with fewer rows than others looks at its first again and again, at no weight.
        self.n_rows = [len(part.y) for part in self.held]
        device = self.held[0].y.device
        places = [torch.arange(n, device=device) for n in self.n_rows]
        offsets = torch.tensor([starts[id(part.y)] for part in self.held], device=device)
        self.places = pad_sequence(places, batch_first=True) + offsets.unsqueeze(1)
        module = lanes[0].net.module_
        n_numbers = len(lanes) * count_numbers(module, self.X)
        self.cuts = [*cut_at_once(max(self.n_rows), n_numbers, lanes[0].batch_size)]
        self.kept_X = self._gather(self.cuts[0]) if len(self.cuts) == 1 else None
        self.loss = written_loss(self.net)
        self.targets: Tensor | None = None
        if self.loss is not None:
            self.targets = pad_sequence(
                [
                    mix_targets(lane.net, *part[1:], None, len(part.y)).rows
                    for lane, part in zip(lanes, self.held, strict=True)
                ],
                batch_first=True,
            )
        # What was learned in the best epoch of each, and what of that all nets share.
        self.best: list[Tensor] = []
        self.shared: dict[int, list[Tensor]] = {}

    def _gather(self, cut: slice) -> Any:
        """Copy the rows of a run, shape (n_modules, n_rows, ...)."""
        places = self.places[:, cut]
        return map_tensors(
            lambda part: part.index_select(0, places.flatten()).unflatten(0, places.shape), self.X
        )

    def measure(self) -> Tensor:
        """Compute the loss of each net on its rows, shape (n_modules,)."""
        criterion = self.net.criterion_
        was_training = criterion.training if isinstance(criterion, nn.Module) else None
        with torch.no_grad():
            if was_training is not None:
                criterion.eval()
            try:
                parts = [self._measure_run(cut) for cut in self.cuts]
            finally:
                if was_training is not None:
                    criterion.train(was_training)
        return torch.stack(parts).sum(0)

    def _measure_run(self, cut: slice) -> Tensor:
        """Compute what a run of rows adds to the loss of each net."""
        X = self._gather(cut) if self.kept_X is None else self.kept_X
        outputs = self.stack.predict(X)
        if self.loss is not None and self.targets is not None:
            outputs = first_output(self.net.module_, outputs)
            return self.loss.value(outputs, self.targets[:, cut])
        losses = []
        for i, (lane, part) in enumerate(zip(self.lanes, self.held, strict=True)):
            own = slice(cut.start, min(cut.stop, self.n_rows[i]))
            n_rows = own.stop - own.start
            if n_rows <= 0:
                losses.append(part.y.new_zeros((), dtype=lane.net._module_dtype()))
                continue
            output = map_tensors(itemgetter((i, slice(n_rows))), outputs)
            weight = None if part.weight is None else part.weight[own]
            loss = loss_of_rows(self.net, output, part.y[own], weight)
            losses.append(loss * (n_rows / self.n_rows[i]))
        return torch.stack(losses)

    def note(self, alive: Sequence[int], losses: Sequence[float], group: Any) -> None:
        """Write the losses of an epoch into the histories; keep what the best have learned."""
        best = [i for i in alive if self.lanes[i].watch.note(self.lanes[i].net.history, losses[i])]
        if best:
            self._keep(best, group)

    def _keep(self, members: Sequence[int], group: Any) -> None:
        """Copy what some nets and their optimizers have learned."""
        tensors = group._tensors()
        starts = [0] * len(self.stack.tensors())
        starts += [o.start for o in group.optimizers for _ in o.tensors()]
        if not self.best:
            self.best = [tensor.clone() for tensor in tensors]
        places: dict[tuple[int, int], Tensor] = {}
        shared = []
        for kept, tensor, start in zip(self.best, tensors, starts, strict=True):
            if tensor.ndim == 0:  # as the number of steps, which an optimizer holds once
                shared.append(tensor.clone())
                continue
            key = start, len(tensor)
            if key not in places:
                own = [i - start for i in members if 0 <= i - start < len(tensor)]
                places[key] = torch.tensor(own, dtype=torch.int64, device=tensor.device)
            kept.index_copy_(0, places[key], tensor.index_select(0, places[key]))
        self.shared.update(dict.fromkeys(members, shared))

    def hand_out(
        self, members: Sequence[int], hand_out: Callable[[Sequence[int], Sequence[Tensor]], None]
    ) -> None:
        """Give nets what they had learned in their best epochs; `hand_out` does so for a stack."""
        for i in members:
            if i in self.shared:
                shared = iter(self.shared[i])
                hand_out([i], [next(shared) if t.ndim == 0 else t for t in self.best])


def _join(Xs: Sequence[Any]) -> Any:
    """Put inputs of several data sets into one table."""
    if len(Xs) == 1:
        return Xs[0]
    if isinstance(Xs[0], Mapping):
        return {name: torch.cat([X[name] for X in Xs]) for name in Xs[0]}
    return torch.cat(list(Xs))
