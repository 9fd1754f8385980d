"""What all experiments share: options, help, files, going on after a kill, missing data."""

import re
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.__main__ import make_parser
from benchmarks.registry import EXPERIMENTS

every = pytest.mark.parametrize("name", EXPERIMENTS)


@every
def test_it_has_the_common_options(name):
    args = make_parser().parse_args([name, "--scale", "paper", "--seeds", "3", "--jobs", "2"])
    assert (args.scale, args.seeds, args.jobs) == ("paper", 3, 2)
    assert (args.device, args.out) == ("auto", Path("results"))


@every
def test_its_help_says_first_what_it_reproduces(name):
    experiment = EXPERIMENTS[name]
    first = experiment.doc.partition("\n")[0]
    if experiment.paper is None:
        assert re.search(r"[Nn]ot in (\[1\]|the paper)\.", first)
    else:
        assert first.startswith(f"{experiment.paper} of [1]: ")


def test_the_readme_tells_of_those_that_there_are():
    page = Path(registry.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert registry.table() in page, "Put in what `python -m benchmarks.registry` prints."
    assert re.findall(r"^### (\w+)$", page, flags=re.MULTILINE) == [*EXPERIMENTS]
