"""How much is run of each section."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

BATCH_SIZE = 128  # pictures


@dataclass(frozen=True)
class Scale:
    """How much is run; the defaults are the small scale."""

    n_rounds: int = 9  # of fits on a table, of GANs and of pictures
    max_epochs: int = 10  # on tables, but for ensembles
    n_rows: int | None = None  # of Abalone; None: all
    data_mib: int = 256  # of the table whose fit is watched, and of its chunks
    chunk_mib: int = 64
    n_processes: int = 3  # that measure memory
    n_iter: int = 100  # of the GAN
    # Many nets: searches, a table and its rounds; stacks of so many; one profile.
    searches: tuple[tuple[str, int], ...] = (
        *(("iris", 5), ("arrhythmia", 3)),
        *(("website_phishing", 2), ("abalone", 1)),
    )
    alphas: tuple[float, ...] = (0.0, 0.1, 0.2, 0.5, 1.0)
    dropouts: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    n_folds: int = 5
    counts: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    most_alone: int = 50  # nets, of which no more are trained one by one
    counted_tables: tuple[str, ...] = ("iris", "website_phishing")
    n_counted_rounds: int = 1
    profiled_table: str = "website_phishing"
    n_ensemble_rounds: int = 5
    ensemble_tables: tuple[str, ...] = ("website_phishing", "abalone", "digits")
    ensemble_epochs: int | None = None  # None: the default of MixupClassifier
    n_serving_rounds: int = 5
    n_served: int = 100_000  # rows in one call
    n_calls: int = 300  # of one row
    n_pictures: int = 20 * BATCH_SIZE  # of 3 x 32 x 32, in a fit
    n_pictures_an_epoch: int = 5 * BATCH_SIZE  # of a training that goes on
    n_augmented: int = 80 * BATCH_SIZE  # one by one on the host too
    n_trainings: int = 3  # rounds of these
    width: int = 8  # of their network
    size: int = 224  # height and width of the pictures that are only mixed
    n_turns: int = 9  # of these in a round

    @property
    def grid(self) -> dict[str, Any]:
        """What is searched, and by how many folds."""
        return {"alphas": self.alphas, "dropouts": self.dropouts, "n_folds": self.n_folds}


_SMOKE = Scale(
    n_rounds=1,
    max_epochs=1,
    n_rows=320,
    data_mib=16,
    chunk_mib=4,
    n_processes=1,
    n_iter=2,
    searches=(("iris", 1),),
    alphas=(0.0, 0.2),
    dropouts=(0.0,),
    n_folds=2,
    counts=(1, 2, 5),
    most_alone=2,
    counted_tables=("iris",),
    profiled_table="iris",
    n_ensemble_rounds=1,
    ensemble_tables=("digits",),
    ensemble_epochs=1,
    n_serving_rounds=1,
    n_served=500,
    n_calls=2,
    n_pictures=BATCH_SIZE,
    n_pictures_an_epoch=BATCH_SIZE,
    n_augmented=4 * BATCH_SIZE,
    n_trainings=1,
    width=1,
    size=16,
    n_turns=3,
)

SCALES = {
    "smoke": _SMOKE,
    # The network at full width, and little of what is no work for a GPU.
    "gpu": replace(
        _SMOKE,
        n_rounds=3,
        n_pictures=100 * BATCH_SIZE,
        n_pictures_an_epoch=200 * BATCH_SIZE,
        n_augmented=80 * BATCH_SIZE,
        n_trainings=3,
        width=64,
        size=224,
        n_turns=9,
    ),
    "small": Scale(),
    "paper": Scale(
        n_rounds=25,
        data_mib=1024,
        searches=(("iris", 9), ("arrhythmia", 9), ("website_phishing", 9), ("abalone", 5)),
        n_counted_rounds=5,
        width=16,
    ),
}
