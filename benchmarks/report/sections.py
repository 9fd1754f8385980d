"""What the runs of the experiments left in a folder, experiment by experiment."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks._lab.experiment import Experiment
from benchmarks._lab.outcome import Saved, load
from benchmarks.registry import EXPERIMENTS

_LONGEST_CONCLUSION = 420  # characters, for the table at the top


@dataclass(frozen=True)
class Page:
    """A page that a run left: its name, what it says, and when it was written."""

    stem: str
    saved: Saved
    finished: datetime


@dataclass(frozen=True)
class Section:
    """All about one experiment in a folder.

    `pages` is empty where it has not run, and `troubles` says of files that cannot be shown what
    to do about them.
    """

    experiment: Experiment
    folder: Path
    pages: Sequence[Page] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> datetime | None:
        """When the last of its pages was written."""
        return max((page.finished for page in self.pages), default=None)

    @property
    def conclusion(self) -> str:
        """What came out, in the first sentence of its first page."""
        said = (said for page in self.pages for said in page.saved.outcome.conclusions)
        return textwrap.shorten(next(said, ""), _LONGEST_CONCLUSION, placeholder=" …")

    @property
    def n_runs(self) -> int:
        """The runs that its pages tell."""
        return sum(page.saved.n_runs for page in self.pages)

    @property
    def versions(self) -> dict[str, str]:
        """The device and the versions that they were made with."""
        found: dict[str, list[str]] = {}
        for page in self.pages:
            for name, values in page.saved.versions.items():
                found.setdefault(name, []).extend(values)
        return {name: " and ".join(dict.fromkeys(values)) for name, values in found.items()}

    @property
    def command(self) -> str:
        """The command that runs it at a small scale."""
        return self.experiment.command(self.folder)


def read_sections(folder: Path) -> list[Section]:
    """Read what is in a folder; files that cannot be read are told of, not raised."""
    return [_read_section(experiment, folder) for experiment in EXPERIMENTS.values()]


def _read_section(experiment: Experiment, folder: Path) -> Section:
    """Read the pages NAME and NAME_part, as their runs saved them."""
    pages, troubles = [], {}
    parts = sorted(path.stem for path in folder.glob(f"{experiment.name}_*.md"))
    for stem in (experiment.name, *parts):
        path = folder / f"{stem}.json"
        try:
            saved = load(path)
        except FileNotFoundError:
            if (folder / f"{stem}.md").is_file():
                troubles[f"{stem}.md"] = (
                    "is of an earlier version. Run it again to see it here: that goes on from its "
                    "CSV file, in a moment."
                )
        except (OSError, ValueError):
            troubles[path.name] = "cannot be read. Run it again to see it here."
        else:
            finished = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            pages.append(Page(stem, saved, finished))
    return Section(experiment, folder, pages, troubles)
