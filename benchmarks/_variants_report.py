"""How the variants of the recipe are compared, told and drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks._alpha_styles import keep_quiet
from benchmarks._data.splits import TEST_SHARE
from benchmarks._data.tables import TITLES
from benchmarks._lab.scores import MEASURES
from benchmarks._runs import mean_and_standard_error, paired_difference
from benchmarks._variants import VARIANTS

_CLEAR = 2  # standard errors
_TOLD = ("test_error", "log_loss")
_HELPS, _HURTS, _NOISE = "helps", "hurts", "within noise"
# Blue and vermillion of Okabe and Ito, told apart with any colour vision, and a grey.
_STYLES = {_HELPS: ("#0072B2", "<"), _NOISE: ("#4d4d4d", "o"), _HURTS: ("#D55E00", ">")}
_PALE = "#8f8f8f"


# -- comparison -----------------------------------------------------------------------------------


def compare_by_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each variant beside what it is compared with, split by split.

    Parameters
    ----------
    runs : DataFrame
        Finished runs: ``table``, ``variant``, ``split``, and a column for each measure.

    Returns
    -------
    DataFrame
        A row for each measure, variant and table: mean ``difference`` and its standard ``error``,
        which allows for the rows that random splits share (see `paired_difference`).

    Raises
    ------
    ValueError
        If some split has a run of a variant and not of what it is compared with.
    """
    rows = []
    for measure in _TOLD:
        for table, members in runs.groupby("table", sort=False):
            values = members.pivot(index="split", columns="variant", values=measure)
            if values.isna().any(axis=None):
                raise ValueError(
                    f"Each split must have a run of each variant; {table} has not: "
                    f"{values.notna().sum().to_dict()}."
                )
            for name in values.columns.drop("reference"):
                other = values[VARIANTS[name].beside]
                found = paired_difference(values[name], other, test_share=TEST_SHARE)
                n_splits, overlap = len(values), TEST_SHARE / (1 - TEST_SHARE)
                error = found.standard_error * np.sqrt(1 + n_splits * overlap)
                rows.append(
                    {"measure": measure, "variant": name, "table": table, "n_splits": n_splits}
                    | {"difference": round(found.mean, 12), "error": error}
                )
    order = {key: place for place, key in enumerate([*VARIANTS, *TITLES])}
    frame = pd.DataFrame(rows)
    by = ["variant", "table"]
    return frame.sort_values(by, key=lambda column: column.map(order), kind="stable")


def compare(by_table: pd.DataFrame) -> pd.DataFrame:
    """Average the differences of the tables, each counting alike.

    Parameters
    ----------
    by_table : DataFrame
        From `compare_by_table`.

    Returns
    -------
    DataFrame
        A row for each measure and variant: mean ``difference``; its standard errors, over the
        tables as a sample of tables (``error_tables``) and over the splits of just these tables
        (``error_splits``); the larger of the two, ``error``; ``ratio``, difference / error; its
        two-sided ``p_value`` by the t distribution; and the ``verdict``.
    """
    rows = []
    for measure in _TOLD:
        for name in VARIANTS:
            chosen = (by_table["measure"] == measure) & (by_table["variant"] == name)
            members = by_table[chosen]
            if members.empty:
                continue
            mean, error_tables = mean_and_standard_error(members["difference"])
            error_splits = float(np.sqrt((members["error"] ** 2).sum(skipna=False)) / len(members))
            error = float(np.maximum(error_tables, error_splits))  # NaN if either is
            ratio = mean / error if error > 0 else 0.0
            rows.append(
                {"measure": measure, "variant": name, "n_tables": len(members)}
                | {"difference": mean, "error_tables": error_tables, "error_splits": error_splits}
                | {"error": error, "ratio": ratio}
                | {"p_value": 2 * stats.t(df=max(len(members) - 1, 1)).sf(abs(ratio))}
                | {"verdict": _judge(ratio)}
            )
    return pd.DataFrame(rows)


def _judge(ratio: float) -> str:
    """Call an effect by its standard errors."""
    if ratio < -_CLEAR:
        return _HELPS
    return _HURTS if ratio > _CLEAR else _NOISE


def _is_new(comparison: pd.DataFrame) -> pd.Series:
    """Find the variants that are no known yardsticks."""
    return comparison["variant"].map(lambda name: VARIANTS[name].kind != "Yardstick")


