"""Table 2 of [1]: memorisation of corrupted labels by ERM, dropout, mixup, and both.

A share of the labels to train with is replaced by random ones, drawn uniformly from all classes;
test labels are intact. Each method is told by four errors: the best and the last test error (what
training on does to it is overfitting), and the last epoch's training error, of the network in
evaluation mode on rows neither mixed nor augmented: "real" on the rows whose labels were kept,
"corrupted" on the rows whose labels were replaced, both against the labels that were trained with.
[1] does not define the two; its own numbers (ERM at 50 %: 0.26 and 0.64) can only hold together so.
A network that ignores the noise errs on 1 - 1 / n_classes of the replaced rows.

All methods of a seed have the same corrupted labels, initial weights and shuffles, and are compared
with ERM seed by seed. Two parts, each with a table of runs and a page of its own:

- pictures (corrupted.csv): PreAct ResNet-18 on CIFAR-10. Departs from the paper at --scale small,
  for two CPU cores: 4,000 pictures of the subset that the data folder may have, a quarter of the
  width, 25 epochs with the drops of the learning rate in proportion, one alpha and one p for each
  method, and no crops and flips, so that each picture is seen as it is in all 25 of them.
- tables (corrupted_tables.csv): MLPs on 2,000 training rows of Phishing Websites and HTRU2, 20
  random splits. Not in the paper. So few rows, because HTRU2 has eight features only: 100 epochs
  cannot memorise all of its 14,318 training rows.

At --scale paper the pictures are trained on with the paper's settings and its grids of alpha and p.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.4 and Table 2.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks import _corrupted_report as report
from benchmarks._corrupted_runs import (
    CHANNELS_LAST,
    FAMILY,
    PictureScale,
    TableScale,
    name_pictures,
    run_pictures,
    run_tables,
)
from benchmarks._data.cifar import fetch_cifar10
from benchmarks._data.pictures import load_pictures
from benchmarks._data.tables import TITLES, load_table, missing_tables_note
from benchmarks._data.uci import FETCHERS
from benchmarks._lab.checkpoints import forget_checkpoints, with_checkpoints
from benchmarks._lab.stacks import SPLITS_AT_ONCE
from benchmarks._nets import recipes as picture_recipes
from benchmarks._nets.pictures import name_network
from benchmarks._options import add_alphas, add_data_options
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from benchmarks.corrupted_recipes import FRACTIONS, PAPER_GRID, TABLES_RECIPE, Grid
from sklearn_mixup import MixupClassifier

_KEY = ("data", "network", "fraction", "method", "alpha", "dropout", "max_epochs", "seed")
_STEMS = {"pictures": "corrupted", "tables": "corrupted_tables"}


# The smallest of each grid of the paper: at 25 epochs alpha = 8 underfits.
_ONE_EACH = Grid((1.0,), (0.5,), (1.0,), (0.3,))
_TABLES_GRID = Grid((1.0, 8.0, 32.0), (0.5,), (8.0,), (0.3,))
_TABLES = ("phishing_websites", "htru2")
_SCALES = {
    "smoke": (
        PictureScale("digits", None, 4, 2, False, _ONE_EACH, {0.2: 1, 0.5: 2, 0.8: 1}),
        TableScale(("breast_cancer",), 200, 2, _ONE_EACH, 2),
    ),
    "small": (
        PictureScale("cifar10", 4000, 16, 25, False, _ONE_EACH, {0.2: 1, 0.5: 3, 0.8: 1}),
        TableScale(_TABLES, 2000, 100, _TABLES_GRID, 20),
    ),
    "paper": (
        PictureScale("cifar10", None, 64, None, True, PAPER_GRID, dict.fromkeys(FRACTIONS, 1)),
        TableScale(_TABLES, 2000, 100, PAPER_GRID, 20),
    ),
}


# -- plans ----------------------------------------------------------------------------------------


def plan_pictures(
    scale: PictureScale,
    *,
    data_name: str,
    device: str,
    data_home: str | None = None,
    whole: bool = False,
) -> list[Task]:
    """List the runs on pictures, seed by seed, so that a kill leaves whole comparisons.

    Parameters
    ----------
    scale : PictureScale
        What is run.
    data_name : str
        What the data call themselves.
    device, data_home, whole
        As for `load_pictures` and ``MixupClassifier``.

    Returns
    -------
    list of Task
        Their work lacks ``checkpoints``, see `with_checkpoints`.
    """
    recipe = picture_recipes.CIFAR_RECIPES[FAMILY]
    if scale.max_epochs is not None:
        recipe = recipe.shortened(scale.max_epochs)
    versions = environment(device)
    tasks = []
    for seed in range(max(scale.n_seeds.values())):
        for fraction, n_seeds in scale.n_seeds.items():
            for method in scale.grid.methods() if seed < n_seeds else ():
                key = {
                    "data": scale.data,
                    "network": name_network(FAMILY, {"width": scale.width}),
                    "fraction": fraction,
                    "method": method.name,
                    "alpha": method.alpha,
                    "dropout": method.dropout,
                    "max_epochs": recipe.max_epochs,
                    "seed": seed,
                }
                settings = {
                    **versions,
                    "recipe": replace(recipe, alpha=method.alpha).describe(),
                    "augment": scale.augment,
                    "channels_last": CHANNELS_LAST,
                    "data_name": name_pictures(data_name, scale),
                }
                options = {"device": device, "data_home": data_home, "whole": whole}
                work = partial(run_pictures, scale, recipe, fraction, method, seed, **options)
                tasks.append(Task(key, settings, work))
    return tasks


def plan_tables(
    scale: TableScale, fractions: Sequence[float], *, device: str, data_home: str | None = None
) -> list[Task]:
    """List the runs on tables, those that are trained together in a row."""
    sizes = " x ".join(map(str, TABLES_RECIPE["module__hidden_sizes"]))
    common = {**environment(device), **TABLES_RECIPE, "n_rows": scale.n_rows}
    tasks = []
    for name in scale.tables:
        source = load_table(name, data_home).source
        settings = {**common, "source": source, "test_share": report.TEST_SHARE}
        for fraction in fractions:
            work = partial(
                run_tables,
                *(name, fraction, scale.n_rows, scale.max_epochs),
                device=device,
                data_home=data_home,
            )
            for split in range(scale.n_splits):
                for method in scale.grid.methods():
                    key = {
                        "data": name,
                        "network": f"MLP {sizes}",
                        "fraction": fraction,
                        "method": method.name,
                        "alpha": method.alpha,
                        "dropout": method.dropout,
                        "max_epochs": scale.max_epochs,
                        "seed": split,
                    }
                    group = f"{name} {fraction} {split // SPLITS_AT_ONCE}"
                    tasks.append(Task(key, settings, work, group))
    return tasks


# -- command line ---------------------------------------------------------------------------------


def _share(text: str) -> float:
    """Read a share of labels that leaves some of both kinds."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be > 0 and < 1; got {text}")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--parts", nargs="+", choices=list(_STEMS), default=list(_STEMS), help="default: both"
    )
    parser.add_argument(
        "--fractions",
        type=_share,
        nargs="+",
        metavar="F",
        help="shares of the labels to replace; default 0.2 0.5 0.8",
    )
    add_alphas(parser, told=", with and without dropout; by scale")
    parser.add_argument(
        "--dropouts",
        type=_share,
        nargs="+",
        metavar="P",
        help="shares of the units to drop, with and without mixup; by scale",
    )
    parser.add_argument("--data", choices=["cifar10", "digits"], help="the pictures; by scale")
    parser.add_argument(
        "--tables", nargs="+", choices=list(TITLES), metavar="NAME", help=", ".join(TITLES)
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="for both parts, with drops in proportion; by scale"
    )
    add_data_options(parser, "cifar10/... and uci/...")


