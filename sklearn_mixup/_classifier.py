"""MixupClassifier: a skorch net and a scikit-learn classifier, trained with mixup."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset, unpack_data
from torch import Tensor, nn

from sklearn_mixup._net.checks import check_outputs
from sklearn_mixup._net.labels import Labels, check_codes
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.parameters import store
from sklearn_mixup._net.prediction import in_double, softmax
from sklearn_mixup._net.targets import (
    UNMIXED,
    check_criterion,
    check_range,
    check_width,
    takes_logits,
)
from sklearn_mixup._net.vicinal_net import VicinalNet
from sklearn_mixup.minibatches import Minibatches, Rows
from sklearn_mixup.modules import MLP

__all__ = ["MixupClassifier"]


class MixupClassifier(VicinalNet, NeuralNetClassifier):
    """A neural network classifier trained with mixup [1]_.

    Every minibatch is moved toward a permutation of itself, inputs and targets by the same
    random weight ``lam``, drawn from Beta(alpha, alpha). The result is a scikit-learn classifier
    and a skorch net: skorch's parameters, callbacks and history work as they do in
    :class:`skorch.NeuralNetClassifier`. Standardise the features before it.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=MLP
        Network that returns logits, shape (batch_size, n_classes). ``fit`` fills in parameters
        named ``n_features`` (numbers in a row of X) and ``n_classes``. An instance is copied, never
        trained in place.
    hidden_sizes : int or sequence of int, default=None
        Width of each hidden layer of the module, the same as ``module__hidden_sizes``. None is the
        module's own, (128, 128) for the default one.
    alpha : float in [0, inf], default=0.5
        Concentration of Beta(alpha, alpha), dimensionless. 0 is ERM: nothing is drawn or mixed.
        The closer to 0, the less is mixed; infinity gives ``lam = 1/2`` always.
    dropout : float in [0, 1), default=None
        Sets p of every dropout layer of the module. None leaves the module as it is.
    vicinity : {"mixup", "cutmix", "input"} or callable, default="mixup"
        What is done to a pair. "mixup" mixes inputs and targets; "cutmix" [2]_ pastes a box of one
        picture into the other, and mixes targets by the share of the pixels; "input" mixes inputs
        and takes the target of the nearer row. A function of your own has the signature of those
        in :mod:`sklearn_mixup.vicinities`.
    pairs : {"random", "same_class", "different_class", "nearest"} or callable, default="random"
        Which rows of a minibatch are paired: a random permutation of it; rows of one class, or of
        different ones (the likeliest classes of rows of probabilities, all labels of multilabel
        rows); or a row with one of its `n_neighbors` nearest, by the inputs as numbers. A function
        of your own has the signature of those in :mod:`sklearn_mixup.pairs`.
    mix_at : "input" or list of str, default="input"
        Where rows are mixed: as inputs, or as what a layer of the module puts out, one of those
        named and drawn anew for each minibatch (manifold mixup [3]_), as in ``["input",
        "hidden.1", "output"]`` for the default module. "hidden.0" would be "input": what a linear
        layer puts out is mixed as what it is given. Layers mix by `vicinity` "mixup".
    erm_weight : float in [0, 1), default=0
        Share of the plain loss in the objective, beside the mixed one (RegMixup [4]_): rows go
        through the module as they are and mixed, in minibatches twice as long. RegMixup's weight
        eta of the mixed loss is ``1 / erm_weight - 1``, but for the scale of the objective.
    n_neighbors : int, default=5
        Of how many nearest rows ``pairs="nearest"`` takes one.
    lam_per : {"minibatch", "sample"}, default="minibatch"
        Whether the rows of a minibatch share one ``lam``, as in the paper.
    erm_epochs : int, default=0
        Epochs at the start of training that do not mix.
    early_stopping : bool or "auto", default=False
        Whether ``fit`` sets rows aside to validate on: after each epoch it computes the loss on
        them, and it ends with the weights of the epoch in which that was lowest. "auto" does so if
        X is no torch Dataset, has 100 rows at least, and `train_split` is None.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows that `early_stopping` sets aside, of each label alike, and as many rows as
        there are labels at least. They are drawn by `random_state`.
    n_iter_no_change : int or inf, default=10
        With `early_stopping`, training ends after so many epochs in a row without a lower loss. The
        learning rate falls over `max_epochs` whether it ends before or not.
    class_weight : dict or "balanced", default=None
        Weight of each class, by label. "balanced" is ``n_samples / (n_classes * bincount(y))``.
    random_state : int, RandomState instance or None, default=None
        Governs initial weights, shuffling, ``lam``, partners and dropout: the same state gives the
        same bits on one device. None is a fresh seed. The global generators of Python, NumPy and
        torch are left as they were found.
    criterion : torch loss class, default=torch.nn.CrossEntropyLoss
        For multilabel targets the default becomes ``BCEWithLogitsLoss``.
    optimizer : torch optimizer class, default=torch.optim.Adam
        Adam and AdamW are fused where torch offers it.
    lr : float, default=0.003
        Learning rate at the start. It falls to zero along a cosine over the whole fit; switch
        that off with ``callbacks__lr_decay=None``, or pass an ``LRScheduler``.
    max_epochs : int, default=16
        Epochs of a fit.
    batch_size : int, default=32
        Rows of a minibatch; -1 takes all. The last one may be shorter; if the module holds a batch
        normalisation, which has no variance of one row, a single last row joins the minibatch
        before it. Predictions have minibatches of their own, of ``iterator_valid__batch_size``
        rows at most if that is given.
    iterator_train, iterator_valid : iterator class, default=Minibatches
        Where minibatches come from. The default keeps the data on the device and cuts slices from
        chunks that it has gathered and mixed; ``iterator_train__chunk_bytes`` bounds their memory.
        A torch Dataset goes through a ``DataLoader``. Each shuffles the rows to train on, unless
        you set an order: ``iterator_train__shuffle=False``, or a sampler.
    dataset : Dataset class, default=skorch.dataset.Dataset
        See skorch.
    train_split : callable, default=None
        skorch's inner validation split. None trains on all rows.
    callbacks : list, default=None
        skorch callbacks, besides the default ones.
    predict_nonlinearity : callable, None or "auto", default="auto"
        Turns the output of the module into probabilities.
    warm_start : bool, default=False
        Whether another ``fit`` goes on with the weights of the last.
    verbose : int, default=0
        1 prints a row of losses for each epoch.
    device : str or torch.device, default="auto"
        "auto" is CUDA, else MPS, else the CPU.
    engine : {"torch", "numba"}, default="torch"
        What takes the steps of the default module with Adam on a CPU, where nobody watches them:
        torch, or code that numba compiles, which is quicker and leaves other threads alone.
        Results differ by rounding. The first fit of a number of layers compiles for some
        seconds; that is kept for later. All other steps are torch's. See the user guide.
    precision : {"float32", "bfloat16", "float16", "auto"}, default="float32"
        What the module computes in. "auto" is bfloat16 for a module with convolutions on a GPU that
        has it, and float32 elsewhere. See the notes.
    compile : bool, default=False
        Whether to compile the module with ``torch.compile``.
    use_caching : bool or "auto", default="auto"
        See skorch.
    torch_load_kwargs : dict, default=None
        See skorch.
    classes : list, default=None
        The classes, sorted, if `y` may not hold them all; or, in the order of their numbers, those
        of a torch Dataset that yields class indices.
    **kwargs
        skorch's parameters of parts: ``module__hidden_sizes=(256,)``,
        ``optimizer__weight_decay=1e-4``, ``callbacks__...``, ``iterator_train__...``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; the numbers of the columns for other targets. Not there after a fit on a Dataset
        whose labels cannot be seen, if `classes` does not tell: `predict` returns numbers then.
    n_features_in_ : int
        Number of features, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.
    target_type_ : {"multiclass", "multilabel-indicator", "probabilities"}
        The kind of `y`.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        Losses, learning rate and seconds of each epoch; also as ``history``. ``train_loss`` is
        measured on the mixed minibatches: it is not the loss on the training rows.

    loss_, best_loss_ : float
        The last training loss, and the least.
    loss_curve_ : list of float
        The training loss of each epoch.
    validation_scores_ : list of float or None
        With `early_stopping`, minus the loss after each epoch on the rows set aside. With
        `train_split`, the accuracy on those that it set aside. None without either.
    best_validation_score_ : float or None
        The highest of them, that of the epoch whose weights `early_stopping` kept.
    n_iter_ : int
        Epochs since training began, those after the best one too.
    n_outputs_ : int
        Width of the output, a column for each class.
    slow_because_ : str or None
        What made the last training take each step through skorch's own methods, which takes about
        twice as long for a small network; None if nothing did. See the user guide.
    engine_ : {"torch", "numba"}
        What took the steps of the last training.

    Notes
    -----
    The objective of a minibatch whose rows ``i`` have partners ``j`` and weights ``w`` is the mean
    over ``i`` of::

        lam * w_i * l(f(x~_i), y_i) + (1 - lam) * w_j * l(f(x~_i), y_j)

    The weight of a row is its `sample_weight` times the `class_weight` of its class, scaled so that
    the mean over all rows to train on is 1.

    A `sample_weight` of whole numbers, that make an epoch at most ten times as long, counts rows:
    a row of weight 2 is visited as if it stood in the table twice. All other weights, and
    `class_weight`, are weights of the objective. The shuffle of a 2-D array starts from an order
    that depends on what the rows hold, not on how they are stored.

    A subclass with a ``get_loss`` of its own is handed mixed targets, not labels; for another
    loss, pass a `criterion`, which is called once with own and once with partners' targets.

    Some attributes of :class:`~sklearn.neural_network.MLPClassifier` are not here: `coefs_`,
    `intercepts_`, `n_layers_` and `out_activation_`, since the network may be any, and is
    ``module_``; and `t_`, the rows seen, since the history holds the ``train_batch_size`` of each
    minibatch.

    `early_stopping` differs from that of :class:`~sklearn.neural_network.MLPClassifier` in that the
    loss chooses the epoch, as in
    :class:`~sklearn.ensemble.HistGradientBoostingClassifier`, not the accuracy: where classes
    overlap, probabilities get worse long before the accuracy does. The loss is that of the rows as
    they are, not mixed, with their weights. It acts in ``fit`` alone: ``partial_fit`` trains on all
    rows that it is given. A warm start sets the same rows aside if it is given the same table, and
    goes back to the weights that it began with if no epoch is better.

    `precision` is that of convolutions and matrix products, in training and prediction, as
    :class:`torch.autocast` has it; weights, normalisation, the loss and the optimizer stay in
    float32. The default computes the same on every machine, to rounding. Lower precision is left
    to those who ask for it: it rounds logits to two or three digits, so that rows which are nearly
    alike get the very same probability, which matters to rankings and calibration more than to the
    error. "float16" is for GPUs without bfloat16: the loss is scaled so that small gradients do not
    vanish, and a step whose gradients overflow is left out. Nets in lower precision are trained one
    by one, not fused; :mod:`~sklearn_mixup.inspection` and :mod:`~sklearn_mixup.robustness` compute
    gradients in float32.

    The defaults are a recipe for tables; the user guide tells what to expect.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR
       2018.
    .. [2] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
       Features", ICCV 2019.
    .. [3] Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
       ICML 2019.
    .. [4] Pinto et al., "Using Mixup as a Regularizer Can Surprisingly Improve Accuracy and
       Out-of-Distribution Robustness", NeurIPS 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import MixupClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MixupClassifier(random_state=0))
    >>> bool(cross_val_score(clf, X, y).mean() > 0.9)
    True
    """

    _target_kind = Labels
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VicinalNet._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        module: Any = MLP,
        *,
        hidden_sizes: Any = None,
        alpha: float = 0.5,
        dropout: float | None = None,
        vicinity: Any = "mixup",
        pairs: Any = "random",
        mix_at: Any = "input",
        erm_weight: float = 0.0,
        n_neighbors: int = 5,
        lam_per: str = "minibatch",
        erm_epochs: int = 0,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.Adam,
        lr: float = 3e-3,
        max_epochs: int = 16,
        batch_size: int = 32,
        iterator_train: Any = Minibatches,
        iterator_valid: Any = Minibatches,
        dataset: Any = Dataset,
        train_split: Any = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        engine: str = "torch",
        precision: str = "float32",
        compile: bool = False,
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        params = {key: value for key, value in locals().items() if key in _PARAMETERS}
        store(self, params, kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Train the network from the start, for `max_epochs` epochs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), N-D array or tensor, dict of them, Dataset
            Inputs: numbers, finite; floating if they are more than a 2-D array and `alpha` > 0. Of
            a dict, each entry is an input of the module by that name; all are mixed alike.
            Never written to.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Labels of any kind; zeros and ones in columns (multilabel); or floating rows that sum
            to 1, the probabilities of the classes. None only with a torch Dataset, which yields
            its own targets: class indices; or with an `iterator_train` of your own that does.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. A row of weight 0 is left out.
        **fit_params
            Passed to the module's ``forward`` and to `train_split`, as in skorch.

        Returns
        -------
        MixupClassifier
            The net itself.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as said above, or they do not fit together; if
            there is no minibatch to train on; if a loss or the weights become NaN or infinite. Then
            the net goes back to its last good epoch, or is unfitted if there was none.
        TypeError
            If inputs that have to be mixed are not floating.
        KeyboardInterrupt
            If somebody presses Ctrl-C. The net keeps what it has learned so far and can predict.
        """
        n_epochs = fit_params.get("epochs") or self.max_epochs  # skorch takes them here too
        return self._fit("fit", X, y, sample_weight, fit_params, n_epochs=n_epochs)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Go on training, for `max_epochs` epochs, without lowering the learning rate.

        All rows are trained on, whether `early_stopping` or not.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels, if the first call's `y` does not hold them all. The same in each call.
        **fit_params
            As for :meth:`fit`.

        Returns
        -------
        MixupClassifier
            The net itself.
        """
        return self._fit("partial_fit", X, y, sample_weight, fit_params, classes=classes)

    def _weigh_classes(self, targets: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        return self._targets.weigh(self.class_weight, targets, sample_weight)

    def _find_criterion(self) -> Any:
        """Find what makes the criterion; for multilabel targets the default is another."""
        if self._targets.is_multilabel and self.criterion is nn.CrossEntropyLoss:
            return nn.BCEWithLogitsLoss
        return self.criterion

    def initialize_callbacks(self) -> Any:
        """Make the callbacks; there is no accuracy against probabilities."""
        super().initialize_callbacks()
        if getattr(self, "target_type_", None) == "probabilities":
            self.callbacks_ = [item for item in self.callbacks_ if item[0] != "valid_acc"]
        return self

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the loss of a minibatch, vicinal or plain."""
        logits = self._first_output(y_pred, y_true)
        n_outputs = logits.shape[1] if logits.ndim > 1 else None
        if not kwargs.get("training"):  # else when a loader yields them
            y_true = check_codes(self, y_true, mixed=False, n_classes=n_outputs)
        elif self._training_ is not None and (codes := self._training_.codes) is not None:
            check_codes(self, codes, mixed=self._mixes_now(), n_classes=n_outputs)
        targets = y_true.y if isinstance(y_true, UNMIXED) else y_true
        if isinstance(targets, Tensor):
            check_criterion(self.criterion_, targets)
            check_width(self.criterion_, targets, logits)
        check_range(self, logits)
        if isinstance(y_true, Tensor) and y_true.ndim > 1:  # a loader may yield whole numbers
            y_true = y_true.to(logits.dtype)
        if takes_logits(self.criterion_):  # any other may ask for all that the module returns
            y_pred = logits
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    def _place_targets(self, y: Any) -> Rows:
        y = check_codes(self, y, mixed=self._mixes_now())
        # How many classes there are the module tells then.
        self._training_.codes = None if hasattr(self, "n_outputs_") else y
        return super()._place_targets(y)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Notify the callbacks, of minibatches with the labels as the user knows them."""
        if method_name == "on_batch_end" and getattr(self, "target_type_", "") == "multiclass":
            X, y = unpack_data(kwargs["batch"])
            is_codes = isinstance(y, Tensor) and y.ndim == 1 and not y.is_floating_point()
            n_outputs = getattr(self, "n_outputs_", 0)
            if is_codes and n_outputs and not np.array_equal(self.classes_, np.arange(n_outputs)):
                kwargs["batch"] = X, self.classes_[y.cpu().numpy()]
        super().notify(method_name, **kwargs)

    # -- prediction -------------------------------------------------------------------------

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Any]:
        criterion = unwrap(getattr(self, "criterion_", None))
        if self.predict_nonlinearity == "auto" and len(self._criteria) < 2:
            # In double, since the last few numbers have another kernel.
            if isinstance(criterion, nn.BCEWithLogitsLoss | nn.MultiLabelSoftMarginLoss):
                return partial(in_double, torch.sigmoid)
            if isinstance(criterion, nn.KLDivLoss):
                return partial(in_double, torch.exp)
            if isinstance(criterion, nn.CrossEntropyLoss):  # which accelerate is not told of
                return softmax
        return super()._get_predict_nonlinearity()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``; of each label, for multilabel targets.
        """
        nonlinearity = self._get_predict_nonlinearity()
        parts = [torch.as_tensor(nonlinearity(part)) for part in self._output_minibatches(X)]
        return check_outputs(torch.cat(parts).cpu().numpy())

    def predict(self, X: Any) -> np.ndarray:
        """Predict the labels.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) for multilabel targets
            Labels as `y` had them; the likeliest class, by number, if `y` was probabilities.
        """
        proba = self.predict_proba(X)
        return self._targets.decide(proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Compute the logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms, -inf where the probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the logits.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Logits; for two classes the second's less the first's.
        """
        logits = check_outputs(self._outputs(X).cpu().numpy())
        if logits.shape[1] == 2 and not self._targets.is_multilabel:
            return logits[:, 1] - logits[:, 0]
        return logits

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            True labels. Of rows of probabilities the largest entry of each is its label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float in [0, 1]
            Share of the rows that are predicted right, in all their labels if there are several.
        """
        predicted = self.predict(X)  # It says what is missing before a fit.
        return self._targets.score(y, predicted, sample_weight)


_PARAMETERS = inspect.signature(MixupClassifier.__init__).parameters.keys() - {"self", "kwargs"}
