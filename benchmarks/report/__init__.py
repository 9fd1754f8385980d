"""One page of all results, with their figures: report.html, which needs no other file.

Reads what the other benchmarks left in DIR and runs none of them; of the options only --out counts.
Beside report.html are report.md and report.csv, its summary, and report.png, the figures on one
sheet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from benchmarks._lab.outcome import Figure, Note, Outcome, Table, terminal_table, to_markdown
from benchmarks._lab.tell import written
from benchmarks.report.page import name_in_paper, write_page
from benchmarks.report.sections import Section, read_sections


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add no options to those that all benchmarks have."""


def run(args: argparse.Namespace) -> None:
    """Write the page of the results in ``args.out``, and its summary."""
    out: Path = args.out
    sections = read_sections(out)
    summary = summarise(sections)
    summary.to_csv(out / "report.csv", index=False, lineterminator="\n")
    columns = ["experiment", "paper", "finished", "conclusion"]
    # A bar would end the cell of a Markdown table.
    told = summary[columns].map(lambda text: text.replace("|", r"\|"))
    figures = Figure("report.png", "All figures"), Note("[All tables and figures](report.html)")
    page = Outcome("The experiments of the mixup paper, run again", [Table(told), *figures])
    (out / "report.md").write_text(to_markdown(page), encoding="utf-8")
    plot(sections, out)
    (out / "report.html").write_text(write_page(sections), encoding="utf-8")
    print(terminal_table(summary[["experiment", "paper", "finished", "n_runs"]]))
    told = written(*(out / f"report.{ending}" for ending in ("html", "csv", "md", "png")))
    print(f"\n{told}")


def summarise(sections: Sequence[Section]) -> pd.DataFrame:
    """Tell in a row of words for each experiment what it is, whether it ran, and what came out."""
    return pd.DataFrame(
        [
            {
                "experiment": section.experiment.name,
                "paper": name_in_paper(section),
                "question": section.experiment.question,
                "finished": f"{section.finished:%Y-%m-%d %H:%M}" if section.finished else "not yet",
                "n_runs": str(section.n_runs),
                "pages": " ".join(f"{page.stem}.md" for page in section.pages),
                "device": section.versions.get("device", ""),
                "conclusion": section.conclusion,
                "command": section.command,
            }
            for section in sections
        ]
    )


def plot(sections: Sequence[Section], out: Path) -> None:
    """Put the first figure of each experiment on one sheet, report.png."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    pictures = {}
    for section in sections:
        with suppress(OSError, ValueError, SyntaxError):  # none, or damaged: Pillow's SyntaxError
            title = f"{section.experiment.title} ({name_in_paper(section)})"
            pictures[title] = imread(out / f"{section.experiment.name}.png")
    n_columns = min(3, max(1, len(pictures)))
    n_rows = max(1, -(-len(pictures) // n_columns))
    sheet = Figure(figsize=(4.2 * n_columns, 3.2 * n_rows), layout="constrained")
    for axes in sheet.subplots(n_rows, n_columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, (title, picture) in zip(sheet.axes, pictures.items(), strict=False):
        axes.set_title(title, fontsize=10)
        axes.imshow(picture)
        axes.set_anchor("N")
    if not pictures:
        sheet.axes[0].text(0.5, 0.5, "No benchmark has run yet.", ha="center", va="center")
    sheet.savefig(out / "report.png", dpi=110)
