"""What is timed: this package's classifier, skorch's and a loop, and tables to train them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from benchmarks._data.tables import load_table
from benchmarks._data.uci import available
from benchmarks._lab.experiment import Request
from benchmarks._lab.runs import Task
from benchmarks._nets.tables import TABLE_4
from benchmarks.speed.rounds import list_rounds
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP


def make_ours(**params: Any) -> MixupClassifier:
    """Make this package's classifier with the paper's settings."""
    return MixupClassifier(**{"random_state": 0, **TABLE_4.params(), **params})


def _mix_and_infer(
    infer: Callable[[Tensor], Tensor], criterion: nn.Module, X: Tensor, y: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Mix a minibatch as the code released with the paper does; give its loss and logits."""
    lam = np.random.beta(alpha, alpha)  # noqa: NPY002, as the released code has it
    partner = torch.randperm(len(X), device=X.device)
    logits = infer(lam * X + (1 - lam) * X[partner])
    return lam * criterion(logits, y) + (1 - lam) * criterion(logits, y[partner]), logits


def fit_by_hand(
    module: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    X: Tensor,
    y: Tensor,
    *,
    alpha: float,
    batch_size: int,
    max_epochs: int = 1,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train in the loop that one would write, on rows that lie on the device."""
    criterion = nn.CrossEntropyLoss()
    for _ in range(max_epochs):
        for chosen in torch.randperm(len(X), device=X.device).split(batch_size):
            rows = X[chosen] if augment is None else augment(X[chosen])
            loss, _ = _mix_and_infer(module, criterion, rows, y[chosen], alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    loss.item()


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
        infer = partial(self.infer, **fit_params)
        loss, logits = _mix_and_infer(infer, self.criterion_, X, y, self.alpha)
        loss.backward()
        return {"loss": loss, "y_pred": logits}


def make_skorch(X: np.ndarray, y: np.ndarray, **params: Any) -> MixingNet:
    """Make skorch's net for a table, on the module that ours has, with the paper's settings."""
    return MixingNet(
        MLP,
        module__n_features=X.shape[1],
        module__n_classes=int(y.max()) + 1,
        module__hidden_sizes=TABLE_4.hidden_sizes,
        criterion=nn.CrossEntropyLoss,
        optimizer=TABLE_4.optimizer,
        optimizer__fused=True,
        lr=TABLE_4.lr,
        batch_size=TABLE_4.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **params,
    )


def put_behind_scaler(net: Any) -> Pipeline:
    """Put a net, as ``net``, behind StandardScaler."""
    return Pipeline([("scale", StandardScaler()), ("net", net)])


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
    request: Request,
    *,
    in_turns: bool = False,
) -> list[Task]:
    """List the rounds of some work on those tables that are here; `given` is of its settings."""
    scale, data_home = request.scale, request.args.data_home
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
