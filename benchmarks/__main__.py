"""The command line: ``python -m benchmarks NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import all as run_all
from benchmarks import report
from benchmarks._lab.driver import drive
from benchmarks._lab.options import REFUSED, add_number, at_least_one
from benchmarks.registry import EXPERIMENTS

_SCALES = {
    "smoke": "under a minute, to see that it runs",
    "small": "minutes on two cores",
    "gpu": "ten minutes on one fast GPU",
    "paper": "the paper's settings, untouched",
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser: a command for each experiment, `all` and `report`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run the tables and figures of the mixup paper again. Each run leaves NAME.csv "
        "(a row for each finished run), NAME.md and NAME.png, and a killed one goes on where it "
        "was when it is started again.",
        epilog="python -m benchmarks NAME --help tells the options of a benchmark.",
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for name, experiment in EXPERIMENTS.items():
        scales = [scale for scale in _SCALES if scale in experiment.scales]
        command = _add_command(names, name, experiment.doc, scales)
        experiment.options(command)
        command.set_defaults(run=partial(drive, experiment))
    # What runs them all, and what gathers their results.
    for name, module in (("all", run_all), ("report", report)):
        scales = [scale for scale in _SCALES if scale != "gpu"]  # which some have
        command = _add_command(names, name, module.__doc__ or "", scales)
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser


def _add_command(names: Any, name: str, doc: str, scales: Sequence[str]) -> argparse.ArgumentParser:
    """Add a command with the options that all have; its help is a docstring."""
    command = names.add_parser(
        name,
        help=doc.partition("\n")[0],
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--scale",
        choices=scales,
        help="; ".join(f"{scale}: {_SCALES[scale]}" for scale in scales),
    )
    add_number(command, "--seeds", "random splits or repeats; by scale", type=at_least_one)
    told = "processes at work, each with one thread; default 1"
    add_number(command, "--jobs", told, type=at_least_one, default=1)
    command.add_argument(
        "--device", default="auto", help="cpu, cuda, mps, or auto (default): the best there is"
    )
    command.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="default results/"
    )
    command.add_argument(
        "--fresh",
        action="store_true",
        help="forget the finished runs in DIR and start over, as after a change of "
        "the package that its version does not tell",
    )
    return command


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    args = make_parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.run(args)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as stop:
        if not isinstance(stop.code, str):
            raise
        print(stop.code, file=sys.stderr)
        sys.exit(REFUSED)
