"""What all experiments on tables do alike: their options, their plans, and their last notes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from benchmarks._data.tables import TITLES, find_tables, missing_tables_note
from benchmarks._lab.experiment import Request
from benchmarks._lab.options import add_data_options, add_number, add_tables, with_erm
from benchmarks._lab.outcome import Note
from benchmarks._lab.tell import made_with


def add_table_options(parser: argparse.ArgumentParser, names: Iterable[str] = TITLES) -> None:
    """Add ``--tables``, for those of these names, ``--data-home`` and ``--download``."""
    add_tables(parser, names)
    add_data_options(parser, "uci/...", download="missing tables from where they are published")


def add_epochs(parser: argparse.ArgumentParser) -> None:
    """Add ``--epochs``, for nets that otherwise have the default."""
    add_number(parser, "--epochs", "epochs to train; default those of MixupClassifier")


def plan_tables(request: Request, **options: str) -> tuple[Any, list[str], dict[str, Any]]:
    """Narrow a scale to what was asked for and is here.

    Parameters
    ----------
    request : Request
    **options
        Fields of the scale and their options, see `Request.narrow`.

    Returns
    -------
    scale : object
        That of `request`: its ``tables`` are on this machine, its ``alphas``, if any, have ERM (0).
    missing : list of str
        The other tables.
    where : dict
        ``device``, ``versions`` and ``data_home``, for `list_tasks`.
    """
    args, scale = request.args, request.narrow(tables="tables", **options)
    tables, missing = find_tables(scale.tables, args.data_home, download=args.download)
    scale = replace(scale, tables=tuple(tables))
    if "alphas" in options:
        scale = replace(scale, alphas=tuple(with_erm(scale.alphas)))
    return scale, missing, {**request.where, "data_home": args.data_home}


def last_notes(runs: pd.DataFrame, missing: Sequence[str], *, others: str = "") -> list[Note]:
    """Tell which tables are missing, if any, and what the runs were made with, see `made_with`."""
    told = [missing_tables_note(missing)] if missing else []
    return [Note(text) for text in (*told, made_with(runs, others=others))]
