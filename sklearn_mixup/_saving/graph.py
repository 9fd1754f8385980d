"""A model as a list of the objects that it is made of, each after those that it holds.

So a file is read from its beginning to its end, an object is made once however often it is named,
and nothing in it can go round in a circle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from sklearn_mixup._saving.archive import Budget
from sklearn_mixup._saving.arrays import Stored
from sklearn_mixup._saving.names import find_class, find_function, name_class, name_function
from sklearn_mixup.exceptions import RefusedFileError

_MOST_DEPTH = 60


class Kind(NamedTuple):
    """A kind of value: how it is told from others, written to JSON, and read back.

    What is `shared` is one object wherever it is named; other values are written where they stand.
    """

    name: str
    fits: Callable[[Any], bool]
    write: Callable[[Writer, Any, str], Any]
    read: Callable[[Reader, Any], Any]
    shared: bool = False


class Writer:
    """Turns a model into JSON, and collects its arrays, classes and functions beside it.

    Parameters
    ----------
    kinds : iterable of Kind
        All kinds there are; the first that fits a value is that of it.
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = list(kinds)
        self.objects: list[Any] = []
        self.arrays: dict[str, torch.Tensor] = {}
        self.classes: dict[str, int] = {}
        self.functions: dict[str, int] = {}
        # What has been written, kept alive so that no other gets its id; None while it is.
        self._places: dict[int, tuple[Any, int | None]] = {}
        self._names: dict[type, int] = {}
        self._depth = 0

    def write(self, value: Any, path: str) -> Any:
        """Write a value that stands at a path of the model."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float and math.isfinite(value):
            return value
        kind = next((kind for kind in self.kinds if kind.fits(value)), None)
        if kind is None:
            return {"function": self._write_function(value, path)}
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise refuse(path, value, "is nested too deep, or holds itself")
        written = (
            self._write_shared(kind, value, path)
            if kind.shared
            else {kind.name: kind.write(self, value, path)}
        )
        self._depth -= 1
        return written

    def _write_shared(self, kind: Kind, value: Any, path: str) -> dict[str, int]:
        if id(value) not in self._places:
            self._places[id(value)] = value, None
            self.objects.append({kind.name: kind.write(self, value, path)})
            self._places[id(value)] = value, len(self.objects) - 1
        place = self._places[id(value)][1]
        if place is None:
            raise refuse(path, value, "holds itself")
        return {"at": place}

    def write_class(self, cls: type, path: str) -> int:
        """Name a class by its number in the list of them."""
        if cls not in self._names:
            try:
                name = name_class(cls)
            except ValueError as error:
                raise refuse(path, cls, str(error)) from error
            self._names[cls] = self.classes.setdefault(name, len(self.classes))
        return self._names[cls]

    def _write_function(self, function: Any, path: str) -> int:
        try:
            name = name_function(function)
        except ValueError as error:
            raise refuse(path, function, str(error)) from error
        return self.functions.setdefault(name, len(self.functions))

    def write_array(self, tensor: torch.Tensor, path: str) -> int:
        """Put a contiguous tensor of the host among the arrays."""
        name = path
        while name in self.arrays:
            name = f"{path}#{len(self.arrays)}"
        self.arrays[name] = tensor
        return len(self.arrays) - 1


class Reader:
    """Makes a model of JSON and arrays.

    Parameters
    ----------
    kinds : iterable of Kind
        All kinds there are.
    arrays : list of Stored
        The arrays of the file.
    budget : Budget
        What values may take in memory.
    device : object
        Where nets are put; None for where each of them wants to be.
    """

    def __init__(
        self, kinds: Iterable[Kind], arrays: list[Stored], budget: Budget, device: Any
    ) -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        self.arrays = arrays
        self.budget = budget
        self.device = device
        self.objects: list[Any] = []
        self._classes: list[tuple[type, bool]] = []
        self._functions: list[Any] = []

    def read_names(self, classes: list[str], functions: list[str], trusted: frozenset[str]) -> None:
        """Find all classes and functions that the file names, before anything is made."""
        self._classes = [find_class(path, trusted) for path in classes]
        self._functions = [find_function(path) for path in functions]

    def read_objects(self, written: list[Any]) -> None:
        """Make all objects, each of those before it."""
        for entry in written:
            ((name, payload),) = entry.items()
            if not self.kinds[name].shared:
                raise RefusedFileError(f"An object in it is a {name[:80]!r}.")
            self.objects.append(self.kinds[name].read(self, payload))

    def read(self, written: Any) -> Any:
        """Make the value that was written."""
        if not isinstance(written, dict):
            if isinstance(written, list):
                raise RefusedFileError("A value in it is of no kind.")
            return written
        ((name, payload),) = written.items()
        if name == "at":
            return self.objects[check_index(payload)]
        if name == "function":
            return self._functions[check_index(payload)]
        if self.kinds[name].shared:
            raise RefusedFileError(f"A {name[:80]!r} in it stands where it cannot be named again.")
        return self.kinds[name].read(self, payload)

    def read_class(self, number: Any, *, made: bool, kind: type = object) -> Any:
        """Find a class by its number; `made` says that an object is to be made of it."""
        cls, may_be_made = self._classes[check_index(number)]
        if (made and not may_be_made) or not issubclass(cls, kind):
            raise RefusedFileError(f"It makes an object of {cls.__qualname__}, which it may not.")
        return cls

    def read_array(self, number: Any) -> Stored:
        """Find an array by its number."""
        return self.arrays[check_index(number)]


def check_index(number: Any) -> int:
    """Check a place in a list: a negative one would be another."""
    if type(number) is not int or number < 0:
        raise RefusedFileError(f"A place in it is no whole number >= 0: {str(number)[:80]}.")
    return number


def check_type(value: Any, kinds: type | tuple[type, ...]) -> Any:
    """Check that a value is of a type, and hand it on."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int):
        raise RefusedFileError(f"A value in it is of the wrong type: {type(value).__name__}.")
    return value


def refuse(path: str, value: Any, reason: str) -> ValueError:
    """Make the error of something that no file can hold."""
    told = (
        repr(value) if callable(value) else f"a {type(value).__module__}.{type(value).__qualname__}"
    )
    told = told if len(told) < 200 else told[:200] + "..."
    return ValueError(
        f"A model must be made of arrays, settings and classes that can be imported to be saved; "
        f"`{path}` {reason}; got {told}. Set it to something else, or use pickle."
    )


def as_stored(values: np.ndarray) -> torch.Tensor:
    """See a contiguous array as a tensor, without a warning about one that is read-only."""
    if not values.flags.writeable:
        values = values.copy()
    return torch.from_numpy(values)
