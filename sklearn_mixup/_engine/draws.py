"""What one net or the nets of a stack draw for an epoch: rows, the partners of these, and lam.

Each net has streams of its own and draws what it would alone; all of them draw in one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup.minibatches import draw_lam_of_rows, draw_passes
from sklearn_mixup.vicinal import draw_partner

# Rows of all nets that are paired and weighed at once: it bounds the memory.
_ROWS_AT_ONCE = 2**20


def draw_mixing(nets: Sequence[Any], n_rows: int, batch_size: int) -> tuple[Tensor, Tensor]:
    """Draw lam and the partners of the rows of consecutive minibatches, each (n_nets, n_rows).

    The nets have one `lam_per`. One that is there several times goes on, as to its next epoch.
    """
    streams = [net._training_.partner_stream for net in nets]
    partner = draw_partner(streams, n_rows, batch_size=batch_size)
    lam = draw_lam_of_rows(
        [net._training_.lam_stream for net in nets],
        n_rows,
        alphas=[net.alpha for net in nets],
        lam_per=nets[0].lam_per,
        batch_size=batch_size,
    )
    return lam, partner


class Draws:
    """The draws of an epoch of many nets.

    Parameters
    ----------
    lanes : list of Lane
        The nets, with their minibatches.

    Attributes
    ----------
    visits : LongTensor of shape (n_modules, n_visits)
        The rows of the epoch. A net with fewer than others has anything after them.
    lam : Tensor of shape (n_modules, n_visits) or None
        Their weights; None if no net mixes in this epoch.
    distance : LongTensor of shape (n_modules, n_visits)
        How many visits later than a row its partner is. Of no use without `lam`.
    """

    def __init__(self, lanes: Sequence[Any]) -> None:
        self.lanes = lanes
        self.device = lanes[0].y.device
        shape = len(lanes), max(lane.n_visits for lane in lanes)
        self.visits = torch.zeros(shape, dtype=torch.int64, device=self.device)
        self.lam: Tensor | None = None
        self.distance = torch.zeros_like(self.visits)

    def draw(self, alive: Sequence[int]) -> None:
        """Draw the next epoch of the nets `alive`; the others keep what they have."""
        for members, places in self._alike(alive):
            visits = draw_passes([lane.minibatches for lane in members])
            n_visits = members[0].n_visits
            self.visits[:, :n_visits].index_copy_(0, places, visits[:, :n_visits])
        mixed = [i for i in alive if self.lanes[i].net._mixes_now()]
        if not mixed:
            self.lam = None
            return
        if self.lam is None:
            dtype = torch.float32 if self.device.type == "mps" else torch.float64
            self.lam = torch.ones_like(self.visits, dtype=dtype)
            self.distance.zero_()
        elif len(mixed) < len(self.lanes):  # Whoever mixed before may not mix now.
            self.lam.fill_(1)
            self.distance.zero_()
        for members, places in self._alike(mixed):
            nets, minibatches = [lane.net for lane in members], members[0].minibatches
            for start, stop in minibatches.runs_of(_ROWS_AT_ONCE // len(members)):
                n_rows = stop - start
                lam, partner = draw_mixing(nets, n_rows, minibatches.rows_of(n_rows))
                partner -= torch.arange(n_rows, device=self.device)
                self.lam[:, start:stop].index_copy_(0, places, lam)
                self.distance[:, start:stop].index_copy_(0, places, partner)

    def _alike(self, places: Sequence[int]) -> Iterator[tuple[list[Any], Tensor]]:
        """Put together the nets that draw alike, with their places in the stack."""
        kinds: dict[Any, list[int]] = {}
        for i in places:
            lane = self.lanes[i]
            kinds.setdefault((lane.minibatches.n_rows, lane.net.lam_per), []).append(i)
        for members in kinds.values():
            yield [self.lanes[i] for i in members], torch.tensor(members, device=self.device)
