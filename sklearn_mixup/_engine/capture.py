"""Steps that a GPU takes without waiting for Python: recorded once as a graph, then replayed.

The host launches a step kernel by kernel, which for small nets takes longer than to compute it. A
CUDA graph [1]_ launches all of them at once. A recorded step has to earn trust: its first replays
are set beside the same steps taken eagerly from the same state, and where they differ, or recording
fails, the steps go on being taken eagerly.

References
----------
.. [1] Ng et al., "Accelerating PyTorch with CUDA Graphs", PyTorch blog, 2021.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup.minibatches import Rows, list_tensors, map_tensors

# Steps that are taken eagerly and replayed too, to compare them: the first may leave something
# behind that only the second would miss.
_N_COMPARED = 2
# A step off by this share of what it changed is another one: rounding in another order is less.
_TOLERANCE = 1e-3
# Fewer steps than this are sooner taken than recorded.
FEWEST = 32

_one_records = threading.Lock()
_logger = logging.getLogger("sklearn_mixup")


def _record_cuda(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record a step as a CUDA graph; return what replays it."""
    with torch.cuda.device(device):
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        rng = torch.cuda.default_generators[torch.cuda.current_device()]
        state = rng.graphsafe_get_state()
        rng.graphsafe_set_state(rng.clone_state())  # A failure leaves it in the middle of a graph.
        # Other threads may go on with their own work meanwhile.
        recording = torch.cuda.graph(graph, capture_error_mode="thread_local")
        try:
            with _one_records, _no_garbage(), recording:
                step()
        except BaseException:
            torch.cuda.set_stream(stream)
            rng.graphsafe_set_state(state)
            raise
    return graph.replay


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Let nothing be freed on a device by the garbage collector, which would end a recording."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# What records a step, on each kind of device that has such a thing.
_Recorder = Callable[[Callable[[], None], torch.device], Callable[[], None]]
RECORDERS: dict[str, _Recorder] = {"cuda": _record_cuda}


class RepeatedStep:
    """A step that is taken many times, and replayed where the device can and does it right.

    Parameters
    ----------
    step : callable
        ``step()`` takes a step. It reads and writes tensors that stay where they are, and reads
        nothing back from the device.
    list_state : callable
        ``list_state()`` lists the tensors that a step changes.
    device : torch.device
        Where they live.
    records : bool, default=True
        Whether to try to record it.
    describe_host : callable, default=None
        ``describe_host()`` tells of what the host holds and a step may have to do with: a step that
        changes it would not do so when it is replayed.

    Attributes
    ----------
    why_eager : str or None
        Why the steps are not replayed, None as long as nothing speaks against it.
    is_trusted : bool
        Whether the recorded step was found to do what the step does.
    """

    def __init__(
        self,
        step: Callable[[], None],
        list_state: Callable[[], Sequence[Tensor]],
        device: torch.device,
        *,
        records: bool = True,
        describe_host: Callable[[], Any] | None = None,
    ) -> None:
        self.list_state = list_state
        self.describe_host = describe_host or (lambda: None)
        self.device = device
        self.why_eager: str | None = None
        self.is_trusted = False
        self._step = self._take_one = step
        self._replay: Callable[[], None] | None = None
        self._n_to_compare = _N_COMPARED if records else 0

    def close(self) -> None:
        """Let go of what was recorded, and of its memory, which waits for no garbage collector."""
        self._replay, self._take_one, self._n_to_compare = None, self._step, 0

    def take(self, n_steps: int) -> None:
        """Take so many steps."""
        while n_steps and self._n_to_compare:
            self._n_to_compare -= 1
            n_steps -= 1
            self._compare_one()
        take_one = self._take_one
        for _ in range(n_steps):
            take_one()

    def _compare_one(self) -> None:
        """Take a step eagerly, and once more from where it began by replaying it."""
        state = self.list_state()
        before, random_before = _copy(state), _random_state(self.device)
        host_before = self.describe_host()
        self._step()
        eager, random_after = _copy(state), _random_state(self.device)
        why = None
        if self.describe_host() != host_before:
            why = "a step changes something that the host keeps"
        else:
            _restore(state, before)
            _set_random_state(self.device, random_before)
            try:
                self._replay = self._replay or RECORDERS[self.device.type](self._step, self.device)
                self._replay()
                if not _agree(state, eager, before):
                    why = "a recorded step did not do what the same step does"
            except Exception as error:
                why = f"recording a step failed: {type(error).__name__}: {error}"
        if why is None:
            if self._replay is not None and self._n_to_compare == 0:
                self._take_one, self.is_trusted = self._replay, True
            return
        self.why_eager, self._replay, self._n_to_compare = why, None, 0
        _logger.info("Steps are taken one by one, not replayed: %s.", why)
        _restore(state, eager)
        _set_random_state(self.device, random_after)


