"""The report as one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from benchmarks._lab.outcome import Conclusions, Figure, Heading, Note, Outcome, Table
from benchmarks.report.sections import Page, Section

_STYLE = Path(__file__).with_name("style.css")
# A PNG file is these 8 bytes, 8 of the head of its first chunk, then width and height.
_PNG = b"\x89PNG\r\n\x1a\n"
# Nothing but the figures and the style inside: a browser is to fetch and to run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(sections: Sequence[Section]) -> str:
    """Write the page: a summary, the contents, and a section for each experiment."""
    n_run = sum(bool(section.pages) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>mixup: the experiments of the paper, run again</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>mixup: the experiments of the paper, run again</h1>
<p>Results of <code>python -m benchmarks</code> of sklearn-mixup, beside those of Zhang, Cisse,
Dauphin and Lopez-Paz, <cite>mixup: Beyond Empirical Risk Minimization</cite>, ICLR 2018. ERM,
empirical risk minimisation, is training without mixup. {n_run} of {len(sections)} experiments have
run.</p>
</header>
<main>
{_summary(sections)}
{_contents(sections)}
{"".join(map(_section, sections))}</main>
</body>
</html>
"""


def name_in_paper(section: Section) -> str:
    """Tell which figure or table of the paper an experiment repeats."""
    return section.experiment.paper or "not in the paper"


def _summary(sections: Sequence[Section]) -> str:
    """Write the table at the top, a row for each experiment."""
    rows = "".join(
        f'<tr>\n<th scope="row">{_link(section.experiment.name, section.experiment.title)}<br>'
        f'<span class="muted">{escape(name_in_paper(section))}</span></th>\n'
        f"<td>{escape(section.experiment.question)}</td>\n"
        f'<td class="when">{_when(section)}</td>\n'
        f"<td>{_words(section.conclusion) or _open(section)}</td>\n</tr>\n"
        for section in sections
    )
    heads = "".join(map(_head, ("Experiment", "Question", "Run", "What came out")))
    return f"""<section class="summary" aria-labelledby="summary">
<h2 id="summary">Summary</h2>
<div class="scroll" role="region" aria-labelledby="summary" tabindex="0">
<table>
<caption><span>What each page concludes first, in its own words; the sections tell the rest.</span>
</caption>
<thead>
<tr>{heads}</tr>
</thead>
<tbody>
{rows}</tbody>
</table>
</div>
</section>"""


def _head(name: str) -> str:
    """Write the head of a column."""
    return f'<th scope="col">{_words(name)}</th>'


def _when(section: Section) -> str:
    """Tell to the minute when an experiment has run."""
    if (moment := section.finished) is None:
        return '<span class="missing">not yet</span>'
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment:%Y-%m-%d %H:%M}</time>'


def _open(section: Section) -> str:
    """Tell how an experiment is run, or where to read on if its page has no such sentence."""
    return "See its section." if section.pages else _code(section.command)


def _code(text: str) -> str:
    """Write a command."""
    return f"<code>{escape(text)}</code>"


def _contents(sections: Sequence[Section]) -> str:
    """Write the table of contents, with the pages of experiments that have several."""
    items = ""
    for section in sections:
        items += f"<li>{_link(section.experiment.name, _heading(section))}"
        if len(section.pages) > 1:
            links = (_link(_id(page.stem), page.saved.outcome.title) for page in section.pages)
            items += f"\n<ul>\n{''.join(f'<li>{link}</li>' for link in links)}\n</ul>\n"
        items += "</li>\n"
    heading = '<h2 id="contents">Contents</h2>'
    return f'<nav aria-labelledby="contents">\n{heading}\n<ul>\n{items}</ul>\n</nav>'


def _link(anchor: str, words: str) -> str:
    """Write a link within the page."""
    return f'<a href="#{escape(anchor)}">{escape(words)}</a>'


def _heading(section: Section) -> str:
    """Name a section, first as the paper does."""
    paper, title = section.experiment.paper, section.experiment.title
    return f"{paper}: {title}" if paper else title


def _id(stem: str) -> str:
    """Make the anchor of a page, which cannot be that of a section."""
    return f"page-{stem.replace(' ', '-')}"


