"""Spectrograms of waveforms, many at once, on any device, as a torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

N_BINS = 160

_WINDOW = 320  # samples: 20 ms
_HOP = 160  # samples: 10 ms
# Added to the variance of a spectrogram: nothing beside that of a sound, and silence stays 0.
_EPS = 1e-8


class Spectrograms(nn.Module):
    """Turn waveforms of 16 kHz into normalised spectrograms, 160 frequencies x 101 frames [1]_.

    The magnitudes of a short-time Fourier transform with a Hamming window of 20 ms every 10 ms, as
    ``log(1 + magnitude)``, less the mean of the clip and over its standard deviation. It has no
    parameters, so it can be the first layer of a network, which is then mixed on waveforms.

    **Shape**: input (batch_size, n_samples), amplitudes in [-1, 1], 161 samples or more; output
    (batch_size, 1, 160, ``1 + n_samples // 160``): 16,000 samples make 101 frames.

    Notes
    -----
    The paper has 160 frequencies and does not say how. A window of 320 samples has 161, 50 Hz
    apart, from 0 to 8 kHz: the last one, which is half the sampling rate and so the least of use,
    is left out. The window, the step, the logarithm and the normalisation by clip are those of a
    widely used network for this data [2]_. A frame lies in the middle of its window: the ends are
    mirrored. A clip of nothing but zeros gives zeros.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.3.
    .. [2] Adi, "ConvNets for Speech Commands Recognition", github.com/adiyoss/GCommandsPytorch,
       2017.

    Examples
    --------
    >>> tone = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(16000))  # 1 kHz
    >>> spectrogram = Spectrograms()(tone[None])
    >>> spectrogram.shape, int(spectrogram[0, 0, :, 50].argmax())  # 20 x 50 Hz
    (torch.Size([1, 1, 160, 101]), 20)
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hamming_window(_WINDOW), persistent=False)

    def forward(self, X: Tensor) -> Tensor:
        """Return the spectrograms, shape (batch_size, 1, 160, n_frames)."""
        transform = torch.stft(X, _WINDOW, hop_length=_HOP, window=self.window, return_complex=True)
        S = transform[:, None, :N_BINS].abs().log1p()
        return layer_norm(S, S.shape[1:], eps=_EPS)


def to_waveforms(samples: Tensor) -> Tensor:
    """Turn 16-bit samples into amplitudes in [-1, 1), float32.

    >>> to_waveforms(torch.tensor([-32768, 0, 16384], dtype=torch.int16)).tolist()
    [-1.0, 0.0, 0.5]
    """
    return samples.to(torch.float32) / 32768


@torch.no_grad()
def compute_spectrograms(samples: Tensor, *, device: str = "cpu", batch_size: int = 512) -> Tensor:
    """Compute the spectrograms of clips of 16 kHz on a device, where they stay.

    It takes `batch_size` clips at a time, so that memory holds little else.

    Examples
    --------
    >>> compute_spectrograms(torch.zeros(3, 16000, dtype=torch.int16), batch_size=2).shape
    torch.Size([3, 1, 160, 101])
    """
    transform = Spectrograms().to(device)
    n_clips, n_samples = samples.shape
    found = torch.empty(n_clips, 1, N_BINS, 1 + n_samples // _HOP, device=device)
    for part, place in zip(samples.split(batch_size), found.split(batch_size), strict=True):
        place.copy_(transform(to_waveforms(part.to(device))))
    return found
