"""How the runs of calibration are compared, told and drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._alpha_styles import alpha_colours, alpha_name, keep_quiet
from benchmarks._calibration_measures import N_BINS, read_bins
from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._runs import mean_and_standard_error, paired_difference

_SIGNIFICANCE = 0.05
_CLEARLY_OVER = 0.03  # mean confidence less accuracy, from which on ERM is called overconfident
_FEWEST = 30  # predictions in a bin that is drawn
_MAIN_ALPHA = 0.2  # the package's default
_GREY = "#6e6e6e"


@dataclass(frozen=True)
class _Measure:
    """What a column of the runs is called, and how its numbers are written."""

    title: str
    factor: float
    digits: int
    is_loss: bool = True  # the lower the better

    def text(self, mean: float, error: float = np.nan, *, sign: str = "") -> str:
        """Write a mean and, where there are several splits, its standard error."""
        told = f"{self.factor * mean:{sign}.{self.digits}f}"
        return told if np.isnan(error) else f"{told} ± {self.factor * error:.{self.digits}f}"


MEASURES = {
    "ece": _Measure("ECE, %", 100, 1),
    "overconfidence": _Measure("mean confidence - accuracy, % points", 100, 1, is_loss=False),
    "log_loss": _Measure("log-loss, nats", 1, 3),
    "brier": _Measure("Brier score", 1, 3),
    "test_error": _Measure("test error, %", 100, 1),
    "ece_if_calibrated": _Measure("ECE if calibrated, %", 100, 1, is_loss=False),
}


# -- comparison -----------------------------------------------------------------------------------


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each alpha beside ERM, split by split, for each table and measure.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``table``, ``alpha``, ``split``, and a column for each of `MEASURES`.

    Returns
    -------
    DataFrame
        A row for each table, measure and alpha, ERM (0) too: ``mean`` over the splits and its
        standard error ``error``; ``difference`` from ERM, its ``difference_error``, and
        ``p_corrected``, the p value of the corrected resampled t-test.

    Raises
    ------
    ValueError
        If some split has a run for one alpha and not for another.
    """
    rows = []
    for (table, measure), values in _by_table_and_measure(runs):
        if 0.0 not in values or values.isna().any(axis=None):
            raise ValueError(
                f"Each split must have a run for each alpha, 0 among them; {table} has not: "
                f"{values.notna().to_dict()}."
            )
        for alpha in values.columns:
            mean, error = mean_and_standard_error(values[alpha])
            difference = paired_difference(values[alpha], values[0.0], test_share=TEST_SHARE)
            rows.append(
                {"table": table, "measure": measure, "alpha": alpha, "mean": mean, "error": error}
                | {
                    # Differences that cancel leave 1e-18, which has a sign but means nothing.
                    "difference": round(difference.mean, 12),
                    "difference_error": difference.standard_error,
                    "p_corrected": difference.p_corrected,
                }
            )
    return pd.DataFrame(rows)


