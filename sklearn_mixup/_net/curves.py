"""What scikit-learn's MLPClassifier tells of its training, read from skorch's history."""

from __future__ import annotations

from typing import Any


class Curves:
    """A net whose history is there under the names that MLPClassifier has for it."""

    history: Any

    def _read(self, name: str) -> list[float]:
        """Read a number of each epoch."""
        if not self.history or name not in self.history[-1]:
            raise AttributeError(
                f"This {type(self).__name__} has no {name!r} in its history: it is not fitted, or "
                "the callback that writes it was left out."
            )
        return self.history[:, name]

    @property
    def n_iter_(self) -> int:
        """Epochs since training began."""
        return len(self._read("epoch"))

    @property
    def loss_curve_(self) -> list[float]:
        """The training loss of each epoch, on mixed rows."""
        return self._read("train_loss")

    @property
    def loss_(self) -> float:
        """The last training loss."""
        return self.loss_curve_[-1]

    @property
    def best_loss_(self) -> float:
        """The least training loss."""
        return min(self.loss_curve_)

    @property
    def validation_scores_(self) -> list[float] | None:
        """The score after each epoch on the rows that were set aside, if they were.

        It is the accuracy by `train_split`, and minus the loss by `early_stopping`.
        """
        self._read("epoch")
        for name, sign in (("valid_acc", 1), ("valid_loss", -1)):
            if scores := [sign * row[name] for row in self.history if name in row]:
                return scores
        return None

    @property
    def best_validation_score_(self) -> float | None:
        """The highest of them."""
        scores = self.validation_scores_
        return None if scores is None else max(scores)
