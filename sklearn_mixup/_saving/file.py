"""Save a fitted estimator as one file that holds no code, and load it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sklearn_mixup._net.device import check_device
from sklearn_mixup._saving.archive import read_archive, write_archive
from sklearn_mixup._saving.graph import Kind, Reader, Writer, check_type
from sklearn_mixup._saving.names import is_known
from sklearn_mixup.exceptions import RefusedFileError

_FORMAT, _VERSION = "sklearn_mixup", 1
_PACKAGES = ("sklearn-mixup", "numpy", "scikit-learn", "scipy", "skorch", "skrub", "torch")


def save(model: Any, path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write an estimator, fitted or not, to one file without code in it.

    Parameters
    ----------
    model : estimator
        Any of this package, alone or in a Pipeline, ColumnTransformer, search or ensemble of
        scikit-learn's, with the usual transformers.
    path : path-like or binary file
        Where to. A file of that name is replaced when the new one is whole.

    Raises
    ------
    ValueError
        If the model holds what cannot be saved: a function of your own, a class that no import
        finds, hooks. The message names the parameter.

    See Also
    --------
    load : Read it again.

    Notes
    -----
    The file is a ZIP of ``model.json`` and ``arrays.safetensors``: settings, weights, what was
    learned of the data, the state of the optimizer, the history, and versions. Whoever has the file
    can read all of these; a VicinalSampler holds the very rows that it was fitted to.

    Examples
    --------
    >>> import tempfile
    >>> import sklearn_mixup
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = sklearn_mixup.MixupClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklearn_mixup.save(clf, f"{folder}/iris.mixup")
    ...     same = sklearn_mixup.load(f"{folder}/iris.mixup")
    >>> bool((same.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    writer = Writer(_find_kinds())
    root = writer.write(model, type(model).__name__)
    written = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "versions": _find_versions(),
        "classes": list(writer.classes),
        "functions": list(writer.functions),
        "objects": writer.objects,
        "model": root,
    }
    arrays = list(writer.arrays.items())
    if not isinstance(path, str | os.PathLike):
        write_archive(path, written, arrays)
        return
    target = Path(path)
    scratch = target.with_name(f"{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with scratch.open("xb") as file:
            write_archive(file, written, arrays)
        os.replace(scratch, target)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise


def load(
    path: str | os.PathLike[str] | IO[bytes], *, trusted: Iterable[str] = (), device: Any = None
) -> Any:
    """Read an estimator that :func:`save` has written; nothing in the file is run.

    Parameters
    ----------
    path : path-like or binary file
        Where from.
    trusted : iterable of str, default=()
        Classes of your own that the file may name, as ``"package.module.Class"``: modules,
        optimizers, callbacks and estimators. Those of this package, of torch.nn and torch.optim,
        skorch's callbacks that write no files, and what is usual of scikit-learn need no trust.
        A module that is named here is imported.
    device : str, torch.device or None, default=None
        Where all nets are put, and stay. None is where each was told to be: "auto", the default of
        nets, is the best device of this machine.

    Returns
    -------
    estimator
        On the same machine it predicts with the same bits, and ``partial_fit`` goes on with those
        that it would have had.

    Raises
    ------
    RefusedFileError
        If the file is damaged, of a newer format, none of :func:`save`, would take far more memory
        than it is long, or names a class that is not trusted; all of those are listed.
    ImportError
        If a package or a class is not here that the model is made of.

    See Also
    --------
    save : Write it.
    """
    if isinstance(trusted, str):
        raise TypeError(f"`trusted` must be a list of names; got {trusted!r}. Use [{trusted!r}].")
    if device is not None:
        check_device("cpu" if device == "auto" else device)
    try:
        if isinstance(path, str | os.PathLike):
            with Path(path).open("rb") as file:
                return _read(file, frozenset(trusted), device)
        return _read(path, frozenset(trusted), device)
    except RefusedFileError as error:
        name = getattr(path, "name", "the file") if hasattr(path, "read") else path
        message = (
            f"{str(name)!r} must be a whole and harmless file of `sklearn_mixup.save`. {error}"
        )
        raise RefusedFileError(message, untrusted=error.untrusted) from error
    except (OSError, ImportError, Warning):
        raise
    except Exception as error:  # What is damaged fails in any way that there is.
        raise RefusedFileError(
            f"{str(path)!r} must be a whole and harmless file of `sklearn_mixup.save`. It is "
            f"damaged: {type(error).__name__}, {str(error)[:200]}."
        ) from error


def _read(file: IO[bytes], trusted: frozenset[str], device: Any) -> Any:
    model, arrays, budget = read_archive(file)
    if not isinstance(model, dict) or model.get("format") != _FORMAT:
        raise RefusedFileError("It is of another format.")
    if check_type(model["format_version"], int) != _VERSION:
        raise RefusedFileError(
            f"It is of version {str(model['format_version'])[:20]} of the format, where {_VERSION} "
            "is read. Install the sklearn-mixup that wrote it: "
            f"{str(model.get('versions'))[:200]}."
        )
    classes, functions = check_type(model["classes"], list), check_type(model["functions"], list)
    for name in (*classes, *functions):
        check_type(name, str)
    if unknown := [path for path in classes if path not in trusted and not is_known(path)]:
        names = ", ".join(f"{path[:200]!r}" for path in unknown[:100])
        raise RefusedFileError(
            "It names classes that are not trusted. If you know what they do and who wrote the "
            f"file, use trusted=[{names}].",
            untrusted=unknown,
        )
    from sklearn_mixup._saving.compiled import check_made

    reader = Reader(_find_kinds(), arrays, budget, device)
    reader.read_names(classes, functions, trusted)
    reader.read_objects(check_type(model["objects"], list))
    made = reader.read(model["model"])
    check_made(reader.objects)
    return made


def _find_kinds() -> tuple[Kind, ...]:
    """List the kinds of values; they need much of scikit-learn, which other work does not."""
    from sklearn_mixup._saving import compiled, frames, nets, numbers, objects, values

    # The first that fits a value is its kind: those of a class come before those of its bases.
    files = (nets, compiled, frames, numbers, values, objects)
    return tuple(kind for file in files for kind in file.KINDS)


def _find_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
