"""Fitted estimators as ONNX graphs: nets by torch, scikit-learn's own by skl2onnx."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.model_selection import RandomizedSearchCV
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklearn_mixup._fused.search import FusedGridSearchCV, FusedRandomizedSearchCV
from sklearn_mixup._gan.estimator import MixupGAN
from sklearn_mixup._net.checks import is_dict
from sklearn_mixup._net.tables import check_dense, columns_of, is_frame, is_missing, names_of, take
from sklearn_mixup._onnx.committee import convert_committee, find_words
from sklearn_mixup._onnx.ensembles import CONVERTERS, convert_bag, convert_search
from sklearn_mixup._onnx.gan import convert_gan
from sklearn_mixup._onnx.graph import OPSET, check_names, find_last, leave_out, name_inputs
from sklearn_mixup._onnx.nets import BAGS, NETS, convert_nets, tell_types
from sklearn_mixup._tabular.base import TabularMixup

__all__ = ["to_onnx"]

_SEARCHES = (FusedGridSearchCV, FusedRandomizedSearchCV, RandomizedSearchCV)
# What skl2onnx has no converter of.
_OURS = {
    **dict.fromkeys(NETS, convert_nets),
    **dict.fromkeys(BAGS, convert_bag),
    **dict.fromkeys(_SEARCHES, convert_search),
    TabularMixup: convert_committee,
}
# Rows of X_sample that a graph is tried on, and how far its answers may be from the model's, in
# probabilities or in units of the largest number.
_MOST_TRIED, _MOST_APART = 100, 1e-3


def to_onnx(model: Any, X_sample: Any = None) -> Any:
    """Turn a fitted estimator, alone or in a Pipeline or an ensemble, into an ONNX model.

    Needs the extra ``onnx``: ``pip install "sklearn_mixup[onnx]"``.

    Parameters
    ----------
    model : estimator
        A fitted classifier, regressor, committee, search or GAN of this package, or one of
        scikit-learn's that skl2onnx converts and that holds such: a Pipeline of transformers and
        one of them, a search, a vote, a stack, a bag, a calibrated classifier.
    X_sample : array-like of shape (n_samples, n_features) or (n_samples, ...), or DataFrame
        Rows as `model` takes them; a `MixupGAN` needs none. They tell what goes into the graph: one
        input for an array, one for each column of a DataFrame, and which columns hold words. Some
        tens are best: if onnxruntime is installed, the graph is tried on them.

    Returns
    -------
    onnx.ModelProto
        Its input is ``"X"``, float32, with any number of rows; of a DataFrame a column of shape
        (n_samples, 1) by its name, float32 or words. A committee takes float64 for float32, a gap
        among words as an empty one, and any other value of a column of words as ``str(value)``. Its
        outputs are those of skl2onnx: ``"label"`` and ``"probabilities"`` of a classifier,
        ``"variable"`` of a regressor, shape (n_samples, n_outputs). They differ from those of
        `model` by rounding. Of a NaN that `model` refuses the graph makes NaNs.

        Of a `MixupGAN` the inputs are ``"noise"``, float32 of shape (n_samples, n_noise), which are
        to be standard normal numbers, and with classes ``"y"``, the label of each row to make. Its
        outputs are the columns of the table by their names, shape (n_samples, 1), in their own
        units: float64, int64, bool or words; dates as NumPy counts them, as int64. A gap is NaN,
        NaT, or an empty word. Of an array of floats the output is ``"X"``, as ``sample`` gives it.

    Raises
    ------
    ImportError
        If the extra is not installed.
    NotFittedError
        If `model` is not fitted.
    TypeError
        If `model` neither predicts nor is a GAN.
    ValueError
        If `model` refuses `X_sample`; if a part cannot be converted: a transformer that skl2onnx
        does not know, a module that torch cannot export, a method of a subclass, labels that are
        neither words nor whole numbers; if X is a dict of inputs; if a column is called as an
        output; or if the graph says something else of `X_sample` than `model` does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mixup import MixupClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MixupClassifier(random_state=0)).fit(X, y)
    >>> graph = to_onnx(clf, X[:100])  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())  # doctest: +SKIP
    >>> labels, proba = session.run(None, {"X": X.astype("float32")})  # doctest: +SKIP
    """
    skl2onnx = _import_skl2onnx()
    check_is_fitted(model)
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    if isinstance(model, MixupGAN):
        return convert_gan(model)
    if not hasattr(model, "predict"):
        is_gan = isinstance(find_last(model), MixupGAN)
        advice = "Pass the GAN alone, model[-1]: it takes noise." if is_gan else ""
        raise TypeError(
            "`model` must be a fitted classifier, regressor or MixupGAN; got "
            f"{type(model).__name__}, which has no predict. {advice}".rstrip()
        )
    if X_sample is None:
        raise TypeError("`X_sample` must hold some rows as `model` takes them; got None.")
    if is_dict(X_sample):
        raise ValueError(
            "A graph is made for rows in one array or table; got X_sample as a dict of inputs. "
            "Export the module itself, by torch.onnx.export(net.module_, ...)."
        )
    told = _ask(model, X_sample)
    feed = _list_inputs(model, X_sample)
    _register(skl2onnx, model)
    try:
        graph = skl2onnx.convert_sklearn(
            model,
            initial_types=[(name, _type_of(values)) for name, values in feed.items()],
            options={id(model): {"zipmap": False}} if is_classifier(model) else None,
            target_opset=OPSET,
            custom_conversion_functions=CONVERTERS,
            custom_shape_calculators=dict.fromkeys(CONVERTERS, tell_types),
        )
    except (RuntimeError, NotImplementedError) as error:  # of several kinds, all of these
        said = " ".join(str(error).split())
        raise ValueError(
            f"Every step of `model` must be one that skl2onnx converts; it says: {said} Put "
            "another in its place, or transform the rows before the graph."
        ) from error
    leave_out(graph)
    name_inputs(graph, [*feed])
    _try_out(graph, model, feed, *told)
    return graph


def _import_skl2onnx() -> Any:
    """Import what the extra brings."""
    try:
        import onnx  # noqa: F401
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "to_onnx needs onnx and skl2onnx, which are not installed. Install them, as by "
            'pip install "sklearn_mixup[onnx]".'
        ) from error
    return skl2onnx


def _register(skl2onnx: Any, model: Any) -> None:
    """Tell skl2onnx how the estimators of this package are converted that a model holds."""
    for kind in {type(part) for part in (model, *model.get_params().values())}:
        for own, converter in _OURS.items():
            if isinstance(kind, type) and issubclass(kind, own):
                is_maybe = own in _SEARCHES or issubclass(kind, ClassifierMixin)
                options = {"zipmap": [True, False, "columns"], "raw_scores": [True, False]}
                skl2onnx.update_registered_converter(
                    kind,
                    f"SklearnMixup{kind.__module__}{kind.__qualname__}",
                    tell_types,
                    converter,
                    options=options if is_maybe else None,
                    parser=_parse_search if own in _SEARCHES else None,
                )


def _parse_search(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Let skl2onnx read a search as its best estimator."""
    from skl2onnx._parse import parse_sklearn

    best = model.best_estimator_
    if is_classifier(best):
        scope.add_options(id(best), {"zipmap": False})
    return parse_sklearn(scope, best, inputs, custom_parsers=custom_parsers)


