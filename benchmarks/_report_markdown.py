"""Pages of benchmarks as HTML: tables that scroll, figures inside."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

# No raw HTML: what a page quotes, such as the name of a file, is text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
# A PNG file is these 8 bytes, 8 of the head of its first chunk, then width and height.
_PNG = b"\x89PNG\r\n\x1a\n"

# The method, not the name of the package; and what a page says of it where it concludes.
_MIXUP = re.compile(r"\bmixup\b", re.IGNORECASE)
_COMPARED = re.compile(
    r"\b(ahead|behind|level|lower|higher|below|above|more|less|fewer|larger|smaller|faster|slower|"
    r"not told apart|takes?|took)\b"
)


# -- Markdown -------------------------------------------------------------------------------------


def parse(text: str) -> tuple[str | None, list[Token]]:
    """Part a page into its title, if it starts with one, and the rest."""
    tokens = _MARKDOWN.parse(text)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return plain(tokens[1]), tokens[3:]
    return None, tokens


def plain(token: Token) -> str:
    """Give the words of a line of Markdown, those of pictures left out."""
    words = {"text": None, "code_inline": None, "softbreak": " ", "hardbreak": " "}
    parts = [
        words[child.type] or child.content for child in token.children or () if child.type in words
    ]
    return "".join(parts).strip()


def find_conclusion(tokens: Sequence[Token]) -> str | None:
    """Find the first paragraph or item that compares mixup; give it up to where it does.

    Without any, give the first that names mixup in its first sentence.
    """
    paragraphs = [
        re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", plain(token))
        for before, token in pairwise(tokens)
        if before.type == "paragraph_open"
    ]
    for sentences in paragraphs:
        for number, sentence in enumerate(sentences, start=1):
            if _MIXUP.search(sentence) and _COMPARED.search(sentence):
                return " ".join(sentences[:number])
    return next((first for first, *_ in paragraphs if _MIXUP.search(first)), None)


def render(tokens: Sequence[Token], folder: Path, title: str) -> tuple[str, set[str]]:
    """Write the HTML of a page whose heading is an h3.

    Parameters
    ----------
    tokens : sequence of Token
        As `parse` gives them.
    folder : Path
        Where its figures are.
    title : str
        What its tables are named by until another heading comes.

    Returns
    -------
    html : str
    shown : set of str
        File names of the figures in it.
    """
    tokens = list(tokens)
    for number, token in enumerate(tokens):
        if token.type.startswith("heading_"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        elif _is_figure(token) and tokens[number - 1].type == "paragraph_open":
            _replace(tokens[number - 1], _FIGURE)
            _replace(tokens[number + 1], "</figure>\n")
    _dress_tables(tokens, title)
    shown: set[str] = set()
    environment = {"folder": folder, "title": title, "shown": shown}
    return _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, environment), shown


def _is_figure(token: Token) -> bool:
    """Tell whether a line of Markdown is pictures and nothing else."""
    return any(child.type == "image" for child in token.children or ()) and not plain(token)


def _replace(token: Token, html: str) -> None:
    """Put HTML of ours in the place of a token."""
    token.type, token.content, token.hidden = "html_block", html, False


def _dress_tables(tokens: list[Token], title: str) -> None:
    """Give each table a caption, a box to scroll in, and cells that head its rows and columns."""
    above, directly, counts = title, True, dict[str, int]()
    for number, token in enumerate(tokens):
        if token.type == "inline" and tokens[number - 1].type in ("heading_open", "paragraph_open"):
            words = plain(token)
            directly = tokens[number - 1].type == "heading_open" or words.endswith(":")
            above = words.removesuffix(":") if directly else above
        elif token.type == "html_block":
            directly = False
        elif token.type == "table_open":
            counts[above] = counts.get(above, 0) + 1
            caption = above if counts[above] == 1 else f"{above} ({counts[above]})"
            label = escape(caption)
            hidden = ' class="unseen"' if directly else ""
            _replace(
                token,
                f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n'
                f"<table>\n<caption{hidden}><span>{label}</span></caption>\n",
            )
            directly = False
        elif token.type == "table_close":
            _replace(token, "</table>\n</div>\n")
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "tr_open" and tokens[number + 1].type == "td_open":
            cell, words, end = tokens[number + 1 : number + 4]
            if words.content:
                cell.tag = end.tag = "th"
                cell.attrSet("scope", "row")


# -- figures --------------------------------------------------------------------------------------


_FIGURE = '<figure class="scroll" tabindex="0">'


def figure(path: Path, alt: str) -> str:
    """Write a figure of its own."""
    return f"{_FIGURE}{picture(path, alt)}</figure>\n"


def picture(path: Path, alt: str) -> str:
    """Write a picture with its PNG file inside, or that there is none."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # ValueError: not the name of any file
        content = b""
    if not content.startswith(_PNG) or len(content) < 24:
        return f'<span class="missing">No picture in the file {escape(path.name)}.</span>'
    width, height = struct.unpack(
        ">II", content[16:24]
    )  # of the chunk that all PNG files start with
    data = base64.b64encode(content).decode()
    wide = ' class="wide"' if width > 1.2 * height else ""
    return (
        f'<img{wide} src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}">'
    )


def _image(
    renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any
) -> str:
    """Write a picture of Markdown; files outside the folder are not looked at."""
    told, title = tokens[index].content, environment["title"]
    name = Path(unquote(str(tokens[index].attrs["src"]))).name
    environment["shown"].add(name)
    alt = title if told in ("", title) else f"{told}. {title}"
    return picture(environment["folder"] / name, alt)


_MARKDOWN.add_render_rule("image", _image)
