"""Random numbers by counter: any of a stream at any time, of many streams in one call.

Word ``i`` of the stream of a key is SplitMix64's [1]_: its finalizer, a bijection of 64 bits, of
``key + (i + 1) * GOLDEN`` modulo 2**64. So a number depends on its key and its place alone, not on
what was drawn before or beside it, and has the same bits on every device.

References
----------
.. [1] Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, Section 5;
   the constants are those of Vigna, https://prng.di.unimi.it/splitmix64.c.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
# Shifts of the finalizer, each with the odd number to multiply by afterwards.
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
# Words of one stream that are computed in one go at least: a few take as long as a thousand.
_AHEAD = 1024
# Words of a row that a CPU sorts sooner alone.
_LONG = 500


def _signed(number: int) -> int:
    """Write a number modulo 2**64 as int64 has it."""
    return (number + 2**63) % 2**64 - 2**63


def _finalize(words: Tensor, shifted: Tensor) -> Tensor:
    """Stir the bits of words of int64, in place; `shifted` is room for as many."""
    for n_bits, factor in ROUNDS:
        torch.bitwise_right_shift(words, n_bits, out=shifted)
        # It shifts in the sign; the mask makes zeros of it.
        words.bitwise_xor_(shifted.bitwise_and_(2 ** (64 - n_bits) - 1))
        if factor > 1:
            words.mul_(_signed(factor))
    return words


def word_at(key: int, place: int) -> int:
    """Compute one word of a stream on the host."""
    word = (key + (place + 1) * GOLDEN) % 2**64
    for n_bits, factor in ROUNDS:
        word = ((word ^ (word >> n_bits)) * factor) % 2**64
    return _signed(word)


def words_at(
    keys: Tensor, n_words: int, *, first: int = 0, room: Sequence[Tensor] | None = None
) -> Tensor:
    """Compute words `first` to ``first + n_words`` of streams, which are along a new last axis.

    `room` is where to put them and a tensor to work with, both of the shape of the words.
    """
    places = torch.arange(first + 1, first + n_words + 1, device=keys.device)
    if room is None:
        room = [keys.new_empty((*keys.shape, n_words)) for _ in range(2)]
    words, shifted = room
    torch.add(keys.unsqueeze(-1), places.mul_(_signed(GOLDEN)), out=words)
    return _finalize(words, shifted)


class Stream:
    """The words of one stream, one after the other.

    Parameters
    ----------
    seed : int
        Streams of other seeds, or of other purposes, have nothing to do with each other.
    device : torch.device or str, default="cpu"
        Where the words are to live.
    purpose : int, default=0
        What they are for.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu", *, purpose: int = 0) -> None:
        # Stirred twice: keys near each other would have words in common.
        self.key = word_at(word_at(seed, 0), purpose)
        self.device = torch.device(device)
        self.place = 0
        # Words from `first` on that have been computed.
        self._first, self._ahead = 0, torch.empty(0, dtype=torch.int64, device=self.device)

    def get_state(self) -> int:
        """Tell how many words have been taken."""
        return self.place

    def set_state(self, place: int) -> None:
        """Go on after so many words."""
        self.place = place

    def take(self, n_words: int) -> int:
        """Take the next words; return the key of a stream that begins with them."""
        key = _signed(self.key + self.place * GOLDEN)
        self.place += int(n_words)  # NumPy's whole numbers would overflow
        return key

    def draw(self, n_words: int) -> Tensor:
        """Draw the next words, shape (n_words,), which are not to be written to."""
        start = self.place - self._first
        if not 0 <= start <= len(self._ahead) - n_words:
            self._first, start = self.place, 0
            key = torch.tensor(self.key, device=self.device)
            self._ahead = words_at(key, max(n_words, _AHEAD), first=self.place)
        self.place += int(n_words)
        return self._ahead[start : start + n_words]


def draw_words(streams: Sequence[Stream], n_words: int) -> Tensor:
    """Draw the next words of each of some streams, shape (n_streams, n_words)."""
    if len(streams) == 1:
        return streams[0].draw(n_words).unsqueeze(0)
    keys = torch.tensor([stream.take(n_words) for stream in streams], device=streams[0].device)
    return words_at(keys, n_words)


def sort_words(words: Tensor) -> Tensor:
    """Tell in which order the words of each row are sorted: a random permutation of the row.

    Shape (n_rows, n_words), as the words have.
    """
    if words.device.type == "cpu" and words.shape[1] >= _LONG:
        # torch sorts one row by radix, many by comparing.
        return torch.stack([row.argsort() for row in words])
    return words.argsort(-1)


def uniform(words: Tensor) -> Tensor:
    """Turn words into numbers uniform on [0, 1), in float64 where the device has that."""
    dtype, n_bits = (torch.float32, 24) if words.device.type == "mps" else (torch.float64, 53)
    # The upper bits as a whole number >= 0, which the dtype holds exactly.
    whole = torch.bitwise_right_shift(words, 64 - n_bits).bitwise_and_(2**n_bits - 1)
    return whole.to(dtype).mul_(2.0**-n_bits)
