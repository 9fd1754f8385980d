"""The report as one HTML file that needs no other, and no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from benchmarks._report_sections import Section

_STYLE = Path(__file__).with_name("_report.css")
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
        f'<tr>\n<th scope="row"><a href="#{escape(section.experiment.name)}">'
        f"{escape(section.experiment.title)}</a><br>"
        f'<span class="muted">{escape(name_in_paper(section))}</span></th>\n'
        f"<td>{escape(section.experiment.question)}</td>\n"
        f'<td class="when">{_when(section)}</td>\n'
        f"<td>{escape(section.conclusion) or _open(section)}</td>\n</tr>\n"
        for section in sections
    )
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("Experiment", "Question", "Run", "What came out")
    )
    return f"""<section class="summary" aria-labelledby="summary">
<h2 id="summary">Summary</h2>
<div class="scroll" role="region" aria-labelledby="summary" tabindex="0">
<table>
<caption><span>What each page says first of mixup, in its own words; the sections tell the rest.
</span></caption>
<thead>
<tr>{heads}</tr>
</thead>
<tbody>
{rows}</tbody>
</table>
</div>
</section>"""


def _when(section: Section) -> str:
    """Tell when an experiment has run."""
    return _time(section.finished) if section.finished else '<span class="missing">not yet</span>'


def _open(section: Section) -> str:
    """Tell how an experiment is run, or where to read on if its page has no such sentence."""
    if section.pages:
        return "See its section."
    return f"<code>{escape(section.command)}</code>"


def _time(moment: datetime) -> str:
    """Write a time of day to the minute."""
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment:%Y-%m-%d %H:%M}</time>'


def _contents(sections: Sequence[Section]) -> str:
    """Write the table of contents, with the pages of experiments that have several."""
    items = ""
    for section in sections:
        items += f"<li>{_link(section.experiment.name, _heading(section))}"
        if len(section.pages) > 1:
            pages = (f"<li>{_link(_id(page.stem), page.title)}</li>" for page in section.pages)
            items += f"\n<ul>\n{''.join(pages)}\n</ul>\n"
        items += "</li>\n"
    return (
        f'<nav aria-labelledby="contents">\n<h2 id="contents">Contents</h2>\n<ul>\n{items}</ul>\n'
        "</nav>"
    )


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
    body = "".join(
        f'<article aria-labelledby="{escape(_id(page.stem))}">\n'
        f'<h3 id="{escape(_id(page.stem))}">{escape(page.title)}</h3>\n{page.html}</article>\n'
        for page in section.pages
    )
    if not section.pages:
        body = '<p class="missing">This experiment has not run yet.</p>\n'
    facts = {"Run again" if section.pages else "Run": f"<code>{escape(section.command)}</code>"}
    if section.finished:
        facts["Finished"] = _time(section.finished)
    if section.n_runs:
        facts["Runs kept"] = str(section.n_runs)
    facts |= {escape(name): escape(value) for name, value in section.facts.items()}
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>\n" for name, value in facts.items())
    return (
        f'<section id="{name}" aria-labelledby="{name}-heading">\n'
        f'<h2 id="{name}-heading">{escape(_heading(section))}</h2>\n'
        f'<p class="question">{escape(section.experiment.question)}</p>\n'
        f"{body}{section.figures}<dl>\n{told}</dl>\n</section>\n"
    )