def _section(section: Section) -> str:
    """Write all about one experiment."""
    name = escape(section.experiment.name)
    body = "".join(_page(page, section.folder) for page in section.pages)
    for file, trouble in section.troubles.items():
        body += f'<p class="missing">{escape(file)} {escape(trouble)}</p>\n'
    if not body:
        body = '<p class="missing">This experiment has not run yet.</p>\n'
    facts = {"Run again" if section.pages else "Run": _code(section.command)}
    if section.pages:
        facts |= {"Finished": _when(section), "Runs told": str(section.n_runs)}
    versions = section.versions
    if device := versions.pop("device", ""):
        facts["Device"] = escape(device)
    if versions:
        facts["Versions"] = escape(", ".join(f"{name} {it}" for name, it in versions.items()))
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>\n" for name, value in facts.items())
    return (
        f'<section id="{name}" aria-labelledby="{name}-heading">\n'
        f'<h2 id="{name}-heading">{escape(_heading(section))}</h2>\n'
        f'<p class="question">{escape(section.experiment.question)}</p>\n'
        f"{body}<dl>\n{told}</dl>\n</section>\n"
    )


def _page(page: Page, folder: Path) -> str:
    """Write a page of an experiment."""
    heading, outcome = escape(_id(page.stem)), page.saved.outcome
    return (
        f'<article aria-labelledby="{heading}">\n<h3 id="{heading}">{escape(outcome.title)}</h3>\n'
        f"{''.join(_blocks(outcome, folder))}</article>\n"
    )


# -- blocks ---------------------------------------------------------------------------------------


def _blocks(outcome: Outcome, folder: Path) -> Iterator[str]:
    """Write the blocks of a page; a table is named by the heading or the "so:" above it."""
    above, directly, counts = outcome.title, True, dict[str, int]()
    for block in outcome.blocks:
        match block:
            case Heading(text):
                above, directly = text, True
                yield f"<h4>{_words(text)}</h4>\n"
            case Note(text):
                directly = text.endswith(":")
                above = text.removesuffix(":") if directly else above
                yield f"<p>{_words(text)}</p>\n"
            case Conclusions(sentences, True):
                items = "".join(f"<li>{_words(sentence)}</li>\n" for sentence in sentences)
                yield f"<ul>\n{items}</ul>\n"
                directly = False
            case Conclusions(sentences):
                yield "".join(f"<p>{_words(sentence)}</p>\n" for sentence in sentences)
                directly = False
            case Table(frame):
                counts[above] = counts.get(above, 0) + 1
                caption = above if counts[above] == 1 else f"{above} ({counts[above]})"
                yield _table(frame, caption, is_seen=not directly)
                directly = False
            case Figure(file, alt):
                yield _figure(folder / Path(file).name, f"{alt}. {outcome.title}")
                directly = False


def _words(text: str) -> str:
    """Write a text; what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(frame: pd.DataFrame, caption: str, *, is_seen: bool) -> str:
    """Write a table in a box to scroll in; its caption is for the ear where the eye has it."""
    label, hidden = escape(caption), "" if is_seen else ' class="unseen"'
    heads = "".join(map(_head, map(str, frame)))
    rows = "".join(
        f'<tr>\n<th scope="row">{_words(first)}</th>'
        f"{''.join(f'<td>{_words(cell)}</td>' for cell in cells)}\n</tr>\n"
        for first, *cells in frame.itertuples(index=False)
    )
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n<table>\n'
        f"<caption{hidden}><span>{label}</span></caption>\n<thead>\n<tr>{heads}</tr>\n</thead>\n"
        f"<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _figure(path: Path, alt: str) -> str:
    """Write a figure with its PNG file inside, or that there is none."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: not the name of any file
        content = b""
    if not content.startswith(_PNG) or len(content) < 24:
        return f'<p class="missing">No picture in the file {escape(path.name)}.</p>\n'
    # Of the chunk that all PNG files start with.
    width, height = struct.unpack(">II", content[16:24])
    data = base64.b64encode(content).decode()
    wide = ' class="wide"' if width > 1.2 * height else ""
    return (
        f'<figure class="scroll" tabindex="0"><img{wide} src="data:image/png;base64,{data}" '
        f'width="{width}" height="{height}" alt="{escape(alt)}"></figure>\n'
    )