def _by_table_and_measure(runs: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Part the runs: for each table, as the paper has them, and measure, split by alpha."""
    by_table = dict(list(runs.groupby("table")))
    return [
        ((table, measure), by_table[table].pivot(index="split", columns="alpha", values=measure))
        for measure in MEASURES
        for table in TITLES
        if table in by_table
    ]


def _main(alphas: Sequence[float]) -> float:
    """Choose the alpha that sentences are about."""
    mixed = [alpha for alpha in alphas if alpha > 0]
    return _MAIN_ALPHA if _MAIN_ALPHA in mixed else mixed[0]


def _names(rows: pd.DataFrame) -> str:
    """Name the tables of some rows."""
    return ", ".join(TITLES[name] for name in rows["table"]) or "none"


def conclude(comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, where mixup calibrated better than ERM and where worse."""
    alphas = sorted(comparison["alpha"].unique())
    main = _main(alphas)
    by = {key: rows for key, rows in comparison.groupby(["measure", "alpha"], sort=False)}
    n_tables = comparison["table"].nunique()

    ece = by["ece", main]
    clear = ece["p_corrected"] < _SIGNIFICANCE
    lower, higher = ece["difference"] < 0, ece["difference"] > 0
    sentences = [
        f"At alpha = {main:g} the ECE of mixup is below ERM's on {lower.sum()} of {n_tables} "
        f"tables (significantly: {_names(ece[lower & clear])}) and above it on {higher.sum()} "
        f"(significantly: {_names(ece[higher & clear])}). That mixup calibrates better, as "
        "Thulasidasan et al. found on pictures and texts, "
        + ("does not hold on every table here." if higher.any() else "holds on every table here.")
    ]
    erm = by["overconfidence", 0.0].set_index("table")["mean"]
    is_over = ece["table"].map(erm) > _CLEARLY_OVER
    for rows, where in (
        (ece[is_over], f"is overconfident by more than {100 * _CLEARLY_OVER:g} points"),
        (ece[~is_over], "is not"),
    ):
        if rows.empty:
            continue
        sentences.append(
            f"Where ERM {where} ({_names(rows)}), mixup with alpha = {main:g} has the lower ECE on "
            f"{(rows['difference'] < 0).sum()} of {len(rows)} tables."
        )
    told = [
        f"{(by['overconfidence', alpha]['mean'] < 0).sum()} at {alpha:g}"
        for alpha in alphas
        if alpha
    ]
    sentences.append(
        f"On the mean of the splits ERM is underconfident on {(erm < 0).sum()} of {n_tables} "
        f"tables, mixup on {', '.join(told)} (alpha)."
    )
    told = []
    for name in ("log_loss", "brier", "test_error"):
        difference = by[name, main]["difference"]
        title = MEASURES[name].title.partition(",")[0]
        told.append(f"{title} {(difference < 0).sum()} and {(difference > 0).sum()}")
    sentences.append(
        f"Tables on which mixup with alpha = {main:g} is below and above ERM: {'; '.join(told)}."
    )
    return sentences


# -- tables ---------------------------------------------------------------------------------------


def tables(comparison: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Write the comparison as tables of texts, each with its heading."""
    alphas = sorted(comparison["alpha"].unique())
    main = _main(alphas)
    written = [
        (
            "Tables on which mixup is lower / higher than ERM, significantly in brackets",
            _counts(comparison),
        ),
        (f"Mixup with alpha = {main:g}, less ERM", _differences(comparison, main)),
    ]
    for name, measure in MEASURES.items():
        rows = comparison[comparison["measure"] == name]
        written.append((f"{measure.title[0].upper()}{measure.title[1:]}", _by_alpha(rows, measure)))
    return written


def _by_alpha(rows: pd.DataFrame, measure: _Measure) -> pd.DataFrame:
    """Write a measure: a row for each table, a column for each alpha."""
    texts = rows.assign(
        text=[measure.text(row.mean, row.error) for row in rows.itertuples(name="Row")],
        alpha=[f"alpha {alpha:g}" if alpha else "ERM" for alpha in rows["alpha"]],
        table=rows["table"].map(TITLES),
    )
    wide = texts.pivot(index="table", columns="alpha", values="text")
    return wide.loc[texts["table"].unique(), texts["alpha"].unique()].reset_index()


def _differences(comparison: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Write the differences from ERM; a star stands for a p value below 0.05."""
    rows = comparison[comparison["alpha"] == alpha]
    columns: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        members = rows[rows["measure"] == name]
        columns["table"] = members["table"].map(TITLES).to_list()
        if name != "ece_if_calibrated":
            columns[measure.title] = [
                measure.text(row.difference, row.difference_error, sign="+")
                + ("*" if row.p_corrected < _SIGNIFICANCE else "")
                for row in members.itertuples()
            ]
    return pd.DataFrame(columns)


def _counts(comparison: pd.DataFrame) -> pd.DataFrame:
    """Count the tables on which mixup is lower and higher, for each alpha and loss."""
    table = []
    for alpha, rows in comparison[comparison["alpha"] > 0].groupby("alpha"):
        line = {"alpha": f"{alpha:g}"}
        for name, measure in MEASURES.items():
            if not measure.is_loss:
                continue
            members = rows[rows["measure"] == name]
            clear = members["p_corrected"] < _SIGNIFICANCE
            counts = [
                f"{is_it.sum()} ({(is_it & clear).sum()})"
                for is_it in (members["difference"] < 0, members["difference"] > 0)
            ]
            line[measure.title.partition(",")[0]] = " / ".join(counts)
        table.append(line)
    return pd.DataFrame(table)


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    n_splits = runs["split"].nunique()
    unseen = runs.groupby("table")["n_unseen"].max()
    told = "".join(
        f" In {TITLES[name]} up to {n} test rows of a split have a label that no training row has: "
        "they count as errors and in the Brier score, and are left out of the log-loss."
        for name, n in unseen[unseen > 0].items()
    )
    return (
        f"MixupClassifier with its defaults, {runs['max_epochs'].iloc[0]} epochs, standardised "
        f"features; {n_splits} random splits, {1 - TEST_SHARE:.0%} to train on and "
        f"{TEST_SHARE:.0%} to test on. Networks of a split differ in alpha alone. ECE: expected "
        f"calibration error of the predicted class, {N_BINS} bins of equal width. Few test rows "
        'make it larger, so "ECE if calibrated" is what it would come out as if each prediction '
        "were right with just the probability it states. Log-loss is in nats, the Brier score sums "
        "over the classes (0 to 2). Numbers are means over the splits ± standard errors; "
        "differences are mixup - ERM, paired by split, and significant (*) where p < "
        f"{_SIGNIFICANCE:g} in the corrected resampled t-test (Nadeau and Bengio, 2003), not "
        f"adjusted for the number of tests.{told}"
    )


# -- figure ---------------------------------------------------------------------------------------


def plot(runs: pd.DataFrame, comparison: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw reliability curves of each table; below them ECE, overconfidence and log-loss by alpha.

    Parameters
    ----------
    runs : DataFrame
        Finished runs.
    comparison : DataFrame
        From `compare`.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    alphas = sorted(comparison["alpha"].unique())
    colours = alpha_colours(alphas)
    names = list(dict.fromkeys(comparison["table"]))
    n_lines = -(-len(names) // 5)
    n_columns = -(-len(names) // n_lines)
    heights = [2.2 * n_lines + 0.5, 1.1 + 0.42 * len(names)]
    figure = Figure(figsize=(11.5, sum(heights) + 0.9), dpi=160, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    panels = upper.subplots(n_lines, n_columns, squeeze=False, sharex=True, sharey=True)
    for ax, name in zip(panels.flat, names, strict=False):
        _plot_reliability(ax, runs[runs["table"] == name], colours)
        ax.set_title(TITLES[name], fontsize=10)
    for ax in panels.flat[len(names) :]:
        ax.set_axis_off()
    upper.supxlabel("confidence: the probability of the predicted class", fontsize=10)
    upper.supylabel("accuracy", fontsize=10)
    _plot_measures(lower.subplots(1, 3, sharey=True), comparison, colours)
    n_splits = runs["split"].nunique()
    figure.suptitle(
        f"Are the probabilities right? ERM and mixup on {len(names)} tables, {n_splits} random "
        "splits each",
        fontsize=12.5,
    )
    handles, labels = lower.axes[0].get_legend_handles_labels()
    lower.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def _plot_reliability(ax: Any, runs: pd.DataFrame, colours: Mapping[float, Any]) -> None:
    """Draw accuracy over confidence for ERM, the main alpha and the largest."""
    from sklearn.calibration import CalibrationDisplay

    for alpha in sorted({0.0, _main(list(colours)), max(colours)}):
        bins = read_bins(runs.loc[runs["alpha"] == alpha, "bins"])
        bins = bins[bins["n"] >= _FEWEST]
        mean = (bins["confidence"] / bins["n"]).to_numpy()
        display = CalibrationDisplay(
            prob_true=(bins["correct"] / bins["n"]).to_numpy(),
            prob_pred=mean,
            y_prob=np.repeat(mean, bins["n"].astype(int)),
        )
        display.plot(
            ax=ax, name=alpha_name(alpha), color=colours[alpha], markersize=3.5, linewidth=1.4
        )
    ax.get_legend().remove()  # one for all panels stands below
    ax.set(xlabel="", ylabel="", xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    ax.grid(color="#e5e5e5", linewidth=0.6)
    for x, y, word, side in (
        (0.05, 0.93, "underconfident", "left"),
        (0.98, 0.05, "overconfident", "right"),
    ):
        ax.text(x, y, word, fontsize=7.5, color=_GREY, ha=side)
    keep_quiet(ax)


def _plot_measures(axes: Any, comparison: pd.DataFrame, colours: Mapping[float, Any]) -> None:
    """Draw ECE, overconfidence and log-loss: a row for each table, in it one for each alpha."""
    names = list(dict.fromkeys(comparison["table"]))
    rows = comparison.pivot(index=["table", "alpha"], columns="measure", values=["mean", "error"])
    mean, error = rows["mean"], rows["error"].fillna(0)
    offsets = np.linspace(-0.32, 0.32, len(colours))
    for row in range(0, len(names), 2):
        for ax in axes:
            ax.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    log_loss = mean["log_loss"].unstack("alpha")
    for (alpha, colour), offset in zip(colours.items(), offsets, strict=True):
        place = np.arange(len(names)) + offset
        at = [(name, alpha) for name in names]
        style = {"fmt": "D" if alpha else "o", "color": colour, "markersize": 4, "elinewidth": 1.1}
        for ax, measure in zip(axes, ("ece", "overconfidence"), strict=False):
            values, errors = 100 * mean.loc[at, measure], 100 * error.loc[at, measure]
            ax.errorbar(values, place, xerr=errors, label=alpha_name(alpha), **style)
        axes[0].plot(100 * mean.loc[at, "ece_if_calibrated"], place, "|", color=_GREY, markersize=6)
        ratio = log_loss.loc[names, alpha] / log_loss.loc[names, 0.0]
        axes[2].plot(ratio, place, style["fmt"], color=colour, markersize=4)
    # An empty line for the legend alone.
    axes[0].plot([], [], "|", color=_GREY, markersize=7, label="ECE if calibrated")
    axes[0].set_xscale("log")
    axes[0].set_title("Expected calibration error (%, log scale)", fontsize=10)
    axes[1].set_title("Mean confidence $-$ accuracy (% points)", fontsize=10)
    axes[1].axvline(0, color="#222222", linewidth=0.8)
    axes[1].set_xlabel(r"$\leftarrow$ underconfident      overconfident $\rightarrow$")
    axes[2].set_xscale("log")
    axes[2].set_title("Log-loss, divided by ERM's (log scale)", fontsize=10)
    axes[2].axvline(1, color="#222222", linewidth=0.8)
    axes[2].set_xlabel(r"$\leftarrow$ mixup better      mixup worse $\rightarrow$")
    axes[0].set_xlabel(r"$\leftarrow$ better")
    for ax, ticks in ((axes[0], (0.5, 1, 2, 5, 10, 20, 50)), (axes[2], (0.2, 0.5, 1, 2, 5, 10))):
        low, high = ax.get_xlim()
        shown = [tick for tick in ticks if low <= tick <= high]
        ax.set_xticks(shown, [f"{tick:g}" for tick in shown])
        ax.set_xticks([], minor=True)
    axes[0].set_yticks(range(len(names)), [TITLES[name] for name in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    for ax in axes:
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
        ax.tick_params(axis="y", length=0)
        keep_quiet(ax)
