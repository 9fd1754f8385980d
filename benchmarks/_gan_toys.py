"""The 2-D sets of Figure 5: what a GAN makes of them, measured and drawn."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.spatial import KDTree
from sklearn.datasets import make_swiss_roll
from skorch.callbacks import Callback
from torch import Tensor

from benchmarks import recipes
from benchmarks._gan_runs import fit
from benchmarks._nets.gans import GAN_RECIPES, GANRecipe
from benchmarks._runs import Task, environment, mean_and_standard_error
from sklearn_mixup import MixupGAN
from sklearn_mixup._energy import energy_distance
from sklearn_mixup.vicinal import mix

STANDARD_DEVIATION = 0.01
TITLES = {"ring": "Ring of 8", "grid": "Grid of 25", "swiss_roll": "Swiss roll"}
_N_ROWS = 100_000  # to train on; the paper draws without end
_N_SAMPLES = 2_500  # to measure modes on, as the PacGAN paper does
_N_COMPARED = 4_000  # data and samples for the energy distance
_N_DRAWN = 500  # samples in a panel of the figure
_N_CHECKS = 20  # times that a run is measured while it trains


# -- data -----------------------------------------------------------------------------------------


def modes_of(name: str) -> np.ndarray | None:
    """Give the centres of the Gaussians, shape (n_modes, 2); None for a set that has none."""
    if name == "ring":
        angles = 2 * np.pi * np.arange(8) / 8  # The end point left out: it would double a mode.
        return np.column_stack([np.cos(angles), np.sin(angles)])
    if name == "grid":
        ticks = np.linspace(-1, 1, 5)
        return np.array([(x, y) for x in ticks for y in ticks])
    return None


def draw(name: str, n_rows: int, seed: int) -> np.ndarray:
    """Draw rows of a toy set, extent [-1, 1], shape (n_rows, 2), float32."""
    rng = np.random.default_rng(seed)
    centres = modes_of(name)
    if centres is None:
        rows, _ = make_swiss_roll(n_rows, noise=0.25, random_state=seed)
        return (rows[:, [0, 2]] / 14.0).astype(np.float32)
    noise = STANDARD_DEVIATION * rng.standard_normal((n_rows, 2))
    return (centres[rng.integers(len(centres), size=n_rows)] + noise).astype(np.float32)


# -- measures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coverage:
    """How samples lie about the modes."""

    modes: int
    high_quality: float
    reverse_kl: float


def measure_coverage(samples: np.ndarray, centres: np.ndarray) -> Coverage:
    """Measure modes captured, share of high quality, and reverse KL over the modes.

    A sample is of high quality within 3 standard deviations of a mode, and that mode is captured.
    The reverse KL compares the shares of the modes among those samples with even shares, in nats;
    it is NaN where no sample is of high quality.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, 2)
    centres : ndarray of shape (n_modes, 2)

    Returns
    -------
    Coverage
    """
    distance, nearest = KDTree(centres).query(samples)
    close = distance < 3 * STANDARD_DEVIATION
    counts = np.bincount(nearest[close], minlength=len(centres))
    if not close.any():
        return Coverage(0, 0.0, float("nan"))
    shares = counts[counts > 0] / counts.sum()
    reverse_kl = float((shares * np.log(shares * len(centres))).sum())
    return Coverage(int((counts > 0).sum()), float(close.mean()), reverse_kl)


def pack(samples: np.ndarray) -> str:
    """Write samples as text, in float16: a CSV holds them, so a figure needs no other file."""
    return base64.b64encode(samples.astype(np.float16).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """Read what `pack` wrote, shape (n_samples, 2)."""
    return np.frombuffer(base64.b64decode(text), dtype=np.float16).reshape(-1, 2)


class JoinedGAN(MixupGAN):
    """As the authors' demo: pairs of the joined minibatch, lam uniform on (0, alpha)."""

    def discriminator_loss(self, real: Tensor, fake: Tensor, lam: Tensor) -> Tensor:
        """Mix each row, real or generated, with a random one of all."""
        rows, y = torch.cat([real, fake]), torch.cat([torch.ones_like(lam), torch.zeros_like(lam)])
        partner = torch.randperm(len(rows), device=rows.device)
        weight = self.alpha * torch.rand(len(rows), device=rows.device)
        y_mixed = mix(y, partner, lam=weight)
        return self.get_loss(self.infer(mix(rows, partner, lam=weight)), y_mixed)


