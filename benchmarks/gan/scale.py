"""How much is run of each part."""

from __future__ import annotations

from dataclasses import dataclass

_SOME = (0.0, 0.2, 0.5)


@dataclass(frozen=True)
class Scale:
    """How much is run; the defaults are the small scale. Alpha 0 is the ordinary GAN, ERM."""

    n_seeds: int = 5
    # Toys.
    settings: tuple[str, ...] = ("default", "steady")
    data: tuple[str, ...] = ("ring", "grid", "swiss_roll", "two_moons")
    alphas: tuple[float, ...] = (0.0, 0.2)
    max_iter: int | None = None  # None: as the setting says
    # Budgets: iterations that a GAN has, and the most seeds of each.
    budgets: tuple[int, ...] = (2_000, 8_000)
    budget_seeds: int = 3
    # Digits: iterations of the generator, and samples that are measured.
    digits_iter: int = 8_000
    digits_alphas: tuple[float, ...] = _SOME
    n_samples: int = 2_000
    # Tables: iterations of each class's GAN, and the size of rows and forest.
    tables: tuple[str, ...] = ("website_phishing", "arrhythmia")
    tables_iter: int = 1_000
    tables_alphas: tuple[float, ...] = (0.0, 0.2)
    # Tables of numbers: which, the most seeds, and iterations; None: the defaults'.
    numbers: tuple[str, ...] = (
        "phoneme",
        "magic",
        "htru2",
        "california_housing",
        "wine_quality_white",
        "breast_cancer",
    )
    numbers_seeds: int = 3
    numbers_iter: int | None = None
    n_train: int = 150
    n_trees: int = 200


SCALES = {
    "smoke": Scale(
        n_seeds=1,
        settings=("steady",),
        data=("ring",),
        max_iter=100,
        budgets=(20, 40),
        digits_iter=50,
        digits_alphas=(0.0, 0.2),
        n_samples=200,
        tables=("iris",),
        tables_iter=20,
        numbers=("breast_cancer",),
        numbers_iter=20,
        n_train=60,
        n_trees=20,
    ),
    "small": Scale(),
    "paper": Scale(
        n_seeds=10,
        settings=("paper", "default", "steady"),
        alphas=(0.0, 0.1, 0.2, 0.5, 1.0),
        budgets=(2_000, 8_000, 32_000),
        budget_seeds=10,
        digits_iter=40_000,
        n_samples=10_000,
        tables_iter=5_000,
        numbers_seeds=10,
        tables_alphas=_SOME,
    ),
}
