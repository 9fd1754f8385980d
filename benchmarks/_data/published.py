"""A table as it is published: the facts of its files, which are found, checked, read and described.

A file is where the argument `data_home` says, else the environment variable ``SKLEARN_MIXUP_DATA``,
else :func:`sklearn.datasets.get_data_home`; a missing one is downloaded from its publisher. All of
its text is compared, through a checksum, with what it should say, so a damaged file is an error and
never a result. Line ends and blanks at them are not: copies in circulation differ in these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from benchmarks._data.fetching import Archive, checksum, damaged
from benchmarks._data.home import DataHome, find_data_home

UCI = "https://archive.ics.uci.edu/static/public"
BLANKS = None


@dataclass(frozen=True)
class File:
    """A file without a header, or with that of an ARFF file."""

    name: str
    sha256: str  # of its text, each line without the blanks at its end
    columns: str  # names, between blanks
    delimiter: str | None = ","  # None: blanks

    def read(self, folder: Path, url: str) -> np.ndarray:
        """Read the text of all entries, (n_rows, n_columns); raise ValueError if it is damaged."""
        path = folder / self.name
        lines = path.read_bytes().decode(errors="replace").splitlines()
        text = "\n".join(line.rstrip() for line in lines).rstrip()
        if (found := checksum(text.encode())) != self.sha256:
            why = f"expected the checksum {self.sha256} of its text, found {found}"
            raise ValueError(damaged(path, why, url))
        rows = text.rpartition("@data\n")[2].splitlines()
        entries = [[entry.strip() for entry in row.split(self.delimiter)] for row in rows]
        return np.array(entries, dtype=object)


def one_file(
    name: str, sha256: str, columns: str, delimiter: str | None = ","
) -> tuple[tuple[File, ...], ...]:
    """Describe a table that is one file."""
    return ((File(name, sha256, columns, delimiter),),)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A table; its files are put together like the blocks of a matrix."""

    name: str
    title: str
    url: str  # of the archive, below that of UCI, or whole
    files: tuple[tuple[File, ...], ...]
    target: str  # the name of that column
    class_names: Mapping[int | str, str] = field(default_factory=dict)  # none of a number
    number: str = ""  # what the target is, with its unit, where it has no classes
    citation: str
    nominal: str = ""  # names, between blanks
    left_out: str = ""
    folder: str = "tables"  # below the data home
    publisher: str = "UCI Machine Learning Repository, CC BY 4.0"
    known_hash: str | None = None  # of the archive; UCI may pack its own anew
    note: str = ""

    def archive(self) -> Archive:
        """Tell where the files are from, and where they go."""
        url = self.url if "://" in self.url else f"{UCI}/{self.url}"
        files = tuple(file.name for row in self.files for file in row)
        return Archive(self.title, url, f"{self.folder}/{self.name}", files, self.known_hash)

    def fetch(self, data_home: DataHome, download_if_missing: bool) -> Bunch:
        """Find or download the files, read them, and part columns and rows."""
        home, archive = find_data_home(data_home), self.archive()
        archive.fetch(home, download_if_missing)
        folder = home / archive.folder
        entries = np.block([[file.read(folder, archive.url) for file in row] for row in self.files])
        names = [name for file in self.files[0] for name in file.columns.split()]
        labels = entries[:, names.index(self.target)]
        entries, labels = entries[labels != "?"], labels[labels != "?"]
        others = {self.target, *self.left_out.split()}
        kept = [i for i, name in enumerate(names) if name not in others]
        data = _parse(entries[:, kept], [names[i] for i in kept])
        return self.describe(data, labels.astype(self._target_type()), f"read from {folder}")

    def _target_type(self) -> type:
        """Tell as what the target is read."""
        if not self.class_names:
            return np.float64
        return str if isinstance(next(iter(self.class_names)), str) else np.int64

    def describe(self, data: pd.DataFrame, target: np.ndarray, copy: str) -> Bunch:
        """Put a copy of the table together, and say where it is from."""
        about = (
            f"{self.title}: {self.citation}; {self.publisher}.\n"
            f"Source: {self.archive().url}; this copy: {copy}."
        )
        classes = self.class_names
        names = [classes[label] for label in sorted(classes)] or [self.number]
        return make_bunch(self.name, data, target, names, self.nominal.split(), about, self.note)


def _parse(entries: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Turn text into float64, but columns with words into categories; ``?`` is no value."""
    entries = np.where(entries == "?", np.nan, entries)
    try:
        numbers = entries.astype(np.float64)
    except ValueError:
        if len(names) == 1:
            return pd.DataFrame({names[0]: pd.Categorical(entries[:, 0])})
        columns = [_parse(entries[:, [i]], [name]) for i, name in enumerate(names)]
        return pd.concat(columns, axis=1)
    return pd.DataFrame(numbers, columns=names)


def make_bunch(
    name: str,
    data: pd.DataFrame,
    target: np.ndarray,
    target_names: Sequence[str],
    nominal: Sequence[str],
    about: str,
    note: str = "",
) -> Bunch:
    """Put a table together, and describe it; a target of float64 is a number, and has one name."""
    if target.dtype.kind == "f":
        about_target = (
            f"{target_names[0]}: mean {target.mean():.6g}, standard deviation {target.std():.6g}, "
            f"{target.min():.6g} to {target.max():.6g}"
        )
    else:
        counts = zip(target_names, np.unique(target, return_counts=True)[1], strict=True)
        rows = ", ".join(f"{title} ({count})" for title, count in counts)
        about_target = f"Rows in each class: {rows}"
    description = (
        about,
        f"{len(data)} rows, {data.shape[1]} features, {len(nominal)} of them nominal.",
        f"{about_target}.",
        note,
    )
    return Bunch(
        data=data,
        target=target,
        feature_names=list(data.columns),
        target_names=list(target_names),
        categorical_columns=list(nominal),
        DESCR="\n".join(description).strip(),
        name=name,
    )
