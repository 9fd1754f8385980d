"""Strategies that draw what estimators are used with: tables, targets, weights, settings.

Numbers come from NumPy, by a seed that hypothesis draws: a table of hypothesis' own numbers would
take longer to draw than to fit. What matters can still be shrunk: shape, dtype, layout, container.
"""

import datetime
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from hypothesis import settings
from hypothesis import strategies as st
from scipy import sparse
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader, TensorDataset

# All cases of all tests; `make fuzz` asks for more, and for others each time.
N_CASES = int(os.environ.get("SKLEARN_MIXUP_FUZZ", 300))
IS_FUZZ = "SKLEARN_MIXUP_FUZZ" in os.environ


def cases(share):
    """Give a test its share of all cases; the same ones each time, but for `make fuzz`."""
    return settings(
        max_examples=max(round(N_CASES * share), 1),
        derandomize=not IS_FUZZ,
        database=None,
        deadline=None,
        print_blob=IS_FUZZ,
    )


def sometimes(usual, *others):
    """Draw what is usual most of the time."""
    return st.sampled_from([usual] * 2 * len(others) + [*others])


@dataclass
class Data:
    """What an estimator is fitted to, and what it has to make of it."""

    X: Any
    y: Any
    sample_weight: Any
    rows: np.ndarray  # X as numbers; NaN where there are none
    is_good: bool  # nothing may be refused

    @property
    def to_fit(self):
        """The arguments of ``fit``."""
        given = {"X": self.X, "y": self.y, "sample_weight": self.sample_weight}
        return given if self.sample_weight is not None else {"X": self.X, "y": self.y}

    def __repr__(self):
        with np.printoptions(threshold=4, edgeitems=2):
            kind = f"{type(self.X).__name__} of {getattr(self.X, 'dtype', '')} {self.rows.shape}"
            told = f"X={self.rows}, y={self.y!r}, sample_weight={self.sample_weight!r}"
        return f"Data({kind}, {told}, is_good={self.is_good})"


# -- tables ---------------------------------------------------------------------------------------


def _with_constants(X, rng):
    X[:, rng.random(X.shape[1]) < 0.5] = 1.5
    return X


def _with_duplicates(X, rng):
    return X[rng.integers(-(-len(X) // 3), size=len(X))]


def _of_many_sizes(X, rng):
    return X * 10.0 ** rng.integers(-30, 3, size=X.shape[1])


def _some(value):
    def put(X, rng):
        X[rng.integers(len(X)), rng.integers(X.shape[1])] = value
        return X

    return put


_GOOD = [_with_constants, _with_duplicates, _of_many_sizes, lambda X, rng: np.sort(X, axis=0)]
_GOOD += [lambda X, rng: np.zeros_like(X), lambda X, rng: np.abs(X.round())]
_BAD = [_some(np.nan), _some(np.inf), _some(-np.inf), _some(1e300), _some(1e38)]
_BAD += [lambda X, rng: X * 1e30, lambda X, rng: X * 1e300, lambda X, rng: X * 1e8]

_DTYPES = ["float64", "float32", "float16", "longdouble", ">f8", "int8", "int64", "uint8", "bool"]
_BAD_DTYPES = ["complex128", "str", "bytes", "datetime64[s]", "object"]


def _contiguous(X):
    return np.ascontiguousarray(X)


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


_LAYOUTS = {
    "columns": np.asfortranarray,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "every other": lambda X: np.repeat(X, 2, axis=0)[::2],
    "part": lambda X: np.concatenate([X, X], axis=1)[:, : X.shape[1]],
    "read-only": _read_only,
    "aligned by nobody": lambda X: _misaligned(X),
}


def _misaligned(X):
    """Let rows begin in the middle of a number."""
    if X.dtype.hasobject:
        return X  # whose memory holds no numbers
    memory = np.empty(X.nbytes + 1, dtype=np.uint8)[1:]
    rows = memory.view(X.dtype).reshape(X.shape)
    rows[...] = X
    return rows


def _names(X):
    return [f"x{i}" for i in range(X.shape[1])]


def _columns(X):
    return {name: np.ascontiguousarray(X[:, i]) for i, name in enumerate(_names(X))}


def _file(X):
    with tempfile.NamedTemporaryFile() as file:
        np.save(file, X)
        file.flush()
        return np.load(file.name, mmap_mode="r")


def _tensor(X):
    return torch.from_numpy(np.array(X, dtype=X.dtype.newbyteorder("=")))


_CONTAINERS = {
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=_names(X)),
    "pandas, any index": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1] % 3),
    "pandas, extension": lambda X: pd.DataFrame(X, columns=_names(X)).convert_dtypes(),
    "polars": lambda X: pl.DataFrame(_columns(X)),
    "pyarrow": lambda X: pa.table(_columns(X)),
    "file": _file,
    "tensor": _tensor,
    "tensor of columns": lambda X: _tensor(X.T).T,
    "tensor with a gradient": lambda X: _tensor(X).requires_grad_(X.dtype.kind == "f"),
    "masked, nothing": lambda X: np.ma.masked_array(X),
}
_BAD_CONTAINERS = {
    "masked": lambda X: np.ma.masked_array(X, mask=np.arange(X.size).reshape(X.shape) % 5 == 0),
    "csr": sparse.csr_array,
    "coo": sparse.coo_matrix,
    "vector": lambda X: X[:, 0],
    "number": lambda X: X.flat[0],
    "3-D": lambda X: X[:, None],
    "words": lambda X: pd.DataFrame(X, columns=_names(X)).assign(x0="red"),
    "days": lambda X: pl.DataFrame(_columns(X)).with_columns(x0=datetime.date(2020, 1, 1)),
    "gaps": lambda X: pd.DataFrame(X).astype(object).mask(X > 0, None),
    "dict": lambda X: {"X": X},
    "dict of one more": lambda X: {"X": X, "other": X},
    "data set": lambda X: TensorDataset(_tensor(X), torch.arange(len(X)) % 2),
    "ragged": lambda X: [row[: 1 + i % 2] for i, row in enumerate(X.tolist())],
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "None": lambda X: None,
}


