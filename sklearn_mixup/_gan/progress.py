"""How far the training of a GAN is, told in one line."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

from sklearn_mixup._net.history import last_epoch
from sklearn_mixup.callbacks import QuietLog

LONG_S = 120.0  # A fit that takes longer says how long.
_FORMAT = "{percentage:3.0f}%|{bar:6}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"


class GANLog(QuietLog):
    """A bar with the time left and both losses at ``verbose=1``; from 2 on skorch's rows.

    In a terminal or a notebook the line is written anew after each epoch; where output goes to a
    file there is a line for each tenth of the training.
    """

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Note where the training starts."""
        self.n_before_, self.n_tenths_, self.n_first_, self.has_warned_ = net.n_iter_, 0, 0, False

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the line of an epoch, or skorch's row."""
        if net.verbose != 1 or self.sink is not print:
            super().on_epoch_end(net, **kwargs)
            return
        from tqdm import tqdm

        n_done, n_iter = net.n_iter_ - self.n_before_, net._training_.n_iter
        now = time.perf_counter()
        if not self.n_first_:  # Until here torch has loaded what it loads once.
            self.n_first_, self.start_ = n_done, now
        elapsed = now - self.start_
        if elapsed >= 1 and not self.has_warned_:
            self.has_warned_ = True
            if (total := elapsed / (n_done - self.n_first_) * n_iter) > LONG_S:
                print(
                    f"This will take about {total / 60:.0f} minutes on {net.device}: {n_iter} "
                    "iterations. Fewer (`max_iter`), smaller networks or a GPU take less."
                )
        losses = ", ".join(
            f"{part} {last_epoch(net)[part + '_loss']:.3f}"
            for part in ("discriminator", "generator")
        )
        is_live = _is_live()
        line = tqdm.format_meter(
            n_done,
            n_iter,
            elapsed,
            ncols=shutil.get_terminal_size().columns if is_live else None,
            initial=self.n_first_,
            bar_format=_FORMAT,
            postfix=f"losses: {losses}",
        )
        if is_live:
            print(f"\r{line}", end="", flush=True)
        elif (n_tenths := 10 * n_done // n_iter) > self.n_tenths_:
            self.n_tenths_ = n_tenths
            print(line, flush=True)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """End the line."""
        if net.verbose == 1 and self.sink is print and _is_live():
            print()


def _is_live() -> bool:
    """Whether a line that is written again stands in place of the one before."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
