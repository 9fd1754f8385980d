"""Do samples of a GAN help a classifier of a small table? Not in [1]: Section 3.8 on real tables.

A GAN for each class learns from the few rows that a classifier is trained on, and doubles them.
Beside it stand the real rows alone and two controls that cost nothing: each row once more, as it
is, or moved by noise. What a GAN does not do better than these is no merit of its samples.

References
----------
.. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks._data.tables import Table, load_table, make_preprocessor
from benchmarks._data.uci import available
from benchmarks._gan_runs import fit
from benchmarks._runs import Task, environment, mean_and_standard_error, paired_difference
from sklearn_mixup import MixupGAN

TABLES = {"website_phishing": "Website Phishing", "arrhythmia": "Arrhythmia"}
FALLBACK = "iris"  # on every machine; for the smoke scale alone
N_TRAIN = 150
N_LEAST = 5  # Rows that a class must have for more of its kind to be made.
JITTER = 0.3  # Standard deviation of the noise, in standard deviations of a column.
ALPHAS = (0.0, 0.2, 0.5)
CLASSIFIERS = {"logistic": "logistic regression", "forest": "random forest"}

# As for the toys of this benchmark: one step of the discriminator, an Adam that forgets its
# direction at once, and networks as small as the classes.
SETTINGS: Mapping[str, Any] = {
    "latent_dim": 8,
    "n_discriminator_steps": 1,
    "batch_size": 64,
    "lr": 1e-3,
    "optimizer_generator__betas": (0.0, 0.99),
    "optimizer_discriminator__betas": (0.0, 0.99),
    "generator__hidden_sizes": (128, 128),
    "discriminator__hidden_sizes": (128, 128),
}

# Colours of Okabe and Ito, told apart with any colour vision.
_LOOKS = {
    ("repeat", 0.0): ("#999999", "s"),
    ("jitter", 0.0): ("#222222", "^"),
    ("ERM", 0.0): ("#0072B2", "o"),
    ("mixup", 0.2): ("#D55E00", "D"),
    ("mixup", 0.5): ("#CC79A7", "v"),
}


@dataclass(frozen=True)
class _Scale:
    """How much is run."""

    max_iter: int
    tables: tuple[str, ...]
    alphas: tuple[float, ...]
    n_train: int
    n_trees: int = 200


_SCALES = {
    "smoke": _Scale(20, (FALLBACK,), (0.0, 0.2), 60, 20),
    "small": _Scale(1_000, tuple(TABLES), ALPHAS[:2], N_TRAIN),
    "paper": _Scale(5_000, tuple(TABLES), ALPHAS, N_TRAIN),
}


# -- data -----------------------------------------------------------------------------------------


def split_rows(table: Table, seed: int, n_train: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a few rows to train on, stratified by class; the rest is to test on."""
    train, test = train_test_split(
        np.arange(len(table.y)), train_size=n_train, random_state=seed, stratify=table.y
    )
    return train, test


def nominal_blocks(preprocessor: ColumnTransformer) -> list[slice]:
    """Find the columns that a fitted preprocessor made of each nominal column.

    Parameters
    ----------
    preprocessor : ColumnTransformer
        From `make_preprocessor`, fitted.

    Returns
    -------
    list of slice
        For each nominal column, where its columns of zeros and a one are.
    """
    blocks = []
    for name, where in preprocessor.output_indices_.items():
        encoder = preprocessor.named_transformers_.get(name)
        if isinstance(encoder, Pipeline):
            encoder = encoder[-1]
        if isinstance(encoder, OneHotEncoder):
            start = where.start
            for categories in encoder.categories_:
                blocks.append(slice(start, start + len(categories)))
                start += len(categories)
    return blocks


def snap(rows: np.ndarray, blocks: Sequence[slice]) -> np.ndarray:
    """Make nominal columns nominal again: the largest of a block becomes 1, the others 0.

    Examples
    --------
    >>> snap(np.array([[0.3, 0.6, -2.5]]), [slice(0, 2)])
    array([[ 0. ,  1. , -2.5]])
    """
    rows = rows.copy()
    for block in blocks:
        rows[:, block] = np.eye(block.stop - block.start)[rows[:, block].argmax(axis=1)]
    return rows


# -- more rows of a class -------------------------------------------------------------------------