@st.composite
def tables(draw, n_rows, *, is_good):
    """Draw a table and its numbers."""
    n_columns = draw(st.integers(1, 6) if n_rows > 300 else sometimes(3, 1, 2, 8, 30, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.standard_normal((n_rows, n_columns))
    changes, dtypes, containers = [*_GOOD], [*_DTYPES], {**_CONTAINERS}
    if not is_good:
        changes, dtypes = [*_GOOD, *_BAD, *_BAD], [*_DTYPES, *_BAD_DTYPES]
        containers |= _BAD_CONTAINERS
    changed = draw(st.lists(st.sampled_from(changes), max_size=2))
    dtype = draw(sometimes(*dtypes))
    with np.errstate(all="ignore"):
        for change in changed:
            X = change(X, rng)
        X = (np.abs(X) if dtype == "uint8" else X).astype(dtype)
    X = _LAYOUTS.get(draw(sometimes("rows", *_LAYOUTS)), _contiguous)(X)
    container = draw(sometimes("array", *containers))
    if is_good and container.startswith("tensor") and dtype not in ("float32", "float64"):
        container = "array"  # a tensor of whole numbers is for modules that take such
    if container.startswith(("pandas", "polars", "pyarrow")) and dtype in (">f8", "object"):
        container = "array"  # the packages have no such numbers, or fail with them later
    rows = np.full(X.shape, np.nan)
    if dtype in _DTYPES:
        rows = X.astype(np.float64)
    # A package may have no such numbers.
    with suppress(TypeError, ValueError, pa.ArrowException, pl.exceptions.PolarsError):
        X = containers.get(container, lambda X: X)(X)
    return X, rows


# -- targets --------------------------------------------------------------------------------------

_LABELS = {
    "words": lambda codes: np.array(["b", "c", "a", "é"])[codes],
    "objects": lambda codes: np.array(["b", "c", "a", "é"], dtype=object)[codes],
    "far": lambda codes: np.array([7, -3, 10**12, 0])[codes],
    "floats": lambda codes: codes.astype(float),
    "small": lambda codes: codes.astype(np.uint8),
    "truth": lambda codes: codes > 0,
    "list": lambda codes: codes.tolist(),
    "series": lambda codes: pd.Series(codes, index=np.arange(len(codes))[::-1]),
    "category": lambda codes: pd.Categorical(np.array(["x", "y", "z", "w"])[codes]),
    "polars": lambda codes: pl.Series("y", codes),
    "pyarrow": lambda codes: pa.array(codes),
    "tensor": torch.from_numpy,
    "read-only": _read_only,
}
_ROWS_OF_LABELS = {
    "several": lambda codes: np.column_stack([codes > 0, codes % 2 == 0]).astype(int),
    "probabilities": lambda codes: 0.1 + 0.6 * np.eye(4)[codes],
    "one-hot": lambda codes: np.eye(4)[codes],
    "soft tensor": lambda codes: torch.from_numpy((0.1 + 0.6 * np.eye(4)[codes]).astype("f4")),
}
_BAD_TARGETS = {
    "alike": lambda codes: np.zeros_like(codes),
    "numbers": lambda codes: codes + 0.5,
    "NaN": lambda codes: np.where(codes == codes[0], np.nan, codes),
    "infinity": lambda codes: np.where(codes == codes[0], np.inf, codes),
    "None": lambda codes: [None, *codes[1:].tolist()],
    "no word": lambda codes: ["b" if code else float("nan") for code in codes],
    "mixed": lambda codes: np.array(["b", 1], dtype=object)[codes % 2],
    "short": lambda codes: codes[1:],
    "column": lambda codes: codes.reshape(-1, 1),
    "multioutput": lambda codes: np.column_stack([codes, codes]),
    "sum 0.98": lambda codes: 0.98 * np.eye(4)[codes],
    "masked": lambda codes: np.ma.masked_equal(codes, codes[0]),
    "sparse": lambda codes: sparse.csr_array(np.eye(4)[codes]),
    "complex": lambda codes: codes + 1j,
    "dates": lambda codes: np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]")[codes % 2],
    "word": lambda codes: "red",
    "nothing": lambda codes: None,
    "3-D": lambda codes: np.zeros((len(codes), 2, 2)),
}


@st.composite
def targets(draw, n_rows, *, is_good):
    """Draw targets, of at least two classes if they are good."""
    n_classes = draw(st.integers(2, 4))
    codes = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(n_classes, size=n_rows)
    codes[0], codes[-1] = 0, n_classes - 1
    kinds = {**_LABELS, **_ROWS_OF_LABELS, **({} if is_good else _BAD_TARGETS)}
    if is_good:
        kinds["truth"] = lambda codes: codes == 0
    return kinds.get(draw(sometimes("codes", *kinds)), lambda codes: codes)(codes)


# -- weights --------------------------------------------------------------------------------------

_WEIGHTS = {
    "whole": lambda rng, n: rng.integers(1, 4, size=n),
    "any": lambda rng, n: rng.random(n) + 0.1,
    "list": lambda rng, n: (rng.random(n) + 0.1).tolist(),
    "series": lambda rng, n: pd.Series(rng.random(n) + 0.1),
    "tensor": lambda rng, n: torch.from_numpy(rng.random(n).astype("f4") + 0.1),
    "tiny": lambda rng, n: (rng.random(n) + 0.1) * 1e-200,
    "large": lambda rng, n: (rng.random(n) + 0.1) * 1e200,
    "one": lambda rng, n: 2.5,
}
_BAD_WEIGHTS = {
    "gaps": lambda rng, n: rng.integers(0, 2, size=n),
    "some": lambda rng, n: rng.random(n) * rng.integers(0, 2, size=n),
    "none": lambda rng, n: np.zeros(n),
    "negative": lambda rng, n: rng.standard_normal(n),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "infinite": lambda rng, n: np.full(n, np.inf),
    "short": lambda rng, n: np.ones(n - 1),
    "rows": lambda rng, n: np.ones((n, 2)),
    "words": lambda rng, n: ["heavy"] * n,
    "far apart": lambda rng, n: 10.0 ** rng.integers(-300, 300, size=n),
    "masked": lambda rng, n: np.ma.masked_array(np.ones(n), mask=np.arange(n) == 0),
}


@st.composite
def weights(draw, n_rows, *, is_good):
    """Draw weights of rows, or none."""
    kinds = {**_WEIGHTS, **({} if is_good else _BAD_WEIGHTS)}
    kind = draw(sometimes(None, *kinds) if is_good else st.sampled_from([None] * 20 + [*kinds]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return None if kind is None else kinds[kind](rng, n_rows)


N_ROWS = sometimes(st.integers(2, 100), st.sampled_from([2, 3, 32, 33, 65]), st.just(1)).flatmap(
    lambda rows: rows
) | sometimes(3, *range(4, 9), 5000)


@st.composite
def data(draw, *, is_good=None, n_rows=None, weighted=True):
    """Draw what an estimator is fitted to; one half is such that nothing may be refused."""
    if is_good is None:
        is_good = draw(st.booleans())
    n_rows = draw(N_ROWS) if n_rows is None else n_rows
    if n_rows < 2:
        is_good = False
    X, rows = draw(tables(n_rows, is_good=is_good))
    y = draw(targets(n_rows, is_good=is_good))
    weight = draw(weights(n_rows, is_good=is_good)) if weighted else None
    return Data(X, y, weight, rows, is_good)


# -- settings -------------------------------------------------------------------------------------


def settings_of_nets(*, is_good=True):
    """Draw parameters of a MixupClassifier that is trained in no time."""
    usual = {
        "alpha": st.sampled_from([0, 0.2, 1.0, 1e-3, 1e3, float("inf")]),
        "lam_per": st.sampled_from(["minibatch", "sample"]),
        "module__hidden_sizes": st.sampled_from([(), (3,), (4, 2)]),
        "max_epochs": st.sampled_from([1, 2, 0]),
        "random_state": st.integers(0, 100),
    }
    rare = {
        "batch_size": st.sampled_from([1, 2, 7, -1, 10**6]),
        "dropout": st.sampled_from([0, 0.3]),
        "erm_epochs": st.sampled_from([0, 1, 5]),
        "class_weight": st.just("balanced"),
        "optimizer": st.just(torch.optim.SGD),
        "lr": st.sampled_from([0, 0.1]),
        "warm_start": st.booleans(),
        "callbacks__lr_decay": st.none(),
    }
    if not is_good:
        rare |= {
            "alpha": st.sampled_from([-1, "much", None, float("nan")]),
            "dropout": st.sampled_from([1, -0.1, "half"]),
            "batch_size": st.sampled_from([0, -2, 1.5, None]),
            "max_epochs": st.sampled_from([-1, 2.5, None]),
            "lr": st.sampled_from([1e3, 1e30, -1, "fast"]),
            "random_state": st.sampled_from([-1, "seed", None]),
            "classes": st.sampled_from([[0, 1], [0, 1, 2, 3], ["b"], [0, 0, 1], []]),
            "class_weight": st.sampled_from([{0: 1}, {0: 0, 1: 1}, {"b": 2}, "even", {0: -1}, [1]]),
            "train_split": st.sampled_from([ValidSplit(2), ValidSplit(2, stratified=True)]),
            "iterator_train": st.just(DataLoader),
            "iterator_train__drop_last": st.booleans(),
            "module__hidden_sizes": st.sampled_from([(0,), (-1,), (2.5,), "wide", 3]),
            "lam_per": st.sampled_from(["row", None]),
            "device": st.sampled_from(["cpu", "nowhere", 3.0]),
        }
    return _combine(usual, rare)


def settings_of_gans(*, is_good=True):
    """Draw parameters of a MixupGAN that is trained in no time."""
    usual = {
        "alpha": st.sampled_from([0, 0.2, 1.0]),
        "generator__hidden_sizes": st.sampled_from([(), (3,)]),
        "discriminator__hidden_sizes": st.sampled_from([(), (3,), (4, 2)]),
        "max_iter": st.integers(1, 4),
        "random_state": st.integers(0, 100),
    }
    rare = {
        "lam_per": st.just("minibatch"),
        "latent_dim": st.sampled_from([1, 5]),
        "n_discriminator_steps": st.sampled_from([1, 2]),
        "batch_size": st.sampled_from([1, 2, 7, -1]),
        "average": st.sampled_from([0.5, 0.99]),
        "saturating": st.just(True),
        "iter_per_epoch": st.sampled_from([1, 3]),
        "warm_start": st.just(True),
    }
    if not is_good:
        rare |= {
            "alpha": st.sampled_from([-1, "much", float("inf")]),
            "latent_dim": st.sampled_from([0, 1.5]),
            "batch_size": st.sampled_from([0, None]),
            "max_iter": st.sampled_from([0, None]),
            "average": st.sampled_from([1, -1]),
            "lr": st.sampled_from([1e3, 1e30, -1]),
            "n_discriminator_steps": st.sampled_from([0, 2.5]),
            "generator__hidden_sizes": st.sampled_from([(0,), "wide", 3]),
            "iterator_train": st.just(DataLoader),
        }
    return _combine(usual, rare)


def settings_of_bags(n_rows):
    """Draw parameters of a FusedBaggingClassifier, some of which do not fit the rows."""
    rare = {
        "max_samples": st.sampled_from([0.5, 0.7, 1, n_rows, n_rows + 1]),
        "max_features": st.sampled_from([0.5, 1, 2, 400]),
        "bootstrap": st.booleans(),
        "bootstrap_features": st.booleans(),
        "oob_score": st.booleans(),
        "max_fused": st.sampled_from([1, 2, 0]),
    }
    usual = {"n_estimators": st.integers(1, 3), "random_state": st.integers(0, 100)}
    return _combine(usual, rare)


def _combine(usual, rare):
    """Draw all usual parameters and up to two rare ones, which replace usual ones."""
    some = st.lists(st.sampled_from([*rare]), max_size=2, unique=True)
    chosen = some.flatmap(lambda names: st.fixed_dictionaries({name: rare[name] for name in names}))
    return st.tuples(st.fixed_dictionaries(usual), chosen).map(lambda pair: {**pair[0], **pair[1]})
