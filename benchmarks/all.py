"""All benchmarks one after the other, the quick ones first, then the report.

Each runs in a process of its own with the options given here, --scale small without --scale. One
that fails does not stop the others, and the exit status tells. One whose data are not on this
machine is skipped; --download gets what can be got. Started again after a kill, each goes on where
it was.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks import report
from benchmarks._lab.options import REFUSED, add_data_options, own_options
from benchmarks.registry import EXPERIMENTS, QUICK_FIRST


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    told = ", ".join(QUICK_FIRST)
    parser.add_argument(
        "--skip", nargs="+", choices=QUICK_FIRST, default=[], metavar="NAME", help=told
    )
    add_data_options(parser, "the data of all benchmarks")


def run(args: argparse.Namespace) -> None:
    """Run the benchmarks, then write the report; exit with status 1 if one failed."""
    names = [name for name in QUICK_FIRST if name not in args.skip]
    _tell_plan(names, args)
    ends = {}
    for number, name in enumerate(names, start=1):
        print(f"\n== {name} ({number} of {len(names)})\n", flush=True)
        start = time.perf_counter()
        status = _run_apart(_arguments(name, args))
        minutes = (time.perf_counter() - start) / 60
        ends[name] = f"{_tell_end(status)} after {minutes:.1f} minutes"
        print(f"\n{name}: {ends[name]}", flush=True)
    print("\n== report\n", flush=True)
    report.run(args)
    print("", *(f"{name:12s} {end}" for name, end in ends.items()), sep="\n")
    if failed := [name for name, end in ends.items() if end.startswith("failed")]:
        print(
            f"Failed: {', '.join(failed)}. The same command goes on where it was.", file=sys.stderr
        )
        raise SystemExit(1)


def _arguments(name: str, args: argparse.Namespace) -> list[str]:
    """Hand on to an experiment what was given here, as far as it has such an option."""
    own = own_options(EXPERIMENTS[name].options)
    known = {"scale", "seeds", "jobs", "device", "out", "fresh", *own}
    given = vars(args) | {"scale": args.scale or "small"}
    words = [name]
    for option in ("scale", "seeds", "jobs", "device", "out", "data_home"):
        if option in known and given[option] is not None:
            words += [f"--{option.replace('_', '-')}", str(given[option])]
    switches = (option for option in ("fresh", "download") if option in known and given[option])
    return [*words, *(f"--{option}" for option in switches)]


def _run_apart(words: Sequence[str]) -> int:
    """Run an experiment in a process of its own, which ends when this one does; give its status."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks", *words])
    with _ended_by_sigterm():
        try:
            return process.wait()
        finally:
            if process.poll() is None:  # two at work on one table would both append to it
                process.terminate()
                process.wait()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that what is open is closed."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_plan(names: Sequence[str], args: argparse.Namespace) -> None:
    """Tell what will run, in which order, and how long it took here."""
    scale = args.scale or "small"
    print(f"{len(names)} benchmarks at --scale {scale}, into {args.out}/; finished runs are kept.")
    told = ", ".join(names)
    if scale == "small":
        takes = (f"\n  {name:12s} {EXPERIMENTS[name].small_takes}" for name in names)
        told = f"About how long each takes with --jobs 2 on two free CPU cores:{''.join(takes)}"
    print(told, flush=True)


def _tell_end(status: int) -> str:
    """Tell how a benchmark ended."""
    if status == REFUSED:
        return "skipped"
    if status < 0:
        return f"failed: killed by signal {-status}"
    return f"failed with exit status {status}" if status else "done"
