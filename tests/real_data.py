"""Real data for tests: files as they were published, which not every machine has."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA_HOME = Path(os.environ.get("SKLEARN_MIXUP_DATA") or _BESIDE)


def find_or_skip(file: str) -> Path:
    """Find a file or folder of the data home; skip the test without it."""
    if not (DATA_HOME / file).exists():
        pytest.skip(f"no {DATA_HOME / file}: set SKLEARN_MIXUP_DATA to where the data is")
    return DATA_HOME / file
