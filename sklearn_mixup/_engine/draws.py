"""What the nets of a stack draw for an epoch: their rows, the partners of these, and lam.

Each net has streams of its own and draws what it would alone; all of them draw in one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup._streams import draw_words, sort_words
from sklearn_mixup.minibatches import repeat_lam
from sklearn_mixup.vicinal import draw_lam, draw_partner

# Rows of all nets that are paired and weighed at once: it bounds the memory.
_ROWS_AT_ONCE = 2**20


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
        # What nets that draw together have of fixed numbers, on the device.
        self.places: dict[Sequence[int], Tensor] = {}
        self.alphas: dict[Sequence[float], Tensor] = {}
        self.orders: dict[Sequence[int], Tensor] = {}

    def draw(self, alive: Sequence[int]) -> None:
        """Draw the next epoch of the nets `alive`; the others keep what they have."""
        for members in self._alike(alive, "shuffle", "n_rows"):
            self._draw_visits(members)
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
        for members in self._alike(mixed, "n_visits", "joins"):
            self._draw_mixing(members, self.lam)

    def _alike(self, places: Sequence[int], *names: str) -> Iterator[tuple[int, ...]]:
        """Put together the nets whose minibatches, and ways to draw lam, are alike."""
        kinds: dict[Any, list[int]] = {}
        for i in places:
            lane = self.lanes[i]
            of_rows = [getattr(lane.minibatches, name) for name in names]
            kinds.setdefault((lane.n_visits, lane.net.lam_per, *of_rows), []).append(i)
        return map(tuple, kinds.values())

    def _put(self, table: Tensor, members: tuple[int, ...], start: int, rows: Tensor) -> None:
        """Copy what was drawn for some visits of some nets, from visit `start` on."""
        if members not in self.places:
            self.places[members] = torch.tensor(members, device=self.device)
        stop = start + rows.shape[1]
        table[:, start:stop].index_copy_(0, self.places[members], rows)

    def _draw_visits(self, members: tuple[int, ...]) -> None:
        each = [self.lanes[i].minibatches for i in members]
        n_rows, n_visits = each[0].n_rows, self.lanes[members[0]].n_visits
        if members not in self.orders:
            self.orders[members] = torch.stack([rows.order for rows in each])
        visits = self.orders[members]
        if each[0].shuffle:
            words = draw_words([rows.rng for rows in each], n_rows)
            visits = visits.gather(1, sort_words(words))
        self._put(self.visits, members, 0, visits[:, :n_visits])

    def _draw_mixing(self, members: tuple[int, ...], lam: Tensor) -> None:
        nets = [self.lanes[i].net for i in members]
        minibatches = self.lanes[members[0]].minibatches
        alphas = tuple(net.alpha for net in nets)
        if alphas not in self.alphas:
            self.alphas[alphas] = lam.new_tensor(alphas).unsqueeze(1)
        for start, stop in minibatches.runs_of(_ROWS_AT_ONCE // len(members)):
            n_rows = stop - start
            batch_size = minibatches.rows_of(n_rows)
            streams = [net._training_.partner_stream for net in nets]
            partner = draw_partner(streams, n_rows, batch_size=batch_size)
            here = torch.arange(n_rows, device=self.device)
            self._put(self.distance, members, start, partner - here)
            is_shared = nets[0].lam_per != "sample"
            n_lams = -(-n_rows // batch_size) if is_shared else n_rows
            streams = [net._training_.lam_stream for net in nets]
            drawn = draw_lam(streams, n_lams, self.alphas[alphas])
            if is_shared:
                drawn = repeat_lam(drawn, n_rows, batch_size=batch_size)
            self._put(lam, members, start, drawn)