def augment(
    X: np.ndarray, y: np.ndarray, make_rows: Callable[[np.ndarray, int], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Make as many new rows of each class as there are, where there are at least `N_LEAST`.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
    make_rows : callable
        ``make_rows(rows, number)``: as many new rows as it is given of a class; `number` counts
        the classes, for seeds.

    Returns
    -------
    X_new, y_new : ndarray
        The new rows alone, class by class.
    """
    new_rows, new_labels = [X[:0]], [y[:0]]
    for number, label in enumerate(np.unique(y)):
        rows = X[y == label]
        if len(rows) >= N_LEAST:
            new_rows.append(make_rows(rows, number))
            new_labels.append(np.full(len(rows), label))
    return np.concatenate(new_rows), np.concatenate(new_labels)


def repeat_rows(rows: np.ndarray, number: int) -> np.ndarray:
    """Take the rows once more, as they are."""
    return rows.copy()


def jitter_rows(rows: np.ndarray, number: int, *, seed: int, scale: float = JITTER) -> np.ndarray:
    """Take the rows once more and move each number by Gaussian noise."""
    rng = np.random.default_rng([seed, number])
    return rows + scale * rng.standard_normal(rows.shape)


def sample_rows(
    rows: np.ndarray, number: int, *, alpha: float, seed: int, max_iter: int, device: str
) -> np.ndarray:
    """Train a GAN on the rows of a class and draw as many; repeat them where that cannot be."""
    if (rows == rows[0]).all():  # nothing to learn
        return rows.copy()
    gan = MixupGAN(
        alpha=alpha,
        max_iter=max_iter,
        random_state=1000 * seed + number,
        device=device,
        **SETTINGS,
    )
    fit(gan, rows.astype(np.float32))
    return gan.sample(len(rows), random_state=seed) if gan.initialized_ else rows.copy()


def make_classifiers(seed: int, n_trees: int) -> dict[str, Any]:
    """Make the classifiers that the rows are for; keys are those of `CLASSIFIERS`."""
    return {
        "logistic": LogisticRegression(max_iter=5_000),
        "forest": RandomForestClassifier(n_estimators=n_trees, random_state=seed),
    }


# -- runs -----------------------------------------------------------------------------------------


def run_tables(
    name: str,
    method: str,
    alpha: float,
    seed: int,
    *,
    n_train: int,
    max_iter: int,
    n_trees: int,
    device: str,
    data_home: str | None,
) -> dict[str, Any]:
    """Train classifiers on a few rows of a table and on what a method adds to them.

    Parameters
    ----------
    name : str
        A table that `load_table` knows.
    method : {"real", "repeat", "jitter", "ERM", "mixup"}
        What is added: nothing, the rows again, moved by noise, or samples of a GAN.
    alpha : float
        The GAN's.
    seed : int
        Governs split, networks and forest; the same for every method.
    n_train, max_iter : int
        Rows to train on; generator iterations of each GAN.
    n_trees : int
        Of the forest.
    device : str
        Where the GANs train.
    data_home : str or None
        Where the tables are.

    Returns
    -------
    dict
        Shares in [0, 1]: ``logistic_error``, ``forest_error`` on the other rows, and
        ``logistic_alone``, ``forest_alone`` where the new rows stand in the place of the real
        ones (classes of which none were made keep theirs).
    """
    table = load_table(name, data_home)
    train, test = split_rows(table, seed, n_train)
    preprocessor = make_preprocessor(table, "standardised").fit(table.X.iloc[train])
    X, X_test = (preprocessor.transform(table.X.iloc[rows]) for rows in (train, test))
    y, y_test = table.y[train], table.y[test]
    results: dict[str, Any] = {"n_train": len(train), "n_test": len(test)}

    start = time.perf_counter()
    X_new, y_new = X[:0], y[:0]
    if method != "real":
        sample = partial(sample_rows, alpha=alpha, seed=seed, max_iter=max_iter, device=device)
        makers = {"repeat": repeat_rows, "jitter": partial(jitter_rows, seed=seed)}
        X_new, y_new = augment(X, y, makers.get(method, sample))
        X_new = snap(X_new, nominal_blocks(preprocessor))
    results |= {"fit_time_s": round(time.perf_counter() - start, 3), "n_new": len(y_new)}

    is_kept = ~np.isin(y, y_new)
    sets = {
        "error": (np.concatenate([X, X_new]), np.concatenate([y, y_new])),
        "alone": (np.concatenate([X[is_kept], X_new]), np.concatenate([y[is_kept], y_new])),
    }
    for suffix, (X_train, y_train) in sets.items():
        for classifier_name, classifier in make_classifiers(seed, n_trees).items():
            predicted = classifier.fit(X_train, y_train).predict(X_test)
            results[f"{classifier_name}_{suffix}"] = float((predicted != y_test).mean())
    return results


def plan(seeds: int, *, device: str, scale: str, data_home: str | None = None) -> list[Task]:
    """List the runs, split by split; tables whose files are missing are left out.

    Parameters
    ----------
    seeds : int
        Number of random splits.
    device : str
        Where the GANs train.
    scale : {"smoke", "small", "paper"}
        Which tables, and how long the GANs train.
    data_home : str or None
        Where the tables are, as in `fetch_abalone`.

    Returns
    -------
    list of Task
        Empty if no table is there; what is missing is printed.
    """
    size, versions = _SCALES[scale], environment(device)
    here = set(available(data_home))
    if missing := [name for name in size.tables if name not in here]:
        print(_missing_note(missing), flush=True)
    methods = [("real", 0.0), ("repeat", 0.0), ("jitter", 0.0)]
    methods += [("mixup" if alpha else "ERM", alpha) for alpha in size.alphas]
    tasks = []
    for seed in range(seeds):
        for name in size.tables:
            if name not in here:
                continue
            for method, alpha in methods:
                key = {
                    "part": "tables",
                    "data": name,
                    "setting": "classwise",
                    "method": method,
                    "alpha": alpha,
                    "seed": seed,
                }
                settings = {
                    **versions,
                    **_settings_of(method, size.max_iter),
                    "n_train": size.n_train,
                    "n_least": N_LEAST,
                    "source": load_table(name, data_home).source,
                    "classifiers": list(map(repr, make_classifiers(0, size.n_trees).values())),
                }
                work = partial(
                    run_tables,
                    *(name, method, alpha, seed),
                    n_train=size.n_train,
                    max_iter=size.max_iter,
                    n_trees=size.n_trees,
                    device=device,
                    data_home=data_home,
                )
                tasks.append(Task(key, settings, work))
    return tasks


def _settings_of(method: str, max_iter: int) -> dict[str, Any]:
    """Give the settings that only some methods have."""
    if method in ("ERM", "mixup"):
        return {**SETTINGS, "max_iter": max_iter}
    return {"jitter": JITTER} if method == "jitter" else {}


def _missing_note(missing: Sequence[str]) -> str:
    """Say which tables are left out and how to get them."""
    return (
        f"Not on this machine, and left out: {', '.join(TABLES[name] for name in missing)}. "
        "`python -m benchmarks tabular --download` gets them from UCI; or let the environment "
        "variable SKLEARN_MIXUP_DATA name the folder that has them as uci/arrhythmia/..."
    )


# -- comparison -----------------------------------------------------------------------------------


def compare(
    runs: pd.DataFrame, *, reference: tuple[str, float] = ("real", 0.0), suffix: str = "error"
) -> pd.DataFrame:
    """Set every method beside one of them, split by split.

    Parameters
    ----------
    runs : DataFrame
        Finished runs; those of other parts are left out.
    reference : (str, float), default=("real", 0.0)
        Method and alpha to compare the others with.
    suffix : {"error", "alone"}, default="error"
        New rows beside the real ones, or in their place.

    Returns
    -------
    DataFrame
        A row for each table, classifier and method: shares in [0, 1], ``difference`` is method -
        reference. ``half_width`` is that of the 95 % interval of the ordinary paired t-test,
        ``half_width_corrected`` that of the corrected one.

    Raises
    ------
    ValueError
        If some split lacks a method.
    """
    runs = runs[runs["part"] == "tables"]
    rows = []
    for data, members in runs.groupby("data", sort=False):
        n_train, n_test = (int(members[name].iloc[0]) for name in ("n_train", "n_test"))
        for classifier in CLASSIFIERS:
            by_split = members.pivot(
                index="seed", columns=["method", "alpha"], values=f"{classifier}_{suffix}"
            )
            if by_split.isna().any(axis=None):
                raise ValueError(
                    f"Each split must have a run of each method; {data} has not: "
                    f"{by_split.to_dict()}."
                )
            order = sorted(by_split.columns, key=lambda pair: (_place(pair[0]), pair[1]))
            for method, alpha in order:
                errors = by_split[(method, alpha)]
                mean, error = mean_and_standard_error(errors)
                difference = paired_difference(
                    errors, by_split[reference], test_share=n_test / (n_train + n_test)
                )
                critical = stats.t(df=len(errors) - 1).ppf(0.975) if len(errors) > 1 else np.nan
                rows.append(
                    {
                        "data": data,
                        "classifier": classifier,
                        "method": method,
                        "alpha": float(alpha),
                        "n_splits": len(errors),
                        "n_train": n_train,
                        "n_test": n_test,
                        "mean": mean,
                        "standard_error": error,
                        "difference": difference.mean,
                        "difference_error": difference.standard_error,
                        "p_value": difference.p_value,
                        "p_corrected": difference.p_corrected,
                        "half_width": critical * difference.standard_error,
                        "half_width_corrected": difference.half_width,
                    }
                )
    return pd.DataFrame(rows)


def _place(method: str) -> int:
    """Order of the methods in tables and figures."""
    return ("real", "repeat", "jitter", "ERM", "mixup").index(method)


def _title(method: str, alpha: float) -> str:
    """Name a method for readers."""
    return {
        "real": "real rows alone",
        "repeat": "rows repeated",
        "jitter": "rows with noise",
        "ERM": "ordinary GAN",
    }.get(method, f"mixup GAN, alpha {alpha:g}")


# -- report ---------------------------------------------------------------------------------------


def report(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Write the tables of the runs: titles, each with a table of texts; none without runs."""
    if not (runs["part"] == "tables").any():
        return []
    beside, alone = (
        pd.DataFrame([_error_row(row) for row in compare(runs, suffix=suffix).to_dict("records")])
        for suffix in ("error", "alone")
    )
    merits = [
        _difference_row(row, reference)
        for reference in (("repeat", 0.0), ("jitter", 0.0), ("ERM", 0.0))
        for row in compare(runs, reference=reference).to_dict("records")
        if _place(row["method"]) > max(_place(reference[0]), _place("jitter"))
    ]
    merits.sort(key=lambda row: (row["table"], row["classifier"]))
    return [
        ("Tables: test error in %, new rows beside the real ones", beside),
        ("Tables: what is the GANs' own merit, in percentage points", pd.DataFrame(merits)),
        ("Tables: test error in %, new rows in the place of the real ones", alone),
    ]


def _error_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Write the error of a method, and its difference from the real rows alone."""
    is_real = row["method"] == "real"
    difference = _number(row["difference"], row["difference_error"], sign=True)
    return {
        **_names(row),
        "trained on": _title(row["method"], row["alpha"]),
        "test error": _number(row["mean"], row["standard_error"]),
        "- real": "" if is_real else difference,
        "p": "" if is_real else _p(row["p_corrected"]),
        "p uncorr.": "" if is_real else _p(row["p_value"]),
        "splits": str(row["n_splits"]),
    }


def _difference_row(row: Mapping[str, Any], reference: tuple[str, float]) -> dict[str, str]:
    """Write the difference of a method from another."""
    return {
        **_names(row),
        "difference": f"{_title(row['method'], row['alpha'])} - {_title(*reference)}",
        "points": _number(row["difference"], row["difference_error"], sign=True),
        "p": _p(row["p_corrected"]),
        "p uncorr.": _p(row["p_value"]),
    }


def _names(row: Mapping[str, Any]) -> dict[str, str]:
    """Name table and classifier for readers."""
    name = row["data"]
    return {
        "table": TABLES.get(name, name.capitalize()),
        "classifier": CLASSIFIERS[row["classifier"]],
    }


def _number(share: float, error: float, *, sign: bool = False) -> str:
    """Write a share, or a difference of shares, in percent with its standard error."""
    # Differences that cancel leave -1e-18; adding 0.0 turns what is rounded to -0.0 into 0.0.
    text = f"{round(100 * share, 2) + 0.0:+.2f}" if sign else f"{100 * share:.1f}"
    if np.isnan(error):
        return text
    return text + (f" ± {100 * error:.2f}" if sign else f" ± {100 * error:.1f}")


def _p(value: float) -> str:
    """Write a p value."""
    if np.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def notes() -> str:
    """Say what was done, how it was measured, and what it does not show."""
    return (
        f"Tables: in each random split {N_TRAIN} rows, stratified by class, are to train on (60 of "
        "Iris at the smoke scale), all others to test on. Columns are standardised over the "
        f"training rows, nominal ones one-hot. Each class with at least {N_LEAST} training rows "
        "is doubled, the others stay as they are, so that all methods give the classifiers as "
        "many rows of each class: the same rows once more, the same with Gaussian noise of "
        f"{JITTER:g} standard deviations, or samples of a GAN trained on that class alone. In new "
        "rows the largest of a nominal column's one-hot columns is made 1, the others 0. Networks "
        "have two hidden layers of 128; splits, initial weights and shuffles are the same for all "
        "GANs. Nothing was tuned on the test rows or per table. The small scale trains for "
        f"{_SCALES['small'].max_iter:,} iterations, which is short: on a split beyond these, three "
        "times as many made samples better in the place of Arrhythmia's real rows, though not "
        "clearly so beside them. "
        "Differences are from the real rows alone, in percentage points, ± standard errors over "
        'the splits. p is that of the corrected resampled t-test (Nadeau and Bengio, 2003), "p '
        'uncorr." that of the ordinary paired t-test; neither is adjusted for the number of '
        "comparisons. The correction is made for test sets that are small beside the training "
        "sets; here they are larger, training sets share few rows and test sets most, so that it "
        "is far too cautious, while the ordinary test is too bold: the truth lies between. "
        "Rows repeated change a classifier too (half the penalty of the logistic regression, other "
        "bootstrap samples of the forest), which is why a GAN is to be judged against them and "
        "not against the real rows alone."
    )


# -- figure ---------------------------------------------------------------------------------------


def plot(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the difference of each method from the real rows alone, with both intervals.

    Parameters
    ----------
    runs : DataFrame
        Finished runs.
    path : path-like
        The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    comparison = compare(runs)
    names = list(dict.fromkeys(comparison["data"]))
    n_methods = comparison[["method", "alpha"]].drop_duplicates().shape[0] - 1
    figure = Figure(
        figsize=(5.6 * max(len(names), 1.4), 1.9 + 0.56 * n_methods),
        dpi=160,
        layout="constrained",
    )
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for ax, name in zip(axes, names, strict=True):
        _plot_table(ax, comparison[comparison["data"] == name])
    n_splits = comparison["n_splits"].max()
    title = f"Each class's rows doubled: {n_splits} random splits"
    if n_splits > 1:
        title += "\n95 % intervals of the paired t-test (thick) and of the corrected one (thin)"
    figure.suptitle(title, fontsize=11)
    FigureCanvasAgg(figure).print_png(path)


def _plot_table(ax: Any, rows: pd.DataFrame) -> None:
    """Draw the differences of one table: logistic regression above, forest below."""
    place, labels = 0.0, []
    real = rows[rows["method"] == "real"].set_index("classifier")["mean"]
    for classifier in CLASSIFIERS:
        chosen = rows[(rows["classifier"] == classifier) & (rows["method"] != "real")]
        for row in chosen.itertuples():
            colour, marker = _LOOKS.get((row.method, row.alpha), ("#009E73", "P"))
            centre = 100 * row.difference
            for width, line, alpha in (
                (row.half_width_corrected, 1.0, 0.45),
                (row.half_width, 3.2, 1.0),
            ):
                if not np.isnan(width):
                    ends = (centre - 100 * width, centre + 100 * width)
                    ax.plot(ends, (place, place), color=colour, linewidth=line, alpha=alpha)
            ax.plot(centre, place, marker, color=colour, markersize=7, markeredgecolor="white")
            labels.append((place, _title(row.method, row.alpha)))
            place += 1
        ax.text(
            0.01,
            labels[-len(chosen)][0] - 0.55,
            f"{CLASSIFIERS[classifier]}, {100 * real[classifier]:.1f} % on real rows alone",
            transform=ax.get_yaxis_transform(),
            fontsize=9,
            color="#666666",
            va="bottom",
        )
        place += 1.1
    ax.axvline(0, color="#222222", linewidth=0.9, zorder=0)
    ax.set_yticks([at for at, _ in labels], [label for _, label in labels])
    ax.set_ylim(place - 1.5, -1.3)
    once = rows.iloc[0]
    ax.set_title(
        f"{TABLES.get(once['data'], once['data'].capitalize())}: {once['n_train']} rows to train "
        f"on, {once['n_test']} to test on",
        fontsize=10.5,
    )
    ax.set_xlabel(
        "difference in test error from real rows alone (% points)\n"
        r"$\leftarrow$ new rows help      new rows harm $\rightarrow$"
    )
    end = 1.05 * ax.get_xlim()[1], 1.05 * -ax.get_xlim()[0]
    ax.set_xlim(-max(end), max(end))
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
