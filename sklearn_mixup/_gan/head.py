"""What makes rows of a table of a generator's output: numbers, and blocks of zeros and a one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mixup._gan.classes import apply
from sklearn_mixup._gan.encode import TableCodec


def make_head(gan: Any, device: torch.device) -> Head | None:
    """Make what turns the output of a generator into rows of a table; None for other rows."""
    codec = getattr(gan, "_codec_", None)
    if not isinstance(codec, TableCodec):
        return None
    return Head(codec.n_numbers, codec.blocks, codec.gates, device)


def make_rows(
    generator: nn.Module, head: Head | None, z: Tensor, noise: Tensor, y: Tensor | None
) -> Tensor:
    """Make rows of latent vectors, of noise for what is a word, and of classes if there are any."""
    output = apply(generator, z, y)
    return output if head is None else head(output, noise)


class Head:
    """Draw what is a word from the logits of a generator; leave numbers as they are.

    A word is drawn by Gumbel noise: the share of a word in samples is its probability, so the
    discriminator is shown what sampling gives. The gradient is that of the probabilities
    (straight-through).

    Parameters
    ----------
    n_numbers : int
        How many numbers come first.
    blocks : list of (int, int)
        Where each block of a word starts and stops.
    gates : list of int
        For each number, the column that is 0 where there is none; -1 if there always is one.
    device : torch.device
    """

    temperature = 1.0

    def __init__(
        self,
        n_numbers: int,
        blocks: Sequence[tuple[int, int]],
        gates: Sequence[int],
        device: torch.device,
    ) -> None:
        self.n_numbers = n_numbers
        widths = [stop - start for start, stop in blocks]
        self.n_logits, widest = sum(widths), max(widths, default=0)
        # Blocks of any width are one tensor, filled up by a column that is no word. Rows come last:
        # what is picked then lies in one piece, and a softmax is over many rows at once.
        padded = torch.full((widest, len(blocks)), self.n_logits)
        for i, (start, stop) in enumerate(blocks):
            padded[: stop - start, i] = torch.arange(start - n_numbers, stop - n_numbers)
        self.size, self.padded = padded.shape, padded.flatten().to(device)
        self.places = padded.flatten().argsort(stable=True)[: self.n_logits].to(device)
        # A number that is always there has the column beyond all as its gate: a one.
        places = [gate - n_numbers if gate >= 0 else self.n_logits for gate in gates]
        self.gates = torch.tensor(places, dtype=torch.long, device=device)

    def __call__(self, output: Tensor, noise: Tensor) -> Tensor:
        """Make rows, shape (n_rows, width), of a generator's output of that shape."""
        if not self.n_logits:
            return output
        numbers, logits = output.split([self.n_numbers, self.n_logits], dim=1)
        noisy = ((logits + noise) / self.temperature).T
        noisy = nn.functional.pad(noisy, (0, 0, 0, 1), value=-torch.inf)
        noisy = noisy.index_select(0, self.padded).unflatten(0, self.size)
        drawn = torch.zeros_like(noisy).scatter_(0, noisy.max(0, keepdim=True).indices, 1.0)
        if torch.is_grad_enabled():
            soft = noisy.softmax(0)
            drawn = drawn + (soft - soft.detach())
        drawn = drawn.flatten(0, 1).index_select(0, self.places).T
        return torch.cat([numbers * self._gates_of(drawn), drawn], dim=1)

    def share_words(self, real: Tensor, fake: Tensor, is_real: Tensor) -> tuple[Tensor, Tensor]:
        """Give a row of data and a sample the words of one of the two, before their numbers mix.

        A share of a word is no word, and tells the weight of the mixture to who looks at it. A
        number whose partner is a gap stays as it is.

        Parameters
        ----------
        real, fake : Tensor of shape (n_rows, width)
            Rows of data and samples.
        is_real : Tensor of shape (n_rows,), bool
            Whether the words are those of the row of data.
        """
        if not self.n_logits:
            return real, fake
        of_real, of_fake = (rows[:, self.n_numbers :] for rows in (real, fake))
        words = torch.where(is_real.unsqueeze(1), of_real, of_fake)
        x, s = real[:, : self.n_numbers], fake[:, : self.n_numbers]
        has_x, has_s, gates = map(self._gates_of, (of_real, of_fake, words))
        x, s = torch.where(has_x > 0, x, s) * gates, torch.where(has_s > 0, s, x) * gates
        return torch.cat([x, words], dim=1), torch.cat([s, words], dim=1)

    def _gates_of(self, words: Tensor) -> Tensor:
        """Tell for each number whether there is one, by the words of the rows: 1 or 0."""
        return nn.functional.pad(words, (0, 1), value=1.0).index_select(1, self.gates)


def draw_noise(head: Head | None, z: Tensor, rng: torch.Generator) -> Tensor:
    """Draw Gumbel noise for each logit of a word, shape (n_rows, n_logits)."""
    noise = z.new_empty(len(z), 0 if head is None else head.n_logits)
    # That none is 0 or 1, whose logarithms are infinite, is far below what a float32 tells apart.
    return (
        noise if not noise.numel() else -(-noise.uniform_(generator=rng).clamp_(1e-9).log()).log()
    )


def draw_whose_words(head: Head | None, lam: Tensor, rng: torch.Generator) -> Tensor:
    """Draw whether a mixture has the words of its row of data, with probability lam.

    Shape (n_rows,), bool; none are drawn where there are no words.
    """
    if head is None or not head.n_logits:
        return lam.new_empty(0, dtype=torch.bool)
    return torch.rand(lam.shape, generator=rng, dtype=lam.dtype, device=lam.device) < lam
