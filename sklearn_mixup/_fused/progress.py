"""The progress of many nets that are trained as chunks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from skorch.dataset import get_len


class Progress:
    """A progress bar over the minibatches of all nets; `jobs` are these, each with its X."""

    def __init__(self, jobs: Sequence[tuple[Any, Any]], n_chunks: int, verbose: int) -> None:
        self.n_chunks, self.n_done = n_chunks, 0
        self.told: Counter[int] = Counter()
        self.stopped = False
        self.n_running, self.settled = 0, threading.Condition()
        self.bar: Any = None
        if verbose:
            from tqdm import tqdm

            self.expected = [_guess_minibatches(net, X) for net, X in jobs]
            self.bar = tqdm(
                total=sum(self.expected),
                desc=f"{len(jobs)} nets",
                unit=" minibatches",
                unit_scale=True,
                postfix=f"0/{n_chunks} chunks",
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: Any, *error: object) -> None:
        self.stopped = True
        if kind is KeyboardInterrupt:
            # Other threads end with their next minibatches; a net that trains alone takes longer.
            with self.settled:
                self.settled.wait_for(lambda: self.n_running == 0, timeout=10)
        if self.bar is not None:
            self.bar.close()

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count the calls of a function that have not ended, in all threads."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.settled:
                self.n_running += 1
            try:
                return function(*args, **kwargs)
            finally:
                with self.settled:
                    self.n_running -= 1
                    self.settled.notify_all()

        return run

    def advance(self, chunk: int, n_minibatches: int) -> None:
        """Count minibatches that a chunk was trained on, told as it goes."""
        if self.stopped:  # in another thread, where nobody waits for this one any more
            raise KeyboardInterrupt
        if self.bar is not None:
            self.told[chunk] += n_minibatches
            self.bar.update(n_minibatches)

    def finish(self, chunk: Sequence[int], outcomes: Sequence[tuple[Any, ...]]) -> None:
        """Count a chunk, and set right what was guessed of it or not told."""
        if self.bar is None:
            return
        nets = [result for result, *_ in outcomes if not isinstance(result, Exception)]
        done = sum(epoch.get("train_batch_count", 0) for net in nets for epoch in net.history)
        self.n_done += 1
        self.bar.total += done - sum(self.expected[i] for i in chunk)
        self.bar.set_postfix_str(f"{self.n_done}/{self.n_chunks} chunks", refresh=False)
        self.bar.update(done - self.told[chunk[0]])
        self.bar.refresh()


def _guess_minibatches(net: Any, X: Any) -> int:
    """Tell about how many minibatches the fit of a net has."""
    try:
        n_rows = get_len(X)
        return net.max_epochs * -(-n_rows // (n_rows if net.batch_size == -1 else net.batch_size))
    except Exception:  # Its own fit will say what is wrong.
        return 0
