"""What is timed on tables: this package's classifier and skorch's, and numbers to train them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks._data.tables import load_table
from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.runs import Task
from benchmarks._nets.tables import TABLE_4
from benchmarks.speed.rounds import list_rounds
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP


@dataclass(frozen=True)
class Scale:
    """How much is run of many nets on tables."""

    n_rounds: Mapping[str, int]  # of the searches on each table
    alphas: tuple[float, ...]
    dropouts: tuple[float, ...]
    n_folds: int
    max_epochs: int
    counts: tuple[int, ...]  # of nets
    most_alone: int  # of which no more are trained one by one
    counted_tables: tuple[str, ...]
    n_counted_rounds: int
    profiled_table: str

    @property
    def grid(self) -> dict[str, Any]:
        """What is searched, and by how many folds."""
        return {"alphas": self.alphas, "dropouts": self.dropouts, "n_folds": self.n_folds}


_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_GRID = ((0.0, 0.1, 0.2, 0.5, 1.0), (0.0, 0.1, 0.2, 0.4), 5, 10)
_COUNTED = (_COUNTS, 50, ("iris", "website_phishing"))
_FEW_ROUNDS = {"iris": 5, "arrhythmia": 3, "website_phishing": 2, "abalone": 1}
_ROUNDS = {"iris": 9, "arrhythmia": 9, "website_phishing": 9, "abalone": 5}
SCALES = {
    "smoke": Scale({"iris": 1}, (0.0, 0.2), (0.0,), 2, 1, (1, 2, 5), 2, ("iris",), 1, "iris"),
    "small": Scale(_FEW_ROUNDS, *_GRID, *_COUNTED, 1, "website_phishing"),
    "paper": Scale(_ROUNDS, *_GRID, *_COUNTED, 5, "website_phishing"),
}


class MixingNet(NeuralNetClassifier):
    """skorch's classifier with the mixing of the paper's released code in its training step."""

    def __init__(self, *args: Any, alpha: float = 0.2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Mix a minibatch and compute its loss."""
        if not self.alpha:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        X, y = batch[0].to(self.device), batch[1].to(self.device)
        lam = np.random.beta(self.alpha, self.alpha)  # noqa: NPY002, as the released code has it
        partner = torch.randperm(len(X), device=X.device)
        logits = self.infer(lam * X + (1 - lam) * X[partner], **fit_params)
        loss = lam * self.criterion_(logits, y) + (1 - lam) * self.criterion_(logits, y[partner])
        loss.backward()
        return {"loss": loss, "y_pred": logits}


def make_skorch(
    n_features: int, n_classes: int, *, max_epochs: int, device: str, alpha: float = 0.2
) -> MixingNet:
    """Make skorch's net on the module that ours has, with the paper's settings."""
    recipe = TABLE_4
    return MixingNet(
        MLP,
        alpha=alpha,
        module__n_features=n_features,
        module__n_classes=n_classes,
        module__hidden_sizes=recipe.hidden_sizes,
        criterion=nn.CrossEntropyLoss,
        optimizer=recipe.optimizer,
        optimizer__fused=True,
        lr=recipe.lr,
        max_epochs=max_epochs,
        batch_size=recipe.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=device,
    )


def make_ours(**params: Any) -> MixupClassifier:
    """Make this package's classifier with the paper's settings."""
    return MixupClassifier(**{"random_state": 0, **TABLE_4.params(), **params})


def load_numbers(name: str, data_home: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Load a table as float32, nominal columns one-hot, what is missing a median; y is 0, 1, ..."""
    table = load_table(name, data_home)
    X = pd.get_dummies(table.X, columns=list(table.nominal), dtype=float)
    y = np.unique(table.y, return_inverse=True)[1]
    return X.fillna(X.median()).to_numpy(np.float32), y.astype(np.int64)


def list_on_tables(
    measure: str,
    n_rounds: Mapping[str, int],
    given: Mapping[str, Any],
    work: Callable[..., Mapping[str, Any]],
    *,
    scale: Scale,
    request: Request,
    in_turns: bool = False,
) -> list[Task]:
    """List the rounds of some work on those tables that are here; `given` is of its settings."""
    data_home = request.args.data_home
    settings = {**TABLE_4.describe(), "max_epochs": scale.max_epochs, **request.versions, **given}
    here = available(data_home)
    return [
        task
        for name, n in n_rounds.items()
        if name in here
        for task in list_rounds(
            *(f"{measure} {name}", n),
            {**settings, "data": load_table(name, data_home).source},
            partial(work, name, scale, device=request.device, data_home=data_home),
            in_turns=in_turns,
        )
    ]


def by_table(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Part the rounds of `list_on_tables` by their table."""
    return {m.split(" ")[1]: rounds for m, rounds in runs.groupby("measure", sort=False)}
