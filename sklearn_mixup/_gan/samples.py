"""The samples of a fitted GAN: drawn, put into columns with names, set beside rows of data."""

from __future__ import annotations

from itertools import repeat
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._set_output import _wrap_data_with_container
from skorch.dataset import unpack_data
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._gan.classes import (
    draw_codes,
    has_classes,
    name_classes,
    read_codes,
    tell_classes,
)
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._gan.energy import energy_distance
from sklearn_mixup._gan.head import draw_noise, make_head, make_rows
from sklearn_mixup._gan.parts import draw_latent
from sklearn_mixup._gan.rejection import redraw_rejected
from sklearn_mixup._gan.rows import read_rows
from sklearn_mixup._gan.scale import Scaling
from sklearn_mixup._net.columns import is_polars
from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.memory import share
from sklearn_mixup._net.session import count_rows
from sklearn_mixup.minibatches import peel


def draw_samples(gan: Any, n_samples: Any, random_state: Any, y: Any, return_y: bool) -> Any:
    """Draw rows from the generator, in the container that ``set_output`` names, or of the table."""
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
        raise ValueError(f"`n_samples` must be a whole number >= 1; got {n_samples!r}.")
    if return_y and not has_classes(gan):
        raise ValueError("`return_y=True` needs classes; the GAN was fitted without y.")
    rows, codes = _generate(gan, int(n_samples), random_state, y)
    codec = _codec_of(gan, rows)
    samples: Any = rows if codec is None else codec.decode(rows)
    if len(samples.shape) == 2:
        wrapped = _wrap_data_with_container("transform", samples, None, gan)
        # Of a table of polars pandas makes columns of objects.
        is_other = is_polars(samples) and not is_polars(wrapped)
        samples = samples.to_pandas() if is_other else wrapped
    return (samples, name_classes(gan, codes)) if return_y else samples


def _generate(
    gan: Any, n_samples: int, random_state: Any, y: Any = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw rows from the generator, averaged if there is an average, and the class of each."""
    state = np.random.RandomState() if random_state is None else check_random_state(random_state)
    seed = int(state.randint(2**31 - 1))
    codes = draw_codes(gan, y, n_samples, state)
    device = torch.device(gan.device if gan.device is not None else "cpu")
    rng = torch.Generator(device).manual_seed(seed)
    z, head = draw_latent(gan, n_samples, rng), make_head(gan, device)
    y = tell_classes(gan, codes, z.dtype, device)
    generator = getattr(gan, "averaged_generator_", gan.generator_)

    def make(z: Tensor, y: Tensor | None) -> Tensor:
        told, n_rows = (z, draw_noise(head, z, rng), y), count_rows(gan.batch_size, z)
        parts = zip(
            *(repeat(None) if part is None else part.split(n_rows) for part in told), strict=False
        )
        return torch.cat([make_rows(generator, head, *part) for part in parts])

    def draw(places: Tensor) -> Tensor:
        return make(draw_latent(gan, len(places), rng), None if y is None else y[places])

    with torch.no_grad(), isolated_rng(seed, device):  # one thread at a time
        mode = generator.training  # It may be in the middle of a step.
        generator.eval()
        try:
            rows = make(z, y)
            if "rejector_" in vars(gan) and gan.rejection:
                judge = gan.rejector_, gan._kept_logits_
                rows = redraw_rejected(gan, *judge, rows, y, draw, rng)
        finally:
            generator.train(mode)
    return rows.cpu().numpy(), codes


def _codec_of(gan: Any, rows: np.ndarray) -> TableCodec | Scaling | None:
    """Get what makes a table of rows; None where they are what was learned from."""
    if gan.encode and rows.ndim == 2 and "_row_shape_" not in vars(gan):
        raise ValueError(
            "Samples get their units, or words, by what fit learned of the columns; this GAN was "
            "given the weights alone. Pickle the GAN as a whole, or let it see the table before "
            "its weights are loaded: partial_fit(X, epochs=0). Use encode=False for rows as they "
            "are."
        )
    return getattr(gan, "_codec_", None)


def read_judged(gan: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """Read rows to judge, encoded as those that were learned from, and the code of their class."""
    if not is_dataset(X):
        codes = read_codes(gan, y, X)
        return read_rows(gan, X), codes
    is_ours = gan._training_ is not None and gan._training_.data.holds(peel(X)[0])
    if not is_ours and (has_classes(gan) or "_codec_" in vars(gan)):
        raise TypeError(
            f"X must be a table, or an array of rows, as the one that was learned from; got a "
            f"{type(X).__name__}."
        )
    pairs = [unpack_data(X[i]) for i in range(len(X))]
    X = torch.stack([torch.as_tensor(row) for row, _ in pairs]).detach().cpu()
    X = X if "_codec_" in vars(gan) else read_rows(gan, X)
    return X, np.array([code for _, code in pairs]) if has_classes(gan) else None


def distance_to(gan: Any, X: Any, y: Any) -> float:
    """Compute the energy distance between rows of data and as many samples, always the same."""
    rows, codes = read_judged(gan, X, y)
    rows = rows.cpu().numpy() if isinstance(rows, Tensor) else rows
    labels = None if codes is None else gan.classes_[codes]
    samples, _ = _generate(gan, len(rows), 0, labels)
    if samples.shape != rows.shape:
        raise ValueError(
            f"Rows of X must have shape {samples.shape[1:]}, as the samples have; got "
            f"{rows.shape[1:]}."
        )
    if (codec := getattr(gan, "_codec_", None)) is not None:
        samples = codec.encode(codec.decode(samples))
    if codes is not None:
        told = np.eye(len(gan.classes_), dtype=rows.dtype)[codes]
        rows, samples = (np.hstack([part.reshape(len(part), -1), told]) for part in (rows, samples))
    return energy_distance(rows, samples)


def judge(gan: Any, X: Any, y: Any) -> np.ndarray:
    """Compute the discriminator's logit of each row, given its class or the one it fits best."""
    if is_dataset(X) and not has_classes(gan) and "_codec_" not in vars(gan):
        return _logits(gan, X)
    rows, codes = read_judged(gan, X, y)
    if not has_classes(gan):
        return _logits(gan, rows)
    rows = rows if isinstance(rows, Tensor) else share(rows)
    each = (
        [codes] if codes is not None else [[code] * len(rows) for code in range(len(gan.classes_))]
    )
    told = [tell_classes(gan, torch.as_tensor(codes), rows.dtype, rows.device) for codes in each]
    return np.max([_logits(gan, {"X": rows, "y": y}) for y in told], axis=0)


def _logits(gan: Any, X: Any) -> np.ndarray:
    return torch.cat(list(gan.forward_iter(X))).cpu().numpy()


def name_columns(gan: Any) -> np.ndarray:
    """Name the columns of a sample as X had them, or by their numbers."""
    if "feature_names_in_" in vars(gan):
        return gan.feature_names_in_
    if "_codec_" in vars(gan):
        n_columns = gan.n_features_in_
    else:
        rows, _ = _generate(gan, 1, 0)
        if rows.ndim != 2:
            raise ValueError(
                f"Only rows in columns have names; got rows of shape {rows.shape[1:]}."
            )
        n_columns = rows.shape[1]
    return np.asarray([f"x{i}" for i in range(n_columns)], dtype=object)
