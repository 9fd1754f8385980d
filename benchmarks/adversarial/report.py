"""What came out under attack, compared and told."""

from __future__ import annotations

from functools import partial
from itertools import product

import pandas as pd

from benchmarks._lab.compare import pair, set_beside
from benchmarks._lab.outcome import Figure, Outcome, usual_page
from benchmarks._lab.tell import SIGNIFICANCE, percent, points
from benchmarks.adversarial import figures
from benchmarks.adversarial.attacks import (
    ATTACKS,
    BOXES,
    NAMES,
    column,
    levels_of,
    on_splits,
    unit_of,
)
from benchmarks.adversarial.recipes import TABLE_3_ERRORS

_GROUP = ["data", "network", "max_epochs"]
_CELL = [*_GROUP, "box", "attack", "n_best", "level"]


def tell(runs: pd.DataFrame) -> Outcome:
    """Tell what came out, beside the paper's."""
    comparison = compare(runs)
    title = "Table 3: adversarial examples, ERM and mixup"
    figure = Figure("adversarial.png", title, partial(figures.plot, runs))
    tables = table_3(comparison), curves_table(comparison)
    return usual_page(title, runs, conclude(comparison), figure, tables, notes(runs))


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set mixup beside ERM, paired by seed, for each error that was measured.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``data``, ``data_name``, ``network``, ``alpha``, ``max_epochs``, ``seed``,
        ``n_train``, ``n_test``, and errors as shares, by `column`.

    Returns
    -------
    DataFrame
        A row for each alpha > 0 of a group, box, attack (empty for none), ``n_best`` and level:
        what `set_beside` tells of the ``n_seeds`` seeds, corrected where they are random splits.

    Raises
    ------
    ValueError
        If some seed has one of the two and not the other.
    """
    rows = []
    for group, members in runs.groupby(_GROUP, sort=False):
        cells = [("", "", 1, 0.0), ("", "", 5, 0.0)]
        cells += product(BOXES, ATTACKS, (1, 5), levels_of(members))
        first = members.iloc[0]
        n_test, n_train = first["n_test"], first["n_train"]
        test_share = n_test / (n_test + n_train) if on_splits(first["network"]) else 0.0
        for alpha in sorted(alpha for alpha in members["alpha"].unique() if alpha > 0):
            for cell in cells:
                box, attack, n_best, level = cell
                name = column(box, attack, level, n_best)
                if name not in members or members[name].isna().all():
                    continue  # top-5 where it was not measured
                by_seed = pair(members, name, by="seed", wanted=(0.0, alpha), where=group)
                row = {"data_name": first["data_name"], "alpha": alpha, "n_seeds": len(by_seed)}
                row |= dict(zip(_CELL, (*group, *cell), strict=True))
                rows.append(row | set_beside(by_seed[0.0], by_seed[alpha], test_share=test_share))
    return pd.DataFrame(rows)


def _at_first_level(comparison: pd.DataFrame) -> pd.DataFrame:
    """Keep the errors without an attack, and those at the level that is looked at first."""
    first = comparison["network"].map(lambda network: unit_of(network)[0])
    return comparison[(comparison["level"] == first) | (comparison["box"] == "")]


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup errs less than ERM and where more."""
    sentences = []
    for (_, network, epochs, alpha), rows in _at_first_level(comparison).groupby(
        [*_GROUP, "alpha"], sort=False
    ):
        level, of = unit_of(network)
        rows = rows[rows["n_best"] == 1]
        clean, attacked = rows[rows["box"] == ""].iloc[0], rows[rows["box"] != ""]
        is_clear = attacked["p_corrected"] < SIGNIFICANCE
        told = {
            "ahead of ERM in": attacked[is_clear & (attacked["difference"] < 0)],
            "behind ERM in": attacked[is_clear & (attacked["difference"] > 0)],
            f"not told apart from it (p >= {SIGNIFICANCE:g}) in": attacked[~is_clear],
        }
        parts = [f"{words} {_listed(found)}" for words, found in told.items() if len(found)]
        sentences.append(
            f"{clean.data_name}, {network}, {epochs} epochs, top-1 errors at eps = {level:g} of "
            f"{of}: mixup (alpha = {alpha:g}) is {'; '.join(parts)}. Without an attack it errs in "
            f"{percent(clean.mixup, clean.mixup_se)} %, ERM in "
            f"{percent(clean.erm, clean.erm_se)} %. In the paper mixup is ahead in all four."
        )
    return sentences


def _listed(rows: pd.DataFrame) -> str:
    """List attacks, with the difference of the errors in points."""
    return ", ".join(
        f"{NAMES[row.attack]} {row.box} box ({points(row.difference, row.difference_se)} points)"
        for row in rows.itertuples()
    )


# -- tables ---------------------------------------------------------------------------------------


def table_3(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write errors in percent at the level that is looked at first, and those of the paper."""
    return _table(_at_first_level(comparison))


def curves_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write top-1 errors in percent at each level."""
    rows = comparison[(comparison["n_best"] == 1) & (comparison["box"] != "")]
    return _table(rows).drop(columns=["error", "paper ERM", "paper mixup"])


def _table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write rows of a comparison as texts, beside the paper's where it has them."""
    rows = []
    for row in comparison.itertuples():
        published = {} if on_splits(row.network) else TABLE_3_ERRORS
        erm, mixup = published.get((row.box, row.attack, row.n_best), (None, None))
        rows.append(
            {
                "network": f"{row.data}, {row.network}",
                "alpha": f"{row.alpha:g}",
                "box": row.box,
                "attack": NAMES[row.attack],
                "error": f"top-{row.n_best}",
                "eps": f"{row.level:g}/{unit_of(row.network)[1]}" if row.box else "0",
                "ERM": percent(row.erm, row.erm_se),
                "mixup": percent(row.mixup, row.mixup_se),
                "difference": points(row.difference, row.difference_se),
                "mixup lower": f"{row.n_lower} of {row.n_seeds}",
                "paper ERM": percent(erm),
                "paper mixup": percent(mixup),
            }
        )
    return pd.DataFrame(rows)


def notes(runs: pd.DataFrame) -> str:
    """Say how the numbers came about."""
    told = []
    for (data, network, epochs), members in runs.groupby(_GROUP, sort=False):
        first = members.iloc[0]
        n_seeds = members["seed"].nunique()
        seeds = "random splits" if on_splits(network) else "seeds"
        told.append(
            f"{data} is {first.data_name}, {first.n_train:,} pictures to train on and "
            f"{first.n_test:,} attacked, {network}, {epochs} epochs, {n_seeds} {seeds}"
        )
    return (
        f"{'; '.join(told)}. Errors in %, mean ± standard error; differences (mixup - ERM) in "
        "percentage points, paired by seed: both have the same initial weights, shuffles and "
        "black-box examples. Of random splits p-values are corrected for the rows that they share. "
        "White box: made with the attacked network; black box: with an ERM network of another "
        "seed, trained on the same pictures. I-FGSM takes ten steps of a tenth of eps. The test "
        "pictures are all attacked, also those that are misclassified anyway, so errors start at "
        "the error without an attack, eps = 0. The paper's numbers are of ResNet-101 on ImageNet. "
        "These attacks know nothing of a defence: a lower error here is less than a proof of "
        "robustness."
    )
