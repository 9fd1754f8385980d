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

At --scale gpu half of the labels are replaced, of all of CIFAR-10, or of all of it recompressed
where that is what the data folder has: the paper's network, crops and flips, 60 epochs instead of
200, and for each method the alpha and p that the paper found best. While the runs go on,
DIR/corrupted_unfinished.md and .png show their test errors so far.

At --scale paper the pictures are trained on with the paper's settings and its grids of alpha and p.

References
----------
[1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Section 3.4 and Table 2.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from benchmarks._data.tables import TITLES, find_tables
from benchmarks._lab.experiment import Experiment, Part, Request
from benchmarks._lab.options import add_alphas, add_data_options, add_number, add_size, add_tables
from benchmarks._lab.pictures import ON_A_FAST_GPU, find_pictures
from benchmarks.corrupted.recipes import FRACTIONS, PAPER_GRID, Grid
from benchmarks.corrupted.report import tell_pictures, tell_tables
from benchmarks.corrupted.runs import KEY, PictureScale, TableScale, list_pictures, list_tables

# The smallest of each grid of the paper: at 25 epochs alpha = 8 underfits.
_ONE_EACH = Grid((1.0,), (0.5,), (1.0,), (0.3,))
# Those of Table 2 at 50 % of the labels.
_BEST_OF_THE_PAPER = Grid((32.0,), (0.8,), (8.0,), (0.3,))
_TABLES_GRID = Grid((1.0, 8.0, 32.0), (0.5,), (8.0,), (0.3,))
_TABLES = ("phishing_websites", "htru2")
_SCALES = {
    "smoke": {
        "pictures": PictureScale("digits", None, 4, 2, False, _ONE_EACH, {0.2: 1, 0.5: 2, 0.8: 1}),
        "tables": TableScale(("breast_cancer",), 200, 2, _ONE_EACH, 2),
    },
    "small": {
        "pictures": PictureScale(
            "cifar10", 4000, 16, 25, False, _ONE_EACH, {0.2: 1, 0.5: 3, 0.8: 1}
        ),
        "tables": TableScale(_TABLES, 2000, 100, _TABLES_GRID, 20),
    },
    # At 35,000 pictures a second the 240 epochs take six minutes.
    "gpu": {
        "pictures": PictureScale(
            *("cifar10", None, 64, 60, True, _BEST_OF_THE_PAPER, {0.5: 1}), pace=ON_A_FAST_GPU
        ),
        "tables": TableScale(_TABLES, 2000, 100, _TABLES_GRID, 20),
    },
    "paper": {
        "pictures": PictureScale(
            "cifar10", None, 64, None, True, PAPER_GRID, dict.fromkeys(FRACTIONS, 1)
        ),
        "tables": TableScale(_TABLES, 2000, 100, PAPER_GRID, 20),
    },
}


def _share(text: str) -> float:
    """Read a share of labels that leaves some of both kinds."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be > 0 and < 1; got {text}")
    return number


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parts", nargs="+", choices=list(_PLANS), help="default: both; pictures at --scale gpu"
    )
    parser.add_argument(
        "--fractions",
        type=_share,
        nargs="+",
        metavar="F",
        help="shares of the labels to replace; default 0.2 0.5 0.8, and 0.5 at --scale gpu",
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
    add_tables(parser, TITLES)
    add_number(parser, "--epochs", "for both parts, with drops in proportion; by scale")
    add_size(parser)
    add_data_options(parser, "cifar10/... and uci/...")


def _plan(request: Request) -> list[Part]:
    parts = request.args.parts or (["pictures"] if request.args.scale == "gpu" else list(_PLANS))
    return [_PLANS[part](replace(request, scale=request.scale[part])) for part in parts]


def _plan_pictures(request: Request) -> Part:
    args = request.args
    scale: PictureScale = request.narrow(
        data="data", max_epochs="epochs", width="width", n_rows="rows"
    )
    n_seeds = {
        fraction: args.seeds or scale.n_seeds.get(fraction, 1)
        for fraction in args.fractions or scale.n_seeds
    }
    scale = replace(scale, n_seeds=n_seeds, grid=_narrow(scale.grid, args))
    hint = "(--download gets it; --data digits or --parts tables do without)"
    pictures = find_pictures(scale.data, args, hint).first(scale.n_rows)
    tasks = list_pictures(scale, pictures, **request.where)
    tell_page = partial(tell_pictures, augment=scale.augment)
    return Part("corrupted", KEY, {"": tasks}, tell_page, checkpoints=True)


def _plan_tables(request: Request) -> Part:
    args = request.args
    scale: TableScale = request.narrow(tables="tables", max_epochs="epochs", n_splits="seeds")
    here, missing = find_tables(scale.tables, args.data_home, download=args.download)
    scale = replace(scale, tables=tuple(here), grid=_narrow(scale.grid, args))
    fractions = args.fractions or FRACTIONS
    tasks = list_tables(scale, fractions, data_home=args.data_home, **request.where)
    return Part("corrupted_tables", KEY, {"": tasks}, partial(tell_tables, missing=missing))


def _narrow(grid: Grid, args: argparse.Namespace) -> Grid:
    """Put what was asked for on the command line in the place of the scale's."""
    if alphas := tuple(alpha for alpha in args.alphas or () if alpha > 0):
        grid = replace(grid, alphas=alphas, both_alphas=alphas)
    if dropouts := tuple(args.dropouts or ()):
        grid = replace(grid, dropouts=dropouts, both_dropouts=dropouts)
    return grid


_PLANS = {"pictures": _plan_pictures, "tables": _plan_tables}
EXPERIMENT = Experiment(
    name="corrupted",
    paper="Table 2",
    title="Corrupted labels",
    question="Does mixup keep a network from learning wrong labels by heart?",
    small_takes="50 minutes",
    doc=__doc__,
    scales=_SCALES,
    options=_add_options,
    plan=_plan,
)
