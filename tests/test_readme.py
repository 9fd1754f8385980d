"""The README keeps its word: its code prints what it says, its commands and links exist."""

import re
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.readme import README, claimed_outputs, python_blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def targets(text):
    """Find the targets of links and pictures, beside their text or below the page."""
    return re.findall(r"(?:\]\(|^\[[^\]]+\]: )([^)\s]+)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("code", python_blocks(README))
def test_python_block_prints_what_it_claims(code, capsys):
    claims = claimed_outputs(code)
    assert len(claims) == code.count("print(") > 0
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.split()
    # Scores differ a little between machines and versions.
    assert list(map(float, printed)) == pytest.approx(list(map(float, claims)), abs=0.015)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README + contributing, flags=re.MULTILINE))
    assert {"tabular", "test", "docs"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def test_links_into_the_repository_are_absolute_and_exist():
    source = PROJECT["urls"]["Source"]
    raw = source.replace("//github.com/", "//raw.githubusercontent.com/") + "/main/"
    found = targets(README)
    assert [link for link in found if not link.startswith("https://")] == []  # they break on PyPI
    paths = [
        link.removeprefix(base)
        for base in (f"{source}/blob/main/", raw)
        for link in found
        if link.startswith(base)
    ]
    assert {"docs/tables.rst", "docs/_static/peers.png", "benchmarks/README.md"} <= {*paths}
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_no_link_lacks_its_target():
    page = re.sub(r"<pre>.*?</pre>", "", MarkdownIt().render(README), flags=re.DOTALL)
    assert "[" not in page


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGES.md", "benchmarks/README.md"])
def test_relative_links_exist(page):
    found = targets((ROOT / page).read_text(encoding="utf-8"))
    relative = [link for link in found if "://" not in link and not link.startswith("#")]
    assert [link for link in relative if not (ROOT / page).parent.joinpath(link).exists()] == []


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.rst"), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_install_from_a_checkout_with_extras_that_exist(page):
    text = page.read_text(encoding="utf-8")
    assert "sklearn-mixup[" not in text  # it is not on PyPI
    for extras in re.findall(r'pip\s+install\s+"\.\[([\w,]+)\]"', text):
        assert {*extras.split(",")} <= {*PROJECT["optional-dependencies"]}


def test_guide_names_every_extra():
    guide = (ROOT / "docs" / "guide.rst").read_text(encoding="utf-8")
    assert [name for name in PROJECT["optional-dependencies"] if f"``{name}``" not in guide] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:benchmarks|docs|sklearn_mixup|tests)/[\w/.]*)`", text)
    there = (path for path in named if path != "benchmarks/NAME/")  # of any experiment
    assert [path for path in there if not (ROOT / path).exists()] == []
