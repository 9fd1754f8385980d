"""Google's Speech Commands as arrays, from the original folder or from a subset that says so."""

from __future__ import annotations

import hashlib
import math
import os
import re
import tarfile
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly
from sklearn.utils import Bunch

from benchmarks._data_home import ENVIRONMENT_VARIABLE, DataHome, find_data_home

SAMPLE_RATE = 16_000  # samples a second; a clip has as many

_TITLE = "Speech Commands v0.01"
_CITATION = "Warden, Speech Commands, 2017, CC BY 4.0"
_URL = "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz"
_SHA256 = "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"  # torchaudio's
_FOLDER = "speech/speech_commands_v0.01"  # below the data home
_N_CLIPS = 64_721

_SUBSET_FILE = "speech/speech_subset.npz"
_SUBSET_SHA256 = "5d86646e43e5b644ce0776a36bc68e363d5a04c7d91b4a6afa7475ce0b661c84"
_SUBSET_NAME = "Speech Commands subset: 1,000 clips, 10 words, 159 speakers"
_SUBSET_SPLITS = {"train": "training", "test": "testing"}

_N_HASHES = 2**27  # of Google's which_set


def fetch_speech_commands(
    data_home: DataHome = None,
    download_if_missing: bool = True,
    *,
    subset: bool | Literal["auto"] = "auto",
) -> Bunch:
    """Load the Speech Commands: which word is spoken in a clip of a second.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``speech/speech_commands_v0.01/WORD/SPEAKER_nohash_N.wav``, the unpacked
        archive, or the packed subset ``speech/speech_subset.npz``. None takes the environment
        variable ``SKLEARN_MIXUP_DATA``, else :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Whether to get the archive (1.4 GB), with pooch, if its folder is not here. The subset is
        never downloaded.
    subset : bool or "auto", default="auto"
        False is all of them, True the packed subset: 100 clips of each of ten words. ``"auto"`` is
        all of them if their folder is here, else the subset if that is here, else all of them,
        downloaded.

    Returns
    -------
    Bunch
        As of :func:`read_speech_folder`. In the subset, ``split`` is one made for it: 704 clips
        are "training", 296 "testing".

    Raises
    ------
    FileNotFoundError
        If the files are not here and are not to be downloaded.
    OSError
        If the download fails.
    ValueError
        If a file is damaged.
    ImportError
        If the archive has to be downloaded and pooch is not installed.

    Examples
    --------
    >>> speech = fetch_speech_commands(download_if_missing=False)  # doctest: +SKIP
    >>> speech.name, speech.waveforms.shape  # doctest: +SKIP
    ('Speech Commands v0.01', (64721, 16000))
    """
    if subset not in (True, False, "auto"):
        raise ValueError(f"`subset` must be True, False or 'auto'; got {subset!r}.")
    home = find_data_home(data_home)
    folder, packed = home / _FOLDER, home / _SUBSET_FILE
    if subset == "auto":
        subset = packed.exists() and not folder.exists()
    if subset:
        return _read_subset(packed)
    if not folder.exists():
        if not download_if_missing:
            raise FileNotFoundError(_how_to_get(folder, "download_if_missing is False"))
        _download(folder)
    return read_speech_folder(folder)