class Watch(Callback):
    """Sample a GAN while it trains: at some iterations to draw, at even intervals to measure."""

    def __init__(self, snapshots: Sequence[int], centres: np.ndarray | None, every: int) -> None:
        self.snapshots = snapshots
        self.centres = centres
        self.every = every

    def initialize(self) -> Watch:
        """Forget what was seen."""
        self.drawn_: dict[int, str] = {}
        self.coverage_: list[Coverage] = []
        return self

    def on_epoch_end(self, net: MixupGAN, **kwargs: Any) -> None:
        """Look at the GAN, if it is time."""
        if net.n_iter_ in self.snapshots:
            self.drawn_[net.n_iter_] = pack(net.sample(_N_DRAWN, random_state=1))
        if self.centres is not None and net.n_iter_ % self.every == 0:
            samples = net.sample(_N_SAMPLES, random_state=net.n_iter_)
            self.coverage_.append(measure_coverage(samples, self.centres))


# -- runs -----------------------------------------------------------------------------------------


def run_toy(
    name: str, recipe: GANRecipe, alpha: float, seed: int, *, device: str, draws: bool
) -> dict[str, Any]:
    """Train a GAN on a toy set, and measure it at the end and on the way."""
    X, held_out = draw(name, _N_ROWS, seed), draw(name, _N_COMPARED, 1_000_000 + seed)
    centres = modes_of(name)
    iter_per_epoch = min(10, recipe.max_iter)
    snapshots = [*(n for n in recipes.GAN_SNAPSHOTS if n < recipe.max_iter), recipe.max_iter]
    every = max(recipe.max_iter // _N_CHECKS, iter_per_epoch)
    watch = Watch(snapshots if draws else [], centres, every)
    gan = (JoinedGAN if recipe.joined and alpha else MixupGAN)(
        alpha=alpha,
        random_state=seed,
        device=device,
        iter_per_epoch=iter_per_epoch,
        callbacks=[("watch", watch)],
        **recipe.params(),
    )
    start = time.perf_counter()
    diverged_at = fit(gan, X)
    results: dict[str, Any] = {
        "fit_time_s": round(time.perf_counter() - start, 2),
        "diverged_at": diverged_at,
    }
    if diverged_at is not None and not gan.initialized_:
        return results  # It never had a good epoch.
    results["energy_distance"] = -gan.score(held_out)
    seen = dict(gan.callbacks_)["watch"]
    if centres is not None:
        results |= asdict(measure_coverage(gan.sample(_N_SAMPLES, random_state=0), centres))
        if late := seen.coverage_[len(seen.coverage_) // 2 :]:
            results["late_modes_least"] = min(c.modes for c in late)
            results["late_high_quality_sd"] = float(np.std([c.high_quality for c in late]))
    if draws:
        results["snapshots"] = json.dumps(seen.drawn_)
    return results


def plan(
    names: Sequence[str],
    settings: Sequence[str],
    alphas: Sequence[float] | None,
    *,
    seeds: int,
    device: str,
    max_iter: int | None = None,
) -> list[Task]:
    """List the runs, seed by seed; `max_iter` shortens them."""
    versions = environment(device)
    measured = {
        "standard_deviation": STANDARD_DEVIATION,
        "n_rows": _N_ROWS,
        "n_samples": _N_SAMPLES,
        "n_compared": _N_COMPARED,
        "n_checks": _N_CHECKS,
        "snapshots": list(recipes.GAN_SNAPSHOTS),
    }
    tasks = []
    for seed in range(seeds):
        for setting in settings:
            recipe = GAN_RECIPES[setting]
            if max_iter is not None:
                recipe = replace(recipe, max_iter=max_iter)
            chosen = alphas if alphas is not None else (0.0, recipes.GAN_ALPHA)
            for name in names:
                for alpha in chosen:
                    work = partial(
                        run_toy, name, recipe, alpha, seed, device=device, draws=seed == 0
                    )
                    key = {"part": "toys", "data": name, "setting": setting}
                    key |= {"method": "mixup" if alpha else "ERM", "alpha": alpha, "seed": seed}
                    tasks.append(Task(key, {**asdict(recipe), **measured, **versions}, work))
    return tasks


# -- report ---------------------------------------------------------------------------------------


def _spread(values: pd.Series, form: str) -> str:
    """Write a mean with its standard error."""
    mean, error = mean_and_standard_error(values)
    return f"{mean:{form}}" if np.isnan(error) else f"{mean:{form}} ± {error:{form}}"


def name_method(alpha: float) -> str:
    """Write a method by its name."""
    return f"mixup {alpha:g}" if alpha else "ERM"


def toy_table(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Set the methods beside each other, and beside what others published, on one set.

    Parameters
    ----------
    runs : DataFrame
        Finished runs of the toys.
    name : str
        The set.

    Returns
    -------
    DataFrame
        Texts: means with standard errors over the seeds.
    """
    centres = modes_of(name)
    rows = []
    for (setting, alpha), group in runs[runs.data == name].groupby(["setting", "alpha"]):
        row = {"GAN": name_method(alpha), "setting": setting, "seeds": f"{len(group)}"}
        if centres is not None:
            complete = int((group.modes == len(centres)).sum())
            row |= {
                f"modes of {len(centres)}": _spread(group.modes, ".1f"),
                "all modes in": f"{complete} of {len(group)}",
                "high quality, %": _spread(100 * group.high_quality, ".1f"),
                "least, %": f"{100 * group.high_quality.min():.1f}",
                "reverse KL": _spread(group.reverse_kl, ".3f"),
                "late spread, %": _spread(100 * group.late_high_quality_sd, ".1f"),
                "late least modes": f"{group.late_modes_least.min():.0f}",
            }
        row |= {
            "energy distance": _spread(group.energy_distance, ".4f"),
            "fit, s": f"{group.fit_time_s.median():.0f}",
        }
        rows.append(row)
    rows.append(fresh_row(name))
    for method, published in recipes.GAN_PUBLISHED.get(name, {}).items():
        rows.append(
            {
                "GAN": method,
                f"modes of {len(modes_of(name))}": f"{published.modes}",
                "high quality, %": f"{100 * published.high_quality:.1f}",
                "reverse KL": f"{published.reverse_kl:.2f}",
            }
        )
    return pd.DataFrame(rows).fillna("")


def fresh_row(name: str) -> dict[str, str]:
    """Measure fresh rows of the data as if they were samples: what a perfect GAN would reach."""
    samples, others = draw(name, _N_COMPARED, 2_000_000), draw(name, _N_COMPARED, 1_000_000)
    row = {
        "GAN": "the data themselves",
        "energy distance": f"{energy_distance(samples, others):.4f}",
    }
    if (centres := modes_of(name)) is not None:
        found = measure_coverage(samples[:_N_SAMPLES], centres)
        row |= {
            f"modes of {len(centres)}": f"{found.modes}.0",
            "high quality, %": f"{100 * found.high_quality:.1f}",
            "reverse KL": f"{found.reverse_kl:.3f}",
        }
    return row


def report(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Give a title and a table for each set."""
    return [(TITLES[name], toy_table(runs, name)) for name in TITLES if (runs.data == name).any()]


def verdict(runs: pd.DataFrame) -> str:
    """Say in how many runs all modes were found with at least 90 % of high quality."""
    lines: list[str] = []
    modal = runs[runs.data.isin(["ring", "grid"])]
    for (setting, alpha), group in modal.groupby(["setting", "alpha"]):
        parts = []
        for name, some in group.groupby("data", sort=False):
            good = (some.modes == len(modes_of(name))) & (some.high_quality >= 0.9)
            parts.append(f"{name} {good.sum()} of {len(some)}")
        lines.append(f"{name_method(alpha)} ({setting}): {', '.join(parts)}")
    if (diverged := runs.diverged_at.notna().sum()) > 0:
        lines.append(f"{diverged} runs diverged, and count as they were at their last good epoch")
    title = "Runs with all modes and at least 90 % of high quality: "
    return title + "; ".join(lines) + "." if lines else ""


def notes() -> str:
    """Say how the toys are measured."""
    return (
        f"Samples within 3 standard deviations ({STANDARD_DEVIATION} each) of a mode are of high "
        "quality, and that mode is captured; the reverse KL compares the shares of the modes among "
        f"them with even ones; {_N_SAMPLES} samples. The late spread is the standard deviation of "
        "the share of high quality over the last half of training; beside it are the fewest "
        "modes that any run had there. 'The data themselves' are fresh rows, measured as samples "
        f"are. The energy distance is between {_N_COMPARED} fresh rows and as many samples. ± is a "
        "standard error over the seeds. The setting 'paper' has the networks, the minibatches and "
        "the constant learning rate of the paper's Figure 5, 'steady' is ours "
        "(benchmarks/recipes.py). Published figures are for "
        "other networks and another training."
    )


def plot(runs: pd.DataFrame, path: str | os.PathLike[str], setting: str) -> bool:
    """Draw Figure 5: rows are methods, columns iterations, data blue, samples orange.

    Parameters
    ----------
    runs : DataFrame
        Finished runs of the toys; the first seed has the snapshots.
    path : path-like
        The PNG to write.
    setting : str
        The runs to draw.

    Returns
    -------
    bool
        Whether there was anything to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if "snapshots" not in runs:
        return False
    drawn = runs[(runs.setting == setting) & (runs.seed == 0) & runs.snapshots.notna()]
    drawn = drawn[drawn.snapshots.astype(str).str.startswith("{")]
    if drawn.empty:
        return False
    lines = [
        (name, alpha, json.loads(row.snapshots))
        for name in TITLES
        for alpha, row in drawn[drawn.data == name].set_index("alpha").sort_index().iterrows()
    ]
    columns = sorted({int(n) for *_, snapshots in lines for n in snapshots})
    figure = Figure(
        figsize=(1.9 * len(columns) + 0.9, 1.95 * len(lines) + 0.7), dpi=160, layout="constrained"
    )
    panels = figure.subplots(len(lines), len(columns), squeeze=False)
    for i, (name, alpha, snapshots) in enumerate(lines):
        data = draw(name, _N_DRAWN, 0)
        for panel, n_iter in zip(panels[i], columns, strict=True):
            _draw_panel(panel, data, unpack(snapshots[str(n_iter)]))
            if i == 0:
                panel.set_title(f"iteration {n_iter:,}", fontsize=10)
        panels[i, 0].set_ylabel(f"{TITLES[name]}\n{_long_name(alpha)}", fontsize=10)
    handles = [
        panels[0, 0].plot([], [], "o", color=color, markersize=5, label=label)[0]
        for color, label in ((_BLUE, "data"), (_ORANGE, "samples of the generator"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    FigureCanvasAgg(figure).print_png(path)
    return True


_BLUE, _ORANGE = "#0072B2", "#E69F00"  # of Okabe and Ito


def _long_name(alpha: float) -> str:
    return f"mixup GAN, alpha {alpha:g}" if alpha else "ERM GAN"


def _draw_panel(panel: Any, data: np.ndarray, samples: np.ndarray) -> None:
    """Draw data and samples."""
    panel.scatter(*data.T, s=7, color=_BLUE, linewidths=0)
    panel.scatter(*samples.T, s=5, color=_ORANGE, linewidths=0, alpha=0.75)
    panel.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), xticks=[], yticks=[], aspect="equal")
    for spine in panel.spines.values():
        spine.set_color("#BBBBBB")


def measures_plot(runs: pd.DataFrame, path: str | os.PathLike[str]) -> bool:
    """Draw modes and high quality of every run, by set and method: the spread over the seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    modal = runs[runs.data.isin(["ring", "grid"])]
    if modal.empty:
        return False
    names = [name for name in ("ring", "grid") if (modal.data == name).any()]
    methods = sorted({(row.setting, row.alpha) for row in modal.itertuples()})
    figure = Figure(figsize=(8.6, 1.1 + 0.34 * len(methods)), dpi=160, layout="constrained")
    panels = figure.subplots(1, 2 * len(names), sharey=True, squeeze=False)[0]
    for i, name in enumerate(names):
        n_modes = len(modes_of(name))
        for panel, column, end in (
            (panels[2 * i], "modes", n_modes),
            (panels[2 * i + 1], "high_quality", 1.0),
        ):
            for place, (setting, alpha) in enumerate(methods):
                group = modal[
                    (modal.data == name) & (modal.setting == setting) & (modal.alpha == alpha)
                ]
                shift = np.linspace(-0.22, 0.22, max(len(group), 1))[: len(group)]
                color = _ORANGE if alpha else _BLUE
                panel.plot(group[column], place + shift, "o", color=color, markersize=3.5)
            panel.axvline(end if column == "modes" else 0.9, color="#222222", linewidth=0.8)
            panel.set_xlim(0, end * 1.06)
            panel.set_xlabel(f"modes of {n_modes}" if column == "modes" else "high quality, share")
            panel.set_title(TITLES[name], fontsize=10)
            panel.spines[["top", "right"]].set_visible(False)
    labels = [f"{name_method(alpha)}, {setting}" for setting, alpha in methods]
    panels[0].set_yticks(range(len(methods)), labels)
    panels[0].invert_yaxis()
    FigureCanvasAgg(figure).print_png(path)
    return True
