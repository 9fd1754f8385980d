"""Figure 3 of [1]: test errors of ERM and mixup on CIFAR, and their curves over the epochs.

Two parts, which share one table of runs, cifar.csv:

- errors (the default): PreAct ResNet-18, WideResNet and DenseNet-BC, ERM beside mixup;
- budget: PreAct ResNet-18 for several numbers of epochs, each a training of its own with the
  whole schedule: from which budget on does mixup win?

Departs from the paper at --scale small, for two CPU cores: narrow networks, few epochs with the
drops of the learning rate in proportion, and, where that is what the data folder has, a subset of
CIFAR-10. Every result names the data it is for.

The test error after each epoch is a measurement: nothing is chosen by it. A killed run goes on in
its middle, from DIR/cifar_checkpoints.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.2.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import _picture_figures as figures
from benchmarks import _picture_report as report
from benchmarks._data.cifar import fetch_cifar10, fetch_cifar100
from benchmarks._data.pictures import load_pictures
from benchmarks._nets import recipes
from benchmarks._nets.pictures import make_network, name_network
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier
from benchmarks._options import add_alphas, add_data_options, add_dry_run
from benchmarks._picture_runs import compute_cost, forget_checkpoints, with_checkpoints
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from sklearn_mixup import MixupClassifier

_KEY = ("data", "network", "method", "alpha", "max_epochs", "seed")
_CHANNELS_LAST = True  # 0.6 to 0.85 of the time of narrow networks on a CPU, see `make_network`
_BUDGET_FAMILY = "preact_resnet18"
_TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
_PUBLISHED_ROWS = (50_000, 10_000)  # of either, to train and to test on


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run; `max_epochs` None is the paper's."""

    n_seeds: int
    data: tuple[str, ...]
    sizes: Mapping[str, Mapping[str, Any]]
    max_epochs: int | None
    budgets: tuple[int, ...]


_SMOKE_SIZES = {
    "preact_resnet18": {"width": 4},
    "wide_resnet": {"depth": 10, "widen_factor": 1},
    "densenet_bc": {"depth": 10, "growth_rate": 4},
}
_SMALL_SIZES = {
    "preact_resnet18": {"width": 16},
    "wide_resnet": {"depth": 16, "widen_factor": 1},
    "densenet_bc": {"depth": 22, "growth_rate": 8},
}
_SCALES = {
    "smoke": _Scale(1, ("digits",), _SMOKE_SIZES, 2, (1, 2)),
    "small": _Scale(3, ("cifar10",), _SMALL_SIZES, 12, (10, 30, 100)),
    "paper": _Scale(1, ("cifar10", "cifar100"), recipes.CIFAR_SIZES, None, (50, 100, 200)),
}


# -- runs -----------------------------------------------------------------------------------------


def run_one(
    data: str,
    family: str,
    sizes: Mapping[str, Any],
    recipe: recipes.PictureRecipe,
    alpha: float,
    seed: int,
    *,
    device: str,
    data_home: str | None,
    whole: bool,
    checkpoints: Path,
) -> dict[str, Any]:
    """Train one network and measure its error after each epoch."""
    pictures = load_pictures(data, data_home, whole)
    test_errors = TestErrors(pictures.X_test.to(device), pictures.y_test)
    classifier = make_classifier(
        recipe,
        family,
        n_train=len(pictures.X_train),
        n_classes=pictures.n_classes,
        alpha=alpha,
        seed=seed,
        device=device,
        sizes={**sizes, "channels_last": _CHANNELS_LAST},
        callbacks=[("test_errors", test_errors)],
        iterator_train__augment=pictures.augment,
    )
    results = fit_resumable(classifier, pictures.X_train, pictures.y_train, checkpoints)
    counts = {"n_train": len(pictures.X_train), "n_test": len(pictures.X_test)}
    return {"data_name": pictures.name, "family": family, **results, **counts}


