"""How near the samples of MixupGAN at its defaults come to real tables of numbers. Not in [1].

A GAN learns from half of a table, at most 5,000 rows. Its samples, and the half that it learned
from, are set beside the other half: that of the data themselves is as near as samples could come.

References
----------
.. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks._data.tables import ALL_TITLES, find_tables, load_table
from benchmarks._lab.experiment import Request
from benchmarks._lab.outcome import Outcome
from benchmarks._lab.runs import Task
from benchmarks._lab.tell import number
from benchmarks.gan.pages import make_page, mean
from benchmarks.gan.runs import fit, make_key, name_gan
from sklearn_mixup import MixupGAN
from sklearn_mixup._gan.energy import energy_distance

N_MOST = 5_000  # rows of a half


def split_rows(X: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two halves of as many rows, standardised by what the first one is like."""
    n_rows = min(len(X) // 2, N_MOST)
    learned, fresh = train_test_split(X, train_size=n_rows, test_size=n_rows, random_state=seed)
    scaler = StandardScaler().fit(learned)
    return scaler.transform(learned), scaler.transform(fresh)


def run_table(
    name: str, alpha: float, seed: int, *, max_iter: int | None, data_home: str | None, device: str
) -> dict[str, Any]:
    """Train a GAN on half of a table, and measure how far its samples are from the other half."""
    X = load_table(name, data_home).X.to_numpy(dtype=np.float32)
    learned, fresh = split_rows(X, seed)
    length: dict[str, Any] = {} if max_iter is None else {"max_iter": max_iter}
    gan = MixupGAN(alpha=alpha, random_state=seed, device=device, **length)
    diverged_at, fit_time_s = fit(gan, learned)
    measured = {
        "n_rows": len(learned),
        "n_features": learned.shape[1],
        "energy_data": energy_distance(learned, fresh),
        "fit_time_s": round(fit_time_s, 2),
        "diverged_at": diverged_at,
    }
    if not gan.initialized_:  # It never had a good epoch.
        return measured
    samples = np.asarray(gan.sample(len(fresh), random_state=seed))
    return {**measured, "energy": energy_distance(samples, fresh)}


def list_tasks(request: Request) -> list[Task]:
    """List the runs, seed by seed; a seed is a split and the GAN's random state."""
    scale, args = request.scale, request.args
    names, _ = find_tables(scale.numbers, args.data_home, download=False)
    defaults = MixupGAN().get_params(deep=False)
    settings = {
        **{key: defaults[key] for key in ("batch_size", "latent_dim", "average", "max_iter")},
        **request.versions,
        "n_most": N_MOST,
        "iterations": scale.numbers_iter,
    }
    where = {
        "max_iter": scale.numbers_iter,
        "data_home": args.data_home,
        "device": request.device,
    }
    return [
        Task(
            make_key("numbers", name, "default", alpha=alpha, seed=seed),
            settings,
            partial(run_table, name, alpha, seed, **where),
        )
        for seed in range(min(scale.n_seeds, scale.numbers_seeds))
        for name in names
        for alpha in (0.0, 0.2)
    ]


def tell(runs: pd.DataFrame, *, versions: Mapping[str, str]) -> Outcome:
    """Tell how near the samples come to each table."""
    return make_page(
        "MixupGAN at its defaults on tables of numbers",
        {"Energy distance to rows that were not learned from": table(runs)},
        f"A GAN learns from half of a table, at most {N_MOST} rows, standardised; the distance is "
        "between as many samples, or the half that was learned from, and the other half. ± is a "
        "standard error over the seeds.",
        [],
        versions,
    )


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Set the GANs beside the data themselves, table by table."""
    rows = []
    for name, group in runs.groupby("data", sort=False):
        row = {
            "table": ALL_TITLES[name],
            "rows": str(group["n_rows"].iloc[0]),
            "columns": str(group["n_features"].iloc[0]),
            "seeds": str(group["seed"].nunique()),
        }
        for alpha, some in group.groupby("alpha"):
            row[name_gan(alpha)] = mean(some["energy"], 3)
        row["the data themselves"] = mean(group.drop_duplicates("seed")["energy_data"], 3)
        row["fit, s"] = number(group["fit_time_s"].median(), digits=0)
        rows.append(row)
    return pd.DataFrame(rows).fillna("")
