"""How files get to their place: from an archive, which pooch downloads, or from a packed file.

All is checked against published checksums. A file that is not here, and cannot be got, is an error
that says which one is wanted, where it goes and where it is from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from benchmarks._data.home import HOME_HAS

Subset = bool | Literal["auto"]


@dataclass(frozen=True)
class Archive:
    """An archive as published, and what is wanted of it; or a file that is published as it is."""

    title: str  # of the data set
    url: str  # ends in the name of the archive
    folder: str  # where it is unpacked, below the data home
    files: tuple[str, ...] = ()  # what is wanted, in `folder`; if empty, all of it, as `folder`
    # "md5:..." or "sha256:...". None where archives are packed anew now and then: then whoever
    # reads the files has to check them.
    known_hash: str | None = None
    beside: str = ""  # what else will do; ends the sentence that says where the files may be

    def missing(self, home: Path) -> list[Path]:
        """List the paths that are not there."""
        place = home / self.folder
        paths = [place / file for file in self.files] or [place]
        return [path for path in paths if not path.exists()]

    def packed(self, home: Path) -> Path:
        """Tell where the archive is looked for before it is downloaded."""
        return home / self.folder / self.url.rpartition("/")[2]

    @property
    def is_plain(self) -> bool:
        """Whether what is published is the file that is wanted."""
        return self.files == (self.url.rpartition("/")[2],)

    def is_here(self, home: Path) -> bool:
        """Whether all can be had without a network."""
        return not self.missing(home) or self.packed(home).exists()

    def fetch(self, home: Path, download_if_missing: bool) -> None:
        """Put each missing path in its place, whole or not at all; errors are the loaders'."""
        missing, packed = self.missing(home), self.packed(home)
        if not missing:
            return
        if packed.exists():
            algorithm, _, expected = (self.known_hash or "").partition(":")
            if algorithm:
                check_file(packed, algorithm, expected, self.url)
        elif not download_if_missing:
            reason = "download_if_missing is False"
            raise FileNotFoundError(self._how_to_get(home, missing, reason))
        place = home / self.folder
        folder = place if self.files else place.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                archive = packed if packed.exists() else self._download(scratch)
                if self.is_plain:
                    os.replace(archive, missing[0])
                    return
                unpacked = Path(scratch) / "unpacked"
                # Zip archives know no links or owners, which are what the filter is for.
                kind: Any = {"filter": "data"} if tarfile.is_tarfile(archive) else {}
                shutil.unpack_archive(archive, unpacked, **kind)
                for path in missing:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(_find(path.name, unpacked) if self.files else unpacked, path)
        except ImportError as error:
            reason = "pooch is not installed (pip install pooch)"
            raise ImportError(self._how_to_get(home, missing, reason)) from error
        except (OSError, ValueError, tarfile.TarError, BadZipFile) as error:
            response = getattr(error, "response", None)
            if response is not None:
                response.close()  # requests leaves the answer open whose status is an error
            # ValueError: another checksum.
            reason = f"the {'archive' if packed.exists() else 'download'} failed ({error})"
            raise OSError(self._how_to_get(home, missing, reason)) from error

    def _download(self, folder: str) -> Path:
        import pooch

        return Path(pooch.retrieve(self.url, known_hash=self.known_hash, path=folder))

    def _how_to_get(self, home: Path, missing: list[Path], reason: str) -> str:
        """Say which files are wanted, where they go and where they are from."""
        wanted = ", ".join(repr(str(path)) for path in missing)
        first = missing[0].relative_to(home)
        as_one, in_folder = f"it as {first.as_posix()!r}", f"them in {first.parent.as_posix()!r}"
        where = as_one if len(missing) == 1 else in_folder
        do = "Copy" if self.is_plain else "Unpack"
        return (
            f"{self.title} needs {wanted}: not found, and {reason}. {do} {self.url} in "
            f"{str(home / self.folder)!r}, or let {HOME_HAS} {where}{self.beside}."
        )


def _find(name: str, folder: Path) -> Path:
    """Find a file of an archive, whatever folder of its own it lies in, such as ARCENE/."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        if path.name == name:
            return path
    raise FileNotFoundError(f"the archive holds only {[path.name for path in files]}")


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    """Compute the checksum of some bytes, in hexadecimal digits."""
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def check_file(path: Path, algorithm: str, expected: str, url: str) -> None:
    """Raise ValueError if a file is not the published one."""
    if checksum(path.read_bytes(), algorithm) != expected:
        raise ValueError(damaged(path, "its checksum is not the published one", url))


def damaged(path: Path, why: str, url: str) -> str:
    """Say what to do with a file that is not the published one."""
    return f"{str(path)!r} is damaged: {why}. Delete it and fetch again; it is from {url}."


# -- packed files ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PackedFile:
    """A data set, or a part of it, as one .npz file that is never downloaded."""

    what: str  # is in it, as a sentence begins: "The CIFAR-10 subset"
    file: str  # below the data home
    sha256: str
    rather: str  # what to do without it: "use subset=False for all clips"

    def is_here(self, home: Path) -> bool:
        """Whether the file is in its place."""
        return (home / self.file).exists()

    def is_wanted(self, subset: Subset, home: Path, is_whole_here: Callable[[], bool]) -> bool:
        """Decide whether to read a subset: ``"auto"`` if it is here, and the whole is not."""
        if subset not in (True, False, "auto"):
            raise ValueError(f"`subset` must be True, False or 'auto'; got {subset!r}.")
        if subset == "auto":
            return self.is_here(home) and not is_whole_here()
        return bool(subset)

    def read(self, home: Path) -> dict[str, Any]:
        """Read its arrays, by name."""
        path = home / self.file
        if not path.exists():
            raise FileNotFoundError(
                f"{self.what} needs {str(path)!r}: not found, and it is never downloaded. Let "
                f"{HOME_HAS} it as {self.file!r}, or {self.rather}."
            )
        content = path.read_bytes()
        if (found := checksum(content)) != self.sha256:
            why = f"expected the SHA-256 checksum {self.sha256}, found {found}"
            raise self.damaged(home, f"{why} of {len(content):,} bytes")
        with np.load(BytesIO(content)) as arrays:
            return dict(arrays)

    def damaged(self, home: Path, why: object) -> ValueError:
        """Say what to do about a file that does not hold what it should."""
        return ValueError(
            f"{str(home / self.file)!r} is damaged: {why}. Copy it again, or {self.rather}."
        )
