"""MixupRegressor: a skorch net and a scikit-learn regressor, trained with mixup."""

from __future__ import annotations

import inspect
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from skorch import NeuralNetRegressor
from skorch.dataset import Dataset, unpack_data
from torch import Tensor, nn

from sklearn_mixup._net.checks import check_outputs
from sklearn_mixup._net.losses import QuantileLoss
from sklearn_mixup._net.numbers import Numbers
from sklearn_mixup._net.parameters import store
from sklearn_mixup._net.targets import check_criterion_of_numbers, takes_logits
from sklearn_mixup._net.vicinal_net import VicinalNet
from sklearn_mixup.minibatches import Minibatches
from sklearn_mixup.modules import MLP

__all__ = ["MixupRegressor"]


class MixupRegressor(VicinalNet, NeuralNetRegressor):
    """A neural network regressor trained with mixup [1]_.

    :class:`MixupClassifier` for numbers: every minibatch is moved toward a permutation of itself,
    inputs and targets by the same random weight ``lam``, drawn from Beta(alpha, alpha). The result
    is a scikit-learn regressor and a skorch net. Standardise the features before it; the targets
    are standardised within.

    Parameters
    ----------
    module : torch.nn.Module class or instance, default=MLP
        Network that returns numbers, shape (batch_size, n_outputs). ``fit`` fills in parameters
        named ``n_features`` (numbers in a row of X), and ``n_outputs`` or ``n_classes`` (columns of
        y). An instance is copied, never trained in place.
    hidden_sizes : int or sequence of int, default=None
        As of :class:`MixupClassifier`.
    alpha : float in [0, inf], default=0.2
        Concentration of Beta(alpha, alpha), dimensionless. 0 is ERM: nothing is drawn or mixed.
    dropout, lam_per, erm_epochs
        As of :class:`MixupClassifier`.
    pairs : {"random", "target", "nearest"} or callable, default="random"
        Which rows of a minibatch are paired. "target": the nearer the targets of two rows, the
        likelier (C-Mixup [2]_); the others are as of :class:`MixupClassifier`.
    bandwidth : float > 0, default=0.5
        Of ``pairs="target"``: row j is the partner of row i with a probability in proportion to
        ``exp(-||y_i - y_j||**2 / (2 * bandwidth**2))``, in standard deviations of y if `scale_y`.
    vicinity, mix_at, erm_weight, n_neighbors
        As of :class:`MixupClassifier`.
    early_stopping : bool or "auto", default="auto"
        Whether ``fit`` sets rows aside to validate on: after each epoch it computes the loss on
        them, and it ends with the weights of the epoch in which that was lowest. "auto" does so if
        X is no torch Dataset, has 100 rows at least, and `train_split` is None.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows that `early_stopping` sets aside, drawn by `random_state`.
    n_iter_no_change : int or inf, default=10
        As of :class:`MixupClassifier`.
    scale_y : bool, default=True
        Whether each column of y is standardised before training, by its mean and its standard
        deviation over the rows as they weigh, and predictions are scaled back. Losses are those of
        standardised targets.
    criterion : {"squared_error", "absolute_error", "huber", "quantile"} or torch loss class, \
default="squared_error"
        What is minimised. It is called with outputs and targets of shape (batch_size, n_outputs).
        Huber's loss is quadratic up to ``criterion__delta=1.0``, in standard deviations of y if
        `scale_y`.
    quantile : float in (0, 1), default=0.5
        Which quantile ``criterion="quantile"`` is to predict.
    max_epochs : int, default=32
        Epochs of a fit; `early_stopping` may end it before.
    random_state, optimizer, lr, batch_size
        As of :class:`MixupClassifier`.
    iterator_train, iterator_valid, dataset, train_split, callbacks
        As of :class:`MixupClassifier`.
    predict_nonlinearity : callable, None or "auto", default="auto"
        Applied to the outputs of the module before they are scaled back; "auto" is nothing.
    warm_start, verbose, device, engine, precision, compile, use_caching, torch_load_kwargs
        As of :class:`MixupClassifier`.
    **kwargs
        skorch's parameters of parts: ``module__hidden_sizes=(256,)``,
        ``optimizer__weight_decay=1e-4``, ``callbacks__...``, ``iterator_train__...``.

    Attributes
    ----------
    n_features_in_ : int
        Number of features, ``X.shape[1]``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.
    target_type_ : {"continuous", "continuous-multioutput"}
        Whether `y` was one number a row or had columns; predictions have the same shape.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        What each column of y was standardised by: 0 and 1 without `scale_y`. The scale of a
        constant column is 0, and it is predicted as it is.
    n_outputs_ : int
        Columns of y.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        Losses, learning rate and seconds of each epoch; also as ``history``. ``train_loss`` is
        measured on the mixed minibatches: it is not the loss on the training rows.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, n_iter_
        As of :class:`MixupClassifier`; the validation scores are minus the loss.
    slow_because_, engine_
        As of :class:`MixupClassifier`.

    See Also
    --------
    FusedBaggingRegressor : Many of them trained as one, their predictions averaged.

    Notes
    -----
    The targets themselves are mixed: the objective of a minibatch whose rows ``i`` have partners
    ``j`` is the mean over ``i`` of::

        l(f(lam * x_i + (1 - lam) * x_j), lam * y_i + (1 - lam) * y_j)

    For squared error that has the gradient of :class:`MixupClassifier`'s objective, which mixes
    losses: the two differ by what no output can change. For other losses they differ, and only this
    one asks for a network that is linear between two rows. The theory page has the mathematics of
    it, with weights too. Mixed targets scatter less than those of the data, so a quantile other
    than the median is predicted too near to it: use ``alpha=0`` where that matters.

    Weights, `early_stopping` and all else is as :class:`MixupClassifier` has it. `y` of a torch
    Dataset is standardised if that is a skorch Dataset or a TensorDataset; what others yield goes
    to the criterion as it is.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR
       2018.
    .. [2] Yao et al., "C-Mixup: Improving Generalization in Regression", NeurIPS 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import MixupRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = make_pipeline(StandardScaler(), MixupRegressor(random_state=0))
    >>> bool(cross_val_score(reg, X, y).mean() > 0.4)
    True
    """

    _target_kind = Numbers
    _predicts_numbers = True
    _width_names = ("n_outputs", "n_classes")
    _an_output = "number for each of the {} columns of y"
    _handed_on: ClassVar[dict[str, str]] = {**VicinalNet._handed_on, "quantile": "criterion"}
    _words: ClassVar[dict[str, dict[str, Any]]] = {
        "criterion": {
            "squared_error": nn.MSELoss,
            "absolute_error": nn.L1Loss,
            "huber": nn.HuberLoss,
            "quantile": QuantileLoss,
        }
    }
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VicinalNet._parameter_constraints,
        "bandwidth": [Interval(Real, 0, None, closed="neither")],
        "scale_y": ["boolean"],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        module: Any = MLP,
        *,
        hidden_sizes: Any = None,
        alpha: float = 0.2,
        dropout: float | None = None,
        vicinity: Any = "mixup",
        pairs: Any = "random",
        mix_at: Any = "input",
        erm_weight: float = 0.0,
        n_neighbors: int = 5,
        bandwidth: float = 0.5,
        lam_per: str = "minibatch",
        erm_epochs: int = 0,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        scale_y: bool = True,
        criterion: Any = "squared_error",
        quantile: float = 0.5,
        random_state: Any = None,
        optimizer: Any = torch.optim.Adam,
        lr: float = 3e-3,
        max_epochs: int = 32,
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
        **kwargs: Any,
    ) -> None:
        params = {key: value for key, value in locals().items() if key in _PARAMETERS}
        store(self, params, kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Collect the arguments of a part; `quantile` is one of the criterion of that name."""
        kwargs = super().get_params_for(prefix)
        if prefix == "criterion" and self.criterion == "quantile":
            kwargs.setdefault("quantile", self.quantile)
        return kwargs

    # -- training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Train the network from the start, for `max_epochs` epochs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), N-D array or tensor, dict of them, Dataset
            Inputs, as :meth:`MixupClassifier.fit` takes them. Never written to.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Finite numbers. None only with a torch Dataset, which yields its own targets; or with an
            `iterator_train` of your own that does.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. A row of weight 0 is left out.
        **fit_params
            Passed to the module's ``forward`` and to `train_split`, as in skorch.

        Returns
        -------
        MixupRegressor
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
        sample_weight: Any = None,
        *,
        classes: None = None,
        **fit_params: Any,
    ) -> Any:
        """Go on training, for `max_epochs` epochs, without lowering the learning rate.

        All rows are trained on, whether `early_stopping` or not. Targets are standardised as in the
        first call.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : None
            Not used; it is here because skorch has it, of any net.
        **fit_params
            As for :meth:`fit`.

        Returns
        -------
        MixupRegressor
            The net itself.
        """
        return self._fit("partial_fit", X, y, sample_weight, fit_params)

    def _find_criterion(self) -> Any:
        """Find what makes the criterion."""
        criterion = self.criterion
        if isinstance(criterion, str):
            criterion = self._words["criterion"][criterion]
        check_criterion_of_numbers(criterion)
        return criterion

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the loss of a minibatch, vicinal or plain."""
        outputs = self._first_output(y_pred, y_true)
        if isinstance(y_true, Tensor):  # A loader may yield whole numbers, and one a row.
            y_true = y_true.to(outputs.dtype)
            y_true = y_true.unsqueeze(1) if y_true.ndim == 1 else y_true
        if takes_logits(self.criterion_):  # any other may ask for all that the module returns
            y_pred = outputs
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Notify the callbacks, of minibatches with the numbers as the user knows them."""
        if method_name == "on_batch_end":
            X, y = unpack_data(kwargs["batch"])
            if isinstance(y, Tensor) and getattr(self, "target_mean_", None) is not None:
                columns = y.reshape(len(y), -1)
                kwargs["batch"] = X, self._targets.decode(columns.cpu().double().numpy())
        super().notify(method_name, **kwargs)

    # -- prediction -------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Predict the numbers.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Numbers as `y` had them.
        """
        nonlinearity = self._get_predict_nonlinearity()
        parts = [torch.as_tensor(nonlinearity(part)) for part in self._output_minibatches(X)]
        if self.scale_y and "target_type_" not in vars(self):
            raise ValueError(
                "Predictions are scaled back by what fit learns of y, and this net was not fitted; "
                "got parameters from elsewhere. Pickle a fitted net whole, or use scale_y=False."
            )
        return self._targets.decode(check_outputs(torch.cat(parts).cpu().double().numpy()))

    @property
    def predict_proba(self) -> Any:
        """Not there, as of any regressor: skorch has it for all nets."""
        raise AttributeError(f"{type(self).__name__} predicts numbers, not probabilities.")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the coefficient of determination, R^2.

        Parameters
        ----------
        X : as for :meth:`fit`
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            1 at best, 0 for the mean of y; the mean over the columns of y.
        """
        predicted = self.predict(X)  # It says what is missing before a fit.
        return self._targets.score(y, predicted, sample_weight)


_PARAMETERS = inspect.signature(MixupRegressor.__init__).parameters.keys() - {"self", "kwargs"}
