"""The samples of a fitted GAN: drawn, put into columns with names, set beside rows of data."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._set_output import _wrap_data_with_container
from skorch.dataset import unpack_data
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._gan.checks import read_rows
from sklearn_mixup._gan.energy import energy_distance
from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.session import count_rows


def draw_samples(gan: Any, n_samples: Any, random_state: Any) -> Any:
    """Draw rows from the generator, in the container that ``set_output`` names."""
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
        raise ValueError(f"`n_samples` must be a whole number >= 1; got {n_samples!r}.")
    rows = _generate(gan, int(n_samples), random_state)
    return rows if rows.ndim != 2 else _wrap_data_with_container("transform", rows, None, gan)


def draw_latent(gan: Any, n_rows: int, rng: torch.Generator) -> Tensor:
    """Draw latent vectors, standard normal, shape (n_rows, latent_dim)."""
    dtype = gan._training_.dtype if gan._training_ is not None else gan._module_dtype()
    size = (n_rows, gan._latent_dim_)
    return torch.randn(size, generator=rng, device=rng.device, dtype=dtype)


def _generate(gan: Any, n_samples: int, random_state: Any) -> np.ndarray:
    """Draw rows from the generator, averaged if there is an average."""
    state = np.random.RandomState() if random_state is None else check_random_state(random_state)
    seed = int(state.randint(2**31 - 1))
    device = gan.device if gan.device is not None else "cpu"
    z = draw_latent(gan, n_samples, torch.Generator(device).manual_seed(seed))
    generator = getattr(gan, "averaged_generator_", gan.generator_)
    mode = generator.training  # It may be in the middle of a step.
    generator.eval()
    try:
        with torch.no_grad(), isolated_rng(seed, device):
            parts = [generator(part) for part in z.split(count_rows(gan.batch_size, z))]
    finally:
        generator.train(mode)
    return torch.cat(parts).cpu().numpy()


def distance_to(gan: Any, X: Any, y: Any) -> float:
    """Compute the energy distance between rows of data and as many samples, always the same."""
    if is_dataset(X):
        rows = [torch.as_tensor(unpack_data(X[i])[0]) for i in range(len(X))]
        X = torch.stack(rows).detach().cpu()
    X = read_rows(gan, X, reset=False)
    if y is not None:
        check_consistent_length(X, y)
    X = X.cpu().numpy() if isinstance(X, Tensor) else X
    samples = _generate(gan, len(X), 0)
    if samples.shape != X.shape:
        raise ValueError(
            f"Rows of X must have shape {samples.shape[1:]}, as the samples have; got "
            f"{X.shape[1:]}."
        )
    return energy_distance(X, samples)


def name_columns(gan: Any) -> np.ndarray:
    """Name the columns of a sample as X had them, or by their numbers."""
    if "feature_names_in_" in vars(gan):
        return gan.feature_names_in_
    rows = _generate(gan, 1, 0)
    if rows.ndim != 2:
        raise ValueError(f"Only rows in columns have names; got rows of shape {rows.shape[1:]}.")
    return np.asarray([f"x{i}" for i in range(rows.shape[1])], dtype=object)
