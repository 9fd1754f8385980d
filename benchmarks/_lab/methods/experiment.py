"""What experiments that set methods beside each other do alike: options, plan, device."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from benchmarks._lab.experiment import Part, Request
from benchmarks._lab.methods.method import Method, absent_note
from benchmarks._lab.methods.runs import KEY, list_tasks
from benchmarks._lab.outcome import Outcome
from benchmarks._lab.tables import add_table_options, plan_tables


def add_options(
    parser: argparse.ArgumentParser, methods: Mapping[str, Method], tables: Iterable[str]
) -> None:
    """Add ``--methods`` and the options of tables."""
    told = "; ".join(f"{slug}: {method.title}" for slug, method in methods.items())
    parser.add_argument("--methods", nargs="+", choices=list(methods), metavar="NAME", help=told)
    add_table_options(parser, tables)


def plan_methods(
    request: Request,
    stem: str,
    methods: Mapping[str, Method],
    run: Callable[..., dict[str, Any]],
    tell: Callable[..., Outcome],
) -> list[Part]:
    """Plan the runs of the methods that were asked for and whose packages are installed.

    `run` is that of `list_tasks`. ``tell(runs, budget=..., absent=..., missing=...)`` tells what
    came out; `absent` are the methods left out, `missing` the tables that are not here.
    """
    asked = request.args.methods or methods
    wanted = [name for name in methods if name in asked]
    names = [name for name in wanted if not methods[name].absent_packages()]
    absent = [methods[name] for name in wanted if name not in names]
    if not names:
        raise SystemExit(absent_note(absent))
    scale, missing, where = plan_tables(request, n_splits="seeds")
    tasks = list_tasks(run, methods, scale, names, **where)
    told = partial(tell, budget=scale.budget, absent=absent, missing=missing)
    return [Part(stem, KEY, {"": tasks}, told)]


def find_device(device: str) -> str:
    """Choose the processor for ``"auto"``: times stand beside those of methods without a GPU."""
    return "cpu" if device == "auto" else device
