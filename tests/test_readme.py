"""The README keeps its word: its code prints what it says, its commands and links exist."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks(text):
    """Find the code between the fences of each python block."""
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def claimed_outputs(code):
    """Find what the comments behind print(...) say is printed."""
    return re.findall(r"^print\(.*\)  # (.+)$", code, flags=re.MULTILINE)


def local_links(text):
    """Find the targets of links and pictures that are files of this repository."""
    return [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]


@pytest.mark.parametrize("code", python_blocks(README))
def test_python_block_prints_what_it_claims(code, capsys):
    claims = claimed_outputs(code)
    assert len(claims) == code.count("print(") > 0
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.split()
    # Scores differ a little between machines and versions.
    assert list(map(float, printed)) == pytest.approx(list(map(float, claims)), abs=0.015)


def test_first_python_block_has_six_lines():
    lines = [line for line in python_blocks(README)[0].splitlines() if line]
    assert len(lines) == 6


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README + contributing, flags=re.MULTILINE))
    assert {"tabular", "test", "docs"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def test_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    assert set(re.findall(r'pip install "\.\[(\w+)\]"', README)) <= extras
    (others,) = re.findall(r"the other extras: (.+)", README)
    assert set(others.split(", ")) | {"plot"} == extras


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGES.md"])
def test_local_links_exist(page):
    links = local_links((ROOT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing
