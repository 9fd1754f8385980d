"""One clip of the Speech Commands: whose it is, which part it belongs to, and its wav file."""

from __future__ import annotations

import hashlib
import math
import os
import re
import warnings

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

SAMPLE_RATE = 16_000  # samples a second; a clip has as many

_N_HASHES = 2**27  # of Google's which_set


def speaker_of(name: str) -> str:
    """Find the hash of the speaker in the name of a file."""
    return re.sub("_nohash_.*$", "", name)


def which_set(name: str) -> str:
    """Tell which part a clip belongs to, by a hash of its speaker as in Google's code [1]_.

    All clips of a speaker are in one part: about 10 % are for "validation", 10 % for "testing",
    the others for "training". `name` is that of the file, ``SPEAKER_nohash_N.wav``.

    References
    ----------
    .. [1] The README of the Speech Commands data set v0.01.

    Examples
    --------
    >>> which_set("563aa4e6_nohash_2.wav"), which_set("563aa4e6_nohash_0.wav")
    ('testing', 'testing')
    """
    digest = hashlib.sha1(speaker_of(name).encode(), usedforsecurity=False).hexdigest()
    percent = int(digest, 16) % _N_HASHES * (100 / (_N_HASHES - 1))
    return "validation" if percent < 10 else "testing" if percent < 20 else "training"


def read_clip(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a wav file as one channel of 16-bit samples at 16 kHz, shape (n_samples,), int16.

    Samples of 8, 24 or 32 bits or floats become 16-bit ones, floats beyond [-1, 1] are clipped,
    channels are averaged, and other sampling rates are resampled with a polyphase filter. A file
    that is so already is returned as it is.

    Raises
    ------
    ValueError
        If the file is no wav file, is empty or ends too early, has numbers that are not finite, or
        is compressed; it is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "stereo.wav")
    ...     wavfile.write(path, 16000, np.array([[100, 300], [-5, 5]], dtype=np.int16))
    ...     read_clip(path).tolist()
    [200, 0]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no sound
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
        if not samples.size:
            raise ValueError("it holds no samples")
        if rate < 1:
            raise ValueError(f"its sampling rate is {rate} Hz")
        if not np.isfinite(samples).all():
            raise ValueError("it holds numbers that are not finite")
    except FileNotFoundError:
        raise
    except Exception as error:  # SciPy's are of many kinds: the header may say anything
        raise ValueError(
            f"{os.fspath(path)!r} must be a whole wav file, not compressed; {error}. Delete it, or "
            "get it again."
        ) from error
    amplitudes = _to_amplitudes(samples)
    if amplitudes.ndim == 2:
        amplitudes = amplitudes.mean(axis=1)
    if rate != SAMPLE_RATE:
        common = math.gcd(rate, SAMPLE_RATE)
        amplitudes = resample_poly(amplitudes, SAMPLE_RATE // common, rate // common)
    return np.clip(np.rint(32768 * amplitudes), -32768, 32767).astype(np.int16)


def _to_amplitudes(samples: np.ndarray) -> np.ndarray:
    """Turn samples of any type into float64, whole numbers into [-1, 1)."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    middle = 128 if samples.dtype.kind == "u" else 0
    # SciPy puts the 24 bits of a sample into the upper ones of 32.
    return (samples.astype(np.float64) - middle) / 2.0 ** (8 * samples.dtype.itemsize - 1)
