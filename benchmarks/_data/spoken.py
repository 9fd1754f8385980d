"""Spoken clips for a run: which there are, and how they are split by speaker."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import Bunch

from benchmarks._data.speech import fetch_speech_commands, make_tones

PARTS = ("training", "validation", "testing")
HELD_OUT = 0.15  # share of the speakers in each of the last two, where they are drawn at random


@dataclass(frozen=True)
class Source:
    """Where clips come from."""

    data: str  # "speech_commands", or "tones", for a machine that has nothing else
    data_home: str | None = None
    whole: bool = False  # all of the Speech Commands, even where there is the subset
    n_clips: int | None = None  # take so many only, evenly spaced


@functools.cache
def load_speech(source: Source) -> Bunch:
    """Load clips that are on this machine, once in each process, or raise OSError.

    The Bunch is as of `read_speech_folder`, and has ``has_parts``: whether ``split`` is that of
    the whole data, to be used.
    """
    n_clips = source.n_clips
    if source.data == "tones":
        speech = make_tones()
    else:
        try:
            speech = fetch_speech_commands(source.data_home, False, subset=not source.whole)
        except FileNotFoundError:
            speech = fetch_speech_commands(source.data_home, False, subset=False)
    speech.has_parts = source.data != "tones" and not speech.is_subset and n_clips is None
    if n_clips is not None and n_clips < len(speech.target):
        chosen = np.linspace(0, len(speech.target) - 1, n_clips).astype(int)
        for name in ("waveforms", "target", "speakers"):
            speech[name] = speech[name][chosen]
        speech.name += f", {n_clips:,} clips of them"
    return speech


def split_clips(speech: Bunch, seed: int) -> dict[str, np.ndarray]:
    """Split clips of `load_speech` by speaker: the rows of each part, in ascending order.

    If it has parts, they are taken, whatever the seed. Else 15 % of the speakers are drawn for
    validation and 15 % for testing.
    """
    if speech.has_parts:
        rows = {part: np.flatnonzero(speech.split == part) for part in PARTS}
    else:
        groups = speech.speakers
        held_out = GroupShuffleSplit(1, test_size=2 * HELD_OUT, random_state=seed)
        training, others = next(held_out.split(groups, groups=groups))
        halves = GroupShuffleSplit(1, test_size=0.5, random_state=seed)
        validation, testing = next(halves.split(others, groups=groups[others]))
        parts = (training, others[validation], others[testing])
        rows = {part: np.sort(row) for part, row in zip(PARTS, parts, strict=True)}
    if empty := [part for part, row in rows.items() if not len(row)]:
        raise ValueError(
            f"Each part must have clips; of {speech.name} none are for {' and '.join(empty)}."
        )
    return rows
