"""Handwritten digits by a small network, trained with mixup in Lightning."""

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklearn_mixup.vicinal import mix, mixed_loss, sample_lam, sample_partner


class MixedDigits(pl.LightningModule):
    """A network for pictures of 8 x 8 pixels that is trained on mixed rows."""

    def __init__(self, alpha=0.2, lr=3e-3):
        super().__init__()
        self.alpha, self.lr = alpha, lr
        self.module = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 10)
        )
        self.criterion = nn.CrossEntropyLoss()

    def on_fit_start(self):
        """Make what draws, on the device of the module, and each process one of its own."""
        self.rng = torch.Generator(self.device).manual_seed(self.global_rank)

    def training_step(self, minibatch, minibatch_idx):
        """Compute the loss of mixed rows."""
        X, y = minibatch
        lam, partner = sample_lam(self.alpha).item(), sample_partner(len(X), rng=self.rng)
        logits = self.module(mix(X, partner, lam=lam))
        return mixed_loss(self.criterion, logits, y, partner, lam=lam)

    def validation_step(self, minibatch, minibatch_idx):
        """Log the accuracy on rows as they are."""
        X, y = minibatch
        self.log("accuracy", (self.module(X).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        """Make the optimizer."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


torch.manual_seed(0)
pictures, digits = load_digits(return_X_y=True)
X, y = torch.tensor(pictures).float().view(-1, 1, 8, 8) / 16, torch.tensor(digits)
train = DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=32, shuffle=True)
test = DataLoader(TensorDataset(X[1200:], y[1200:]), batch_size=600)

net = MixedDigits()
quiet = {"enable_progress_bar": False, "enable_model_summary": False}
trainer = pl.Trainer(max_epochs=10, logger=False, enable_checkpointing=False, **quiet)
trainer.fit(net, train, test)
accuracy = trainer.callback_metrics["accuracy"].item()  # after the last epoch