def _copy(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def _restore(tensors: Sequence[Tensor], copies: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, kept in zip(tensors, copies, strict=True):
            tensor.copy_(kept)


def _random_state(device: torch.device) -> Tensor:
    """Note the state of the generator that layers such as dropout draw from."""
    on_cuda = device.type == "cuda"
    return torch.cuda.get_rng_state(device) if on_cuda else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _agree(found: Sequence[Tensor], expected: Sequence[Tensor], before: Sequence[Tensor]) -> bool:
    """Whether steps led to the same numbers, up to rounding; reads one number from the device."""
    verdicts = []
    for one, other, start in zip(found, expected, before, strict=True):
        if not other.is_floating_point():
            verdicts.append((one == other).all())
            continue
        one, other, start = (part.detach().double() for part in (one, other, start))
        rounded = torch.finfo(torch.float32).eps * other.norm()
        off = (one - other).norm()
        verdicts.append(off <= _TOLERANCE * (other - start).norm() + rounded)
    return bool(torch.stack(verdicts).all()) if verdicts else True


def _form(rows: Rows) -> Any:
    """Tell what tensors there are of a step, and how they are nested."""
    if isinstance(rows, Mapping):
        return {name: _form(part) for name, part in rows.items()}
    if isinstance(rows, tuple | list):
        return type(rows), *map(_form, rows)
    return rows.shape[2:], rows.dtype


class ChunkedSteps:
    """Steps on the rows of a chunk, which is copied into tensors that stay where they are.

    A step finds its place in the chunk by a counter that lives on the device.

    Parameters
    ----------
    step : callable
        ``step(stop, chosen)`` takes a step of the nets up to `stop` and returns their losses, of
        shape (stop,). ``chosen`` is what was loaded, without the axis of the steps.
    list_state : callable
        ``list_state()`` lists the tensors that a step changes.
    losses : Tensor of shape (n_steps, n_modules)
        Room for the losses of the longest chunk.
    describe_host : callable, default=None
        As for :class:`RepeatedStep`.
    """

    def __init__(
        self,
        step: Callable[[int, Any], Tensor],
        list_state: Callable[[], Sequence[Tensor]],
        losses: Tensor,
        describe_host: Callable[[], Any] | None = None,
    ) -> None:
        self.step = step
        self.describe_host = describe_host
        self.list_state = list_state
        self.losses = losses
        self.place = torch.zeros(1, dtype=torch.int64, device=losses.device)
        self.n_taken = 0
        self.chunk: Any = None
        self.form: Any = None
        self.repeated: dict[int, RepeatedStep] = {}

    @property
    def why_eager(self) -> str | None:
        """Why some of the steps are not replayed, None as long as all may be."""
        return next((why for step in self.repeated.values() if (why := step.why_eager)), None)

    def load(self, chunk: Rows) -> None:
        """Copy tensors of shape (n, n_steps, ...); no chunk has more nets than the first."""
        if (form := _form(chunk)) != self.form:  # Targets of epochs that do not mix may be others.
            self.close()
            self.form, self.repeated = form, {}
            self.chunk = map_tensors(self._make_room, chunk)
        for room, part in zip(list_tensors(self.chunk), list_tensors(chunk), strict=True):
            room[: len(part), : part.shape[1]].copy_(part)
        self.place.zero_()
        self.n_taken = 0

    def close(self) -> None:
        """Let go of what was recorded."""
        for step in self.repeated.values():
            step.close()

    def _make_room(self, part: Tensor) -> Tensor:
        return part.new_zeros((len(part), len(self.losses), *part.shape[2:]))

    def take(self, stop: int, n_steps: int, *, n_in_all: int) -> Tensor:
        """Take the next steps of the chunk, of the nets up to `stop`; return their losses.

        Steps are recorded if they are not too few of all that so many nets will take.
        """
        if stop not in self.repeated:
            self.repeated[stop] = RepeatedStep(
                partial(self._take_one, stop),
                lambda: [*self.list_state(), self.place, self.losses],
                self.losses.device,
                records=n_in_all >= FEWEST,
                describe_host=self.describe_host,
            )
        self.repeated[stop].take(n_steps)
        first, self.n_taken = self.n_taken, self.n_taken + n_steps
        return self.losses[first : self.n_taken, :stop].clone()

    def _take_one(self, stop: int) -> None:
        chosen = map_tensors(lambda part: part.index_select(1, self.place).squeeze(1), self.chunk)
        losses = self.step(stop, chosen)
        self.losses[:, :stop].index_copy_(0, self.place, losses.to(self.losses).unsqueeze(0))
        self.place.add_(1)
