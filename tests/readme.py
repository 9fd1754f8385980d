"""The Python of the README, and what its comments say that it prints."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def python_blocks(text):
    """Find the code between the fences of each python block."""
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def claimed_outputs(code):
    """Find what the comments behind print(...) say is printed."""
    return re.findall(r"^print\(.*\)  # (.+)$", code, flags=re.MULTILINE)
