"""Google's Speech Commands as arrays, from the original folder or from a subset that says so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from benchmarks._data.clips import SAMPLE_RATE, read_clip, speaker_of, which_set
from benchmarks._data.fetching import Archive, PackedFile, Subset
from benchmarks._data.home import DataHome, find_data_home

_TITLE = "Speech Commands v0.01"
_CITATION = "Warden, Speech Commands, 2017, CC BY 4.0"
_N_CLIPS = 64_721

_SUBSET = PackedFile(
    what="The Speech Commands subset",
    file="speech/speech_subset.npz",
    sha256="5d86646e43e5b644ce0776a36bc68e363d5a04c7d91b4a6afa7475ce0b661c84",
    rather="use subset=False for all clips",
)
_SUBSET_NAME = "Speech Commands subset: 1,000 clips, 10 words, 159 speakers"
_SUBSET_SPLITS = {"train": "training", "test": "testing"}
_ARCHIVE = Archive(
    title=_TITLE,
    url="http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
    folder="speech/speech_commands_v0.01",
    # torchaudio's
    known_hash="sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    beside=f", or the packed subset as {_SUBSET.file!r}",
)


def fetch_speech_commands(
    data_home: DataHome = None, download_if_missing: bool = True, *, subset: Subset = "auto"
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
    home = find_data_home(data_home)
    if _SUBSET.is_wanted(subset, home, lambda: _ARCHIVE.is_here(home)):
        return _read_subset(home)
    _ARCHIVE.fetch(home, download_if_missing)
    return read_speech_folder(home / _ARCHIVE.folder)


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
        waveforms[row, : len(clip)] = clip[:SAMPLE_RATE]
    words, target = np.unique([path.parent.name for path in paths], return_inverse=True)
    is_whole = len(paths) == _N_CLIPS and len(words) == 30
    return _bunch(
        waveforms,
        target,
        words,
        n_samples=n_samples,
        files=[f"{path.parent.name}/{path.name}" for path in paths],
        name=_TITLE if is_whole else f"{len(paths):,} clips of {len(words)} words",
        source=str(folder),
    )


def _read_subset(home: Path) -> Bunch:
    """Read the packed subset."""
    arrays = _SUBSET.read(home)
    return _bunch(
        arrays["waveforms"],
        arrays["labels"],
        arrays["label_names"],
        split=[_SUBSET_SPLITS[part] for part in arrays["split"].tolist()],
        n_samples=arrays["n_samples"],
        files=arrays["files"].tolist(),
        name=_SUBSET_NAME,
        source=str(home / _SUBSET.file),
        note="From the test part of v0.02; its split is by speaker, and not Google's.",
    )


def _bunch(
    waveforms: np.ndarray,
    target: np.ndarray,
    words: Sequence[str] | np.ndarray,
    *,
    files: list[str],
    n_samples: np.ndarray,
    name: str,
    source: str,
    note: str = "",
    split: Sequence[str] | None = None,
) -> Bunch:
    """Give the arrays their names and types; speakers, and Google's split, are from the files."""
    names = [file.rpartition("/")[2] for file in files]
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
        speakers=np.array([speaker_of(name) for name in names]),
        split=np.array(split or [which_set(name) for name in names]),
        n_samples=np.asarray(n_samples, dtype=np.int64),
        files=files,
        name=name,
        is_subset=name == _SUBSET_NAME,
        DESCR="\n".join(description).strip(),
    )


def make_tones(n_clips: int = 200, n_words: int = 10, n_speakers: int = 20) -> Bunch:
    """Make tones, a Bunch like :func:`read_speech_folder`'s, for a machine that has no speech.

    They are always the same. Words are pitches, a third of an octave apart; each speaker has a
    pitch a little higher or lower.

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
    return _bunch(
        waveforms.astype(np.int16),
        target,
        [f"tone {word}" for word in range(n_words)],
        n_samples=np.full(n_clips, SAMPLE_RATE),
        files=[f"{speaker:02d}_nohash_{row}.wav" for row, speaker in enumerate(speakers)],
        name=f"{n_clips:,} generated tones (no speech)",
        source="benchmarks._data.speech.make_tones",
    )
