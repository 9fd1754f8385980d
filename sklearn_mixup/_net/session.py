"""A training: what it needs while it lasts, how it begins, and how it ends."""

from __future__ import annotations

import dis
import math
import secrets
import threading
from collections.abc import Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from sklearn_mixup._net.epoch import why_closure
from sklearn_mixup._net.last_good import LastGood
from sklearn_mixup._net.precision import check_module, find_half, make_scaler
from sklearn_mixup._streams import Stream
from sklearn_mixup.callbacks import LRDecay, Resume
from sklearn_mixup.minibatches import Minibatches, Rows, peel

# What Minibatches can be told; a net that is told more of its iterator wants a DataLoader.
MINIBATCHES_OPTIONS = {"batch_size", "shuffle", "drop_last", "chunk_bytes", "augment"}


@dataclass
class Data:
    """The data sets of a training, and what of them stays on the device; no other data set does.

    Trainings of the same data share it.
    """

    bases: list[Any] = field(default_factory=list)
    resident: dict[int, tuple[Rows, Rows]] = field(default_factory=dict)
    # The place of each row of these in the order by content.
    ranks: dict[int, np.ndarray] = field(default_factory=dict)

    def holds(self, dataset: Any) -> bool:
        """Whether a data set is one of these."""
        return any(dataset is base for base in self.bases)


@dataclass
class Training:
    """What one call of ``fit`` or ``partial_fit`` needs while it runs, and no longer.

    `begin` makes it, `make_ready` adds what needs the module, `open_epochs` what needs the data.
    Before the first epoch it is complete, and what draws, mixes or computes a loss only reads it.
    How steps are taken is found epoch by epoch: a callback may have changed a part of the net.
    """

    n_epochs: int | None
    # Of the order of rows, of their weights and partners, of where in a row to mix, and of layers.
    shuffle_stream: Stream
    lam_stream: Stream
    partner_stream: Stream
    place_stream: Stream
    layer_stream: Stream
    # Of whatever else is drawn for mixing, as the latent vectors of a GAN.
    vicinal_rng: torch.Generator
    # Of the global generators, while it lasts.
    seed: int
    # Whether the net was made for this training: then it knows nothing before it.
    fresh: bool = False
    # What tells its best epoch, if it looks at rows that it does not train on.
    watch: Any = None
    needs_closure: bool = True
    device: torch.device | None = None
    dtype: torch.dtype | None = None
    # The lower precision that its module computes in, and what scales its loss in float16.
    half: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None
    # Of a fit that goes on: the epochs that it had trained when it was killed.
    n_epochs_done: int = 0
    data: Data = field(default_factory=Data)
    # Epochs that are to come; minibatches of one, None where nobody knows it, as of a stream.
    n_planned: int = 1
    n_minibatches: int | None = None
    # Of a step, about; unknown is many.
    n_flops: float = math.inf
    last_good: LastGood | None = None
    # What takes its steps, where nobody watches them.
    steps: Any = None
    # What goes on when skorch, which swallows it, has ended the training.
    interrupt: KeyboardInterrupt | None = None

    @property
    def streams(self) -> list[Stream]:
        """All streams of draws."""
        mixing = self.lam_stream, self.partner_stream, self.place_stream, self.layer_stream
        return [self.shuffle_stream, *mixing]

    def has_begun(self, net: Any) -> bool:
        """Whether the net has taken a step."""
        return self.last_good is not None and any(any(row["batches"]) for row in net.history)

    def holds(self, x: Any) -> bool:
        """Whether a minibatch is where and what the module takes: most are, and this is cheap."""
        return isinstance(x, Tensor) and x.dtype == self.dtype and x.device == self.device


def count_rows(batch_size: Any, rows: Sized) -> int:
    """Count the rows of a minibatch; -1 means all there are."""
    return len(rows) if batch_size == -1 else int(batch_size)


_MOST = 2**31 - 1


