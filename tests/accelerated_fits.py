"""What test_accelerate.py lets two processes do: fits whose outcome each process writes down.

Run by ``python -m torch.distributed.run``, with the folder for the outcomes as its argument.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from sklearn.datasets import load_digits
from skorch.dataset import ValidSplit
from skorch.hf import AccelerateMixin
from torch.utils.data import TensorDataset

from sklearn_mixup import MixupClassifier
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.modules import MLP
from sklearn_mixup.vicinities import mixup


class AcceleratedMixupClassifier(AccelerateMixin, MixupClassifier):
    """What the documentation tells a user to write."""


class Witness(MLP):
    """An MLP that keeps the inputs of its training passes, and what dropout leaves of ones."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes, (16,), 0.5)
        self.seen, self.masks = [], []

    def forward(self, X):
        if self.training:
            self.seen.append(X.detach().clone())
            self.masks.append(self.dropout(torch.ones(len(X), 16)))
        return super().forward(X)


def load():
    """Load an odd number of rows, so that the shares of two processes differ by one."""
    X, y = load_digits(return_X_y=True)
    return X[:301].astype(np.float32) / 16, y[:301]


def make(**params):
    common = {"max_epochs": 3, "batch_size": 20, "random_state": 0, "device": None}
    return AcceleratedMixupClassifier(**{**common, "accelerator": Accelerator(cpu=True), **params})


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.module_.parameters()])


def fit_witness(data, **params):
    """Fit one epoch and give the rows that were seen, the masks and the draws."""
    draws = []

    def note(X, partner, *, lam, place):
        draws.append((lam.tolist(), partner.tolist()))
        return mixup(X, partner, lam=lam, place=place)

    clf = make(module=Witness, max_epochs=1, vicinity=note, **params).fit(*data)
    module = clf.module_
    return {
        "seen": torch.cat(module.seen),
        "masks": torch.cat(module.masks),
        "sizes": [len(rows) for rows in module.seen],
        "draws": draws,
    }


def main(out):
    X, y = load()
    data, dataset = (X, y), (TensorDataset(torch.tensor(X), torch.tensor(y)), None)
    found = {
        "erm": fit_witness(data, alpha=0, dropout=0.0),
        "unseeded rows": fit_witness(data, alpha=0, random_state=None),
        "dataset": fit_witness(dataset, alpha=0, iterator_train__num_workers=0),
        "mixup": fit_witness(data, alpha=1.0),
        "mixup dataset": fit_witness(dataset, alpha=1.0, iterator_train__num_workers=0),
    }
    # Equal shares, so that two halves of a minibatch weigh the same.
    even = X[:300].astype(np.float64), y[:300]
    sgd = {"optimizer": torch.optim.SGD, "lr": 0.1, "alpha": 0, "batch_size": 10}
    torch.set_default_dtype(torch.float64)
    found["sgd"] = weights(make(**sgd).fit(*even))
    torch.set_default_dtype(torch.float32)

    clf = make(alpha=0.2, train_split=ValidSplit(5, stratified=True)).fit(*data)
    found["weights"], found["proba"] = weights(clf), clf.predict_proba(X)
    found["valid"] = clf.history[:, ("valid_loss", "valid_acc")]

    for name, callbacks in {
        "whole": [],
        "resumed": [Resume(out / "checkpoints")],
    }.items():
        clf = make(alpha=1.0, dropout=0.3, callbacks__lr_decay=None, callbacks=callbacks)
        if callbacks:
            clf.set_params(max_epochs=1).fit(*data)
        found[name] = weights(clf.set_params(max_epochs=3).fit(*data))
    rank = clf.accelerator.process_index
    if rank == 0:  # Alone: the other process does not take part.
        found["alone"] = clf.predict(X)
    AcceleratorState._reset_state()  # A process has one precision, but for tests.
    bf16 = make(accelerator=Accelerator(cpu=True, mixed_precision="bf16"), dropout=0.2)
    found["bf16"] = weights(bf16.fit(*data))
    found["bf16 score"] = bf16.set_params(max_epochs=30).fit(*data).score(*data)
    torch.save(found, out / f"{rank}.pt")
    clf.accelerator.wait_for_everyone()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
