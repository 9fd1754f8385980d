"""Spectrograms: by hand, of any length, of silence."""

import numpy as np
import torch
from torch.testing import assert_close

from benchmarks._data.speech import make_tones
from benchmarks._nets.spectrograms import Spectrograms, compute_spectrograms


def spectrogram_by_hand(x):
    """Compute frame by frame: window, discrete Fourier transform, logarithm, normalisation."""
    n = np.arange(320)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * n / 320)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(160), n) / 320)  # 0, 50, ..., 7950 Hz
    padded = np.concatenate([x[160:0:-1], x, x[-2:-162:-1]])
    frames = np.stack([padded[start : start + 320] for start in range(0, len(x) + 1, 160)], 1)
    S = np.log1p(abs(waves @ (window[:, None] * frames)))
    return (S - S.mean()) / S.std()


def test_spectrogram_is_the_fourier_transform_by_hand():
    X = np.random.default_rng(0).normal(scale=0.1, size=(3, 16_000))
    ours = Spectrograms().double()(torch.from_numpy(X))
    assert ours.shape == (3, 1, 160, 101)
    assert_close(
        ours[:, 0],
        torch.from_numpy(np.stack([spectrogram_by_hand(x) for x in X])),
        rtol=0,
        atol=1e-5,
    )


def test_spectrogram_of_any_length_has_a_frame_each_ten_milliseconds():
    for n_samples, n_frames in ((161, 2), (8_000, 51), (16_159, 101), (16_160, 102)):
        assert Spectrograms()(torch.zeros(1, n_samples)).shape == (1, 1, 160, n_frames)


def test_silence_is_zeros_and_its_gradient_is_finite():
    X = torch.zeros(2, 16_000)
    X[1] = 0.1 * torch.randn(16_000, generator=torch.manual_seed(0))
    X.requires_grad_()
    S = Spectrograms()(X)
    assert not S[0].any()
    assert_close(S[1].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert_close(S[1].std(unbiased=False), torch.tensor(1.0))
    S.square().sum().backward()
    assert X.grad.isfinite().all()


def test_spectrograms_do_not_depend_on_how_many_are_computed_at_once():
    samples = torch.from_numpy(make_tones(7).waveforms)
    whole = compute_spectrograms(samples)
    assert whole.dtype == torch.float32
    for batch_size in (1, 3):
        assert_close(compute_spectrograms(samples, batch_size=batch_size), whole)
    assert_close(whole, Spectrograms()(samples.float() / 32768))
