"""The ZIP around it: two members by name, stored as they are, and nothing else.

All sizes are checked against the length of the file before anything is read, and what JSON may
become in memory before it is parsed.
"""

from __future__ import annotations

import json
import struct
import zipfile
from typing import IO, Any

import torch

from sklearn_mixup._saving.arrays import Stored, as_bytes, make_header, read_arrays
from sklearn_mixup.exceptions import RefusedFileError

MODEL, ARRAYS = "model.json", "arrays.safetensors"
# What the values of JSON may take in memory, beside as much as the file is long.
FREE_BYTES = 128 << 20
# A value in memory: as JSON, as what is made of it, and its place in what holds both.
_BYTES_PER_VALUE = 200
# A character of text may take four bytes, and is there once more as it was read.
_BYTES_PER_CHARACTER = 6
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_MOST_DIRECTORY = 4096


class Budget:
    """What values made of a file may take in memory: about as much as the file is long."""

    def __init__(self, n_bytes: int) -> None:
        self.n_left = FREE_BYTES + n_bytes

    def spend(self, n_bytes: int) -> None:
        """Count bytes that are about to be taken."""
        self.n_left -= n_bytes
        if self.n_left < 0:
            raise RefusedFileError(
                "What it holds would take far more memory than the file is long."
            )

    def parse(self, content: bytes) -> Any:
        """Parse JSON, plain and strict."""
        n_values = sum(content.count(mark) for mark in b",:[{")
        self.spend(_BYTES_PER_VALUE * n_values + _BYTES_PER_CHARACTER * len(content))
        return json.loads(
            content.decode("ascii"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise RefusedFileError("A name in it stands for two things.")
    return table


def _refuse_constant(name: str) -> None:
    raise RefusedFileError(f"{name} is no JSON.")


def write_archive(file: IO[bytes], model: Any, arrays: list[tuple[str, torch.Tensor]]) -> None:
    """Write what a model is made of; the same model gives the same bytes."""
    content = json.dumps(model, separators=(",", ":"), allow_nan=False).encode("ascii")
    header = make_header(arrays)
    n_bytes = sum(tensor.numel() * tensor.element_size() for _, tensor in arrays)
    budget = Budget(len(content) + len(header) + n_bytes)
    try:
        budget.parse(content)
    except RefusedFileError as error:
        raise ValueError(
            "The model must hold fewer words and numbers outside of arrays, or `load` would refuse "
            f"the file; got {len(content)} bytes of JSON. A long history is one cause: "
            "`del net.history[:-100]` leaves the last 100 epochs."
        ) from error
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MODEL), content)
        with archive.open(zipfile.ZipInfo(ARRAYS), "w", force_zip64=n_bytes > 1 << 30) as member:
            member.write(header)
            for _, tensor in arrays:
                member.write(as_bytes(tensor))


def read_archive(file: IO[bytes]) -> tuple[Any, list[Stored], Budget]:
    """Read what a model is made of; nothing is made of it yet."""
    n_file = file.seek(0, 2)
    _check_ends(file, n_file)
    budget = Budget(n_file)
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(archive.infolist()) != 2 or set(members) != {MODEL, ARRAYS}:
            raise RefusedFileError(f"It must hold {MODEL!r} and {ARRAYS!r} once each, no other.")
        for info in members.values():
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise RefusedFileError(f"{info.filename!r} in it is compressed or encrypted.")
            if info.file_size != info.compress_size:
                raise RefusedFileError(f"{info.filename!r} in it has two sizes.")
        if sum(info.file_size for info in members.values()) > n_file:
            raise RefusedFileError("Its members are said to be larger than the file.")
        with archive.open(members[MODEL]) as member:
            n_model = members[MODEL].file_size
            budget.spend(n_model)
            content = member.read(n_model)
            if len(content) != n_model or member.read(1):
                raise RefusedFileError("It ends too early.")
        model = budget.parse(content)
        del content
        with archive.open(members[ARRAYS]) as member:
            size = members[ARRAYS].file_size
            arrays = read_arrays(member, size, budget.parse, budget.n_left)
            if member.read(1):  # the end, where the checksum is looked at
                raise RefusedFileError("There is more behind its arrays.")
    return model, arrays, budget


def _check_ends(file: IO[bytes], n_file: int) -> None:
    """Check that a file starts and ends as one of ours, with a directory of few members."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        raise RefusedFileError("It is no file that `sklearn_mixup.save` has written.")
    if n_file < _END.size + _LOCATOR_64.size:
        raise RefusedFileError("It ends too early.")
    file.seek(n_file - _END.size - _LOCATOR_64.size)
    locator = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    mark, *_, n_directory, start, n_comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\x05\x06" or n_comment:
        raise RefusedFileError("Its end is missing.")
    end = n_file - _END.size
    if locator[0] == b"PK\x06\x07":  # of more than four gigabytes
        end -= _LOCATOR_64.size + _END_64.size
        if end < 0 or locator[2] != end:
            raise RefusedFileError("Its end is malformed.")
        file.seek(end)
        mark, *_, n_directory, start = _END_64.unpack(file.read(_END_64.size))
        if mark != b"PK\x06\x06":
            raise RefusedFileError("Its end is malformed.")
    if n_directory > _MOST_DIRECTORY or start + n_directory != end:
        raise RefusedFileError("Its list of members is not where its end says.")
    file.seek(0)