def plan(
    data: Sequence[str],
    sizes: Mapping[str, Mapping[str, Any]],
    *,
    max_epochs: Sequence[int | None],
    alphas: Sequence[float],
    n_seeds: int,
    names: Mapping[str, str],
    device: str,
    data_home: str | None = None,
    whole: bool = False,
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    Parameters
    ----------
    data : sequence of str
        As for `load_pictures`.
    sizes : mapping of str to mapping
        Networks to train, and their sizes.
    max_epochs : sequence of int or None
        Budgets, each a training of its own; None is that of the paper.
    alphas : sequence of float
        0 is ERM.
    n_seeds : int
        Repeats.
    names : mapping of str to str
        What each of the data calls itself: a result for a subset is none for the whole.
    device, data_home, whole
        As for `load_pictures` and ``MixupClassifier``.

    Returns
    -------
    list of Task
        Their work lacks ``checkpoints``, see `with_checkpoints`.
    """
    versions = environment(device)
    tasks = []
    for seed in range(n_seeds):
        for name in data:
            for family, size in sizes.items():
                for budget in max_epochs:
                    recipe = recipes.CIFAR_RECIPES[family]
                    recipe = recipe if budget is None else recipe.shortened(budget)
                    for alpha in alphas:
                        key = {
                            "data": name,
                            "network": name_network(family, size),
                            "method": "mixup" if alpha else "ERM",
                            "alpha": alpha,
                            "max_epochs": recipe.max_epochs,
                            "seed": seed,
                        }
                        settings = {
                            **versions,
                            "recipe": replace(recipe, alpha=alpha).describe(),
                            "sizes": dict(size),
                            "channels_last": _CHANNELS_LAST,
                            "data_name": names[name],
                        }
                        work = partial(
                            run_one,
                            *(name, family, size, recipe, alpha, seed),
                            device=device,
                            data_home=data_home,
                            whole=whole,
                        )
                        tasks.append(Task(key, settings, work))
    return tasks


# -- the plan, told before it starts --------------------------------------------------------------


def describe_plan(tasks: Sequence[Task], *, shapes: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    """Compute what the runs take: a row for each network, data and number of epochs.

    Parameters
    ----------
    tasks : sequence of Task
        From `plan`.
    shapes : mapping of str to tuple
        Of each of the data: shape of a picture, pictures to train on, to test on, classes.

    Returns
    -------
    DataFrame
        Numbers, see `_picture_report.plan_table`.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for task in tasks:
        data, family, size, recipe, *_ = task.work.args
        place = (data, task.key["network"], recipe.max_epochs)
        if place not in rows:
            shape, n_train, n_test, n_classes = shapes[data]
            cost = compute_cost(
                recipe,
                partial(make_network, family, n_classes, **size),
                shape=shape,
                n_train=n_train,
                n_resident=n_train + n_test,
            )
            rows[place] = report.plan_row(place, cost, task.settings["data_name"])
        rows[place]["n_runs"] += 1
    return pd.DataFrame(list(rows.values()))


def look_up(
    name: str, data_home: str | None, whole: bool, *, dry: bool
) -> tuple[str, tuple[Any, ...]]:
    """Tell what data call themselves, and their shape; those of CIFAR are known without it."""
    try:
        found = load_pictures(name, data_home, whole)
    except OSError as error:
        if not dry:
            raise SystemExit(f"{error}\n(or --download, to get it)") from error
        title = f"{_TITLES[name]}, which is not on this machine"
        return title, ((3, 32, 32), *_PUBLISHED_ROWS, 10 if name == "cifar10" else 100)
    shape = tuple(found.X_train.shape[1:])
    return found.name, (shape, len(found.X_train), len(found.X_test), found.n_classes)


# -- command line ---------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=["errors", "budget"],
        default=["errors"],
        help="default errors",
    )
    parser.add_argument("--data", nargs="+", choices=[*_TITLES, "digits"], help="by scale")
    parser.add_argument(
        "--networks", nargs="+", choices=list(recipes.CIFAR_RECIPES), help="default: all"
    )
    add_alphas(parser, [recipes.CIFAR_RECIPES[_BUDGET_FAMILY].alpha], told="; default 1")
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="of the part errors; the drops of the learning rate come in proportion; by scale",
    )
    parser.add_argument(
        "--budgets", type=int, nargs="+", metavar="N", help="epochs of the part budget; by scale"
    )
    add_dry_run(parser)
    add_data_options(parser, "cifar10/...")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, pages and figures."""
    scale_name = args.scale or "small"
    scale = _SCALES[scale_name]
    data_home = args.data_home
    data, whole = tuple(args.data or scale.data), scale_name == "paper"
    if args.download:
        for name in {"cifar10", "cifar100"} & set(data):
            (fetch_cifar10 if name == "cifar10" else fetch_cifar100)(data_home)
    looks = {name: look_up(name, data_home, whole, dry=args.dry_run) for name in data}
    common = {
        "alphas": [0.0, *(alpha for alpha in args.alphas if alpha > 0)],
        "n_seeds": args.seeds or scale.n_seeds,
        "names": {name: title for name, (title, _) in looks.items()},
        "device": MixupClassifier(device=args.device).device,  # "auto" resolved
        "data_home": data_home,
        "whole": whole,
    }
    families = args.networks or list(scale.sizes)
    budgets: dict[str, tuple[Sequence[str], Sequence[int | None]]] = {
        "errors": (families, [args.epochs or scale.max_epochs]),
        "budget": ([_BUDGET_FAMILY], sorted(args.budgets or scale.budgets)),
    }
    tasks = {}
    for part in args.parts:
        networks, epochs = budgets[part]
        sizes = {family: scale.sizes[family] for family in networks}
        tasks[part] = plan(data, sizes, max_epochs=epochs, **common)
    if args.dry_run:
        shapes = {name: shape for name, (_, shape) in looks.items()}
        for part, planned in tasks.items():
            report.tell_plan(f"cifar, {part}", describe_plan(planned, shapes=shapes))
        return
    if args.fresh:
        shutil.rmtree(args.out / "cifar_checkpoints", ignore_errors=True)
    for part, planned in tasks.items():
        _run_part(part, planned, args, common["device"])


def _run_part(part: str, tasks: Sequence[Task], args: argparse.Namespace, device: str) -> None:
    """Do the runs of a part that are not done, and write its page and figure."""
    out: Path = args.out
    run_table = RunTable(out / "cifar.csv", _KEY)
    versions = environment(device)
    folder = out / "cifar_checkpoints"
    tasks = [with_checkpoints(task, folder) for task in tasks]
    pending = {id(task) for task in run_table.pending(tasks)}
    forget_checkpoints(folder, [task for task in tasks if id(task) not in pending])
    runs = run_table.complete(tasks, n_jobs=args.jobs, title=f"cifar, {part}", extra=versions)
    forget_checkpoints(folder, tasks)
    if part == "errors":
        stem, title = "cifar", "Figure 3: test errors of ERM and mixup on CIFAR"
        comparison = report.compare(runs)
        tables = [report.errors_table(comparison), report.top5_table(comparison)]
        notes = [*report.conclude(comparison), report.notes(runs)]
        figures.plot_curves(runs, out / f"{stem}.png")
    else:
        stem, title = "cifar_budget", "From which number of epochs on mixup wins"
        comparison = report.compare(runs)
        tables = [report.budget_table(comparison)]
        notes = [*report.conclude_budget(comparison), report.notes(runs)]
        figures.plot_budget(runs, comparison, out / f"{stem}.png")
    for table in tables:
        print("", terminal_table(table), sep="\n")
    print("", *(textwrap.fill(note, 100) + "\n" for note in notes), sep="\n")
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    picture = f"![{title}]({stem}.png)"
    write_markdown(out / f"{stem}.md", title, *notes[:-1], picture, *tables, notes[-1], told + ".")
    written = [out / "cifar.csv", out / f"{stem}.md", out / f"{stem}.png"]
    print(f"Written: {', '.join(map(str, written))}")
