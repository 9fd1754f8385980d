"""What one net or the nets of a stack draw for an epoch, and what is mixed by it.

Each net has streams of its own and draws what it would alone; all of them draw in one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sklearn_mixup._net.targets import mix_targets
from sklearn_mixup.minibatches import Rows, draw_passes, map_tensors
from sklearn_mixup.vicinal import draw_lam, draw_partner, mix

# Rows of all nets that are paired and weighed at once: it bounds the memory.
_ROWS_AT_ONCE = 2**20


def draw_lam_of_rows(nets: Sequence[Any], n_rows: int, batch_size: int) -> Tensor:
    """Draw the weights of the rows of consecutive minibatches, shape (n_nets, n_rows).

    The nets have one `lam_per`. One that is there several times goes on, as to its next epoch.
    """
    streams, alphas = [net._training_.lam_stream for net in nets], [net.alpha for net in nets]
    if nets[0].lam_per == "sample":
        return draw_lam(streams, n_rows, alphas)
    lam = draw_lam(streams, -(-n_rows // batch_size), alphas)
    return lam.repeat_interleave(min(batch_size, n_rows), -1)[:, :n_rows]


def draw_mixing(nets: Sequence[Any], n_rows: int, batch_size: int) -> tuple[Tensor, Tensor]:
    """Draw lam and the partners of the rows of consecutive minibatches, each (n_nets, n_rows)."""
    streams = [net._training_.partner_stream for net in nets]
    partner = draw_partner(streams, n_rows, batch_size=batch_size)
    return draw_lam_of_rows(nets, n_rows, batch_size), partner


def mix_rows(
    net: Any,
    X: Rows,
    y: Tensor,
    weight: Tensor | None,
    mixing: tuple[Tensor, Tensor] | None,
    batch_size: int,
    n_epochs: int = 1,
) -> tuple[Rows, Any]:
    """Mix inputs, targets and weights by one draw; what is neither mixed nor weighed stays."""
    if mixing is None and weight is None:
        return X, y
    if mixing is not None:
        lam, partner = mixing
        X = map_tensors(partial(mix, partner=partner, lam=lam), X)
    return X, mix_targets(net, y, weight, mixing, batch_size, n_epochs)


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
        self.lam = None
        if not mixed:
            return
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        lam = self.lam = torch.ones_like(self.visits, dtype=dtype)
        self.distance.zero_()
        for members, places in self._alike(mixed):
            nets, minibatches = [lane.net for lane in members], members[0].minibatches
            for start, stop in minibatches.runs_of(_ROWS_AT_ONCE // len(members)):
                n_rows = stop - start
                drawn, partner = draw_mixing(nets, n_rows, minibatches.rows_of(n_rows))
                partner -= torch.arange(n_rows, device=self.device)
                lam[:, start:stop].index_copy_(0, places, drawn)
                self.distance[:, start:stop].index_copy_(0, places, partner)

    def _alike(self, places: Sequence[int]) -> Iterator[tuple[list[Any], Tensor]]:
        """Put together the nets that draw alike, with their places in the stack."""
        kinds: dict[Any, list[int]] = {}
        for i in places:
            lane = self.lanes[i]
            kinds.setdefault((lane.minibatches.n_rows, lane.net.lam_per), []).append(i)
        for members in kinds.values():
            yield [self.lanes[i] for i in members], torch.tensor(members, device=self.device)