def read_speech_folder(folder: str | os.PathLike[str]) -> Bunch:
    """Load clips from a folder laid out as the Speech Commands are: WORD/SPEAKER_nohash_N.wav.

    Folders whose name starts with an underscore, such as ``_background_noise_``, are left out.

    Parameters
    ----------
    folder : path-like
        Has a folder for each word.

    Returns
    -------
    Bunch
        - ``waveforms``: int16 array of shape (n_clips, 16000), see :func:`read_clip`;
        - ``target``: int64 array of shape (n_clips,), the number of the word;
        - ``target_names``: list of str, the words in alphabetical order;
        - ``speakers``: array of str, shape (n_clips,), the hash in the name of the file;
        - ``split``: array of str, shape (n_clips,): "training", "validation" or "testing", see
          :func:`which_set`;
        - ``n_samples``: int64 array of shape (n_clips,), at 16 kHz, before padding or cropping;
        - ``files``: list of str, WORD/FILE;
        - ``name``, ``DESCR``: str; ``is_subset``: bool, whether it is the packed subset.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no clip in it.
    ValueError
        If a file cannot be read; it is named.
    """
    folder = Path(folder)
    paths = sorted(
        path
        for path in folder.glob("*/*")
        if path.suffix.lower() == ".wav" and path.parent.name[0] not in "_." and path.name[0] != "."
    )
    if not paths:
        raise FileNotFoundError(
            f"{str(folder)!r} must have clips as WORD/SPEAKER_nohash_N.wav; found none."
        )
    waveforms = np.zeros((len(paths), SAMPLE_RATE), dtype=np.int16)
    n_samples = np.zeros(len(paths), dtype=np.int64)
    for row, path in enumerate(paths):
        clip = read_clip(path)
        n_samples[row] = len(clip)
        clip = clip[:SAMPLE_RATE]
        waveforms[row, : len(clip)] = clip
    words, target = np.unique([path.parent.name for path in paths], return_inverse=True)
    is_whole = len(paths) == _N_CLIPS and len(words) == 30
    return _bunch(
        waveforms,
        target,
        words,
        speakers=[_speaker(path.name) for path in paths],
        split=[which_set(path.name) for path in paths],
        n_samples=n_samples,
        files=[f"{path.parent.name}/{path.name}" for path in paths],
        name=_TITLE if is_whole else f"{len(paths):,} clips of {len(words)} words",
        source=str(folder),
    )


# -- one file -------------------------------------------------------------------------------------


def _speaker(name: str) -> str:
    """Find the hash of the speaker in the name of a file."""
    return re.sub("_nohash_.*$", "", name)


def which_set(name: str) -> str:
    """Tell which part a clip belongs to, by a hash of its speaker as in Google's code [1]_.

    All clips of a speaker are in one part: about 10 % are for validation, 10 % for testing.

    Parameters
    ----------
    name : str
        Name of the file, ``SPEAKER_nohash_N.wav``.

    Returns
    -------
    {"training", "validation", "testing"}

    References
    ----------
    .. [1] The README of the Speech Commands data set v0.01.

    Examples
    --------
    >>> which_set("563aa4e6_nohash_2.wav"), which_set("563aa4e6_nohash_0.wav")
    ('testing', 'testing')
    """
    digest = hashlib.sha1(_speaker(name).encode(), usedforsecurity=False).hexdigest()
    percent = int(digest, 16) % _N_HASHES * (100 / (_N_HASHES - 1))
    return "validation" if percent < 10 else "testing" if percent < 20 else "training"


