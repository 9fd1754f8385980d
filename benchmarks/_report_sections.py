"""What the runs of the benchmarks left in a folder, experiment by experiment."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from benchmarks._lab.experiment import Experiment
from benchmarks._report_markdown import figure, find_conclusion, parse, render
from benchmarks._runs import environment
from benchmarks.registry import EXPERIMENTS

_LONGEST_CONCLUSION = 420  # characters, for the table at the top


@dataclass(frozen=True)
class Page:
    """A page that a benchmark wrote; one without a title of its own has that of the experiment."""

    stem: str
    title: str
    html: str
    conclusion: str
    finished: datetime


@dataclass(frozen=True)
class Section:
    """All about one experiment; no pages: it has not run.

    `n_runs` counts the rows of its CSV files, `facts` are the device and the versions in them,
    and `figures` is the HTML of those that no page shows.
    """

    experiment: Experiment
    pages: Sequence[Page]
    n_runs: int
    facts: dict[str, str]
    figures: str
    command: str

    @property
    def finished(self) -> datetime | None:
        """When the last of its pages was written."""
        return max((page.finished for page in self.pages), default=None)

    @property
    def conclusion(self) -> str:
        """What its first page says came out, in one sentence."""
        return next((page.conclusion for page in self.pages if page.conclusion), "")


def read_sections(folder: Path) -> list[Section]:
    """Read what is in a folder; files that cannot be read are told of, not raised."""
    return [_read_section(experiment, folder) for experiment in EXPERIMENTS.values()]


def _read_section(experiment: Experiment, folder: Path) -> Section:
    """Read the pages NAME.md and NAME_part.md, their runs, and the figures."""
    pages, shown = [], set[str]()
    for path in _files(experiment, folder, "md"):
        page, its_figures = _read_page(path, experiment)
        pages.append(page)
        shown |= its_figures
    rest = [path for path in _files(experiment, folder, "png") if path.name not in shown]
    n_runs, facts = _read_runs(_files(experiment, folder, "csv"))
    return Section(
        experiment,
        pages,
        n_runs,
        facts,
        "".join(figure(path, f"{path.stem}: {experiment.title}") for path in rest),
        experiment.command(folder),
    )


def _files(experiment: Experiment, folder: Path, ending: str) -> list[Path]:
    """Find NAME.ending, then NAME_part.ending in the order of the alphabet."""
    name = experiment.name
    paths = sorted(folder.glob(f"{name}_*.{ending}"), key=lambda path: path.stem)
    return [path for path in (folder / f"{name}.{ending}", *paths) if path.is_file()]


def _read_page(path: Path, experiment: Experiment) -> tuple[Page, set[str]]:
    """Read a page; characters that are not UTF-8 are replaced."""
    title, tokens = parse(path.read_text(encoding="utf-8", errors="replace"))
    title = title or experiment.title
    html, shown = render(tokens, path.parent, title)
    conclusion = textwrap.shorten(
        find_conclusion(tokens) or "", _LONGEST_CONCLUSION, placeholder=" …"
    )
    finished = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    return Page(path.stem, title, html, conclusion, finished), shown


def _read_runs(paths: Sequence[Path]) -> tuple[int, dict[str, str]]:
    """Count the runs in CSV files; tell on which device and with which versions they were made."""
    names = list(environment("cpu"))
    n_runs, found, facts = 0, {name: list[str]() for name in names}, {}
    for path in paths:
        try:
            runs = pd.read_csv(path, dtype=str)
        except (OSError, ValueError):  # not a table, or not UTF-8
            facts[f"{path.name} cannot be read"] = "its runs are not counted"
            continue
        n_runs += len(runs)
        for name, values in found.items():
            if name in runs:
                values += [value for value in runs[name].dropna().unique() if value not in values]
    told = {name: " and ".join(values) for name, values in found.items() if values}
    if device := told.pop("device", ""):
        facts["Device"] = device
    if told:
        facts["Versions"] = ", ".join(f"{name} {version}" for name, version in told.items())
    return n_runs, facts
