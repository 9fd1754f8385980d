"""What one net or the nets of a stack draw for an epoch, and what is mixed by it.

Each net has streams of its own and draws what it would alone; all of them draw in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sklearn_mixup._net.mix_at import Inside
from sklearn_mixup._net.targets import find_starts, mix_targets
from sklearn_mixup._net.vicinity import (
    check_mixed,
    check_partner,
    find_pairs,
    find_vicinity,
    mixes_inside,
    needs_place,
    only_reading,
    pair_key,
    read_targets,
)
from sklearn_mixup._streams import Stream, draw_words, uniform
from sklearn_mixup.minibatches import Rows, draw_passes, map_tensors
from sklearn_mixup.vicinal import draw_lam, draw_partner

# Rows of all nets that are paired and weighed at once: it bounds the memory.
_ROWS_AT_ONCE = 2**20


class Mixing(NamedTuple):
    """What mixes the rows of consecutive minibatches: an entry for each row, along the last axis.

    What no net needs is None.
    """

    lam: Tensor
    # Of rows that are paired at random.
    partner: Tensor
    # Random bits, of rows that are paired by what they hold.
    words: Tensor | None
    # Two numbers uniform on [0, 1), along the first axis, which rows that share lam have in common.
    place: Tensor | None
    # The place in `mix_at` of the layer that mixes.
    layer: Tensor | None


def draw_lam_of_rows(nets: Sequence[Any], n_rows: int, batch_size: int) -> Tensor:
    """Draw the weights of the rows of consecutive minibatches, shape (n_nets, n_rows).

    The nets have one `lam_per`. One that is there several times goes on, as to its next epoch.
    """
    streams, alphas = _streams(nets, "lam"), [net.alpha for net in nets]
    lam = draw_lam(streams, _count_lams(nets[0], n_rows, batch_size), alphas)
    return _spread(lam, n_rows, batch_size)


def draw_mixing(nets: Sequence[Any], n_rows: int, batch_size: int) -> Mixing:
    """Draw for the rows of consecutive minibatches of nets that draw alike: (n_nets, n_rows)."""
    net = nets[0]
    lam, words, place, layer = draw_lam_of_rows(nets, n_rows, batch_size), None, None, None
    streams = _streams(nets, "partner")
    if find_pairs(net) is None:
        partner = draw_partner(streams, n_rows, batch_size=batch_size)
    else:
        words = draw_words(streams, n_rows)
        partner = torch.zeros_like(words)
    if needs_place(net):
        n_places = _count_lams(net, n_rows, batch_size)
        drawn = uniform(draw_words(_streams(nets, "place"), 2 * n_places))
        place = _spread(drawn.unflatten(1, (n_places, 2)).movedim(2, 0), n_rows, batch_size)
    if mixes_inside(net):
        drawn = uniform(draw_words(_streams(nets, "layer"), -(-n_rows // batch_size)))
        layer = _spread((drawn * len(net.mix_at)).long(), n_rows, batch_size)
    return Mixing(lam, partner, words, place, layer)


def _streams(nets: Sequence[Any], purpose: str) -> list[Stream]:
    """Get a stream of each net."""
    return [getattr(net._training_, f"{purpose}_stream") for net in nets]


def _count_lams(net: Any, n_rows: int, batch_size: int) -> int:
    """Count the weights of the rows of consecutive minibatches."""
    return n_rows if net.lam_per == "sample" else -(-n_rows // batch_size)


def _spread(drawn: Tensor, n_rows: int, batch_size: int) -> Tensor:
    """Give each row what its minibatch has drawn, along the last axis."""
    if drawn.shape[-1] == n_rows:
        return drawn
    return drawn.repeat_interleave(min(batch_size, n_rows), -1)[..., :n_rows]


def draw_epochs(net: Any, n_rows: int, batch_size: int, n_epochs: int = 1) -> Mixing:
    """Draw for the rows of the next epochs of a net, one after the other."""
    mixing = draw_mixing([net] * n_epochs, n_rows, batch_size)
    partner = mixing.partner
    if n_epochs > 1:
        partner = partner + n_rows * torch.arange(n_epochs, device=partner.device).unsqueeze(1)
    return _flatten(mixing._replace(partner=partner))


def _flatten(mixing: Mixing) -> Mixing:
    """Put rows of nets or of epochs one after the other."""
    return _map_mixing(lambda part: part.flatten(-2), mixing)


def _map_mixing(function: Callable[[Tensor], Tensor], mixing: Mixing) -> Mixing:
    """Apply a function to all that was drawn."""
    parts: list[Any] = [None if part is None else function(part) for part in mixing]
    return Mixing(*parts)


# -- what is drawn, applied -----------------------------------------------------------------------


def mix_rows(
    nets: Sequence[Any],
    X: Rows,
    y: Tensor,
    weight: Tensor | None,
    mixing: Mixing | None,
    batch_size: int,
    n_epochs: int = 1,
) -> tuple[Rows, Any]:
    """Mix inputs, targets and weights by one draw; what is neither mixed nor weighed stays.

    The rows are those of each of the nets, as many, one after the other; of one net of several
    epochs. With `erm_weight` each row comes out as it is, followed by its mixture.
    """
    net = nets[0]
    if mixing is None:
        if weight is not None:
            y = mix_targets(net, y, weight, None, batch_size, n_epochs)
        return X, y
    n_blocks = len(nets) * n_epochs
    if mixing.words is not None:
        mixing = _pair(nets, X, y, mixing, batch_size, n_blocks)
    plain, lam, partner, layer = X, mixing.lam, mixing.partner, mixing.layer
    if layer is None:
        X, lam = _mix_inputs(nets, X, mixing)
    if net.erm_weight > 0:
        batch_size *= 2
        X = map_tensors(_alternate, plain, X)
        y = y.repeat_interleave(2, 0)
        weight = _alternate(*_share(nets, weight, lam))
        lam = _alternate(torch.ones_like(lam), lam)
        partner = _alternate(2 * partner, 2 * partner + 1)
        layer = None if layer is None else layer.repeat_interleave(2)
    if layer is not None:
        starts = find_starts(partner, batch_size, n_epochs)
        layers = torch.arange(len(net.mix_at), device=layer.device)
        X = Inside(X, partner - starts, torch.where(layer[:, None] == layers, lam[:, None], 1.0))
    return X, mix_targets(net, y, weight, (lam, partner), batch_size, n_epochs)


def _alternate(rows: Tensor, others: Tensor) -> Tensor:
    """Put each of some rows before the one in its place among others."""
    return torch.stack([rows, others], 1).flatten(0, 1)


def _share(nets: Sequence[Any], weight: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Weigh rows as they are, and their mixtures, by the `erm_weight` of each net."""
    if weight is None:
        weight = torch.ones_like(like, dtype=nets[0]._module_dtype())
    shares = [net.erm_weight for net in nets]
    if len({*shares}) == 1:
        return 2 * shares[0] * weight, 2 * (1 - shares[0]) * weight
    share = weight.new_tensor(shares).repeat_interleave(len(weight) // len(nets))
    return 2 * share * weight, 2 * (1 - share) * weight


def _group(keys: Sequence[Any]) -> list[list[int]]:
    """Put together the places that have one key."""
    kinds: dict[Any, list[int]] = {}
    for i, key in enumerate(keys):
        kinds.setdefault(key, []).append(i)
    return [*kinds.values()]


def _mix_inputs(nets: Sequence[Any], X: Rows, mixing: Mixing) -> tuple[Rows, Tensor]:
    """Mix inputs; tell the weight of each row's own target too."""
    lam, mixed = mixing.lam, X
    for members in _group([net.vicinity for net in nets]):
        net = nets[members[0]]
        mix = find_vicinity(net)
        with only_reading("vicinity", mix, X, mixing.partner, mixing.lam, mixing.place):
            found, own = mix(X, mixing.partner, lam=mixing.lam, place=mixing.place)
        if callable(net.vicinity):
            check_mixed(net.vicinity, X, found, own, mixing.lam)
        if len(members) == len(nets):
            return found, own
        chosen = _rows_of(members, nets, lam)
        lam = torch.where(chosen, own, lam)
        mixed = map_tensors(partial(_choose, chosen), found, mixed)
    return mixed, lam


def _rows_of(members: Sequence[int], nets: Sequence[Any], like: Tensor) -> Tensor:
    """Tell which rows are those of some of the nets."""
    chosen = torch.zeros(len(nets), dtype=torch.bool)
    chosen[[*members]] = True
    return chosen.to(like.device).repeat_interleave(len(like) // len(nets))


def _choose(chosen: Tensor, rows: Tensor, others: Tensor) -> Tensor:
    """Take the rows that are chosen from one tensor, and all the others from another."""
    return torch.where(chosen.view(-1, *[1] * (rows.ndim - 1)), rows, others)


def _pair(
    nets: Sequence[Any], X: Rows, y: Tensor, mixing: Mixing, batch_size: int, n_blocks: int
) -> Mixing:
    """Find the partners of the rows that are paired by what they hold."""
    assert mixing.words is not None
    n_rows = len(mixing.words) // n_blocks
    X, y, chance = map_tensors(
        lambda part: part.unflatten(0, (n_blocks, n_rows)),
        (X, read_targets(nets[0], y), uniform(mixing.words)),
    )
    partner = mixing.partner
    starts = n_rows * torch.arange(n_blocks, device=partner.device).unsqueeze(1)
    for members in _group([pair_key(net) for net in nets]):
        pairs = find_pairs(nets[members[0]])
        if pairs is None:
            continue
        # All blocks, so that nothing is copied where all pair alike, as nearly always.
        found = (_pair_blocks(pairs, X, y, chance, batch_size) + starts).flatten()
        if len(members) < len(nets):
            found = torch.where(_rows_of(members, nets, partner), found, partner)
        partner = found
    return mixing._replace(partner=partner)


def _pair_blocks(
    pairs: Callable[..., Tensor], X: Rows, y: Tensor, uniform: Tensor, batch_size: int
) -> Tensor:
    """Pair the rows of blocks of minibatches, the last of which may be shorter.

    All have shape (n_blocks, n_rows, ...), and so have the partners, which count from the start of
    their block.
    """
    n_blocks, n_rows = uniform.shape
    n_full = n_rows // batch_size * batch_size
    found = []
    for start, stop, size in ((0, n_full, batch_size), (n_full, n_rows, n_rows - n_full)):
        if start == stop:
            continue
        cut = partial(_cut_minibatches, start=start, stop=stop, size=size)
        X_cut, y_cut, uniform_cut = map_tensors(cut, (X, y, uniform))
        with only_reading("pairs", pairs, X_cut, y_cut, uniform_cut):
            chosen = pairs(X_cut, y_cut, uniform_cut)
        partner = check_partner(pairs, chosen, uniform_cut)
        firsts = torch.arange(start, stop, size, device=partner.device).unsqueeze(1)
        found.append((partner.unflatten(0, (n_blocks, -1)) + firsts).flatten(1))
    return torch.cat(found, 1)


def _cut_minibatches(blocks: Tensor, *, start: int, stop: int, size: int) -> Tensor:
    """Cut the rows `start` to `stop` of each block: shape (n_minibatches, size, ...)."""
    return blocks[:, start:stop].unflatten(1, (-1, size)).flatten(0, 1)


# -- an epoch of many nets ------------------------------------------------------------------------


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
    """

    def __init__(self, lanes: Sequence[Any]) -> None:
        self.lanes = lanes
        self.device = lanes[0].y.device
        shape = len(lanes), max(lane.n_visits for lane in lanes)
        self.visits = torch.zeros(shape, dtype=torch.int64, device=self.device)
        # What mixes them; the partner as how many visits later than a row it is.
        self.drawn: Mixing | None = None

    def draw(self, alive: Sequence[int]) -> None:
        """Draw the next epoch of the nets `alive`; the others keep what they have."""
        for members, places in self._alike(alive):
            visits = draw_passes([lane.minibatches for lane in members])
            n_visits = members[0].n_visits
            self.visits[:, :n_visits].index_copy_(0, places, visits[:, :n_visits])
        mixed = [i for i in alive if self.lanes[i].net._mixes_now()]
        self.drawn = self._make_room([self.lanes[i].net for i in mixed]) if mixed else None
        for lane in self.lanes:
            lane.minibatches.n_copies = 1 if not mixed else 1 + (lane.net.erm_weight > 0)
        if self.drawn is None:
            return
        for members, places in self._alike(mixed):
            nets, minibatches = [lane.net for lane in members], members[0].minibatches
            for start, stop in minibatches.runs_of(_ROWS_AT_ONCE // len(members)):
                n_rows = stop - start
                found = draw_mixing(nets, n_rows, minibatches.rows_of(n_rows))
                distance = found.partner - torch.arange(n_rows, device=self.device)
                if found.words is not None:
                    distance.zero_()
                for part, own in zip(self.drawn, found._replace(partner=distance), strict=True):
                    if part is not None and own is not None:
                        part[..., start:stop].index_copy_(-2, places, own)

    def _make_room(self, nets: Sequence[Any]) -> Mixing:
        """Make room for all that some nets draw; rows that nobody mixes keep their own weight."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        lam = torch.ones_like(self.visits, dtype=dtype)
        whole = torch.zeros_like(self.visits)
        return Mixing(
            lam,
            whole,
            whole.clone() if any(find_pairs(net) is not None for net in nets) else None,
            lam.new_zeros(2, *lam.shape) if any(map(needs_place, nets)) else None,
            whole.clone() if any(map(mixes_inside, nets)) else None,
        )

    def mixing(self, start: int, stop: int, first: int, n_rows: int) -> Mixing | None:
        """Get what mixes `n_rows` of each of the nets `start` to `stop`, from visit `first` on."""
        if self.drawn is None:
            return None
        here = ..., slice(start, stop), slice(first, first + n_rows)
        mixing = _flatten(_map_mixing(itemgetter(here), self.drawn))
        partner = torch.arange(n_all := (stop - start) * n_rows, device=self.device)
        # A longer last minibatch, which is not used here, may reach past the full ones of others.
        return mixing._replace(partner=partner.add_(mixing.partner).clamp_(max=n_all - 1))

    def _alike(self, places: Sequence[int]) -> Iterator[tuple[list[Any], Tensor]]:
        """Put together the nets that draw alike, with their places in the stack."""
        keys = []
        for i in places:
            net = self.lanes[i].net
            kind = net.lam_per, find_pairs(net) is None, needs_place(net)
            keys.append((self.lanes[i].minibatches.n_rows, *kind))
        for members in _group(keys):
            chosen = [places[k] for k in members]
            yield [self.lanes[i] for i in chosen], torch.tensor(chosen, device=self.device)
