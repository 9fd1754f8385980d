"""What any skorch net needs to train on mixed rows: lam, partners and weights of a minibatch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metadata_routing import UNUSED
from skorch import NeuralNet
from skorch.dataset import Dataset, get_len, unpack_data
from skorch.utils import is_dataset
from torch import Tensor, nn

from sklearn_mixup._engine.draws import draw_epochs, mix_rows
from sklearn_mixup._engine.road import find_steps
from sklearn_mixup._net.channels_last import arrange
from sklearn_mixup._net.checks import (
    check_inputs,
    explain_shapes,
    first_output,
    rows_differ,
    unlearn_on_error,
)
from sklearn_mixup._net.curves import read_curve
from sklearn_mixup._net.estimator import NetEstimator
from sklearn_mixup._net.fit_data import check_fit
from sklearn_mixup._net.forward import apply_ready, find_ready
from sklearn_mixup._net.iterators import normalises_batches
from sklearn_mixup._net.listening import score_plain_rows
from sklearn_mixup._net.loading import MappedLoader
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.mix_at import Inside, check_places, mixing_inside
from sklearn_mixup._net.parameters import check_params
from sklearn_mixup._net.parts import make_part
from sklearn_mixup._net.precision import PRECISIONS, computing, find_half, in_full
from sklearn_mixup._net.session import count_rows
from sklearn_mixup._net.settings import check_fit_params, is_foreign, taken_by
from sklearn_mixup._net.targets import (
    UNMIXED,
    LogCoefficients,
    WeightedNumbers,
    WeightedTargets,
    log_coefficient_loss,
    two_term_loss,
    weighted_loss,
    weighted_number_loss,
)
from sklearn_mixup._net.validation import LoneWatch, sets_rows_aside
from sklearn_mixup._net.vicinity import mixes_inside
from sklearn_mixup._net.weights import WeightedTraining, weigh
from sklearn_mixup.callbacks import LRDecay, QuietLog, StepLosses
from sklearn_mixup.minibatches import (
    Minibatches,
    Rows,
    bytes_per_row,
    content_order,
    count_joined,
)
from sklearn_mixup.pairs import PAIRS
from sklearn_mixup.vicinities import VICINITIES


class VicinalNet(NetEstimator):
    """A net that mixes the rows of its minibatches, and their targets and weights, on the device.

    The flow of a minibatch: ``fit`` -> ``run_epochs`` -> ``run_single_epoch`` ->
    ``Minibatches`` gathers a chunk of rows, ``_vicinal_rows`` mixes the chunk, a slice of it goes
    to skorch's ``train_step`` -> ``infer``, ``get_loss``, ``backward`` -> the optimizer's step.
    """

    _training_type = WeightedTraining
    slow_because_: str | None = None
    engine_: str = "torch"
    # What its targets are, and by which names a module may ask for their number.
    _target_kind: ClassVar[Any]
    _predicts_numbers: ClassVar[bool] = False
    _width_names: ClassVar[tuple[str, ...]] = ("n_classes",)
    _an_output: ClassVar[str] = "logit for each of the {} classes"
    _handed_on: ClassVar[dict[str, str]] = {"hidden_sizes": "module"}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, np.inf, closed="both")],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "vicinity": [StrOptions({*VICINITIES}), callable],
        "pairs": [StrOptions({"random", *PAIRS}), callable],
        "mix_at": [str, list, tuple],
        "erm_weight": [Interval(Real, 0, 1, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "lam_per": [StrOptions({"minibatch", "sample"})],
        "erm_epochs": [Interval(Integral, 0, None, closed="left")],
        "hidden_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "random_state": ["random_state"],
        "engine": [StrOptions({"torch", "numba"})],
        "precision": [StrOptions(set(PRECISIONS))],
        "lr": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
    }

    # From 1.4 on skorch has a set_fit_request and set_partial_fit_request that take any name;
    # scikit-learn would put its own in their place.
    if hasattr(NeuralNet, "set_fit_request"):
        __metadata_request__fit: ClassVar[dict[str, Any]] = {"sample_weight": UNUSED}
        __metadata_request__partial_fit: ClassVar[dict[str, Any]] = {"sample_weight": UNUSED}

        def _get_metadata_request(self) -> Any:
            requests = super()._get_metadata_request()
            for method in (requests.fit, requests.partial_fit):
                if "sample_weight" not in method.requests:
                    # As scikit-learn knows it of a `fit` that names it: nobody has asked yet.
                    method.add_request(param="sample_weight", alias=None)
            return requests

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        *callbacks, _ = super()._default_callbacks
        own = {
            "train_loss": StepLosses("train_loss", on_train=True),
            "valid_loss": StepLosses("valid_loss"),
            "lr_decay": LRDecay(),
            "print_log": QuietLog(),
        }
        return [*{**dict(callbacks), **own}.items()]

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Collect the arguments of a part; `hidden_sizes` is one of the module."""
        kwargs = super().get_params_for(prefix)
        if prefix == "module" and self.hidden_sizes is not None:
            kwargs["hidden_sizes"] = self.hidden_sizes
        return kwargs

    # -- a fit ------------------------------------------------------------------------------

    def _fit(
        self,
        method: str,
        X: Any,
        y: Any,
        sample_weight: Any,
        fit_params: dict[str, Any],
        *,
        n_epochs: int | None = None,
        classes: Any = None,
    ) -> Any:
        """Check what was passed, then let skorch train; `n_epochs` is None in ``partial_fit``."""
        check_params(self)
        check_fit_params(self, self._receivers(), fit_params)
        ends = n_epochs is not None
        restart = not self.initialized_ or (ends and not self.warm_start)
        # A net that was initialized by hand has yet to learn what its data are like.
        learns = restart or "target_type_" not in self.__dict__
        with unlearn_on_error(self):
            X, y, sample_weight, targets = check_fit(
                self, X, y, sample_weight, learns=learns, classes=classes
            )
            class_weight = self._weigh_classes(targets, sample_weight)
        watch = None
        if (validation := vars(self).get("_validation_")) is not None:
            watch = LoneWatch(validation, targets, validation.n_iter_no_change)
        elif ends and sets_rows_aside(self, X):
            watch = LoneWatch(None, targets, self.n_iter_no_change)
        with self._train(
            restart=restart,
            n_epochs=n_epochs,
            sample_weight=sample_weight,
            class_weight=class_weight,
            watch=watch,
        ):
            return self._let_skorch_train(X, y, method, fit_params)

    @property
    def _targets(self) -> Any:
        """What the targets are, as far as is known."""
        return self._target_kind.of(self)

    def _encode(self, y: Any) -> np.ndarray:
        return self._targets.encode(y)

    def _weigh_classes(self, targets: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Compute the weight of each class; None if they have none."""
        return None

    def initialize_module(self) -> Any:
        """Make the module; it is told how wide rows and outputs are, if it asks by these names."""
        known = {"n_features": getattr(self, "_n_features_", None)}
        known |= dict.fromkeys(self._width_names, getattr(self, "n_outputs_", None))
        self.module_ = make_part(self, "module", known)
        return self

    def initialize_criterion(self) -> Any:
        """Make the criterion."""
        kwargs = self.get_params_for("criterion")
        self.criterion_ = self.initialized_instance(self._find_criterion(), kwargs)
        is_module = isinstance(criterion := self.criterion_, nn.Module)
        learns = is_module and any(part.requires_grad for part in criterion.parameters())
        if getattr(self, "accelerator", None) is not None and is_module and not learns:
            # accelerate would wrap it like a module that learns, and fail on CPUs.
            criterion.to(self._place)
            self._criteria = [name for name in self._criteria if name != "criterion"]
        return self

    def _find_criterion(self) -> Any:
        """Find what makes the criterion, by the parameter and by what the targets are."""
        return self.criterion

    def _apply_dropout(self) -> None:
        """Set p of every dropout layer to `dropout`."""
        if self.dropout is None:
            return
        kind = nn.modules.dropout._DropoutNd
        layers = [layer for layer in self.module_.modules() if isinstance(layer, kind)]
        if not layers:
            raise ValueError(
                f"`dropout` sets p of the dropout layers of the module, but "
                f"{type(self.module_).__name__} has none; got dropout={self.dropout!r}. Use "
                "dropout=None, or a module with an nn.Dropout layer."
            )
        for layer in layers:
            layer.p = float(self.dropout)

    def trim_for_prediction(self) -> None:
        """Drop what only training needs; predictions stay what they are."""
        self.check_is_fitted()
        if not getattr(self, "_trimmed_for_prediction", False):
            # "auto" looks at the criterion, which is dropped.
            self.predict_nonlinearity = self._get_predict_nonlinearity()
        super().trim_for_prediction()

    def _prepare(self) -> None:
        """Bring the module and the callbacks up to date with the parameters."""
        self._apply_dropout()
        if mixes_inside(self):
            check_places(unwrap(self.module_), self.mix_at)
        self.slow_because_ = None
        self.engine_ = "torch"
        if self._training_.watch is not None:  # which writes the loss; accuracy is not asked for
            given = ("valid_loss", "valid_acc")
            self.callbacks_ = [named for named in self.callbacks_ if named[0] not in given]
        if self.alpha > 0 or self._training_.weighted:
            self.callbacks_ = [
                (name, score_plain_rows(name, callback, use_caching=self.use_caching))
                for name, callback in self.callbacks_
            ]

    # -- validation -------------------------------------------------------------------------

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Get the minibatches of a data set; those held out are looked at by `early_stopping`."""
        iterator = super().get_iterator(dataset, training=training)
        watch = None if self._training_ is None else self._training_.watch
        if watch is not None and dataset is watch.dataset:
            watch.open(self, iterator)
        return iterator

    # -- minibatches ------------------------------------------------------------------------

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Get the data set; one of the user's own class is handed encoded labels."""
        if y is not None and not is_dataset(X) and self.dataset is not Dataset:
            y = self._encode(y)
        return super().get_dataset(X, y)

    def _minibatches_of_loader(self, loader: Any, augment: Any) -> MappedLoader:
        """Augment and mix what a loader yields, minibatch by minibatch."""
        training = self._training_
        if training.weighted:
            raise ValueError(
                "`sample_weight` and `class_weight` need inputs that are arrays or tensors and the "
                f"default `iterator_train`; got {type(loader).__name__}."
            )
        transform = partial(self._vicinal_rows, batch_size=None)
        return MappedLoader(loader, self._to_device, self._place_targets, transform, augment)

    def _place_targets(self, y: Any) -> Rows:
        """Put targets that a loader yields on the device."""
        return self._to_device(y)

    def _minibatches_of_rows(
        self,
        base: Any,
        rows: np.ndarray | None,
        resident: tuple[Rows, Rows],
        kwargs: dict[str, Any],
    ) -> Minibatches:
        """Mix rows that live on the device, many minibatches at once."""
        training = self._training_
        X, y = resident
        rows = np.arange(len(base)) if rows is None else rows
        kwargs = {"shuffle": True, **kwargs}
        table = getattr(base, "X", None)
        if kwargs["shuffle"] and isinstance(table, np.ndarray) and table.ndim == 2:
            # The rank of all rows in that order, then of those chosen: no copy of the table.
            ranks = training.data.ranks if training.data.holds(base) else {}
            if id(y) not in ranks:
                ranks[id(y)] = content_order(X, y).argsort().cpu().numpy()
            rows = rows[ranks[id(y)][rows].argsort()]
        rows, weight = weigh(training, rows, y)
        kwargs["batch_size"] = count_rows(kwargs["batch_size"], rows)
        if weight is not None:
            y = (y, self._to_device(weight))
        n_bytes = sum(bytes_per_row(rows) for rows in (X, y))
        rank, n_processes = self._processes
        minibatches = Minibatches(
            X,
            y,
            order=torch.as_tensor(rows, device=self._place),
            rng=training.shuffle_stream,
            rank=rank,
            n_processes=n_processes,
            join_single=normalises_batches(self),
            # A row, its partner, their mixture and the last; targets turn into one number a class.
            # An augmentation needs about as much again, and so do rows beside their mixtures.
            row_bytes=(4 if kwargs.get("augment") is None else 8)
            * (1 if self.erm_weight == 0 else 2)
            * (n_bytes + 8 * getattr(self, "n_outputs_", 1)),
            **kwargs,
        )
        minibatches.transform = partial(
            self._vicinal_rows, batch_size=minibatches.batch_size, joins=minibatches.joins
        )
        return minibatches

    def _mixes_now(self) -> bool:
        """Whether this epoch mixes; skorch has opened its row of the history already."""
        return self.alpha > 0 and len(self.history) > self.erm_epochs

    def _count_alike(self, n_epochs: int) -> int:
        """Count the epochs, of the next `n_epochs`, that mix if this one does, and not if not."""
        if self.alpha == 0 or self._mixes_now():
            return n_epochs
        return min(n_epochs, int(self.erm_epochs) - len(self.history) + 1)

    def _vicinal_rows(
        self,
        X: Rows,
        y: Rows,
        *,
        batch_size: int | None,
        joins: bool = False,
        n_epochs: int = 1,
    ) -> tuple[Rows, Rows]:
        """Draw lam and partners for the rows of consecutive minibatches, and mix them."""
        y, weight = y if isinstance(y, tuple) else (y, None)
        n_rows = len(y) // n_epochs
        batch_size = n_rows if batch_size is None else count_joined(n_rows, batch_size, joins)
        mixing = draw_epochs(self, n_rows, batch_size, n_epochs) if self._mixes_now() else None
        return mix_rows([self], X, y, weight, mixing, batch_size, n_epochs)

    # -- a step ----------------------------------------------------------------

    def _find_steps(self, iterator: Any, step_fn: Any, fit_params: Any) -> Any:
        return find_steps(self, iterator, step_fn, fit_params)

    def _receivers(self) -> list[Any]:
        """List what takes arguments of ``fit``: the module's ``forward`` too."""
        module = vars(self).get("module_", self.module)
        if not self._training_ and not is_foreign(self.initialize_module):
            module = self.module  # which may be another by now
        # A function that makes a module does not tell what that takes.
        return [*super()._receivers(), getattr(unwrap(module), "forward", dict)]

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Apply the module to a minibatch."""
        if isinstance(x, Inside):
            with mixing_inside(unwrap(self.module_), self.mix_at, x) as rows:
                return self.infer(rows, **fit_params)
        training = self._training_
        if fit_params:
            fit_params = taken_by(unwrap(self.module_).forward, fit_params)
        half = find_half(self) if training is None else training.half
        with explain_shapes(self.module_, x), computing(half, self._place):
            if training is not None and training.holds(x):
                return in_full(self.module_(self._arrange(x, half), **fit_params))
            x = self._arrange(self._to_device(x), half)
            return in_full(super().infer(x, **fit_params))

    def _arrange(self, x: Any, half: torch.dtype | None) -> Any:
        """Lay the rows of a minibatch in memory as the module is fastest on them."""
        return x if getattr(self, "accelerator", None) else arrange(self.module_, x, half)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a minibatch and its gradient, in float16 that of a scaled loss."""
        if self._training_ is None or (scaler := self._training_.scaler) is None:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        X, y = unpack_data(batch)
        y_pred = self.infer(X, **fit_params)
        loss = self.get_loss(y_pred, y, X=X, training=True)
        scaler.scale(loss).backward()
        return {"loss": loss, "y_pred": y_pred}

    def _first_output(self, y_pred: Any, y_true: Any) -> Tensor:
        """Take what is the prediction in the output of the module, and check its shape."""
        output = first_output(self.module_, y_pred)
        n_outputs = getattr(self, "n_outputs_", None)
        if n_outputs is not None and (output.ndim < 2 or output.shape[1] != n_outputs):
            raise ValueError(
                f"The module must return one {self._an_output.format(n_outputs)}, shape "
                f"(batch_size, {n_outputs}); {type(self.module_).__name__} returned shape "
                f"{tuple(output.shape)}. A module that names a parameter `{self._width_names[0]}` "
                "is told it."
            )
        targets = y_true[0] if isinstance(y_true, tuple) else y_true  # of all that there are
        if isinstance(targets, Tensor) and output.ndim and len(output) != len(targets):
            raise rows_differ(self.module_, len(output), len(targets))
        return output

    def get_loss(self, y_pred: Tensor, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the loss of a minibatch, vicinal or plain."""
        if isinstance(y_true, WeightedNumbers):
            return weighted_number_loss(self.criterion_, y_pred, y_true)
        if isinstance(y_true, LogCoefficients):
            return log_coefficient_loss(y_pred, y_true)
        if isinstance(y_true, UNMIXED):
            loss = partial(super().get_loss, *args, **kwargs)
            return two_term_loss(self.criterion_, loss, y_pred, y_true)
        if isinstance(y_true, WeightedTargets):
            loss = partial(super().get_loss, *args, **kwargs)
            return weighted_loss(self.criterion_, loss, y_pred, y_true)
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    # -- prediction -------------------------------------------------------------------------

    def _output_minibatches(self, X: Any) -> Iterator[Tensor]:
        """Compute the first output of the module, on its device, minibatch by minibatch."""
        if (rows := find_ready(self, X)) is not None:
            yield from apply_ready(self, rows)
            return
        self.check_is_fitted()
        if not is_dataset(X):
            X = check_inputs(self, X, reset=False)
        n_rows = 0
        for output in self.forward_iter(X, device=self.device):
            first = first_output(self.module_, output).detach()
            n_rows += len(first)
            yield first
        # A forward_iter that is put in the place of ours answers for its own rows.
        is_ours = "forward_iter" not in vars(self)
        if is_ours and not is_dataset(X) and n_rows != get_len(X):
            raise rows_differ(self.module_, n_rows, get_len(X))

    def _outputs(self, X: Any) -> Tensor:
        """Compute the first output of the module, on its device."""
        return torch.cat([*self._output_minibatches(X)])

    # -- curves, under the names that scikit-learn's MLPClassifier and MLPRegressor have ---------

    @property
    def n_iter_(self) -> int:
        """Epochs since training began."""
        return len(read_curve(self, "epoch"))

    @property
    def loss_curve_(self) -> list[float]:
        """The training loss of each epoch, on mixed rows."""
        return read_curve(self, "train_loss")

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
        read_curve(self, "epoch")
        for name, sign in (("valid_acc", 1), ("valid_loss", -1)):
            if scores := [sign * row[name] for row in self.history if name in row]:
                return scores
        return None

    @property
    def best_validation_score_(self) -> float | None:
        """The highest of them."""
        scores = self.validation_scores_
        return None if scores is None else max(scores)
