"""Figure 5 of [1]: GANs with and without mixup. Adds measures, seeds, a third set, two examples.

Three parts, each resumable, with a page of its own:

- toys: the paper's two sets, a ring of 8 Gaussians and a grid of 25 (standard deviation 0.01), and
  a swiss roll. Setting "paper" has the networks and the training of the paper; "steady" is a
  narrower network whose learning rate falls to zero, which trains in minutes on a CPU.
- digits: pictures of 8 x 8 pixels, and whether a classifier of real digits recognises samples.
- tables: whether a small table learns from samples drawn class by class.

Departs from the paper in that rows are drawn from a table of 100,000, not without end.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.8.
"""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks import _gan_digits, _gan_tables, _gan_toys, recipes
from benchmarks._nets.gans import GAN_RECIPES
from benchmarks._options import add_data_options
from benchmarks._runs import RunTable, environment, terminal_table, write_markdown
from sklearn_mixup import MixupGAN

_KEY = ("part", "data", "setting", "method", "alpha", "seed")
_PARTS = {"toys": _gan_toys, "digits": _gan_digits, "tables": _gan_tables}
# Each part has a table of runs and a page of its own: gan.csv and gan.md are those of Figure 5.
_STEMS = {"toys": "gan", "digits": "gan_digits", "tables": "gan_tables"}
_TITLES = {
    "toys": "Figure 5: GANs with and without mixup",
    "digits": "GANs that draw digits",
    "tables": "Small tables augmented by GANs",
}


@dataclass(frozen=True)
class _Scale:
    """How much of the toys is run."""

    n_seeds: int
    settings: tuple[str, ...]
    data: tuple[str, ...]
    alphas: tuple[float, ...] | None
    max_iter: int | None = None


_SCALES = {
    "smoke": _Scale(1, ("steady",), ("ring",), None, max_iter=100),
    "small": _Scale(5, ("steady",), tuple(_gan_toys.TITLES), None),
    "paper": _Scale(10, ("paper", "steady"), tuple(_gan_toys.TITLES), recipes.GAN_ALPHAS),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this benchmark has."""
    parser.add_argument(
        "--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS), help="default: all"
    )
    parser.add_argument(
        "--settings", nargs="+", choices=list(GAN_RECIPES), help="of the toys; by scale"
    )
    parser.add_argument(
        "--data", nargs="+", choices=list(_gan_toys.TITLES), help="toys to run; by scale"
    )
    parser.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        metavar="A",
        help="concentrations of Beta(A, A) for the toys, 0 is ERM; by scale",
    )
    add_data_options(parser, "uci/...", download=None)


def tables_of(args: argparse.Namespace) -> list[str]:
    """Name the tables of runs that are started over with ``--fresh``."""
    return [_STEMS[part] for part in args.parts]


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its tables, page and figures."""
    scale_name = args.scale or "small"
    scale = _SCALES[scale_name]
    device = MixupGAN(device=args.device).device
    n_seeds = args.seeds or scale.n_seeds
    data_home = args.data_home
    out: Path = args.out
    versions = environment(device)
    written = []
    for part in args.parts:
        if part == "toys":
            tasks = _gan_toys.plan(
                args.data or scale.data,
                args.settings or scale.settings,
                args.alphas or scale.alphas,
                seeds=n_seeds,
                device=device,
                max_iter=scale.max_iter,
            )
        else:
            common = {"device": device, "scale": scale_name, "data_home": data_home}
            tasks = _PARTS[part].plan(n_seeds, **common)
        if not tasks:
            print(f"gan, {part}: nothing to run.")
            continue
        stem = _STEMS[part]
        run_table = RunTable(out / f"{stem}.csv", _KEY)
        runs = run_table.complete(tasks, n_jobs=args.jobs, title=f"gan, {part}", extra=versions)
        blocks = _tell(part, runs)
        figures = _draw(part, runs, out)
        pictures = [f"![{part}]({figure.name})" for figure in figures]
        told = ", ".join(f"{name} {value}" for name, value in versions.items())
        write_markdown(out / f"{stem}.md", _TITLES[part], *blocks, *pictures, told + ".")
        written += [out / f"{stem}.csv", out / f"{stem}.md", *figures]
    print(f"\nWritten: {', '.join(map(str, written))}")


def _tell(part: str, runs: pd.DataFrame) -> list[str | pd.DataFrame]:
    """Print the tables of a part, and give them for the page."""
    module = _PARTS[part]
    texts = [module.notes()]
    if part == "toys" and (verdict := _gan_toys.verdict(runs)):
        texts.insert(0, verdict)
    blocks: list[str | pd.DataFrame] = []
    for title, table in module.report(runs):
        print("", title, "", terminal_table(table), sep="\n")
        blocks += [f"## {title}", table]
    print("", *(textwrap.fill(text, 100) for text in texts), sep="\n")
    return [*blocks, *texts]


def _draw(part: str, runs: pd.DataFrame, out: Path) -> list[Path]:
    """Draw the figures of a part."""
    if part != "toys":
        path = out / f"{_STEMS[part]}.png"
        _PARTS[part].plot(runs, path)
        return [path]
    paths = []
    settings = [name for name in GAN_RECIPES if (runs.setting == name).any()]
    for setting in reversed(settings):  # "steady" is gan.png where both are run
        path = out / (f"gan_{setting}.png" if paths else "gan.png")
        if _gan_toys.plot(runs, path, setting):
            paths.append(path)
    if _gan_toys.measures_plot(runs, path := out / "gan_measures.png"):
        paths.append(path)
    return paths
