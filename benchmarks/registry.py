"""The experiments: the command line, `all`, the report and the table of them come from here."""

from __future__ import annotations

from benchmarks import (
    adversarial,
    between,
    calibration,
    cifar,
    committee,
    corrupted,
    defaults,
    gan,
    imagenet,
    peers,
    regression,
    speech,
    speed,
    steps,
    synthetic,
    tabular,
    toy,
    variants,
    vicinities,
)
from benchmarks._lab.experiment import Experiment

# In the paper's order, then what is not in it.
_MODULES = (
    *(toy, between, imagenet, cifar, speech, corrupted, adversarial, tabular, gan),
    *(calibration, peers, regression, committee, defaults, variants, vicinities, synthetic, steps),
    speed,
)
EXPERIMENTS: dict[str, Experiment] = {it.EXPERIMENT.name: it.EXPERIMENT for it in _MODULES}
# In the order of `all`: after minutes the report is worth a look.
QUICK_FIRST = (
    *("toy", "tabular", "calibration", "imagenet", "between", "speech", "adversarial", "cifar"),
    *(
        "corrupted",
        "steps",
        "defaults",
        "synthetic",
        "variants",
        "committee",
        "regression",
        "peers",
        "gan",
        "vicinities",
        "speed",
    ),
)


def table() -> str:
    """Write what there is as Markdown, for benchmarks/README.md."""
    rows = (
        f"| [{it.name}](#{it.name}) | {it.paper or ''} | {it.question} | {it.small_takes} |\n"
        for it in EXPERIMENTS.values()
    )
    return "| Name | In the paper | Asks | Takes |\n| --- | --- | --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    print(table())
