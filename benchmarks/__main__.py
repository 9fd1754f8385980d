"""The command line: ``python -m benchmarks NAME``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    _all,
    adversarial,
    between,
    calibration,
    cifar,
    corrupted,
    gan,
    imagenet,
    peers,
    report,
    speech,
    speed,
    tabular,
    toy,
    variants,
)

# A benchmark is a module with add_arguments(parser) and run(args); the first line of its docstring
# is its help. One that keeps more than NAME.csv has tables_of(args) too, their names.
BENCHMARKS = {
    "tabular": tabular,
    "gan": gan,
    "speed": speed,
    "cifar": cifar,
    "between": between,
    "imagenet": imagenet,
    "corrupted": corrupted,
    "adversarial": adversarial,
    "calibration": calibration,
    "toy": toy,
    "speech": speech,
    "variants": variants,
    "peers": peers,
}
# What runs them all, and what gathers their results.
COMMANDS = {**BENCHMARKS, "all": _all, "report": report}


def _positive(text: str) -> int:
    """Read a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {text}")
    return number


def make_parser() -> argparse.ArgumentParser:
    """Make the parser: options that all benchmarks have, then those of each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run the tables and figures of the mixup paper again. Each run leaves NAME.csv "
        "(a row for each finished run), NAME.md and NAME.png, and a killed one goes on where it "
        "was when it is started again.",
        epilog="python -m benchmarks NAME --help tells the options of a benchmark.",
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        benchmark = names.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        benchmark.add_argument(
            "--scale",
            choices=["smoke", "small", "paper"],
            help="smoke: under a minute, to see that it runs; small: minutes on two cores; paper: "
            "the paper's settings, untouched",
        )
        benchmark.add_argument(
            "--seeds", type=_positive, metavar="N", help="random splits or repeats; by scale"
        )
        benchmark.add_argument(
            "--jobs",
            type=_positive,
            default=1,
            metavar="N",
            help="processes at work, each with one thread; default 1",
        )
        benchmark.add_argument(
            "--device", default="auto", help="cpu, cuda, mps, or auto (default): the best there is"
        )
        benchmark.add_argument(
            "--out", type=Path, default=Path("results"), metavar="DIR", help="default results/"
        )
        benchmark.add_argument(
            "--fresh",
            action="store_true",
            help="forget the finished runs in DIR and start over, as after a change of "
            "the package that its version does not tell",
        )
        module.add_arguments(benchmark)
        benchmark.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark that the arguments name."""
    args = make_parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.fresh:
        tables_of = getattr(COMMANDS[args.name], "tables_of", lambda args: [args.name])
        for stem in tables_of(args):
            (args.out / f"{stem}.csv").unlink(missing_ok=True)
    args.run(args)


if __name__ == "__main__":
    main()
