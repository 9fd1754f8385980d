"""What came out of an experiment: a page as a value, for the terminal, Markdown and the report."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from benchmarks._lab.tell import made_on

_WIDTH = 100  # of a line in a terminal


@dataclass(frozen=True)
class Heading:
    """The heading of what follows."""

    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph that says how something was done, or what stands below."""

    text: str


@dataclass(frozen=True)
class Conclusions:
    """What came out, in sentences made from the numbers: a paragraph or an item each."""

    sentences: Sequence[str]
    listed: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts, as it is to be read."""

    frame: pd.DataFrame


@dataclass(frozen=True)
class Figure:
    """A figure, drawn when the page is written: ``draw() -> matplotlib.figure.Figure``."""

    file: str
    alt: str
    draw: Callable[[], Any] | None = field(default=None, compare=False)


Block = Heading | Note | Conclusions | Table | Figure
_Kind = TypeVar("_Kind", Heading, Note, Conclusions, Table, Figure)


@dataclass(frozen=True)
class Outcome:
    """A page: its title, and its blocks in the order in which they are read."""

    title: str
    blocks: Sequence[Block]

    def _of(self, kind: type[_Kind]) -> Iterator[_Kind]:
        return (block for block in self.blocks if isinstance(block, kind))

    @property
    def conclusions(self) -> list[str]:
        """What came out, sentence by sentence, the main one first."""
        return [sentence for block in self._of(Conclusions) for sentence in block.sentences]

    @property
    def tables(self) -> list[pd.DataFrame]:
        """The tables of texts."""
        return [block.frame for block in self._of(Table)]

    @property
    def figures(self) -> list[Figure]:
        """The figures."""
        return list(self._of(Figure))

    @property
    def notes(self) -> list[str]:
        """How it was done."""
        return [block.text for block in self._of(Note)]


def headed(tables: Iterable[tuple[str, pd.DataFrame]]) -> list[Block]:
    """Put tables below their headings."""
    return [block for text, table in tables for block in (Heading(text), Table(table))]


def usual_page(
    title: str,
    runs: pd.DataFrame | Mapping[str, str],
    conclusions: Sequence[str],
    figure: Figure,
    tables: Iterable[pd.DataFrame],
    *notes: str,
) -> Outcome:
    """Put a page together as most are: what came out, a figure, tables, how, and on what."""
    last = map(Note, (*notes, made_on(runs)))
    return Outcome(title, [Conclusions(conclusions), figure, *map(Table, tables), *last])


# -- the terminal and Markdown --------------------------------------------------------------------


def print_outcome(outcome: Outcome) -> None:
    """Print a page; the conclusions come last, where they are seen."""
    for block in outcome.blocks:
        if isinstance(block, Table):
            print("", terminal_table(block.frame), sep="\n")
        elif isinstance(block, Heading | Note):
            print("", textwrap.fill(block.text, _WIDTH), sep="\n")
    for sentence in outcome.conclusions:
        print("", textwrap.fill(sentence, _WIDTH), sep="\n")


def to_markdown(outcome: Outcome) -> str:
    """Write a page as Markdown."""
    return "\n\n".join([f"# {outcome.title}", *map(_block_to_markdown, outcome.blocks)]) + "\n"


def _block_to_markdown(block: Block) -> str:
    """Write a block as Markdown."""
    match block:
        case Heading(text):
            return f"## {text}"
        case Note(text):
            return text
        case Conclusions(sentences, listed):
            return "\n".join(f"- {s}" for s in sentences) if listed else "\n\n".join(sentences)
        case Table(frame):
            return markdown_table(frame)
        case Figure(file, alt):
            return f"![{alt}]({file})"


def markdown_table(table: pd.DataFrame, style: str = "pipe") -> str:
    """Write a table of texts as it stands: words to the left, columns of numbers to the right."""
    are_numbers = table.apply(lambda texts: texts.str.match(r"^[-+<]?\s*\d|^$").all())
    sides = ["right" if is_number else "left" for is_number in are_numbers]
    return table.to_markdown(index=False, tablefmt=style, disable_numparse=True, colalign=sides)


def terminal_table(table: pd.DataFrame) -> str:
    """Write a table of texts for a terminal."""
    return markdown_table(table, "simple")


# -- the file that the report reads ---------------------------------------------------------------


@dataclass(frozen=True)
class Saved:
    """An outcome read again: its figures are files, and `n_runs` and `versions` are of its runs."""

    outcome: Outcome
    n_runs: int
    versions: dict[str, list[str]]


def save(saved: Saved, path: Path) -> None:
    """Write an outcome as JSON; its figures are named."""
    content = {
        "title": saved.outcome.title,
        "blocks": [_block_to_json(block) for block in saved.outcome.blocks],
        "n_runs": saved.n_runs,
        "versions": saved.versions,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: str | os.PathLike[str]) -> Saved:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        outcome = Outcome(content["title"], [_block_from_json(it) for it in content["blocks"]])
        return Saved(outcome, content["n_runs"], content["versions"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} must be an outcome that a run saved; got {error!r}."
        ) from error


def _block_to_json(block: Block) -> dict[str, Any]:
    """Give a block as JSON can hold it."""
    kind = type(block).__name__.lower()
    match block:
        case Table(frame):
            return {"kind": kind, "columns": list(frame), "rows": frame.to_numpy().tolist()}
        case Figure(file, alt):
            return {"kind": kind, "file": file, "alt": alt}
    return {"kind": kind, **vars(block)}


def _block_from_json(block: dict[str, Any]) -> Block:
    """Make a block from what `_block_to_json` gave."""
    match block:
        case {"kind": "table", "columns": columns, "rows": rows}:
            return Table(pd.DataFrame(rows, columns=columns, dtype=str))
        case {"kind": "heading" | "note" as kind, "text": str(text)}:
            return Heading(text) if kind == "heading" else Note(text)
        case {"kind": "conclusions", "sentences": sentences, "listed": listed}:
            return Conclusions([str(sentence) for sentence in sentences], bool(listed))
        case {"kind": "figure", "file": str(file), "alt": str(alt)}:
            return Figure(file, alt)
    raise ValueError(f"no block of a page: {block}")


# -- all files of a page --------------------------------------------------------------------------


def write(
    outcome: Outcome,
    out: Path,
    stem: str,
    frames: Sequence[pd.DataFrame],
    names: Iterable[str],
) -> list[Path]:
    """Write STEM.md, its figures, and STEM.json for the report; give their paths but the last's.

    `frames` are the runs it was told from, `names` their columns that tell what they ran on.
    """
    for figure in outcome.figures:
        if figure.draw is not None:
            figure.draw().savefig(out / figure.file)
    (out / f"{stem}.md").write_text(to_markdown(outcome), encoding="utf-8")
    versions = {
        name: list(dict.fromkeys(str(value) for runs in frames for value in runs[name]))
        for name in names
    }
    save(Saved(outcome, sum(map(len, frames)), versions), out / f"{stem}.json")
    return [out / f"{stem}.md", *(out / figure.file for figure in outcome.figures)]
