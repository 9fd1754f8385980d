"""What a training needs while it lasts."""

from __future__ import annotations

import dis
import math
import threading
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mixup._net.last_good import LastGood
from sklearn_mixup.minibatches import Rows

# What Minibatches can be told; a net that is told more of its iterator wants a DataLoader.
MINIBATCHES_OPTIONS = {"batch_size", "shuffle", "drop_last", "chunk_bytes", "augment"}


@dataclass
class Training:
    """What one call of ``fit`` or ``partial_fit`` needs while it runs, and no longer."""

    n_epochs: int | None
    shuffle_rng: torch.Generator
    vicinal_rng: torch.Generator
    # Of the global generators, while it lasts.
    seed: int
    needs_closure: bool = True
    device: torch.device | None = None
    dtype: torch.dtype | None = None
    n_minibatches: int | None = None
    # Of a step, about; unknown is many.
    n_flops: float = math.inf
    # Of a fit that goes on: the epochs that it had trained when it was killed.
    n_epochs_done: int = 0
    # Whether the net was made for this training: then it knows nothing before it.
    fresh: bool = False
    last_good: LastGood | None = None
    # What tells its best epoch, if it looks at rows that it does not train on.
    watch: Any = None
    # What takes its steps, where nobody watches them.
    steps: Any = None
    # What goes on when skorch, which swallows it, has ended the training.
    interrupt: KeyboardInterrupt | None = None
    # The data sets that are trained and validated on stay on the device; no other does.
    bases: list[Any] = field(default_factory=list)
    resident: dict[int, tuple[Rows, Rows]] = field(default_factory=dict)
    # The place of each row of these in the order by content.
    ranks: dict[int, np.ndarray] = field(default_factory=dict)

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


def draw_seeds(random_state: np.random.RandomState) -> list[int]:
    """Draw what a training is seeded by: the global generators, the shuffle and the mixing."""
    return random_state.randint(_MOST, size=3).tolist()


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


def seed_of_process(seed: int, rank: int) -> int:
    """Derive the seed of one of the processes that train together; the first keeps it."""
    return seed if rank == 0 else int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])


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