class Seeds:
    """What the trainings of a net are seeded by, one after the other.

    They are those that ``RandomState(start)`` draws, which takes longer to make than all else that
    draws before a first step.

    Parameters
    ----------
    start : int
        What a RandomState is seeded with.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.n_drawn = 0

    def draw(self) -> list[int]:
        """Draw the seeds of the next training."""
        if not hasattr(_of_thread, "rng"):
            _of_thread.rng = np.random.RandomState()
        _of_thread.rng.seed(self.start)
        self.n_drawn += 1
        return _of_thread.rng.randint(_MOST, size=(self.n_drawn, 3))[-1].tolist()


# A generator that is seeded anew for each use.
_of_thread = threading.local()


def draw_seeds(rng: np.random.RandomState | Seeds) -> list[int]:
    """Draw what a training is seeded by: the global generators, the shuffle and the mixing."""
    return rng.draw() if isinstance(rng, Seeds) else rng.randint(_MOST, size=3).tolist()


def seed_of_process(seed: int, rank: int) -> int:
    """Derive the seed of one of the processes that train together; the first keeps it."""
    return seed if rank == 0 else int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])


def rng_of(net: Any, *, restart: bool) -> Any:
    """Get what a net draws its seeds from, by its `random_state`: anew, or going on."""
    if restart or "_rng_" not in vars(net):
        # None means a seed that nobody knows, not the global generator: that is left alone.
        state = secrets.randbits(32) if net.random_state is None else net.random_state
        net._rng_ = Seeds(int(state)) if isinstance(state, Integral) else check_random_state(state)
    return net._rng_


def begin(
    net: Any,
    *,
    restart: bool,
    n_epochs: int | None,
    seeds: Sequence[int] | None = None,
    **needed: Any,
) -> Training:
    """Begin a training: its streams of draws. Then seed the global generators, and `make_ready`.

    Parameters
    ----------
    net : NetEstimator
        It is told its training, which `end` takes from it.
    restart : bool
        Whether it starts anew.
    n_epochs : int or None
        Epochs of the training, where it has an end.
    seeds : list of int, default=None
        What was drawn before. None draws them from the net's `random_state`.
    **needed
        What else the net's kind of training needs.
    """
    rng = rng_of(net, restart=restart)
    drawn = draw_seeds(rng) if seeds is None else list(seeds)
    rank, n_processes = net._processes
    if n_processes > 1:  # without a random_state each would have drawn its own
        from accelerate.utils import broadcast_object_list

        drawn = broadcast_object_list(drawn)
    seed, shuffle_seed, vicinal_seed = drawn
    device = net._place if net._place is not None else "cpu"
    # Two seeds, so that nets that differ in alpha alone see the same shuffles; processes share the
    # shuffle, and mix and drop each for itself.
    vicinal_seed = seed_of_process(vicinal_seed, rank)
    net._training_ = net._training_type(
        n_epochs,
        Stream(shuffle_seed, device),
        *(Stream(vicinal_seed, device, purpose=purpose) for purpose in range(4)),
        torch.Generator(device).manual_seed(vicinal_seed),
        seed=seed,
        fresh=restart,
        **needed,
    )
    return net._training_


def make_ready(net: Any) -> None:
    """Make the parts of a net whose training has begun, and note what its steps need to know."""
    training = net._training_
    if training.fresh:
        net.initialize()
    training.needs_closure = why_closure(net) is not None
    training.device, training.dtype = training.shuffle_stream.device, net._module_dtype()
    check_module(net)
    training.half = find_half(net)
    training.scaler = make_scaler(net, training.half)
    net._prepare()
    if rank := net._processes[0]:
        torch.manual_seed(seed_of_process(torch.initial_seed(), rank))


def open_epochs(net: Any, datasets: Sequence[Any], n_epochs: int) -> list[Any]:
    """Make the minibatches of the data sets to train on and to validate on, which may be None.

    With them the session is complete: skorch has data sets only after ``on_train_begin``.
    """
    training = net._training_
    training.data.bases = [peel(dataset)[0] for dataset in datasets if dataset is not None]
    iterators: list[Any] = [
        None if dataset is None else net.get_iterator(dataset, training=trains)
        for dataset, trains in zip(datasets, (True, False), strict=False)
    ]
    if training.n_epochs_done:
        n_epochs = training.n_epochs - training.n_epochs_done
    training.n_planned = n_epochs
    minibatches = iterators[0]
    with suppress(TypeError):  # A stream has no length, so its fit no known end.
        training.n_minibatches = len(minibatches)
    if isinstance(minibatches, Minibatches):
        training.n_flops = net._flops_of_step(minibatches.X, minibatches.batch_size)
    training.last_good = LastGood()
    if not training.fresh or len(net.history):
        training.last_good.keep(net, len(net.history))
    for _, callback in net.callbacks_:
        if isinstance(callback, Resume):  # All that draws is there by now.
            callback.restore_random_states(net)
    return iterators


def end(net: Any) -> None:
    """End the training of a net, whichever way it went."""
    training, net._training_ = net._training_, None
    if training is not None and training.steps is not None:
        training.steps.close()
    if training is not None and training.scaler is not None:
        vars(net)["_scale_"] = training.scaler.state_dict()
    for _, callback in getattr(net, "callbacks_", ()):
        if isinstance(callback, LRDecay):
            callback.restore()


def is_stop(error: KeyboardInterrupt) -> bool:
    """Whether a callback raised this at the end of an epoch to stop, as ``EarlyStopping`` does.

    Ctrl-C comes out of whatever runs just then, and not out of a statement that raises.
    """
    step: Any = error.__traceback__
    in_hook = False
    while True:
        code = step.tb_frame.f_code
        in_hook = in_hook or code.co_name == "on_epoch_end"
        if step.tb_next is None:
            return in_hook and dis.opname[code.co_code[step.tb_lasti]] == "RAISE_VARARGS"
        step = step.tb_next