def conclude(runs: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Say, from the numbers, what helps, what hurts, and what chance would have done."""
    new = comparison[_is_new(comparison)]
    n_new, n_tables = new["variant"].nunique(), int(comparison["n_tables"].max())
    sentences = []
    for measure, rows in new.groupby("measure", sort=False):
        n_noise = (rows["verdict"] == _NOISE).sum()
        sentences.append(
            f"{_title(measure)}: of {n_new} changes {_listed(rows, _HELPS)} and "
            f"{_listed(rows, _HURTS)}; {n_noise} {'is' if n_noise == 1 else 'are'} within noise."
        )
    if n_tables > 1:
        share = 2 * stats.t(df=n_tables - 1).sf(_CLEAR)
        clear = new[new["p_value"] < 0.05 / n_new]
        named = (f"{_change(row)} ({_title(row.measure).lower()})" for row in clear.itertuples())
        sentences.append(
            f"If no change did anything, about {n_new * share:.1f} of {n_new} would still cross "
            f"{_CLEAR} standard errors in either measure by chance (t distribution, {n_tables} "
            f"tables), half of them downwards. Below 0.05 / {n_new} (Bonferroni) "
            f"{'are' if len(clear) != 1 else 'is'}: {', '.join(named) or 'none'}."
        )
    known = comparison[~_is_new(comparison)]
    told = [
        f"{_change(row)} {_text(row.measure, row.difference)} ± {_number(row.measure, row.error)} "
        f"({_title(row.measure).lower()}, {row.verdict})"
        for row in known.itertuples()
    ]
    sentences.append(f"The yardsticks: {'; '.join(told)}.")
    sentences += [_compare_times(runs)]
    return sentences


def _listed(rows: pd.DataFrame, verdict: str) -> str:
    """Count and name the variants of a verdict."""
    chosen = rows[rows["verdict"] == verdict]
    verb = verdict if len(chosen) == 1 else verdict.removesuffix("s")
    names = "; ".join(map(_change, chosen.itertuples()))
    return f"{len(chosen)} {verb}" + (f" ({names})" if names else "")


def _change(row: Any) -> str:
    """Name a variant in words."""
    return VARIANTS[row.variant].change


def _compare_times(runs: pd.DataFrame) -> str:
    """Say how long ensembles took, beside the one of 8 nets."""
    times = runs.groupby(["table", "variant"])["fit_time_s"].mean().unstack("variant")
    names = [name for name, variant in VARIANTS.items() if variant.kind == "Ensemble"]
    ratios = {name: stats.gmean(times[name] / times[VARIANTS[name].beside]) for name in names}
    told = ", ".join(f"{VARIANTS[name].change} {ratio:.2f}" for name, ratio in ratios.items())
    return f"Fit time as a multiple of that of 8 nets, geometric mean over the tables: {told}."


# -- tables ---------------------------------------------------------------------------------------


def _title(measure: Any) -> str:
    """Name a measure."""
    title = MEASURES[measure].title.partition(",")[0]
    return f"{title[0].upper()}{title[1:]}"


def _number(measure: Any, value: float, *, sign: str = "") -> str:
    """Write a size: points of test error, nats of log-loss, a digit more than for means."""
    kind = MEASURES[measure]
    return f"{kind.factor * value:{sign}.{kind.digits + 1}f}"


def _text(measure: Any, value: float) -> str:
    """Write a difference with its sign; what rounds to 0 has none."""
    text = _number(measure, value, sign="+")
    return text if float(text) else text[1:]


_UNITS = {"test_error": "points", "log_loss": "nats"}


def main_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Write all variants: differences, both standard errors, their ratio and the verdict."""
    lines: dict[str, dict[str, str]] = {}
    for row in comparison.itertuples():
        variant = VARIANTS[row.variant]
        line = lines.setdefault(row.variant, {"": variant.kind, "what is changed": variant.change})
        line["beside"] = VARIANTS[variant.beside].change
        told = _title(row.measure).lower()
        errors = (_number(row.measure, error) for error in (row.error_tables, row.error_splits))
        line[f"{told}, {_UNITS[row.measure]}"] = (
            f"{_text(row.measure, row.difference)} ± {' / '.join(errors)}"
        )
        line[f"{told}, SE"] = f"{row.ratio:+.1f}"
        line[f"{told} "] = row.verdict
    return pd.DataFrame(list(lines.values()))


def table_of_tables(by_table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Write the mean difference of each variant on each table."""
    rows = by_table[by_table["measure"] == measure]
    texts = rows.assign(
        text=[_text(measure, value) for value in rows["difference"]],
        table=rows["table"].map(TITLES),
        change=rows["variant"].map(lambda name: VARIANTS[name].change),
    )
    wide = texts.pivot(index="change", columns="table", values="text")
    wide = wide.loc[texts["change"].unique(), texts["table"].unique()]
    return wide.rename_axis(index="what is changed", columns=None).reset_index()


def notes(runs: pd.DataFrame) -> str:
    """Say what was done and how it was measured."""
    counts = runs.groupby("table")["split"].nunique()
    common = int(counts.max())
    few = "".join(f", {n} of {TITLES[name]}" for name, n in counts[counts < common].items())
    return (
        f"The recipe: MixupClassifier with its defaults, {runs['max_epochs'].iloc[0]} epochs, "
        f"standardised features. {common} random splits of each table{few}, {1 - TEST_SHARE:.0%} "
        f"to train on and {TEST_SHARE:.0%} to test on. Each variant changes one thing, and is "
        "compared split by split with the recipe, or ensembles with the one of 8 nets, each at "
        "the same seeds. Differences are means over the tables; below 0 is better. ± standard "
        "error over tables / over splits: the first takes the tables for a sample of all tables, "
        "the second asks about these tables alone and allows for the rows that random splits share "
        "(Nadeau and Bengio, 2003). SE: the difference divided by the larger of the two. A change "
        f"{_HELPS} if it is below -{_CLEAR}, {_HURTS} if it is above {_CLEAR}, else it is "
        f"{_NOISE}. Tables whose columns are all nominal have no quantiles: there the two variants "
        "that mix quantiles are the recipe itself, but for rounding."
    )


# -- figure ---------------------------------------------------------------------------------------


def _lines(comparison: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the lines of the figure: headings, and the variants below them."""
    names = list(dict.fromkeys(comparison["variant"]))
    kind = ""
    for name in names:
        variant = VARIANTS[name]
        if variant.kind != kind:
            kind = variant.kind
            beside = VARIANTS[variant.beside].change if variant.beside != "reference" else ""
            yield "heading", f"{kind} (beside {beside})" if beside else kind
        yield "variant", name


def plot(by_table: pd.DataFrame, comparison: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the differences of all variants with 95 % intervals, and behind them those of tables.

    Parameters
    ----------
    by_table, comparison : DataFrame
        From `compare_by_table` and `compare`.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = list(_lines(comparison))
    figure = Figure(figsize=(11, 1.9 + 0.27 * len(lines)), dpi=160, layout="constrained")
    axes = figure.subplots(1, len(_TOLD), sharey=True)
    for ax, measure in zip(axes, _TOLD, strict=True):
        _plot_measure(ax, measure, lines, by_table, comparison)
    labels = [text if kind == "heading" else VARIANTS[text].change for kind, text in lines]
    axes[0].set_yticks(range(len(lines)), labels)
    for label, (kind, _) in zip(axes[0].get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if kind == "heading" else "normal")
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    n_tables = by_table["table"].nunique()
    figure.suptitle(
        f"What would one change of the recipe do? Differences on {n_tables} tables", fontsize=12.5
    )
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def _plot_measure(
    ax: Any,
    measure: str,
    lines: list[tuple[str, str]],
    by_table: pd.DataFrame,
    comparison: pd.DataFrame,
) -> None:
    """Draw the differences in one measure, a line for each variant."""
    factor = MEASURES[measure].factor
    place = {text: i for i, (kind, text) in enumerate(lines) if kind == "variant"}
    rows = comparison[comparison["measure"] == measure]
    quantile = stats.t(df=np.maximum(rows["n_tables"] - 1, 1)).ppf(0.975)
    half_width = factor * quantile * rows["error"].fillna(0)
    mean = factor * rows["difference"]
    low, high = min((mean - half_width).min(), 0), max((mean + half_width).max(), 0)
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room
    ax.set_xlim(low, high)

    dots = by_table[by_table["measure"] == measure]
    x, y = factor * dots["difference"], dots["variant"].map(place) - 0.27  # above the interval
    style = {"linestyle": "", "color": _PALE, "zorder": 1}
    inside = x.between(low, high)
    ax.plot(x[inside], y[inside], ".", markersize=4, label="a table", **style)
    for beyond, edge, marker in ((x < low, low, "<"), (x > high, high, ">")):
        edges = np.full(beyond.sum(), 0.985 * edge + 0.015 * (low + high) / 2)
        label = "a table beyond the edge" if marker == ">" else None
        ax.plot(edges, y[beyond], marker, markersize=4, label=label, **style)
    for verdict, (colour, marker) in _STYLES.items():
        chosen = rows["verdict"] == verdict
        ax.errorbar(
            mean[chosen],
            rows["variant"][chosen].map(place),
            xerr=half_width[chosen],
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=1.5,
            label=f"mean and 95 % interval: {verdict}",
        )
    ax.axvline(0, color="#222222", linewidth=0.8)
    ax.set_title(
        f"{_title(measure)}, {'% ' if factor == 100 else ''}{_UNITS[measure]}", fontsize=10.5
    )
    ax.set_xlabel(r"$\leftarrow$ better      worse $\rightarrow$")
    for i, (kind, _) in enumerate(lines):
        if kind == "heading" and i:
            ax.axhline(i - 0.5, color="#e5e5e5", linewidth=0.8)
    ax.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    keep_quiet(ax)