# -- inputs ---------------------------------------------------------------------------------------


def _list_inputs(model: Any, X: Any) -> dict[str, np.ndarray]:
    """List the inputs of the graph by name, as they are of some rows: float32 or words."""
    check_dense(X, "X_sample")
    # A committee computes what its trees look at in double precision.
    dtype = np.float64 if isinstance(model, TabularMixup) else np.float32
    if is_frame(X):
        is_word = find_words(model)
        outputs = ("label", "probabilities") if is_classifier(model) else ("variable",)
        check_names(map(str, names_of(X)), outputs)
        return {
            str(name): _read(column, dtype, None if is_word is None else is_word[i])[:, None]
            for i, (name, column) in enumerate(columns_of(X))
        }
    if isinstance(X, Tensor):
        X = X.detach().cpu().numpy()
    return {"X": _read(np.asarray(X), dtype)}


def _read(values: np.ndarray, dtype: Any, is_word: Any = None) -> np.ndarray:
    """Read numbers as floats, and words as strings, of which a gap is the empty one."""
    if values.dtype.kind in "fiub" and not is_word:
        return values.astype(dtype)
    gaps = np.reshape([is_missing(value) for value in values.ravel()], values.shape)
    if is_word is None:
        is_word = any(isinstance(value, str) for value in values[~gaps])
    if not is_word:
        try:
            return np.where(gaps, np.nan, values).astype(dtype)
        except (TypeError, ValueError):
            pass
    return np.where(gaps, "", values.astype(str)).astype(object)


def _type_of(values: np.ndarray) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    kinds = {"O": StringTensorType, "d": DoubleTensorType, "f": FloatTensorType}
    return kinds[values.dtype.char]([None, *values.shape[1:]])


# -- a trial --------------------------------------------------------------------------------------


def _ask(model: Any, X: Any) -> tuple[np.ndarray, Any]:
    """Ask a model what it says of some rows, and what is wrong with them."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    rows = take(X, np.arange(min(n_rows, _MOST_TRIED)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proba = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
        return np.asarray(model.predict(rows)), proba


def _try_out(
    graph: Any, model: Any, feed: dict[str, np.ndarray], predicted: np.ndarray, proba: Any
) -> None:
    """See that a graph says of some rows what the model does, if there is a runtime."""
    if find_spec("onnxruntime") is None:
        return
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString())
    n_rows = len(predicted)
    found = session.run(None, {name: values[:n_rows] for name, values in feed.items()})
    label = found[0].reshape(predicted.shape)
    if not is_classifier(model):
        _compare(label, predicted, np.abs(label - predicted) / (np.abs(predicted).max() or 1))
        return
    is_other = label != predicted
    if isinstance(proba, np.ndarray):  # of several outputs there is a list
        said = found[-1].reshape(proba.shape)
        _compare(said, proba, np.abs(said - proba))
        # Of labels that are about as likely either may be told.
        if predicted.ndim > 1:
            is_other &= np.abs(proba - 0.5) > _MOST_APART
        else:
            second, likeliest = np.sort(proba, axis=1)[:, -2:].T
            is_other &= likeliest - second > _MOST_APART
    _compare(label, predicted, is_other)


def _compare(said: np.ndarray, expected: np.ndarray, apart: np.ndarray) -> None:
    """Refuse a graph that says of some row something else than the model does."""
    if not (apart <= _MOST_APART).all():
        row = int(apart.reshape(len(apart), -1).max(axis=1).argmax())
        raise ValueError(
            "The graph must say what `model` says of X_sample; of row "
            f"{row} it says {said[row].tolist()}, and the model {expected[row].tolist()}. "
            "Either a step of `model` does what skl2onnx does not know, or it computes in lower "
            "precision than float32, or numbers are too large for float32 to tell apart: subtract "
            "what they have in common, such as a first date."
        )