def read_clip(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a wav file as one channel of 16-bit samples at 16 kHz.

    Samples of 8, 24 or 32 bits or floats become 16-bit ones, floats beyond [-1, 1] are clipped,
    channels are averaged, and other sampling rates are resampled with a polyphase filter. A file
    that is so already is returned as it is.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ndarray of shape (n_samples,), int16

    Raises
    ------
    ValueError
        If the file is no wav file, is empty or ends too early, has numbers that are not finite, or
        is compressed; it is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "stereo.wav"
    ...     wavfile.write(path, 16000, np.array([[100, 300], [-5, 5]], dtype=np.int16))
    ...     read_clip(path).tolist()
    [200, 0]
    """
    with _named(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no sound
        warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
        rate, samples = wavfile.read(path)
        if not samples.size:
            raise ValueError("it holds no samples")
        if rate < 1:
            raise ValueError(f"its sampling rate is {rate} Hz")
        if not np.isfinite(samples).all():
            raise ValueError("it holds numbers that are not finite")
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


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in what goes wrong while it is read."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # SciPy's are of many kinds: the header may say anything
        raise ValueError(
            f"{os.fspath(path)!r} must be a whole wav file, not compressed; {error}. Delete it, or "
            "get it again."
        ) from error


# -- where they are from --------------------------------------------------------------------------


def _how_to_get(folder: Path, reason: str) -> str:
    """Say what is wanted, where it goes and where it is from."""
    return (
        f"{_TITLE} needs the folder {str(folder)!r}: not found, and {reason}. Unpack {_URL} there, "
        f"or let `data_home` or the environment variable {ENVIRONMENT_VARIABLE} name a folder that "
        f"has it as {_FOLDER!r}, or the packed subset as {_SUBSET_FILE!r}."
    )


def _download(folder: Path) -> None:
    """Put the folder in its place, whole or not at all."""
    try:
        import pooch
    except ImportError as error:
        reason = 'pooch is not installed (pip install "sklearn_mixup[benchmarks]")'
        raise ImportError(_how_to_get(folder, reason)) from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = pooch.retrieve(_URL, known_hash=f"sha256:{_SHA256}", path=scratch)
            unpacked = Path(scratch) / "unpacked"
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
            os.replace(unpacked, folder)
    except (OSError, ValueError, tarfile.TarError) as error:  # the second: another hash
        reason = f"the download failed ({error})"
        raise OSError(_how_to_get(folder, reason)) from error


def _read_subset(path: Path) -> Bunch:
    """Read the packed subset."""
    if not path.exists():
        raise FileNotFoundError(
            f"The Speech Commands subset needs {str(path)!r}: not found, and it is never "
            f"downloaded. Let `data_home` or the environment variable {ENVIRONMENT_VARIABLE} name "
            f"a folder that has it as {_SUBSET_FILE!r}, or use subset=False for all clips."
        )
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != _SUBSET_SHA256:
        raise ValueError(
            f"{str(path)!r} is damaged: expected the SHA-256 checksum {_SUBSET_SHA256}, found "
            f"{sha256}. Copy it again, or use subset=False for all clips."
        )
    with np.load(BytesIO(content)) as arrays:
        return _bunch(
            arrays["waveforms"],
            arrays["labels"],
            arrays["label_names"],
            speakers=arrays["speakers"],
            split=[_SUBSET_SPLITS[part] for part in arrays["split"].tolist()],
            n_samples=arrays["n_samples"],
            files=arrays["files"].tolist(),
            name=_SUBSET_NAME,
            source=str(path),
            note="From the test part of v0.02; its split is by speaker, and not Google's.",
        )


def _bunch(
    waveforms: np.ndarray,
    target: np.ndarray,
    words: Sequence[str],
    *,
    speakers: Any,
    split: Any,
    n_samples: np.ndarray,
    files: list[str],
    name: str,
    source: str,
    note: str = "",
) -> Bunch:
    """Give the arrays their names and types."""
    description = (
        f"{name}; {_CITATION}.",
        f"Source: {source}.",
        f"{len(waveforms)} clips of a second at {SAMPLE_RATE} Hz; shorter ones are padded with "
        "zeros, of longer ones the first second is kept.",
        note,
    )
    return Bunch(
        waveforms=waveforms,
        target=np.asarray(target, dtype=np.int64),
        target_names=[str(word) for word in words],
        speakers=np.asarray(speakers, dtype=str),
        split=np.asarray(split, dtype=str),
        n_samples=np.asarray(n_samples, dtype=np.int64),
        files=files,
        name=name,
        is_subset=name == _SUBSET_NAME,
        DESCR="\n".join(description).strip(),
    )


def make_tones(n_clips: int = 200, n_words: int = 10, n_speakers: int = 20) -> Bunch:
    """Make tones of different pitch, for a machine that has no speech; always the same.

    Parameters
    ----------
    n_clips : int, default=200
        Number of clips.
    n_words : int, default=10
        Number of classes: pitches, a third of an octave apart.
    n_speakers : int, default=20
        Each has a pitch a little higher or lower.

    Returns
    -------
    Bunch
        As of :func:`read_speech_folder`.

    Examples
    --------
    >>> make_tones(n_clips=4).waveforms.shape
    (4, 16000)
    """
    rng = np.random.default_rng(0)
    target, speakers = rng.integers(n_words, size=n_clips), rng.integers(n_speakers, size=n_clips)
    pitch = 200 * 2 ** (target / 3 + rng.normal(scale=0.02, size=n_speakers)[speakers])  # Hz
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * (pitch[:, None] * time + rng.random((n_clips, 1)))
    waveforms = 3000 * np.sin(phase) + rng.normal(scale=500, size=phase.shape)
    names = [f"{speaker:02d}_nohash_{row}.wav" for row, speaker in enumerate(speakers)]
    return _bunch(
        waveforms.astype(np.int16),
        target,
        [f"tone {word}" for word in range(n_words)],
        speakers=[_speaker(name) for name in names],
        split=[which_set(name) for name in names],
        n_samples=np.full(n_clips, SAMPLE_RATE),
        files=names,
        name=f"{n_clips:,} generated tones (no speech)",
        source="benchmarks._speech_sets.make_tones",
    )
