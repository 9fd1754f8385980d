"""The experiments: the command line, `all`, the report and the table of them come from here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from benchmarks import (
    adversarial,
    between,
    calibration,
    cifar,
    corrupted,
    gan,
    imagenet,
    peers,
    speech,
    speed,
    tabular,
    toy,
    variants,
)
from benchmarks._experiments import TOLD, Told
from benchmarks._lab.driver import drive
from benchmarks._lab.experiment import Experiment


@dataclass(frozen=True)
class Legacy(Told):
    """A benchmark that has no folder yet: a module with ``add_arguments`` and ``run``."""

    doc: str
    options: Callable[[argparse.ArgumentParser], None]
    module: ModuleType

    def run(self, args: argparse.Namespace) -> None:
        """Run it."""
        if args.fresh:
            stems = getattr(self.module, "tables_of", lambda args: [self.name])
            for stem in stems(args):
                (args.out / f"{stem}.csv").unlink(missing_ok=True)
        self.module.run(args)


def _find(module: ModuleType) -> Experiment | Legacy:
    """Find the experiment of a module."""
    if hasattr(module, "EXPERIMENT"):
        return module.EXPERIMENT
    told = TOLD[module.__name__.rpartition(".")[2]]
    return Legacy(**vars(told), doc=module.__doc__, options=module.add_arguments, module=module)


# In the paper's order, then what is not in it.
_MODULES = (
    *(toy, between, imagenet, cifar, speech, corrupted, adversarial, tabular, gan),
    *(calibration, peers, variants, speed),
)
EXPERIMENTS = {experiment.name: experiment for experiment in map(_find, _MODULES)}
# In the order of `all`: after minutes the report is worth a look.
QUICK_FIRST = (
    *("toy", "tabular", "calibration", "imagenet", "between", "speech", "adversarial", "cifar"),
    *("corrupted", "variants", "peers", "gan", "speed"),
)


def run(name: str, args: argparse.Namespace) -> None:
    """Run an experiment as the options say."""
    experiment = EXPERIMENTS[name]
    if isinstance(experiment, Legacy):
        experiment.run(args)
    else:
        drive(experiment, args)


def table() -> str:
    """Write what there is as Markdown, for benchmarks/README.md."""
    rows = (
        f"| [{it.name}](#{it.name}) | {it.paper or ''} | {it.question} | {it.small_takes} |\n"
        for it in EXPERIMENTS.values()
    )
    return "| Name | In the paper | Asks | Takes |\n| --- | --- | --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    print(table())
