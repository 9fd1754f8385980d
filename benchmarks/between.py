"""Figure 2 of [1]: misses and gradient norms of ERM and mixup between the pictures of CIFAR-10.

At ``lam * x_i + (1 - lam) * x_j``, for random pairs of training pictures, not augmented: how often
the prediction is neither label (a miss), and the Euclidean norm of the gradient with respect to the
picture. The paper says "norm of the gradients of the model"; here it is that of the loss, and
beside it that of all logits (the norm of their Jacobian). Misses between test pictures are ours.

Departs from the paper at --scale small as the benchmark cifar does: a PreAct ResNet-18 of a quarter
of the width, few epochs with the drops of the learning rate in proportion, and, where that is what
the data folder has, a subset of CIFAR-10. ERM and mixup of a seed have the same initial weights,
shuffles and pairs, and are compared seed by seed. --scale smoke runs on scikit-learn's digits.

A killed run goes on in its middle, from DIR/between_checkpoints.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3 and Figure 2.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _between_report as report
from benchmarks._data.cifar import fetch_cifar10
from benchmarks._data.pictures import load_pictures
from benchmarks._nets import recipes
from benchmarks._nets.pictures import name_network
from benchmarks._nets.training import TestErrors, fit_resumable, make_classifier
from benchmarks._options import add_data_options
from benchmarks._picture_runs import forget_checkpoints, with_checkpoints
from benchmarks._runs import RunTable, Task, environment, terminal_table, write_markdown
from sklearn_mixup import MixupClassifier
from sklearn_mixup.inspection import gradient_norm_between, miss_rate_between

_KEY = ("data", "network", "method", "alpha", "max_epochs", "seed")
_FAMILY = "preact_resnet18"
_CHANNELS_LAST = True  # faster on a CPU, see `make_network`


@dataclass(frozen=True)
class _Scale:
    """How much of the benchmark is run; `max_epochs` None is the paper's.

    `n_pairs` is for misses, `n_gradients` for the gradients of the loss, `n_jacobians` for those of
    the logits, which take as many backward passes as there are classes.
    """

    n_seeds: int
    data: str
    width: int
    max_epochs: int | None
    n_lam: int
    n_pairs: int
    n_gradients: int
    n_jacobians: int


_SCALES = {
    "smoke": _Scale(2, "digits", 4, 2, 5, 100, 40, 10),
    "small": _Scale(3, "cifar10", 16, 12, 11, 1_000, 500, 100),
    "paper": _Scale(3, "cifar10", 64, None, 21, 10_000, 5_000, 1_000),
}


# -- runs -----------------------------------------------------------------------------------------


def run_one(
    scale: _Scale,
    recipe: recipes.PictureRecipe,
    alpha: float,
    seed: int,
    *,
    device: str,
    data_home: str | None,
    whole: bool,
    checkpoints: Path,
) -> dict[str, Any]:
    """Train one network and measure it between the pictures; `seed` draws the pairs too."""
    pictures = load_pictures(scale.data, data_home, whole)
    X_test = pictures.X_test.to(device)
    classifier = make_classifier(
        recipe,
        _FAMILY,
        n_train=len(pictures.X_train),
        n_classes=pictures.n_classes,
        alpha=alpha,
        seed=seed,
        device=device,
        sizes={"width": scale.width, "channels_last": _CHANNELS_LAST},
        callbacks=[("test_errors", TestErrors(X_test, pictures.y_test))],
        iterator_train__augment=pictures.augment,
    )
    results = fit_resumable(classifier, pictures.X_train, pictures.y_train, checkpoints)
    start = time.perf_counter()
    measured = measure(
        classifier,
        (pictures.X_train.to(device), pictures.y_train.numpy()),
        (X_test, pictures.y_test.numpy()),
        scale=scale,
        seed=seed,
    )
    return {
        "data_name": pictures.name,
        **{name: results[name] for name in ("test_error", "train_loss", "fit_time_s")},
        **measured,
        "measure_time_s": round(time.perf_counter() - start, 2),
        "n_train": len(pictures.X_train),
        "n_test": len(pictures.X_test),
    }


def measure(
    classifier: Any, train: tuple[Any, Any], test: tuple[Any, Any], *, scale: _Scale, seed: int
) -> dict[str, float]:
    """Measure misses and norms; a number for each measure and lam, named by `report.column`."""
    lam = np.linspace(0, 1, scale.n_lam)
    common = {"lam": lam, "random_state": seed}
    norms = partial(gradient_norm_between, classifier, *train, **common)
    curves = {
        "train_misses": miss_rate_between(classifier, *train, n_pairs=scale.n_pairs, **common),
        "test_misses": miss_rate_between(classifier, *test, n_pairs=scale.n_pairs, **common),
        "loss_gradient": norms(n_pairs=scale.n_gradients),
        "logit_gradient": norms(n_pairs=scale.n_jacobians, of="output", batch_size=64),
    }
    measured = {"train_error": 1 - classifier.score(*train)}
    for name, curve in curves.items():
        values = curve["miss_rate" if "miss_rate" in curve else "gradient_norm"]
        for weight, value in zip(lam, values, strict=True):
            measured[report.column(name, weight)] = float(value)
    return measured


def plan(
    scale: _Scale,
    *,
    alpha: float,
    n_seeds: int,
    data_name: str,
    device: str,
    data_home: str | None = None,
    whole: bool = False,
) -> list[Task]:
    """List the runs, seed by seed, so that one that is killed leaves whole comparisons.

    Parameters
    ----------
    scale : _Scale
        What is run.
    alpha : float
        Of mixup, beside 0 (ERM).
    n_seeds : int
        Repeats.
    data_name : str
        What the data call themselves: a result for a subset is none for the whole.
    device, data_home, whole
        As for `load_pictures` and ``MixupClassifier``.

    Returns
    -------
    list of Task
        Their work lacks ``checkpoints``, see `with_checkpoints`.
    """
    recipe = recipes.CIFAR_RECIPES[_FAMILY]
    if scale.max_epochs is not None:
        recipe = recipe.shortened(scale.max_epochs)
    measured: Mapping[str, Any] = {
        "n_lam": scale.n_lam,
        "n_pairs": scale.n_pairs,
        "n_gradients": scale.n_gradients,
        "n_jacobians": scale.n_jacobians,
    }
    tasks = []
    for seed in range(n_seeds):
        for value in (0.0, alpha):
            key = {
                "data": scale.data,
                "network": name_network(_FAMILY, {"width": scale.width}),
                "method": "mixup" if value else "ERM",
                "alpha": value,
                "max_epochs": recipe.max_epochs,
                "seed": seed,
            }
            settings = {
                **environment(device),
                **measured,
                "recipe": replace(recipe, alpha=value).describe(),
                "channels_last": _CHANNELS_LAST,
                "data_name": data_name,
            }
            options = {"device": device, "data_home": data_home, "whole": whole}
            tasks.append(
                Task(key, settings, partial(run_one, scale, recipe, value, seed, **options))
            )
    return tasks


# -- command line ---------------------------------------------------------------------------------


def _positive(text: str) -> float:
    """Read an alpha that mixes."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"must be > 0; got {text}. ERM is run beside it anyway")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument("--data", choices=["cifar10", "digits"], help="by scale")
    parser.add_argument(
        "--alpha",
        type=_positive,
        metavar="A",
        default=recipes.CIFAR_RECIPES[_FAMILY].alpha,
        help="concentration of Beta(A, A) to mix with, beside ERM; default 1",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="the drops of the learning rate come in proportion; by scale",
    )
    add_data_options(parser, "cifar10/...")


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its table, page and figure."""
    scale_name = args.scale or "small"
    scale = _SCALES[scale_name]
    scale = replace(scale, data=args.data or scale.data, max_epochs=args.epochs or scale.max_epochs)
    whole = scale_name == "paper"
    data_home = args.data_home
    if args.download and scale.data == "cifar10":
        fetch_cifar10(data_home)
    try:
        data_name = load_pictures(scale.data, data_home, whole).name
    except OSError as error:
        raise SystemExit(
            f"{error}\n(--download gets it; --data digits does without, to see that it runs)"
        ) from error
    device = MixupClassifier(device=args.device).device  # "auto" resolved
    versions = environment(device)
    out: Path = args.out
    folder = out / "between_checkpoints"
    if args.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    tasks = plan(
        scale,
        alpha=args.alpha,
        n_seeds=args.seeds or scale.n_seeds,
        data_name=data_name,
        device=device,
        data_home=data_home,
        whole=whole,
    )
    tasks = [with_checkpoints(task, folder) for task in tasks]
    run_table = RunTable(out / "between.csv", _KEY)
    runs = run_table.complete(tasks, n_jobs=args.jobs, title="between", extra=versions)
    forget_checkpoints(folder, tasks)

    comparison, curves = report.compare(runs), report.curves_of(runs)
    verdict = report.conclude(comparison)
    notes = report.notes(runs, tasks[0].settings)
    tables = [report.summary_table(comparison), report.curves_table(curves)]
    title = "Figure 2: ERM and mixup between the pictures"
    report.plot(curves, runs, out / "between.png")
    for table in tables:
        print("", terminal_table(table), sep="\n")
    print("", *(textwrap.fill(text, 100) + "\n" for text in (verdict, notes)), sep="\n")
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    write_markdown(
        out / "between.md", title, verdict, f"![{title}](between.png)", *tables, notes, told + "."
    )
    print(f"Written: {', '.join(str(out / f'between.{ext}') for ext in ('csv', 'md', 'png'))}")