def tables_of(args: argparse.Namespace) -> list[str]:
    """Name the tables of runs that are started over with ``--fresh``."""
    return [_STEMS[part] for part in args.parts]


def _narrow(grid: Grid, args: argparse.Namespace) -> Grid:
    """Put what was asked for on the command line in the place of the scale's."""
    if alphas := tuple(alpha for alpha in args.alphas or () if alpha > 0):
        grid = replace(grid, alphas=alphas, both_alphas=alphas)
    if args.dropouts:
        dropouts = tuple(args.dropouts)
        grid = replace(grid, dropouts=dropouts, both_dropouts=dropouts)
    return grid


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its tables, pages and figures."""
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    for part in args.parts:
        (_run_pictures if part == "pictures" else _run_tables)(args, device)


def _run_pictures(args: argparse.Namespace, device: str) -> None:
    """Do the runs on pictures that are not done, and write their page and figure."""
    scale_name = args.scale or "small"
    scale, _ = _SCALES[scale_name]
    scale = replace(
        scale,
        data=args.data or scale.data,
        max_epochs=args.epochs or scale.max_epochs,
        grid=_narrow(scale.grid, args),
        n_seeds={
            fraction: args.seeds or scale.n_seeds.get(fraction, 1)
            for fraction in args.fractions or scale.n_seeds
        },
    )
    where = {"data_home": args.data_home, "whole": scale_name == "paper"}
    if args.download and scale.data == "cifar10":
        fetch_cifar10(args.data_home)
    try:
        data_name = load_pictures(scale.data, **where).name
    except OSError as error:
        raise SystemExit(
            f"{error}\n(--download gets it; --data digits or --parts tables do without)"
        ) from error
    tasks = plan_pictures(scale, data_name=data_name, device=device, **where)
    folder = args.out / "corrupted_checkpoints"
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    tasks = [with_checkpoints(task, folder) for task in tasks]
    runs = _complete("pictures", tasks, args, device)
    forget_checkpoints(folder, tasks)
    crops = "Crops and flips while training." if scale.augment else "No crops and flips."
    report_runs("pictures", runs, args.out, device, [f"{crops} {report.PICTURES_NOTE}"])


def _run_tables(args: argparse.Namespace, device: str) -> None:
    """Do the runs on tables that are not done, and write their page and figure."""
    _, scale = _SCALES[args.scale or "small"]
    names = args.tables or scale.tables
    if args.download:
        for name in {*names} & {*FETCHERS}:
            FETCHERS[name](args.data_home)
    here = [name for name in names if _is_here(name, args.data_home)]
    notes = [report.TABLES_NOTE]
    if "phishing_websites" in here:
        notes.append(report.REPEATS_NOTE)
    if missing := [name for name in names if name not in here]:
        notes.append(missing_tables_note(missing))
    if not here:
        raise SystemExit(f"{notes[-1]}\n(--tables breast_cancer does without)")
    scale = replace(
        scale,
        tables=tuple(here),
        max_epochs=args.epochs or scale.max_epochs,
        n_splits=args.seeds or scale.n_splits,
        grid=_narrow(scale.grid, args),
    )
    fractions = args.fractions or FRACTIONS
    tasks = plan_tables(scale, fractions, device=device, data_home=args.data_home)
    report_runs("tables", _complete("tables", tasks, args, device), args.out, device, notes)


def _is_here(name: str, data_home: str | None) -> bool:
    """Tell whether a table is on this machine."""
    try:
        load_table(name, data_home)
    except OSError:
        return False
    return True


def _complete(
    part: str, tasks: Sequence[Task], args: argparse.Namespace, device: str
) -> pd.DataFrame:
    """Do the runs of a part that are not done."""
    run_table = RunTable(args.out / f"{_STEMS[part]}.csv", _KEY)
    return run_table.complete(
        tasks, n_jobs=args.jobs, title=f"corrupted, {part}", extra=environment(device)
    )


def report_runs(
    part: str, runs: pd.DataFrame, out: Path, device: str, notes: Sequence[str]
) -> None:
    """Print what came out of a part, and write its page and figure."""
    stem = _STEMS[part]
    comparison = report.compare(runs, on_tables=part == "tables")
    picked = report.pick(comparison)
    tables = [report.table_2(picked)]
    if len(picked) < len(comparison):
        tables.append(report.table_2(comparison))
    texts = [*report.conclude(comparison), *report.notes(runs, comparison), *notes]
    plot = report.plot_curves if part == "pictures" else report.plot_last
    plot(runs, picked, out / f"{stem}.png")
    for table in tables:
        print("", terminal_table(table), sep="\n")
    print("", *(textwrap.fill(text, 100) + "\n" for text in texts), sep="\n")
    told = ", ".join(f"{name} {value}" for name, value in environment(device).items())
    n_said = len(texts) - len(notes) - 1
    title = f"Table 2: corrupted labels, {part}"
    picture = f"![{title}]({stem}.png)"
    write_markdown(
        out / f"{stem}.md", title, *texts[:n_said], picture, *tables, *texts[n_said:], told + "."
    )
    print(f"Written: {', '.join(str(out / f'{stem}.{ext}') for ext in ('csv', 'md', 'png'))}")
